"""MLflow's UI as a process of its own, for tests that look at it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from processes import environment


@contextmanager
def served(store: Path) -> Iterator[str]:
    """Serve a database of runs as `make ui` does; give the address of the server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = store.with_name("mlflow_ui.log")
    with log.open("w") as stream:
        server = subprocess.Popen(
            [sys.executable, "-m", "w2v_exp", "ui", "--uri", f"sqlite:///{store}", "--port", str(port)],
            env=environment(),
            stdout=stream,
            stderr=stream,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(f"{address}/health", server, log)
        yield address
    finally:
        server.terminate()  # and with it, its worker
        server.wait(60)


def _wait(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(1200):
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(address, timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(log.read_text())

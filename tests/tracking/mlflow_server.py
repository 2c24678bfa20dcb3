"""A real tracking server, which can be killed, stopped and started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from processes import environment

# Without what would report its use to its makers, and without seven processes for evaluations that nobody asks for.
LIGHT = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def wait_for(happens: Callable[[], object], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


class Server:
    """A tracking server that serves artifacts, too; with these options and variables of the environment."""

    def __init__(
        self,
        folder: Path,
        store: str = "sqlite:///mlflow.db",
        *options: str,
        workers: int = 1,
        **variables: str,
    ) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{port}"
        self.log = folder / "server.log"
        self._folder = folder
        self._variables = variables
        self._arguments = ["--port", str(port), "--workers", str(workers), "--backend-store-uri", store]
        self._arguments += ["--artifacts-destination", "served", *options]
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", *self._arguments],
                cwd=self._folder,
                env=environment(**LIGHT, **self._variables),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for(self.answers)

    def answers(self) -> bool:
        assert self._process.poll() is None, self.log.read_text()
        with suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:
            return bool(answer.status == 200)
        return False

    def send(self, number: signal.Signals) -> None:
        os.killpg(self._process.pid, number)  # of this server and its workers

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self.send(signal.SIGKILL)
        self._process.wait()

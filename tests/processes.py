"""The command line as a process of its own."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def environment(**changes: str) -> dict[str, str]:
    """Return this process's environment without what would send runs to a store of the developer's."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "HYDRA_"))}
    return kept | changes


def run_python(*arguments: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run this Python in a folder."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
    )


def run_command(*arguments: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m w2v_exp …`` in a folder."""
    return run_python("-m", "w2v_exp", *arguments, folder=folder, **variables)


def run_on_terminal(*arguments: str, folder: Path, **variables: str) -> str:
    """Run ``python -m w2v_exp …`` with a terminal for its standard error, and return what that has shown."""
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "w2v_exp", *arguments],
        cwd=folder,
        env=environment(TERM="xterm", COLUMNS="120", **variables),
        stdout=subprocess.DEVNULL,
        stderr=end,
    )
    os.close(end)
    shown = b""
    with (
        os.fdopen(terminal, "rb", buffering=0) as stream,
        suppress(OSError),
    ):  # Linux ends a terminal with EIO
        while piece := stream.read(4096):
            shown += piece
    process.wait()
    return shown.decode(errors="replace")

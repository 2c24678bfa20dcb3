"""The command line as a process of its own."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import fork_server

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
    """Run ``w2v-exp …`` in a folder."""
    return run_python("-m", "w2v_exp", *arguments, folder=folder, **variables)


def start_command(*arguments: str, folder: Path, **variables: str) -> subprocess.Popen[str]:
    """Start ``w2v-exp …`` in a folder."""
    return subprocess.Popen(
        [sys.executable, "-m", "w2v_exp", *arguments],
        cwd=folder,
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_on_terminal(*arguments: str, folder: Path, **variables: str) -> str:
    """Run ``w2v-exp …`` with a terminal for its standard error, and return what that has shown."""
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


class ForkingCommand:
    """Runs ``w2v-exp …`` in processes that `fork_server` forks; it starts with the first command."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[str] | None = None

    def run(
        self,
        *arguments: str,
        folder: Path,
        killed_after: float | None = None,
        killed_at: tuple[str, int] | None = None,
        killed_by: int = signal.SIGKILL,
        **variables: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in a folder, with these variables of the environment.

        The command gets a signal `killed_after` seconds after it has started, unless it has ended; or, however fast it
        is, as soon as it has written files that match `killed_at`, a pattern of paths below the folder and a number
        of times.
        """
        assert not any(name.startswith("PYTHON") for name in variables), "these are for a new Python"
        with tempfile.TemporaryDirectory() as said:
            stdout, stderr = (Path(said, name) for name in ("stdout", "stderr"))
            for file in (stdout, stderr):
                file.touch()
            command = {
                "arguments": arguments,
                "folder": str(folder),
                "environment": environment(**variables),
                "stdout": str(stdout),
                "stderr": str(stderr),
                "killed_after": killed_after,
                "killed_at": killed_at,
                "killed_by": int(killed_by),
            }
            code = self._ask(json.dumps(command))
            return subprocess.CompletedProcess(arguments, code, stdout.read_text(), stderr.read_text())

    def close(self) -> None:
        """End the server."""
        if self._server:
            self._server.communicate()

    def _ask(self, command: str) -> int:
        if self._server is None:
            self._server = subprocess.Popen(
                [sys.executable, fork_server.__file__],
                env=environment(MLFLOW_DISABLE_TELEMETRY="true", MPLBACKEND="agg"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.write(command + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())

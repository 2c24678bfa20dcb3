"""A command line's process: output without control characters, and an exit code, also where no one reads any more."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TextIO

from w2v_exp.errors import visible


class VisibleStream:
    """A text stream that replaces control characters, for messages with names and values from outside.

    Parameters
    ----------
    stream : TextIO
        Where the text goes. Rich, whose consoles replace such characters themselves (`reporting.words.console`),
        writes its own control sequences to it directly: it looks for the attribute ``rich_proxied_file``.
    """

    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = stream

    def write(self, text: str) -> int:
        """Write a text, and return its number of characters."""
        self.rich_proxied_file.write(visible(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


INTERRUPTED = 130  # by Ctrl-C: 128 and the signal's number, as shells have it


def exit_with(command: Callable[[list[str]], int]) -> NoReturn:
    """Run a command with the arguments of this process, and exit with the code that it returns."""
    sys.stdout, sys.stderr = VisibleStream(sys.stdout), VisibleStream(sys.stderr)
    try:
        Path.cwd()
    except FileNotFoundError:
        sys.exit("The current folder has been deleted. Change to a folder that exists.")
    try:
        code = command(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read it has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at the exit
        code = 1
    except KeyboardInterrupt as interruption:
        code = getattr(interruption, "exit_code", INTERRUPTED)
    for name in (
        "SIGINT",
        "SIGTERM",
        "SIGHUP",
    ):  # all is done: whoever does not want to wait for the rest need not
        if (number := getattr(signal, name, None)) and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: os._exit(code))
    sys.exit(code)

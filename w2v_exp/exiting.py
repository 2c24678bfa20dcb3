"""The end of a command line: its exit code, also where whoever reads it has gone away."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn


def exit_with(command: Callable[[list[str]], int]) -> NoReturn:
    """Run a command with the arguments of this process, and exit with the code that it returns."""
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
    sys.exit(code)

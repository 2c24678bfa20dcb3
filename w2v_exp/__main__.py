"""The command ``python -m w2v_exp``: composes the configuration and calls the application, nothing else."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line of this process and exit with its code."""
    from w2v_exp.experiment.command_line import run

    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read it has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at the exit
        code = 1
    sys.exit(code)


if __name__ == "__main__":
    main()

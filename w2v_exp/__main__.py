"""The command ``w2v-exp``, the same as ``python -m w2v_exp``: runs, sweeps and sub-commands."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line of this process and exit with its code."""
    try:
        from w2v_exp.processes import exit_with

        exit_with(run)
    except KeyboardInterrupt:  # while that was imported
        print("Interrupted.", file=sys.stderr)
        sys.exit(130)


def run(arguments: list[str]) -> int:
    """Run a command line and return its exit code; a sub-command comes first in it.

    What a command needs is imported after signals are handled: it takes up to a second.
    """
    from w2v_exp.processes import messages_on_stderr, termination_as_exception

    name, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    with termination_as_exception(), messages_on_stderr():
        if name == "ask":
            from w2v_exp.experiment.questions import run as ask

            return ask(rest)
        if name == "cache":
            from w2v_exp.experiment.cache import main as cache

            return cache(rest)
        if name == "compare":
            from w2v_exp.experiment.report import compare_runs

            return compare_runs(rest)
        if name == "sync":
            from w2v_exp.experiment.replay import main as sync

            return sync(rest)
        from w2v_exp.experiment.cli import run as run_or_sweep

        return run_or_sweep([*rest, "estimate=true"] if name == "estimate" else arguments)


if __name__ == "__main__":
    main()

"""The command ``python -m w2v_exp``: composes the configuration and calls the application, nothing else."""

from __future__ import annotations

from w2v_exp.processes import exit_with


def main() -> None:
    """Run the command line of this process and exit with its code."""
    exit_with(_run)


def _run(arguments: list[str]) -> int:
    from w2v_exp.processes import termination_as_exception

    with termination_as_exception():  # from here on: loading the rest takes a second
        from w2v_exp.experiment.cli import run

        return run(arguments)


if __name__ == "__main__":
    main()

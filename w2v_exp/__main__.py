"""The command ``python -m w2v_exp``: composes the configuration and calls the application, nothing else."""

from __future__ import annotations

from w2v_exp.exiting import exit_with


def main() -> None:
    """Run the command line of this process and exit with its code."""
    from w2v_exp.experiment.command_line import run

    exit_with(run)


if __name__ == "__main__":
    main()

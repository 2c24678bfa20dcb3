"""Entry point of the command ``w2v-exp`` and of ``python -m w2v_exp``."""

import gc
import os


def main() -> None:
    """Run the command line of this process and exit with its code."""
    gc.disable()  # what is imported and composed stays: to examine it again and again takes 0.1 s
    try:
        import signal

        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                signal.signal(number, _quit)
        from w2v_exp.processes import exit_with
    except KeyboardInterrupt:  # before it was handled
        _quit(2)
    exit_with(run)


def _quit(number: int, _frame: object = None) -> None:
    """End the process at once, as a signal may while nothing has been done yet.

    Importing the packages takes up to a second, in which an exception may be lost, or turned into another one.
    """
    try:
        os.write(2, b"Interrupted.\n")
    finally:
        os._exit(128 + number)


def run(arguments: list[str]) -> int:
    """Run a command line, with its sub-command, and return the exit code."""
    from w2v_exp.processes import collect_garbage, messages_on_stderr, termination_as_exception

    name, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if name == "ask":
        from w2v_exp.experiment.queries import run as command
    elif name == "cache":
        from w2v_exp.experiment.subcommands import manage_cache as command
    elif name == "compare":
        from w2v_exp.experiment.subcommands import compare_runs as command
    elif name == "export":
        from w2v_exp.experiment.export import run as command
    elif name == "sync":
        from w2v_exp.experiment.sync import main as command
    elif name == "ui":
        from w2v_exp.experiment.ui import main as command
    else:
        # These enable the collector when they have composed the first configuration.
        from w2v_exp.experiment.cli import estimate
        from w2v_exp.experiment.cli import run as run_or_sweep

        with messages_on_stderr():
            return estimate(rest) if name == "estimate" else run_or_sweep(arguments)
    collect_garbage()
    with termination_as_exception(), messages_on_stderr():
        return command(rest)


if __name__ == "__main__":
    main()

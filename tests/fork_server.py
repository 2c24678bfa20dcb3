"""A Python that has loaded everything and forks to run ``w2v-exp …``: the same, seconds sooner.

Each line of its standard input is a command in JSON; it answers with the exit code on a line. The command has a
process of its own. What depends on how a process begins or ends (its hash seed, its signals, its terminal, what
it has loaded) is tested with a new Python, by the functions of `processes`.
"""

from __future__ import annotations

import fnmatch
import gc
import importlib
import json
import os
import runpy
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from w2v_exp.machine import freeze

LOADED = [  # what the application imports late
    "matplotlib.backends.backend_agg",
    "mlflow",
    "mlflow.store.tracking.sqlalchemy_store",
    "optuna.storages",
    "scipy.sparse.linalg",
    "w2v_exp.experiment.cli",
    "w2v_exp.experiment.run",
    "w2v_exp.experiment.report",
    "w2v_exp.experiment.run_report",
    "w2v_exp.reporting.plots",
    "w2v_exp.reporting.run_plots",
    "w2v_exp.experiment.cli",
    "w2v_exp.searching.search",
    "w2v_exp.tracking.history",
]


def serve() -> None:
    """Run a command after the other until there are no more."""
    for module in LOADED:
        importlib.import_module(module)
    warm_up()
    gc.collect()
    freeze()  # so that no child looks through all that, and gets copies of its pages
    while line := sys.stdin.readline():
        command = json.loads(line)
        child = os.fork()
        if not child:
            begin(command)
            os._exit(run())  # to end as Python does, object by object, would take longer than most commands
        kill(child, command)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def warm_up() -> None:
    """Do once what every command would do for the first time: nothing of it changes what a command does."""
    from sqlalchemy.orm import configure_mappers

    from w2v_exp.config import register_schema
    from w2v_exp.experiment.command import check_command, parse
    from w2v_exp.reporting.run_plots import draw_costs

    register_schema()
    check_command(parse(["tracking=none"]))
    configure_mappers()
    with tempfile.TemporaryDirectory() as folder:
        draw_costs({"cost": {0: 1.0, 1: 0.5}}, path=Path(folder, "cost.png"))


def kill(child: int, command: dict[str, Any]) -> None:
    """Kill a command's process `killed_after` seconds after its start. It may have ended before."""
    if command["killed_after"] is not None:
        time.sleep(command["killed_after"])
        os.kill(child, command["killed_by"])


def kill_at(pattern: str, times: int, number: int) -> None:
    """Send a signal to this process when it has written files that match a pattern of paths so many times.

    Written: opened for writing or renamed to; the signal comes with the first of Python's audit events that follows.
    """
    left, pid = times, os.getpid()

    def on_event(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if os.getpid() != pid or left < 0:
            return
        if left == 0:
            left = -1
            os.kill(pid, number)
        if event == "os.rename":
            path = arguments[1]
        elif event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wxa"):
            path = arguments[0]
        else:
            return
        if isinstance(path, str | os.PathLike) and fnmatch.fnmatch(os.path.relpath(path), pattern):
            left -= 1

    sys.addaudithook(on_event)


def begin(command: dict[str, Any]) -> None:
    """Give this process what a command is started with."""
    os.chdir(command["folder"])
    os.environ.clear()
    os.environ.update(command["environment"])
    for number, name in enumerate((os.devnull, command["stdout"], command["stderr"])):
        file = os.open(name, os.O_WRONLY if number else os.O_RDONLY)
        os.dup2(file, number)
        os.close(file)
    sys.path[0] = command["folder"]  # as with `python -m`
    sys.argv = ["w2v_exp", *command["arguments"]]
    if command["killed_at"]:
        kill_at(*command["killed_at"], command["killed_by"])


def run() -> int:
    """Run the command of this process, and return its exit code."""
    try:
        runpy.run_module("w2v_exp", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    serve()

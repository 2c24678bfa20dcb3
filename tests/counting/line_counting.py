"""A small count for the tests of engines: the lines of files, in tasks that can die, and a driver that can be killed.

python line_counting.py FOLDER OPTION '{"workers": 2}'     counts the files of FOLDER/texts that have no count yet

"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

from w2v_exp.counting.engines import Task
from w2v_exp.errors import SettingError, UserError
from w2v_exp.files import replacing
from w2v_exp.processes import termination_as_exception


def make_texts(folder: Path, number: int) -> None:
    """Write texts of 0, 1, 2, … lines."""
    for part in ("texts", "counts", "starts", "nodes"):
        (folder / part).mkdir(parents=True)
    for index in range(number):
        (folder / "texts" / f"{index:04}").write_text("a line\n" * index)


def count_lines(folder: str, name: str, seconds: float = 0.0, deaths: int = 0, ends: str = "kill") -> None:
    """Count the lines of a text, and log the start of this task.

    Parameters
    ----------
    deaths : int
        Number of starts that end in the middle, in the way of `ends`.
    """
    place = Path(folder)
    with (place / "starts" / name).open("a") as log:
        log.write(f"{os.getpid()}\n")
    if node := os.environ.get("SLURMD_NODENAME"):
        (place / "nodes" / name).write_text(node)
    time.sleep(seconds)
    if len((place / "starts" / name).read_text().splitlines()) <= deaths:
        end(ends)
    with (place / "texts" / name).open() as stream, replacing(place / "counts" / name) as target:
        target.write(f"{sum(1 for _ in stream)}\n")


def end(way: str) -> None:
    """End this process or task."""
    if way == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if way == "exit":
        os._exit(3)
    if way == "memory":
        raise MemoryError
    if way == "mistake":
        raise SettingError("corpus.path", "x", "cannot be read.")
    raise ZeroDivisionError("an error of the code")


def log_threads(target: str) -> None:
    """Write the largest number of threads of a BLAS in this process."""
    threads = max(pool["num_threads"] for pool in threadpool_info())
    Path(target).write_text(f"{threads}\n")


def tasks_of(folder: Path, **settings: Any) -> list[Task]:
    """Return a task for each text without a count."""
    names = sorted(path.name for path in (folder / "texts").iterdir())
    done = {path.name for path in (folder / "counts").iterdir()}
    place = str(folder.absolute())
    return [
        Task("line_counting:count_lines", {"folder": place, "name": name, **settings})
        for name in names
        if name not in done
    ]


def counts(folder: Path) -> list[int]:
    """Return the counts so far."""
    return [int(path.read_text()) for path in sorted((folder / "counts").glob("[0-9]*"))]


def starts(folder: Path) -> list[int]:
    """Return the number of starts of each task."""
    files = [folder / "starts" / path.name for path in sorted((folder / "texts").iterdir())]
    return [len(file.read_text().splitlines()) if file.exists() else 0 for file in files]


def start_driver(folder: Path, option: str, **settings: Any) -> subprocess.Popen[str]:
    """Start a driver, in a session of its own."""
    return subprocess.Popen(
        [sys.executable, __file__, folder, option, json.dumps(settings)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def main() -> int:
    """Count as the command does: a mistake is one line."""
    from w2v_exp.choices import make_choice

    folder, option, settings = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    seconds, deaths = settings.pop("seconds", 0.0), settings.pop("deaths", {})
    tasks = tasks_of(folder, seconds=seconds, ends=settings.pop("ends", "kill"))
    for task in tasks:
        task.arguments["deaths"] = deaths.get(task.arguments["name"], 0)
    try:
        with (
            termination_as_exception(),
            make_choice("counting", {"name": option, **settings}).engine(folder / "engine") as engine,
        ):
            for index in engine.run(tasks):
                print(index, flush=True)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A sweep: several runs of one command, and what they have in common."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import time

from w2v_exp.files import replacing
from w2v_exp.reporting.results import RunResult

SWEEP_FILE = "sweep.json"
RESULT_FILE = "result.json"


@dataclass(frozen=True)
class Sweep:
    """What every run of a sweep can read in the sweep's folder, in whatever process or machine it runs.

    Parameters
    ----------
    name : str
        Unique; the name of the folder.
    command : str
        The command line.
    keys : list of str
        The swept keys, in the order of the command.
    total : int
        The number of runs.
    study : str, optional
        The study that its runs are trials of, if it is a search.
    sought : (str, int), optional
        The metric that is sought, and 1 if more of it is better, −1 if less is.
    started : float
        When it began, in seconds since 1970.
    """

    name: str
    command: str
    keys: list[str]
    total: int
    study: str | None = None
    sought: tuple[str, int] | None = None
    started: float = field(default_factory=time)

    def write(self, folder: Path) -> None:
        """Write this down in the sweep's folder."""
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / SWEEP_FILE) as stream:
            json.dump(asdict(self), stream, indent=1)

    @classmethod
    def read(cls, folder: Path) -> Sweep:
        """Return the sweep of a folder."""
        return cls(**json.loads((folder / SWEEP_FILE).read_text(encoding="utf-8")))


def write_result(result: RunResult, folder: Path) -> None:
    """Write down how a run ended, in its own folder."""
    with replacing(folder / RESULT_FILE) as stream:
        json.dump(asdict(result), stream, indent=1)


def read_result(folder: Path) -> RunResult | None:
    """Return how the run of a folder ended; None if it has not written that down."""
    file = folder / RESULT_FILE
    if not file.exists():
        return None
    values = json.loads(file.read_text(encoding="utf-8"))
    values["curves"] = {
        metric: [(int(epoch), float(value)) for epoch, value in points]
        for metric, points in values.get("curves", {}).items()
    }
    values.pop("costs", None)  # of an earlier version, which did not name what they are
    return RunResult(**values)


def read_results(folder: Path) -> list[RunResult]:
    """Return how the runs of a sweep ended, in their order."""
    folders = [file.parent for file in folder.rglob(RESULT_FILE)]
    folders.sort(key=lambda run: (len(run.name), run.name))
    return [result for run in folders if (result := read_result(run))]

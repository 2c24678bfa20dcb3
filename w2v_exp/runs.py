"""Results of runs and the sweeps that they belong to, as files in their folders."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import time

from w2v_exp.errors import UserError
from w2v_exp.files import DamagedFileError, read_checked, write_checked

_log = logging.getLogger(__name__)

CHANGE, BASE = "change", "base"  # the swept key of a sweep of changes, and its value where nothing is changed
DONE = ("FINISHED", "SKIPPED")
LEAST_KNOWN = 30  # pairs or questions: a score of fewer ranks nothing
Points = Sequence[tuple[int, float]]  # values by epoch


@dataclass(frozen=True)
class RunResult:
    """A run of a sweep, as tables and pictures need it.

    Parameters
    ----------
    name : str
        The run's name: the swept values, such as ``window=3 dim=10``.
    swept : dict of str to str
        The swept keys and their values in this run, in the order of the command; the seed is not among them.
    seed : int
        The run's seed.
    status : str
        ``FINISHED``, ``FAILED`` or ``KILLED``; ``SKIPPED``, if the same run had finished before, or ``RUNNING``, if it
        is being run by another process.
    reason : str
        One line that says why a run did not come to its end, or why the store does not have all of one that finished;
        otherwise empty.
    metrics : dict of str to float
        The last value of each metric.
    curves : mapping of str to list of (int, float)
        Values by epoch, thinned, by the name of their metric: ``cost``, and ``objective_cost`` of an objective that is
        no likelihood.
    ended_by : str
        What has ended training: ``epochs``, ``patience`` or ``minutes``; empty if it was interrupted or failed.
    run_id : str
        The run in the store; of one that was skipped, that which had finished. Empty where nothing is tracked.
    similar : dict of str to list of str
        The probe words, and the words nearest to each; empty for one that is not known.
    explorer : str
        What became of the explorer's page, in a line; empty if none was asked for.
    """

    name: str
    swept: dict[str, str]
    seed: int
    status: str
    reason: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    curves: Mapping[str, Points] = field(default_factory=dict)
    ended_by: str = ""
    run_id: str = ""
    similar: dict[str, list[str]] = field(default_factory=dict)
    explorer: str = ""

    @property
    def done(self) -> bool:
        """Whether there is a result, be it of now or of before."""
        return self.status in DONE

    @property
    def finished_before(self) -> str:
        """The run in the store that made running this one again needless; empty if there was none."""
        return self.run_id if self.status == "SKIPPED" else ""

    @property
    def has_estimated_cost(self) -> bool:
        """Whether the metric ``cost`` was measured on a sample of the text: see `RunCosts.sample`."""
        return "cost_pairs" in self.metrics and self.metrics.get("cost_sample_share", 0.0) < 1.0

    def known(self, metric: str) -> float:
        """Return of how many pairs or questions an evaluation score is; infinite for every other metric."""
        return self.metrics.get(f"{metric}_known", math.inf)

    def total(self, metric: str) -> int:
        """Return how many pairs or questions the evaluation set of a score has."""
        coverage = self.metrics.get(f"{metric}_coverage", 0.0)
        return round(self.known(metric) / coverage) if coverage else 0

    def ranks(self, metric: str) -> bool:
        """Return whether the run can be ranked by a metric."""
        return metric in self.metrics and self.known(metric) >= LEAST_KNOWN


SWEEP_FILE = "sweep.json"
RESULT_FILE = "result.json"
SWEEP_ID = "sweep"  # key of a result


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
    id : str
        In the results of its runs: a folder may have those of other sweeps. A search that is resumed keeps it.
    subdirs : list of str, optional
        The folders of its runs below its own; None: they are named by their numbers.
    changes : dict of str to list of str
        The overrides of each value of the key ``change``, if it is a sweep of changes.
    """

    name: str
    command: str
    keys: list[str]
    total: int
    study: str | None = None
    sought: tuple[str, int] | None = None
    started: float = field(default_factory=time)
    id: str = ""
    subdirs: list[str] | None = None
    changes: dict[str, list[str]] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write this down in the sweep's folder."""
        folder.mkdir(parents=True, exist_ok=True)
        write_checked(folder / SWEEP_FILE, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Sweep:
        """Return the sweep of a folder.

        Raises
        ------
        UserError
            If its file is damaged.
        """
        file = folder / SWEEP_FILE
        try:
            return cls(**read_checked(file))
        except (OSError, DamagedFileError, TypeError) as error:
            raise UserError(
                f"{file}: cannot be read ({_reason(error)}). Run the sweep's command again."
            ) from error


def write_result(result: RunResult, folder: Path, sweep: Sweep | None) -> None:
    """Write down how a run ended, in its own folder."""
    write_checked(folder / RESULT_FILE, asdict(result) | {SWEEP_ID: sweep.id if sweep else ""})


def read_result(folder: Path, sweep: Sweep | None = None) -> RunResult | None:
    """Return how the run of a folder ended; None if there is no result, it is of another sweep, or the file is damaged.

    A damaged file is reported in a line: the run counts as one that has not ended.
    """
    file = folder / RESULT_FILE
    try:
        values = read_checked(file)
        sweep_id = values.pop(SWEEP_ID, "")
        if sweep is not None and sweep_id != sweep.id:
            return None
        values["curves"] = {
            metric: [(int(epoch), float(value)) for epoch, value in points]
            for metric, points in values["curves"].items()
        }
        return RunResult(**values)
    except FileNotFoundError:
        return None
    except (OSError, DamagedFileError, TypeError, ValueError, KeyError, AttributeError) as error:
        _log.warning(f"{file}: cannot be read ({_reason(error)}); its run counts as unfinished.")
        return None


def _reason(error: Exception) -> str:
    """Return why a file cannot be read, as the end of a sentence."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error) if isinstance(error, DamagedFileError) else "it is of another version"


def read_results(folder: Path, sweep: Sweep) -> list[RunResult]:
    """Return how the runs of a sweep ended, in their order. Those of other sweeps in its folder are left out."""
    numbers = sorted(int(run.name) for run in folder.iterdir() if run.name.isdecimal())
    subdirs = sweep.subdirs or list(map(str, numbers))
    return [result for subdir in subdirs if (result := read_result(folder / subdir, sweep))]

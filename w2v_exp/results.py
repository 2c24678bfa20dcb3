"""Results of runs and descriptions of sweeps, as files in their folders."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import time

from w2v_exp.display import card
from w2v_exp.errors import ShortRepr, UserError
from w2v_exp.files import DamagedFileError, read_checked, write_checked

_log = logging.getLogger(__name__)

CHANGE, BASE = "change", "base"  # the swept key of a sweep of changes, and its value without a change
DONE = ("FINISHED", "SKIPPED")
LEAST_KNOWN = 30  # pairs or questions: a score of fewer is not ranked
Points = Sequence[tuple[int, float]]  # values by epoch


@dataclass(frozen=True, repr=False)
class RunResult(ShortRepr):
    """Result of a run of a sweep, for tables and pictures.

    Parameters
    ----------
    name : str
        The run's name: the swept values, such as ``window=3 dim=10``.
    swept : dict of str to str
        The swept keys, without the seed, and their values in this run, in the order of the command.
    seed : int
        The run's seed.
    status : str
        ``FINISHED``, ``FAILED`` or ``KILLED``; ``SKIPPED`` if the same run had finished earlier, or ``RUNNING`` if
        another process is running it.
    reason : str
        The reason, in one line, why the run did not finish, or why its upload is incomplete; otherwise empty.
    metrics : dict of str to float
        The last value of each metric.
    curves : mapping of str to list of (int, float)
        Thinned values by epoch for each metric: ``cost``, and ``objective_cost`` for an objective that is not a
        likelihood.
    ended_by : str
        The rule that ended training: ``epochs``, ``patience`` or ``minutes``; empty if it was interrupted or failed.
    run_id : str
        Id of the run in the store; for a skipped run, of the one that had finished. Empty without tracking.
    similar : dict of str to list of str
        The nearest words of each probe word; empty for an unknown word.
    explorer : str
        State of the explorer's page, in one line; empty if it was not requested.
    slices : str
        Likewise of the page of slices.
    folder : str
        The run's folder, if the result was read from it; it is not written.
    replicates : dict of str to list of float
        Each score in every replicate of a bootstrap, by the name of its metric.
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
    slices: str = ""
    folder: str = field(default="", compare=False)
    replicates: dict[str, list[float]] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        """Return status and metrics, for notebooks."""
        facts = [self.name, self.status, f"seed {self.seed}", *([self.reason] if self.reason else [])]
        names = sorted(self.metrics)
        columns: dict[str, Sequence[object]] = {
            "metric": names,
            "value": [self.metrics[name] for name in names],
        }
        return card(type(self).__name__, facts, columns)

    @property
    def done(self) -> bool:
        """Whether there is a result, of this or of an earlier run."""
        return self.status in DONE

    @property
    def finished_before(self) -> str:
        """Id of the earlier run that this one was skipped for; otherwise empty."""
        return self.run_id if self.status == "SKIPPED" else ""

    @property
    def has_estimated_cost(self) -> bool:
        """Whether the metric ``cost`` was measured on a sample of the text: see `RunCosts.sample`."""
        return "cost_pairs" in self.metrics and self.metrics.get("cost_sample_share", 0.0) < 1.0

    def known(self, metric: str) -> float:
        """Return the number of pairs or questions behind an evaluation score; infinite for other metrics."""
        return self.metrics.get(f"{metric}_known", math.inf)

    def total(self, metric: str) -> int:
        """Return the number of pairs or questions in the evaluation set of a score."""
        coverage = self.metrics.get(f"{metric}_coverage", 0.0)
        return round(self.known(metric) / coverage) if coverage else 0

    def ranks(self, metric: str) -> bool:
        """Return whether the run can be ranked by a metric."""
        return metric in self.metrics and self.known(metric) >= LEAST_KNOWN


SWEEP_FILE = "sweep.json"
RESULT_FILE = "result.json"
UPLOADED_FILE = "uploaded.json"  # the cursor of the run's journal, with its id in the store
SWEEP_ID = "sweep"  # key of a result


@dataclass(frozen=True)
class Sweep:
    """Description of a sweep, in its folder, for its runs in any process and on any machine.

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
        The study of a search; its runs are trials of it.
    sought : (str, int), optional
        The target metric of a search, and 1 to maximise or −1 to minimise it.
    started : float
        Time of its start, in seconds since 1970.
    id : str
        Id in the results of its runs, since a folder may contain those of other sweeps. A resumed search keeps it.
    subdirs : list of str, optional
        Folders of its runs below its own; None if they are named by their numbers.
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
        """Write the description into the sweep's folder."""
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
    """Write the result of a run into its folder."""
    values = {key: value for key, value in asdict(result).items() if key != "folder"}
    write_checked(folder / RESULT_FILE, values | {SWEEP_ID: sweep.id if sweep else ""})


def read_result(folder: Path, sweep: Sweep | None = None) -> RunResult | None:
    """Return the result of the run in a folder; None if there is none, it is of another sweep, or damaged.

    A damaged file is logged as a warning, and its run counts as unfinished.
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
        values["run_id"] = values["run_id"] or _run_id(folder)
        return RunResult(**values, folder=str(folder))
    except FileNotFoundError:
        return None
    except (OSError, DamagedFileError, TypeError, ValueError, KeyError, AttributeError) as error:
        _log.warning(f"{file}: cannot be read ({_reason(error)}); its run counts as unfinished.")
        return None


def _run_id(folder: Path) -> str:
    """Return the id under which a run was uploaded after its end; empty if there is none."""
    try:
        return str(read_checked(folder / UPLOADED_FILE).get("run_id", ""))
    except (OSError, DamagedFileError):
        return ""


def _reason(error: Exception) -> str:
    """Return the reason why a file cannot be read, as the end of a sentence."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error) if isinstance(error, DamagedFileError) else "it is of another version"


def read_results(folder: Path, sweep: Sweep) -> list[RunResult]:
    """Return the results of the runs of a sweep, in their order, without those of other sweeps in its folder."""
    numbers = sorted(int(run.name) for run in folder.iterdir() if run.name.isdecimal())
    subdirs = sweep.subdirs or list(map(str, numbers))
    return [result for subdir in subdirs if (result := read_result(folder / subdir, sweep))]

"""Runs and sweeps: their names, tags, parameters, folders and results."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import time
from typing import Any

from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from w2v_exp.config import recorded_values
from w2v_exp.errors import UserError
from w2v_exp.files import DamagedFileError, read_checked, write_checked
from w2v_exp.reporting.escape import shown

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
        """Whether the metric ``cost`` was measured on a sample of the text: see `RunCosts.prepare`."""
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
        print(f"{file}: cannot be read ({_reason(error)}); its run counts as unfinished.", file=sys.stderr)
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


SUFFIXES = {".txt", ".text", ".md", ".gz", ".bz2", ".xz", ".lzma", ".zip", ".tar", ".tgz"}
LONGEST_NAME = 40


@dataclass(frozen=True)
class Identity:
    """Who a run is.

    Parameters
    ----------
    name : str
        Shown in the UI, which has room for some 22 characters: in a sweep only the swept values; else the experiment,
        or the corpus, or both where the command line replaces the experiment's corpus.
    number : int
        Of the run in its sweep, from 0.
    sweep : Sweep or None
        The sweep that it belongs to.
    swept : dict of str to str
        The swept keys, without the seed, and their values.
    overrides : list of str
        What was said on the command line for this run.
    choices : dict of str to str
        The option chosen in every group.
    config : DictConfig
        The composed configuration.
    folder : Path
        Where the run's files are written; Hydra's output folder.
    """

    name: str
    number: int
    sweep: Sweep | None
    swept: dict[str, str]
    overrides: list[str]
    choices: dict[str, str]
    config: DictConfig
    folder: Path

    @classmethod
    def of_current_job(cls, config: DictConfig) -> Identity:
        """Return the identity of the Hydra job that is running."""
        hydra = HydraConfig.get()
        return cls.of_job(config, hydra, Path(hydra.runtime.output_dir))

    @classmethod
    def of_job(cls, config: DictConfig, hydra: HydraConf, folder: Path) -> Identity:
        """Return the identity of a job, by its configuration, Hydra's part of that, and its folder."""
        # As they are spelled: one may refer to the environment.
        overrides: Any = OmegaConf.to_container(hydra.overrides.task, resolve=False)
        choices = {
            group: str(option)
            for group, option in hydra.runtime.choices.items()
            if "/" not in group and option not in (None, "null")
        }
        in_sweep = hydra.mode == RunMode.MULTIRUN
        sweep = Sweep.read(Path(hydra.sweep.dir)) if in_sweep else None
        given = dict(override.split("=", 1) for override in overrides if "=" in override)
        values = {key: given[key] for key in sweep.keys if key in given} if sweep else {}
        name = " ".join(f"{key.rpartition('.')[2]}={value}" for key, value in values.items())
        return cls(
            name=name or _single_run_name(config, choices, overrides),
            number=int(hydra.job.num) if in_sweep else 0,
            sweep=sweep,
            swept={key: value for key, value in values.items() if key != "seed"},
            overrides=overrides,
            choices=choices,
            config=config,
            folder=folder,
        )

    @property
    def of_lasting_sweep(self) -> bool:
        """Whether the run is one of a sweep that is taken up again: one with a name (``sweep=…``), or a search."""
        return self.sweep is not None and ("sweep" in self.choices or self.sweep.study is not None)

    @property
    def title(self) -> str:
        """What the run is called while it lasts: in a sweep, which of how many it is."""
        if self.sweep and self.sweep.study:
            return f"trial {self.number}"
        return f"run {self.number + 1}/{self.sweep.total}" if self.sweep else self.name

    def params(self) -> dict[str, str]:
        """Return the choice made in every group and every value, flattened with dots."""
        flat = dict(self.choices)
        for key, value in recorded_values(self.config).items():
            if isinstance(value, dict):
                flat |= {f"{key}.{setting}": str(v) for setting, v in value.items() if setting != "name"}
            else:
                flat[key] = str(value)
        return flat

    def tags(self) -> dict[str, str]:
        """Return the tags that say how the run was asked for."""
        tags = {"overrides": " ".join(self.overrides)}
        if self.sweep:
            tags |= {
                "sweep": self.sweep.name,
                "sweep.keys": " ".join(self.sweep.keys),
                "sweep.number": str(self.number),
            }
            if self.sweep.study:
                tags |= {"study": self.sweep.study, "trial": str(self.number)}
        return tags


def _single_run_name(config: DictConfig, choices: Mapping[str, str], overrides: Sequence[str]) -> str:
    """Return the name of a run outside a sweep, from its experiment and its corpus."""
    path = recorded_values(config.corpus).get("path")
    corpus = corpus_name(str(path)) if path else choices["corpus"]
    experiment = choices.get("experiment")
    if experiment is None:
        return corpus
    given = {override.partition("=")[0].lstrip("+~") for override in overrides}
    return f"{corpus} {experiment}" if given & {"corpus", "corpus.path"} else experiment


def corpus_name(path: str) -> str:
    """Return what a run on a file, a folder or a glob is called: its last part, without suffixes of texts and archives.

    >>> corpus_name("books/moby.txt.gz"), corpus_name("books/"), corpus_name("books/*.txt"), corpus_name("v1.2")
    ('moby', 'books', 'books', 'v1.2')
    >>> corpus_name("books.tar.gz"), corpus_name("books.tgz")
    ('books', 'books')
    """
    place = Path(path).expanduser()
    parts = (place.resolve() if place.name in ("", "..") else place.absolute()).parts
    while len(parts) > 1 and any(character in parts[-1] for character in "*?["):
        parts = parts[:-1]
    name = Path(parts[-1])
    while name.suffix.lower() in SUFFIXES:
        name = name.with_suffix("")
    return shown(name.name or "/", LONGEST_NAME)

"""Name, tags, parameters and folder of a run, from its configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from w2v_exp.config import flat_values, recorded_values
from w2v_exp.errors import shown
from w2v_exp.results import Sweep

SUFFIXES = {
    ".txt",
    ".text",
    ".md",
    ".csv",
    ".tsv",
    ".json",
    ".jsonl",
    ".ndjson",
    ".parquet",
    ".arrow",
    ".gz",
    ".bz2",
    ".xz",
    ".lzma",
    ".zst",
    ".zip",
    ".tar",
    ".tgz",
}
LONGEST_NAME = 40


@dataclass(frozen=True)
class RunInfo:
    """Name, sweep, overrides and folder of a run.

    Parameters
    ----------
    name : str
        In a sweep the swept values, otherwise the experiment or the corpus; both if the command line replaces the
        corpus of the experiment. MLflow's UI shows about 22 characters.
    number : int
        The number of the run in its sweep, from 0.
    sweep : Sweep or None
        The sweep of the run.
    swept : dict of str to str
        The swept keys, without the seed, and their values.
    overrides : list of str
        The overrides of this run on the command line.
    choices : dict of str to str
        The option chosen in every group.
    config : DictConfig
        The composed configuration.
    folder : Path
        Hydra's output folder, for the run's files.
    sweep_folder : Path, optional
        The folder of its sweep.
    flags : list of str
        The flags of the command line that its configuration is from.
    call : str
        The call of `train` that the run is of; empty for a command line.
    is_temporary : bool
        Whether the folder is deleted when the run has ended, so that files for readers are not written.
    """

    name: str
    number: int
    sweep: Sweep | None
    swept: dict[str, str]
    overrides: list[str]
    choices: dict[str, str]
    config: DictConfig
    folder: Path
    sweep_folder: Path | None = None
    flags: list[str] = field(default_factory=list)
    call: str = ""
    is_temporary: bool = False

    @classmethod
    def of_current_job(cls, config: DictConfig) -> RunInfo:
        """Return the info of the Hydra job that is running."""
        hydra = HydraConfig.get()
        return cls.of_job(config, hydra, Path(hydra.runtime.output_dir))

    @classmethod
    def of_job(cls, config: DictConfig, hydra: HydraConf, folder: Path) -> RunInfo:
        """Return the info of a job, from its configuration and its folder."""
        # Unresolved: an override may refer to the environment.
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
            sweep_folder=Path(hydra.sweep.dir) if in_sweep else None,
            flags=[
                f"--config-dir={source.path}"
                for source in hydra.runtime.config_sources
                if source.provider == "command-line"
            ],
        )

    @property
    def of_lasting_sweep(self) -> bool:
        """Whether the sweep of the run, if any, resumes by default.

        That is a named sweep (``sweep=…``) or a search.
        """
        return self.sweep is not None and ("sweep" in self.choices or self.sweep.study is not None)

    @property
    def title(self) -> str:
        """Title of the progress bar: in a sweep, ``run 2/8``."""
        if self.sweep and self.sweep.study:
            return f"trial {self.number}"
        return f"run {self.number + 1}/{self.sweep.total}" if self.sweep else self.name

    @cached_property
    def values(self) -> dict[str, Any]:
        """The values of the configuration, as `recorded_values` returns them."""
        values: dict[str, Any] = recorded_values(self.config)
        return values

    def params(self) -> dict[str, str]:
        """Return all options and values, with dotted keys."""
        without = {"changes", "change"} if self.values.get("change") is None else {"changes"}
        # What the run's own change sets is among its overrides.
        kept = {key: value for key, value in self.values.items() if key not in without}
        return self.choices | {key: str(value) for key, value in flat_values(kept).items()}

    def tags(self) -> dict[str, str]:
        """Return tags with the overrides, the sweep, and the run's number in it."""
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
    """Return the name of a run outside a sweep: experiment or corpus."""
    path = recorded_values(config.corpus).get("path")
    corpus = corpus_name(str(path)) if path else choices["corpus"]
    experiment = choices.get("experiment")
    if experiment is None:
        return corpus
    given = {override.partition("=")[0].lstrip("+~") for override in overrides}
    return f"{corpus} {experiment}" if given & {"corpus", "corpus.path"} else experiment


def corpus_name(path: str) -> str:
    """Return the last part of a path or glob, without suffixes of texts.

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

"""A plan: a configuration as checked objects."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from w2v_exp.choices import (
    GROUPS,
    MlflowTracking,
    NoCache,
    NoTracking,
    Pretrained,
    make_choice,
    option_name,
)
from w2v_exp.counting.engines import EngineChoice, LocalCounting
from w2v_exp.embeddings.evaluation import Evaluation
from w2v_exp.errors import SettingError, check_number, check_whole, require_choice, suggestion
from w2v_exp.examples.batches import ORDERS, Architecture, LabelEncoding
from w2v_exp.examples.counted import CountsRule
from w2v_exp.examples.held_out import ValidationRule
from w2v_exp.examples.sampling import Subsampling
from w2v_exp.machine import MOST_CORES, automatic_threads
from w2v_exp.model.objective import ObjectiveRule
from w2v_exp.model.softmax import Softmax
from w2v_exp.reporting.explorer import ExplorerRule, NoExplorer
from w2v_exp.slices.grouping import NoSlices, SliceRule
from w2v_exp.text.cache import TextCache
from w2v_exp.text.corpus import Corpus
from w2v_exp.text.sentences import SentenceCorpus
from w2v_exp.text.tokenizers import Tokenizer
from w2v_exp.text.vocabulary import VocabularyRule
from w2v_exp.training.callbacks import StopRule
from w2v_exp.training.checkpoints import CheckpointRule
from w2v_exp.training.optimizers import Optimizer
from w2v_exp.training.schedules import Schedule

# Bounds of what a run may be asked for. Whatever is below them is judged by its estimate of memory and time.
MOST_DIMENSIONS = 1_000_000
MOST_EPOCHS = 1_000_000_000
MOST_PROBES = 1_000
MOST_REPLICATES = 10_000
MOST_RUNS = 10_000  # of a sweep: their configurations are composed and checked before the first one begins
DTYPES = ("float32", "float64")
EMBEDDINGS = ("input", "sum", "balanced")
AUTO = "auto"
AUTOMATIC = {"threads"}  # whole numbers that a configuration may leave to the machine


@dataclass(frozen=True)
class Plan:
    """A checked configuration, as objects; nothing is read or allocated.

    The same plan on the same text gives the same bytes where `workers` is 1. Another number of `threads` changes the
    last bits of softmax and hierarchical runs, since sums are made in another order; not those of runs on blocks.
    """

    corpus: Corpus | SentenceCorpus
    tokenizer: Tokenizer
    vocabulary: VocabularyRule
    subsampling: Subsampling
    labels: LabelEncoding
    model: Architecture
    objective: ObjectiveRule
    initialization: Any  # an `Initialization`, or one that needs counts: see there
    optimizer: Optimizer
    schedule: Schedule
    validation: ValidationRule
    cache: TextCache | NoCache
    counting: EngineChoice
    evaluation: Evaluation
    explorer: ExplorerRule | NoExplorer
    slices: SliceRule | NoSlices
    tracking: MlflowTracking | NoTracking
    checkpoint: CheckpointRule
    stop: StopRule
    window: int
    shrinking_window: bool
    dim: int
    embedding: str
    probes: list[str] | None
    epochs: int
    batch_size: int
    learning_rate: float
    order: str
    seed: int
    repeats: int
    bootstrap: int
    bootstrap_epochs: int | None
    changes: dict[str, Any]
    change: str | None
    dtype: str
    threads: int
    workers: int
    bounds: bool
    cost_every: int | None
    cost_sample: int
    estimate: bool
    resume: bool | None
    force: bool

    def __post_init__(self) -> None:
        check_whole(self, "window", "batch_size", at_least=1)
        check_whole(self, "dim", at_least=1, at_most=MOST_DIMENSIONS)
        check_whole(self, "repeats", at_least=1, at_most=MOST_RUNS)
        check_whole(self, "bootstrap", at_least=0, at_most=MOST_REPLICATES)
        if self.bootstrap_epochs is not None:
            check_whole(self, "bootstrap_epochs", at_least=1, at_most=MOST_EPOCHS)
        check_whole(self, "threads", "workers", at_least=1, at_most=MOST_CORES)
        check_whole(self, "cost_sample", at_least=2)
        if self.cost_every is not None:
            check_whole(self, "cost_every", at_least=1)
        check_whole(self, "epochs", at_least=0, at_most=MOST_EPOCHS)
        check_whole(self, "seed", at_least=0, at_most=2**128 - 1)  # the entropy that NumPy recommends
        if self.probes is not None and len(self.probes) > MOST_PROBES:
            raise SettingError(
                "probes", f"[{len(self.probes):,} words]", f"must be at most {MOST_PROBES:,} words."
            )
        check_number(self, "learning_rate", above=0)
        require_choice("order", self.order, ORDERS)
        require_choice("embedding", self.embedding, EMBEDDINGS)
        require_choice("dtype", self.dtype, DTYPES)
        self.objective.check(self)
        if self.stop.patience is not None and not self.validation.share:
            raise SettingError(
                "stop.patience",
                self.stop.patience,
                "waits for the cost of held-out pairs to fall, and none are held out; add validation=held_out.",
            )
        self.labels.check(self)
        fewer = isinstance(self.labels, CountsRule) and self.labels.centre_words is not None
        if fewer and isinstance(self.initialization, Pretrained):
            raise SettingError(
                "initialization",
                self.option("initialization"),
                "is not supported with labels.centre_words: saved embeddings lack the output vectors of words that "
                "are contexts only. Use labels.centre_words=null or another initialization.",
            )
        self._check_slices()
        if not isinstance(self.counting, LocalCounting) and self.needs_order:
            problem = (
                f"counts pairs, and {self.needs_order} needs the order of the words. Use counting=local."
            )
            if getattr(self.corpus, "is_pipe", False):
                problem = "only this process can read a pipe. Use counting=local, or save the text to a file."
            raise SettingError("counting", self.option("counting"), problem)
        if self.workers > 1 and not self.labels.in_blocks:
            raise SettingError(
                "workers",
                self.workers,
                f"requires labels=blocks; with labels={self.encoding} use threads.",
            )
        if self.workers > 1 and self.bootstrap:
            raise SettingError(
                "bootstrap",
                self.bootstrap,
                "is not supported with workers above 1, which train no run twice.",
            )

    def _check_slices(self) -> None:
        """Raise `SettingError` where output weights are not those of a softmax of all pairs."""
        if isinstance(self.slices, NoSlices):
            return
        reasons = {
            "objective=softmax": not isinstance(self.objective, Softmax),
            "model=skipgram": self.model.context is not None,
            "subsampling=none": self.subsampling.drops_words,
        }
        for needed, is_missing in reasons.items():
            if is_missing:
                group = needed.partition("=")[0]
                raise SettingError(
                    group, self.option(group), f"slices need {needed}; use this, or slices=none."
                )

    def option(self, group: str) -> str:
        """Return the name of the option chosen in a group."""
        return option_name(group, getattr(self, group))

    @property
    def needs_order(self) -> str:
        """The setting that needs the order of the words of the text; "" if the counts of its pairs are enough."""
        needs = {
            f"labels={self.encoding}": type(self.labels) is not CountsRule,
            f"corpus={self.option('corpus')}": isinstance(self.corpus, SentenceCorpus)
            or getattr(self.corpus, "is_pipe", False),
            f"subsampling={self.option('subsampling')}": self.subsampling.drops_words,
            f"validation.share={self.validation.share:g}": self.validation.share > 0,
            f"bootstrap={self.bootstrap}": self.bootstrap > 0,
            "slices.pattern": not isinstance(self.slices, NoSlices),
            f"objective={self.option('objective')}": self.objective.cost_metric != "cost"
            and not self.objective.samples_centres,
            "estimate=true": self.estimate,
        }
        return next((setting for setting, is_needed in needs.items() if is_needed), "")

    @property
    def encoding(self) -> str:
        """The name of the label encoding."""
        return self.option("labels")

    @property
    def mlflow(self) -> MlflowTracking | None:
        """Settings of the MLflow store; None without tracking."""
        return self.tracking if isinstance(self.tracking, MlflowTracking) else None

    @property
    def points(self) -> int:
        """The largest number of points of a curve that are recorded."""
        return (self.mlflow or MlflowTracking).points

    @property
    def cache_folder(self) -> Path | None:
        """Folder of the text cache; None without one."""
        return self.cache.path if isinstance(self.cache, TextCache) else None

    @property
    def step_threads(self) -> int:
        """Threads of a step: one where a step draws random numbers."""
        return 1 if self.objective.is_sampled else self.threads

    @property
    def trains_on_all_pairs(self) -> bool:
        """Whether the cost of training is that of all pairs of the text."""
        exact_windows = not self.shrinking_window or self.labels.counts_pairs
        return exact_windows and not self.subsampling.drops_words

    @property
    def costs_all_pairs(self) -> bool:
        """Whether `cost` is that of the bounds' pairs, or of a sample of them."""
        if self.model.context is not None:
            return False
        if self.trains_on_all_pairs:
            return True
        # A cost that is measured on a sample has shrinking windows as weights, as the bounds have.
        return self.objective.cost_metric != "cost" and not self.subsampling.drops_words


def make_plan(config: DictConfig) -> Plan:
    """Return the plan of a composed configuration, checked; Hydra's own part is ignored.

    Raises
    ------
    SettingError
        For the first value that cannot be used.
    """
    values = {str(key): _resolved(value) for key, value in config.items() if key != "hydra"}
    known = [setting.name for setting in dataclasses.fields(Plan)]
    for key, value in values.items():
        if key not in known:
            raise SettingError(key, value, f"unknown key{suggestion(key, known)}")
    values |= {group: make_choice(group, values[group]) for group in GROUPS}
    if isinstance(values["threads"], str):
        values["threads"] = _automatic_threads(values["threads"], values["objective"])
    return Plan(**values)


def _resolved(value: Any) -> Any:
    """Return a value of a configuration without interpolations, as Python's own types."""
    if OmegaConf.is_config(value):
        return OmegaConf.to_container(value, resolve=True, throw_on_missing=True)
    return value


def _automatic_threads(value: str, objective: ObjectiveRule) -> int:
    """Return the number of threads for ``threads=auto``.

    One where more gain nothing, and where a launcher runs several runs at once, since these use the cores.
    """
    if value != AUTO:
        raise SettingError("threads", value, "must be a whole number, 1 or more, or auto.")
    job = HydraConfig.instance().cfg
    choices = (OmegaConf.select(job, "hydra.runtime.choices") if job else None) or {}
    is_launched = choices.get("hydra/launcher", "basic") != "basic"
    return automatic_threads() if objective.gains_from_threads and not is_launched else 1

"""A plan: a configuration as checked objects."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from w2v_exp.choices import (
    GROUPS,
    DenseChoice,
    FromFile,
    FromRun,
    MlflowTracking,
    NoCache,
    NoTracking,
    SparseChoice,
    make_choice,
    option_name,
)
from w2v_exp.embeddings.evaluation import Evaluation
from w2v_exp.errors import SettingError, check_number, check_whole, require_choice, suggestion
from w2v_exp.examples.batches import ORDERS
from w2v_exp.examples.blocks import BlockRule
from w2v_exp.examples.counted import CountsRule
from w2v_exp.examples.held_out import ValidationRule
from w2v_exp.examples.sampling import NoSubsampling, Subsampling
from w2v_exp.examples.streamed import StreamRule
from w2v_exp.machine import MOST_CORES
from w2v_exp.model.hierarchical_softmax import HierarchicalSoftmax
from w2v_exp.model.negative_sampling import NegativeSampling
from w2v_exp.model.objective import ObjectiveRule
from w2v_exp.model.parameters import Cbow, Initialization, SkipGram
from w2v_exp.model.softmax import Softmax
from w2v_exp.model.spectral import SpectralInitialization
from w2v_exp.model.tree_counts import refuse_smoothing
from w2v_exp.reporting.explorer import ExplorerRule, NoExplorer
from w2v_exp.text.cache import TextCache
from w2v_exp.text.corpus import Corpus
from w2v_exp.text.tokenizers import Tokenizer
from w2v_exp.text.vocabulary import VocabularyRule
from w2v_exp.training.callbacks import StopRule
from w2v_exp.training.checkpoints import CheckpointRule
from w2v_exp.training.optimizers import GradientDescent, Optimizer
from w2v_exp.training.schedules import Schedule

# Bounds of what a run may be asked for. Whatever is below them is judged by its estimate of memory and time.
MOST_DIMENSIONS = 1_000_000
MOST_EPOCHS = 1_000_000_000
MOST_PROBES = 1_000
MOST_RUNS = 10_000  # of a sweep: their configurations are composed and checked before the first one begins
DTYPES = ("float32", "float64")
EMBEDDINGS = ("input", "sum", "balanced")


@dataclass(frozen=True)
class Plan:
    """A configuration that has been checked, as the objects it describes. Nothing has been read or allocated.

    The same plan on the same text gives the same bytes where `workers` is 1. Another number of `threads` changes the
    last bits of softmax and hierarchical runs, since sums are made in another order; not those of runs on blocks.
    """

    corpus: Corpus
    tokenizer: Tokenizer
    vocabulary: VocabularyRule
    subsampling: Subsampling
    labels: DenseChoice | SparseChoice | CountsRule | StreamRule | BlockRule
    model: SkipGram | Cbow
    objective: ObjectiveRule | NegativeSampling
    initialization: Initialization | SpectralInitialization | FromRun | FromFile
    optimizer: Optimizer
    schedule: Schedule
    validation: ValidationRule
    cache: TextCache | NoCache
    evaluation: Evaluation
    explorer: ExplorerRule | NoExplorer
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
        if self.resume and isinstance(self.tracking, NoTracking):
            raise SettingError(
                "resume", True, "finished runs are looked up in MLflow; it needs tracking=mlflow."
            )
        if isinstance(self.objective, Softmax):
            self._check_softmax(self.objective)
        if isinstance(self.objective, HierarchicalSoftmax) and isinstance(self.labels, CountsRule):
            refuse_smoothing(self.labels)
        if isinstance(self.objective, NegativeSampling):
            self._check_sampling()
        if self.stop.patience is not None and not self.validation.share:
            raise SettingError(
                "stop.patience",
                self.stop.patience,
                "waits for the cost of held-out pairs to fall, and none are held out; add validation=held_out.",
            )
        if isinstance(self.labels, BlockRule):
            self._check_blocks()
        elif isinstance(self.model, Cbow):
            self._check_bags()
        if self.workers > 1 and not isinstance(self.labels, BlockRule):
            raise SettingError(
                "workers",
                self.workers,
                f"several processes share out blocks, and labels={self.encoding} has none; use labels=blocks, "
                "or threads with these labels.",
            )

    def _check_softmax(self, objective: Softmax) -> None:
        if isinstance(self.labels, CountsRule) and objective.update == "overwrite":
            raise SettingError(
                "objective.update",
                "overwrite",
                "needs the order of the pairs, which labels=counts gives up; use labels=sparse.",
            )

    def _check_sampling(self) -> None:
        """Refuse labels that are smoothed: a pair of the text, and no other, is told from noise."""
        if isinstance(self.labels, CountsRule) and self.labels.smoothing:
            raise SettingError(
                "labels.smoothing",
                self.labels.smoothing,
                "smooths the labels of a softmax; with objective=negative_sampling it must be 0.",
            )

    def _check_bags(self) -> None:
        """Refuse what is about pairs of words: cbow predicts a word from several."""
        if isinstance(self.labels, CountsRule):
            raise SettingError(
                "labels",
                "counts",
                "counts pairs of words, which model=cbow has not; use labels=sparse or streamed.",
            )
        if isinstance(self.objective, Softmax) and self.objective.update == "overwrite":
            raise SettingError(
                "objective.update",
                "overwrite",
                "is what the article does with a centre's embedding; use accumulate with model=cbow.",
            )

    def _check_blocks(self) -> None:
        """Refuse what cannot go with labels=blocks."""
        if not isinstance(self.objective, NegativeSampling):
            raise SettingError(
                "labels",
                "blocks",
                "is for objective=negative_sampling only; use labels=streamed, or counts, with others.",
            )
        if not isinstance(self.optimizer, GradientDescent):
            raise SettingError(
                "optimizer",
                option_name("optimizer", self.optimizer),
                "labels=blocks takes optimizer=sgd only.",
            )
        if self.order == "shuffled":
            raise SettingError(
                "order",
                "shuffled",
                "blocks keep words together; use order=corpus or blocks, or labels=streamed.",
            )

    @property
    def trains_on_all_pairs(self) -> bool:
        """Whether the cost of training is that of all pairs of the text: whether none of them are sampled."""
        exact_windows = not self.shrinking_window or isinstance(self.labels, CountsRule)
        return exact_windows and isinstance(self.subsampling, NoSubsampling)

    @property
    def costs_all_pairs(self) -> bool:
        """Whether `cost` is that of the pairs that its bounds are of, or of a sample of them."""
        if isinstance(self.model, Cbow):
            return False
        sampled = (
            self.objective.cost_metric != "cost"
        )  # there shrinking windows are weights, as in the bounds
        return self.trains_on_all_pairs or (sampled and isinstance(self.subsampling, NoSubsampling))

    @property
    def encoding(self) -> str:
        """The name of the label encoding."""
        return option_name("labels", self.labels)


def make_plan(config: DictConfig) -> Plan:
    """Check every value of a composed configuration and make what it describes.

    Raises
    ------
    SettingError
        For the first value that cannot be used.
    """
    values: dict[str, Any] = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)  # type: ignore[assignment]
    known = [setting.name for setting in dataclasses.fields(Plan)]
    for key, value in values.items():
        if key not in known:
            raise SettingError(key, value, f"unknown key{suggestion(key, known)}")
    return Plan(**(values | {group: make_choice(group, values[group]) for group in GROUPS}))

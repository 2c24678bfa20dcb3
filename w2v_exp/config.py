"""The schema of the configuration in ``conf/``, and what a configuration makes.

Every option of a group is described by the class that it makes: the fields of that class, with their types, are the
keys that its YAML file may have. So a new tokenizer is one class in the table of its module and one YAML file.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import Any, ClassVar

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from w2v_exp.embeddings.evaluation import EVALUATIONS, Evaluation
from w2v_exp.errors import SettingError
from w2v_exp.examples.batches import ORDERS
from w2v_exp.examples.blocks import BlockRule
from w2v_exp.examples.counted import CountsRule
from w2v_exp.examples.held_out import ValidationRule
from w2v_exp.examples.streamed import StreamRule
from w2v_exp.examples.subsampling import SUBSAMPLINGS, Subsampling
from w2v_exp.model.architecture import MODELS, Cbow, SkipGram
from w2v_exp.model.hierarchical_softmax import HierarchicalSoftmax
from w2v_exp.model.negative_sampling import NegativeSampling
from w2v_exp.model.objective import OBJECTIVES, ObjectiveRule
from w2v_exp.model.parameters import INITIALIZATIONS, Initialization
from w2v_exp.model.softmax import Softmax
from w2v_exp.model.spectral import SpectralInitialization
from w2v_exp.model.visited import refuse_smoothing
from w2v_exp.text.cache import TextCache
from w2v_exp.text.corpus import CORPORA, Corpus
from w2v_exp.text.tokenizer import TOKENIZERS, Tokenizer
from w2v_exp.text.vocabulary import VocabularyRule
from w2v_exp.training.optimizers import OPTIMIZERS, GradientDescent, Optimizer
from w2v_exp.training.schedules import SCHEDULES, Schedule
from w2v_exp.validation import require_choice, require_number, require_whole, suggestion

DTYPES = ("float32", "float64")
EMBEDDINGS = ("input", "sum", "balanced")


@dataclass(frozen=True)
class DenseChoice:
    """One-hot labels: a choice without settings."""

    encoding: ClassVar[str] = "dense"


@dataclass(frozen=True)
class SparseChoice:
    """Labels as ids: a choice without settings."""

    encoding: ClassVar[str] = "sparse"


@dataclass(frozen=True)
class FromRun:
    """Training goes on from the embeddings of a run in MLflow, in the store that `tracking` names.

    Parameters
    ----------
    run : str
        Its id, or its name if only one finished run has it.
    """

    run: str = ""

    def __post_init__(self) -> None:
        if not self.run:
            raise SettingError("run", "", "is empty; give the id of a run, or its name.")


@dataclass(frozen=True)
class FromFile:
    """Training goes on from the embeddings in a file.

    Parameters
    ----------
    path : str
        An archive (``.npz``), or word2vec's text or binary format, also gzipped; the content tells which.
    """

    path: str = ""

    def __post_init__(self) -> None:
        if not self.path:
            raise SettingError("path", "", "is empty; name a file of embeddings.")
        if not Path(self.path).expanduser().is_file():
            raise SettingError("path", self.path, f"no such file, seen from {Path.cwd()}.")


@dataclass(frozen=True)
class NoCache:
    """Every run reads its text anew."""


@dataclass(frozen=True)
class NoTracking:
    """Nothing is logged."""


@dataclass(frozen=True)
class MlflowTracking:
    """Runs are logged to an MLflow store.

    Parameters
    ----------
    uri : str, optional
        Of the store; None takes MLFLOW_TRACKING_URI, or else ``sqlite:///mlflow.db`` in the current folder.
    experiment : str, optional
        Its experiment; None takes MLFLOW_EXPERIMENT_NAME, or else ``w2v_exp``.
    points : int
        How many points of a curve are stored at most, evenly spaced, the first and the last among them.
    plots : bool
        Whether a run's pictures are drawn.
    """

    uri: str | None = None
    experiment: str | None = None
    points: int = 500
    plots: bool = True

    def __post_init__(self) -> None:
        require_whole("points", self.points, at_least=2)


GROUPS: dict[str, Mapping[str, type]] = {
    "corpus": CORPORA,
    "tokenizer": TOKENIZERS,
    "vocabulary": {"rule": VocabularyRule},
    "subsampling": SUBSAMPLINGS,
    "labels": {
        "dense": DenseChoice,
        "sparse": SparseChoice,
        "counts": CountsRule,
        "streamed": StreamRule,
        "blocks": BlockRule,
    },
    "model": MODELS,
    "objective": OBJECTIVES,
    "initialization": {
        **INITIALIZATIONS,
        "spectral": SpectralInitialization,
        "from_run": FromRun,
        "from_file": FromFile,
    },
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "validation": {"rule": ValidationRule},
    "cache": {"disk": TextCache, "none": NoCache},
    "evaluation": EVALUATIONS,
    "tracking": {"mlflow": MlflowTracking, "none": NoTracking},
}


@dataclass
class ConfigSchema:
    """The top level of a configuration: a choice in every group, and the knobs."""

    corpus: Any = MISSING
    tokenizer: Any = MISSING
    vocabulary: Any = MISSING
    subsampling: Any = MISSING
    labels: Any = MISSING
    model: Any = MISSING
    objective: Any = MISSING
    initialization: Any = MISSING
    optimizer: Any = MISSING
    schedule: Any = MISSING
    validation: Any = MISSING
    cache: Any = MISSING
    evaluation: Any = MISSING
    tracking: Any = MISSING
    window: int = MISSING
    shrinking_window: bool = MISSING
    dim: int = MISSING
    embedding: str = MISSING
    probes: list[str] | None = MISSING
    epochs: int = MISSING
    batch_size: int = MISSING
    learning_rate: float = MISSING
    order: str = MISSING
    seed: int = MISSING
    repeats: int = MISSING
    dtype: str = MISSING
    threads: int = MISSING
    workers: int = MISSING
    bounds: bool = MISSING
    cost_every: int | None = MISSING
    cost_sample: int = MISSING
    estimate: bool = MISSING


def register_schema() -> None:
    """Tell Hydra what every file in ``conf/`` may hold."""
    store = ConfigStore.instance()
    store.store(name="schema", node=ConfigSchema)
    for group, options in GROUPS.items():
        for name, made in options.items():
            store.store(group=f"schema/{group}", name=name, node=_option_schema(name, made))


def _option_schema(name: str, made: type) -> type:
    types = typing.get_type_hints(made)
    fields: list[tuple[str, Any, Any]] = [("name", str, field(default=name))]
    for setting in dataclasses.fields(made):
        copied = field(default=setting.default, default_factory=setting.default_factory)
        fields.append((setting.name, types[setting.name], copied))
    return make_dataclass(f"{made.__name__}Schema", fields)


def config_folder() -> Path:
    """Return the folder ``conf/``: inside the package where it is installed, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"


@dataclass(frozen=True)
class Plan:
    """A configuration that has been checked, as the objects it describes. Nothing has been read or allocated."""

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
    tracking: MlflowTracking | NoTracking
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
    dtype: str
    threads: int
    workers: int
    bounds: bool
    cost_every: int | None
    cost_sample: int
    estimate: bool

    def __post_init__(self) -> None:
        for key in ("window", "dim", "batch_size", "repeats", "threads", "workers"):
            require_whole(key, getattr(self, key), at_least=1)
        require_whole("cost_sample", self.cost_sample, at_least=2)
        if self.cost_every is not None:
            require_whole("cost_every", self.cost_every, at_least=1)
        for key in ("epochs", "seed"):
            require_whole(key, getattr(self, key), at_least=0)
        require_number("learning_rate", self.learning_rate, above=0)
        require_choice("order", self.order, ORDERS)
        require_choice("embedding", self.embedding, EMBEDDINGS)
        require_choice("dtype", self.dtype, DTYPES)
        if isinstance(self.objective, Softmax):
            self._check_softmax(self.objective)
        if isinstance(self.objective, HierarchicalSoftmax):
            self._check_tree()
        if isinstance(self.objective, NegativeSampling):
            self._check_sampling()
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
                "optimizer", _option("optimizer", self.optimizer), "labels=blocks takes optimizer=sgd only."
            )
        if self.order == "shuffled":
            raise SettingError(
                "order",
                "shuffled",
                "blocks keep words together; use order=corpus or blocks, or labels=streamed.",
            )

    def _check_tree(self) -> None:
        """Refuse what needs output vectors of words: those of the hierarchical softmax are of tree nodes."""
        of_words = (
            "needs output vectors of words, and objective=hierarchical_softmax has them of tree nodes; "
        )
        if self.embedding != "input":
            raise SettingError("embedding", self.embedding, f"{of_words}use embedding=input.")
        if isinstance(self.initialization, SpectralInitialization):
            raise SettingError("initialization", "spectral", f"{of_words}use initialization=word2vec.")
        if isinstance(self.labels, CountsRule):
            refuse_smoothing(self.labels)

    @property
    def encoding(self) -> str:
        """The name of the label encoding."""
        return _option("labels", self.labels)


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
    return Plan(**(values | {group: _make(group, values[group]) for group in GROUPS}))


def _option(group: str, chosen: object) -> str:
    """Return the name of a group's option, by what it has made."""
    return next(name for name, made in GROUPS[group].items() if isinstance(chosen, made))


def _make(group: str, values: dict[str, Any]) -> Any:
    require_choice(f"{group}.name", values.get("name", ""), GROUPS[group])
    made = GROUPS[group][values["name"]]
    settings = {key: value for key, value in values.items() if key != "name"}
    known = [setting.name for setting in dataclasses.fields(made)]
    for key, value in settings.items():
        if key not in known:
            raise SettingError(f"{group}.{key}", value, f"unknown key{suggestion(key, known)}")
    try:
        return made(**settings)
    except SettingError as error:
        raise error.within(group) from None

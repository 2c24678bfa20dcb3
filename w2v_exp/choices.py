"""The groups of choices of a configuration, and the class of each option.

An option is described by its class: the fields of the class, with their types, are the keys that its YAML file may
have. A class that is not in `GROUPS` is chosen by its dotted name: a dataclass ``Windows`` in a file ``my_labels.py``
and a file ``labels/windows.yaml`` with the line ``name: my_labels.Windows`` are a complete option.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from w2v_exp.counting.dask_engine import DaskCounting
from w2v_exp.counting.engines import LocalCounting
from w2v_exp.counting.slurm_engine import SlurmCounting
from w2v_exp.embeddings.evaluation import EVALUATIONS
from w2v_exp.embeddings.opening import LoadOptions
from w2v_exp.errors import (
    SettingError,
    check_whole,
    refuse_secret,
    require_choice,
    require_import,
    suggestion,
)
from w2v_exp.examples.architectures import MODELS
from w2v_exp.examples.batches import DenseEncoding, SparseEncoding
from w2v_exp.examples.blocks import BlockRule
from w2v_exp.examples.counted import CountsRule
from w2v_exp.examples.held_out import ValidationRule
from w2v_exp.examples.sampling import SUBSAMPLINGS
from w2v_exp.examples.streamed import StreamRule
from w2v_exp.files import expanded
from w2v_exp.model.objective import OBJECTIVES
from w2v_exp.model.parameters import INITIALIZATIONS
from w2v_exp.model.spectral import SpectralInitialization
from w2v_exp.reporting.explorer import ExplorerRule, NoExplorer
from w2v_exp.slices.grouping import NoSlices, SliceRule
from w2v_exp.text.cache import TextCache
from w2v_exp.text.corpus import CORPORA
from w2v_exp.text.tokenizers import TOKENIZERS
from w2v_exp.text.vocabulary import GivenVocabulary, VocabularyRule
from w2v_exp.tracking.store import SECRET_REMEDY
from w2v_exp.training.callbacks import StopRule
from w2v_exp.training.checkpoints import CheckpointRule
from w2v_exp.training.optimizers import OPTIMIZERS
from w2v_exp.training.schedules import SCHEDULES


class Pretrained:
    """Base of initializations from saved embeddings.

    The run reads them: see `Pretrained.initialization`.
    """

    needs_counts: ClassVar[bool] = False
    of_words: ClassVar[bool] = True

    def __call__(self, *arguments: Any) -> Any:
        """Raise ValueError: the embeddings have not been read."""
        raise ValueError("The pretrained embeddings of this plan have not been read.")


@dataclass(frozen=True)
class FromRun(Pretrained):
    """Initialization from the embeddings of a run in the MLflow store.

    Parameters
    ----------
    run : str
        Its id, or the beginning of one, or its name if only one finished run has it.
    """

    run: str = ""

    def __post_init__(self) -> None:
        if not self.run:
            raise SettingError("run", "", "is empty; give the id of a run, or its name.")


@dataclass(frozen=True)
class FromFile(LoadOptions, Pretrained):
    """Initialization from the embeddings in a file, read by `LoadOptions`.

    Parameters
    ----------
    path : str
        An archive (``.npz``), word2vec's text or binary format, or GloVe's text, also compressed; the content decides.
    """

    path: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.path:
            raise SettingError("path", "", "is empty; name a file of embeddings.")
        path = expanded(self.path)
        if not path.exists() or path.is_dir():
            raise SettingError("path", self.path, f"no such file, seen from {Path.cwd()}.")


@dataclass(frozen=True)
class NoCache:
    """Every run reads its text anew."""


@dataclass(frozen=True)
class NoTracking:
    """Nothing is logged to MLflow."""


@dataclass(frozen=True)
class MlflowTracking:
    """Runs are logged to an MLflow store.

    Parameters
    ----------
    uri : str, optional
        Of the store; None takes MLFLOW_TRACKING_URI, or else ``sqlite:///mlflow.db`` in the current folder.
    experiment : str, optional
        Its experiment; None takes MLFLOW_EXPERIMENT_NAME or MLFLOW_EXPERIMENT_ID, or else ``w2v_exp``.
    points : int
        How many points of a curve are stored at most, evenly spaced, the first and the last among them.
    plots : bool
        Whether a run's pictures are drawn.
    model : bool
        Whether the embeddings are also logged as an MLflow model, which can be registered and served.
    """

    uri: str | None = None
    experiment: str | None = None
    points: int = 500
    plots: bool = True
    model: bool = False

    def __post_init__(self) -> None:
        check_whole(self, "points", at_least=2, at_most=100_000)
        # Before anything is written: Hydra keeps a run's overrides and configuration in its folder.
        refuse_secret("uri", self.uri or os.environ.get("MLFLOW_TRACKING_URI", ""), SECRET_REMEDY)


GROUPS: dict[str, Mapping[str, type]] = {
    "corpus": CORPORA,
    "tokenizer": TOKENIZERS,
    "vocabulary": {"rule": VocabularyRule, "given": GivenVocabulary},
    "subsampling": SUBSAMPLINGS,
    "labels": {
        "dense": DenseEncoding,
        "sparse": SparseEncoding,
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
    "counting": {"local": LocalCounting, "dask": DaskCounting, "slurm": SlurmCounting},
    "evaluation": EVALUATIONS,
    "explorer": {"page": ExplorerRule, "none": NoExplorer},
    "slices": {"rule": SliceRule, "none": NoSlices},
    "tracking": {"mlflow": MlflowTracking, "none": NoTracking},
    "checkpoint": {"rule": CheckpointRule},
    "stop": {"rule": StopRule},
}


def option_class(group: str, name: str) -> type:
    """Return the class of an option, by its name or its dotted class name.

    Raises
    ------
    SettingError
        If there is no such option or class, or it is not a dataclass.
    """
    if "." not in name:
        require_choice(f"{group}.name", name, GROUPS[group])
        return GROUPS[group][name]
    found = require_import(f"{group}.name", name)
    if not (isinstance(found, type) and dataclasses.is_dataclass(found)):
        raise SettingError(f"{group}.name", name, "is not a dataclass.")
    return found


def option_name(group: str, chosen: object) -> str:
    """Return the name of the option that made a choice."""
    made = type(chosen)
    names = (name for name, known in GROUPS[group].items() if known is made)
    return next(names, f"{made.__module__}.{made.__qualname__}")


def make_choice(group: str, values: dict[str, Any]) -> Any:
    """Return the choice that a group's configuration describes.

    Raises
    ------
    SettingError
        If there is no such option, or for the first setting that cannot be used.
    """
    made = option_class(group, str(values.get("name", "")))
    settings = {key: value for key, value in values.items() if key != "name"}
    known = [setting.name for setting in dataclasses.fields(made)]
    for key, value in settings.items():
        if key not in known:
            raise SettingError(f"{group}.{key}", value, f"unknown key{suggestion(key, known)}")
    try:
        return made(**settings)
    except SettingError as error:
        raise error.within(group) from None

"""The bootstrap of a run: replicates trained on resampled documents, and the intervals of its scores."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.evaluation import Sets
from w2v_exp.embeddings.replicates import (
    FEWEST,
    LEVEL,
    Description,
    interval,
    read_replicate,
    replicate_file,
    write_replicate,
)
from w2v_exp.errors import CorpusError, FormatError, SettingError
from w2v_exp.examples.counted_text import CountedText
from w2v_exp.examples.pairs import count_ids
from w2v_exp.examples.resampling import RELIABLE, Resampling
from w2v_exp.examples.sampling import TextPart
from w2v_exp.experiment.build import build_examples, build_initialization, build_trainer
from w2v_exp.experiment.inputs import RunInputs
from w2v_exp.experiment.measures import evaluation_metrics
from w2v_exp.files import sync_files
from w2v_exp.metrics import is_constant
from w2v_exp.model.parameters import Initialization
from w2v_exp.plan import Plan
from w2v_exp.text.corpus import segment_end_of, warn_once
from w2v_exp.text.sentences import SentenceCorpus
from w2v_exp.tracking.progress import training_bar
from w2v_exp.training.trainer import EpochRecord, Trainer


def resampling_of(plan: Plan, training: TextPart | CountedText) -> Resampling | None:
    """Return the resampling of a run's training text; None without a bootstrap.

    Raises
    ------
    SettingError
        If the text has too few documents.
    """
    if not plan.bootstrap or isinstance(training, CountedText):
        return None
    is_line = isinstance(plan.corpus, SentenceCorpus) or segment_end_of(plan.corpus) == "line"
    try:
        resampling = Resampling.of(training, by_segment=not is_line)
    except CorpusError as error:
        raise SettingError("bootstrap", plan.bootstrap, str(error)) from None
    if plan.bootstrap < FEWEST:
        warn_once(
            f"bootstrap={plan.bootstrap}: {100 * LEVEL:.0f} % intervals need {FEWEST} replicates. With fewer, their "
            "ends are the smallest and the largest value, and they are too narrow."
        )
    if resampling.number < RELIABLE:
        warn_once(
            f"bootstrap={plan.bootstrap}: the text has only {resampling.number} documents or blocks to resample. "
            f"With fewer than {RELIABLE}, intervals tend to be too narrow."
        )
    return resampling


class RunBootstrap:
    """Trains the replicates of a run.

    A replicate is the run itself on resampled documents: its own counts, its own initialization, the same seed and
    settings. It does not start from the run's parameters, from which training departs too little: see docs/log.

    Parameters
    ----------
    plan : Plan
        Settings of the run.
    resampling : Resampling
        The resampled documents.
    inputs : RunInputs
        Vocabulary, evaluation sets and pretrained embeddings.
    initial : Initialization, optional
        From pretrained embeddings, if any.
    epochs : int
        Epochs that the run trained.
    """

    def __init__(
        self,
        plan: Plan,
        resampling: Resampling,
        inputs: RunInputs,
        initial: Initialization | None,
        epochs: int,
    ) -> None:
        chosen = plan.bootstrap_epochs if plan.epochs else None  # a run without training has such replicates
        self._stop_after = epochs if chosen is None else chosen
        # The schedule of a run that was stopped early is that of all its epochs.
        self._plan = replace(plan, epochs=plan.epochs if chosen is None else chosen)
        self._resampling = resampling
        self._inputs = inputs
        self._initial = initial

    def train(
        self, folder: Path, title: str, on_replicate: Callable[[int, Mapping[str, float]], None]
    ) -> dict[str, list[float]]:
        """Train all replicates, and return the scores of each, by the name of the metric.

        Parameters
        ----------
        folder : Path
            Their files; those that it has are kept.
        title : str
            The run's name, for the progress bar.
        on_replicate : callable
            Called with number and scores of each replicate.

        Raises
        ------
        UserError
            If a replicate has no pair, or its training diverges.
        OSError
            If a file cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        scores: list[Mapping[str, float]] = []
        for number in range(1, self._plan.bootstrap + 1):
            path = folder / replicate_file(number)
            words = len(self._words)
            with suppress(FormatError):  # there is none, or it is damaged
                found = read_replicate(path, words)[1].scores
                scores.append(found)
            if len(scores) < number:
                vectors = self._vectors(number, f"{title}: replicate {number}/{self._plan.bootstrap}")
                scores.append(replicate_scores(self._plan, self._inputs.sets, self._words, vectors))
                write_replicate(path, vectors, Description(self._plan.embedding, scores[-1]))
                gc.collect()  # frees its trainer, which consists of cycles: 50 MB on sotu
            on_replicate(number, scores[-1])
        names = dict.fromkeys(name for found in scores for name in found)
        return {name: [found.get(name, float("nan")) for found in scores] for name in names}

    @property
    def _words(self) -> list[str]:
        words, saved = self._inputs.embedded.words, self._inputs.pretrained.embeddings
        return (
            words if saved is None else [*words, *(word for word in saved.words if word not in self._known)]
        )

    @property
    def _known(self) -> Mapping[str, int]:
        return self._inputs.embedded.ids

    def _vectors(self, number: int, title: str) -> NDArray[np.float16]:
        """Return the vectors of a replicate, (V, dim); zeros for words that do not occur in it."""
        plan, vocabulary = self._plan, self._inputs.text.vocabulary
        sample = self._resampling.sample(number, plan.cache_folder)
        examples = build_examples(plan, sample.ids, len(vocabulary), sample.segments)
        initialization = build_initialization(plan, examples, sample, self._initial)
        counts = count_ids(sample.ids, len(vocabulary))
        trainer = build_trainer(plan, examples, initialization, counts)
        trainer.add_callback(_StopAfter(trainer, self._stop_after))
        with training_bar(title, trainer.epochs, examples.pairs_per_epoch) as bar:
            if bar:
                trainer.add_callback(bar)
            trainer.train()
        trained = Embeddings.from_training(vocabulary, trainer.word_parameters)
        embeddings = self._inputs.pretrained.merge_missing_words(trained).using(plan.embedding)
        vectors = embeddings.input.astype(np.float16)
        if self._initial is None:  # else such words have their pretrained vectors
            embedded = len(self._inputs.embedded)
            vectors[:embedded][counts[:embedded] == 0] = 0
        return vectors


class _StopAfter:
    """Ends training after a number of epochs."""

    def __init__(self, trainer: Trainer, epochs: int) -> None:
        self._trainer, self._epochs = trainer, epochs

    def on_epoch(self, record: EpochRecord) -> None:
        """Stop if this was the last epoch."""
        if record.epoch + 1 >= self._epochs:
            self._trainer.stop("bootstrap")


def replicate_scores(plan: Plan, sets: Sets, words: Sequence[str], vectors: NDArray[Any]) -> dict[str, float]:
    """Return the scores of the words that occur in a replicate."""
    if not sets:
        return {}
    rows = np.flatnonzero(vectors.any(axis=1))
    embeddings = Embeddings([words[row] for row in rows.tolist()], None, vectors[rows].astype(np.float32))
    metrics = evaluation_metrics(plan.evaluation.score(embeddings, sets))
    # P-values are of the words of a test, whatever the documents are.
    return {name: value for name, value in metrics.items() if not is_constant(name) and name[:2] != "p_"}


def interval_metrics(scores: Mapping[str, Sequence[float]], metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the ends of the interval of each score that a run has among its metrics, as metrics.

    >>> interval_metrics({"simlex999": [0.25, 0.5, 0.75]}, {"simlex999": 0.75})
    {'simlex999_low': 0.5, 'simlex999_high': 1.0}
    """
    ends = {}
    for name, values in scores.items():
        if name in metrics:
            ends[f"{name}_low"], ends[f"{name}_high"] = interval(values, estimate=metrics[name])
    return ends


def copy_replicates(source: Path, folder: Path) -> None:
    """Copy the files of replicates to the artifacts of a run, and sync them."""
    folder.mkdir(parents=True, exist_ok=True)
    if source != folder:
        for path in source.glob("[0-9]*.npz"):
            shutil.copyfile(path, folder / path.name)
    sync_files(folder.iterdir())

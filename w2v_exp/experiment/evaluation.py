"""The evaluation of a run: at its end, and every so many epochs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.analogies import AnalogyScore
from w2v_exp.embeddings.evaluation import Evaluation, Scores, Sets
from w2v_exp.embeddings.word_pairs import WordPairScore
from w2v_exp.model.parameters import Parameters
from w2v_exp.tracking.mlflow_run import MlflowRun
from w2v_exp.training.trainer import EpochRecord


class EvaluationRow(NamedTuple):
    """A row of the table ``evaluation``.

    Parameters
    ----------
    epoch : int
        After which epoch, from 0; −1 before the first.
    set, section : str
        What was asked; a section, a total, or empty for word pairs.
    measure : str
        What the score is: ``spearman`` or ``accuracy``.
    score, pearson : float or None
        None where there is none.
    known, total : int
        How many pairs or questions have known words only, and how many there are.
    coverage : float or None
        known / total.
    """

    epoch: int
    set: str
    section: str
    measure: str
    score: float | None
    pearson: float | None
    known: int
    total: int
    coverage: float | None


class RunEvaluation:
    """Evaluates what a run has trained; a callback of its training.

    Parameters
    ----------
    evaluation : Evaluation
        What is evaluated how.
    sets : mapping of str to WordPairSet or AnalogySet
        What `evaluation` has read.
    embeddings : callable
        Gives what is evaluated, as it is.
    parameters : callable
        Gives the parameters that they are made of.
    chosen : str
        Which vectors are evaluated: ``input`` or ``sum``.
    tracked : MlflowRun, optional
        Where scores by epoch are logged.
    """

    def __init__(
        self,
        evaluation: Evaluation,
        sets: Sets,
        embeddings: Callable[[], Embeddings],
        parameters: Callable[[], Parameters],
        chosen: str,
        tracked: MlflowRun | None,
    ) -> None:
        self._evaluation = evaluation
        self._sets = sets
        self._embeddings = embeddings
        self._parameters = parameters
        self._chosen = chosen
        self._tracked = tracked
        self._evaluated_epoch: int | None = None
        self.rows: list[EvaluationRow] = []
        self.metrics: dict[str, float] = {}

    @property
    def logged_by_epoch(self) -> list[str]:
        """The metrics that have been logged by epoch."""
        return [] if self._evaluation.every is None else list(self.metrics)

    def on_epoch(self, record: EpochRecord) -> None:
        """Evaluate, if it is time to. Parameters that have diverged are left to the trainer, which will say so."""
        every = self._evaluation.every
        if every is not None and (record.epoch + 1) % every == 0 and self._are_finite():
            self._evaluate(record.epoch)

    def state(self) -> dict[str, Any]:
        """Return what has been evaluated up to now, for a checkpoint."""
        return {"rows": self.rows, "metrics": self.metrics, "epoch": self._evaluated_epoch}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Remember what was evaluated before an interruption."""
        self.rows = [EvaluationRow(*row) for row in state["rows"]]
        self.metrics, self._evaluated_epoch = state["metrics"], state["epoch"]

    def finish(self, epoch: int) -> dict[str, float]:
        """Return the metrics after the last epoch."""
        if self._evaluated_epoch != epoch:
            self._evaluate(epoch)
        if self._tracked and self.rows:
            self._tracked.log_table("evaluation", self.table())
        return self.metrics

    def table(self) -> dict[str, list[Any]]:
        """Return all that has been measured, by column; what is not known is None."""
        columns = zip(*self.rows, strict=True)  # none where there is no row
        return {name: list(column) for name, column in zip(EvaluationRow._fields, columns, strict=False)}

    def _evaluate(self, epoch: int) -> None:
        scores = self._evaluation.score(self._embeddings().using(self._chosen), self._sets)
        self.metrics = evaluation_metrics(scores)
        self.rows += evaluation_rows(scores, epoch)
        self._evaluated_epoch = epoch
        if self._tracked and self._evaluation.every is not None:
            self._tracked.log_metrics(self.metrics, step=epoch)

    def _are_finite(self) -> bool:
        parameters = self._parameters()
        return all(np.isfinite(matrix).all() for matrix in (parameters.embedding, parameters.output))


def evaluation_metrics(scores: Scores) -> dict[str, float]:
    """Return the metrics of some scores: each score, as far as any pair or question is known, and its coverage.

    Word pairs: Spearman's correlation, named as the set. Analogies: the accuracy over all known questions, named as
    the set, with ``_semantic`` and ``_syntactic`` behind it where the set has sections of both kinds. Behind each of
    these names, ``_known`` is the number of known pairs or questions, and ``_coverage`` their share.
    """
    metrics: dict[str, float] = {}
    for name, score in scores.items():
        if isinstance(score, WordPairScore):
            metrics |= _with_coverage(name, score.spearman, score)
            continue
        metrics |= _with_coverage(name, score.all.accuracy, score.all)
        kinds = (score.semantic, score.syntactic)
        if all(kind.questions for kind in kinds):
            for kind in kinds:
                metrics |= _with_coverage(f"{name}_{kind.name}", kind.accuracy, kind)
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def _with_coverage(name: str, value: float, score: WordPairScore | AnalogyScore) -> dict[str, float]:
    return {name: value, f"{name}_known": score.known, f"{name}_coverage": score.coverage}


def evaluation_rows(scores: Scores, epoch: int) -> list[EvaluationRow]:
    """Return a row for each word-pair set, each section of analogies and each of their totals."""
    rows: list[EvaluationRow] = []
    for name, score in scores.items():
        if isinstance(score, WordPairScore):
            row = EvaluationRow(
                epoch,
                name,
                "",
                "spearman",
                _known(score.spearman),
                _known(score.pearson),
                score.known,
                score.pairs,
                score.coverage,
            )
            rows.append(row)
        else:
            parts = [*score.sections, score.semantic, score.syntactic, score.all]
            rows += [_analogy_row(epoch, name, part) for part in parts]
    return rows


def _analogy_row(epoch: int, name: str, part: AnalogyScore) -> EvaluationRow:
    accuracy, coverage = _known(part.accuracy), _known(part.coverage)
    return EvaluationRow(
        epoch, name, part.name, "accuracy", accuracy, None, part.known, part.questions, coverage
    )


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None

"""Measurements of a run beside and after training: costs and their bounds, evaluation, neighbours, memory."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from w2v_exp.embeddings import Embeddings, neighbour_precision, top_neighbours
from w2v_exp.embeddings.analogies import AnalogyScore
from w2v_exp.embeddings.associations import Association
from w2v_exp.embeddings.evaluation import Scores, Sets
from w2v_exp.embeddings.neighbours import NEIGHBOURS, Probe
from w2v_exp.embeddings.word_pairs import WordPairScore
from w2v_exp.errors import UserError
from w2v_exp.examples.batches import TrainingExamples
from w2v_exp.examples.counted_text import CountedText
from w2v_exp.examples.counts import (
    Bounds,
    PairCounter,
    PairCounts,
    count_window_pairs,
    information_explained,
    unigram_cost,
)
from w2v_exp.examples.held_out import CostSample, MeasuredEpochs, sample_centres
from w2v_exp.examples.pairs import Pairs
from w2v_exp.examples.sampling import TextPart
from w2v_exp.examples.statistics import PairStatistics
from w2v_exp.experiment.build import COSTS, build_cost_sample, child_generator, held_out_sample
from w2v_exp.experiment.record import RunRecord, kept_epochs
from w2v_exp.machine import MEGABYTE, PeakResident, require_memory
from w2v_exp.metrics import COST, VALIDATION_COST
from w2v_exp.model.softmax import centre_costs
from w2v_exp.plan import Plan
from w2v_exp.text.cache import read_figures, write_figures
from w2v_exp.text.vocabulary import Vocabulary
from w2v_exp.training.callbacks import MeasuredCost
from w2v_exp.training.hogwild import HogwildTrainer
from w2v_exp.training.trainer import EpochRecord, Trainer

_log = logging.getLogger(__name__)


class RunCost(MeasuredCost):
    """Callback that measures a cost beside training, and logs it by epoch.

    Parameters
    ----------
    metric : str
        Its name.
    sample : CostSample
        The examples on which it is measured.
    trainer : Trainer
        The trainer with the parameters.
    epochs : sequence of int
        The epochs after which it is measured, from 0.
    points : int
        Maximum number of logged epochs.
    record : RunRecord, optional
        Destination of the logged costs.
    """

    def __init__(
        self,
        metric: str,
        sample: CostSample,
        trainer: Trainer,
        epochs: Sequence[int] = (),
        points: int = 0,
        record: RunRecord | None = None,
    ) -> None:
        super().__init__(self.measure, epochs)
        self.metric = metric
        self.sample = sample
        self._trainer = trainer
        self.standard_error: float | None = None  # of the last measured cost, if a sample of centres
        self._logged = {epochs[number] for number in kept_epochs(len(epochs), points)}
        self._record = record

    def measure(self) -> float:
        """Return the mean negative log-likelihood of the sample with the current parameters, nats per pair."""
        parameters, contexts = self._trainer.parameters, self.sample.context_matrix
        if self.sample.weights is not None:
            costs = centre_costs(parameters, self.sample.counts)
            self.standard_error = self.sample.standard_error(costs)
            return float(costs.sum()) / self.sample.counts.total
        if contexts is not None:  # cbow: a hidden vector per context
            hidden = (contexts @ parameters.embedding).astype(parameters.embedding.dtype)
            parameters = replace(parameters, embedding=hidden)
        return self._trainer.objective.exact_cost(parameters, self.sample.counts)

    def on_epoch(self, record: EpochRecord) -> None:
        """Measure the cost if this is one of the epochs."""
        super().on_epoch(record)
        if record.epoch in self._logged:
            self._log(record.epoch)

    def restore(self, costs: Mapping[int, float]) -> None:
        """Restore the costs that were measured before an interruption, and log them."""
        self.costs.update(costs)
        for epoch in self.costs.keys() & self._logged:
            self._log(epoch)

    def log_last(self) -> None:
        """Log the last cost, which may be of an epoch whose point is not logged otherwise."""
        if self.costs and (last := max(self.costs)) not in self._logged:
            self._log(last)

    def _log(self, epoch: int) -> None:
        cost = self.costs[epoch]
        if self._record and math.isfinite(cost):
            self._record.log_metrics({self.metric: cost}, step=epoch)


COST_CENTRES = 2000  # in the sample for the cost of objective=sampled_softmax


class RunCosts:
    """All costs of a run: the training cost, and those that are measured beside it.

    Parameters
    ----------
    plan : Plan
        The settings.
    trainer : Trainer
        The run's trainer.
    record : RunRecord, optional
        Destination of the measured costs.

    Attributes
    ----------
    training_metric : str
        Name of the metric of the training cost.
    measured : list of RunCost
        Costs that training does not compute itself; callbacks.
    """

    def __init__(self, plan: Plan, trainer: Trainer, record: RunRecord | None = None) -> None:
        self.training_metric = plan.objective.cost_metric
        self.measured: list[RunCost] = []
        self._plan = plan
        self._trainer = trainer
        self._record = record

    def sample(self, training: TextPart | CountedText, held_out: TextPart | None) -> dict[str, float]:
        """Sample the examples of the measured costs; return their numbers of pairs as metrics.

        ``cost_sample_share`` is the share of the text on which ``cost`` is measured; below 1, it is an estimate.
        """
        plan, vocabulary_size = self._plan, self._trainer.examples.vocabulary_size
        metrics: dict[str, float] = {}
        if held_out:
            sample = held_out_sample(plan, held_out, vocabulary_size)
            self._add(VALIDATION_COST, sample, plan.validation.validated_epochs(plan.epochs))
            metrics["validation_pairs"] = sample.counts.total
        if self.training_metric != COST:
            if plan.objective.samples_centres:
                counts = self._trainer.examples.counts
                assert counts is not None
                sample = sample_centres(counts, COST_CENTRES, child_generator(plan, COSTS))
            else:
                assert isinstance(training, TextPart)
                sample = build_cost_sample(plan, training, vocabulary_size)
            self._add(COST, sample, MeasuredEpochs(plan.cost_every, plan.epochs))
            metrics |= {"cost_pairs": sample.counts.total, "cost_sample_share": sample.share}
        return metrics

    def _add(self, metric: str, sample: CostSample, epochs: Sequence[int]) -> None:
        self.measured.append(RunCost(metric, sample, self._trainer, epochs, self._plan.points, self._record))

    def measure_untrained(self, pairs: Pairs | PairCounts) -> dict[str, float]:
        """Return the costs of the initial parameters, for a run without epochs."""
        costs = {cost.metric: cost.measure() for cost in self.measured}
        if COST not in costs:
            counts = PairCounts.of(pairs) if isinstance(pairs, Pairs) else pairs
            costs[COST] = RunCost(COST, CostSample(counts), self._trainer).measure()
        return costs

    def measure_last(self, epoch: int) -> None:
        """Measure each cost after the last epoch, unless that was done: training may have stopped early."""
        for cost in self.measured:
            if epoch not in cost.costs:
                cost.costs[epoch] = cost.measure()

    def last(self) -> dict[str, float]:
        """Return the last value of each measured cost as metrics."""
        last = {cost.metric: cost.costs[max(cost.costs)] for cost in self.measured if cost.costs}
        errors = [cost.standard_error for cost in self.measured if cost.standard_error is not None]
        return last | ({"cost_standard_error": errors[0]} if errors else {})

    def log_last(self) -> None:
        """Log the last value of each measured cost; no further ones follow."""
        for cost in self.measured:
            cost.log_last()

    def validation_bound(self) -> dict[str, float]:
        """Return the unigram cost of the held-out pairs, if there are any, as a metric."""
        for cost in self.measured:
            if cost.metric == VALIDATION_COST:
                return {"validation_unigram_cost": unigram_cost(cost.sample.counts)}
        return {}

    def validation_curve(self) -> dict[int, float]:
        """Return the held-out costs by epoch."""
        return next((cost.costs for cost in self.measured if cost.metric == VALIDATION_COST), {})

    def curves(self) -> dict[str, dict[int, float]]:
        """Return every cost by epoch, by the name of its metric."""
        curves = {cost.metric: dict(cost.costs) for cost in self.measured}
        curves[self.training_metric] = {record.epoch: record.cost for record in self._trainer.records}
        return {metric: curve for metric, curve in curves.items() if curve}

    def logged_by_epoch(self) -> list[str]:
        """Return the names of the metrics that have been logged by epoch."""
        measured = [cost.metric for cost in self.measured]
        return [self.training_metric, "article_cost", *measured] if self._trainer.records else []

    def state(self) -> dict[str, Any]:
        """Return the measured costs for a checkpoint: of each, pairs of epoch and cost."""
        return {cost.metric: [*cost.costs.items()] for cost in self.measured}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore the costs that were measured before an interruption."""
        for cost in self.measured:
            cost.restore(dict(state.get(cost.metric, [])))


BOUNDS_FORMAT = 1  # of the cached bounds: raise by one whenever their meaning changes
_HASHED_AT_ONCE = 1 << 20


def training_bounds(
    plan: Plan, entry: Path | None, training: TextPart | CountedText, examples: TrainingExamples
) -> Bounds | None:
    """Return the bounds of the cost of all pairs of the training text, with or without subsampling.

    With shrinking windows, pairs are weighted by their distance.

    Parameters
    ----------
    plan : Plan
        Settings of the run.
    entry : Path, optional
        Folder of the text's cache entry, in which the bounds are kept; None for a text that is not cached.
    training : TextPart or CountedText
        The training part.
    examples : TrainingExamples
        Its examples, whose counts are used if they are those of all pairs.

    Returns
    -------
    Bounds or None
        None with ``bounds=false``, or if counting the pairs does not fit the memory, which is printed.
    """
    if not plan.bounds:
        return None
    if entry is None or isinstance(training, CountedText):
        return _count_bounds(plan, training, examples)
    key = _bounds_key(plan, training, examples)
    if (figures := read_figures(entry, key)) and figures.keys() == vars(Bounds(0, 0)).keys():
        return Bounds(**figures)
    bounds = _count_bounds(plan, training, examples)
    if bounds:
        with suppress(OSError):  # the next run computes them again
            write_figures(entry, key, vars(bounds))
    return bounds


def bound_metrics(bounds: Bounds, cost: float | None) -> dict[str, float]:
    """Return the metrics of the bounds, and of a cost relative to them.

    `cost` is None if its pairs are not those of the bounds, as with subsampling: see `Plan.costs_all_pairs`.
    """
    metrics = dict(vars(bounds))
    if cost is not None:
        metrics["cost_gap"] = cost - bounds.cost_floor
        metrics["information_explained"] = information_explained(cost, bounds.unigram_cost, bounds.cost_floor)
    return metrics


def counting_memory(plan: Plan, training: TextPart, vocabulary_size: int) -> int:
    """Return the peak bytes of counting all pairs of a text."""
    unused_generator = np.random.default_rng(0)
    statistics = PairStatistics(
        training.ids,
        plan.window,
        vocabulary_size,
        unused_generator,
        segments=training.segments,
        centre_words=plan.labels.number_of_centres(vocabulary_size),
    )
    distinct = int(statistics.distinct_by_centre.sum())
    summing = PairCounts.memory(distinct, statistics.centre_words) + PairCounts.summing_memory(distinct)
    return max(PairCounter.memory(statistics), summing)


def _count_bounds(plan: Plan, training: TextPart | CountedText, examples: TrainingExamples) -> Bounds | None:
    if isinstance(training, CountedText):
        return Bounds.of(training.counts)
    if examples.counts and plan.trains_on_all_pairs:
        return Bounds.of(examples.counts)
    vocabulary_size = examples.vocabulary_size
    try:
        needed = counting_memory(plan, training, vocabulary_size)
        require_memory(needed, "Counting the pairs", "Use bounds=false.")
        counts = count_window_pairs(
            [training.ids],
            plan.window,
            vocabulary_size,
            shrinking=plan.shrinking_window,
            segments=training.segments,
            centre_words=examples.centre_words,
        )
    except UserError as error:  # the trained embeddings are useful without bounds
        _log.warning(f"Skipping unigram_cost and cost_floor: {error}")
        return None
    return Bounds.of(counts)


def _bounds_key(plan: Plan, training: TextPart, examples: TrainingExamples) -> str:
    """Return the cache key of the bounds: a digest of their inputs."""
    described = [BOUNDS_FORMAT, plan.window, plan.shrinking_window, examples.vocabulary_size]
    if examples.centre_words < examples.vocabulary_size:
        described.append(examples.centre_words)
    digest = hashlib.sha256(json.dumps(described).encode())
    for array in (training.ids, training.segments):
        length = 0 if array is None else len(array)
        digest.update(f"[{length}]".encode())
        for start in range(0, length, _HASHED_AT_ONCE):
            assert array is not None
            digest.update(np.ascontiguousarray(array[start : start + _HASHED_AT_ONCE]).data)
    return digest.hexdigest()[:32]


class EvaluationRow(NamedTuple):
    """A row of the table ``evaluation``.

    Parameters
    ----------
    epoch : int
        The epoch after which it was measured, from 0; −1 before the first.
    set, section : str
        The evaluation set, and its section or total; empty for word pairs and associations.
    measure : str
        ``spearman`` or ``accuracy``; of an association ``effect``, ``p``, and ``low`` and ``high``, its interval.
    score, pearson : float or None
        None if undefined.
    known, total : int
        Numbers of pairs or questions: those whose words are all in the vocabulary, and all. Of an association,
        numbers of words.
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
    """Callback that evaluates the embeddings every few epochs; `finish` evaluates them at the end.

    Parameters
    ----------
    plan : Plan
        The settings.
    sets : mapping of str to WordPairSet or AnalogySet
        The evaluation sets of the plan.
    trainer : Trainer
        The run's trainer.
    embeddings : callable
        Returns the embeddings as trained so far.
    record : RunRecord, optional
        Destination of the scores by epoch.

    Attributes
    ----------
    rows : list of EvaluationRow
        All scores so far.
    metrics : dict of str to float
        The last scores.
    """

    def __init__(
        self,
        plan: Plan,
        sets: Sets,
        trainer: Trainer,
        embeddings: Callable[[], Embeddings],
        record: RunRecord | None = None,
    ) -> None:
        self.rows: list[EvaluationRow] = []
        self.metrics: dict[str, float] = {}
        self._evaluation = plan.evaluation
        self._vectors = plan.embedding
        self._sets = sets
        self._trainer = trainer
        self._embeddings = embeddings
        self._record = record
        self._last_epoch: int | None = None

    @property
    def logged_by_epoch(self) -> list[str]:
        """Names of the metrics that have been logged by epoch."""
        return [] if self._evaluation.every is None else list(self.metrics)

    def on_epoch(self, record: EpochRecord) -> None:
        """Evaluate if it is time to; not if the parameters have diverged, which the trainer reports."""
        every = self._evaluation.every
        if every is not None and (record.epoch + 1) % every == 0 and self._is_finite():
            self._evaluate(record.epoch)

    def finish(self) -> dict[str, float]:
        """Evaluate after the last epoch, unless that was done, and return the metrics."""
        epoch = self._trainer.records[-1].epoch if self._trainer.records else -1
        if self._last_epoch != epoch:
            self._evaluate(epoch)
        if self._record and self.rows:
            self._record.log_table("evaluation", self.table())
        return self.metrics

    def table(self) -> dict[str, list[Any]]:
        """Return all scores by column; unknown values are None."""
        columns = zip(*self.rows, strict=True)  # none without rows
        return {name: list(column) for name, column in zip(EvaluationRow._fields, columns, strict=False)}

    def state(self) -> dict[str, Any]:
        """Return all scores so far, for a checkpoint."""
        return {"rows": self.rows, "metrics": self.metrics, "epoch": self._last_epoch}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore the scores from before an interruption."""
        self.rows = [EvaluationRow(*row) for row in state["rows"]]
        self.metrics, self._last_epoch = state["metrics"], state["epoch"]

    def _evaluate(self, epoch: int) -> None:
        scores = self._evaluation.score(self._embeddings().using(self._vectors), self._sets)
        self.metrics = evaluation_metrics(scores)
        self.rows += evaluation_rows(scores, epoch)
        self._last_epoch = epoch
        if self._record and self._evaluation.every is not None:
            self._record.log_metrics(self.metrics, step=epoch)

    def _is_finite(self) -> bool:
        parameters = self._trainer.parameters
        return all(np.isfinite(matrix).all() for matrix in (parameters.embedding, parameters.output))


def evaluation_metrics(scores: Scores) -> dict[str, float]:
    """Return the metrics of scores: each defined score, with its coverage.

    Word pairs: Spearman's correlation, named as the set. Analogies: the accuracy over all known questions, named as
    the set, with the suffixes ``_semantic`` and ``_syntactic`` if the set has sections of both kinds. Each has a
    metric with the suffix ``_known``, the number of known pairs or questions, and one with ``_coverage``, their share.
    Associations: the effect, named as the test, its p-value and the number of known words.
    """
    metrics: dict[str, float] = {}
    named: dict[str, tuple[float, WordPairScore | AnalogyScore]]
    for name, score in scores.items():
        if isinstance(score, Association):
            metrics |= {name: score.effect, f"p_{name}": score.p, f"words_{name}": score.words}
            continue
        if isinstance(score, WordPairScore):
            named = {name: (score.spearman, score)}
        else:
            named = {name: (score.all.accuracy, score.all)}
            kinds = (score.semantic, score.syntactic)
            if all(kind.questions for kind in kinds):
                named |= {f"{name}_{kind.name}": (kind.accuracy, kind) for kind in kinds}
        for metric, (value, part) in named.items():
            metrics |= {metric: value, f"{metric}_known": part.known, f"{metric}_coverage": part.coverage}
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def evaluation_rows(scores: Scores, epoch: int) -> list[EvaluationRow]:
    """Return a row per word-pair set, section and total of analogies, and figure of an association."""
    rows: list[EvaluationRow] = []
    for name, score in scores.items():
        if isinstance(score, WordPairScore):
            values = (
                _defined(score.spearman),
                _defined(score.pearson),
                score.known,
                score.pairs,
                score.coverage,
            )
            rows.append(EvaluationRow(epoch, name, "", "spearman", *values))
        elif isinstance(score, Association):
            known = score.words, score.total, score.words / score.total
            for measure in ("effect", "p", "low", "high"):
                value = _defined(getattr(score, measure))
                rows.append(EvaluationRow(epoch, name, "", measure, value, None, *known))
        else:
            parts = [*score.sections, score.semantic, score.syntactic, score.all]
            rows += [_analogy_row(epoch, name, part) for part in parts]
    return rows


def _analogy_row(epoch: int, name: str, part: AnalogyScore) -> EvaluationRow:
    accuracy, coverage = _defined(part.accuracy), _defined(part.coverage)
    return EvaluationRow(
        epoch, name, part.name, "accuracy", accuracy, None, part.known, part.questions, coverage
    )


def _defined(value: float) -> float | None:
    return value if math.isfinite(value) else None


LARGEST_FOR_PRECISION = 1000  # words: all their softmax outputs are needed
TABLED_WORDS = 200
ARTICLE_NEIGHBOURS = 4


def neighbour_metrics(trainer: Trainer) -> dict[str, float]:
    """Return ``neighbour_precision``, for small vocabularies only."""
    examples = trainer.examples
    if examples.vocabulary_size > LARGEST_FOR_PRECISION:
        return {}
    probabilities = trainer.objective.probabilities(trainer.parameters, np.arange(examples.centre_words))
    top = top_neighbours(probabilities, ARTICLE_NEIGHBOURS)
    hits, possible = neighbour_precision(top, examples.pairs)
    return {"neighbour_precision": hits / possible}


def neighbour_table(vocabulary: Vocabulary, trainer: Trainer) -> dict[str, list[Any]]:
    """Return the article's table: for the most frequent words, the words with the highest softmax output."""
    centres = np.arange(min(trainer.examples.centre_words, TABLED_WORDS))
    top = top_neighbours(trainer.objective.probabilities(trainer.parameters, centres), ARTICLE_NEIGHBOURS)
    words = vocabulary.words
    table: dict[str, list[Any]] = {
        "word": words[: len(centres)],
        "count": vocabulary.counts[: len(centres)].tolist(),
    }
    for rank in range(top.shape[1]):
        table[f"neighbour_{rank + 1}"] = [words[word] for word in top[:, rank]]
    return table


def probe_table(probes: Sequence[Probe]) -> dict[str, list[Any]]:
    """Return a row per probe word: its count, the nearest words and their cosines; None if unknown."""
    if not probes:
        return {}
    table: dict[str, list[Any]] = {
        "word": [probe.word for probe in probes],
        "count": [probe.count for probe in probes],
    }
    for column, part in (("similar", 0), ("cosine", 1)):
        for rank in range(NEIGHBOURS):
            table[f"{column}_{rank + 1}"] = [
                probe.similar[rank][part] if rank < len(probe.similar) else None for probe in probes
            ]
    return table


def memory_metrics(trainer: Trainer, resident: PeakResident) -> dict[str, float]:
    """Return the peak resident memory of training and that of its workers, in megabytes, if the system measures it."""
    metrics = {}
    if (megabytes := resident.megabytes()) is not None:
        metrics["peak_resident_mb"] = megabytes
    if isinstance(trainer, HogwildTrainer) and (private := trainer.own_memory):
        metrics["workers_memory_mb"] = private / MEGABYTE
    return metrics

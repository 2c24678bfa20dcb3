"""One run: from a checked configuration to trained embeddings, measured and recorded."""

from __future__ import annotations

import math
import shutil
import sys
import traceback
from contextlib import ExitStack, suppress
from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from w2v_exp.choices import MlflowTracking
from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.probes import Probe
from w2v_exp.errors import CorpusError, UserError
from w2v_exp.examples.batches import TrainingExamples
from w2v_exp.examples.bounds import unigram_cost
from w2v_exp.examples.cost_sample import CostSample
from w2v_exp.examples.counting import count_ids
from w2v_exp.examples.held_out import TextPart, epochs_between
from w2v_exp.examples.pair_counts import PairCounts
from w2v_exp.examples.pairs import Pairs, count_pairs
from w2v_exp.experiment import outputs
from w2v_exp.experiment.bounds import bound_metrics, costs_all_pairs, training_bounds
from w2v_exp.experiment.building import (
    build_cost_sample,
    build_examples,
    build_initialization,
    held_out_sample,
    split_text,
)
from w2v_exp.experiment.continuing import Origin
from w2v_exp.experiment.estimation import estimate_run, require_fit
from w2v_exp.experiment.evaluation import RunEvaluation
from w2v_exp.experiment.identity import Identity
from w2v_exp.experiment.measured_cost import COST, VALIDATION_COST, RunCost
from w2v_exp.experiment.measurement import neighbour_metrics, neighbour_table
from w2v_exp.experiment.probing import probe_run, probe_table
from w2v_exp.experiment.reading import read_corpus
from w2v_exp.experiment.trainers import build_trainer
from w2v_exp.memory import available_memory
from w2v_exp.model.parameters import Initialization, Parameters
from w2v_exp.plan import Plan
from w2v_exp.reporting.results import RunResult
from w2v_exp.text.encoding import EncodedText
from w2v_exp.tracking.memory import MEGABYTE, PeakMemory, PeakResident
from w2v_exp.tracking.mlflow_run import MlflowRun, kept_epochs
from w2v_exp.tracking.provenance import provenance
from w2v_exp.tracking.store import open_store
from w2v_exp.training.hogwild import HogwildTrainer
from w2v_exp.training.observers import Observer
from w2v_exp.training.trainer import Trainer

REHEARSED_STEPS = 3
CURVE_POINTS = 500
_FEW_IDS = TextPart(np.array([0, 1, 0, 1], np.int32))


class Run:
    """A run while it lasts.

    Parameters
    ----------
    plan : Plan
        What is to be done.
    identity : Identity
        Who the run is.
    """

    def __init__(self, plan: Plan, identity: Identity) -> None:
        self.plan = plan
        self.identity = identity
        sets = plan.evaluation.read()  # first: a malformed set ends the run before it has begun
        self.origin = Origin.read(plan)
        self.text = _read_text(plan)
        self.continued = self.origin.initialization(self.text.vocabulary)
        self.training, self.held_out = split_text(plan, self.text)
        self.measured: list[RunCost] = []  # costs that training does not take itself
        self.estimate = estimate_run(plan, self.training, len(self.text.vocabulary), self.origin.memory)
        self.metrics: dict[str, float] = {
            "estimated_memory_mb": self.estimate.total / MEGABYTE,
            "pairs": count_pairs(len(self.training.ids), plan.window, self.training.passages),
            "tokens": self.text.tokens,
            "vocabulary_size": len(self.text.vocabulary),
        } | self.origin.metrics(self.text.vocabulary)
        if (available := available_memory()) is not None:
            self.metrics["available_memory_mb"] = available / MEGABYTE
        if identity.sweep is None:
            self._require_fit()  # a command that cannot be done leaves nothing; a run of a sweep is recorded
        self.trainer: Trainer | None = None
        self.probes: list[Probe] = []
        self.files = identity.folder / "artifacts"
        self.files.mkdir(parents=True, exist_ok=True)
        self.tracked = _start_tracking(plan, identity, self.text, self.origin)
        self.evaluation = RunEvaluation(
            plan.evaluation, sets, self._embeddings, self._parameters, plan.embedding, self.tracked
        )

    def execute(self) -> RunResult:
        """Train, measure and record; whatever happens, what there is up to then is kept.

        A mistake of the user's, or an error of the code, is recorded and told in the result. An interruption is
        recorded, and goes on to the caller.
        """
        try:
            with threadpool_limits(limits=self.plan.threads, user_api="blas"):
                self._train_and_measure()
        except UserError as error:
            return self._end("FAILED", str(error))
        except KeyboardInterrupt:
            self._end("KILLED", "interrupted")
            raise
        except Exception as error:
            return self._end("FAILED", f"{type(error).__name__}: {error}")
        return self._end("FINISHED")

    def _train_and_measure(self) -> None:
        plan, vocabulary = self.plan, self.text.vocabulary
        outputs.write_config(self.identity, self.files)
        outputs.write_vocabulary(vocabulary, self.files)
        self._require_fit()
        resident = PeakResident()
        # What is loaded on first use is not this run's memory. (Sampling may leave nothing of so few words.)
        with suppress(CorpusError):
            self._rehearse(_FEW_IDS, vocabulary_size=2)
        with PeakMemory() as peak:  # in a rehearsal, because measuring slows training down
            examples, initialization = self._rehearse(self.training, len(vocabulary))
        there_before = self.origin.memory / MEGABYTE
        self.metrics |= {"peak_memory_mb": peak.megabytes + there_before, "pairs": examples.pairs_per_epoch}
        self._begin_measuring(len(vocabulary))
        with ExitStack() as stack:
            watching = (self.tracked, *self.measured, self.evaluation)
            observers: list[Observer] = [observer for observer in watching if observer]
            if sys.stderr.isatty():
                from w2v_exp.tracking.progress import ProgressBar

                bar = ProgressBar(self._title(), plan.epochs, examples.pairs_per_epoch)
                observers.append(stack.enter_context(bar))
            word_counts = count_ids(self.training.ids, len(vocabulary))
            self.trainer = build_trainer(
                plan, examples, initialization, observers, word_counts, self.training
            )
            records = self.trainer.train()
        if records:
            seconds = records[-1].train_seconds
            self.metrics |= {
                self._cost_metric(): records[-1].cost,
                "train_seconds": seconds,
                "pairs_per_second": self.trainer.pairs_done / seconds,
            }
        else:
            self.metrics |= self._untrained_costs(examples.pairs)
        if (megabytes := resident.megabytes()) is not None:
            self.metrics["peak_resident_mb"] = megabytes
        if isinstance(self.trainer, HogwildTrainer) and (private := self.trainer.private_memory):
            self.metrics["workers_memory_mb"] = private / MEGABYTE
        bounds = training_bounds(plan, self.text.digest, self.training, examples)
        self._finish_measuring()
        comparable = costs_all_pairs(plan)
        if bounds:
            self.metrics |= bound_metrics(bounds, self.metrics["cost"] if comparable else None)
            for measured in self.measured:
                if measured.metric == VALIDATION_COST:
                    self.metrics["validation_unigram_cost"] = unigram_cost(measured.pairs)
        self.metrics |= self.evaluation.finish(plan.epochs - 1)
        self.metrics |= neighbour_metrics(self.trainer.parameters, self.trainer.objective, examples)
        if self.tracked:
            table = neighbour_table(vocabulary, self.trainer.parameters, self.trainer.objective)
            self.tracked.log_table("neighbours", table)
        self.probes = probe_run(plan, vocabulary, self._embeddings)
        if self.tracked and self.probes:
            self.tracked.log_table("similar_words", probe_table(self.probes))
        if isinstance(plan.tracking, MlflowTracking) and plan.tracking.plots:
            outputs.draw_plots(
                plan,
                bounds if comparable else None,
                examples,
                vocabulary,
                self.trainer.parameters,
                self.trainer.objective,
                records,
                self._validation_costs(),
                self.files,
            )

    def _require_fit(self) -> None:
        vocabulary_size = len(self.text.vocabulary)
        require_fit(self.plan, self.training, vocabulary_size, self.estimate, self.origin.memory)

    def _rehearse(self, text: TextPart, vocabulary_size: int) -> tuple[TrainingExamples, Initialization]:
        """Build the examples and the initialization, and take the first few steps with a trainer to be thrown away."""
        examples = build_examples(self.plan, text.ids, vocabulary_size, text.passages)
        initialization = build_initialization(self.plan, examples, text, self.continued)
        word_counts = count_ids(text.ids, vocabulary_size)
        trainer = build_trainer(self.plan, examples, initialization, word_counts=word_counts)
        if self.plan.epochs:
            trainer.rehearse(REHEARSED_STEPS)
        return examples, initialization

    def _untrained_costs(self, pairs: Pairs | PairCounts) -> dict[str, float]:
        """Return what the parameters of a run without epochs cost: they are those that it starts from."""
        costs = {measured.metric: measured.take() for measured in self.measured}
        if COST not in costs:
            counts = PairCounts.of(pairs) if isinstance(pairs, Pairs) else pairs
            costs[COST] = self._sample_cost(CostSample(counts))
        return costs

    def _begin_measuring(self, vocabulary_size: int) -> None:
        """Make what costs are measured on that training does not take itself."""
        plan = self.plan
        if self.held_out:
            sample = held_out_sample(plan, self.held_out, vocabulary_size)
            epochs = plan.validation.validated_epochs(plan.epochs)
            self.measured.append(self._measured(VALIDATION_COST, epochs, sample))
            self.metrics["validation_pairs"] = sample.counts.total
        if self._cost_metric() != COST:
            sample = build_cost_sample(plan, self.training, vocabulary_size)
            epochs = epochs_between(plan.cost_every, plan.epochs)
            self.measured.append(self._measured(COST, epochs, sample))
            self.metrics["cost_pairs"] = sample.counts.total

    def _measured(self, metric: str, epochs: list[int], sample: CostSample) -> RunCost:
        return RunCost(
            metric, lambda: self._sample_cost(sample), epochs, self.plan, self.tracked, sample.counts
        )

    def _finish_measuring(self) -> None:
        for measured in self.measured:
            self.metrics |= measured.finish()

    def _end(self, status: str, reason: str = "") -> RunResult:
        """Record how the run ended, with the files there are, and return its result."""
        records = self.trainer.records if self.trainer else []
        reason = " ".join(reason.splitlines())
        if status == "FAILED":
            (self.files / "traceback.txt").write_text(traceback.format_exc(), encoding="utf-8")
        if records:
            outputs.write_costs(records, self._validation_costs(), self._cost_metric(), self.files)
            self.metrics[self._cost_metric()] = records[-1].cost
            # NaN, and so left out, where epsilon is 0
            self.metrics["article_cost"] = records[-1].article_cost
            self._finish_measuring()
        outputs.write_table("evaluation", self.evaluation.table(), self.files)
        outputs.write_table("similar_words", probe_table(self.probes), self.files)
        if self.trainer and status != "FAILED":  # what diverged is of no use
            outputs.write_embeddings(self._embeddings(), self.plan.embedding, self.files)
        metrics = {name: float(value) for name, value in self.metrics.items() if math.isfinite(value)}
        if self.tracked:
            by_epoch = [*self.evaluation.logged_by_epoch]
            if records:
                by_epoch += [
                    self._cost_metric(),
                    "article_cost",
                    *(measured.metric for measured in self.measured),
                ]
            self.tracked.log_metrics({name: value for name, value in metrics.items() if name not in by_epoch})
            self.tracked.log_files(self.files)
            shutil.rmtree(self.files)  # they are in the store now
            if reason:
                self.tracked.set_tag("reason", reason)
            self.tracked.finish(status)
        kept = kept_epochs(self.plan.epochs, CURVE_POINTS)
        curve = self._cost_curve()
        return RunResult(
            name=self.identity.name,
            swept=self.identity.swept,
            seed=self.plan.seed,
            status=status,
            reason=reason,
            metrics=metrics,
            costs=[(epoch, cost) for epoch, cost in curve.items() if epoch in kept],
            run_id=self.tracked.run_id if self.tracked else "",
            similar={probe.word: [word for word, _ in probe.similar] for probe in self.probes},
        )

    def _embeddings(self) -> Embeddings:
        """Return what has been trained up to now, with the words of its origin that the text lacks."""
        return self.origin.completed(Embeddings.from_training(self.text.vocabulary, self._parameters()))

    def _parameters(self) -> Parameters:
        if self.trainer is None:
            raise RuntimeError("There are no parameters before there is a trainer.")
        return self.trainer.parameters

    def _sample_cost(self, sample: CostSample) -> float:
        """Return what examples cost with the parameters as they are, as a negative log-likelihood."""
        if self.trainer is None:
            raise RuntimeError("There is no objective before there is a trainer.")
        parameters = self.trainer.parameters
        if sample.bags is not None:
            hidden = (sample.bags @ parameters.embedding).astype(parameters.embedding.dtype)
            parameters = replace(parameters, embedding=hidden)
        return self.trainer.objective.exact_cost(parameters, sample.counts)

    def _cost_metric(self) -> str:
        """Return what the cost that is trained on is called."""
        return self.plan.objective.cost_metric

    def _cost_curve(self) -> dict[int, float]:
        """Return the cost by epoch: the one that compares with other objectives, where it is measured by epoch."""
        measured = next((one.costs for one in self.measured if one.metric == COST), {})
        if len(measured) > 1:
            return measured
        return {record.epoch: record.cost for record in self.trainer.records} if self.trainer else {}

    def _validation_costs(self) -> dict[int, float]:
        """Return the held-out costs, by epoch."""
        return next((one.costs for one in self.measured if one.metric == VALIDATION_COST), {})

    def _title(self) -> str:
        sweep = self.identity.sweep
        return f"run {self.identity.number + 1}/{sweep.total}" if sweep else self.identity.name


def _read_text(plan: Plan) -> EncodedText:
    """Return the encoded corpus, after a check that there is at least one pair to train on."""
    text = read_corpus(plan)
    if not count_pairs(len(text.ids), plan.window, text.passages):
        passages = len(text.passages) - 1
        apart = f" in {passages} passages (see corpus.boundaries)" if passages > 1 else ""
        raise CorpusError(
            f"There is no pair to train on: of the text's {text.tokens} tokens the vocabulary keeps {len(text.ids)}"
            f"{apart}, and a pair needs two{' in one' if apart else ''}. Loosen vocabulary.min_count, max_size, "
            "max_frequency or stop_words, or take a longer text."
        )
    return text


def _start_tracking(plan: Plan, identity: Identity, text: EncodedText, origin: Origin) -> MlflowRun | None:
    if not isinstance(plan.tracking, MlflowTracking):
        return None
    store = open_store(plan.tracking.uri, plan.tracking.experiment)
    tags = identity.tags() | provenance() | {"corpus.digest": text.digest} | origin.tags()
    tracked = MlflowRun(
        store,
        identity.name,
        tags,
        epochs=plan.epochs,
        points=plan.tracking.points,
        cost_metric=plan.objective.cost_metric,
    )
    tracked.log_params(identity.params())
    profile = f'{{"tokens": {text.tokens}, "words": {len(text.vocabulary)}}}'
    tracked.log_corpus(identity.choices["corpus"], text.digest, plan.corpus.source, profile)
    return tracked

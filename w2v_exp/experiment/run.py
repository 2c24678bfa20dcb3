"""One run: from a checked configuration to trained embeddings, measured and recorded."""

from __future__ import annotations

import math
import sys
import traceback
from collections.abc import Mapping

from threadpoolctl import threadpool_limits

from w2v_exp.choices import MlflowTracking
from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.neighbours import Probe
from w2v_exp.errors import TrainingDivergedError, UserError
from w2v_exp.examples.batches import TrainingExamples
from w2v_exp.examples.counts import Bounds
from w2v_exp.examples.pairs import count_ids
from w2v_exp.experiment import outputs
from w2v_exp.experiment.beforehand import metrics_beforehand
from w2v_exp.experiment.bounds import bound_metrics, training_bounds
from w2v_exp.experiment.build import build_trainer, pair_statistics, split_text
from w2v_exp.experiment.costs import RunCosts
from w2v_exp.experiment.estimate import (
    estimate_run,
    estimate_seconds,
    long_run_warning,
    require_fit,
)
from w2v_exp.experiment.evaluation import RunEvaluation
from w2v_exp.experiment.folders import ARTIFACTS
from w2v_exp.experiment.inputs import RunInputs
from w2v_exp.experiment.measurement import memory_metrics, neighbour_metrics, neighbour_table
from w2v_exp.experiment.probing import probe_run, probe_table
from w2v_exp.experiment.recording import begin_record, end_record
from w2v_exp.experiment.rehearsal import rehearse
from w2v_exp.experiment.run_checkpoints import RunCheckpoints
from w2v_exp.experiment.run_info import RunInfo
from w2v_exp.experiment.watched_training import train_watched
from w2v_exp.files import replacing
from w2v_exp.machine import MEGABYTE, PeakResident
from w2v_exp.metrics import COST, CURVES
from w2v_exp.model.parameters import Initialization, Parameters
from w2v_exp.plan import Plan
from w2v_exp.processes import interruptible, interruptions_deferred
from w2v_exp.runs import RunResult
from w2v_exp.tracking.mlflow_run import kept_epochs
from w2v_exp.training.callbacks import EPOCHS
from w2v_exp.training.trainer import EpochRecord, Trainer

CURVE_POINTS = 500


class Run:
    """A run while it lasts.

    Parameters
    ----------
    plan : Plan
        What is to be done.
    info : RunInfo
        Who the run is.
    inputs : RunInputs
        What has been read for it.
    """

    def __init__(self, plan: Plan, info: RunInfo, inputs: RunInputs) -> None:
        self.plan = plan
        self.info = info
        self.pretrained = inputs.pretrained
        self.text = inputs.text
        self.vocabulary = self.text.vocabulary
        self.continued = self.pretrained.initialization(self.vocabulary)
        self.training, self.held_out = split_text(plan, self.text)
        statistics = pair_statistics(plan, self.training, len(self.vocabulary))
        self.estimate = estimate_run(
            plan, self.training, len(self.vocabulary), self.pretrained.memory, statistics
        )
        seconds = estimate_seconds(plan, statistics)
        self.metrics = metrics_beforehand(
            plan, self.text, self.training, self.pretrained, self.estimate, seconds
        )
        if info.sweep is None:
            self._require_fit()  # a command that cannot be done leaves nothing; a run of a sweep is recorded
        self.trainer: Trainer | None = None
        self.probes: list[Probe] = []
        self.ended_by = ""
        self.explorer = ""
        self.files = info.folder / ARTIFACTS
        self.files.mkdir(parents=True, exist_ok=True)
        self.checkpoints = RunCheckpoints(plan, inputs.fingerprint)
        self._inputs = inputs

    def _begin(self) -> None:
        """Begin the run's record in the store, which has to be ended from here on."""
        plan, inputs = self.plan, self._inputs
        self.tracked = begin_record(plan, self.info, inputs, self.checkpoints, self.files)
        self.costs = RunCosts(plan, self.tracked, self._present_trainer)
        self.evaluation = RunEvaluation(
            plan.evaluation, inputs.sets, self._embeddings, self._parameters, plan.embedding, self.tracked
        )

    def execute(self) -> RunResult:
        """Train, measure and record; whatever happens, what there is up to then is kept.

        A mistake of the user's, or an error of the code, is recorded and told in the result. An interruption is
        recorded, and goes on to the caller. Before and after the training it waits until the record is begun, or ended.
        """
        with interruptions_deferred():
            try:
                self._begin()
            except BaseException:
                self.checkpoints.leave()  # or their lock stays held for the next runs of this process
                raise
            return self._train_to_an_end()

    def _train_to_an_end(self) -> RunResult:
        try:
            with interruptible(), threadpool_limits(limits=self.plan.threads, user_api="blas"):
                self._train_and_measure()
        except TrainingDivergedError as error:
            self.checkpoints.finish()  # it would diverge again
            return self._end("FAILED", str(error))
        except UserError as error:
            return self._end("FAILED", str(error))
        except KeyboardInterrupt as interruption:
            self._end("KILLED", str(interruption) or "interrupted")
            raise
        except Exception as error:
            return self._end("FAILED", f"{type(error).__name__}: {error}")
        return self._end("FINISHED")

    def _train_and_measure(self) -> None:
        outputs.write_config(self.info, self.files)
        outputs.write_vocabulary(self.vocabulary, self.files)
        self._require_fit()
        resident = PeakResident()
        examples, initialization = self._rehearse()
        self.metrics |= self.costs.prepare(self.training, self.held_out, len(self.vocabulary))
        trainer = self._train(examples, initialization)
        self.metrics |= memory_metrics(trainer, resident)
        bounds = self._measure_bounds(examples)
        self._measure_embeddings(trainer, examples)
        self.explorer = outputs.write_explorer(self.plan, self.info.name, self._embeddings, self.files)
        if isinstance(self.plan.tracking, MlflowTracking) and self.plan.tracking.plots:
            outputs.draw_plots(
                self.plan,
                bounds,
                examples,
                self.vocabulary,
                trainer,
                self.costs.curves(trainer.records),
                self.files,
                estimated=self.metrics.get("cost_sample_share", 1.0) < 1.0,
            )

    def _require_fit(self) -> None:
        require_fit(self.plan, self.training, len(self.vocabulary), self.estimate, self.pretrained.memory)

    def _rehearse(self) -> tuple[TrainingExamples, Initialization]:
        """Make what the run trains on and starts from, and measure its peak memory."""
        rehearsal = rehearse(self.plan, self.training, len(self.vocabulary), self.continued)
        there_before = self.pretrained.memory / MEGABYTE
        self.metrics |= {
            "peak_memory_mb": rehearsal.peak_megabytes + there_before,
            "pairs": rehearsal.examples.pairs_per_epoch,
        }
        if rehearsal.seconds is not None:
            self.metrics["estimated_seconds"] = rehearsal.seconds
        self._warn_of_long_training()
        return rehearsal.examples, rehearsal.initialization

    def _warn_of_long_training(self) -> None:
        """Print what would be faster, if training will take more than an hour."""
        seconds = self.metrics.get("estimated_seconds", 0.0)
        if warning := long_run_warning(self.plan, self.training, len(self.vocabulary), seconds):
            print(warning, file=sys.stderr)

    def _train(self, examples: TrainingExamples, initialization: Initialization) -> Trainer:
        word_counts = count_ids(self.training.ids, len(self.vocabulary))
        self.trainer = build_trainer(
            self.plan, examples, initialization, word_counts=word_counts, text=self.training
        )
        self.ended_by = train_watched(
            self.trainer,
            self.plan,
            self.info.title,
            self.tracked,
            self.costs,
            self.evaluation,
            self.checkpoints,
        )
        if self.ended_by != EPOCHS:
            self.metrics["epochs_trained"] = len(self.trainer.records)
        records = self.trainer.records
        if records:
            seconds = records[-1].train_seconds
            self.metrics |= {
                self.costs.trained: records[-1].cost,
                "train_seconds": seconds,
                "pairs_per_second": self.trainer.pairs_done / seconds,
            }
        else:
            self.metrics |= self.costs.untrained(examples.pairs)
        return self.trainer

    def _measure_bounds(self, examples: TrainingExamples) -> Bounds | None:
        """Measure where the costs stand between their bounds; return the bounds if the run's cost is of these pairs."""
        bounds = training_bounds(self.plan, self.text.digest, self.training, examples)
        self.metrics |= self.costs.last()
        if bounds is None:
            return None
        comparable = self.plan.costs_all_pairs
        self.metrics |= bound_metrics(bounds, self.metrics[COST] if comparable else None)
        self.metrics |= self.costs.validation_bound()
        return bounds if comparable else None

    def _measure_embeddings(self, trainer: Trainer, examples: TrainingExamples) -> None:
        """Evaluate the embeddings, and look at the neighbours of some words."""
        parameters, objective = trainer.parameters, trainer.objective
        last = trainer.records[-1].epoch if trainer.records else -1  # before the first
        self.metrics |= self.evaluation.finish(last)
        self.metrics |= neighbour_metrics(parameters, objective, examples)
        if self.tracked:
            table = neighbour_table(self.vocabulary, parameters, objective)
            self.tracked.log_table("neighbours", table)
        self.probes = probe_run(self.plan, self.vocabulary, self._embeddings)
        if self.tracked and self.probes:
            self.tracked.log_table("similar_words", probe_table(self.probes))

    def _end(self, status: str, reason: str = "") -> RunResult:
        """Record how the run ended, with the files there are, and return its result."""
        records = self.trainer.records if self.trainer else []
        reason = " ".join(reason.splitlines())
        try:
            if status == "FAILED":
                with replacing(self.files / "traceback.txt") as stream:
                    stream.write(traceback.format_exc())
            self._write_results(records, status)
        except (UserError, OSError) as error:  # a full disk; what is there is recorded all the same
            status = "FAILED" if status == "FINISHED" else status
            reason = reason or " ".join(str(error).splitlines())
        metrics = {name: float(value) for name, value in self.metrics.items() if math.isfinite(value)}
        if self.tracked:
            by_epoch = self.evaluation.logged_by_epoch + self.costs.logged_by_epoch(records)
            once = {name: value for name, value in metrics.items() if name not in by_epoch}
            resumable = status != "FINISHED" and self.checkpoints.can_be_resumed
            if not resumable:
                self.costs.finish()
            reason = end_record(self.tracked, status, reason, once, self.files, resumable=resumable) or reason
        if status == "FINISHED":
            self.checkpoints.finish()
        else:
            self.checkpoints.leave()
        return RunResult(
            name=self.info.name,
            swept=self.info.swept,
            seed=self.plan.seed,
            status=status,
            reason=reason,
            metrics=metrics,
            curves={
                metric: _thinned(curve)
                for metric, curve in self.costs.curves(records).items()
                if metric in CURVES
            },
            run_id=self.tracked.run_id if self.tracked else "",
            ended_by=self.ended_by,
            similar={probe.word: [word for word, _ in probe.similar] for probe in self.probes},
            explorer=self.explorer,
        )

    def _write_results(self, records: list[EpochRecord], status: str) -> None:
        """Write the files of what has been trained and measured up to now, however the run ended."""
        if records:
            outputs.write_costs(records, self.costs.curves(records), self.costs.trained, self.files)
            self.metrics[self.costs.trained] = records[-1].cost
            # NaN, and so left out, where epsilon is 0
            self.metrics["article_cost"] = records[-1].article_cost
            self.metrics |= self.costs.last()
        outputs.write_table("evaluation", self.evaluation.table(), self.files)
        outputs.write_table("similar_words", probe_table(self.probes), self.files)
        if self.trainer and status != "FAILED":  # what diverged is of no use
            outputs.write_embeddings(self._embeddings(), self.plan.embedding, self.files)

    def _present_trainer(self) -> Trainer:
        if self.trainer is None:
            raise RuntimeError("There are no parameters before there is a trainer.")
        return self.trainer

    def _parameters(self) -> Parameters:
        return self._present_trainer().parameters

    def _embeddings(self) -> Embeddings:
        """Return what has been trained up to now, with the words of its pretrained that the text lacks."""
        parameters = self._present_trainer().word_parameters
        return self.pretrained.merge_missing_words(Embeddings.from_training(self.vocabulary, parameters))


def _thinned(curve: Mapping[int, float]) -> list[tuple[int, float]]:
    """Return at most `CURVE_POINTS` points of a curve, evenly spaced, the first and the last among them."""
    points = list(curve.items())
    return [points[place] for place in sorted(kept_epochs(len(points), CURVE_POINTS))]

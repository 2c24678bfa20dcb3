"""One run from its configuration to its results: `execute` reads from top to bottom."""

from __future__ import annotations

import gc
import logging
import math
import traceback
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from omegaconf import DictConfig
from threadpoolctl import threadpool_limits

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.neighbours import Probe, probe
from w2v_exp.embeddings.replicates import FOLDER as REPLICATES
from w2v_exp.embeddings.word_queries import chosen_probes
from w2v_exp.errors import CorpusError, TrainingDivergedError, UserError
from w2v_exp.examples.batches import TrainingExamples
from w2v_exp.examples.counted_text import CountedText
from w2v_exp.examples.pairs import count_pairs
from w2v_exp.examples.sampling import TextPart
from w2v_exp.experiment import outputs
from w2v_exp.experiment.bootstrap import (
    RunBootstrap,
    copy_replicates,
    interval_metrics,
    resampling_of,
)
from w2v_exp.experiment.build import (
    build_initialization,
    build_trainer,
    pair_statistics,
    split_text,
    training_examples,
    word_counts,
)
from w2v_exp.experiment.descriptions import run_description
from w2v_exp.experiment.estimate import (
    MemoryEstimate,
    estimate_run,
    estimate_seconds,
    long_run_warning,
    require_fit,
    with_replicates,
    within_stop,
    workers_speed_up,
)
from w2v_exp.experiment.folders import ARTIFACTS, clear_earlier, require_free
from w2v_exp.experiment.inputs import Pretrained, RunInputs
from w2v_exp.experiment.measures import (
    RunCosts,
    RunEvaluation,
    bound_metrics,
    memory_metrics,
    neighbour_metrics,
    neighbour_table,
    probe_table,
    training_bounds,
)
from w2v_exp.experiment.record import (
    RunCheckpoints,
    RunRecord,
    begin_record,
    earlier_result,
    end_record,
    kept_epochs,
    remove_checkpoints,
)
from w2v_exp.experiment.run_info import RunInfo
from w2v_exp.experiment.slicing import Slicing
from w2v_exp.files import locked, replacing, sync_files, synced_later
from w2v_exp.machine import MEGABYTE, PeakMemory, PeakResident, available_memory
from w2v_exp.metrics import COST, CURVES, heading_of
from w2v_exp.model.parameters import Initialization
from w2v_exp.plan import Plan, make_plan
from w2v_exp.processes import interruptible, interruptions_deferred, termination_as_exception
from w2v_exp.results import RunResult, write_result
from w2v_exp.text.encoding import EncodedText
from w2v_exp.tracking.companion import Mirror
from w2v_exp.tracking.history import LOCK
from w2v_exp.tracking.model import NAME as MODEL
from w2v_exp.tracking.model import write_model
from w2v_exp.tracking.progress import training_bar
from w2v_exp.tracking.upload import NOTE, PICTURES
from w2v_exp.training.callbacks import EPOCHS, Stopping, StopRule
from w2v_exp.training.trainer import Callback, StatefulCallback, Trainer

_log = logging.getLogger(__name__)


def execute(config: DictConfig, mirror: Mirror | None = None) -> RunResult:
    """Execute the run of a configuration in its Hydra job; see `execute_run`."""
    return execute_run(RunInfo.of_current_job(config), mirror=mirror).result


def execute_run(  # noqa: PLR0912, PLR0915  (step after step)
    info: RunInfo, plan: Plan | None = None, mirror: Mirror | None = None
) -> Outcome:
    """Execute a run, or reuse an earlier one with the same result.

    However the run ends, its results up to there are kept: see `Outcome.kept`.

    Parameters
    ----------
    info : RunInfo
        Its configuration and folder.
    plan : Plan, optional
        Its checked configuration; None: made of that of `info`.
    mirror : Mirror or None
        Uploads the run's journal; without one, the run does it itself.

    Raises
    ------
    UserError
        If a single run cannot begin. In a sweep that is a result, and the other runs are executed.
    KeyboardInterrupt
        If it was interrupted.
    """
    outcome = Outcome(info, int(info.config.seed))
    with outcome.kept():
        # Inputs; or the result of an earlier run with the same inputs.
        plan = plan or make_plan(info.config)
        info.config.threads = plan.threads  # the record has the number that threads=auto stands for
        inputs = RunInputs.read(plan)
        earlier = earlier_result(plan, info, inputs, mirror)
        if earlier is None or Path(earlier.run_id).absolute() != info.folder.absolute():
            clear_earlier(info.folder)
        if earlier is not None:
            if earlier.done:
                remove_checkpoints(plan, inputs.fingerprint)
            outcome.result = earlier
            return outcome
        text, pretrained = inputs.text, inputs.pretrained
        vocabulary, words = text.vocabulary, len(text.vocabulary)
        initial = pretrained.initialization(vocabulary)
        slicing = Slicing.of(plan, text)
        training, held_out = split_text(plan, text)
        resampling = resampling_of(plan, training)

        # Memory and time, before anything is allocated. A single run that cannot be done leaves no record.
        estimate, metrics = estimate_metrics(plan, text, training, pretrained)
        if slicing:
            estimate = replace(estimate, slices=slicing.memory)
            metrics["estimated_memory_mb"] = estimate.total / MEGABYTE
            metrics["slices"] = len(slicing.slices.labels)
            _log.info(slicing.estimate())
        if estimate.total > LARGE_RUN:
            gc.collect()  # frees earlier runs of this process, which consist of cycles; takes 0.05 s
        if info.sweep is None:
            require_fit(plan, training, words, estimate, pretrained.memory)

        record, checkpoints = outcome.begin(plan, inputs, metrics, mirror)
        outputs.write_config(info, outcome.files)
        outputs.write_vocabulary(vocabulary, outcome.files)
        require_fit(plan, training, words, estimate, pretrained.memory)

        with threadpool_limits(limits=plan.threads, user_api="blas"):
            # Examples and initialization, and the peak memory of building them and of the first steps.
            resident = PeakResident()
            examples, initialization, peak_megabytes, seconds = dry_run(plan, training, words, initial)
            metrics["peak_memory_mb"] = peak_megabytes + pretrained.memory / MEGABYTE
            metrics["pairs"] = examples.pairs_per_epoch
            if seconds is not None:
                metrics["estimated_seconds"] = seconds
            if warning := long_run_warning(plan, training, words, metrics.get("estimated_seconds", 0.0)):
                _log.warning(warning)

            # The trainer, and its callbacks: each after those whose results it needs, checkpoints last.
            trainer = build_trainer(
                plan, examples, initialization, word_counts(training, words), text=training
            )
            costs = RunCosts(plan, trainer, record)
            metrics |= costs.sample(training, held_out)
            evaluation = RunEvaluation(plan, inputs.sets, trainer, outcome.embeddings, record)
            outcome.training = Training(trainer, costs, evaluation)
            stateful: dict[str, StatefulCallback] = {"costs": costs, "evaluation": evaluation}
            pairs, heading = trainer.examples.pairs_per_epoch, heading_of(costs.training_metric)
            with training_bar(info.title, trainer.epochs, pairs, heading) as bar:
                shown: list[Callback] = [record, bar] if bar else [record]
                for callback in (*shown, *costs.measured, evaluation):
                    trainer.add_callback(callback)
                if plan.stop != StopRule():
                    trainer.add_callback(Stopping(plan.stop, trainer, costs.validation_curve))
                checkpoints.attach(trainer, stateful)
                for epoch in trainer.records:  # of before an interruption
                    for callback in shown:
                        callback.on_epoch(epoch)
                records = trainer.train()
            outcome.ended_by = trainer.ended_by or EPOCHS
            record.set_tag("ended_by", outcome.ended_by)

            # Costs, and the bounds that they lie between.
            if records:
                costs.measure_last(records[-1].epoch)
                train_seconds = records[-1].train_seconds
                metrics[costs.training_metric] = records[-1].cost
                metrics["train_seconds"] = train_seconds
                metrics["pairs_per_second"] = trainer.pairs_done / train_seconds
            else:
                metrics |= costs.measure_untrained(examples.pairs)
            if outcome.ended_by != EPOCHS:
                metrics["epochs_trained"] = len(records)
            metrics |= memory_metrics(trainer, resident)
            entry = text.entry if isinstance(text, EncodedText) else None
            bounds = training_bounds(plan, entry, training, examples)
            metrics |= costs.last()
            if bounds:
                metrics |= bound_metrics(bounds, metrics[COST] if plan.costs_all_pairs else None)
                metrics |= costs.validation_bound()

            # The embeddings: scores, neighbours, pictures. Their files are written when the run ends.
            metrics |= evaluation.finish()
            metrics |= neighbour_metrics(trainer)
            record.log_table("neighbours", neighbour_table(vocabulary, trainer))
            if probe_words := chosen_probes(inputs.embedded.words) if plan.probes is None else plan.probes:
                outcome.probes = probe(outcome.embeddings().using(plan.embedding), probe_words)
                record.log_table("similar_words", probe_table(outcome.probes))
            outcome.explorer = outputs.write_explorer(plan, info.name, outcome.embeddings, outcome.files)
            if slicing:
                chosen = [each.word for each in outcome.probes]
                sliced, outcome.slices = slicing.write(
                    trainer.word_parameters, chosen, info.name, outcome.files
                )
                metrics |= sliced
            if plan.mlflow and plan.mlflow.plots:
                outputs.write_pictures(
                    plan,
                    bounds if plan.costs_all_pairs else None,
                    vocabulary,
                    trainer,
                    costs.curves(),
                    outcome.files,
                    estimated=metrics.get("cost_sample_share", 1.0) < 1.0,
                )

            # Replicates on resampled documents, and the intervals of the scores.
            if resampling:
                bootstrap = RunBootstrap(plan, resampling, inputs, initial, len(trainer.records))
                folder = checkpoints.keep_trained(trainer) or outcome.files / REPLICATES
                outcome.replicates = bootstrap.train(folder, info.title, record.log_replicate)
                metrics |= interval_metrics(outcome.replicates, metrics)
                copy_replicates(folder, outcome.files / REPLICATES)
    return outcome


LARGE_RUN = 32 * MEGABYTE


class Training(NamedTuple):
    """The trainer of a run, with the callbacks whose results are written however the run ends."""

    trainer: Trainer
    costs: RunCosts
    evaluation: RunEvaluation


class Outcome:
    """The results of a run so far.

    Parameters
    ----------
    info : RunInfo
        Name, sweep and folder of the run.
    seed : int
        Its seed.

    Attributes
    ----------
    result : RunResult
        The result, once `kept` has ended.
    files : Path
        The folder of the run's files.
    training : Training or None
        The trainer and its measurements; None before there are any.
    ended_by : str
        Reason for which training ended.
    probes : list of Probe
        The probe words.
    explorer, slices : str
        Lines on these pages.
    replicates : dict of str to list of float
        Each score in every replicate.
    error : Exception or None
        The error that ended the run, after its record has begun.
    """

    result: RunResult
    _plan: Plan
    _inputs: RunInputs
    _record: RunRecord
    _checkpoints: RunCheckpoints

    def __init__(self, info: RunInfo, seed: int) -> None:
        self.files = info.folder / ARTIFACTS
        self.training: Training | None = None
        self.ended_by = ""
        self.probes: list[Probe] = []
        self.explorer = self.slices = ""
        self.replicates: dict[str, list[float]] = {}
        self.error: Exception | None = None
        self._info = info
        self._seed = seed
        self._metrics: dict[str, float] = {}
        self._has_begun = False

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Hold the run's folder; however the block ends, write the results that there are.

        An error becomes the result's reason: after the record has begun any error, before that a user's mistake in
        a sweep. Interruptions are recorded and raised again; outside the block they are deferred.
        """
        folder = self._info.folder
        with (
            termination_as_exception(),
            interruptions_deferred(),
            synced_later(self.files),
            ExitStack() as held,
        ):
            try:
                with interruptible():
                    require_free(folder)
                    with suppress(
                        OSError
                    ):  # where files have no locks, the heartbeat shows that the run is alive
                        held.enter_context(locked(folder / LOCK))
                    yield
            except UserError as error:
                if not self._has_begun and self._info.sweep is None:
                    raise
                self.error = error
                if isinstance(error, TrainingDivergedError):
                    self._checkpoints.finish()  # a resumed run would diverge again
                self._end("FAILED", str(error))
            except KeyboardInterrupt as interruption:
                if self._has_begun:
                    self._end("KILLED", str(interruption) or "interrupted")
                raise
            except Exception as error:
                if not self._has_begun:
                    raise
                self.error = error
                self._end("FAILED", f"{type(error).__name__}: {error}")
            else:
                if self._has_begun:  # else it has the result of an earlier run
                    self._end("FINISHED")
            try:
                write_result(self.result, folder, self._info.sweep)
            except OSError as error:
                _log.warning(f"{folder}: its result cannot be written ({error.strerror or error}).")

    def begin(
        self, plan: Plan, inputs: RunInputs, metrics: dict[str, float], mirror: Mirror | None = None
    ) -> tuple[RunRecord, RunCheckpoints]:
        """Begin the record and open the checkpoints: from here on the run is recorded, however it ends.

        Parameters
        ----------
        plan, inputs : Plan, RunInputs
            Of the run.
        metrics : dict of str to float
            All metrics without an epoch; the caller adds to them.
        mirror : Mirror or None
            As in `execute`.
        """
        self._plan, self._inputs, self._metrics = plan, inputs, metrics
        self.files.mkdir(parents=True, exist_ok=True)
        with interruptions_deferred():
            self._checkpoints = RunCheckpoints(plan, inputs.fingerprint)
            try:
                self._record = begin_record(plan, self._info, inputs, self._checkpoints, self.files, mirror)
            except BaseException:
                self._checkpoints.leave()  # or this process's next runs would find them locked
                raise
            self._has_begun = True
        return self._record, self._checkpoints

    def embeddings(self) -> Embeddings:
        """Return the embeddings as trained so far, with the pretrained words that the text lacks."""
        if self.training is None:
            raise RuntimeError("There are no embeddings without a trainer.")
        vocabulary, parameters = self._inputs.text.vocabulary, self.training.trainer.word_parameters
        return self._inputs.pretrained.merge_missing_words(Embeddings.from_training(vocabulary, parameters))

    def _end(self, status: str, reason: str = "") -> None:
        """Write the files and end the record, if it has begun, and set the result."""
        reason = " ".join(reason.splitlines())
        if not self._has_begun:
            self.result = RunResult(self._info.name, self._info.swept, self._seed, status, reason)
            return
        try:
            if status == "FAILED":
                with replacing(self.files / "traceback.txt") as stream:
                    stream.write(traceback.format_exc())
            self._write_files(status)
            sync_files(self.files.iterdir())  # before the record of the run says that it has ended
        except (UserError, OSError) as error:  # such as a full disk; the record is ended all the same
            status = "FAILED" if status == "FINISHED" else status
            reason = reason or " ".join(str(error).splitlines())
        metrics = {name: float(value) for name, value in self._metrics.items() if math.isfinite(value)}
        resumable = status != "FINISHED" and self._checkpoints.can_be_resumed
        by_epoch: list[str] = []
        if self.training:
            by_epoch = self.training.evaluation.logged_by_epoch + self.training.costs.logged_by_epoch()
            if not resumable:
                self.training.costs.log_last()
        once = {name: value for name, value in metrics.items() if name not in by_epoch}
        self._record.set_tag(NOTE, self._description(status, reason, metrics))
        reason = end_record(self._record, status, reason, once, resumable=resumable) or reason
        if status == "FINISHED":
            self._checkpoints.finish()
        else:
            self._checkpoints.leave()
        curves = self.training.costs.curves() if self.training else {}
        self.result = RunResult(
            self._info.name,
            self._info.swept,
            self._seed,
            status,
            reason,
            metrics,
            {metric: _thinned(curve) for metric, curve in curves.items() if metric in CURVES},
            ended_by=self.ended_by,
            run_id=self._record.run_id,
            similar={probe.word: [word for word, _ in probe.similar] for probe in self.probes},
            explorer=self.explorer,
            slices=self.slices,
            replicates=self.replicates,
        )

    def _description(self, status: str, reason: str, metrics: Mapping[str, float]) -> str:
        """Return the description of the run in MLflow, at its end."""
        files = {file.name for file in self.files.iterdir()} if self.files.is_dir() else set()
        if PICTURES in files and self.training and self.training.trainer.records:
            files.add("cost.png")  # drawn from it by the upload
        return run_description(self._info, status, reason, metrics, files)

    def _write_files(self, status: str) -> None:
        """Write the files of all that has been trained and measured; no embeddings of a failed run."""
        if self.training is None:
            return
        trainer, costs, evaluation = self.training
        if records := trainer.records:
            outputs.write_costs(records, costs.curves(), costs.training_metric, self.files)
            self._metrics[costs.training_metric] = records[-1].cost
            self._metrics["article_cost"] = records[-1].article_cost  # NaN, so not logged, if epsilon is 0
            self._metrics |= costs.last()
        outputs.write_table("evaluation", evaluation.table(), self.files)
        outputs.write_table("similar_words", probe_table(self.probes), self.files)
        if status != "FAILED" and not self._info.is_temporary:
            outputs.write_embeddings(self.embeddings(), self._plan.embedding, self.files)
        if status == "FINISHED" and self._plan.mlflow and self._plan.mlflow.model:
            chosen = self.embeddings().using(self._plan.embedding)
            write_model(chosen, self.files / MODEL, {"fingerprint": self._inputs.fingerprint})


CURVE_POINTS = 500


def _thinned(curve: Mapping[int, float]) -> list[tuple[int, float]]:
    """Return at most `CURVE_POINTS` points of a curve, evenly spaced, with the first and the last."""
    points = list(curve.items())
    return [points[place] for place in sorted(kept_epochs(len(points), CURVE_POINTS))]


def estimate_metrics(
    plan: Plan, text: EncodedText | CountedText, training: TextPart | CountedText, pretrained: Pretrained
) -> tuple[MemoryEstimate, dict[str, float]]:
    """Return the memory estimate of a run, and the metrics that are known before anything is allocated.

    Parameters
    ----------
    plan : Plan
        The settings.
    text, training : EncodedText, TextPart or CountedText
        The text, and its training part.
    pretrained : Pretrained
        The pretrained embeddings, if any.
    """
    words = len(text.vocabulary)
    statistics = pair_statistics(plan, training, words)
    estimate = estimate_run(plan, training, words, pretrained.memory, statistics)
    metrics = {
        "estimated_memory_mb": estimate.total / MEGABYTE,
        "pairs": all_pairs(training, plan.window),
        "tokens": text.tokens,
        "vocabulary_size": words,
    } | pretrained.metrics(text.vocabulary)
    if getattr(plan.corpus, "on_error", "stop") == "skip":
        metrics |= {"skipped_files": text.skipped.files, "skipped_rows": text.skipped.rows}
    if plan.epochs:
        metrics["estimated_seconds"] = estimate_seconds(plan, statistics)
    if (block_tokens := plan.labels.block_tokens(statistics.length, plan.dim)) is not None:
        metrics["block_tokens"] = block_tokens
    if (available := available_memory()) is not None:
        metrics["memory_available_mb"] = available / MEGABYTE
    return estimate, metrics


def all_pairs(text: TextPart | CountedText, window: int) -> float:
    """Return the number of pairs in full windows, or the sum of counted ones."""
    if isinstance(text, CountedText):
        return text.counts.total
    return count_pairs(len(text.ids), window, text.segments)


DRY_STEPS = 3
SHORTEST_STEP = 0.005  # seconds; tracemalloc adds up to a fifth of a millisecond to a step
_FEW_IDS = TextPart(np.array([0, 1, 0, 1], np.int32))


class DryRun(NamedTuple):
    """The parts that a run is built from, and the memory and time of its first steps.

    Parameters
    ----------
    examples : TrainingExamples
        Its examples.
    initialization : Initialization
        Makes its parameters, the same as in the dry run.
    peak_megabytes : float
        Peak of allocated memory while examples and parameters were built, and during the first steps.
    seconds : float or None
        Training time of all epochs at the pace of the fastest of these steps. None if steps are so short that most
        of their time is that of measuring memory.
    """

    examples: TrainingExamples
    initialization: Initialization
    peak_megabytes: float
    seconds: float | None


def dry_run(
    plan: Plan,
    text: TextPart | CountedText,
    vocabulary_size: int,
    pretrained: Initialization | None = None,
) -> DryRun:
    """Build examples and initialization, and take the first steps with a trainer that is discarded.

    Measuring memory slows steps down, so training itself is not measured. `pretrained` is the initialization from
    pretrained embeddings, if any.
    """
    # Modules that are loaded on first use do not belong to this run's memory. (Sampling may drop all of so few words.)
    with suppress(CorpusError):
        _first_steps(plan, _FEW_IDS, 2, pretrained)
    with PeakMemory() as peak:
        examples, initialization, step_seconds = _first_steps(plan, text, vocabulary_size, pretrained)
    seconds = None
    if SHORTEST_STEP <= step_seconds < math.inf:
        steps = plan.epochs * examples.batches_per_epoch
        seconds = with_replicates(plan, within_stop(plan, steps * step_seconds / workers_speed_up(plan)))
    return DryRun(examples, initialization, peak.megabytes, seconds)


def _first_steps(
    plan: Plan, text: TextPart | CountedText, vocabulary_size: int, pretrained: Initialization | None
) -> tuple[TrainingExamples, Initialization, float]:
    """Return examples, initialization, and the time of the fastest of the first steps."""
    examples = training_examples(plan, text, vocabulary_size)
    initialization = build_initialization(plan, examples, text, pretrained)
    trainer = build_trainer(plan, examples, initialization, word_counts(text, vocabulary_size))
    seconds = trainer.dry_run(DRY_STEPS) if plan.epochs else 0.0
    return examples, initialization, seconds

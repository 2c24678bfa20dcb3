"""The training of a run, with all who watch it: record, bar, costs, evaluation, what ends it, checkpoints."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from w2v_exp.experiment.costs import RunCosts
from w2v_exp.experiment.evaluation import RunEvaluation
from w2v_exp.experiment.run_checkpoints import RECORD, RunCheckpoints
from w2v_exp.metrics import heading_of
from w2v_exp.plan import Plan
from w2v_exp.tracking.mlflow_run import MlflowRun
from w2v_exp.training.callbacks import EPOCHS, Stopping, StopRule
from w2v_exp.training.trainer import Callback, StatefulCallback, Trainer


def train_watched(
    trainer: Trainer,
    plan: Plan,
    title: str,
    tracked: MlflowRun | None,
    costs: RunCosts,
    evaluation: RunEvaluation,
    checkpoints: RunCheckpoints,
) -> str:
    """Train a run's trainer, from a checkpoint if there is one, and return what has ended it: see `StopRule`.

    Each callback is registered after those whose results it needs: early stopping after the costs, checkpoints last.
    """
    stateful: dict[str, StatefulCallback] = {"costs": costs, "evaluation": evaluation}
    if tracked:
        stateful[RECORD] = tracked
    with _bar(title, trainer, heading_of(costs.trained)) as bar:
        showing: list[Callback] = [callback for callback in (tracked, bar) if callback]
        for callback in (*showing, *costs.measured, evaluation):
            trainer.add_callback(callback)
        if plan.stop != StopRule():
            trainer.add_callback(Stopping(plan.stop, trainer, costs.validation_curve))
        checkpoints.attach(trainer, stateful)
        for record in trainer.records:  # before an interruption
            for callback in showing:
                callback.on_epoch(record)
        records = trainer.train()
    if records:
        costs.take_at_end(records[-1].epoch)
    ended_by = trainer.ended_by or EPOCHS
    if tracked:
        tracked.set_tag("ended_by", ended_by)
    return ended_by


@contextmanager
def _bar(title: str, trainer: Trainer, cost: str) -> Iterator[Callback | None]:
    """Give a bar, where there is a terminal to show it."""
    if not sys.stderr.isatty():
        yield None
        return
    from w2v_exp.tracking.progress import ProgressBar

    with ProgressBar(title, trainer.epochs, trainer.examples.pairs_per_epoch, cost) as bar:
        yield bar

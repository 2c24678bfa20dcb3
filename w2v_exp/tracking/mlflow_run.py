"""One run in MLflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic, time
from typing import Any

import numpy as np

from w2v_exp.tracking.heartbeat import Heartbeat
from w2v_exp.tracking.store import Store
from w2v_exp.training.observers import EpochRecord

FLUSH_SECONDS = 10.0
FLUSH_METRICS = 1000  # the most that MLflow takes in one call


class MlflowRun:
    """Writes a run to MLflow, in batches: one call for a metric costs 5 ms, a thousand in one call 0.2 s.

    Parameters
    ----------
    store : Store
        Where to.
    name : str
        The run's name.
    tags : mapping of str to str
        Its tags.
    epochs, points : int
        Of the epochs to come, at most so many are stored: evenly spaced, the first and the last among them.
    cost_metric : str
        What an epoch's cost is called: ``objective_cost`` where it is not that of the full softmax.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        tags: Mapping[str, str],
        *,
        epochs: int,
        points: int,
        cost_metric: str = "cost",
    ) -> None:
        self._store = store
        run = store.client.create_run(store.experiment_id, tags=dict(tags), run_name=name)
        self.run_id: str = run.info.run_id
        self._cost_metric = cost_metric
        self._kept_epochs = kept_epochs(epochs, points)
        self._buffer: list[Any] = []
        self._last: EpochRecord | None = None
        self._flushed_at = monotonic()
        self._heartbeat = Heartbeat(self.set_tag)

    def on_epoch(self, record: EpochRecord) -> None:
        """Take note of an epoch; write if much is waiting, or has waited for long."""
        self._last = record
        if record.epoch in self._kept_epochs:
            self._buffer_epoch(record)
        if len(self._buffer) > FLUSH_METRICS - 10 or monotonic() - self._flushed_at > FLUSH_SECONDS:
            self.flush()

    def log_params(self, params: Mapping[str, str]) -> None:
        """Write parameters; MLflow takes a hundred in one call."""
        from mlflow.entities import Param

        entries = [Param(key, value) for key, value in params.items()]
        for start in range(0, len(entries), 100):
            self._store.client.log_batch(self.run_id, params=entries[start : start + 100])

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Take note of metrics; those that have one value a run need no step."""
        from mlflow.entities import Metric

        now = int(time() * 1000)
        self._buffer += [Metric(name, float(value), now, step) for name, value in metrics.items()]

    def log_corpus(self, name: str, digest: str, source: str, profile: str) -> None:
        """Write the corpus as the run's data set."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        data = Dataset(name=name, digest=digest[:12], source_type="text", source=source, profile=profile)
        tag = InputTag("mlflow.data.context", "training")
        self._store.client.log_inputs(self.run_id, datasets=[DatasetInput(data, [tag])])

    def log_files(self, folder: Path) -> None:
        """Copy all files of a folder to the run's artifacts."""
        self._store.client.log_artifacts(self.run_id, str(folder))

    def log_table(self, name: str, columns: Mapping[str, Sequence[Any]]) -> None:
        """Write a table that the UI shows in pages."""
        self._store.client.log_table(self.run_id, dict(columns), f"{name}.json")

    def set_tag(self, key: str, value: str) -> None:
        """Write a tag."""
        self._store.client.set_tag(self.run_id, key, value)

    def flush(self) -> None:
        """Write what is waiting."""
        for start in range(0, len(self._buffer), FLUSH_METRICS):
            self._store.client.log_batch(self.run_id, metrics=self._buffer[start : start + FLUSH_METRICS])
        self._buffer.clear()
        self._flushed_at = monotonic()

    def finish(self, status: str) -> None:
        """Write what is waiting, the last epoch included, and the run's status."""
        self._heartbeat.stop()
        if self._last is not None and self._last.epoch not in self._kept_epochs:
            self._buffer_epoch(self._last)
        self.flush()
        self._store.client.set_terminated(self.run_id, status)

    def _buffer_epoch(self, record: EpochRecord) -> None:
        from mlflow.entities import Metric

        now = int(time() * 1000)
        values = {self._cost_metric: record.cost, "learning_rate": record.learning_rate}
        if record.article_cost == record.article_cost:  # NaN where there is none
            values["article_cost"] = record.article_cost
        self._buffer += [Metric(name, value, now, record.epoch) for name, value in values.items()]


def kept_epochs(epochs: int, points: int) -> set[int]:
    """Return at most `points` epochs, evenly spaced, the first and the last among them.

    >>> sorted(kept_epochs(10, 4))
    [0, 3, 6, 9]
    """
    return set(np.linspace(0, epochs - 1, min(epochs, points)).round().astype(int).tolist())

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
CONTINUED = "continued"  # the tag that says how often a run was interrupted and went on


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
    goes_on : str, optional
        The id of a run in the store that was interrupted, and goes on instead of a new one: what it has logged of a
        step is not logged again.
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
        goes_on: str | None = None,
    ) -> None:
        self._store = store
        self._logged: dict[tuple[str, int], tuple[float, int]] = {}  # value and time, by name and step
        if goes_on is None:
            run = store.client.create_run(store.experiment_id, tags=dict(tags), run_name=name)
            self.run_id: str = run.info.run_id
        else:
            self.run_id = goes_on
            self._take_up(tags)
        self._goes_on = goes_on is not None
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

    def state(self) -> dict[str, Any]:
        """Return what is to be remembered of the run, for a checkpoint: its id, and all metrics by step."""
        metrics = [[name, step, *noted] for (name, step), noted in self._logged.items()]
        return {"run_id": self.run_id, "metrics": metrics}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Log what was noted by a checkpoint, with its time, as far as it did not get into the store.

        MLflow stores a metric twice for a step if the times are not the same.
        """
        for name, step, value, timestamp in state["metrics"]:
            self._note(name, value, timestamp, step)

    def log_params(self, params: Mapping[str, str]) -> None:
        """Write parameters; MLflow takes a hundred in one call."""
        from mlflow.entities import Param

        entries = [Param(key, value) for key, value in params.items()]
        for start in range(0, len(entries), 100):
            self._store.client.log_batch(self.run_id, params=entries[start : start + 100])

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Take note of metrics; those that have one value a run need no step."""
        now = int(time() * 1000)
        for name, value in metrics.items():
            self._note(name, float(value), now, step)

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
        client, file = self._store.client, f"{name}.json"
        if self._goes_on and file in {found.path for found in client.list_artifacts(self.run_id)}:
            # To a table that is there MLflow adds rows. This one is all of it, in the form that MLflow gives tables.
            rows = [list(row) for row in zip(*columns.values(), strict=True)]
            client.log_dict(self.run_id, {"columns": list(columns), "data": rows}, file)
        else:
            client.log_table(self.run_id, dict(columns), file)

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
        values = {self._cost_metric: record.cost, "learning_rate": record.learning_rate}
        if record.article_cost == record.article_cost:  # NaN where there is none
            values["article_cost"] = record.article_cost
        self.log_metrics(values, record.epoch)

    def _note(self, name: str, value: float, timestamp: int, step: int) -> None:
        """Take note of a metric at a step, unless it is known already."""
        from mlflow.entities import Metric

        if (name, step) not in self._logged:
            self._logged[name, step] = value, timestamp
            self._buffer.append(Metric(name, value, timestamp, step))

    def _take_up(self, tags: Mapping[str, str]) -> None:
        """Go on with an interrupted run: learn what it has logged, and say that it is running."""
        from mlflow.entities import RunTag

        client = self._store.client
        interrupted = client.get_run(self.run_id)
        for name in interrupted.data.metrics:
            for metric in client.get_metric_history(self.run_id, name):
                self._logged[name, metric.step] = metric.value, metric.timestamp
        times = int(interrupted.data.tags.get(CONTINUED, 0)) + 1
        changed = {**tags, CONTINUED: str(times)}
        client.log_batch(self.run_id, tags=[RunTag(key, value) for key, value in changed.items()])
        if "reason" in interrupted.data.tags:
            client.delete_tag(self.run_id, "reason")
        client.update_run(self.run_id, status="RUNNING")


def kept_epochs(epochs: int, points: int) -> set[int]:
    """Return at most `points` epochs, evenly spaced, the first and the last among them.

    >>> sorted(kept_epochs(10, 4))
    [0, 3, 6, 9]
    """
    return set(np.linspace(0, epochs - 1, min(epochs, points)).round().astype(int).tolist())

"""One run in MLflow."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic, time
from typing import Any

import numpy as np

from w2v_exp.files import replacing
from w2v_exp.tracking.history import BEAT_SECONDS, FOLDER, HEARTBEAT
from w2v_exp.tracking.store import Store
from w2v_exp.tracking.upload import BATCH, Delivery, Pending, Taken
from w2v_exp.tracking.upload import FILE as PENDING_FILE
from w2v_exp.training.trainer import EpochRecord

FLUSH_SECONDS = 10.0
CONTINUED = "continued"  # the tag that says how often a run was interrupted and went on
TABLES = "mlflow.loggedArtifacts"  # the tag by which the UI knows tables


class MlflowRun:
    """Writes a run to MLflow, in batches: one call for a metric costs 5 ms, a thousand in one call 0.2 s.

    A store that does not answer keeps nobody waiting for more than some seconds: see `Delivery`.

    Parameters
    ----------
    store : Store
        Where to.
    name : str
        The run's name.
    tags : mapping of str to str
        Its tags.
    files : Path
        A folder in the run's own folder, whose files become artifacts at the end.
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
        files: Path,
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
        self._cost_metric = cost_metric
        self._kept_epochs = kept_epochs(epochs, points)
        self._files = files
        self._tables: list[str] = []
        self._pending = Pending(store.uri, store.experiment, self.run_id)
        self._delivery = Delivery(store.client, self._pending, files.parent)
        self._last: EpochRecord | None = None
        self._flushed_at = self._beaten_at = monotonic()

    def on_epoch(self, record: EpochRecord) -> None:
        """Take note of an epoch; write if much is waiting, or has waited for long."""
        self._last = record
        if record.epoch in self._kept_epochs:
            self._buffer_epoch(record)
        if len(self._pending.metrics) > BATCH - 10 or self._has_waited:
            self.flush()

    def on_step(self, pairs_done: float) -> None:
        """Write what has waited for long, and say that the run is alive: an epoch may take an hour."""
        if self._has_waited:
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
        from mlflow.exceptions import MlflowException

        data = Dataset(name=name, digest=digest[:12], source_type="text", source=source, profile=profile)
        used = [DatasetInput(data, [InputTag("mlflow.data.context", "training")])]
        try:
            self._store.client.log_inputs(self.run_id, datasets=used)
        except MlflowException as error:
            # Of runs that begin at the same moment with a new text, MLflow lets one make the data set, and fails the
            # others. It is there then.
            if not any(name in str(error) for name in ("IntegrityError", "UniqueViolation")):
                raise
            self._store.client.log_inputs(self.run_id, datasets=used)

    def log_table(self, name: str, columns: Mapping[str, Sequence[Any]]) -> None:
        """Make a table one of the run's files, as MLflow writes tables: the UI shows it in pages."""
        rows = [[_cell(value) for value in row] for row in zip(*columns.values(), strict=True)]
        with replacing(self._files / f"{name}.json") as stream:
            json.dump({"columns": list(columns), "data": rows}, stream)
        self._tables.append(f"{name}.json")

    def set_tag(self, key: str, value: str) -> None:
        """Take note of a tag."""
        self._pending.tags[key] = value

    def flush(self) -> None:
        """Write what is waiting, and once a minute that the run is alive."""
        if monotonic() - self._beaten_at > BEAT_SECONDS:
            self._beaten_at = monotonic()
            self.set_tag(HEARTBEAT, str(int(time())))
        if self._pending:
            self._delivery.send()
        self._flushed_at = monotonic()

    def finish(self, status: str, *, resumable: bool = False) -> str:
        """Write what is waiting, the last epoch included, the files, which move to the store, and the run's status.

        The latest epoch of a run that can be resumed is not its last one: unless it is one of the stored epochs, it is
        left out, so that the resumed run has the points of an uninterrupted one. MLflow cannot delete a point.

        Return what has kept the store from taking all of it, in a line, if anything has. What it has not taken is in
        the run's folder then.
        """
        if self._last is not None and self._last.epoch not in self._kept_epochs and not resumable:
            self._buffer_epoch(self._last)
        if self._tables:
            self.set_tag(TABLES, json.dumps([{"path": file, "type": "table"} for file in self._tables]))
        pending = self._pending
        pending.files, pending.moved = self._files.name, True
        pending.status, pending.end_time = status, int(time() * 1000)
        return self._delivery.finish()

    @property
    def uri(self) -> str:
        """The address of the store."""
        return self._store.uri

    @property
    def _has_waited(self) -> bool:
        return monotonic() - self._flushed_at > FLUSH_SECONDS

    def _buffer_epoch(self, record: EpochRecord) -> None:
        values = {self._cost_metric: record.cost, "learning_rate": record.learning_rate}
        if record.article_cost == record.article_cost:  # NaN where there is none
            values["article_cost"] = record.article_cost
        self.log_metrics(values, record.epoch)

    def _note(self, name: str, value: float, timestamp: int, step: int) -> None:
        """Take note of a metric at a step, unless it is known already."""
        if (name, step) not in self._logged:
            self._logged[name, step] = value, timestamp
            self._pending.metrics.append(Taken(name, value, timestamp, step))

    def _take_up(self, tags: Mapping[str, str]) -> None:
        """Go on with an interrupted run: learn what it has logged, and say that it is running."""
        from mlflow.entities import RunTag

        client = self._store.client
        interrupted = client.get_run(self.run_id)
        if self._deliver_pending(Path(interrupted.data.tags.get(FOLDER, ""))):
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

    def _deliver_pending(self, folder: Path) -> bool:
        """Deliver the metrics that the interrupted run could not, and forget the rest; return whether there were any.

        Delivered later (`replay`), they would be points beside the resumed run's, and the partial files and the status
        of the interrupted run would replace those of the resumed one.
        """
        try:
            pending = Pending.read(folder)
        except (OSError, ValueError):
            return False
        if pending.run_id != self.run_id:
            return False
        pending.tags, pending.params, pending.files, pending.status = {}, {}, "", ""
        pending.deliver(self._store.client, folder)
        (folder / PENDING_FILE).unlink(missing_ok=True)
        return True


def _cell(value: Any) -> Any:
    """Return a value of a table as JSON has it; numbers that are not finite are unknown."""
    plain = value.item() if hasattr(value, "item") else value
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain


def kept_epochs(epochs: int, points: int) -> set[int]:
    """Return at most `points` epochs, evenly spaced, the first and the last among them.

    >>> sorted(kept_epochs(10, 4))
    [0, 3, 6, 9]
    """
    return set(np.linspace(0, epochs - 1, min(epochs, points)).round().astype(int).tolist())

"""What a store has not been told yet of a run: kept on disk if need be, and delivered later.

Metrics keep the time at which they were taken, so to deliver one twice changes nothing: MLflow stores a metric of the
same step, time and value once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any, NamedTuple

from w2v_exp.files import replacing
from w2v_exp.tracking.artifacts import log_artifacts

if TYPE_CHECKING:
    from mlflow import MlflowClient

FILE = "pending.json"
BATCH = 1000  # metrics; the most that MLflow takes in one call
TAGS_BATCH = PARAMS_BATCH = 100
TAG = "pending"  # of a run that the store has only a part of: why


class Taken(NamedTuple):
    """A metric at the time when it was taken.

    Parameters
    ----------
    name : str
        Of the metric.
    value : float
        Its value.
    timestamp : int
        Milliseconds since 1970.
    step : int
        The epoch; 0 for what has one value a run.
    """

    name: str
    value: float
    timestamp: int
    step: int


@dataclass
class Pending:
    """What is pending of a run. What has been delivered is taken out.

    Parameters
    ----------
    uri, experiment : str
        The store, and the experiment in it.
    run_id : str
        The run; empty if it has yet to be made.
    name : str
        What to call a run that has yet to be made.
    tags : dict of str to str
        Its tags.
    params : dict of str to str
        Its parameters.
    metrics : list of Taken
        In the order in which they were taken.
    files : str
        A folder whose files are to be artifacts, seen from that of `FILE`; empty if there is none.
    moved : bool
        Whether that folder is deleted when it has been delivered.
    status : str
        How the run ended; empty while it lasts.
    start_time, end_time : int
        When a run that has yet to be made began, and when it ended, in milliseconds since 1970.
    incomplete : bool
        Whether the run has been marked in the store as one that is not whole: see `mark_incomplete`.
    """

    uri: str
    experiment: str
    run_id: str = ""
    name: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    metrics: list[Taken] = field(default_factory=list)
    files: str = ""
    moved: bool = False
    status: str = ""
    start_time: int = 0
    end_time: int = 0
    incomplete: bool = False

    def __bool__(self) -> bool:
        return bool(self.tags or self.params or self.metrics or self.files or self.status)

    def deliver(self, client: MlflowClient, folder: Path) -> None:
        """Tell the store all of it. If that raises, what has not been delivered is still here.

        Parameters
        ----------
        client : mlflow.MlflowClient
            Connected to the store.
        folder : Path
            Where `files` is.
        """
        from mlflow.entities import Metric, Param, RunTag

        if not self.run_id:
            experiment = client.get_experiment_by_name(self.experiment)
            created = client.create_run(
                experiment.experiment_id, self.start_time or None, dict(self.tags), run_name=self.name
            )
            self.run_id = created.info.run_id
            self.tags.clear()
        for params in _batches(dict(self.params), PARAMS_BATCH):
            client.log_batch(self.run_id, params=[Param(key, value) for key, value in params.items()])
            for key in params:
                del self.params[key]
        while self.metrics:  # others may be added behind while these are on their way
            batch = self.metrics[:BATCH]
            client.log_batch(self.run_id, metrics=[Metric(*metric) for metric in batch])
            del self.metrics[: len(batch)]
        for tags in _batches(dict(self.tags), TAGS_BATCH):
            client.log_batch(self.run_id, tags=[RunTag(key, value) for key, value in tags.items()])
            for key, value in tags.items():
                if self.tags.get(key) == value:  # and not another one meanwhile
                    del self.tags[key]
        if self.files:
            log_artifacts(client, self.run_id, folder / self.files)
            if self.moved:
                rmtree(folder / self.files, ignore_errors=True)
            self.files = ""
        if self.incomplete:
            client.delete_tag(self.run_id, TAG)
            self.incomplete = False
        if self.status:
            client.set_terminated(self.run_id, self.status, self.end_time)
            self.status = ""

    def mark_incomplete(self, client: MlflowClient, problem: str) -> None:
        """Say in the store that the run is over, and not whole: it counts as failed until the rest is delivered."""
        client.set_tag(self.run_id, TAG, problem)
        client.set_terminated(self.run_id, "FAILED", self.end_time)
        self.incomplete = True

    def write(self, folder: Path) -> None:
        """Keep it in a folder."""
        with replacing(folder / FILE) as stream:
            json.dump(asdict(self), stream)

    @classmethod
    def read(cls, folder: Path) -> Pending:
        """Return what is kept in a folder.

        Raises
        ------
        OSError
            If nothing is.
        ValueError
            If it is not what was written.
        """
        try:
            values: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
            metrics = [Taken(*metric) for metric in values.pop("metrics")]
            return cls(metrics=metrics, **values)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(str(error)) from error


def _batches(tags: dict[str, str], size: int) -> Iterator[dict[str, str]]:
    entries = list(tags.items())
    for start in range(0, len(entries), size):
        yield dict(entries[start : start + size])

"""A table of earlier runs, of a store or of the folders of runs: `runs`."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w2v_exp.errors import UserError, shown, suggestion
from w2v_exp.files import expanded
from w2v_exp.metrics import METRICS, described
from w2v_exp.tracking.history import SUMMARY, final_metrics, is_running, journal_result, recorded_runs
from w2v_exp.tracking.journal import FILE as JOURNAL
from w2v_exp.tracking.journal import Journal
from w2v_exp.tracking.load import OUTPUTS, is_without_store
from w2v_exp.tracking.store import configure_mlflow, open_store

if TYPE_CHECKING:
    from pandas import DataFrame  # type: ignore[import-untyped]

_log = logging.getLogger(__name__)

FIRST = ("name", "status", "started", "sweep")  # columns
OF_RUN = {"name", "status", "sweep", "study"}  # not parameters
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf|nan", re.IGNORECASE | re.ASCII)
_CONSTANTS = {"True": True, "False": False, "None": None}


@dataclass(frozen=True)
class RecordedRun:
    """A run, as the table needs it.

    Parameters
    ----------
    id : str
        In the store; without one, its folder.
    name, status : str
        As in MLflow.
    started : int
        In milliseconds since 1970.
    params, tags : mapping of str to str
        As they were logged.
    metrics : mapping of str to float
        The last value of each.
    """

    id: str
    name: str
    status: str
    started: int
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]


def runs(
    filter: str = "",
    *,
    tracking_uri: str | None = None,
    experiment: str | None = None,
    folder: os.PathLike[str] | str | None = None,
    **equal: object,
) -> DataFrame:
    """Return earlier runs, a row per run; see `w2v_exp.runs`."""
    if not isinstance(filter, str):
        raise UserError(f"filter={filter!r}: must be a filter of MLflow, such as \"params.window = '3'\".")
    if folder is None and is_without_store(tracking_uri):
        folder = OUTPUTS
    if folder is None:
        store = open_store(tracking_uri, experiment, create=False)
        try:
            found = [_of_store(run) for run in recorded_runs(store, filter)]
        except UserError as error:
            raise UserError(str(error).replace("--filter ", "filter=", 1)) from error
    else:
        place = expanded(os.fspath(folder))
        if not place.is_dir():
            raise UserError(f"folder={folder}: no such folder, seen from {Path.cwd()}.")
        found = _matching(sorted(_of_folder(place), key=lambda run: run.started), filter)
    return table(select(found, equal))


def _of_store(run: Any) -> RecordedRun:
    data, info = run.data, run.info
    name, metrics = info.run_name or "", final_metrics(data.metrics, data.tags)
    return RecordedRun(info.run_id, name, info.status, info.start_time, data.params, data.tags, metrics)


def _of_folder(folder: Path) -> Iterator[RecordedRun]:
    """Yield the runs whose journals are in a folder and below it; those that cannot be read are logged."""
    for file in folder.rglob(JOURNAL):
        place = file.parent
        try:
            journal = Journal.open(place)
            result, tags = journal_result(journal), journal.tags()
        except (OSError, ValueError) as error:
            _log.warning(f"{file}: skipped, it cannot be read ({error}).")
            continue
        if tags.get("kind") == SUMMARY:
            continue
        status = "RUNNING" if is_running(place) else result.status
        header = journal.header
        yield RecordedRun(
            str(place), result.name, status, header.started, header.params, tags, result.metrics
        )


def _matching(found: Sequence[RecordedRun], filter_string: str) -> list[RecordedRun]:
    """Return the runs of folders that match a filter, by MLflow's own parser."""
    if not filter_string:
        return [*found]
    configure_mlflow()
    from mlflow.entities import Metric, Param, Run, RunData, RunInfo, RunTag
    from mlflow.exceptions import MlflowException
    from mlflow.utils.search_utils import SearchUtils

    entities = []
    for number, run in enumerate(found):
        info = RunInfo(str(number), "", "", run.status, run.started, None, "active", run_name=run.name)
        metrics = [Metric(name, value, run.started, 0) for name, value in run.metrics.items()]
        params = [Param(name, value) for name, value in run.params.items()]
        tags = [RunTag(name, value) for name, value in run.tags.items()]
        entities.append(Run(info, RunData(metrics, params, tags)))
    try:
        matching = SearchUtils.filter(entities, filter_string)
    except MlflowException as error:
        raise UserError(f"filter={filter_string!r}: {error.message}") from error
    return [found[int(run.info.run_id)] for run in matching]


def select(found: Sequence[RecordedRun], equal: Mapping[str, object]) -> list[RecordedRun]:
    """Return the runs whose parameters have the given values.

    Parameters
    ----------
    found : sequence of RecordedRun
        The runs.
    equal : mapping of str to object
        A value, or a list of values of which one must be equal, by parameter; ``name``, ``status``, ``sweep`` and
        ``study`` are not parameters but belong to the run.

    Raises
    ------
    UserError
        If no run has such a parameter.
    """
    wanted = {key.replace("__", "."): value for key, value in equal.items()}
    known = {name for run in found for name in run.params} | OF_RUN
    for key in wanted:
        if found and key not in known:
            raise UserError(f"{shown(key, 80)}: no run has this parameter{suggestion(key, known)}")
    return [run for run in found if all(_is_equal(run, key, value) for key, value in wanted.items())]


def _is_equal(run: RecordedRun, key: str, value: object) -> bool:
    several = value if isinstance(value, (list, tuple, set, range)) else [value]
    texts = [
        run.params.get(key)
    ]  # of sweep=schedules the name of the option; below, that of the sweep itself
    if key in OF_RUN:
        texts.append({"name": run.name, "status": run.status}.get(key, run.tags.get(key)))
    known = [text for text in texts if text is not None]
    return any(text == str(each) or typed(text) == each for text in known for each in several)


def typed(text: str) -> object:
    """Return a logged value as the number or constant that it looks like, or else as it is.

    >>> typed("3"), typed("1e-4"), typed("None"), typed("adam")
    (3, 0.0001, None, 'adam')
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if len(text) > 40 or not _NUMBER.fullmatch(text):
        return text
    return int(text) if re.fullmatch(r"[+-]?\d+", text, re.ASCII) else float(text)


def table(found: Sequence[RecordedRun]) -> DataFrame:
    """Return runs as a table: see `w2v_exp.runs` for its columns."""
    import pandas as pd

    params = {run.id: {name: typed(text) for name, text in run.params.items()} for run in found}
    names = _distinct(name for run in found for name in run.params)
    differing = [name for name in names if len({run.params.get(name) for run in found}) > 1]
    same = [name for name in names if name not in set(differing)]
    metrics = sorted(_distinct(name for run in found for name in run.metrics), key=_place)
    columns: dict[str, list[Any]] = {
        "name": [run.name for run in found],
        "status": [run.status for run in found],
        "started": [pd.Timestamp(run.started, unit="ms", tz="UTC") for run in found],
        "sweep": [run.tags.get("sweep") for run in found],
    }

    def add(kind: str, name: str, values: list[Any]) -> None:
        columns[f"{kind}.{name}" if name in columns else name] = values

    for name in differing:
        add("params", name, [params[run.id].get(name) for run in found])
    for name in metrics:
        add("metrics", name, [run.metrics.get(name) for run in found])
    for name in same:
        add("params", name, [params[run.id].get(name) for run in found])
    frame = pd.DataFrame(columns, index=pd.Index([run.id for run in found], name="run"))
    return frame.infer_objects()


def _distinct(names: Iterable[str]) -> list[str]:
    return [*dict.fromkeys(names)]


def _place(metric: str) -> tuple[int, str]:
    """Return the place of a metric among the columns: that in the reference; unknown ones come last."""
    known = described(metric)
    return (METRICS.index(known) if known in METRICS else len(METRICS), metric)

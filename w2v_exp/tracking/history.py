"""Earlier runs in a store, finished, active or dead, and the summary run of a sweep."""

from __future__ import annotations

import logging
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any

from w2v_exp.errors import UserError
from w2v_exp.files import DamagedFileError, is_locked, read_checked, write_checked
from w2v_exp.metrics import CURVES
from w2v_exp.reporting.escape import code_span
from w2v_exp.runs import SWEEP_FILE, RunResult, Sweep, read_result
from w2v_exp.tracking.journal import FILE as JOURNAL
from w2v_exp.tracking.journal import End, Header, Journal, milliseconds, read_fingerprint
from w2v_exp.tracking.locations import download_artifact, list_artifacts
from w2v_exp.tracking.provenance import provenance
from w2v_exp.tracking.store import Store, experiment_id, experiment_name, open_store, store_uri
from w2v_exp.tracking.upload import Cursor, Uploader

if TYPE_CHECKING:
    from mlflow.entities import Run

_log = logging.getLogger(__name__)


SUMMARY = "summary"
NOT_ENDED = "did not end: it is still running, or its process was killed"


def recorded_runs(store: Store, filter_string: str) -> list[Run]:
    """Return the runs of the store's experiment that a filter of MLflow's finds, the oldest first.

    The summaries of sweeps are left out.

    Raises
    ------
    UserError
        If MLflow does not understand the filter.
    """
    from mlflow.exceptions import MlflowException

    runs: list[Any] = []
    token = None
    while True:
        try:
            page = store.client.search_runs(
                [store.experiment_id], filter_string, order_by=["attributes.start_time ASC"], page_token=token
            )
        except MlflowException as error:
            raise UserError(f"--filter {filter_string!r}: {error.message}") from error
        runs += [run for run in page if run.data.tags.get("kind") != SUMMARY]
        token = page.token
        if not token:
            return runs


def recorded_results(store: Store, runs: list[Run]) -> list[RunResult]:
    """Return what tables and pictures need of these runs.

    What was swept is said by the runs themselves, if they are of one sweep; otherwise it is every parameter that is
    not the same in all of them. The seed never is.
    """
    keys = _swept_keys(runs)
    return [recorded_result(store, run, {key: run.data.params.get(key, "") for key in keys}) for run in runs]


def recorded_sweep(store: Store, name: str | None = None) -> tuple[str, str]:
    """Return the name and the command of a sweep in the store's experiment: of the newest, if none is named.

    The command of one that has not ended is not known, and empty.

    Raises
    ------
    UserError
        If none is named and there is none.
    """
    summaries = store.client.search_runs(
        [store.experiment_id],
        f"tags.kind = '{SUMMARY}'",
        order_by=["attributes.start_time DESC"],
        max_results=1 if name is None else 1000,
    )
    for summary in summaries:
        if name in (None, summary.data.tags["sweep"]):
            return str(summary.data.tags["sweep"]), str(summary.data.tags.get("command", ""))
    if name is None:
        raise UserError(f"There is no finished sweep in experiment {store.experiment} of {store.uri}.")
    return name, ""


def _swept_keys(runs: list[Run]) -> list[str]:
    said = {run.data.tags.get("sweep.keys") for run in runs}
    if len(said) == 1 and (keys := said.pop()):
        return [key for key in keys.split() if key != "seed"]
    names = sorted({name for run in runs for name in run.data.params} - {"seed"})
    return [name for name in names if len({run.data.params.get(name) for run in runs}) > 1]


def recorded_result(store: Store, run: Run, swept: dict[str, str]) -> RunResult:
    """Return what the store has of a run, which in its sweep has these swept values."""
    ended = run.info.status in ("FINISHED", "FAILED", "KILLED")
    curves = {
        metric: sorted((p.step, p.value) for p in store.client.get_metric_history(run.info.run_id, metric))
        for metric in CURVES
        if metric in run.data.metrics
        and run.data.params.get("epochs") != "0"  # a cost without training is no curve
    }
    return RunResult(
        name=run.info.run_name or run.info.run_id,
        swept=swept,
        seed=int(run.data.params.get("seed", 0)),
        status=run.info.status if ended else "KILLED",
        reason=run.data.tags.get("reason", "") if ended else NOT_ENDED,
        metrics={name: value for name, value in run.data.metrics.items() if name != "learning_rate"},
        curves=curves,
        ended_by=run.data.tags.get("ended_by", ""),
        run_id=run.info.run_id,
    )


FINGERPRINT = "fingerprint"
HOST = "host"
FOLDER = "hydra_output"
HEARTBEAT = "heartbeat"
LOCK = "running.lock"  # in a run's folder, held by the process that runs it
BEAT_SECONDS = 60.0
DEAD_AFTER_SECONDS = 900.0  # without a beat; some work before and after training takes minutes


@dataclass(frozen=True)
class EarlierRuns:
    """The runs of one fingerprint in the store, each list the latest first.

    Parameters
    ----------
    finished : list of mlflow.entities.Run
        They need not be done again.
    alive : list of mlflow.entities.Run
        They are running somewhere.
    dead : list of mlflow.entities.Run
        They failed, were killed, or their process is gone.
    """

    finished: list[Run] = field(default_factory=list)
    alive: list[Run] = field(default_factory=list)
    dead: list[Run] = field(default_factory=list)


def earlier_runs(store: Store, fingerprint: str) -> EarlierRuns:
    """Look the runs of a fingerprint up in the store's experiment: one query, by a tag that the store has an index of.

    Deleted runs are not among them.
    """
    found = store.client.search_runs(
        [store.experiment_id],
        f"tags.{FINGERPRINT} = '{fingerprint}'",
        order_by=["attributes.start_time DESC"],
    )
    runs = EarlierRuns()
    for run in found:
        if run.info.status == "FINISHED":
            runs.finished.append(run)
        elif run.info.status == "RUNNING" and is_alive(run):
            runs.alive.append(run)
        else:
            runs.dead.append(run)
    return runs


def is_alive(run: Run) -> bool:
    """Return whether a run that the store has as running is: a process that was killed has told nobody.

    A run of this machine holds a lock on a file in its folder, which the system frees whatever ends it. One of
    another machine, or whose folder is not seen from here, is alive if it has beaten in the last quarter of an hour.
    """
    tags = run.data.tags
    if tags.get(HOST) == socket.gethostname():
        with suppress(OSError):  # there is no such file, or it is another user's who lets nobody read it
            return is_locked(Path(tags.get(FOLDER, "")) / LOCK)
    return time() - _last_beat(tags, run.info.start_time / 1000) < DEAD_AFTER_SECONDS


def journal_result(journal: Journal) -> RunResult:
    """Return the result of a run from its journal, with the last value of each metric."""
    header = journal.header
    metrics: dict[str, float] = {}
    curves: dict[str, list[tuple[int, float]]] = {}
    tags = journal.tags()
    end = None
    for entry in journal.entries():
        end = entry.end
        metrics |= entry.metrics
        for name in entry.metrics.keys() & set(CURVES):
            curves.setdefault(name, []).append((entry.step, entry.metrics[name]))
    metrics.pop("learning_rate", None)
    return RunResult(
        name=header.name,
        swept={
            key: header.params.get(key, "") for key in tags.get("sweep.keys", "").split() if key != "seed"
        },
        seed=int(header.params.get("seed", "0")),
        status=end.status if end else "KILLED",
        reason=tags.get("reason", "") if end else NOT_ENDED,
        metrics=metrics,
        curves={} if header.params.get("epochs") == "0" else curves,  # a cost without training is no curve
        ended_by=tags.get("ended_by", ""),
    )


def sweep_results(folder: Path, sweep: Sweep) -> list[RunResult]:
    """Return the results of the runs in a sweep's folder; of runs without a result, as far as their journals go."""
    results: list[RunResult] = []
    for name in sweep.subdirs or sorted(filter(str.isdecimal, os.listdir(folder)), key=int):  # noqa: PTH208
        if (result := read_result(folder / name, sweep)) is not None:
            results.append(result)
            continue
        with suppress(OSError, ValueError):
            journal = Journal.open(folder / name)
            if journal.tags().get("sweep") == sweep.name:
                results.append(journal_result(journal))
    return results


LOCAL_ROOTS = (Path("outputs/runs"), Path("outputs/sweeps"))


def earlier_local_runs(fingerprint: str, folder: Path) -> tuple[RunResult | None, Path | None]:
    """Look the runs of a fingerprint up in folders: those in ``outputs``, and those beside a run or its sweep.

    Parameters
    ----------
    fingerprint : str
        Of the run to come.
    folder : Path
        Its folder. The earlier run may have had the same.

    Returns
    -------
    finished : RunResult or None
        Of a finished run, the latest; its folder is its `run_id`.
    alive : Path or None
        The folder of one that is running in another process.
    """
    folder = folder.absolute()
    sweep = next((above for above in folder.parents if (above / SWEEP_FILE).exists()), folder)
    found = {
        run
        for root in {sweep.parent, *(root.absolute() for root in LOCAL_ROOTS)}
        for run in _run_folders(root)
        if read_fingerprint(run) == fingerprint
    }
    finished: RunResult | None = None
    alive: Path | None = None
    for run in sorted(found, key=_last_change):
        if run != folder and _is_locked(run):
            alive = run
        elif (result := _local_result(run)) is not None:
            finished = replace(result, run_id=os.path.relpath(run))
    return finished, alive


def _run_folders(root: Path) -> Iterator[Path]:
    """Yield the folders in a folder, and those of the runs of the sweeps among them."""
    with suppress(OSError), os.scandir(root) as listed:
        for entry in listed:
            if not entry.is_dir():
                continue
            folder = root / entry.name
            yield folder
            if (folder / SWEEP_FILE).exists():
                with suppress(UserError, OSError):
                    sweep = Sweep.read(folder)
                    yield from (folder / name for name in sweep.subdirs or os.listdir(folder))  # noqa: PTH208


def _last_change(folder: Path) -> float:
    with suppress(OSError):
        return (folder / JOURNAL).stat().st_mtime
    return 0.0


def _is_locked(folder: Path) -> bool:
    with suppress(OSError):
        return is_locked(folder / LOCK)
    return False


def _local_result(folder: Path) -> RunResult | None:
    """Return the result in a folder, if its journal ends with a finished run."""
    try:
        end = Journal.open(folder).last_end()
    except (OSError, ValueError):
        return None
    result = read_result(folder) if end and end.status == "FINISHED" else None
    return result if result is not None and result.done else None


def process_tags(folder: Path) -> dict[str, str]:
    """Return the tags by which `is_alive` knows the process that runs in this folder."""
    return {HOST: socket.gethostname(), FOLDER: str(folder.absolute()), HEARTBEAT: str(int(time()))}


def _last_beat(tags: Mapping[str, str], started: float) -> float:
    beat = tags.get(HEARTBEAT, "")
    return float(beat) if beat.isdecimal() else started


FILE = "skipped.json"


def write_skipped(skipped: Sequence[RunResult], folder: Path) -> None:
    """Write the runs that had finished before: their ids in the store, and what they are in this sweep."""
    (folder / FILE).unlink(missing_ok=True)
    if skipped:
        named = [{"run_id": run.run_id, "name": run.name, "swept": run.swept} for run in skipped]
        write_checked(folder / FILE, {"runs": named})


def skipped_results(store: Store, sweep: str) -> list[RunResult]:
    """Return the results of the runs that a sweep had no need to run, as its latest summary names them."""
    summaries = store.client.search_runs(
        [store.experiment_id],
        f"tags.kind = '{SUMMARY}' and tags.sweep = '{sweep}'",
        order_by=["attributes.start_time DESC"],
        max_results=1,
    )
    if not summaries:
        return []
    summary = summaries[0].info.run_id
    if FILE not in list_artifacts(store.client, summary):
        return []
    with tempfile.TemporaryDirectory() as folder:
        try:
            runs = read_checked(download_artifact(store.client, summary, FILE, folder))["runs"]
        except (DamagedFileError, KeyError) as error:
            _log.warning(f"{FILE} of the sweep's summary is damaged ({error}): its runs are left out.")
            return []
    return [
        replace(
            recorded_result(store, store.client.get_run(run["run_id"]), run["swept"]),
            name=run["name"],
            status="SKIPPED",
        )
        for run in runs
    ]


LONGEST_PARAM = 6000  # characters; MLflow takes no more


def log_summary(
    uri: str | None,
    experiment: str | None,
    sweep: str,
    command: str,
    keys: Sequence[str],
    table: str,
    files: Path,
    *,
    started: float,
    params: Mapping[str, str],
    metrics: Mapping[str, float],
) -> str:
    """Write a summary run: the table as its description, the files as its artifacts.

    Returns the problem in one line if MLflow could not be updated, else "". The data are kept in the sweep's folder.

    Parameters
    ----------
    uri, experiment : str, optional
        Of the store, as in the configuration.
    sweep, command : str
        The sweep's name and command line.
    keys : sequence of str
        The swept keys.
    table : str
        The comparison, in Markdown.
    files : Path
        A folder in the sweep's folder, with the comparison as CSV and its pictures.
    started : float
        When the sweep began, in seconds since 1970.
    params : mapping of str to str
        Beside the command: the swept keys with their values, the best configuration.
    metrics : mapping of str to float
        Numbers of runs, and the best values.
    """
    tags = provenance() | {
        "sweep": sweep,
        "kind": SUMMARY,
        "command": command,
        "mlflow.note.content": f"{code_span(command)}\n\n{table}",
    }
    header = Header(
        "summary: " + " × ".join(key.rpartition(".")[2] for key in keys),
        started=min(int(started * 1000), milliseconds()),
        tags=tags,
        params={key: value[:LONGEST_PARAM] for key, value in ({"command": command} | dict(params)).items()},
    )
    folder = files.parent
    journal = Journal.create(folder, header)
    journal.log_metrics(metrics)
    journal.end(End("FINISHED", files.name))
    journal.close()
    try:
        store = open_store(uri, experiment)
    except UserError as error:
        Cursor(store_uri(uri), experiment_name(experiment), experiment_id(experiment)).write(folder)
        return str(error)
    return Uploader(store.client, journal, Cursor.of(store), is_new=True).finish()

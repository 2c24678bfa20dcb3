"""Recorded runs: their results, provenance and state, in a store and in folders, and the summary run of a sweep."""

from __future__ import annotations

import logging
import math
import os
import re
import socket
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any

from w2v_exp.errors import UserError
from w2v_exp.files import DamagedFileError, is_locked, read_checked, write_checked
from w2v_exp.metrics import CURVES, REPLICATE, constant_tags, constants, is_constant
from w2v_exp.results import SWEEP_FILE, UPLOADED_FILE, RunResult, Sweep, read_result
from w2v_exp.tracking.companion import Mirror, begin_cursor
from w2v_exp.tracking.database import query_database
from w2v_exp.tracking.journal import FILE as JOURNAL
from w2v_exp.tracking.journal import End, Header, Journal, milliseconds, read_fingerprint
from w2v_exp.tracking.locations import download_artifact, list_artifacts, parse_address
from w2v_exp.tracking.store import Store, experiment_name, open_store, store_uri
from w2v_exp.tracking.upload import Cursor, Uploader
from w2v_exp.version import __version__

if TYPE_CHECKING:
    from mlflow.entities import Run

    from w2v_exp.choices import MlflowTracking

_log = logging.getLogger(__name__)


SUMMARY = "summary"
NOT_ENDED = "did not end: it is still running, or its process was killed"


def recorded_runs(store: Store, filter_string: str) -> list[Run]:
    """Return the runs of the store's experiment that match a filter of MLflow, the oldest first, without summaries.

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
    """Return the results of runs, for tables and pictures.

    The swept keys are those of the sweep, if all runs are of one; otherwise all parameters that differ between the
    runs, without the seed and the number of repeats.
    """
    keys = _swept_keys(runs)
    return [recorded_result(store, run, {key: run.data.params.get(key, "") for key in keys}) for run in runs]


def recorded_sweep(store: Store, name: str | None = None) -> tuple[str, str]:
    """Return the name and the command of a sweep in the store's experiment; without a name, of the newest.

    The command of a sweep that has not ended is empty.

    Raises
    ------
    UserError
        If there is no sweep.
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
    recorded = {run.data.tags.get("sweep.keys") for run in runs}
    if len(recorded) == 1 and (keys := recorded.pop()):
        return [key for key in keys.split() if key != "seed"]
    names = sorted({name for run in runs for name in run.data.params} - {"seed", "repeats"})
    return [name for name in names if len({run.data.params.get(name) for run in runs}) > 1]


def recorded_result(store: Store, run: Run, swept: dict[str, str]) -> RunResult:
    """Return the result of a run in the store, with its swept values."""
    ended = run.info.status in ("FINISHED", "FAILED", "KILLED")
    curves = {
        metric: sorted((p.step, p.value) for p in store.client.get_metric_history(run.info.run_id, metric))
        for metric in CURVES
        if metric in run.data.metrics
        and run.data.params.get("epochs") != "0"  # a cost without training is no curve
    }
    replicates = {
        metric: {p.step: p.value for p in store.client.get_metric_history(run.info.run_id, metric)}
        for metric in run.data.metrics
        if metric.endswith(REPLICATE)
    }
    return RunResult(
        name=run.info.run_name or run.info.run_id,
        swept=swept,
        seed=int(run.data.params.get("seed", 0)),
        status=run.info.status if ended else "KILLED",
        reason=run.data.tags.get("reason", "") if ended else NOT_ENDED,
        metrics=final_metrics(run.data.metrics, run.data.tags),
        curves=curves,
        ended_by=run.data.tags.get("ended_by", ""),
        run_id=run.info.run_id,
        replicates=_by_number(replicates),
    )


def _by_number(points: Mapping[str, Mapping[int, float]]) -> dict[str, list[float]]:
    """Return scores of replicates by the name of the score: replicate k at k − 1, NaN where it has none."""
    return {
        metric.removesuffix(REPLICATE): [found.get(number, math.nan) for number in range(1, max(found) + 1)]
        for metric, found in points.items()
    }


def final_metrics(metrics: Mapping[str, float], tags: Mapping[str, str]) -> dict[str, float]:
    """Return the results among the metrics and tags of a run: not the learning rate of the last epoch."""
    results = {**metrics, **constants(tags)}
    return {
        name: value
        for name, value in results.items()
        if name != "learning_rate" and not name.endswith(REPLICATE)
    }


PACKAGES = {"numpy": "numpy", "hydra-core": "hydra", "omegaconf": "omegaconf", "mlflow": "mlflow"}


@cache
def provenance(*, tracked: bool) -> dict[str, str]:
    """Return tags with the git commit of this code, whether its tree is dirty, and the versions of packages.

    Without tracking, MLflow is not one of them.
    """
    import platform

    tags = {
        "mlflow.source.name": "w2v_exp",
        "mlflow.source.type": "LOCAL",
        "mlflow.user": _user(),
        "version.w2v_exp": __version__,
        "version.python": platform.python_version(),
    }
    used = [package for package in PACKAGES if tracked or package != "mlflow"]
    tags |= {f"version.{package}": version for package, version in package_versions(used).items()}
    commit, *changes = _git_status() or [""]
    if commit:
        tags["mlflow.source.git.commit"] = tags["git.commit"] = commit
        tags["git.dirty"] = str(bool(changes)).lower()
    return tags


def package_versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Return the versions of the packages that affect results, as far as they are installed."""
    versions: dict[str, str] = {}
    for package in packages:
        if (module := sys.modules.get(PACKAGES[package])) and hasattr(module, "__version__"):
            versions[package] = module.__version__
            continue
        from importlib.metadata import PackageNotFoundError, version  # 12 ms

        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions


def _user() -> str:
    """Return the user's name; without one, as with ``docker run --user 12345``, the number."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # depending on the version of Python
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"


def _git_status() -> list[str]:
    """Return the commit of this code, and a line for each changed file; empty if it is not a checkout."""
    import shutil
    import subprocess

    folder = Path(__file__).resolve().parents[2]
    git = shutil.which("git")
    if git is None or not (folder / ".git").exists():
        return []
    status = [git, "-C", str(folder), "status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    done = subprocess.run(status, capture_output=True, text=True, check=False)
    found = re.search(r"^# branch\.oid ([0-9a-f]+)$", done.stdout, re.MULTILINE)
    changes = [line for line in done.stdout.splitlines() if not line.startswith("#")]
    return [found[1], *changes] if found else []


FINGERPRINT = "fingerprint"
HOST = "host"
FOLDER = "hydra_output"
HEARTBEAT = "heartbeat"
LOCK = "running.lock"  # in a run's folder, held by the process that runs it
BEAT_SECONDS = 60.0
DEAD_AFTER_SECONDS = 900.0  # without a beat; some work before and after training takes minutes


@dataclass(frozen=True)
class EarlierRuns:
    """The runs of a fingerprint in the store; each list begins with the latest.

    Parameters
    ----------
    finished : list of mlflow.entities.Run
        Their results are reused.
    alive : list of mlflow.entities.Run
        Active in some process.
    dead : list of mlflow.entities.Run
        Failed or killed, or without a process.
    """

    finished: list[Run] = field(default_factory=list)
    alive: list[Run] = field(default_factory=list)
    dead: list[Run] = field(default_factory=list)


def earlier_runs(store: Store, fingerprint: str) -> EarlierRuns:
    """Look up the runs of a fingerprint in the store's experiment, without deleted runs.

    It is one query by a tag, for which the store has an index.
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


def has_recorded_run(tracking: MlflowTracking, fingerprint: str) -> bool:
    """Return whether a store may have runs of a fingerprint: its database has, or cannot be read here."""
    database = parse_address(store_uri(tracking.uri)).database
    if database is None or not database.exists():
        return database is None
    query = (
        "SELECT 1 FROM tags JOIN runs USING (run_uuid) JOIN experiments USING (experiment_id) WHERE tags.key = :key "
        "AND tags.value = :fingerprint AND experiments.name = :experiment AND runs.lifecycle_stage = 'active' LIMIT 1"
    )
    name = experiment_name(tracking.experiment)
    found = query_database(
        database, query, {"key": FINGERPRINT, "fingerprint": fingerprint, "experiment": name}
    )
    return found is None or bool(found)


def is_alive(run: Run) -> bool:
    """Return whether a run with the status RUNNING is active: a killed process cannot change its status.

    A run of this machine holds a lock on a file in its folder; the system releases it when the process ends. A run of
    another machine, or whose folder is not found, is active if it had a heartbeat in the last 15 minutes.
    """
    tags = run.data.tags
    if tags.get(HOST) == socket.gethostname():
        with suppress(OSError):  # no such file, or it is not readable
            return is_locked(Path(tags.get(FOLDER, "")) / LOCK)
    return time() - _last_beat(tags, run.info.start_time / 1000) < DEAD_AFTER_SECONDS


def journal_result(journal: Journal) -> RunResult:
    """Return the result of a run from its journal, with the last value of each metric."""
    header = journal.header
    metrics: dict[str, float] = {}
    curves: dict[str, list[tuple[int, float]]] = {}
    replicates: dict[str, dict[int, float]] = {}
    tags = dict(header.tags)
    end = None
    for entry in journal.entries():
        end = entry.end
        tags |= entry.tags
        metrics |= entry.metrics
        for name in entry.metrics.keys() & set(CURVES):
            curves.setdefault(name, []).append((entry.step, entry.metrics[name]))
        for name in entry.metrics:
            if name.endswith(REPLICATE):
                replicates.setdefault(name, {})[entry.step] = entry.metrics[name]
    return RunResult(
        name=header.name,
        swept={
            key: header.params.get(key, "") for key in tags.get("sweep.keys", "").split() if key != "seed"
        },
        seed=int(header.params.get("seed", "0")),
        status=end.status if end else "KILLED",
        reason=tags.get("reason", "") if end else NOT_ENDED,
        metrics=final_metrics(metrics, tags),
        curves={} if header.params.get("epochs") == "0" else curves,  # a cost without training is no curve
        ended_by=tags.get("ended_by", ""),
        folder=str(journal.folder),
        replicates=_by_number(replicates),
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


def earlier_local_runs(
    fingerprint: str, folder: Path, sweep_folder: Path | None
) -> tuple[RunResult | None, Path | None]:
    """Look the runs of a fingerprint up in folders: those in ``outputs``, and those beside a run or its sweep.

    Parameters
    ----------
    fingerprint : str
        Of the run to come.
    folder : Path
        Its folder. The earlier run may have had the same.
    sweep_folder : Path, optional
        The folder of its sweep.

    Returns
    -------
    finished : RunResult or None
        Of a finished run, the latest; its folder is its `run_id`.
    alive : Path or None
        The folder of one that is running in another process.
    """
    folder = folder.absolute()
    roots = {(sweep_folder or folder).absolute().parent, *(root.absolute() for root in LOCAL_ROOTS)}
    found = {run for root in roots for run in _run_folders(root) if read_fingerprint(run) == fingerprint}
    finished: RunResult | None = None
    alive: Path | None = None
    for run in sorted(found, key=_last_change):
        if run != folder and is_running(run):
            alive = run
        elif (result := _local_result(run)) is not None:
            finished = replace(result, run_id=os.path.relpath(run))
    return finished, alive


def _run_folders(root: Path) -> Iterator[Path]:
    """Yield the folders in a folder, and those of the runs of the sweeps among them."""
    with suppress(OSError):
        for folder in root.iterdir():
            if not folder.is_dir():
                continue
            yield folder
            if (folder / SWEEP_FILE).exists():
                with suppress(UserError, OSError):
                    sweep = Sweep.read(folder)
                    yield from (folder / name for name in sweep.subdirs or os.listdir(folder))  # noqa: PTH208


def _last_change(folder: Path) -> float:
    with suppress(OSError):
        return (folder / JOURNAL).stat().st_mtime
    return 0.0


def is_running(folder: Path) -> bool:
    """Return whether a process of this machine runs the run of a folder; False if that cannot be found out."""
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
    """Return the tags by which `is_alive` finds the process that runs in a folder."""
    return {HOST: socket.gethostname(), FOLDER: str(folder.absolute()), HEARTBEAT: str(int(time()))}


def _last_beat(tags: Mapping[str, str], started: float) -> float:
    beat = tags.get(HEARTBEAT, "")
    return float(beat) if beat.isdecimal() else started


FILE = "skipped.json"


def write_skipped(skipped: Sequence[RunResult], folder: Path) -> None:
    """Write the skipped runs of a sweep: the ids of the earlier runs, with names and swept values in this sweep."""
    (folder / FILE).unlink(missing_ok=True)
    if skipped:
        named = [{"run_id": run.run_id, "name": run.name, "swept": run.swept} for run in skipped]
        write_checked(folder / FILE, {"runs": named})


def skipped_results(store: Store, sweep: str) -> list[RunResult]:
    """Return the results of the skipped runs of a sweep, as listed in its latest summary."""
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
            _log.warning(f"{FILE} of the sweep's summary is damaged ({error}); its runs are not shown.")
            return []
    return [
        replace(
            recorded_result(store, store.client.get_run(run["run_id"]), run["swept"]),
            name=run["name"],
            status="SKIPPED",
        )
        for run in runs
    ]


LONGEST_PARAM = 6000  # characters, MLflow's limit


def log_summary(
    tracking: MlflowTracking,
    sweep: str,
    command: str,
    keys: Sequence[str],
    tags: Mapping[str, str],
    files: Path,
    *,
    started: float,
    params: Mapping[str, str],
    metrics: Mapping[str, float],
    mirror: Mirror | None = None,
) -> str:
    """Write a summary run, with files as its artifacts.

    Returns the problem in one line if MLflow could not be updated, else "". The data are kept in the sweep's folder.
    A mirror reports later.

    Parameters
    ----------
    tracking : MlflowTracking
        The store.
    sweep, command : str
        The sweep's name and command line.
    keys : sequence of str
        The swept keys.
    tags : mapping of str to str
        Others of the run, such as its description.
    files : Path
        A folder in the sweep's folder, with the comparison as CSV and its pictures.
    started : float
        When the sweep began, in seconds since 1970.
    params : mapping of str to str
        Beside the command: the swept keys with their values, the best configuration.
    metrics : mapping of str to float
        Numbers of runs, and the best values.
    mirror : Mirror or None
        Uploads the run; None: this function does.
    """
    header = Header(
        "summary: " + " × ".join(key.rpartition(".")[2] for key in keys),
        started=min(int(started * 1000), milliseconds()),
        tags=provenance(tracked=True) | {"sweep": sweep, "kind": SUMMARY, "command": command},
        params={key: value[:LONGEST_PARAM] for key, value in ({"command": command} | dict(params)).items()},
    )
    folder = files.parent
    (folder / UPLOADED_FILE).unlink(missing_ok=True)  # see `companion` for the order
    journal = Journal.create(folder, header)
    journal.log_metrics({name: value for name, value in metrics.items() if not is_constant(name)})
    journal.set_tags({**constant_tags(metrics), **tags})
    journal.end(End("FINISHED", files.name))
    journal.close()
    if mirror:
        begin_cursor(tracking).write(folder)
        mirror.follow(folder)
        mirror.end(folder)
        return ""
    try:
        store = open_store(tracking.uri, tracking.experiment)
    except UserError as error:
        begin_cursor(tracking).write(folder)
        return str(error)
    return Uploader(store.client, journal, Cursor.of(store), is_new=True).finish()

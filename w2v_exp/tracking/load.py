"""Embeddings of recorded runs, and of files."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.opening import LoadOptions
from w2v_exp.embeddings.replicates import FOLDER, Replicates
from w2v_exp.errors import UserError, require_kind
from w2v_exp.files import DamagedFileError, expanded, read_checked
from w2v_exp.results import UPLOADED_FILE, RunResult
from w2v_exp.slices.embeddings import FILE as SLICES
from w2v_exp.slices.embeddings import SliceEmbeddings
from w2v_exp.tracking.database import query_database
from w2v_exp.tracking.journal import Journal
from w2v_exp.tracking.locations import download_artifact, list_artifacts, parse_address
from w2v_exp.tracking.store import connect, error_message, store_uri

if TYPE_CHECKING:
    from mlflow.entities import Run


ARCHIVE = "embeddings.npz"
LATEST = "latest"
OUTPUTS, DATABASE = "outputs", "mlflow.db"  # in the current folder
RUN_ID = re.compile(r"[0-9a-f]{32}")
BEGINNING_OF_ID = re.compile(r"[0-9a-f]{4,31}")
FINISHED = "attributes.status = 'FINISHED'"
OURS = "tags.`corpus.digest` LIKE '%'"  # runs of other programs, and summaries of sweeps, have no such tag


def load_run(run_id: str | os.PathLike[str], tracking_uri: str | None = None) -> Embeddings:
    """Return the embeddings of a run: words, counts and both matrices; see `w2v_exp.load_run`."""
    folder = _folder_of(run_id, tracking_uri)
    if archive := _file_in(folder, ARCHIVE):
        return Embeddings.load(archive)
    if isinstance(run_id, os.PathLike) or len(folder.parts) > 1:
        raise UserError(f"{folder}: there is no {ARCHIVE} in this folder, nor in artifacts/ below it.")
    return _load_stored(_id_of(os.fspath(run_id), tracking_uri), tracking_uri)[0]


def load_slices(run_id: str | os.PathLike[str], tracking_uri: str | None = None) -> SliceEmbeddings:
    """Return the embeddings of the slices of a run; see `w2v_exp.load_slices`."""
    folder = _folder_of(run_id, tracking_uri)
    if file := _file_in(folder, SLICES):
        return SliceEmbeddings.load(file)
    remedy = "Train with slices, e.g. slices=years."
    if folder.is_dir() or isinstance(run_id, os.PathLike) or len(folder.parts) > 1:
        raise UserError(
            f"{folder}: there is no {SLICES} in this folder, nor in artifacts/ below it. {remedy}"
        )
    stored = _id_of(os.fspath(run_id), tracking_uri)
    address = store_uri(tracking_uri)
    client = connect(address, create=False)
    from mlflow.exceptions import MlflowException

    try:
        if SLICES not in list_artifacts(client, stored):
            raise UserError(f"Run {stored} in {address} has no {SLICES}. {remedy}")
        with tempfile.TemporaryDirectory() as place:
            return SliceEmbeddings.load(download_artifact(client, stored, SLICES, place))
    except (MlflowException, OSError) as error:
        raise UserError(f"Run {stored} cannot be read from {address} ({error_message(error)}).") from error


def load_replicates(run_id: str | os.PathLike[str], tracking_uri: str | None = None) -> Replicates:
    """Return the replicates of a run with a bootstrap; see `w2v_exp.load_replicates`."""
    _require_run(run_id)
    found = load_embeddings(os.fspath(run_id), tracking_uri, with_replicates=True)
    if found.replicates is None:
        raise UserError(f"{run_id}: has no replicates. Train with bootstrap=50.")
    return found.replicates


def _replicates_beside(archive: Path, words: Sequence[str]) -> Replicates | None:
    """Return the replicates in the folder of a file of embeddings; None if there are none."""
    folder = archive.parent / FOLDER
    return Replicates(folder, words) if folder.is_dir() else None


def _load_stored(
    run_id: str, tracking_uri: str | None, *, with_replicates: bool = False
) -> tuple[Embeddings, Replicates | None]:
    """Return the embeddings of the run with an id, and its replicates if they are wanted and there are any."""
    address = store_uri(tracking_uri)
    client = connect(address, create=False)
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
        artifacts = list_artifacts(client, run_id)
        if ARCHIVE not in artifacts:
            raise UserError(
                f"Run {run_id} in {address} has no {ARCHIVE}: it is {run.info.status.lower()}"
                f"{', and keeps no embeddings' if run.info.status == 'FAILED' else ''}."
            )
        with tempfile.TemporaryDirectory() as folder:
            embeddings = Embeddings.load(download_artifact(client, run_id, ARCHIVE, folder))
        if not with_replicates or FOLDER not in artifacts:
            return embeddings, None
        kept = tempfile.mkdtemp()
        try:
            replicates = Replicates(download_artifact(client, run_id, FOLDER, kept), embeddings.words)
        except BaseException:
            shutil.rmtree(kept, ignore_errors=True)
            raise
        weakref.finalize(replicates, shutil.rmtree, kept, ignore_errors=True)
        return embeddings, replicates
    except (MlflowException, OSError) as error:
        raise UserError(f"Run {run_id} cannot be read from {address} ({error_message(error)}).") from error


def is_without_store(tracking_uri: str | None) -> bool:
    """Return whether no store is named or in the current folder, but there are folders of runs."""
    is_named = tracking_uri is not None or bool(os.environ.get("MLFLOW_TRACKING_URI"))
    return not is_named and not Path(DATABASE).exists() and Path(OUTPUTS).is_dir()


def _latest_folder() -> Path:
    """Return the folder of the run without tracking that ended last.

    Raises
    ------
    UserError
        If there is none.
    """
    archives = [
        file
        for runs in ("runs/*", "sweeps/*/*")
        for file in Path(OUTPUTS).glob(f"{runs}/artifacts/{ARCHIVE}")
    ]
    if not archives:
        raise UserError(
            f"There is no run with embeddings in {OUTPUTS}, and no {DATABASE}, seen from {Path.cwd()}."
        )
    return max(archives, key=lambda file: file.stat().st_mtime).parent.parent


def _require_run(run_id: object) -> None:
    """Raise `SettingError` for a value of another kind than the name of a run."""
    require_kind(
        "run_id", run_id, (str, os.PathLike), "the id or the name of a run, the folder of one, or latest"
    )


def _folder_of(run_id: str | os.PathLike[str], tracking_uri: str | None) -> Path:
    """Return the folder that `run_id` names, which may not exist; of ``latest`` without a store the latest run's."""
    _require_run(run_id)
    if run_id == LATEST and is_without_store(tracking_uri):
        return _latest_folder()
    return expanded(os.fspath(run_id))


def _file_in(folder: Path, name: str) -> Path | None:
    """Return a file in the folder of a run, or among its artifacts; None if there is none."""
    return next((file for file in (folder / name, folder / "artifacts" / name) if file.is_file()), None)


def _id_of(run: str, tracking_uri: str | None) -> str:
    """Return the id of a run in a store; see `latest_run` and `find_run`."""
    return latest_run(tracking_uri) if run == LATEST else find_run(run, tracking_uri)


def recorded_choice(run_id: str, tracking_uri: str | None = None) -> tuple[str, str]:
    """Return the name of an existing run, and its value of `embedding`: the vectors that it evaluated."""
    run = connect(store_uri(tracking_uri), create=False).get_run(run_id)
    return run.info.run_name or run_id, run.data.params.get("embedding", "input")


def find_run(run: str, tracking_uri: str | None = None) -> str:
    """Return the id of a run.

    Parameters
    ----------
    run : str
        An id, the name of only one finished run, or the beginning of only one id (four characters or more).
    tracking_uri : str, optional
        Of the store; None takes MLFLOW_TRACKING_URI, or else ``sqlite:///mlflow.db`` in the current folder.

    Raises
    ------
    UserError
        If there is no such store, or not exactly one such run in all its experiments.
    """
    if RUN_ID.fullmatch(run):
        return run
    address = store_uri(tracking_uri)
    quote = '"' if "'" in run else "'"
    found = _search(address, f"attributes.run_name = {quote}{run}{quote} and {FINISHED}")
    if not found and BEGINNING_OF_ID.fullmatch(run):
        found = _search(address, f"attributes.run_id LIKE '{run}%'")
        if len(found) > 1:
            raise UserError(f"The ids of {len(found)} runs in {address} begin with {run}; give more of it.")
    if not found:
        raise UserError(
            f"There is no finished run with the id or name {run} in {address}. List the runs: w2v-exp ui."
        )
    if len(found) > 1:
        raise UserError(
            f"{len(found)} finished runs in {address} have this name; give an id (the latest: {found[0].info.run_id})."
        )
    return str(found[0].info.run_id)


def latest_run(tracking_uri: str | None = None) -> str:
    """Return the id of the finished run that began last, of all experiments of a store.

    Raises
    ------
    UserError
        If there is none.
    """
    address = store_uri(tracking_uri)
    found = _search(address, f"{OURS} and {FINISHED}", most=1)
    if not found:
        raise UserError(f"There is no finished run in {address}.")
    return str(found[0].info.run_id)


def _search(address: str, filter_string: str, most: int = 1000) -> list[Run]:
    """Return the runs of a store that match a filter of MLflow, the one that began last first."""
    client = connect(address, create=False)
    from mlflow.exceptions import MlflowException

    try:
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        return list(
            client.search_runs(
                experiments, filter_string, order_by=["attributes.start_time DESC"], max_results=most
            )
        )
    except MlflowException as error:
        raise UserError(f"Runs cannot be looked up in {address} ({error_message(error)}).") from error


class StoredRun(NamedTuple):
    """A run in the database of a store on this machine."""

    id: str
    name: str
    embedding: str
    file: Path


IS_ACTIVE = "runs.lifecycle_stage = 'active' AND experiments.lifecycle_stage = 'active'"
IS_FINISHED = f"{IS_ACTIVE} AND status = 'FINISHED'"
IS_OURS = "EXISTS (SELECT 1 FROM tags WHERE tags.run_uuid = runs.run_uuid AND tags.key = 'corpus.digest')"


def _stored_run(source: str, address: str) -> StoredRun | None:
    """Return a run with its file of embeddings, as read from the database of a store; None if that is not certain.

    MLflow, which takes three seconds to import, then looks it up, or says what is wrong. The run is that of
    `latest_run` or `find_run`.
    """
    database = parse_address(address).database
    if database is None:
        return None
    if source == LATEST:
        conditions = [f"{IS_FINISHED} AND {IS_OURS}"]
    elif RUN_ID.fullmatch(source):
        conditions = [f"{IS_ACTIVE} AND runs.run_uuid = :run"]
    else:
        conditions = [f"{IS_FINISHED} AND runs.name = :run"]
        if BEGINNING_OF_ID.fullmatch(source):
            conditions.append(f"{IS_ACTIVE} AND runs.run_uuid LIKE :run || '%'")
    found: list[Any] | None = None
    for condition in conditions:
        query = (
            "SELECT runs.run_uuid, runs.name, artifact_uri, (SELECT value FROM params "
            "WHERE params.run_uuid = runs.run_uuid AND params.key = 'embedding') FROM runs JOIN experiments "
            f"USING (experiment_id) WHERE {condition} ORDER BY start_time DESC, runs.run_uuid LIMIT 2"
        )
        found = found or query_database(database, query, {"run": source})
    if not found or (len(found) > 1 and source != LATEST):
        return None
    identity, name, location, embedding = found[0]
    parts = urlsplit(location)
    file = Path(url2pathname(parts.path), ARCHIVE)
    if parts.scheme not in ("", "file") or not file.is_file():
        return None
    return StoredRun(identity, name or identity, embedding or "input", file)


def run_on_this_machine(result: RunResult, tracking_uri: str | None = None) -> StoredRun | None:
    """Return the run of a result with its file of embeddings, if the file is on this machine.

    It is in the run's folder, in that of the run that was reused, or in the store that has the run: the one it was
    uploaded to, unless `tracking_uri` names another one. MLflow is not imported.
    """
    for folder in (Path(result.folder), Path(result.run_id)):
        if folder.parts and (archive := _file_in(folder, ARCHIVE)):
            return StoredRun(str(folder), result.name, _recorded_in(folder)[1], archive)
    if not RUN_ID.fullmatch(result.run_id):
        return None
    return _stored_run(result.run_id, _address(result, tracking_uri))


def load_result(result: RunResult, tracking_uri: str | None = None, vectors: str | None = None) -> Embeddings:
    """Return the embeddings of the run of a result, with `vectors` as their ``input``; None: those it evaluated.

    Raises
    ------
    UserError
        If the run has none, or its store cannot be read.
    FormatError
        If the file is damaged.
    """
    if found := run_on_this_machine(result, tracking_uri):
        return Embeddings.load(found.file).using(vectors or found.embedding)
    if not RUN_ID.fullmatch(result.run_id):
        folder = result.finished_before or result.folder or result.name
        raise UserError(f"{folder}: there is no {ARCHIVE} of this run, seen from {Path.cwd()}.")
    address = _address(result, tracking_uri)
    embeddings = _load_stored(result.run_id, address)[0]
    return embeddings.using(vectors or recorded_choice(result.run_id, address)[1])


def _address(result: RunResult, tracking_uri: str | None) -> str:
    """Return the address of the store of a result's run."""
    if tracking_uri is None and result.folder:
        with suppress(OSError, DamagedFileError):
            tracking_uri = read_checked(Path(result.folder) / UPLOADED_FILE).get("uri")
    return store_uri(tracking_uri)


def _recorded_in(folder: Path) -> tuple[str, str]:
    """Return the name and the value of `embedding` of the run in a folder; else its own name and ``input``."""
    try:
        header = Journal.open(folder).header
    except (OSError, ValueError):
        return folder.resolve().name, "input"
    return header.name, header.params.get("embedding", "input")


SUFFIXES = (".npz", ".txt", ".vec", ".bin", ".gz", ".bz2", ".xz", ".zst", ".zip")


@dataclass(frozen=True)
class LoadedEmbeddings:
    """Embeddings with their origin.

    Parameters
    ----------
    embeddings : Embeddings
        With both matrices, where both were saved.
    chosen : str
        The vectors that the run evaluated, its value of `embedding`; ``input`` for a file.
    title : str
        The run's name, or the file's.
    source : str
        The run's id, or the file's path.
    replicates : Replicates, optional
        Of a run with a bootstrap.
    """

    embeddings: Embeddings
    chosen: str
    title: str
    source: str
    replicates: Replicates | None = None


def load_embeddings(
    source: str,
    tracking_uri: str | None = None,
    options: LoadOptions | None = None,
    *,
    with_replicates: bool = False,
) -> LoadedEmbeddings:
    """Return the embeddings of a run or a file.

    Parameters
    ----------
    source : str
        The path of a file of any format, or of the folder of a run without tracking; or the name or id of a run in
        MLflow (see `find_run`), or ``latest``: the finished run that began last; without a store, the run in
        ``outputs`` that ended last.
    tracking_uri : str, optional
        Of the store; None takes MLFLOW_TRACKING_URI, or else ``sqlite:///mlflow.db`` in the current folder.
    options : LoadOptions, optional
        Options for reading a file.
    with_replicates : bool
        Whether replicates are downloaded from a store on another machine; those of this one are there in any case.

    Raises
    ------
    UserError
        If there is no such file or run, or it has no embeddings; if options are given for a run in MLflow.
    FormatError
        If the file is damaged.
    """
    options = options or LoadOptions()
    if source == LATEST and options != LoadOptions():
        raise UserError(f"{source}: the options of reading hold for files, and this is a run.")
    path = _latest_folder() if source == LATEST and is_without_store(tracking_uri) else expanded(source)
    for place in (path, path / ARCHIVE, path / "artifacts" / ARCHIVE):
        if place.exists() and not place.is_dir():  # a file or a pipe
            name, chosen = _recorded_in(path) if path.is_dir() else (path.resolve().name, "input")
            embeddings = Embeddings.load(place, **asdict(options))
            replicates = None
            if place.name == ARCHIVE and options == LoadOptions():
                replicates = _replicates_beside(place, embeddings.words)
            return LoadedEmbeddings(embeddings, chosen, name, str(place), replicates)
    if path.is_dir() and len(path.parts) > 1:
        raise UserError(f"{source}: there is no {ARCHIVE} in this folder, nor in artifacts/ below it.")
    if path.suffix in SUFFIXES or len(path.parts) > 1:
        raise UserError(f"{source}: no such file, seen from {Path.cwd()}.")
    if options != LoadOptions():
        raise UserError(f"{source}: the options of reading hold for files, and this is a run in MLflow.")

    if "mlflow" not in sys.modules and (stored := _stored_run(source, store_uri(tracking_uri))):
        run_id, name, chosen, file = stored
        embeddings = Embeddings.load(file)
        replicates = _replicates_beside(file, embeddings.words)
        return LoadedEmbeddings(embeddings, chosen, name, f"run {run_id}", replicates)
    run_id = _id_of(source, tracking_uri)
    embeddings, replicates = _load_stored(run_id, tracking_uri, with_replicates=with_replicates)
    name, chosen = recorded_choice(run_id, tracking_uri)
    return LoadedEmbeddings(embeddings, chosen, name, f"run {run_id}", replicates)

"""The MLflow store: where it is, and its first use."""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from w2v_exp.errors import UserError
from w2v_exp.files import expanded
from w2v_exp.tracking.address import CONTROL, StoreAddress, parse_address, sqlite_uri
from w2v_exp.tracking.artifacts import FOLDER, default_location, require_writable_location
from w2v_exp.tracking.database import prepare_database
from w2v_exp.tracking.problems import SECRET_REMEDY, problem_of
from w2v_exp.validation import refuse_secret

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

DEFAULT_EXPERIMENT = "w2v_exp"
LONGEST_NAME = 500  # of an experiment, as in MLflow


@dataclass(frozen=True)
class Store:
    """An experiment in an MLflow store.

    Parameters
    ----------
    client : mlflow.MlflowClient
        Connected to the store.
    uri : str
        Of the store.
    experiment : str
        The experiment's name.
    experiment_id : str
        Its id.
    """

    client: MlflowClient
    uri: str
    experiment: str
    experiment_id: str


def store_uri(uri: str | None) -> str:
    """Return the address of the store: as given, or MLFLOW_TRACKING_URI, or a database in the current folder.

    That of an SQLite database is absolute.

    Raises
    ------
    UserError
        If no store can be there, or if it holds a password or token: the address is written to messages, files and
        the store itself.
    """
    address = uri or os.environ.get("MLFLOW_TRACKING_URI") or sqlite_uri(Path.cwd() / "mlflow.db")
    refuse_secret("tracking.uri", address, SECRET_REMEDY)
    return parse_address(address).uri


def open_store(uri: str | None = None, experiment: str | None = None, *, create: bool = True) -> Store:
    """Connect to the store, and make its database and the experiment if they are not there yet.

    The artifacts of an SQLite store go beside its database, into ``mlartifacts``; a server decides for itself.
    With ``create=False`` nothing is made, and what is not there is an error.

    Raises
    ------
    UserError
        If the store cannot be used, or artifacts cannot be written to the experiment's location.
    """
    address = parse_address(store_uri(uri))
    client = connect(address.uri, create=create)
    with _errors_of(address):
        found = _find_experiment(client, address, experiment)
        if found is None:
            name = experiment_name(experiment)
            if not create:
                raise UserError(f"tracking.experiment={name}: there is no such experiment in {address.uri}.")
            found = _create_experiment(client, name, address)
        if create:
            require_writable_location(address, found)
    return Store(client, address.uri, str(found.name), str(found.experiment_id))


def check_store(uri: str | None, experiment: str | None) -> None:
    """Refuse a store or an experiment that cannot be used, as far as that is known without making anything.

    A server is not called: a run does that.

    Raises
    ------
    UserError
        If they cannot be used.
    """
    address = parse_address(store_uri(uri))
    if address.database is None or not address.database.exists():
        return
    client = connect(address.uri)
    with _errors_of(address):
        if found := _find_experiment(client, address, experiment):
            require_writable_location(address, found)


def connect(uri: str, *, create: bool = True) -> MlflowClient:
    """Return a client for the store at an address. With ``create=False`` no database is made.

    Raises
    ------
    UserError
        If the store cannot be opened.
    """
    address = parse_address(uri)
    if not create and address.database and not address.database.exists():
        raise UserError(f"tracking.uri={address.uri}: there is no such database.")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # else MLflow reports its use to its makers
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # it is of files, one or two
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # `announce_store` says it
    os.environ.setdefault(
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3"
    )  # some 15 s; else a server that is away takes 4 min
    if not expanded("~").is_absolute():
        os.environ["HOME"] = str(
            Path("outputs").absolute()
        )  # MLflow cannot be imported without a home folder
    from mlflow import MlflowClient

    for chatty in ("mlflow", "alembic"):  # they report every step of making a database
        logging.getLogger(chatty).setLevel(logging.ERROR)
    # What they say of a store that is locked or away is said by `Delivery`, in a line.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    with _errors_of(address):
        prepare_database(address, create=create)
        if address.is_database and address.database is None:
            _try_to_connect(address.uri)
        return MlflowClient(tracking_uri=address.uri)


@contextmanager
def _errors_of(address: StoreAddress) -> Iterator[None]:
    """Turn errors of a store into `UserError`, whose message names its address."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except UserError:
        raise
    except MlflowException as error:
        raise UserError(f"tracking.uri={address.uri}: cannot be used ({problem_of(error)}).") from error
    except Exception as error:
        # Whatever a store is made of (SQLAlchemy, a web client, …) raises errors of its own.
        raise UserError(f"tracking.uri={address.uri}: cannot be opened ({problem_of(error)}).") from error


@cache
def _try_to_connect(uri: str) -> None:
    """Connect once to the server of a database: MLflow repeats what fails for two minutes."""
    import sqlalchemy

    try:
        sqlalchemy.create_engine(uri, poolclass=sqlalchemy.NullPool).connect().close()
    except ModuleNotFoundError as error:
        raise UserError(
            f"tracking.uri={uri}: needs the package {error.name}. Install it, or name another driver "
            "(postgresql+psycopg://…)."
        ) from None


def experiment_name(experiment: str | None) -> str:
    """Return the name of the experiment, checked: as given, or MLFLOW_EXPERIMENT_NAME, or the project's.

    Raises
    ------
    UserError
        If MLflow or its UI could not deal with it.
    """
    variable = os.environ.get("MLFLOW_EXPERIMENT_NAME")
    name = experiment if experiment is not None else variable or DEFAULT_EXPERIMENT
    key = _name_key(experiment)
    if not name.strip():
        raise UserError(f"{key}={name!r}: is empty. Give a name.")
    if len(name) > LONGEST_NAME:
        raise UserError(
            f"{key}={name[:40]}…: has {len(name):,} characters, at most {LONGEST_NAME} are allowed."
        )
    if CONTROL.search(name):
        raise UserError(f"{key}={name!r}: has control characters. Remove them.")
    return name


def _name_key(experiment: str | None) -> str:
    """Return what an experiment's name is from."""
    by_variable = experiment is None and os.environ.get("MLFLOW_EXPERIMENT_NAME")
    return "MLFLOW_EXPERIMENT_NAME" if by_variable else "tracking.experiment"


def experiment_id(experiment: str | None) -> str:
    """Return MLFLOW_EXPERIMENT_ID if that decides, because no name is given; else nothing."""
    if experiment is not None or os.environ.get("MLFLOW_EXPERIMENT_NAME"):
        return ""
    return os.environ.get("MLFLOW_EXPERIMENT_ID", "")


def _find_experiment(
    client: MlflowClient, address: StoreAddress, experiment: str | None
) -> Experiment | None:
    """Return the experiment that is asked for, if it is there.

    Raises
    ------
    UserError
        If it is deleted, or MLFLOW_EXPERIMENT_ID names none, or another one than MLFLOW_EXPERIMENT_NAME.
    """
    identity = experiment_id(experiment)
    if identity:
        found = _experiment_by_id(client, identity)
        if found is None:
            raise UserError(f"MLFLOW_EXPERIMENT_ID={identity}: there is no such experiment in {address.uri}.")
    else:
        found = client.get_experiment_by_name(experiment_name(experiment))
        also = os.environ.get("MLFLOW_EXPERIMENT_ID") if experiment is None else None
        if also and (found is None or found.experiment_id != also):
            raise UserError(
                f"MLFLOW_EXPERIMENT_ID={also}: is not the id of MLFLOW_EXPERIMENT_NAME={experiment_name(None)}. "
                "Unset one of them."
            )
    if found is not None and found.lifecycle_stage == "deleted":
        chosen = f"MLFLOW_EXPERIMENT_ID={identity}" if identity else f"{_name_key(experiment)}={found.name}"
        raise UserError(
            f"{chosen}: is deleted in {address.uri}; restore it (mlflow experiments restore -x {found.experiment_id}) "
            "or choose another name."
        )
    return found


def _experiment_by_id(client: MlflowClient, identity: str) -> Experiment | None:
    from mlflow.exceptions import MlflowException

    if identity.isdecimal() and int(identity[:20]) >= 1 << 63:  # no database has such a number
        return None
    try:
        return client.get_experiment(identity)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def _create_experiment(client: MlflowClient, name: str, address: StoreAddress) -> Experiment:
    """Return a new experiment, or the one that another process has made meanwhile."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_experiment(client.create_experiment(name, default_location(address)))
    except MlflowException:
        made = client.get_experiment_by_name(name)
        if made is None:
            raise
        return made


def browse_command(uri: str) -> str:
    """Return the command that serves the UI of this store; nothing for a store that is a server itself."""
    database = parse_address(uri).database
    if database is None:
        return ""
    if database == Path.cwd() / "mlflow.db":
        return "make ui" if Path("Makefile").exists() else "mlflow ui"
    # Of experiments that the UI makes, it serves artifacts from its folder, if not told otherwise.
    artifacts = shlex.quote(str(database.parent / FOLDER))
    return f"mlflow ui --backend-store-uri {shlex.quote(uri)} --artifacts-destination {artifacts}"


def browse_address(store: Store, run_id: str = "") -> str:
    """Return the address of the experiment, or of one of its runs, in the UI.

    MLflow 3 opens in its mode for generative AI; `workflowType` asks for the one with runs and charts.
    """
    server = store.uri if store.uri.startswith("http") else "http://127.0.0.1:5000"
    place = f"experiments/{store.experiment_id}" + (f"/runs/{run_id}" if run_id else "/runs")
    return f"{server.rstrip('/')}/#/{place}?workflowType=machine_learning"

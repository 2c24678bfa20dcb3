"""The MLflow store: where it is, and its first use."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from w2v_exp.errors import UserError
from w2v_exp.file_lock import locked
from w2v_exp.files import expanded
from w2v_exp.tracking.problems import SECRET_REMEDY, problem_of
from w2v_exp.validation import refuse_secret

if TYPE_CHECKING:
    from mlflow import MlflowClient

DEFAULT_EXPERIMENT = "w2v_exp"
SQLITE = "sqlite:///"


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

    Raises
    ------
    UserError
        If it holds a password or token: the address is written to messages, files and the store itself.
    """
    address = uri or os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}{Path.cwd() / 'mlflow.db'}"
    refuse_secret("tracking.uri", address, SECRET_REMEDY)
    return address


def experiment_name(experiment: str | None) -> str:
    """Return the experiment's name: as given, or MLFLOW_EXPERIMENT_NAME, or the project's."""
    return experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or DEFAULT_EXPERIMENT


def open_store(uri: str | None = None, experiment: str | None = None, *, create: bool = True) -> Store:
    """Connect to the store, and make its database and the experiment if they are not there yet.

    The artifacts of an SQLite store go beside its database, into ``mlartifacts``; a server decides for itself.
    With ``create=False`` nothing is made, and what is not there is an error.

    Raises
    ------
    UserError
        If the store cannot be used.
    """
    address = store_uri(uri)
    name = experiment_name(experiment)
    client = connect(address, create=create)
    from mlflow.exceptions import MlflowException

    try:
        found = client.get_experiment_by_name(name)
        if found is not None and found.lifecycle_stage == "deleted":
            raise UserError(
                f"tracking.experiment={name}: is deleted in {address}; restore it or choose another name."
            )
        if found is None and not create:
            raise UserError(f"tracking.experiment={name}: there is no such experiment in {address}.")
        identity = found.experiment_id if found else _create_experiment(client, name, address)
    except UserError:
        raise
    except MlflowException as error:
        raise UserError(f"tracking.uri={address}: cannot be used ({problem_of(error)}).") from error
    except Exception as error:
        # Whatever a store is made of (SQLAlchemy, a web client, …) raises errors of its own.
        raise UserError(f"tracking.uri={address}: cannot be opened ({problem_of(error)}).") from error
    return Store(client, address, name, identity)


def connect(address: str, *, create: bool = True) -> MlflowClient:
    """Return a client for the store at an address. With ``create=False`` no database is made.

    Raises
    ------
    UserError
        If the store cannot be opened.
    """
    if not create and address.startswith(SQLITE) and not Path(address.removeprefix(SQLITE)).exists():
        raise UserError(f"tracking.uri={address}: there is no such database.")
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
    try:
        with _one_at_a_time(address):
            return MlflowClient(tracking_uri=address)
    except Exception as error:
        # Whatever a store is made of (SQLAlchemy, a web client, …) raises errors of its own.
        raise UserError(f"tracking.uri={address}: cannot be opened ({problem_of(error)}).") from error


@contextmanager
def _one_at_a_time(address: str) -> Iterator[None]:
    """Let one process make a database while the others wait: MLflow's migrations get into each other's way.

    A database that was there before has no lock, and needs none. In a folder that cannot be written there is none.
    """
    database = Path(address.removeprefix(SQLITE))
    lock = database.with_name(f".{database.name}.lock")
    with ExitStack() as stack:
        if address.startswith(SQLITE) and (lock.exists() or not database.exists()):
            with suppress(OSError):
                database.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(locked(lock))
        yield


def _create_experiment(client: MlflowClient, name: str, address: str) -> str:
    """Return the id of a new experiment, or of the one that another process has made meanwhile."""
    from mlflow.exceptions import MlflowException

    try:
        return str(client.create_experiment(name, _artifact_location(address)))
    except MlflowException:
        made = client.get_experiment_by_name(name)
        if made is None:
            raise
        return str(made.experiment_id)


def _artifact_location(uri: str) -> str | None:
    if not uri.startswith(SQLITE):
        return None
    folder = Path(uri.removeprefix(SQLITE)).absolute().parent / "mlartifacts"
    return folder.as_uri()


def browse_command(uri: str) -> str:
    """Return the command that serves the UI of this store; nothing for a store that is a server itself."""
    if not uri.startswith(SQLITE):
        return ""
    if Path(uri.removeprefix(SQLITE)).absolute() == Path.cwd() / "mlflow.db":
        return "make ui" if Path("Makefile").exists() else "mlflow ui"
    return f"mlflow ui --backend-store-uri {uri}"


def browse_address(store: Store, run_id: str = "") -> str:
    """Return the address of the experiment, or of one of its runs, in the UI.

    MLflow 3 opens in its mode for generative AI; `workflowType` asks for the one with runs and charts.
    """
    server = store.uri if store.uri.startswith("http") else "http://127.0.0.1:5000"
    place = f"experiments/{store.experiment_id}" + (f"/runs/{run_id}" if run_id else "/runs")
    return f"{server.rstrip('/')}/#/{place}?workflowType=machine_learning"

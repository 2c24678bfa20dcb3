"""The MLflow store: where it is, and its first use."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from w2v_exp.errors import UserError

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
    """Return the address of the store: as given, or MLFLOW_TRACKING_URI, or a database in the current folder."""
    return uri or os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}{Path.cwd() / 'mlflow.db'}"


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
    name = experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or DEFAULT_EXPERIMENT
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
        identity = (
            found.experiment_id if found else client.create_experiment(name, _artifact_location(address))
        )
    except UserError:
        raise
    except MlflowException as error:
        raise UserError(f"tracking.uri={address}: cannot be used ({first_line(error)}).") from error
    except Exception as error:
        # Whatever a store is made of (SQLAlchemy, a web client, …) raises errors of its own.
        raise UserError(f"tracking.uri={address}: cannot be opened ({first_line(error)}).") from error
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
    from mlflow import MlflowClient

    for chatty in ("mlflow", "alembic"):  # they report every step of making a database
        logging.getLogger(chatty).setLevel(logging.ERROR)
    try:
        return MlflowClient(tracking_uri=address)
    except Exception as error:
        # Whatever a store is made of (SQLAlchemy, a web client, …) raises errors of its own.
        raise UserError(f"tracking.uri={address}: cannot be opened ({first_line(error)}).") from error


def _artifact_location(uri: str) -> str | None:
    if not uri.startswith(SQLITE):
        return None
    folder = Path(uri.removeprefix(SQLITE)).absolute().parent / "mlartifacts"
    return folder.as_uri()


def first_line(error: Exception) -> str:
    """Return what an error says, in one line."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


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

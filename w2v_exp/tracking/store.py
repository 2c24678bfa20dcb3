"""The MLflow store: opened, retried, and its errors as messages."""

from __future__ import annotations

import errno
import logging
import os
import re
import shlex
import sqlite3
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, TypeVar

from w2v_exp.errors import UserError, refuse_secret
from w2v_exp.files import expanded
from w2v_exp.tracking.database import prepare_database
from w2v_exp.tracking.locations import (
    CONTROL,
    StoreAddress,
    default_location,
    parse_address,
    require_writable_location,
    sqlite_uri,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment


UNAUTHENTICATED, FORBIDDEN, NOT_FOUND = 401, 403, 404
CREDENTIALS = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or ~/.mlflow/credentials"
SECRET_REMEDY = f"Remove it and use {CREDENTIALS} (for a database PGPASSWORD or ~/.pgpass)."


def error_message(error: Exception) -> str:
    """Return the message of an error in one line; an own one where that of a server is a page of HTML or a stack."""
    status = _status_of_page(error)
    if status is not None:
        return _refusal(status, str(error))
    if (reason := _reason(error)) is not None:
        return _unreachable(reason)
    return first_line(database_error(error) or error)


def database_error(error: BaseException) -> Exception | None:
    """Return the error of the database driver that caused an error; None if none did.

    SQLAlchemy has it in an attribute, and MLflow puts other lines before its message.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, sqlite3.Error):
            return cause
        driver = getattr(cause, "orig", None)
        if isinstance(driver, Exception):
            return driver
        cause = cause.__cause__
    return None


def first_line(error: Exception) -> str:
    """Return the first line of an error's message; without one, the name of its class."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def http_status(error: BaseException) -> int | None:
    """Return the HTTP status of an error, which errors of databases have in MLflow too; None without one."""
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        status = _status_of_page(error)
        return status if status is not None else int(error.get_http_status_code())
    return _status_of_upload(error)


def _status_of_page(error: BaseException) -> int | None:
    """Return the status of a response that is not MLflow's JSON: one of the password check, or of a proxy."""
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        # MLflow keeps only the text of an unknown status.
        found = re.search(r"failed with error code (\d{3}) != 200", str(error))
        return int(found[1]) if found else None
    return _status_of_upload(error)


def _status_of_upload(error: BaseException) -> int | None:
    response = getattr(error, "response", None)  # files are sent by requests itself
    return None if response is None else int(response.status_code)


def _refusal(status: int, message: str) -> str:
    if status == UNAUTHENTICATED:
        user = _user()
        if user is None:
            return f"the server requires a user and a password, which are read from {CREDENTIALS}"
        return f"the server does not accept {user} with the password given; correct {CREDENTIALS}"
    if status == FORBIDDEN and "Invalid Host header" in message:
        return "the server does not accept this host name; start it with --allowed-hosts and the name"
    if status == FORBIDDEN:
        user = _user()
        return (
            f"{f'the user {user} lacks' if user else 'you lack'} the permission EDIT; request it from the owner of the "
            "experiment or an administrator, or set another tracking.experiment"
        )
    if status == NOT_FOUND:
        return "this is not an MLflow server; correct the address"
    return f"the server responds with HTTP error {status}"


def _user() -> str | None:
    """Return the user name in MLflow's credentials; None if the name or the password is missing."""
    from mlflow.utils.credentials import read_mlflow_creds

    given = read_mlflow_creds()
    return given.username if given.username and given.password else None


def _reason(error: BaseException) -> Exception | None:
    """Return the connection error that caused an error; None if none did."""
    from requests.exceptions import ConnectionError as NoConnection
    from requests.exceptions import RetryError, Timeout

    for reason in (error, error.__cause__, error.__context__):
        if isinstance(reason, NoConnection | RetryError | Timeout):
            return reason
    return None


def _unreachable(reason: Exception) -> str:
    from requests.exceptions import SSLError

    message = str(reason)
    if isinstance(reason, SSLError):
        return (
            "its certificate is not trusted by this machine, or it uses http, not https; set "
            "MLFLOW_TRACKING_SERVER_CERT_PATH to the file of the certificate"
        )
    if found := re.search(r"too many (\d+) error responses", message):
        return _refusal(int(found[1]), message)
    if "timed out" in message.lower():
        return "the server does not respond in time"
    found = re.search(r"\[Errno -?\d+\] ([^'\")]+)", message)
    return f"no server responds: {found[1].strip()}" if found else "no server responds"


Result = TypeVar("Result")

RETRY_SECONDS = 60.0
PAUSE_SECONDS = 1.0
TRANSIENT = {429, 500, 502, 503, 504}  # HTTP statuses, which errors of databases have in MLflow too
# Not a full disk, for which MLflow reports the same HTTP status as for a lock.
SQLITE_TRANSIENT = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PROTOCOL}
PERMANENT = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.ENOENT,
    errno.ENOTDIR,
}  # of a file system


def is_transient(error: BaseException) -> bool:
    """Return whether an error may disappear by itself: that of a lock or an unavailable server, not of a full disk."""
    reported = database_error(error)
    if isinstance(reported, sqlite3.Error) and hasattr(reported, "sqlite_errorcode"):
        return reported.sqlite_errorcode & 0xFF in SQLITE_TRANSIENT
    for fault in (error, error.__cause__):
        if fault is not None and (status := http_status(fault)) is not None:
            return status in TRANSIENT
        if isinstance(fault, OSError):  # those of web clients are among them, without a number
            return fault.errno not in PERMANENT
    return False


def retry(call: Callable[[], Result], uri: str | None, seconds: float) -> Result:
    """Return the result of a call of the store; repeat it for some seconds while its error is transient.

    Raises
    ------
    UserError
        If it still fails then, or its error is permanent.
    """
    until = monotonic() + seconds
    while True:
        try:
            return call()
        except Exception as error:
            # The layers of a store (SQLAlchemy, a web client, …) raise errors of their own.
            if monotonic() >= until or not is_transient(error):
                if isinstance(error, UserError):
                    raise
                address = store_uri(uri)
                raise UserError(
                    f"tracking.uri={address}: cannot be used ({error_message(error)})."
                ) from error
            sleep(PAUSE_SECONDS)


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

    The path of an SQLite database is absolute.

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
    """Connect to the store; its database and the experiment are created if they are missing.

    The artifacts of an SQLite store are in ``mlartifacts``, beside its database; a server has its own place.
    With ``create=False`` nothing is created, and a missing database or experiment is an error.

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
            require_writable_location(address, found.name, found.artifact_location)
    return Store(client, address.uri, str(found.name), str(found.experiment_id))


def check_store(uri: str | None, experiment: str | None) -> None:
    """Refuse a store or an experiment that cannot be used, as far as that is known without creating anything.

    A server is not called; a run does that.

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
            require_writable_location(address, found.name, found.artifact_location)


def connect(uri: str, *, create: bool = True) -> MlflowClient:
    """Return a client for the store at an address. With ``create=False`` no database is created.

    Raises
    ------
    UserError
        If the store cannot be opened.
    """
    address = parse_address(uri)
    if not create and address.database and not address.database.exists():
        raise UserError(
            f"tracking.uri={address.uri}: there is no such database. Execute a run first, or name another store."
        )
    configure_mlflow()
    from mlflow import MlflowClient

    with _errors_of(address):
        prepare_database(address, create=create)
        if address.is_database and address.database is None:
            _try_to_connect(address.uri)
        return MlflowClient(tracking_uri=address.uri)


def configure_mlflow() -> None:
    """Set what MLflow reads when it is imported, and what it logs."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # no usage reports to its developers
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # it is of files, one or two
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # it is printed by `report`
    os.environ.setdefault(
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3"
    )  # about 15 s; by default an unavailable server takes 4 min
    if not expanded("~").is_absolute():
        os.environ["HOME"] = str(
            Path("outputs").absolute()
        )  # MLflow cannot be imported without a home folder
    # of tqdm, which MLflow imports, in a notebook without ipywidgets: no bar of it is shown
    warnings.filterwarnings("ignore", "IProgress not found")
    for chatty in ("mlflow", "alembic"):  # they report every step of making a database
        logging.getLogger(chatty).setLevel(logging.ERROR)
    # `Uploader` reports a store that is locked or unavailable, in one line.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)


@contextmanager
def _errors_of(address: StoreAddress) -> Iterator[None]:
    """Turn errors of a store into `UserError`, whose message names its address."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except UserError:
        raise
    except MlflowException as error:
        raise UserError(f"tracking.uri={address.uri}: cannot be used ({error_message(error)}).") from error
    except Exception as error:
        # The layers of a store (SQLAlchemy, a web client, …) raise errors of their own.
        raise UserError(f"tracking.uri={address.uri}: cannot be opened ({error_message(error)}).") from error


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
    """Return the configured experiment; None if there is none.

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
    """Return a new experiment, or the one that another process has just created."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_experiment(client.create_experiment(name, default_location(address)))
    except MlflowException:
        found = client.get_experiment_by_name(name)
        if found is None:
            raise
        return found


def browse_command(uri: str) -> str:
    """Return the command that serves the UI of this store; nothing for a store that is a server itself."""
    database = parse_address(uri).database
    if database is None:
        return ""
    if database == Path.cwd() / "mlflow.db":
        return "make ui" if Path("Makefile").exists() else "w2v-exp ui"
    return f"w2v-exp ui --uri {shlex.quote(uri)}"


def browse_address(uri: str, identity: str, run_id: str = "", view: str = "") -> str:
    """Return the address of the experiment with an id, of one of its runs, or of a view of them, in the UI.

    MLflow 3 opens in its mode for generative AI; `workflowType` asks for the one with runs and charts. Without a view,
    its table of runs has no metrics.
    """
    server = uri if uri.startswith("http") else "http://127.0.0.1:5000"
    place = f"experiments/{identity}" + (f"/runs/{run_id}" if run_id else "/runs")
    shared = f"&viewStateShareKey={view}" if view else ""
    return f"{server.rstrip('/')}/#/{place}?workflowType=machine_learning{shared}"

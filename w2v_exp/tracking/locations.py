"""Addresses of MLflow stores and artifact locations, checked before training."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from w2v_exp.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from sqlalchemy.engine import URL


SQLITE = "sqlite"
# Means the same as `sqlite:` to SQLAlchemy. It marks an address whose path is percent-encoded; besides, of a path after
# `sqlite:///` MLflow makes the folders without decoding it.
ENCODED = "sqlite+pysqlite"
SERVER_DATABASES = ("postgresql", "mysql", "mssql")
DATABRICKS = "databricks"  # with a profile (databricks://NAME) or without
FOLDER_STORE_ALLOWED = "MLFLOW_ALLOW_FILE_STORE"
CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
)  # ends of lines and halves of characters, too
FORMS = "sqlite:///FILE, http://SERVER, https://SERVER or postgresql+psycopg://HOST/DATABASE"


@dataclass(frozen=True)
class StoreAddress:
    """Address of an MLflow store, checked and independent of the current folder.

    Parameters
    ----------
    uri : str
        For MLflow and for messages.
    database : Path or None
        The absolute path of an SQLite database; None for servers and other databases.
    """

    uri: str
    database: Path | None = None

    @property
    def is_server(self) -> bool:
        """Whether an MLflow server answers at the address."""
        return self.uri.startswith(("http:", "https:"))

    @property
    def is_database(self) -> bool:
        """Whether the store is a database that this process opens itself."""
        return _scheme(self.uri).partition("+")[0] in (SQLITE, *SERVER_DATABASES)


def parse_address(address: str) -> StoreAddress:
    """Return the address of a store; relative paths start at the current folder.

    The path in a `sqlite:` address is taken literally. Where only its percent-decoded form is there, that one is
    meant: SQLAlchemy 2.1 decodes paths, earlier versions do not.

    Raises
    ------
    UserError
        If no store can be there.
    """
    if CONTROL.search(address):
        raise UserError(f"tracking.uri={address!r}: has control characters. Use {FORMS}.")
    scheme = _scheme(address)
    kind = scheme.partition("+")[0]
    if kind == SQLITE:
        return _sqlite_address(address)
    if scheme in ("http", "https"):
        return StoreAddress(_checked_server(address))
    if scheme in ("", "file") and address != DATABRICKS:
        _refuse_folder(address)
    elif kind not in (*SERVER_DATABASES, DATABRICKS) and address != DATABRICKS and not _is_plugin(scheme):
        raise UserError(f"tracking.uri={address}: {scheme}: is no kind of store. Use {FORMS}.")
    return StoreAddress(address)


# A path that every version of SQLAlchemy takes as it is: to import SQLAlchemy, which knows, takes a third of a second.
PLAIN_PATH = re.compile(r"/[A-Za-z0-9/._-]+")


def sqlite_uri(database: Path, options: Mapping[str, str | Sequence[str]] | None = None) -> str:
    """Return the address of an SQLite database, for SQLAlchemy and for MLflow.

    Raises
    ------
    UserError
        If the installed SQLAlchemy has no address for this path.
    """
    path = str(database.absolute())
    plain = f"{SQLITE}:///{path}"
    if not options and PLAIN_PATH.fullmatch(path):
        return plain
    from sqlalchemy.engine import URL, make_url

    if not options and make_url(plain) == URL.create(SQLITE, database=path):
        return plain
    url = URL.create(ENCODED, database=path, query=options or {})
    encoded = url.render_as_string()
    if make_url(encoded) != url:
        raise UserError(
            f"tracking.uri={plain}: SQLAlchemy below 2.1 cannot open a path with '?'. Use another folder."
        )
    return encoded


def _scheme(address: str) -> str:
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):", address)  # one letter is a drive of Windows
    return found[1].lower() if found else ""


def _is_plugin(scheme: str) -> bool:
    """Return whether a package extends MLflow by stores of this kind."""
    from importlib.metadata import entry_points

    return scheme in {found.name for found in entry_points(group="mlflow.tracking_store")}


def _sqlite_address(address: str) -> StoreAddress:
    path = address.removeprefix(f"{SQLITE}:///")
    if PLAIN_PATH.fullmatch(path) and not Path(path).is_dir():
        return StoreAddress(sqlite_uri(Path(path)), Path(path))
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise UserError(f"tracking.uri={address}: not an address. Use sqlite:///FILE.") from None
    if url.drivername not in (SQLITE, ENCODED):
        raise UserError(f"tracking.uri={address}: this driver is not supported. Use sqlite:///FILE.")
    if url.host or url.username:
        raise UserError(
            f"tracking.uri={address}: names a server, which SQLite lacks. Use three slashes: sqlite:///FILE."
        )
    path = url.database or ":memory:"
    if path == ":memory:" or path.startswith("file:"):
        raise UserError(
            f"tracking.uri={address}: a database in memory or by a file: address cannot be shared by processes. "
            "Use sqlite:///FILE, or tracking=none."
        )
    if path.startswith("~"):
        raise UserError(f"tracking.uri={address}: ~ is not expanded. Write {Path(path).expanduser()}.")
    literal = address.partition(":///")[2].partition("?")[0]
    if url.drivername == SQLITE and not Path(path).is_file():
        path = literal
    database = Path(path).absolute()
    if database.is_dir():
        raise UserError(f"tracking.uri={address}: is a folder. Name a file: {address.rstrip('/')}/mlflow.db.")
    _check_options(address, url)
    return StoreAddress(sqlite_uri(database, url.query), database)


def _check_options(address: str, url: URL) -> None:
    """Refuse options of a connection that SQLite does not have; without this, MLflow retries for two minutes."""
    if not url.query:
        return
    import sqlalchemy

    try:
        sqlalchemy.create_engine(url.set(database=None)).connect().close()
    except Exception as error:  # a type or a value that sqlite3 or SQLAlchemy refuses
        said = " ".join(str(error).split())
        raise UserError(f"tracking.uri={address}: its options cannot be used ({said}).") from None


def _checked_server(address: str) -> str:
    try:
        parts = urlsplit(address)
        found = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is not a number, a bracket without its end
        found = False
    if not found or any(character.isspace() for character in address):
        raise UserError(f"tracking.uri={address}: not the address of a server. Use http://HOST:PORT.")
    return address


def _refuse_folder(address: str) -> None:
    if os.environ.get(FOLDER_STORE_ALLOWED, "").lower() in ("true", "1"):
        return
    path = re.sub(r"^file:(//)?", "", address, flags=re.IGNORECASE)
    if Path(path).suffix in (".db", ".sqlite", ".sqlite3"):
        raise UserError(f"tracking.uri={address}: a path, not an address. Use sqlite:///{path}.")
    raise UserError(
        f"tracking.uri={address}: MLflow no longer keeps runs in a folder. Use {FORMS}; "
        "`mlflow migrate-filestore` copies the runs of a folder into a database."
    )


FOLDER = (
    "mlartifacts"  # beside an SQLite database; it is where `mlflow ui` in that folder serves artifacts from
)
PROXIED = "mlflow-artifacts"
# What MLflow itself makes below the folder of a command; of any other location the folder above has to be there.
MADE_BY_MLFLOW = (FOLDER, "mlruns")
PACKAGES = {
    "s3": ("boto3", "boto3"),
    "r2": ("boto3", "boto3"),
    "b2": ("boto3", "boto3"),
    "gs": ("google.cloud.storage", "google-cloud-storage"),
    "wasbs": ("azure.storage.blob", "azure-storage-blob"),
    "abfss": ("azure.storage.filedatalake", "azure-storage-file-datalake"),
    "hdfs": ("pyarrow", "pyarrow"),
    "viewfs": ("pyarrow", "pyarrow"),
    "sftp": ("pysftp", "pysftp"),
}


def default_location(address: StoreAddress) -> str | None:
    """Return the artifact location of a new experiment: beside an SQLite database; None where a server decides."""
    return (address.database.parent / FOLDER).as_uri() if address.database else None


def require_writable_location(address: StoreAddress, experiment: str, location: str) -> None:
    """Refuse an experiment whose artifacts cannot be written, as far as that is known without writing.

    Raises
    ------
    UserError
        If its location is a folder that is gone, shut or relative, or needs a server or a package that is not there.
    """
    try:
        _check(address, reachable_location(address, location))
    except UserError as error:
        raise UserError(
            f"tracking.experiment={experiment}: its artifacts cannot be stored in {location}: {error} "
            "Or set another tracking.experiment."
        ) from None


def reachable_location(address: StoreAddress, location: str) -> str:
    """Return where this process finds an artifact location.

    Of an experiment that MLflow's UI has made, the location is ``mlflow-artifacts:/N``, which only a server resolves:
    that of the UI to ``./mlartifacts/N`` in its folder, or below MLFLOW_ARTIFACTS_DESTINATION. A process that opens
    the database itself has to use the same place.

    Raises
    ------
    UserError
        If only a server can reach it.
    """
    parts = urlsplit(location)
    if parts.scheme != PROXIED or address.is_server:
        return location
    if parts.netloc:
        raise UserError(f"only the MLflow server {parts.netloc} can. Set tracking.uri to it.")
    if address.database is None:
        raise UserError("only an MLflow server of this database can. Set tracking.uri to its http address.")
    names = [name for name in parts.path.split("/") if name]
    if ".." in names:
        raise UserError("it leaves the folder of artifacts.")
    root = os.environ.get("MLFLOW_ARTIFACTS_DESTINATION") or (address.database.parent / FOLDER).as_uri()
    if not urlsplit(root).scheme:
        root = (address.database.parent / root).as_uri()
    return "/".join([root.rstrip("/"), *names])


def log_artifacts(client: MlflowClient, run_id: str, folder: Path, without: str = "") -> None:
    """Store the files of a folder as artifacts of a run, without those of a folder in it."""
    repository = _repository(client, run_id)
    if not without or not (folder / without).is_dir():
        repository.log_artifacts(str(folder))
        return
    for path in sorted(folder.iterdir()):
        if path.is_file():
            repository.log_artifact(str(path))
        elif path.name != without:
            repository.log_artifacts(str(path), path.name)


def list_artifacts(client: MlflowClient, run_id: str) -> list[str]:
    """Return the paths of a run's artifacts, those in subfolders not among them."""
    return [file.path for file in _repository(client, run_id).list_artifacts()]


def download_artifact(client: MlflowClient, run_id: str, path: str, folder: str) -> Path:
    """Copy an artifact of a run into a folder, and return its path there."""
    return Path(_repository(client, run_id).download_artifacts(path, folder))


def _repository(client: MlflowClient, run_id: str) -> Any:
    return artifact_repository(client, client.get_run(run_id).info.artifact_uri)


def artifact_repository(client: MlflowClient, location: str) -> Any:
    """Return the artifact repository at a location of the client's store."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    address = parse_address(client.tracking_uri)
    return get_artifact_repository(reachable_location(address, location), tracking_uri=client.tracking_uri)


def _check(address: StoreAddress, location: str) -> None:
    scheme = urlsplit(location).scheme
    if scheme in ("", "file"):
        _check_folder(location)
    elif scheme in PACKAGES:
        module, package = PACKAGES[scheme]
        if not _is_installed(module):
            raise UserError(f"{scheme}: needs the package {package}. Install it: pip install {package}.")
    elif not address.is_server or scheme != PROXIED:
        _check_scheme(location)


def _check_folder(location: str) -> None:
    from urllib.request import url2pathname  # with packages for HTTP and TLS

    folder = Path(url2pathname(urlsplit(location).path) if location.startswith("file:") else location)
    if not folder.is_absolute():
        raise UserError("it is relative to the folder of the command. Make it absolute.")
    above = folder.parent.parent if folder.parent.name in MADE_BY_MLFLOW else folder.parent
    if not folder.exists() and not above.is_dir():
        raise UserError(f"{above} is gone. Restore it.")
    nearest = next(place for place in (folder, *folder.parents) if place.exists())
    if not nearest.is_dir():
        raise UserError(f"{nearest} is not a folder.")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise UserError(f"{nearest} cannot be written to. Change its permissions.")


def _check_scheme(location: str) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    try:
        get_artifact_repository(location)
    except (MlflowException, ImportError) as error:
        raise UserError(f"{str(error).strip().splitlines()[0]}") from None


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of a package that a part of its path names
        return False

"""Artifacts of runs: where they are stored, checked before training; written, listed and read back."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from w2v_exp.errors import UserError
from w2v_exp.tracking.address import StoreAddress, parse_address

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

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


def require_writable_location(address: StoreAddress, experiment: Experiment) -> None:
    """Refuse an experiment whose artifacts cannot be written, as far as that is known without writing.

    Raises
    ------
    UserError
        If its location is a folder that is gone, shut or relative, or needs a server or a package that is not there.
    """
    try:
        _check(address, reachable_location(address, experiment.artifact_location))
    except UserError as error:
        raise UserError(
            f"tracking.experiment={experiment.name}: its artifacts cannot be stored in "
            f"{experiment.artifact_location}: {error} Or set another tracking.experiment."
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


def log_artifacts(client: MlflowClient, run_id: str, folder: Path) -> None:
    """Store the files of a folder as artifacts of a run."""
    _repository(client, run_id).log_artifacts(str(folder))


def list_artifacts(client: MlflowClient, run_id: str) -> list[str]:
    """Return the paths of a run's artifacts, those in subfolders not among them."""
    return [file.path for file in _repository(client, run_id).list_artifacts()]


def download_artifact(client: MlflowClient, run_id: str, path: str, folder: str) -> Path:
    """Copy an artifact of a run into a folder, and return its path there."""
    return Path(_repository(client, run_id).download_artifacts(path, folder))


def _repository(client: MlflowClient, run_id: str) -> Any:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    address = parse_address(client.tracking_uri)
    location = reachable_location(address, client.get_run(run_id).info.artifact_uri)
    return get_artifact_repository(location, tracking_uri=client.tracking_uri)


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

"""Embeddings that somebody has asked for: those of a run, or of a file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.opening import LoadOptions
from w2v_exp.errors import UserError
from w2v_exp.files import expanded

ARCHIVE = "embeddings.npz"
SUFFIXES = (".npz", ".txt", ".vec", ".bin", ".gz", ".bz2", ".xz", ".zip")


@dataclass(frozen=True)
class Saved:
    """Embeddings, and what there is to say of where they are from.

    Parameters
    ----------
    embeddings : Embeddings
        All that was kept: both matrices, where there are two.
    chosen : str
        Which vectors the run evaluated, its value of `embedding`; ``input`` for a file.
    title : str
        The run's name, or the file's.
    source : str
        The run's id, or the file's path.
    """

    embeddings: Embeddings
    chosen: str
    title: str
    source: str


def find_saved(asked: str, tracking_uri: str | None = None, options: LoadOptions | None = None) -> Saved:
    """Return the embeddings of a run or a file.

    Parameters
    ----------
    asked : str
        The path of a file of any format, or of the folder that a run without tracking has left; or what names a run in
        MLflow (see `find_run`), or ``latest``: the finished run that began last.
    tracking_uri : str, optional
        Of the store; None takes MLFLOW_TRACKING_URI, or else ``sqlite:///mlflow.db`` in the current folder.
    options : LoadOptions, optional
        How a file is read.

    Raises
    ------
    UserError
        If there is nothing of this name, or it has kept no embeddings; if options are given for a run in MLflow.
    FormatError
        If the file is damaged.
    """
    options = options or LoadOptions()
    path = expanded(asked)
    for place in (path, path / ARCHIVE, path / "artifacts" / ARCHIVE):
        if place.exists() and not place.is_dir():  # a file or a pipe
            return Saved(Embeddings.load(place, **asdict(options)), "input", path.resolve().name, str(place))
    if path.is_dir() and len(path.parts) > 1:
        raise UserError(f"{asked}: there is no {ARCHIVE} in this folder, nor in artifacts/ below it.")
    if path.suffix in SUFFIXES or len(path.parts) > 1:
        raise UserError(f"{asked}: no such file, seen from {Path.cwd()}.")
    if options != LoadOptions():
        raise UserError(f"{asked}: the options of reading hold for files, and this is a run in MLflow.")
    from w2v_exp.tracking.recorded_embeddings import (
        LATEST,
        find_run,
        latest_run,
        load_run,
        recorded_choice,
    )

    run_id = latest_run(tracking_uri) if asked == LATEST else find_run(asked, tracking_uri)
    embeddings = load_run(run_id, tracking_uri)
    name, chosen = recorded_choice(run_id, tracking_uri)
    return Saved(embeddings, chosen, name, f"run {run_id}")

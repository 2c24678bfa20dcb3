"""Words as a table for Apple's embedding-atlas: a Parquet file with positions on a map and nearest words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.similarity import directions
from w2v_exp.errors import UserError
from w2v_exp.files import replacing
from w2v_exp.reporting.projections import (
    AUTOMATIC,
    MAPPED,
    Neighbours,
    Projector,
    chosen_projection,
    map_seconds,
    nearest_directions,
    require_projection,
)

if TYPE_CHECKING:
    from pyarrow import Table

NEIGHBOURS = 15  # of each word, as embedding-atlas itself computes
OPENED_BY = "--text word --x x --y y --neighbors neighbors"


def write_atlas(path: Path | str, embeddings: Embeddings, projection: str = AUTOMATIC, seed: int = 0) -> None:
    """Write the table of some embeddings, the whole file or nothing.

    ``embedding-atlas words.parquet --text word --x x --y y --neighbors neighbors`` opens it (version 0.26). The same
    embeddings give the same bytes.

    - ``word``: any string.
    - ``count``: int64; missing if unknown.
    - ``x``, ``y``: float32, the position on the map.
    - ``neighbors``: a struct of two lists, the nearest first: ``ids``, the numbers of the rows of the 15 nearest words
      (int64), and ``distances``, 1 − cosine (float32).

    Parameters
    ----------
    path : Path or str
        The file.
    embeddings : Embeddings
        Their input vectors are compared.
    projection : str
        ``tsne``, ``umap``, ``pca``, or ``auto``: t-SNE for 200 words or more, else PCA. See `Projector`.
    seed : int
        Seed of UMAP.

    Raises
    ------
    UserError
        If the name does not end in ``.parquet``, by which embedding-atlas recognises the format, there is no such
        projection, its package is not installed, or the file cannot be written.
    """
    from pyarrow import parquet

    check_atlas(path, projection)
    try:
        with replacing(path, "wb") as stream:  # if this fails, then before the map is computed
            parquet.write_table(_table(embeddings, projection, seed), stream)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}.") from error


def check_atlas(path: Path | str, projection: str) -> None:
    """Raise the `UserError` of `write_atlas` for a wrong name or projection."""
    require_projection(projection)
    if Path(path).suffix.lower() != ".parquet":
        raise UserError(
            f"{path}: the name must end in .parquet, by which embedding-atlas recognises the format."
        )


def _table(embeddings: Embeddings, projection: str, seed: int) -> Table:
    import pyarrow as pa

    units = directions(embeddings.input)
    with threadpool_limits(1, "blas"):  # several threads may round otherwise, and t-SNE magnifies that
        projector = Projector(units, seed)
        positions = projector.positions(chosen_projection(projection, len(units)))
        near = _nearest_words(projector, units)
    ends = pa.array(np.arange(len(units) + 1) * near.ids.shape[1], pa.int32())
    distances = np.maximum(1 - near.cosines, 0)
    lists = [pa.ListArray.from_arrays(ends, pa.array(values.ravel())) for values in (near.ids, distances)]
    columns: dict[str, Any] = {"word": pa.array(embeddings.words, pa.string())}
    if embeddings.counts is not None:
        columns["count"] = pa.array(embeddings.counts)
    columns["x"], columns["y"] = (pa.array(axis) for axis in positions.T.astype(np.float32))
    columns["neighbors"] = pa.StructArray.from_arrays(lists, ["ids", "distances"])
    return pa.table(columns)


def _nearest_words(projector: Projector, units: NDArray[Any]) -> Neighbours:
    """Return the nearest words of each word, also of the rare ones that a map only places."""
    count = min(NEIGHBOURS, len(units) - 1)
    if not count:
        return Neighbours(np.zeros((1, 0), np.int64), np.zeros((1, 0), np.float32))
    if len(units) > MAPPED:
        return nearest_directions(units, units, count, same=True)
    ids, cosines = projector.near
    return Neighbours(ids[:, :count], cosines[:, :count])


def atlas_seconds(words: int, dim: int, projection: str) -> float:
    """Return the expected seconds of `write_atlas` on one core, within a factor of 2: see `map_seconds`."""
    searching = words * words * (4e-9 + 6e-11 * dim)
    mapped = map_seconds(words, dim, projection)
    return searching + mapped if words > MAPPED else max(searching, mapped)

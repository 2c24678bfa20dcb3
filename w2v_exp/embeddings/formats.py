"""Files of embeddings: the suffix names the format."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from w2v_exp.embeddings.archive import Stored, read_archive, write_archive
from w2v_exp.embeddings.word2vec_formats import binary_rows, read_binary, read_text, text_rows
from w2v_exp.errors import FormatError, UserError
from w2v_exp.files import replacing

READERS = {".txt": read_text, ".vec": read_text, ".bin": read_binary}
WRITERS = {".txt": text_rows, ".vec": text_rows, ".bin": binary_rows}


def write(path: Path, stored: Stored) -> None:
    """Write embeddings in the format that the suffix of `path` names; the whole file or nothing.

    Raises
    ------
    UserError
        If no format has this suffix, the format cannot hold what is to be kept, or the file cannot be
        written.
    """
    suffix, gzipped = _format_of(path)
    try:
        with replacing(path, "wb") as stream:
            if suffix == ".npz":
                write_archive(stream, stored)
                return
            rows = WRITERS[suffix](stored.words, stored.input)
            if not gzipped:
                stream.writelines(rows)
                return
            # without a name and a time in its header: same embeddings, same bytes
            with gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0) as compressed:
                compressed.writelines(rows)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}.") from error


def read(path: Path) -> Stored:
    """Read embeddings in the format that the suffix of `path` names.

    That the parts fit together and all numbers are finite is looked at by `Embeddings`.

    Raises
    ------
    UserError
        If no format has this suffix, or the vectors do not fit the memory that is available.
    FormatError
        If the file cannot be read or is not what its format says.
    """
    suffix, gzipped = _format_of(path)
    with _opened(path, gzipped) as stream:
        # Headers can claim anything, but the size of what follows is known: of a gzipped file by reading it.
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        if suffix == ".npz":
            return read_archive(path, stream, size)
        words, vectors = READERS[suffix](path, stream, size)
        return Stored(words, None, vectors, None)


@contextmanager
def _opened(path: Path, gzipped: bool) -> Iterator[io.BufferedReader]:
    try:
        with path.open("rb") as plain:
            if not gzipped:
                yield plain
                return
            with gzip.GzipFile(fileobj=plain) as decompressed:
                # reads of a single byte are slow in Python's own layer
                yield io.BufferedReader(decompressed)
    except EOFError as error:
        raise FormatError(f"{path} ends in the middle of its compressed data: it is truncated.") from error
    except (OSError, zlib.error) as error:
        raise FormatError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error


def _format_of(path: Path) -> tuple[str, bool]:
    """Return the suffix that names the format, and whether the file is gzipped."""
    gzipped = path.suffix.lower() == ".gz"
    suffix = (path.with_suffix("") if gzipped else path).suffix.lower()
    if suffix in READERS or (suffix == ".npz" and not gzipped):
        return suffix, gzipped
    raise UserError(
        f"{path}: the suffix must name a format: .npz (keeps everything), .txt or .vec (word2vec's text) or "
        ".bin (word2vec's binary), the last three also with .gz."
    )

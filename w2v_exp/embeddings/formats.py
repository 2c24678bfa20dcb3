"""Files of embeddings: written in the format that the suffix names, read in the one that the content shows."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from w2v_exp.embeddings.archive import Stored, read_archive, write_archive
from w2v_exp.embeddings.word2vec_formats import (
    HEADER,
    binary_rows,
    is_binary,
    read_binary,
    read_text,
    text_rows,
)
from w2v_exp.errors import FormatError, UserError
from w2v_exp.files import replacing

SAMPLE = 1 << 16  # bytes that a format is known by
GZIP, ZIP, PICKLE = b"\x1f\x8b", b"PK", b"\x80"
LARGEST_RATIO = 1032  # of what gzip (deflate) unpacks to what is packed

Reader = Callable[[Path, io.BufferedReader, int], Any]
WRITERS = {".txt": text_rows, ".vec": text_rows, ".bin": binary_rows}


def write(path: Path, stored: Stored) -> None:
    """Write embeddings in the format that the suffix of `path` names; the whole file or nothing.

    Raises
    ------
    UserError
        If no format has this suffix, the format cannot hold what is to be kept, or the file cannot be
        written.
    """
    suffix = _format_of(path)
    if suffix == ".npz":
        with _replaced(path) as stream:
            write_archive(stream, stored)
    else:
        write_lines(path, WRITERS[suffix](stored.words, stored.input))


def write_lines(path: Path, lines: Iterable[bytes]) -> None:
    """Write a file of bytes, gzipped if its name ends in ``.gz``; the whole file or nothing.

    Raises
    ------
    UserError
        If it cannot be written.
    """
    with _replaced(path) as stream:
        if not _is_gzip(path):
            stream.writelines(lines)
            return
        # without a name and a time in its header: same embeddings, same bytes
        with gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0) as compressed:
            compressed.writelines(lines)


@contextmanager
def _replaced(path: Path) -> Iterator[IO[bytes]]:
    try:
        with replacing(path, "wb") as stream:
            yield stream
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}.") from error


def read(path: Path) -> Stored:
    """Read embeddings in the format that their content shows; see `recognised`.

    That the parts fit together and all numbers are finite is looked at by `Embeddings`.

    Raises
    ------
    UserError
        If the vectors do not fit the memory that is available.
    FormatError
        If the file cannot be read, or is not of a format or not what its format says.
    """
    with _opened(path) as (stream, size):
        reader = recognised(path, stream)
        stream.seek(0)
        if reader is read_archive:
            return read_archive(path, stream, size)
        words, vectors = reader(path, stream, size)
        return Stored(words, None, vectors, None)


def recognised(path: Path, stream: io.BufferedReader) -> Reader:
    """Return the reader for what a stream begins with.

    Word2vec's formats have the same first line. The numbers of the first word tell them apart; where they are
    neither (a damaged file), the suffix does.

    Raises
    ------
    FormatError
        If it is a pickle: reading one can run any code.
    """
    beginning = stream.read(SAMPLE)
    if beginning.startswith(PICKLE):
        raise FormatError(
            f"{path} is a Python pickle, as gensim's save() writes, or NumPy's for objects. It is not read, because "
            "it could run any code; write the file with save_word2vec_format() instead."
        )
    suffix = _suffix(path)
    if beginning.startswith(ZIP):
        if isinstance(stream.raw, gzip.GzipFile):
            raise FormatError(f"{path} is a NumPy archive inside gzip, which saves no room: gunzip it first.")
        return read_archive
    header, _, rest = beginning.partition(b"\n")
    dimensions = header.split()[-1:]
    if not HEADER.fullmatch(header + b"\n"):
        return read_archive if suffix == ".npz" else read_text  # which say what should be there
    return read_binary if is_binary(rest, int(dimensions[0]), expected=suffix == ".bin") else read_text


@contextmanager
def _opened(path: Path) -> Iterator[tuple[io.BufferedReader, int]]:
    """Open a file, uncompressed on the way if it is gzipped, and tell how many bytes there are at most.

    Headers can claim anything, but not more than that. A gzipped file is not read for it.
    """
    try:
        with path.open("rb") as plain:
            size = plain.seek(0, os.SEEK_END)
            plain.seek(0)
            gzipped = plain.peek(len(GZIP)).startswith(GZIP)
            if not gzipped:
                yield plain, size
                return
            with gzip.GzipFile(fileobj=plain) as decompressed:
                # reads of a single byte are slow in Python's own layer
                yield io.BufferedReader(decompressed, SAMPLE), size * LARGEST_RATIO
    except EOFError as error:
        raise FormatError(f"{path} ends in the middle of its compressed data: it is truncated.") from error
    except (OSError, zlib.error) as error:
        raise FormatError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error


def _is_gzip(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


def _suffix(path: Path) -> str:
    """Return the suffix that names a format, that of ``.gz`` left out."""
    return (path.with_suffix("") if _is_gzip(path) else path).suffix.lower()


def _format_of(path: Path) -> str:
    """Return the suffix that names the format to write."""
    suffix = _suffix(path)
    if suffix in WRITERS or (suffix == ".npz" and not _is_gzip(path)):
        return suffix
    raise UserError(
        f"{path}: the suffix must name a format: .npz (keeps everything), .txt or .vec (word2vec's text) or "
        ".bin (word2vec's binary), the last three also with .gz."
    )

"""Files of embeddings: written in the format that the suffix names, read in the one that the content shows."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from w2v_exp.embeddings.archive import Stored, read_archive, write_archive
from w2v_exp.embeddings.loading import LoadOptions
from w2v_exp.embeddings.opening import opened
from w2v_exp.embeddings.word2vec_formats import (
    binary_rows,
    is_binary,
    is_word2vec,
    read_binary,
    read_text,
    text_rows,
)
from w2v_exp.errors import FormatError, UserError
from w2v_exp.files import replacing

PICKLE = b"\x80"
COMPRESSED = (".gz", ".bz2", ".xz", ".zip")
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


def read(path: Path, options: LoadOptions) -> Stored:
    """Read embeddings in the format that their content shows, whatever the file is called.

    Word2vec's formats have the same first line. The numbers of the first word tell them apart; where they are
    neither (a damaged file), the suffix does. That the parts fit together and all numbers are finite is checked by
    `Embeddings`.

    Raises
    ------
    UserError
        If the vectors do not fit the memory that is available.
    FormatError
        If the file cannot be read, or is not of a format or not what its format says; or if it is a pickle: reading
        one can run any code.
    """
    with opened(path) as content:
        if content.archive:
            return read_archive(path, content.archive, content.size or 0, options.limit)
        suffix = _suffix(path)
        if content.beginning.startswith(PICKLE):
            raise FormatError(
                f"{path} is a Python pickle, as gensim's save() writes, or NumPy's for objects. It is not read, "
                "because it could run any code; write the file with save_word2vec_format() instead."
            )
        if suffix == ".npz" and not is_word2vec(content.beginning):
            raise FormatError(f"{path} is not a NumPy archive (.npz), or is truncated.")
        binary = is_binary(content.beginning, expected=suffix == ".bin")
        words, vectors = (read_binary if binary else read_text)(path, content, options)
        return Stored(words, None, vectors, None)


def _is_gzip(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


def _suffix(path: Path) -> str:
    """Return the suffix that names a format, that of a compression left out."""
    return (path.with_suffix("") if path.suffix.lower() in COMPRESSED else path).suffix.lower()


def _format_of(path: Path) -> str:
    """Return the suffix that names the format to write."""
    suffix = (path.with_suffix("") if _is_gzip(path) else path).suffix.lower()
    if suffix in WRITERS or (suffix == ".npz" and not _is_gzip(path)):
        return suffix
    raise UserError(
        f"{path}: the suffix must name a format: .npz (keeps everything), .txt or .vec (word2vec's text) or "
        ".bin (word2vec's binary), the last three also with .gz."
    )

"""Formats of embedding files: the archive `.npz`, and which format a file has by its content."""

from __future__ import annotations

import gzip
import json
import math
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from w2v_exp.embeddings.opening import LoadOptions, opened, reason_of
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
from w2v_exp.machine import require_memory

FORMAT_VERSION = 1
READ_AT_ONCE = 1 << 16  # bytes


class StoredEmbeddings(NamedTuple):
    """What a file of embeddings holds; None stands for what its format does not keep. See `Embeddings`."""

    words: list[str]
    counts: NDArray[np.int64] | None
    input: NDArray[Any]
    output: NDArray[Any] | None


def write_archive(stream: IO[bytes], stored: StoredEmbeddings) -> None:
    """Write an archive of these arrays, little-endian and uncompressed.

    - ``format_version``: 1.
    - ``words``: uint8, the UTF-8 text of a JSON list of strings. NumPy's own arrays of strings would lose
      NULs at the end of a word, and give each word the room of the longest one.
    - ``counts``: int64, shape (V,); missing where unknown.
    - ``input``: float32 or float64, shape (V, dim).
    - ``output``: likewise; missing where unknown.
    """
    arrays = {
        "format_version": np.array(FORMAT_VERSION, "<i8"),
        "words": np.frombuffer(json.dumps(stored.words, ensure_ascii=False).encode(), np.uint8),
    }
    for name, array in (("counts", stored.counts), ("input", stored.input), ("output", stored.output)):
        if array is not None:
            arrays[name] = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    np.savez(stream, allow_pickle=False, **arrays)


def read_archive(
    path: Path, archive: zipfile.ZipFile, size: int, limit: int | None = None
) -> StoredEmbeddings:
    """Read an open archive of `size` bytes, or the first `limit` rows of it.

    Raises
    ------
    FormatError
        If it is not a whole archive of ours. What an array claims to be is checked against the size of the
        file before anything is allocated.
    NotEnoughMemoryError
        If what is read is larger than the memory that is available.
    """
    if limit is None:
        require_memory(size, f"{path}, which is read as a whole,", "Read fewer words with limit=….")
    version = _array(path, archive, "format_version", size)
    if version is None or version.shape != () or version.dtype.kind != "i" or version != FORMAT_VERSION:
        found = "no format_version" if version is None else f"format_version={version}"
        raise FormatError(
            f"{path} has {found}; this w2v_exp reads embeddings of format_version={FORMAT_VERSION}. "
            "Save them again with the w2v_exp that wrote them, as .txt or .bin."
        )
    encoded = _array(path, archive, "words", size)
    counts, centres, contexts = (
        _array(path, archive, name, size, limit) for name in ("counts", "input", "output")
    )
    if encoded is None or centres is None:
        raise FormatError(f"{path} has no array {'words' if encoded is None else 'input'}.")
    return StoredEmbeddings(_decoded(path, encoded)[:limit], counts, centres, contexts)


def _array(
    path: Path, archive: zipfile.ZipFile, name: str, size: int, limit: int | None = None
) -> NDArray[Any] | None:
    """Return an array of the archive in the byte order of this machine, or None if it is not there.

    With a limit only its first rows are read; the checksum, which is that of all its bytes, is not checked then.
    """
    member = f"{name}.npy"
    members = archive.namelist().count(member)
    if not members:
        return None
    information = archive.getinfo(member)
    if members > 1:
        raise FormatError(f"{path}: the archive has {members} arrays {name}, and must have one.")
    if information.compress_type != zipfile.ZIP_STORED or information.file_size > size:
        raise FormatError(f"{path}: the array {name} is compressed, or said to be larger than the file.")
    with _reported(f"{path}: the array {name} is damaged"), archive.open(information) as stream:
        version = npy.read_magic(stream)
        if version != (1, 0):
            raise FormatError(
                f"{path}: the array {name} is in version {version} of NumPy's format, not (1, 0)."
            )
        shape, is_fortran, dtype = npy.read_array_header_1_0(stream)
        if dtype.hasobject:
            raise FormatError(f"{path}: the array {name} has pickled objects in it, which are never read.")
        claimed = stream.tell() + math.prod(shape) * dtype.itemsize
        if claimed != information.file_size or not dtype.itemsize:
            raise FormatError(
                f"{path}: the array {name} says that it is {dtype.str} of shape {shape}, which takes {claimed} "
                f"bytes; it has {information.file_size}."
            )
        if limit is not None and shape and shape[0] > limit and not is_fortran:
            shape = (limit, *shape[1:])
        array: NDArray[Any] = np.empty(math.prod(shape), dtype)
        if limit is not None:
            require_memory(array.nbytes, f"{path}: the array {name}", "Read fewer words with limit=….")
        _read_into(array.view(np.uint8), stream)
    array = array.reshape(shape, order="F" if is_fortran else "C")
    array = array[:limit] if shape else array
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _read_into(buffer: NDArray[np.uint8], stream: IO[bytes]) -> None:
    """Fill a buffer piece by piece: what a zip archive reads at once is held twice."""
    filled = 0
    while filled < len(buffer):
        piece = stream.read(min(READ_AT_ONCE, len(buffer) - filled))
        if not piece:
            raise EOFError("the file ends in it")
        buffer[filled : filled + len(piece)] = np.frombuffer(piece, np.uint8)
        filled += len(piece)


@contextmanager
def _reported(problem: str) -> Iterator[None]:
    """Turn whatever `zipfile` and NumPy raise on bytes that are not what they should be into `FormatError`.

    That is a dozen kinds of error, down to those of Python's own parser: an array's header is Python text.
    """
    try:
        yield
    except FormatError:
        raise
    except Exception as error:
        raise FormatError(f"{problem} ({reason_of(error)}).") from error


def _decoded(path: Path, buffer: NDArray[Any]) -> list[str]:
    problem = "is not one"
    if buffer.dtype == np.uint8:
        try:
            words = json.loads(buffer.tobytes().decode())
        except (ValueError, RecursionError) as error:
            problem = f"is not one ({reason_of(error)})"
        else:
            if isinstance(words, list):
                return words  # whether each of them is a string is looked at by `Embeddings`
    raise FormatError(
        f"{path}: the array words must be the UTF-8 text of a JSON list of strings; it {problem}."
    )


PICKLE = b"\x80"
COMPRESSED = (".gz", ".bz2", ".xz", ".zip")
WRITERS = {".txt": text_rows, ".vec": text_rows, ".bin": binary_rows}


def write(path: Path, stored: StoredEmbeddings) -> None:
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


def read(path: Path, options: LoadOptions) -> StoredEmbeddings:
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
        return StoredEmbeddings(words, None, vectors, None)


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

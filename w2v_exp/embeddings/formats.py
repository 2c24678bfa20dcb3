"""Files of embeddings: the archive `.npz`, with float or 8-bit numbers, and the choice of a format."""

from __future__ import annotations

import gzip
import json
import math
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from w2v_exp.embeddings.folder_formats import model2vec_files, projector_files, write_folder
from w2v_exp.embeddings.opening import ALWAYS_READ, LARGEST_RATIO, LoadOptions, opened, reason_of
from w2v_exp.embeddings.word2vec_formats import (
    as_float32,
    binary_rows,
    headerless_rows,
    is_binary,
    is_word2vec,
    read_binary,
    read_text,
    text_rows,
)
from w2v_exp.errors import FormatError, UserError, require_choice
from w2v_exp.files import replacing
from w2v_exp.machine import require_memory

FORMAT_VERSION = 1
LARGEST_8_BIT = 2.0**127  # half a scale more is a float32 as well
READ_AT_ONCE = 1 << 16  # bytes
ROWS_AT_ONCE = 1 << 12


class StoredEmbeddings(NamedTuple):
    """Content of a file; None where its format has none. See `Embeddings`."""

    words: list[str]
    counts: NDArray[np.int64] | None
    input: NDArray[Any]
    output: NDArray[Any] | None


def write_archive(
    stream: IO[bytes], stored: StoredEmbeddings, extras: Mapping[str, NDArray[Any]] | None = None
) -> None:
    """Write an uncompressed archive of little-endian arrays.

    - ``format_version``: 1.
    - ``words``: uint8, the UTF-8 text of a JSON list of strings. NumPy's arrays of strings would lose NULs at the end
      of a word, and store each word in the bytes of the longest one.
    - ``counts``: int64, shape (V,); missing if unknown.
    - ``input``: float32 or float64, shape (V, dim).
    - ``output``: likewise; missing if unknown.
    - `extras`: any other arrays, which `read_archive` skips and `read_extras` reads.
    """
    others = {"counts": stored.counts, "input": stored.input, "output": stored.output, **(extras or {})}
    np.savez(stream, allow_pickle=False, **_arrays(stored.words, others))


def write_int8_archive(stream: IO[bytes], stored: StoredEmbeddings) -> None:
    """Write a compressed archive of input vectors as 8-bit numbers, less than a quarter of those of float32.

    ``format_version``, ``words`` and ``counts`` are those of `write_archive`. A vector is its row of ``input`` times
    its ``input_scale``: see `eight_bit_rows`. Deflate shortens the numbers by 5 % and the words to a third.

    - ``input``: int8, shape (V, dim).
    - ``input_scale``: float32, shape (V,).

    Raises
    ------
    UserError
        If a value is larger than 2¹²⁷.
    """
    vectors = as_float32(stored.input)
    if np.abs([vectors.min(), vectors.max()]).max() > LARGEST_8_BIT:
        raise UserError(
            "A value is too large for 8-bit numbers, which are at most 1.7e38. Use the format npz."
        )
    rows, scales = eight_bit_rows(vectors)
    arrays = _arrays(stored.words, {"counts": stored.counts, "input": rows, "input_scale": scales})
    np.savez_compressed(stream, allow_pickle=False, **arrays)


def _arrays(words: list[str], others: Mapping[str, NDArray[Any] | None]) -> dict[str, NDArray[Any]]:
    """Return the arrays of an archive, little-endian."""
    arrays: dict[str, NDArray[Any]] = {
        "format_version": np.array(FORMAT_VERSION, "<i8"),
        "words": np.frombuffer(json.dumps(words, ensure_ascii=False).encode(), np.uint8),
    }
    for name, array in others.items():
        if array is not None:
            arrays[name] = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return arrays


def eight_bit_rows(vectors: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return vectors as rows of whole numbers up to ±127, and the scale of each row, by which it is multiplied.

    The error of a number is at most half a scale: 1/203 of the largest one of its row. A scale is the largest number
    divided by 127, rounded up to three binary digits. So it takes half a byte when it is compressed, not 3.4, and a
    product with it is exact.

    Parameters
    ----------
    vectors : ndarray of float32, shape (V, dim)
        Values of at most 2¹²⁷.

    Returns
    -------
    rows : ndarray of int8, shape (V, dim)
    scales : ndarray of float32, shape (V,)
    """
    largest = np.maximum(vectors.max(axis=1), -vectors.min(axis=1))
    mantissas, exponents = np.frexp(largest.astype(np.float64) / 127)
    scales = np.ldexp(np.ceil(8 * mantissas) / 8, exponents).astype(np.float32)
    rows = np.empty(vectors.shape, np.int8)
    for first in range(0, len(rows), ROWS_AT_ONCE):
        some = slice(first, first + ROWS_AT_ONCE)
        scaled = np.rint(vectors[some] / np.where(scales[some], scales[some], 1)[:, None])
        # Below 1e-38 a scale has fewer digits, so that a number may leave the range.
        rows[some] = scaled.clip(-127, 127)
    return rows, scales


def save_archive(
    path: Path, stored: StoredEmbeddings, extras: Mapping[str, NDArray[Any]] | None = None
) -> None:
    """Write the file of an archive, whatever its suffix, the whole file or nothing.

    Raises
    ------
    UserError
        If it cannot be written.
    """
    with _replaced(path) as stream:
        write_archive(stream, stored, extras)


def read_extras(path: Path, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Return those of these arrays that an archive has.

    Raises
    ------
    FormatError
        If the file is not an archive, or an array is damaged.
    """
    with opened(path) as content:
        if content.archive is None:
            return {}
        arrays = {name: _array(path, content.archive, name, content.size or 0) for name in names}
        return {name: array for name, array in arrays.items() if array is not None}


def read_archive(
    path: Path, archive: zipfile.ZipFile, size: int, limit: int | None = None
) -> StoredEmbeddings:
    """Read an open archive of `size` bytes, or only its first `limit` rows.

    Raises
    ------
    FormatError
        If it is damaged or not an archive of `write_archive`. The size of an array in its header is checked against
        that of the file before memory is allocated.
    NotEnoughMemoryError
        If the arrays are larger than the available memory.
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
    if centres.dtype == np.int8:
        centres = _rescaled(path, centres, _array(path, archive, "input_scale", size, limit))
    return StoredEmbeddings(_decoded(path, encoded)[:limit], counts, centres, contexts)


def _rescaled(path: Path, rows: NDArray[Any], scales: NDArray[Any] | None) -> NDArray[np.float32]:
    """Return the vectors of `eight_bit_rows`; `Embeddings` checks that they are finite."""
    if scales is None or scales.dtype != np.float32 or scales.shape != rows.shape[:1] or rows.ndim != 2:
        found = "is missing" if scales is None else f"is {scales.dtype} of shape {scales.shape}"
        raise FormatError(
            f"{path}: the array input is int8 of shape {rows.shape}, so input_scale must be float32 with a number for "
            f"each row; it {found}."
        )
    require_memory(4 * rows.size, f"{path}: {len(rows)} words", "Read fewer words with limit=….")
    with np.errstate(over="ignore", invalid="ignore"):
        vectors: NDArray[np.float32] = rows * scales[:, None]
    return vectors


def _array(
    path: Path, archive: zipfile.ZipFile, name: str, size: int, limit: int | None = None
) -> NDArray[Any] | None:
    """Return an array of the archive in native byte order, or None.

    With a limit, only its first rows are read, and the checksum of the whole array is not checked.
    """
    member = f"{name}.npy"
    members = archive.namelist().count(member)
    if not members:
        return None
    information = archive.getinfo(member)
    if members > 1:
        raise FormatError(f"{path}: the archive has {members} arrays {name}, and must have one.")
    if not _is_plausible(information, size):
        raise FormatError(
            f"{path}: the array {name} is compressed to less than 1/{LARGEST_RATIO} or in an unsupported way, or its "
            "header has a size larger than the file."
        )
    with _raised_as_format_error(f"{path}: the array {name} is damaged"), archive.open(information) as stream:
        version = npy.read_magic(stream)
        if version != (1, 0):
            raise FormatError(
                f"{path}: the array {name} is in version {version} of NumPy's format, not (1, 0)."
            )
        shape, is_fortran, dtype = npy.read_array_header_1_0(stream)
        if dtype.hasobject:
            raise FormatError(f"{path}: the array {name} has pickled objects, which are never read.")
        claimed = stream.tell() + math.prod(shape) * dtype.itemsize
        if claimed != information.file_size or not dtype.itemsize:
            raise FormatError(
                f"{path}: the array {name} should take {claimed} bytes ({dtype.str} of shape {shape}) but has "
                f"{information.file_size}."
            )
        if limit is not None and shape and shape[0] > limit and not is_fortran:
            shape = (limit, *shape[1:])
        array: NDArray[Any] = np.empty(math.prod(shape), dtype)
        if limit is not None or information.compress_type != zipfile.ZIP_STORED:
            require_memory(array.nbytes, f"{path}: the array {name}", "Read fewer words with limit=….")
        _read_into(array.view(np.uint8), stream)
    array = array.reshape(shape, order="F" if is_fortran else "C")
    array = array[:limit] if shape else array
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _is_plausible(information: zipfile.ZipInfo, size: int) -> bool:
    """Return whether an array of an archive of `size` bytes can be as large as its header claims."""
    if information.compress_type == zipfile.ZIP_DEFLATED:
        largest = max(ALWAYS_READ, LARGEST_RATIO * information.compress_size)
        return information.compress_size <= size and information.file_size <= largest
    return information.compress_type == zipfile.ZIP_STORED and information.file_size <= size


def _read_into(buffer: NDArray[np.uint8], stream: IO[bytes]) -> None:
    """Fill a buffer in chunks: `zipfile` holds the bytes of a read twice."""
    filled = 0
    while filled < len(buffer):
        chunk = stream.read(min(READ_AT_ONCE, len(buffer) - filled))
        if not chunk:
            raise EOFError("the file ends within it")
        buffer[filled : filled + len(chunk)] = np.frombuffer(chunk, np.uint8)
        filled += len(chunk)


@contextmanager
def _raised_as_format_error(problem: str) -> Iterator[None]:
    """Convert any error raised for damaged bytes into `FormatError`.

    `zipfile` and NumPy raise a dozen kinds, down to those of Python's parser: an array's header is Python text.
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
                return words  # `Embeddings` checks that each is a string
    raise FormatError(
        f"{path}: the array words must be the UTF-8 text of a JSON list of strings; it {problem}."
    )


PICKLE = b"\x80"
COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip")
SUFFIXES = {".npz": "npz", ".txt": "word2vec", ".vec": "word2vec", ".bin": "word2vec-binary"}
ARCHIVES: dict[str, Callable[[IO[bytes], StoredEmbeddings], None]] = {
    "npz": write_archive,
    "int8": write_int8_archive,
}
LINES = {"word2vec": text_rows, "word2vec-binary": binary_rows, "glove": headerless_rows}
FOLDERS = {"projector": projector_files, "model2vec": model2vec_files}
FORMATS = (*ARCHIVES, *LINES, *FOLDERS)


def write(path: Path, stored: StoredEmbeddings, format: str | None = None) -> None:
    """Write a whole file or nothing; the files of a folder if the format has several.

    Parameters
    ----------
    path : Path
        The file or folder.
    stored : StoredEmbeddings
        The embeddings.
    format : str, optional
        One of `FORMATS`; None: that of the suffix.

    Raises
    ------
    UserError
        If there is no such format or suffix, the format cannot represent a word or value, the file cannot be written,
        or the folder contains other files.
    """
    if format is None:
        format = _format_of_suffix(path)
    require_choice("format", format, FORMATS)
    if format in ARCHIVES:
        with _replaced(path) as stream:
            ARCHIVES[format](stream, stored)
    elif format in LINES:
        write_lines(path, LINES[format](stored.words, stored.input))
    else:
        write_folder(path, FOLDERS[format](stored.words, stored.counts, stored.input))


def _format_of_suffix(path: Path) -> str:
    suffix = (path.with_suffix("") if _is_gzip(path) else path).suffix.lower()
    if suffix not in SUFFIXES or (suffix == ".npz" and _is_gzip(path)):
        raise UserError(
            f"{path}: the suffix must name a format: .npz (keeps everything), .txt or .vec (word2vec's text) or "
            ".bin (word2vec's binary), the last three also with .gz."
        )
    return SUFFIXES[suffix]


def write_lines(path: Path, lines: Iterable[bytes]) -> None:
    """Write a whole file of lines or nothing; ``.gz`` is gzipped.

    Raises
    ------
    UserError
        If it cannot be written.
    """
    with _replaced(path) as stream:
        if not _is_gzip(path):
            stream.writelines(lines)
            return
        # No name or time in the gzip header: the same embeddings give the same bytes.
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
    """Read embeddings in the format that is recognised by content.

    Word2vec's two formats have the same first line and are distinguished by the numbers of the first word, or by the
    suffix if these are neither (in a damaged file). `Embeddings` checks shapes, and that all numbers are finite.

    Raises
    ------
    UserError
        If the available memory does not suffice for the vectors.
    FormatError
        If the file cannot be read, has no known format or is malformed, or is a pickle, which could run any code.
    """
    with opened(path) as content:
        if content.archive:
            return read_archive(path, content.archive, content.size or 0, options.limit)
        suffix = (path.with_suffix("") if path.suffix.lower() in COMPRESSED else path).suffix.lower()
        if content.beginning.startswith(PICKLE):
            raise FormatError(
                f"{path} is a Python pickle, as gensim's save() and NumPy (for objects) write. It is not read, because "
                "it could run any code; write the file with save_word2vec_format() instead."
            )
        if suffix == ".npz" and not is_word2vec(content.beginning):
            raise FormatError(f"{path} is not a NumPy archive (.npz), or is truncated.")
        binary = is_binary(content.beginning, expected=suffix == ".bin")
        words, vectors = (read_binary if binary else read_text)(path, content, options)
        return StoredEmbeddings(words, None, vectors, None)


def _is_gzip(path: Path) -> bool:
    return path.suffix.lower() == ".gz"

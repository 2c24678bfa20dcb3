"""Our own format: a NumPy archive (``.npz``) that keeps all there is to keep. Nothing in it is pickled."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from w2v_exp.errors import FormatError
from w2v_exp.memory import require_memory

FORMAT_VERSION = 1


class Stored(NamedTuple):
    """What a file of embeddings holds; None stands for what its format does not keep. See `Embeddings`."""

    words: list[str]
    counts: NDArray[np.int64] | None
    input: NDArray[Any]
    output: NDArray[Any] | None


def write_archive(stream: IO[bytes], stored: Stored) -> None:
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


def read_archive(path: Path, stream: IO[bytes], size: int) -> Stored:
    """Read an archive of `size` bytes.

    Raises
    ------
    FormatError
        If it is not a whole archive of ours. What an array claims to be is checked against the size of the
        file before anything is allocated.
    NotEnoughMemoryError
        If the file is larger than the memory that is available.
    """
    require_memory(size, f"{path}, which is read as a whole,", "Keep fewer words in the file.")
    with _reported(f"{path} is not a NumPy archive (.npz), or is truncated"):
        archive = zipfile.ZipFile(stream)
    version = _array(path, archive, "format_version", size)
    if version is None or version.shape != () or version.dtype.kind != "i" or version != FORMAT_VERSION:
        found = "no format_version" if version is None else f"format_version={version}"
        raise FormatError(
            f"{path} has {found}; this w2v_exp reads embeddings of format_version={FORMAT_VERSION}. "
            "Save them again with the w2v_exp that wrote them, as .txt or .bin."
        )
    words, counts, centres, contexts = (
        _array(path, archive, name, size) for name in ("words", "counts", "input", "output")
    )
    if words is None or centres is None:
        raise FormatError(f"{path} has no array {'words' if words is None else 'input'}.")
    return Stored(_decoded(path, words), counts, centres, contexts)


def _array(path: Path, archive: zipfile.ZipFile, name: str, size: int) -> NDArray[Any] | None:
    """Return an array of the archive in the byte order of this machine, or None if it is not there."""
    member = f"{name}.npy"
    if member not in archive.namelist():
        return None
    information = archive.getinfo(member)
    if information.compress_type != zipfile.ZIP_STORED or information.file_size > size:
        raise FormatError(f"{path}: the array {name} is compressed, or said to be larger than the file.")
    with _reported(f"{path}: the array {name} is damaged"), archive.open(information) as stream:
        version = npy.read_magic(stream)
        shape, _, dtype = npy.read_array_header_1_0(stream)
        claimed = stream.tell() + math.prod(shape) * dtype.itemsize
    if version != (1, 0):
        raise FormatError(f"{path}: the array {name} is in version {version} of NumPy's format, not (1, 0).")
    if dtype.hasobject:
        raise FormatError(f"{path}: the array {name} has pickled objects in it, which are never read.")
    if claimed != information.file_size:
        raise FormatError(
            f"{path}: the array {name} says that it is {dtype} of shape {shape}, which takes {claimed} "
            f"bytes; it has {information.file_size}."
        )
    with _reported(f"{path}: the array {name} is damaged"), archive.open(information) as stream:
        array: NDArray[Any] = npy.read_array(stream, allow_pickle=False)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


@contextmanager
def _reported(problem: str) -> Iterator[None]:
    """Turn whatever `zipfile` and NumPy raise on bytes that are not what they should be into `FormatError`.

    That is a dozen kinds of error, down to those of Python's own parser: an array's header is Python text.
    """
    try:
        yield
    except Exception as error:
        raise FormatError(f"{problem} ({error}).") from error


def _decoded(path: Path, buffer: NDArray[Any]) -> list[str]:
    problem = "is not one"
    if buffer.dtype == np.uint8:
        try:
            words = json.loads(buffer.tobytes().decode())
        except (ValueError, RecursionError) as error:
            problem = f"is not one ({error})"
        else:
            if isinstance(words, list):
                return words  # whether each of them is a string is looked at by `Embeddings`
    raise FormatError(
        f"{path}: the array words must be the UTF-8 text of a JSON list of strings; it {problem}."
    )

"""Arrays in a file with a description and checksums: the results of tasks."""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from w2v_exp.files import DamagedFileError, replacing

# A file has the arrays, the index (JSON: description, and place and checksum of each array), and the tail.
MAGIC = b"w2vexpA1"
_TAIL = np.dtype([("size", "<u8"), ("checksum", "<u4"), ("magic", "S8")])  # of the index
_ALIGNMENT = 64  # bytes
_CHECKED_AT_ONCE = 1 << 24

Pieces = NDArray[Any] | Iterable[NDArray[Any]]


def write_arrays(path: Path, arrays: Mapping[str, Pieces], **description: Any) -> None:
    """Write arrays, each whole or in pieces, and a description that JSON can represent.

    The file is not synced: it can be made again, and damage is found when it is read.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    index: dict[str, Any] = {"description": description, "arrays": {}}
    with replacing(path, "wb", durable=False) as stream:
        for name, pieces in arrays.items():
            stream.write(bytes(-stream.tell() % _ALIGNMENT))
            start, checksum, dtype = stream.tell(), 0, "|u1"
            for piece in [pieces] if isinstance(pieces, np.ndarray) else pieces:
                content: Any = np.ascontiguousarray(piece, piece.dtype.newbyteorder("<"))
                dtype = content.dtype.str
                if content.size:
                    checksum = crc32(content.data, checksum)
                    stream.write(content.data)
            index["arrays"][name] = [start, stream.tell() - start, dtype, checksum]
        written = json.dumps(index).encode()
        stream.write(written)
        stream.write(np.array((len(written), crc32(written), MAGIC), _TAIL).tobytes())


class StoredArrays:
    """Arrays mapped from a file of `write_arrays`.

    They stay usable if the file is deleted.

    Parameters
    ----------
    path : Path
        The file.

    Attributes
    ----------
    description : dict
        The description.

    Raises
    ------
    OSError
        If it cannot be read; `FileNotFoundError` if it does not exist.
    DamagedFileError
        If its index is not what was written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as stream:
            size = stream.seek(0, 2)
            if size < _TAIL.itemsize:
                raise DamagedFileError(f"{path.name} is too short")
            self._content = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
        tail = np.frombuffer(self._content[-_TAIL.itemsize :], _TAIL)[0]
        index_size = int(tail["size"])
        index = bytes(self._content[max(0, size - _TAIL.itemsize - index_size) : size - _TAIL.itemsize])
        if tail["magic"] != MAGIC or len(index) != index_size or crc32(index) != tail["checksum"]:
            raise DamagedFileError(f"{path.name} is not what was written")
        values = json.loads(index)
        self.description: dict[str, Any] = values["description"]
        self._arrays: dict[str, tuple[int, int, str, int]] = values["arrays"]

    def __getitem__(self, name: str) -> NDArray[Any]:
        start, size, dtype, _ = self._arrays[name]
        return np.frombuffer(self._content[start : start + size], dtype)

    def check(self) -> StoredArrays:
        """Compare all arrays with their checksums, and return these arrays.

        Raises
        ------
        DamagedFileError
            If one is not what was written.
        """
        for start, size, _, checksum in self._arrays.values():
            found = 0
            for begin in range(start, start + size, _CHECKED_AT_ONCE):
                found = crc32(self._content[begin : min(begin + _CHECKED_AT_ONCE, start + size)], found)
            if found != checksum:
                raise DamagedFileError(f"{self.path.name} is not what was written")
        return self


def narrowed(values: NDArray[Any]) -> NDArray[Any]:
    """Return whole numbers in the smallest unsigned type that has them.

    None may be negative.
    """
    return values.astype(np.min_scalar_type(int(values.max(initial=0))), copy=False)


ESCAPE = 255


def escaped(name: str, values: NDArray[np.uint64]) -> dict[str, NDArray[Any]]:
    """Return whole numbers in a byte each, and those above 254 apart.

    Those are listed with their positions.
    """
    positions = np.flatnonzero(values >= ESCAPE)
    small = np.minimum(values, np.uint64(ESCAPE)).astype(np.uint8)
    return {name: small, f"{name}.at": positions, f"{name}.large": narrowed(values[positions])}


def unescaped(arrays: StoredArrays, name: str, span: slice) -> NDArray[np.uint64]:
    """Return a span of numbers written by `escaped`."""
    values = arrays[name][span].astype(np.uint64)
    positions = arrays[f"{name}.at"]
    first, last = positions.searchsorted([span.start, span.stop])
    values[positions[first:last] - span.start] = arrays[f"{name}.large"][first:last]
    return values

"""Arrays that several processes work on at the same time."""

from __future__ import annotations

import ctypes
from mmap import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.processes import SPAWN


class SharedArray:
    """An array in memory that goes to spawned processes as it is, not as a copy.

    The memory has no name (`multiprocessing.sharedctypes` deletes that of its file at once), so nothing is left of it
    when the last process has ended, however that ended. What is mapped from a file is mapped again over there.

    Parameters
    ----------
    values : ndarray
        What it holds at first; copied, unless it is mapped from a file, which is then only read.
    """

    def __init__(self, values: NDArray[Any]) -> None:
        self._dtype, self._shape = values.dtype, values.shape
        self._file = _mapped_file(values)
        # Memory of no bytes cannot be shared.
        self._memory = None if self._file else SPAWN.RawArray(ctypes.c_byte, max(1, values.nbytes))
        if not self._file:
            self.array()[...] = values

    def array(self) -> NDArray[Any]:
        """Return the array: in every process the same memory, which a change changes for all of them."""
        if self._file:
            path, offset = self._file
            return np.memmap(path, self._dtype, "r", offset, self._shape)
        assert self._memory is not None
        return np.ndarray(self._shape, self._dtype, memoryview(self._memory))


def _mapped_file(values: NDArray[Any]) -> tuple[str, int] | None:
    """Return the file that a whole array is mapped from, and where it begins in it, or None."""
    if isinstance(values, np.memmap) and isinstance(values.base, mmap) and values.filename:
        return str(values.filename), values.offset
    return None

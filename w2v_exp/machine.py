"""Cores and memory of this machine, and the time that operations take on it."""

from __future__ import annotations

import gc
import os
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import astuple, dataclass
from functools import cache
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from w2v_exp.errors import UserError

MOST_CORES = 1024  # largest setting of threads, processes or simultaneous runs
MOST_AUTOMATIC_THREADS = 8  # products of 512 × V × 100 numbers leave little work to each of more


def available_cores() -> int:
    """Return the number of cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def automatic_threads(cores: int | None = None) -> int:
    """Return the threads of a run alone on this machine, or on one with `cores` cores: one per core, at most 8."""
    return min(available_cores() if cores is None else cores, MOST_AUTOMATIC_THREADS)


def allow_open_files() -> None:
    """Raise the number of files that this process may have open to the largest that the system permits.

    Many systems allow 1,024 at first, and a text of 33 GB is counted in more mapped files.
    """
    with suppress(ImportError, OSError, ValueError):  # not on Windows
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class NotEnoughMemoryError(UserError):
    """An operation needs more memory than is available."""


def available_memory(root: Path = Path("/")) -> int | None:
    """Return the bytes that can be allocated without swapping; None if unknown (not Linux).

    It is the smallest of the kernel's own estimate and the rest of the limit of each control group (version 2 or 1) of
    this process. Cached files that the kernel would drop first count as available.

    Parameters
    ----------
    root : Path
        Folder in which ``proc`` and ``sys`` are mounted.
    """
    found = [_limit_left(folder, names) for folder, names in _control_groups(root)]
    found.append(_kernel_estimate(root))
    return min((left for left in found if left is not None), default=None)


def own_memory() -> int | None:
    """Return the bytes of this process's own memory; None if unknown (not Linux).

    Mapped files and shared memory are excluded. Pages shared with the process that it was forked from count in parts:
    half of their size for two processes.
    """
    try:
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss_Anon:")), None)


def _kernel_estimate(root: Path) -> int | None:
    try:
        return _fields(root / "proc/meminfo")["MemAvailable:"] * 1024
    except (OSError, KeyError):
        return None


_VERSION_2 = ("memory.max", "memory.current", "inactive_file")
_VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def _control_groups(root: Path) -> Iterator[tuple[Path, tuple[str, str, str]]]:
    """Yield the folder of each control group of this process and those above it, and the file names used there."""
    mount = root / "sys/fs/cgroup"
    try:
        memberships = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for membership in memberships:
        _, controllers, path = membership.split(":", 2)
        if controllers == "":
            base, names = mount, _VERSION_2
        elif "memory" in controllers.split(","):
            base, names = mount / "memory", _VERSION_1
        else:
            continue
        group = base / path.lstrip("/")
        # In a container the path may be that of the host; then only the mount itself exists.
        for folder in (group, *group.parents):
            if folder.is_relative_to(base):
                yield folder, names


def _limit_left(folder: Path, names: tuple[str, str, str]) -> int | None:
    """Return the bytes left of a control group's limit, or None if it has none."""
    limit_file, usage_file, cache_field = names
    try:
        limit, usage = (folder / limit_file).read_text().strip(), int((folder / usage_file).read_text())
        cache = _fields(folder / "memory.stat").get(cache_field, 0)
    except OSError:
        return None
    return None if limit == "max" else max(0, int(limit) - max(0, usage - cache))


def _fields(file: Path) -> dict[str, int]:
    """Return the numbers by name of a file with lines such as ``MemAvailable: 1024 kB``."""
    lines = [line.split() for line in file.read_text().splitlines()]
    return {line[0]: int(line[1]) for line in lines if len(line) > 1}


def require_memory(needed: int, purpose: str, advice: str | Callable[[int], str]) -> None:
    """Check that `needed` bytes are available, before they are allocated.

    Advice that takes time to compute can be a function of the available bytes.

    Raises
    ------
    NotEnoughMemoryError
        If they are not. The message has purpose, needed and available bytes, and the advice.
    """
    available = available_memory()
    if available is not None and needed > available:
        remedy = advice if isinstance(advice, str) else advice(available)
        raise NotEnoughMemoryError(
            f"{purpose} needs {readable_bytes(needed)}, and {readable_bytes(available)} are available.\n{remedy}"
        )


def readable_bytes(number: float) -> str:
    """Return a number of bytes with a decimal unit and three digits.

    >>> readable_bytes(1_500_000), readable_bytes(999_999), readable_bytes(123_456_000_000_000_000)
    ('1.5 MB', '1 MB', '123,456 TB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if number < 999.5:  # a number that rounds to 1,000 is 1 of the next unit
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB" if number < 999.5 else f"{number:,.0f} TB"


MEGABYTE = 1_000_000


_is_frozen = False


def freeze() -> None:
    """Exempt all objects so far from garbage collection, for good."""
    global _is_frozen  # noqa: PLW0603  (`gc.get_freeze_count` counts them, in 8 ms)
    _is_frozen = True
    gc.freeze()


class PeakMemory:
    """Peak of the memory allocated in a block of code, by tracemalloc: exact and repeatable on every platform.

    It slows small operations down several times, so it is used for short blocks only. The garbage collector begins the
    block with an empty heap, so that it runs at the same places whatever the process did before: all objects are
    frozen meanwhile. (Collecting them would do as well, and take 0.05 s.)

    Attributes
    ----------
    megabytes : float
        The peak, in units of 10⁶ bytes, above the memory allocated before the block.
    """

    megabytes: float = 0.0

    def __enter__(self) -> PeakMemory:
        self._froze = not _is_frozen  # else the end of this block would thaw the modules
        if self._froze:
            gc.freeze()
        gc.collect()
        self._nested = tracemalloc.is_tracing()
        if not self._nested:
            tracemalloc.start()
        tracemalloc.reset_peak()
        self._before, _ = tracemalloc.get_traced_memory()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _, peak = tracemalloc.get_traced_memory()
        if not self._nested:
            tracemalloc.stop()
        if self._froze:
            gc.unfreeze()
        self.megabytes = (peak - self._before) / MEGABYTE


class PeakResident:
    """Peak growth of resident memory since this object was made.

    `ru_maxrss` never falls, so after the first run of a process it is that of the largest run so far. On Linux a
    process can reset its own high-water mark; elsewhere the result is None.
    """

    def __init__(self) -> None:
        self._start: float | None = None
        try:
            Path("/proc/self/clear_refs").write_text("5")
            self._start = _status("VmRSS")
        except (OSError, KeyError):
            pass

    def megabytes(self) -> float | None:
        """Return the growth at its peak, in units of 10⁶ bytes."""
        return None if self._start is None else max(0.0, _status("VmHWM") - self._start)


def _status(field: str) -> float:
    """Return a field of /proc/self/status, in units of 10⁶ bytes."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[field].split()[0]) * 1024 / MEGABYTE


REPEATS = 3  # the fastest counts: others were interrupted
CENTRES, WORDS = 64, 2048  # of the measured product
STACK = 32  # matrices of 32 × 32 scores
PASSED = 1 << 20  # numbers of the measured passes: more than the second-level cache holds
SORTED = 1 << 14


@dataclass(frozen=True)
class Work:
    """Operations, by what limits their speed.

    Parameters
    ----------
    products : float
        Floating-point operations in products of large matrices.
    stacked_products : float
        Floating-point operations in stacks of small matrices.
    exponentials : float
        Numbers whose exponential or logarithm is taken.
    passed : float
        Numbers read and written by simple arithmetic, counted each time.
    gathered : float
        Numbers that are sorted, or read from or written to arbitrary positions.
    calls : float
        Calls of NumPy; each takes about a microsecond in addition to its work.
    """

    products: float = 0.0
    stacked_products: float = 0.0
    exponentials: float = 0.0
    passed: float = 0.0
    gathered: float = 0.0
    calls: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(*(one + another for one, another in zip(astuple(self), astuple(other), strict=True)))

    def __mul__(self, times: float) -> Work:
        return Work(*(number * times for number in astuple(self)))

    def seconds(self, rates: Rates) -> float:
        """Return the seconds that this takes on one core."""
        products = (number * rate for number, rate in zip(astuple(self), astuple(rates), strict=True))
        return float(sum(products))


@dataclass(frozen=True)
class Rates:
    """Seconds for one of each kind of operation of `Work`."""

    products: float
    stacked_products: float
    exponentials: float
    passed: float
    gathered: float
    calls: float


@cache
def measure_rates(dtype: str, dim: int) -> Rates:
    """Measure the rates of one core in about 30 ms, with matrices of `dim` columns."""
    generator = np.random.default_rng(0)
    dim = min(dim, 1000)

    def numbers(*shape: int) -> NDArray[Any]:
        return generator.random(shape).astype(dtype)

    hidden, output, table = numbers(CENTRES, dim), numbers(WORDS, dim), numbers(CENTRES, WORDS)
    several, others = numbers(STACK, 32, dim), numbers(STACK, 32, dim).transpose(0, 2, 1)
    values, again = numbers(PASSED), numbers(PASSED)
    few = numbers(16)
    places = generator.integers(WORDS, size=SORTED)

    def product() -> None:
        hidden.dot(output.T, table)
        table.dot(output)
        table.T.dot(hidden)

    def call() -> None:
        for _ in range(100):
            np.add(few, few, out=few)

    few.fill(0)
    with threadpool_limits(1, "blas"):
        return Rates(
            products=_fastest(product) / (6 * CENTRES * WORDS * dim),
            stacked_products=_fastest(lambda: np.matmul(several, others)) / (2 * STACK * 32 * 32 * dim),
            exponentials=_fastest(lambda: np.exp(values, out=again)) / PASSED,
            passed=_fastest(lambda: np.multiply(values, again, out=again)) / PASSED,
            gathered=_fastest(lambda: np.sort(places)) / SORTED,
            calls=_fastest(call) / 100,
        )


def _fastest(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(REPEATS + 1):  # the first one also allocates
        began = perf_counter()
        work()
        seconds.append(perf_counter() - began)
    return min(seconds[1:])

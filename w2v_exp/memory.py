"""How much memory there is, asked before something large is allocated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from w2v_exp.errors import UserError


class NotEnoughMemoryError(UserError):
    """Something would need more memory than there is."""


def available_memory(root: Path = Path("/")) -> int | None:
    """Return how many bytes can be allocated without swapping, or None where that is unknown (not Linux).

    It is the least of what the kernel calls available and of what is left of every limit of a control group
    (version 2 or 1) that this process is in. Cached files count as left, as far as the kernel would drop them
    first.

    Parameters
    ----------
    root : Path
        Where ``proc`` and ``sys`` are mounted.
    """
    found = [_limit_left(folder, names) for folder, names in _control_groups(root)]
    found.append(_kernel_estimate(root))
    return min((left for left in found if left is not None), default=None)


def own_memory() -> int | None:
    """Return how many bytes of memory are this process's own; None if unknown (not Linux).

    Files that it maps, and memory that is meant to be shared, are left out. Of pages that it still has in common with
    the process it is a copy of, its part counts: a half of them if there are two.
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
    """Yield the folder of each control group of this process and those above it, and the names used there."""
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
        # In a container the path may be the one outside of it; then only the mount itself is there.
        for folder in (group, *group.parents):
            if folder.is_relative_to(base):
                yield folder, names


def _limit_left(folder: Path, names: tuple[str, str, str]) -> int | None:
    """Return how much of a control group's limit is left, or None if it has none."""
    limit_file, usage_file, cache_field = names
    try:
        limit, usage = (folder / limit_file).read_text().strip(), int((folder / usage_file).read_text())
        cache = _fields(folder / "memory.stat").get(cache_field, 0)
    except OSError:
        return None
    return None if limit == "max" else max(0, int(limit) - max(0, usage - cache))


def _fields(file: Path) -> dict[str, int]:
    """Return the number behind each name of a file of lines such as ``MemAvailable: 1024 kB``."""
    lines = [line.split() for line in file.read_text().splitlines()]
    return {line[0]: int(line[1]) for line in lines if len(line) > 1}


def require_memory(needed: int, purpose: str, advice: str | Callable[[int], str]) -> None:
    """Refuse to go on, before anything is allocated, where `needed` bytes are not there.

    Advice that takes time to find can be a function, which is given the bytes available.

    Raises
    ------
    NotEnoughMemoryError
        With what is needed for what purpose, what there is, and the advice.
    """
    available = available_memory()
    if available is not None and needed > available:
        said = advice if isinstance(advice, str) else advice(available)
        raise NotEnoughMemoryError(
            f"{purpose} needs {readable_bytes(needed)}, and {readable_bytes(available)} are available.\n{said}"
        )


def readable_bytes(number: float) -> str:
    """Return a number of bytes as a person would say it, in powers of ten and three digits.

    >>> readable_bytes(1_500_000), readable_bytes(999_999), readable_bytes(123_456_000_000_000_000)
    ('1.5 MB', '1 MB', '123,456 TB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if number < 999.5:  # what rounds to 1,000 is one of the next unit
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB" if number < 999.5 else f"{number:,.0f} TB"

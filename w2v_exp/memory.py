"""How much memory there is, asked before something large is allocated."""

from __future__ import annotations

from pathlib import Path

from w2v_exp.errors import UserError


class NotEnoughMemoryError(UserError):
    """Something would need more memory than there is."""


def available_memory() -> int | None:
    """Return how many bytes can be allocated without swapping, or None where the system does not tell (not Linux).

    It is the least of what the kernel calls available and of what is left of every limit of a control group
    (version 2 or 1) that this process is in.
    """
    found = []
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                found.append(int(line.split()[1]) * 1024)
    for limit_file, usage_file in _control_group_files():
        try:
            limit, usage = limit_file.read_text().strip(), usage_file.read_text().strip()
        except OSError:
            continue
        if limit != "max":
            found.append(max(0, int(limit) - int(usage)))
    return min(found, default=None)


def _control_group_files() -> list[tuple[Path, Path]]:
    """Return, for each control group of this process and those above it, its limit's and its usage's file."""
    root = Path("/sys/fs/cgroup")
    try:
        memberships = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return []
    files = []
    for _, controllers, path in memberships:
        if controllers == "":
            base, names = root, ("memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            base, names = root / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes")
        else:
            continue
        group = base / path.lstrip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(base):
                files.append((folder / names[0], folder / names[1]))
    return files


def require_memory(needed: int, purpose: str, advice: str) -> None:
    """Refuse to go on, before anything is allocated, where `needed` bytes are not there.

    Raises
    ------
    NotEnoughMemoryError
        With what is needed for what purpose, what there is, and the advice.
    """
    available = available_memory()
    if available is not None and needed > available:
        raise NotEnoughMemoryError(
            f"{purpose} needs {readable_bytes(needed)}, and {readable_bytes(available)} are available.\n{advice}"
        )


def readable_bytes(number: float) -> str:
    """Return a number of bytes as a person would say it, in powers of ten.

    >>> readable_bytes(1_500_000)
    '1.5 MB'
    """
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:,.3g} TB"

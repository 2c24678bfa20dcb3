"""The cache of counts: the results of tasks, each in a file that is named by a digest of all that it depends on."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from w2v_exp.counting.arrays import StoredArrays
from w2v_exp.files import DamagedFileError, is_locked, is_own, is_unfinished, locked, make_own, read_checked
from w2v_exp.text.damage import Skipped

_log = logging.getLogger(__name__)

# Kinds of results, and the suffix of their files. A job's folder has what is of no use after it.
KINDS = {"parts": ".json", "words": ".arrays", "lookups": ".arrays", "pairs": ".arrays", "counts": ".arrays"}
JOBS = "jobs"
_KEY = re.compile(r"[0-9a-f]{32}")
_ABANDONED_SECONDS = 3600.0


def key_of(*inputs: Any) -> str:
    """Return the digest of values that JSON can represent: 32 hexadecimal digits."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:32]


class PartResult(NamedTuple):
    """The keys of the words of a part's shards, and the damaged files and rows that were skipped."""

    shards: list[str]
    skipped: Skipped


class Kept(NamedTuple):
    """A file of the cache."""

    path: Path
    size: int
    used: float


@dataclass(frozen=True)
class CountStore:
    """A folder with the results of counting.

    Parameters
    ----------
    folder : Path
        The folder, which need not exist.
    limit_gb : float
        Largest size in 10⁹ bytes, to which the least recently used files are removed.
    """

    folder: Path
    limit_gb: float = 50.0

    def path(self, kind: str, key: str) -> Path:
        """Return the file of a result."""
        return self.folder / kind / f"{key}{KINDS[kind]}"

    def prepare(self) -> None:
        """Make the folders.

        Raises
        ------
        OSError
            If one cannot be made, or the folder contains other files.
        """
        make_own(self.folder)
        for kind in (*KINDS, JOBS):
            (self.folder / kind).mkdir(exist_ok=True)

    def find(self, kind: str, key: str, *, check: bool = True) -> StoredArrays | None:
        """Return a result, or None if there is none; one that is damaged is removed.

        With `check`, all of it is read and compared with its checksums (at 3 GB/s).
        """
        path = self.path(kind, key)
        try:
            found = StoredArrays(path)
            if check:
                found.check()
            os.utime(path)
        except FileNotFoundError:
            return None
        except (OSError, DamagedFileError) as error:
            _log.warning(f"The cached counts in {path} are damaged ({error}); they are made again.")
            with suppress(OSError):
                path.unlink()
            return None
        return found

    def part(self, key: str) -> PartResult | None:
        """Return the result of a part; None if there is none."""
        path = self.path("parts", key)
        try:
            found = read_checked(path)
            os.utime(path)
            files, rows, problems = found["skipped"]
            return PartResult(found["shards"], Skipped(files, rows, tuple(problems)))
        except (OSError, DamagedFileError, KeyError, TypeError, ValueError):
            return None

    @contextmanager
    def job(self, key: str) -> Iterator[Path]:
        """Hold the folder of a job, with what an attempt that was killed has left; it is deleted at the end.

        A second process with the same job waits for the first.

        Raises
        ------
        OSError
            If it cannot be made.
        """
        folder, lock = self.folder / JOBS / key, self.folder / JOBS / f"{key}.lock"
        with ExitStack() as held:
            with suppress(OSError):  # where files have no locks
                held.enter_context(locked(lock))
            folder.mkdir(exist_ok=True)
            yield folder
            _remove(folder)

    def kept(self) -> list[Kept]:
        """Return the files of results, the most recently used first."""
        found = []
        for kind, suffix in KINDS.items():
            with suppress(OSError):
                for path in (self.folder / kind).iterdir():
                    is_result = path.suffix == suffix and _KEY.fullmatch(path.stem)
                    if not (
                        is_result or is_unfinished(path.name, [re.sub(r"^\.|\.[0-9a-f]{8}$", "", path.name)])
                    ):
                        continue
                    with suppress(OSError):
                        status = path.stat()
                        found.append(Kept(path, status.st_size, status.st_mtime))
        return sorted(found, key=lambda each: -each.used)

    def evict(self, since: float) -> None:
        """Remove the least recently used results until the limit holds, but none that was used after a time."""
        if not is_own(self.folder):
            return
        size = 0
        now = time.time()
        for path, length, used in self.kept():
            size += length
            is_left = path.name.startswith(".") and now - used > _ABANDONED_SECONDS
            if is_left or (size > self.limit_gb * 1e9 and used < min([since, *self._begins()])):
                with suppress(OSError):
                    path.unlink()

    def _begins(self) -> Iterator[float]:
        """Yield the time at which each job that is being done began."""
        with suppress(OSError):
            for lock in (self.folder / JOBS).glob("*.lock"):
                with suppress(OSError):
                    if is_locked(lock):
                        yield lock.stat().st_mtime

    def clear(self) -> tuple[int, int]:
        """Remove all results and abandoned jobs; return the number of texts and bytes."""
        if not is_own(self.folder):
            return 0, 0
        kept = self.kept()
        for path, _, _ in kept:
            with suppress(OSError):
                path.unlink()
        return sum(path.parent.name == "counts" for path, _, _ in kept), sum(size for _, size, _ in kept)


def _remove(folder: Path) -> None:
    """Remove the folder of a job."""
    with suppress(OSError):
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()

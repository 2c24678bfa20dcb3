"""The cache of counts: the results of tasks, each in a file that is named by a digest of all that it depends on."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from w2v_exp.counting.arrays import StoredArrays
from w2v_exp.errors import UserError
from w2v_exp.files import DamagedFileError, is_locked, is_own, locked, make_own, read_checked
from w2v_exp.text.damage import Skipped

_log = logging.getLogger(__name__)

# Kinds of results, and the suffix of their files. A job's folder has what is of no use after it.
COUNTS = "counts"
KINDS = {"parts": ".json", "words": ".arrays", "lookups": ".arrays", "pairs": ".arrays", COUNTS: ".arrays"}
JOBS = "jobs"
_NAME = r"[0-9a-f]{{32}}{0}|\.[0-9a-f]{{32}}{0}\.[0-9a-f]{{8}}"  # of a file, finished or not, by its suffix
ABANDONED_SECONDS = 86_400.0  # after which a job that was killed is not expected to continue


def key_of(*inputs: Any) -> str:
    """Return the digest of values that JSON can represent: 32 hexadecimal digits."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:32]


class PartResult(NamedTuple):
    """The words of a part of a corpus.

    Parameters
    ----------
    shards : list of str
        Keys of the words of its shards.
    skipped : Skipped
        The damaged files and rows that were skipped.
    excluded : Counter
        The numbers of members of archives that were excluded, by reason.
    """

    shards: list[str]
    skipped: Skipped
    excluded: Counter[str]


class Kept(NamedTuple):
    """A file of the cache, its bytes, and the time of its last use in seconds."""

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
        UserError
            If one cannot be made, or the folder contains other files.
        """
        with self._stored():
            make_own(self.folder)
            for kind in (*KINDS, JOBS):
                (self.folder / kind).mkdir(exist_ok=True)

    @contextmanager
    def _stored(self) -> Iterator[None]:
        """Convert the errors of storing results; those of reading a corpus are `CorpusError`."""
        try:
            yield
        except OSError as error:
            raise UserError(
                f"{self.folder}: counts cannot be stored there ({error.strerror or error}). Make room or give access, "
                "or set cache.folder to another folder."
            ) from error

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
            skipped = Skipped(files, rows, tuple(problems))
            return PartResult(found["shards"], skipped, Counter(found["excluded"]))
        except (OSError, DamagedFileError, KeyError, TypeError, ValueError):
            return None

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep the results that are used in the block.

        Afterwards, others are removed until the limit holds.

        Raises
        ------
        UserError
            If the folders cannot be made, or the block raises an `OSError`.
        """
        self.prepare()
        begun = time.time()
        lock = self.folder / JOBS / f"{secrets.token_hex(8)}.lock"
        with ExitStack() as held:
            with suppress(OSError):  # where files have no locks
                held.enter_context(locked(lock))
            try:
                with self._stored():
                    yield
            finally:
                lock.unlink(missing_ok=True)
        self.evict(begun)

    @contextmanager
    def job(self, key: str) -> Iterator[Path]:
        """Hold the folder of a job, with the results of an attempt that was killed.

        It is deleted at the end.

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
                    if not re.fullmatch(_NAME.format(re.escape(suffix)), path.name):
                        continue
                    with suppress(OSError):
                        status = path.stat()
                        found.append(Kept(path, status.st_size, status.st_mtime))
        return sorted(found, key=lambda each: -each.used)

    def texts(self) -> list[tuple[dict[str, Any] | None, int, float]]:
        """Return description, bytes and time of last use of the counts of each text.

        The latest is first; the description of a damaged file is None.
        """
        found: list[tuple[dict[str, Any] | None, int, float]] = []
        for path, size, used in self.kept():
            if path.parent.name == COUNTS and not path.name.startswith("."):
                description = None
                with suppress(OSError, DamagedFileError):
                    description = StoredArrays(path).description
                found.append((description, size, used))
        return found

    def evict(self, since: float) -> None:
        """Remove the least recently used results until the limit holds.

        None is removed that was used after the time `since`.
        """
        if not is_own(self.folder):
            return
        self._remove_jobs(ABANDONED_SECONDS)
        size, now = 0, time.time()
        since = min([since, *self._begins()])
        for path, length, used in self.kept():
            size += length
            is_left = path.name.startswith(".") and now - used > ABANDONED_SECONDS
            if is_left or (size > self.limit_gb * 1e9 and used < since):
                with suppress(OSError):
                    path.unlink()

    def _remove_jobs(self, older_than: float) -> None:
        """Remove the folders of jobs that no process holds and that are older than a number of seconds."""
        with suppress(OSError):
            for folder in (self.folder / JOBS).iterdir():
                with suppress(OSError):
                    if not folder.is_dir() or time.time() - folder.stat().st_mtime < older_than:
                        continue
                    lock = folder.with_name(f"{folder.name}.lock")
                    if not (lock.exists() and is_locked(lock)):
                        _remove(folder)

    def _begins(self) -> Iterator[float]:
        """Yield the time at which each use began that has not ended."""
        with suppress(OSError):
            for lock in (self.folder / JOBS).glob("*.lock"):
                with suppress(OSError):
                    if is_locked(lock):
                        yield lock.stat().st_mtime

    def clear(self) -> tuple[int, int]:
        """Remove all results; return the number of texts and of bytes."""
        if not is_own(self.folder):
            return 0, 0
        self._remove_jobs(0.0)
        kept = self.kept()
        for path, _, _ in kept:
            with suppress(OSError):
                path.unlink()
        return sum(path.parent.name == COUNTS for path, _, _ in kept), sum(size for _, size, _ in kept)


def _remove(folder: Path) -> None:
    """Remove the folder of a job."""
    with suppress(OSError):
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()

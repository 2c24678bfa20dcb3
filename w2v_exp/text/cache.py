"""The cache of encoded texts: a folder of entries, shared by any number of processes.

An entry is made in a folder of another name and renamed when it is whole, so nobody sees half of one. Of several
processes that make the same entry the first to rename wins, and the others take what it made. Entries are removed in
the reverse order: renamed, then deleted; whoever has mapped the ids keeps them.
"""

from __future__ import annotations

import json
import math
import os
import re
import secrets
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import check_number, check_path, check_whole
from w2v_exp.files import (
    TAG,
    DamagedFileError,
    cache_folder,
    delete_own,
    expanded,
    is_own,
    make_own,
    own_files,
    own_place,
    read_checked,
    write_checked,
)
from w2v_exp.machine import MOST_CORES
from w2v_exp.text.encoding import ID, POSITION, EncodedText, IdFile
from w2v_exp.text.vocabulary import Vocabulary

FOLDER = "figures"
_DIGEST_LETTERS = 16  # of a text's digest, at the beginning of a file's name


def read_figures(cache: Path, text_digest: str, key: str) -> dict[str, float] | None:
    """Return the figures of this key of a text, or None where there are none, or not what was written.

    Parameters
    ----------
    cache : Path
        The cache's folder.
    text_digest : str
        SHA-256 of the text, hexadecimal.
    key : str
        Names all else that the figures depend on.
    """
    try:
        values = read_checked(_file(cache, text_digest, key))
        known = all(math.isfinite(value) for value in values.values())
    except (OSError, DamagedFileError, TypeError):
        return None
    return values if known else None


def write_figures(cache: Path, text_digest: str, key: str, figures: dict[str, float]) -> None:
    """Keep figures of a text for as long as the cache has the text.

    Raises
    ------
    OSError
        If they cannot be written.
    """
    file = _file(cache, text_digest, key)
    make_own(cache)
    file.parent.mkdir(exist_ok=True)
    write_checked(file, figures, durable=False)


def remove_figures(cache: Path, keep: Collection[str] = ()) -> None:
    """Remove the figures of all texts but those of the digests to keep."""
    kept = {digest[:_DIGEST_LETTERS] for digest in keep}
    for file in own_files(cache, FOLDER):
        if file.name[:_DIGEST_LETTERS] not in kept:
            file.unlink(missing_ok=True)


def _file(cache: Path, text_digest: str, key: str) -> Path:
    return cache / FOLDER / f"{text_digest[:_DIGEST_LETTERS]}-{key}.json"


IDS = "ids.int32"  # little-endian, nothing else
SEGMENTS = "segments.int64"  # likewise
WORDS = "vocabulary.json"
DESCRIPTION = "entry.json"  # its time says when the entry was used last
FILES = (IDS, SEGMENTS, WORDS, DESCRIPTION)
_CHUNK_BYTES = 1 << 20

_Number = TypeVar("_Number", np.int32, np.int64)


class DamagedEntryError(Exception):
    """An entry that is not what was written."""


@dataclass(frozen=True)
class Entry:
    """What the description of a cached text says.

    Parameters
    ----------
    source, tokenizer, vocabulary, segment_end : str
        Where the text comes from and what made ids of it, for people.
    digest, identity : str
        SHA-256 of the text, and what its key is made of; see `IdFile`.
    tokens, length, segments : int
        How many tokens the text has, how many ids are kept of them, and how many segments these have.
    ids_checksum, segments_checksum, words_size, words_checksum : int
        CRC-32 of the files of ids and of segments; size and CRC-32 of the file of words.
    """

    source: str
    tokenizer: str
    vocabulary: str
    segment_end: str
    digest: str
    identity: str
    tokens: int
    length: int
    segments: int
    ids_checksum: int
    segments_checksum: int
    words_size: int
    words_checksum: int


def write_beside_ids(
    folder: Path, encoded: IdFile, *, source: str, tokenizer: str, vocabulary: str, segment_end: str
) -> None:
    """Write what belongs beside the ids in an entry's folder.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    words = {"words": encoded.vocabulary.words, "counts": encoded.vocabulary.counts.tolist()}
    content = json.dumps(words).encode()
    (folder / WORDS).write_bytes(content)
    segments = encoded.segments.astype(POSITION, copy=False)
    (folder / SEGMENTS).write_bytes(segments.data)
    entry = Entry(
        source=source,
        tokenizer=tokenizer,
        vocabulary=vocabulary,
        segment_end=segment_end,
        digest=encoded.digest,
        identity=encoded.identity,
        tokens=encoded.tokens,
        length=encoded.length,
        segments=len(segments) - 1,
        ids_checksum=encoded.checksum,
        segments_checksum=crc32(segments.data),
        words_size=len(content),
        words_checksum=crc32(content),
    )
    described = _canonical(vars(entry))
    (folder / DESCRIPTION).write_bytes(_canonical({"checksum": crc32(described), **vars(entry)}))


def read_entry(folder: Path) -> Entry:
    """Return the description of an entry, after a check that it is what was written.

    Raises
    ------
    FileNotFoundError
        If there is no such entry.
    DamagedEntryError
        If it is not what was written.
    """
    folder.stat()
    try:
        values = json.loads((folder / DESCRIPTION).read_bytes())
        checksum = values.pop("checksum")
        entry = Entry(**values)
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise DamagedEntryError(f"{DESCRIPTION} cannot be read") from error
    if crc32(_canonical(values)) != checksum:
        raise DamagedEntryError(f"{DESCRIPTION} is not what was written")
    return entry


def read_text(folder: Path) -> EncodedText:
    """Return the text of an entry, with ids and segments mapped from their files, after a check of every byte.

    Raises
    ------
    FileNotFoundError
        If there is no such entry.
    DamagedEntryError
        If it is not what was written.
    """
    entry = read_entry(folder)
    try:
        content = (folder / WORDS).read_bytes()
        if len(content) != entry.words_size or crc32(content) != entry.words_checksum:
            raise DamagedEntryError(f"{WORDS} is not what was written")
        words = json.loads(content)
        ids = _map_checked(folder / IDS, ID, entry.length, entry.ids_checksum)
        segments = _map_checked(folder / SEGMENTS, POSITION, entry.segments + 1, entry.segments_checksum)
    except OSError as error:
        raise DamagedEntryError(f"{error.strerror or error}: {error.filename or folder}") from error
    vocabulary = Vocabulary(words["words"], np.array(words["counts"], np.int64))
    return EncodedText(ids, vocabulary, entry.tokens, entry.digest, segments)


def map_numbers(file: IO[bytes], dtype: np.dtype[_Number], length: int) -> NDArray[_Number]:
    """Return the numbers in a file as a read-only array that is mapped from it, not read."""
    if length == 0:  # nothing can't be mapped
        empty = np.zeros(0, dtype)
        empty.flags.writeable = False
        return empty
    return np.memmap(file, dtype, mode="r", shape=(length,))


def _map_checked(file: Path, dtype: np.dtype[_Number], length: int, checksum: int) -> NDArray[_Number]:
    with file.open("rb") as stream:
        # By the file that is open, which stays even where another process removes the entry meanwhile.
        if _size_and_checksum(stream) != (length * dtype.itemsize, checksum):
            raise DamagedEntryError(f"{file.name} is not what was written")
        return map_numbers(stream, dtype, length)


def size_of(folder: Path) -> int:
    """Return the bytes of an entry's files; those that vanish meanwhile count nothing."""
    size = 0
    for name in FILES:
        try:
            size += (folder / name).stat().st_size
        except OSError:
            continue
    return size


def _size_and_checksum(file: IO[bytes]) -> tuple[int, int]:
    """Return how many bytes a file has and their CRC-32: 3 GB a second, so that every use can afford it."""
    size = checksum = 0
    while chunk := file.read(_CHUNK_BYTES):
        size += len(chunk)
        checksum = crc32(chunk, checksum)
    return size, checksum


def _canonical(values: dict[str, Any]) -> bytes:
    return json.dumps(values, sort_keys=True, indent=1).encode()


_UNFINISHED = ".unfinished-"  # an entry that is being made, or removed
_ABANDONED_SECONDS = 3600.0  # nobody writes an entry for so long without adding to its files
_DIGESTS = "digests"
_IDENTITY = "identity"  # key in a file of a digest
_KEY = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class TextCache:
    """Ids of long texts are kept in a folder and mapped from there; short texts are encoded in memory.

    Parameters
    ----------
    folder : str, optional
        Where; None takes ``texts`` in the folder that W2V_EXP_CACHE names, or else in ``~/.cache/w2v_exp``. In a
        folder with files that are not the cache's it takes the subfolder ``w2v_exp``, and leaves those files alone.
    limit_gb : float
        What is kept at most, in 10⁹ bytes. The text used least recently goes first; the one in use stays. A text whose
        ids alone need more is refused.
    processes : int, optional
        How many tokenize (as threads with `WhitespaceTokenizer`); None takes one a core for large texts, and one for
        others.
    """

    folder: str | None = None
    limit_gb: float = 10.0
    processes: int | None = None

    def __post_init__(self) -> None:
        check_path(self, "folder", "the path of a folder, or None")
        check_number(self, "limit_gb", above=0, at_most=1e9)
        if self.processes is not None:
            check_whole(self, "processes", at_least=1, at_most=MOST_CORES)

    @property
    def path(self) -> Path:
        """The folder, which need not exist: the one that is named, or its subfolder if it holds other files."""
        return own_place(self._named)

    @property
    def _named(self) -> Path:
        return expanded(self.folder).absolute() if self.folder else cache_folder() / "texts"

    @property
    def moved(self) -> str:
        """A line that says that the cache is not made in the folder that is named; empty if it is, or exists."""
        path = self.path
        if path == self._named or path.exists():
            return ""
        return f"cache.folder={self._named}: holds other files, which are left alone. The cache is made in {path}."

    def prepare(self) -> Path:
        """Make the folder, if need be, and return it.

        Raises
        ------
        OSError
            If it cannot be made.
        """
        path = self.path
        make_own(path)
        return path

    def read(self, key: str) -> EncodedText | None:
        """Return the text of an entry, or None if there is none.

        Raises
        ------
        DamagedEntryError
            If it is not what was written. It has been removed.
        """
        folder = self.path / key
        try:
            text = read_text(folder)
        except OSError:
            return None
        except DamagedEntryError:
            if not folder.exists():  # another process has removed it while it was read
                return None
            self.remove(key)
            raise
        with suppress(OSError):  # a cache that one may read but not write
            os.utime(folder / DESCRIPTION)
        return text

    @contextmanager
    def making(self) -> Iterator[Path]:
        """Give a new folder to make an entry in. It is gone afterwards, unless it was published.

        Raises
        ------
        OSError
            If it cannot be made.
        """
        folder = self.prepare() / f"{_UNFINISHED}{secrets.token_hex(8)}"
        make_own(folder)
        try:
            yield folder
        finally:
            delete_own(folder, FILES)

    def publish(self, folder: Path, key: str) -> EncodedText:
        """Make a finished folder the entry of this key, unless it has one, and return the text of the entry.

        Raises
        ------
        OSError
            If it cannot be renamed or read.
        """
        try:
            folder.rename(self.path / key)
        except OSError:  # another process was faster; if what it left is damaged, ours takes its place
            with suppress(DamagedEntryError):
                if winner := self.read(key):
                    return winner
            folder.rename(self.path / key)
        self.evict(keep=key)
        try:
            text = self.read(key)
        except DamagedEntryError as error:  # the disk gives back something else than it was given
            raise OSError(str(error)) from error
        if text is None:
            raise OSError("the entry just written is gone")
        return text

    def entries(self) -> list[tuple[str, Entry | None, int, float]]:
        """Return key, description (None: damaged), bytes and time of last use of every entry, the last used first."""
        found: list[tuple[str, Entry | None, int, float]] = []
        for folder in self._folders():
            try:
                used = (folder / DESCRIPTION).stat().st_mtime
                found.append((folder.name, read_entry(folder), size_of(folder), used))
            except (OSError, DamagedEntryError):
                if folder.exists():
                    found.append((folder.name, None, size_of(folder), 0.0))
        return sorted(found, key=lambda entry: -entry[3])

    def evict(self, keep: str) -> None:
        """Remove the entries used least recently until the limit holds, all but one, and what was abandoned.

        Only what has the cache's own mark is removed; see `w2v_exp.files`.
        """
        size = 0
        kept: list[Entry] = []
        for key, entry, entry_size, _ in sorted(self.entries(), key=lambda entry: entry[0] != keep):
            if key != keep and (entry is None or size + entry_size > self.limit_gb * 1e9):
                self.remove(key)
            else:
                size += entry_size
                kept += [entry] if entry else []
        self._remove_abandoned()
        for file in self._digest_files():
            if self._read_digest(file) not in {entry.identity for entry in kept}:
                file.unlink(missing_ok=True)
        remove_figures(self.path, keep={entry.digest for entry in kept})

    def remove(self, key: str) -> None:
        """Remove an entry, if it is there and has nothing else in its folder."""
        folder, doomed = self.path / key, self.path / f"{_UNFINISHED}{secrets.token_hex(8)}"
        if not _is_entry(folder):
            return
        with suppress(OSError):
            folder.rename(doomed)
            delete_own(doomed, FILES)

    def clear(self) -> tuple[int, int]:
        """Remove everything and return how many entries and bytes that were; what others are making stays."""
        entries = self.entries()
        for key, _, _, _ in entries:
            self.remove(key)
        self._remove_abandoned()
        for file in self._digest_files():
            file.unlink(missing_ok=True)
        remove_figures(self.path)
        return len(entries), sum(size for _, _, size, _ in entries)

    def remembered_identity(self, files_key: str) -> str | None:
        """Return the identity (see `IdFile`) of the text in files that have been read before and are unchanged."""
        return self._read_digest(self.path / _DIGESTS / f"{files_key}.json")

    def remember_identity(self, files_key: str, identity: str) -> None:
        """Take note of the identity of the text in files.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        digests = self.prepare() / _DIGESTS
        digests.mkdir(exist_ok=True)
        write_checked(digests / f"{files_key}.json", {_IDENTITY: identity}, durable=False)

    def _folders(self) -> list[Path]:
        with suppress(OSError):
            return [folder for folder in self.path.iterdir() if _is_entry(folder)]
        return []

    def _digest_files(self) -> list[Path]:
        return own_files(self.path, _DIGESTS)

    def _read_digest(self, file: Path) -> str | None:
        try:
            digest = read_checked(file).get(_IDENTITY)
        except (OSError, DamagedFileError):
            return None
        return digest if isinstance(digest, str) and re.fullmatch(r"[0-9a-f]{64}", digest) else None

    def _remove_abandoned(self) -> None:
        """Remove what processes that were killed have left."""
        with suppress(OSError):
            for folder in self.path.glob(f"{_UNFINISHED}*"):
                if folder.is_symlink() or not is_own(folder):
                    continue
                times = [file.stat().st_mtime for file in (folder, *folder.iterdir())]
                if time.time() - max(times) > _ABANDONED_SECONDS:
                    delete_own(folder, FILES)


def _is_entry(folder: Path) -> bool:
    """Return whether a folder is an entry by its mark and its name, and holds only an entry's files."""
    if not _KEY.fullmatch(folder.name) or folder.is_symlink() or not is_own(folder):
        return False
    with suppress(OSError):
        return {path.name for path in folder.iterdir()} <= {*FILES, TAG}
    return False

"""The cache of encoded texts: a folder with an entry for each text, shared by any number of processes.

An entry is a folder with ids, segments, documents, words, a description, and figures computed from the text. Its name
is a digest of the files of the text (path, size, time) and of the settings that make ids of it. It is written under a
temporary name and renamed when it is complete; of several processes that write the same entry, the first to rename
wins, and the others use its entry. To remove an entry, its folder is renamed and deleted; ids that are mapped from it
stay usable.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import IO, Any, TypeVar
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import CorpusError, SettingError, check_number, check_path, check_whole, require_kind
from w2v_exp.files import (
    LEAVE_FREE,
    DamagedFileError,
    cache_folder,
    delete_own,
    expanded,
    holds_only,
    is_own,
    make_own,
    own_place,
    read_checked,
    write_checked,
)
from w2v_exp.machine import MOST_CORES, readable_bytes
from w2v_exp.text.corpus import Corpus, segment_end_of, warn_of_skipped
from w2v_exp.text.damage import NOTHING, Skipped
from w2v_exp.text.documents import promised_format
from w2v_exp.text.encoding import (
    ID,
    POSITION,
    EncodedText,
    IdFile,
    Names,
    encode_text,
    encode_to_file,
    require_ids_memory,
    require_text_parts,
)
from w2v_exp.text.file_search import TextFile
from w2v_exp.text.tokenizers import TOKENIZERS, Tokenizer, available_processes
from w2v_exp.text.vocabulary import Vocabulary, VocabularyRule

_log = logging.getLogger(__name__)

FORMAT = 6  # of an entry's files and of the meaning of its ids: raise by one whenever either changes

# ---------------------------------------------------------------- an entry

IDS = "ids.int32"  # little-endian, nothing else
SEGMENTS = "segments.int64"  # likewise
DOCUMENTS = "documents.int64"  # likewise
NAMES = "names.utf8"  # of documents, as `Names` has them
WORDS = "vocabulary.json"
DESCRIPTION = "entry.json"  # its time is that of the last use
FIGURES = "figures.json"
FILES = (IDS, SEGMENTS, DOCUMENTS, NAMES, WORDS, DESCRIPTION, FIGURES)
_KEY = re.compile(r"[0-9a-f]{32}")
_CHUNK_BYTES = 1 << 20

_Number = TypeVar("_Number", np.uint8, np.int32, np.int64)


class DamagedEntryError(Exception):
    """An entry that does not contain the data written to it."""


@dataclass(frozen=True)
class Entry:
    """The description of a cached text.

    Parameters
    ----------
    source, tokenizer, vocabulary, segment_end : str
        Source of the text and the settings that made ids of it, for people.
    digest : str
        SHA-256 of the text.
    tokens, segments : int
        Number of tokens of the text, and of segments of those that are kept.
    files : dict
        Size and CRC-32 of the files of ids, segments, documents, names and words.
    skipped : list
        The fields of `Skipped`; empty if nothing was skipped.
    """

    source: str
    tokenizer: str
    vocabulary: str
    segment_end: str
    digest: str
    tokens: int
    segments: int
    files: dict[str, list[int]]
    skipped: list[Any] = field(default_factory=list)


def read_entry(folder: Path) -> Entry:
    """Return the description of an entry.

    Raises
    ------
    FileNotFoundError
        If there is no such entry.
    DamagedEntryError
        If it is not the one that was written.
    """
    folder.stat()
    try:
        return Entry(**read_checked(folder / DESCRIPTION))
    except (OSError, DamagedFileError, TypeError) as error:
        raise DamagedEntryError(f"{DESCRIPTION}: {error}") from error


def read_text(folder: Path) -> EncodedText:
    """Return the text of an entry, with arrays that are mapped from their files; every byte is checked.

    Raises
    ------
    FileNotFoundError
        If there is no such entry.
    DamagedEntryError
        If it is not the one that was written.
    """
    entry = read_entry(folder)
    try:
        ids = _map_checked(folder / IDS, ID, entry)
        segments = _map_checked(folder / SEGMENTS, POSITION, entry)
        documents = _map_checked(folder / DOCUMENTS, POSITION, entry)
        names = Names(_map_checked(folder / NAMES, np.dtype(np.uint8), entry))
        content = (folder / WORDS).read_bytes()
    except OSError as error:
        raise DamagedEntryError(f"{error.strerror or error}: {error.filename or folder}") from error
    if [len(content), crc32(content)] != entry.files[WORDS]:
        raise DamagedEntryError(f"{WORDS} is not what was written")
    words = json.loads(content)
    vocabulary = Vocabulary(words["words"], np.array(words["counts"], np.int64))
    files, rows, problems = entry.skipped or NOTHING
    skipped = Skipped(files, rows, tuple(problems))
    return EncodedText(
        ids, vocabulary, entry.tokens, entry.digest, segments, documents, names, folder, skipped
    )


def write_beside_ids(folder: Path, encoded: IdFile, **settings: str) -> None:
    """Write the other files of an entry into the folder with its ids.

    Parameters
    ----------
    folder : Path
        The folder.
    encoded : IdFile
        The text.
    **settings
        The fields of `Entry` that are for people.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    words = json.dumps({"words": encoded.vocabulary.words, "counts": encoded.vocabulary.counts.tolist()})
    files = {IDS: [encoded.length * ID.itemsize, encoded.checksum]}
    segments = encoded.segments.astype(POSITION, copy=False)
    contents = {
        WORDS: words.encode(),
        SEGMENTS: segments.tobytes(),
        DOCUMENTS: encoded.documents.astype(POSITION, copy=False).tobytes(),
        NAMES: encoded.names.content.tobytes(),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
        files[name] = [len(content), crc32(content)]
    entry = Entry(
        **settings,
        digest=encoded.digest,
        tokens=encoded.tokens,
        segments=len(segments) - 1,
        files=files,
        skipped=list(encoded.skipped) if encoded.skipped else [],
    )
    write_checked(folder / DESCRIPTION, vars(entry), durable=False)


def read_figures(folder: Path, key: str) -> dict[str, float] | None:
    """Return the figures of this key in an entry's folder; None if there are none, or they are damaged."""
    try:
        figures: dict[str, float] | None = read_checked(folder / FIGURES).get(key)
    except (OSError, DamagedFileError):
        return None
    return figures


def write_figures(folder: Path, key: str, figures: dict[str, float]) -> None:
    """Add figures to those in an entry's folder.

    Of two processes that do so at once, the figures of one may be lost: they are computed again.

    Raises
    ------
    OSError
        If they cannot be written.
    """
    kept: dict[str, Any] = {}
    with suppress(OSError, DamagedFileError):
        kept = read_checked(folder / FIGURES)
    write_checked(folder / FIGURES, {**kept, key: figures}, durable=False)


def map_numbers(file: IO[bytes], dtype: np.dtype[_Number], length: int) -> NDArray[_Number]:
    """Return the numbers in a file as a read-only array that is mapped from it, not read."""
    if length == 0:  # an empty file cannot be mapped
        empty = np.zeros(0, dtype)
        empty.flags.writeable = False
        return empty
    return np.memmap(file, dtype, mode="r", shape=(length,))


def _map_checked(file: Path, dtype: np.dtype[_Number], entry: Entry) -> NDArray[_Number]:
    with file.open("rb") as stream:
        # The open file is checked and mapped, even if another process removes the entry meanwhile.
        size = checksum = 0
        while chunk := stream.read(_CHUNK_BYTES):  # 3 GB/s: fast enough for every use
            size += len(chunk)
            checksum = crc32(chunk, checksum)
        if [size, checksum] != entry.files[file.name]:
            raise DamagedEntryError(f"{file.name} is not what was written")
        return map_numbers(stream, dtype, size // dtype.itemsize)


def _is_entry(folder: Path) -> bool:
    """Return whether a folder is an entry by its marker and name, and contains only files of an entry."""
    with suppress(OSError):
        return _KEY.fullmatch(folder.name) is not None and holds_only(folder, FILES)
    return False


def _size_of(folder: Path) -> int:
    """Return the bytes of an entry's files; those that vanish meanwhile do not count."""
    size = 0
    for name in FILES:
        with suppress(OSError):
            size += (folder / name).stat().st_size
    return size


# ---------------------------------------------------------------- the cache

_UNFINISHED = ".unfinished-"  # begins the name of an entry that is being written or deleted
_ABANDONED_SECONDS = 3600.0  # no process writes an entry for this long without adding to its files


@dataclass(frozen=True)
class TextCache:
    """Cache of encoded texts: ids of long texts are stored in a folder and mapped from there.

    Short texts are encoded in memory.

    Parameters
    ----------
    folder : str, optional
        The folder; None takes ``texts`` in the project's cache folder (see `cache_folder`). If it contains other files,
        its subfolder ``w2v_exp`` is used, and these files are left alone.
    limit_gb : float
        Largest size in 10⁹ bytes. The least recently used texts are removed first, but never the one in use. A text
        whose ids alone need more is refused.
    processes : int, optional
        Number of processes that tokenize (threads for `WhitespaceTokenizer`); None takes one per core for large texts,
        and one for others.
    counts_gb : float
        Likewise, of the counts of texts that are counted by shards, in the folder ``counts`` beside or in this one.
    """

    folder: str | None = None
    limit_gb: float = 10.0
    processes: int | None = None
    counts_gb: float = 50.0

    def __post_init__(self) -> None:
        check_path(self, "folder", "the path of a folder, or None")
        check_number(self, "limit_gb", above=0, at_most=1e9)
        check_number(self, "counts_gb", above=0, at_most=1e9)
        if self.processes is not None:
            check_whole(self, "processes", at_least=1, at_most=MOST_CORES)

    @property
    def path(self) -> Path:
        """The folder, which need not exist: the given one, or its subfolder if it contains other files."""
        return own_place(self._named)

    @property
    def counts_path(self) -> Path:
        """The folder of the counts of long texts, which need not exist."""
        return self.path / "counts" if self.folder else cache_folder() / "counts"

    @property
    def _named(self) -> Path:
        return expanded(self.folder).absolute() if self.folder else cache_folder() / "texts"

    @property
    def moved(self) -> str:
        """A message if the cache will be made in another folder than the given one; "" if not, or if it exists."""
        path = self.path
        if path == self._named or path.exists():
            return ""
        return f"cache.folder={self._named}: holds other files, which are left alone. The cache is made in {path}."

    def prepare(self) -> Path:
        """Return the folder; make it if it does not exist.

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
            If it is not the one that was written. It has been removed.
        """
        folder = self.path / key
        try:
            text = read_text(folder)
        except OSError:
            return None
        except DamagedEntryError:
            if not folder.exists():  # another process removed it while it was read
                return None
            self.remove(key)
            raise
        with suppress(OSError):  # a cache that can be read but not written
            os.utime(folder / DESCRIPTION)
        return text

    @contextmanager
    def making(self) -> Iterator[Path]:
        """Yield a new folder for an entry; delete it afterwards, unless it was published.

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
        """Make a finished folder the entry of this key, unless there is one, and return the text of the entry.

        Raises
        ------
        OSError
            If it cannot be renamed or read.
        """
        try:
            folder.rename(self.path / key)
        except OSError:  # another process was faster; a damaged entry is replaced
            with suppress(DamagedEntryError):
                if winner := self.read(key):
                    return winner
            folder.rename(self.path / key)
        self.evict(keep=key)
        try:
            text = self.read(key)
        except DamagedEntryError as error:  # the disk does not return the data written to it
            raise OSError(str(error)) from error
        if text is None:
            raise OSError("the entry just written is gone")
        return text

    def entries(self) -> list[tuple[str, Entry | None, int, float]]:
        """Return key, description (None: damaged), bytes and time of last use of each entry, the latest first."""
        found: list[tuple[str, Entry | None, int, float]] = []
        folders: list[Path] = []
        with suppress(OSError):
            folders = [folder for folder in self.path.iterdir() if _is_entry(folder)]
        for folder in folders:
            try:
                used = (folder / DESCRIPTION).stat().st_mtime
                found.append((folder.name, read_entry(folder), _size_of(folder), used))
            except (OSError, DamagedEntryError):
                if folder.exists():
                    found.append((folder.name, None, _size_of(folder), 0.0))
        return sorted(found, key=lambda entry: -entry[3])

    def evict(self, keep: str) -> None:
        """Remove the least recently used entries until the limit holds, except one, and abandoned ones.

        Only folders with the cache's own marker are removed; see `w2v_exp.files`.
        """
        size = 0
        for key, entry, entry_size, _ in sorted(self.entries(), key=lambda entry: entry[0] != keep):
            if key != keep and (entry is None or size + entry_size > self.limit_gb * 1e9):
                self.remove(key)
            else:
                size += entry_size
        self._remove_abandoned()

    def remove(self, key: str) -> None:
        """Remove an entry, if it exists and its folder contains nothing else."""
        folder, doomed = self.path / key, self.path / f"{_UNFINISHED}{secrets.token_hex(8)}"
        if not _is_entry(folder):
            return
        with suppress(OSError):
            folder.rename(doomed)
            delete_own(doomed, FILES)

    def clear(self) -> tuple[int, int]:
        """Remove all entries and return their number and bytes; entries that are being written stay."""
        entries = self.entries()
        for key, _, _, _ in entries:
            self.remove(key)
        self._remove_abandoned()
        return len(entries), sum(size for _, _, size, _ in entries)

    def _remove_abandoned(self) -> None:
        """Remove the folders that killed processes left."""
        with suppress(OSError):
            for folder in self.path.glob(f"{_UNFINISHED}*"):
                if folder.is_symlink() or not is_own(folder):
                    continue
                times = [file.stat().st_mtime for file in (folder, *folder.iterdir())]
                if time.time() - max(times) > _ABANDONED_SECONDS:
                    delete_own(folder, FILES)


# ---------------------------------------------------------------- keys


def entry_key(corpus: Corpus, tokenizer: Tokenizer, rule: VocabularyRule) -> str | None:
    """Return the name of the entry of a text, or None if the text is not cached.

    It changes with the path, size or time of any file of the corpus (a file with changed content but the same size and
    time, to the nanosecond, counts as unchanged), with the corpus's other settings, and with those of the tokenizer and
    the vocabulary. Of a remote file, it has the address, the size and the ETag, or what its server has instead. Pipes
    are not cached, because another process cannot read them again; nor are files of a web server that sends neither
    ETag nor time, and tokenizers without a version.

    Raises
    ------
    OSError
        If a file cannot be looked up.
    """
    files, described = corpus_files(corpus), describe_tokenizer(tokenizer)
    if files is None or described is None or not is_dataclass(corpus) or isinstance(corpus, type):
        return None
    if getattr(corpus, "is_pipe", False):
        return None
    states = [*map(state_of, files)]
    if None in states:
        return None
    inputs = {
        "format": FORMAT,
        "corpus": type(corpus).__qualname__,
        "settings": _settings(corpus),
        "files": states,
        "segment_end": segment_end_of(corpus),
        "base": str(base.absolute()) if (base := getattr(corpus, "base", None)) else None,  # of names
        "tokenizer": described,
        "vocabulary": rule.described(),
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:32]


def state_of(file: Any) -> list[str | int] | None:
    """Return path, size and time or version of a file; None if a change of it could not be recognised."""
    status = file.stat()
    if isinstance(file, Path):
        return [str(file.absolute()), status.st_size, status.st_mtime_ns]
    return [str(file), status.st_size, file.version] if file.version else None


# Settings that came later are left out if they have these values: texts of before keep their entries.
_LATER = {"field": None, "names": None, "on_error": "stop"}


def _settings(corpus: Any) -> dict[str, Any]:
    """Return the settings of a corpus without its path, which the files stand for."""
    settings = {
        name: value for name, value in asdict(corpus).items() if name not in _LATER or value != _LATER[name]
    }
    return settings | {"path": None}


def describe_tokenizer(tokenizer: Tokenizer) -> dict[str, Any] | None:
    """Return the description of a tokenizer in the key of an entry, or None if it has no ``version``.

    It has the option's name, or else the class, settings and version, and the versions of Python and of `regex`, whose
    tables define letters. Custom tokenizers and plain functions have no version: they may depend on anything.
    """
    version = getattr(tokenizer, "version", None)
    if version is None or not is_dataclass(tokenizer) or isinstance(tokenizer, type):
        return None
    made = type(tokenizer)
    options = {option: name for name, option in TOKENIZERS.items()}
    return {
        "name": options.get(made, f"{made.__module__}.{made.__qualname__}"),
        "settings": asdict(tokenizer),
        "version": version,
        "python": list(sys.version_info[:2]),
        "regex": _version("regex"),
    }


def corpus_files(corpus: Corpus) -> list[TextFile] | None:
    """Return the files that a corpus reads, or None if it reads none."""
    files = getattr(corpus, "files", None)
    return None if files is None else list(files())


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return ""


# ---------------------------------------------------------------- encoding into the cache

SMALLEST_CACHED = 2_000_000  # bytes of files; shorter texts are encoded in half a second
LARGEST_SHORT = 64_000_000  # bytes of text in small files, decompressed, that are encoded in memory
_ALWAYS_WRITTEN = 64_000_000  # bytes of ids, however full the disk is
# Bytes of files; shorter texts are tokenized by the time that other processes have started.
SMALLEST_SHARED = 20_000_000

# Called with the bytes of text that have been read, and with their total (None: unknown, the files are compressed).
Progress = Callable[[int, int | None], None]


def encode_cached(
    corpus: Corpus,
    tokenizer: Tokenizer,
    rule: VocabularyRule,
    cache: TextCache,
    *,
    progress: Progress = lambda _done, _of: None,
) -> EncodedText:
    """Return the result of `encode_text`; for long texts with the ids mapped from a file in the cache.

    Texts given in the configuration, and files of less than 2 MB together, are encoded in memory and not cached, unless
    they are decompressed to more than `LARGEST_SHORT`. Ids of pipes, and of a tokenizer without ``version`` such as a
    custom one or a plain function, are mapped from a temporary file.

    Files that have been encoded before are not read while their paths, sizes and times are the same. Every byte of an
    entry is checked when it is used; a damaged entry is made again, with a warning in the log. If the cache cannot be
    written, a warning is logged and the text is encoded in memory. The ids of a text take at most `cache.limit_gb` of
    the disk, and leave `LEAVE_FREE` bytes of it free.

    Raises
    ------
    CorpusError
        If the text cannot be read, has no word, or its ids need more than `cache.limit_gb`. Nothing is cached then.
    NotEnoughMemoryError
        If the text can be encoded neither on disk nor in memory.
    """
    require_text_parts(corpus, tokenizer, rule)
    require_kind("cache", cache, TextCache, "a TextCache, such as TextCache()")
    files = corpus_files(corpus)
    if files is None:
        return encode_text(corpus, tokenizer, rule)
    try:
        size = sum(file.stat().st_size for file in files)
    except OSError as error:  # it has just been found
        raise CorpusError(f"{error.filename} cannot be read: {error.strerror or error}.") from error
    if size < SMALLEST_CACHED:
        with suppress(_LongTextError):
            return encode_text(corpus, tokenizer, rule, _require_short)
        size = LARGEST_SHORT
    total = None if size == LARGEST_SHORT or any(promised_format(file.name) for file in files) else size
    processes = cache.processes or (available_processes() if size >= SMALLEST_SHARED else 1)

    def encode(file: IO[bytes]) -> IdFile:
        def report(done: int) -> None:
            _require_room(file, cache, corpus.source)
            progress(done, total)

        return encode_to_file(corpus, tokenizer, rule, file, processes, report)

    try:
        key = entry_key(corpus, tokenizer, rule)
        if key is None:
            return _temporary_text(cache, encode)
        try:
            if text := cache.read(key):
                warn_of_skipped(corpus, text.skipped)
                return text
        except DamagedEntryError as error:
            _log.warning(f"The cached ids of {corpus.source} are damaged ({error}); they are made again.")
        if line := cache.moved:
            _log.info(line)
        with cache.making() as folder:
            with (folder / IDS).open("x+b") as file:
                encoded = encode(file)
            write_beside_ids(
                folder,
                encoded,
                source=corpus.source,
                tokenizer=repr(tokenizer),
                vocabulary=repr(rule),
                segment_end=segment_end_of(corpus),
            )
            is_current = False
            with suppress(OSError, SettingError):  # the files have vanished
                is_current = entry_key(corpus, tokenizer, rule) == key
            # Files that have changed while they were read leave no entry.
            return cache.publish(folder, key) if is_current else read_text(folder)
    except OSError as error:  # errors of the corpus are CorpusError
        reason = error.strerror or str(error)
        _log.warning(
            f"The cache of texts in {cache.path} cannot be used ({reason}); this goes on without it."
        )
        if isinstance(error, _NoRoomError):
            require_ids_memory(corpus.source, error.size)  # at once, not after reading as much again
        return encode_text(corpus, tokenizer, rule)


class _LongTextError(Exception):
    """Small files contain a long text."""


def _require_short(read: int) -> None:
    if read > LARGEST_SHORT:
        raise _LongTextError


class _NoRoomError(OSError):
    """Ids that may not take more of the disk: `size` bytes so far."""

    def __init__(self, problem: str, size: int) -> None:
        super().__init__(errno.ENOSPC, problem)
        self.size = size


def _require_room(file: IO[bytes], cache: TextCache, source: str) -> None:
    size = os.fstat(file.fileno()).st_size
    if size > cache.limit_gb * 1e9:
        raise CorpusError(
            f"cache.limit_gb={cache.limit_gb:g}: the ids of {source} need more. Raise it, take a part of the text, or "
            "set cache=none to encode it in memory."
        )
    if size > _ALWAYS_WRITTEN and (free := shutil.disk_usage(cache.path).free) < LEAVE_FREE:
        raise _NoRoomError(
            f"the ids of the text need more than the {readable_bytes(free)} that are free", size
        )


def _temporary_text(cache: TextCache, encode: Callable[[IO[bytes]], IdFile]) -> EncodedText:
    """Return a text with the ids in an anonymous file, which is deleted with the array that is mapped from it."""
    with tempfile.TemporaryFile(dir=cache.prepare()) as file:
        encoded = encode(file)
        ids = map_numbers(file, ID, encoded.length)
    return EncodedText(
        ids,
        encoded.vocabulary,
        encoded.tokens,
        encoded.digest,
        encoded.segments,
        encoded.documents,
        encoded.names,
        skipped=encoded.skipped,
    )

"""A corpus as ids mapped from the cache, found by its content."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import IO, Any

from w2v_exp.errors import CorpusError, SettingError, require_kind
from w2v_exp.machine import readable_bytes
from w2v_exp.text.cache import IDS, DamagedEntryError, TextCache, map_numbers, write_beside_ids
from w2v_exp.text.corpus import Corpus, segment_end_of
from w2v_exp.text.documents import LEAVE_FREE, promised_format
from w2v_exp.text.encoding import (
    ID,
    EncodedText,
    IdFile,
    encode_text,
    encode_to_file,
    require_ids_memory,
    require_text_parts,
)
from w2v_exp.text.tokenizers import TOKENIZERS, Tokenizer
from w2v_exp.text.tokenizing import available_processes
from w2v_exp.text.vocabulary import VocabularyRule

_log = logging.getLogger(__name__)

FORMAT = 4  # of an entry's files, and of what its ids mean: one more whenever either changes


def entry_key(identity: str, segment_end: str, tokenizer: dict[str, Any], rule: VocabularyRule) -> str:
    """Return the name of the entry for a text of this identity (see `IdFile`) and all that makes ids of it.

    Parameters
    ----------
    identity : str
        SHA-256.
    segment_end : str
        One of `SEGMENT_ENDS`.
    tokenizer : dict
        What `describe_tokenizer` returns.
    rule : VocabularyRule
        Which words are kept.
    """
    return _digest_of(
        {
            "format": FORMAT,
            "text": identity,
            "segment_end": segment_end,
            "tokenizer": tokenizer,
            "vocabulary": asdict(rule),
        }
    )


def describe_tokenizer(tokenizer: Tokenizer) -> dict[str, Any] | None:
    """Return what names a tokenizer in the cache, or None if it has no ``version``: its texts are not cached.

    It is the option's name, or else the class, with settings and version, and the versions of Python and of `regex`,
    whose tables define letters. Custom tokenizers and plain functions have no version: they may depend on anything.
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


def files_key(corpus: Corpus) -> str | None:
    """Return what a corpus's text is known by without reading it, or None for one that reads no files, or a pipe.

    It changes with the corpus's class and settings, and with the path, size or time of any of its files. (A file
    whose content has changed while its size and time, to the nanosecond, are the same is taken for unchanged.)

    Raises
    ------
    OSError
        If a file cannot be looked up.
    """
    files = corpus_files(corpus)
    if (
        files is None
        or not is_dataclass(corpus)
        or isinstance(corpus, type)
        or getattr(corpus, "is_pipe", False)
    ):
        return None
    seen = []
    for file in files:
        status = file.stat()
        seen.append([str(file.absolute()), status.st_size, status.st_mtime_ns])
    return _digest_of(
        {"format": FORMAT, "corpus": type(corpus).__qualname__, "settings": asdict(corpus), "files": seen}
    )


def corpus_files(corpus: Corpus) -> list[Path] | None:
    """Return the files that a corpus reads, or None for one that reads none."""
    files = getattr(corpus, "files", None)
    return None if files is None else list(files())


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _digest_of(described: dict[str, Any]) -> str:
    text = json.dumps(described, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


SMALLEST_CACHED = 2_000_000  # bytes of files; less is encoded in half a second
LARGEST_SHORT = 64_000_000  # bytes of text that small files may hold, decompressed, to be encoded in memory
_ALWAYS_WRITTEN = 64_000_000  # bytes of ids, whatever room there is
SMALLEST_SHARED = (
    20_000_000  # bytes of files; less is tokenized by the time that other processes have started
)

# Is told how many bytes of text have been read, of how many (None: unknown, the files are compressed).
Progress = Callable[[int, int | None], None]


def encode_cached(
    corpus: Corpus,
    tokenizer: Tokenizer,
    rule: VocabularyRule,
    cache: TextCache,
    *,
    progress: Progress = lambda _done, _of: None,
) -> EncodedText:
    """Return what `encode_text` returns; for long texts with the ids in a mapped file, which stays in the cache.

    Texts given in the configuration, and files of less than 2 MB together, are encoded in memory and not kept, unless
    they are decompressed to more than `LARGEST_SHORT`.
    With a tokenizer that has no ``version``, such as a custom one or a plain function, the ids lie in a file that goes
    when they are no longer used: whether it still makes the same words is not known.

    Files that have been encoded before are not read again while their paths, sizes and times are the same. Every byte
    of an entry is checked when it is used; one that is damaged is made again, with a warning in the log. If the
    cache cannot be written, for whatever reason, a warning is logged and the text is encoded in memory. The ids of a
    text take no more disk than `cache.limit_gb`, and leave `LEAVE_FREE` bytes of it free.

    Raises
    ------
    CorpusError
        If the text cannot be read, has no word, or its ids need more than `cache.limit_gb`. Nothing is kept then.
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
    except OSError as error:  # it was there a moment ago
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
        tokenizer_described = describe_tokenizer(tokenizer)
        if tokenizer_described is None:
            return _passing_text(cache, encode)
        segment_end = segment_end_of(corpus)
        known_as = files_key(corpus)
        if known_as and (identity := cache.remembered_identity(known_as)):
            try:
                if text := cache.read(entry_key(identity, segment_end, tokenizer_described, rule)):
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
                segment_end=segment_end,
            )
            text = cache.publish(folder, entry_key(encoded.identity, segment_end, tokenizer_described, rule))
        with suppress(OSError, SettingError):  # the files have vanished, or nothing can be written
            if known_as and files_key(corpus) == known_as:  # not if they have changed while they were read
                cache.remember_identity(known_as, encoded.identity)
        return text
    except OSError as error:  # one of the corpus would be a CorpusError
        reason = error.strerror or str(error)
        _log.warning(
            f"The cache of texts in {cache.path} cannot be used ({reason}); this goes on without it."
        )
        if isinstance(error, _NoRoomError):
            require_ids_memory(corpus.source, error.size)  # at once, not when so much has been read again
        return encode_text(corpus, tokenizer, rule)


class _LongTextError(Exception):
    """Small files hold a long text."""


def _require_short(read: int) -> None:
    if read > LARGEST_SHORT:
        raise _LongTextError


class _NoRoomError(OSError):
    """Ids that may not take more room on the disk: `size` bytes so far."""

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


def _passing_text(cache: TextCache, encode: Callable[[IO[bytes]], IdFile]) -> EncodedText:
    """Return a text whose ids lie in a file without a name, which goes with the array that is mapped from it."""
    with tempfile.TemporaryFile(dir=cache.prepare()) as file:
        encoded = encode(file)
        ids = map_numbers(file, ID, encoded.length)
    return EncodedText(ids, encoded.vocabulary, encoded.tokens, encoded.digest, encoded.segments)

"""A corpus as ids that are mapped from a file: from the cache, or made for it."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import IO

from w2v_exp.errors import CorpusError, SettingError
from w2v_exp.memory import readable_bytes
from w2v_exp.text.cache import TextCache
from w2v_exp.text.cache_entry import IDS, DamagedEntryError, map_numbers, write_beside_ids
from w2v_exp.text.cache_key import corpus_files, describe_tokenizer, entry_key, files_key
from w2v_exp.text.corpus import Corpus, passage_end_of
from w2v_exp.text.documents import promised_format
from w2v_exp.text.encoding import (
    ID,
    EncodedText,
    IdFile,
    encode_text,
    encode_to_file,
    require_ids_memory,
    require_text_parts,
)
from w2v_exp.text.pipes import LEAVE_FREE
from w2v_exp.text.tokenizer import Tokenizer
from w2v_exp.text.tokenizing import available_processes
from w2v_exp.text.vocabulary import VocabularyRule
from w2v_exp.validation import require_kind

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
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
) -> EncodedText:
    """Return what `encode_text` returns; for long texts with the ids in a mapped file, which stays in the cache.

    Texts given in the configuration, and files of less than 2 MB together, are encoded in memory and not kept, unless
    they are decompressed to more than `LARGEST_SHORT`.
    With a custom tokenizer, or one that is a plain function, the ids lie in a file that goes when they are no longer
    used: nobody could tell whether it still does the same.

    Files that have been encoded before are not read again while their paths, sizes and times are the same. Every byte
    of an entry is checked when it is used; one that is damaged is made again, and `say` is told. So it is where the
    cache cannot be written, for whatever reason: the text is then encoded in memory. The ids of a text take no more
    disk than `cache.limit_gb`, and leave `LEAVE_FREE` bytes of it free.

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
        passage_end = passage_end_of(corpus)
        known_as = files_key(corpus)
        if known_as and (identity := cache.remembered_identity(known_as)):
            try:
                if text := cache.read(entry_key(identity, passage_end, tokenizer_described, rule)):
                    return text
            except DamagedEntryError as error:
                say(f"The cached ids of {corpus.source} are damaged ({error}); they are made again.")
        if line := cache.moved:
            say(line)
        with cache.making() as folder:
            with (folder / IDS).open("x+b") as file:
                encoded = encode(file)
            write_beside_ids(
                folder,
                encoded,
                source=corpus.source,
                tokenizer=repr(tokenizer),
                vocabulary=repr(rule),
                passage_end=passage_end,
            )
            text = cache.publish(folder, entry_key(encoded.identity, passage_end, tokenizer_described, rule))
        with suppress(OSError, SettingError):  # the files have vanished, or nothing can be written
            if known_as and files_key(corpus) == known_as:  # not if they have changed while they were read
                cache.remember_identity(known_as, encoded.identity)
        return text
    except OSError as error:  # one of the corpus would be a CorpusError
        reason = error.strerror or str(error)
        say(f"The cache of texts in {cache.path} cannot be used ({reason}); this goes on without it.")
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
    return EncodedText(ids, encoded.vocabulary, encoded.tokens, encoded.digest, encoded.passages)

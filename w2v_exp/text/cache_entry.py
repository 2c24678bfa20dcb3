"""One text in the cache: a folder with its ids, passages and words, and what they must add up to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from w2v_exp.text.encoding import ID, PLACE, EncodedText, IdFile
from w2v_exp.text.vocabulary import Vocabulary

IDS = "ids.int32"  # little-endian, nothing else
PASSAGES = "passages.int64"  # likewise
WORDS = "vocabulary.json"
DESCRIPTION = "entry.json"  # its time says when the entry was used last
FILES = (IDS, PASSAGES, WORDS, DESCRIPTION)
_CHUNK_BYTES = 1 << 20

_Number = TypeVar("_Number", np.int32, np.int64)


class DamagedEntryError(Exception):
    """An entry that is not what was written."""


@dataclass(frozen=True)
class Entry:
    """What the description of a cached text says.

    Parameters
    ----------
    source, tokenizer, vocabulary, passage_end : str
        Where the text comes from and what made ids of it, for people.
    digest, identity : str
        SHA-256 of the text, and what its key is made of; see `IdFile`.
    tokens, length, passages : int
        How many tokens the text has, how many ids are kept of them, and how many passages these have.
    ids_checksum, passages_checksum, words_size, words_checksum : int
        CRC-32 of the files of ids and of passages; size and CRC-32 of the file of words.
    """

    source: str
    tokenizer: str
    vocabulary: str
    passage_end: str
    digest: str
    identity: str
    tokens: int
    length: int
    passages: int
    ids_checksum: int
    passages_checksum: int
    words_size: int
    words_checksum: int


def write_beside_ids(
    folder: Path, encoded: IdFile, *, source: str, tokenizer: str, vocabulary: str, passage_end: str
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
    passages = encoded.passages.astype(PLACE, copy=False)
    (folder / PASSAGES).write_bytes(passages.data)
    entry = Entry(
        source=source,
        tokenizer=tokenizer,
        vocabulary=vocabulary,
        passage_end=passage_end,
        digest=encoded.digest,
        identity=encoded.identity,
        tokens=encoded.tokens,
        length=encoded.length,
        passages=len(passages) - 1,
        ids_checksum=encoded.checksum,
        passages_checksum=crc32(passages.data),
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
    """Return the text of an entry, with ids and passages mapped from their files, after a check of every byte.

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
        passages = _map_checked(folder / PASSAGES, PLACE, entry.passages + 1, entry.passages_checksum)
    except OSError as error:
        raise DamagedEntryError(f"{error.strerror or error}: {error.filename or folder}") from error
    vocabulary = Vocabulary(words["words"], np.array(words["counts"], np.int64))
    return EncodedText(ids, vocabulary, entry.tokens, entry.digest, passages)


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

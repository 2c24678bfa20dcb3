"""A corpus, encoded: the ids of its words, in one pass over the text."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import count, repeat
from typing import IO
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import CorpusError
from w2v_exp.text.corpus import Corpus
from w2v_exp.text.tokenizer import Tokenizer
from w2v_exp.text.tokenizing import number_pieces
from w2v_exp.text.vocabulary import Vocabulary, VocabularyRule

ID = np.dtype("<i4")  # of a file of ids, on every machine
CHUNK_IDS = 1 << 18

Progress = Callable[[int], None]  # is told how many bytes of text have been read so far


@dataclass(frozen=True)
class EncodedText:
    """A text as ids.

    Parameters
    ----------
    ids : ndarray of int32, shape (n,)
        The ids of the tokens that are in the vocabulary, in the order of the text.
    vocabulary : Vocabulary
        The words behind the ids.
    tokens : int
        How many tokens the text has, those that were dropped included.
    digest : str
        SHA-256 of the text, hexadecimal.
    """

    ids: NDArray[np.int32]
    vocabulary: Vocabulary
    tokens: int
    digest: str


def encode_text(corpus: Corpus, tokenizer: Tokenizer, rule: VocabularyRule) -> EncodedText:
    """Read, tokenize, count and encode a corpus in one pass, in memory.

    Words get provisional ids in the order in which they turn up; once all are counted, the ids are mapped to
    those of the vocabulary. Memory: 8 bytes a token at the end, the distinct words, and one piece of text.
    For long texts there is :func:`w2v_exp.text.cached_encoding.encode_cached`.

    Raises
    ------
    CorpusError
        If the text cannot be read or has no word. (Whether the vocabulary keeps any is left to the caller.)
    """
    reading = _Reading(corpus)
    pieces = list(reading.provisional_ids(tokenizer))
    vocabulary, new_ids = reading.select(rule)
    for number, piece in enumerate(pieces):  # one by one, so that no other array is as long as the text
        ids = new_ids[piece]
        pieces[number] = ids[ids >= 0]
    return EncodedText(np.concatenate(pieces), vocabulary, reading.tokens, reading.digest)


@dataclass(frozen=True)
class IdFile:
    """What is known of a text whose ids have been written to a file: int32, little-endian, nothing else.

    Parameters
    ----------
    vocabulary, tokens, digest
        As those of `EncodedText`.
    length : int
        How many ids there are.
    checksum : int
        Their CRC-32.
    """

    vocabulary: Vocabulary
    tokens: int
    digest: str
    length: int
    checksum: int


def encode_to_file(
    corpus: Corpus,
    tokenizer: Tokenizer,
    rule: VocabularyRule,
    file: IO[bytes],
    processes: int = 1,
    progress: Progress = lambda _: None,
) -> IdFile:
    """Read, tokenize, count and encode a corpus, with its ids in a file instead of in memory.

    One pass over the text writes provisional ids, and one over the file maps them where they stand. Memory: the
    distinct words, and a few pieces of text, whatever its length. The ids are those of `encode_text`.

    Parameters
    ----------
    file : binary file
        Empty, and open for reading and writing.
    processes : int
        How many tokenize; see :func:`w2v_exp.text.tokenizing.number_pieces`.

    Raises
    ------
    CorpusError
        If the text cannot be read or has no word.
    OSError
        If the file cannot be written.
    """
    reading = _Reading(corpus, progress)
    with closing(reading.provisional_ids(tokenizer, processes)) as pieces:
        for piece in pieces:
            file.write(piece.astype(ID, copy=False).data)
    vocabulary, new_ids = reading.select(rule)
    length, checksum = _map_file(file, new_ids)
    return IdFile(vocabulary, reading.tokens, reading.digest, length, checksum)


def _map_file(file: IO[bytes], new_ids: NDArray[np.int32]) -> tuple[int, int]:
    """Map the provisional ids in a file, leaving out those that become −1; return their number and CRC-32."""
    read = written = checksum = 0
    file.seek(0)
    while chunk := file.read(CHUNK_IDS * ID.itemsize):
        read += len(chunk)
        ids = new_ids[np.frombuffer(chunk, ID)]
        kept = ids[ids >= 0].astype(ID, copy=False).tobytes()
        checksum = crc32(kept, checksum)
        file.seek(written)
        written += file.write(kept)  # never overtakes what has been read
        file.seek(read)
    file.truncate(written)
    file.flush()
    return written // ID.itemsize, checksum


class _Reading:
    """A corpus while it is read: its words in the order in which they turn up, their counts, its digest."""

    def __init__(self, corpus: Corpus, progress: Progress = lambda _: None) -> None:
        self._corpus = corpus
        self._progress = progress
        self._ids: defaultdict[str, int] = defaultdict(count().__next__)
        self._counts = np.zeros(1 << 10, np.int64)  # of the words so far, with room for more
        self._digest = hashlib.sha256()

    def provisional_ids(
        self, tokenizer: Tokenizer, processes: int = 1
    ) -> Generator[NDArray[np.int32], None, None]:
        """Yield the ids of each piece's tokens."""
        # Closed whatever happens, so that no process is left behind.
        with closing(number_pieces(tokenizer, self._texts(), processes)) as pieces:
            for words, numbers in pieces:
                ids = np.fromiter(map(self._ids.__getitem__, words), np.int32, len(words))
                while len(self._counts) < len(self._ids):
                    self._counts = np.concatenate([self._counts, np.zeros_like(self._counts)])
                self._counts[ids] += np.bincount(numbers, minlength=len(words))
                yield ids[numbers]

    def _texts(self) -> Iterator[str]:
        read = 0
        for text in self._corpus.pieces():
            content = text.encode()
            self._digest.update(content)
            read += len(content)
            del content
            self._progress(read)
            yield text

    def select(self, rule: VocabularyRule) -> tuple[Vocabulary, NDArray[np.int32]]:
        """Return the vocabulary, and by provisional id the new one, or −1 for words that are dropped."""
        if not self._ids:
            raise CorpusError(f"The text ({self._corpus.source}) has no word that this tokenizer finds.")
        vocabulary = rule.select(dict(zip(self._ids, self._counts.tolist(), strict=False)))
        return vocabulary, np.fromiter(map(vocabulary.ids.get, self._ids, repeat(-1)), np.int32)

    @property
    def tokens(self) -> int:
        return int(self._counts.sum())

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()

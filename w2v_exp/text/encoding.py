"""A corpus, encoded: the ids of its words, in one pass over the text."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import IO, Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from w2v_exp.memory import require_memory
from w2v_exp.representation import ShortRepr
from w2v_exp.text.corpus import Corpus
from w2v_exp.text.passages import move_places, without_repeats
from w2v_exp.text.reading import Progress, Reading
from w2v_exp.text.tokenizer import Tokenizer
from w2v_exp.text.vocabulary import Vocabulary, VocabularyRule
from w2v_exp.validation import require_methods, wrong_kind

ID = np.dtype("<i4")  # of a file of ids, on every machine
PLACE = np.dtype("<i8")  # of a file of passages
CHUNK_IDS = 1 << 18
_CHECK_EVERY = 1 << 26  # bytes of ids in memory


@dataclass(frozen=True, repr=False)
class EncodedText(ShortRepr):
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
    passages : ndarray of int64, shape (p + 1,)
        Passage k is ``ids[passages[k]:passages[k + 1]]``, and windows do not cross from one to another. They rise from
        0 to n: where the vocabulary keeps no word of a passage, there is none. (So a text without ids has none.)
    """

    ids: NDArray[np.int32]
    vocabulary: Vocabulary
    tokens: int
    digest: str
    passages: NDArray[np.int64]


def encode_text(
    corpus: Corpus, tokenizer: Tokenizer, rule: VocabularyRule, progress: Progress = lambda _: None
) -> EncodedText:
    """Read, tokenize, count and encode a corpus in one pass, in memory.

    Words get provisional ids in the order in which they turn up; once all are counted, the ids are mapped to
    those of the vocabulary. Memory: 8 bytes a token at the end, the distinct words, one piece of text, and 16
    bytes a passage.
    For long texts there is :func:`w2v_exp.text.cached_encoding.encode_cached`.

    Raises
    ------
    SettingError
        If one of the three is of the wrong kind.
    CorpusError
        If the text cannot be read or has no word. (Whether the vocabulary keeps any is left to the caller.)
    NotEnoughMemoryError
        If the ids, or the distinct words, do not fit the available memory.
    """
    require_text_parts(corpus, tokenizer, rule)
    reading = Reading(corpus, progress)
    pieces: list[NDArray[np.int32]] = []
    held = checked = 0  # bytes of the pieces
    for piece in reading.provisional_ids(tokenizer):
        pieces.append(piece)
        held += piece.nbytes
        if held - checked > _CHECK_EVERY:
            checked = held
            require_ids_memory(corpus.source, held)
    vocabulary, new_ids = reading.select(rule)
    mapping = _Mapping(new_ids, reading.take_passages())
    for number, piece in enumerate(pieces):  # one by one, so that no other array is as long as the text
        pieces[number] = mapping.map(piece)
    return EncodedText(np.concatenate(pieces), vocabulary, reading.tokens, reading.digest, mapping.passages)


def require_text_parts(corpus: Any, tokenizer: Any, rule: Any) -> None:
    """Refuse what is no corpus, no tokenizer or no rule: a list of sentences, the name or the class of a tokenizer.

    Raises
    ------
    SettingError
        For the first of them.
    """
    require_methods(
        "corpus",
        corpus,
        "pieces",
        description="a corpus, such as TextCorpus(text), FileCorpus(path), or an object with a method pieces()",
    )
    if isinstance(tokenizer, type) or not callable(tokenizer):
        raise wrong_kind(
            "tokenizer", tokenizer, "a tokenizer, such as WordTokenizer(), or a function from text to words"
        )
    require_methods("rule", rule, "select", description="a VocabularyRule")


def require_ids_memory(source: str, held: int) -> None:
    """Refuse to encode more of a text in memory if the ids that it has so far could not be joined to one array.

    Raises
    ------
    NotEnoughMemoryError
        With a remedy.
    """
    require_memory(
        held + _CHECK_EVERY,
        f"{source}: encoding more than {held // ID.itemsize:,} tokens in memory",
        "Use cache=disk with a larger cache.limit_gb, which keeps them in a file, or a part of the text.",
    )


@dataclass(frozen=True, repr=False)
class IdFile(ShortRepr):
    """What is known of a text whose ids have been written to a file: int32, little-endian, nothing else.

    Parameters
    ----------
    vocabulary, tokens, digest, passages
        As those of `EncodedText`.
    identity : str
        SHA-256 of all that the passages and ids depend on in the corpus: the digest, and if passages end with the
        corpus's texts, where these end.
    length : int
        How many ids there are.
    checksum : int
        Their CRC-32.
    """

    vocabulary: Vocabulary
    tokens: int
    digest: str
    passages: NDArray[np.int64]
    identity: str
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
    distinct words, and a few pieces of text, whatever its length, and 16 bytes a passage. The ids are those of
    `encode_text`.

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
    reading = Reading(corpus, progress)
    with closing(reading.provisional_ids(tokenizer, processes)) as pieces:
        for piece in pieces:
            file.write(piece.astype(ID, copy=False).data)
    vocabulary, new_ids = reading.select(rule)
    mapping = _Mapping(new_ids, reading.take_passages())
    length, checksum = _map_file(file, mapping)
    return IdFile(
        vocabulary, reading.tokens, reading.digest, mapping.passages, reading.identity, length, checksum
    )


class _Mapping:
    """From provisional ids to new ones, stretch by stretch, in their order; passages change with them.

    Parameters
    ----------
    new_ids : ndarray of int32
        By provisional id; −1 for those that are left out.
    passages : ndarray of int64
        The passages among the provisional ids; changed as these are mapped.
    """

    def __init__(self, new_ids: NDArray[np.int32], passages: NDArray[np.int64]) -> None:
        self._new_ids = new_ids
        self._passages = passages
        self._done = 0
        self._kept = 0

    def map(self, provisional: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return the new ids of the next stretch."""
        ids = self._new_ids[provisional]
        kept = ids >= 0
        move_places(self._passages, self._done, kept, self._kept)
        ids = ids[kept]
        self._done += len(provisional)
        self._kept += len(ids)
        return ids

    @property
    def passages(self) -> NDArray[np.int64]:
        """The passages among the new ids, when all are mapped; none is empty."""
        return without_repeats(self._passages)


def _map_file(file: IO[bytes], mapping: _Mapping) -> tuple[int, int]:
    """Map the provisional ids in a file where they stand; return the number and the CRC-32 of those that are kept."""
    read = written = checksum = 0
    file.seek(0)
    while chunk := file.read(CHUNK_IDS * ID.itemsize):
        read += len(chunk)
        kept = mapping.map(np.frombuffer(chunk, ID)).astype(ID, copy=False).tobytes()
        checksum = crc32(kept, checksum)
        file.seek(written)
        written += file.write(kept)  # never overtakes what has been read
        file.seek(read)
    file.truncate(written)
    file.flush()
    return written // ID.itemsize, checksum

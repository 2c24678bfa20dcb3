"""Sentences given in Python: lists of words, which are not tokenized again."""

from __future__ import annotations

import hashlib
import json
import reprlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from w2v_exp.display import ROWS, card
from w2v_exp.errors import CorpusError, ShortRepr, UserError, require_kind, wrong_kind
from w2v_exp.machine import require_memory
from w2v_exp.text.chunks import move_positions, without_repeats
from w2v_exp.text.encoding import BEGINNING, EncodedText, require_ids_memory
from w2v_exp.text.vocabulary import VocabularyRule

_CHECK_EVERY = 1 << 22  # tokens between two checks of the available memory


@dataclass(frozen=True, eq=False, repr=False)
class SentenceCorpus(ShortRepr):
    """Sentences as numbers: a corpus of words that are kept exactly as they were given.

    Made by `read`. Windows do not cross from one sentence to the next.

    Parameters
    ----------
    words : list of str
        The distinct words, in order of appearance.
    numbers : ndarray of int32, shape (tokens,)
        For each token the index of its word.
    ends : ndarray of int64
        Number of tokens before the end of each sentence.
    """

    words: list[str]
    numbers: NDArray[np.int32]
    ends: NDArray[np.int64]

    source: ClassVar[str] = "sentences given in Python"

    @classmethod
    def read(cls, sentences: Iterable[Iterable[str]]) -> SentenceCorpus:
        """Read sentences in one pass, so that a generator will do.

        Parameters
        ----------
        sentences : iterable of iterables of str
            The words of each sentence. A word may have any characters, spaces included.

        Raises
        ------
        SettingError
            If these are not sentences.
        UserError
            If a sentence is a string, or a word is not a string; with the number of the sentence.
        CorpusError
            If there is no word.
        NotEnoughMemoryError
            If the words do not fit the available memory.
        """
        if isinstance(sentences, (str, bytes)) or not isinstance(sentences, Iterable):
            raise wrong_kind("sentences", sentences, "an iterable of lists of words")
        ids = _WordIds()
        numbers = array("i")  # grows in place, at four bytes a token
        ends = array("q")
        checked = 0
        for sentence in sentences:
            if isinstance(sentence, (str, bytes)) or not isinstance(sentence, Iterable):
                raise _not_a_sentence(len(ends), sentence)
            try:
                numbers.extend(map(ids.__getitem__, sentence))
            except TypeError as error:  # a list has no hash
                raise _not_a_sentence(len(ends), sentence) from error
            except _WordError as error:
                raise UserError(f"sentences[{len(ends)}]: {error}") from None
            ends.append(len(numbers))
            if len(numbers) - checked > _CHECK_EVERY:
                checked = len(numbers)
                require_ids_memory(cls.source, numbers.itemsize * checked)
        if not numbers:
            raise CorpusError("sentences: they have no word. Give at least one list of words.")
        return cls(list(ids), np.frombuffer(numbers, np.int32), np.frombuffer(ends, np.int64))

    @property
    def tokens(self) -> int:
        """Number of tokens."""
        return len(self.numbers)

    @property
    def sentences(self) -> int:
        """Number of sentences, empty ones included."""
        return len(self.ends)

    @property
    def digest(self) -> str:
        """SHA-256 of words, numbers and ends."""
        digest = hashlib.sha256(json.dumps(self.words).encode())
        for numbers, stored in ((self.numbers, "<i4"), (self.ends, "<i8")):
            digest.update(f"[{len(numbers)}]".encode())
            digest.update(np.ascontiguousarray(numbers, stored).data)
        return digest.hexdigest()

    def _repr_html_(self) -> str:
        """Return the first sentences, for notebooks."""
        facts = [
            f"{self.sentences:,} sentences",
            f"{self.tokens:,} tokens",
            f"{len(self.words):,} distinct words",
        ]
        ends = [0, *self.ends[:ROWS].tolist()]
        spans = (self.numbers[start:stop] for start, stop in pairwise(ends))
        first = [" ".join(repr(self.words[number]) for number in span[:BEGINNING].tolist()) for span in spans]
        return card(type(self).__name__, facts, {"words of a sentence": first})

    def counts(self) -> dict[str, int]:
        """Return the number of occurrences of each word."""
        return dict(zip(self.words, np.bincount(self.numbers).tolist(), strict=True))

    def encode(self, rule: VocabularyRule) -> EncodedText:
        """Return the sentences as ids; each is a segment.

        Parameters
        ----------
        rule : VocabularyRule
            Selects the words that are kept.
        """
        require_kind("rule", rule, VocabularyRule, "a VocabularyRule")
        vocabulary = rule.select(self.counts())
        new_ids = np.fromiter((vocabulary.ids.get(word, -1) for word in self.words), np.int32)
        require_memory(
            2 * self.numbers.nbytes, f"{self.source}: encoding {self.tokens:,} tokens", "Give fewer."
        )
        ids = new_ids[self.numbers]
        kept = ids >= 0
        segments = np.concatenate([[0], self.ends])
        move_positions(segments, 0, kept, 0)
        return EncodedText(ids[kept], vocabulary, self.tokens, self.digest, without_repeats(segments))


class _WordError(Exception):
    """A word that cannot be used."""


class _WordIds(dict[str, int]):
    """The number of each word; a new word gets the next one, once it has been checked."""

    def __missing__(self, word: Any) -> int:
        if not isinstance(word, str):
            raise _WordError(
                f"{reprlib.repr(word)} is a word of type {type(word).__name__}. Convert it to a string."
            )
        try:
            word.encode()
        except UnicodeEncodeError:
            raise _WordError(f"{word!a} has half of a surrogate pair, which UTF-8 cannot encode.") from None
        number = self[str(word)] = len(self)
        return number


def _not_a_sentence(number: int, sentence: Any) -> UserError:
    """Return the error for something else than a list of words."""
    remedy = "Give the whole text as one string, or split it: [line.split() for line in lines]"
    if not isinstance(sentence, (str, bytes)):
        remedy = "Give each sentence as a list of strings"
    return UserError(f"sentences[{number}]={reprlib.repr(sentence)}: is not a list of strings. {remedy}.")

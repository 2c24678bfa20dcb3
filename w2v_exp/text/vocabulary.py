"""The vocabulary: which words are kept, and the id of each."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import (
    SettingError,
    ShortRepr,
    check_number,
    check_path,
    check_whole,
    require_array,
    require_kind,
    require_whole,
    short,
    wrong_kind,
)
from w2v_exp.files import expanded


def require_words(key: str, words: object) -> None:
    """Raise `SettingError` unless these are a list of strings; one string is none."""
    if not isinstance(words, (list, tuple)) or not all(isinstance(word, str) for word in words):
        raise wrong_kind(key, words, "a list of words")


@dataclass(frozen=True)
class VocabularyRule:
    """Which words are kept.

    The article: "getting rid of words appearing in very high or very low frequency".

    Parameters
    ----------
    min_count : int
        Words that occur less often are dropped.
    max_size : int, optional
        Only this many of the most frequent words that pass the other rules are kept.
    max_frequency : float
        Words that make up a larger share of all the tokens of the text are dropped; 1 keeps all.
    stop_words : list of str
        Words that are dropped however often they occur, spelled as the tokenizer spells them.
    """

    min_count: int = 1
    max_size: int | None = None
    max_frequency: float = 1.0
    stop_words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        check_whole(self, "min_count", at_least=1)
        if self.max_size is not None:
            check_whole(self, "max_size", at_least=1)
        check_number(self, "max_frequency", above=0, at_most=1)
        require_words("stop_words", self.stop_words)

    def select(self, counts: Mapping[str, int], tokens: int | None = None) -> Vocabulary:
        """Return the vocabulary that this rule makes of the words of a text and their counts.

        Of `tokens` tokens; None: their sum. Of some words of a text, those are selected that may be in its vocabulary.
        """
        require_kind("counts", counts, Mapping, "a mapping of words to their counts")
        numbers = np.fromiter(counts.values(), np.int64, len(counts))
        tokens = max(1, int(numbers.sum()) if tokens is None else tokens)  # 0 if no given word occurs
        # Shares are compared, not counts: 29 of 100 is not above 0.29, though 0.29 * 100 < 29 as rounded.
        passing = (numbers >= self.min_count) & (numbers / tokens <= self.max_frequency)
        stopped = set(self.stop_words)
        kept = [word for word in compress(counts, passing.tolist()) if word not in stopped]
        # Ties are broken by the word itself: ids must not depend on the hash seed or the order of the text.
        kept.sort()
        kept.sort(key=counts.__getitem__, reverse=True)  # words of the same count stay in their order
        words = kept[: self.max_size]
        return Vocabulary(words, np.fromiter(map(counts.__getitem__, words), np.int64, len(words)))

    def described(self) -> dict[str, Any]:
        """Return all that the selection depends on, for JSON."""
        return asdict(self)


_TABLE = "id\tword\tcount"  # begins the file ``vocabulary.tsv`` of a run
_ESCAPED = re.compile(r"\\|'+[-=+@\t\r]")  # in a cell of it that differs from the word


@dataclass(frozen=True)
class GivenVocabulary(VocabularyRule):
    """The words of a file that occur in the text.

    The other settings drop some of them.

    Parameters
    ----------
    path : str
        A file of words, one on each line, in UTF-8, or the file ``vocabulary.tsv`` of an earlier run. Their order has
        no effect.

    Raises
    ------
    SettingError
        If the file cannot be read or has no word.
    """

    path: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_path(self, "path", "the path of a file of words")
        if not self.path:
            raise SettingError("path", "", "is empty; name a file of words.")
        if not self.words:
            raise SettingError("path", self.path, "has no word.")

    @cached_property
    def words(self) -> frozenset[str]:
        """The words of the file."""
        try:
            lines = expanded(self.path).read_text(encoding="utf-8").split("\n")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise SettingError(
                "path",
                self.path,
                f"cannot be read: {reason}. Name a file with one word on each line, in UTF-8.",
            ) from error
        lines = [line.removesuffix("\r") for line in lines]
        if lines[0] != _TABLE:
            return frozenset(lines) - {""}
        rows = csv.reader([line for line in lines[1:] if line], delimiter="\t")
        words = [row[1] if len(row) == len(_TABLE.split("\t")) else "" for row in rows]
        for number, word in enumerate(words, start=2):
            if not word or _ESCAPED.match(word) or "\\" in word:
                raise SettingError(
                    "path",
                    self.path,
                    f"line {number:,} has no word, or one with escaped characters; drop the line.",
                )
        return frozenset(words)

    def select(self, counts: Mapping[str, int], tokens: int | None = None) -> Vocabulary:
        """Return the vocabulary of the words of the file, of a text with these words and their counts."""
        require_kind("counts", counts, Mapping, "a mapping of words to their counts")
        tokens = sum(counts.values()) if tokens is None else tokens
        given = self.words
        return super().select({word: count for word, count in counts.items() if word in given}, tokens)

    def described(self) -> dict[str, Any]:
        """Return all that the selection depends on; of the file, its words."""
        words = "\n".join(sorted(self.words)).encode(errors="surrogatepass")
        return {**asdict(self), "path": hashlib.sha256(words).hexdigest()}

    @property
    def is_fixed(self) -> bool:
        """Whether all of the words are kept, whatever their counts are."""
        return self == GivenVocabulary(path=self.path)


@dataclass(frozen=True, repr=False)
class Vocabulary(ShortRepr):
    """Words in the order of their ids: by falling count, then by the word.

    Parameters
    ----------
    words : list of str
        The word of each id, 0 to V − 1.
    counts : ndarray of int64, shape (V,)
        How often each occurs in the text.
    """

    words: list[str]
    counts: NDArray[np.int64]
    ids: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        require_words("words", self.words)
        require_array("counts", self.counts, "iu", 1, "an array of whole numbers, one for each word")
        object.__setattr__(self, "ids", {word: i for i, word in enumerate(self.words)})
        if len(self.words) != len(self.counts):
            raise SettingError(
                "counts", short(self.counts), f"must be one for each of the {len(self.words)} words."
            )
        if len(self.ids) != len(self.words):
            raise SettingError("words", short(self.words), "must be distinct.")

    @classmethod
    def from_counts(cls, counts: Mapping[str, int]) -> Vocabulary:
        """Return the vocabulary of all these words, in the order of the mapping."""
        require_kind("counts", counts, Mapping, "a mapping of words to their counts")
        for word, count in counts.items():
            require_whole(f"counts[{short(word)}]", count, at_least=0)
        return cls(list(counts), np.fromiter(counts.values(), dtype=np.int64, count=len(counts)))

    def __len__(self) -> int:
        return len(self.words)

    def first(self, number: int) -> Vocabulary:
        """Return the vocabulary of the first words, all of them if there are fewer."""
        return self if number >= len(self) else Vocabulary(self.words[:number], self.counts[:number])

"""Tokenizers: callables from a chunk of text to its words.

A tokenizer is a callable from ``str`` to a list of words. Texts arrive in chunks that are cut at white space
(see :mod:`w2v_exp.text.corpus`), so a word must not contain any. Each has two settings: ``lower``, whether words are in
lower case, and ``normalize``, a normal form of Unicode (one of `NORMALIZATIONS`), in which é is the same string whether
it was one character or two.

The ids of texts are cached for tokenizers that are dataclasses with a ``version``: raise it whenever a tokenizer makes
other words of a text (`tests/text/test_recorded_words.py` fails if that is forgotten).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Protocol

from w2v_exp.errors import SettingError, UserError, require_choice, require_import, require_kind


class Tokenizer(Protocol):
    """Anything that turns a span of text into its words."""

    def __call__(self, text: str) -> list[str]:
        """Return the words of `text`, in order."""


NORMALIZATIONS = ("none", "NFC", "NFD", "NFKC", "NFKD")
_DOTTED_I = "i\u0307"  # lower case of İ (U+0130), the one character whose lower case is two


def prepare(text: str, *, lower: bool, normalize: str) -> str:
    """Return a text in lower case, if wanted, and in a normal form of Unicode, so that equal words are equal strings.

    The lower case of İ is i, as in Turkish: Unicode's, i with a dot above, would be split or be a word of its own.

    >>> prepare("I\u0307stanbul CAFE\u0301", lower=True, normalize="NFC")
    'istanbul café'
    """
    require_kind("text", text, str, "a string")
    if lower:
        if normalize in ("NFKC", "NFKD"):  # which make capitals of other characters
            text = _normalized(text, normalize)
        text = text.lower()
    text = _normalized(text, normalize)
    if lower and _DOTTED_I in text:
        text = _normalized(text.replace(_DOTTED_I, "i"), normalize)
    return text


def _normalized(text: str, form: str) -> str:
    # A text that is normalized already is returned as it is, after a check of 1 ns a character (none if it is ASCII).
    return text if form == "none" else unicodedata.normalize(form, text)  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Preparation:
    lower: bool = True
    normalize: str = "none"

    def __post_init__(self) -> None:
        require_choice("normalize", self.normalize, NORMALIZATIONS)

    def prepare(self, text: str) -> str:
        """Return a text as it is before it is cut into words."""
        return prepare(text, lower=self.lower, normalize=self.normalize)


@dataclass(frozen=True)
class ArticleTokenizer(_Preparation):
    r"""The article's regular expression: letters, digits, ``_``, ``'``, ``^``, a Latin letter among them.

    ``loser's`` is one word; ``1st`` and ``covid19`` are words, ``2019`` is not.

    The article writes ``[A-Za-z]+[\w^']*|[\w^']*[A-Za-z]+[\w^']*``, whose second half is tried again from
    every character of a long number: quadratic. This pattern finds the same words in linear time.
    """

    version: ClassVar[int] = 1
    pattern: ClassVar[re.Pattern[str]] = re.compile(
        r"[A-Za-z][\w^']*"
        r"|(?<![\w^'])[\w^']*?[A-Za-z][\w^']*"  # begins with something else: only where a run of these begins
    )

    def __call__(self, text: str) -> list[str]:
        """Return the words of `text`, in order."""
        return self.pattern.findall(self.prepare(text))


@dataclass(frozen=True)
class WhitespaceTokenizer(_Preparation):
    """What stands between white space, punctuation and all. For text that is tokenized already."""

    version: ClassVar[int] = 1

    lower: bool = False

    def __call__(self, text: str) -> list[str]:
        """Return the words of `text`, in order."""
        return self.prepare(text).split()


@dataclass(frozen=True)
class WordTokenizer(_Preparation):
    """Words of any script: runs of letters with their marks and digits (Unicode's L, M and N).

    Apostrophes (``'``, ``’``), hyphens and Unicode's invisible joiners are kept inside a word and dropped
    around it: ``don’t`` and ``mother-in-law`` are one word each, ``'tis`` is ``tis``. Scripts written without
    spaces are not segmented: ``日本`` is one word.
    """

    version: ClassVar[int] = 1

    normalize: str = "NFC"

    def __call__(self, text: str) -> list[str]:
        """Return the words of `text`, in order."""
        words: list[str] = _word_pattern().findall(self.prepare(text))
        return words


@cache
def _word_pattern() -> Any:
    import regex

    run = r"[\p{L}\p{N}][\p{L}\p{M}\p{N}]*"
    inside = r"['’\-‐‑\u00AD\u200C\u200D]"  # the last three: soft hyphen, zero-width non-joiner and joiner
    return regex.compile(f"{run}(?:{inside}{run})*")


@dataclass(frozen=True)
class CharacterTokenizer(_Preparation):
    """Every character is a word. White space is dropped, so neighbouring words run into each other."""

    version: ClassVar[int] = 1

    def __call__(self, text: str) -> list[str]:
        """Return the characters of `text` that are not white space, in order."""
        return [character for character in self.prepare(text) if not character.isspace()]


@dataclass(frozen=True)
class CustomTokenizer:
    """Your own function from a text to a list of words, by its dotted name.

    Parameters
    ----------
    callable : str
        Dotted name of the function, e.g. ``my_module.my_tokens``; modules in the current folder are found.

    Raises
    ------
    SettingError
        If it cannot be imported or called.
    UserError
        When called, if the function raises an exception or returns anything but a list of words.
    """

    callable: str = ""
    lower: bool = False
    normalize: str = "none"

    def __post_init__(self) -> None:
        require_choice("normalize", self.normalize, NORMALIZATIONS)
        require_kind(
            "callable",
            self.callable,
            str,
            "the dotted name of a function; a function is a tokenizer by itself",
        )
        _import_callable(self.callable)

    def __call__(self, text: str) -> list[str]:
        """Return what the callable makes of `text`."""
        tokens = _import_callable(self.callable)
        try:
            returned = tokens(prepare(text, lower=self.lower, normalize=self.normalize))
            words = None if isinstance(returned, str) else list(returned)
        except Exception as error:
            raise UserError(
                f"tokenizer.callable={self.callable} raised {type(error).__name__}: {error}."
            ) from error
        if words is None:
            raise UserError(
                f"tokenizer.callable={self.callable} returned a string: it must return a list of words."
            )
        for word in words:
            if not isinstance(word, str) or word.split() != [word]:
                raise UserError(
                    f"tokenizer.callable={self.callable} returned {word!r}: "
                    "words must be strings with at least one character and no white space."
                )
        return words


@cache
def _import_callable(name: str) -> Callable[[str], Iterable[str]]:
    if "." not in name:
        raise SettingError("callable", name, "must be a dotted name such as my_module.my_tokens.")
    found = require_import("callable", name)
    if not callable(found):
        raise SettingError("callable", name, f"is of type {type(found).__name__} and cannot be called.")
    return found  # type: ignore[no-any-return]


TOKENIZERS = {
    "article": ArticleTokenizer,
    "whitespace": WhitespaceTokenizer,
    "word": WordTokenizer,
    "character": CharacterTokenizer,
    "custom": CustomTokenizer,
}

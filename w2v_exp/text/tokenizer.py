"""Tokenizers: from a stretch of text to its words.

A tokenizer is a callable from ``str`` to a list of words. Texts arrive in pieces that are cut at white space
(see :mod:`w2v_exp.text.corpus`), so a word must not contain any.
"""

from __future__ import annotations

import pkgutil
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Protocol

from w2v_exp.errors import SettingError, UserError


class Tokenizer(Protocol):
    """Anything that turns a stretch of text into its words."""

    def __call__(self, text: str) -> list[str]:
        """Return the words of `text`, in order."""


@dataclass(frozen=True)
class ArticleTokenizer:
    r"""The article's regular expression: letters, digits, ``_``, ``'``, ``^``, a Latin letter among them.

    ``loser's`` is one word; ``1st`` and ``covid19`` are words, ``2019`` is not.

    The article writes ``[A-Za-z]+[\w^']*|[\w^']*[A-Za-z]+[\w^']*``, whose second half is tried again from
    every character of a long number: quadratic. This pattern finds the same words in linear time.
    """

    lower: bool = True
    pattern: ClassVar[re.Pattern[str]] = re.compile(
        r"[A-Za-z][\w^']*"
        r"|(?<![\w^'])[\w^']*?[A-Za-z][\w^']*"  # begins with something else: only where a run of these begins
    )

    def __call__(self, text: str) -> list[str]:
        """Return the words of `text`, in order."""
        return self.pattern.findall(text.lower() if self.lower else text)


@dataclass(frozen=True)
class WhitespaceTokenizer:
    """What stands between white space, punctuation and all. For text that is tokenized already."""

    lower: bool = False

    def __call__(self, text: str) -> list[str]:
        """Return the words of `text`, in order."""
        return (text.lower() if self.lower else text).split()


@dataclass(frozen=True)
class WordTokenizer:
    """Words of any script: runs of letters with their marks and digits (Unicode's L, M and N).

    Apostrophes (``'``, ``’``), hyphens and Unicode's invisible joiners are kept inside a word and dropped
    around it: ``don’t`` and ``mother-in-law`` are one word each, ``'tis`` is ``tis``. Scripts written without
    spaces are not segmented: ``日本`` is one word.
    """

    lower: bool = True

    def __call__(self, text: str) -> list[str]:
        """Return the words of `text`, in order."""
        words: list[str] = _word_pattern().findall(text.lower() if self.lower else text)
        return words


@cache
def _word_pattern() -> Any:
    import regex

    run = r"[\p{L}\p{N}][\p{L}\p{M}\p{N}]*"
    inside = r"['’\-‐‑\u00AD\u200C\u200D]"  # the last three: soft hyphen, zero-width non-joiner and joiner
    return regex.compile(f"{run}(?:{inside}{run})*")


@dataclass(frozen=True)
class CharacterTokenizer:
    """Every character is a word. White space is dropped, so neighbouring words run into each other."""

    lower: bool = True

    def __call__(self, text: str) -> list[str]:
        """Return the characters of `text` that are not white space, in order."""
        return [character for character in (text.lower() if self.lower else text) if not character.isspace()]


@dataclass(frozen=True)
class CustomTokenizer:
    """A callable of yours, by its dotted name: ``tokenizer.callable=my_module.my_tokens``.

    It is given a stretch of text and returns its words. Modules in the current folder are found.

    Raises
    ------
    SettingError
        If it cannot be imported or called.
    UserError
        When called, if your callable raises something or returns anything but words.
    """

    callable: str = ""
    lower: bool = False

    def __post_init__(self) -> None:
        _import_callable(self.callable)

    def __call__(self, text: str) -> list[str]:
        """Return what the callable makes of `text`."""
        tokens = _import_callable(self.callable)
        try:
            returned = tokens(text.lower() if self.lower else text)
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
    here = str(Path.cwd())
    if here not in sys.path:  # the console script, unlike `python -m`, does not look in the current folder
        sys.path.insert(0, here)
    try:
        found = pkgutil.resolve_name(name)
    except Exception as error:  # a module may raise anything while it is imported
        raise SettingError(
            "callable", name, f"cannot be imported ({type(error).__name__}: {error})."
        ) from error
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

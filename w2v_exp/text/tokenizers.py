"""Tokenizers, which split a chunk of text into words, and chunks encoded as numbers, in one process or several.

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
from array import array
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from itertools import chain, count
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import SettingError, UserError, require_choice, require_import, require_kind
from w2v_exp.machine import available_cores
from w2v_exp.processes import (
    SPAWN,
    begin_as_helper,
    interruptions_held_back,
    may_start_processes,
    wait_for_own_signal,
)
from w2v_exp.text.chunks import end_positions, split_into_segments
from w2v_exp.text.word_bytes import BLOCK, Words, find_words, first_positions_of_words


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
        if normalize in ("NFKC", "NFKD"):  # these turn other characters into capitals
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
        """Return a text in the case and normal form of its words."""
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
    """The strings between white space, with all punctuation: for text that is tokenized already."""

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
        words: list[str] = word_pattern().findall(self.prepare(text))
        return words


@cache
def word_pattern() -> Any:
    """Return the pattern of `WordTokenizer`, of the library regex."""
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


# ---------------------------------------------------------------- chunks of text as numbers


class EncodedChunk(NamedTuple):
    """A chunk of a text as numbers.

    Parameters
    ----------
    words : sequence of str
        Its distinct words, in order of appearance.
    numbers : ndarray of int32, shape (tokens,)
        For each token the index of its word.
    ends : ndarray of int64
        Number of tokens before each end of a segment; where two texts meet, there may be one more.
    texts : ndarray of int64
        Number of tokens before each text but the first, if the chunk consists of several.
    """

    words: Sequence[str]
    numbers: NDArray[np.int32]
    ends: NDArray[np.int64]
    texts: NDArray[np.int64] = np.empty(0, np.int64)


LONGEST = 256  # bytes of a word; longer ones are rare, and take an iteration of the loop for each block

_LAST_SPACE = 0x3000  # of Unicode's white space
_SPACES = [character for character in map(chr, range(_LAST_SPACE + 1)) if character.isspace()]
_WIDE_SPACES = [space for space in _SPACES if not space.isascii()]
_NARROW_SPACES = bytes(ord(space) for space in _SPACES if space.isascii())
# White space becomes the byte 0, which ends a word; the character 0 itself becomes a space.
_SPACE_TO_ZERO = bytes.maketrans(b"\0" + _NARROW_SPACES, b" " + bytes(len(_NARROW_SPACES)))


_TEXT_END = "\x1f"  # white space that several texts are joined by


def encode_whitespace_words(text: str, segment_end: str, *, is_joined: bool = False) -> EncodedChunk | None:
    """Encode a text, or several that are joined by `_TEXT_END`, by the words that `str.split` finds in it.

    Returns None for a text with a word of more than `LONGEST` bytes.
    """
    if not text.isascii():
        for space in _WIDE_SPACES:
            text = text.replace(space, " ")
    content = text.encode()
    # Blocks extend beyond the last word.
    zero_ended = content.translate(_SPACE_TO_ZERO) + bytes(BLOCK)
    starts, lengths = find_words(zero_ended)
    if lengths.max(initial=0) > LONGEST:
        return None
    first = first_positions_of_words(zero_ended, starts, lengths)
    is_first = first == np.arange(len(first))
    numbers = (np.cumsum(is_first, dtype=np.int32) - np.int32(1))[first]
    words = Words.of_spans(content, starts[is_first], lengths[is_first])
    found = EncodedChunk(words, numbers, starts.searchsorted(end_positions(content, segment_end)))
    if not is_joined:
        return found
    joints = np.flatnonzero(np.frombuffer(content, np.uint8) == ord(_TEXT_END))
    return found._replace(texts=starts.searchsorted(joints))


# Characters tokenized at a time: their words stay in the processor's cache, which is 15 % faster than with 1 MB.
PART_CHARACTERS = 1 << 16
MOST_PROCESSES = 8  # one process reads for all others, and can keep this many busy
_WHITE_SPACE = re.compile(r"\s+")
_WORD_BY_WORD = (ArticleTokenizer, WordTokenizer)  # a word does not depend on its neighbours
_LINE_END = "w2vexplineend"  # one word for each of these tokenizers, in lower case


def encode_chunk(tokenizer: Tokenizer, text: str | list[str], segment_end: str = "corpus") -> EncodedChunk:
    """Encode a text, or several short ones, with the ends of its segments (see `w2v_exp.text.chunks`)."""
    if not isinstance(text, str):
        if len(text) > 1:
            return _encode_several(tokenizer, text, segment_end)
        (text,) = text
    if type(tokenizer) is WhitespaceTokenizer and (
        spaced := encode_whitespace_words(tokenizer.prepare(text), segment_end)
    ):
        return spaced
    if (
        segment_end == "line"
        and type(tokenizer) in _WORD_BY_WORD
        and (marked := _encode_marked(tokenizer, text))
    ):
        return marked
    ids: defaultdict[str, int] = defaultdict(count().__next__)
    numbers, ends = [np.empty(0, np.int32)], [np.empty(0, np.int64)]
    done = 0
    for part in _parts(text):
        spans = [tokenizer(span) if span else [] for span in split_into_segments(part, segment_end)]
        positions = done + np.cumsum([len(words) for words in spans], dtype=np.int64)
        ends.append(positions[:-1])
        numbers.append(np.fromiter(map(ids.__getitem__, chain.from_iterable(spans)), np.int32))
        done = int(positions[-1])
    return EncodedChunk(list(ids), np.concatenate(numbers), np.concatenate(ends))


def _encode_several(tokenizer: Tokenizer, texts: list[str], segment_end: str) -> EncodedChunk:
    """Encode several short texts at once: NumPy needs 0.1 ms for each, however short it is."""
    if type(tokenizer) is WhitespaceTokenizer:
        joined = _TEXT_END.join(text.replace(_TEXT_END, " ") for text in texts)
        if spaced := encode_whitespace_words(tokenizer.prepare(joined), segment_end, is_joined=True):
            return spaced
    if (
        segment_end == "line"
        and type(tokenizer) in _WORD_BY_WORD
        and (marked := _encode_marked(tokenizer, "\n".join(texts)))
    ):
        joints = np.cumsum([text.count("\n") + 1 for text in texts[:-1]]) - 1
        return marked._replace(texts=marked.ends[joints])
    ids: defaultdict[str, int] = defaultdict(count().__next__)
    numbers, ends, begins = array("i"), array("q"), array("q")
    for text in texts:
        begins.append(len(numbers))
        for place, span in enumerate(split_into_segments(text, segment_end)):
            if place:
                ends.append(len(numbers))
            if span:
                numbers.extend(map(ids.__getitem__, tokenizer(span)))
    return EncodedChunk(
        list(ids), np.array(numbers, np.int32), np.array(ends, np.int64), np.array(begins[1:], np.int64)
    )


def _encode_marked(tokenizer: Tokenizer, text: str) -> EncodedChunk | None:
    """Encode a text with a word inserted at each line end: twice as fast as line by line.

    Returns None for a text that contains this word itself.
    """
    ids: defaultdict[str, int] = defaultdict(count().__next__)
    line_end = ids[_LINE_END]
    numbers, ends = [np.empty(0, np.int32)], [np.empty(0, np.int64)]
    done = 0
    for part in _parts(text):
        tokens = tokenizer(part.replace("\n", f"\n{_LINE_END}\n"))
        with_ends = np.fromiter(map(ids.__getitem__, tokens), np.int32, len(tokens))
        at = np.flatnonzero(with_ends == line_end)
        if len(at) != part.count("\n"):
            return None
        ends.append(done + at - np.arange(len(at)))
        numbers.append(with_ends[with_ends != line_end] - 1)  # all others have higher numbers
        done += len(numbers[-1])
    return EncodedChunk(list(ids)[1:], np.concatenate(numbers), np.concatenate(ends))


def encode_chunks(
    tokenizer: Tokenizer,
    chunks: Iterable[str | list[str]],
    processes: int = 1,
    segment_end: str = "corpus",
) -> Generator[EncodedChunk, None, None]:
    """Yield the encoded chunks in their order; the result does not depend on the number of processes.

    Processes are worth their start (a third of a second) from about 20 MB of text. They are spawned: a script that uses
    more than one needs ``if __name__ == "__main__":``, and its tokenizer must be importable from a module. With
    `WhitespaceTokenizer` they are threads of this process, since NumPy releases the interpreter lock.

    Raises
    ------
    UserError
        If the tokenizer raises it, or a process dies, for example for want of memory.
    """
    if processes == 1:
        yield from (encode_chunk(tokenizer, chunk, segment_end) for chunk in chunks)
        return
    pool = _pool_for(tokenizer, processes)
    waiting: deque[Future[EncodedChunk]] = deque()
    try:
        for chunk in chunks:
            with interruptions_held_back():  # the first call starts the processes
                waiting.append(pool.submit(encode_chunk, tokenizer, chunk, segment_end))
            if len(waiting) > 2 * processes:  # enough to keep all busy; more would only take memory
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        wait_for_own_signal()
        raise UserError(
            f"One of {processes} tokenizer processes died: out of memory, or the calling script lacks "
            "if __name__ == '__main__'. Set processes=1 to tokenize in this process."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _pool_for(tokenizer: Tokenizer, processes: int) -> Executor:
    if type(tokenizer) is WhitespaceTokenizer:
        return ThreadPoolExecutor(processes)
    with interruptions_held_back():  # its semaphores start the process that removes them
        return ProcessPoolExecutor(processes, mp_context=SPAWN, initializer=begin_as_helper)


def available_processes() -> int:
    """Return the number of processes to tokenize with: one per available core, at most eight."""
    return min(available_cores(), MOST_PROCESSES) if may_start_processes() else 1


def _parts(text: str) -> Iterator[str]:
    """Yield a text in spans that end after white space; a short text as it is."""
    start = 0
    while start < len(text):
        spaces = _WHITE_SPACE.search(text, start + PART_CHARACTERS)
        end = spaces.end() if spaces else len(text)
        yield text[start:end]
        start = end

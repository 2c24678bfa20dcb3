"""Slices of a text: groups of its documents, made from their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import CorpusError, SettingError, check_number, check_whole, require_choice, shown

DIVISIONS = ("tokens", "width")
MOST_SLICES = 10_000
LARGEST_GAP = 2  # of documents of one slice; two presidents gave messages in the same year
MOST_WORDS = 1_000
# A number such as a year, or a date.
_DATE = re.compile(r"(-?[0-9]{1,9})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")


@dataclass(frozen=True)
class NoSlices:
    """The text is not divided."""


@dataclass(frozen=True)
class SliceRule:
    r"""Embeddings for each slice of the text, compared over the slices.

    A slice is a group of documents. Their names (of files, as paths below the corpus's folder; of rows of a table) give
    each its label.

    Parameters
    ----------
    pattern : str
        A regular expression that is searched in the name of each document. Its first group, or without groups the
        match, is the label. Documents without a match are in no slice.
    number : int, optional
        Number of slices that labels are divided into in the order of time; labels are years or dates then (``1865``,
        ``1865-04`` or ``1865-04-15``). None: each label is a slice.
    division : str
        With `number`: ``tokens`` makes slices of about equal size, ``width`` of equal time.
    consecutive : bool
        Whether a label that occurs again, after two or more documents with other labels, begins a new slice.
    min_tokens : int
        Occurrences below which a word is *rare* in a slice and has no embedding there.
    smoothing : float
        Number of pseudo-pairs that are added to the pairs of a word in a slice, with contexts as the model predicts for
        the word in the whole text. So few pairs change an embedding little.
    ridge : float
        Weight of the squared distance of an embedding from that of the whole text, for each pair.
    permutations : int
        Permutations of the documents in the test of change; 0: no test.
    replicates : int
        Bootstrap replicates of the documents for the bands; 0: no bands.
    words : list of str, optional
        Words whose similarities have bands; None: those that changed most, and the probe words.
    limit_mb : float, optional
        A larger page is not written; None: no limit. In megabytes.
    """

    pattern: str = ""
    number: int | None = None
    division: str = "tokens"
    consecutive: bool = False
    min_tokens: int = 20
    smoothing: float = 300.0
    ridge: float = 0.01
    permutations: int = 400
    replicates: int = 100
    words: list[str] | None = None
    limit_mb: float | None = 12.0

    def __post_init__(self) -> None:
        if not self.pattern:
            raise SettingError(
                "pattern", "", r"is empty; give a regular expression, e.g. slices.pattern='(\d{4})'."
            )
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise SettingError("pattern", self.pattern, f"is not a regular expression: {error}.") from None
        if self.number is not None:
            check_whole(self, "number", at_least=2, at_most=MOST_SLICES)
        require_choice("division", self.division, DIVISIONS)
        check_whole(self, "min_tokens", at_least=1)
        check_number(self, "smoothing", above=0)
        check_number(self, "ridge", above=0)
        check_whole(self, "permutations", at_least=0, at_most=100_000)
        check_whole(self, "replicates", at_least=0, at_most=10_000)
        if self.replicates == 1:
            raise SettingError("replicates", 1, "must be 0, or 2 or more.")
        if self.words is not None and len(self.words) > MOST_WORDS:
            raise SettingError("words", f"[{len(self.words):,} words]", f"must be at most {MOST_WORDS:,}.")
        if self.limit_mb is not None:
            check_number(self, "limit_mb", above=0)

    def divide(self, names: Sequence[str], tokens: NDArray[np.int64]) -> Slices:
        """Return the slices of documents.

        Parameters
        ----------
        names : sequence of str
            Of the documents.
        tokens : ndarray of int64, shape (d,)
            Their lengths; documents without tokens are in no slice.

        Raises
        ------
        SettingError
            If no name matches, a label is no date, or there are fewer than two slices.
        """
        expression = re.compile(self.pattern)
        labels = [
            _label(expression, name) if size else None for name, size in zip(names, tokens, strict=True)
        ]
        used = [label for label in labels if label is not None]
        if not used:
            example = f", such as {shown(names[0], 60)!r}" if len(names) and names[0] else ""
            raise SettingError(
                "pattern",
                self.pattern,
                f"matches none of {len(names):,} names of documents{example}.{_remedy(names)}",
            )
        found = self._dated(labels, tokens) if self.number else self._labelled(labels)
        if len(found.labels) < 2:
            raise SettingError(
                "pattern",
                self.pattern,
                f"makes one slice ({shown(found.labels[0], 60)}) of {len(used):,} documents; at least two are needed."
                f"{_remedy(names)}",
            )
        if len(found.labels) > MOST_SLICES:
            raise SettingError(
                "pattern", self.pattern, f"makes {len(found.labels):,} slices; set slices.number for fewer."
            )
        return found

    def _labelled(self, labels: Sequence[str | None]) -> Slices:
        """Return a slice for each label: numbers by size, others in order of appearance."""
        keys: list[tuple[str, int] | None] = []
        times: dict[str, int] = {}
        last: dict[str, int] = {}  # number of the last document of each label
        for number, label in enumerate(labels):
            if label is not None:
                is_new = label not in last or (self.consecutive and number - last[label] > LARGEST_GAP)
                times[label] = times.get(label, 0) + is_new
                last[label] = number
            keys.append(None if label is None else (label, times[label]))
        order = list(dict.fromkeys(key for key in keys if key is not None))
        if not self.consecutive and all(_DATE.fullmatch(label) for label, _ in order):
            order.sort(key=lambda key: _time(key[0]))
        place = {key: i for i, key in enumerate(order)}
        shown_labels = [label if time == 1 else f"{label} ({time})" for label, time in order]
        return Slices(shown_labels, np.array([-1 if key is None else place[key] for key in keys]))

    def _dated(self, labels: Sequence[str | None], tokens: NDArray[np.int64]) -> Slices:
        """Return slices of consecutive dates."""
        assert self.number is not None
        for label in labels:
            if label is not None and not _DATE.fullmatch(label):
                raise SettingError(
                    "pattern",
                    self.pattern,
                    f"finds {shown(label, 60)!r}, which is no year or date; slices.number divides years or dates.",
                )
        times = np.array([np.nan if label is None else _time(label) for label in labels])
        distinct, place = np.unique(times[~np.isnan(times)], return_inverse=True)
        sizes = np.bincount(place, weights=tokens[~np.isnan(times)])
        if self.division == "tokens":  # a date belongs to the slice that its middle token is in
            middle = np.cumsum(sizes) - sizes / 2
            of_dates = np.minimum(middle * self.number // sizes.sum(), self.number - 1).astype(np.intp)
        else:
            width = (distinct[-1] - distinct[0]) or 1.0
            of_dates = np.minimum((distinct - distinct[0]) * self.number // width, self.number - 1).astype(
                np.intp
            )
        filled, of_dates = np.unique(of_dates, return_inverse=True)
        slices = np.full(len(labels), -1)
        slices[~np.isnan(times)] = of_dates[place]
        ends = []
        for i in range(len(filled)):
            inside = sorted(
                (
                    label
                    for label, at in zip(labels, slices.tolist(), strict=True)
                    if at == i and label is not None
                ),
                key=_time,
            )
            ends.append(inside[0] if inside[0] == inside[-1] else f"{inside[0]}–{inside[-1]}")
        return Slices(ends, slices)


@dataclass(frozen=True)
class Slices:
    """Slices of documents.

    Parameters
    ----------
    labels : list of str
        Of the slices, in order.
    of_documents : ndarray of int, shape (d,)
        The slice of each document; −1: none.
    """

    labels: list[str]
    of_documents: NDArray[np.intp]

    def count_words(
        self, ids: NDArray[np.int32], documents: NDArray[np.int64], words: int
    ) -> NDArray[np.int64]:
        """Return the occurrences of each word in each slice, shape (S, words).

        Parameters
        ----------
        ids : ndarray of int32, shape (n,)
            Tokens of the text.
        documents : ndarray of int64, shape (d + 1,)
            Positions of its documents, as in `EncodedText`.
        words : int
            V.
        """
        of_tokens = np.repeat(self.of_documents, np.diff(documents))
        used = of_tokens >= 0
        number = len(self.labels)
        counts = np.bincount(of_tokens[used] * words + ids[used], minlength=number * words)
        return counts.reshape(number, words)


def _remedy(names: Sequence[str]) -> str:
    """Return how documents of one name get several; "" if they have."""
    if len(set(names)) > 1:
        return ""
    if len(names) > 1:
        return " Set corpus.names to the column of the table that names its rows."
    return " The corpus is one document: name a folder or a table."


def _label(expression: re.Pattern[str], name: str) -> str | None:
    """Return the label in a name; None if it has none."""
    match = expression.search(name)
    if not match:
        return None
    return (match[1] if expression.groups else match[0]) or "."


def _time(label: str) -> float:
    """Return a date in years."""
    match = _DATE.fullmatch(label)
    assert match is not None
    year, month, day = match.groups()
    return int(year) + (int(month or 1) - 1) / 12 + (int(day or 1) - 1) / 372


def require_tokens(
    slices: Slices, sizes: NDArray[np.int64], most_frequent: NDArray[np.int64], least: int
) -> None:
    """Raise `CorpusError` for a slice in which every word is rare.

    Parameters
    ----------
    slices : Slices
        Of the text.
    sizes, most_frequent : ndarray of int64, shape (S,)
        Tokens of each slice, and occurrences of its most frequent word.
    least : int
        `SliceRule.min_tokens`.
    """
    for label, size, most in zip(slices.labels, sizes.tolist(), most_frequent.tolist(), strict=True):
        if most < least:
            raise CorpusError(
                f"slices.min_tokens={least}: the slice {shown(label, 60)} has {size:,} tokens, and its most frequent "
                f"word occurs {most:,} times. Take fewer slices, or lower slices.min_tokens."
            )

"""The layout of a file of word pairs: its separator, its header, and the columns of the words and the score."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from w2v_exp.embeddings.evaluation_sets import SEPARATORS, quoted, separator_of, split_fields
from w2v_exp.errors import FormatError, SettingError

FIRST_WORD = re.compile(r"(word|w|term|noun|verb|item|lemma|concept|target)(1|a|one)")
SECOND_WORD = re.compile(r"(word|w|term|noun|verb|item|lemma|concept|target)(2|b|two)")
SCORE = re.compile(
    r"(human|gold|average|avg|mean|scores?|ratings?|similarity|relatedness|sim|rel|simlex(999)?|simverb(3500)?|value)+"
)
MOSTLY = 0.9  # of a column's fields must be numbers, for it to be a column of numbers
WITHIN_RATINGS = 0.95  # of scores must lie between the smallest and the largest rating, to be their means
DECIMAL_COMMA = re.compile(r"^\D*\d+,\d+\D*$")

NOT_FINITE = ("nan", "inf", "-inf", "infinity")

Row = list[str]


@dataclass(frozen=True)
class PairLayout:
    """How two words and a score are found on each line of a file.

    Parameters
    ----------
    separator : str
        One of `SEPARATORS`.
    first, second, score : int
        Columns, from 0.
    width : int
        The number of columns of most lines.
    header : list of str
        The names of the columns; empty without a header.
    """

    separator: str
    first: int
    second: int
    score: int
    width: int
    header: tuple[str, ...] = ()

    def __str__(self) -> str:
        name = f" ({quoted(self.header[self.score])})" if self.header else ""
        header = "; the first line is a header" if self.header else ""
        return (
            f"separated by {SEPARATORS[self.separator]}; words in columns {self.first + 1} and {self.second + 1}, "
            f"score in column {self.score + 1}{name} of {self.width}{header}"
        )

    @property
    def is_plain(self) -> bool:
        """Whether there are three columns and no header, so that nothing had to be chosen."""
        return self.width == 3 and not self.header

    def parsed(self, where: str, line: str) -> tuple[str, str, float]:
        """Return two words and their score.

        Raises
        ------
        FormatError
            If the line has none.
        """
        fields = split_fields(line, self.separator)
        if _has_pair(fields, self.first, self.second, self.score) and (self.width > 3 or len(fields) == 3):
            return fields[self.first], fields[self.second], float(fields[self.score])
        raise _no_pair(where, line, SEPARATORS[self.separator], self if self.width > 3 else None)


def pair_layout(
    path: Path, sample: Sequence[tuple[str, str]], columns: Sequence[int | str] | None
) -> PairLayout:
    """Return the layout of a file.

    Parameters
    ----------
    path : Path
        The file, for messages.
    sample : sequence of (str, str)
        Its first lines, each after the place to name in an error.
    columns : sequence of int or str, optional
        The columns of the words and of the score, as numbers from 1 or as names; None recognises them.

    Raises
    ------
    FormatError
        If most lines are no word pairs, or several columns could be the score.
    SettingError
        If `columns` are not three columns of the file.
    """
    lines = [line for _, line in sample]
    given = None if columns is None else _given_numbers(columns)
    is_pair = _row_test(given)
    separator = separator_of(lines, is_pair) or separator_of(lines, _row_test(None))
    if separator is None:
        bad = [one for one in sample if not is_pair(split_fields(one[1], " "))] or list(sample)
        where, line = next((one for one in bad if _has_decimal_comma(one[1])), bad[0])
        raise _no_pair(where, line, "tabs, semicolons, commas or spaces", None)
    table = [split_fields(line, separator) for line in lines]
    rows = [row for row in table[1:] if is_pair(row)] or table[:1]  # the first line may be a header
    widths = [len(row) for row in table]
    width = max(widths, key=widths.count)  # of those that are as frequent, that of the first line
    numeric = [column for column in range(width) if _is_numeric(rows, column)]
    header = table[0] if _is_header(table[0], numeric, rows) else []
    names = [re.sub(r"[\W_]", "", name.lower()) for name in header]
    if columns is not None:
        first, second, score = (_given_column(name, header, width, path) for name in columns)
    else:
        named = _word_columns(names)
        first, second = named or (0, 1)
        scores = [column for column in numeric if column not in (first, second) and column > 1]
        problem = "" if named or width == 3 else _word_problem(rows, numeric)
        if problem:
            raise _ambiguous(path, header, width, problem)
        chosen = _score_column(scores, names, rows)
        if chosen is None:
            listed = ", ".join(_column_name(column, header) for column in scores[:8])
            raise _ambiguous(path, header, width, f"columns {listed} have numbers")
        score = chosen
    return PairLayout(separator, first, second, score, width, tuple(header))


def _row_test(columns: tuple[int, ...] | None) -> Callable[[Row], bool]:
    """Return the test of whether fields are a word pair, whichever column its score is in."""
    if columns is not None:
        return lambda fields: _has_pair(fields, *columns)
    return lambda fields: (
        len(fields) > 2 and all(field.strip() for field in fields[:2]) and any(map(_is_number, fields[2:]))
    )


def _has_pair(fields: Row, first: int, second: int, score: int) -> bool:
    return (
        len(fields) > max(first, second, score)
        and bool(fields[first].strip() and fields[second].strip())
        and _is_number(fields[score])
    )


def _is_number(field: str) -> bool:
    try:
        return "_" not in field and math.isfinite(float(field))
    except ValueError:
        return False


def _is_numeric(rows: Sequence[Row], column: int) -> bool:
    """Return whether a column has numbers, of the rows that are long enough, and half of all are."""
    fields = [row[column] for row in rows if len(row) > column]
    return 2 * len(fields) >= len(rows) and sum(map(_is_number, fields)) >= MOSTLY * len(fields)


def _is_header(fields: Row, numeric: Sequence[int], rows: Sequence[Row]) -> bool:
    """Return whether the first line names columns: the first one with numbers below it has none there."""
    column = next((column for column in numeric if column > 1), len(fields))
    if column >= len(fields) or fields in rows:
        return False
    name = fields[column].strip().lower()
    return (
        bool(name)
        and not _is_number(name)
        and name not in ("nan", "inf", "-inf")
        and not DECIMAL_COMMA.match(name)
    )


def _word_columns(names: Sequence[str]) -> tuple[int, int] | None:
    """Return the columns of the words by the names in a header, or None."""
    first = [i for i, name in enumerate(names) if FIRST_WORD.fullmatch(name)]
    second = [i for i, name in enumerate(names) if SECOND_WORD.fullmatch(name)]
    return (first[0], second[0]) if len(first) == len(second) == 1 else None


def _word_problem(rows: Sequence[Row], numeric: Sequence[int]) -> str:
    """Return why the first two columns do not look like words, but like numbers or labels; "" if they do."""
    if 0 in numeric and 2 not in numeric:
        return "column 1 has numbers, not words"
    texts = {0, 1, *range(len(rows[0]))}.difference(set(numeric) - {0, 1})
    distinct = {i: len({row[i] for row in rows if len(row) > i}) for i in texts}
    for column in (0, 1):
        if 2 * distinct[column] < max(distinct.values()):
            return f"column {column + 1} has only {distinct[column]} values, as labels have"
    return ""


def _score_column(numeric: Sequence[int], names: Sequence[str], rows: Sequence[Row]) -> int | None:
    """Return the column of the score, or None if several could be."""
    named = [column for column in numeric if column < len(names) and SCORE.fullmatch(names[column])]
    for columns in (named, numeric):
        if len(columns) == 1:
            return columns[0]
    if len(named) > 1 or len(numeric) < 3:
        return None
    score, *ratings = numeric
    within = [
        min(rated) <= float(row[score]) <= max(rated)
        for row in rows
        if len(row) > score
        and _is_number(row[score])
        and (rated := [float(row[i]) for i in ratings if i < len(row) and _is_number(row[i])])
    ]
    return score if sum(within) >= WITHIN_RATINGS * len(rows) else None


def _given_numbers(columns: Sequence[int | str]) -> tuple[int, ...] | None:
    """Return columns from 0 where all are given by number; None where a header must name them."""
    if len(columns) != 3 or len(set(map(str, columns))) != 3:
        raise SettingError(
            "columns", list(columns), "must be three columns: those of the two words and the score."
        )
    numbers = [int(column) for column in columns if str(column).isdecimal()]
    return tuple(number - 1 for number in numbers) if len(numbers) == 3 and min(numbers) > 0 else None


def _given_column(name: int | str, header: Row, width: int, path: Path) -> int:
    if str(name) in header:
        return header.index(str(name))
    if str(name).isdecimal() and 0 < int(name) <= width:
        return int(name) - 1
    known = f" named {', '.join(map(quoted, header[:10]))}{', …' if width > 10 else ''}" if header else ""
    raise SettingError("columns", name, f"{path} has no such column; it has {width}{known}.")


def _column_name(column: int, header: Row) -> str:
    return f"{column + 1} ({quoted(header[column])})" if column < len(header) else str(column + 1)


def _ambiguous(path: Path, header: Row, width: int, problem: str) -> FormatError:
    return FormatError(
        f"{path}: {problem}, so the columns of the words and the score are not clear. Give these three by "
        f"number{' or name' if header else ''}, such as columns=[1,2,{width}]."
    )


def _no_pair(where: str, line: str, separators: str, layout: PairLayout | None) -> FormatError:
    wanted = "two words and a number"
    if layout is not None:
        words = f"{layout.first + 1} and {layout.second + 1}"
        wanted = f"words in columns {words} and a number in column {layout.score + 1}"
    return FormatError(
        f"{where}: must be {wanted}, separated by {separators} (or begin with # as a comment); it is "
        f"{quoted(line)}.{' Numbers with a decimal comma are not read.' if _has_decimal_comma(line) else ''}"
    )


def _has_decimal_comma(line: str) -> bool:
    return any(DECIMAL_COMMA.match(field) for sign in "\t; " for field in split_fields(line, sign)[2:])

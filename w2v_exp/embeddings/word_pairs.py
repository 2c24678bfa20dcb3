"""Word-pair sets, and the correlation of cosines with human scores."""

from __future__ import annotations

import csv
import math
import re
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.embeddings.similarity import directions
from w2v_exp.errors import FormatError, SettingError, ShortRepr, install_command
from w2v_exp.files import expanded


def pearson(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Return Pearson's correlation of two arrays of shape (n,).

    NaN for fewer than two values, or if all values of one array are equal.
    """
    if len(a) < 2 or (a == a[0]).all() or (b == b[0]).all():
        return math.nan
    a, b = _centred(a), _centred(b)
    correlation = (a @ b) / np.sqrt((a @ a) * (b @ b))
    return float(np.clip(correlation, -1, 1))  # rounding errors can leave the range


def spearman(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Return Spearman's rank correlation of two arrays of shape (n,)."""
    return pearson(average_ranks(a), average_ranks(b))


def average_ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the rank of each value, from 1; ties get the mean of their ranks.

    >>> average_ranks(np.array([20, 10, 20, 30])).tolist()
    [2.5, 1.0, 2.5, 4.0]
    """
    _, indices, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[indices]
    return ranks


def _centred(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return values with mean 0 and largest magnitude 1.

    Their squares neither overflow nor vanish.
    """
    centred = values.astype(np.float64) - values.mean(dtype=np.float64)
    return centred / np.abs(centred).max()  # type: ignore[no-any-return]


# Sets by name: files of the test data that are installed with gensim.
WORD_PAIR_SETS = {"wordsim353": "wordsim353.tsv", "simlex999": "simlex999.txt"}
ANALOGY_SETS = {"questions-words": "questions-words.txt"}
LONGEST_LINE = 1 << 16  # bytes; limits the reading of a corpus that is named by mistake
MOST_LINES = 1_000_000
SAMPLED_LINES = 1000  # from which the layout of a file is recognised
SEPARATORS = {
    "\t": "tabs",
    ";": "semicolons",
    ",": "commas",
    " ": "spaces",
}  # in the order of trial


def find_set(source: str | Path, named: Mapping[str, str]) -> Path:
    """Return the path of an evaluation set, without importing gensim.

    Parameters
    ----------
    source : str or Path
        A name in `named`, or the path of a file.
    named : mapping of str to str
        Files of gensim's test data, by name of the set.

    Raises
    ------
    SettingError
        If there is no such file, or it is one of gensim's and gensim is not installed.
    """
    if source in named:
        path, missing = _in_gensim(named[str(source)])
    else:
        path = expanded(source)
        missing = f"no such file, seen from {Path.cwd()}. Give a path, or one of {', '.join(named)}."
    try:
        if path is not None and path.is_file():
            return path
    except OSError as error:  # name too long, no permission
        missing = f"cannot be looked up: {error.strerror}."
    raise SettingError("source", source, missing)


def _in_gensim(file: str) -> tuple[Path | None, str]:
    """Return the path of a file of gensim's, and the problem if it is missing."""
    package = find_spec("gensim")
    if package is None or package.origin is None:
        return None, (
            "comes with gensim, which is not installed; give the path of the file, or install it: "
            f"{install_command('evaluation')}"
        )
    path = Path(package.origin).parent / "test" / "test_data" / file
    # some distributions come without a package's tests
    return path, f"gensim was installed without its test data ({path}); give the path of the file."


def numbered_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield name (for messages) and text of each line that is not blank.

    Raises
    ------
    FormatError
        If the file cannot be read, is not UTF-8, or has a line of `LONGEST_LINE` bytes.
    """
    try:
        with path.open("rb") as stream:
            number = 0
            while line := stream.readline(LONGEST_LINE):
                where = f"{path}, line {number + 1}"
                if len(line) == LONGEST_LINE:
                    raise FormatError(
                        f"{where}: is longer than {LONGEST_LINE} bytes; it is not an evaluation set."
                    )
                try:
                    text = line.decode("utf-8" if number else "utf-8-sig")
                except UnicodeDecodeError as error:
                    raise FormatError(
                        f"{where}: is not UTF-8 ({error.reason}). Convert the file, for example with iconv -t UTF-8."
                    ) from error
                for part in text.rstrip("\r\n").split("\r"):  # a line end of old Mac files
                    number += 1
                    if number > MOST_LINES:
                        raise FormatError(
                            f"{path}: has more than {MOST_LINES} lines; it is not an evaluation set."
                        )
                    if part.strip():
                        yield f"{path}, line {number}", part
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror or error}.") from error


def split_fields(line: str, separator: str) -> list[str]:
    """Return the fields of a line.

    Fields between tabs are not changed. Commas and semicolons separate fields as in CSV: fields may be quoted, and
    white space around them is removed. A space stands for white space of any length.

    >>> split_fields('"ice cream", cold, 5.5', ","), split_fields("sun  sunlight 50", " ")
    (['ice cream', 'cold', '5.5'], ['sun', 'sunlight', '50'])
    """
    if separator == "\t":
        return line.split("\t")
    if separator == " ":
        return line.split()
    try:
        (fields,) = csv.reader([line], delimiter=separator, skipinitialspace=True, strict=True)
    except (csv.Error, ValueError):  # an unclosed quote
        return []
    return [field.strip() for field in fields]


def separator_of(lines: Sequence[str], is_row: Callable[[list[str]], bool]) -> str | None:
    """Return the separator that makes at least half of the lines rows.

    None if there is none.

    Tabs are tried first, then semicolons, commas and white space.
    """
    for separator in SEPARATORS:
        rows = sum(is_row(split_fields(line, separator)) for line in lines)
        if rows and 2 * rows >= len(lines):
            return separator
    return None


def quoted(line: str) -> str:
    """Return a line for a message, escaped and shortened."""
    shortened = reprlib.Repr()
    shortened.maxstring = 60
    return shortened.repr(line)


def first_ids(words: Sequence[str], spelled: Callable[[str], str]) -> dict[str, int]:
    """Return the first id of each spelling, for gensim's look-up of words.

    With ``case_insensitive=True`` the spelling is the upper case. The first id is that of the most frequent word where
    ids are ordered by count.

    >>> first_ids(["the", "Paris", "PARIS"], str.upper)
    {'THE': 0, 'PARIS': 1}
    """
    ids: dict[str, int] = {}
    for number, word in enumerate(words):
        ids.setdefault(spelled(word), number)
    return ids


FIRST_WORD = re.compile(r"(word|w|term|noun|verb|item|lemma|concept|target)(1|a|one)")
SECOND_WORD = re.compile(r"(word|w|term|noun|verb|item|lemma|concept|target)(2|b|two)")
SCORE = re.compile(
    r"(human|gold|average|avg|mean|scores?|ratings?|similarity|relatedness|sim|rel|simlex(999)?|simverb(3500)?|value)+"
)
MOSTLY = 0.9  # smallest share of numbers in a numeric column
WITHIN_RATINGS = 0.95  # smallest share of mean scores that lie between the lowest and the highest rating
DECIMAL_COMMA = re.compile(r"^\D*\d+,\d+\D*$")

NOT_FINITE = ("nan", "inf", "-inf", "infinity")

Row = list[str]


@dataclass(frozen=True)
class PairLayout:
    """Layout of a file with two words and a score per line.

    Parameters
    ----------
    separator : str
        One of `SEPARATORS`.
    first, second, score : int
        Columns, from 0.
    width : int
        Number of columns of most lines.
    header : tuple of str
        Names of the columns; empty without a header.
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
        """Whether there are three columns and no header: no column was chosen."""
        return self.width == 3 and not self.header

    def parsed(self, where: str, line: str) -> tuple[str, str, float]:
        """Return two words and their score from a line.

        Raises
        ------
        FormatError
            If the line has another layout.
        """
        fields = split_fields(line, self.separator)
        if _has_pair(fields, self.first, self.second, self.score) and (self.width > 3 or len(fields) == 3):
            return fields[self.first], fields[self.second], float(fields[self.score])
        raise _no_pair(where, line, SEPARATORS[self.separator], self if self.width > 3 else None)


def pair_layout(
    path: Path, sample: Sequence[tuple[str, str]], columns: Sequence[int | str] | None
) -> PairLayout:
    """Recognise the layout of a file.

    Parameters
    ----------
    path : Path
        The file, for messages.
    sample : sequence of (str, str)
        The first lines from `numbered_lines`.
    columns : sequence of int or str, optional
        The columns of the words and of the score, as numbers from 1 or as names; None recognises them.

    Raises
    ------
    FormatError
        If most lines are not word pairs, or several columns could be the score.
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
    width = max(widths, key=widths.count)  # of ties, that of the first line
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
    """Return the test for a word pair; None allows a score in any column."""
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
    """Return whether half of the rows have a column, most with numbers."""
    fields = [row[column] for row in rows if len(row) > column]
    return 2 * len(fields) >= len(rows) and sum(map(_is_number, fields)) >= MOSTLY * len(fields)


def _is_header(fields: Row, numeric: Sequence[int], rows: Sequence[Row]) -> bool:
    """Return whether the first line lacks the first numeric column's number."""
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
    """Return the columns of the words by their names in a header, or None."""
    first = [i for i, name in enumerate(names) if FIRST_WORD.fullmatch(name)]
    second = [i for i, name in enumerate(names) if SECOND_WORD.fullmatch(name)]
    return (first[0], second[0]) if len(first) == len(second) == 1 else None


def _word_problem(rows: Sequence[Row], numeric: Sequence[int]) -> str:
    """Return why the first two columns do not look like words, or ""."""
    if 0 in numeric and 2 not in numeric:
        return "column 1 has numbers instead of words"
    texts = {0, 1, *range(len(rows[0]))}.difference(set(numeric) - {0, 1})
    distinct = {i: len({row[i] for row in rows if len(row) > i}) for i in texts}
    for column in (0, 1):
        if 2 * distinct[column] < max(distinct.values()):
            return f"column {column + 1} has only {distinct[column]} values, as labels have"
    return ""


def _score_column(numeric: Sequence[int], names: Sequence[str], rows: Sequence[Row]) -> int | None:
    """Return the column of the score, or None if several columns could be."""
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
    """Return columns from 0, or None if they are names of a header."""
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
        f"{quoted(line)}.{' Decimal commas are not supported.' if _has_decimal_comma(line) else ''}"
    )


def _has_decimal_comma(line: str) -> bool:
    return any(DECIMAL_COMMA.match(field) for sign in "\t; " for field in split_fields(line, sign)[2:])


@dataclass(frozen=True, eq=False, repr=False)
class WordPairSet(ShortRepr):
    """Pairs of words with scores.

    Parameters
    ----------
    pairs : list of (str, str)
        The words, spelled as in the file.
    scores : ndarray of float64, shape (n,)
        Human scores of similarity, on any scale.
    layout : str
        Description of the file: separator, columns, header, skipped lines.
    """

    pairs: list[tuple[str, str]]
    scores: NDArray[np.float64]
    layout: str = ""

    @classmethod
    def read(cls, source: str | Path, columns: Sequence[int | str] | None = None) -> WordPairSet:
        """Read a file with two words and a score per line.

        Columns are separated by tabs, semicolons, commas or spaces, with a header or without. The words are in the
        first two columns, or in those with such names (``Word 1``, ``word2``). The score is the only numeric column, or
        the one with such a name (``Human (mean)``, ``SimLex999``), or the first one if the others are single ratings of
        which it can be the mean. Lines that begin with ``#`` are comments.

        Parameters
        ----------
        source : str or Path
            The path of the file, or the name of a set in gensim's test data: ``wordsim353`` (Finkelstein et
            al. 2002) or ``simlex999`` (Hill et al. 2015).
        columns : sequence of int or str, optional
            The columns of the two words and the score, as numbers from 1 or as names of the header.

        Raises
        ------
        SettingError
            If there is no such set or column.
        FormatError
            If a line is malformed (names the line), or several columns could be the score.
        """
        path = find_set(source, WORD_PAIR_SETS)
        comments = 0
        pairs: list[tuple[str, str]] = []
        scores: list[float] = []

        def rows() -> Iterator[tuple[str, str]]:
            nonlocal comments
            for where, line in numbered_lines(path):
                if line.startswith("#"):
                    comments += 1
                else:
                    yield where, line

        numbered = rows()
        sample = list(islice(numbered, SAMPLED_LINES))
        if not sample:
            raise FormatError(f"{path}: has no line with two words and a score.")
        layout = pair_layout(path, sample, columns)
        for where, line in islice(chain(sample, numbered), bool(layout.header), None):
            first, second, score = layout.parsed(where, line)
            pairs.append((first, second))
            scores.append(score)
        if not pairs:
            raise FormatError(f"{path}: has no line with two words and a score below its header.")
        skipped = f"; {comments} comment line{'s' * (comments > 1)} skipped" if comments else ""
        return cls(pairs, np.array(scores), f"{layout}{skipped}")


@dataclass(frozen=True)
class WordPairScore:
    """Correlation of cosines with the scores of a set.

    Parameters
    ----------
    spearman, pearson : float
        Rank and linear correlation over the known pairs; NaN if fewer than two are known, or all have the same score
        or cosine.
    known, pairs : int
        Number of pairs with two known words, and of all pairs.
    """

    spearman: float
    pearson: float
    known: int
    pairs: int

    @property
    def coverage(self) -> float:
        """Share of known pairs, 0 to 1: 1 − gensim's ``oov_ratio`` / 100."""
        return self.known / self.pairs


def score_word_pairs(
    words: Sequence[str],
    vectors: NDArray[Any],
    pairs: WordPairSet,
    *,
    case_insensitive: bool = True,
    dummy4unknown: bool = False,
) -> WordPairScore:
    """Correlate the cosines of a set's pairs with its scores.

    Parameters
    ----------
    words : sequence of str
        The known words.
    vectors : ndarray of float, shape (≥ V, dim)
        Their vectors, in the first rows.
    pairs : WordPairSet
        The set.
    case_insensitive : bool
        Whether words that differ only in case are the same word; the first of them has its vector.
    dummy4unknown : bool
        Whether pairs with an unknown word count with cosine 0; otherwise they are skipped.
    """
    spelled = str.upper if case_insensitive else str
    ids = first_ids(words, spelled)
    looked_up = [(ids.get(spelled(first), -1), ids.get(spelled(second), -1)) for first, second in pairs.pairs]
    both = np.array(looked_up, np.intp)
    known = (both >= 0).all(axis=1)
    if not known.any():
        return WordPairScore(math.nan, math.nan, 0, len(both))
    cosines = np.zeros(len(both))
    first, second = (directions(vectors[column].astype(np.float64)) for column in both[known].T)
    cosines[known] = np.vecdot(first, second)
    compared = slice(None) if dummy4unknown else known
    cosines, scores = cosines[compared], pairs.scores[compared]
    return WordPairScore(spearman(scores, cosines), pearson(scores, cosines), int(known.sum()), len(both))

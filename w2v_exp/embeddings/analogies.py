"""Analogy sets (a is to b as c is to which word?), and their scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v_exp.embeddings.similarity import BATCH_BYTES, COSMUL_EPSILON
from w2v_exp.embeddings.word_pairs import (
    ANALOGY_SETS,
    SAMPLED_LINES,
    SEPARATORS,
    find_set,
    first_ids,
    numbered_lines,
    quoted,
    separator_of,
    split_fields,
)
from w2v_exp.errors import FormatError, ShortRepr, require_choice

SYNTACTIC = "gram"  # prefix of the names of Google's syntactic sections

Question = tuple[str, str, str, str]


@dataclass(frozen=True, repr=False)
class AnalogySection(ShortRepr):
    """Questions of one kind.

    Parameters
    ----------
    name : str
        Such as ``family``; syntactic if it begins with ``gram``.
    questions : list of (str, str, str, str)
        a, b, c and d: a is to b as c is to d.
    """

    name: str
    questions: list[Question]


@dataclass(frozen=True, repr=False)
class AnalogySet(ShortRepr):
    """Sections of questions.

    Parameters
    ----------
    sections : list of AnalogySection
        In the order of the file.
    layout : str
        Description of the file: separator, sections, skipped lines.
    """

    sections: list[AnalogySection]
    layout: str = ""

    @classmethod
    def read(cls, source: str | Path) -> AnalogySet:
        """Read a file with four words per line, optionally in sections.

        A section begins with a line ``: name`` (Google's format); questions before the first one get a section named
        after the file. Words are separated by spaces, tabs, semicolons or commas, and may contain spaces unless these
        separate them. Lines that begin with ``# `` are comments, as are other lines with ``#`` that are no question.

        Parameters
        ----------
        source : str or Path
            The path of the file, or ``questions-words``: Google's 19,544 questions (Mikolov et al. 2013), from
            gensim's test data.

        Raises
        ------
        SettingError
            If there is no such set.
        FormatError
            If a line is malformed; names the line.
        """
        path = find_set(source, ANALOGY_SETS)
        numbered = numbered_lines(path)
        sample = list(islice(numbered, SAMPLED_LINES))
        separator = separator_of([line for _, line in sample if line[0] not in ":#"], _is_question) or " "
        sections: list[AnalogySection] = []
        skipped = 0
        for number, (where, line) in enumerate(chain(sample, numbered)):
            fields = split_fields(line, separator)
            if line.startswith(":"):
                if not (name := line[1:].strip()):
                    raise FormatError(
                        f"{where}: the section has no name; it must be a line such as ': family'."
                    )
                sections.append(AnalogySection(name, []))
                continue
            if line.startswith("#") and (line[1:2].isspace() or not _is_question(fields)):
                skipped += 1
                continue
            if not _is_question(fields):
                raise FormatError(
                    f"{where}: must be four words, separated by {SEPARATORS[separator]}, or ': ' and the name of a "
                    f"section; it is {quoted(line)}."
                )
            a, b, c, d = (field.strip() for field in fields)
            question = a, b, c, d
            if not sections:
                sections.append(AnalogySection(path.stem, []))
            if number == 0 and _is_header(question):
                skipped += 1
            else:
                sections[-1].questions.append(question)
        questions = sum(len(section.questions) for section in sections)
        if not questions:
            raise FormatError(f"{path}: has no question: ': ' with a section's name, then four words a line.")
        layout = f"separated by {SEPARATORS[separator]}; {questions:,} questions in {len(sections)} sections"
        return cls(sections, f"{layout}; {skipped} comments or headers skipped" if skipped else layout)


def _is_question(fields: Sequence[str]) -> bool:
    return len(fields) == 4 and all(field.strip() for field in fields)


def _is_header(fields: Sequence[str]) -> bool:
    """Return whether four fields are column names, such as word1 … word4."""
    return [field[-1] for field in fields] == list("1234") and len({field[:-1] for field in fields}) == 1


@dataclass(frozen=True)
class AnalogyScore:
    """Numbers of correct answers in a section or a total.

    Parameters
    ----------
    name : str
        Of the section; of totals ``semantic``, ``syntactic`` or ``all``.
    correct, known, questions : int
        Number of questions with the correct answer; with four known words (with `dummy4unknown` all); in all.
    """

    name: str
    correct: int
    known: int
    questions: int

    @property
    def accuracy(self) -> float:
        """Share of correct answers to known questions; NaN if none is known."""
        return self.correct / self.known if self.known else math.nan

    @property
    def coverage(self) -> float:
        """Share of known questions, 0 to 1; NaN if there are none."""
        return self.known / self.questions if self.questions else math.nan

    @classmethod
    def total(cls, name: str, parts: Iterable[AnalogyScore]) -> AnalogyScore:
        """Return the sum of several scores."""
        counts = [(part.correct, part.known, part.questions) for part in parts]
        return cls(name, *(sum(column) for column in zip((0, 0, 0), *counts, strict=True)))


@dataclass(frozen=True)
class AnalogyScores:
    """The scores of a set's sections, in its order."""

    sections: list[AnalogyScore]

    @property
    def all(self) -> AnalogyScore:
        """Total over all sections."""
        return AnalogyScore.total("all", self.sections)

    @property
    def semantic(self) -> AnalogyScore:
        """Total over the sections whose names do not begin with ``gram``."""
        sections = [section for section in self.sections if not section.name.startswith(SYNTACTIC)]
        return AnalogyScore.total("semantic", sections)

    @property
    def syntactic(self) -> AnalogyScore:
        """Total over the sections whose names begin with ``gram``."""
        sections = [section for section in self.sections if section.name.startswith(SYNTACTIC)]
        return AnalogyScore.total("syntactic", sections)


def score_analogies(
    words: Sequence[str],
    directions: NDArray[Any],
    analogies: AnalogySet,
    *,
    case_insensitive: bool = True,
    dummy4unknown: bool = False,
    similarity_function: str = "most_similar",
) -> AnalogyScores:
    """Count the questions whose answer has the highest score.

    Parameters
    ----------
    words : sequence of str
        The known words.
    directions : ndarray of float, shape (V, dim)
        Their vectors, scaled to length 1.
    analogies : AnalogySet
        The set.
    case_insensitive : bool
        Whether words that differ only in case are the same word; the first of them has its vector.
    dummy4unknown : bool
        Whether questions with an unknown word count as wrong answers; otherwise they are skipped.
    similarity_function : str
        ``most_similar`` (3CosAdd) or ``most_similar_cosmul`` (3CosMul).
    """
    section_of, known, correct = answer_questions(
        words, directions, analogies, case_insensitive, similarity_function
    )
    counting = slice(None) if dummy4unknown else known
    counted = [
        np.bincount(section_of[chosen], minlength=len(analogies.sections)).tolist()
        for chosen in (correct, counting, slice(None))
    ]
    return AnalogyScores(
        [
            AnalogyScore(section.name, *counts)
            for section, *counts in zip(analogies.sections, *counted, strict=True)
        ]
    )


class Answers(NamedTuple):
    """The answers to all questions of a set, in its order.

    Parameters
    ----------
    section_of : ndarray of int, shape (n,)
        The number of each question's section.
    known, correct : ndarray of bool, shape (n,)
        Whether all words of the question are known, and whether it is answered correctly.
    """

    section_of: NDArray[np.intp]
    known: NDArray[np.bool_]
    correct: NDArray[np.bool_]


def answer_questions(
    words: Sequence[str],
    directions: NDArray[Any],
    analogies: AnalogySet,
    case_insensitive: bool = True,
    similarity_function: str = "most_similar",
) -> Answers:
    """Return which questions are known, and which are answered correctly.

    Parameters are those of `score_analogies`.
    """
    require_choice("similarity_function", similarity_function, SIMILARITY_FUNCTIONS)
    spelled = str.upper if case_insensitive else str
    ids = first_ids(words, spelled)
    rows = [
        (number, *(ids.get(spelled(word), -1) for word in question))
        for number, section in enumerate(analogies.sections)
        for question in section.questions
    ]
    section_of, questions = np.split(np.array(rows, np.intp), [1], axis=1)
    known = np.asarray((questions >= 0).all(axis=1))
    first_spelling = np.array([ids[spelled(word)] for word in words])
    correct = np.zeros(len(questions), bool)
    correct[known] = _correct(directions, questions[known], first_spelling, similarity_function)
    return Answers(section_of[:, 0], known, correct)


def _correct(
    directions: NDArray[Any],
    questions: NDArray[np.intp],
    first_spelling: NDArray[np.intp],
    similarity_function: str,
) -> NDArray[np.bool_]:
    """Return which questions are answered correctly, shape (n,).

    The answer is the word with the highest score, without the words of the question.

    Parameters
    ----------
    directions : ndarray of float, shape (V, dim)
        Vectors of length 1.
    questions : ndarray of int, shape (n, 4)
        The ids of a, b, c and d.
    first_spelling : ndarray of int, shape (V,)
        For each word, the id of the first word that counts as the same (case may differ).
    similarity_function : str
        A key of `SIMILARITY_FUNCTIONS`.
    """
    words = len(directions)
    score, rows_per_question = SIMILARITY_FUNCTIONS[similarity_function]
    spellings = np.argsort(first_spelling, kind="stable")  # the spellings of a word are adjacent
    starts = np.searchsorted(first_spelling[spellings], np.arange(words + 1))
    batch_size = max(1, BATCH_BYTES // (rows_per_question * words * directions.itemsize))
    scores = np.empty((min(batch_size, len(questions)), words), directions.dtype)
    answers = np.empty(len(questions), np.intp)
    for start in range(0, len(questions), batch_size):
        given = questions[start : start + batch_size, :3]
        found = score(directions, given, scores[: len(given)])
        rows, excluded = _spellings_of(given, spellings, starts)
        found[rows, excluded] = -np.inf
        answers[start : start + batch_size] = found.argmax(axis=1)
    expected = questions[:, 3]
    possible = (questions[:, :3] != expected[:, None]).all(axis=1)
    return (first_spelling[answers] == expected) & possible  # type: ignore[no-any-return]


def _spellings_of(
    given: NDArray[np.intp], spellings: NDArray[np.intp], starts: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return row and id of every spelling of the given words, shape (n, k)."""
    flat = given.ravel()
    counts = starts[flat + 1] - starts[flat]
    rows = np.repeat(np.arange(len(flat)) // given.shape[1], counts)
    number = np.arange(counts.sum()) - np.repeat(
        np.cumsum(counts) - counts, counts
    )  # among the word's spellings
    return rows, spellings[np.repeat(starts[flat], counts) + number]


Scores = NDArray[Any]


def _add_cosines(directions: NDArray[Any], given: NDArray[np.intp], out: Scores) -> Scores:
    """Compute cos(x, b) − cos(x, a) + cos(x, c) for every word x (3CosAdd).

    Shape (n, V), by one product with b − a + c. Source: Mikolov, Yih & Zweig 2013; Levy & Goldberg 2014 for the name.
    """
    a, b, c = (directions[column] for column in given.T)
    scores: Scores = np.matmul(b - a + c, directions.T, out=out)
    return scores


def _multiply_similarities(directions: NDArray[Any], given: NDArray[np.intp], out: Scores) -> Scores:
    """Compute s(x, b)·s(x, c) / (s(x, a) + 1e-6) for every word x (3CosMul).

    Shape (n, V); s is (1 + cosine) / 2. Source: Levy & Goldberg 2014, equation 4 and footnote 7. The questions of a
    section repeat the same words, so the product with all words is computed once for each distinct word of the batch.
    """
    distinct, indices = np.unique(given, return_inverse=True)
    similarities = directions[distinct] @ directions.T
    similarities += 1
    similarities /= 2
    for row, (a, b, c) in zip(out, indices.reshape(given.shape), strict=True):  # a row stays in the cache
        np.add(similarities[a], COSMUL_EPSILON, out=row)
        np.divide(similarities[b], row, out=row)
        np.multiply(similarities[c], row, out=row)
    return out


Scoring = Callable[[NDArray[Any], NDArray[np.intp], Scores], Scores]
# By the name of the method that answers a single question; with the largest number of rows of scores per question.
SIMILARITY_FUNCTIONS: dict[str, tuple[Scoring, int]] = {
    "most_similar": (_add_cosines, 1),
    "most_similar_cosmul": (_multiply_similarities, 4),
}

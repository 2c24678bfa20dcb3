"""Analogies: a is to b as c is to which word? Asked by the standard protocol, 3CosAdd."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.embeddings.evaluation_sets import (
    ANALOGY_SETS,
    case_insensitive_ids,
    find_set,
    numbered_lines,
    quoted,
)
from w2v_exp.errors import FormatError

BATCH_BYTES = 1 << 25  # of the cosines of a batch of questions with all words
SYNTACTIC = "gram"  # what the names of Google's syntactic sections begin with

Question = tuple[str, str, str, str]


@dataclass(frozen=True)
class AnalogySection:
    """Questions of one kind.

    Parameters
    ----------
    name : str
        Such as ``family``; those that begin with ``gram`` are syntactic.
    questions : list of (str, str, str, str)
        a, b, c, and the word that is to c as b is to a.
    """

    name: str
    questions: list[Question]


@dataclass(frozen=True)
class AnalogySet:
    """Sections of questions."""

    sections: list[AnalogySection]

    @classmethod
    def read(cls, source: str | Path) -> AnalogySet:
        """Read a file in Google's format: a line ``: name`` for each section, then four words a line.

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
            If a line is not of this form, with its number.
        """
        path = find_set(source, ANALOGY_SETS)
        sections: list[AnalogySection] = []
        for where, line in numbered_lines(path):
            if line.startswith(":"):
                sections.append(AnalogySection(_section_name(where, line), []))
            elif not sections:
                raise FormatError(
                    f"{where}: a section must begin first, with a line such as ': family'; it is {quoted(line)}."
                )
            else:
                sections[-1].questions.append(_question(where, line))
        if not any(section.questions for section in sections):
            raise FormatError(f"{path}: has no question: ': ' with a section's name, then four words a line.")
        return cls(sections)


@dataclass(frozen=True)
class AnalogyScore:
    """How many questions of a section, or of several, are answered rightly.

    Parameters
    ----------
    name : str
        Of the section; of totals ``semantic``, ``syntactic`` or ``all``.
    correct, known, questions : int
        How many are answered with the word expected; how many have four known words; how many there are.
    """

    name: str
    correct: int
    known: int
    questions: int

    @property
    def accuracy(self) -> float:
        """The share of the known questions that is answered rightly; NaN where none is known."""
        return self.correct / self.known if self.known else math.nan

    @property
    def coverage(self) -> float:
        """The share of questions that is known, 0 to 1; NaN where there is none."""
        return self.known / self.questions if self.questions else math.nan

    @classmethod
    def total(cls, name: str, parts: Iterable[AnalogyScore]) -> AnalogyScore:
        """Return the sum of some scores."""
        counts = [(part.correct, part.known, part.questions) for part in parts]
        return cls(name, *(sum(column) for column in zip((0, 0, 0), *counts, strict=True)))


@dataclass(frozen=True)
class AnalogyScores:
    """The scores of all sections of a set, in its order."""

    sections: list[AnalogyScore]

    @property
    def all(self) -> AnalogyScore:
        """Over all questions."""
        return AnalogyScore.total("all", self.sections)

    @property
    def semantic(self) -> AnalogyScore:
        """Over the sections whose names do not begin with ``gram``."""
        return AnalogyScore.total(
            "semantic", (part for part in self.sections if not _is_syntactic(part.name))
        )

    @property
    def syntactic(self) -> AnalogyScore:
        """Over the sections whose names begin with ``gram``."""
        return AnalogyScore.total("syntactic", (part for part in self.sections if _is_syntactic(part.name)))


def score_analogies(words: Sequence[str], directions: NDArray[Any], analogies: AnalogySet) -> AnalogyScores:
    """Answer a set's questions by 3CosAdd: with the word of the largest cosine with b − a + c.

    Source: Mikolov, Yih & Zweig 2013; Levy & Goldberg 2014 for the name. The words of a question, in whatever
    case, are no answers to it. Questions with an unknown word are left out.

    Parameters
    ----------
    words : sequence of str
        The words that are known; case does not matter, and of several cases the first is asked with.
    directions : ndarray of float, shape (V, dim)
        Their vectors, of length 1.
    analogies : AnalogySet
        The set.
    """
    ids = case_insensitive_ids(words)
    asked = [
        (number, *(ids.get(word.upper(), -1) for word in question))
        for number, section in enumerate(analogies.sections)
        for question in section.questions
    ]
    section_of, questions = np.split(np.array(asked, np.intp), [1], axis=1)
    known = (questions >= 0).all(axis=1)
    first_spelling = np.array([ids[word.upper()] for word in words])
    correct = np.zeros(len(questions), bool)
    correct[known] = _answered(directions, questions[known], first_spelling)
    counted = [
        np.bincount(section_of[chosen, 0], minlength=len(analogies.sections)).tolist()
        for chosen in (correct, known, slice(None))
    ]
    return AnalogyScores(
        [
            AnalogyScore(section.name, *counts)
            for section, *counts in zip(analogies.sections, *counted, strict=True)
        ]
    )


def _answered(
    directions: NDArray[Any], questions: NDArray[np.intp], first_spelling: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Return which questions (ids, shape (n, 4)) are answered rightly, a batch at a time.

    `first_spelling` is, of each word, the id of the first one that differs from it at the most in case.
    """
    words = len(directions)
    spellings = np.argsort(first_spelling, kind="stable")  # those of a word side by side
    starts = np.searchsorted(first_spelling[spellings], np.arange(words + 1))
    batch_size = max(1, BATCH_BYTES // (words * directions.itemsize))
    cosines = np.empty((min(batch_size, len(questions)), words), directions.dtype)
    answers = np.empty(len(questions), np.intp)
    for start in range(0, len(questions), batch_size):
        batch = questions[start : start + batch_size]
        a, b, c = (directions[column] for column in batch[:, :3].T)
        found = np.matmul(b - a + c, directions.T, out=cosines[: len(batch)])  # up to b − a + c's length
        rows, excluded = _spellings_of(batch[:, :3], spellings, starts)
        found[rows, excluded] = -np.inf
        answers[start : start + batch_size] = found.argmax(axis=1)
    expected = questions[:, 3]
    possible = (questions[:, :3] != expected[:, None]).all(axis=1)
    return (first_spelling[answers] == expected) & possible  # type: ignore[no-any-return]


def _spellings_of(
    asked: NDArray[np.intp], spellings: NDArray[np.intp], starts: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return row and id of every spelling of the words asked, shape (n, k): the k words of row i are excluded in it."""
    flat = asked.ravel()
    counts = starts[flat + 1] - starts[flat]
    rows = np.repeat(np.arange(len(flat)) // asked.shape[1], counts)
    place_in_word = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return rows, spellings[np.repeat(starts[flat], counts) + place_in_word]


def _is_syntactic(section: str) -> bool:
    return section.startswith(SYNTACTIC)


def _section_name(where: str, line: str) -> str:
    name = line[1:].strip()
    if not name:
        raise FormatError(f"{where}: the section has no name; it must be a line such as ': family'.")
    return name


def _question(where: str, line: str) -> Question:
    try:
        a, b, c, expected = line.split()
    except ValueError:
        raise FormatError(
            f"{where}: must be four words, or ': ' and the name of a section; it is {quoted(line)}."
        ) from None
    return a, b, c, expected

"""Analogies: a is to b as c is to which word? Sets of such questions, and their scores."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.embeddings.similarity import SIMILARITY_FUNCTIONS, answered
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

SYNTACTIC = "gram"  # what the names of Google's syntactic sections begin with

Question = tuple[str, str, str, str]


@dataclass(frozen=True, repr=False)
class AnalogySection(ShortRepr):
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


@dataclass(frozen=True, repr=False)
class AnalogySet(ShortRepr):
    """Sections of questions.

    Parameters
    ----------
    sections : list of AnalogySection
        In the order of the file.
    layout : str
        How the file was read: separator, sections, skipped lines.
    """

    sections: list[AnalogySection]
    layout: str = ""

    @classmethod
    def read(cls, source: str | Path) -> AnalogySet:
        """Read a file of four words a line, in sections that begin with a line ``: name`` (Google's format) or without.

        Words are separated by spaces, tabs, semicolons or commas; by the last three, words may have spaces in them.
        Questions before the first section get one that is named after the file. Lines that begin with
        ``# `` are comments, and so are others with ``#`` that are no question.

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
        numbered = numbered_lines(path)
        sample = list(islice(numbered, SAMPLED_LINES))
        separator = separator_of([line for _, line in sample if line[0] not in ":#"], _is_question) or " "
        sections: list[AnalogySection] = []
        skipped = 0
        for number, (where, line) in enumerate(chain(sample, numbered)):
            fields = split_fields(line, separator)
            if line.startswith(":"):
                sections.append(AnalogySection(_section_name(where, line), []))
                continue
            if line.startswith("#") and (line[1:2].isspace() or not _is_question(fields)):
                skipped += 1
                continue
            question = _question(where, line, fields, separator)
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


@dataclass(frozen=True)
class AnalogyScore:
    """How many questions of a section, or of several, are answered rightly.

    Parameters
    ----------
    name : str
        Of the section; of totals ``semantic``, ``syntactic`` or ``all``.
    correct, known, questions : int
        How many are answered with the word expected; how many have four known words (or count as if they had: with
        `dummy4unknown` all); how many there are.
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


def score_analogies(
    words: Sequence[str],
    directions: NDArray[Any],
    analogies: AnalogySet,
    *,
    case_insensitive: bool = True,
    dummy4unknown: bool = False,
    similarity_function: str = "most_similar",
) -> AnalogyScores:
    """Answer a set's questions with the word of the highest score that is not in the question.

    Parameters
    ----------
    words : sequence of str
        The words that are known.
    directions : ndarray of float, shape (V, dim)
        Their vectors, of length 1.
    analogies : AnalogySet
        The set.
    case_insensitive : bool
        Whether words that differ only in case are the same; of several, the first is asked with.
    dummy4unknown : bool
        Whether questions with an unknown word count, as answered wrongly; otherwise they are left out.
    similarity_function : str
        ``most_similar`` (3CosAdd) or ``most_similar_cosmul`` (3CosMul).
    """
    require_choice("similarity_function", similarity_function, SIMILARITY_FUNCTIONS)
    spelled = str.upper if case_insensitive else str
    ids = first_ids(words, spelled)
    asked = [
        (number, *(ids.get(spelled(word), -1) for word in question))
        for number, section in enumerate(analogies.sections)
        for question in section.questions
    ]
    section_of, questions = np.split(np.array(asked, np.intp), [1], axis=1)
    known = (questions >= 0).all(axis=1)
    first_spelling = np.array([ids[spelled(word)] for word in words])
    correct = np.zeros(len(questions), bool)
    correct[known] = answered(directions, questions[known], first_spelling, similarity_function)
    counting = slice(None) if dummy4unknown else known
    counted = [
        np.bincount(section_of[chosen, 0], minlength=len(analogies.sections)).tolist()
        for chosen in (correct, counting, slice(None))
    ]
    return AnalogyScores(
        [
            AnalogyScore(section.name, *counts)
            for section, *counts in zip(analogies.sections, *counted, strict=True)
        ]
    )


def _is_syntactic(section: str) -> bool:
    return section.startswith(SYNTACTIC)


def _section_name(where: str, line: str) -> str:
    name = line[1:].strip()
    if not name:
        raise FormatError(f"{where}: the section has no name; it must be a line such as ': family'.")
    return name


def _is_question(fields: Sequence[str]) -> bool:
    return len(fields) == 4 and all(field.strip() for field in fields)


def _is_header(fields: Sequence[str]) -> bool:
    """Return whether four fields are the names of columns, such as word1 … word4."""
    return [field[-1] for field in fields] == list("1234") and len({field[:-1] for field in fields}) == 1


def _question(where: str, line: str, fields: Sequence[str], separator: str) -> Question:
    if not _is_question(fields):
        raise FormatError(
            f"{where}: must be four words, separated by {SEPARATORS[separator]}, or ': ' and the name of a section; "
            f"it is {quoted(line)}."
        )
    a, b, c, expected = (field.strip() for field in fields)
    return a, b, c, expected

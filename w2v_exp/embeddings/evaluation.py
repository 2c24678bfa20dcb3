"""Choices of evaluation: word pairs, analogies and associations, or none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from w2v_exp.embeddings.analogies import AnalogyScores, AnalogySet
from w2v_exp.embeddings.association_sets import AssociationTest, find_tests
from w2v_exp.embeddings.associations import LARGEST_LOSS, Association
from w2v_exp.embeddings.embeddings import Embeddings
from w2v_exp.embeddings.word_pairs import ANALOGY_SETS, WORD_PAIR_SETS, WordPairScore, WordPairSet, find_set
from w2v_exp.errors import SettingError, check_number, check_whole

LONGEST_NAME = 200  # MLflow takes 250, and sections of analogies are named after their set
ASSOCIATION = "association_"  # prefix of the names of tests
Sets = Mapping[str, WordPairSet | AnalogySet | AssociationTest]
Scores = dict[str, WordPairScore | AnalogyScores | Association]


class Evaluation(Protocol):
    """A choice of evaluation sets and their settings."""

    @property
    def every(self) -> int | None:
        """Interval of evaluations, in epochs; None evaluates at the end only."""

    def read(self) -> Sets:
        """Return the evaluation sets, by name."""

    def score(self, embeddings: Embeddings, sets: Sets) -> Scores:
        """Return the scores of embeddings, by name of the set."""


@dataclass(frozen=True)
class NoEvaluation:
    """No evaluation."""

    @property
    def every(self) -> None:
        """None: there is nothing to evaluate."""

    def read(self) -> Sets:
        """Return no sets."""
        return {}

    def score(self, embeddings: Embeddings, sets: Sets) -> Scores:
        """Return no scores."""
        return {}


@dataclass(frozen=True)
class StandardEvaluation:
    """Word pairs, analogies and associations.

    Parameters
    ----------
    word_pairs, analogies : list of str
        Names of sets in gensim's test data, or paths of files; see `WordPairSet.read` and `AnalogySet.read`.
    associations : list of str
        Names of published tests of association, or paths of files with tests; see `AssociationTest.read`.
    largest_loss : float
        Largest share of unknown words of a set of an association test; see `associate`.
    restrict_vocab : int
        Use only the first `restrict_vocab` words in analogies.
    every : int, optional
        Interval of evaluations, in epochs; None evaluates at the end of training only.
    columns : list of str, optional
        Columns of the two words and the score in files of word pairs, by number from 1 or by name; None recognises
        them. See `WordPairSet.read`.

    Raises
    ------
    SettingError
        If a set does not exist, two sets have the same name, or there is no set.
    """

    word_pairs: list[str] = field(default_factory=lambda: list(WORD_PAIR_SETS))
    analogies: list[str] = field(default_factory=lambda: list(ANALOGY_SETS))
    restrict_vocab: int = 30_000
    every: int | None = None
    columns: list[str] | None = None
    associations: list[str] = field(default_factory=list)
    largest_loss: float = LARGEST_LOSS

    def __post_init__(self) -> None:
        check_number(self, "largest_loss", at_least=0, below=1)
        check_whole(self, "restrict_vocab", at_least=1)
        if self.every is not None:
            check_whole(self, "every", at_least=1)
        if not self.word_pairs and not self.analogies and not self.associations:
            raise SettingError(
                "word_pairs",
                "[]",
                "needs a set if analogies and associations are empty; or use evaluation=none.",
            )
        names: set[str] = set()
        for key, sources, named in (
            ("word_pairs", self.word_pairs, WORD_PAIR_SETS),
            ("analogies", self.analogies, ANALOGY_SETS),
        ):
            for source in sources:
                _require_set(key, source, named)
                name = set_name(key, source)
                parts = [name, f"{name}_semantic", f"{name}_syntactic"]
                taken = {part + end for part in parts for end in ("", "_known", "_coverage", "_low", "_high")}
                if taken & names:
                    raise SettingError(key, source, f"is the second set named {name}; rename its file.")
                names |= taken
        for source in self.associations:
            try:
                find_tests(source)
            except SettingError as error:
                raise SettingError("associations", source, error.problem) from None

    def read(self) -> Sets:
        """Return the evaluation sets, by name.

        Raises
        ------
        SettingError
            If a file no longer exists, or two association tests have the same name.
        FormatError
            If a line of a file is malformed; names the line.
        """
        pairs = {
            set_name("word_pairs", source): WordPairSet.read(
                source, None if source in WORD_PAIR_SETS else self.columns
            )
            for source in self.word_pairs
        }
        analogies = {set_name("analogies", source): AnalogySet.read(source) for source in self.analogies}
        tests: dict[str, AssociationTest] = {}
        for source in self.associations:
            for test in AssociationTest.read(source):
                if (name := f"{ASSOCIATION}{test.name}") in tests:
                    raise SettingError("associations", source, f"has the second test named {test.name}.")
                tests[name] = test
        return {**pairs, **analogies, **tests}

    def score(self, embeddings: Embeddings, sets: Sets) -> Scores:
        """Return the scores of embeddings, by name of the set."""
        return {name: self._score(embeddings, evaluated) for name, evaluated in sets.items()}

    def _score(
        self, embeddings: Embeddings, evaluated: WordPairSet | AnalogySet | AssociationTest
    ) -> WordPairScore | AnalogyScores | Association:
        if isinstance(evaluated, WordPairSet):
            return embeddings.evaluate_word_pairs(evaluated)
        if isinstance(evaluated, AnalogySet):
            return embeddings.evaluate_word_analogies(evaluated, self.restrict_vocab)
        return embeddings.association(evaluated, largest_loss=self.largest_loss)


def set_name(key: str, source: str) -> str:
    """Return the name of a set in metrics.

    Gensim's sets have their own names, Google's is ``analogies``, others are named after their kind and file.

    >>> set_name("word_pairs", "simlex999"), set_name("analogies", "questions-words.txt")
    ('simlex999', 'analogies')
    >>> set_name("word_pairs", "sets/EN-WS-353-ALL.txt")  # no file can have the name of another metric
    'word_pairs_en_ws_353_all'
    """
    stem = Path(source).stem
    if key == "word_pairs" and stem in WORD_PAIR_SETS:
        return stem
    if key == "analogies" and stem in ANALOGY_SETS:
        return "analogies"
    plain = re.sub(r"\W+", "_", stem.lower()).strip("_")
    return f"{key}_{plain}"[:LONGEST_NAME]


def association_names(metrics: Iterable[str]) -> list[str]:
    """Return the effects of association tests among the names of the metrics of runs, computed or not.

    >>> association_names(["cost", "words_association_weat7", "p_association_weat7", "association_weat7"])
    ['association_weat7']
    """
    prefix = f"words_{ASSOCIATION}"  # logged whether or not the test is possible
    return [*dict.fromkeys(name.removeprefix("words_") for name in metrics if name.startswith(prefix))]


def _require_set(key: str, source: str, named: Mapping[str, str]) -> None:
    try:
        find_set(source, named)
    except SettingError as error:
        raise SettingError(key, source, error.problem) from None


EVALUATIONS = {"none": NoEvaluation, "standard": StandardEvaluation}

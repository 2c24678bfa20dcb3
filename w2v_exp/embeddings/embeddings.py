"""Embeddings: words with their vectors, to look up, compare, save and load."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2v_exp.embeddings.analogies import AnalogyScores, AnalogySet, score_analogies
from w2v_exp.embeddings.archive import Stored
from w2v_exp.embeddings.balancing import balanced_vectors
from w2v_exp.embeddings.directions import directions
from w2v_exp.embeddings.formats import read, write
from w2v_exp.embeddings.parts import check_counts, check_matrix, numbered_words
from w2v_exp.embeddings.word_pairs import WordPairScore, WordPairSet, score_word_pairs
from w2v_exp.errors import FormatError, UserError
from w2v_exp.model.parameters import Parameters
from w2v_exp.text.vocabulary import Vocabulary
from w2v_exp.validation import require_choice, require_whole, suggestion

SUGGESTED_WORDS = 5_000  # an unknown word is compared with the most frequent ones; all would take seconds
SUGGESTED_LENGTH = 40
VECTORS = ("input", "output", "sum", "balanced")


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Words with their vectors; methods named as in gensim's ``KeyedVectors`` mean the same.

    Parameters
    ----------
    words : list of str
        The word of each row; no word occurs twice.
    counts : ndarray of int64, shape (V,), or None
        How often each word occurs in the text; None where a file does not tell (word2vec's formats do not).
    input : ndarray of float32 or float64, shape (V, dim)
        The vector of each word as a centre; what similarity is computed from.
    output : ndarray of the same dtype, shape (V, dim), or None
        The vector of each word as a context; None where a file does not tell.

    Raises
    ------
    UserError
        If the parts do not fit together, or a value is NaN or infinite.
    """

    words: list[str]
    counts: NDArray[np.int64] | None
    input: NDArray[Any]
    output: NDArray[Any] | None = None
    ids: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", numbered_words(self.words))
        if self.counts is not None:
            check_counts(self.counts, len(self))
        check_matrix("input", self.input, self.words, like=self.input)
        if self.output is not None:
            check_matrix("output", self.output, self.words, like=self.input)

    @classmethod
    def from_training(cls, vocabulary: Vocabulary, parameters: Parameters) -> Embeddings:
        """Return what has been trained so far: a copy, so that further training does not change it.

        Output weights that are not of words, as those of the hierarchical softmax are of tree nodes, are left out.
        """
        of_words = len(parameters.output) == len(parameters.embedding)
        output = parameters.output.copy() if of_words else None
        return cls(vocabulary.words, vocabulary.counts, parameters.embedding.copy(), output)

    @classmethod
    def load(cls, path: Path | str) -> Embeddings:
        """Read a file in the format that its suffix names: ``.npz``, ``.txt`` or ``.vec``, ``.bin``.

        The last three may be gzipped (``.txt.gz``); their vectors are float32.

        Raises
        ------
        UserError
            If no format has this suffix, or the vectors do not fit the memory that is available.
        FormatError
            If the file cannot be read or is not what its format says.
        """
        stored = read(Path(path))
        try:
            return cls(*stored)
        except UserError as error:
            raise FormatError(f"{path}: {error}") from error

    def save(self, path: Path | str) -> None:
        """Write a file in the format that its suffix names, as in `load`; same embeddings, same bytes.

        ``.npz`` keeps everything. ``.txt``, ``.vec`` and ``.bin`` are for other programs: they keep words and
        input vectors, as float32.

        Raises
        ------
        UserError
            If no format has this suffix, the format cannot hold what is to be kept, or the file cannot be
            written. A file that was there before is then as it was.
        """
        write(Path(path), Stored(self.words, self.counts, self.input, self.output))

    def __contains__(self, word: object) -> bool:
        return word in self.ids

    def __len__(self) -> int:
        return len(self.words)

    def vector(self, word: str) -> NDArray[Any]:
        """Return the input vector of a word, shape (dim,).

        Raises
        ------
        UserError
            If the word is not there; with the closest one that is.
        """
        return self.input[self._id(word)]  # type: ignore[no-any-return]

    def similarity(self, a: str, b: str) -> float:
        """Return the cosine of the angle between the input vectors of two words; 0 where one of them is zero.

        Raises
        ------
        UserError
            If one of the words is not there.
        """
        return float(np.vecdot(self._directions[self._id(a)], self._directions[self._id(b)]))

    def most_similar(self, word_or_vector: str | ArrayLike, topn: int = 10) -> list[tuple[str, float]]:
        """Return the words whose input vectors have the largest cosine with a word's or with a vector.

        Parameters
        ----------
        word_or_vector : str or array of float, shape (dim,)
            A word, which is itself left out of the answer, or any vector.
        topn : int
            How many words to return at the most, 0 or more.

        Returns
        -------
        list of (str, float)
            Words and cosines, the largest first; equal ones in the order of their ids.

        Raises
        ------
        UserError
            If the word is not there, or the vector is not one of `dim` finite numbers.
        """
        require_whole("topn", topn, at_least=0)
        if isinstance(word_or_vector, str):
            itself = self._id(word_or_vector)
            direction = self._directions[itself]
        else:
            itself = -1
            direction = directions(self._as_vector(word_or_vector)[None, :])[0]
        # Row by row, not one matrix product: BLAS rounds equal rows differently in different places, and
        # words with the same vector would no longer tie.
        cosines = np.vecdot(self._directions, direction)
        order = np.argsort(-cosines, kind="stable")
        return [(self.words[i], float(cosines[i])) for i in order[: topn + 1].tolist() if i != itself][:topn]

    def evaluate_word_pairs(
        self, pairs: WordPairSet | Path | str, restrict_vocab: int = 300_000
    ) -> WordPairScore:
        """Return how far cosines agree with people's scores of word pairs, as gensim computes it.

        Parameters
        ----------
        pairs : WordPairSet, Path or str
            The set, or what `WordPairSet.read` makes it of, such as ``"wordsim353"``.
        restrict_vocab : int
            Only so many words are known, the first ones; case does not matter.
        """
        require_whole("restrict_vocab", restrict_vocab, at_least=1)
        read_pairs = pairs if isinstance(pairs, WordPairSet) else WordPairSet.read(pairs)
        return score_word_pairs(self.words[:restrict_vocab], self.input, read_pairs)

    def evaluate_word_analogies(
        self, analogies: AnalogySet | Path | str, restrict_vocab: int = 30_000
    ) -> AnalogyScores:
        """Return how many analogies are answered rightly, by section, as gensim counts it.

        Parameters
        ----------
        analogies : AnalogySet, Path or str
            The set, or what `AnalogySet.read` makes it of, such as ``"questions-words"``.
        restrict_vocab : int
            Only so many words are known and can be answers, the first ones; case does not matter. word2vec
            takes 30,000 (gensim, if nothing is said, 300,000): compare only scores with the same number.
        """
        require_whole("restrict_vocab", restrict_vocab, at_least=1)
        read_analogies = analogies if isinstance(analogies, AnalogySet) else AnalogySet.read(analogies)
        return score_analogies(self.words[:restrict_vocab], self._directions[:restrict_vocab], read_analogies)

    def using(self, vectors: str) -> Embeddings:
        """Return embeddings that look up and compare by other vectors, as their ``input``.

        Parameters
        ----------
        vectors : str
            ``input`` (these embeddings themselves), ``output``, ``sum`` of both, or ``balanced``: both, made of
            their product alone (`balanced_vectors`).

        Raises
        ------
        UserError
            If the choice is none of these, or there are no output vectors.
        """
        require_choice("vectors", vectors, VECTORS)
        if vectors == "input":
            return self
        if self.output is None:
            raise UserError(f"vectors={vectors}: these embeddings have input vectors only; .npz keeps both.")
        if vectors == "output":
            return Embeddings(self.words, self.counts, self.output)
        if vectors == "sum":
            return Embeddings(self.words, self.counts, self.input + self.output)
        return Embeddings(self.words, self.counts, balanced_vectors(self.input, self.output))

    @cached_property
    def _directions(self) -> NDArray[Any]:
        return directions(self.input)

    def _id(self, word: str) -> int:
        if word in self.ids:
            return self.ids[word]
        near: list[str] = []
        if len(word) <= SUGGESTED_LENGTH:
            near = [
                known
                for known in self.words[:SUGGESTED_WORDS]
                if len(known) <= SUGGESTED_LENGTH and known.isprintable()
            ]
        raise UserError(
            f"{reprlib.repr(word)} is not among the {len(self)} words{suggestion(word.lower(), near)}"
        )

    def _as_vector(self, vector: ArrayLike) -> NDArray[Any]:
        dim = self.input.shape[1]
        try:
            numbers = np.asarray(vector, np.float64)
        except (TypeError, ValueError) as error:
            raise UserError(
                f"A vector must be {dim} numbers, not {reprlib.repr(vector)} ({error})."
            ) from error
        if numbers.shape != (dim,) or not np.isfinite(numbers).all():
            raise UserError(
                f"A vector must be {dim} finite numbers, not {reprlib.repr(vector)} of shape {numbers.shape}."
            )
        return numbers

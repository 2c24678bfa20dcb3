"""Embeddings: words with counts and both matrices, saved, balanced, extended by a new text's words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.embeddings.analogies import AnalogyScores, AnalogySet, score_analogies
from w2v_exp.embeddings.formats import Stored, read, write, write_lines
from w2v_exp.embeddings.opening import LoadOptions
from w2v_exp.embeddings.similarity import Similarity, check_counts, check_matrix, numbered_words
from w2v_exp.embeddings.word2vec_formats import binary_rows, headerless_rows, text_rows
from w2v_exp.embeddings.word_pairs import WordPairScore, WordPairSet, score_word_pairs
from w2v_exp.errors import FormatError, ShortRepr, UserError, require_choice, require_kind, require_whole
from w2v_exp.model.parameters import ContinuedInitialization, Parameters
from w2v_exp.text.vocabulary import Vocabulary


def balanced_vectors(embedding: NDArray[Any], output: NDArray[Any]) -> NDArray[Any]:
    """Return (U + V)·√S, where U·S·Vᵀ is the singular value decomposition of E·Wᵀ.

    Scores depend on the product of the two matrices alone: (E·A)·(W·A⁻ᵀ)ᵀ is the same for every A, and which of them
    training arrives at is due to initialization and optimizer. The symmetric factors U·√S and V·√S are those that
    remain (Levy, Goldberg & Dagan 2015 find them good for PPMI); like input and output vectors, their sum is better
    than either. The V × V product is never made: it takes O(V·dim²).

    Parameters
    ----------
    embedding, output : ndarray, shape (V, dim)
        E and W.

    Returns
    -------
    ndarray, shape (V, dim)
        Of the embedding's dtype; columns by falling singular value, zeros where V is less than dim.
    """
    (left, left_rest), (right, right_rest) = (
        np.linalg.qr(matrix.astype(np.float64)) for matrix in (embedding, output)
    )
    U, values, Vt = np.linalg.svd(left_rest @ right_rest.T)
    vectors = np.zeros(embedding.shape, embedding.dtype)
    vectors[:, : len(values)] = (left @ U + right @ Vt.T) * np.sqrt(values)
    return vectors


VECTORS = ("input", "output", "sum", "balanced")


@dataclass(frozen=True, eq=False, repr=False)
class Embeddings(ShortRepr, Similarity):
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

        Output vectors are to be of words: see `Objective.to_word_vectors`.
        """
        require_kind("vocabulary", vocabulary, Vocabulary, "a Vocabulary")
        require_kind("parameters", parameters, Parameters, "Parameters")
        return cls(vocabulary.words, vocabulary.counts, parameters.embedding.copy(), parameters.output.copy())

    @classmethod
    def load(
        cls,
        path: Path | str,
        *,
        limit: int | None = None,
        no_header: bool = False,
        unicode_errors: str = "strict",
        duplicates: str = "error",
        malformed: str = "error",
    ) -> Embeddings:
        """Read a file or a pipe: an archive of `save`, word2vec's text or binary format, or GloVe's text.

        The format is that of the content, whatever the file is called; gzip, bzip2, xz and zip are decompressed.
        Word2vec's and GloVe's formats hold input vectors only, read as float32. Nothing is unpickled. The embeddings of
        a run in MLflow: `w2v_exp.load_run`.

        Parameters
        ----------
        path : Path or str
            The file.
        limit, no_header, unicode_errors, duplicates, malformed
            See `LoadOptions`. Rows that are skipped or changed are counted in one `LoadWarning`.

        Raises
        ------
        UserError
            If the vectors do not fit the memory that is available.
        FormatError
            If the file cannot be read or is not what its format says.
        """
        require_kind("path", path, (str, Path), "the path of a file")
        if str(path).startswith("runs:/"):
            raise UserError(f"{path}: the embeddings of a run are loaded by w2v_exp.load_run.")
        stored = read(Path(path), LoadOptions(limit, no_header, unicode_errors, duplicates, malformed))
        try:
            return cls(*stored)
        except UserError as error:
            raise FormatError(f"{path}: {error}") from error

    def save(self, path: Path | str) -> None:
        """Write a file in the format that its suffix names; same embeddings, same bytes.

        ``.npz`` keeps everything. ``.txt``, ``.vec`` and ``.bin``, also with ``.gz``, are for other
        programs: they keep words and input vectors, as float32.

        Raises
        ------
        UserError
            If no format has this suffix, the format cannot hold what is to be kept, or the file cannot be
            written. A file that was there before is then as it was.
        """
        require_kind("path", path, (str, Path), "the path of a file")
        write(Path(path), Stored(self.words, self.counts, self.input, self.output))

    def save_word2vec_format(
        self,
        fname: Path | str,
        fvocab: Path | str | None = None,
        binary: bool = False,
        write_header: bool = True,
        prefix: str = "",
    ) -> None:
        """Write words and input vectors in word2vec's text or binary format, whatever the file is called.

        Words are written by falling count, where counts are known; gzipped if the name ends in ``.gz``.

        Parameters
        ----------
        fname : Path or str
            The file.
        fvocab : Path or str, optional
            Also a file of lines ``word count``.
        binary : bool
            Whether numbers are float32, not text.
        write_header : bool
            Whether there is a first line with the number of words and of dimensions; GloVe's files have none. A file
            without it may have to be loaded with ``no_header=True``: see `LoadOptions`.
        prefix : str
            What is put before each word.

        Raises
        ------
        UserError
            If the format cannot hold a word or a value, a file cannot be written, or there are no counts for `fvocab`.
        """
        require_kind("fname", fname, (str, Path), "the path of a file")
        if fvocab is not None and self.counts is None:
            raise UserError(f"{fvocab}: these embeddings have no counts; only .npz keeps them.")
        order = np.arange(len(self)) if self.counts is None else np.argsort(-self.counts, kind="stable")
        words = [prefix + self.words[i] for i in order.tolist()]
        in_order = bool((np.diff(order) == 1).all())  # then nothing is copied
        if binary and not write_header:
            raise UserError("write_header=False: nothing can read vectors of binary=True without a header.")
        rows = binary_rows if binary else text_rows if write_header else headerless_rows
        write_lines(Path(fname), rows(words, self.input if in_order else self.input[order]))
        if fvocab is not None and self.counts is not None:
            counted = zip(words, self.counts[order].tolist(), strict=True)
            write_lines(Path(fvocab), (b"%s %d\n" % (word.encode(), count) for word, count in counted))

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and word in self.ids

    def __len__(self) -> int:
        return len(self.words)

    def evaluate_word_pairs(
        self,
        pairs: WordPairSet | Path | str,
        restrict_vocab: int = 300_000,
        *,
        case_insensitive: bool = True,
        dummy4unknown: bool = False,
    ) -> WordPairScore:
        """Return how far cosines agree with people's scores of word pairs, as gensim computes it.

        Parameters
        ----------
        pairs : WordPairSet, Path or str
            The set, or what `WordPairSet.read` makes it of, such as ``"wordsim353"``.
        restrict_vocab : int
            Only so many words are known, the first ones.
        case_insensitive, dummy4unknown : bool
            As in `score_word_pairs`.
        """
        restrict_vocab = require_whole("restrict_vocab", restrict_vocab, at_least=1)
        require_kind(
            "pairs", pairs, (WordPairSet, str, Path), "a WordPairSet, its name, or the path of a file"
        )
        read_pairs = pairs if isinstance(pairs, WordPairSet) else WordPairSet.read(pairs)
        return score_word_pairs(
            self.words[:restrict_vocab],
            self.input,
            read_pairs,
            case_insensitive=case_insensitive,
            dummy4unknown=dummy4unknown,
        )

    def evaluate_word_analogies(
        self,
        analogies: AnalogySet | Path | str,
        restrict_vocab: int = 30_000,
        *,
        case_insensitive: bool = True,
        dummy4unknown: bool = False,
        similarity_function: str = "most_similar",
    ) -> AnalogyScores:
        """Return how many analogies are answered rightly, by section, as gensim counts it.

        Parameters
        ----------
        analogies : AnalogySet, Path or str
            The set, or what `AnalogySet.read` makes it of, such as ``"questions-words"``.
        restrict_vocab : int
            Only so many words are known and can be answers, the first ones. word2vec takes 30,000 (gensim, if
            nothing is said, 300,000): compare only scores with the same number.
        case_insensitive, dummy4unknown, similarity_function
            As in `score_analogies`.
        """
        restrict_vocab = require_whole("restrict_vocab", restrict_vocab, at_least=1)
        require_kind(
            "analogies", analogies, (AnalogySet, str, Path), "an AnalogySet, its name, or a file's path"
        )
        read_analogies = analogies if isinstance(analogies, AnalogySet) else AnalogySet.read(analogies)
        return score_analogies(
            self.words[:restrict_vocab],
            self._directions[:restrict_vocab],
            read_analogies,
            case_insensitive=case_insensitive,
            dummy4unknown=dummy4unknown,
            similarity_function=similarity_function,
        )

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


def initialization_from(saved: Embeddings, words: Sequence[str]) -> ContinuedInitialization:
    """Return what makes the parameters of a vocabulary of these words: saved vectors for those that have them.

    The matrices are not copied before parameters are made.
    """
    rows = np.fromiter((saved.ids.get(word, -1) for word in words), np.int64, len(words))
    return ContinuedInitialization(rows, saved.input, saved.output)


def with_other_words(trained: Embeddings, saved: Embeddings) -> Embeddings:
    """Return trained embeddings with the saved words that they lack behind their own, in the order that these had.

    Their vectors are the saved ones: nothing has moved them. Their count is 0, which is how often they occur in the
    text of the training; so words stay in the order of their counts.

    Parameters
    ----------
    trained : Embeddings
        Of the words of a text.
    saved : Embeddings
        What training went on from; vectors of as many dimensions. They take the dtype of `trained`. Where they have
        no output vectors and `trained` has, theirs are zero, which is what they would have started at; where
        `trained` has none, theirs are left out.
    """
    rows = [row for word, row in saved.ids.items() if word not in trained]
    if not rows:
        return trained
    counts, output, dtype = trained.counts, trained.output, trained.input.dtype
    if counts is not None:
        counts = np.concatenate([counts, np.zeros(len(rows), np.int64)])
    if output is not None:
        width = output.shape[1]
        others = np.zeros((len(rows), width), dtype) if saved.output is None else saved.output[rows]
        output = np.concatenate([output, others], dtype=dtype)
    words = [*trained.words, *(saved.words[row] for row in rows)]
    return Embeddings(words, counts, np.concatenate([trained.input, saved.input[rows]], dtype=dtype), output)


def content_digest(embeddings: Embeddings) -> str:
    """Return the SHA-256, hexadecimal, of all that training depends on that goes on from these embeddings.

    That is words and vectors, with their dtype: neither counts, nor the format of the file that they come from.
    """
    digest = hashlib.sha256(json.dumps(embeddings.words).encode())
    for matrix in (embeddings.input, embeddings.output):
        if matrix is None:
            digest.update(b"null")
            continue
        digest.update(json.dumps([matrix.dtype.name, *matrix.shape]).encode())
        little_endian = np.ascontiguousarray(matrix, matrix.dtype.newbyteorder("<"))
        digest.update(little_endian.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()

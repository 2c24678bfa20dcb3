"""Embeddings: words with counts, input and output vectors."""

from __future__ import annotations

import hashlib
import json
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.embeddings.analogies import AnalogyScores, AnalogySet, score_analogies
from w2v_exp.embeddings.association_sets import AssociationTest
from w2v_exp.embeddings.associations import LARGEST_LOSS, Association, associate
from w2v_exp.embeddings.formats import StoredEmbeddings, read, write, write_lines
from w2v_exp.embeddings.opening import LoadOptions
from w2v_exp.embeddings.word2vec_formats import binary_rows, headerless_rows, text_rows
from w2v_exp.embeddings.word_pairs import WordPairScore, WordPairSet, score_word_pairs
from w2v_exp.embeddings.word_queries import WordQueries
from w2v_exp.errors import (
    FormatError,
    SettingError,
    ShortRepr,
    UserError,
    require_choice,
    require_kind,
    require_whole,
)
from w2v_exp.model.parameters import ContinuedInitialization, Parameters
from w2v_exp.text.vocabulary import Vocabulary

VECTORS = ("input", "output", "sum", "balanced")


@dataclass(frozen=True, eq=False, repr=False)
class Embeddings(ShortRepr, WordQueries):
    """Words with input and output vectors.

    Methods that are named as in gensim's ``KeyedVectors`` return the same.

    Parameters
    ----------
    words : list of str
        The distinct word of each row.
    counts : ndarray of int64, shape (V,), or None
        Number of occurrences of each word in the text; None if unknown (word2vec's formats have no counts).
    input : ndarray of float32 or float64, shape (V, dim)
        The vector of each word as a centre; similarities are computed from these.
    output : ndarray of the same dtype, shape (V, dim), or None
        The vector of each word as a context; None if unknown.

    Raises
    ------
    UserError
        If shapes or dtypes do not match, a word is repeated, or a value is NaN or infinite.
    """

    words: list[str]
    counts: NDArray[np.int64] | None
    input: NDArray[Any]
    output: NDArray[Any] | None = None
    ids: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", _number_words(self.words))
        if self.counts is not None:
            _check_counts(self.counts, len(self))
        _check_matrix("input", self.input, self.words, like=self.input)
        if self.output is not None:
            _check_matrix("output", self.output, self.words, like=self.input)

    @classmethod
    def from_training(cls, vocabulary: Vocabulary, parameters: Parameters) -> Embeddings:
        """Return embeddings with a copy of the trained parameters.

        The output matrix must have a row for each word: see `Trainer.word_parameters`. Words without an embedding,
        which are contexts only, are left out.
        """
        require_kind("vocabulary", vocabulary, Vocabulary, "a Vocabulary")
        require_kind("parameters", parameters, Parameters, "Parameters")
        centres, output = parameters.embedding, parameters.output
        if len(centres) < len(output) == len(vocabulary):
            vocabulary, output = vocabulary.first(len(centres)), output[: len(centres)]
        return cls(vocabulary.words, vocabulary.counts, centres.copy(), output.copy())

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
        """Read a file or pipe in the format of `save`, word2vec or GloVe.

        The format is recognised by content, not by name; gzip, bzip2, xz, zstd and zip are decompressed. Word2vec's
        formats (text or binary) and GloVe's text have input vectors only, read as float32. Nothing is unpickled.
        The embeddings of a run in MLflow are loaded by `w2v_exp.load_run`.

        Parameters
        ----------
        path : Path or str
            The file.
        limit, no_header, unicode_errors, duplicates, malformed
            See `LoadOptions`. One `LoadWarning` counts skipped and changed rows.

        Raises
        ------
        UserError
            If the available memory does not suffice for the vectors.
        FormatError
            If the file cannot be read or is malformed.
        """
        require_kind("path", path, (str, Path), "the path of a file")
        if str(path).startswith("runs:/"):
            raise UserError(f"{path}: the embeddings of a run are loaded by w2v_exp.load_run.")
        stored = read(Path(path), LoadOptions(limit, no_header, unicode_errors, duplicates, malformed))
        try:
            return cls(*stored)
        except UserError as error:
            raise FormatError(f"{path}: {error}") from error

    def save(self, path: Path | str, format: str | None = None) -> None:
        """Write a file in the format of its suffix, or another one, the whole file or nothing.

        ``.npz`` keeps everything. ``.txt``, ``.vec`` and ``.bin``, also with ``.gz``, are for other programs: they
        keep words and input vectors, as float32. The same embeddings give the same bytes.

        Parameters
        ----------
        path : Path or str
            The file; a folder for ``projector`` and ``model2vec``.
        format : str, optional
            ``npz``, ``word2vec`` (text), ``word2vec-binary``, ``glove`` (text without a header), ``int8`` (an archive
            with 8-bit numbers), ``projector`` (of TensorBoard) or ``model2vec``, whatever the suffix. All but ``npz``
            have words and input vectors, ``int8`` and ``projector`` also counts.

        Raises
        ------
        UserError
            If there is no such format or suffix, the format cannot represent a word or value, the file cannot be
            written, or the folder contains other files.
        """
        require_kind("path", path, (str, Path), "the path of a file")
        write(Path(path), StoredEmbeddings(self.words, self.counts, self.input, self.output), format)

    def most_frequent(self, words: int) -> Embeddings:
        """Return the embeddings of the most frequent words, by falling count; of the first ones without counts.

        Parameters
        ----------
        words : int
            Number of words; all, if there are fewer.
        """
        words = require_whole("words", words, at_least=1)
        order = np.arange(len(self)) if self.counts is None else np.argsort(-self.counts, kind="stable")
        rows = order[:words]
        return Embeddings(
            [self.words[i] for i in rows.tolist()],
            None if self.counts is None else self.counts[rows],
            self.input[rows],
            None if self.output is None else self.output[rows],
        )

    def save_word2vec_format(
        self,
        fname: Path | str,
        fvocab: Path | str | None = None,
        binary: bool = False,
        write_header: bool = True,
        prefix: str = "",
    ) -> None:
        """Write words and input vectors in word2vec's format, whatever the suffix.

        Words are written by falling count, where counts are known. The file is gzipped if its name ends in ``.gz``.

        Parameters
        ----------
        fname : Path or str
            The file.
        fvocab : Path or str, optional
            Also a file of lines ``word count``.
        binary : bool
            Whether numbers are written as float32 instead of text.
        write_header : bool
            Whether the first line has the numbers of words and dimensions; GloVe's files have no such line. A file
            without it may have to be loaded with ``no_header=True``: see `LoadOptions`.
        prefix : str
            Prepended to each word.

        Raises
        ------
        UserError
            If the format cannot represent a word or value, a file cannot be written, or `fvocab` needs counts.
        """
        require_kind("fname", fname, (str, Path), "the path of a file")
        if fvocab is not None and self.counts is None:
            raise UserError(f"{fvocab}: these embeddings have no counts; only .npz keeps them.")
        order = np.arange(len(self)) if self.counts is None else np.argsort(-self.counts, kind="stable")
        words = [prefix + self.words[i] for i in order.tolist()]
        in_order = bool((np.diff(order) == 1).all())  # then nothing is copied
        if binary and not write_header:
            raise UserError(
                "write_header=False: is not supported with binary=True; no program reads such files."
            )
        rows = binary_rows if binary else text_rows if write_header else headerless_rows
        write_lines(Path(fname), rows(words, self.input if in_order else self.input[order]))
        if fvocab is not None and self.counts is not None:
            counted = zip(words, self.counts[order].tolist(), strict=True)
            write_lines(Path(fvocab), (b"%s %d\n" % (word.encode(), count) for word, count in counted))

    def evaluate_word_pairs(
        self,
        pairs: WordPairSet | Path | str,
        restrict_vocab: int = 300_000,
        *,
        case_insensitive: bool = True,
        dummy4unknown: bool = False,
    ) -> WordPairScore:
        """Correlate cosines with human scores of word pairs, as gensim does.

        Parameters
        ----------
        pairs : WordPairSet, Path or str
            The set, or a source for `WordPairSet.read`, such as ``"wordsim353"``.
        restrict_vocab : int
            Use only the first `restrict_vocab` words.
        case_insensitive, dummy4unknown : bool
            As in `score_word_pairs`.
        """
        restrict_vocab = require_whole("restrict_vocab", restrict_vocab, at_least=1)
        require_kind(
            "pairs", pairs, (WordPairSet, str, Path), "a WordPairSet, its name, or the path of a file"
        )
        return score_word_pairs(
            self.words[:restrict_vocab],
            self.input,
            pairs if isinstance(pairs, WordPairSet) else WordPairSet.read(pairs),
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
        """Count correct answers to analogies by section, as gensim does.

        Parameters
        ----------
        analogies : AnalogySet, Path or str
            The set, or a source for `AnalogySet.read`, such as ``"questions-words"``.
        restrict_vocab : int
            Use only the first `restrict_vocab` words, also as answers. word2vec's default is 30,000, gensim's
            300,000; scores with different values are not comparable.
        case_insensitive, dummy4unknown, similarity_function
            As in `score_analogies`.
        """
        restrict_vocab = require_whole("restrict_vocab", restrict_vocab, at_least=1)
        require_kind(
            "analogies", analogies, (AnalogySet, str, Path), "an AnalogySet, its name, or a file's path"
        )
        return score_analogies(
            self.words[:restrict_vocab],
            self._directions[:restrict_vocab],
            analogies if isinstance(analogies, AnalogySet) else AnalogySet.read(analogies),
            case_insensitive=case_insensitive,
            dummy4unknown=dummy4unknown,
            similarity_function=similarity_function,
        )

    def association(
        self, test: AssociationTest | Path | str, *, largest_loss: float = LARGEST_LOSS, seed: int = 0
    ) -> Association:
        """Return the effect of a test on sets of words, with its p-value and interval.

        Parameters
        ----------
        test : AssociationTest, Path or str
            The test, the name of a published one, such as ``"weat7"``, or a file with one test.
        largest_loss, seed
            As in `associate`.
        """
        require_kind("test", test, (AssociationTest, str, Path), "an AssociationTest, its name, or a file")
        tests = [test] if isinstance(test, AssociationTest) else AssociationTest.read(test)
        if len(tests) > 1:
            names = ", ".join(each.name for each in tests)
            raise SettingError("test", test, f"has several tests ({names}). Use AssociationTest.read.")
        return associate(self.words, self.input, tests[0], largest_loss=largest_loss, seed=seed)

    def using(self, vectors: str) -> Embeddings:
        """Return embeddings with other vectors as their ``input``.

        Parameters
        ----------
        vectors : str
            ``input`` (these embeddings themselves), ``output``, ``sum`` of both, or ``balanced``
            (`balanced_vectors`).

        Raises
        ------
        UserError
            If it is none of these, or there are no output vectors.
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


def _number_words(words: list[str]) -> dict[str, int]:
    """Return the id of each word, or raise `UserError` for an invalid word."""
    if not isinstance(words, (list, tuple)):
        raise UserError(f"words must be a list of strings, not {type(words).__name__}.")
    if not words:
        raise UserError("words must not be empty.")
    ids: dict[str, int] = {}
    for number, word in enumerate(words):
        problem = ""
        if not isinstance(word, str):
            problem = "is not a string"
        elif not _is_unicode(word):
            problem = "has half of a surrogate pair, which UTF-8 cannot encode"
        elif ids.setdefault(word, number) != number:
            problem = f"is word number {ids[word] + 1} as well"
        if problem:
            raise UserError(f"word number {number + 1}, {reprlib.repr(word)}, {problem}.")
    return ids


def _is_unicode(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_counts(counts: NDArray[np.int64], words: int) -> None:
    """Raise `UserError` unless there is an int64 of at least 0 for each word."""
    if not isinstance(counts, np.ndarray):
        raise UserError(f"counts must be an array of int64, or None, not {type(counts).__name__}.")
    if counts.shape != (words,) or counts.dtype != np.int64 or counts.min() < 0:
        raise UserError(
            f"counts must be int64 of shape ({words},), none below 0; they are {counts.dtype} of shape {counts.shape}."
        )


def _check_matrix(name: str, matrix: NDArray[Any], words: list[str], *, like: NDArray[Any]) -> None:
    """Raise `UserError` unless each word has a finite vector like `like`'s."""
    if not isinstance(matrix, np.ndarray):
        raise UserError(f"{name} must be an array of float32 or float64, not {type(matrix).__name__}.")
    if matrix.dtype not in (np.float32, np.float64) or matrix.dtype != like.dtype:
        raise UserError(f"{name} must be float32 or float64, input and output alike; it is {matrix.dtype}.")
    if matrix.ndim != 2 or matrix.shape != (len(words), like.shape[1]) or not matrix.size:
        raise UserError(
            f"{name} must have a row for each of the {len(words)} words and at least one column, input and output "
            f"alike; its shape is {matrix.shape}."
        )
    if not np.isfinite([matrix.min(), matrix.max()]).all():  # both are NaN if any value is
        row = int(np.flatnonzero(~np.isfinite(matrix).all(axis=1))[0])
        raise UserError(
            f"{name}: the vector of word number {row + 1}, {reprlib.repr(words[row])}, has a value that is NaN or "
            "infinite."
        )


def balanced_vectors(embedding: NDArray[Any], output: NDArray[Any]) -> NDArray[Any]:
    """Return (U + V)·√S for the singular value decomposition U·S·Vᵀ of E·Wᵀ.

    Scores depend on the product of the matrices alone: (E·A)·(W·A⁻ᵀ)ᵀ is the same for every invertible A, and training
    finds one of these pairs depending on initialization and optimizer. The symmetric factors U·√S and V·√S do not
    depend on it (Levy, Goldberg & Dagan 2015 find them good for PPMI); like that of input and output vectors, their
    sum is better than either. The V × V product is never computed: time is O(V·dim²).

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


def initialization_from(saved: Embeddings, words: Sequence[str]) -> ContinuedInitialization:
    """Return an initialization by saved vectors for the words that have them.

    The matrices are copied only when parameters are made.
    """
    rows = np.fromiter((saved.ids.get(word, -1) for word in words), np.int64, len(words))
    return ContinuedInitialization(rows, saved.input, saved.output)


def merge_missing_words(trained: Embeddings, saved: Embeddings) -> Embeddings:
    """Append the saved words that trained embeddings lack, in their order.

    They keep their saved vectors, and their count is 0: they do not occur in the text of the training, and words stay
    ordered by count.

    Parameters
    ----------
    trained : Embeddings
        Embeddings of the words of a text.
    saved : Embeddings
        Initial embeddings of the training, of the same dimension; converted to the dtype of `trained`. If only
        `trained` has output vectors, those of the appended words are zero, as at initialization; if only `saved` has,
        they are dropped.
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
    """Return the hexadecimal SHA-256 of words and vectors, with their dtype.

    Training that is initialized with embeddings depends on these alone, not on counts or the format of the file.
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

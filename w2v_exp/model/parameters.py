"""The two parameter matrices, and their initializations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.errors import (
    SettingError,
    ShortRepr,
    check_number,
    require_array,
    require_floating,
    require_kind,
    require_whole,
    short,
)


@dataclass(frozen=True, repr=False)
class Parameters(ShortRepr):
    """The parameters of a model.

    Parameters
    ----------
    embedding : ndarray, shape (V, dim)
        The vector of each word as a centre.
    output : ndarray, shape (C, dim)
        The weights of the dense layer: the vector of each word as a context. C is V, or more where only the V most
        frequent words are centres.
    offset : ndarray, shape (C,), optional
        A number for each context word that is added to its score with every centre.
    """

    embedding: NDArray[Any]
    output: NDArray[Any]
    offset: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        for key in ("embedding", "output"):
            require_array(
                key, getattr(self, key), "f", 2, "a matrix of floating-point numbers, a row for each word"
            )
        if self.embedding.shape[1] != self.output.shape[1]:
            raise SettingError(
                "output",
                short(self.output),
                f"must have as many columns as embedding: {self.embedding.shape[1]}.",
            )

    @staticmethod
    def memory(centre_words: int, vocabulary_size: int, dim: int, dtype: DTypeLike) -> int:
        """Return the bytes of both matrices."""
        return (centre_words + vocabulary_size) * dim * np.dtype(dtype).itemsize

    def of_centres(self, number: int) -> Parameters:
        """Return parameters with the first rows of the embedding, in memory of their own."""
        if number >= len(self.embedding):
            return self
        return replace(self, embedding=self.embedding[:number].copy())

    @staticmethod
    def drawing_memory(vocabulary_size: int, dim: int) -> int:
        """Return the temporary bytes while they are drawn: one of them in float64."""
        return 8 * vocabulary_size * dim


def drawn_shape(vocabulary_size: Any, dim: Any, generator: Any, dtype: Any) -> tuple[int, int]:
    """Return the shape of matrices to draw, or raise `SettingError`."""
    require_kind(
        "generator", generator, np.random.Generator, "a generator, such as numpy.random.default_rng(0)"
    )
    require_floating("dtype", dtype)
    return (
        require_whole("vocabulary_size", vocabulary_size, at_least=0),
        require_whole("dim", dim, at_least=1),
    )


class Initialization(Protocol):
    """Builds initial parameters; a choice of the group ``initialization``."""

    needs_counts: ClassVar[bool] = False
    """Whether its `factorise` is called instead, with the text's pair counts."""

    of_words: ClassVar[bool] = False
    """Whether its output vectors are of words with every objective."""

    def __call__(
        self, vocabulary_size: int, dim: int, generator: np.random.Generator, dtype: DTypeLike = np.float64
    ) -> Parameters:
        """Return new parameters, the same for the same generator state.

        Equal up to rounding to `dtype`.
        """


@dataclass(frozen=True)
class ArticleInitialization(Initialization):
    """Both matrices from N(0, 1)·scale (the article: 0.01)."""

    scale: float = 0.01

    def __post_init__(self) -> None:
        check_number(self, "scale", above=0)

    def __call__(
        self, vocabulary_size: int, dim: int, generator: np.random.Generator, dtype: DTypeLike = np.float64
    ) -> Parameters:
        """Return new parameters: the embedding is drawn first."""
        vocabulary_size, dim = drawn_shape(vocabulary_size, dim, generator, dtype)
        embedding, output = (
            (generator.standard_normal((vocabulary_size, dim)) * self.scale).astype(dtype) for _ in range(2)
        )
        return Parameters(embedding, output)


@dataclass(frozen=True)
class Word2VecInitialization(Initialization):
    """Embedding from U(−½, ½)·width/dim, output weights zero.

    Source: word2vec.c, InitNet.

    Parameters
    ----------
    width : float
        word2vec's is 1, gensim's 2 since its version 4. All-zero output weights are a saddle, which larger vectors
        leave sooner; on short texts it shows.
    """

    width: float = 1.0

    def __post_init__(self) -> None:
        check_number(self, "width", above=0)

    def __call__(
        self, vocabulary_size: int, dim: int, generator: np.random.Generator, dtype: DTypeLike = np.float64
    ) -> Parameters:
        """Return new parameters."""
        vocabulary_size, dim = drawn_shape(vocabulary_size, dim, generator, dtype)
        embedding = (generator.random((vocabulary_size, dim)) - 0.5) / dim
        embedding *= self.width
        return Parameters(embedding.astype(dtype), np.zeros((vocabulary_size, dim), dtype))


@dataclass(frozen=True)
class GivenInitialization(Initialization):
    """Existing parameters, copied, so that training does not change them."""

    parameters: Parameters

    def __call__(
        self, vocabulary_size: int, dim: int, generator: np.random.Generator, dtype: DTypeLike = np.float64
    ) -> Parameters:
        """Return a copy; nothing is drawn.

        Raises
        ------
        ValueError
            If they have another shape.
        """
        embedding, output = self.parameters.embedding, self.parameters.output
        if output.shape != (vocabulary_size, dim):
            raise ValueError(f"Initial parameters have shape {output.shape}, not {(vocabulary_size, dim)}.")
        return Parameters(embedding.astype(dtype), output.astype(dtype))


@dataclass(frozen=True, repr=False)
class ContinuedInitialization(ShortRepr, Initialization):
    """Saved vectors for saved words, word2vec's draw for new ones.

    gensim adds words to a model in the same way (``build_vocab(update=True)``).

    Parameters
    ----------
    rows : ndarray of int64, shape (V,)
        The row of each word of the vocabulary in the saved matrices; −1 for a new word.
    embedding : ndarray, shape (k, dim)
        The saved vectors of words as centres.
    output : ndarray, shape (k, dim), or None
        As contexts. None: they have not been saved, and all output weights start at zero.
    """

    rows: NDArray[np.int64]
    embedding: NDArray[Any]
    output: NDArray[Any] | None = None

    def __call__(
        self, vocabulary_size: int, dim: int, generator: np.random.Generator, dtype: DTypeLike = np.float64
    ) -> Parameters:
        """Return new parameters for the first words of the vocabulary.

        Vectors are drawn for all of them, so that the later draws of training do not depend on the saved words.

        Raises
        ------
        ValueError
            If the saved vectors have another number of dimensions.
        """
        if self.embedding.shape[1] != dim:
            raise ValueError(f"The saved vectors have {self.embedding.shape[1]} dimensions, not {dim}.")
        parameters = Word2VecInitialization()(vocabulary_size, dim, generator, dtype)
        rows = self.rows[:vocabulary_size]
        known = np.flatnonzero(rows >= 0)
        parameters.embedding[known] = self.embedding[rows[known]]
        if self.output is not None:
            parameters.output[known] = self.output[rows[known]]
        return parameters


INITIALIZATIONS = {"article": ArticleInitialization, "word2vec": Word2VecInitialization}

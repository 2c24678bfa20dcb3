"""The two parameter matrices, their initializations, and the architectures skip-gram and CBOW."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.errors import (
    SettingError,
    ShortRepr,
    check_number,
    require_array,
    require_choice,
    require_floating,
    require_kind,
    require_whole,
    short,
)


@dataclass(frozen=True, repr=False)
class Parameters(ShortRepr):
    """What is trained.

    Parameters
    ----------
    embedding : ndarray, shape (V, dim)
        The vector of each word as a centre.
    output : ndarray, shape (V, dim)
        The weights of the dense layer: the vector of each word as a context.
    offset : ndarray, shape (V,), optional
        A number for each context word that is added to its score, whatever the centre.
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
    def memory(vocabulary_size: int, dim: int, dtype: DTypeLike) -> int:
        """Return how many bytes the two matrices take."""
        return 2 * vocabulary_size * dim * np.dtype(dtype).itemsize

    @staticmethod
    def drawing_memory(vocabulary_size: int, dim: int) -> int:
        """Return how many bytes come and go while they are drawn: one of them in float64."""
        return 8 * vocabulary_size * dim


def drawn_shape(vocabulary_size: Any, dim: Any, generator: Any, dtype: Any) -> tuple[int, int]:
    """Return the shape of matrices that are to be drawn, or raise `SettingError` for what cannot be used."""
    require_kind(
        "generator", generator, np.random.Generator, "a generator, such as numpy.random.default_rng(0)"
    )
    require_floating("dtype", dtype)
    return (
        require_whole("vocabulary_size", vocabulary_size, at_least=0),
        require_whole("dim", dim, at_least=1),
    )


class Initialization(Protocol):
    """Makes parameters to start from."""

    def __call__(
        self, vocabulary_size: int, dim: int, generator: np.random.Generator, dtype: DTypeLike = np.float64
    ) -> Parameters:
        """Return new parameters; the same for the same state of the generator, up to rounding to `dtype`."""


@dataclass(frozen=True)
class ArticleInitialization:
    """Both matrices from N(0, 1)·scale (the article: 0.01)."""

    scale: float = 0.01

    def __post_init__(self) -> None:
        check_number(self, "scale", above=0)

    def __call__(
        self, vocabulary_size: int, dim: int, generator: np.random.Generator, dtype: DTypeLike = np.float64
    ) -> Parameters:
        """Return new parameters: first the embedding is drawn, then the output weights."""
        vocabulary_size, dim = drawn_shape(vocabulary_size, dim, generator, dtype)
        embedding, output = (
            (generator.standard_normal((vocabulary_size, dim)) * self.scale).astype(dtype) for _ in range(2)
        )
        return Parameters(embedding, output)


@dataclass(frozen=True)
class Word2VecInitialization:
    """Embedding from U(−½, ½)·width/dim, output weights zero (word2vec.c, InitNet).

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
class GivenInitialization:
    """Parameters that there are, copied, so that training does not change them."""

    parameters: Parameters

    def __call__(
        self, vocabulary_size: int, dim: int, generator: np.random.Generator, dtype: DTypeLike = np.float64
    ) -> Parameters:
        """Return a copy; nothing is drawn.

        Raises
        ------
        ValueError
            If they are of another shape than is asked for.
        """
        embedding, output = self.parameters.embedding, self.parameters.output
        if embedding.shape != (vocabulary_size, dim):
            raise ValueError(
                f"Parameters of shape {embedding.shape} are no start for {(vocabulary_size, dim)}."
            )
        return Parameters(embedding.astype(dtype), output.astype(dtype))


@dataclass(frozen=True, repr=False)
class ContinuedInitialization(ShortRepr):
    """Saved vectors for the words that have them, word2vec's draw for new words.

    gensim adds words to a model that it trains on in the same way (``build_vocab(update=True)``).

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
        """Return new parameters, for the first so many words of the vocabulary.

        Vectors are drawn for all of them: what training draws next does not depend on what has been saved.

        Raises
        ------
        ValueError
            If the saved vectors have another number of dimensions.
        """
        if self.embedding.shape[1] != dim:
            raise ValueError(f"Vectors of {self.embedding.shape[1]} dimensions are no start for {dim}.")
        parameters = Word2VecInitialization()(vocabulary_size, dim, generator, dtype)
        rows = self.rows[:vocabulary_size]
        known = np.flatnonzero(rows >= 0)
        parameters.embedding[known] = self.embedding[rows[known]]
        if self.output is not None:
            parameters.output[known] = self.output[rows[known]]
        return parameters


@dataclass(frozen=True)
class ConvertedInitialization:
    """What another initialization makes, converted: output vectors of words to those of something else.

    Parameters
    ----------
    initialization : Initialization
        Makes parameters whose output vectors are of words.
    convert : callable
        Returns other parameters for these.
    """

    initialization: Initialization
    convert: Callable[[Parameters], Parameters]

    def __call__(
        self, vocabulary_size: int, dim: int, generator: np.random.Generator, dtype: DTypeLike = np.float64
    ) -> Parameters:
        """Return new parameters."""
        return self.convert(self.initialization(vocabulary_size, dim, generator, dtype))


INITIALIZATIONS = {"article": ArticleInitialization, "word2vec": Word2VecInitialization}


CONTEXTS = ("mean", "sum")


@dataclass(frozen=True)
class SkipGram:
    """A centre is to predict each of the words around it (Mikolov et al. 2013a, section 3.2)."""


@dataclass(frozen=True)
class Cbow:
    """The words around a centre, together, are to predict it (Mikolov et al. 2013a, section 3.1).

    Parameters
    ----------
    context : {"mean", "sum"}
        What of their embeddings the hidden vector is. Gradients are exact for both. (word2vec and gensim leave out the
        division by the number of words in the gradient of the mean; İrsoy et al. 2021.)
    """

    context: str = "mean"

    def __post_init__(self) -> None:
        require_choice("context", self.context, CONTEXTS)


MODELS = {"skipgram": SkipGram, "cbow": Cbow}

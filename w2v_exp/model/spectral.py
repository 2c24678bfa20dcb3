"""Word vectors without training: PMI of the pair counts, factorised."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray
from threadpoolctl import threadpool_limits

from w2v_exp.errors import CorpusError, check_number
from w2v_exp.examples.counts import PairCounts
from w2v_exp.model.parameters import Parameters

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Words a dimension up to which the matrix is dense, in O(V·dim) numbers like the factors.
DENSE_WORDS = 3


@dataclass(frozen=True)
class SpectralInitialization:
    """Truncated SVD U·Σ·Vᵀ of positive PMI: a baseline, or a start.

    The embedding is U·Σ^p, the output weights are V·Σ^(1 − p), so that their product is the best approximation of
    the PMI matrix M of that rank, for every p. It is a start for the softmax because the least cost is at
    scores log p(context | centre) = log p(context) + PMI, of which ``objective.output_offset=unigram`` has the first
    term. Without an offset training has word frequencies still to learn.

    Parameters
    ----------
    shift : float
        k of log k, which is subtracted from PMI before negative values become 0 (Levy & Goldberg 2014, section 4.1,
        "shifted PPMI"; the number of negative samples in their account of word2vec). 1: nothing is subtracted.
    context_exponent : float
        Contexts are distributed as their counts raised to this power; below 1 rare contexts lose (Levy, Goldberg &
        Dagan 2015, section 3.2, "context distribution smoothing"). 1: as they are.
    eigenvalue_exponent : float
        p, from 0 to 1 (the same, section 3.3, "eigenvalue weighting"). 1 is the plain decomposition, 0.5 shares out
        the singular values evenly (Levy & Goldberg 2014, section 4.2, "symmetric SVD").
    """

    shift: float = 1.0
    context_exponent: float = 0.75
    eigenvalue_exponent: float = 0.5

    needs_counts: ClassVar[bool] = True
    of_words: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_number(self, "shift", at_least=1)
        check_number(self, "context_exponent", at_least=0, at_most=1)
        check_number(self, "eigenvalue_exponent", at_least=0, at_most=1)

    def factorise(
        self, counts: PairCounts, dim: int, generator: np.random.Generator, dtype: DTypeLike = np.float64
    ) -> Parameters:
        """Return the factors as parameters, the same for the same generator.

        Columns beyond the rank of the matrix, which is at most V, are zero in both matrices.

        Parameters
        ----------
        counts : PairCounts
            Of the text's pairs.
        dim : int
            Columns of both matrices.
        generator : numpy.random.Generator
            Draws the vector that the iteration starts from.
        dtype : dtype
            float32 or float64, for the parameters and for the computation.

        Raises
        ------
        CorpusError
            If no pair is more frequent than by chance, so that nothing is left to factorise.
        """
        matrix = positive_pmi(counts, self.shift, self.context_exponent, dtype)
        if not matrix.nnz:
            raise CorpusError(
                f"initialization=spectral, shift={self.shift:g}: no pair of this text is that much more frequent than "
                "by chance. Use a smaller initialization.shift or a longer text."
            )
        left, values, right = truncated_svd(matrix, dim, generator)
        embedding, output = (np.zeros((words, dim), dtype) for words in (counts.rows, counts.vocabulary_size))
        embedding[:, : len(values)] = left * values**self.eigenvalue_exponent
        output[:, : len(values)] = right * values ** (1 - self.eigenvalue_exponent)
        return Parameters(embedding, output)

    @staticmethod
    def memory(distinct: int, vocabulary_size: int, dim: int, dtype: DTypeLike) -> int:
        """Return the peak bytes of factorising `distinct` distinct pairs."""
        size, words = np.dtype(dtype).itemsize, vocabulary_size
        matrix = (4 + size) * distinct  # all pairs may be more frequent than by chance
        # The matrix as a dense one, a copy and its vectors; or the iteration's vectors, and those that it ends with.
        iteration = 4 * words * words if words <= DENSE_WORDS * dim else 6 * words * dim
        return max((8 + 2 * size) * distinct, matrix + size * iteration)


def positive_pmi(
    counts: PairCounts, shift: float = 1.0, context_exponent: float = 1.0, dtype: DTypeLike = np.float64
) -> csr_array:
    """Return max(0, PMI − log shift), a sparse (V, C) matrix.

    Rows are centres, columns contexts.

    PMI(w, c) = log p(w, c) − log p(w) − log q(c), where q is the distribution of contexts raised to
    `context_exponent` (Levy, Goldberg & Dagan 2015, sections 2.2 and 3.2). Pairs that do not occur are 0.
    Memory: about 20 bytes a distinct pair.
    """
    from scipy.sparse import csr_array

    contexts = counts.by_context()
    smoothed = np.where(contexts > 0, contexts**context_exponent, 0)
    with np.errstate(divide="ignore", invalid="ignore"):  # words without pairs have no entry
        log_centres = np.log(counts.by_centre())
        log_contexts = np.log(smoothed / smoothed.sum())
    information = counts.counts.astype(dtype)
    np.log(information, out=information)
    information -= np.repeat(log_centres.astype(dtype), np.diff(counts.starts))
    information -= (log_contexts + math.log(shift)).astype(dtype)[counts.contexts]
    positive = information > 0
    starts = np.concatenate([[0], np.cumsum(positive)])[counts.starts]
    # Indices of 32 bits, as long as they suffice: half the memory, and products are faster.
    index = np.int32 if starts[-1] <= np.iinfo(np.int32).max else np.int64
    parts = information[positive], counts.contexts[positive].astype(index, copy=False), starts.astype(index)
    return csr_array(parts, shape=(counts.rows, counts.vocabulary_size))


def truncated_svd(
    matrix: csr_array, rank: int, generator: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the `rank` largest singular values, with their vectors.

    By the eigenvectors of Mᵀ·M, from ARPACK's restarted Lanczos iteration: exact to rounding, where randomised
    methods with few passes lose quality. (On sotu, WordSim-353 .46 instead of .49.)

    Returns
    -------
    left, values, right : ndarray, shapes (V, r), (r,) and (C, r)
        The largest value first; r < `rank` where the matrix has no more values above rounding. In each column of
        `left` the entry of largest magnitude is positive, since signs are otherwise arbitrary.
    """
    # SciPy loads a BLAS of its own, which can be limited only afterwards.
    import scipy.sparse.linalg  # noqa: F401

    # One thread: the iteration is made of small products, which more threads slow down and round differently.
    with threadpool_limits(limits=1, user_api="blas"):
        if matrix.shape[0] <= DENSE_WORDS * rank:
            left, values, transposed = np.linalg.svd(matrix.toarray(), full_matrices=False)
            right = transposed.T
        else:
            left, values, right = _lanczos_svd(matrix, rank, generator)
    noise = values[0] * len(left) * np.finfo(values.dtype).eps
    kept = slice(min(rank, int((values > noise).sum())))
    left, values, right = left[:, kept], values[kept], right[:, kept]
    signs = np.where(left[np.abs(left).argmax(axis=0), np.arange(len(values))] < 0, -1, 1).astype(left.dtype)
    return left * signs, values, right * signs


def _lanczos_svd(
    matrix: csr_array, rank: int, generator: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return a truncated SVD, like `scipy.sparse.linalg.svds`.

    That has no generator for its restarts.
    """
    from scipy.sparse.linalg import LinearOperator, eigsh

    words = matrix.shape[1]
    squared = LinearOperator(
        (words, words), matvec=lambda vector: matrix.T @ (matrix @ vector), dtype=matrix.dtype
    )
    start = generator.standard_normal(words).astype(matrix.dtype)
    _, vectors = eigsh(squared, rank, v0=start, rng=generator)
    vectors, _ = np.linalg.qr(vectors)  # orthogonal to rounding also where values are equal
    left, values, rotation = np.linalg.svd(matrix @ vectors, full_matrices=False)
    return left, values, vectors @ rotation.T

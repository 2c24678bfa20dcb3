"""Word vectors without training: PMI of the pair counts, factorised."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray
from threadpoolctl import threadpool_limits

from w2v_exp.errors import CorpusError, check_number
from w2v_exp.examples.counts import SUMMED_AT_ONCE, PairCounts
from w2v_exp.model.parameters import Parameters

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Words a dimension up to which the matrix is dense, in O(V·dim) numbers like the factors.
DENSE_WORDS = 3
BLOCK = 16  # vectors multiplied together: each takes a third of the time of a product with one alone
ROUNDING = 64  # of the largest eigenvalue, in units of the last place
RESTARTS = 200  # at most; 20 MB of Wikipedia need 5
SPAN_BYTES = 22  # of a count, while its PMI is computed


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
        # The matrix as a dense one, a copy and its vectors; or the iteration's basis while it is replaced, and the
        # vectors and factors afterwards.
        iteration = (
            4 * words * words if words <= DENSE_WORDS * dim else max(3 * (dim + BLOCK), 5 * dim) * words
        )
        return matrix + max(SPAN_BYTES * min(distinct, SUMMED_AT_ONCE), size * iteration)


def positive_pmi(
    counts: PairCounts, shift: float = 1.0, context_exponent: float = 1.0, dtype: DTypeLike = np.float64
) -> csr_array:
    """Return max(0, PMI − log shift), a sparse (V, C) matrix.

    Rows are centres, columns contexts.

    PMI(w, c) = log p(w, c) − log p(w) − log q(c), where q is the distribution of contexts raised to
    `context_exponent` (Levy, Goldberg & Dagan 2015, sections 2.2 and 3.2). Pairs that do not occur are 0.
    Memory: at most 8 bytes a distinct pair in single precision, 12 in double.
    """
    from scipy.sparse import csr_array, get_index_dtype

    contexts = counts.by_context()
    smoothed = np.where(contexts > 0, contexts**context_exponent, 0)
    with np.errstate(divide="ignore", invalid="ignore"):  # words without pairs have no entry
        log_centres = np.log(counts.by_centre())
        log_contexts = np.log(smoothed / smoothed.sum())
    lengths, filled = np.zeros(counts.rows + 1, np.int64), 0
    information, words = np.empty(len(counts.counts), dtype), np.empty(len(counts.counts), np.int32)
    for rows, some in counts.row_spans():
        starts = counts.starts[rows.start : rows.stop + 1]
        values = np.log(counts.counts[some].astype(dtype))
        values -= np.repeat(log_centres[rows].astype(dtype), np.diff(starts))
        values -= (log_contexts + math.log(shift)).astype(dtype)[counts.contexts[some]]
        positive = values > 0
        ends = np.concatenate([[0], np.cumsum(positive)])[starts - some.start]
        lengths[rows.start + 1 : rows.stop + 1] = np.diff(ends)
        kept = slice(filled, filled + int(ends[-1]))
        information[kept], words[kept] = values[positive], counts.contexts[some][positive]
        filled = kept.stop
    # Indices of 32 bits, as long as they suffice: half the memory, and products are faster.
    index = get_index_dtype(maxval=filled)
    parts = information[:filled], words[:filled].astype(index, copy=False), np.cumsum(lengths).astype(index)
    return csr_array(parts, shape=(counts.rows, counts.vocabulary_size))


def truncated_svd(
    matrix: csr_array, rank: int, generator: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the `rank` largest singular values, with their vectors.

    By the eigenvectors of Mᵀ·M, from a block Lanczos iteration with thick restarts (Wu & Simon 2000): exact to
    rounding, where randomised methods with few passes lose quality. (On sotu, WordSim-353 .46 instead of .49.)

    Returns
    -------
    left, values, right : ndarray, shapes (V, r), (r,) and (C, r)
        The largest value first; r < `rank` where the matrix has no more values above rounding. In each column of
        `left` the entry of largest magnitude is positive, since signs are otherwise arbitrary.
    """
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
    """Return a truncated SVD, without values that are rounding errors in Mᵀ·M."""
    vectors = _right_vectors(matrix, rank, generator)
    images = matrix @ vectors
    squares, rotation = np.linalg.eigh(images.T @ images)
    kept = np.flatnonzero(squares > ROUNDING * np.finfo(matrix.dtype).eps * squares[-1])[::-1]
    values, rotation = np.sqrt(squares[kept]), rotation[:, kept]
    return images @ (rotation / values), values, vectors @ rotation


def _right_vectors(matrix: csr_array, rank: int, generator: np.random.Generator) -> NDArray[Any]:
    """Return the space of the first right singular vectors, by a block Lanczos iteration for Mᵀ·M.

    The basis is orthogonalised in full. When it has grown to twice the rank, it is replaced by the best vectors in it
    (a thick restart), until their residuals are rounding errors of the largest eigenvalue.
    """
    words, dtype = matrix.shape[1], matrix.dtype
    width = min(BLOCK, (words - rank) // 3)
    best, most = rank + width, min(words - width, 2 * (rank + width))
    basis, projected = np.empty((words, most), dtype, order="F"), np.zeros((most, most))
    block, _ = np.linalg.qr(generator.standard_normal((words, width)).astype(dtype))
    size = 0
    for _ in range(RESTARTS):
        while size + width <= most:
            known, size = size, size + width
            basis[:, known:size] = block
            product = matrix.T @ (matrix @ block)
            coefficients = basis[:, :size].T @ product
            projected[:size, known:size], projected[known:size, :size] = coefficients, coefficients.T
            product -= basis[:, :size] @ coefficients
            block, first = np.linalg.qr(product)
            lost = np.abs(first.diagonal()) <= np.finfo(dtype).eps * np.abs(coefficients).max()
            block[:, lost] = generator.standard_normal((words, np.count_nonzero(lost)))
            # Once more, after they were scaled: what is left of a product in the basis is rounding errors of it.
            block -= basis[:, :size] @ (basis[:, :size].T @ block)
            block, second = np.linalg.qr(block)
        values, rotation = (part[..., ::-1] for part in np.linalg.eigh(projected[:size, :size]))
        basis[:, :best] = basis[:, :size] @ rotation[:, :best].astype(dtype)
        residuals = np.linalg.norm(second @ first @ rotation[-width:, :rank], axis=0)
        if residuals.max() <= ROUNDING * np.finfo(dtype).eps * values[0]:
            break
        size = best
        projected[:] = 0
        projected[:best, :best] = np.diag(values[:best])
    return np.ascontiguousarray(basis[:, :rank])

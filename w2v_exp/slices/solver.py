"""Input vectors for given pairs and frozen output weights: a convex problem for each word, solved by Newton's method.

With frozen output weights O and offsets b, the mean negative log-likelihood of a word's pairs is

    log Z(e) − e·t,    Z(e) = Σ_c exp(e·o_c + b_c),    t = Σ_c n_c o_c / Σ_c n_c,

up to a constant, so the pairs enter only by their target t, the mean output vector of their contexts. Its gradient is
m(e) − t, where m(e) is the mean output vector under the model, and its Hessian is the covariance of the output vectors
under the model. A small ridge makes it strictly convex, so its minimum is unique.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import CorpusError

SCORES_AT_ONCE = 1 << 21  # 16 MB of float64
CONTEXTS_AT_ONCE = 1 << 11  # of products of output vectors
MEMORY = 6  # pairs of steps and gradients that approximate a change of the Hessian
SUFFICIENT = 1e-4  # of the predicted decrease (Nocedal & Wright 2006, equation 3.4)
SMALLEST_STEP = 2.0**-40
ROUNDING = 1e-13  # of costs
SHORTEST = 1e-3  # length below which the tolerance of a vector no longer falls
MOST_ITERATIONS = 300


class Expectation(NamedTuple):
    """Log normalizer and mean output vector under the model, for each of k input vectors.

    Parameters
    ----------
    log_normalizer : ndarray of float64, shape (k,)
        log Z.
    mean : ndarray of float64, shape (k, dim)
        Σ_c p_c o_c.
    """

    log_normalizer: NDArray[np.float64]
    mean: NDArray[np.float64]


class FrozenSoftmax:
    """The softmax of frozen output weights.

    Parameters
    ----------
    output : ndarray, shape (V, dim)
        A vector of each context.
    offset : ndarray, shape (V,), optional
        Added to the scores.
    """

    def __init__(self, output: NDArray[Any], offset: NDArray[Any] | None = None) -> None:
        self.output = np.ascontiguousarray(output, np.float64)
        self.offset = np.zeros(len(output)) if offset is None else offset.astype(np.float64)

    @property
    def dim(self) -> int:
        """Number of dimensions."""
        return int(self.output.shape[1])

    def expect(self, vectors: NDArray[np.float64]) -> Expectation:
        """Return log normalizers and mean output vectors for input vectors, shape (k, dim)."""
        log_normalizer, mean = np.empty(len(vectors)), np.empty_like(vectors)
        at_once = max(1, SCORES_AT_ONCE // len(self.output))
        for start in range(0, len(vectors), at_once):
            rows = slice(start, start + at_once)
            exponentials, largest = self._exponentials(vectors[rows])
            sums = exponentials.sum(axis=1)
            log_normalizer[rows] = np.log(sums) + largest
            np.matmul(exponentials, self.output, out=mean[rows])
            mean[rows] /= sums[:, None]
        return Expectation(log_normalizer, mean)

    def covariances(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the covariance of output vectors under the model, shape (k, dim, dim).

        Products of the dimensions of each context are made once for all input vectors, in float32: the covariance has
        a relative error of 1e-6, which is enough for the metric of a solver and of a test.
        """
        exponentials, _ = self._exponentials(vectors)
        exponentials /= exponentials.sum(axis=1, keepdims=True)
        mean = exponentials @ self.output
        shares = exponentials.astype(np.float32)
        upper = np.triu_indices(self.dim)
        packed = np.zeros((len(vectors), len(upper[0])), np.float32)
        products = np.empty((min(CONTEXTS_AT_ONCE, len(self.output)), len(upper[0])), np.float32)
        centre = mean.mean(axis=0)  # products of centred vectors cancel less
        for start in range(0, len(self.output), CONTEXTS_AT_ONCE):
            part = slice(start, start + CONTEXTS_AT_ONCE)
            rows = (self.output[part] - centre).astype(np.float32)
            done = 0
            for column in range(self.dim):
                others = self.dim - column
                np.multiply(
                    rows[:, column:], rows[:, column, None], out=products[: len(rows), done : done + others]
                )
                done += others
            packed += shares[:, part] @ products[: len(rows)]
        covariances = np.empty((len(vectors), self.dim, self.dim))
        covariances[:, upper[0], upper[1]] = covariances[:, upper[1], upper[0]] = packed
        shift = mean - centre
        covariances -= shift[:, :, None] * shift[:, None, :]
        return covariances

    def _exponentials(self, vectors: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return exp(score − largest) and the largest score of each input vector."""
        scores = vectors @ self.output.T
        scores += self.offset
        largest = scores.max(axis=1)
        scores -= largest[:, None]
        np.exp(scores, out=scores)
        return scores, largest


def solve(
    softmax: FrozenSoftmax,
    targets: NDArray[np.float64],
    starts: NDArray[np.float64],
    inverses: NDArray[np.float64],
    owners: NDArray[np.intp],
    *,
    ridge: float,
    anchors: NDArray[np.float64] | None = None,
    tolerance: float = 1e-8,
) -> NDArray[np.float64]:
    """Return the input vectors of k targets: the minima of log Z(e) − e·t + ridge/2 ‖e − anchor‖², shape (k, dim).

    All problems are solved at once by L-BFGS (Nocedal & Wright 2006, algorithm 7.4), whose first matrix is the inverse
    Hessian of a similar problem: that of the same word in the whole text. An exact Hessian for each problem would cost
    as much as 20 evaluations of all gradients, and the solution is the same.

    Parameters
    ----------
    softmax : FrozenSoftmax
        The output weights.
    targets, starts : ndarray of float64, shape (k, dim)
        Mean output vector of the pairs of each problem, and where its search begins.
    inverses : ndarray of float64, shape (w, dim, dim)
        Inverses of Hessians.
    owners : ndarray of int, shape (k,)
        The one of each problem, rising.
    ridge : float
        Above 0.
    anchors : ndarray of float64, shape (k, dim), optional
        Minima of the ridge; None: 0.
    tolerance : float
        A problem is solved when a step would change its vector by less than this share of its length.

    Raises
    ------
    CorpusError
        If a problem has no finite solution, as with output weights that are not numbers.
    """
    problem = _Problem(softmax, targets, ridge, np.zeros_like(starts) if anchors is None else anchors)
    vectors = starts.copy()
    history: list[_Change] = []
    active = np.arange(len(vectors))
    costs, gradients = problem.evaluate(active, vectors)
    for _ in range(MOST_ITERATIONS):
        directions = -_descent(gradients[active], active, history, inverses, owners)
        lengths = np.linalg.norm(vectors[active], axis=1)
        moving = np.linalg.norm(directions, axis=1) > tolerance * np.maximum(lengths, SHORTEST)
        active, directions = active[moving], directions[moving]
        if not active.size:
            break
        reached = _line_search(problem, active, vectors, costs, gradients, directions)
        history = [*history, _Change.between(active, vectors, gradients, reached)][-MEMORY:]
        vectors[active], costs[active], gradients[active] = reached.vectors, reached.costs, reached.gradients
        active = active[reached.moved]  # the others have reached the precision of float64
    if not np.isfinite(costs).all() or not np.isfinite(gradients).all():
        raise CorpusError("slices: the output weights are not finite. Train with a lower learning_rate.")
    return vectors


class _Problem(NamedTuple):
    """Costs to minimise; arguments as in `solve`."""

    softmax: FrozenSoftmax
    targets: NDArray[np.float64]
    ridge: float
    anchors: NDArray[np.float64]

    def evaluate(
        self, rows: NDArray[np.intp], vectors: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return cost and gradient of these problems at vectors, shapes (rows,) and (rows, dim)."""
        expectation = self.softmax.expect(vectors)
        away = vectors - self.anchors[rows]
        targets = self.targets[rows]
        costs = expectation.log_normalizer - _dots(vectors, targets) + self.ridge / 2 * _dots(away, away)
        return costs, expectation.mean - targets + self.ridge * away


class _Reached(NamedTuple):
    """Ends of the steps of some problems; `moved` is false where no step decreases the cost."""

    vectors: NDArray[np.float64]
    costs: NDArray[np.float64]
    gradients: NDArray[np.float64]
    moved: NDArray[np.bool_]


class _Change(NamedTuple):
    """A step of all problems, the change of their gradients, and 1 / (step · change); 0 where there was none."""

    step: NDArray[np.float64]
    gradient: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def between(
        cls,
        active: NDArray[np.intp],
        vectors: NDArray[np.float64],
        gradients: NDArray[np.float64],
        reached: _Reached,
    ) -> _Change:
        step, change, scale = np.zeros_like(vectors), np.zeros_like(vectors), np.zeros(len(vectors))
        step[active] = reached.vectors - vectors[active]
        change[active] = reached.gradients - gradients[active]
        products = _dots(step, change)
        np.divide(1, products, out=scale, where=products > 0)
        return cls(step, change, scale)


def _descent(
    gradients: NDArray[np.float64],
    rows: NDArray[np.intp],
    history: list[_Change],
    inverses: NDArray[np.float64],
    owners: NDArray[np.intp],
) -> NDArray[np.float64]:
    """Return the product of the approximate inverse Hessian and the gradient of some problems, (rows, dim)."""
    product = gradients.copy()
    factors = []
    for change in reversed(history):
        factors.append(change.scale[rows] * _dots(change.step[rows], product))
        product -= factors[-1][:, None] * change.gradient[rows]
    ends = np.flatnonzero(np.diff(owners[rows])) + 1
    for start, stop in pairwise([0, *ends.tolist(), len(rows)]):
        if stop > start:
            product[start:stop] = product[start:stop] @ inverses[owners[rows[start]]]
    for change, factor in zip(history, reversed(factors), strict=True):
        rest = factor - change.scale[rows] * _dots(change.gradient[rows], product)
        product += rest[:, None] * change.step[rows]
    return product


def _line_search(
    problem: _Problem,
    rows: NDArray[np.intp],
    vectors: NDArray[np.float64],
    costs: NDArray[np.float64],
    gradients: NDArray[np.float64],
    directions: NDArray[np.float64],
) -> _Reached:
    """Return the ends of steps in these directions, each halved until the cost falls enough.

    Close to a minimum, costs are equal to within rounding; there a step is good if it does not overshoot.
    """
    slopes = _dots(directions, gradients[rows])
    reached = _Reached(vectors[rows], costs[rows], gradients[rows], np.zeros(len(rows), bool))
    length, pending = 1.0, np.arange(len(rows))
    while pending.size and length > SMALLEST_STEP:
        tried = rows[pending]
        ends = vectors[tried] + length * directions[pending]
        end_costs, end_gradients = problem.evaluate(tried, ends)
        falls = end_costs <= costs[tried] + SUFFICIENT * length * slopes[pending]
        is_flat = end_costs <= costs[tried] + ROUNDING * np.abs(costs[tried])
        good = falls | (is_flat & (np.abs(_dots(end_gradients, directions[pending])) < -slopes[pending]))
        done = pending[good]
        reached.vectors[done], reached.costs[done], reached.gradients[done] = (
            ends[good],
            end_costs[good],
            end_gradients[good],
        )
        reached.moved[done] = True
        pending, length = pending[~good], length / 2
    return reached


def _dots(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the dot product of each row of two matrices."""
    products: NDArray[np.float64] = np.einsum("ij,ij->i", a, b)
    return products

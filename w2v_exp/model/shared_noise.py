"""Negatives of a block: drawn for groups of centres, each group's a small matrix that all of its centres meet."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v_exp.model.logistic import softplus_and_sigmoid, squared_lengths
from w2v_exp.model.negative_sampling import NegativeSampling
from w2v_exp.model.noise import NoiseDistribution
from w2v_exp.model.parameters import Parameters


class RowGradients(NamedTuple):
    """Gradients for some rows of a matrix; a row may be named several times.

    Parameters
    ----------
    words : ndarray of int32, shape (m,)
        The rows.
    gradient : ndarray, shape (m, dim)
        Of the block's summed cost.
    curvature : ndarray, shape (m,)
        A bound of the second derivative of that cost in any direction: Σ |derivative by the score| · ‖other row‖²,
        since σ(1 − σ) is less than either of σ and 1 − σ.
    """

    words: NDArray[np.int32]
    gradient: NDArray[Any]
    curvature: NDArray[Any]


class NoiseGradients(NamedTuple):
    """What the negatives add to a block's gradients: to its hidden vectors', and for rows of their own."""

    cost: float
    hidden_gradient: NDArray[Any]
    hidden_curvature: NDArray[Any]
    rows: RowGradients


class SharedNoise:
    """What the negatives of a block add to its cost and gradients.

    Parameters
    ----------
    rule : NegativeSampling
        How many negatives, and which centres share them.
    noise : NoiseDistribution
        What they are drawn from.
    pairs_by_centre : int
        How many pairs a centre has at the most, where each of them has negatives of its own.
    """

    def __init__(self, rule: NegativeSampling, noise: NoiseDistribution, pairs_by_centre: int) -> None:
        self._rule = rule
        self._noise = noise
        self._pairs_by_centre = pairs_by_centre

    def draw(self, groups: int, generator: np.random.Generator) -> NDArray[np.int32]:
        """Return the negatives of so many groups of centres, shape (groups, shared)."""
        rule = self._rule
        if rule.sharing == "all":
            return np.arange(len(self._noise), dtype=np.int32)[None]
        shared = rule.negatives * self._pairs_by_centre if rule.sharing == "pair" else rule.shared
        return self._noise.draw(generator, groups * shared).reshape(groups, shared)

    def gradients(
        self,
        parameters: Parameters,
        hidden: NDArray[Any],
        negatives: NDArray[np.int32],
        pairs: NDArray[Any],
    ) -> NoiseGradients:
        """Return what the negatives of all groups do; `pairs`, (centres, …), is 1 for each pair that there is."""
        groups, shared = negatives.shape
        dim = hidden.shape[1]
        by_group = hidden.reshape(groups, -1, dim)
        rows = parameters.output.take(negatives.reshape(-1), axis=0).reshape(groups, shared, dim)
        costs, residuals = softplus_and_sigmoid(np.matmul(by_group, rows.transpose(0, 2, 1)))
        weights = self._weights(pairs).reshape(groups, by_group.shape[1], -1)
        cost = np.einsum("gck,gck->gc", costs, np.broadcast_to(weights, costs.shape)).sum(dtype=np.float64)
        residuals *= weights
        across = residuals.transpose(0, 2, 1)
        curvature = np.matmul(residuals, squared_lengths(rows)[:, :, None])
        rows_curvature = np.matmul(across, squared_lengths(by_group)[:, :, None])
        return NoiseGradients(
            float(cost),
            np.matmul(residuals, rows).reshape(hidden.shape),
            curvature.reshape(-1),
            RowGradients(
                negatives.reshape(-1),
                np.matmul(across, by_group).reshape(-1, dim),
                rows_curvature.reshape(-1),
            ),
        )

    def _weights(self, pairs: NDArray[Any]) -> NDArray[Any]:
        """Return how often each negative counts for each centre, (centres, shared) or what broadcasts to it."""
        rule = self._rule
        if rule.sharing == "pair":
            return np.repeat(pairs, rule.negatives, axis=1)
        by_centre: NDArray[Any] = pairs.dot(np.ones((pairs.shape[1], 1), pairs.dtype))
        if rule.sharing == "group":
            by_centre *= rule.negatives / rule.shared
            return by_centre
        weights: NDArray[Any] = by_centre * (rule.negatives * self._noise.probabilities).astype(pairs.dtype)
        return weights

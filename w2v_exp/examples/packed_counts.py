"""Packed counts: pairs and what they weigh, each as one number, so that to sort the numbers sorts the pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

KEY_BITS = 32

Packed = NDArray[
    np.uint64
]  # a pair in the high half of each number, its weight in the low half; by rising pair


def pairs_of(packed: Packed) -> NDArray[np.uint64]:
    """Return the pairs."""
    return packed >> np.uint64(KEY_BITS)


def weights_of(packed: Packed) -> NDArray[np.uint64]:
    """Return what each pair weighs."""
    return packed & np.uint64((1 << KEY_BITS) - 1)


def count_sorted(keys: NDArray[np.uint32], weight_bits: int) -> Packed:
    """Return the distinct pairs of sorted keys, each with the sum of its weights.

    Parameters
    ----------
    keys : ndarray of uint32
        At least one: a pair, and in the lowest bits its weight.
    weight_bits : int
        How many these are; 0: there are none, and each pair weighs 1.
    """
    if weight_bits:
        pairs = keys >> np.uint32(weight_bits)
        firsts = _firsts(pairs)
        weights = _sums(keys & np.uint32((1 << weight_bits) - 1), firsts)
    else:
        pairs, firsts = keys, _firsts(keys)
        weights = np.diff(firsts, append=len(keys)).astype(np.uint64)
    counted: Packed = pairs[firsts].astype(np.uint64)
    counted <<= np.uint64(KEY_BITS)
    counted |= weights
    return counted


def merge(runs: list[Packed]) -> Packed:
    """Return several as one, with the weights of equal pairs added. A sum has to fit into its half of a number."""
    if len(runs) == 1:
        return runs[0]
    if not runs:
        return np.empty(0, np.uint64)
    ordered = np.concatenate(runs)
    ordered.sort()
    firsts = _firsts(pairs_of(ordered))
    weights = _sums(weights_of(ordered), firsts)
    ordered = ordered[firsts]
    ordered &= np.uint64(((1 << KEY_BITS) - 1) << KEY_BITS)
    ordered |= weights
    return ordered


def _firsts(ordered: NDArray[np.generic]) -> NDArray[np.intp]:
    """Return where each distinct value of a sorted array, which is not empty, begins."""
    is_first = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=is_first[1:])
    return np.flatnonzero(is_first)


def _sums(weights: NDArray[Any], firsts: NDArray[np.intp]) -> NDArray[np.uint64]:
    """Return the sums of stretches: ``np.add.reduceat`` takes five times as long for short ones."""
    sums: NDArray[np.uint64] = np.cumsum(weights, dtype=np.uint64)[np.append(firsts[1:], len(weights)) - 1]
    sums[1:] -= sums[:-1].copy()
    return sums

"""What is looked for: words and vectors that count for it or against it, as in gensim's ``KeyedVectors``."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import UserError

# A word, a vector, or one of them with its weight; or several of these. (Vectors may be lists of numbers.)
Asked = Any


class Term(NamedTuple):
    """A part of a query: a word or a vector, and its weight; None where it is not said."""

    key: str | NDArray[np.float64]
    weight: float | None


def terms(asked: Asked, dim: int) -> list[Term]:
    """Return the parts of what is asked: a word, a vector, a pair of one and its weight, or an iterable of these.

    Raises
    ------
    UserError
        If a part is none of these.
    """
    if asked is None:
        return []
    if isinstance(asked, str) or _is_vector(asked):
        return [_term(asked, dim)]
    if not isinstance(asked, Iterable):
        raise UserError(f"A word, a vector or a list of them is needed, not {reprlib.repr(asked)}.")
    return [_term(item, dim) for item in asked]


def as_vector(numbers: Any, dim: int) -> NDArray[np.float64]:
    """Return `dim` finite numbers as an array of shape (dim,), or raise `UserError`."""
    try:
        vector = np.asarray(numbers, np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"A vector must be {dim} numbers, not {reprlib.repr(numbers)} ({error}).") from error
    if vector.shape != (dim,) or not np.isfinite(vector).all():
        raise UserError(
            f"A vector must be {dim} finite numbers, not {reprlib.repr(numbers)} of shape {vector.shape}."
        )
    return vector


def _term(item: Any, dim: int) -> Term:
    weight = None
    if isinstance(item, tuple) and len(item) == 2 and not isinstance(item[0], Real):
        item, weight = item
        if isinstance(weight, bool) or not isinstance(weight, Real) or not math.isfinite(weight):
            raise UserError(
                f"The weight of {reprlib.repr(item)} must be a finite number, not {reprlib.repr(weight)}."
            )
    return Term(item if isinstance(item, str) else as_vector(item, dim), weight)


def _is_vector(asked: Any) -> bool:
    """Return whether this is one vector: an array of one dimension, or a sequence of nothing but numbers."""
    if isinstance(asked, np.ndarray):
        return asked.ndim == 0 or (asked.ndim == 1 and asked.dtype.kind not in "UO")
    return isinstance(asked, (list, tuple)) and bool(asked) and all(isinstance(x, Real) for x in asked)

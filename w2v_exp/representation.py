"""Representations of objects that hold arrays: a line, whatever is in them."""

from __future__ import annotations

import reprlib
from dataclasses import fields
from typing import Any

import numpy as np

_SHORT = reprlib.Repr()
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = _SHORT.maxset = 3
_SHORT.maxlevel = 2
_SHORT.maxstring = _SHORT.maxother = 80


def short(value: object) -> str:
    """Return the representation of a value in a line: of an array dtype and shape, of a long list its beginning.

    >>> short(np.zeros((3, 2))), short([1, 2, 3, 4, 5])
    ('float64[3, 2]', '[1, 2, 3, ...] (5)')
    """
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{list(value.shape)}"
    if isinstance(value, ShortRepr):
        return repr(value)
    text = " ".join(_SHORT.repr(value).split())
    many = isinstance(value, (list, tuple, dict)) and len(value) > _SHORT.maxlist
    return f"{text} ({len(value):,})" if many else text  # type: ignore[arg-type]


class ShortRepr:
    """A dataclass that is represented in a line; to be declared with ``repr=False``."""

    def __repr__(self) -> str:
        this: Any = self
        shown = (f"{field.name}={short(getattr(self, field.name))}" for field in fields(this) if field.repr)
        return f"{type(self).__name__}({', '.join(shown)})"

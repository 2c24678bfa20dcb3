"""Checks of single settings, each with a sentence that says what is allowed."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Iterable
from contextlib import suppress
from difflib import get_close_matches
from numbers import Real
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np

from w2v_exp.errors import SettingError
from w2v_exp.representation import short

LARGEST = 2**63 - 1  # the largest number that NumPy and databases hold


def require_whole(key: str, value: Any, *, at_least: int, at_most: int = LARGEST) -> int:
    """Return a whole number of any kind as an ``int``: of Python, of NumPy, or an array without dimensions.

    Raises
    ------
    SettingError
        If it is no whole number (a bool is none), or out of bounds.
    """
    try:
        number = None if isinstance(value, (bool, np.bool_)) else operator.index(value)
    except TypeError:
        number = None
    if number is not None and at_least <= number <= at_most:
        return number
    if number is not None and number > at_most:
        raise SettingError(key, value, f"must be a whole number from {at_least:,} to {at_most:,}.")
    raise SettingError(key, value, f"must be a whole number, {at_least} or more.")


def require_number(
    key: str,
    value: Any,
    *,
    above: float = -math.inf,
    at_least: float = -math.inf,
    below: float = math.inf,
    at_most: float = math.inf,
) -> float:
    """Return a real number of any kind as a ``float``: of Python, of NumPy, or an array without dimensions.

    Raises
    ------
    SettingError
        If it is no finite number (a bool is none), or outside the bounds that are given.
    """
    number = math.nan
    is_scalar = isinstance(value, Real) or (isinstance(value, np.ndarray) and value.ndim == 0)
    if is_scalar and not isinstance(value, (bool, np.bool_)) and np.asarray(value).dtype.kind in "iufO":
        with suppress(TypeError, ValueError, OverflowError):
            number = float(value)
    if math.isfinite(number) and above < number < below and at_least <= number <= at_most:
        return number
    bounds = [
        f"{name} {bound:g}"
        for name, bound in (("above", above), ("at least", at_least), ("below", below), ("at most", at_most))
        if math.isfinite(bound)
    ]
    raise SettingError(key, value, f"must be a number {' and '.join(bounds)}".rstrip() + ".")


def require_kind(key: str, value: Any, kinds: type | tuple[type, ...], description: str) -> None:
    """Raise `SettingError` unless `value` is an object of one of these classes."""
    if not isinstance(value, kinds):
        raise wrong_kind(key, value, description)


def require_methods(key: str, value: Any, *methods: str, description: str) -> None:
    """Raise `SettingError` unless `value` is an object, not a class, that has these methods or attributes."""
    if isinstance(value, type) or not all(hasattr(value, method) for method in methods):
        raise wrong_kind(key, value, description)


def check_path(settings: object, key: str, description: str) -> None:
    """Check a field of a dataclass, which may be frozen, that is a path, and keep it as ``str``; None stays."""
    path = getattr(settings, key)
    require_kind(key, path, (str, Path, type(None)), description)
    if isinstance(path, Path):
        object.__setattr__(settings, key, str(path))


def wrong_kind(key: str, value: object, description: str) -> SettingError:
    """Return the error for an argument that is of the wrong kind."""
    kind = f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
    return SettingError(key, short(value), f"must be {description}, not {kind}.")


def require_array(key: str, value: Any, kinds: str, dimensions: int, description: str) -> None:
    """Raise `SettingError` unless `value` is an array of these kinds of numbers (`dtype.kind`) and dimensions."""
    if not isinstance(value, np.ndarray):
        raise wrong_kind(key, value, description)
    if value.ndim != dimensions or value.dtype.kind not in kinds:
        raise SettingError(key, short(value), f"must be {description}.")


def require_floating(key: str, dtype: Any) -> None:
    """Raise `SettingError` unless `dtype` is float32 or float64."""
    try:
        known = np.dtype(dtype) in (np.float32, np.float64)
    except TypeError:
        known = False
    if not known:
        raise SettingError(key, short(dtype), "must be float32 or float64.")


def check_whole(settings: object, *keys: str, at_least: int, at_most: int = LARGEST) -> None:
    """Check fields of a dataclass, which may be frozen, by `require_whole`, and keep them as ``int``."""
    for key in keys:
        number = require_whole(key, getattr(settings, key), at_least=at_least, at_most=at_most)
        object.__setattr__(settings, key, number)


def check_number(settings: object, key: str, **bounds: float) -> None:
    """Check a field of a dataclass, which may be frozen, by `require_number`, and keep it as ``float``."""
    object.__setattr__(settings, key, require_number(key, getattr(settings, key), **bounds))


def require_choice(key: str, value: str, choices: Iterable[str]) -> None:
    """Raise `SettingError`, with a suggestion, unless `value` is one of `choices`."""
    known = list(choices)
    if value not in known:
        raise SettingError(
            key, value, f"not an option{suggestion(str(value), known)} Options: {', '.join(known)}."
        )


_ADDRESS = re.compile(r"([\w+.-]+)://(.*)", re.DOTALL)
_SECRET = re.compile(
    r"pass|pwd|secret|token|credential|signature|^sig$|auth|(api|access|private)[_-]?key", re.IGNORECASE
)


def refuse_secret(key: str, address: str, remedy: str) -> None:
    """Raise `SettingError` if an address holds a password or a token, which all readers of a run would see.

    That is: a user with a password before the last ``@``, whatever characters the password has; a user alone where that
    is a token (``http``, ``https``); or a parameter of such a name. The message shows none of it.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        return
    scheme, rest = found.groups()
    user, at, host = ("", "", rest) if rest.startswith("/") else rest.rpartition("@")  # no host: a file
    place, *query = re.split(r"[?#]", rest, maxsplit=1)
    names = [name for name, _ in parse_qsl(re.sub("[;#]", "&", "".join(query)), keep_blank_values=True)]
    if at and (":" in user or scheme.lower().startswith("http")):
        shown = f"…@{re.split('[?#]', host)[0]}"
    elif any(map(_SECRET.search, names)):
        shown = f"{place}?…"
    else:
        return
    raise SettingError(
        key,
        f"{scheme}://{shown}",
        f"must not hold a password or token: it would be stored with the runs. {remedy}",
    )


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return ``", did you mean …?"`` with the closest of the known words, or ``"."`` if none is close.

    >>> suggestion("windw", ["window", "dim"])
    ', did you mean window?'
    >>> suggestion("zzz", ["window", "dim"])
    '.'
    """
    close = get_close_matches(word, list(known), n=1, cutoff=0.55)
    return f", did you mean {close[0]}?" if close else "."

"""Checks of single settings, each with a sentence that says what is allowed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from difflib import get_close_matches
from numbers import Integral, Real

from w2v_exp.errors import SettingError


def require_whole(key: str, value: int, *, at_least: int) -> None:
    """Raise `SettingError` unless `value` is a whole number that is at least `at_least`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < at_least:
        raise SettingError(key, value, f"must be a whole number, {at_least} or more.")


def require_number(
    key: str,
    value: float,
    *,
    above: float = -math.inf,
    at_least: float = -math.inf,
    below: float = math.inf,
    at_most: float = math.inf,
) -> None:
    """Raise `SettingError` unless `value` is a finite number inside the bounds that are given."""
    number = not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)
    if number and above < value < below and at_least <= value <= at_most:
        return
    bounds = [
        f"{name} {bound:g}"
        for name, bound in (("above", above), ("at least", at_least), ("below", below), ("at most", at_most))
        if math.isfinite(bound)
    ]
    raise SettingError(key, value, f"must be a number {' and '.join(bounds)}".rstrip() + ".")


def require_choice(key: str, value: str, choices: Iterable[str]) -> None:
    """Raise `SettingError`, with a suggestion, unless `value` is one of `choices`."""
    known = list(choices)
    if value not in known:
        raise SettingError(
            key, value, f"not an option{suggestion(str(value), known)} Options: {', '.join(known)}."
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

"""What a sweep has shown, in sentences: which configuration is best, which values are, and what is only noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from w2v_exp.reporting.columns import Column, column_of
from w2v_exp.reporting.comparison import Comparison
from w2v_exp.reporting.effects import KeyEffect, ValueEffect
from w2v_exp.reporting.words import shown


class Finding(NamedTuple):
    """A sentence about a sweep.

    Parameters
    ----------
    about : str
        What it is about: a swept key, or the best configuration.
    sentence : str
        What is said of it.
    """

    about: str
    sentence: str


def findings(comparison: Comparison, effects: Sequence[KeyEffect]) -> list[Finding]:
    """Return what is to be said first of a sweep: the best configuration, and what each key does to the ranking.

    Parameters
    ----------
    comparison : Comparison
        The sweep.
    effects : sequence of KeyEffect
        Of every key on the metric that ranks the configurations.
    """
    if comparison.ranking is None or len(comparison.groups) < 2:
        return []
    column = column_of(comparison.ranking.metric)
    best = comparison.groups[0]
    value = f"{column.heading} {best.written(column)} {best.qualifier(column.metric)}".strip()
    first = Finding(f"Best: {comparison.name_of(best)}", value)
    return [first, *(Finding(shown(e.key), _sentence(e, column)) for e in effects)]


def _sentence(effect: KeyEffect, column: Column) -> str:
    if not effect.values:
        return "its values share no setting of the other keys, so they cannot be compared."
    best, second, *others = effect.from_best
    if second.behind == 0:
        return "makes no difference." if not others else "the best values do not differ."
    sentence = (
        f"{shown(best.value)} is best, ahead of {shown(second.value)} by {written_difference(second, column)}"
    )
    if second.exceeds_noise is None:
        return f"{sentence}; how much of it is noise is not known: no configuration has several seeds."
    if second.exceeds_noise:
        return f"{sentence}, more than the noise."
    sure = [value for value in others if value.exceeds_noise]
    if not sure:
        return f"{sentence}, within the noise."
    return (
        f"{sentence}, within the noise; ahead of {shown(sure[0].value)} by "
        f"{written_difference(sure[0], column)}, more than the noise."
    )


def written_difference(effect: ValueEffect, column: Column) -> str:
    """Return by how much a value is behind the best, ± the margin if it is known, with digits enough to tell."""
    decimals = column.decimals_for(effect.behind)
    smallest = min(
        (abs(x) for x in (effect.behind, effect.behind_margin) if x and math.isfinite(x)), default=1
    )
    decimals = max(decimals, min(1 - math.floor(math.log10(smallest)), decimals + 2, 9))
    text = f"{effect.behind:,.{decimals}f}"
    return text if math.isnan(effect.behind_margin) else f"{text} ± {effect.behind_margin:,.{decimals}f}"

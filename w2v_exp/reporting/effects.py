"""Effects of swept values, with confidence intervals over seeds, as numbers and in sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import NamedTuple

from w2v_exp.errors import shown
from w2v_exp.metrics import Metric, Ranking, metric_of
from w2v_exp.reporting.comparison import Comparison, Group, values_of
from w2v_exp.results import BASE, CHANGE

SURE = 0.95
NAMED = 5  # changes in a sentence
UNKNOWN = "significance unknown (fewer than two shared seeds: add repeats=5)"
_DUST = 1e-12  # relative difference of averages of equal numbers, by rounding

Setting = tuple[str, ...]  # values of the other keys
Cells = Mapping[Setting, Mapping[int, float]]  # a metric by setting and seed, of one value of the key


@dataclass(frozen=True)
class ValueEffect:
    """The effect of a value of a swept key on a metric.

    All numbers are taken over the settings of the other keys and the seeds that the value shares with the reference.

    Parameters
    ----------
    value : str
        The value.
    runs : int
        The number of runs.
    mean : float
        The mean over settings and seeds.
    deviation : float
        The standard deviation over seeds of runs of the same configuration; NaN where no configuration is repeated.
    margin : float
        Half the width of the 95 % confidence interval of the mean; NaN likewise.
    behind : float
        The mean of the reference minus this mean, positive if the reference is better; 0 for the reference.
    behind_margin : float
        Half the width of the confidence interval of ``behind``. The intervals of all differences hold together with
        95 % (Bonferroni).
    ahead : int
        Number of settings of the other keys in which the reference is better.
    settings : int
        Number of settings of the other keys.
    """

    value: str
    runs: int
    mean: float
    deviation: float
    margin: float
    behind: float
    behind_margin: float
    ahead: int
    settings: int

    @property
    def is_significant(self) -> bool | None:
        """Whether the interval of the difference does not contain 0; None without two shared seeds."""
        if math.isnan(self.behind_margin):
            return None
        return abs(self.behind) > max(self.behind_margin, _DUST * abs(self.mean))


@dataclass(frozen=True)
class KeyEffect:
    """The effects of the values of a swept key on a metric.

    Parameters
    ----------
    key : str
        The swept key.
    metric : Ranking
        The metric, with its direction.
    reference : str
        The value that the others are compared with: the best, or the base of a sweep of changes.
    values : list of ValueEffect
        In the order of the axis; empty if no setting of the other keys is common to all values.
    absent : list of str
        Values without a comparable run: no finished run that can be ranked by the metric, or none with a setting of the
        base.
    """

    key: str
    metric: Ranking
    reference: str
    values: list[ValueEffect]
    absent: list[str]

    @property
    def from_best(self) -> list[ValueEffect]:
        """The values; the best is first."""
        return sorted(self.values, key=lambda effect: effect.behind)

    @property
    def of_changes(self) -> bool:
        """Whether the values are changes of a base, each compared with the base instead of the best value."""
        return self.key == CHANGE and self.reference == BASE


def key_effect(comparison: Comparison, key: str, metric: Ranking) -> KeyEffect:
    """Return the effects of the values of a key on a metric, from the comparable configurations.

    Only settings of the other keys that every value was run with count, so that a difference is due to the key alone.
    If some settings are repeated with several seeds, only these count, because the noise of the others is unknown. Each
    change of a base is compared with the base alone, whatever settings the other changes lack.

    Runs with the same seed are correlated, so differences are paired by seed: the difference at each seed is averaged
    over the settings, and the interval is Student's t over the seeds. It holds for any dependence between the runs of a
    seed. Values without two seeds in common have no interval.
    """
    others = [other for other in comparison.keys if other != key]
    cells: dict[str, dict[Setting, Mapping[int, float]]] = {value: {} for value in values_of(key, comparison)}
    for group in comparison.groups:
        if group.ranks(metric.metric):
            setting = tuple(group.swept.get(other, "") for other in others)
            cells[group.swept.get(key, "")][setting] = _by_seed(group, metric.metric)
    present = {value: found for value, found in cells.items() if found}
    if key == CHANGE and BASE in present:
        reference, comparisons = BASE, len(present) - 1
        shared = {value: _shared([present[BASE], found]) for value, found in present.items()}
    else:
        comparisons = len(present) * (len(present) - 1) // 2
        shared = dict.fromkeys(present, _shared([*present.values()]))
        means = {
            value: fmean(_sample(found, *shared[value]))
            for value, found in present.items()
            if shared[value][0]
        }
        reference = max(means, key=lambda value: metric.sign * means[value], default="")
    compared = [value for value, (settings, _) in shared.items() if settings]
    if len(compared) < 2:
        return KeyEffect(key, metric, reference, [], [value for value, found in cells.items() if not found])
    confidence = 1 - (1 - SURE) / comparisons
    values = [
        _value_effect(value, present[value], present[reference], *shared[value], metric, confidence)
        for value in compared
    ]
    return KeyEffect(key, metric, reference, values, [value for value in cells if value not in compared])


def _by_seed(group: Group, metric: str) -> dict[int, float]:
    """Return a metric of a configuration by seed; the mean if a seed was run more than once."""
    found: dict[int, list[float]] = {}
    for run in group.runs:
        found.setdefault(run.seed, []).append(run.metrics[metric])
    return {seed: fmean(values) for seed, values in found.items()}


def _shared(values: Sequence[Cells]) -> tuple[list[Setting], list[int]]:
    """Return the settings common to all values, and the seeds common to all values in all of these.

    If all values have several seeds in some settings, only these settings are returned.
    """
    settings = (
        [setting for setting in values[0] if all(setting in found for found in values)] if values else []
    )
    repeated = [setting for setting in settings if len(_seeds(values, [setting])) > 1]
    return repeated or settings, _seeds(values, repeated or settings)


def _seeds(values: Sequence[Cells], settings: Sequence[Setting]) -> list[int]:
    found = [set(cells[setting]) for cells in values for setting in settings]
    return sorted(set.intersection(*found)) if found else []


def _sample(cells: Cells, settings: Sequence[Setting], seeds: Sequence[int]) -> list[float]:
    """Return the mean over the settings for each seed; without common seeds, the mean over all runs only."""
    if not seeds:
        return [fmean(fmean(cells[setting].values()) for setting in settings)]
    return [fmean(cells[setting][seed] for setting in settings) for seed in seeds]


def _value_effect(
    value: str,
    cells: Cells,
    reference: Cells,
    settings: Sequence[Setting],
    seeds: Sequence[int],
    metric: Ranking,
    confidence: float,
) -> ValueEffect:
    sample = _sample(cells, settings, seeds)
    differences = [
        metric.sign * (theirs - ours)
        for theirs, ours in zip(_sample(reference, settings, seeds), sample, strict=True)
    ]
    spreads = [stdev([cells[setting][seed] for seed in seeds]) ** 2 for setting in settings if len(seeds) > 1]
    gaps = [fmean(_sample(reference, [s], seeds)) - fmean(_sample(cells, [s], seeds)) for s in settings]
    return ValueEffect(
        value=value,
        runs=len(settings) * len(seeds) or sum(len(cells[setting]) for setting in settings),
        mean=fmean(sample),
        deviation=math.sqrt(fmean(spreads)) if spreads else math.nan,
        margin=student_margin(sample, SURE),
        behind=fmean(differences) + 0.0,  # + 0.0: 0 instead of -0
        behind_margin=0.0 if cells is reference else student_margin(differences, confidence),
        ahead=sum(metric.sign * gap > 0 for gap in gaps),
        settings=len(settings),
    )


def student_margin(sample: Sequence[float], confidence: float) -> float:
    """Return half the width of Student’s interval of a mean; NaN for a single number, 0 if all are equal."""
    if len(sample) < 2:
        return math.nan
    deviation = stdev(sample)
    if deviation <= _DUST * max(map(abs, sample)):
        return 0.0
    # SciPy's distributions take a second to import, its special functions a tenth.
    from scipy.special import stdtrit

    return float(stdtrit(len(sample) - 1, (1 + confidence) / 2)) * deviation / math.sqrt(len(sample))


class Finding(NamedTuple):
    """A sentence about a sweep.

    Parameters
    ----------
    about : str
        Subject: a swept key, or the best configuration.
    sentence : str
        The finding.
    """

    about: str
    sentence: str


def findings(comparison: Comparison, effects: Sequence[KeyEffect]) -> list[Finding]:
    """Return the main findings of a sweep: the best configuration, and the effect of each key.

    Parameters
    ----------
    comparison : Comparison
        The sweep.
    effects : sequence of KeyEffect
        The effect of every key on the metric that ranks the configurations.
    """
    if comparison.ranking is None or len(comparison.groups) < 2:
        return []
    column = metric_of(comparison.ranking.metric)
    best = comparison.groups[0]
    value = f"{column.heading} {best.written(column)} {best.qualifier(column.name)}".strip()
    first = Finding(f"Best: {comparison.name_of(best)}", value)
    return [first, *(Finding(shown(e.key), _sentence(e, column)) for e in effects)]


def _sentence(effect: KeyEffect, column: Metric) -> str:
    if not effect.values:
        return "no combination of the other keys was run with every value, so its effect cannot be estimated."
    if effect.of_changes:
        return _sentence_on_changes(effect, column)
    best, second, *others = effect.from_best
    if second.behind == 0:
        return "no effect." if not others else "the best values do not differ."
    sentence = f"{shown(best.value)} is best, better than {shown(second.value)} by {written_difference(second, column)}"
    if second.is_significant is None:
        return f"{sentence}; {UNKNOWN}."
    if second.is_significant:
        return f"{sentence} (significant)."
    significant = [value for value in others if value.is_significant]
    if not significant:
        return f"{sentence} (not significant)."
    return (
        f"{sentence} (not significant), and better than {shown(significant[0].value)} by "
        f"{written_difference(significant[0], column)} (significant)."
    )


def _sentence_on_changes(effect: KeyEffect, column: Metric) -> str:
    """Return which changes differ significantly from the base; the largest difference is first."""
    changes = [value for value in effect.values if value.value != effect.reference]
    changes.sort(key=lambda value: -abs(value.behind))
    significant = [value for value in changes if value.is_significant]
    known = [value for value in changes if value.is_significant is not None]
    named = ", ".join(
        f"{shown(value.value)} {written_change(value, effect, column)}"
        for value in (significant or changes)[:NAMED]
    )
    if not known:
        return f"against {effect.reference}: {named}; {UNKNOWN}."
    if not significant:
        return f"no change differs significantly from {effect.reference}; the largest differences: {named}."
    rest = len(significant) - NAMED
    more = f" and {rest} more" if rest > 0 else ""
    return (
        f"{len(significant)} of {len(changes)} differ significantly from {effect.reference}: {named}{more}."
    )


def written_change(value: ValueEffect, effect: KeyEffect, column: Metric) -> str:
    """Return the change of a metric with its sign, ± the margin if it is known."""
    sign = "+" if -effect.metric.sign * value.behind >= 0 else "−"
    return sign + written_difference(replace(value, behind=abs(value.behind)), column)


def written_difference(effect: ValueEffect, column: Metric) -> str:
    """Return the difference from the reference, ± the margin if it is known, with enough decimals for both."""
    decimals = column.decimals_for(effect.behind)
    smallest = min(
        (abs(x) for x in (effect.behind, effect.behind_margin) if x and math.isfinite(x)), default=1
    )
    decimals = max(decimals, min(1 - math.floor(math.log10(smallest)), decimals + 2, 9))
    text = f"{effect.behind:,.{decimals}f}"
    return text if math.isnan(effect.behind_margin) else f"{text} ± {effect.behind_margin:,.{decimals}f}"

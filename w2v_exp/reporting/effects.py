"""Effects of swept values beside the noise of seeds, as intervals and in sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import NamedTuple

from w2v_exp.errors import shown
from w2v_exp.metrics import Metric, Ranking, metric_of
from w2v_exp.reporting.comparison import Comparison, Group, values_of
from w2v_exp.runs import BASE, CHANGE

SURE = 0.95
NAMED = 5  # changes in a sentence
_DUST = 1e-12  # equal figures may differ by this much of their size once they are averaged

Setting = tuple[str, ...]  # values of the other keys
Cells = Mapping[Setting, Mapping[int, float]]  # the configurations of a value: a metric by seed


@dataclass(frozen=True)
class ValueEffect:
    """A value of a swept key: how good the configurations with it are.

    All figures are of the settings of the other keys, and of the seeds, that it shares with what it is compared with.

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
        By how much the reference's mean is better; 0 for the reference.
    behind_margin : float
        Half the width of that difference's interval. The intervals of all differences that may be looked at hold
        together with 95 % (Bonferroni).
    ahead : int
        In how many settings of the other keys the reference is better than this.
    settings : int
        Of how many.
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
    def exceeds_noise(self) -> bool | None:
        """Whether the difference from the reference is more than other seeds would have made; None if not known."""
        if math.isnan(self.behind_margin):
            return None
        return abs(self.behind) > max(self.behind_margin, _DUST * abs(self.mean))


@dataclass(frozen=True)
class KeyEffect:
    """What the values of a swept key do to a metric.

    Parameters
    ----------
    key : str
        The swept key.
    metric : Ranking
        What is compared.
    reference : str
        The value that the others are compared with: the best, or the base of a sweep of changes.
    values : list of ValueEffect
        The values, as the axis of a picture has them; none if they have no setting of the other keys in common.
    absent : list of str
        Values that are not compared: no finished run of theirs can be ranked by the metric, or none has a setting of
        the base.
    """

    key: str
    metric: Ranking
    reference: str
    values: list[ValueEffect]
    absent: list[str]

    @property
    def from_best(self) -> list[ValueEffect]:
        """The values, the best first."""
        return sorted(self.values, key=lambda effect: effect.behind)

    @property
    def of_changes(self) -> bool:
        """Whether the values are changes of a base, which are compared with the base, not with the best of them."""
        return self.key == CHANGE and self.reference == BASE


def key_effect(comparison: Comparison, key: str, metric: Ranking) -> KeyEffect:
    """Return what the values of a key do to a metric, from the configurations that allow a fair comparison.

    Only settings of the other keys count that every value has been run with, so that a difference is the key's
    alone; where one failed with a setting, that setting counts for none of them. Where configurations are repeated with
    several seeds, those that are not are left out, because their noise is not known. Changes of a base are compared
    each with the base alone, so what one of them lacks does not count against the others.

    Seeds are shared: runs of the same seed begin alike, and rise and fall together. So differences are paired by seed:
    the difference of each seed is averaged over the settings, and the interval is Student's t over the seeds, which
    holds however runs of a seed depend on each other. Values that have no two seeds in common have no interval.
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
    """Return a configuration's metric by seed: the mean, where a seed was run more than once."""
    found: dict[int, list[float]] = {}
    for run in group.runs:
        found.setdefault(run.seed, []).append(run.metrics[metric])
    return {seed: fmean(values) for seed, values in found.items()}


def _shared(values: Sequence[Cells]) -> tuple[list[Setting], list[int]]:
    """Return the settings that all values have, and the seeds that all of them have in all of these.

    If some settings are repeated with all values, only these count.
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
    """Return the mean over the settings for each seed; without a seed in common, the mean over all runs alone."""
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
        margin=_margin(sample, SURE),
        behind=fmean(differences) + 0.0,  # + 0.0: no minus before a zero
        behind_margin=0.0 if cells is reference else _margin(differences, confidence),
        ahead=sum(metric.sign * gap > 0 for gap in gaps),
        settings=len(settings),
    )


def _margin(sample: Sequence[float], confidence: float) -> float:
    """Return half the width of Student’s interval of a mean: NaN of a single value, 0 if all are equal."""
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
    column = metric_of(comparison.ranking.metric)
    best = comparison.groups[0]
    value = f"{column.heading} {best.written(column)} {best.qualifier(column.name)}".strip()
    first = Finding(f"Best: {comparison.name_of(best)}", value)
    return [first, *(Finding(shown(e.key), _sentence(e, column)) for e in effects)]


def _sentence(effect: KeyEffect, column: Metric) -> str:
    if not effect.values:
        return "its values share no setting of the other keys, so they cannot be compared."
    if effect.of_changes:
        return _sentence_on_changes(effect, column)
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


def _sentence_on_changes(effect: KeyEffect, column: Metric) -> str:
    """Return which changes differ from the base, the largest difference first."""
    changes = [value for value in effect.values if value.value != effect.reference]
    changes.sort(key=lambda value: -abs(value.behind))
    sure = [value for value in changes if value.exceeds_noise]
    known = [value for value in changes if value.exceeds_noise is not None]
    named = ", ".join(
        f"{shown(value.value)} {written_change(value, effect, column)}" for value in (sure or changes)[:NAMED]
    )
    if not known:
        return f"against {effect.reference}: {named}; noise unknown (fewer than two shared seeds: add repeats=5)."
    if not sure:
        return f"no change differs from {effect.reference} by more than the noise; the largest: {named}."
    rest = len(sure) - NAMED
    more = f" and {rest} more" if rest > 0 else ""
    return (
        f"{len(sure)} of {len(changes)} differ from {effect.reference} by more than the noise: {named}{more}."
    )


def written_change(value: ValueEffect, effect: KeyEffect, column: Metric) -> str:
    """Return by how much a change raises (+) or lowers (−) a metric, ± the margin if it is known."""
    sign = "+" if -effect.metric.sign * value.behind >= 0 else "−"
    return sign + written_difference(replace(value, behind=abs(value.behind)), column)


def written_difference(effect: ValueEffect, column: Metric) -> str:
    """Return by how much a value is behind the best, ± the margin if it is known, with digits enough to tell."""
    decimals = column.decimals_for(effect.behind)
    smallest = min(
        (abs(x) for x in (effect.behind, effect.behind_margin) if x and math.isfinite(x)), default=1
    )
    decimals = max(decimals, min(1 - math.floor(math.log10(smallest)), decimals + 2, 9))
    text = f"{effect.behind:,.{decimals}f}"
    return text if math.isnan(effect.behind_margin) else f"{text} ± {effect.behind_margin:,.{decimals}f}"

"""Effects of swept values beside the noise of seeds, as intervals and in sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from w2v_exp.metrics import Metric, Ranking, metric_of
from w2v_exp.reporting.comparison import Comparison, Group, values_of
from w2v_exp.reporting.escape import shown

SURE = 0.95
_DUST = 1e-12  # equal figures may differ by this much of their size once they are averaged


class Cell(NamedTuple):
    """A configuration: how many runs, and the mean and the variance of a metric over them; NaN of a single run."""

    runs: int
    mean: float
    variance: float

    @classmethod
    def of(cls, group: Group, metric: Ranking) -> Cell:
        """Return what counts of a group."""
        deviation = group.deviation(metric.metric)
        return cls(len(group.runs), group.ranked_mean(metric.metric), deviation * deviation)


Cells = Mapping[tuple[str, ...], Cell]  # a value's configurations, by their settings of the other keys


@dataclass(frozen=True)
class ValueEffect:
    """A value of a swept key: how good the configurations with it are.

    All figures are of the settings of the other keys that the key's values share.

    Parameters
    ----------
    value : str
        The value.
    runs : int
        How many runs that is.
    mean : float
        The mean of the configurations' means over seeds.
    deviation : float
        The standard deviation over seeds of runs of the same configuration; NaN where no configuration is repeated.
    margin : float
        Half the width of the 95 % confidence interval of the mean; NaN likewise.
    behind : float
        By how much the best value's mean is better; 0 for the best.
    behind_margin : float
        Half the width of that difference's interval. The intervals of all differences between two values of the key
        hold together with 95 % (Bonferroni).
    ahead : int
        In how many settings of the other keys the best value is better than this.
    """

    value: str
    runs: int
    mean: float
    deviation: float
    margin: float
    behind: float
    behind_margin: float
    ahead: int

    @property
    def exceeds_noise(self) -> bool | None:
        """Whether the difference from the best is more than other seeds would have made; None if not known."""
        if math.isnan(self.behind_margin):
            return None
        return self.behind > max(self.behind_margin, _DUST * abs(self.mean))


@dataclass(frozen=True)
class KeyEffect:
    """What the values of a swept key do to a metric.

    Parameters
    ----------
    key : str
        The swept key.
    metric : Ranking
        What is compared.
    settings : int
        In how many settings of the other keys.
    values : list of ValueEffect
        The values, as the axis of a picture has them; none if they have no setting of the other keys in common.
    absent : list of str
        Values of which no finished run can be ranked by the metric.
    """

    key: str
    metric: Ranking
    settings: int
    values: list[ValueEffect]
    absent: list[str]

    @property
    def from_best(self) -> list[ValueEffect]:
        """The values, the best first."""
        return sorted(self.values, key=lambda effect: effect.behind)


def key_effect(comparison: Comparison, key: str, metric: Ranking) -> KeyEffect:
    """Return what the values of a key do to a metric, from the configurations that allow a fair comparison.

    Only settings of the other keys count that every value has been run with, so that a difference is the key's
    alone; where one failed with a setting, that setting counts for none of them. Where configurations are repeated with
    several seeds, those that are not are left out, because their noise is not known.

    The noise is that of the seeds: intervals are Student's t with the variance of each configuration estimated from
    its own repeats (Welch 1947, degrees of freedom by Satterthwaite's formula). Seeds are taken as independent; runs
    that share a seed rise and fall together, if at all, which makes true intervals of differences narrower.
    """
    others = [other for other in comparison.keys if other != key]
    cells: dict[str, dict[tuple[str, ...], Cell]] = {value: {} for value in values_of(key, comparison)}
    for group in comparison.groups:
        if math.isfinite((cell := Cell.of(group, metric)).mean):
            setting = tuple(group.swept.get(other, "") for other in others)
            cells[group.swept.get(key, "")][setting] = cell
    absent = [value for value, found in cells.items() if not found]
    present = {value: found for value, found in cells.items() if found}
    shared = _shared_settings([*present.values()])
    if not shared or len(present) < 2:
        return KeyEffect(key, metric, 0, [], absent)
    compared = {value: {s: found[s] for s in shared} for value, found in present.items()}
    best = max(compared, key=lambda value: metric.sign * _mean(compared[value]))
    pairs = len(compared) * (len(compared) - 1) // 2
    values = [_value_effect(value, compared[value], compared[best], metric, pairs) for value in compared]
    return KeyEffect(key, metric, len(shared), values, absent)


def _shared_settings(cells: Sequence[Cells]) -> list[tuple[str, ...]]:
    """Return the settings that all values have; if some are repeated with all of them, only these."""
    if not cells:
        return []
    shared = [setting for setting in cells[0] if all(setting in found for found in cells)]
    repeated = [setting for setting in shared if all(found[setting].runs > 1 for found in cells)]
    return repeated or shared


def _value_effect(value: str, cells: Cells, best: Cells, metric: Ranking, pairs: int) -> ValueEffect:
    chosen = [*cells.values()]
    settings = len(chosen)
    behind_margin = 0.0
    if cells is not best:
        behind_margin = _margin([*chosen, *best.values()], settings, 1 - (1 - SURE) / pairs)
    return ValueEffect(
        value=value,
        runs=sum(cell.runs for cell in chosen),
        mean=_mean(cells),
        deviation=math.sqrt(sum(cell.variance for cell in chosen) / settings),
        margin=_margin(chosen, settings, SURE),
        behind=metric.sign * (_mean(best) - _mean(cells)) + 0.0,  # + 0.0: no minus before a zero
        behind_margin=behind_margin,
        ahead=sum(metric.sign * (best[setting].mean - cell.mean) > 0 for setting, cell in cells.items()),
    )


def _mean(cells: Cells) -> float:
    return sum(cell.mean for cell in cells.values()) / len(cells)


def _margin(cells: Sequence[Cell], settings: int, confidence: float) -> float:
    """Return half the width of the interval of a sum (or difference) of the cells' means, divided by `settings`.

    NaN if a cell has a single run; 0 if all repeats are equal.
    """
    variances = [cell.variance / cell.runs for cell in cells]
    total = sum(variances)
    if not math.isfinite(total) or total == 0:
        return total
    freedom = 1 / sum(
        (variance / total) ** 2 / (cell.runs - 1) for variance, cell in zip(variances, cells, strict=True)
    )
    # SciPy's distributions take a second to import, its special functions a tenth.
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + confidence) / 2)) * math.sqrt(total) / settings


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


def written_difference(effect: ValueEffect, column: Metric) -> str:
    """Return by how much a value is behind the best, ± the margin if it is known, with digits enough to tell."""
    decimals = column.decimals_for(effect.behind)
    smallest = min(
        (abs(x) for x in (effect.behind, effect.behind_margin) if x and math.isfinite(x)), default=1
    )
    decimals = max(decimals, min(1 - math.floor(math.log10(smallest)), decimals + 2, 9))
    text = f"{effect.behind:,.{decimals}f}"
    return text if math.isnan(effect.behind_margin) else f"{text} ± {effect.behind_margin:,.{decimals}f}"

"""Results of association tests as tables, and conclusions over the configurations of a sweep.

A conclusion has a sign and an interval; those of a sweep are compared over its keys.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from w2v_exp.embeddings.associations import Association
from w2v_exp.embeddings.evaluation import ASSOCIATION, association_names
from w2v_exp.errors import shown
from w2v_exp.metrics import Metric, Ranking, metric_of
from w2v_exp.reporting.comparison import Comparison, Group
from w2v_exp.reporting.effects import SURE, UNKNOWN, KeyEffect, key_effect, student_margin, written_difference
from w2v_exp.reporting.intervals import number_text, written_interval

if TYPE_CHECKING:
    from rich.console import Console
    from rich.console import Group as Rendered
    from rich.table import Table

POSITIVE, NEGATIVE, NOT_SHOWN, FEW_SEEDS, MISSING = (
    "positive",
    "negative",
    "not shown",
    "too few seeds",
    "not computed",
)
ORDER = (POSITIVE, NEGATIVE, NOT_SHOWN, FEW_SEEDS, MISSING)
LARGEST_P = 0.05
MOST_PRINTED = 20  # configurations; the page has all
MOST_LISTED = 12  # words of a set
RULE = (
    "A conclusion is shown if the 95 % interval over seeds does not contain 0, and p, by permutation of the words, is "
    "below 0.05 with every seed. With bootstrap, no interval over documents may contain 0 either. An effect that is "
    "not shown may exist. A conclusion that is shown with one value of a key and not with another does not show a "
    "difference between them: see the difference of the effect below."
)


def result_table(found: Sequence[Association]) -> Table:
    """Return effect, p and interval of each test, for a terminal of 80 columns."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("test", "kind", "effect", "p", "95 % interval", "words"):
        table.add_column(name, justify="left" if name == "test" else "right")
    for one in found:
        ends = written_interval((one.low, one.high))
        figures = ("–",) * 3 if one.problem else (number_text(one.effect), _p_value(one.p, one.p_error), ends)
        table.add_row(Text(shown(one.test, 24)), one.kind, *figures, f"{one.words} of {one.total}")
    return table


def association_words(one: Association) -> Rendered:
    """Return the association of each word, largest first."""
    from rich.columns import Columns
    from rich.console import Group
    from rich.text import Text

    words = sorted(one.by_word.items(), key=lambda item: -item[1])
    listed = [Text(f"{shown(word)} {number_text(value)}") for word, value in words]
    return Group(Text(f"\n{shown(one.test, 60)}", style="bold"), Columns(listed, padding=(0, 3)))


def result_notes(found: Sequence[Association]) -> list[str]:
    """Return what was not possible or not found, and how to read the figures."""
    notes = [
        f"{shown(one.test, 60)}: not possible: {shown(one.problem, 500)}" for one in found if one.problem
    ]
    for one in found:
        unknown = [word for words in one.missing.values() for word in words]
        if unknown:
            notes.append(f"{shown(one.test, 60)}: unknown: {_listed(unknown)}.")
        if one.respelled:
            pairs = [f"{word} as {spelling}" for word, spelling in one.respelled.items()]
            notes.append(
                f"{shown(one.test, 60)}: in another case: {_listed(pairs)}. Is a name an ordinary word here?"
            )
    possible = [one for one in found if not one.problem]
    if any(one.kind != "RND" for one in possible):
        notes.append(
            "Effect of WEAT and SC-WEAT: in standard deviations; positive if the first targets are nearer to the "
            "first attributes."
        )
    if any(one.kind == "RND" for one in possible):
        notes.append(
            "Effect of RND: a difference of distances; positive if the attributes are nearer to the second targets."
        )
    if possible:
        notes.append(
            "p: share of partitions of the words with an effect as far from 0. Interval: samples of the words of "
            "each set; not seeds or texts."
        )
    if len(possible) > 1:
        notes.append(
            f"{len(possible)} tests: for 5 % in all, p must be below {0.05 / len(possible):.2g} (Bonferroni)."
        )
    return notes


def _listed(words: Sequence[str]) -> str:
    names = ", ".join(shown(word, 40) for word in words[:MOST_LISTED])
    return f"{names} and {len(words) - MOST_LISTED} more" if len(words) > MOST_LISTED else names


def _p_value(p: float, error: float = 0.0) -> str:
    """Return p with its standard error, if it is sampled."""
    written = f"{p:.1e}" if p < 0.0005 else f"{p:.3f}"
    return f"{written} ± {error:.3f}" if error >= 0.0005 else written


class Conclusion(NamedTuple):
    """The conclusion from a test with one configuration.

    Parameters
    ----------
    group : Group
        The configuration.
    mean : float
        Mean effect over seeds; NaN if a run lacks it, because too many words are unknown.
    low, high : float
        95 % interval of the mean over seeds (Student's t); NaN for a single seed.
    p : float
        Largest p-value over seeds.
    verdict : str
        One of `ORDER`.
    reason : str
        Of an effect that is not shown: ``seeds``, ``words``, ``documents``, or several; of one that is not computed:
        ``unknown words``.
    """

    group: Group
    mean: float
    low: float
    high: float
    p: float
    verdict: str
    reason: str = ""

    @property
    def outcome(self) -> str:
        """The verdict with its reason."""
        return f"{self.verdict} ({self.reason})" if self.reason else self.verdict

    def written(self, metric: Metric) -> tuple[str, str, str]:
        """Return mean, interval and p as texts; – where unknown."""
        if not math.isfinite(self.mean):
            return ("–",) * 3
        decimals = metric.decimals_for(self.mean)
        ends = written_interval((self.low, self.high), decimals)
        return number_text(self.mean, decimals), ends, _p_value(self.p)


class Conclusions(NamedTuple):
    """The conclusions from a test with all configurations.

    Parameters
    ----------
    metric : Metric
        The effect.
    name : str
        The test.
    conclusions : list of Conclusion
        In the order of the configurations.
    summary : str
        Number of configurations with each verdict, in a sentence.
    keys : list of (str, str)
        Each swept key, and whether it changes the conclusion and the effect.
    """

    metric: Metric
    name: str
    conclusions: list[Conclusion]
    summary: str
    keys: list[tuple[str, str]]


def association_metrics(comparison: Comparison) -> list[Metric]:
    """Return the effects of the association tests of the runs, also of those that were not computed."""
    logged = [name for group in comparison.groups for run in group.runs for name in run.metrics]
    return [metric_of(name) for name in association_names(logged)]


def conclusions_of(comparison: Comparison) -> list[Conclusions]:
    """Return the conclusions from each association test of a sweep."""
    found = []
    for metric in association_metrics(comparison):
        conclusions = [_conclude(group, metric.name) for group in comparison.groups]
        keys = [
            (key, _sentence(comparison, key, metric, conclusions))
            for key in comparison.keys
            if len(comparison.groups) > 1
        ]
        name = shown(metric.name.removeprefix(ASSOCIATION), 60)
        found.append(Conclusions(metric, name, conclusions, _summary(conclusions), keys))
    return found


def print_conclusions(comparison: Comparison, console: Console) -> None:
    """Print a table of the conclusions from each association test, and which keys change them."""
    from rich.table import Table
    from rich.text import Text

    for test in conclusions_of(comparison):
        console.print(Text(f"{test.name}: {test.summary}", style="bold"))
        table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
        for key in comparison.keys:
            table.add_column(Text(shown(key.rpartition(".")[2])), overflow="fold")
        for name in ("effect", "95 % interval", "p", "conclusion"):
            table.add_column(name, justify="left" if name == "conclusion" else "right")
        for conclusion in test.conclusions[:MOST_PRINTED]:
            swept = [Text(shown(conclusion.group.swept.get(key, "–"))) for key in comparison.keys]
            table.add_row(*swept, *conclusion.written(test.metric), conclusion.outcome)
        console.print(table)
        if len(test.conclusions) > MOST_PRINTED:
            console.print(
                Text(f"… and {len(test.conclusions) - MOST_PRINTED} more: see the page.", style="dim")
            )
        for key, sentence in test.keys:
            console.print(Text(f"{shown(key)}: {sentence}", style="dim"))


def _conclude(group: Group, metric: str) -> Conclusion:
    effects = [run.metrics.get(metric, math.nan) for run in group.runs]
    p = max(run.metrics.get(f"p_{metric}", math.nan) for run in group.runs)
    mean = fmean(effects)
    if math.isnan(mean):
        return Conclusion(group, mean, math.nan, math.nan, math.nan, MISSING, "unknown words")
    margin = student_margin(effects, SURE)
    low, high = mean - margin, mean + margin
    if math.isnan(margin):
        return Conclusion(group, mean, low, high, p, FEW_SEEDS)
    ends = [[run.metrics.get(f"{metric}_{end}", math.nan) for run in group.runs] for end in ("low", "high")]
    doubtful = {
        "seeds": low <= 0 <= high,
        "words": not p < LARGEST_P,
        "documents": any(below <= 0 <= above for below, above in zip(*ends, strict=True)),
    }
    reasons = [source for source, is_doubtful in doubtful.items() if is_doubtful]
    verdict = NOT_SHOWN if reasons else POSITIVE if mean > 0 else NEGATIVE
    return Conclusion(group, mean, low, high, p, verdict, ", ".join(reasons))


def _summary(conclusions: Sequence[Conclusion]) -> str:
    counts = Counter(conclusion.verdict for conclusion in conclusions)
    parts = [f"{verdict} in {counts[verdict]}" for verdict in ORDER if counts[verdict]]
    return f"{', '.join(parts)} of {len(conclusions)} configuration{'s' * (len(conclusions) != 1)}."


def _sentence(comparison: Comparison, key: str, metric: Metric, conclusions: Sequence[Conclusion]) -> str:
    """Return in how many settings of the other keys the conclusion changes, and how much the effect does."""
    others = [other for other in comparison.keys if other != key]
    settings: dict[tuple[str, ...], list[str]] = {}
    for conclusion in conclusions:
        if conclusion.verdict in (POSITIVE, NEGATIVE, NOT_SHOWN):
            setting = tuple(conclusion.group.swept.get(other, "") for other in others)
            settings.setdefault(setting, []).append(conclusion.verdict)
    compared = [verdicts for verdicts in settings.values() if len(verdicts) > 1]
    difference = _difference(key_effect(comparison, key, Ranking(metric.name, 1)), metric)
    if not compared:
        return difference
    changed = sum(len(set(verdicts)) > 1 for verdicts in compared)
    where = f"the conclusion changes in {changed} of {len(compared)} settings of the other keys"
    if not others:
        where = "the conclusion changes" if changed else "the conclusion does not change"
    return f"{where}; {difference}"


def _difference(effect: KeyEffect, metric: Metric) -> str:
    """Return the largest difference of the effect from the reference: the largest effect, or the base."""
    if not effect.values:
        return "the effects cannot be compared."
    value = max(effect.values, key=lambda each: abs(each.behind))
    if value.behind == 0:
        return "the effect is the same."
    sign = 1 if value.behind > 0 else -1
    written = written_difference(replace(value, behind=abs(value.behind)), metric)
    verdict = {True: "significant", False: "not significant", None: UNKNOWN}[value.is_significant]
    return (
        f"the effect is {'larger' if sign > 0 else 'smaller'} by {written} with {shown(effect.reference)} than with "
        f"{shown(value.value)} ({verdict})."
    )

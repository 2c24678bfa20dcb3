"""Coverage of bootstrap intervals, on texts from a process whose true values are known.

python scripts/bootstrap_coverage.py               # the tables of docs/intervals.md, eight minutes of one core
python scripts/bootstrap_coverage.py --texts 10

A document draws a point z from a normal distribution, each of its sentences a point nearby, and a word w follows with
p(w | z) ∝ exp(b_w + v_w·z). So tokens of a document are alike, and intervals that treat tokens as independent are too
narrow. The true value is that on a text of a hundred times as many documents.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from w2v_exp.embeddings.replicates import LEVEL, interval
from w2v_exp.embeddings.similarity import directions
from w2v_exp.examples.counted import CountedExamples, CountsRule
from w2v_exp.examples.counts import count_window_pairs
from w2v_exp.examples.resampling import Resampling
from w2v_exp.examples.sampling import TextPart
from w2v_exp.model.softmax import Softmax
from w2v_exp.model.spectral import SpectralInitialization
from w2v_exp.training.optimizers import Adagrad
from w2v_exp.training.schedules import Linear
from w2v_exp.training.trainer import Trainer

WORDS, SUBJECTS, SENTENCE, SENTENCES = 100, 4, 20, 5
WINDOW, DIM, OTHER_DIM, EPOCHS = 5, 8, 3, 16
NEAREST = 5
TOKEN_BLOCK = 10  # of the resampling that ignores documents
# Ranks of frequency: about 380, 160 and 95 occurrences in 200 documents.
BANDS = {"frequent": slice(5, 20), "middle": slice(30, 60), "rare": slice(70, 100)}


class Process:
    """The process that writes documents; its words are the same for every text."""

    def __init__(self, seed: int = 0) -> None:
        generator = np.random.default_rng(seed)
        self._log_shares = -np.log(np.arange(WORDS) + 3.0)
        self._words = generator.standard_normal((WORDS, SUBJECTS))

    @property
    def ratings(self) -> NDArray[np.float64]:
        """The cosines of the words of the process, (V, V): the human ratings of an evaluation set."""
        found = directions(self._words)
        ratings: NDArray[np.float64] = found @ found.T
        return ratings

    def text(self, documents: int, generator: np.random.Generator) -> TextPart:
        """Return a text of documents of 100 tokens."""
        ids = []
        for start in range(0, documents, 1000):
            number = min(1000, documents - start)
            subjects = generator.standard_normal((number, 1, SUBJECTS))
            points = subjects + 0.5 * generator.standard_normal((number, SENTENCES, SUBJECTS))
            scores = self._log_shares + points.reshape(-1, SUBJECTS) @ self._words.T
            shares = np.exp(scores - scores.max(axis=1, keepdims=True))
            ends = np.cumsum(shares / shares.sum(axis=1, keepdims=True), axis=1)
            drawn = generator.random((len(ends), SENTENCE))
            found = [row.searchsorted(numbers) for row, numbers in zip(ends, drawn, strict=True)]
            ids.append(np.minimum(np.concatenate(found), WORDS - 1).astype(np.int32))
        edges = np.arange(documents + 1) * SENTENCE * SENTENCES
        return TextPart(np.concatenate(ids), edges, edges)


def cosines(text: TextPart, dim: int = DIM, epochs: int = EPOCHS) -> NDArray[np.float64]:
    """Return the cosines of all words after training on a text, (V, V); NaN of words that do not occur."""
    counts = count_window_pairs([text.ids], WINDOW, WORDS, segments=text.segments, shrinking=True, threads=1)
    examples = CountedExamples(counts, CountsRule(centre_exponent=0.7, smoothing=10), dtype=np.float32)
    objective = Softmax(embedding_gradient="mean", output_offset="unigram", weight_decay=0.01)
    factors = SpectralInitialization().factorise(counts, dim, np.random.default_rng(0), np.float32)
    trainer = Trainer(
        examples,
        objective.initial_parameters(factors, examples),
        objective=objective,
        optimizer=Adagrad(epsilon=1e-16),
        schedule=Linear(floor=0.1),
        epochs=epochs,
        learning_rate=0.2,
        generator=np.random.default_rng(0),
    )
    trainer.train()
    vectors = directions((trainer.parameters.embedding + trainer.parameters.output).astype(np.float64))
    vectors[np.bincount(text.ids, minlength=WORDS) == 0] = np.nan
    found: NDArray[np.float64] = vectors @ vectors.T
    return found


def nearest(found: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether each word is among the nearest of each other, (V, V)."""
    ordered = np.argsort(np.where(np.eye(WORDS) == 1, np.inf, -np.nan_to_num(found, nan=-9)), axis=1)
    is_near = np.zeros((WORDS, WORDS), bool)
    np.put_along_axis(is_near, ordered[:, :NEAREST], True, axis=1)
    return is_near


def correlation(found: NDArray[np.float64], ratings: NDArray[np.float64]) -> float:
    """Return Spearman's correlation of cosines and ratings, over all pairs of words that occur."""
    pairs = np.triu_indices(WORDS, 1)
    known = np.isfinite(found[pairs])
    of_cosines, of_ratings = (np.argsort(np.argsort(values[pairs][known])) for values in (found, ratings))
    return float(np.corrcoef(of_cosines, of_ratings)[0, 1])


@dataclass
class Coverage:
    """Estimates and intervals of some quantities, from many texts.

    Attributes
    ----------
    truths, estimates, means, lows, highs : list of ndarray, shape (n,)
        Of each text: the values on a very long text, the estimates, and the means and percentiles of their replicates.
    """

    truths: list[NDArray[np.float64]] = field(default_factory=list)
    estimates: list[NDArray[np.float64]] = field(default_factory=list)
    means: list[NDArray[np.float64]] = field(default_factory=list)
    lows: list[NDArray[np.float64]] = field(default_factory=list)
    highs: list[NDArray[np.float64]] = field(default_factory=list)

    def add(
        self, truth: NDArray[np.float64], estimate: NDArray[np.float64], values: NDArray[np.float64]
    ) -> None:
        """Add a text: true values, estimates, and the values of the replicates, (R, n)."""
        low, high = np.array([interval(column) for column in values.T]).T
        known = np.isfinite(estimate) & np.isfinite(low)
        found = (truth, estimate, np.nanmean(values, axis=0), low, high)
        lists = (self.truths, self.estimates, self.means, self.lows, self.highs)
        for kept, array in zip(lists, found, strict=True):
            kept.append(np.where(known, array, np.nan))

    def covered(self, kind: str, *, same_size: bool) -> tuple[float, float]:
        """Return how often intervals contain the true value, and the standard error of this share.

        Parameters
        ----------
        kind : str
            ``percentile``: the percentiles of the replicates; ``centred``: moved so that the mean of the replicates is
            the estimate; ``reflected``: at the estimate (the basic interval of Davison & Hinkley 1997).
        same_size : bool
            Whether the true value is the mean over texts of the same size, or the value on a very long one.
        """
        estimates, means, lows, highs = map(np.array, (self.estimates, self.means, self.lows, self.highs))
        if kind == "centred":
            lows, highs = lows + estimates - means, highs + estimates - means
        elif kind == "reflected":
            lows, highs = 2 * estimates - highs, 2 * estimates - lows
        truth = np.nanmean(estimates, axis=0) if same_size else np.array(self.truths)
        inside = np.where(np.isnan(lows), np.nan, (lows <= truth) & (truth <= highs))
        # Intervals of one text depend on each other, texts do not.
        by_text = np.nanmean(inside, axis=1)
        return float(by_text.mean()), float(by_text.std(ddof=1) / math.sqrt(len(by_text)))

    def row(self, name: str) -> str:
        """Return a row of the table."""
        cells = [
            "{:.0%} ± {:.0%}".format(*self.covered(kind, same_size=same_size))
            if not same_size or not name.startswith(FOUND)
            else "–"
            for same_size in (False, True)
            for kind in KINDS
        ]
        estimates, means = np.array(self.estimates), np.array(self.means)
        width = np.nanmean(np.array(self.highs) - np.array(self.lows))
        bias, shift = np.nanmean(estimates - np.array(self.truths)), np.nanmean(means - estimates)
        return f"| {' | '.join([name, *cells, f'{width:.3f}', f'{bias:+.3f}', f'{shift:+.3f}'])} |"


FOUND = "cosines of the nearest words found"
KINDS = ("percentile", "centred", "reflected")


@dataclass
class Table:
    """The coverage of all quantities, by their names, and the calibration of neighbours' shares.

    Attributes
    ----------
    shares, truths : list of ndarray
        Shares of replicates in which words are near, and whether they truly are.
    """

    by_name: dict[str, Coverage] = field(default_factory=dict)
    shares: list[NDArray[np.float64]] = field(default_factory=list)
    truths: list[NDArray[np.bool_]] = field(default_factory=list)

    def add(
        self,
        name: str,
        truth: NDArray[np.float64],
        estimate: NDArray[np.float64],
        values: NDArray[np.float64],
    ) -> None:
        """Add quantities of a text: see `Coverage`."""
        self.by_name.setdefault(name, Coverage()).add(truth, estimate, values)

    def calibration(self) -> Iterable[str]:
        """Yield a row for each range of shares: how many words have it, and how many of these are truly near."""
        shares, truths = np.concatenate(self.shares), np.concatenate(self.truths)
        for low, high in pairwise([0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.01]):
            chosen = (shares > low if low == 0 else shares >= low) & (shares < high)
            mean = shares[chosen].mean() if chosen.any() else math.nan
            true = truths[chosen].mean() if chosen.any() else math.nan
            yield f"| {low:.0%} to {min(high, 1):.0%} | {chosen.sum():,} | {mean:.0%} | {true:.0%} |"


def coverage(
    texts: int, documents: int = 200, replicates: int = 49, true_documents: int = 20_000, epochs: int = EPOCHS
) -> Table:
    """Return the coverage over texts of a number of documents, each from another seed."""
    process, table = Process(), Table()
    pairs, others = np.triu_indices(WORDS, 1), ~np.eye(WORDS, dtype=bool)

    def score(found: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([correlation(found, process.ratings)])

    with threadpool_limits(1, user_api="blas"):
        long_text = process.text(true_documents, np.random.default_rng(1))
        truth, true_other = (cosines(long_text, dim, epochs) for dim in (DIM, OTHER_DIM))
        near = nearest(truth)
        for number in range(texts):
            text = process.text(documents, np.random.default_rng([2, number]))
            estimate, other = (cosines(text, dim, epochs) for dim in (DIM, OTHER_DIM))
            tokens = np.append(np.arange(0, len(text.ids), TOKEN_BLOCK), len(text.ids))
            assert text.documents is not None
            for units, edges in (("documents", text.documents), ("tens of tokens", tokens)):
                # Other draws for each text: replicates of the same number would have the same weights.
                first, resampling = 1 + number * replicates, Resampling(text, edges)
                samples = [resampling.sample(first + replicate) for replicate in range(replicates)]
                values = np.stack([cosines(sample, DIM, epochs) for sample in samples])
                for band, ranks in BANDS.items():
                    within = np.isin(pairs, np.arange(WORDS)[ranks]).all(axis=0)
                    rows, columns = (side[within] for side in pairs)
                    name = f"cosines of {band} words | {units}"
                    table.add(name, truth[rows, columns], estimate[rows, columns], values[:, rows, columns])
                found = nearest(
                    estimate
                )  # other words for each text, so the mean over texts is none of these
                table.add(f"{FOUND} | {units}", truth[found], estimate[found], values[:, found])
                scores = np.stack([score(one) for one in values])
                table.add(f"correlation with ratings | {units}", score(truth), score(estimate), scores)
                if units == "documents":
                    table.shares.append(np.mean([nearest(one) for one in values], axis=0)[others])
                    table.truths.append(near[others])
                    others_scores = np.stack([score(cosines(one, OTHER_DIM, epochs)) for one in samples])
                    table.add(
                        f"its difference from dim={OTHER_DIM} | {units}",
                        score(truth) - score(true_other),
                        score(estimate) - score(other),
                        scores - others_scores,
                    )
    return table


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--texts", type=int, default=100)
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--replicates", type=int, default=49)
    options = parser.parse_args()
    table = coverage(options.texts, options.documents, options.replicates)
    print(
        f"Coverage of {LEVEL:.0%} intervals: of the value on a long text, and of the mean over texts of the size"
    )
    headings = ["quantity", "resampled", *KINDS, *KINDS, "width", "estimate − truth", "replicates − estimate"]
    print(f"| {' | '.join(headings)} |\n|{' --- |' * len(headings)}")
    for name, found in table.by_name.items():
        print(found.row(name))
    print("\n| share of the replicates | words | mean share | truly near |\n| --- | --- | --- | --- |")
    print("\n".join(table.calibration()))


if __name__ == "__main__":
    main()

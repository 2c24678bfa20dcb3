"""The full softmax whose normalizer is exact over frequent contexts and sampled over rare ones.

The scores of V centres with C contexts form four blocks, of frequent and rare centres and contexts. Frequent ones, H of
each, take part in all scores. The scores of rare centres with rare contexts are most of the matrix, but a few percent
of the normalizers: they are sampled, by contexts for the gradients of the embedding and by centres for those of the
output weights. An epoch takes V·(H + m)·dim operations instead of V·C·dim, with m sampled words.

Samples have inclusion probabilities π and weights 1/π (Horvitz & Thompson 1952), so normalizers, their gradients and
sums over centres are unbiased. The logarithm of a normalizer has a bias of half of its relative variance: .0003 in the
mean over the words of 100 MB of Wikipedia, at the default sizes (docs/log/sampled.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.errors import SettingError, ShortRepr, check_whole
from w2v_exp.examples.batch import Batch, Prior, SparseCounts
from w2v_exp.examples.batches import TrainingExamples, TrainingOptions
from w2v_exp.examples.counted import NO_ORDER, CountedExamples, CountsRule, gather, row_ends
from w2v_exp.examples.counts import PairCounts
from w2v_exp.examples.sampling import inclusion_probabilities, systematic_sample
from w2v_exp.examples.statistics import BatchMemory, BatchShape, EpochShape, ExamplesMemory, PairStatistics
from w2v_exp.machine import Work
from w2v_exp.model.parameters import Parameters
from w2v_exp.model.softmax import Softmax, Step, Workspace

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Slices after each of which the output weights of rare contexts are updated once. With 8 instead of 4, analogies of
# 30,000 words lose a point in 10 epochs; with 1, updates of all output weights take a third of the time.
SLICES_OF_ROUND = 4


@dataclass(frozen=True, repr=False)
class Round(ShortRepr):
    """Centres with their labels, in slices.

    Parameters
    ----------
    centres : ndarray of int32, shape (K,)
        By rising id within each slice.
    labels : csr_array, shape (K, C)
        The share of each context in a centre's labels; a row and its `prior_shares` sum to 1.
    pairs : float
        Number of pairs of these centres, or the sum of their weights.
    all_pairs : float
        Of all centres: the divisor of a mean gradient.
    centre_weights : ndarray of float64, shape (K,)
        Weight of each centre in the gradients.
    prior_shares : ndarray of float64, shape (K,)
        Share of the unigram distribution in a centre's labels.
    size : int
        Centres of a slice.
    """

    centres: NDArray[np.int32]
    labels: csr_array
    pairs: float
    all_pairs: float
    centre_weights: NDArray[np.float64]
    prior_shares: NDArray[np.float64]
    size: int

    @property
    def shares(self) -> NDArray[np.float64]:
        """Share of each centre in the mean gradient, (K,)."""
        shares: NDArray[np.float64] = self.centre_weights / self.all_pairs
        return shares

    def part(self, start: int, stop: int) -> Round:
        """Return some consecutive centres as a round."""
        rows = slice(start, stop)
        return Round(
            self.centres[rows],
            self.labels[rows],
            self.pairs,
            self.all_pairs,
            self.centre_weights[rows],
            self.prior_shares[rows],
            self.size,
        )


class RoundExamples(CountedExamples):
    """Counted pairs as rounds of slices.

    Parameters
    ----------
    counts, rule, order
        As for `CountedExamples`.
    dtype : dtype
        Of the labels and the unigram distribution; that of the parameters.
    """

    def __init__(
        self,
        counts: PairCounts,
        rule: CountsRule | None = None,
        *,
        order: str = "shuffled",
        dtype: DTypeLike = np.float64,
    ) -> None:
        super().__init__(counts, rule, order=order, dtype=dtype)
        smoothed = self._labels_by_centre + self.rule.smoothing
        self._prior_shares = np.divide(
            self.rule.smoothing, smoothed, out=np.zeros_like(smoothed), where=smoothed > 0
        )
        shares = self._damped.astype(dtype, copy=self._damped is counts.counts)
        shares /= np.repeat(smoothed.astype(dtype), np.diff(counts.starts))
        self._damped = shares

    @property
    def distribution(self) -> NDArray[Any]:
        """The unigram distribution of contexts, (C,)."""
        return self._distribution

    @property
    def centre_weights(self) -> NDArray[np.float64]:
        """The weight of each centre in the gradients, (V,)."""
        weights: NDArray[np.float64] = self._centre_weights
        return weights

    @staticmethod
    def memory(
        statistics: PairStatistics, rule: CountsRule, *, order: str, dtype: DTypeLike = np.float64
    ) -> ExamplesMemory:
        """Return the memory of the examples of a text, counting included."""
        counted = CountedExamples.memory(statistics, rule, order=order, dtype=dtype)
        distinct, label = int(statistics.distinct_by_centre.sum()), 4 + np.dtype(dtype).itemsize
        size = np.dtype(dtype).itemsize * distinct
        resident = PairCounts.memory(distinct, statistics.centre_words) + size
        damped = 0 if np.dtype(dtype) == np.float32 else 4 * distinct
        all_centres = max(1, int(np.count_nonzero(statistics.distinct_by_centre)))
        centres = min(rule.centres * SLICES_OF_ROUND, all_centres)
        entries = round(distinct * centres / all_centres)
        batch = BatchMemory(
            centres=min(rule.centres, centres),
            labels=label * entries,
            temporary=3 * label * entries,  # by slice, of rare contexts, and transposed
            next_batch=2 * label * entries,
        )
        return ExamplesMemory(resident, max(counted.peak_build, resident + size + damped), batch)

    @staticmethod
    def epoch(statistics: PairStatistics, rule: CountsRule, options: TrainingOptions) -> EpochShape:
        """Return the size of an epoch of the examples of a text."""
        slices, batch, building = CountedExamples.epoch(statistics, rule, options)
        steps = -(-slices // SLICES_OF_ROUND)
        times = slices / steps
        shape = BatchShape(batch.centres * times, batch.pairs * times, batch.cells * times)
        return EpochShape(steps, shape, building * times)

    @property
    def batches_per_epoch(self) -> int:
        """Number of rounds of an epoch."""
        return -(-super().batches_per_epoch // SLICES_OF_ROUND)

    def batches(self, generator: np.random.Generator) -> Iterator[Any]:
        """Return the rounds of one epoch; the generator decides a random order."""
        slices = list(self.slices(generator))
        return (
            self._round(np.concatenate(slices[start : start + SLICES_OF_ROUND]))
            for start in range(0, len(slices), SLICES_OF_ROUND)
        )

    def _round(self, centres: NDArray[np.int32]) -> Round:
        from scipy.sparse import csr_array

        entries = row_ends(self._pairs.starts, centres)
        lengths = [entry.stop - entry.start for entry in entries]
        labels = csr_array(
            (
                gather(self._damped, entries),
                gather(self._pairs.contexts, entries),
                np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32),
            ),
            shape=(len(centres), self.vocabulary_size),
        )
        labels.has_sorted_indices = True
        return Round(
            centres,
            labels,
            float(self._pairs_by_centre[centres].sum()),
            self.pairs_per_epoch,
            self._centre_weights[centres],
            self._prior_shares[centres],
            self.rule.centres,
        )


STRONG_SHARE = 0.002  # of the labels of a centre: 2 to 4 % of the pairs with 30,000 to 220,000 words
FREQUENT_WORDS = 6144
SAMPLED_WORDS = 1536


@dataclass(frozen=True)
class SampledSoftmax(Softmax):
    """The softmax over all words, with sampled normalizers, for pair counts of large vocabularies.

    Parameters
    ----------
    update, embedding_gradient, epsilon, output_offset, weight_decay
        As for `Softmax`; only ``update=accumulate``, ``epsilon=0`` and a fixed offset are supported.
    frequent_words : int
        H: the most frequent words, which take part in all scores, as contexts and as centres.
    sampled_words : int
        Of the rarer ones, the expected number of contexts in each sample, and of centres in those of an epoch.
    """

    frequent_words: int = FREQUENT_WORDS
    sampled_words: int = SAMPLED_WORDS

    cost_metric: ClassVar[str] = "objective_cost"
    samples_centres: ClassVar[bool] = True
    counted_examples: ClassVar[type[CountedExamples]] = RoundExamples

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(self, "frequent_words", "sampled_words", at_least=1)

    def check(self, options: TrainingOptions) -> None:
        """Raise `SettingError` for options that need all scores, or another order of the updates."""
        if type(options.labels) is not CountsRule:
            raise SettingError(
                "objective",
                options.option("objective"),
                "requires labels=counts. Use objective=softmax or negative_sampling with other labels.",
            )
        if not options.optimizer.rows_are_independent:
            raise SettingError(
                "optimizer",
                options.option("optimizer"),
                f"moves all rows at each step, and objective={options.option('objective')} updates some of them. Use "
                "optimizer=adagrad or sgd.",
            )
        for key, supported in (
            ("update", ("accumulate",)),
            ("epsilon", (0.0,)),
            ("output_offset", ("none", "unigram")),
        ):
            value = getattr(self, key)
            if value not in supported:
                names = " or ".join(map(str, supported))
                raise SettingError(
                    f"objective.{key}", value, f"requires objective=softmax. Use objective.{key}={names}."
                )

    def bind(  # type: ignore[override]
        self,
        examples: TrainingExamples,
        word_counts: NDArray[np.int64] | None = None,
        generator: np.random.Generator | None = None,
    ) -> SamplingSoftmax:
        """Return the objective with the inclusion probabilities of a text."""
        assert isinstance(examples, RoundExamples)
        return SamplingSoftmax(self, examples, generator or np.random.default_rng(0))

    def scores_memory(self, batch: BatchMemory, vocabulary_size: int, dim: int, dtype: DTypeLike) -> int:
        """Return the bytes of a slice's scores, and of the rows that they are computed from."""
        columns = min(vocabulary_size, self.frequent_words + self.sampled_words)
        return (batch.centres + 1) * columns * np.dtype(dtype).itemsize

    def step_work(self, batch: BatchShape, vocabulary_size: int, dim: int) -> Work:
        """Return the operations of a round."""
        columns = min(vocabulary_size, self.frequent_words + self.sampled_words)
        rare = max(0, vocabulary_size - self.frequent_words)
        rows = batch.centres * min(1.0, columns / vocabulary_size)
        scores, rare_scores = batch.centres * columns, rows * rare
        return Work(
            products=6.0 * scores * dim + 4.0 * rare_scores * dim,
            exponentials=scores + rare_scores,
            passed=2.0 * (scores + rare_scores) + 2.0 * batch.cells * dim * (rare > 0),
            gathered=6.0 * batch.cells,
            calls=300,
        )


class Columns(NamedTuple):
    """The contexts of a slice's scores: frequent ones, then sampled ones.

    Parameters
    ----------
    output : ndarray, shape (H + m, dim)
        Their output weights.
    offset : ndarray, shape (H + m,)
        Added to their scores: the offset, and log 1/π.
    distribution : ndarray, shape (H + m,)
        Their shares of the pairs; 0 for sampled ones.
    rare_weights : ndarray, shape (C − H,)
        1/π of each rare context that is sampled, 0 for the others.
    """

    output: NDArray[Any]
    offset: NDArray[Any]
    distribution: NDArray[Any]
    rare_weights: NDArray[Any]


@dataclass(frozen=True, repr=False)
class RarePairs(ShortRepr):
    """Pairs of a round's centres with rare contexts, at the parameters before the round.

    Strong pairs have more than `STRONG_SHARE` of their centre's labels, so they may have a large part of its
    normalizer. In a sample they would appear rarely, with a large weight, and the logarithm of the normalizer would be
    far too small in between: training diverges. So all of them are scored, and replaced in samples: a weight 1/π
    becomes 1.

    Parameters
    ----------
    labels : csr_array, shape (K, C − H)
        The shares of labels.
    strong : ndarray of int, shape (n,)
        Positions of the strong pairs among the entries of `labels`.
    rows, contexts : ndarray of int, shape (n,)
        Their centres, by number in the round and rising, and their contexts, from 0.
    scores : ndarray, shape (n,)
        Their scores, offset included.
    prior : ndarray, shape (dim,)
        The sum of the output weights of all rare contexts, weighted by their shares of all pairs.
    prior_offset : float
        The same of their offsets.
    """

    labels: csr_array
    strong: NDArray[np.intp]
    rows: NDArray[np.intp]
    contexts: NDArray[np.int32]
    scores: NDArray[Any]
    prior: NDArray[Any]
    prior_offset: float

    def part(self, start: int, stop: int) -> RarePairs:
        """Return the pairs of some consecutive centres."""
        some = slice(*self.rows.searchsorted([start, stop]).tolist())
        return RarePairs(
            self.labels[start:stop],
            self.strong[some] - self.labels.indptr[start],
            self.rows[some] - start,
            self.contexts[some],
            self.scores[some],
            self.prior,
            self.prior_offset,
        )

    def without(self, probabilities: NDArray[Any]) -> csr_array:
        """Return the label shares, less a probability at each strong pair."""
        labels = self.labels.copy()
        labels.data[self.strong] -= probabilities
        return labels


class CentreSample(NamedTuple):
    """Centres of a round for the gradients of rare contexts.

    Parameters
    ----------
    hidden : ndarray, shape (k, dim)
        The embeddings of frequent and sampled centres.
    shift : ndarray, shape (k,)
        Log of their weights in the gradient, less log normalizers.
    labels : csr_array, shape (C − H, K)
        Weighted labels of all centres of the round, less what strong pairs have in the gradient beyond their part in
        the sample.
    all_hidden : ndarray, shape (K, dim)
        The embeddings of all centres.
    prior : ndarray, shape (dim,)
        The sum of all embeddings, weighted by their shares of the prior.
    share : float
        Of the round in the mean gradient.
    """

    hidden: NDArray[Any]
    shift: NDArray[Any]
    labels: csr_array
    all_hidden: NDArray[Any]
    prior: NDArray[Any]
    share: float


class SamplingSoftmax:
    """The sampled softmax of a text: draws samples, and returns cost and gradients.

    The cost is that of the labels of training, smoothed, damped and weighted, with sampled normalizers.

    Parameters
    ----------
    rule : SampledSoftmax
        The settings.
    examples : RoundExamples
        Of the text.
    generator : numpy.random.Generator
        Draws the samples.
    """

    def __init__(self, rule: SampledSoftmax, examples: RoundExamples, generator: np.random.Generator) -> None:
        self.rule = rule
        self.frequent = min(rule.frequent_words, examples.vocabulary_size)
        shares, weights = examples.context_shares, examples.centre_weights
        # A rare context's part of a normalizer varies with its vector as well as with its share.
        self.context_probabilities = inclusion_probabilities(
            np.sqrt(shares[self.frequent :]), rule.sampled_words
        )
        self.centre_probabilities = (weights > 0).astype(np.float64)
        self.centre_probabilities[self.frequent :] = inclusion_probabilities(
            weights[self.frequent :], rule.sampled_words
        )
        self._distribution = examples.distribution
        offset = rule.initial_offset(shares, self._distribution.dtype)
        self._offset = np.zeros_like(self._distribution) if offset is None else offset
        self._generator = generator
        self._softmax = Softmax(embedding_gradient=rule.embedding_gradient)

    def initial_parameters(
        self, drawn: Parameters, examples: TrainingExamples, *, of_words: bool = False
    ) -> Parameters:
        """Return drawn parameters with the offset."""
        return self.rule.initial_parameters(drawn, examples)

    def probabilities(self, parameters: Parameters, centres: NDArray[Any]) -> NDArray[Any]:
        """Return p(context | centre) of every word, (len(centres), C)."""
        return self.rule.probabilities(parameters, centres)

    def exact_cost(self, parameters: Parameters, counts: PairCounts) -> float:
        """Return the mean negative log-likelihood of pairs, with exact normalizers, in nats a pair."""
        return self.rule.exact_cost(parameters, counts)

    def to_word_vectors(self, parameters: Parameters) -> Parameters:
        """Return the parameters unchanged: their output vectors are of words."""
        return parameters

    def step(self, parameters: Parameters, batch: Batch, workspace: Workspace | None = None) -> Step:
        """Return cost and gradients of a batch with all scores: those of `Softmax`."""
        return self.rule.step(parameters, batch, workspace)

    def draw_contexts(self, output: NDArray[Any], start: float | None = None) -> Columns:
        """Return the frequent contexts and a sample of the rare ones.

        Parameters
        ----------
        output : ndarray, shape (C, dim)
            The output weights.
        start : float, optional
            As for `systematic_sample`; None: drawn.
        """
        start = self._generator.random() if start is None else start
        sample, frequent, dtype = (
            systematic_sample(self.context_probabilities, start),
            self.frequent,
            output.dtype,
        )
        chosen = frequent + sample.chosen
        offset = np.concatenate([self._offset[:frequent], self._offset[chosen] + np.log(sample.weights)])
        distribution = np.concatenate([self._distribution[:frequent], np.zeros(len(chosen))])
        rare_weights = np.zeros(len(output) - frequent, dtype)
        rare_weights[sample.chosen] = sample.weights
        return Columns(
            np.concatenate([output[:frequent], output[chosen]]),
            offset.astype(dtype),
            distribution.astype(dtype),
            rare_weights,
        )

    def rare_pairs(self, batch: Round, hidden: NDArray[Any], output: NDArray[Any]) -> RarePairs:
        """Return the pairs of a round's centres with rare contexts.

        Parameters
        ----------
        batch : Round
            The round.
        hidden : ndarray, shape (K, dim)
            Embeddings of its centres.
        output : ndarray, shape (C, dim)
            The output weights.
        """
        frequent = self.frequent
        labels, rare, offset = batch.labels[:, frequent:], output[frequent:], self._offset[frequent:]
        strong = np.flatnonzero(labels.data > STRONG_SHARE)
        rows = labels.indptr.searchsorted(strong, "right") - 1
        contexts = labels.indices[strong]
        scores = np.einsum("nd,nd->n", hidden[rows], rare[contexts])
        scores += offset[contexts]
        shares = self._distribution[frequent:]
        return RarePairs(labels, strong, rows, contexts, scores, shares @ rare, float(shares @ offset))

    def centre_step(
        self,
        parameters: Parameters,
        columns: Columns,
        part: Round,
        rare: RarePairs,
        workspace: Workspace | None = None,
    ) -> Step:
        """Return cost and gradients of some centres; parameters stay unchanged.

        The gradient by the output weights is that of the frequent contexts, (H, dim).
        """
        frequent, width = self.frequent, len(columns.offset)
        labels = part.labels[:, :frequent]
        rows = np.repeat(np.arange(len(part.centres)), np.diff(labels.indptr))
        shares = labels.data.astype(np.float64)
        has_prior = bool(part.prior_shares.any())
        batch = Batch(
            centres=part.centres,
            rows=part.centres,
            weights=part.centre_weights,
            labels=SparseCounts(
                rows * width + labels.indices, rows, shares * part.centre_weights[rows], shares, NO_ORDER
            ),
            pairs=part.pairs,
            all_pairs=part.all_pairs,
            centre_weights=part.centre_weights,
            prior=Prior(part.prior_shares, columns.distribution) if has_prior else None,
        )
        # What strong pairs have in the normalizer beyond their part in the sample.
        beyond = np.exp(rare.scores) * (1 - columns.rare_weights[rare.contexts])
        terms = np.bincount(rare.rows, beyond, len(part.centres)).astype(beyond.dtype)
        chosen = Parameters(parameters.embedding, columns.output, columns.offset)
        step = self._softmax.step(chosen, batch, workspace, frequent, terms)
        assert step.log_normalizer is not None
        hidden, output = parameters.embedding[part.centres], parameters.output
        weights = part.shares if self.rule.embedding_gradient == "mean" else part.centre_weights
        probabilities = beyond * np.exp(-step.log_normalizer)[rare.rows]
        missing = rare.without(probabilities) @ output[frequent:]
        cost = step.cost - float(part.centre_weights @ np.einsum("kd,kd->k", hidden, missing))
        cost -= float(part.centre_weights @ (rare.labels @ self._offset[frequent:]))
        of_strong = rare.scores - self._offset[frequent:][rare.contexts]
        cost -= float((part.centre_weights[rare.rows] * probabilities) @ of_strong)
        if has_prior:
            # The frequent contexts' part of the prior is in the step's gradient, but not in its cost.
            mean = columns.distribution[:frequent] @ columns.output[:frequent] + rare.prior
            offset = float(columns.distribution[:frequent] @ columns.offset[:frequent]) + rare.prior_offset
            cost -= float((part.centre_weights * part.prior_shares) @ (hidden @ mean + offset))
            missing += np.outer(part.prior_shares, rare.prior)
        gradient = step.embedding_gradient
        gradient -= weights[:, None] * missing
        if self.rule.weight_decay:
            gradient += self.rule.weight_decay * weights[:, None] * hidden
            decay = self.rule.weight_decay * float(part.shares.sum()) / len(output)
            step.output_gradient[...] += decay * columns.output[:frequent]
        return step._replace(cost=cost)

    def draw_centres(
        self,
        batch: Round,
        hidden: NDArray[Any],
        rare: RarePairs,
        log_normalizers: NDArray[Any],
        start: float | None = None,
    ) -> CentreSample:
        """Return the frequent centres of a round, and a sample of the others.

        Parameters
        ----------
        batch : Round
            The round.
        hidden : ndarray, shape (K, dim)
            Embeddings of its centres, at which the normalizers were computed.
        rare : RarePairs
            Of the round.
        log_normalizers : ndarray, shape (K,)
            Of its centres.
        start : float, optional
            As for `systematic_sample`; None: drawn.
        """
        start = self._generator.random() if start is None else start
        sample = systematic_sample(self.centre_probabilities[batch.centres], start)
        weights = batch.shares
        shift = np.log(weights[sample.chosen] * sample.weights) - log_normalizers[sample.chosen]
        beyond = np.ones(len(batch.centres))
        beyond[sample.chosen] -= sample.weights
        probabilities = np.exp(rare.scores - log_normalizers[rare.rows]) * beyond[rare.rows]
        labels = rare.without(probabilities)
        labels.data *= np.repeat(weights, np.diff(labels.indptr)).astype(labels.dtype)
        return CentreSample(
            hidden[sample.chosen],
            shift.astype(hidden.dtype),
            labels.T.tocsr(),
            hidden,
            ((weights * batch.prior_shares) @ hidden).astype(hidden.dtype),
            float(weights.sum()),
        )

    def rare_gradient(self, output: NDArray[Any], rows: slice, sample: CentreSample) -> NDArray[Any]:
        """Return the gradient by the output weights of some rare contexts, (n, dim).

        Parameters
        ----------
        output : ndarray, shape (C, dim)
            All output weights.
        rows : slice
            Of the contexts, from H.
        sample : CentreSample
            Of a round.
        """
        scores = output[rows] @ sample.hidden.T
        scores += sample.shift
        np.exp(scores, out=scores)
        gradient: NDArray[Any] = scores @ sample.hidden
        gradient *= np.exp(self._offset[rows])[:, None]
        gradient -= sample.labels[rows.start - self.frequent : rows.stop - self.frequent] @ sample.all_hidden
        gradient -= np.outer(self._distribution[rows], sample.prior)
        if self.rule.weight_decay:
            gradient += (self.rule.weight_decay * sample.share / len(output)) * output[rows]
        return gradient

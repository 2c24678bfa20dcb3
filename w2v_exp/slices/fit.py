"""The vectors of words in the slices of a text, with their changes and bands, from a trained model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v_exp.embeddings.similarity import directions
from w2v_exp.machine import Work
from w2v_exp.model.parameters import Parameters
from w2v_exp.slices.change import (
    Change,
    false_discovery_rates,
    permutation_p,
    permuted_labels,
    score_statistics,
)
from w2v_exp.slices.embeddings import Bands, SliceEmbeddings
from w2v_exp.slices.grouping import SliceRule, Slices, require_tokens
from w2v_exp.slices.moments import ContextSums, Moments
from w2v_exp.slices.solver import CONTEXTS_AT_ONCE, MEMORY, SCORES_AT_ONCE, FrozenSoftmax, solve
from w2v_exp.text.encoding import EncodedText

WORDS_AT_ONCE = 128
WHOLE_SMOOTHING = 100.0  # pseudo-pairs of a word in the whole text, with contexts as their frequencies
FEWEST_DOCUMENTS = 2  # of a slice, for bands; and of all slices on average, for the test
COMPANIONS = 3  # nearest words of a chosen word in its first and in its last slice, which get bands as well
MOST_CHANGED = 8  # words that are chosen because they changed most
GRADIENTS = 26  # of a problem; test and bands take as long as 8 of them
QUANTILES = (0.025, 0.975)


def memory(tokens: int, words: int, dim: int, slices: int) -> int:
    """Return the peak bytes of a fit."""
    upper = dim * (dim + 1) // 2
    text = 36 * tokens + 24 * words * dim + 8 * slices * words
    products = 4 * CONTEXTS_AT_ONCE * upper + 8 * WORDS_AT_ONCE * dim * dim * 4
    problems = 8 * WORDS_AT_ONCE * slices * dim * (2 * MEMORY + 12)
    return text + products + problems + 6 * max(8 * words, 8 * SCORES_AT_ONCE)


def work(embeddings: int, words: int, dim: int) -> Work:
    """Return the operations of a fit: of each embedding the gradients, and a share of its word's Hessian."""
    gradients = GRADIENTS * embeddings
    return Work(
        products=float(gradients) * 4 * words * dim + embeddings * words * dim * dim / 4,
        exponentials=float(gradients) * words,
        passed=float(gradients) * 4 * words,
    )


class _Fitted(NamedTuple):
    """Some words: their vectors, and the parts of the test of change.

    Parameters
    ----------
    words : ndarray of int, shape (w,)
        Ids.
    moments : Moments
        Of these words in the documents that are in a slice.
    pooled, means : ndarray of float64, shape (w, dim)
        Vectors for all slices together, and mean output vectors under the model.
    log_normalizers : ndarray of float64, shape (w,)
        Of the model there.
    inverses : ndarray of float64, shape (w, dim, dim)
        Inverses of the Hessians there.
    """

    words: NDArray[np.intp]
    moments: Moments
    pooled: NDArray[np.float64]
    means: NDArray[np.float64]
    log_normalizers: NDArray[np.float64]
    inverses: NDArray[np.float64]


class SliceFit:
    """Computes the embeddings of slices.

    Parameters
    ----------
    text : EncodedText
        With the names of its documents.
    slices : Slices
        Of the documents.
    parameters : Parameters
        The trained model: its output weights and offset are frozen, its embedding is where the search begins.
    rule : SliceRule
        Settings.
    window : int
        Contexts on each side of a word, as in training.
    shrinking : bool
        Whether near contexts weigh more.
    seed : int
        Of permutations and bootstrap.

    Raises
    ------
    CorpusError
        If all words of a slice are rare.
    """

    def __init__(
        self,
        text: EncodedText,
        slices: Slices,
        parameters: Parameters,
        rule: SliceRule,
        *,
        window: int,
        shrinking: bool,
        seed: int,
    ) -> None:
        self._text, self._slices, self._rule = text, slices, rule
        self._number = len(slices.labels)
        self._softmax = FrozenSoftmax(parameters.output, parameters.offset)
        self._unigram = self._softmax.expect(np.zeros((1, self._softmax.dim)))
        self._starts = parameters.embedding
        self._tokens = slices.count_words(text.ids, text.documents, len(text.vocabulary))
        most = self._tokens[:, : len(self._starts)].max(axis=1)
        require_tokens(slices, self._tokens.sum(axis=1), most, rule.min_tokens)
        self._sums = ContextSums(
            text.ids,
            text.documents,
            text.segments,
            window=window,
            shrinking=shrinking,
            output=parameters.output,
        )
        self._generators = np.random.default_rng(seed).spawn(2)

    @property
    def is_frequent(self) -> NDArray[np.bool_]:
        """Whether each word that has an embedding is not rare in each slice, (S, V)."""
        return self._tokens[:, : len(self._starts)] >= self._rule.min_tokens

    def embeddings(self, probes: Sequence[str] = ()) -> SliceEmbeddings:
        """Return the vectors of all words that are not rare in every slice.

        Parameters
        ----------
        probes : sequence of str
            Words whose similarities have bands, if the rule names none.
        """
        frequent = self.is_frequent
        words = np.flatnonzero(frequent.any(axis=0))
        is_tested = (frequent.sum(axis=0) >= 2)[words] & self._can_be_tested
        labels = permuted_labels(self._slices.of_documents, self._rule.permutations, self._generators[0])
        pooled = np.empty((len(words), self._softmax.dim), np.float32)
        change = Change.none(len(words))
        rows = np.full(frequent.shape, -1, np.int32)[:, words]
        vectors: list[NDArray[np.float32]] = []
        found = 0
        for place, part in self._parts(words):
            pooled[place : place + len(part.words)] = part.pooled
            slices, of_part, solved = self._solve(part)
            rows[slices, place + of_part] = found + np.arange(len(solved))
            found += len(solved)
            vectors.append(solved.astype(np.float32))
            for number in np.flatnonzero(is_tested[place : place + len(part.words)]).tolist():
                self._test(part, number, labels, change, place + number)
        change.q[is_tested] = false_discovery_rates(change.p[is_tested])
        result = SliceEmbeddings(
            words=tuple(self._text.vocabulary.words[word] for word in words.tolist()),
            slices=tuple(self._slices.labels),
            documents=np.bincount(
                self._slices.of_documents[self._slices.of_documents >= 0], minlength=self._number
            ),
            sizes=self._tokens.sum(axis=1),
            tokens=self._tokens[:, words].astype(np.int32),
            pooled=pooled,
            rows=rows,
            vectors=np.concatenate(vectors),
            change=change,
            bands=Bands.none(self._number),
        )
        return result.with_bands(self._bands(result, words, self._chosen(result, probes)))

    @property
    def _can_be_tested(self) -> bool:
        """Whether there are enough documents to permute: two a slice, on average."""
        used = int((self._slices.of_documents >= 0).sum())
        return self._rule.permutations > 0 and used >= FEWEST_DOCUMENTS * self._number

    def _parts(self, words: NDArray[np.intp]) -> Iterator[tuple[int, _Fitted]]:
        """Yield some words at a time with their vectors for all slices together, and the place of the first."""
        softmax, ridge = self._softmax, self._rule.ridge
        unigram = self._unigram.mean[0]
        first_inverse = self._inverses(np.zeros((1, softmax.dim)))
        for start in range(0, len(words), WORDS_AT_ONCE):
            part = words[start : start + WORDS_AT_ONCE]
            moments = self._sums.of(part)
            inside = self._slices.of_documents[moments.documents] >= 0
            moments = moments.chosen(inside)
            moments = moments._replace(words=np.searchsorted(part, moments.words))
            pairs, sums = moments.added(moments.words, len(part))
            targets = (sums + WHOLE_SMOOTHING * unigram) / (pairs + WHOLE_SMOOTHING)[:, None]
            starts = self._starts[part].astype(np.float64)
            owners = np.zeros(len(part), np.intp)
            pooled = solve(softmax, targets, starts, first_inverse, owners, ridge=ridge)
            there = softmax.expect(pooled)
            yield (
                start,
                _Fitted(part, moments, pooled, there.mean, there.log_normalizer, self._inverses(pooled)),
            )

    def _inverses(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the inverse Hessian at each vector, (k, dim, dim)."""
        covariances = self._softmax.covariances(vectors)
        return np.asarray(
            np.linalg.inv(covariances + self._rule.ridge * np.eye(self._softmax.dim)), np.float64
        )

    def _solve(self, part: _Fitted) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
        """Return slice, place in the part, and vector of each word in each slice where it is not rare."""
        moments, number, smoothing = part.moments, self._number, self._rule.smoothing
        groups = moments.words * number + self._slices.of_documents[moments.documents]
        pairs, sums = moments.added(groups, len(part.words) * number)
        chosen = np.flatnonzero(self.is_frequent[:, part.words].T.ravel())
        owners, slices = np.divmod(chosen, number)
        targets = sums[chosen] + smoothing * part.means[owners]
        targets /= (pairs[chosen] + smoothing)[:, None]
        anchors = part.pooled[owners]
        solved = solve(
            self._softmax, targets, anchors, part.inverses, owners, ridge=self._rule.ridge, anchors=anchors
        )
        return slices, owners, solved

    def _test(
        self, part: _Fitted, number: int, labels: NDArray[np.int32], change: Change, place: int
    ) -> None:
        """Set the result of the test of word `number` of a part, at a place of `change`."""
        moments, vector = part.moments, part.pooled[number]
        rows = slice(*np.searchsorted(moments.words, [number, number + 1]).tolist())
        pairs, sums = moments.pairs[rows], moments.sums[rows]
        statistics = score_statistics(
            (sums - pairs[:, None] * part.means[number]) @ np.linalg.cholesky(part.inverses[number]),
            pairs,
            labels[:, moments.documents[rows]],
            self._number,
            self._rule.smoothing,
        )
        change.effect[place] = (statistics[0] - statistics[1:].mean()) / (2 * pairs.sum())
        gain = part.log_normalizers[number] - self._unigram.log_normalizer[0]
        change.explained[place] = sums.sum(axis=0) @ vector / pairs.sum() - gain
        change.p[place] = permutation_p(statistics)

    def _chosen(self, result: SliceEmbeddings, probes: Sequence[str]) -> NDArray[np.intp]:
        """Return the indices of pairs of words that get bands, (pairs, 2).

        These are all pairs of the rule's words, or of the probe words; and each of them, and of the words that changed
        most, with its nearest words in its first and last slice.
        """
        given = [result.ids[word] for word in self._rule.words or probes if word in result.ids]
        words = given
        if self._rule.words is None:
            changed = [result.ids[each.word] for each in result.changed()]
            words = [*given, *changed[:MOST_CHANGED]]
        pairs = {(min(i, j), max(i, j)) for i in given for j in given if i != j}
        for i in words:
            places = np.flatnonzero(result.rows[:, i] >= 0)
            for place in {places[0], places[-1]}:
                pairs |= {(min(i, j), max(i, j)) for j, _ in result.nearest(i, int(place), COMPANIONS)}
        return np.array(sorted(pairs), np.intp).reshape(-1, 2)

    def _bands(self, result: SliceEmbeddings, words: NDArray[np.intp], pairs: NDArray[np.intp]) -> Bands:
        """Return percentile intervals of the cosines of pairs of words, by bootstrap over the documents of a slice.

        A replicate draws the documents of the slice with replacement; the output weights stay frozen. Its vectors are
        one Newton step from those of the slice, which agrees with solving the problem again to 3 % in the standard
        error (docs/log/change.md).
        """
        replicates, number = self._rule.replicates, self._number
        low, high = np.full((len(pairs), number), np.nan), np.full((len(pairs), number), np.nan)
        if not (replicates and len(pairs)):
            return Bands(pairs, low, high)
        chosen = np.unique(pairs)
        parts = list(self._parts(words[chosen]))
        for slice_number in range(number):
            documents = np.flatnonzero(self._slices.of_documents == slice_number)
            if len(documents) < FEWEST_DOCUMENTS:
                continue
            even = np.full(len(documents), 1 / len(documents))
            weights = self._generators[1].multinomial(len(documents), even, replicates).astype(np.float64)
            drawn: dict[int, NDArray[np.float64]] = {}
            for place, part in parts:
                at = result.rows[slice_number, chosen[place : place + len(part.words)]]
                frequent = np.flatnonzero(at >= 0)
                vectors = result.vectors[at[frequent]].astype(np.float64)
                for i, vector, inverse in zip(
                    frequent.tolist(), vectors, self._inverses(vectors), strict=True
                ):
                    rows = slice(*np.searchsorted(part.moments.words, [i, i + 1]).tolist())
                    steps = self._bootstrap(part, i, rows, documents, weights) @ inverse
                    drawn[int(chosen[place + i])] = directions(vector + steps)
            for row, (i, j) in enumerate(pairs.tolist()):
                if i in drawn and j in drawn:
                    cosines = np.vecdot(drawn[i], drawn[j])
                    low[row, slice_number], high[row, slice_number] = np.quantile(cosines, QUANTILES)
        return Bands(pairs, low, high)

    def _bootstrap(
        self,
        part: _Fitted,
        number: int,
        rows: slice,
        documents: NDArray[np.intp],
        weights: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return the target of each replicate minus that of the slice itself, (replicates, dim)."""
        moments, smoothing = part.moments, self._rule.smoothing
        of_rows = moments.documents[rows]
        inside = np.flatnonzero(self._slices.of_documents[of_rows] == self._slices.of_documents[documents[0]])
        pairs, sums = moments.pairs[rows][inside], moments.sums[rows][inside]
        drawn = np.vstack([np.ones(len(documents)), weights])[:, np.searchsorted(documents, of_rows[inside])]
        targets: NDArray[np.float64] = drawn @ sums + smoothing * part.means[number]
        targets /= (drawn @ pairs + smoothing)[:, None]
        differences: NDArray[np.float64] = targets[1:] - targets[0]
        return differences

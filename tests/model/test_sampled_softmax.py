"""The sampled softmax: its gradients are those of the softmax, exactly or in expectation over the samples."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2v_exp.errors import SettingError
from w2v_exp.examples.counted import CountedExamples, CountsRule
from w2v_exp.examples.counts import PairCounts
from w2v_exp.examples.held_out import sample_centres
from w2v_exp.examples.sampling import inclusion_probabilities, systematic_sample
from w2v_exp.model import sampled_softmax
from w2v_exp.model.parameters import Parameters
from w2v_exp.model.sampled_softmax import RoundExamples, SampledSoftmax
from w2v_exp.model.softmax import Softmax, centre_costs, exact_cost
from w2v_exp.training.optimizers import Adagrad
from w2v_exp.training.trainer import Trainer

WORDS, DIM = 14, 3


def pair_counts(rows=WORDS, columns=WORDS, seed=0):
    generator = np.random.default_rng(seed)
    counts = (generator.random((rows, columns)) < 0.6) * generator.integers(1, 9, (rows, columns))
    counts[:, 0] += 1  # so that every centre has a pair
    starts = np.concatenate([[0], np.cumsum((counts > 0).sum(axis=1))])
    contexts = np.nonzero(counts)[1].astype(np.int32)
    return PairCounts(starts, contexts, counts[counts > 0].astype(np.float32), columns)


class Case:
    """A round of all centres, and the step of the exact softmax on the same centres."""

    def __init__(
        self,
        frequent=5,
        sampled=3,
        centres=WORDS,
        *,
        rows=WORDS,
        smoothing=2.0,
        count_exponent=0.8,
        **settings,
    ):
        counts = pair_counts(rows)
        rule = CountsRule(
            centres=centres, smoothing=smoothing, centre_exponent=0.7, count_exponent=count_exponent
        )
        exact = Softmax(**settings)
        self.examples = RoundExamples(counts, rule, order="corpus")
        self.objective = SampledSoftmax(frequent_words=frequent, sampled_words=sampled, **settings).bind(
            self.examples
        )
        generator = np.random.default_rng(1)
        drawn = Parameters(generator.standard_normal((rows, DIM)), generator.standard_normal((WORDS, DIM)))
        self.parameters = self.objective.initial_parameters(drawn, self.examples)
        (self.round,) = self.examples.batches(generator)
        whole = CountedExamples(counts, replace(rule, centres=WORDS), order="corpus")
        (batch,) = whole.batches(generator)
        self.exact = exact.step(self.parameters, batch)
        self.hidden = self.parameters.embedding[self.round.centres]
        self.rare = self.objective.rare_pairs(self.round, self.hidden, self.parameters.output)

    @property
    def rare_rows(self):
        return slice(self.objective.frequent, WORDS)

    def centre_step(self, start=0.0):
        columns = self.objective.draw_contexts(self.parameters.output, start)
        return self.objective.centre_step(self.parameters, columns, self.round, self.rare)

    def rare_gradient(self, start=0.0):
        sample = self.objective.draw_centres(
            self.round, self.hidden, self.rare, self.exact.log_normalizer, start
        )
        return self.objective.rare_gradient(self.parameters.output, self.rare_rows, sample)


def expectation(probabilities, function):
    """Return the mean over all samples: they change where a cumulated probability passes a whole number."""
    edges = np.unique(np.concatenate([[0, 1], 1 - np.cumsum(probabilities) % 1]))
    widths = np.diff(edges)
    return sum(
        width * function((before + after) / 2)
        for width, before, after in zip(widths, edges, edges[1:], strict=False)
        if width > 1e-12
    )


SETTINGS = [
    {},
    {"output_offset": "unigram", "weight_decay": 0.1, "embedding_gradient": "mean"},
    {"smoothing": 0.0, "output_offset": "unigram"},
    {"rows": 9, "output_offset": "unigram", "weight_decay": 0.1},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("frequent", [3, WORDS])
def test_gradients_are_the_exact_ones_if_every_word_is_in_the_sample(settings, frequent):
    case = Case(frequent=frequent, sampled=WORDS, **settings)
    step = case.centre_step()
    assert step.embedding_gradient == pytest.approx(case.exact.embedding_gradient, abs=1e-12)
    assert step.output_gradient == pytest.approx(case.exact.output_gradient[:frequent], abs=1e-12)
    assert step.log_normalizer == pytest.approx(case.exact.log_normalizer, abs=1e-12)
    if frequent < WORDS:
        assert case.rare_gradient() == pytest.approx(case.exact.output_gradient[frequent:], abs=1e-12)


@pytest.mark.parametrize("strong", [0.0, 0.05, 1.0])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_normalizers_and_their_gradients_are_unbiased(settings, strong, monkeypatch):
    monkeypatch.setattr(sampled_softmax, "STRONG_SHARE", strong)
    case = Case(**settings)
    exact = np.exp(case.exact.log_normalizer)
    weights = case.round.centre_weights if "embedding_gradient" not in settings else case.round.shares

    def positives():
        """The part of the embedding's gradient that no sample changes."""
        labels = case.round.labels.toarray() + np.outer(case.round.prior_shares, case.examples.context_shares)
        decay = settings.get("weight_decay", 0.0) * case.hidden
        return weights[:, None] * (decay - labels @ case.parameters.output)

    def normalizer_and_gradient(start):
        step = case.centre_step(start)
        normalizer = np.exp(step.log_normalizer)[:, None]
        return np.hstack([normalizer, (step.embedding_gradient - positives()) * normalizer])

    mean = expectation(case.objective.context_probabilities, normalizer_and_gradient)
    negatives = (case.exact.embedding_gradient - positives()) * exact[:, None]
    assert mean[:, 0] == pytest.approx(exact, rel=1e-10)
    assert mean[:, 1:] == pytest.approx(negatives, abs=1e-10 * np.abs(negatives).max())


@pytest.mark.parametrize("strong", [0.0, 0.05, 1.0])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_the_gradients_of_rare_contexts_are_unbiased(settings, strong, monkeypatch):
    monkeypatch.setattr(sampled_softmax, "STRONG_SHARE", strong)
    case = Case(sampled=2, **settings)
    probabilities = case.objective.centre_probabilities[case.round.centres]
    assert expectation(probabilities, case.rare_gradient) == pytest.approx(
        case.exact.output_gradient[case.rare_rows], abs=1e-10
    )


def test_the_bias_of_log_normalizers_falls_with_the_size_of_samples():
    def bias(sampled):
        case = Case(sampled=sampled)
        mean = expectation(
            case.objective.context_probabilities, lambda start: case.centre_step(start).log_normalizer
        )
        return np.abs(mean - case.exact.log_normalizer).max()

    few, more = bias(2), bias(6)
    assert few > 3 * more > 0


def test_the_cost_is_that_of_the_gradients():
    case = Case(sampled=WORDS, output_offset="unigram")
    step, gradient = case.centre_step(), np.empty((WORDS, DIM))

    def cost(row, column, change):
        embedding = case.parameters.embedding.copy()
        embedding[row, column] += change
        parameters = Parameters(embedding, case.parameters.output, case.parameters.offset)
        rare = case.objective.rare_pairs(case.round, embedding[case.round.centres], parameters.output)
        columns = case.objective.draw_contexts(parameters.output, 0.0)
        return case.objective.centre_step(parameters, columns, case.round, rare).cost

    for row, column in np.ndindex(gradient.shape):
        gradient[row, column] = (cost(row, column, 1e-5) - cost(row, column, -1e-5)) / 2e-5
    order = np.argsort(case.round.centres)
    assert gradient == pytest.approx(step.embedding_gradient[order], abs=1e-5)


def trained(threads=1, epochs=3, objective=None, state=None):
    counts = pair_counts(60, 60)
    examples = (objective or SampledSoftmax).counted_examples(
        counts, CountsRule(centres=7, smoothing=1.0), dtype=np.float64
    )
    generator = np.random.default_rng(0)
    drawn = Parameters(generator.standard_normal((60, DIM)), generator.standard_normal((60, DIM)))
    rule = objective() if objective else SampledSoftmax(frequent_words=20, sampled_words=10)
    bound = rule.bind(examples, None, generator)
    trainer = Trainer(
        examples,
        bound.initial_parameters(drawn, examples),
        objective=bound,
        optimizer=Adagrad(),
        epochs=epochs,
        learning_rate=0.1,
        generator=generator,
        threads=threads,
    )
    trainer.train()
    return trainer


def test_training_is_the_same_each_time_and_with_threads():
    once, again, threads = trained(), trained(), trained(threads=2)
    assert once.parameters.output.tobytes() == again.parameters.output.tobytes()
    assert threads.parameters.output == pytest.approx(once.parameters.output, abs=1e-9)
    assert threads.parameters.embedding == pytest.approx(once.parameters.embedding, abs=1e-9)


def test_a_round_updates_every_output_vector():
    before, after = trained(epochs=0), trained(epochs=1)
    moved = np.abs(after.parameters.output - before.parameters.output).min(axis=1)
    assert (moved > 0).all()


# ---------------------------------------------------------------- samples

sizes_of_words = st.lists(st.integers(0, 10**6), min_size=1, max_size=60).filter(lambda sizes: sum(sizes) > 1)


@given(sizes_of_words, st.integers(1, 60))
def test_inclusion_probabilities_are_proportional_to_sizes(sizes, number):
    sizes = np.array(sizes, float)
    probabilities = inclusion_probabilities(sizes, number)
    assert (probabilities <= 1).all() and (probabilities[sizes == 0] == 0).all()
    assert probabilities.sum() == pytest.approx(min(number, np.count_nonzero(sizes)))
    free = probabilities < 1
    ratios = probabilities[free] / np.where(sizes > 0, sizes, 1)[free]
    assert ratios[sizes[free] > 0] == pytest.approx(ratios.max(initial=0), rel=1e-9)
    assert (sizes[probabilities == 1] >= sizes[free].max(initial=0)).all()


@given(sizes_of_words, st.integers(1, 60))
def test_a_systematic_sample_has_these_inclusion_probabilities(sizes, number):
    probabilities = inclusion_probabilities(np.array(sizes, float), number)

    def chosen(start):
        sample = systematic_sample(probabilities, start)
        assert abs(len(sample.chosen) - probabilities.sum()) < 1 + 1e-9
        return np.bincount(sample.chosen, minlength=len(sizes))

    assert expectation(probabilities, chosen) == pytest.approx(probabilities, abs=1e-9)


def test_the_cost_of_a_sample_of_centres_is_that_of_all_pairs():
    counts = pair_counts(WORDS, WORDS)
    generator = np.random.default_rng(0)
    parameters = Parameters(generator.standard_normal((WORDS, DIM)), generator.standard_normal((WORDS, DIM)))
    everything = sample_centres(counts, WORDS, generator)
    assert everything.share == 1
    assert exact_cost(parameters, everything.counts) == pytest.approx(exact_cost(parameters, counts))
    assert everything.standard_error(centre_costs(parameters, everything.counts)) == 0

    class Start:
        def __init__(self, start):
            self.random = lambda: start

    def summed(start):
        sample = sample_centres(counts, 5, Start(start))
        costs = centre_costs(parameters, sample.counts)
        return np.array([costs.sum(), sample.counts.total, sample.standard_error(costs)])

    cost, pairs, error = expectation(inclusion_probabilities(counts.by_centre(), 5), summed)
    assert cost == pytest.approx(centre_costs(parameters, counts).sum(), rel=1e-10)
    assert pairs == pytest.approx(counts.total, rel=1e-10)
    assert 0 < error < 0.5


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize("settings", [{"frequent_words": 0}, {"sampled_words": 0}, {"sampled_words": 1.5}])
def test_sizes_are_checked(settings):
    with pytest.raises(SettingError, match=next(iter(settings))):
        SampledSoftmax(**settings)

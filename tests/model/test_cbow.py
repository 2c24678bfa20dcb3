"""Cbow: bags as inputs, with every label encoding and objective; by the definition, and by finite differences."""

from itertools import product

import numpy as np
import pytest

from w2v_exp.errors import SettingError
from w2v_exp.examples.cbow import CbowContexts, CbowExamples, StreamedCbow
from w2v_exp.examples.sampling import TextSampler
from w2v_exp.examples.streamed import StreamRule
from w2v_exp.model.hierarchical_softmax import HierarchicalSoftmax
from w2v_exp.model.negative_sampling import NegativeSampling, NoiseDistribution, SampledObjective
from w2v_exp.model.parameters import Parameters
from w2v_exp.model.softmax import Softmax
from w2v_exp.training.optimizers import Adagrad
from w2v_exp.training.trainer import Trainer

V, DIM, WINDOW, DIFFERENCE = 9, 3, 2, 1e-5
IDS = np.minimum(np.random.default_rng(0).geometric(0.25, 40) - 1, V - 1).astype(np.int32)
SEGMENTS = np.array([0, 7, 8, 25, 40])  # one of a single word, which has no bag
BAGS = CbowContexts.of(TextSampler(IDS, WINDOW, np.random.default_rng(0), segments=SEGMENTS).whole())
OBJECTIVES = {
    "softmax": lambda examples: Softmax(embedding_gradient="mean"),
    "offset": lambda examples: Softmax(embedding_gradient="mean", output_offset="unigram"),
    "hierarchical": lambda examples: HierarchicalSoftmax("mean").bind(examples),
    "sampled": lambda examples: SampledObjective(
        NegativeSampling(sharing="all"),
        NoiseDistribution(np.bincount(IDS, minlength=V)),
        np.random.default_rng(0),
    ),
}


def examples_of(labels, *, mean=True, batch_size=1000, order="corpus"):
    if labels == "streamed":
        return StreamedCbow(
            IDS,
            WINDOW,
            V,
            StreamRule(block=6),
            mean=mean,
            segments=SEGMENTS,
            batch_size=batch_size,
            order=order,
        )
    return CbowExamples(BAGS, V, mean=mean, labels=labels, batch_size=batch_size, order=order)


def random_parameters(objective="softmax", seed=0):
    generator = np.random.default_rng([seed, 1])
    embedding, output = generator.standard_normal((2, V, DIM))
    output = output[: V - 1] if objective == "hierarchical" else output
    offset = np.log(np.arange(1, V + 1) / 45) if objective == "offset" else None
    return Parameters(embedding, output, offset)


def full_step(objective, labels, mean, parameters):
    examples = examples_of(labels, mean=mean)
    (batch,) = examples.batches(np.random.default_rng(0))
    step = OBJECTIVES[objective](examples).step(parameters, batch)
    scale = batch.pairs if objective == "sampled" else 1  # its gradients are those of the summed cost
    gradient = np.zeros_like(parameters.embedding)
    gradient[batch.rows] = step.embedding_gradient / scale
    return step.cost / batch.pairs, gradient, step.output_gradient / scale


@pytest.mark.parametrize(("labels", "mean"), [*product(("dense", "sparse", "streamed"), (True, False))])
def test_the_cost_is_that_of_each_word_given_those_around_it(labels, mean):
    parameters = random_parameters()
    costs = []
    for segment in np.split(IDS, SEGMENTS[1:-1]):
        for place, word in enumerate(segment):
            around = [*segment[max(0, place - WINDOW) : place], *segment[place + 1 : place + 1 + WINDOW]]
            if around:
                hidden = parameters.embedding[around].sum(axis=0) / (len(around) if mean else 1)
                scores = parameters.output @ hidden
                costs.append(np.logaddexp.reduce(scores) - scores[word])
    cost, _, _ = full_step("softmax", labels, mean, parameters)
    assert len(costs) == len(BAGS) == 39
    assert cost == pytest.approx(np.mean(costs), abs=1e-12)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("mean", [True, False])
def test_gradients_are_differences_of_the_mean_cost(objective, mean):
    parameters = random_parameters(objective)
    _, *gradients = full_step(objective, "sparse", mean, parameters)
    for name, gradient in zip(("embedding", "output"), gradients, strict=True):
        for place in np.ndindex(*gradient.shape):
            costs = []
            for sign in (1, -1):
                moved = Parameters(parameters.embedding.copy(), parameters.output.copy(), parameters.offset)
                getattr(moved, name)[place] += sign * DIFFERENCE
                costs.append(full_step(objective, "sparse", mean, moved)[0])
            assert gradient[place] == pytest.approx((costs[0] - costs[1]) / (2 * DIFFERENCE), abs=1e-8)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("mean", [True, False])
def test_every_encoding_trains_the_same_model(objective, mean):
    trained = []
    for labels in ("dense", "sparse", "streamed"):
        examples, parameters = examples_of(labels, mean=mean, batch_size=11), random_parameters(objective)
        trainer = Trainer(
            examples,
            parameters,
            objective=OBJECTIVES[objective](examples),
            optimizer=Adagrad(),
            epochs=5,
            learning_rate=0.05,
        )
        trainer.train()
        trained.append(parameters)
    for parameters in trained[1:]:
        np.testing.assert_allclose(parameters.embedding, trained[0].embedding, rtol=0, atol=1e-10)
        np.testing.assert_allclose(parameters.output, trained[0].output, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("labels", "order"), [*product(("sparse", "streamed"), ("corpus", "blocks", "shuffled"))]
)
def test_every_bag_comes_once_an_epoch(labels, order):
    examples = examples_of(labels, batch_size=4, order=order)
    assert examples.pairs_per_epoch == len(BAGS)
    found = np.zeros((V, V))
    for batch in examples.batches(np.random.default_rng(3)):
        counts = np.zeros((len(batch.centres), V))
        batch.labels.subtract_from(counts)
        shares = np.zeros((len(batch.centres), V))
        shares[:, batch.rows] = batch.context_matrix.toarray()
        found -= counts.T @ shares
    expected = np.zeros((V, V))
    np.add.at(expected, BAGS.targets, BAGS.matrix(V, mean=True).toarray())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("labels", ["sparse", "streamed"])
def test_labels_are_distributed_as_the_words_in_the_middle(labels):
    shares = examples_of(labels).context_shares
    assert shares.sum() == pytest.approx(1)
    counts = np.bincount(BAGS.targets, minlength=V)
    np.testing.assert_allclose(shares, counts / counts.sum())


def test_a_mean_of_one_word_is_its_embedding():
    ids = np.array([2, 5], np.int32)
    bags = CbowContexts.of(TextSampler(ids, 3, np.random.default_rng(0)).whole())
    (batch,) = CbowExamples(bags, V).batches(np.random.default_rng(0))
    parameters = random_parameters()
    np.testing.assert_array_equal(batch.hidden(parameters.embedding), parameters.embedding[[5, 2]])


def test_an_encoding_that_does_not_exist_is_refused():
    with pytest.raises(SettingError, match="labels"):
        CbowExamples(BAGS, V, labels="counts")

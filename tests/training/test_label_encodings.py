"""All label encodings train the same model, whatever else is chosen."""

import numpy as np
import pytest

from w2v_exp.examples.batch import LABELS
from w2v_exp.examples.batches import ORDERS, Examples
from w2v_exp.examples.pairs import window_pairs
from w2v_exp.examples.streamed import StreamedExamples, StreamRule
from w2v_exp.model.parameters import ArticleInitialization
from w2v_exp.model.softmax import EMBEDDING_GRADIENTS, UPDATES, Softmax
from w2v_exp.training.optimizers import OPTIMIZERS
from w2v_exp.training.schedules import StepDecay
from w2v_exp.training.trainer import Trainer

TEXT = np.random.default_rng(5).zipf(1.5, 60).clip(max=12).astype(np.int32) - 1  # frequent and rare words
PAIRS = window_pairs(TEXT, 3, 13)  # the last word is in no pair


def train(labels, order, optimizer, batch_size=37, dtype=np.float64, epochs=4, **objective):
    parameters = ArticleInitialization(scale=0.3)(13, 5, np.random.default_rng(1), dtype)
    trainer = Trainer(
        Examples(PAIRS, labels=labels, batch_size=batch_size, order=order, dtype=dtype),
        parameters,
        objective=Softmax(**objective),
        optimizer=OPTIMIZERS[optimizer](),
        schedule=StepDecay(),
        epochs=epochs,
        learning_rate=0.05,
        generator=np.random.default_rng(2),
    )
    return trainer.train(), parameters


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("embedding_gradient", EMBEDDING_GRADIENTS)
def test_dense_and_sparse_labels_give_the_same_parameters(order, optimizer, update, embedding_gradient):
    choice = {"update": update, "embedding_gradient": embedding_gradient, "epsilon": 0.001}
    dense_records, dense = train("dense", order, optimizer, **choice)
    sparse_records, sparse = train("sparse", order, optimizer, **choice)
    np.testing.assert_allclose(dense.embedding, sparse.embedding, rtol=0, atol=1e-12)
    np.testing.assert_allclose(dense.output, sparse.output, rtol=0, atol=1e-12)
    for of_dense, of_sparse in zip(dense_records, sparse_records, strict=True):
        assert of_dense.cost == pytest.approx(of_sparse.cost, abs=1e-12)
        assert of_dense.article_cost == pytest.approx(of_sparse.article_cost, abs=1e-11)
    assert dense_records[-1].cost < dense_records[0].cost


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("batch_size", [1, len(PAIRS), 10_000])
def test_they_do_so_for_single_pairs_and_for_one_full_batch(optimizer, update, batch_size):
    choice = {"update": update, "batch_size": batch_size, "epochs": 2 if batch_size == 1 else 30}
    _, dense = train("dense", "corpus", optimizer, **choice)
    _, sparse = train("sparse", "corpus", optimizer, **choice)
    np.testing.assert_allclose(dense.embedding, sparse.embedding, rtol=0, atol=1e-12)
    np.testing.assert_allclose(dense.output, sparse.output, rtol=0, atol=1e-12)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("update", UPDATES)
def test_streamed_pairs_give_the_same_parameters_to_the_byte(optimizer, update):
    trained = []
    for examples in (
        Examples(PAIRS, batch_size=37),
        StreamedExamples(TEXT, 3, 13, StreamRule(block=10), batch_size=37),
    ):
        parameters = ArticleInitialization(scale=0.3)(13, 5, np.random.default_rng(1))
        trainer = Trainer(
            examples, parameters, objective=Softmax(update), optimizer=OPTIMIZERS[optimizer](), epochs=4
        )
        trained.append(
            (trainer.train()[-1].cost, parameters.embedding.tobytes(), parameters.output.tobytes())
        )
    assert trained[0] == trained[1]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("labels", LABELS)
def test_a_float32_run_stays_float32_and_near_the_float64_one(labels, optimizer):
    records, parameters = train(labels, "corpus", optimizer, dtype=np.float32, epsilon=0.001)
    exact_records, exact = train(labels, "corpus", optimizer, epsilon=0.001)
    assert parameters.embedding.dtype == parameters.output.dtype == np.float32
    assert records[-1].cost == pytest.approx(exact_records[-1].cost, rel=1e-4)
    np.testing.assert_allclose(parameters.embedding, exact.embedding, rtol=0, atol=2e-3)


@pytest.mark.parametrize("labels", LABELS)
def test_gradients_and_what_an_optimizer_remembers_are_float32_too(labels):
    seen = set()

    class Watched(OPTIMIZERS["adam"]):
        def update(self, matrix, state, rows, gradient, learning_rate):
            seen.update(array.dtype for array in (matrix, gradient, state["mean"], state["variance"]))
            super().update(matrix, state, rows, gradient, learning_rate)

    for update in UPDATES:
        for embedding_gradient in EMBEDDING_GRADIENTS:
            for epsilon in (0.0, 0.001):
                Trainer(
                    Examples(PAIRS, labels=labels, batch_size=37, order="corpus", dtype=np.float32),
                    ArticleInitialization()(13, 5, np.random.default_rng(1), np.float32),
                    objective=Softmax(update, embedding_gradient, epsilon),
                    optimizer=Watched(),
                    epochs=2,
                ).train()
    assert seen == {np.dtype(np.float32)}

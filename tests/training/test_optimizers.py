"""Optimizers, against the textbook versions that know nothing of rows without gradient."""

import numpy as np
import pytest

from w2v_exp.errors import SettingError
from w2v_exp.training.optimizers import (
    ALL_ROWS,
    OPTIMIZERS,
    Adagrad,
    Adam,
    GradientDescent,
    LazyAdam,
    LazyMomentum,
    Momentum,
)

ROWS, COLUMNS, STEPS = 9, 4, 25


def textbook_sgd(matrix, gradients, rates):
    for gradient, rate in zip(gradients, rates, strict=True):
        matrix -= rate * gradient


def textbook_momentum(matrix, gradients, rates, momentum=0.9):
    velocity = np.zeros_like(matrix)
    for gradient, rate in zip(gradients, rates, strict=True):
        velocity = momentum * velocity + gradient
        matrix -= rate * velocity


def textbook_adagrad(matrix, gradients, rates, epsilon=1e-8):
    squares = np.zeros_like(matrix)
    for gradient, rate in zip(gradients, rates, strict=True):
        squares += gradient**2
        matrix -= rate * gradient / (np.sqrt(squares) + epsilon)


def textbook_adam(matrix, gradients, rates, beta1=0.9, beta2=0.999, epsilon=1e-8):
    mean, variance = np.zeros_like(matrix), np.zeros_like(matrix)
    for t, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        mean = beta1 * mean + (1 - beta1) * gradient
        variance = beta2 * variance + (1 - beta2) * gradient**2
        corrected_mean = mean / (1 - beta1**t)
        corrected_variance = variance / (1 - beta2**t)
        matrix -= rate * corrected_mean / (np.sqrt(corrected_variance) + epsilon)


TEXTBOOK = [
    (GradientDescent(), textbook_sgd, {}),
    (Momentum(), textbook_momentum, {}),
    (Momentum(momentum=0.5), textbook_momentum, {"momentum": 0.5}),
    (Momentum(momentum=0), textbook_sgd, {}),
    (Adagrad(), textbook_adagrad, {}),
    (Adagrad(epsilon=0.1), textbook_adagrad, {"epsilon": 0.1}),
    (Adam(), textbook_adam, {}),
    (
        Adam(beta1=0.8, beta2=0.7, epsilon=0.01),
        textbook_adam,
        {"beta1": 0.8, "beta2": 0.7, "epsilon": 0.01},
    ),
    (Adam(beta1=0, beta2=0), textbook_adam, {"beta1": 0, "beta2": 0}),
]


def random_steps(seed=0, rows_at_most=ROWS - 1):
    """Return, for every step, some rows, their gradients and a rate; the last row never has a gradient."""
    generator = np.random.default_rng(seed)
    steps = []
    for step in range(STEPS):
        rows = generator.choice(ROWS - 1, generator.integers(1, rows_at_most), replace=False)
        gradient = generator.standard_normal((len(rows), COLUMNS)) * 10.0 ** generator.integers(-3, 2)
        steps.append((np.sort(rows).astype(np.int32), gradient, 0.1 / (1 + step)))
    return steps


def start(dtype=np.float64):
    return np.random.default_rng(99).standard_normal((ROWS, COLUMNS)).astype(dtype)


def run(optimizer, steps, dtype=np.float64):
    matrix = start(dtype)
    state = optimizer.initial_state(matrix)
    for rows, gradient, rate in steps:
        optimizer.update(matrix, state, rows, gradient.astype(dtype), rate)
    return matrix, state


def as_dense(steps):
    dense = []
    for rows, gradient, _ in steps:
        everywhere = np.zeros((ROWS, COLUMNS))
        everywhere[rows] = gradient
        dense.append(everywhere)
    return dense


@pytest.mark.parametrize(
    ("optimizer", "textbook", "settings"), TEXTBOOK, ids=[repr(optimizer) for optimizer, _, _ in TEXTBOOK]
)
def test_an_optimizer_is_the_dense_textbook_one(optimizer, textbook, settings):
    steps = random_steps()
    expected = start()
    textbook(expected, as_dense(steps), [rate for *_, rate in steps], **settings)
    matrix, _ = run(optimizer, steps)
    np.testing.assert_allclose(matrix, expected, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(matrix[-1], start()[-1])  # a row that never had a gradient


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_gradient_for_all_rows_may_be_given_without_naming_them(name):
    """The trainer does so for the output weights, and where a batch has every word as a centre."""
    optimizer = OPTIMIZERS[name]()
    generator = np.random.default_rng(1)
    gradients = generator.standard_normal((STEPS, ROWS, COLUMNS))
    named, _ = run(optimizer, [(np.arange(ROWS), gradient, 0.1) for gradient in gradients])
    unnamed, _ = run(optimizer, [(ALL_ROWS, gradient, 0.1) for gradient in gradients])
    np.testing.assert_allclose(unnamed, named, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_rows_named_and_all_rows_may_alternate(name):
    """As batches with and without every word do. The textbook sees no difference."""
    optimizer = OPTIMIZERS[name]()
    steps = random_steps()
    mixed = list(steps)
    for number in range(0, STEPS, 2):
        gradient = np.random.default_rng(number).standard_normal((ROWS, COLUMNS))
        steps[number] = (np.arange(ROWS), gradient, 0.1)
        mixed[number] = (ALL_ROWS, gradient, 0.1)
    np.testing.assert_allclose(run(optimizer, mixed)[0], run(optimizer, steps)[0], rtol=0, atol=1e-13)


def test_momentum_and_adam_move_rows_on_after_their_last_gradient():
    for optimizer in (Momentum(), Adam()):
        first = (np.array([0, 3]), np.ones((2, COLUMNS)), 0.1)
        later = (np.array([5]), np.ones((1, COLUMNS)), 0.1)
        before, _ = run(optimizer, [first])
        after, _ = run(optimizer, [first, later])
        moved = np.flatnonzero((before != after).any(axis=1))
        assert moved.tolist() == [0, 3, 5]


@pytest.mark.parametrize(("lazy", "eager"), [(LazyMomentum(), Momentum()), (LazyAdam(), Adam())], ids=repr)
def test_a_lazy_optimizer_differs_exactly_in_the_rows_without_gradient(lazy, eager):
    generator = np.random.default_rng(2)
    always, sometimes, never = [0, 1, 2], [3, 4], [5, 6, 7, 8]
    steps = []
    for step in range(10):
        rows = np.array(always + (sometimes if step in (0, 6) else []))
        steps.append((rows, generator.standard_normal((len(rows), COLUMNS)), 0.1))
    lazily, _ = run(lazy, steps)
    eagerly, _ = run(eager, steps)
    np.testing.assert_array_equal(lazily[always], eagerly[always])
    np.testing.assert_array_equal(lazily[never], start()[never])
    assert (np.abs(lazily[sometimes] - eagerly[sometimes]) > 1e-3).all()


@pytest.mark.parametrize(("lazy", "eager"), [(LazyMomentum(), Momentum()), (LazyAdam(), Adam())], ids=repr)
def test_a_lazy_optimizer_leaves_a_row_and_its_memory_alone_between_gradients(lazy, eager):
    row = (np.array([4]), np.ones((1, COLUMNS)), 0.1)
    other = (np.array([0]), np.ones((1, COLUMNS)), 0.1)
    before, state_before = run(lazy, [row])
    after, state_after = run(lazy, [row, other, other])
    np.testing.assert_array_equal(after[4], before[4])
    for name, memory in state_before.items():
        if memory.ndim:
            np.testing.assert_array_equal(state_after[name][4], memory[4])
    assert (run(eager, [row, other, other])[0][4] != before[4]).all()


@pytest.mark.parametrize(("lazy", "eager"), [(LazyMomentum(), Momentum()), (LazyAdam(), Adam())], ids=repr)
def test_a_lazy_optimizer_is_the_eager_one_where_every_row_has_a_gradient(lazy, eager):
    gradients = np.random.default_rng(3).standard_normal((10, ROWS, COLUMNS))
    for rows in (np.arange(ROWS), ALL_ROWS):
        steps = [(rows, gradient, 0.1) for gradient in gradients]
        np.testing.assert_array_equal(run(lazy, steps)[0], run(eager, steps)[0])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_float32_stays_float32(name):
    optimizer = OPTIMIZERS[name]()
    steps = random_steps()
    matrix, state = run(optimizer, steps, np.float32)
    assert matrix.dtype == np.float32
    assert all(memory.dtype == np.float32 for memory in state.values() if memory.ndim)
    exact, _ = run(optimizer, steps)
    np.testing.assert_allclose(matrix, exact, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_matrix_of_zero_gradients_stays(name):
    steps = [(np.arange(ROWS), np.zeros((ROWS, COLUMNS)), 0.1)] * 3
    np.testing.assert_array_equal(run(OPTIMIZERS[name](), steps)[0], start())


@pytest.mark.parametrize(
    ("optimizer", "setting", "value"),
    [
        (Momentum, "momentum", 1.0),
        (Momentum, "momentum", -0.1),
        (LazyMomentum, "momentum", 2),
        (Adagrad, "epsilon", 0),
        (Adam, "beta1", 1),
        (Adam, "beta2", -1),
        (Adam, "epsilon", 0.0),
        (LazyAdam, "beta2", float("nan")),
    ],
)
def test_settings_out_of_range_are_refused(optimizer, setting, value):
    with pytest.raises(SettingError, match=f"^{setting}={value}: must be a number"):
        optimizer(**{setting: value})


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_has_the_number_of_state_matrices_that_it_declares(name):
    matrix = np.zeros((40, 25))
    state = OPTIMIZERS[name]().initial_state(matrix)
    assert sum(array.nbytes for array in state.values()) // matrix.nbytes == OPTIMIZERS[name].state_matrices

"""The cost of counted pairs, written out over the whole table, and the gradients of a step beside its differences."""

import numpy as np
import pytest


def table_of(counts):
    table = np.zeros((counts.rows, counts.vocabulary_size))
    centres, contexts, values = counts.distinct()
    table[centres, contexts] = values
    return table


def descended_cost(parameters, table, rule, weight_decay=0.0):
    """The cost whose gradient a step of smoothed and weighted counts returns."""
    n = table.sum(axis=1)
    damped = np.where(table > 0, table**rule.count_exponent, 0)
    target = damped + rule.smoothing * table.sum(axis=0) / table.sum()
    target /= np.maximum(target.sum(axis=1, keepdims=True), 1e-300)
    weights = np.where(n > 0, n**rule.centre_exponent, 0)
    weights /= weights.sum()
    scores = parameters.embedding @ parameters.output.T
    if parameters.offset is not None:
        scores = scores + parameters.offset
    log_p = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    penalty = (parameters.embedding**2).sum(axis=1) + (parameters.output**2).sum() / len(parameters.output)
    return -(weights[:, None] * target * log_p).sum() + weight_decay / 2 * (weights * penalty).sum()


def check_gradients(objective, examples, parameters, *, tolerance):
    """Compare the gradients of a step on all centres with finite differences of the cost."""
    table = table_of(examples.counts)
    (batch,) = examples.batches(np.random.default_rng(0))
    step = objective.step(parameters, batch)
    embedding_gradient = np.zeros_like(parameters.embedding)
    embedding_gradient[batch.rows] = step.embedding_gradient
    checked = [(parameters.embedding, embedding_gradient), (parameters.output, step.output_gradient)]
    if objective.output_offset == "learned":
        checked.append((parameters.offset, step.offset_gradient))
    generator = np.random.default_rng(3)
    for matrix, gradient in checked:
        assert matrix.shape == gradient.shape
        for _ in range(12):
            place = tuple(generator.integers(0, size) for size in matrix.shape)
            kept, h = matrix[place], 1e-5
            costs = []
            for value in (kept + h, kept - h):
                matrix[place] = value
                costs.append(descended_cost(parameters, table, examples.rule, objective.weight_decay))
            matrix[place] = kept
            assert gradient[place] == pytest.approx((costs[0] - costs[1]) / (2 * h), abs=tolerance)

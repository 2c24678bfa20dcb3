"""Training that diverges ends at once, with what to do about it."""

from __future__ import annotations

import math

import numpy as np

from w2v_exp.errors import TrainingDivergedError
from w2v_exp.model.parameters import Parameters

DIVERGED = (
    "training diverged. "
    "Try a smaller learning_rate, a smaller batch_size (labels.tokens with blocks) or "
    "objective.embedding_gradient=mean."
)


def require_finite_cost(cost: float, epoch: int, learning_rate: float) -> None:
    """See that the cost of a step is a number.

    Raises
    ------
    TrainingDivergedError
        If it is not finite.
    """
    if not math.isfinite(cost):
        raise TrainingDivergedError(
            f"The training cost is {cost} in epoch {epoch} (learning rate {learning_rate:.4g}): {DIVERGED}"
        )


def require_finite_parameters(parameters: Parameters) -> None:
    """Look at what the last step has done: its cost was taken before it.

    Raises
    ------
    TrainingDivergedError
        If a matrix has an entry that is not finite.
    """
    for matrix in (parameters.embedding, parameters.output):
        if not np.isfinite(matrix).all():
            raise TrainingDivergedError(f"The last step left parameters that are not finite: {DIVERGED}")

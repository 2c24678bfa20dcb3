"""What is measured of a trained model, outside the time of training."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.embeddings import neighbour_precision, top_neighbours
from w2v_exp.examples.batches import TrainingExamples
from w2v_exp.examples.counts import PairCounts
from w2v_exp.examples.pairs import Pairs
from w2v_exp.machine import MEGABYTE, PeakResident
from w2v_exp.model.objective import Objective
from w2v_exp.model.parameters import Parameters
from w2v_exp.text.vocabulary import Vocabulary
from w2v_exp.training.hogwild import HogwildTrainer
from w2v_exp.training.trainer import Trainer

LARGEST_FOR_PRECISION = 1000
PROBED_WORDS = 200
NEIGHBOURS = 4  # the article's number


def memory_metrics(trainer: Trainer, resident: PeakResident) -> dict[str, float]:
    """Return what training has taken of memory, in megabytes, as the system counts it; nothing where it does not."""
    metrics = {}
    if (megabytes := resident.megabytes()) is not None:
        metrics["peak_resident_mb"] = megabytes
    if isinstance(trainer, HogwildTrainer) and (private := trainer.own_memory):
        metrics["workers_memory_mb"] = private / MEGABYTE
    return metrics


def neighbour_metrics(
    parameters: Parameters, objective: Objective, examples: TrainingExamples
) -> dict[str, float]:
    """Return `neighbour_precision` for vocabularies it can be computed for: all words' softmax outputs are needed."""
    if examples.vocabulary_size > LARGEST_FOR_PRECISION:
        return {}
    probabilities = objective.probabilities(parameters, np.arange(examples.vocabulary_size))
    hits, possible = neighbour_precision(top_neighbours(probabilities, NEIGHBOURS), examples.pairs)
    return {"neighbour_precision": hits / possible}


def neighbour_table(
    vocabulary: Vocabulary, parameters: Parameters, objective: Objective
) -> dict[str, list[Any]]:
    """Return the article's table: the words with the highest softmax output, for the most frequent words."""
    probed = np.arange(min(len(vocabulary), PROBED_WORDS))
    top = top_neighbours(objective.probabilities(parameters, probed), NEIGHBOURS)
    words = vocabulary.words
    table: dict[str, list[Any]] = {
        "word": words[: len(probed)],
        "count": vocabulary.counts[: len(probed)].tolist(),
    }
    for rank in range(top.shape[1]):
        table[f"neighbour_{rank + 1}"] = [words[word] for word in top[:, rank]]
    return table


def true_neighbours(pairs: Pairs | PairCounts) -> NDArray[np.bool_]:
    """Return which words occur in the context of which: shape (V, V), centre by context."""
    centres, contexts, _ = pairs.distinct()
    true = np.zeros((pairs.vocabulary_size, pairs.vocabulary_size), bool)
    true[centres, contexts] = True
    return true

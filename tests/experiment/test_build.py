"""What a configuration makes of a text: sampled pairs, drawn windows, for every label encoding."""

from __future__ import annotations

import numpy as np
import pytest
from plans import plan_of

from w2v_exp.examples.pairs import count_pairs
from w2v_exp.experiment.build import build_examples, split_text
from w2v_exp.experiment.inputs import read_corpus

V = 50
IDS = np.minimum(np.random.default_rng(1).geometric(0.1, 5000) - 1, V - 1).astype(np.int32)
LISTED = ("dense", "sparse")


def pairs_of(*choices: str) -> float:
    return build_examples(plan_of(*choices), IDS, V).pairs_per_epoch


@pytest.mark.parametrize("labels", ["dense", "sparse", "counts", "streamed"])
def test_windows_shrink_for_every_encoding(labels: str) -> None:
    pairs = pairs_of(f"labels={labels}", "shrinking_window=true")
    exact = sum(count_pairs(len(IDS), window) for window in (1, 2, 3)) / 3
    assert pairs == pytest.approx(exact, rel=0.02 if labels in LISTED else 1e-6)


@pytest.mark.parametrize("labels", ["dense", "sparse", "counts", "streamed"])
@pytest.mark.parametrize("name", ["word2vec", "paper"])
def test_frequent_words_are_dropped_for_every_encoding(labels: str, name: str) -> None:
    choices = [f"subsampling={name}", "subsampling.threshold=0.01"]
    pairs = pairs_of(f"labels={labels}", *choices)
    keep = plan_of(*choices).subsampling.keep_probabilities(np.bincount(IDS, minlength=V))
    assert pairs == pytest.approx(count_pairs(round(keep[IDS].sum()), 3), rel=0.05)


def test_dense_and_sparse_labels_are_of_the_same_sampled_pairs() -> None:
    choices = ["subsampling=paper", "subsampling.threshold=0.01", "shrinking_window=true"]
    dense, sparse = (build_examples(plan_of(f"labels={labels}", *choices), IDS, V).pairs for labels in LISTED)
    for of_dense, of_sparse in zip(dense.distinct(), sparse.distinct(), strict=True):
        np.testing.assert_array_equal(of_dense, of_sparse)


def test_another_seed_draws_another_sample() -> None:
    choices = ["labels=sparse", "subsampling=paper", "subsampling.threshold=0.01"]
    assert pairs_of(*choices) == pairs_of(*choices)
    assert pairs_of(*choices) != pairs_of(*choices, "seed=1")


@pytest.mark.parametrize("labels", ["dense", "sparse", "counts", "streamed"])
@pytest.mark.parametrize(
    ("boundaries", "lengths"), [("none", [9]), ("line", [2, 3, 3, 1]), ("document", [5, 4])]
)
def test_windows_end_at_boundaries_for_every_encoding(
    labels: str, boundaries: str, lengths: list[int]
) -> None:
    text = "one two\nthree four five\n\nsix seven eight\nnine"
    plan = plan_of(
        f"labels={labels}", "corpus=text", f'corpus.text="{text}"', f"corpus.boundaries={boundaries}"
    )
    encoded = read_corpus(plan)
    training, _ = split_text(plan, encoded)
    examples = build_examples(plan, training.ids, len(encoded.vocabulary), training.segments)
    assert examples.pairs_per_epoch == sum(count_pairs(length, 3) for length in lengths)


def test_whole_documents_are_held_out() -> None:
    text = "a b c\n\nd e f\n\ng h i\n\nj k l"
    held_out = ["validation=held_out", "validation.share=0.25", "validation.by=document"]
    plan = plan_of("corpus=text", f'corpus.text="{text}"', "corpus.boundaries=document", *held_out)
    encoded = read_corpus(plan)
    training, held = split_text(plan, encoded)
    assert held is not None
    assert "".join(encoded.vocabulary.words[number] for number in held.ids) in ("abc", "def", "ghi", "jkl")
    assert len(training.ids) == 9

"""Runs with the sampled softmax: choices, refusals, and what is recorded."""

import json
from pathlib import Path

import numpy as np
import pytest
from plans import plan_of
from processes import Command

from w2v_exp.embeddings import Embeddings
from w2v_exp.errors import SettingError
from w2v_exp.examples.counts import count_window_pairs
from w2v_exp.examples.sampling import TextPart
from w2v_exp.experiment.estimate import faster_alternatives
from w2v_exp.machine import Rates
from w2v_exp.model.parameters import Parameters
from w2v_exp.model.softmax import Softmax, exact_cost

CHOSEN = "objective=sampled_softmax"
COUNTS = "labels=counts"


@pytest.mark.parametrize(
    ("overrides", "refused"),
    [
        ([], r"^objective=sampled_softmax: requires labels=counts\. Use objective=softmax"),
        ([COUNTS, "optimizer=adam"], r"^optimizer=adam: .* Use optimizer=adagrad or sgd\."),
        ([COUNTS, "optimizer=momentum"], r"^optimizer=momentum: "),
        ([COUNTS, "objective.epsilon=0.001"], r"^objective\.epsilon=0\.001: .*objective=softmax"),
        ([COUNTS, "objective.update=overwrite"], r"^objective\.update=overwrite: "),
        (
            [COUNTS, "objective.output_offset=learned"],
            r"^objective\.output_offset=learned: .*=none or unigram",
        ),
        ([COUNTS, "objective.frequent_words=0"], r"frequent_words=0"),
    ],
)
def test_what_it_excludes_is_refused_in_one_line(overrides: list[str], refused: str) -> None:
    with pytest.raises(SettingError, match=refused) as raised:
        plan_of(CHOSEN, *overrides)
    assert "\n" not in str(raised.value)


WORDS = [f"w{word}" for word in np.random.default_rng(0).zipf(1.3, 3_000) % 60]
RUN = [
    CHOSEN,
    COUNTS,
    "corpus=text",
    f"corpus.text='{' '.join(WORDS)}'",
    "tokenizer=whitespace",
    "optimizer=adagrad",
    "learning_rate=0.3",
    "schedule=constant",
    "objective.embedding_gradient=mean",
    "objective.output_offset=unigram",
    "objective.frequent_words=10",
    "objective.sampled_words=10",
    "labels.centres=8",
    "order=shuffled",
    "window=2",
    "dim=4",
    "tracking=none",
    "probes=[]",
]


def metrics_of(folder: Path) -> dict[str, float]:
    (result,) = folder.glob("outputs/runs/*/result.json")
    metrics: dict[str, float] = json.loads(result.read_text())["metrics"]
    return metrics


def test_the_cost_of_a_run_is_the_exact_one(command: Command, tmp_path: Path) -> None:
    done = command(*RUN, "epochs=30")
    assert done.returncode == 0, done.stderr
    metrics = metrics_of(tmp_path)
    assert metrics["cost_floor"] < metrics["cost"] < metrics["unigram_cost"]
    assert 0 < metrics["information_explained"] < 1
    # All of the few centres are in the sample, so the cost is exact.
    assert (metrics["cost_standard_error"], metrics["cost_sample_share"]) == (0, 1)
    (saved,) = tmp_path.glob("outputs/runs/*/artifacts/embeddings.npz")
    embeddings = Embeddings.load(saved)
    ids = np.array([embeddings.ids[word] for word in WORDS], np.int32)
    counts = count_window_pairs([ids], 2, len(embeddings))
    offset = Softmax(output_offset="unigram").initial_offset(counts.by_context() / counts.total, np.float64)
    assert embeddings.output is not None
    parameters = Parameters(embeddings.input, embeddings.output, offset)
    assert metrics["cost"] == pytest.approx(exact_cost(parameters, counts), rel=1e-6)


def test_it_is_named_as_faster_where_the_vocabulary_is_large() -> None:
    plan = plan_of("objective=softmax", COUNTS, "optimizer=adagrad", "window=5", "dtype=float32", "dim=100")
    words = 60_000
    ids = np.random.default_rng(0).permutation(np.repeat(np.arange(words, dtype=np.int32), 3))
    rates = Rates(2e-11, 2e-11, 1e-9, 3e-10, 2e-8, 3e-7)
    found = faster_alternatives(plan, TextPart(ids), words, 1e9, lambda dtype, dim: rates)
    assert "objective=sampled_softmax" in [other.overrides for other in found]

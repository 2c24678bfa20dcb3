"""Runs on a text that is counted by shards: those on its ids, to the byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from processes import Command

from w2v_exp.counting import corpus_counts
from w2v_exp.embeddings import Embeddings
from w2v_exp.experiment import inputs

RUN = [
    "corpus=file",
    "corpus.path=text.txt",
    "labels=counts",
    "dim=3",
    "epochs=2",
    "tracking=none",
    "probes=[]",
]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    words = np.random.default_rng(1).zipf(1.3, 4_000) % 50
    file = tmp_path / "text.txt"
    file.write_text(
        "\n".join(" ".join(f"w{word}" for word in words[i : i + 40]) for i in range(0, 4_000, 40))
    )
    return file


@pytest.mark.parametrize(
    "choices",
    [
        ["window=2"],
        ["shrinking_window=true", "window=4", "vocabulary.min_count=3", "dtype=float32"],
        ["corpus.boundaries=line", "labels.centre_words=7", "order=shuffled"],
        ["objective=hierarchical_softmax", "labels.centres=9"],
        ["initialization=spectral", "corpus.boundaries=document", "labels.count_exponent=0.5"],
    ],
)
def test_a_run_on_counts_of_shards_is_that_on_ids(
    command: Command, text: Path, choices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    monkeypatch.setenv("W2V_EXP_CACHE", str(text.parent / "cache"))
    monkeypatch.setattr(corpus_counts, "SHARD_BYTES", 1_000)
    for number, long in enumerate((inputs.LONG_TEXT, 0)):
        monkeypatch.setattr(inputs, "LONG_TEXT", long)
        done = command(
            *RUN, "tokenizer=whitespace", "counting.workers=1", *choices, f"hydra.run.dir={number}"
        )
        assert done.returncode == 0, done.stderr
        found.append(Embeddings.load(text.parent / f"{number}/artifacts/embeddings.npz"))
    assert len(list((text.parent / "cache/counts/words").iterdir())) > 10
    assert found[0].words == found[1].words
    np.testing.assert_array_equal(found[0].input, found[1].input)
    np.testing.assert_array_equal(found[0].output, found[1].output)

"""Runs whose pairs are made while they are trained on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from processes import Command


def run(command: Command, folder: Path, *arguments: str) -> dict[str, Any]:
    done = command("tracking=none", *arguments, f"hydra.run.dir={folder}")
    assert done.returncode == 0, done.stderr
    metrics: dict[str, Any] = json.loads((folder / "result.json").read_text())["metrics"]
    return metrics


def test_a_mapped_text_is_trained_on_as_its_listed_pairs_are_in_a_fraction_of_their_memory(
    command: Command, tmp_path: Path
) -> None:
    words = np.array([f"word{number:02}" for number in range(40)])
    drawn = np.random.default_rng(0).geometric(0.1, 350_000).clip(max=40) - 1
    (tmp_path / "text.txt").write_text(" ".join(words[drawn]))  # 2.4 MB: long enough for the cache
    settings = ["corpus=file", "corpus.path=text.txt", "tokenizer=whitespace", "epochs=1", "batch_size=8192"]
    listed = run(command, tmp_path / "listed", "labels=sparse", *settings)
    streamed = run(command, tmp_path / "streamed", "labels=streamed", *settings)
    for metric in ("cost", "pairs", "cost_floor", "unigram_cost", "neighbour_precision"):
        assert streamed[metric] == listed[metric], metric
    assert streamed["peak_memory_mb"] < listed["peak_memory_mb"] / 5


def test_a_run_of_sampled_pairs_counts_those_it_has_trained_on(command: Command, tmp_path: Path) -> None:
    text = " ".join(np.random.default_rng(0).choice(list("abcdefgh"), 5000))
    metrics = run(
        command,
        tmp_path / "run",
        "labels=streamed",
        "corpus=text",
        f"corpus.text='{text}'",
        "tokenizer=whitespace",
        "subsampling=paper",
        "subsampling.threshold=0.02",
        "shrinking_window=true",
        "order=shuffled",
        "epochs=5",
    )
    trained = metrics["pairs_per_second"] * metrics["train_seconds"] / 5
    assert trained != metrics["pairs"]
    # "pairs" are those of one draw of the text: of 5,000 words it keeps 2,000, give or take 35
    assert abs(trained / metrics["pairs"] - 1) < 0.1

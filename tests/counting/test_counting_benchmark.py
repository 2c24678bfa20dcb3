"""The benchmark of counting: its copies have other pairs and the same frequencies, and it runs."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import benchmark_counting


def test_a_small_text_is_measured_and_its_counts_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benchmark_counting, "RANDOM_TOKENS", 3_000)
    arguments = ["--sizes", "1e-5", "5e-5", "--words", "300", "--workers", "1", "--folder", str(tmp_path)]
    assert benchmark_counting.main(arguments) == 0
    printed = capsys.readouterr().out
    assert printed.count(" MB/s, ") == 2
    assert printed.count("in memory: ") == 1
    assert not list(tmp_path.iterdir())


def test_words_of_copies_change_places_within_bands(tmp_path: Path) -> None:
    words = [f"w{number}" for number in np.random.default_rng(0).zipf(1.3, 2_000) % 100]
    original = tmp_path / "original.txt"
    original.write_text(" ".join(words) + " ")
    size = original.stat().st_size
    benchmark_counting.write_copies(original, tmp_path / "copies.txt", 2 * size - 200)
    copies = (tmp_path / "copies.txt").read_text()
    assert copies[:size] == original.read_text()
    other = copies[size:].split()
    assert other != words[: len(other)]
    frequent = {word for word, _ in Counter(words).most_common(8)}
    assert {word for word, _ in Counter(other).most_common(4)} <= frequent

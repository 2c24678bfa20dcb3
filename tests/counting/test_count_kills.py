"""Counts whose driver or workers are killed: repeated, they have the same bytes, and finished shards stay."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from killed_counts import RULE, WINDOWS
from processes import environment
from properties import examples

from w2v_exp.counting.arrays import StoredArrays
from w2v_exp.examples.counts import count_window_pairs
from w2v_exp.text.corpus import FileCorpus
from w2v_exp.text.encoding import encode_text
from w2v_exp.text.tokenizers import WhitespaceTokenizer

pytestmark = [
    pytest.mark.usefixtures("starts_processes"),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]
SCRIPT = Path(__file__).with_name("killed_counts.py")
TASKS = 30  # of the text below, at least


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    words = np.random.default_rng(3).zipf(1.4, 3_000) % 100
    (tmp_path / "text.txt").write_text(" ".join(f"w{word}" for word in words.tolist()))
    return tmp_path


def start(folder: Path, killed: str = "nothing", after: int = 0, seed: int = 0) -> subprocess.Popen[str]:
    arguments = [str(folder), killed, str(after), str(seed)]
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )


def finished_results(folder: Path) -> dict[Path, int]:
    """Return the results of shards that are finished, with their inodes."""
    files = [
        file
        for kind in ("parts", "words", "lookups", "pairs")
        for file in (folder / "counts" / kind).glob("*")
    ]
    return {file: file.stat().st_ino for file in files if not file.name.startswith(".")}


def assert_counted(folder: Path, process: subprocess.Popen[str]) -> None:
    """Compare the counts with those in memory."""
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    (file,) = (folder / "counts" / "counts").iterdir()
    found = StoredArrays(file).check()
    assert output.strip() == found.description["digest"]
    text = encode_text(FileCorpus(str(folder / "text.txt")), WhitespaceTokenizer(), RULE)
    expected = count_window_pairs([text.ids], WINDOWS.size, len(text.vocabulary), shrinking=WINDOWS.shrinking)
    for name in ("starts", "contexts", "counts"):
        np.testing.assert_array_equal(found[name], getattr(expected, name))


@pytest.mark.parametrize("seed", range(examples(2)))
def test_a_count_whose_driver_is_killed_continues(seed: int, folder: Path) -> None:
    chance = random.Random(seed)
    for _ in range(2):
        process = start(folder, "driver", chance.randint(1, TASKS // 2))
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    time.sleep(0.5)  # workers end with the driver
    finished = finished_results(folder)
    assert finished
    assert_counted(folder, start(folder))
    assert finished_results(folder).items() >= finished.items()


@pytest.mark.parametrize("seed", range(examples(2)))
def test_a_count_whose_worker_is_killed_goes_on(seed: int, folder: Path) -> None:
    chance = random.Random(seed)
    assert_counted(folder, start(folder, "worker", chance.randint(1, TASKS // 2), seed))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(examples(10)))
def test_a_count_that_is_killed_at_random_moments_continues(seed: int, folder: Path) -> None:
    chance = random.Random(seed)
    for _ in range(4):
        process = start(folder)
        try:
            process.communicate(timeout=chance.uniform(0.3, 4))
            break  # it was faster
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
    assert_counted(folder, start(folder))

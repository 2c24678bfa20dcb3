"""The picture of label encodings says where each of them ends."""

import math

import pytest

from w2v_exp.experiment.report import write_comparison
from w2v_exp.reporting.comparison import compare
from w2v_exp.reporting.plots import draw_memory_ladder
from w2v_exp.results import RunResult

AVAILABLE = 1000.0  # MB


def run(encoding, pairs, estimated, available=AVAILABLE):
    metrics = {"pairs": float(pairs), "estimated_memory_mb": estimated, "vocabulary_size": 10.0}
    if available is not None:
        metrics["memory_available_mb"] = available
    fits = available is None or estimated <= available
    if fits:
        metrics |= {"peak_memory_mb": 0.99 * estimated, "cost": 2.0}
    status = "FINISHED" if fits else "FAILED"
    return RunResult("", {"labels": encoding, "corpus.messages": str(pairs)}, 0, status, "", metrics)


def ladder(available=AVAILABLE):
    lengths = (10_000, 100_000, 1_000_000)
    return [
        *(run("dense", pairs, pairs**2 / 1e8, available) for pairs in lengths),
        *(run("sparse", pairs, pairs * 8 / 1e6, available) for pairs in lengths),
        *(run("streamed", pairs, 5.0, available) for pairs in lengths),
    ]


def test_an_encoding_ends_where_it_was_refused_or_would_be(tmp_path, texts_in):
    assert draw_memory_ladder(compare(ladder()), tmp_path / "m.svg")
    texts = texts_in(tmp_path / "m.svg")
    assert "dense: 316 thousand pairs" in texts  # between a run and one that was refused
    assert "sparse: 125 million pairs" in texts  # 8 bytes a pair in 1 GB
    assert "streamed" in texts  # never
    assert "1 GB available" in texts


def test_where_memory_is_not_known_there_are_only_lines(tmp_path, texts_in):
    assert draw_memory_ladder(compare(ladder(available=None)), tmp_path / "m.svg")
    texts = texts_in(tmp_path / "m.svg")
    assert {"dense", "sparse", "streamed"} <= set(texts)
    assert not [text for text in texts if "available" in text]


def test_encodings_have_the_same_colours_whatever_came_first(tmp_path):
    for name, runs in (("a", ladder()), ("b", ladder()[::-1])):
        draw_memory_ladder(compare(runs), tmp_path / f"{name}.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize(
    "runs",
    [
        [],
        [run("sparse", 10, 1.0), run("dense", 10, 2.0)],
        [run("sparse", 10, 1.0), run("sparse", 20, 2.0)],
        [RunResult("", {"labels": name}, 0, "FINISHED", "", {"cost": 1.0}) for name in ("dense", "sparse")],
        [run("dense", 10, math.nan), run("sparse", 20, 2.0)],
    ],
    ids=["nothing", "one length", "one encoding", "an older version", "not known"],
)
def test_other_sweeps_have_no_such_picture(tmp_path, runs):
    assert not draw_memory_ladder(compare(runs), tmp_path / "m.png")
    assert not (tmp_path / "m.png").exists()


def test_a_sweep_over_labels_and_lengths_has_it_among_its_files(tmp_path):
    write_comparison(compare(ladder()), tmp_path)
    assert (tmp_path / "memory_ladder.png").exists()

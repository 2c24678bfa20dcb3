"""The script that compares Word2Vec with gensim's: both train on the same lines, and are timed and scored."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import compare_word2vec


def test_lines_of_a_text_are_cut(tmp_path):
    (tmp_path / "text").write_text("a b\n" + "c " * 1500 + "\ndé")
    lines = list(compare_word2vec.lines_of(tmp_path / "text", None))
    assert [len(line) for line in lines] == [2, 1000, 500, 1]
    assert list(compare_word2vec.lines_of(tmp_path / "text", 3)) == [["a", "b"]]


def test_both_sides_are_trained_and_the_ratio_is_printed(tmp_path, monkeypatch, capsys):
    pytest.importorskip("gensim")
    (tmp_path / "text").write_text("king queen man woman tiger cat\n" * 60)
    arguments = [
        "--text",
        str(tmp_path / "text"),
        "--epochs",
        "1",
        "--set",
        "sg=0",
        "vector_size=5",
        "sample=0",
    ]
    monkeypatch.setattr(sys, "argv", ["compare_word2vec.py", *arguments])
    assert compare_word2vec.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("360 words, 1 epochs")
    assert [line.split()[0] for line in lines[1:3]] == ["w2v_exp", "gensim"]
    assert lines[-1].startswith("ratio of processor time, gensim's to ours: ")

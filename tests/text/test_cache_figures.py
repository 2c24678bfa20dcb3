"""Figures of cached texts: kept as long as their text is, and taken only if they are what was written."""

import json

import pytest

from w2v_exp.text import cache as text_cache
from w2v_exp.text.cache import FIGURES as FIGURES_FILE
from w2v_exp.text.cache import TextCache, encode_cached, read_figures, write_figures
from w2v_exp.text.corpus import FileCorpus
from w2v_exp.text.tokenizers import WhitespaceTokenizer
from w2v_exp.text.vocabulary import VocabularyRule

KEY = "cd" * 16
FIGURES = {"unigram_cost": 7.123456789012345, "cost_floor": 1 / 3}


def test_figures_come_back_with_all_digits(tmp_path):
    assert read_figures(tmp_path, KEY) is None
    write_figures(tmp_path, KEY, FIGURES)
    assert read_figures(tmp_path, KEY) == FIGURES
    assert read_figures(tmp_path, KEY[::-1]) is None
    write_figures(tmp_path, KEY[::-1], {"cost_floor": 2.0})
    assert read_figures(tmp_path, KEY[::-1]) == {"cost_floor": 2.0}
    assert read_figures(tmp_path, KEY) == FIGURES


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content.replace(b"7.12", b"7.13"),
        lambda content: content[:-5],
        lambda content: b"",
        lambda content: b"\xff\x00",
        lambda content: b"[1, 2]",
        lambda content: b"null",
        lambda content: json.dumps(FIGURES).encode(),
        lambda content: content.replace(b'"cost_floor"', b'"cost_flour"'),
        lambda content: content.replace(b"7.123456789012345", b"NaN"),
        lambda content: content.replace(b"7.123456789012345", b'"7.1"'),
    ],
)
def test_what_is_not_what_was_written_is_not_taken(damage, tmp_path):
    write_figures(tmp_path, KEY, FIGURES)
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    assert read_figures(tmp_path, KEY) is None
    write_figures(tmp_path, KEY, FIGURES)
    assert read_figures(tmp_path, KEY) == FIGURES


def test_figures_go_with_their_text(tmp_path, monkeypatch):
    monkeypatch.setattr(text_cache, "SMALLEST_CACHED", 0)
    cache = TextCache(str(tmp_path / "cache"), limit_gb=1e-9)  # keeps the text that is in use only
    entries = []
    for name in ("one", "other"):
        (tmp_path / name).write_text(f"some words of {name} text")
        text = encode_cached(FileCorpus(str(tmp_path / name)), WhitespaceTokenizer(), VocabularyRule(), cache)
        write_figures(text.entry, KEY, FIGURES)
        (text.entry / f".{FIGURES_FILE}.0123abcd").write_text("of a process that was killed")
        entries.append(text.entry)
    assert [read_figures(entry, KEY) for entry in entries] == [None, FIGURES]
    assert [entry.exists() for entry in entries] == [False, True]
    cache.clear()
    assert not entries[1].exists()

"""The cache as a user meets it: runs fill it, a command lists and clears it."""

from __future__ import annotations

from pathlib import Path

import pytest
from processes import Command

from w2v_exp.experiment.subcommands import manage_cache
from w2v_exp.files import make_own
from w2v_exp.text import cache as text_cache
from w2v_exp.text.cache import TextCache, encode_cached
from w2v_exp.text.corpus import FileCorpus
from w2v_exp.text.tokenizers import WordTokenizer
from w2v_exp.text.vocabulary import VocabularyRule

SHORT = ["epochs=1", "dim=2", "window=1", "tracking=none", "vocabulary.max_size=20", "batch_size=100000"]


def test_a_long_text_is_kept_and_listed_until_the_cache_is_cleared(command: Command, tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("rare " + "some words of a long text\n" * 80_000)
    run = ["corpus=file", "corpus.path=long.txt", *SHORT]
    folder = tmp_path / "kept"
    for extra in (["cache=none"], [f"cache.folder={folder}"], [f"cache.folder={folder}", "seed=1"]):
        done = command(*run, *extra)
        assert done.returncode == 0, done.stderr
        assert folder.exists() == (extra != ["cache=none"])
    ((_, entry, _, _),) = TextCache(str(folder)).entries()
    assert entry is not None
    assert entry.tokens == 480_001

    def cached(what: str) -> str:
        return command("cache", what, "--folder", str(folder)).stdout

    listed = cached("list")
    assert listed.startswith("1 text of 1.92 MB in ")
    assert "\nlong.txt\n  480,001 tokens, 1.92 MB, last used 2" in listed
    assert "VocabularyRule(min_count=1, max_size=20, " in listed
    assert cached("clear") == f"1 text of 1.92 MB removed from {folder}\n"
    assert cached("list") == f"0 texts of 0 B in {folder}\n"


def test_what_is_downloaded_is_listed_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("W2V_EXP_CACHE", str(tmp_path))
    manage_cache(["list"])
    assert "downloaded:" not in capsys.readouterr().out
    make_own(tmp_path / "text8")
    for name, size in (("text8", 2_000_000), ("text8.lock", 500_000)):
        (tmp_path / "text8" / name).write_bytes(bytes(size))
    manage_cache(["list"])
    listed = capsys.readouterr().out
    assert f"\ntext8\n  downloaded: 2.5 MB in {tmp_path / 'text8'}; clear does not remove it\n" in listed
    manage_cache(["clear"])
    assert len(list((tmp_path / "text8").iterdir())) == 3


def test_segments_of_a_text_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(text_cache, "SMALLEST_CACHED", 0)
    (tmp_path / "lines.txt").write_text("one line\n" * 1200)
    corpus, folder = FileCorpus(str(tmp_path / "lines.txt"), "line"), str(tmp_path / "cache")
    encode_cached(corpus, WordTokenizer(), VocabularyRule(), TextCache(folder))
    manage_cache(["list", "--folder", folder])
    assert "2,400 tokens, 1,200 segments, " in capsys.readouterr().out


def test_the_article_leaves_nothing_in_the_cache(command: Command, tmp_path: Path) -> None:
    done = command(*SHORT, W2V_EXP_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "cache").exists()


def test_names_of_files_are_only_text_and_damage_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(text_cache, "SMALLEST_CACHED", 0)
    folder = str(tmp_path / "cache")
    file = tmp_path / "[bold red]odd[nosuch].txt"
    file.write_text("some words")
    encode_cached(FileCorpus(str(file)), WordTokenizer(), VocabularyRule(), TextCache(folder))
    manage_cache(["list", "--folder", folder])
    assert "[bold red]odd[nosuch].txt" in capsys.readouterr().out
    ((key, _, _, _),) = TextCache(folder).entries()
    (tmp_path / "cache" / key / "entry.json").write_text("{}")
    manage_cache(["list", "--folder", folder])
    assert "damaged or of another version; it is rebuilt when it is needed" in capsys.readouterr().out
    manage_cache(["clear", "--folder", folder])
    assert TextCache(folder).entries() == []

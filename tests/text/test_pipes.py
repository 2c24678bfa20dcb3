"""Pipes as corpora: read once, by whoever reads them first, and as often as a run needs."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from w2v_exp.config import register_schema
from w2v_exp.errors import CorpusError, SettingError
from w2v_exp.experiment.command import check_command, parse
from w2v_exp.text import cache as text_cache
from w2v_exp.text import pipes
from w2v_exp.text.cache import TextCache, encode_cached
from w2v_exp.text.corpus import FileCorpus
from w2v_exp.text.encoding import encode_text
from w2v_exp.text.tokenizers import WordTokenizer
from w2v_exp.text.vocabulary import VocabularyRule

TEXT = "a rose is a rose\n\nis a rose\n" * 50


@contextmanager
def pipe(content: bytes) -> Iterator[str]:
    """Give the path of a pipe with a content, as a shell writes ``<(command)``."""
    ours, theirs = os.pipe()

    def write() -> None:
        with os.fdopen(theirs, "wb") as stream:
            stream.write(content)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield f"/dev/fd/{ours}"
    finally:
        os.close(ours)
        writer.join()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("boundaries", ["none", "line", "document"])
def test_a_pipe_is_read_as_often_as_needed(tmp_path, capsys, pack, boundaries):
    (tmp_path / "text").write_bytes(pack(TEXT.encode()))
    plain = encode_text(FileCorpus(str(tmp_path / "text"), boundaries), WordTokenizer(), VocabularyRule())
    with pipe(pack(TEXT.encode())) as path:
        for corpus in [FileCorpus(path, boundaries)] * 2 + [FileCorpus(path, boundaries)]:
            text = encode_text(corpus, WordTokenizer(), VocabularyRule())
            assert (text.digest, text.segments.tolist()) == (plain.digest, plain.segments.tolist())
        assert corpus.source == path
        assert capsys.readouterr().err == f"corpus.path={path}: reading the pipe into a temporary file.\n"


def test_a_pipe_is_mapped_from_a_file_but_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(text_cache, "SMALLEST_CACHED", 0)
    cache = TextCache(str(tmp_path / "cache"))
    for content in (TEXT, TEXT.upper()):
        with pipe(content.encode()) as path:
            text = encode_cached(FileCorpus(path), WordTokenizer(lower=False), VocabularyRule(), cache)
            assert text.vocabulary.words[0] in content
            assert isinstance(text.ids, np.memmap)
    assert cache.entries() == []


def test_a_named_pipe_and_a_socket_are_read(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    writer = threading.Thread(target=(tmp_path / "fifo").write_text, args=["some words"])
    writer.start()
    assert "".join(FileCorpus(str(tmp_path / "fifo")).chunks()) == "some words"
    writer.join()


@pytest.mark.parametrize("content", [b"caf\xe9", gzip.compress(b"word " * 99)[:-9], b"text\0"])
def test_what_a_pipe_holds_is_checked_and_the_pipe_is_named(content):
    with pipe(content) as path, pytest.raises(CorpusError) as refusal:
        list(FileCorpus(path).chunks())
    assert str(refusal.value).startswith(path)


def test_a_device_is_refused():
    with pytest.raises(SettingError, match="path=/dev/zero: is a device, not a text"):
        FileCorpus("/dev/zero")


def test_a_pipe_that_would_fill_the_disk_is_refused(monkeypatch):
    monkeypatch.setattr(pipes, "_CHUNK", 100)
    monkeypatch.setattr(pipes, "_CHECK_EVERY", 100)
    monkeypatch.setattr(pipes, "LEAVE_FREE", 10**18)
    with (
        pipe(b"word " * 100) as path,
        pytest.raises(CorpusError, match=r"has more than .* free in .*TMPDIR"),
    ):
        list(FileCorpus(path).chunks())


def test_a_pipe_is_refused_where_other_processes_run():
    register_schema()
    with (
        pipe(b"some words") as path,
        pytest.raises(SettingError, match="is a pipe, which other processes cannot"),
    ):
        check_command(
            parse(["corpus=file", f"corpus.path={path}", "window=2,3", "hydra/launcher=joblib", "-m"])
        )


RUN = ["epochs=2", "explorer=none", "checkpoint=none", "dim=4", "tracking=none", "tokenizer=word"]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "w2v_exp", "corpus=file", *arguments, *RUN]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, input=TEXT)


@pytest.mark.usefixtures("starts_processes")
@pytest.mark.slow
@pytest.mark.parametrize("path", ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"])
def test_a_run_and_a_sweep_read_the_standard_input(tmp_path, path):
    single = run(tmp_path, f"corpus.path={path}")
    assert single.returncode == 0, single.stderr
    sweep = run(tmp_path, f"corpus.path={path}", "window=2,3", "-m")
    assert sweep.returncode == 0, sweep.stderr
    assert sweep.stderr.count("reading the pipe") == 1

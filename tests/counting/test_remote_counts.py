"""Counts by shards of texts on a web server: those of the same local files, with tasks that read some of the files."""

from __future__ import annotations

import pytest
from test_sharded_counts import InProcess, assert_same

from w2v_exp.counting.corpus_counts import Windows, count_corpus
from w2v_exp.counting.store import CountStore
from w2v_exp.text import remote
from w2v_exp.text.corpus import FileCorpus
from w2v_exp.text.encoding import encode_text
from w2v_exp.text.tokenizers import WhitespaceTokenizer
from w2v_exp.text.vocabulary import VocabularyRule

PARTS = WhitespaceTokenizer(), VocabularyRule(), Windows(2, False)


@pytest.fixture
def counted(web_server, tmp_path):
    """Return a function that counts the folder ``/t/`` of the server, checks the counts, and returns its tasks."""

    def count():
        remote._listings.clear()
        engine, corpus = InProcess(), FileCorpus(f"{web_server.url}/t/", "document")
        found = count_corpus(corpus, *PARTS, engine, CountStore(tmp_path / "counts"), shard_bytes=100)
        for name, content in web_server.files.items():
            (tmp_path / name[1:]).parent.mkdir(exist_ok=True)
            (tmp_path / name[1:]).write_bytes(content)
        assert_same(found, encode_text(FileCorpus(str(tmp_path / "t"), "document"), *PARTS[:2]), PARTS[2])
        return [task for task in engine.executed if task.function.endswith("count_words")]

    return count


def test_remote_files_are_divided_among_tasks_and_read_again_only_if_they_change(web_server, counted):
    """One of them is longer than a shard."""
    for number in range(9):
        web_server.files[f"/t/{number}.txt"] = f"some words of text {number} ".encode() * (
            20 if number == 4 else 2
        )
    assert len(counted()) > 3
    assert counted() == []
    web_server.headers = {"ETag": '"two"'}
    web_server.files["/t/4.txt"] = web_server.files["/t/4.txt"].upper()
    assert len(counted()) > 0


def test_files_without_version_are_read_each_time(web_server, counted):
    """Their change could not be recognised."""
    web_server.headers = {}
    for content in (b"one two three", b"two two three"):
        web_server.files["/t/a.txt"] = content
        assert len(counted()) == 1

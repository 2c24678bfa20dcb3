"""Documents of an encoded text: their positions, whatever the segments are, and their names."""

from __future__ import annotations

import os
import shutil
import sys
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from properties import examples

from w2v_exp.text import cache as text_cache
from w2v_exp.text import chunks as text_chunks
from w2v_exp.text import encoding
from w2v_exp.text.cache import TextCache, encode_cached
from w2v_exp.text.chunks import BOUNDARIES, NamedText
from w2v_exp.text.corpus import ArticleCorpus, FileCorpus, SotuCorpus, TextCorpus
from w2v_exp.text.encoding import EncodedText, Names, encode_text, encode_to_file
from w2v_exp.text.sentences import SentenceCorpus
from w2v_exp.text.tokenizers import WhitespaceTokenizer
from w2v_exp.text.vocabulary import VocabularyRule


def encoded(corpus, least: int = 1) -> EncodedText:
    return encode_text(corpus, WhitespaceTokenizer(), VocabularyRule(min_count=least))


def words_of_documents(text: EncodedText) -> list[list[str]]:
    words = text.vocabulary.words
    edges = text.documents.tolist()
    return [[words[number] for number in text.ids[start:stop]] for start, stop in pairwise(edges)]


CONTENT = st.lists(st.sampled_from(["a", "b", "rare", "\n", "\n\n", " ", ""]), max_size=8).map(" ".join)


@given(
    contents=st.lists(CONTENT, min_size=1, max_size=6),
    boundaries=st.sampled_from(BOUNDARIES),
    least=st.integers(1, 3),
    characters=st.integers(1, 5),
)
@property_settings(max_examples=examples(200), deadline=None)
def test_documents_are_the_files_and_empty_ones_keep_their_place(
    tmp_path_factory, contents, boundaries, least, characters
):
    every = [word for content in contents for word in content.split()]
    if not every:
        return
    folder = tmp_path_factory.mktemp("texts")
    for number, content in enumerate(contents):
        (folder / f"{number}.txt").write_text(content)
    corpus, rule = FileCorpus(str(folder), boundaries), VocabularyRule(min_count=least)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_chunks, "CHUNK_CHARACTERS", characters)
        patch.setattr(encoding, "IDS_AT_ONCE", characters)
        text = encoded(corpus, least)
        in_file = encode_to_file(corpus, WhitespaceTokenizer(), rule, BytesIO())
    kept = [[word for word in content.split() if every.count(word) >= least] for content in contents]
    assert words_of_documents(text) == kept
    assert [*text.names] == [f"{number}.txt" for number in range(len(contents))]
    assert in_file.documents.tolist() == text.documents.tolist()
    assert [*in_file.names] == [*text.names]


def test_names_are_paths_from_the_folder_on(tmp_path):
    for name in ("b/x/1.txt", "b/2.txt", "a.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("word")
    named = {
        "": ["a.txt", "b/2.txt", "b/x/1.txt"],
        "**/*.txt": ["a.txt", "b/2.txt", "b/x/1.txt"],
        "b/**": ["2.txt", "x/1.txt"],
        "*/2.txt": ["b/2.txt"],
        "b/2.txt": ["2.txt"],
    }
    for path, names in named.items():
        assert [*encoded(FileCorpus(str(tmp_path / path))).names] == names


def test_names_of_a_relative_path_are_the_same(tmp_path, monkeypatch):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "1.txt").write_text("word")
    monkeypatch.chdir(tmp_path)
    for path in ("texts", "texts/*.txt", "./texts/", "*/1.txt"):
        assert [*encoded(FileCorpus(path)).names] == ["texts/1.txt" if path == "*/1.txt" else "1.txt"]


MEMBERS = {"b/one.txt": "alpha beta\n\ngamma", "b/two.txt": "delta\n"}


@pytest.mark.parametrize("packed", ["zip", "tar", "gztar"])
def test_members_of_an_archive_have_their_names(tmp_path, packed):
    for name, content in MEMBERS.items():
        (tmp_path / "all" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "all" / name).write_text(content)
    packed_file = shutil.make_archive(str(tmp_path / "packed"), packed, tmp_path / "all", "b")
    (tmp_path / "texts").mkdir()
    Path(packed_file).rename(tmp_path / "texts" / "all")
    (tmp_path / "texts" / "other.txt").write_text("word")
    assert [*encoded(FileCorpus(str(tmp_path / "texts" / "all"))).names] == [*MEMBERS]
    folder = encoded(FileCorpus(str(tmp_path / "texts")))
    assert [*folder.names] == [*(f"all/{name}" for name in MEMBERS), "other.txt"]
    assert np.diff(folder.documents).tolist() == [3, 1, 1]


def test_names_of_sotu_are_its_files():
    corpus = SotuCorpus(3)
    assert [*encoded(corpus).names] == [file.name for file in corpus.files()]


@pytest.mark.parametrize("corpus", [ArticleCorpus(), TextCorpus("one\n\ntwo two", "document")], ids=repr)
def test_other_texts_are_one_document_without_a_name(corpus):
    text = encoded(corpus)
    assert ([*text.names], text.documents.tolist()) == ([""], [0, len(text.ids)])


def test_sentences_are_one_document():
    text = SentenceCorpus.read([["a", "b"], ["c"]]).encode(VocabularyRule())
    assert ([*text.names], text.documents.tolist()) == ([""], [0, 3])


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes on Linux only")
def test_a_name_that_is_not_unicode_returns_as_it_is(tmp_path):
    name = os.fsdecode(b"caf\xe9\n.txt")
    (tmp_path / name).write_text("word")
    assert [*encoded(FileCorpus(str(tmp_path))).names] == [name]


class OwnTexts:
    """A custom corpus, of texts with a name, without one, and with something else as a name."""

    source = "own"

    def __init__(self, *files: object) -> None:
        self._files = files

    def texts(self):
        return iter(self._files)

    def chunks(self):
        raise AssertionError


def test_a_custom_corpus_names_its_texts(tmp_path):
    (tmp_path / "1.txt").write_text("one two\nthree")
    with (tmp_path / "1.txt").open() as named, TemporaryFile("w+") as numbered:
        numbered.write("five")
        numbered.seek(0)
        text = encoded(OwnTexts(named, numbered, iter(["four"]), iter([])))
    assert [*text.names] == [str(tmp_path / "1.txt"), "", "", ""]
    assert text.documents.tolist() == [0, 3, 4, 5, 5]


@given(st.lists(st.sampled_from(["a", "a.jsonl", "", "\1"]) | st.text(), max_size=9))
@property_settings(max_examples=examples(100))
def test_names_are_a_sequence(names):
    texts = [NamedText(name, (word for word in ["word"])) for name in names]
    stored = encoded(OwnTexts(*texts)).names if names else Names(np.empty(0, np.uint8))
    names = [name.replace("\0", " ").replace("\1", " ") for name in names]
    assert (len(stored), [*stored], stored[:]) == (len(names), names, names)
    assert [stored[k - len(names)] for k in range(len(names))] == names
    with pytest.raises(IndexError):
        stored[len(names)]


def test_rows_with_the_name_of_their_file_take_two_bytes_each(tmp_path):
    (tmp_path / "a_table_with_a_long_name.jsonl").write_text('{"text": "word"}\n' * 100)
    names = encoded(FileCorpus(str(tmp_path))).names
    assert [*names] == ["a_table_with_a_long_name.jsonl"] * 100
    assert len(names.content) < 250


def test_the_same_files_by_another_folder_have_their_own_names_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(text_cache, "SMALLEST_CACHED", 0)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "1.txt").write_text("word")
    cache = TextCache(str(tmp_path / "cache"))
    for path, name in (("texts", "1.txt"), ("texts/*", "1.txt"), ("*/1.txt", "texts/1.txt")):
        text = encode_cached(FileCorpus(str(tmp_path / path)), WhitespaceTokenizer(), VocabularyRule(), cache)
        assert (text.entry is not None, [*text.names]) == (True, [name])
    assert len(cache.entries()) == 2

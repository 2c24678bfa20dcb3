"""Words of the shipped tokenizers, and ids of texts, as recorded with the versions that name them in the cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from w2v_exp.text import cache as text_cache
from w2v_exp.text.corpus import FileCorpus
from w2v_exp.text.encoding import encode_text
from w2v_exp.text.tokenizers import (
    TOKENIZERS,
    ArticleTokenizer,
    CharacterTokenizer,
    CustomTokenizer,
    Tokenizer,
    WhitespaceTokenizer,
    WordTokenizer,
)
from w2v_exp.text.vocabulary import VocabularyRule

TEXT = (
    "The Loser's x_y 1st 2019 'tis mother-in-law CAF\u00c9 cafe\u0301, "
    "\u0130stanbul Stra\u00dfe \u65e5\u672c \ufb01ne \u2460 don\u2019t so\u00adft"
)

WORDS: list[tuple[Tokenizer, str]] = [
    (
        ArticleTokenizer(),
        "the loser's x_y 1st 'tis mother in law caf\u00e9 cafe istanbul stra\u00dfe \ufb01ne don t so ft",
    ),
    (
        ArticleTokenizer(lower=False, normalize="NFC"),
        "The Loser's x_y 1st 'tis mother in law CAF\u00c9 caf\u00e9 \u0130stanbul Stra\u00dfe \ufb01ne don t so ft",
    ),
    (WhitespaceTokenizer(), TEXT),
    (
        WhitespaceTokenizer(lower=True, normalize="NFKC"),
        "the loser's x_y 1st 2019 'tis mother-in-law caf\u00e9 caf\u00e9, istanbul stra\u00dfe \u65e5\u672c fine 1 "
        "don\u2019t so\u00adft",
    ),
    (
        WordTokenizer(),
        "the loser's x y 1st 2019 tis mother-in-law caf\u00e9 caf\u00e9 istanbul stra\u00dfe \u65e5\u672c \ufb01ne "
        "\u2460 don\u2019t so\u00adft",
    ),
    (
        WordTokenizer(lower=False, normalize="NFKD"),
        "The Loser's x y 1st 2019 tis mother-in-law CAFE\u0301 cafe\u0301 I\u0307stanbul Stra\u00dfe \u65e5\u672c fine "
        "1 don\u2019t so\u00adft",
    ),
    (
        CharacterTokenizer(),
        "t h e l o s e r ' s x _ y 1 s t 2 0 1 9 ' t i s m o t h e r - i n - l a w c a f \u00e9 c a f e \u0301 , "
        "i s t a n b u l s t r a \u00df e \u65e5 \u672c \ufb01 n e \u2460 d o n \u2019 t s o \u00ad f t",
    ),
]
VERSIONS = {"article": 1, "whitespace": 1, "word": 1, "character": 1}
RECORD_ANEW = (
    "Raise the version, or texts in caches keep their old words; then record it and the new words here."
)


@pytest.mark.parametrize(("tokenizer", "words"), WORDS, ids=[repr(tokenizer) for tokenizer, _ in WORDS])
def test_a_tokenizer_makes_the_words_recorded_for_its_version(tokenizer: Tokenizer, words: str) -> None:
    assert tokenizer(TEXT) == words.split(), RECORD_ANEW


def test_every_tokenizer_but_a_custom_one_has_a_version_and_recorded_words() -> None:
    shipped = {name: made for name, made in TOKENIZERS.items() if made is not CustomTokenizer}
    assert {name: made.version for name, made in shipped.items()} == VERSIONS, RECORD_ANEW
    assert {type(tokenizer) for tokenizer, _ in WORDS} == set(shipped.values())
    assert not hasattr(CustomTokenizer, "version")


def test_a_text_has_the_ids_recorded_for_the_format_of_the_cache(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("b a c a b\r\nd a b\n\nc a e\n", encoding="utf-8")
    corpus = FileCorpus(str(tmp_path / "text.txt"), boundaries="line")
    text = encode_text(corpus, WhitespaceTokenizer(), VocabularyRule(max_size=3))
    recorded = [("a", "b", "c"), [4, 3, 2], [1, 0, 2, 0, 1, 0, 1, 2, 0], [0, 5, 7, 9], [0, 9], 6]
    found = [
        tuple(text.vocabulary.words),
        text.vocabulary.counts.tolist(),
        text.ids.tolist(),
        text.segments.tolist(),
        text.documents.tolist(),
        text_cache.FORMAT,
    ]
    assert found == recorded, "Raise FORMAT in text/cache.py, then record it and the new ids here."

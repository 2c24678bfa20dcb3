"""Objects in a notebook: one line as text, and HTML in which outside text cannot be markup."""

import html.parser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2v_exp import (
    ArticleCorpus,
    Embeddings,
    EncodedText,
    FileCorpus,
    KeyedVectors,
    SentenceCorpus,
    TextCorpus,
    Vocabulary,
    VocabularyRule,
    WhitespaceTokenizer,
    encode_text,
)
from w2v_exp.display import card, escaped
from w2v_exp.results import RunResult

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e&\"'>"


class Parser(html.parser.HTMLParser):
    """Collects the elements of a page, their attributes and its text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.text = set(), set(), ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}

    def handle_data(self, data):
        self.text += data


def shown_objects(words):
    """Return objects of every class that a notebook shows, with these words."""
    matrix = np.random.default_rng(0).normal(size=(len(words), 3))
    text = EncodedText(
        np.arange(len(words), dtype=np.int32),
        Vocabulary(words, np.arange(len(words), 0, -1)),
        len(words),
        "0",
        np.array([0, len(words)]),
    )
    return [
        Embeddings(words, np.arange(len(words), 0, -1), matrix, matrix),
        KeyedVectors.of(words, matrix),
        text,
        SentenceCorpus.read([words, [], words]),
        RunResult(words[0], {"dim": words[0]}, 0, "FAILED", words[0], {words[0]: 1.5}),
        *([TextCorpus(words[0])] if words[0].strip() else []),
    ]


WORDS = st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5, unique=True)


@given(WORDS)
def test_words_are_never_markup_or_control_characters(words):
    for value in shown_objects([*words, HOSTILE] if HOSTILE not in words else words):
        page = Parser(value._repr_html_())
        assert page.tags <= {"div", "p", "b", "table", "thead", "tbody", "tr", "th", "td", "blockquote"}
        assert page.attributes <= {"style"}
        assert "\x1b" not in page.text
        assert "\u202e" not in page.text
        assert len(repr(value).splitlines()) == 1
        assert len(repr(value)) < 700


def test_embeddings_are_shown_with_neighbours():
    words = ["king", "queen", "bread"]
    page = Embeddings(words, np.array([3, 2, 1]), np.array([[1.0, 0], [1, 0.1], [0, 1]]))._repr_html_()
    assert Parser(page).text.startswith("Embeddings: 3 words, 2 dimensions, float64")
    assert "<td" in page
    assert "queen, bread" in page


def test_texts_are_shown_with_their_beginning(tmp_path):
    text = encode_text(TextCorpus("a rose is\na rose"), WhitespaceTokenizer(), VocabularyRule())
    assert "5 of 5 tokens, 3 distinct words, 1 segment" in text._repr_html_()
    assert "a rose is a rose" in text._repr_html_()
    file = tmp_path / "text.txt"
    file.write_text("of a file\n" * 100_000)
    for corpus, beginning in ((FileCorpus(str(file)), "of a file"), (ArticleCorpus(), "After the deduction")):
        assert beginning in corpus._repr_html_()
        assert len(corpus._repr_html_()) < 1000
    file.write_bytes(b"\xff\xfe")
    assert "is not UTF-8" in FileCorpus(str(file))._repr_html_()
    assert len(repr(TextCorpus("x" * 10**6))) < 200


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234567, "1,234,567"),
        (np.int64(5), "5"),
        (np.float32(0.5), "0.5"),
        (True, "True"),
        ("a\nb", "a b"),
        (None, "None"),
    ],
)
def test_cells(value, text):
    assert escaped(value) == text


def test_a_card_without_rows_has_no_table():
    assert "table" not in card("Nothing", ["empty"], {"word": [], "count": []})

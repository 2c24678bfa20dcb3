"""Tokenizers: tables of what they find, and properties that hold for any text."""

import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from properties import examples

from w2v_exp.errors import SettingError, UserError
from w2v_exp.text.corpus import ArticleCorpus
from w2v_exp.text.tokenizers import (
    TOKENIZERS,
    ArticleTokenizer,
    CharacterTokenizer,
    CustomTokenizer,
    WhitespaceTokenizer,
    WordTokenizer,
)

# Letters of several scripts, marks, digits, joiners and white space, often enough to meet; and anything else.
TEXTS = st.text(
    st.one_of(
        st.sampled_from("aZéßσΣ日本ักि1२_^'’-‐\u200c\u200d\u0301\u00ad İ\n\t\u00a0\u3000.,!"),
        st.characters(codec="utf-8"),
    ),
    max_size=40,
)
EVERY_TOKENIZER = [
    tokenizer(lower=lower, normalize=normalize)
    for tokenizer in (ArticleTokenizer, WhitespaceTokenizer, WordTokenizer, CharacterTokenizer)
    for lower in (True, False)
    for normalize in ("none", "NFC", "NFKC")
]

# ---------------------------------------------------------------- the article's


def test_the_article_sentence_has_16_tokens_and_13_words():
    tokens = ArticleTokenizer()(ArticleCorpus.sentence)
    assert " ".join(tokens) == (
        "after the deduction of the costs of investing beating the stock market is a loser's game"
    )
    assert (len(tokens), len(set(tokens))) == (16, 13)
    assert (tokens.count("the"), tokens.count("of")) == (3, 2)


def test_with_a_typographic_apostrophe_the_sentence_has_17_tokens():
    tokens = ArticleTokenizer()(ArticleCorpus.sentence.replace("'", "’"))
    assert len(tokens) == 17
    assert tokens[-3:] == ["loser", "s", "game"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1st covid19 2019 3,5", ["1st", "covid19"]),
        ("_x_ ^y 'tis o'", ["_x_", "^y", "'tis", "o'"]),
        ("日本 日本x über straße", ["日本x", "über", "straße"]),
        ("mother-in-law", ["mother", "in", "law"]),
        ("", []),
    ],
)
def test_article_tokenizer(text, words):
    assert ArticleTokenizer()(text) == words


@property_settings(deadline=None, max_examples=examples(250))
@given(TEXTS)
def test_the_article_tokenizer_finds_what_its_published_expression_finds(text):
    published = r"[A-Za-z]+[\w^\']*|[\w^\']*[A-Za-z]+[\w^\']*"
    assert ArticleTokenizer(lower=False)(text) == re.findall(published, text)
    assert ArticleTokenizer()(text) == re.findall(published, text.lower().replace("i\u0307", "i"))


def test_the_article_tokenizer_takes_linear_time():
    """The published expression takes 6.5 s for 20,000 digits; in quadratic time a million would be five hours."""
    assert ArticleTokenizer()("7" * 1_000_000) == []


# ---------------------------------------------------------------- the others


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Café CAFE\u0301 straße STRASSE", ["café", "café", "straße", "strasse"]),
        ("İstanbul I\u0307STANBUL istanbul ISTANBUL", ["istanbul"] * 4),
        ("DIŞ dış", ["diş", "dış"]),  # of Turkish's other i nothing is known
        ("ΟΔΟΣ ΟΔΟΣ’ Σ", ["οδος", "οδος", "σ"]),
        ("J\u030c ǰ T\u0308 ẗ", ["ǰ", "ǰ", "ẗ", "ẗ"]),  # whose capitals are two characters only
        ("ﬁn \u212bngström", ["ﬁn", "ångström"]),
        ("ภาษาไทย น้ำ", ["ภาษาไทย", "น้ำ"]),
        ("日本 東京タワー", ["日本", "東京タワー"]),
        ("हिन्दी में लिखो", ["हिन्दी", "में", "लिखो"]),
        ("क\u094d\u200dष می\u200cخواهم", ["क\u094d\u200dष", "می\u200cخواهم"]),
        ("co\u00adoperate\u00ad", ["co\u00adoperate"]),
        ("don’t don't DON'T", ["don’t", "don't", "don't"]),
        ("mother-in-law mother\u2010in\u2011law", ["mother-in-law", "mother\u2010in\u2011law"]),
        (
            "'tis 'quoted' ’round dogs’ -dash- rock--roll",
            ["tis", "quoted", "round", "dogs", "dash", "rock", "roll"],
        ),
        ("“Well,” — he said… (really?)", ["well", "he", "said", "really"]),
        ("covid19 3.5 ½ २०१९ _x_", ["covid19", "3", "5", "½", "२०१९", "x"]),
        ("\u0301a", ["a"]),
        ("👍 !?", []),
    ],
)
def test_word_tokenizer(text, words):
    assert WordTokenizer()(text) == words


def test_word_tokenizer_may_keep_capitals():
    assert WordTokenizer(lower=False)("Die Straße") == ["Die", "Straße"]


def test_whitespace_tokenizer_keeps_punctuation_and_splits_at_any_white_space():
    assert WhitespaceTokenizer()("A b.\u00a0c,\u3000\td\u2028e") == ["A", "b.", "c,", "d", "e"]
    assert WhitespaceTokenizer(lower=True)("A b") == ["a", "b"]


def test_character_tokenizer_drops_white_space():
    assert CharacterTokenizer()("Ab\u00a0 c\n日.") == ["a", "b", "c", "日", "."]


def test_i_with_a_dot_is_one_letter_for_every_tokenizer():
    assert ArticleTokenizer()("İstanbul") == WhitespaceTokenizer(lower=True)("İstanbul") == ["istanbul"]
    assert CharacterTokenizer()("İs") == ["i", "s"]
    assert CustomTokenizer("shlex.split", lower=True)("İs I\u0307s") == ["is", "is"]


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("normalize", ["NFC", "NFD", "NFKC", "NFKD"])
@pytest.mark.parametrize(
    "tokenizer", [ArticleTokenizer, WhitespaceTokenizer, WordTokenizer, CharacterTokenizer]
)
def test_a_word_is_the_same_however_its_characters_are_composed(tokenizer, normalize, lower):
    tokens = tokenizer(lower=lower, normalize=normalize)

    @property_settings(deadline=None, max_examples=examples(60))
    @given(TEXTS)
    def holds(text):
        words = tokens(text)
        for form in ("NFC", "NFD", *([normalize] if "K" in normalize else [])):
            assert tokens(unicodedata.normalize(form, text)) == words
        assert all(unicodedata.is_normalized(normalize, word) for word in words)

    holds()


@pytest.mark.slow
def test_words_of_every_character_are_the_same_however_they_are_composed():
    for code in [*range(0xD800), *range(0xE000, 0x110000)]:
        for text in (chr(code), f"a{chr(code)}b", f"{chr(code)}\u0307", f"{chr(code)}\u0301x"):
            for tokens in (WordTokenizer(), WordTokenizer(lower=False)):
                assert tokens(unicodedata.normalize("NFD", text)) == tokens(text), ascii(text)


def test_a_normal_form_of_another_name_is_refused():
    for tokenizer in (
        ArticleTokenizer,
        WhitespaceTokenizer,
        WordTokenizer,
        CharacterTokenizer,
        CustomTokenizer,
    ):
        with pytest.raises(
            SettingError, match=r"^normalize=NFX: not an option.* Options: none, NFC, NFD, NFKC, NFKD"
        ):
            tokenizer(normalize="NFX")


# ---------------------------------------------------------------- what holds for all


@pytest.mark.parametrize("tokenizer", EVERY_TOKENIZER, ids=repr)
def test_words_are_neither_empty_nor_contain_white_space(tokenizer):
    @property_settings(deadline=None, max_examples=examples(150))
    @given(TEXTS)
    def holds(text):
        assert all(word.split() == [word] for word in tokenizer(text))

    holds()


@pytest.mark.parametrize("tokenizer", EVERY_TOKENIZER, ids=repr)
def test_a_text_cut_at_white_space_has_the_words_of_the_whole(tokenizer):
    @property_settings(deadline=None, max_examples=examples(150))
    @given(TEXTS)
    def holds(text):
        chunks = re.findall(r"\S*\s|\S+\Z", text)
        assert "".join(chunks) == text
        assert [word for chunk in chunks for word in tokenizer(chunk)] == tokenizer(text)

    holds()


def test_every_tokenizer_that_is_shipped_is_tested_here():
    assert set(TOKENIZERS.values()) == {type(tokenizer) for tokenizer in EVERY_TOKENIZER} | {CustomTokenizer}


# ---------------------------------------------------------------- one's own


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """A module of the user's in the current folder, which is not on the path."""
    (tmp_path / "own_tokens_for_test.py").write_text(
        "LIMIT = 3\n"
        "def halves(text): return text.replace('-', ' ').split()\n"
        "def generated(text): yield from text.split()\n"
        "def spaced(text): return ['one two']\n"
        "def padded(text): return ['one ']\n"
        "def empty(text): return ['one', '']\n"
        "def numbers(text): return [1]\n"
        "def one_string(text): return text.upper()\n"
        "def nothing(text): return None\n"
        "def failing(text): raise ValueError('no such luck')\n"
        "def failing_late(text):\n    yield 'one'\n    raise ValueError('no such luck')\n"
        "class Rules:\n    @staticmethod\n    def tokens(text): return text.split(',')\n"
    )
    (tmp_path / "own_broken_for_test.py").write_text("def tokens(text) return []\n")
    (tmp_path / "own_raising_for_test.py").write_text("raise RuntimeError('needs a GPU')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return "own_tokens_for_test"


def test_a_callable_in_the_current_folder_is_found(own_module):
    assert CustomTokenizer(f"{own_module}.halves")("One-two three") == ["One", "two", "three"]
    assert CustomTokenizer(f"{own_module}.halves", lower=True)("One-two") == ["one", "two"]


def test_a_callable_may_be_a_generator_a_method_or_any_other_installed_function(own_module):
    assert CustomTokenizer(f"{own_module}.generated")("a b") == ["a", "b"]
    assert CustomTokenizer(f"{own_module}.Rules.tokens")("a,b") == ["a", "b"]
    assert CustomTokenizer("shlex.split")("'a' b") == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "must be a dotted name"),
        ("halves", "must be a dotted name"),
        ("no_such_module_at_all.tokens", "cannot be imported .*No module named 'no_such_module_at_all'"),
        ("own_tokens_for_test.no_such_function", "cannot be imported .*no_such_function"),
        ("own_broken_for_test.tokens", "cannot be imported .*SyntaxError"),
        ("own_raising_for_test.tokens", "cannot be imported .*RuntimeError: needs a GPU"),
        ("own_tokens_for_test.LIMIT", "is of type int and cannot be called"),
        (".tokens", "cannot be imported"),
        ("a..b", "cannot be imported"),
    ],
)
@pytest.mark.usefixtures("own_module")
def test_a_name_that_is_no_callable_is_refused_at_once(name, message):
    with pytest.raises(SettingError, match=f"(?s)^callable={re.escape(name)}: .*{message}"):
        CustomTokenizer(name)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("spaced", "returned 'one two': words must be strings .* no white space"),
        ("padded", "returned 'one ': words"),
        ("empty", "returned '': words"),
        ("numbers", "returned 1: words must be strings"),
        ("one_string", "returned a string: it must return a list of words"),
        ("nothing", "raised TypeError"),
        ("failing", "raised ValueError: no such luck"),
        ("failing_late", "raised ValueError: no such luck"),
    ],
)
def test_a_callable_that_misbehaves_is_named(own_module, function, message):
    tokenizer = CustomTokenizer(f"{own_module}.{function}")
    with pytest.raises(UserError, match=f"^tokenizer.callable={own_module}.{function} {message}"):
        tokenizer("some text")

"""Short texts that are tokenized together: the words, segments and documents of each alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from properties import examples

from w2v_exp.text import encoding
from w2v_exp.text.chunks import SEGMENT_ENDS
from w2v_exp.text.encoding import encode_text
from w2v_exp.text.tokenizers import (
    ArticleTokenizer,
    CharacterTokenizer,
    Tokenizer,
    WhitespaceTokenizer,
    WordTokenizer,
    encode_chunk,
)
from w2v_exp.text.vocabulary import VocabularyRule

TOKENIZERS = [
    WhitespaceTokenizer(),
    WhitespaceTokenizer(lower=True, normalize="NFKC"),
    WordTokenizer(),
    ArticleTokenizer(),
    CharacterTokenizer(),
    lambda text: text.split()[::-1],  # of which nothing is known
]
PARTS = [
    "a",
    "Bb",
    "ΑΣ",
    "\u0301",
    "\x1f",
    "\n",
    "\n \n",
    "\x1c",
    " ",
    "w2vexplineend",
    "x" * 300,
    "\0",
    "日",
]
TEXTS = st.lists(
    st.lists(st.sampled_from(PARTS), min_size=1, max_size=6).map("".join), min_size=2, max_size=6
)


@pytest.mark.parametrize("segment_end", SEGMENT_ENDS)
@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=range(len(TOKENIZERS)))
@given(texts=TEXTS)
@example(texts=["\n", "\n"])
@example(texts=["ΑΣ", "\u0301α"])
@property_settings(max_examples=examples(25), deadline=None)
def test_several_texts_have_the_words_and_ends_of_each(
    tokenizer: Tokenizer, segment_end: str, texts: list[str]
):
    together = encode_chunk(tokenizer, texts, segment_end)
    alone = [encode_chunk(tokenizer, text, segment_end) for text in texts]
    lengths = np.cumsum([0, *(len(each.numbers) for each in alone)])
    words = list(chain.from_iterable([each.words[number] for number in each.numbers] for each in alone))
    assert [together.words[number] for number in together.numbers] == words
    assert [*together.words] == list(dict.fromkeys(words))
    assert together.texts.tolist() == lengths[1:-1].tolist()
    assert together.texts.dtype == together.ends.dtype == np.int64
    assert together.numbers.dtype == np.int32
    expected = {
        *np.concatenate([start + each.ends for start, each in zip(lengths, alone, strict=False)]).tolist()
    }
    assert expected <= {*together.ends.tolist()} <= expected | {*together.texts.tolist()}
    assert (np.diff(together.ends) >= 0).all()


@dataclass(frozen=True)
class Pieces:
    """Texts in given chunks."""

    given: list[list[str]]
    segment_end: str
    source: str = "the test"

    def texts(self) -> Iterator[Iterator[str]]:
        yield from map(iter, self.given)

    def chunks(self) -> Iterator[str]:
        yield from chain.from_iterable(self.given)


CHUNK = st.lists(st.sampled_from(["a", "b", "rare", "\n", "\n\n"]), max_size=5).map(
    lambda parts: " ".join(parts) + " "
)


@pytest.mark.parametrize("segment_end", SEGMENT_ENDS)
@given(given_texts=st.lists(st.lists(CHUNK, max_size=4), min_size=1, max_size=6), least=st.integers(1, 3))
@property_settings(max_examples=examples(40), deadline=None)
def test_a_text_is_the_same_however_many_texts_are_tokenized_together(segment_end, given_texts, least):
    corpus = Pieces(given_texts, segment_end)
    if not "".join(corpus.chunks()).split():
        return
    found = []
    for characters in (0, 3, 12, 1000):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(encoding, "SHORT_TEXTS", characters)
            for tokenizer in (WhitespaceTokenizer(), WordTokenizer()):
                text = encode_text(corpus, tokenizer, VocabularyRule(min_count=least))
                found.append(
                    (
                        text.vocabulary.words,
                        text.ids.tolist(),
                        text.segments.tolist(),
                        text.documents.tolist(),
                    )
                )
                assert text.digest == sha256("".join(corpus.chunks()).encode()).hexdigest()
    assert found == [found[0]] * len(found)

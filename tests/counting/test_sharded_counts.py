"""Counts by shards: those of the text in memory, to the byte, for every division, boundary, window and vocabulary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from properties import examples

from w2v_exp.counting.corpus_counts import Windows, count_corpus
from w2v_exp.counting.engines import Task
from w2v_exp.counting.store import CountStore
from w2v_exp.errors import CorpusError
from w2v_exp.examples.counted_text import CountedText
from w2v_exp.examples.counts import PairCounter, PairCounts
from w2v_exp.examples.pairs import effective_window
from w2v_exp.text.corpus import FileCorpus
from w2v_exp.text.encoding import EncodedText, encode_text
from w2v_exp.text.tokenizers import ArticleTokenizer, CharacterTokenizer, WhitespaceTokenizer, WordTokenizer
from w2v_exp.text.vocabulary import VocabularyRule


class InProcess:
    """An engine that executes tasks in this process, the last first, and lists them."""

    workers = 1

    def __init__(self) -> None:
        self.executed: list[Task] = []

    def run(self, tasks: Sequence[Task]) -> Iterator[int]:
        for index in reversed(range(len(tasks))):
            tasks[index].execute()
            self.executed.append(tasks[index])
            yield index


def count_in_memory(text: EncodedText, windows: Windows) -> PairCounts:
    counter = PairCounter(
        windows.size,
        len(text.vocabulary),
        shrinking=windows.shrinking,
        reach=effective_window(windows.size, len(text.ids), text.segments),
        centre_words=windows.centre_words,
        threads=1,
    )
    counter.add(text.ids, text.segments)
    return counter.finish()


def assert_same(counted: CountedText, text: EncodedText, windows: Windows) -> None:
    assert counted.vocabulary.words == text.vocabulary.words
    np.testing.assert_array_equal(counted.vocabulary.counts, text.vocabulary.counts)
    assert counted.tokens == text.tokens
    assert counted.kept == len(text.ids)
    assert counted.documents == len(text.names)
    expected = count_in_memory(text, windows)
    for name in ("starts", "contexts", "counts"):
        ours, theirs = getattr(counted.counts, name), getattr(expected, name)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs, name)


characters = st.sampled_from(
    [*"aabbcdé'1İΣ", *"     \n\n\n\r\t", "\r\n", "\n \n", "\u3000", "\u2028", "\ufeff", "日本"]
)
texts = st.lists(characters, max_size=80).map("".join)
tokenizers = st.sampled_from(
    [
        WhitespaceTokenizer(),
        WordTokenizer(),
        ArticleTokenizer(),
        CharacterTokenizer(),
        WhitespaceTokenizer(True, "NFKC"),
    ]
)
rules = st.builds(
    VocabularyRule,
    min_count=st.integers(1, 3),
    max_size=st.none() | st.integers(1, 6),
    max_frequency=st.sampled_from([1.0, 0.5, 0.2]),
    stop_words=st.sampled_from([[], ["a"], ["b", "zzz"]]),
)
windows = st.builds(
    Windows,
    size=st.sampled_from([1, 2, 3, 7, 30, 200, 2**62]),
    shrinking=st.booleans(),
    centre_words=st.none() | st.integers(1, 4),
)


def count_by_shards(
    corpus: FileCorpus, tokenizer: object, rule: VocabularyRule, windows: Windows, folder: Path, size: int
) -> CountedText:
    return count_corpus(corpus, tokenizer, rule, windows, InProcess(), CountStore(folder), shard_bytes=size)


@given(
    texts=st.lists(texts, min_size=1, max_size=4),
    boundaries=st.sampled_from(["none", "line", "document"]),
    tokenizer=tokenizers,
    rule=rules,
    windows=windows,
    size=st.integers(1, 100),
)
@property_settings(max_examples=examples(150))
def test_counts_by_shards_are_those_in_memory(
    texts: list[str],
    boundaries: str,
    tokenizer: WordTokenizer,
    rule: VocabularyRule,
    windows: Windows,
    size: int,
) -> None:
    with TemporaryDirectory() as place:
        folder = Path(place) / "texts"
        folder.mkdir()
        for number, text in enumerate(texts):
            (folder / f"{number}.txt").write_bytes(text.encode())
        path = folder if len(texts) > 1 else folder / "0.txt"
        corpus = FileCorpus(str(path), boundaries)
        counts = Path(place) / "counts"
        try:
            text = encode_text(corpus, tokenizer, rule)
        except CorpusError as error:
            with pytest.raises(CorpusError) as raised:
                count_by_shards(corpus, tokenizer, rule, windows, counts, size)
            assert str(raised.value) == str(error)
            return
        counted = count_by_shards(corpus, tokenizer, rule, windows, counts, size)
        assert_same(counted, text, windows)

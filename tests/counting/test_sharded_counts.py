"""Counts by shards: those of the text in memory, to the byte, for every division, boundary, window and vocabulary."""

from __future__ import annotations

import json
import os
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from properties import examples

from w2v_exp.counting import sums, words
from w2v_exp.counting.corpus_counts import Windows, count_corpus
from w2v_exp.counting.engines import Task
from w2v_exp.counting.parts import divide
from w2v_exp.counting.store import CountStore
from w2v_exp.errors import CorpusError
from w2v_exp.examples.counted_text import CountedText
from w2v_exp.examples.counts import PairCounter, PairCounts
from w2v_exp.examples.pairs import effective_window
from w2v_exp.text.corpus import FileCorpus, warn_once
from w2v_exp.text.encoding import EncodedText, encode_text
from w2v_exp.text.tokenizers import ArticleTokenizer, CharacterTokenizer, WhitespaceTokenizer, WordTokenizer
from w2v_exp.text.vocabulary import GivenVocabulary, VocabularyRule


class InProcess:
    """An engine that executes tasks in this process, the last first, and lists them."""

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


RULE, WINDOWS = VocabularyRule(min_count=2), Windows(3, shrinking=True)


@given(
    texts=st.lists(texts, min_size=1, max_size=4),
    boundaries=st.sampled_from(["none", "line", "document"]),
    tokenizer=tokenizers,
    rule=rules,
    windows=windows,
    size=st.integers(1, 100),
    at_once=st.sampled_from([1, 4, 1 << 20]),
)
@property_settings(max_examples=examples(60))
def test_counts_by_shards_are_those_in_memory(
    texts: list[str],
    boundaries: str,
    tokenizer: WordTokenizer,
    rule: VocabularyRule,
    windows: Windows,
    size: int,
    at_once: int,
) -> None:
    with TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        for name in ("SUMMED_AT_ONCE", "SORTED_AT_ONCE", "OF_TASK", "MOST_WAITING", "FEWEST_OF_SHARD"):
            patch.setattr(sums, name, at_once)
        patch.setattr(words, "MERGED_WORDS", 3 * at_once)
        patch.setattr(words, "_MARKED", min(at_once, 3))
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


@given(
    rows=st.lists(texts, min_size=1, max_size=8),
    boundaries=st.sampled_from(["none", "line", "document"]),
    windows=windows,
    size=st.integers(1, 120),
)
@property_settings(max_examples=examples(30))
def test_json_lines_are_counted_by_ranges_of_rows(
    rows: list[str], boundaries: str, windows: Windows, size: int
) -> None:
    with TemporaryDirectory() as place:
        file = Path(place) / "rows.jsonl"
        file.write_text("\n".join(json.dumps({"text": row, "n": 1}) for row in rows))
        corpus = FileCorpus(str(file), boundaries)
        try:
            text = encode_text(corpus, WhitespaceTokenizer(), RULE)
        except CorpusError:
            return
        parts = divide(corpus, size)
        assert all(part.of_rows for part in parts) or len(parts) == 1
        counted = count_by_shards(corpus, WhitespaceTokenizer(), RULE, windows, Path(place) / "counts", size)
        assert_same(counted, text, windows)


# ---------------------------------------------------------------- results that are used again


def words_of(seed: int, number: int = 400) -> str:
    return " ".join(f"w{word}" for word in np.random.default_rng(seed).zipf(1.5, number) % 30)


class Counted:
    """A text that is counted again and again, with the tasks of each time."""

    def __init__(self, folder: Path, limit_gb: float = 1.0) -> None:
        self.file = folder / "text.txt"
        self.store = CountStore(folder / "counts", limit_gb)
        self.tasks: Counter[str] = Counter()

    def count(
        self, rule: VocabularyRule = RULE, windows: Windows = WINDOWS, path: Path | None = None
    ) -> CountedText:
        """Count, compare with the counts in memory, and list the tasks."""
        corpus, engine = FileCorpus(str(path or self.file)), InProcess()
        counted = count_corpus(
            corpus, WhitespaceTokenizer(), rule, windows, engine, self.store, shard_bytes=300
        )
        self.tasks = Counter(task.name for task in engine.executed)
        assert_same(counted, encode_text(corpus, WhitespaceTokenizer(), rule), windows)
        return counted


@pytest.fixture
def counted(tmp_path: Path) -> Counted:
    made = Counted(tmp_path)
    made.file.write_text(words_of(1))
    return made


def test_a_text_is_counted_once(counted: Counted) -> None:
    first = counted.count()
    shards = counted.tasks["count_words"]
    assert shards > 3
    assert counted.tasks["count_pairs"] == shards
    again = counted.count()
    assert not counted.tasks
    assert again.digest == first.digest
    assert not list((counted.store.folder / "jobs").glob("*/*"))


def test_the_digest_does_not_depend_on_shards_and_names_the_counts(counted: Counted) -> None:
    first = counted.count()
    other = count_corpus(
        FileCorpus(str(counted.file)), WhitespaceTokenizer(), RULE, WINDOWS, InProcess(), counted.store
    )
    assert other.digest == first.digest
    assert counted.count(windows=Windows(2)).digest != first.digest


def test_another_window_or_vocabulary_reads_no_text(counted: Counted) -> None:
    counted.count()
    counted.count(windows=Windows(5))
    assert not counted.tasks["count_words"]
    counted.count(rule=VocabularyRule(max_size=7))
    assert not counted.tasks["count_words"]
    assert counted.tasks["count_pairs"] > 3


def test_of_a_text_that_grows_only_new_shards_are_counted(counted: Counted) -> None:
    counted.count(rule=VocabularyRule())  # keeps all words
    shards = counted.tasks["count_pairs"]
    text = counted.file.read_text()
    counted.file.write_text(f"{text} {words_of(2, 100)}")
    made = sorted(file.stat().st_ino for file in (counted.store.folder / "words").iterdir())
    counted.count(rule=VocabularyRule())
    assert counted.tasks["count_pairs"] < shards
    kept = {file.stat().st_ino for file in (counted.store.folder / "words").iterdir()}
    assert kept.issuperset(made)


def test_with_a_given_vocabulary_old_shards_are_not_even_looked_up(counted: Counted, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("w1\nw2\nw3\nabsent\n")
    rule = GivenVocabulary(path=str(tmp_path / "words.txt"))
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(9):
        (folder / f"{number}.txt").write_text(words_of(number, 120))
    counted.count(rule, path=folder)
    assert counted.tasks["look_up"] > 2
    (folder / "9.txt").write_text(words_of(9, 120))
    counted.count(rule, path=folder)
    assert counted.tasks["count_words"] == counted.tasks["look_up"] == counted.tasks["count_pairs"] <= 2
    assert not counted.tasks["merge_words"]


def test_a_touched_file_is_read_but_not_tokenized_again(counted: Counted) -> None:
    counted.count()
    made = {file: file.stat().st_ino for file in (counted.store.folder / "words").iterdir()}
    os.utime(counted.file, (1, 1))
    counted.count()
    assert {*counted.tasks} == {"count_words"}
    assert {file: file.stat().st_ino for file in (counted.store.folder / "words").iterdir()} == made


@pytest.mark.parametrize("kind", ["parts", "words", "lookups", "pairs", "counts"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "gone"])
def test_damaged_results_are_made_again(counted: Counted, kind: str, damage: str) -> None:
    first = counted.count()
    file = sorted((counted.store.folder / kind).iterdir())[0]
    content = file.read_bytes()
    changed = {
        "cut": content[: len(content) // 2],
        "flipped": content[:70] + bytes([content[70] ^ 1]) + content[71:],
        "empty": b"",
    }
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(changed[damage])
    if kind != "counts":  # else the others are not needed
        for result in (counted.store.folder / "counts").iterdir():
            result.unlink()
    assert counted.count().digest == first.digest
    assert counted.tasks


def test_the_least_recently_used_results_are_removed(counted: Counted, tmp_path: Path) -> None:
    counted.count()
    size = sum(each.size for each in counted.store.kept())
    for each in counted.store.kept():
        os.utime(each.path, (each.used - 1000, each.used - 1000))
    small = Counted(tmp_path, limit_gb=1.2 * size / 1e9)
    small.file = tmp_path / "other.txt"
    small.file.write_text(words_of(7))
    small.count()
    assert sum(each.size for each in small.store.kept()) <= 1.2 * size
    small.count()
    assert not small.tasks  # the one in use has stayed
    assert small.store.clear()[0] == 1
    assert not small.store.kept()


def test_files_of_others_in_the_folder_stay(counted: Counted) -> None:
    counted.count()
    mine = counted.store.folder / "words" / "mine.txt"
    mine.write_text("mine")
    counted.store.clear()
    assert mine.read_text() == "mine"


def test_a_folder_by_a_relative_path_is_counted(
    counted: Counted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.txt").write_text(words_of(number, 150))
    (folder / "5.jsonl").write_text('{"text": "w1 w2 w3"}\n{"text": "w2 w1"}\n')
    monkeypatch.chdir(tmp_path)
    counted.count(path=Path("texts"))
    assert counted.tasks["count_words"] > 2


def test_files_that_are_no_text_are_listed_before_any_is_counted(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}.txt").write_text(words_of(number))
        (tmp_path / f"{number}.png").write_bytes(b"\x89PNG")
    engine = InProcess()
    with TemporaryDirectory() as folder, pytest.raises(CorpusError, match="4 files cannot be read: "):
        count_corpus(
            FileCorpus(str(tmp_path)), WhitespaceTokenizer(), RULE, WINDOWS, engine, CountStore(Path(folder))
        )
    assert not engine.executed


def test_what_is_skipped_is_logged_once_for_all_shards_as_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(4):
        (tmp_path / f"{number}.txt").write_text(words_of(number))
        (tmp_path / f"{number}.gz").write_bytes(b"\x1f\x8b no more")
        (tmp_path / f".{number}.txt").write_text("hidden")
        with zipfile.ZipFile(tmp_path / f"{number}.zip", "w") as archive:
            archive.writestr("a.txt", words_of(10 + number))
            archive.writestr("a.txt~", "backup")
    corpus = FileCorpus(str(tmp_path), on_error="skip")
    logged = []
    with TemporaryDirectory() as folder:
        for shard_bytes in (300, 10**6):
            warn_once.cache_clear()
            caplog.clear()
            engine = InProcess()
            store = CountStore(Path(folder) / str(shard_bytes))
            count_corpus(corpus, WhitespaceTokenizer(), RULE, WINDOWS, engine, store, shard_bytes=shard_bytes)
            logged.append(sorted(caplog.messages))
    assert Counter(task.name for task in engine.executed)["count_words"] == 1
    warn_once.cache_clear()
    caplog.clear()
    encode_text(corpus, WhitespaceTokenizer(), RULE)
    assert logged == [sorted(caplog.messages)] * 2
    assert len(logged[0]) == 2
    warn_once.cache_clear()

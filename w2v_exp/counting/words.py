"""The words of a text, by shards: numbered and counted in each, and the vocabulary of all."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2v_exp.counting.arrays import StoredArrays, narrowed, write_arrays
from w2v_exp.counting.parts import from_json, remade, texts_of_part
from w2v_exp.counting.store import CountStore, key_of
from w2v_exp.files import read_checked, write_checked
from w2v_exp.text.damage import Damage
from w2v_exp.text.encoding import Reading
from w2v_exp.text.tokenizers import Tokenizer
from w2v_exp.text.vocabulary import Vocabulary, VocabularyRule
from w2v_exp.text.word_bytes import Words

FORMAT = 2  # of a shard's words: raise by one whenever its file or the meaning of its key changes

# ---------------------------------------------------------------- a shard


def count_words(folder: str, setup: str, number: int) -> None:
    """Count and number the words of each shard of a part of the corpus (a task).

    Parameters
    ----------
    folder : str
        Of the counts.
    setup : str
        File with the corpus, its parts and the tokenizer.
    number : int
        Of the part.
    """
    store = CountStore(Path(folder))
    settings = read_checked(Path(setup))
    part = from_json(settings["parts"][number])
    tokenizer = remade(settings["tokenizer"])
    corpus = remade(settings["corpus"])
    damage = Damage(skip=getattr(corpus, "on_error", "stop") == "skip")
    members = Counter[str]()
    texts = texts_of_part(corpus, part, damage, members)
    inputs = settings["inputs"]
    limit = None if part.stop else 2 * inputs["size"]
    shards = []
    for shard in _shards(texts, inputs["segment_end"], limit, part.continues):
        key = key_of(FORMAT, inputs["tokenizer"], shard.digest())
        if store.find("words", key) is None:
            shard.write(store.path("words", key), tokenizer)
        shards.append(key)
    found = {"shards": shards, "skipped": list(damage.skipped), "excluded": members}
    write_checked(store.path("parts", settings["keys"][number]), found, durable=False)


class _Shard:
    """The text of a shard, in memory.

    Parameters
    ----------
    segment_end : str
        The kind of end of the segments of its corpus.
    continues : bool
        Whether its first text is the rest of one that began before.
    """

    source = "a part of the corpus"

    def __init__(self, segment_end: str, continues: bool) -> None:
        self.segment_end = segment_end
        self.continues = continues
        self.length = 0  # in characters
        self._texts: list[list[str]] = []

    def begin_text(self) -> None:
        """Begin the next text."""
        self._texts.append([])

    def add(self, chunk: str) -> None:
        """Add to the last text."""
        self._texts[-1].append(chunk)
        self.length += len(chunk)

    def texts(self) -> Iterator[Iterator[str]]:
        """Yield the texts, each in chunks."""
        yield from map(iter, self._texts)

    def chunks(self) -> Iterator[str]:
        """Yield the text, in chunks."""
        for text in self._texts:
            yield from text

    def digest(self) -> str:
        """Return the SHA-256 of all that its words depend on."""
        digest = hashlib.sha256(json.dumps([self.segment_end, self.continues]).encode())
        for text in self._texts:
            content = hashlib.sha256()
            for chunk in text:
                content.update(chunk.encode())
            digest.update(content.digest())
        return digest.hexdigest()

    def write(self, path: Path, tokenizer: Tokenizer) -> None:
        """Write words, counts and ids."""
        reading = _ShardReading(self)
        chunks = list(reading.provisional_ids(tokenizer))
        words, numbers, counts = reading.distinct_words()
        ids = np.concatenate([np.empty(0, np.int32), *(numbers[chunk] for chunk in chunks)])
        order = words.order()
        ordered = words.take(order)
        ends = np.concatenate([np.empty(0, np.int64), *reading.ends()])
        if self.continues and self.segment_end != "corpus":
            ends = ends[1:]  # where its first text begins
        write_arrays(
            path,
            {
                "words": ordered.content,
                "marks": ordered.starts()[::_MARKED],
                "numbers": order.astype(np.int32),
                "counts": narrowed(counts[order]),
                "ids": narrowed(ids),
                "ends": np.unique(ends),
            },
            tokens=len(ids),
            words=len(words),
            documents=len(self._texts) - self.continues,
        )


class _ShardReading(Reading):
    """Reading that numbers the words of each chunk apart.

    Those of all chunks are compared at its end.

    This takes a fifth of the time of a dictionary of strings.
    """

    def __init__(self, shard: _Shard) -> None:
        super().__init__(shard)
        self._parts: list[Words] = []
        self._part_counts: list[NDArray[np.int64]] = []
        self._numbered = 0

    def _numbers_of(self, words: Sequence[str], counts: NDArray[np.int64]) -> NDArray[np.int32]:
        self._parts.append(words if isinstance(words, Words) else Words.of(words))
        self._part_counts.append(counts)
        first, self._numbered = self._numbered, self._numbered + len(words)
        return np.arange(first, self._numbered, dtype=np.int32)

    def distinct_words(self) -> tuple[Words, NDArray[np.int32], NDArray[np.int64]]:
        """Return the distinct words, their number for each provisional id, and their counts."""
        return merged_words(self._parts, self._part_counts)


def _shards(
    texts: Iterator[Iterator[str]], segment_end: str, limit: int | None, continues: bool
) -> Iterator[_Shard]:
    """Yield the texts as shards of about `limit` characters, at least one."""
    shard = _Shard(segment_end, continues)
    for text in texts:
        shard.begin_text()
        before = ""  # as in `whole_blank_lines`
        for chunk in text:
            if limit and shard.length >= limit:
                yield shard
                shard = _Shard(segment_end, continues=True)
                shard.begin_text()
                shard.add(before)
            shard.add(chunk)
            if segment_end == "blank line":
                before += chunk
                before = "\n" if "\n" in before[len(before.rstrip()) :] else ""
    yield shard


# ---------------------------------------------------------------- the vocabulary

MERGED_WORDS = 1_000_000  # of all shards, that a task merges
_MARKED = 1024  # words, of which the place of the first is stored
_LONGEST_MARKED = 1024  # bytes of a word that are looked at first
_SAMPLED = 64  # words of a shard, from which the ranges are found


class SortedWords:
    """The sorted words of a shard, of which a range is found without reading the others.

    Parameters
    ----------
    shard : StoredArrays
        A result of `count_words`.
    """

    def __init__(self, shard: StoredArrays) -> None:
        self._content, self._counts = shard["words"], shard["counts"]
        self._marks = shard["marks"]
        self.number: int = shard.description["words"]

    def sample(self) -> list[str]:
        """Return up to `_SAMPLED` words, evenly spaced."""
        chosen = np.unique(np.linspace(0, len(self._marks), _SAMPLED, endpoint=False, dtype=int))
        return [self._marked(number) for number in chosen.tolist() if number < len(self._marks)]

    def between(self, first: str | None, last: str | None) -> tuple[Words, NDArray[np.int64]]:
        """Return the words from `first` on and before `last`, and their counts."""
        begin, from_byte = (0, 0) if first is None else self._position(first)
        end, to_byte = (self.number, len(self._content)) if last is None else self._position(last)
        return Words(self._content[from_byte:to_byte]), self._counts[begin:end].astype(np.int64)

    def _marked(self, number: int) -> str:
        """Return a marked word."""
        start = int(self._marks[number])
        block = self._content[start : start + _LONGEST_MARKED].tobytes()
        if b"\n" not in block:
            block = self._content[start:].tobytes()
        return block.split(b"\n", 1)[0].decode(errors="surrogatepass")

    def _position(self, word: str) -> tuple[int, int]:
        """Return the number of words and of bytes before a word."""
        key = order_key(word)
        block = bisect_left(range(len(self._marks)), key, key=lambda number: order_key(self._marked(number)))
        if block == 0:
            return 0, 0
        start = int(self._marks[block - 1])
        stop = int(self._marks[block]) if block < len(self._marks) else len(self._content)
        listed = Words(self._content[start:stop]).strings()
        number = bisect_left(listed, key, key=order_key)
        size = sum(len(each.encode(errors="surrogatepass")) + 1 for each in listed[:number])
        return _MARKED * (block - 1) + number, start + size


def order_key(word: str) -> bytes:
    """Return the bytes by which words are sorted, as by `Words.order`."""
    return word.encode(errors="surrogatepass").replace(b"\0", b"\n")


def word_ranges(shards: Sequence[SortedWords]) -> list[str]:
    """Return words that divide those of the shards into ranges of about `MERGED_WORDS`."""
    sample: list[tuple[str, float]] = []
    for shard in shards:
        words = shard.sample()
        sample += [(word, shard.number / len(words)) for word in words]
    sample.sort(key=lambda each: order_key(each[0]))
    bounds: list[str] = []
    held = 0.0
    for word, weight in sample:
        if held >= MERGED_WORDS and word not in bounds[-1:]:
            bounds.append(word)
            held = 0.0
        held += weight
    return bounds


def merge_words(setup: str, first: str | None, last: str | None, result: str) -> None:
    """Write the words of a range that may be in the vocabulary (a task).

    Each is written with its count in all shards.

    Parameters
    ----------
    setup : str
        File with the shards' files, the rule of the vocabulary, and the number of tokens of the text.
    first, last : str or None
        The first word of the range, and the first one behind it; None: no bound.
    result : str
        File that is written.
    """
    settings = read_checked(Path(setup))
    parts, counts = [], []
    for path in settings["shards"]:
        of_shard = SortedWords(StoredArrays(Path(path))).between(first, last)
        parts.append(of_shard[0])
        counts.append(of_shard[1])
    words, _, totals = merged_words(parts, counts)
    chosen = remade(settings["rule"])
    passing = np.flatnonzero(totals >= chosen.min_count)
    listed = words.take(passing).strings()
    selected = chosen.select(dict(zip(listed, totals[passing].tolist(), strict=True)), settings["tokens"])
    write_arrays(Path(result), {"words": Words.of(selected.words).content, "counts": selected.counts})


def merged_words(
    parts: Sequence[Words], counts: Sequence[NDArray[np.int64]]
) -> tuple[Words, NDArray[np.int32], NDArray[np.int64]]:
    """Return the distinct words of several lists, and the sums of their counts.

    The second array is the number of each listed word.
    """
    words = Words.joined(parts)
    first = words.first_positions()
    is_first = first == np.arange(len(first))
    numbers = (np.cumsum(is_first, dtype=np.int32) - np.int32(1))[first]
    totals = np.zeros(int(is_first.sum()), np.int64)
    np.add.at(totals, numbers, np.concatenate([np.empty(0, np.int64), *counts]))
    return words.take(np.flatnonzero(is_first)), numbers, totals


def select_vocabulary(candidates: Sequence[StoredArrays], rule: VocabularyRule, tokens: int) -> Vocabulary:
    """Return the vocabulary from the results of `merge_words`."""
    counts: dict[str, int] = {}
    for found in candidates:
        counts.update(zip(Words(found["words"]).strings(), found["counts"].tolist(), strict=True))
    return rule.select(counts, tokens)

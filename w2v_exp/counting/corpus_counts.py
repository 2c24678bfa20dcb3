"""The pair counts of a corpus of any length, by shards: the steps, and which results are used again."""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v_exp.counting.arrays import StoredArrays, write_arrays
from w2v_exp.counting.engines import Engine, Task
from w2v_exp.counting.pairs import FORMAT as PAIRS_FORMAT
from w2v_exp.counting.parts import Part, as_json, described, divide
from w2v_exp.counting.store import CountStore, PartResult, key_of
from w2v_exp.counting.sums import ShardFiles, plan_sums
from w2v_exp.counting.words import FORMAT as WORDS_FORMAT
from w2v_exp.counting.words import SortedWords, select_vocabulary, word_ranges
from w2v_exp.errors import UserError
from w2v_exp.examples.counted_text import CountedText
from w2v_exp.examples.counts import PairCounts, mixed_counts
from w2v_exp.files import DamagedFileError, write_checked
from w2v_exp.text.cache import describe_tokenizer, state_of
from w2v_exp.text.corpus import Corpus, FileCorpus, segment_end_of, warn_of_skipped
from w2v_exp.text.damage import Skipped, all_skipped
from w2v_exp.text.documents import reading
from w2v_exp.text.encoding import no_word, require_text_parts
from w2v_exp.text.tokenizers import Tokenizer
from w2v_exp.text.vocabulary import GivenVocabulary, Vocabulary, VocabularyRule
from w2v_exp.text.word_bytes import Words

_log = logging.getLogger(__name__)

FORMAT = 1  # of the counts of a text
SHARD_BYTES = 64_000_000  # of text, so that a worker takes a gigabyte of memory

Progress = Callable[[str, int, int], None]  # called with the step, and the finished tasks of all


@dataclass(frozen=True)
class Windows:
    """The windows whose pairs are counted.

    Parameters
    ----------
    size : int
        The largest distance, in words of the vocabulary.
    shrinking : bool
        Whether a pair at distance d weighs (size − d + 1) / size instead of 1.
    centre_words : int, optional
        Number of words that are centres, the most frequent ones; None: all.
    """

    size: int
    shrinking: bool = False
    centre_words: int | None = None


def count_corpus(
    corpus: Corpus,
    tokenizer: Tokenizer,
    rule: VocabularyRule,
    windows: Windows,
    engine: Engine,
    store: CountStore,
    *,
    shard_bytes: int | None = None,
    progress: Progress = lambda _step, _done, _of: None,
) -> CountedText:
    """Count the pairs of a corpus by shards.

    The result depends neither on the shards nor on the engine.

    Results of earlier calls are used again: see `CountStore`. A call that was killed goes on where it was.

    Parameters
    ----------
    corpus, tokenizer, rule
        As for :func:`w2v_exp.text.encoding.encode_text`, with whose ids the counts agree.
    windows : Windows
        Whose pairs are counted.
    engine : Engine
        Executes the tasks.
    store : CountStore
        Folder of the results, which the engine's workers see.
    shard_bytes : int, optional
        Approximate size of a shard; None: `SHARD_BYTES`.

    Raises
    ------
    CorpusError
        If the text cannot be read or has no word.
    UserError
        If a task cannot be executed.
    """
    require_text_parts(corpus, tokenizer, rule)
    counting = _Counting(
        corpus, tokenizer, rule, windows, engine, store, shard_bytes or SHARD_BYTES, progress
    )
    with store.in_use():
        return counting.count()


class Rows(NamedTuple):
    """Consecutive rows of counts: their lengths, contexts and counts."""

    lengths: NDArray[np.int64]
    contexts: NDArray[np.int32]
    counts: NDArray[np.float32]


@dataclass
class _Counting:
    """The steps of `count_corpus`."""

    corpus: Corpus
    tokenizer: Tokenizer
    rule: VocabularyRule
    windows: Windows
    engine: Engine
    store: CountStore
    shard_bytes: int
    progress: Progress

    def count(self) -> CountedText:
        """Return the counted text."""
        parts = divide(self.corpus, self.shard_bytes)
        inputs = {
            "format": WORDS_FORMAT,
            "tokenizer": describe_tokenizer(self.tokenizer) or described(self.tokenizer),
            "segment_end": segment_end_of(self.corpus),
            "size": self.shard_bytes,
        }
        names = [key_of(inputs, *self._part_inputs(part)) for part in parts]
        results = [self.store.part(name) for name in names]
        known = [result for result in results if result is not None]
        if len(known) < len(names) or not (found := self.store.find("counts", self._key(known))):
            known = self._count_words(parts, names, inputs)
            found = self._count_pairs(known)
            if isinstance(self.corpus, FileCorpus):
                self.corpus.warn_of_excluded(sum((part.excluded for part in known), Counter()))
        skipped = all_skipped([part.skipped for part in known])
        warn_of_skipped(self.corpus, skipped)
        return _counted_text(found, skipped)

    def _key(self, parts: Sequence[PartResult]) -> str:
        """Return the key of the counts of these parts."""
        shards = [shard for part in parts for shard in part.shards]
        return key_of(FORMAT, shards, self.rule.described(), asdict(self.windows))

    def _count_pairs(self, parts: Sequence[PartResult]) -> StoredArrays:
        """Return the counts of the pairs of all parts."""
        key = self._key(parts)
        with self.store.job(key) as folder:
            if found := self.store.find("counts", key):  # another process has made it meanwhile
                return found
            self._sum(parts, key, folder)
            made = self.store.find("counts", key, check=False)
        if made is None:
            raise self._results_gone()
        return made

    def _results_gone(self) -> UserError:
        return UserError(
            f"{self.store.folder}: results of finished tasks are gone. Repeat the command; keep the cache meanwhile."
        )

    # ------------------------------------------------------------ words

    def _count_words(
        self, parts: Sequence[Part], names: Sequence[str], inputs: dict[str, Any]
    ) -> list[PartResult]:
        """Return the results of all parts, whose shards are in the store."""
        with self.store.job(key_of(names)) as folder:
            missing = [number for number, name in enumerate(names) if not self._has_words(name)]
            if missing and isinstance(self.corpus, FileCorpus) and self.corpus.on_error == "stop":
                self.corpus.check_beginnings(self.corpus.files())
            setup = {
                "corpus": described(self.corpus),
                "tokenizer": described(self.tokenizer),
                "inputs": inputs,
                "parts": [*map(as_json, parts)],
                "keys": names,
            }
            write_checked(folder / "corpus.json", setup, durable=False)
            common = {"folder": str(self.store.folder), "setup": str(folder / "corpus.json")}
            self._run("words", [_task("words:count_words", **common, number=number) for number in missing])
        results = [self.store.part(name) for name in names]
        found = [result for result in results if result is not None]
        if len(found) < len(results):
            raise self._results_gone()
        return found

    def _part_inputs(self, part: Part) -> list[Any]:
        """Return all that the text of a part depends on, as far as it is seen without reading."""
        if not part.files:  # its changes cannot be recognised, so it is read each time
            return [secrets.token_hex(16)]
        settings = described(self.corpus)
        settings["settings"] = {**settings["settings"], "path": None}
        status: list[Any] = []
        for file in part.files:
            with reading(str(file)):
                state = state_of(file)
            # Likewise a file.
            status.append(secrets.token_hex(16) if state is None else state)
        status += [part.start, part.stop] if part.stop else []
        return [settings, status]

    def _has_words(self, key: str) -> bool:
        part = self.store.part(key)
        return part is not None and all(self.store.find("words", shard) for shard in part.shards)

    # ------------------------------------------------------------ vocabulary

    def _sum(self, parts: Sequence[PartResult], key: str, folder: Path) -> None:
        """Select the vocabulary, and write the counts of all shards."""
        keys = [shard for part in parts for shard in part.shards]
        files = [self.store.path("words", shard) for shard in keys]
        shards = [StoredArrays(file) for file in files]
        tokens = sum(shard.description["tokens"] for shard in shards)
        documents = sum(shard.description["documents"] for shard in shards)
        if not any(shard.description["words"] for shard in shards):
            raise no_word(self.corpus, all_skipped([part.skipped for part in parts]))
        ranked = folder / "vocabulary.arrays"
        if isinstance(self.rule, GivenVocabulary) and self.rule.is_fixed and not self.windows.centre_words:
            listed = Words.of(list(self.rule.words))
            _write_ranked(ranked, listed, len(listed))
            lookups = self._look_up(keys, ranked)
            vocabulary = self._given_vocabulary(self.rule, lookups, ranked)
        else:
            vocabulary = self._vocabulary(files, shards, tokens, folder)
            centres = self.windows.centre_words or len(vocabulary)
            _write_ranked(ranked, Words.of(vocabulary.words), centres)
            lookups = self._look_up(keys, ranked)
        del shards
        reach = min(self.windows.size, max(1, _longest_segment(lookups) - 1))
        words = len(vocabulary)
        rows = self._summed_rows(keys, lookups, ranked, words, reach, self.windows.shrinking, folder)
        if self.windows.shrinking and reach < self.windows.size:
            others = self._summed_rows(keys, lookups, ranked, words, reach, False, folder)
            rows = _mixed_rows(rows, others, reach / self.windows.size)
        about = {
            "source": self.corpus.source,
            "tokenizer": repr(self.tokenizer),
            "vocabulary": repr(self.rule),
            "windows": repr(self.windows),
            "tokens": tokens,
            "documents": documents,
        }
        _write_counted(self.store.path("counts", key), vocabulary, rows, about)

    def _vocabulary(
        self, files: list[Path], shards: Sequence[StoredArrays], tokens: int, folder: Path
    ) -> Vocabulary:
        setup = folder / "vocabulary.json"
        listed = {"shards": [str(file) for file in files], "rule": described(self.rule), "tokens": tokens}
        write_checked(setup, listed, durable=False)
        bounds: list[str | None] = [None, *word_ranges([SortedWords(shard) for shard in shards]), None]
        results = [folder / f"words-{number}.arrays" for number in range(len(bounds) - 1)]
        tasks = [
            _task("words:merge_words", setup=str(setup), first=first, last=last, result=str(result))
            for first, last, result in zip(bounds, bounds[1:], results, strict=False)
        ]
        self._run("vocabulary", tasks, results)
        return select_vocabulary([StoredArrays(result) for result in results], self.rule, tokens)

    # ------------------------------------------------------------ pairs

    def _given_vocabulary(
        self, rule: GivenVocabulary, lookups: Sequence[StoredArrays], ranked: Path
    ) -> Vocabulary:
        """Return the vocabulary of given words, and write the file of these again, with their ids."""
        listed = Words(StoredArrays(ranked)["words"])
        totals = np.zeros(len(listed), np.int64)
        for lookup in lookups:
            totals[lookup["ranks"]] += lookup["counts"].astype(np.int64)
        counts = dict(zip(listed.strings(), totals.tolist(), strict=True))
        vocabulary = rule.select(counts)
        absent = [word for word, count in counts.items() if not count]
        _write_ranked(ranked, Words.of([*vocabulary.words, *absent]), len(listed))
        return vocabulary

    def _look_up(self, keys: list[str], ranked: Path) -> list[StoredArrays]:
        """Return the kept words of all shards."""
        size, of_words = self.windows.size, StoredArrays(ranked).description["digest"]
        names = {shard: key_of(PAIRS_FORMAT, shard, of_words, size) for shard in dict.fromkeys(keys)}
        missing = [shard for shard, name in names.items() if self.store.find("lookups", name) is None]
        tasks = [
            _task(
                "pairs:look_up",
                words=str(self.store.path("words", shard)),
                vocabulary=str(ranked),
                window=size,
                result=str(self.store.path("lookups", names[shard])),
            )
            for shard in missing
        ]
        self._run("look-ups", tasks)
        return [StoredArrays(self.store.path("lookups", names[shard])) for shard in keys]

    def _summed_rows(
        self,
        keys: list[str],
        lookups: list[StoredArrays],
        ranked: Path,
        words: int,
        reach: int,
        shrinking: bool,
        folder: Path,
    ) -> list[Rows]:
        """Count the pairs of all shards, and return the rows of their sum, in several pieces."""
        names = {
            shard: key_of(PAIRS_FORMAT, shard, lookup.description["kept"], reach, shrinking)
            for shard, lookup in zip(keys, lookups, strict=True)
        }
        paths = {shard: lookup.path for shard, lookup in zip(keys, lookups, strict=True)}
        missing = [shard for shard, name in names.items() if self.store.find("pairs", name) is None]
        tasks = [
            _task(
                "pairs:count_pairs",
                words=str(self.store.path("words", shard)),
                lookup=str(paths[shard]),
                reach=reach,
                shrinking=shrinking,
                result=str(self.store.path("pairs", names[shard])),
            )
            for shard in missing
        ]
        work = f"{folder}/{'shrinking' if shrinking else 'even'}"
        crossing = Path(f"{work}-crossing.arrays")
        if not _is_whole(crossing):
            tasks.append(
                _task(
                    "sums:count_crossing",
                    lookups=[str(lookup.path) for lookup in lookups],
                    vocabulary=str(ranked),
                    segment_end=segment_end_of(self.corpus),
                    reach=reach,
                    shrinking=shrinking,
                    result=str(crossing),
                )
            )
        self._run("pairs", tasks)
        files = [ShardFiles(str(paths[shard]), str(self.store.path("pairs", names[shard]))) for shard in keys]
        rows = min(self.windows.centre_words or words, words)
        plan = Path(f"{work}-plan.json")
        unit = 1 / reach if shrinking else 1.0
        division = plan_sums(plan, files, str(crossing), str(ranked), unit, rows)
        summed = [Path(f"{work}-ranges-{number}.arrays") for number in range(len(division.range_tasks) - 1)]
        tasks = [
            _task("sums:sum_ranges", plan=str(plan), task=number, result=str(result))
            for number, result in enumerate(summed)
        ]
        self._run("sums", tasks, summed)
        ordered = [Path(f"{work}-rows-{number}.arrays") for number in range(len(division.bucket_tasks) - 1)]
        tasks = [
            _task(
                "sums:order_buckets", plan=str(plan), task=number, ranges=f"{work}-ranges", result=str(result)
            )
            for number, result in enumerate(ordered)
        ]
        self._run("rows", tasks, ordered)
        return [Rows(*map(StoredArrays(path).__getitem__, Rows._fields)) for path in ordered]

    def _run(self, step: str, tasks: Sequence[Task], results: Sequence[Path] | None = None) -> None:
        """Execute tasks, but those whose result is there."""
        if results is not None:
            tasks = [task for task, path in zip(tasks, results, strict=True) if not _is_whole(path)]
        self.progress(step, 0, len(tasks))
        for done, _ in enumerate(self.engine.run(tasks), start=1):
            self.progress(step, done, len(tasks))


def _task(function: str, **arguments: Any) -> Task:
    return Task(f"w2v_exp.counting.{function}", arguments)


def _is_whole(path: Path) -> bool:
    """Return whether a file of arrays is there and undamaged."""
    with suppress(OSError, DamagedFileError):
        StoredArrays(path).check()
        return True
    return False


def _write_ranked(path: Path, words: Words, centres: int) -> None:
    """Write words with their ids, in the order of their bytes.

    Ids below `centres` are centres.
    """
    ids = words.order()
    is_centre = ids < centres
    content = words.take(ids).content
    digest = hashlib.sha256(content.tobytes())
    digest.update(np.packbits(is_centre).tobytes())
    write_arrays(path, {"words": content, "ids": ids, "is_centre": is_centre}, digest=digest.hexdigest())


def _longest_segment(lookups: Sequence[StoredArrays]) -> int:
    """Return the most tokens of a segment, which may extend over several shards."""
    longest = current = 0
    for lookup in lookups:
        tokens, ends = lookup.description["tokens"], lookup.description["outer_ends"]
        if ends:
            longest = max(longest, current + ends[0], lookup.description["longest"])
            current = tokens - ends[-1]
        else:
            current += tokens
    return max(longest, current)


def _mixed_rows(rows: Sequence[Rows], others: Sequence[Rows], share: float) -> list[Rows]:
    """Return the means of counts of the same pairs."""
    return [
        Rows(piece.lengths, piece.contexts, mixed_counts(piece.counts, other.counts, share))
        for piece, other in zip(rows, others, strict=True)
    ]


def _write_counted(
    path: Path, vocabulary: Vocabulary, rows: Sequence[Rows], about: Mapping[str, Any]
) -> None:
    lengths = np.concatenate([np.empty(0, np.int64), *(piece.lengths for piece in rows)])
    arrays: dict[str, list[NDArray[Any]]] = {
        "word_counts": [vocabulary.counts],
        "starts": [np.concatenate([[0], np.cumsum(lengths)])],
        "contexts": [np.empty(0, np.int32), *(piece.contexts for piece in rows)],
        "counts": [np.empty(0, np.float32), *(piece.counts for piece in rows)],
    }
    digest = hashlib.sha256(json.dumps(vocabulary.words).encode())
    for pieces in arrays.values():
        digest.update(f"[{sum(map(len, pieces))}]".encode())
        for piece in pieces:
            digest.update(np.ascontiguousarray(piece, piece.dtype.newbyteorder("<")).data)
    content = Words.of(vocabulary.words).content
    write_arrays(path, {"words": content, **arrays}, **about, digest=digest.hexdigest())


def _counted_text(found: StoredArrays, skipped: Skipped) -> CountedText:
    vocabulary = Vocabulary(Words(found["words"]).strings(), found["word_counts"])
    counts = PairCounts(found["starts"], found["contexts"], found["counts"], len(vocabulary))
    about = found.description
    return CountedText(vocabulary, counts, about["tokens"], about["documents"], about["digest"], skipped)

"""Measure the counting of texts of growing length by shards: speed, memory, and size of the stored files.

    python scripts/benchmark_counting.py --text wikipedia_100mb.txt
    python scripts/benchmark_counting.py --text wikipedia_100mb.txt --sizes 0.1 1 10 --workers 2

The text is repeated up to each size, in GB. In each copy but the first, the words of each band of frequencies change
places, so that the copies have different pairs and the frequencies stay. Without --text, the words are random. The
shortest text is also counted in memory, and both counts must agree. docs/log/memory.md has the figures.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event

import numpy as np
from numpy.typing import NDArray

from w2v_exp.counting.corpus_counts import Windows, count_corpus
from w2v_exp.counting.engines import LocalCounting
from w2v_exp.counting.store import KINDS, CountStore
from w2v_exp.examples.counts import count_window_pairs
from w2v_exp.files import replacing
from w2v_exp.text.corpus import FileCorpus
from w2v_exp.text.encoding import encode_text
from w2v_exp.text.tokenizers import WhitespaceTokenizer
from w2v_exp.text.vocabulary import VocabularyRule
from w2v_exp.text.word_bytes import Words

GIGABYTE = 1_000_000_000
WRITTEN_AT_ONCE = 1 << 20  # tokens
RANDOM_WORDS, RANDOM_TOKENS = 200_000, 2_000_000
WINDOWS = Windows(5, shrinking=True)
SAMPLED_SECONDS = 0.1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    given = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=given.folder) as place:
        folder = Path(place)
        original = given.text or _write_random_text(folder / "random.txt")
        for number, size in enumerate(sorted(given.sizes)):
            path = given.folder / f"counted-{size:g}gb.txt" if given.keep else folder / "text.txt"
            if not (given.keep and path.exists()):
                write_copies(original, path, round(size * GIGABYTE))
            if not measure(path, given, folder / f"counts-{number}", check=number == 0):
                print("The counts differ from those in memory.", file=sys.stderr)
                return 1
    return 0


def write_copies(original: Path, path: Path, size: int) -> None:
    """Write copies of a text, with words that change places, up to a size in bytes."""
    text = encode_text(FileCorpus(str(original)), WhitespaceTokenizer(), VocabularyRule())
    words = Words.of(text.vocabulary.words)
    generator = np.random.default_rng(0)
    numbers = np.arange(len(words))
    written = 0
    with replacing(path, "wb", durable=False) as stream:
        while written < size:
            for start in range(0, len(text.ids), WRITTEN_AT_ONCE):
                chunk = words.take(numbers[text.ids[start : start + WRITTEN_AT_ONCE]]).content.tobytes()
                chunk = chunk.replace(b"\n", b" ")[: size - written]
                written += stream.write(chunk)
            numbers = exchanged(len(words), generator)


def exchanged(words: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return a permutation of words in the order of their frequencies, each within its band of ranks 2ⁿ to 2ⁿ⁺¹."""
    bands = np.floor(np.log2(np.arange(words) + 8))
    return np.lexsort((generator.random(words), bands))


def measure(path: Path, given: argparse.Namespace, folder: Path, *, check: bool) -> bool:
    """Count a text, print figures, and return whether the counts are those in memory, if these are to be checked."""
    corpus, tokenizer = FileCorpus(str(path)), WhitespaceTokenizer()
    rule = VocabularyRule(min_count=5, max_size=given.words)
    steps: dict[str, float] = {}
    begun = last = time.perf_counter()
    step = ""

    def progress(name: str, done: int, _of: int) -> None:
        nonlocal step, last
        now = time.perf_counter()
        steps[step] = steps.get(step, 0.0) + now - last
        step, last = name, now

    store = CountStore(folder)
    used = sum(os.times()[:4])
    with PeakMemory() as peak, LocalCounting(given.workers).engine(folder) as engine:
        text = count_corpus(corpus, tokenizer, rule, WINDOWS, engine, store, progress=progress)
        seconds = time.perf_counter() - begun
    progress("", 0, 0)
    used = sum(os.times()[:4]) - used
    size = path.stat().st_size
    listed = ", ".join(f"{name or 'rest'} {each:.1f}" for name, each in steps.items() if each > 0.05)
    print(
        f"{size / GIGABYTE:.3g} GB: {seconds:.1f} s, {size / seconds / 1e6:.1f} MB/s, {peak.bytes / GIGABYTE:.2f} GB "
        f"of memory, {used:.1f} s of processors, "
        f"{len(text.counts.counts):,} distinct pairs of {len(text.vocabulary):,} words. Seconds: {listed}."
    )
    kinds = {kind: sum(file.stat().st_size for file in (folder / kind).iterdir()) for kind in KINDS}
    print(
        "  stored, GB:",
        ", ".join(f"{kind} {each / GIGABYTE:.2f}" for kind, each in kinds.items()),
        flush=True,
    )
    if not check:
        return True
    begun = time.perf_counter()
    encoded = encode_text(corpus, tokenizer, rule)
    counts = count_window_pairs([encoded.ids], WINDOWS.size, len(encoded.vocabulary), shrinking=True)
    print(f"  in memory: {time.perf_counter() - begun:.1f} s")
    return all(
        np.array_equal(getattr(counts, name), getattr(text.counts, name))
        for name in ("starts", "contexts", "counts")
    )


class PeakMemory:
    """Peak of the memory of this process and its children, without mapped files, sampled (Linux)."""

    def __enter__(self) -> PeakMemory:
        self.bytes = 0
        self._ended = Event()
        self._pool = ThreadPoolExecutor(1)
        self._sampling = self._pool.submit(self._sample)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._sampling.result()
        self._pool.shutdown()

    def _sample(self) -> None:
        while not self._ended.wait(SAMPLED_SECONDS):
            self.bytes = max(self.bytes, sum(map(_anonymous_bytes, _with_children("self"))))


def _with_children(process: str) -> list[str]:
    found = [process]
    with suppress(OSError):
        for task in Path(f"/proc/{process}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += _with_children(child)
    return found


def _anonymous_bytes(process: str) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0


def _write_random_text(path: Path) -> Path:
    ids = np.random.default_rng(0).zipf(1.2, RANDOM_TOKENS) % RANDOM_WORDS
    path.write_text(" ".join(f"w{number}" for number in ids.tolist()))
    return path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--text", type=Path, help="text of words between spaces; default: random words")
    add("--sizes", nargs="+", type=float, default=[0.1, 1.0], help="lengths in GB; default: 0.1 1")
    add("--words", type=int, default=30_000, help="size of the vocabulary; default: 30000")
    add("--workers", type=int, help="processes; default: one per core")
    add("--folder", type=Path, default=Path(tempfile.gettempdir()), help="for texts and counts")
    add("--keep", action="store_true", help="keep the texts in the folder, and use those that are there")
    return parser


if __name__ == "__main__":
    sys.exit(main())

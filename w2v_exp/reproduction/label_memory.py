"""Point 5: the memory of one-hot labels and of ids as texts grow, up to where one-hot labels are refused."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from w2v_exp.examples.labels import DenseLabels, SparseLabels
from w2v_exp.memory import available_memory, readable_bytes
from w2v_exp.reproduction.claims import Claim, Point
from w2v_exp.reproduction.markdown import prose, table
from w2v_exp.reproduction.memory_growth import (
    DIM,
    REHEARSED_STEPS,
    Line,
    Measurement,
    Refusal,
    fits_as_dense,
    keeps_batches,
    measure,
    refuse,
    sizes,
)
from w2v_exp.reproduction.pictures import draw_label_memory
from w2v_exp.reproduction.published_figures import PublishedFigures
from w2v_exp.tracking.memory import MEGABYTE

DENSE_BYTES = 8  # a float64 for each of V·m
SPARSE_BYTES = 8  # two int32 ids for each pair: the context is the label
TOLERANCE = 0.02
ARTICLE_WORDS, ARTICLE_PAIRS = 31_853, 35_750_000  # the article's second text, on which its kernel died


def examine(published: PublishedFigures, seeds: range) -> Point:
    """Measure both encodings on texts of many sizes, fit lines, and grow the text until dense is refused."""
    dense = [measure("dense", *size, seeds[0]) for size in sizes() if fits_as_dense(*size)]
    sparse = [measure("sparse", *size, seeds[0]) for size in sizes()]
    # The line is that of the labels: examples of a small text keep its batches too, up to 2 MB for speed.
    large = [each for each in sparse if not keeps_batches(each.pairs)]
    lines = {
        "dense by V·m": Line.fit([each.vocabulary_size * each.pairs for each in dense], dense),
        "dense by m": Line.fit([each.pairs for each in dense], dense),
        "sparse by m": Line.fit([each.pairs for each in large], large),
        "sparse by V·m": Line.fit([each.vocabulary_size * each.pairs for each in large], large),
    }
    refusal = refuse(seeds[0])
    finding = (
        f"Measured: {lines['dense by V·m'].slope:.2f} bytes for each of V·m with one-hot labels, and "
        f"{lines['sparse by m'].slope:.2f} bytes a pair with ids, whatever the vocabulary."
    )
    if refusal:
        finding += (
            f" At V = {refusal.vocabulary_size:,} one-hot labels ({readable_bytes(refusal.needed)}) are "
            f"refused before anything is allocated; ids train in {readable_bytes(refusal.sparse.peak)}."
        )
    return Point(
        title="Memory of the labels",
        statement="One-hot labels need O(V·m) memory, which ended a larger run; ids need O(m)",
        stands=True,
        finding=finding,
        claims=[*_line_claims(lines["dense by V·m"], lines["sparse by m"]), _refusal_claim(refusal)],
        body=prose(
            "label_memory",
            dim=DIM,
            steps=REHEARSED_STEPS,
            largest=_largest_table(dense, sparse),
            lines=_lines_table(lines),
            refusal=_refused(refusal),
            article_words=f"{ARTICLE_WORDS:,}",
            article_pairs=f"{ARTICLE_PAIRS / 1e6:.2f} M",
            article_dense=readable_bytes(DenseLabels.memory(ARTICLE_PAIRS, ARTICLE_WORDS, np.float64)),
            article_sparse=readable_bytes(SparseLabels.memory(ARTICLE_PAIRS, ARTICLE_WORDS, np.float64)),
        ),
        pictures={
            "label_memory.svg": partial(
                draw_label_memory,
                dense=[(each.vocabulary_size, each.pairs, each.peak) for each in dense],
                sparse=[(each.vocabulary_size, each.pairs, each.peak) for each in sparse],
                dense_line=(lines["dense by V·m"].intercept, lines["dense by V·m"].slope),
                sparse_line=(lines["sparse by m"].intercept, lines["sparse by m"].slope),
                sparse_line_from=min(each.pairs for each in large),
                refused=(refusal.pairs, refusal.needed, refusal.sparse.peak) if refusal else None,
                available=available_memory(),
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
            "what is allocated repeats to a few hundred bytes; the rest is the steps' own arrays, O(V)",
            abs(dense.slope / DENSE_BYTES - 1) <= TOLERANCE and dense.determination >= 0.999,
        ),
        Claim(
            "Sparse: bytes for each of m",
            f"O(m), {SPARSE_BYTES} for two int32 ids",
            f"{sparse.slope:.3f}, R² {sparse.determination:.5f}",
            f"{100 * TOLERANCE:g} %, R² at least 0.995",
            "one line for four vocabularies, so parameters and scores, O(V), lie off it. Fitted to texts whose "
            "batches are not kept from epoch to epoch, as those of small ones are",
            abs(sparse.slope / SPARSE_BYTES - 1) <= TOLERANCE and sparse.determination >= 0.995,
        ),
    ]


def _refusal_claim(refusal: Refusal | None) -> Claim:
    obtained, holds = "this system does not tell how much memory there is", None
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
        "the check is arithmetic; V grows until twice what is available is needed, whatever the machine has",
        holds,
    )


def _largest_table(dense: Sequence[Measurement], sparse: Sequence[Measurement]) -> str:
    """Return, for each vocabulary, the largest text whose one-hot labels were measured."""
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
    return table(["Line", "Bytes for each", "Intercept", "R²"], rows)


def _refused(refusal: Refusal | None) -> str:
    if refusal is None:
        return "This system does not tell how much memory there is, so nothing can be refused."
    return (
        f"A text of {refusal.vocabulary_size:,} different words, with one-hot labels:\n\n"
        f"```text\n{refusal.message}\n```"
    )

"""The pictures of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from w2v_exp.examples.pairs import Pairs
from w2v_exp.memory import readable_bytes
from w2v_exp.reporting import style
from w2v_exp.reporting.labels import EndLabel, label_ends
from w2v_exp.reporting.words import shown

OURS, PUBLISHED = style.COLOURS[0], style.COLOURS[1]
BAND: dict[str, Any] = {"alpha": 0.3, "lw": 0}


def draw_cost_curves(
    path: Path,
    epochs: NDArray[np.int64],
    published: Mapping[str, NDArray[np.float64]],
    ours: Mapping[str, NDArray[np.float64]],
    valley: tuple[int, int],
) -> None:
    """Draw the published cost over the band of our seeds: whole, and enlarged below.

    Parameters
    ----------
    path : Path
        The SVG to write.
    epochs : ndarray of int, shape (n,)
        The printed epochs.
    published : mapping of str to ndarray, shape (n,)
        The printed costs, by label encoding.
    ours : mapping of str to ndarray, shape (seeds, all epochs)
        Our costs.
    valley : (int, int)
        Between which epochs the lowest cost before the rise is looked for.
    """
    with style.drawing(path, height=6.4) as figure:
        grid = figure.subplots(2, len(published), sharex=True, sharey="row", squeeze=False)
        for (whole, enlarged), (labels, printed) in zip(grid.T, published.items(), strict=True):
            for axes in (whole, enlarged):
                every = np.arange(ours[labels].shape[1])
                axes.fill_between(
                    every, ours[labels].min(axis=0), ours[labels].max(axis=0), color=OURS, **BAND
                )
                axes.plot(
                    every, np.median(ours[labels], axis=0), color=OURS, lw=1.2, label="ours: median and band"
                )
                axes.plot(epochs, printed, color=PUBLISHED, lw=1.2, label="published")
                style.show_epochs(axes, every[-1])
                axes.grid(axis="y")
            enlarged.axvspan(*valley, color=style.PALE, alpha=0.35, lw=0)
            enlarged.set_ylim(2.027, 2.058)
            whole.set_xlabel("")
            style.add_title(whole, f"{labels.capitalize()} labels")
            enlarged.set_title("enlarged; shaded: where the valley must be")
        for axes in grid[:, 0]:
            axes.set_ylabel("article's cost, nats per pair")
        grid[0, 0].legend(frameon=False, fontsize=style.SMALL)


def draw_kept_updates(path: Path, pairs: Pairs, kept: NDArray[np.bool_], words: Sequence[str]) -> None:
    """Draw the pairs of one batch in order, by centre word, the kept ones filled."""
    with style.drawing(path, height=3.6) as figure:
        axes = figure.add_subplot()
        _, first = np.unique(pairs.centres, return_index=True)
        rows = np.empty(len(words), int)
        rows[np.argsort(first)] = np.arange(len(words))  # words in the order in which the sentence has them
        positions = np.arange(len(pairs))
        axes.scatter(
            positions[~kept],
            rows[pairs.centres[~kept]],
            s=20,
            facecolor="white",
            edgecolor=style.GREY,
            lw=0.8,
        )
        axes.scatter(positions[kept], rows[pairs.centres[kept]], s=26, color=OURS)
        axes.set_yticks(range(len(words)), [shown(words[i]) for i in np.argsort(first)])
        axes.tick_params(axis="y", labelcolor=style.INK)
        axes.invert_yaxis()
        axes.grid(axis="y")
        axes.set_xlim(-1, len(pairs))
        axes.set_xlabel("pair of the batch, in order")
        style.add_title(
            axes,
            f"{np.count_nonzero(~kept)} of {len(pairs)} updates of the embedding are lost",
            "hollow: overwritten by a later pair of the same centre word",
        )


def draw_update_rules(
    path: Path, costs: Mapping[str, NDArray[np.float64]], bounds: Mapping[str, float]
) -> None:
    """Draw the cost by epoch under several update rules, shape (seeds, epochs) each."""
    with style.drawing(path, height=4.4) as figure:
        axes = figure.add_subplot()
        ends = []
        for (name, of_seeds), colour in zip(costs.items(), style.COLOURS, strict=False):
            every = np.arange(of_seeds.shape[1])
            axes.fill_between(every, of_seeds.min(axis=0), of_seeds.max(axis=0), color=colour, **BAND)
            axes.plot(every, np.median(of_seeds, axis=0), color=colour)
            style.show_epochs(axes, every[-1])
            ends.append(
                EndLabel(float(np.median(of_seeds[:, -1])), f"{name} {of_seeds[:, -1].mean():.3f}", colour)
            )
        for name, bound in bounds.items():
            axes.axhline(bound, color=style.GREY, lw=1, ls=(0, (4, 3)))
            ends.append(EndLabel(bound, f"{name} {bound:.4f}", style.GREY))
        style.show_values(axes, "article's cost, nats per pair", [end.value for end in ends] + [2.56])
        style.add_title(axes, "What training gives when no update is lost", "median and band of the seeds")
        label_ends(figure, {axes: ends})


def draw_label_memory(
    path: Path,
    *,
    dense: Sequence[tuple[int, int, float]],
    sparse: Sequence[tuple[int, int, float]],
    dense_line: tuple[float, float],
    sparse_line: tuple[float, float],
    sparse_line_from: int,
    refused: tuple[int, float, float] | None,
    available: int | None,
) -> None:
    """Draw peak memory by number of pairs, both axes logarithmic.

    Parameters
    ----------
    path : Path
        The SVG to write.
    dense, sparse : sequence of (int, int, float)
        Vocabulary size, pairs and bytes of every measurement.
    dense_line, sparse_line : (float, float)
        Intercept and slope in bytes: of dense by V·m, of sparse by m.
    sparse_line_from : int
        From how many pairs on the line of sparse is fitted.
    refused : (int, float, float), optional
        Pairs of the refused text, bytes it needs with one-hot labels, bytes it took with ids.
    available : int, optional
        Bytes that the machine has.
    """
    with style.drawing(path, height=5.2) as figure:
        axes = figure.add_subplot()
        axes.set(xscale="log", yscale="log", xlabel="pairs (m)")
        vocabulary_sizes = sorted({vocabulary_size for vocabulary_size, _, _ in sparse})
        shades = dict(zip(vocabulary_sizes, np.linspace(0.4, 1, len(vocabulary_sizes)), strict=True))
        for vocabulary_size, shade in shades.items():
            look: dict[str, Any] = {"color": PUBLISHED, "alpha": shade}
            pairs, peaks = _of(dense, vocabulary_size)
            axes.plot(pairs, dense_line[0] + dense_line[1] * vocabulary_size * pairs, lw=1.2, **look)
            axes.scatter(pairs, peaks, s=18, lw=0, **look)
            _note(axes, f"V = {vocabulary_size:,}", pairs[0], peaks[0], PUBLISHED, left=True)
            axes.scatter(*_of(sparse, vocabulary_size), s=18, lw=0, color=OURS, alpha=shade)
        pairs = np.geomspace(sparse_line_from, max(m for _, m, _ in sparse))
        axes.plot(pairs, sparse_line[0] + sparse_line[1] * pairs, color=OURS, lw=1.2)
        _note(axes, "ids, any V", pairs[-1], sparse_line[0] + sparse_line[1] * pairs[-1], OURS)
        if available is not None:
            axes.axhline(available, color=style.GREY, lw=1, ls=(0, (4, 3)))
            left, _ = axes.get_xlim()
            _note(axes, f"available here: {readable_bytes(available)}", left, 1.3 * available, style.GREY)
        if refused is not None:
            at, needed, taken = refused
            axes.scatter([at], [needed], marker="x", s=50, color=PUBLISHED)
            _note(axes, f"refused: {readable_bytes(needed)}", at, needed, PUBLISHED)
            axes.scatter([at], [taken], marker="D", s=28, color=OURS)
            _note(axes, "that text with ids", at, taken, OURS, left=True)
        axes.grid(which="major")
        axes.margins(x=0.15, y=0.1)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: readable_bytes(value)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.minorticks_off()
        style.add_title(
            axes,
            f"One-hot labels take {dense_line[1]:.2f} bytes · V · m, ids {sparse_line[1]:.2f} bytes · m",
            f"peak memory; points measured, lines fitted; {len(vocabulary_sizes)} vocabulary sizes, "
            "the darker the larger",
        )


def _of(
    measurements: Sequence[tuple[int, int, float]], vocabulary_size: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return pairs and peaks of one vocabulary size."""
    chosen = np.array([(pairs, peak) for size, pairs, peak in measurements if size == vocabulary_size])
    return chosen[:, 0], chosen[:, 1]


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

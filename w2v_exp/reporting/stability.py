"""Stability of embeddings as tables: on a terminal, as CSV files, and in the page of a sweep."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from w2v_exp.embeddings.stability import MEASURES, Agreement, Band, Stability
from w2v_exp.errors import shown
from w2v_exp.files import replacing
from w2v_exp.reporting.escape import table_cells
from w2v_exp.reporting.intervals import number_text

if TYPE_CHECKING:
    from rich.console import Console

FILES = BY_BAND, BY_WORD = "stability.csv", "stability_words.csv"
HEADINGS = ("common neighbours", "aligned cosine", "correlation of cosines")  # as `MEASURES`
METRICS = ("stability_neighbours", "stability_cosine", "stability_correlation")  # likewise
LISTED = 10  # words
NAMED = 5  # words that not all runs have
SHADES = 20
ROWS = 20  # of a table on a terminal
NAME_WIDTH = 17  # of 80 characters


@dataclass(frozen=True)
class StabilityReport:
    """Stability of the embeddings of named configurations.

    Parameters
    ----------
    stability : Stability
        Agreement of the runs.
    names : list of str
        Names of the configurations, ready to be shown, by their numbers.
    notes : list of str
        Runs and configurations that were left out, as sentences.
    runs : list of str
        Names of the runs, to show each pair of runs; empty: pairs are not shown.
    """

    stability: Stability
    names: list[str]
    notes: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)

    @property
    def scope(self) -> str:
        """The numbers of runs, words and neighbours, in one line."""
        found = self.stability
        words = f"{found.compared:,} shared words"
        if found.compared < found.shared:
            words = f"the most frequent {found.compared:,} of {found.shared:,} shared words"
        k = f"{found.k} nearest neighbour{'s' * (found.k != 1)}"
        return f"{found.runs} runs, {words}, {k} of each."

    @property
    def missing(self) -> str:
        """A sentence on words that not all runs have; empty if there are none."""
        words = self.stability.missing
        if not words:
            return ""
        named = ", ".join(shown(word) for word in words[:NAMED]) + ", …" * (len(words) > NAMED)
        return f"Not compared: {len(words):,} words that only some of the runs have ({named})."

    @property
    def definitions(self) -> str:
        """Explanation of the measures."""
        k = self.stability.k
        return (
            f"Common neighbours: the share of the {k} nearest words (by cosine) that two runs have in common. Aligned "
            "cosine: that of a word's two vectors after the best rotation of one space onto the other. Correlation of "
            "cosines: of those of all pairs of words. In the last two, the mean of all vectors is subtracted. All are "
            "means over pairs of runs; ± is half the width of a 95 % confidence interval (jackknife over seeds, from "
            "three seeds). By chance: as in unrelated spaces."
        )

    @property
    def seed_note(self) -> str:
        """A warning if configurations are compared by runs with the same seed; else empty."""
        if any(each.same_seeds for each in self.stability.between):
            return (
                "Runs of different configurations are paired by equal seed, so they start alike; "
                "add repeats=3 to compare different seeds."
            )
        return ""

    def name_of(self, agreement: Agreement) -> str:
        """Return the name of a configuration, or of two."""
        return " – ".join(self.names[each] for each in dict.fromkeys(agreement.configurations))

    def metrics(self) -> dict[str, float]:
        """Return the mean of each measure over the configurations with several seeds, as metrics."""
        if not self.stability.within:
            return {}
        means = np.mean([each.means for each in self.stability.within], axis=0).tolist()
        return {name: mean for name, mean in zip(METRICS, means, strict=True) if math.isfinite(mean)}

    def sentence(self) -> str:
        """Return the stability between seeds in one line; empty without a configuration with several seeds."""
        if not (metrics := self.metrics()):
            return ""
        common = metrics[METRICS[0]] * self.stability.k
        return (
            f"Stability: two runs that differ only in their seed have {common:.1f} of the {self.stability.k} nearest "
            "neighbours of a word in common, on average."
        )

    def write_csv(self, folder: Path) -> None:
        """Write ``stability.csv``, by frequency band, and ``stability_words.csv``, by word."""
        found = self.stability
        with replacing(folder / BY_BAND) as stream:
            rows = csv.writer(stream, lineterminator="\n")
            measures = [name for measure in MEASURES for name in (measure, f"{measure}_margin")]
            rows.writerow(
                ["configuration", "other", "pairs", "first_rank", "last_rank", *measures, "residual"]
            )
            for each in found.agreements:
                names = table_cells(self.names[number] for number in each.configurations)
                numbers = np.stack([each.means, each.margins], axis=1).ravel().tolist()
                rows.writerow(
                    [*names, len(each.pairs), 1, found.compared, *_cells([*numbers, each.residual])]
                )
                for band, values in zip(found.bands, found.by_band(each).T.tolist(), strict=True):
                    if len(found.bands) == 1:
                        break
                    numbers = [number for value in values for number in (value, math.nan)]
                    rows.writerow([*names, len(each.pairs), *band, *_cells([*numbers, math.nan])])
        with replacing(folder / BY_WORD) as stream:
            rows = csv.writer(stream, lineterminator="\n")
            of = [f"{MEASURES[0]} {self.name_of(each)}" for each in found.agreements]
            rows.writerow(table_cells(["rank", "word", "count", *MEASURES, *of]))
            counts = [""] * len(found.words) if found.counts is None else found.counts.tolist()
            columns = np.concatenate([found.by_word, [each.words[0] for each in found.agreements]]).T.tolist()
            words = table_cells(found.words)
            for rank, word, count, numbers in zip(found.ranks.tolist(), words, counts, columns, strict=True):
                rows.writerow([rank, word, count, *_cells(numbers)])

    def print(self, console: Console) -> None:
        """Print the agreements, their neighbours by frequency band, and the least and most stable words."""
        from rich.text import Text

        found = self.stability
        console.print(Text("\nStability of the embeddings", style="bold"))
        console.print(Text(self.scope))
        table = _table(["configurations", "pairs", *HEADINGS, "residual"])
        for each in found.agreements[:ROWS]:
            numbers = [
                _with_margin(mean, margin) for mean, margin in zip(each.means, each.margins, strict=True)
            ]
            name = self.name_of(each)
            if len(name) > NAME_WIDTH:
                name = name.replace(" – ", " –\n", 1)
            table.add_row(Text(name), str(len(each.pairs)), *numbers, _number(each.residual))
        for each in found.agreements if self.runs else []:
            for (one, other), values in list(zip(each.pairs, each.values.T, strict=True))[:ROWS]:
                pair = f"  {shown(self.runs[one], 18)} –\n  {shown(self.runs[other], 20)}"
                table.add_row(Text(pair), "", *map(_number, values), "")
        table.add_row(
            Text("by chance", style="dim"), "", *(Text(_number(x), style="dim") for x in found.chance), ""
        )
        console.print(table)
        if (more := len(found.agreements) - ROWS) > 0:
            console.print(Text(f"{more} more; --out writes all.", style="dim"))
        if len(found.bands) > 1:
            console.print(Text("Common neighbours by frequency of the word", style="bold"))
            table = _table(["ranks", *map(_ranks, found.bands)])
            for each in (found.within or found.agreements)[:ROWS]:
                table.add_row(Text(self.name_of(each)), *map(_number, found.by_band(each)[0]))
            console.print(table)
        least, most = self.listed_words()
        if least:
            console.print(Text(self.words_heading, style="bold"))
            table = _table(
                ["least stable", "count", "common", "most stable", "count", "common"], texts=(0, 3)
            )
            for rows in zip(least, most, strict=True):
                table.add_row(*(Text(cell) for row in rows for cell in row))
            console.print(table)
        notes = [self.definitions, self.seed_note, self.missing, *self.notes]
        console.print(Text(" ".join(filter(None, notes)), style="dim"))

    @property
    def words_heading(self) -> str:
        """The heading of the listed words, with their least number of occurrences."""
        least = self.stability.least_count
        return "Words" + (f" that occur at least {least} times" if least > 1 else "")

    def listed_words(self) -> tuple[list[tuple[str, str, str]], list[tuple[str, str, str]]]:
        """Return the least and the most stable words, with count and share of common neighbours, ready to be shown.

        No word is in both lists.
        """
        found = self.stability
        order = found.by_stability()
        listed = min(LISTED, len(order) // 2)
        overlap = found.by_word[0]

        def rows(indices: Iterable[int]) -> list[tuple[str, str, str]]:
            counts = found.counts
            return [
                (shown(found.words[i]), "" if counts is None else f"{counts[i]:,}", _number(overlap[i]))
                for i in indices
            ]

        return rows(order[:listed]), rows(order[::-1][:listed])

    def page(self) -> dict[str, Any]:
        """Return the texts and numbers of the section of a page."""
        found = self.stability
        least, most = self.listed_words()
        return {
            "scope": self.scope,
            "definitions": self.definitions,
            "notes": " ".join(filter(None, [self.seed_note, self.missing, *self.notes])),
            "headings": HEADINGS,
            "rows": [
                (
                    self.name_of(each),
                    len(each.pairs),
                    [_with_margin(m, margin) for m, margin in zip(each.means, each.margins, strict=True)],
                    _number(each.residual),
                )
                for each in found.within
            ],
            "chance": [_number(value) for value in found.chance],
            "bands": [_ranks(band) for band in found.bands],
            "by_band": [
                (self.name_of(each), [_number(value) for value in found.by_band(each)[0]])
                for each in found.within
            ],
            "matrix": self._matrix(),
            "words_heading": self.words_heading,
            "words": [*zip(least, most, strict=True)],
        }

    def _matrix(self) -> dict[str, Any]:
        """Return the common neighbours of all pairs of configurations, as a heat map; empty for one configuration."""
        if not self.stability.between:
            return {}
        values = {each.configurations: float(each.means[0]) for each in self.stability.agreements}
        used = sorted({number for pair in values for number in pair})
        highest = max(values.values()) or 1
        cells = []
        for one in used:
            shares = [values.get((min(one, other), max(one, other)), math.nan) for other in used]
            shades = [None if math.isnan(share) else round(SHADES * share / highest) for share in shares]
            cells.append([*zip(map(_number, shares), shades, strict=True)])
        return {"names": [self.names[number] for number in used], "cells": cells}


def _table(headings: Sequence[str], texts: Sequence[int] = (0,)) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for number, heading in enumerate(headings):
        if number in texts:
            table.add_column(heading, overflow="fold")
        else:
            table.add_column("\n".join(heading.split(" ")), justify="right", no_wrap=True)
    return table


def _ranks(band: Band) -> str:
    return f"{band.first:,}–{band.last:,}"


def _number(value: float) -> str:
    return number_text(value) if math.isfinite(value) else "–"


def _with_margin(mean: float, margin: float) -> str:
    return f"{_number(mean)} ± {margin:.3f}" if math.isfinite(margin) else _number(mean)


def _cells(numbers: Iterable[float]) -> list[str]:
    return [repr(number) if math.isfinite(number) else "" for number in numbers]

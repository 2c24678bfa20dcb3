"""Draw the time of counting against the length of the text, from the figures in docs/log/counting.json.

python docs/draw_counting.py              # writes docs/log/counting.png
python docs/draw_counting.py other.svg
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from w2v_exp.reporting import style

LOG = Path(__file__).parent / "log"
STEPS = {
    "words": "words of each shard",
    "pairs": "pairs of each shard",
    "sums": "sums of all shards",
    "rows": "rows in order",
}  # the others take a tenth of a second


def draw(counts: list[dict[str, Any]], path: Path | str) -> None:
    """Draw the time per gigabyte as bars, divided into steps."""
    counts = sorted(counts, key=lambda each: (each["gigabytes"], each["words"]))
    with style.drawing(path, height=1.4 + 0.5 * len(counts)) as figure:
        axes = figure.add_subplot()
        for place, count in enumerate(counts):
            began = 0.0
            for number, step in enumerate(STEPS):
                seconds = count["seconds"].get(step, 0) / count["gigabytes"]
                named = STEPS[step] if place == 0 else None
                axes.barh(place, seconds, left=began, height=0.6, color=style.COLOURS[number], label=named)
                began += seconds
            rate = 1_000 * count["gigabytes"] / count["total"]
            label = f"{count['total']:,.0f} s, {rate:.0f} MB/s"
            axes.text(began + 0.5, place, label, va="center", size=style.SMALL)
        names = [f"{count['gigabytes']:g} GB" for count in counts]
        axes.set_yticks(range(len(counts)), names)
        axes.tick_params(axis="y", length=0, labelcolor=style.INK)
        axes.invert_yaxis()
        axes.set_xlim(0, 1.2 * max(sum(each["seconds"].values()) / each["gigabytes"] for each in counts))
        axes.set_xlabel("seconds per gigabyte of text, two processes")
        figure.legend(loc="outside lower left", ncols=len(STEPS), frameon=False, fontsize=style.SMALL)
        style.add_title(axes, "Time of counting by length of the text, 30,000 words")


if __name__ == "__main__":
    figures = json.loads((LOG / "counting.json").read_text())["counts"]
    draw(figures, sys.argv[1] if len(sys.argv) > 1 else LOG / "counting.png")

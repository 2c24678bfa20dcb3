"""Draw all schedules of the learning rate, with their default settings, into one picture for the docs.

Run it after a change to `w2v_exp.training.schedules`, from the top of the checkout:

    python docs/draw_schedules.py              # writes docs/schedules.png
    python docs/draw_schedules.py other.svg
"""

from __future__ import annotations

import sys
from pathlib import Path

from w2v_exp.reporting import style
from w2v_exp.reporting.style import EndLabel, label_ends
from w2v_exp.training.schedules import SCHEDULES

PICTURE = Path(__file__).parent / "schedules.png"
EPOCHS = 5000  # the article's; with one step an epoch


def draw_schedules(path: Path | str) -> None:
    """Draw the factor of the learning rate by epoch, a curve for each schedule."""
    epochs = range(EPOCHS)
    with style.drawing(path, height=4.8) as figure:
        axes = figure.add_subplot()
        ends = []
        for (name, schedule), colour in zip(SCHEDULES.items(), style.COLOURS, strict=False):
            factor = schedule()
            factors = [factor(epoch, EPOCHS, epoch, EPOCHS) for epoch in epochs]
            axes.plot(epochs, factors, color=colour)
            ends.append(EndLabel(factors[-1], name, colour))
        style.show_epochs(axes, EPOCHS - 1)
        style.show_values(axes, "factor of the learning rate", [0.0, 1.0])
        subtitle = f"With their default settings, for a run of {EPOCHS:,} epochs."
        style.add_title(axes, "Schedules of the learning rate", subtitle)
        label_ends(figure, {axes: ends})


if __name__ == "__main__":
    draw_schedules(sys.argv[1] if len(sys.argv) > 1 else PICTURE)

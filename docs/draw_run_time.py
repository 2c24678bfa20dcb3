"""Measure what a sweep spends its time on, and draw it into one picture for the docs.

Each step adds something to the command before it; its cost is the difference of both. Run it on an idle machine, from
the top of the checkout (two minutes):

    python docs/draw_run_time.py              # writes docs/log/run_time.png
    python docs/draw_run_time.py other.svg
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from w2v_exp.reporting import style

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from benchmarks.commands import BY_HAND, IMPORTS, OURS, SWEEP, processor_seconds, wall_seconds

PICTURE = Path(__file__).parent / "log" / "run_time.png"
REPEATS = 5
PLAIN = ("tracking.plots=false", "explorer=none")
STEPS = {
    "Python, Hydra and NumPy": IMPORTS,
    "our imports, the configuration, one run": (*OURS, "tracking=none", "explorer=none", "epochs=1"),
    "three more runs, comparison": (*OURS, *SWEEP, "tracking=none", "explorer=none", "epochs=1"),
    "training": (*OURS, *SWEEP, "tracking=none", "explorer=none"),
    "MLflow: import, store, uploads": (*OURS, *SWEEP, *PLAIN),
    "pages with a map": (*OURS, *SWEEP, "tracking.plots=false"),
    "pictures": (*OURS, *SWEEP),
}


def measure() -> tuple[dict[str, float], float, float]:
    """Return the processor seconds that each step adds, and the wall seconds of the sweep and of a script by hand."""
    used: dict[str, list[float]] = {name: [] for name in STEPS}
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
        for repeat in range(REPEATS + 1):
            for name, command in STEPS.items():
                seconds = processor_seconds(command, folder)
                if repeat:  # the first one makes the store, and may compile modules
                    used[name].append(seconds)
            ours.append(wall_seconds((*OURS, *SWEEP), folder))
            theirs.append(wall_seconds((*BY_HAND, *SWEEP), other))
    totals = [statistics.median(seconds) for seconds in used.values()]
    added = [after - before for before, after in zip([0.0, *totals], totals, strict=False)]
    return dict(zip(STEPS, added, strict=True)), statistics.median(ours[1:]), statistics.median(theirs[1:])


def draw(steps: dict[str, float], ours: float, theirs: float, path: Path | str) -> None:
    """Draw the steps as bars, each of which begins where the one before ends."""
    with style.drawing(path, height=4.4) as figure:
        axes = figure.add_subplot()
        began = 0.0
        for place, seconds in enumerate(steps.values()):
            axes.barh(place, seconds, left=began, height=0.6, color=style.COLOURS[0])
            began += seconds
            axes.text(began + 0.05, place, f"{seconds:.2f}", va="center", size=style.SMALL)
        axes.set_yticks(range(len(steps)), list(steps))
        axes.tick_params(axis="y", length=0, labelcolor=style.INK)
        axes.invert_yaxis()
        axes.set_xlim(0, 1.08 * began)
        axes.set_xlabel("seconds of processor time, on two cores")
        subtitle = (
            f"{began:.1f} s of processor time in {ours:.1f} s. A script written by hand takes {theirs:.1f} s."
        )
        style.add_title(axes, f"w2v-exp {' '.join(SWEEP)}", subtitle)


if __name__ == "__main__":
    draw(*measure(), sys.argv[1] if len(sys.argv) > 1 else PICTURE)

"""The memory that a long text takes from its file to training steps on pairs that are streamed from it.

In a process of its own: ``python -m benchmarks.streaming TEXT FOLDER V STEPS``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.bar import Bar
from benchmarks.child import Outcome, require_proc, run_child
from benchmarks.encoding import encode
from benchmarks.real_text import LongText
from benchmarks.sizes import Size
from w2v_exp.examples.streamed import StreamedExamples
from w2v_exp.machine import available_cores
from w2v_exp.model.parameters import ArticleInitialization
from w2v_exp.model.softmax import Softmax
from w2v_exp.training.trainer import Trainer

WINDOW, DIM, BATCH_SIZE = 5, 100, 1024
OBJECTIVE = Softmax(embedding_gradient="mean")  # the sum over a large batch is too much for its learning rate
MEGABYTES = 600  # anonymous, at the most
GROWTH = 10.0  # percent, from the first half of a phase to its second
WARM_UP = 0.1  # of a phase


def streaming(size: Size, text: LongText) -> list[Bar]:
    """Measure the anonymous memory of encoding a text, and of steps on its pairs in shuffled order, over time."""
    require_proc()
    with TemporaryDirectory(prefix="w2v_exp-benchmark-") as folder:
        outcome = run_child(
            "streaming", str(text.path), folder, str(size.long_vocabulary), str(size.streamed_steps)
        )
    report = outcome.report
    phases = {
        "encoding it": (report["began"], report["encoded"]),
        f"{size.streamed_steps} steps of {BATCH_SIZE:,} pairs": (report["encoded"], report["trained"]),
    }
    highest = outcome.highest(report["began"], report["trained"]) / 1e6
    bars = [Bar(f"streaming {text.described}: anonymous, at its highest", highest, "MB", promised=MEGABYTES)]
    for phase, (start, stop) in phases.items():
        bars.append(Bar(f"  {phase}: highest", outcome.highest(start, stop) / 1e6, "MB"))
        bars.append(Bar("    its growth, second half", growth(outcome, start, stop), "%", promised=GROWTH))
        bars.append(Bar("    seconds", stop - start, "s"))
    return bars


def growth(outcome: Outcome, start: float, stop: float) -> float:
    """Return by how many percent the highest of a phase's second half is above that of its first.

    The first tenth of the phase is left out: there it takes what it needs.
    """
    middle = (start + stop) / 2
    first = outcome.highest(start + WARM_UP * (stop - start), middle)
    second = outcome.highest(middle, stop)
    return 100 * (second / first - 1) if first and second else 0.0


def main(path: Path, folder: Path, max_size: int, steps: int) -> None:
    """Encode the text into a cache, take steps on its pairs, and print when which began and ended."""
    began = monotonic()
    text = encode(path, folder, max_size)
    encoded = monotonic()
    V = len(text.vocabulary)
    parameters = ArticleInitialization()(V, DIM, np.random.default_rng(0), np.float32)
    examples = StreamedExamples(text.ids, WINDOW, V, batch_size=BATCH_SIZE, order="shuffled")
    cores = available_cores()
    with threadpool_limits(cores, "blas"):
        trainer = Trainer(examples, parameters, objective=OBJECTIVE, epochs=1, threads=cores)
        trainer.dry_run(steps)
    print(json.dumps({"began": began, "encoded": encoded, "trained": monotonic()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))

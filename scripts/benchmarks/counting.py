"""The memory and the time that counting the pairs of a long text takes.

In a process of its own: ``python -m benchmarks.counting TEXT FOLDER V``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from benchmarks.bar import Bar
from benchmarks.child import require_proc, run_child, status_field
from benchmarks.encoding import encode
from benchmarks.real_text import LongText
from benchmarks.sizes import Size
from w2v_exp.examples.counts import count_window_pairs
from w2v_exp.machine import available_cores

WINDOW = 5


def counting(size: Size, text: LongText) -> list[Bar]:
    """Measure counting the pairs of a text, window 5, on all cores, from ids that are in the cache."""
    require_proc()
    with TemporaryDirectory(prefix="w2v_exp-benchmark-") as folder:
        arguments = (str(text.path), folder, str(size.long_vocabulary))
        run_child("counting", *arguments, "encode")
        outcome = run_child("counting", *arguments, "count")
    report = outcome.report
    what = f"counts of {text.described}, V = {report['words']:,}, {available_cores()} cores"
    anonymous = outcome.highest(report["began"], report["ended"])
    return [
        Bar(f"{what}: resident", report["resident"] / 1e9, "GB", promised=1.5, goal=0.7),
        Bar("  of it anonymous, at its highest", anonymous / 1e9, "GB"),
        Bar(f"  seconds for {report['pairs']:,.0f} pairs", report["ended"] - report["began"], "s"),
        Bar("  distinct pairs", report["distinct"] / 1e6, "million"),
    ]


def main(path: Path, folder: Path, max_size: int, task: str) -> None:
    """Encode the text; or count its pairs and print what that took."""
    text = encode(path, folder, max_size)
    if task == "encode":
        print("{}")
        return
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
    began = monotonic()
    counts = count_window_pairs([text.ids], WINDOW, len(text.vocabulary))
    ended = monotonic()
    report = {
        "resident": status_field("VmHWM"),
        "began": began,
        "ended": ended,
        "words": len(text.vocabulary),
        "pairs": counts.total,
        "distinct": len(counts.contexts),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])

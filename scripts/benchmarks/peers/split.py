"""Where the time of our training goes, and how near it comes to what the machine can do.

In a process of its own: ``python -m benchmarks.peers.split ORDER TEXT CACHE``.
"""

from __future__ import annotations

import cProfile
import json
import pstats
import sys
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from claim.contenders import train_on
from claim.cores import limited_to_cores
from claim.witness import Examiner, Witness

from benchmarks.child import run_child
from benchmarks.machine import machine_rates
from benchmarks.peers.order import Order
from benchmarks.peers.training import plan_of
from benchmarks.sizes import FULL
from w2v_exp.examples.sampling import keep_probabilities
from w2v_exp.experiment.building import build_examples, split_text
from w2v_exp.experiment.inputs import read_corpus
from w2v_exp.plan import Plan
from w2v_exp.text.encoding import EncodedText

SHOWN = 12  # functions


@dataclass(frozen=True)
class Split:
    """The time of an epoch of skip-gram with negative sampling, on one core, in seconds.

    Parameters
    ----------
    seconds : float
        Of the training, while a profiler watches.
    functions : dict of str to float
        What some functions took themselves, built-in ones that they called included; the rest is ``others``.
    products, exponentials, traffic : float
        What would be needed at the machine's best: the products of the pairs and of the centres with the negatives
        that they share, at the rate of square products; their exponentials; reading and writing the rows of each
        centre, and of the negatives of each group, at the rate of copying.
    """

    seconds: float
    functions: dict[str, float]
    products: float
    exponentials: float
    traffic: float

    @property
    def floor_share(self) -> float:
        """How near the training comes to all three, one after the other: 1 is there."""
        return (self.products + self.exponentials + self.traffic) / self.seconds


def split(order: Order, text: str, cache: str) -> Split:
    """Return where the time of a training goes."""
    return Split(**run_child("peers.split", json.dumps(order.as_dict()), text, cache).report)


def main(order: Order, path: str, cache: str) -> Split:
    """Train under a profiler, and measure the machine."""
    plan = plan_of(order.overrides, path, cache)
    text = read_corpus(plan)
    with limited_to_cores(order.cores):
        part, _ = split_text(plan, text)
        examples = build_examples(plan, part.ids, len(text.vocabulary), part.segments)
        nobody = Witness(Examiner(plan.evaluation, {}, []), [])
        train_on(plan, text, examples, nobody)  # once for what is loaded and allocated at first use
        profiler = cProfile.Profile()
        profiler.enable()
        train_on(plan, text, examples, nobody)
        profiler.disable()
        gemm, exponential, copy = machine_rates(plan.dtype, FULL, order.cores)
    stats = pstats.Stats(profiler)
    operations, exponentials, moved = _needed(plan, text)
    return Split(
        stats.total_tt,  # type: ignore[attr-defined]
        own_seconds(stats),
        operations / (gemm * 1e9),
        exponentials / (exponential * 1e9),
        moved / (copy * 1e9),
    )


def _needed(plan: Plan, text: EncodedText) -> tuple[float, float, float]:
    """Return the operations, exponentials and bytes that an epoch needs, as is to be expected."""
    rule: Any = plan.objective
    keep = keep_probabilities(plan.subsampling, text.ids, len(text.vocabulary))
    centres = len(text.ids) if keep is None else float(keep[text.ids].sum())
    pairs = centres * (plan.window + 1 if plan.shrinking_window else 2 * plan.window)
    scores = pairs + centres * rule.shared
    rows = centres * (2 + rule.shared / rule.group)
    return 6 * plan.dim * scores, scores, 2 * rows * plan.dim * np.dtype(plan.dtype).itemsize


def own_seconds(stats: pstats.Stats) -> dict[str, float]:
    """Return what functions took themselves and in built-in ones, by ``module.function``, the longest first."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for (file, _, name), (_, _, own, _, callers) in stats.stats.items():  # type: ignore[attr-defined]
        if file == "~":  # built in: whoever called it
            for (calling_file, _, caller), (_, _, there, _) in callers.items():
                seconds[_name(calling_file, caller)] += there
        else:
            seconds[_name(file, name)] += own
    longest = dict(sorted(seconds.items(), key=lambda one: -one[1])[:SHOWN])
    return longest | {"others": sum(seconds.values()) - sum(longest.values())}


def _name(file: str, function: str) -> str:
    return f"{Path(file).stem}.{function}"


if __name__ == "__main__":
    print(json.dumps(asdict(main(Order(**json.loads(sys.argv[1])), sys.argv[2], sys.argv[3]))))

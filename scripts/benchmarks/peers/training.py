"""One training of one side, in a process of its own: ``python -m benchmarks.peers.training ORDER TEXT CACHE``."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from time import monotonic
from typing import Any

from claim.contenders import Contender, Gensim, Planned
from claim.cores import limited_to_cores
from claim.results import Point, Score
from claim.single import single_command
from claim.witness import Examiner, Witness

from benchmarks.child import run_child, shared_out_memory
from benchmarks.peers.fast_text import FastText, write_words
from benchmarks.peers.order import FAST_TEXT, GENSIM, OURS, Order
from benchmarks.peers.package import package_memory
from w2v_exp.experiment.inputs import read_corpus
from w2v_exp.plan import Plan
from w2v_exp.text.encoding import EncodedText

PACKAGES = {GENSIM: "gensim.models", FAST_TEXT: "fasttext"}
SECONDS_BETWEEN = 0.25  # a look takes milliseconds, in which another core is busy


@dataclass(frozen=True)
class Trained:
    """What became of an order.

    Parameters
    ----------
    order : Order
        What was to be done.
    digest : str
        Of the text file.
    words : int
        Words of the vocabulary in the text, those that subsampling drops included: what an epoch is counted as.
    vocabulary : int
        Distinct ones.
    seconds, cpu_seconds : float
        Of the training: from ids, or words, and a vocabulary in memory to vectors.
    counting_seconds : float
        How much of it went into counting pairs.
    memory : int
        Bytes: how much more was resident, at its highest, from before the vocabulary was built to the first look at
        the vectors, than when the packages had been loaded and the text stood ready; anonymous and shared.
    packages : int
        Bytes that the packages take: of a peer, its own ones alone.
    points : list of Point
        The quality at some moments, and at the end.
    """

    order: Order
    digest: str
    words: int
    vocabulary: int
    seconds: float
    cpu_seconds: float
    counting_seconds: float
    memory: int
    packages: int
    points: list[Point]

    @property
    def rate(self) -> float:
        """Words a second, on the clock."""
        return self.words * self.order.epochs / self.seconds

    @property
    def resident(self) -> int:
        """Bytes: what the packages take, and the training."""
        return self.packages + self.memory

    @property
    def scores(self) -> dict[str, float | None]:
        """What the vectors scored in the end, by evaluation set."""
        return {score.set: score.value for score in self.points[-1].scores} if self.points else {}

    def as_dict(self) -> dict[str, Any]:
        """Return everything, as JSON has it."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Trained:
        """Return what `as_dict` has made a dict of."""
        points = [
            Point(point["epoch"], point["seconds"], [Score(**score) for score in point["scores"]])
            for point in values["points"]
        ]
        return cls(**(values | {"order": Order(**values["order"]), "points": points}))


def train(order: Order, text: str, cache: str, digest: str) -> Trained:
    """Carry out an order in a process of its own.

    Parameters
    ----------
    order : Order
        What is to be done.
    text, cache : str
        The plain text file, and the folder that keeps its ids.
    digest : str
        Of the file.
    """
    outcome = run_child(
        "peers.training",
        json.dumps(order.as_dict()),
        text,
        cache,
        memory=shared_out_memory,
        seconds_between=SECONDS_BETWEEN,
    )
    report = outcome.report
    highest = outcome.highest(report.pop("began"), report.pop("looked"))
    memory = max(0, highest - report["packages"])
    if order.side in PACKAGES:
        report["packages"] = package_memory(PACKAGES[order.side])
    return Trained.from_json(report | {"digest": digest, "memory": memory})


def plan_of(overrides: list[str], text: str, cache: str) -> Plan:
    """Return the plan that these overrides have, for a text and a cache folder."""
    paths = {"corpus.path": text, "cache.folder": cache}
    escaped = {key: value.replace("\\", "\\\\").replace("'", "\\'") for key, value in paths.items()}
    return single_command([*overrides, *(f"{key}='{value}'" for key, value in escaped.items())]).plan


def contender_of(order: Order, plan: Plan, text: EncodedText, folder: str) -> Contender:
    """Return who trains, with its packages and the text as it takes it; a folder is for files."""
    if order.side in PACKAGES:
        import_module(PACKAGES[order.side])
    if order.side == OURS:
        return Planned(order.side, plan, text, [order.epochs])
    if order.side == GENSIM:
        gensim = Gensim(order.side, plan, text, [order.epochs], order.settings)
        gensim.lines  # noqa: B018 - made here: that they are in memory is our choice, not gensim's
        return gensim
    return FastText(order.side, plan, text, [order.epochs], order.settings, write_words(text, Path(folder)))


def main(order: Order, path: str, cache: str) -> dict[str, Any]:
    """Carry out an order, and return what there is to say of it."""
    plan = plan_of(order.overrides, path, cache)
    text = read_corpus(plan)
    vectors = plan.embedding if order.side == OURS else "input"
    examiner = Examiner(plan.evaluation, plan.evaluation.read(), text.vocabulary.words, [vectors])
    witness = Witness(examiner, order.looks)
    contender = contender_of(order, plan, text, cache)
    with limited_to_cores(order.cores):
        packages, began = shared_out_memory(), monotonic()
        contender.train(order.epochs, order.seed, witness)
    return {
        "order": order.as_dict(),
        "words": len(text.ids),
        "vocabulary": len(text.vocabulary),
        "seconds": witness.clock.seconds,
        "cpu_seconds": witness.clock.cpu_seconds,
        "counting_seconds": witness.counting_seconds,
        "packages": packages,
        "points": [asdict(point) for point in witness.points],
        "began": began,
        "looked": witness.clock.first_stop or monotonic(),
    }


if __name__ == "__main__":
    print(json.dumps(main(Order(**json.loads(sys.argv[1])), sys.argv[2], sys.argv[3])))

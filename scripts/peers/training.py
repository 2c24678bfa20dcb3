"""One training of one contender, in a process of its own: ``python -m peers.training ORDER TEXT CACHE``.

Every training is a line of ``results.jsonl``, so that a comparison that was interrupted can be resumed.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from pathlib import Path
from time import monotonic
from typing import Any

from benchmarks.child import run_child, shared_out_memory

from peers.contenders import (
    Examiner,
    Point,
    Score,
    Witness,
    gensim_settings,
    limited_to_cores,
    lines_of,
    train_fast_text,
    train_gensim,
    train_ours,
)
from w2v_exp.config import register_schema
from w2v_exp.errors import UserError
from w2v_exp.experiment.command import parse, understand
from w2v_exp.experiment.inputs import read_corpus
from w2v_exp.model.parameters import ArticleInitialization
from w2v_exp.model.spectral import SpectralInitialization
from w2v_exp.plan import Plan
from w2v_exp.tracking.provenance import provenance

OURS, GENSIM, FAST_TEXT = "ours", "gensim", "fastText"
PACKAGES = {GENSIM: "gensim.models", FAST_TEXT: "fasttext"}
SECONDS_BETWEEN = 0.25  # a look at the memory takes milliseconds, in which another core is busy
FILE = "results.jsonl"
STARTS: dict[str, ArticleInitialization | SpectralInitialization] = {
    "drawn": ArticleInitialization(scale=0.1),
    "factors": SpectralInitialization(context_exponent=1.0),
}


@dataclass(frozen=True)
class Order:
    """A training to be done.

    Parameters
    ----------
    match, contender : str
        For which match, and who trains in it.
    kind : str
        ``ours``, ``gensim`` or ``fastText``.
    cores : int
        On how many.
    overrides : list of str
        Of our configuration, without the text. The peers take window, dim, vocabulary and evaluation from it.
    epochs, seed : int
        Of the training, a complete schedule.
    settings : dict
        Of gensim or fastText, beside those of our configuration.
    looks : list of int
        After which epochs vectors are scored; the last one is the end.
    vectors : list of str
        Which vectors are scored.
    shared : int or None
        The number of words that all contenders have, if this one has more.
    start : str
        Of `STARTS`: another initialization than that of our configuration; empty for its own.
    """

    match: str
    contender: str
    kind: str
    cores: int
    overrides: list[str]
    epochs: int
    seed: int
    settings: dict[str, Any] = field(default_factory=dict)
    looks: list[int] = field(default_factory=list)
    vectors: list[str] = field(default_factory=lambda: ["input"])
    shared: int | None = None
    start: str = ""


@dataclass(frozen=True)
class Trained:
    """The outcome of an order.

    Parameters
    ----------
    order : Order
        What was to be done.
    digest : str
        SHA-256 of the text file.
    words, vocabulary : int
        Words of the vocabulary in the text, those that subsampling drops included, and distinct ones.
    seconds, cpu_seconds : float
        Of the training: from ids, or words, and a vocabulary in memory to vectors.
    counting_seconds : float
        How much of it went into counting pairs.
    memory : int
        Bytes, anonymous and shared: the peak until vectors are first scored, less what was resident when packages and
        text had been loaded.
    packages : int
        Bytes that the packages take: of a peer, its own ones alone.
    points : list of Point
        The scores at some epochs, the end last.
    made : dict of str to str
        Date and commit.
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
    made: dict[str, str]

    @property
    def rate(self) -> float:
        """Words a second, on the clock."""
        return self.words * max(1, self.order.epochs) / self.seconds

    @property
    def resident(self) -> int:
        """Bytes of the packages and the training."""
        return self.packages + self.memory

    def score(self, name: str, vectors: str, words: str = "own") -> float | None:
        """Return a score in the end."""
        return self.points[-1].value(name, vectors, words) if self.points else None

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Trained:
        """Return the training that `dataclasses.asdict` has made a dict of."""
        points = [
            Point(point["epoch"], point["seconds"], [Score(**score) for score in point["scores"]])
            for point in values["points"]
        ]
        return cls(**(values | {"order": Order(**values["order"]), "points": points}))


class Results:
    """The trainings in a folder's file. Those of other orders or texts stay there, and are not looked at.

    Parameters
    ----------
    folder : Path
        Where the file is, or will be.
    resume : bool
        Whether to keep what is there.

    Raises
    ------
    UserError
        If the file cannot be read.
    """

    def __init__(self, folder: Path, *, resume: bool) -> None:
        self.file = folder / FILE
        self.trainings: list[Trained] = []
        folder.mkdir(parents=True, exist_ok=True)
        if not resume:
            self.file.write_text("", encoding="utf-8")
        elif self.file.exists():
            self.trainings = [self._read(line) for line in self.file.read_text("utf-8").splitlines()]

    def _read(self, line: str) -> Trained:
        try:
            return Trained.from_json(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{self.file}: cannot be read ({type(error).__name__}: {error}). Begin without --resume."
            ) from error

    def of(self, order: Order, digest: str) -> Trained | None:
        """Return the outcome of an order; None if it is still to be carried out."""
        return next((one for one in self.trainings if one.order == order and one.digest == digest), None)

    def add(self, trained: Trained) -> None:
        """Add a training, in memory and as a line of the file."""
        self.trainings.append(trained)
        with self.file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(trained)) + "\n")


def plan_of(overrides: list[str], text: str, cache_folder: str) -> Plan:
    """Return the plan of our configuration for a text file and a cache folder.

    Raises
    ------
    UserError
        If it is none, or not one that can be compared.
    """
    paths = {"corpus.path": text, "cache.folder": cache_folder}
    escaped = {key: value.replace("\\", "\\\\").replace("'", "\\'") for key, value in paths.items()}
    register_schema()
    command = understand(parse([*overrides, *(f"{key}='{value}'" for key, value in escaped.items())]))
    if command.is_sweep:
        raise UserError("One configuration is compared at a time; leave out the sweep.")
    if command.plan.validation.share:
        raise UserError("All contenders train on all of the text; leave out validation.")
    return command.plan


def train(order: Order, text: str, cache_folder: str, digest: str) -> Trained:
    """Carry out an order in a process of its own.

    Parameters
    ----------
    order : Order
        What is to be done.
    text, cache_folder : str
        The plain text file, and the folder that keeps its ids.
    digest : str
        Of the file.
    """
    outcome = run_child(
        "peers.training",
        json.dumps(asdict(order)),
        text,
        cache_folder,
        memory=shared_out_memory,
        seconds_between=SECONDS_BETWEEN,
    )
    report = outcome.report
    highest = outcome.highest(report.pop("began"), report.pop("looked"))
    memory = max(0, highest - report["packages"])
    if order.kind in PACKAGES:
        report["packages"] = package_memory(PACKAGES[order.kind])
    tags = provenance()
    made = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": tags.get("git.commit", tags["version.w2v_exp"]),
    }
    return Trained.from_json(report | {"digest": digest, "memory": memory, "made": made})


@cache
def package_memory(name: str) -> int:
    """Return the bytes that are resident when a package is loaded into a Python that has nothing else to do."""
    bytes_there: int = run_child("peers.training", name).report["bytes"]
    return bytes_there


def main(order: Order, path: str, cache_folder: str) -> dict[str, Any]:
    """Carry out an order in this process, and return its report."""
    plan = plan_of([*order.overrides, f"epochs={order.epochs}", f"seed={order.seed}"], path, cache_folder)
    if order.start:
        plan = replace(plan, initialization=STARTS[order.start])
    text = read_corpus(plan)
    lines: list[list[str]] = []
    if order.kind in PACKAGES:
        import_module(PACKAGES[order.kind])
    if order.kind == GENSIM:
        lines = lines_of(text)  # before the measurement: that they are in memory is our choice, not gensim's
    witness = Witness(
        Examiner(plan.evaluation, plan.evaluation.read(), order.vectors, order.shared), order.looks
    )
    with limited_to_cores(order.cores):
        packages, began = shared_out_memory(), monotonic()
        if order.kind == OURS:
            train_ours(plan, text, witness)
        elif order.kind == GENSIM:
            settings = gensim_settings(plan, order.cores, order.settings)
            train_gensim(settings, text, lines, order.epochs, order.seed, witness)
        else:
            train_fast_text(plan, order.settings, text, Path(cache_folder), order.epochs, witness)
    return {
        "order": asdict(order),
        "words": len(text.ids),
        "vocabulary": len(text.vocabulary),
        "seconds": witness.seconds,
        "cpu_seconds": witness.cpu_seconds,
        "counting_seconds": witness.counting_seconds,
        "packages": packages,
        "points": [asdict(point) for point in witness.points],
        "began": began,
        "looked": witness.first_stop or monotonic(),
    }


if __name__ == "__main__":
    if len(sys.argv) == 2:
        import_module(sys.argv[1])
        print(json.dumps({"bytes": shared_out_memory()}))
    else:
        print(json.dumps(main(Order(**json.loads(sys.argv[1])), sys.argv[2], sys.argv[3])))

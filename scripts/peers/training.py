"""One training of one contender in a process of its own: ``python -m peers.training ORDER TEXT CACHE``.

Every training is a line of ``results.jsonl``, so that an interrupted comparison can be resumed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from time import monotonic
from typing import Any

from peers.contenders import (
    FAST_TEXT,
    GENSIM,
    OURS,
    PACKAGES,
    Clock,
    Point,
    Score,
    gensim_settings,
    limited_to_cores,
    lines_of,
    score_embeddings,
    train_fast_text,
    train_gensim,
    train_ours,
)
from w2v_exp.config import register_schema
from w2v_exp.errors import UserError
from w2v_exp.experiment.command import check_command, parse
from w2v_exp.experiment.inputs import read_corpus
from w2v_exp.plan import Plan
from w2v_exp.tracking.history import provenance

SCRIPTS = Path(__file__).parents[1]
SECONDS_BETWEEN = 0.25  # samples of memory; each takes milliseconds of another core
FILE = "results.jsonl"


@dataclass(frozen=True)
class Order:
    """A training to be done.

    Parameters
    ----------
    match, contender : str
        Name of the match; ``ours``, ``gensim`` or ``fastText``.
    cores : int
        Number of cores.
    overrides : list of str
        Overrides of our configuration, without the text. The peers take window, dim, vocabulary and evaluation from it.
    epochs, seed : int
        A complete schedule, and its seed.
    settings : dict
        Settings of gensim or fastText, in addition to those of our configuration.
    looks : list of int
        Epochs after which vectors are scored, the last one included.
    """

    match: str
    contender: str
    cores: int
    overrides: list[str]
    epochs: int
    seed: int
    settings: dict[str, Any] = field(default_factory=dict)
    looks: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Trained:
    """The outcome of an order.

    Parameters
    ----------
    order : Order
        The order.
    digest : str
        SHA-256 of the text file.
    words, vocabulary : int
        Number of tokens, those that subsampling drops included, and of distinct words.
    seconds, cpu_seconds : float
        Time of training: from ids, or words, and a vocabulary in memory to vectors.
    memory : int
        Bytes, anonymous and shared: the peak before vectors are first scored, minus those that were resident when
        packages and text had been loaded.
    packages : int
        Bytes of the packages: of a peer, of its own ones alone.
    points : list of Point
        Scores after some epochs, the last one included.
    made : dict of str to str
        Date and commit.
    """

    order: Order
    digest: str
    words: int
    vocabulary: int
    seconds: float
    cpu_seconds: float
    memory: int
    packages: int
    points: list[Point]
    made: dict[str, str]

    @property
    def rate(self) -> float:
        """Words per second of wall time."""
        return self.words * self.order.epochs / self.seconds

    @property
    def resident(self) -> int:
        """Bytes of the packages and the training."""
        return self.packages + self.memory

    def score(self, name: str) -> float | None:
        """Return the score on a set after training."""
        return self.points[-1].value(name) if self.points else None

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Trained:
        """Return the training that `dataclasses.asdict` has made a dict of."""
        points = [
            Point(point["epoch"], point["seconds"], [Score(**score) for score in point["scores"]])
            for point in values["points"]
        ]
        return cls(**(values | {"order": Order(**values["order"]), "points": points}))


class Results:
    """The trainings in the file of a folder, those of other orders or texts included.

    Parameters
    ----------
    folder : Path
        Folder of the file, which is created.
    resume : bool
        Whether to keep the trainings of an existing file.

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
                f"{self.file}: cannot be read ({type(error).__name__}: {error}). Start without --resume."
            ) from error

    def of(self, order: Order, digest: str) -> Trained | None:
        """Return the outcome of an order; None if there is none yet."""
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
        If the configuration is invalid, or cannot be compared.
    """
    paths = {"corpus.path": text, "cache.folder": cache_folder}
    escaped = {key: value.replace("\\", "\\\\").replace("'", "\\'") for key, value in paths.items()}
    register_schema()
    command = check_command(parse([*overrides, *(f"{key}='{value}'" for key, value in escaped.items())]))
    if command.is_sweep:
        raise UserError("The comparison takes one configuration; leave out the sweep.")
    if command.plan.validation.share:
        raise UserError("All contenders train on the whole text; leave out validation.")
    return command.plan


def train(order: Order, text: str, cache_folder: str, digest: str) -> Trained:
    """Carry out an order in a process of its own.

    Parameters
    ----------
    order : Order
        The order.
    text, cache_folder : str
        The plain text file, and the folder of its ids.
    digest : str
        SHA-256 of the file.
    """
    report, samples = run_child(json.dumps(asdict(order)), text, cache_folder)
    began, looked = report.pop("began"), report.pop("looked")
    highest = max((amount for time, amount in samples if began <= time <= looked), default=0)
    memory = max(0, highest - report["packages"])
    if order.contender in PACKAGES:
        report["packages"] = package_memory(PACKAGES[order.contender])
    tags = provenance(tracked=False)
    made = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": tags.get("git.commit", tags["version.w2v_exp"]),
    }
    return Trained.from_json(report | {"digest": digest, "memory": memory, "made": made})


@cache
def package_memory(name: str) -> int:
    """Return the resident bytes of a Python that has only imported a package."""
    return int(run_child(name)[0]["bytes"])


def run_child(*arguments: str) -> tuple[dict[str, Any], list[tuple[float, int]]]:
    """Run this module in a process; return its report, and samples of its memory: times and bytes.

    Raises
    ------
    UserError
        If it fails, with the last line of its errors.
    """
    paths = [str(SCRIPTS), str(SCRIPTS.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    samples = []
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        command = [sys.executable, "-m", "peers.training", *arguments]
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=errors)
        try:
            while process.poll() is None:
                amount = resident_memory(process.pid)  # read before its time: scoring may begin meanwhile
                samples.append((monotonic(), amount))
                try:
                    process.wait(SECONDS_BETWEEN)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            lines = errors.read().strip().splitlines() or ["no message"]
            raise UserError(f"The training ended with exit code {process.returncode}: {lines[-1]}")
        return json.loads(output.read()), samples


def resident_memory(process: int | str = "self") -> int:
    """Return the resident bytes of a process and its descendants, anonymous and shared (Linux only).

    Memory that several of them share counts once.
    """
    total = 0
    try:
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
                total += int(line.split()[1]) * 1024
        for task in Path(f"/proc/{process}/task").iterdir():
            total += sum(map(resident_memory, (task / "children").read_text().split()))
    except OSError:  # it has ended
        pass
    return total


def require_proc() -> None:
    """Raise `UserError` where the memory of processes cannot be measured."""
    if not resident_memory():
        raise UserError(
            "Memory is measured by /proc/<process>/smaps_rollup, which this system does not have."
        )


def main(order: Order, path: str, cache_folder: str) -> dict[str, Any]:
    """Carry out an order in this process, and return its report."""
    plan = plan_of([*order.overrides, f"epochs={order.epochs}", f"seed={order.seed}"], path, cache_folder)
    text = read_corpus(plan)
    if order.contender in PACKAGES:
        import_module(PACKAGES[order.contender])
    # Before memory is measured: that words are in memory is our choice, not gensim's.
    lines = lines_of(text) if order.contender == GENSIM else []
    clock = Clock(partial(score_embeddings, plan.evaluation, plan.evaluation.read()), order.looks)
    with limited_to_cores(order.cores):
        packages, began = resident_memory(), monotonic()
        if order.contender == OURS:
            train_ours(plan, text, clock)
        elif order.contender == GENSIM:
            settings = gensim_settings(plan, order.cores, order.settings)
            train_gensim(settings, text, lines, order.epochs, order.seed, clock)
        elif order.contender == FAST_TEXT:
            train_fast_text(plan, order.settings, text, Path(cache_folder), order.epochs, clock)
    return {
        "order": asdict(order),
        "words": len(text.ids),
        "vocabulary": len(text.vocabulary),
        "seconds": clock.seconds,
        "cpu_seconds": clock.cpu_seconds,
        "packages": packages,
        "points": [asdict(point) for point in clock.points],
        "began": began,
        "looked": clock.first_stop,
    }


if __name__ == "__main__":
    if len(sys.argv) == 2:
        import_module(sys.argv[1])
        print(json.dumps({"bytes": resident_memory()}))
    else:
        print(json.dumps(main(Order(**json.loads(sys.argv[1])), sys.argv[2], sys.argv[3])))

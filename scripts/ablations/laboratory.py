"""Where trials are run: one text, read once, its pairs counted once for all that train on the same ones."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from time import perf_counter

from benchmarks.environment import machine_description
from claim.contenders import train_on
from claim.cores import limited_to_cores
from claim.results import Training
from claim.witness import Examiner, Witness

from ablations.outcomes import Outcome, Outcomes
from ablations.trials import Trial
from w2v_exp.embeddings.word_pairs import WordPairSet
from w2v_exp.errors import TrainingDivergedError
from w2v_exp.examples.counted import CountedExamples, CountsRule
from w2v_exp.examples.counts import Bounds, PairCounts, information_explained
from w2v_exp.examples.sampling import NoSubsampling
from w2v_exp.experiment.building import build_examples, split_text
from w2v_exp.experiment.inputs import read_corpus
from w2v_exp.model.softmax import exact_cost
from w2v_exp.plan import Plan
from w2v_exp.tracking.provenance import provenance

Pairs = tuple[object, ...]  # all that the pairs of a plan depend on


class Laboratory:
    """One text and what its vectors are scored on.

    Parameters
    ----------
    plan : Plan
        Of any of the trials: they have the same text, vocabulary and evaluation.

    Raises
    ------
    UserError
        If the text or a set cannot be read.
    """

    def __init__(self, plan: Plan) -> None:
        sets = plan.evaluation.read()
        self.text = read_corpus(plan)
        self.percent = {name: not isinstance(one, WordPairSet) for name, one in sets.items()}
        self._examiner = Examiner(plan.evaluation, sets, self.text.vocabulary.words)
        self._counted: dict[Pairs, PairCounts] = {}

    def run(self, trials: Sequence[Trial], seed: int, outcomes: Outcomes) -> Iterator[tuple[Trial, Outcome]]:
        """Run every trial from a seed unless its outcome is there; keep the outcome, then yield it."""
        for trial in trials:
            if seed not in [outcome.training.seed for outcome in outcomes.of(trial)]:
                outcome = self._run(trial, seed, outcomes.conditions(trial))
                outcomes.add(outcome)
                yield trial, outcome

    def _run(self, trial: Trial, seed: int, conditions: str) -> Outcome:
        plan = replace(trial.plan, seed=seed)
        witness = Witness(replace(self._examiner, vectors=trial.vectors), trial.moments)
        cost = explained = None
        costs: list[tuple[float, float]] = []
        with limited_to_cores(plan.threads):
            started = perf_counter()
            examples = self._examples(plan)
            counting = perf_counter() - started
            witness.clock.start()
            try:
                trainer = train_on(plan, self.text, examples, witness)
            except TrainingDivergedError:
                pass  # too large a step is an outcome, too
            else:
                cost = exact_cost(trainer.parameters, examples.pairs)
                if cost > math.log(
                    examples.vocabulary_size
                ):  # worse than all words alike: slowly, but it diverges
                    cost = None
                else:
                    costs = [(record.train_seconds, record.cost) for record in trainer.records]
                if cost is not None and plan.trains_on_all_pairs:
                    bounds = Bounds.of(examples.pairs)
                    found = information_explained(cost, bounds.unigram_cost, bounds.cost_floor)
                    explained = found if math.isfinite(found) else None
        training = Training(trial.name, plan.epochs, seed, counting, witness.points)
        return Outcome(conditions, training, costs, cost, explained, circumstances())

    def _examples(self, plan: Plan) -> CountedExamples:
        """Return a plan's examples; their pairs are counted only if they have not been."""
        assert isinstance(plan.labels, CountsRule)  # `plan_of` lets no other through
        which = pairs_of(plan)
        if which not in self._counted:
            part, _ = split_text(plan, self.text)
            counted = build_examples(plan, part.ids, len(self.text.vocabulary), part.segments)
            assert isinstance(counted, CountedExamples)
            # Those of other seeds will not come again; those of all pairs have no seed.
            kept = {key: pairs for key, pairs in self._counted.items() if key[-1] in (None, plan.seed)}
            self._counted = kept | {which: counted.pairs}
            return counted
        return CountedExamples(self._counted[which], plan.labels, order=plan.order, dtype=plan.dtype)


def pairs_of(plan: Plan) -> Pairs:
    """Return what tells the pairs of two plans for the same text apart; a seed only where they are sampled."""
    assert isinstance(plan.labels, CountsRule)
    passes, seed = plan.labels.sampled_passes, plan.seed
    sampled = (None, None) if isinstance(plan.subsampling, NoSubsampling) else (passes, seed)
    return plan.window, plan.shrinking_window, plan.subsampling, *sampled


def circumstances() -> dict[str, str]:
    """Return when, with what code and on what machine."""
    tags, machine = provenance(), machine_description()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": tags.get("git.commit", tags["version.w2v_exp"])[:9],
        "machine": f"{machine['processor']}, {machine['cores']} cores, NumPy {machine['numpy']}",
    }

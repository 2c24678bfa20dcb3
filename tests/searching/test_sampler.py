"""Proposed values depend on the seed and the earlier trials, not on the process."""

from __future__ import annotations

import optuna
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.study import Study

from w2v_exp.searching.search import split_launchable
from w2v_exp.searching.space import ReadableSampler

SPACE = {"rate": FloatDistribution(0.001, 1, log=True), "dim": IntDistribution(1, 100)}


def study() -> Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(direction="minimize")


def go_on(searched: Study, trials: int, seed: int = 0, startup: int = 5) -> list[dict[str, float]]:
    for place in range(len(searched.trials), trials):
        searched.sampler = ReadableSampler(seed, place, startup)
        trial = searched.ask(SPACE)
        searched.tell(trial, (trial.params["rate"] - 0.3) ** 2 + (trial.params["dim"] / 100 - 0.6) ** 2)
    return [trial.params for trial in searched.trials]


def test_the_same_seed_proposes_the_same_and_another_one_something_else() -> None:
    assert go_on(study(), 12) == go_on(study(), 12)
    assert go_on(study(), 12) != go_on(study(), 12, seed=1)
    first = go_on(study(), 5)
    assert len({tuple(values.values()) for values in first}) == 5


def test_earlier_trials_are_used() -> None:
    """After as many trials, the median of searches is nearer to the optimum than that of random draws."""
    found, drawn = [], []
    for seed in range(5):
        for values, startup in ((found, 8), (drawn, 40)):
            searched = study()
            go_on(searched, 40, seed, startup)
            values.append(searched.best_value)
    assert sorted(found)[2] < sorted(drawn)[2]


def test_trials_at_once_keep_apart() -> None:
    searched = study()
    go_on(searched, 10)
    trials = []
    for place in range(10, 14):
        searched.sampler = ReadableSampler(0, place, 5)
        trials.append(searched.ask(SPACE))
    assert len({tuple(trial.params.values()) for trial in trials}) == 4


def test_the_same_values_are_not_launched_at_once() -> None:
    searched = study()
    for value in (1, 2, 1, 1, 3):
        searched.enqueue_trial({"dim": value})
    trials = [searched.ask({"dim": IntDistribution(1, 9)}) for _ in range(5)]
    spans = [[trial.number for trial in span] for span in split_launchable(trials)]
    assert spans == [[0, 1], [2], [3, 4]]


def test_numbers_that_another_search_has_taken_are_left_out() -> None:
    searched = study()
    trials = [searched.ask(SPACE) for _ in range(4)]
    assert [[t.number for t in span] for span in split_launchable([trials[0], *trials[2:]])] == [[0], [2, 3]]

"""The search itself: trials are asked for, launched and told, until there are enough."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hydra.plugins.launcher import Launcher
from optuna.trial import Trial

from w2v_exp.errors import SettingError
from w2v_exp.runs import LEAST_KNOWN, RunResult
from w2v_exp.searching.settings import KEY, SearchSettings
from w2v_exp.searching.space import ReadableSampler, Space
from w2v_exp.searching.study import MARK, SearchStudy


class Search:
    """A search while it lasts.

    Parameters
    ----------
    settings : SearchSettings
        How to search.
    study : SearchStudy
        What is known up to now.
    space : Space
        What is searched.
    fixed : list of str
        The overrides of all runs.
    launcher : Launcher
        Does the runs.
    """

    def __init__(
        self,
        settings: SearchSettings,
        study: SearchStudy,
        space: Space,
        fixed: list[str],
        launcher: Launcher,
    ) -> None:
        self._settings, self._study, self._space = settings, study, space
        self._fixed, self._launcher = fixed, launcher

    def run(self) -> None:
        """Try as many values as are missing, so many at once."""
        try:
            while (missing := self._settings.n_trials - (done := len(self._study.ended))) > 0:
                trials = [self._ask(done + number) for number in range(min(missing, self._settings.n_jobs))]
                for batch in launchable(trials):
                    self._launch(batch)
        finally:
            self._study.close_interrupted()

    def _ask(self, place: int) -> Trial:
        study, settings = self._study.study, self._settings
        study.sampler = ReadableSampler(settings.seed, place, settings.startup_trials)
        trial = study.ask(self._space.distributions)
        trial.set_user_attr(MARK, self._study.mark())
        return trial

    def _launch(self, trials: Sequence[Trial]) -> None:
        """Do the runs of some trials, and tell how they ended."""
        overrides = [[*self._fixed, *self._space.overrides(trial.params)] for trial in trials]
        self._launcher.launch(overrides, initial_job_idx=trials[0].number)
        for trial in trials:
            result = self._study.result(trial.number)
            if result is not None:
                trial.set_user_attr("run_id", result.run_id)
                trial.set_user_attr("reason", result.reason)
            if not self._study.tell(trial.number, result) and result is not None and result.done:
                self._require_metric(result)

    def _require_metric(self, result: RunResult) -> None:
        """Refuse to continue where no run ranks by the metric; after one that does, a run that does not is bad luck."""
        metric = self._settings.metric
        if self._study.best is not None:
            return
        if metric in result.metrics:
            problem = (
                f"{result.known(metric):.0f} of {result.total(metric)} pairs or questions are known to the run; fewer "
                f"than {LEAST_KNOWN} rank nothing. Search by another metric, or on a text with more of these words."
            )
        else:
            problem = (
                f"a run has finished without it; what it has logged: {', '.join(sorted(result.metrics))}."
            )
        raise SettingError(f"{KEY}.metric", metric, problem)


def launchable(trials: Sequence[Trial]) -> Iterator[list[Trial]]:
    """Cut trials into batches that can be launched at once: with numbers in a row, and no values twice.

    Of two runs with the same values, the second takes the result of the first, when that is there.
    """
    batch: list[Trial] = []
    for trial in trials:
        follows = not batch or trial.number == batch[-1].number + 1
        if not follows or any(trial.params == other.params for other in batch):
            yield batch
            batch = []
        batch.append(trial)
    if batch:
        yield batch

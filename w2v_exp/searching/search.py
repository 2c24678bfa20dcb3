"""A search: Optuna proposes trials, the launcher runs them, and their results are stored in Optuna's study."""

from __future__ import annotations

import logging
import secrets
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from omegaconf import DictConfig
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from w2v_exp.config import recorded_values
from w2v_exp.errors import SettingError
from w2v_exp.experiment.fingerprint import NOT_OF_THE_RESULT
from w2v_exp.files import DamagedFileError, read_checked, write_checked
from w2v_exp.metrics import Direction
from w2v_exp.reporting.comparison import Group
from w2v_exp.results import LEAST_KNOWN, RESULT_FILE, RunResult, read_result
from w2v_exp.searching.settings import KEY, SearchSettings
from w2v_exp.searching.space import ReadableSampler, Space

_log = logging.getLogger(__name__)

STUDY_FILE = "study.db"
FOLDER_ID_FILE = "search.id"
FOLDER_ID = "folder"  # attribute of a trial: the id of the folder that its run is in
INTERRUPTED = "interrupted"  # attribute of a study: the numbers of interrupted trials
DEFINITION = "asked"  # attribute of a study: the values that define the search


@dataclass(frozen=True)
class SearchRequest:
    """The search that a command requests.

    Parameters
    ----------
    settings : SearchSettings
        Metric, number of trials, study and sampler.
    direction : str
        ``minimize`` or ``maximize``.
    space : Space
        The searched keys.
    """

    settings: SearchSettings
    direction: Direction
    space: Space

    @property
    def target(self) -> tuple[str, int]:
        """The target metric, and 1 if higher values are better, −1 if lower ones are."""
        return self.settings.metric, 1 if self.direction == "maximize" else -1

    def open_study(self, config: DictConfig, folder: Path) -> SearchStudy:
        """Open or create the study of this search, and close its interrupted trials.

        Parameters
        ----------
        config : DictConfig
            Configuration of the first run, without Hydra's own part.
        folder : Path
            The sweep's folder, which this process has locked.

        Raises
        ------
        UserError
            If the study is that of another search.
        """
        study = SearchStudy(self.settings, folder, self.direction)
        study.require_definition(self._definition(config))
        study.close_interrupted()
        return study

    def _definition(self, config: DictConfig) -> dict[str, str]:
        """Return all values that a trial's result depends on, except those of the trial itself."""
        definition = {f"{KEY}.metric": self.settings.metric, f"{KEY}.direction": self.direction}
        definition |= self.space.texts
        if {"experiment", "sweep"} & self.space.texts.keys():
            return definition
        searched = tuple(f"{key}." for key in self.space.texts)
        return definition | {
            key: value
            for key, value in _flat(recorded_values(config)).items()
            if key not in definition
            and key.partition(".")[0] not in NOT_OF_THE_RESULT
            and not key.startswith(searched)
        }

    def summarize(self, study: SearchStudy, fixed: list[str], flags: list[str]) -> str:
        """Return one line with the best trial and the command that runs it again.

        Parameters
        ----------
        study : SearchStudy
            The study of this search.
        fixed : list of str
            The overrides of all runs.
        flags : list of str
            Hydra's flags on the command line.
        """
        ended, best = study.ended, study.best
        failed = sum(trial.value is None for trial in ended)
        done = f"{len(ended)} trials" + (f", {failed} of which failed" if failed else "")
        metric = self.settings.metric
        if best is None or best.value is None:
            return f"No trial can be ranked by {metric} ({done})."
        keys = [text.lstrip("+~").partition("=")[0] for text in fixed]
        kept = [
            text
            for key, text in zip(keys, fixed, strict=True)
            if not key.startswith(("hydra.", "hydra/")) and key not in self.space.distributions
        ]
        if any(text.startswith("sweep=") for text in kept):
            kept.append("hydra.mode=RUN")  # the other settings of a sweep file, without its sweep
        command = shlex.join([*flags, *kept, *self.space.overrides(best.params)])
        result = study.result(best.number)
        coverage = Group({}, [result]).qualifier(metric) if result else ""
        found = f"Best: {metric}={best.value:.6g}{f' {coverage}' if coverage else ''}, trial {best.number} ({done})."
        return f"{found} Again: w2v-exp {command}"


def _flat(values: Any, prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": str(value)}
    return flat


class SearchStudy:
    """Optuna's study of a search.

    Parameters
    ----------
    settings : SearchSettings
        Name and database of the study, and the target metric.
    folder : Path
        The sweep's folder. The run of a trial is in the subfolder of its number.
    direction : str, optional
        Direction of a study to create; None requires that it exists.

    Raises
    ------
    SettingError
        If its database cannot be used.
    """

    def __init__(self, settings: SearchSettings, folder: Path, direction: Direction | None = None) -> None:
        self._settings, self._folder = settings, folder
        self.name = settings.study_name or folder.name
        self.study = self._open(direction)

    def _open(self, direction: Direction | None) -> Study:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        url = self._settings.storage or f"sqlite:///{self._folder.absolute() / STUDY_FILE}"
        try:
            if direction is None:
                study = optuna.load_study(study_name=self.name, storage=url)
            else:
                study = optuna.create_study(
                    study_name=self.name, storage=url, direction=direction, load_if_exists=True
                )
            study.get_trials(deepcopy=False)  # so that damage is found here, and not during the search
            _ = study.user_attrs
            return study
        except Exception as error:
            # On damaged data SQLite, SQLAlchemy and Optuna raise a dozen kinds of errors.
            message = str(error).strip().partition("\n")[0].rstrip(".")
            raise SettingError(
                f"{KEY}.storage",
                url,
                f"cannot be used as Optuna's database ({type(error).__name__}: {message}).",
            ) from error

    @property
    def interrupted(self) -> list[int]:
        """The numbers of the interrupted trials."""
        return list(self.study.user_attrs.get(INTERRUPTED, []))

    @property
    def ended(self) -> list[FrozenTrial]:
        """The trials that count: finished and failed ones, without interrupted ones."""
        interrupted = self.interrupted
        trials = self.study.get_trials(deepcopy=False)
        return [trial for trial in trials if trial.state.is_finished() and trial.number not in interrupted]

    @property
    def best(self) -> FrozenTrial | None:
        """The best trial; None if none has a value."""
        try:
            return self.study.best_trial
        except ValueError:
            return None

    def require_definition(self, definition: dict[str, str]) -> None:
        """Raise `SettingError` if the study was created by a search of another definition."""
        known: dict[str, str] | None = self.study.user_attrs.get(DEFINITION)
        if known is None:
            self.study.set_user_attr(DEFINITION, definition)
        elif known != definition:
            key = next(key for key in {**definition, **known} if definition.get(key) != known.get(key))
            raise SettingError(
                f"{KEY}.study_name",
                self.name,
                f"is a search with {key}={known.get(key)}, not {definition.get(key)}. Choose another name.",
            )

    def folder_id(self) -> str:
        """Return the id by which the trials of this folder are recognised in a shared study."""
        file = self._folder / FOLDER_ID_FILE
        try:
            return str(read_checked(file)[FOLDER_ID])
        except FileNotFoundError:
            pass
        except (OSError, DamagedFileError, KeyError) as error:
            _log.warning(f"{file}: cannot be read ({error}); interrupted trials stay open.")
        new = secrets.token_hex(8)
        write_checked(file, {FOLDER_ID: new})
        return new

    def result(self, number: int) -> RunResult | None:
        """Return the result of a trial's run; None if it has none."""
        return read_result(self._folder / str(number))

    def store_result(self, number: int, result: RunResult | None) -> bool:
        """Store the result of a trial in the study, and return whether it has a value by which it ranks."""
        if result is not None and result.done and result.ranks(self._settings.metric):
            self.study.tell(number, result.metrics[self._settings.metric])
            return True
        self.study.tell(number, state=TrialState.FAIL)
        return False

    def close_interrupted(self) -> None:
        """Close the trials of this folder that an interruption has left open.

        If the run of such a trial has ended, its result is stored. Otherwise the trial fails without being counted,
        and its values are tried next, where the run resumes from its checkpoint if it has one.
        """
        folder_id = self.folder_id()
        for trial in self.study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
            if self._settings.storage is not None and trial.user_attrs.get(FOLDER_ID) != folder_id:
                continue  # of a search in another folder, which may be running
            result = self.result(trial.number)
            if result is not None and (result.done or result.status == "FAILED"):
                self.store_result(trial.number, result)
                continue
            self.study.set_user_attr(INTERRUPTED, sorted({*self.interrupted, trial.number}))
            (self._folder / str(trial.number) / RESULT_FILE).unlink(missing_ok=True)
            self.study.tell(trial.number, state=TrialState.FAIL)
            self.study.enqueue_trial(trial.params, user_attrs={"again": trial.number})


def run_search(
    request: SearchRequest,
    study: SearchStudy,
    fixed: list[str],
    launch: Callable[[list[list[str]], int], Any],
) -> None:
    """Run trials until the study has ``n_trials``.

    Parameters
    ----------
    request : SearchRequest
        The search.
    study : SearchStudy
        Its study.
    fixed : list of str
        The overrides of all runs.
    launch : callable
        Executes runs, given their overrides and the number of the first of them.

    Raises
    ------
    UserError
        If no run logs the metric.
    """
    settings, space = request.settings, request.space
    try:
        while (missing := settings.n_trials - (done := len(study.ended))) > 0:
            trials: list[Trial] = []
            for number in range(done, done + min(missing, settings.n_jobs)):
                study.study.sampler = ReadableSampler(settings.seed, number, settings.startup_trials)
                trials.append(study.study.ask(space.distributions))
                trials[-1].set_user_attr(FOLDER_ID, study.folder_id())
            for batch in split_launchable(trials):
                launch([[*fixed, *space.overrides(trial.params)] for trial in batch], batch[0].number)
                for trial in batch:
                    _store_result(study, trial, settings.metric)
    finally:
        study.close_interrupted()


def _store_result(study: SearchStudy, trial: Trial, metric: str) -> None:
    """Store the result of a trial; raise `SettingError` if runs like it cannot be ranked by the metric.

    Once a trial has a value, one that has none is an exception.
    """
    result = study.result(trial.number)
    if result is not None:
        trial.set_user_attr("run_id", result.run_id)
        trial.set_user_attr("reason", result.reason)
    ranks = study.store_result(trial.number, result)
    if ranks or result is None or not result.done or study.best is not None:
        return
    if metric in result.metrics:
        problem = (
            f"{result.known(metric):.0f} of {result.total(metric)} pairs or questions are in the vocabulary; fewer "
            f"than {LEAST_KNOWN} give no ranking. Choose another metric, or a text with more of these words."
        )
    else:
        problem = f"is not logged by a finished run; it has logged: {', '.join(sorted(result.metrics))}."
    raise SettingError(f"{KEY}.metric", metric, problem)


def split_launchable(trials: Sequence[Trial]) -> Iterator[list[Trial]]:
    """Split trials into batches with consecutive numbers, and without two trials of the same values.

    Of two runs with the same values, the second reuses the result of the first, once that has ended.
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

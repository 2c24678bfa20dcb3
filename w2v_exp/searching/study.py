"""A search's study, as Optuna keeps it: opened, resumed, checked against the command."""

from __future__ import annotations

import logging
import secrets
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from omegaconf import DictConfig
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from w2v_exp.config import recorded_values
from w2v_exp.errors import SettingError
from w2v_exp.experiment.fingerprint import NOT_OF_THE_RESULT
from w2v_exp.files import DamagedFileError, read_checked, write_checked
from w2v_exp.metrics import Direction
from w2v_exp.reporting.comparison import Group
from w2v_exp.runs import RESULT_FILE, RunResult, read_result
from w2v_exp.searching.settings import KEY, SearchSettings
from w2v_exp.searching.space import Space

_log = logging.getLogger(__name__)

FILE = "study.db"
MARK_FILE = "search.id"
MARK = "folder"  # attribute of a trial: the mark of the folder that its run is in
INTERRUPTED = "interrupted"  # attribute of a study: the numbers of trials that were


class SearchStudy:
    """The study of a search in a sweep's folder.

    Parameters
    ----------
    settings : SearchSettings
        Say where it is, and what is sought.
    folder : Path
        The sweep's. A trial's run is in the folder of its number in there.
    direction : str, optional
        Of a study that may have to be made; None expects it to be there.

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
        url = self._settings.storage or f"sqlite:///{self._folder.absolute() / FILE}"
        try:
            if direction is None:
                study = optuna.load_study(study_name=self.name, storage=url)
            else:
                study = optuna.create_study(
                    study_name=self.name, storage=url, direction=direction, load_if_exists=True
                )
            study.get_trials(deepcopy=False)  # what is damaged shows here, and not during the search
            _ = study.user_attrs
            return study
        except Exception as error:
            # Bytes that are not what they should be make SQLite, SQLAlchemy and Optuna raise a dozen kinds of error.
            said = str(error).strip().partition("\n")[0].rstrip(".")
            raise SettingError(
                f"{KEY}.storage",
                url,
                f"cannot be used as Optuna's database ({type(error).__name__}: {said}).",
            ) from error

    @property
    def interrupted(self) -> list[int]:
        """The numbers of the trials that were interrupted."""
        return list(self.study.user_attrs.get(INTERRUPTED, []))

    @property
    def ended(self) -> list[FrozenTrial]:
        """The trials that have been done: those that failed are among them, those that were interrupted are not."""
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

    def mark(self) -> str:
        """Return by what trials are known to be of this folder, wherever the study is."""
        file = self._folder / MARK_FILE
        try:
            return str(read_checked(file)[MARK])
        except FileNotFoundError:
            pass
        except (OSError, DamagedFileError, KeyError) as error:
            _log.warning(f"{file}: cannot be read ({error}); trials that were interrupted stay open.")
        mark = secrets.token_hex(8)
        write_checked(file, {MARK: mark})
        return mark

    def result(self, number: int) -> RunResult | None:
        """Return how the run of a trial ended, if it has told."""
        return read_result(self._folder / str(number))

    def tell(self, number: int, result: RunResult | None) -> bool:
        """Record in the study how a trial's run ended, and return whether it has a value that ranks it."""
        if result is not None and result.done and result.ranks(self._settings.metric):
            self.study.tell(number, result.metrics[self._settings.metric])
            return True
        self.study.tell(number, state=TrialState.FAIL)
        return False

    def close_interrupted(self) -> None:
        """Close the trials of this folder that an interruption has left open.

        One whose run has ended all the same is told. Another one failed, does not count, and its values are the next to
        be tried: if its run has a checkpoint, it goes on from there.
        """
        mark = self.mark()
        for trial in self.study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
            if self._settings.storage is not None and trial.user_attrs.get(MARK) != mark:
                continue  # of a search in another folder, which may be alive
            result = self.result(trial.number)
            if result is not None and (result.done or result.status == "FAILED"):
                self.tell(trial.number, result)
                continue
            self.study.set_user_attr(INTERRUPTED, sorted({*self.interrupted, trial.number}))
            (self._folder / str(trial.number) / RESULT_FILE).unlink(
                missing_ok=True
            )  # there will be another one
            self.study.tell(trial.number, state=TrialState.FAIL)
            self.study.enqueue_trial(trial.params, user_attrs={"again": trial.number})


ASKED = "asked"  # attribute of a study: what it is of


@dataclass(frozen=True)
class AskedSearch:
    """A search that a command asks for.

    Parameters
    ----------
    settings : SearchSettings
        How to search.
    direction : str
        Whether less or more is better.
    space : Space
        What is searched.
    """

    settings: SearchSettings
    direction: Direction
    space: Space

    @property
    def sought(self) -> tuple[str, int]:
        """The metric that is sought, and 1 if more of it is better, −1 if less is."""
        return self.settings.metric, 1 if self.direction == "maximize" else -1

    def begin(self, config: DictConfig, folder: Path) -> SearchStudy:
        """Return the study of this search in a sweep's folder, which this process has locked, without open trials.

        Parameters
        ----------
        config : DictConfig
            Of the first run, without Hydra's own part.
        folder : Path
            The sweep's.

        Raises
        ------
        UserError
            If the study is that of another search.
        """
        study = SearchStudy(self.settings, folder, self.direction)
        self._require_same(study, config)
        study.close_interrupted()
        return study

    def _require_same(self, study: SearchStudy, config: DictConfig) -> None:
        """Refuse to go on with the study of another search: values of different things do not compare."""
        asked = self._described(config)
        known: dict[str, str] | None = study.study.user_attrs.get(ASKED)
        if known is None:
            study.study.set_user_attr(ASKED, asked)
        elif known != asked:
            key = next(key for key in {**asked, **known} if asked.get(key) != known.get(key))
            raise SettingError(
                f"{KEY}.study_name",
                study.name,
                f"has been a search with {key}={known.get(key)}, not {asked.get(key)}; give this one another name.",
            )

    def _described(self, config: DictConfig) -> dict[str, str]:
        """Return what decides the value of a trial, beside the values that it has."""
        described = {f"{KEY}.metric": self.settings.metric, f"{KEY}.direction": self.direction}
        described |= self.space.texts
        if {"experiment", "sweep"} & self.space.texts.keys():
            return described
        settings = _flat(recorded_values(config))
        searched = tuple(f"{key}." for key in self.space.texts)
        return described | {
            key: value
            for key, value in settings.items()
            if key not in described
            and key.partition(".")[0] not in NOT_OF_THE_RESULT
            and not key.startswith(searched)
        }

    def outcome(self, study: SearchStudy, fixed: list[str], flags: list[str]) -> str:
        """Return, in a line, the best trial, and the command that runs it again.

        Parameters
        ----------
        study : SearchStudy
            Of this search.
        fixed : list of str
            The overrides of all runs.
        flags : list of str
            Hydra's own flags.
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
            kept.append("hydra.mode=RUN")  # its other settings are wanted, but no sweep
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

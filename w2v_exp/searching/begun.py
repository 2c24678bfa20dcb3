"""A search of a command: begun, or taken up where it was left, and what it has come to."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from w2v_exp.config import recorded_values
from w2v_exp.errors import SettingError
from w2v_exp.experiment.fingerprint import NOT_OF_THE_RESULT
from w2v_exp.reporting.group import Group
from w2v_exp.searching.settings import KEY, Direction, SearchSettings
from w2v_exp.searching.space import Space
from w2v_exp.searching.study import SearchStudy

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
        kept = [text for text in fixed if not text.lstrip("+~").startswith(("hydra.", "hydra/"))]
        if any(text.startswith("sweep=") for text in kept):
            kept.append("hydra.mode=RUN")  # its other settings are wanted, but no sweep
        command = shlex.join([*flags, *kept, *self.space.overrides(best.params)])
        result = study.result(best.number)
        coverage = Group({}, [result]).qualifier(metric) if result else ""
        found = f"Best: {metric}={best.value:.6g}{f' {coverage}' if coverage else ''}, trial {best.number} ({done})."
        return f"{found} Again: python -m w2v_exp {command}"


def _flat(values: Any, prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": str(value)}
    return flat

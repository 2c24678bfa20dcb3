"""The errors a user can mend: shown as one or two sentences, never as a traceback."""

from __future__ import annotations


class UserError(Exception):
    """A mistake in what was asked for, written for the person who asked."""


class SettingError(UserError):
    """A setting whose value cannot be used.

    Parameters
    ----------
    key : str
        The setting, as it is spelled in the configuration.
    value : object
        What it was set to.
    problem : str
        What is allowed and what to do, as the end of a sentence that begins with key and value.
    """

    def __init__(self, key: str, value: object, problem: str) -> None:
        super().__init__(f"{key}={value}: {problem}")
        self.key = key
        self.value = value
        self.problem = problem

    def __reduce__(self) -> tuple[type[SettingError], tuple[str, object, str]]:
        """Make it what it was where it is sent to another process: by default only the message would go."""
        return SettingError, (self.key, self.value, self.problem)

    def within(self, group: str) -> SettingError:
        """Return the same error with its key below `group` (``decay`` becomes ``schedule.decay``)."""
        return SettingError(f"{group}.{self.key}", self.value, self.problem)


class CorpusError(UserError):
    """A text that cannot be read, or that leaves nothing to train on."""


class FormatError(UserError):
    """A file of embeddings that is not what its format says."""


class TrainingDivergedError(UserError):
    """The cost stopped being a finite number."""

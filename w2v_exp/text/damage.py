"""Damaged files and rows of a corpus: an error, or skipped and counted (`corpus.on_error`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from w2v_exp.errors import CorpusError, UserError, shown

ON_ERROR = ("stop", "skip")
_LISTED = 3  # of the problems that a warning has
_LONGEST = 300  # characters of a problem


class UnavailableError(CorpusError):
    """A file that could be read at another time.

    It is never skipped, so that the same files give the same text.
    """


class Skipped(NamedTuple):
    """The numbers of damaged files and rows that were skipped while a text was read.

    Parameters
    ----------
    files, rows : int
        Number of files of which something was skipped, other than single rows; number of these rows.
    problems : tuple of str
        The first ones, each with the name of the file.
    """

    files: int = 0
    rows: int = 0
    problems: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Return whether anything was skipped."""
        return self.files + self.rows > 0

    def __str__(self) -> str:
        """Return the numbers, and the first problems; "" if nothing was skipped."""
        numbers = [
            f"{number:,} {kind}{'' if number == 1 else 's'}"
            for number, kind in ((self.files, "damaged file"), (self.rows, "damaged row"))
            if number
        ]
        if not numbers:
            return ""
        more = "; …" if self.files + self.rows > len(self.problems) else ""
        return f"skipped {' and '.join(numbers)}: {'; '.join(self.problems).rstrip('.')}{more}."


NOTHING = Skipped()


def all_skipped(several: Sequence[Skipped]) -> Skipped:
    """Return what was skipped in all parts of a text."""
    problems = [problem for skipped in several for problem in skipped.problems]
    files, rows = sum(skipped.files for skipped in several), sum(skipped.rows for skipped in several)
    return Skipped(files, rows, tuple(problems[:_LISTED]))


class Damage:
    """Errors of a corpus while it is read: counted, or to be raised.

    What precedes the damage has been read, and stays: the rows of a table, and of a text its chunks (see `chunks`).

    Parameters
    ----------
    skip : bool
        Whether damaged files and rows are skipped.
    """

    def __init__(self, *, skip: bool = False) -> None:
        self.skip = skip
        self.skipped = NOTHING
        self._file = ""
        self._is_counted = False

    def begin_file(self, name: str) -> None:
        """Begin a file.

        However often its damage is met, also that of an archive's members, it is counted once.
        """
        self._file, self._is_counted = name, False

    def skips_file(self, error: UserError) -> bool:
        """Return whether the file that is being read is skipped, and count it.

        If it is not, the caller raises the error.
        """
        if not self.skip or isinstance(error, UnavailableError):
            return False
        if not self._is_counted:
            self._is_counted = True
            self._count(error, files=1)
        return True

    def skips_row(self, error: UserError) -> bool:
        """Return whether a row is skipped, and count it; else the caller raises the error."""
        if self.skip:
            self._count(error, rows=1)
        return self.skip

    def _count(self, error: UserError, files: int = 0, rows: int = 0) -> None:
        before, problems = self.skipped, self.skipped.problems
        if len(problems) < _LISTED:
            problems = (*problems, shown(str(error), _LONGEST))
        self.skipped = Skipped(before.files + files, before.rows + rows, problems)

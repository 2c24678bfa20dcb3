"""How the configurations of two or three swept keys lie in a plane: rows, columns, and planes side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from w2v_exp.reporting.comparison import Comparison

PANELS = 4  # so many heat maps fit side by side
SPREAD = 0.1  # configurations that differ by much less look about the same


class Layout(NamedTuple):
    """Where each configuration of a sweep is shown.

    Parameters
    ----------
    row_key, column_key : str
        Swept keys.
    rows, columns : list of str
        Their values.
    panel_key : str, optional
        A third one, if three are swept: that with the fewest values.
    panels : list of str
        Its values; one empty value if there is none.
    """

    row_key: str
    column_key: str
    rows: list[str]
    columns: list[str]
    panel_key: str | None
    panels: list[str]

    def is_in(self, panel: str, swept: Mapping[str, str]) -> bool:
        """Return whether a configuration belongs to a panel."""
        return self.panel_key is None or swept.get(self.panel_key, "") == panel

    def place(self, swept: Mapping[str, str]) -> tuple[int, int]:
        """Return the row and the column of a configuration."""
        row, column = swept.get(self.row_key, ""), swept.get(self.column_key, "")
        return self.rows.index(row), self.columns.index(column)


def layout_of(comparison: Comparison) -> Layout | None:
    """Return the layout of a sweep of two keys, or of three of which one has no more than `PANELS` values.

    None also where less than half of the combinations were run, as in a search over continuous values: most cells
    would be empty, and their columns as many as the trials.
    """
    values = {key: values_of(key, comparison) for key in comparison.keys}
    panel_key = min(reversed(values), key=lambda key: len(values[key])) if len(values) == 3 else None
    panels = values.pop(panel_key) if panel_key else [""]
    if len(values) != 2 or len(panels) > PANELS:
        return None
    (row_key, rows), (column_key, columns) = values.items()
    run = {tuple(swept.get(key, "") for key in comparison.keys) for swept in settings_of(comparison)}
    if 2 * len(run) < len(panels) * len(rows) * len(columns):
        return None
    return Layout(row_key, column_key, rows, columns, panel_key, panels)


def settings_of(comparison: Comparison) -> list[dict[str, str]]:
    """Return the swept values of each configuration, and of each run that did not finish."""
    return [group.swept for group in comparison.groups] + [run.swept for run in comparison.unfinished]


def values_of(key: str, comparison: Comparison) -> list[str]:
    """Return the values of a key: numbers by size, others in the order in which they turn up."""
    values = list(dict.fromkeys(settings.get(key, "") for settings in settings_of(comparison)))
    try:
        return sorted(values, key=float)
    except ValueError:
        return values

"""What the benchmark has measured, and on what."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any

from benchmarks.bar import Bar
from benchmarks.environment import machine_description
from benchmarks.epoch_anatomy import EpochAnatomy
from benchmarks.machine import Anatomy
from benchmarks.timing import Comparison

COMMAND_AT_MOST = 1.0  # CPU seconds


@dataclass(frozen=True)
class Report:
    """All that was measured.

    Parameters
    ----------
    comparisons : list of Comparison
        Ratios of times.
    command_seconds : list of float
        CPU seconds of a whole command.
    anatomies : list of Anatomy
        Of a step.
    epochs : list of EpochAnatomy
        Of an exact epoch.
    bars : list of Bar
        Other figures.
    left_out : list of str
        What could not be measured, and why.
    """

    comparisons: list[Comparison] = field(default_factory=list)
    command_seconds: list[float] = field(default_factory=list)
    anatomies: list[Anatomy] = field(default_factory=list)
    epochs: list[EpochAnatomy] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def kept(self) -> bool:
        """Whether every promise is kept."""
        command = not self.command_seconds or statistics.median(self.command_seconds) < COMMAND_AT_MOST
        ratios = all(comparison.kept for comparison in self.comparisons)
        return command and ratios and all(bar.kept for bar in self.bars)

    def as_dict(self) -> dict[str, Any]:
        """Return the report with every repeat, as JSON has it."""
        return {
            "machine": machine_description(),
            "kept": self.kept,
            "comparisons": [one.as_dict() for one in self.comparisons],
            "command_seconds": self.command_seconds,
            "anatomies": [one.as_dict() for one in self.anatomies],
            "epochs": [one.as_dict() for one in self.epochs],
            "bars": [one.as_dict() for one in self.bars],
            "left_out": self.left_out,
        }

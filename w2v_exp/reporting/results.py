"""What is known of a run once it is over."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class RunResult:
    """A run of a sweep, as tables and pictures need it.

    Parameters
    ----------
    name : str
        The run's name: the swept values, such as ``window=3 dim=10``.
    swept : dict of str to str
        The swept keys and their values in this run, in the order of the command; the seed is not among them.
    seed : int
        The run's seed.
    status : str
        ``FINISHED``, ``FAILED`` or ``KILLED``.
    reason : str
        One line that says why a run failed or was killed; empty for a finished one.
    metrics : dict of str to float
        The last value of each metric.
    costs : list of (int, float)
        Cost by epoch, thinned.
    run_id : str
        The run in the store; empty where nothing is tracked.
    similar : dict of str to list of str
        The probe words, and the words nearest to each; empty for one that is not known.
    """

    name: str
    swept: dict[str, str]
    seed: int
    status: str
    reason: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    costs: list[tuple[int, float]] = field(default_factory=list)
    run_id: str = ""
    similar: dict[str, list[str]] = field(default_factory=dict)

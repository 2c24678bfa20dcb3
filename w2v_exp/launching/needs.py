"""What a run needs of a machine."""

from __future__ import annotations

from typing import NamedTuple

from w2v_exp.errors import UserError
from w2v_exp.experiment.building import split_text
from w2v_exp.experiment.continuing import Origin
from w2v_exp.experiment.estimation import estimate_run
from w2v_exp.experiment.reading import read_trainable_text
from w2v_exp.launching.task import Task, task_plan
from w2v_exp.plan import Plan
from w2v_exp.text.encoding import EncodedText

PROCESS_BYTES = 300_000_000  # Python with all that a run loads: NumPy, SciPy, MLflow, Matplotlib
MARGIN = 1.15  # so near are estimates to what is measured; see docs/memory.md
WITHOUT_EFFECT = ("seed=", "learning_rate=", "cost_every=", "probes=")  # on memory


class Needs(NamedTuple):
    """What a run takes while it lasts.

    Parameters
    ----------
    cores : int
        That it keeps busy.
    memory : int
        Bytes, those of its process included.
    """

    cores: int
    memory: int


class Appraiser:
    """Says what runs need, and remembers it: a sweep has many runs that differ in nothing that takes memory."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], Needs] = {}
        self._text: tuple[str, EncodedText] | None = None

    def __call__(self, task: Task) -> Needs:
        """Return what a run needs: only a process, where the rest cannot be known; the run will say why."""
        key = tuple(text for text in task.overrides if not text.startswith(WITHOUT_EFFECT))
        if key not in self._known:
            plan = task_plan(task)
            try:
                memory = self._estimate(plan)
            except UserError:
                memory = 0
            self._known[key] = Needs(plan.threads * plan.workers, PROCESS_BYTES + round(MARGIN * memory))
        return self._known[key]

    def _estimate(self, plan: Plan) -> int:
        text = self._read(plan)
        training, _ = split_text(plan, text)
        return estimate_run(plan, training, len(text.vocabulary), Origin.read(plan).memory).total

    def _read(self, plan: Plan) -> EncodedText:
        """Return the plan's text; the last one is kept. A long one is in the cache then, where all runs find it."""
        name = repr((plan.corpus, plan.tokenizer, plan.vocabulary))
        if self._text is None or self._text[0] != name:
            self._text = None  # not two at once
            self._text = name, read_trainable_text(plan)
        return self._text[1]

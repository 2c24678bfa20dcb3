"""What a run reads before it begins, and what it is known by then."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from w2v_exp.embeddings.evaluation import Sets
from w2v_exp.experiment.continuing import Origin
from w2v_exp.experiment.fingerprint import fingerprint
from w2v_exp.experiment.reading import read_trainable_text
from w2v_exp.plan import Plan
from w2v_exp.text.encoding import EncodedText


@dataclass(frozen=True)
class Material:
    """What a run has read.

    Parameters
    ----------
    plan : Plan
        What is to be done with it.
    sets : mapping
        The evaluation sets, by name.
    origin : Origin
        What the run goes on from.
    text : EncodedText
        The corpus; there is something to train on.
    """

    plan: Plan
    sets: Sets
    origin: Origin
    text: EncodedText

    @classmethod
    def read(cls, plan: Plan) -> Material:
        """Read what a plan names.

        Raises
        ------
        UserError
            If something cannot be read, or leaves nothing to train on.
        """
        sets = plan.evaluation.read()  # first: a malformed set ends the run before it has begun
        return cls(plan, sets, Origin.read(plan), read_trainable_text(plan))

    @cached_property
    def fingerprint(self) -> str:
        """All that decides the result, in one name."""
        return fingerprint(self.plan, self.text, self.origin.digest)

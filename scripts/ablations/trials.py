"""What is tried: the experiment as it is, with one choice after the other taken back, and with other optimizers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from claim.comparison import plan_of
from claim.witness import JUDGED, moments

from w2v_exp.plan import Plan
from w2v_exp.training.optimizers import OPTIMIZERS

CHOICES, OPTIMIZERS_PART = "choices", "optimizers"
PARTS = (CHOICES, OPTIMIZERS_PART)
SHIPPED, BASELINE = "shipped", "ppmi_svd"
BASELINE_EXPERIMENT = "sotu_ppmi_svd"

DRAWN = "initialization=normal"

# Each choice of the experiment, taken back or made otherwise: what is added to its command line.
TAKEN_BACK = {
    "offset_none": ["objective.output_offset=none"],
    "offset_learned": ["objective.output_offset=learned"],
    "smoothing": ["labels.smoothing=0"],
    "centre_exponent": ["labels.centre_exponent=1"],
    "centre_exponent_085": ["labels.centre_exponent=0.85"],
    "count_exponent": ["labels.count_exponent=1"],
    "weight_decay": ["objective.weight_decay=0"],
    "subsampling": ["subsampling=word2vec"],  # by 1e-4, counts the mean of three samplings
    "window": ["shrinking_window=false"],
    "normal": [DRAWN],  # an ordinary start
    "slow": ["learning_rate=0.1"],  # from factors of PMI a smaller step may be enough
    "centres_128": ["labels.centres=128"],
    "centres_2048": ["labels.centres=2048"],
}

# Learning rates around the best one of each, by a first look at four epochs. Gradients are divided by all pairs of the
# text, so plain descent wants large ones; from 2,000 on it diverges, and below that it has hardly begun to learn.
RATES = {
    "adagrad": [0.1, 0.2, 0.4],
    "adam": [0.01, 0.03, 0.1],
    "lazy_adam": [0.03, 0.1, 0.3],
    "sgd": [2e2, 5e2, 1e3],
    "momentum": [20.0, 50.0, 100.0],
}
EPSILON = 1e-16  # of those that divide by the gradients' own scale, which is small for the same reason


NAMES = (SHIPPED, *TAKEN_BACK, BASELINE, *RATES)


@dataclass(frozen=True)
class Trial:
    """One thing to try, from several seeds.

    Parameters
    ----------
    part : str
        One of `PARTS`.
    name : str
        What it is called on the command line.
    title : str
        What is done, as it would be typed.
    plan : Plan
        All of it but the seed.
    moments : list of int
        After how many epochs its vectors are scored.
    vectors : sequence of str
        Which vectors are scored: see `Embeddings.using`.
    """

    part: str
    name: str
    title: str
    plan: Plan
    moments: list[int]
    vectors: Sequence[str] = JUDGED

    @property
    def optimizer(self) -> str:
        """The optimizer's name."""
        return next(name for name, made in OPTIMIZERS.items() if type(self.plan.optimizer) is made)

    def is_called(self, name: str) -> bool:
        """Return whether a name of `NAMES` asks for this trial: its own, or its optimizer's where these are tried."""
        return name == (self.name if self.part == CHOICES else self.optimizer)


def choices(overrides: Sequence[str]) -> Iterator[Trial]:
    """Yield the experiment as it is, then with each choice taken back, then the baseline that is no training.

    A choice that the experiment has not made is left out.

    Parameters
    ----------
    overrides : sequence of str
        The experiment and its settings, as on the command line of ``python -m w2v_exp``.

    Raises
    ------
    UserError
        If they are none.
    """
    shipped = _plan(*overrides)
    yield Trial(CHOICES, SHIPPED, "as shipped", shipped, [shipped.epochs])
    for name, taken_back in TAKEN_BACK.items():
        plan = _plan(*overrides, *taken_back)
        if plan != shipped:
            yield Trial(CHOICES, name, " ".join(taken_back), plan, [plan.epochs])
    baseline = _plan(f"experiment={BASELINE_EXPERIMENT}")
    factors = replace(
        shipped,
        subsampling=baseline.subsampling,
        labels=baseline.labels,
        objective=baseline.objective,
        initialization=baseline.initialization,
        epochs=0,
    )
    yield Trial(CHOICES, BASELINE, f"experiment={BASELINE_EXPERIMENT}", factors, [0])


def optimizers(overrides: Sequence[str]) -> Iterator[Trial]:
    """Yield the experiment from a drawn start with each optimizer at each of its learning rates; see `choices`.

    From factors of PMI there is little left to do, and the more careful an optimizer the better it looks.
    """
    shipped = _plan(*overrides, DRAWN)
    for name, rates in RATES.items():
        made = OPTIMIZERS[name]
        optimizer = made(epsilon=EPSILON) if hasattr(made, "epsilon") else made()
        for rate in rates:
            plan = replace(shipped, optimizer=optimizer, learning_rate=rate)
            title = f"optimizer={name} learning_rate={rate:g}"
            key = f"{name}_{rate:g}"
            yield Trial(OPTIMIZERS_PART, key, title, plan, moments(plan.epochs), [plan.embedding])


@cache
def _plan(*overrides: str) -> Plan:
    """Return the plan of a command line; composing it takes a third of a second."""
    plan, _ = plan_of([*overrides])
    return plan

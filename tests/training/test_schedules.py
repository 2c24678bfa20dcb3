"""Schedules of the learning rate."""

import math
from dataclasses import fields
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from properties import examples

from w2v_exp.errors import SettingError
from w2v_exp.training.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    Exponential,
    InverseTime,
    Linear,
    StepDecay,
)

SHARES = st.floats(0, 1)
ANY_SCHEDULE = st.one_of(
    st.builds(Constant),
    st.builds(StepDecay, decay=st.floats(0.5, 1), times=st.integers(1, 200)),
    st.builds(Exponential, final=st.floats(1e-6, 1)),
    st.builds(Linear, floor=SHARES),
    st.builds(Cosine, warm_up=st.floats(0, 1, exclude_max=True), final=SHARES),
    st.builds(InverseTime, decay=st.floats(0, 1e6)),
)


def moments(epochs, steps_per_epoch):
    """Return the arguments of a schedule at every step of a run."""
    total = epochs * steps_per_epoch
    return [(step, total, step // steps_per_epoch, epochs) for step in range(total)]


def factors(schedule, epochs, steps_per_epoch=1):
    return [schedule(*moment) for moment in moments(epochs, steps_per_epoch)]


@property_settings(deadline=None, max_examples=examples(100))
@given(ANY_SCHEDULE, st.integers(1, 40), st.integers(1, 5))
def test_every_factor_is_above_0_and_at_most_1(schedule, epochs, steps_per_epoch):
    for factor in factors(schedule, epochs, steps_per_epoch):
        assert isinstance(factor, float)
        assert 0 < factor <= 1


@property_settings(deadline=None, max_examples=examples(100))
@given(ANY_SCHEDULE, st.integers(1, 40), st.integers(1, 5), st.randoms())
def test_a_schedule_is_a_pure_function(schedule, epochs, steps_per_epoch, random):
    expected = dict(
        zip(moments(epochs, steps_per_epoch), factors(schedule, epochs, steps_per_epoch), strict=True)
    )
    asked = list(expected)
    random.shuffle(asked)
    assert {moment: schedule(*moment) for moment in asked} == expected
    again = type(schedule)(**{field.name: getattr(schedule, field.name) for field in fields(schedule)})
    assert [again(*moment) for moment in expected] == list(expected.values())


@property_settings(deadline=None, max_examples=examples(100))
@given(ANY_SCHEDULE, st.integers(1, 40), st.integers(1, 5))
def test_once_warmed_up_a_schedule_never_rises(schedule, epochs, steps_per_epoch):
    curve = factors(schedule, epochs, steps_per_epoch)
    warm_up = math.floor(getattr(schedule, "warm_up", 0) * len(curve))
    falling = curve[warm_up:]
    assert all(later <= earlier for earlier, later in pairwise(falling))
    rising = curve[:warm_up]
    assert all(earlier < later for earlier, later in pairwise(rising))


@pytest.mark.parametrize("epochs", [100, 101, 150, 199, 200, 250, 777, 999, 1000, 4999, 5000, 10_000])
def test_step_decay_is_the_loop_of_the_article(epochs):
    rate, expected = 0.05, []
    for epoch in range(epochs):
        expected.append(rate)
        if epoch % (epochs // 100) == 0:
            rate *= 0.98
    schedule = StepDecay()
    obtained = [0.05 * schedule(epoch, epochs, epoch, epochs) for epoch in range(epochs)]
    # The loop rounds after each of at most 200 products.
    assert obtained == pytest.approx(expected, rel=200 * 2.3e-16, abs=0)


def test_step_decay_has_100_decays_in_the_run_of_the_article():
    curve = factors(StepDecay(), 5000)
    assert len(set(curve)) == 101
    assert curve[0] == 1
    assert curve[1] == 0.98  # epoch 0 is a multiple too
    assert 0.05 * curve[-1] == pytest.approx(0.00663, abs=5e-6)  # the published last rate, to its digits


def test_step_decay_is_defined_below_100_epochs():
    assert factors(StepDecay(), 4) == [1, 0.98, 0.98**2, 0.98**3]
    assert factors(StepDecay(), 1) == [1]


def test_step_decay_goes_by_epochs_and_not_by_steps():
    curve = factors(StepDecay(decay=0.5, times=2), 4, steps_per_epoch=3)
    assert curve == [1] * 3 + [0.5] * 6 + [0.25] * 3


def test_boundary_values():
    assert factors(Constant(), 5) == [1] * 5
    assert factors(Exponential(final=0.01), 3) == pytest.approx([1, 0.1, 0.01])
    assert factors(Exponential(final=0.01), 1) == [1]
    assert factors(Linear(), 4) == [1, 0.75, 0.5, 0.25]
    assert factors(Linear(floor=0.4), 4) == [1, 0.75, 0.5, 0.4]
    assert factors(InverseTime(decay=3), 3) == pytest.approx([1, 1 / 2, 1 / 3])
    assert factors(Cosine(warm_up=0, final=0), 2) == pytest.approx([1, 0.5])
    assert factors(Cosine(warm_up=0, final=0.2), 1) == [1]
    assert factors(Cosine(warm_up=0.5, final=0.2), 4) == pytest.approx([0.5, 1, 1, 0.6])
    assert Cosine(warm_up=0, final=0.2)(10**9 - 1, 10**9, 0, 1) == pytest.approx(0.2)
    assert Linear()(10**9 - 1, 10**9, 0, 1) == 0.0001


@pytest.mark.parametrize(
    ("schedule", "setting", "value"),
    [
        (StepDecay, "decay", 0),
        (StepDecay, "decay", 1.01),
        (StepDecay, "times", 0),
        (StepDecay, "times", 1.5),
        (Exponential, "final", 0),
        (Exponential, "final", 2),
        (Linear, "floor", -0.1),
        (Linear, "floor", 1.1),
        (Cosine, "warm_up", 1),
        (Cosine, "warm_up", -0.5),
        (Cosine, "final", 1.5),
        (InverseTime, "decay", -1),
        (InverseTime, "decay", math.inf),
    ],
)
def test_settings_out_of_range_are_refused(schedule, setting, value):
    with pytest.raises(SettingError, match=f"^{setting}={value}: must be a"):
        schedule(**{setting: value})


def test_every_schedule_that_is_shipped_is_tested_here():
    assert set(SCHEDULES.values()) == {Constant, StepDecay, Exponential, Linear, Cosine, InverseTime}


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint64, np.array])
def test_whole_numbers_of_any_kind_give_the_same_factors(name, kind):
    schedule = SCHEDULES[name]()
    for step, epoch in [(0, 0), (3, 1), (199, 99)]:
        numbers = (step, 200, epoch, 100)
        assert schedule(*map(kind, numbers)) == schedule(*numbers)

"""Checks of single settings."""

import math

import numpy as np
import pytest

from w2v_exp.errors import SettingError
from w2v_exp.validation import require_choice, require_number, require_whole, suggestion


@pytest.mark.parametrize("value", [1, 2, 10**30, np.int64(1)])
def test_whole_numbers(value):
    require_whole("dim", value, at_least=1)


@pytest.mark.parametrize("value", [0, -1, 1.0, True, "1", None, math.nan, np.True_])
def test_what_is_no_whole_number_in_range(value):
    with pytest.raises(SettingError) as refusal:
        require_whole("dim", value, at_least=1)
    assert str(refusal.value) == f"dim={value}: must be a whole number, 1 or more."


@pytest.mark.parametrize(
    ("value", "bounds"),
    [
        (0, {}),
        (-1e300, {}),
        (0, {"at_least": 0}),
        (1, {"at_most": 1}),
        (5e-324, {"above": 0}),
        (1 - 1e-16, {"below": 1}),
        (np.float32(0.5), {"above": 0, "below": 1}),
    ],
)
def test_numbers_in_their_bounds(value, bounds):
    require_number("rate", value, **bounds)


@pytest.mark.parametrize(
    ("value", "bounds", "problem"),
    [
        (math.nan, {}, "must be a number."),
        (math.inf, {"above": 0}, "must be a number above 0."),
        (-math.inf, {"below": 0}, "must be a number below 0."),
        (0, {"above": 0}, "must be a number above 0."),
        (1, {"at_least": 0, "below": 1}, "must be a number at least 0 and below 1."),
        (1.01, {"above": 0, "at_most": 1}, "must be a number above 0 and at most 1."),
        (True, {}, "must be a number."),
        ("1", {"at_least": 0}, "must be a number at least 0."),
        (None, {"at_least": 0.5}, "must be a number at least 0.5."),
    ],
)
def test_what_is_no_number_in_its_bounds(value, bounds, problem):
    with pytest.raises(SettingError) as refusal:
        require_number("rate", value, **bounds)
    assert str(refusal.value) == f"rate={value}: {problem}"
    assert refusal.value.key == "rate"


def test_a_choice_is_one_of_the_options():
    require_choice("order", "corpus", ["corpus", "blocks"])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("block", "order=block: not an option, did you mean blocks? Options: corpus, blocks."),
        ("zzz", "order=zzz: not an option. Options: corpus, blocks."),
        (None, "order=None: not an option. Options: corpus, blocks."),
    ],
)
def test_another_choice_is_refused_with_a_suggestion(value, message):
    with pytest.raises(SettingError) as refusal:
        require_choice("order", value, (option for option in ("corpus", "blocks")))
    assert str(refusal.value) == message


def test_the_nearest_word_is_suggested():
    assert suggestion("widnow", ["dim", "window", "windows"]) == ", did you mean window?"
    assert suggestion("dim", []) == "."


def test_an_error_may_be_put_below_its_group():
    error = SettingError("decay", 2, "must be less.").within("schedule")
    assert str(error) == "schedule.decay=2: must be less."

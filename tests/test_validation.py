"""Checks of single settings."""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest

from w2v_exp.errors import (
    SettingError,
    check_number,
    check_whole,
    require_choice,
    require_number,
    require_whole,
    suggestion,
)

KINDS = [int, np.array, *{np.dtype(code).type for code in np.typecodes["AllInteger"]}]
FLOATS = [float, np.array, np.float16, np.float32, np.float64, np.longdouble, Fraction]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("value", [1, 2, 127])
def test_whole_numbers_of_any_kind_become_those_of_python(kind, value):
    number = require_whole("dim", kind(value), at_least=1)
    assert type(number) is int
    assert number == value


@pytest.mark.parametrize("value", [-(2**63), 2**63 - 1])
def test_whole_numbers_have_64_bits(value):
    assert require_whole("seed", np.int64(value), at_least=-(2**63)) == value
    with pytest.raises(SettingError, match=r"must be a whole number from 0 to 9,223,372,036,854,775,807\.$"):
        require_whole("seed", 2**63, at_least=0)


@pytest.mark.parametrize("value", [11, np.uint8(11), np.uint64(2**64 - 1), 10**23])
def test_a_number_above_its_bound_is_refused_with_the_bound(value):
    with pytest.raises(SettingError) as refusal:
        require_whole("threads", value, at_least=1, at_most=10)
    assert str(refusal.value) == f"threads={value}: must be a whole number from 1 to 10."


def test_a_number_of_thousands_of_digits_is_not_written_out():
    with pytest.raises(SettingError) as refusal:
        require_whole("seed", 10**5000, at_least=0)
    assert str(refusal.value).startswith("seed=(a number of thousands of digits): must be")
    assert len(str(SettingError("text", "x" * 5000, "is too long."))) < 300


@dataclass(frozen=True)
class Rule:
    """Settings, as all rules have them."""

    size: int
    share: float

    def __post_init__(self):
        check_whole(self, "size", at_least=1)
        check_number(self, "share", at_least=0, at_most=1)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("real", FLOATS, ids=lambda kind: kind.__name__)
def test_fields_keep_what_they_are_checked_as(kind, real):
    rule = Rule(kind(3), real(0.5))
    assert rule == Rule(3, 0.5)
    assert (type(rule.size), type(rule.share)) == (int, float)


@pytest.mark.parametrize(
    "value",
    [0, -1, 1.0, True, "1", None, math.nan, np.True_, np.float64(2), np.array([1]), np.array(1.0), [1]],
)
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
        (np.True_, {}, "must be a number."),
        (np.array(True), {}, "must be a number."),
        (np.float32("nan"), {}, "must be a number."),
        (np.array([0.5]), {}, "must be a number."),
        (10**400, {"above": 0}, "must be a number above 0."),
        (1j, {}, "must be a number."),
        ("1", {"at_least": 0}, "must be a number at least 0."),
        (None, {"at_least": 0.5}, "must be a number at least 0.5."),
    ],
)
def test_what_is_no_number_in_its_bounds(value, bounds, problem):
    with pytest.raises(SettingError) as refusal:
        require_number("rate", value, **bounds)
    assert str(refusal.value) in (f"rate={value}: {problem}", f"rate={str(value)[:200]}…: {problem}")
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

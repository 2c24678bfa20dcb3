"""Search spaces: distributions of Optuna from Hydra's syntax."""

from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import assume, given
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from w2v_exp.errors import UserError
from w2v_exp.searching.space import Space, as_text, readable


def space(*texts: str) -> Space:
    overrides = OverridesParser.create().parse_overrides(list(texts))
    return Space.of({str(override.key_or_group): override for override in overrides})


@pytest.mark.parametrize(
    ("text", "distribution", "samples"),
    [
        ("dim=choice(10,50,100)", CategoricalDistribution(["10", "50", "100"]), ["10", "50", "100"]),
        ("dim=10,50", CategoricalDistribution(["10", "50"]), ["10", "50"]),
        ("dim=range(1,10,4)", IntDistribution(1, 9, step=4), ["1", "9"]),
        ("dim=range(10,1,-3)", IntDistribution(4, 10, step=3), ["4", "10"]),
        ("dim=tag(log,range(1,100))", IntDistribution(1, 99, log=True), ["1", "99"]),
        ("rate=range(0.1,1,0.2)", FloatDistribution(0.1, 0.9, step=0.2), ["0.1", "0.9"]),
        ("rate=interval(0,1)", FloatDistribution(0, 1), ["0.0", "0.382", "1.0"]),
        (
            "rate=tag(log,interval(0.001,1))",
            FloatDistribution(0.001, 1, log=True),
            ["0.001", "0.3826", "1.0"],
        ),
        ("dim=int(interval(4,50))", IntDistribution(4, 50), ["4", "50"]),
        ("dim=tag(log,int(interval(4,50)))", IntDistribution(4, 50, log=True), ["4", "50"]),
    ],
)
def test_distribution_of_each_syntax(
    text: str, distribution: BaseDistribution, samples: list[str] | None
) -> None:
    made = space(text)
    (key,) = made.texts
    assert f"{key}={made.texts[key]}" == text
    assert made.distributions[key] == distribution
    assert samples is None or made.sample_values()[key] == samples


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rate=interval(5,1)", "the end of an interval must be above its start."),
        ("rate=interval(0,inf)", "the end of an interval must be above its start."),
        ("rate=tag(log,interval(0,1))", "an interval with the tag log must start above 0."),
        ("rate=tag(lg,interval(1,2))", "tag lg: not supported; the only tag is log."),
        ("rate=tag(log,choice(1,2))", "the tag log needs an interval or a range."),
        (
            "rate=tag(log,range(1,10,2))",
            "a range with the tag log must start at 1 or above, with step 1.",
        ),
        ("rate=range(3,3)", "the range is empty."),
        ("rate=range(1,10,0)", "the range is empty."),
    ],
)
def test_keys_without_a_distribution_are_rejected(text: str, said: str) -> None:
    with pytest.raises(UserError) as raised:
        space(text)
    assert str(raised.value) == f"{text}: {said}"


def test_a_search_without_a_space_is_rejected() -> None:
    with pytest.raises(UserError, match="needs a search space"):
        space()


numbers = st.floats(-1e6, 1e6, allow_subnormal=False)
positive = st.floats(1e-12, 1e6)


@given(low=numbers, high=numbers, part=st.floats(0, 1), log=st.booleans())
def test_readable_numbers_stay_where_they_are_drawn_from_and_near(
    low: float, high: float, part: float, log: bool
) -> None:
    low, high = (abs(low), abs(high)) if log else (low, high)
    assume(high - low > 1e-9 and (not log or low > 1e-9))
    distribution = FloatDistribution(low, high, log=log)
    drawn = min(max(low + part * (high - low), low), high)
    value = readable(drawn, distribution)
    assert low <= value <= high
    assert readable(value, distribution) == value
    assert abs(value - drawn) <= 5e-4 * (drawn if log else high - low) * (1 + 1e-9)
    assert float(as_text(value)) == value


@given(steps=st.integers(0, 40), step=st.sampled_from([0.1, 0.25, 0.003]))
def test_steps_are_as_one_would_write_them(steps: int, step: float) -> None:
    distribution = FloatDistribution(0.5, 0.5 + 40 * step, step=step)
    value = readable(0.5 + steps * step, distribution)
    assert len(as_text(value)) <= len("0.503") + 1
    assert distribution._contains(value)

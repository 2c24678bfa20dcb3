"""Property tests: the same examples in every run, but random and ten times as many in `make test-slow`."""

from __future__ import annotations

import os

from hypothesis import settings

THOROUGH = os.environ.get("W2V_EXP_THOROUGH") == "1"  # set by `make test-slow`
DEFAULT_EXAMPLES = 100


def examples(number: int) -> int:
    """Return the number of examples of a property test from that of `make test`."""
    return 10 * number if THOROUGH else number


def load_profile() -> None:
    """Make Hypothesis follow the tier. No deadline: a busy machine is no fault of the code."""
    settings.register_profile(
        "tier",
        max_examples=examples(DEFAULT_EXAMPLES),
        derandomize=not THOROUGH,
        deadline=None,
        print_blob=True,
    )
    settings.load_profile("tier")

"""Coverage of bootstrap intervals on texts with known true values: a small run of the script of the documentation."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import bootstrap_coverage as script


def test_covered_shares_are_those_of_plain_arithmetic() -> None:
    found = script.Coverage()
    values = np.linspace(0, 1, 39)[:, None] + np.array([0.0, 10.0])
    found.add(np.array([0.5, 9.0]), np.array([0.6, 10.9]), values)  # means 0.5 and 10.5
    found.add(np.array([0.5, 9.0]), np.array([0.2, 11.3]), values)
    low = np.quantile(values[:, 0], 0.05, method="weibull")
    assert found.covered("percentile", same_size=False)[0] == 0.5
    assert found.lows[0] == pytest.approx([low, 10 + low])
    # Centred on 0.6 and 0.2: both contain 0.5, unlike those on 10.9 and 11.3 the 9.
    assert found.covered("centred", same_size=False)[0] == 0.5
    # Of the means over texts, 0.4 and 11.1.
    assert found.covered("centred", same_size=True)[0] == 1.0
    # Reflected: 0.25 to 1.15 and 10.85 to 11.75, then −0.55 to 0.35 and 11.65 to 12.55.
    assert found.covered("reflected", same_size=True)[0] == 0.5


@pytest.mark.slow
def test_intervals_over_documents_cover_and_shares_are_calibrated() -> None:
    """The seeds are fixed, so that the result is; the bounds are far from the figures of the documentation."""
    table = script.coverage(texts=10, documents=200, replicates=39, true_documents=5000)
    by_name = table.by_name
    for band in script.BANDS:
        share, _ = by_name[f"cosines of {band} words | documents"].covered("centred", same_size=True)
        assert 0.8 < share <= 1
    documents, tokens = (
        by_name[f"cosines of frequent words | {units}"].covered("percentile", same_size=False)[0]
        for units in ("documents", "tens of tokens")
    )
    assert documents > tokens
    shares, truths = np.concatenate(table.shares), np.concatenate(table.truths)
    for low, high in ((0.1, 0.3), (0.3, 0.7), (0.7, 0.9)):
        chosen = (shares >= low) & (shares < high)
        assert abs(truths[chosen].mean() - shares[chosen].mean()) < 0.1

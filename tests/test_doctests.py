"""The examples in docstrings are true."""

import doctest
import importlib
from pathlib import Path

import pytest

import w2v_exp

PACKAGE = Path(w2v_exp.__file__).parent
MODULES = sorted(
    ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)
    for file in PACKAGE.rglob("*.py")
    if ">>> " in file.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_are_true(name):
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted > 0
    assert results.failed == 0


def test_every_schedule_has_an_example():
    assert "w2v_exp.training.schedules" in MODULES
    from w2v_exp.training.schedules import SCHEDULES

    finder = doctest.DocTestFinder()
    for schedule in SCHEDULES.values():
        assert any(test.examples for test in finder.find(schedule)), schedule

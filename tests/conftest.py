"""What all tests share."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import Command, run_command


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a parameter of bytes after its argument: compressed bytes hold the time of day.

    Test processes that start a second apart would otherwise collect tests of different names, which
    pytest-xdist refuses.
    """
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session", autouse=True)
def _cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give the tests, and the commands that they start, a cache of their own instead of the developer's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("W2V_EXP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Run ``python -m w2v_exp …`` as a process of its own, in an empty folder."""

    def run(*arguments: str, folder: Path = tmp_path, **variables: str) -> subprocess.CompletedProcess[str]:
        return run_command(*arguments, folder=folder, **variables)

    return run

"""What tests of the command line share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session", autouse=True)
def _cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give the tests, and the commands that they start, a cache of their own instead of the developer's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("W2V_EXP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def environment(**changes: str) -> dict[str, str]:
    """Return this process's environment without what would send runs to a store of the developer's."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "HYDRA_"))}
    return kept | changes


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Run ``python -m w2v_exp …`` as a process of its own, in an empty folder."""

    def run(*arguments: str, folder: Path = tmp_path, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "w2v_exp", *arguments],
            cwd=folder,
            env=environment(**variables),
            capture_output=True,
            text=True,
            check=False,
        )

    return run

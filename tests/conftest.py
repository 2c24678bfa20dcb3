"""What all tests share."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import Command, ForkingCommand, run_python
from properties import load_profile

from w2v_exp.files import locked, replacing
from w2v_exp.processes import messages_on_stderr

load_profile()

# A shell's background job and nohup ignore these signals, and a process inherits that: the commands that tests start
# would ignore them, too. What a process handles is reset to the default in those that it starts.
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler)


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


@pytest.fixture(autouse=True)
def _messages_on_stderr() -> Iterator[None]:
    """Show what is logged as the command line does."""
    with messages_on_stderr():
        yield


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """Return a list that grows by every message that the package logs."""
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("w2v_exp").addHandler(handler)
    yield messages
    logging.getLogger("w2v_exp").removeHandler(handler)


@pytest.fixture(scope="session")
def _forking() -> Iterator[ForkingCommand]:
    forking = ForkingCommand()
    yield forking
    forking.close()


@pytest.fixture
def command(tmp_path: Path, _forking: ForkingCommand) -> Command:
    """Run ``w2v-exp …`` in a process of its own, in an empty folder."""

    def run(*arguments: str, folder: Path = tmp_path, **variables: Any) -> subprocess.CompletedProcess[str]:
        return _forking.run(*arguments, folder=folder, **variables)

    return run


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the database of an MLflow store without runs. MLflow takes seconds to make one: it is made once.

    The experiment is not in it yet, because it says where its artifacts are.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # that of all its processes
    store = folder / "empty_store.db"
    with locked(folder / "empty_store.lock"):
        if not store.exists():
            made = tmp_path_factory.mktemp("store")
            script = "import mlflow; mlflow.MlflowClient('sqlite:///mlflow.db').search_experiments()"
            done = run_python("-c", script, folder=made, MLFLOW_DISABLE_TELEMETRY="true")
            assert done.returncode == 0, done.stderr
            with replacing(store, "wb") as stream:
                stream.write((made / "mlflow.db").read_bytes())
    return store


@pytest.fixture
def store(tmp_path: Path, empty_store: Path) -> Path:
    """Put an MLflow store without runs into the test's folder, where runs look for one."""
    return Path(shutil.copy(empty_store, tmp_path / "mlflow.db"))

"""What all tests share."""

from __future__ import annotations

import functools
import gc
import logging
import multiprocessing.util
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from faulty_server import FaultyServer
from in_process import run_in_process
from processes import Command, ForkingCommand
from properties import load_profile
from web_servers import running

from w2v_exp.files import locked, replacing
from w2v_exp.machine import freeze
from w2v_exp.processes import messages_on_stderr
from w2v_exp.text import web

load_profile()

# A shell's background job and nohup ignore these signals, and a process inherits that: the commands that tests start
# would ignore them, too. What a process handles is reset to the default in those that it starts.
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the second tier: they start processes, take minutes or need software that is not everywhere.

    Of the cases of a test with the mark ``cases(every=n)``, only every n-th is in the first tier.
    """
    cases: Counter[str] = Counter()
    for item in items:
        if mark := item.get_closest_marker("cases"):
            test = item.nodeid.partition("[")[0]
            if cases[test] % mark.kwargs["every"]:
                item.add_marker("second_tier")
            cases[test] += 1
        used = getattr(item, "fixturenames", ())
        marked = any(item.get_closest_marker(name) for name in ("slow", "browser", "slurm", "postgres"))
        if marked or ("starts_processes" in used and "end_to_end" not in used):
            item.add_marker("second_tier")


@pytest.fixture(scope="session")
def starts_processes() -> None:
    """Let a test start processes: it is one of the second tier."""


@pytest.fixture(scope="session")
def end_to_end() -> None:
    """Let a test start processes and be one of the first tier: a dozen, each another way through the product."""


# Programs that the first test of a process starts which needs the revision, the kind or number of cores, or, with
# threadpoolctl before 3.7, the C library.
ONCE = ("git", "lscpu", "uname", "ldconfig")
_started: list[str] = []  # processes, by the test of the moment


@pytest.fixture(scope="session", autouse=True)
def _observed_starts() -> Iterator[None]:
    """Note every process that is started: by `subprocess`, by a fork, or by `multiprocessing` without either."""

    def observed(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def start(*arguments: Any, **named: Any) -> Any:
            started = (
                f"{function.__qualname__}{arguments[1:]}"  # the first of `Popen.__init__` has no text yet
            )
            if not any(f"{name}'" in started for name in ONCE):
                _started.append(started[:200])
            return function(*arguments, **named)

        return start

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fork", observed(os.fork))
        patch.setattr(subprocess.Popen, "__init__", observed(subprocess.Popen.__init__))
        patch.setattr(multiprocessing.util, "spawnv_passfds", observed(multiprocessing.util.spawnv_passfds))
        yield


@pytest.fixture(autouse=True)
def _tier_by_what_is_started(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that starts a process without one of the fixtures by which it gets its tier."""
    yield
    started, _started[:] = [*_started], []
    if started and not request.node.get_closest_marker("second_tier"):
        assert "end_to_end" in request.fixturenames, (
            f"use the fixture `starts_processes`, the test starts {started}"
        )


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


@pytest.fixture(autouse=True)
def _default_store_stays() -> Iterator[None]:
    """Forget the store that a test has set for this process: MLflow also sets the variable of the environment."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    yield
    if os.environ.get("MLFLOW_TRACKING_URI") != before:
        sys.modules["mlflow"].set_tracking_uri(before or "")
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        if before:
            os.environ["MLFLOW_TRACKING_URI"] = before


_frozen_modules = [0]  # their number at the last time


@pytest.fixture(autouse=True)
def _loaded_modules_are_not_collected() -> None:
    """Exempt loaded modules from garbage collection: every run collects, for its peak memory.

    With MLflow and thousands of tests loaded, that takes longer than the rest of a small run.
    """
    if len(sys.modules) > _frozen_modules[0] + 100:
        gc.collect()
        freeze()
        _frozen_modules[0] = len(sys.modules)


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
def _forking(starts_processes: None) -> Iterator[ForkingCommand]:
    forking = ForkingCommand()
    yield forking
    forking.close()


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Run ``w2v-exp …`` in this process, in an empty folder."""

    def run(*arguments: str, folder: Path = tmp_path, **variables: Any) -> subprocess.CompletedProcess[str]:
        return run_in_process(*arguments, folder=folder, **variables)

    return run


@pytest.fixture
def process_command(tmp_path: Path, _forking: ForkingCommand) -> Command:
    """Run ``w2v-exp …`` in a process of its own, in an empty folder; it can be killed."""

    def run(*arguments: str, folder: Path = tmp_path, **variables: Any) -> subprocess.CompletedProcess[str]:
        return _forking.run(*arguments, folder=folder, **variables)

    return run


@pytest.fixture(scope="module")
def one_web_server() -> Iterator[FaultyServer]:
    """Yield a web server of files on this machine, for properties; requests to it are repeated without waiting."""
    with pytest.MonkeyPatch.context() as patch, running(FaultyServer()) as server:
        patch.setattr(web, "FIRST_WAIT", 0)
        patch.setattr(web, "LONGEST_WAIT", 0)
        web.session_of.cache_clear()
        yield server
        web.session_of.cache_clear()


@pytest.fixture
def web_server(one_web_server: FaultyServer) -> FaultyServer:
    """Return that web server without files and faults."""
    one_web_server.reset()
    return one_web_server


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
            from mlflow import MlflowClient  # takes seconds, and the tests of the core do without it

            made = tmp_path_factory.mktemp("store") / "mlflow.db"
            MlflowClient(f"sqlite:///{made}").search_experiments()
            with replacing(store, "wb") as stream:
                stream.write(made.read_bytes())
    return store


@pytest.fixture
def store(tmp_path: Path, empty_store: Path) -> Path:
    """Put an MLflow store without runs into the test's folder, where runs look for one."""
    return Path(shutil.copy(empty_store, tmp_path / "mlflow.db"))

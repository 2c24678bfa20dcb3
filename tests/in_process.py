"""The command line in this process: as a process of its own does it, but for what a process begins and ends with.

What belongs to a process is put back afterwards: the current folder, the environment, standard output and error,
handlers of signals, loggers, modules of the test's folder. The rest is what the runs of a sweep share as well.
"""

from __future__ import annotations

import importlib
import io
import logging
import os
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import mlflow  # noqa: F401  (a process without it starts another one for its uploads)
from hydra.core.global_hydra import GlobalHydra
from processes import environment

from w2v_exp.__main__ import run
from w2v_exp.processes import exit_with
from w2v_exp.text import tokenizers
from w2v_exp.text.corpus import warn_once

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def run_in_process(*arguments: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run ``w2v-exp …`` in a folder, with these variables of the environment."""
    with ExitStack() as stack:
        stack.enter_context(_variables(environment(MPLBACKEND="agg", **variables)))
        stack.enter_context(_modules(folder))
        stack.enter_context(_logging())
        stack.enter_context(_signals())
        stdout, stderr = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
        warn_once.cache_clear()  # which a new process begins with, too
        code = 0
        with _streams(stdout.fileno(), stderr.fileno()), _folder(folder), _warnings():
            sys.argv = ["w2v_exp", *arguments]
            try:
                exit_with(run)
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
                if isinstance(end.code, str):
                    print(end.code, file=sys.stderr)
            except BaseException:
                traceback.print_exc()
                code = 1
        texts = [_text_of(stream) for stream in (stdout, stderr)]
    return subprocess.CompletedProcess(arguments, code, *texts)


def _text_of(stream: BinaryIO) -> str:
    stream.seek(0)
    return io.TextIOWrapper(io.BytesIO(stream.read()), "utf-8").read()  # with \n for every end of a line


@contextmanager
def _variables(changed: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(changed)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _folder(folder: Path) -> Iterator[None]:
    before = os.open(".", os.O_RDONLY)  # which may have been deleted
    os.chdir(folder)
    try:
        yield
    finally:
        os.fchdir(before)
        os.close(before)


@contextmanager
def _modules(folder: Path) -> Iterator[None]:
    """Find modules in a folder, and forget them, as a Python that starts there does."""
    path, argv, loaded = [*sys.path], sys.argv, {*sys.modules}
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:], sys.argv = path, argv
        for name in {*sys.modules} - loaded:
            places = [
                getattr(sys.modules[name], "__file__", None),
                *getattr(sys.modules[name], "__path__", []),
            ]
            if any(place and Path(place).is_relative_to(folder) for place in places):
                del sys.modules[name]
        sys.path_importer_cache.pop(str(folder), None)
        tokenizers._import_callable.cache_clear()


@contextmanager
def _logging() -> Iterator[None]:
    loggers = [logging.getLogger(), logging.getLogger("w2v_exp")]
    before = [(logger.level, logger.propagate, [*logger.handlers]) for logger in loggers]
    try:
        yield
    finally:
        for logger, (level, propagate, handlers) in zip(loggers, before, strict=True):
            logger.level, logger.propagate, logger.handlers[:] = level, propagate, handlers
        GlobalHydra.instance().clear()


@contextmanager
def _signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _streams(*files: int) -> Iterator[None]:
    """Write to these files what this process and those that it starts write to standard output and error."""
    before = sys.stdin, sys.stdout, sys.stderr
    kept = [os.dup(number) for number in (1, 2)]
    for number, file in zip((1, 2), files, strict=True):
        os.dup2(file, number)
    try:
        with (
            Path(os.devnull).open() as stdin,
            open(1, "w", encoding="utf-8", closefd=False) as stdout,
            open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False) as stderr,
        ):
            sys.stdin, sys.stdout, sys.stderr = stdin, stdout, stderr
            yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = before
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)


@contextmanager
def _warnings() -> Iterator[None]:
    """Print the warnings of Python on standard error, as without pytest."""
    with warnings.catch_warnings():
        warnings.resetwarnings()
        for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", category)
        warnings.showwarning = lambda message, category, name, line, file=None, text=None: sys.stderr.write(
            warnings.formatwarning(message, category, name, line, text)
        )
        yield

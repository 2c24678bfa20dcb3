"""The engine of a Dask cluster, on machines that share a folder; Dask is optional, and imported where it is used.

Dask replaces workers that die, and executes their tasks again. Without its scheduler nothing is left of the tasks in
progress, but all results are on disk: the same command continues.
"""

from __future__ import annotations

import ctypes
import logging
import re
import secrets
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from queue import Empty, SimpleQueue
from socket import gethostname
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, simplefilter
from zlib import crc32

from w2v_exp.counting.engines import MOST_DEATHS, EngineWhenNeeded, Task
from w2v_exp.errors import SettingError, UserError, check_whole, install_command, shown
from w2v_exp.files import replacing
from w2v_exp.machine import MOST_CORES, available_cores
from w2v_exp.processes import interruptions_held_back, may_start_processes
from w2v_exp.version import __version__

if TYPE_CHECKING:
    from distributed import Client, Future, LocalCluster

_log = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0
FIRST_WORKER_SECONDS = 30.0
SHARED_SECONDS = 5.0  # in which a file becomes visible through a network file system
SURVEY_SECONDS = 2.0  # between looks at the cluster, whose workers come and go
# Tasks in progress per thread of a worker: the next one is there when the first ends. More would be lost with a worker,
# and Dask gives a task up that was on a fourth one that died.
PER_THREAD = 2
_ADDRESS = re.compile(r"((tcp|tls|ws|wss|ucx)://)?(\[[0-9a-fA-F:]+\]|[\w.-]+):\d{1,5}")
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # options of mallopt
_SAME = ("python", "dask", "distributed")  # versions that client, scheduler and workers must share


@dataclass(frozen=True)
class DaskCounting:
    """Workers of a Dask cluster.

    Parameters
    ----------
    address : str, optional
        Of the scheduler, such as ``tcp://10.0.0.1:8786``; None: a cluster on this machine, for this command.
    workers : int, optional
        Number of processes of a cluster on this machine; None: one per available core. A cluster with an address has
        its own workers.
    """

    address: str | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        if self.workers is not None:
            check_whole(self, "workers", at_least=1, at_most=MOST_CORES)
        if self.address is None:
            return
        if not _ADDRESS.fullmatch(self.address):
            raise SettingError("address", self.address, "must have the form tcp://machine:8786.")
        if self.workers is not None:
            raise SettingError(
                "workers", self.workers, "the cluster of counting.address has its own workers; leave it out."
            )

    @contextmanager
    def engine(self, folder: Path) -> Iterator[EngineWhenNeeded]:
        """Yield an engine.

        It connects to the cluster, or starts one, and checks it, with the first task.
        """
        if find_spec("distributed") is None:
            raise UserError(
                "counting=dask: needs the package distributed, which is not installed: "
                f"{install_command('dask')}"
            )
        with ExitStack() as stack:

            def start() -> DaskEngine:
                stack.enter_context(_quiet())
                client = stack.enter_context(self._connected())
                mark = stack.enter_context(_mark(folder.absolute()))
                return DaskEngine(self, client, mark)

            yield EngineWhenNeeded(start)

    @contextmanager
    def _connected(self) -> Iterator[Client]:
        from distributed import Client, LocalCluster

        with ExitStack() as stack:
            # Threads and processes that start here never receive Ctrl-C: the end of the block ends them.
            with interruptions_held_back(), catch_warnings():
                simplefilter("ignore")  # of versions: they are checked below
                if self.address is None:
                    cluster = LocalCluster(
                        n_workers=self.workers or available_cores(),
                        threads_per_worker=1,
                        processes=may_start_processes(),
                        memory_limit=0,  # a task uses what it needs
                        dashboard_address=None,
                        silence_logs=logging.CRITICAL,
                    )
                    stack.callback(_close, cluster)
                else:
                    self._require_scheduler(self.address)
                client = Client(self.address or cluster, timeout=CONNECT_SECONDS, set_as_default=False)
            stack.callback(_close, client)
            yield client

    def _require_scheduler(self, address: str) -> None:
        """Raise `SettingError` unless a scheduler of Dask responds.

        Its web page, for example, is another server.
        """
        import asyncio  # with ssl, which no other run needs

        try:
            with ThreadPoolExecutor(1) as thread:  # a notebook has a loop of its own in this one
                kind = thread.submit(asyncio.run, _kind_of_server(address)).result()
        except (OSError, TimeoutError, ValueError) as error:
            message = " ".join(str(error).split()).replace(f" to {address}", "")
            reason = shown(message, 120) or f"no answer in {CONNECT_SECONDS:.0f} s"
        else:
            if kind == "Scheduler":
                return
            reason = f"it is a {kind}"
        raise SettingError(
            "counting.address",
            address,
            f"no Dask scheduler responds there ({reason}). Check the address, or start one: dask scheduler",
        )


def _close(opened: Client | LocalCluster) -> None:
    """End a connection or cluster.

    One that does not end in time must not hide an error, or the counts.
    """
    with suppress(OSError, TimeoutError):
        opened.close(timeout=CONNECT_SECONDS)


async def _kind_of_server(address: str) -> str:
    import asyncio

    from distributed.comm import connect
    from distributed.security import Security

    async def ask() -> str:
        comm = await connect(address, timeout=CONNECT_SECONDS, **Security().get_connection_args("client"))
        try:
            await comm.write({"op": "identity", "reply": True})
            return str((await comm.read())["type"])
        finally:
            comm.abort()

    return await asyncio.wait_for(ask(), CONNECT_SECONDS + 1)  # `connect` waits for a handshake without end


class DaskEngine:
    """Sends tasks to the workers of a Dask cluster, `PER_THREAD` at once to each of their threads.

    Parameters
    ----------
    settings : DaskCounting
        For messages.
    client : Client
        The connection to the scheduler.
    mark : Mark
        File by which workers recognise the folder of this command.

    Raises
    ------
    UserError
        If a worker cannot be used.
    """

    def __init__(self, settings: DaskCounting, client: Client, mark: Mark) -> None:
        self._address, self._client, self._mark = settings.address, client, mark
        with suppress(TimeoutError):
            client.wait_for_workers(1, timeout=FIRST_WORKER_SECONDS)
        self._threads: dict[str, int] = {}
        self._threads = self._surveyed()
        if not self._threads:
            raise self._problem(
                f"no worker has connected to this scheduler within {FIRST_WORKER_SECONDS:.0f} s. Start some with: "
                f"dask worker {self._address} --nthreads 1"
            )
        self._check_workers()

    def run(self, tasks: Sequence[Task]) -> Generator[int, None, None]:
        """Execute all tasks, and yield the index of each when it has finished."""
        waiting = iter(range(len(tasks)))
        running: dict[Future, int] = {}
        ended: SimpleQueue[Future] = SimpleQueue()
        deaths = Counter[int]()

        def start(index: int) -> None:
            task = tasks[index]
            future = self._client.submit(
                _execute,
                task.function,
                task.arguments,
                self._mark,
                key=f"{task.name}-{secrets.token_hex(16)}",
            )
            running[future] = index
            future.add_done_callback(ended.put)

        looked_at = monotonic()
        try:
            while True:
                most = PER_THREAD * max(1, sum(self._threads.values()))
                while len(running) < most and (index := next(waiting, None)) is not None:
                    start(index)
                if not running:
                    return
                with suppress(Empty):
                    future = ended.get(timeout=SURVEY_SECONDS)
                    index = running.pop(future)
                    if self._has_died(future, tasks[index]):
                        deaths[index] += 1
                        if deaths[index] == MOST_DEATHS:
                            raise self._problem(
                                f"workers died again and again in {tasks[index].name}, probably because memory ran "
                                "out. Start fewer workers on each machine and repeat the command: finished counts are "
                                "kept."
                            )
                        start(index)
                    else:
                        yield index
                if monotonic() - looked_at > SURVEY_SECONDS:
                    self._threads, looked_at = self._surveyed(), monotonic()
        finally:
            if self._client.status == "running":
                self._client.cancel([*running])

    def _has_died(self, future: Future, task: Task) -> bool:
        """Return whether a task was lost with its workers; raise the error of one that failed."""
        from distributed import KilledWorker

        if future.status == "finished":
            return False
        if future.status != "error":
            raise self._lost()
        error = future.exception()
        if isinstance(error, (KilledWorker, MemoryError)):
            return True
        raise error

    def _surveyed(self) -> dict[str, int]:
        """Return the number of threads of each worker, and log a line when there is none."""
        try:
            threads = dict(self._client.nthreads())
        except OSError:
            raise self._lost() from None
        if self._threads and not threads:
            _log.warning("counting=dask: no worker is left; waiting for one to connect.")
        return threads

    def _check_workers(self) -> None:
        """Raise `UserError` unless all workers have the same code and see the folder."""
        versions = self._client.get_versions()
        here = versions["client"]["packages"]
        others = {"the scheduler": versions["scheduler"]} | versions["workers"]
        for name, found in others.items():
            for package in _SAME:
                version = (found or {}).get("packages", {}).get(package)
                if version != here[package]:
                    where = name if name == "the scheduler" else f"the worker {name}"
                    raise self._problem(
                        f"{package} {here[package]} here, {version} on {where}. Install the same version."
                    )
        for name, problem in self._client.run(_worker_problem, self._mark, on_error="return").items():
            if "ModuleNotFoundError" in repr(problem):  # Dask returns the error or its text
                raise self._problem(
                    f"the worker {name} has no w2v_exp, or another version. Install the same one."
                )
            if problem:
                raise self._problem(f"the worker {name} {problem}")
        if (most := max(self._threads.values())) > 1:
            _log.warning(
                f"counting=dask: a worker has {most:,} threads, which wait for each other. Start workers with "
                "--nthreads 1, one for each core."
            )

    def _problem(self, text: str) -> UserError:
        return UserError(f"counting.address={self._address or 'null'}: {text}")

    def _lost(self) -> UserError:
        return self._problem(
            "the connection to the scheduler is lost. Run the same command again: finished counts are kept."
        )


@dataclass(frozen=True)
class Mark:
    """A file that a command keeps in the folder of its counts while it runs.

    A worker that does not find it sees another folder, or has a task of a command that has ended.

    Parameters
    ----------
    path : str
        The file.
    content : str
        Its content, which no other command writes.
    code : int
        Checksum of the code that counts.
    """

    path: str
    content: str
    code: int

    def is_seen(self) -> bool:
        """Return whether this process sees the file, at the latest in `SHARED_SECONDS`."""
        until = monotonic() + SHARED_SECONDS
        while True:
            with suppress(OSError):
                if Path(self.path).read_text(encoding="utf-8") == self.content:
                    return True
            if monotonic() > until:
                return False
            sleep(0.1)


@contextmanager
def _mark(folder: Path) -> Iterator[Mark]:
    folder.mkdir(parents=True, exist_ok=True)
    mark = Mark(str(folder / "driver"), secrets.token_hex(16), code_checksum())
    with replacing(mark.path) as stream:
        stream.write(mark.content)
    try:
        yield mark
    finally:
        Path(mark.path).unlink(missing_ok=True)


@cache
def code_checksum() -> int:
    """Return a checksum of the modules that count.

    Another tokenizer, for example, would count other words.
    """
    package = Path(__file__).parents[1]
    checksum = crc32(__version__.encode())
    for folder in (package, *(package / name for name in ("text", "examples", "counting"))):
        for file in sorted(folder.glob("*.py")):
            checksum = crc32(file.read_bytes(), checksum)
    return checksum


def _worker_problem(mark: Mark) -> str:
    """Return the reason why this worker cannot be used; empty if it can."""
    if mark.code != code_checksum():
        return "has another version of w2v_exp. Install the same one."
    if not mark.is_seen():
        folder = Path(mark.path).parent
        return f"does not see the folder {folder}. Use one that all machines mount under the same path."
    return ""


def _execute(function: str, arguments: dict[str, Any], mark: Mark) -> None:
    """Execute a task in a worker, which may have connected after the others were checked."""
    if problem := _worker_problem(mark):
        raise UserError(f"counting=dask: a worker on {gethostname()} {problem}")
    _keep_freed_memory()
    Task(function, arguments).execute()


@cache
def _keep_freed_memory() -> None:
    """Let this process keep freed memory, as one without threads does.

    Dask sets MALLOC_TRIM_THRESHOLD_ and executes tasks in a thread. So each array was made of new pages, which the
    kernel has to clear: counting took 3.5 s of processor time for 30 MB instead of 2.3 s.
    """
    with suppress(OSError, AttributeError):  # not by glibc
        set_option = ctypes.CDLL(None).mallopt
        set_option(_MMAP_THRESHOLD, 32 << 20)  # the largest value
        set_option(_TRIM_THRESHOLD, 256 << 20)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Dask's messages.

    Those of workers that die come with a traceback each, and the remedy is ours.
    """
    import distributed  # noqa: F401  (it sets the levels that are changed here)

    loggers = [
        logger
        for name, logger in logging.root.manager.loggerDict.items()
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio")
        and isinstance(logger, logging.Logger)
    ]
    before = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)

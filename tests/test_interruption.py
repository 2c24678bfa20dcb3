"""Ctrl-C, SIGTERM and SIGHUP end a run in order, once, whatever else is sent meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import sleep

import pytest
from mlflow import MlflowClient
from processes import Command, environment

from w2v_exp import processes
from w2v_exp.processes import (
    HungUp,
    Terminated,
    interruptible,
    interruptions_deferred,
    termination_as_exception,
)

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
SIGNALS = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated, signal.SIGHUP: HungUp}
SHORT = ("tracking.plots=false", "explorer=none", "bounds=false")


@pytest.fixture(autouse=True)
def _default_handlers() -> Iterator[None]:
    """Handle signals as a process in the foreground does, whatever the tests run in."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_an_exception_and_handlers_are_restored(number: int) -> None:
    before = [signal.getsignal(one) for one in SIGNALS]
    with pytest.raises(KeyboardInterrupt) as raised, termination_as_exception(), termination_as_exception():
        send(number)
    assert raised.type is SIGNALS[number]
    assert getattr(raised.value, "exit_code", 130) == 128 + number
    assert [signal.getsignal(one) for one in SIGNALS] == before


@pytest.mark.parametrize("number", SIGNALS)
def test_further_signals_do_not_break_the_orderly_end(number: int) -> None:
    ended = []
    with pytest.raises(KeyboardInterrupt), termination_as_exception():
        try:
            send(number)
        except KeyboardInterrupt:
            for other in SIGNALS:
                send(other)
            ended.append("in order")
            raise
    assert ended == ["in order"]
    with pytest.raises(KeyboardInterrupt), termination_as_exception():  # the next one counts again
        send(number)


def test_a_later_signal_interrupts_the_orderly_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "IGNORED_SECONDS", 0.0)
    with pytest.raises(HungUp), termination_as_exception(), interruptions_deferred():
        send(signal.SIGTERM)
        send(signal.SIGHUP)
        pytest.fail("not interrupted")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_block_is_done_before_an_interruption_is_raised(number: int) -> None:
    done = []
    with pytest.raises(SIGNALS[number]), termination_as_exception():
        with interruptions_deferred(), interruptions_deferred():
            send(number)
            done.append("the block")
        done.append("more")
    assert done == ["the block"]


def test_a_part_of_a_block_can_be_interrupted() -> None:
    done = []
    with pytest.raises(Terminated), termination_as_exception(), interruptions_deferred():
        try:
            with interruptible():
                send(signal.SIGTERM)
                done.append("too much")
        except Terminated:
            send(signal.SIGTERM)
            done.append("the end")
            raise
    assert done == ["the end"]
    with pytest.raises(Terminated), termination_as_exception(), interruptions_deferred():
        send(signal.SIGTERM)
        with interruptible():
            pytest.fail("not interrupted")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_that_was_ignored_stays_ignored(number: int) -> None:
    signal.signal(number, signal.SIG_IGN)
    with termination_as_exception():
        send(number)
    assert signal.getsignal(number) == signal.SIG_IGN


@pytest.mark.usefixtures("end_to_end")
@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGHUP, marks=pytest.mark.second_tier), signal.SIGINT]
)
def test_a_run_is_recorded_as_killed_with_what_it_has(
    number: int, store: Path, process_command: Command, tmp_path: Path
) -> None:
    done = process_command(
        "epochs=3000000", "checkpoint.every=500 epochs", *SHORT,
        killed_at=("outputs/checkpoints/*/checkpoint.npz", 2), killed_by=number,
    )  # fmt: skip
    assert done.returncode == 128 + number, done.stderr
    (run,) = MlflowClient(f"sqlite:///{store}").search_runs(["1"])
    assert (run.info.status, run.data.tags["reason"]) == ("KILLED", "interrupted")
    artifacts = Path(run.info.artifact_uri.removeprefix("file://"))
    assert {"costs.csv", "embeddings.npz"} <= {file.name for file in artifacts.iterdir()}


def of_group(group: int) -> list[str]:
    """Return the processes of a group that are alive."""
    listed = subprocess.run(
        ["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True, check=True
    ).stdout
    lines = [line.split(maxsplit=2) for line in listed.splitlines()]
    return [line[2] for line in lines if line[0] == str(group) and not line[1].startswith("Z")]


@pytest.mark.usefixtures("starts_processes")
@pytest.mark.parametrize("arguments", [("epochs=1",), ("epochs=1,2", "-m")], ids=["run", "sweep"])
def test_an_interruption_before_training_promises_no_results(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    command = [sys.executable, "-m", "w2v_exp", "corpus=file", "corpus.path=-", "tracking=none", *arguments]
    pipe = subprocess.PIPE  # of the text without an end: it is never read completely
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stdin=pipe, stderr=pipe, text=True
    ) as process:
        assert process.stderr
        while "reading the pipe" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert (process.returncode, said) == (130, "Interrupted. No training had begun.\n")


WAYS = {
    "joblib": ("seed=1,2,3", "-m", "hydra/launcher=joblib"),
    "hogwild": ("workers=2", "objective=negative_sampling", "labels=blocks", "labels.tokens=8"),
    "sweep": ("seed=1,2,3", "-m"),
}


@pytest.mark.usefixtures("starts_processes")
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
@pytest.mark.parametrize("way", WAYS)
def test_a_group_that_gets_a_signal_twice_leaves_nothing_behind(
    way: str, number: int, store: Path, tmp_path: Path
) -> None:
    """As where a terminal is closed: every process of the command gets the signal."""
    process = subprocess.Popen(
        [sys.executable, "-m", "w2v_exp", "epochs=3000000", "checkpoint.every=100 epochs", *SHORT, *WAYS[way]],
        cwd=tmp_path, env=environment(MLFLOW_DISABLE_TELEMETRY="true"),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    while not list(tmp_path.glob("outputs/checkpoints/*/checkpoint.npz")):
        assert process.poll() is None, process.communicate()
        sleep(0.1)
    for _ in range(2):
        os.killpg(process.pid, number)
        sleep(0.05)
    _, err = process.communicate()
    assert process.returncode == 128 + number, err
    assert "Traceback" not in err
    while of_group(process.pid):  # those that delete semaphores outlive it for a moment
        sleep(0.1)
    # The command's own: others may run at the same time. Those of a pool of Python's have no process in their names.
    assert list(Path("/dev/shm").glob(f"sem.loky-{process.pid}-*")) == []
    runs = MlflowClient(f"sqlite:///{store}").search_runs(["1"])
    statuses = {run.info.status for run in runs if run.data.tags.get("kind") != "summary"}
    assert statuses == {"KILLED"}

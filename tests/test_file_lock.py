"""Only one process at a time holds a lock, and the end of a process frees it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from filelock import lock_descriptor

from w2v_exp import files
from w2v_exp.files import is_locked, locked, try_lock

HOLD = """
import sys, time
from pathlib import Path
from w2v_exp.files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_another_waits_until_the_lock_is_free(tmp_path):
    order = []

    def wait() -> None:
        with locked(tmp_path / "lock"):
            order.append("waited")

    waiting = threading.Thread(target=wait)
    with locked(tmp_path / "lock"):
        waiting.start()
        time.sleep(0.1)
        order.append("held")
    waiting.join(10)
    assert order == ["held", "waited"]


@pytest.mark.usefixtures("starts_processes")
def test_a_process_that_is_killed_frees_its_lock(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "lock")], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    acquired = threading.Event()

    def wait() -> None:
        with locked(tmp_path / "lock"):
            acquired.set()

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    assert not acquired.wait(0.1)
    assert is_locked(tmp_path / "lock")
    holder.kill()
    holder.communicate()
    assert acquired.wait(10)
    waiting.join(10)
    assert not is_locked(tmp_path / "lock")


def test_an_error_inside_frees_the_lock(tmp_path):
    with pytest.raises(KeyError), locked(tmp_path / "lock"):
        raise KeyError
    with locked(tmp_path / "lock"):
        pass


def test_a_long_wait_is_mentioned_once_with_the_process_that_holds_the_lock(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(files, "MESSAGE_SECONDS", 0.0)
    acquired = threading.Event()

    def wait() -> None:
        with locked(tmp_path / "lock"):
            acquired.set()

    holder = try_lock(tmp_path / "lock")
    assert holder
    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    while not (message := capsys.readouterr().err):
        time.sleep(0.01)
    assert not acquired.is_set()
    holder.close()
    waiting.join()
    assert acquired.is_set()
    path = tmp_path / "lock"
    assert message == f"Waiting for {path}: another process (pid {os.getpid()}) holds it.\n"
    assert capsys.readouterr().err == ""


def test_a_wait_for_another_process_of_the_same_command_is_not_mentioned(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(files, "MESSAGE_SECONDS", 0.0)
    waits = threading.Event()

    def lock(descriptor: int, *, blocking: bool = True, poll_interval: float = 0.0) -> bool:
        if blocking:
            waits.set()
            holder.close()
        return lock_descriptor(descriptor, blocking=blocking)

    holder = try_lock(tmp_path / "lock")
    assert holder
    monkeypatch.setattr(files, "lock_descriptor", lock)
    with locked(tmp_path / "lock", logs_wait=False):
        assert waits.is_set()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe 7", b"x y", b"1 2 3", b"7", b"\x1b[31m host", b"9" * 10_000]
)
def test_what_a_lock_file_holds_need_not_be_ours(tmp_path, content, capsys, monkeypatch):
    monkeypatch.setattr(files, "MESSAGE_SECONDS", 0.0)
    (tmp_path / "lock").write_bytes(content)
    holder = (tmp_path / "lock").open("rb")  # locked by a version that wrote nothing into it
    assert lock_descriptor(holder.fileno(), blocking=False)
    waiting = threading.Thread(target=lambda: locked(tmp_path / "lock").__enter__(), daemon=True)
    waiting.start()
    while not (message := capsys.readouterr().err):
        time.sleep(0.01)
    holder.close()
    waiting.join()
    assert message == f"Waiting for {tmp_path / 'lock'}: another process holds it.\n"


def test_to_look_whether_a_lock_is_held_writes_nothing(tmp_path):
    path = tmp_path / "lock"
    with locked(path):
        pass
    path.chmod(0o444)
    before = path.stat()
    assert not is_locked(path)
    with locked(path):
        assert is_locked(path)
    with pytest.raises(FileNotFoundError):
        is_locked(tmp_path / "other")
    assert not (tmp_path / "other").exists()
    assert path.stat().st_ino == before.st_ino


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may be another user")
def test_the_lock_of_another_user_is_respected_and_can_be_taken():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder, "lock")
        holder = try_lock(path)
        assert holder
        path.chmod(0o644)
        os.seteuid(12345)
        try:
            assert is_locked(path)
            assert try_lock(path) is None
            holder.close()
            assert not is_locked(path)
            taken = try_lock(path)
            assert taken
            taken.close()
            with pytest.raises(PermissionError):
                try_lock(path.with_name("new"))
        finally:
            os.seteuid(0)

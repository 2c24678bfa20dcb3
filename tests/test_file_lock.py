"""Only one process at a time holds a lock, and the end of a process frees it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from w2v_exp.file_lock import is_locked, locked

HOLD = """
import sys, time
from pathlib import Path
from w2v_exp.file_lock import locked
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

"""The last two checkpoints of a training: one process at a time, and always one that is whole."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from w2v_exp.training.checkpoints import CheckpointFolder
from w2v_exp.training.trainer import EpochRecord, EpochSums, TrainingState

GENERATOR = np.random.default_rng(0).bit_generator.state


def state_of(number: int, size: int = 10) -> TrainingState:
    return TrainingState(
        records=[EpochRecord(0, 0.1 + 0.2, 1 / 3, float("nan"), 1.0)],
        sums=EpochSums(steps=number),
        pairs_done=number,
        train_seconds=0.0,
        ended_by="",
        epoch_generator=GENERATOR,
        generator=GENERATOR,
        arrays={"embedding": np.full(size, float(number))},
    )


def found_in(folder: CheckpointFolder) -> int | None:
    """Return which checkpoint is found, after a look at all of it."""
    said: list[str] = []
    checkpoint = folder.open(said.append)
    if checkpoint is None:
        return None
    number = checkpoint.state.sums.steps
    assert (checkpoint.state.arrays["embedding"] == number).all()
    assert checkpoint.state.records[0][:3] == (0, 0.1 + 0.2, 1 / 3)
    assert checkpoint.notes == {"number": number}
    checkpoint.close()
    return number


def test_the_last_one_is_found_and_the_one_before_it_if_that_is_damaged(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path / "run")
    assert found_in(folder) is None
    for number in (1, 2, 3):
        folder.write(state_of(number), {"number": number})
        assert found_in(folder) == number
    assert len(list((tmp_path / "run").glob("*.npz"))) == 2
    (tmp_path / "run" / "checkpoint.npz").write_bytes(b"PK damaged")
    assert found_in(folder) == 2
    folder.write(state_of(4), {"number": 4})
    assert found_in(folder) == 4
    (tmp_path / "run" / "checkpoint.npz").unlink()  # killed between the two renames
    assert found_in(folder) == 2
    (tmp_path / "run" / "previous.npz").write_bytes(b"")
    said: list[str] = []
    assert folder.open(said.append) is None
    (sentence,) = said
    assert sentence.startswith(f"Skipping the damaged checkpoint {tmp_path / 'run' / 'previous.npz'} (")
    folder.remove()
    assert list(tmp_path.iterdir()) == []


def test_it_belongs_to_one_at_a_time(tmp_path: Path) -> None:
    first = CheckpointFolder(tmp_path / "run")
    assert first.is_ours
    assert not CheckpointFolder(tmp_path / "run").is_ours
    first.write(state_of(1), {"number": 1})
    assert first.release()
    second = CheckpointFolder(tmp_path / "run")
    assert second.is_ours
    assert found_in(second) == 1
    second.remove()
    third = CheckpointFolder(tmp_path / "run")
    assert third.is_ours
    assert not third.release()  # nothing in it: it is deleted
    assert list(tmp_path.iterdir()) == []


WRITING = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from test_checkpoint_folder import CheckpointFolder, state_of
folder = CheckpointFolder(Path({folder!r}))
assert folder.is_ours
for number in range(1, 1_000_000):
    folder.write(state_of(number, 100_000), {{"number": number}})
    print(number, flush=True)
"""


@pytest.mark.usefixtures("starts_processes")
def test_a_writer_that_is_killed_at_any_moment_leaves_a_whole_one(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    script = WRITING.format(tests=str(Path(__file__).parent), folder=str(tmp_path / "run"))
    for _ in range(6):
        process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        assert process.stdout
        for _ in range(int(generator.integers(1, 5))):
            written = int(process.stdout.readline())
        try:
            process.wait(generator.uniform(0, 0.02))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split()
        process.wait()
        process.stdout.close()
        folder = CheckpointFolder(tmp_path / "run")
        assert folder.is_ours
        assert list((tmp_path / "run").glob(".*")) == []
        last = int(rest[-1]) if rest else written
        found = found_in(folder)
        assert found is not None
        assert last <= found <= last + 1
        folder.release()


@pytest.mark.skipif(os.name != "posix", reason="limits are POSIX's")
def test_where_a_file_cannot_be_written_the_one_before_it_stays(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path / "run")
    folder.write(state_of(1), {"number": 1})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        for _ in range(2):
            with pytest.raises(OSError, match="File too large"):
                folder.write(state_of(2, size=1_000_000), {"number": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list((tmp_path / "run").glob(".*")) == []
    assert found_in(folder) == 1
    folder.write(state_of(3), {"number": 3})
    assert found_in(folder) == 3
    folder.release()

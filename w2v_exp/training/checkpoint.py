"""A checkpoint: what a training was at a moment, as a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.files import replacing
from w2v_exp.training.observers import EpochRecord
from w2v_exp.training.state import EpochSums, TrainingState

FORMAT_VERSION = 1
DESCRIPTION, DIGEST = "description", "digest"


class DamagedCheckpointError(Exception):
    """A file that is not what `write_checkpoint` has written."""


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds.

    Parameters
    ----------
    state : TrainingState
        What the training was. Its arrays are read when they are asked for, each time.
    notes : dict
        What others who watch the training have to remember, as they gave it.
    stream : file
        Where arrays are read from, until it is closed.
    """

    state: TrainingState
    notes: dict[str, Any]
    stream: IO[bytes]

    def close(self) -> None:
        """Close the file."""
        self.stream.close()


def write_checkpoint(path: Path, state: TrainingState, notes: Mapping[str, Any]) -> None:
    """Write a file; it is at `path` when it is whole, and on the disk when this returns.

    It is an uncompressed archive of NumPy's (``.npz``) with the arrays of the state, and besides

    - ``description``: uint8, a JSON object with everything else, the format's version, and the arrays' names.
      Python's numbers in JSON, and read from it, are the same to the last bit.
    - ``digest``: uint8, SHA-256 of the description and of the arrays in the order of their names.

    Parameters
    ----------
    path : Path
        Where to.
    state : TrainingState
        What the training is.
    notes : mapping
        What belongs to it, of what JSON knows.

    Raises
    ------
    OSError
        If it cannot be written. What was at `path` before is still there.
    """
    description = json.dumps(_described(state, notes)).encode()
    arrays = {name: np.asarray(array, order="C") for name, array in state.arrays.items()}
    digest = _digest(description, ((name, arrays[name]) for name in sorted(arrays)))
    arrays[DESCRIPTION] = np.frombuffer(description, np.uint8)
    arrays[DIGEST] = np.frombuffer(digest, np.uint8)
    with replacing(path, "wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def open_checkpoint(path: Path) -> Checkpoint:
    """Return what a file holds, after a check of every byte.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DamagedCheckpointError
        If it is not what was written, or has been written by a version with another format.
    """
    # NumPy leaves a file open that it cannot make sense of; this one is ours to close.
    with ExitStack() as closing:
        stream = closing.enter_context(path.open("rb"))
        try:
            archive = np.load(stream, allow_pickle=False)
            checkpoint = _checkpoint(_checked(archive), archive, stream)
        except DamagedCheckpointError:
            raise
        except Exception as error:
            # Bytes that are not what they should be make `zipfile`, NumPy and `json` raise a dozen kinds of error.
            raise DamagedCheckpointError(f"{type(error).__name__}: {error}") from error
        closing.pop_all()
        return checkpoint


def _described(state: TrainingState, notes: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "arrays": sorted(state.arrays),
        "records": state.records,
        "sums": vars(state.sums),
        "pairs_done": state.pairs_done,
        "train_seconds": state.train_seconds,
        "ended_by": state.ended_by,
        "epoch_generator": _plain(state.epoch_generator),
        "generator": _plain(state.generator),
        "notes": notes,
    }


def _checkpoint(
    values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], stream: IO[bytes]
) -> Checkpoint:
    state = TrainingState(
        records=[EpochRecord(*record) for record in values["records"]],
        sums=EpochSums(**values["sums"]),
        pairs_done=values["pairs_done"],
        train_seconds=values["train_seconds"],
        ended_by=values["ended_by"],
        epoch_generator=values["epoch_generator"],
        generator=values["generator"],
        arrays=arrays,
    )
    return Checkpoint(state, values["notes"], stream)


def _checked(archive: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Return the description of a file, if the file is what was written."""
    description = archive[DESCRIPTION].tobytes()
    values: dict[str, Any] = json.loads(description)
    if values["format_version"] != FORMAT_VERSION:
        raise DamagedCheckpointError(
            f"its format_version is {values['format_version']}, and this w2v_exp reads {FORMAT_VERSION}"
        )
    # One array after the other: there may be no memory for all of them beside those of the training.
    digest = _digest(description, ((name, archive[name]) for name in sorted(values["arrays"])))
    if digest != archive[DIGEST].tobytes():
        raise DamagedCheckpointError("its digest is that of something else")
    return values


def _digest(description: bytes, arrays: Iterator[tuple[str, NDArray[Any]]]) -> bytes:
    digest = hashlib.sha256(description)
    for name, array in arrays:
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.digest()


def _plain(state: Any) -> Any:
    """Return a generator's state with lists for its arrays, which all of NumPy's generators take as well."""
    if isinstance(state, dict):
        return {key: _plain(value) for key, value in state.items()}
    return state.tolist() if isinstance(state, np.ndarray) else state

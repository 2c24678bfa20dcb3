"""What a process says, sent to a file for a while."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OUTPUT_FILE = "output.txt"


@contextmanager
def output_to(folder: Path) -> Iterator[None]:
    """Send all that this process says to a file in a folder, what C code says included; an empty one is deleted."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / OUTPUT_FILE
    _flush()
    before = [os.dup(number) for number in (1, 2)]
    with path.open("ab") as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
    try:
        yield
    finally:
        _flush()
        for number, kept in zip((1, 2), before, strict=True):
            os.dup2(kept, number)
            os.close(kept)
        if not path.stat().st_size:
            path.unlink()


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()

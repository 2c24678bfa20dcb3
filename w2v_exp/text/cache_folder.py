"""Where this project keeps what it can make or fetch again: the ids of long texts, downloaded corpora."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from w2v_exp.files import DamagedFileError, expanded, read_checked
from w2v_exp.own_folder import is_own


def cache_folder() -> Path:
    """Return the project's cache folder, as an absolute path. It need not exist.

    ``W2V_EXP_CACHE`` names it; without that it is ``w2v_exp`` in ``XDG_CACHE_HOME``, or in ``~/.cache``. A user without
    a home folder (``docker run --user 12345``) has it in ``outputs`` of the current folder, beside the runs.
    Whoever keeps something here makes a folder of its own below it.
    """
    if own := os.environ.get("W2V_EXP_CACHE"):
        return expanded(own).absolute()
    shared = os.environ.get("XDG_CACHE_HOME", "")
    # A relative XDG_CACHE_HOME is to be ignored: XDG Base Directory Specification.
    base = Path(shared) if Path(shared).is_absolute() else expanded("~/.cache")
    return base / "w2v_exp" if base.is_absolute() else Path("outputs/.cache/w2v_exp").absolute()


def own_files(cache: Path, name: str) -> list[Path]:
    """Return the files in a subfolder of a marked folder that hold what `write_checked` writes, and are no links."""
    folder = cache / name
    if folder.is_symlink() or not is_own(cache):
        return []
    return [file for file in folder.glob("*.json") if not file.is_symlink() and _is_checked(file)]


def _is_checked(file: Path) -> bool:
    with suppress(OSError, DamagedFileError):
        return bool(read_checked(file))
    return False

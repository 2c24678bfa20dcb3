"""Folders that belong to w2v_exp, which may delete what it has put there: a file in them marks each.

No name of a file or folder is a reason to delete it: MLflow's run folders, for one, are called like entries of the
cache. Symbolic links are not followed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from w2v_exp.files import replacing

TAG = "CACHEDIR.TAG"  # known to programs that make backups, which leave such folders out: bford.info/cachedir
CONTENT = b"""Signature: 8a477f597d28d172789f06886806bc55
# This folder belongs to w2v_exp, which deletes files in it. Keep nothing of your own here.
"""
SUBFOLDER = "w2v_exp"  # of a folder that belongs to somebody else
_UNFINISHED_TAG = re.compile(rf"\.{re.escape(TAG)}\.[0-9a-f]+")


def is_own(folder: Path) -> bool:
    """Return whether a folder has the mark. A mark that is a symbolic link is none."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # a pipe would block
    try:
        opened = os.open(folder / TAG, flags)
    except OSError:
        return False
    try:
        return os.read(opened, len(CONTENT) + 1) == CONTENT
    except OSError:  # a folder of that name
        return False
    finally:
        os.close(opened)


def is_foreign(folder: Path, besides: Collection[str] = ()) -> bool:
    """Return whether a folder holds files, others than those of the names `besides`, and has no mark."""
    if is_own(folder):
        return False
    try:
        names = {path.name for path in folder.iterdir()} - {*besides}
    except OSError:  # it does not exist; or nothing can be written to it either
        return False
    return not all(_UNFINISHED_TAG.fullmatch(name) for name in names)


def own_place(folder: Path) -> Path:
    """Return where to put files for which a user has named a folder: there, or in a subfolder if it is in use."""
    return folder / SUBFOLDER if is_foreign(folder) else folder


def make_own(folder: Path, besides: Collection[str] = ()) -> None:
    """Make a folder with the mark, or mark one that may get it.

    Raises
    ------
    OSError
        If it cannot be made, or is in use for something else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if is_own(folder):
        return
    if is_foreign(folder, besides):
        raise FileExistsError(f"{folder} holds files that w2v_exp has not made")
    with replacing(folder / TAG, "wb") as stream:
        stream.write(CONTENT)


def delete_own(folder: Path, names: Sequence[str]) -> bool:
    """Delete a marked folder that holds nothing but files of these names, in their order; return whether it is gone.

    Anything else in it, and the folder itself then, is left alone.
    """
    try:
        if (
            folder.is_symlink()
            or not is_own(folder)
            or not {path.name for path in folder.iterdir()} <= {*names, TAG}
        ):
            return False
        # The mark last, if nothing else is asked for: what is left by an interruption can still be deleted.
        for name in names if TAG in names else (*names, TAG):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()
    except OSError:
        return False
    return True

"""Where this project keeps what it can make or fetch again: the ids of long texts, downloaded corpora."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the project's cache folder, as an absolute path. It need not exist.

    ``W2V_EXP_CACHE`` names it; without that it is ``w2v_exp`` in ``XDG_CACHE_HOME``, or in ``~/.cache``.
    Whoever keeps something here makes a folder of its own below it.
    """
    if own := os.environ.get("W2V_EXP_CACHE"):
        return Path(own).expanduser().absolute()
    shared = os.environ.get("XDG_CACHE_HOME", "")
    # A relative XDG_CACHE_HOME is to be ignored: XDG Base Directory Specification.
    base = Path(shared) if Path(shared).is_absolute() else Path("~/.cache").expanduser()
    return base.absolute() / "w2v_exp"

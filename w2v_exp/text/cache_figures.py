"""Figures that were computed of cached texts, such as entropies of their pairs: small files beside the entries."""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path

from w2v_exp.files import DamagedFileError, read_checked, write_checked
from w2v_exp.own_folder import make_own
from w2v_exp.text.cache_folder import own_files

FOLDER = "figures"
_DIGEST_LETTERS = 16  # of a text's digest, at the beginning of a file's name


def read_figures(cache: Path, text_digest: str, key: str) -> dict[str, float] | None:
    """Return the figures of this key of a text, or None where there are none, or not what was written.

    Parameters
    ----------
    cache : Path
        The cache's folder.
    text_digest : str
        SHA-256 of the text, hexadecimal.
    key : str
        Names all else that the figures depend on.
    """
    try:
        values = read_checked(_file(cache, text_digest, key))
        known = all(math.isfinite(value) for value in values.values())
    except (OSError, DamagedFileError, TypeError):
        return None
    return values if known else None


def write_figures(cache: Path, text_digest: str, key: str, figures: dict[str, float]) -> None:
    """Keep figures of a text for as long as the cache has the text.

    Raises
    ------
    OSError
        If they cannot be written.
    """
    file = _file(cache, text_digest, key)
    make_own(cache)
    file.parent.mkdir(exist_ok=True)
    write_checked(file, figures, durable=False)


def remove_figures(cache: Path, keep: Collection[str] = ()) -> None:
    """Remove the figures of all texts but those of the digests to keep."""
    kept = {digest[:_DIGEST_LETTERS] for digest in keep}
    for file in own_files(cache, FOLDER):
        if file.name[:_DIGEST_LETTERS] not in kept:
            file.unlink(missing_ok=True)


def _file(cache: Path, text_digest: str, key: str) -> Path:
    return cache / FOLDER / f"{text_digest[:_DIGEST_LETTERS]}-{key}.json"

"""Figures that were computed of cached texts, such as entropies of their pairs: small files beside the entries."""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from pathlib import Path
from zlib import crc32

from w2v_exp.files import replacing

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
        values = json.loads(_file(cache, text_digest, key).read_bytes())
        checksum = values.pop("checksum")
        known = checksum == _checksum(values) and all(math.isfinite(value) for value in values.values())
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
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
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as stream:
        json.dump({**figures, "checksum": _checksum(figures)}, stream)


def remove_figures(cache: Path, keep: Collection[str] = ()) -> None:
    """Remove the figures of all texts but those of the digests to keep."""
    kept = {digest[:_DIGEST_LETTERS] for digest in keep}
    for file in (cache / FOLDER).glob("*.json"):
        if file.name[:_DIGEST_LETTERS] not in kept:
            file.unlink(missing_ok=True)


def _file(cache: Path, text_digest: str, key: str) -> Path:
    return cache / FOLDER / f"{text_digest[:_DIGEST_LETTERS]}-{key}.json"


def _checksum(figures: dict[str, float]) -> int:
    return crc32(json.dumps(figures, sort_keys=True).encode())

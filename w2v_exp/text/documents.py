"""Documents in a file: plain, compressed, or members of an archive."""

from __future__ import annotations

import io
import os
import re
import stat
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import IO, NamedTuple

from w2v_exp.compression import (
    DAMAGE,
    SAMPLE,
    DictionaryError,
    ReadStream,
    compression_of,
    decompressed,
    open_member,
    open_zip,
)
from w2v_exp.errors import CorpusError, UserError, shown
from w2v_exp.text.damage import Damage
from w2v_exp.text.file_search import OTHER, TextFile, reason_to_skip

# Deprecated within a text; it is there if files that begin with it were joined.
BYTE_ORDER_MARK = "\ufeff"
_BLOCK = tarfile.BLOCKSIZE
_LARGEST_TAR_HEADER = 1 << 20  # bytes of a long name or of a pax header, which are read into memory
# The format that a name promises, where the first bytes show none: the file may be damaged at its beginning.
_PROMISED = {
    ".gz": "gzip",
    ".tgz": "gzip",
    ".bz2": "bzip2",
    ".tbz2": "bzip2",
    ".tbz": "bzip2",
    ".xz": "xz",
    ".txz": "xz",
    ".lzma": "lzma",
    ".zst": "zstd",
    ".zstd": "zstd",
    ".tzst": "zstd",
    ".zip": "zip",
    ".tar": "tar",
}
# Files that are no text, and the remedy.
_FOREIGN = (
    (re.compile(rb"\x1f\x9d"), "data of compress (.Z)", "Decompress it first: gzip -d"),
    (re.compile(rb"\x04\x22\x4d\x18"), "LZ4 data", "Decompress it first: lz4 -d"),
    (re.compile(rb"LZIP\x01"), "data of lzip", "Decompress it first: lzip -d"),
    (re.compile(rb"7z\xbc\xaf\x27\x1c"), "a 7-Zip archive", "Unpack it and name the folder"),
    (re.compile(rb"Rar!\x1a\x07"), "a RAR archive", "Unpack it and name the folder"),
    (re.compile(rb"%PDF-"), "a PDF document", "Convert it to text first, for example with pdftotext"),
    (re.compile(rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), "an Office document", "Save it as plain text first"),
)
# Members that a zip has which is a document of another program.
_OFFICE = {"[Content_Types].xml": "an Office document", "mimetype": "an e-book or OpenDocument file"}


class Document(NamedTuple):
    """A document to be read before the next one is.

    Parameters
    ----------
    name : str
        Of its file and, in an archive, its member; for messages.
    stream : binary file
        Its bytes.
    title : str
        Its name within the corpus.
    """

    name: str
    stream: io.BufferedReader
    title: str


Title = Callable[[TextFile, str], str]  # of a document, from its file and its member, "" if it is no archive


def file_title(file: TextFile, member: str) -> str:
    """Return the title of a document that needs no folder: its member, or else the name of its file."""
    return member or file.name


def documents(
    files: Iterable[tuple[TextFile, str]],
    skipped: Counter[str],
    title: Title = file_title,
    damage: Damage | None = None,
) -> Generator[Document, None, None]:
    """Yield the documents of files, each to be read before the next.

    Parameters
    ----------
    files : iterable of (file, str)
        Each file and its name for messages.
    skipped : Counter
        The numbers of members of archives that were skipped, by reason; added to while documents are read.
    title : callable
        Returns the title of each document.
    damage : Damage, optional
        Skips damaged files; None: none is skipped.

    Raises
    ------
    CorpusError
        If a file cannot be read or is damaged, if an archive has no text, or if a file is none.
    """
    damage = damage or Damage()
    for file, name in files:
        damage.begin_file(name)
        try:
            with reading(name), file.open("rb") as stream:
                yield from documents_in(stream, name, skipped, partial(title, file), damage)
        except UserError as error:
            if not damage.skips_file(error):
                raise


def holds_several(file: TextFile, name: str) -> bool:
    """Return whether a file is an archive whose members are documents: a tar, or a zip with more than one text.

    A zip with one text in it is that text compressed.
    """
    with reading(name), file.open("rb") as stream:
        compression = compression_of(stream.peek(_BLOCK))
        if compression == "zip":
            return len(_texts(open_zip(stream), Counter())) > 1
        return _is_tar(decompressed(stream, compression) if compression else stream)


def is_plain(file: TextFile) -> bool:
    """Return whether a file is one text as it is: neither compressed nor an archive."""
    with reading(str(file)), file.open("rb") as stream:
        promised = promised_format(file.name)
        return not (_compression(stream, promised) or _is_tar(stream) or promised == "tar")


def promised_format(file_name: str) -> str:
    """Return the format that the suffix of a name stands for; "" if none.

    >>> promised_format("books.tar.gz"), promised_format("book.txt")
    ('gzip', '')
    """
    return _PROMISED.get(os.path.splitext(file_name)[1].lower(), "")


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Convert the errors of reading a file of this name into `CorpusError`."""
    try:
        yield
    except DictionaryError as error:
        raise CorpusError(f"{name} cannot be read: {error}.") from error
    except EOFError as error:
        raise CorpusError(
            f"{name} ends in the middle of its data: it is truncated. Copy or download it again."
        ) from error
    except (OSError, *DAMAGE) as error:
        raise CorpusError(
            f"{name} cannot be read: {shown(str(error) or type(error).__name__, 300)}."
        ) from error


def documents_in(
    stream: io.BufferedReader,
    name: str,
    skipped: Counter[str],
    title: Callable[[str], str] = str,
    damage: Damage | None = None,
) -> Iterator[Document]:
    """Yield the documents of an open file; `title` makes the title of each from its member.

    Errors are those of `DAMAGE`, OSError and UserError; `reading` converts them.
    """
    damage = damage or Damage()
    promised = promised_format(name)
    compression = _compression(stream, promised)
    if compression == "zip":
        yield from _zip_documents(stream, name, skipped, title, damage)
        return
    if compression:
        stream = decompressed(stream, compression)
        if compression_of(stream.peek(_BLOCK)):
            raise CorpusError(f"{name} is compressed twice. Decompress it once first.")
    if _is_tar(stream):
        yield from _tar_documents(stream, name, skipped, title, damage)
        return
    _refuse_foreign(name, stream.peek(_BLOCK))
    if promised == "tar" and not compression:
        raise CorpusError(
            f"{name} is named as a tar archive, but is none, or is damaged. If it is text, rename it."
        )
    yield Document(name, stream, title(""))


def _compression(stream: io.BufferedReader, promised: str) -> str:
    """Return how a stream is compressed: as its first bytes show, or else as the name of its file promises."""
    beginning = stream.peek(_BLOCK)
    if found := compression_of(beginning):
        return found
    if promised and not beginning:
        raise EOFError
    is_plain = promised == "tar" or _is_tar(stream) or any(magic.match(beginning) for magic, *_ in _FOREIGN)
    return "" if is_plain else promised


def _refuse_foreign(name: str, beginning: bytes) -> None:
    for magic, kind, remedy in _FOREIGN:
        if magic.match(beginning):
            raise CorpusError(f"{name} is {kind}, which is not read. {remedy}.")


def _member_document(stream: IO[bytes], name: str, member: str, title: Callable[[str], str]) -> Document:
    """Return the document of an archive's member, decompressed if need be."""
    full_name = f"{name} (member {shown(member, 300)})"
    reader = ReadStream(stream.read).buffered()
    compression = _compression(reader, promised_format(member))
    if compression not in ("", "zip"):
        reader = decompressed(reader, compression)
        compression = compression_of(reader.peek(_BLOCK))
    if compression or _is_tar(reader):
        raise CorpusError(
            f"{full_name} is an archive itself, or compressed twice. Unpack the outer archive first."
        )
    _refuse_foreign(full_name, reader.peek(_BLOCK))
    return Document(full_name, reader, title(member))


def _refuse_empty(name: str, number: int) -> None:
    if not number:
        raise CorpusError(
            f"{name} is an archive without a text file. Name the files, or a folder or glob of them."
        )


# ---------------------------------------------------------------- zip


def _zip_documents(
    file: IO[bytes], name: str, skipped: Counter[str], title: Callable[[str], str], damage: Damage
) -> Iterator[Document]:
    archive = open_zip(file)
    for signature, kind in _OFFICE.items():
        if signature in archive.NameToInfo:
            raise CorpusError(f"{name} is {kind}, which is not read. Save it as plain text first.")
    members = _texts(archive, skipped)
    _refuse_empty(name, len(members))
    for member in members:
        try:
            with (
                reading(f"{name} (member {shown(member.filename, 300)})"),
                open_member(archive, file, member) as stream,
            ):
                yield _member_document(stream, name, member.filename, title)
        except UserError as error:
            if not damage.skips_file(error):
                raise


def _texts(archive: zipfile.ZipFile, skipped: Counter[str]) -> list[zipfile.ZipInfo]:
    """Return the members of a zip that are read, in the order in which the files of a folder would be."""
    kept = []
    for member in archive.infolist():
        if member.filename.endswith("/"):  # not by `is_dir`, which fails for an empty name
            continue
        if reason := _reason_to_skip(member.filename, is_file=not stat.S_ISLNK(member.external_attr >> 16)):
            skipped[reason] += 1
        else:
            kept.append(member)
    return sorted(kept, key=lambda member: member.filename.split("/"))


def _reason_to_skip(member: str, *, is_file: bool) -> str:
    if not is_file:
        return OTHER
    parts = [part for part in member.split("/") if part not in ("", ".", "..")]
    return next(filter(None, map(reason_to_skip, parts)), "")


# ---------------------------------------------------------------- tar


def _is_tar(stream: io.BufferedReader) -> bool:
    """Return whether a stream begins with a header of a tar archive: its checksum is right."""
    block = stream.peek(_BLOCK)[:_BLOCK]
    if len(block) < _BLOCK or b"\0" not in block:
        return False
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return False
    return True


def _tar_documents(
    stream: IO[bytes], name: str, skipped: Counter[str], title: Callable[[str], str], damage: Damage
) -> Iterator[Document]:
    """Yield the regular files of a tar archive, in its order, in the memory of one header.

    Not by `tarfile.open`, which keeps all headers in memory, whatever their size, and takes damage behind the first
    member for the end of the archive.
    """
    number = 0
    for member in _tar_members(stream):
        if reason := _reason_to_skip(member.name, is_file=member.is_file):
            skipped[reason] += 1
            continue
        number += 1
        try:
            with reading(f"{name} (member {shown(member.name, 300)})"):
                yield _member_document(member, name, member.name, title)  # type: ignore[arg-type]
        except UserError as error:
            if not damage.skips_file(error):
                raise
    _refuse_empty(name, number)


class _TarMember:
    """A member of a tar archive: a stream of its bytes, which is read to its end before the next one."""

    def __init__(self, stream: IO[bytes], name: str, size: int, *, is_file: bool) -> None:
        self.name = name
        self.is_file = is_file
        self._stream = stream
        self._left = size
        self._padding = -size % _BLOCK

    def read(self, count: int) -> bytes:
        """Return as many bytes, or fewer, of what is left."""
        chunk = self._stream.read(min(count, self._left))
        if not chunk and self._left and count:
            raise EOFError
        self._left -= len(chunk)
        return chunk

    def skip(self) -> None:
        """Read what is left, and the padding behind it."""
        while self._left:
            self.read(SAMPLE)
        if len(self._stream.read(self._padding)) < self._padding:
            raise EOFError


def _tar_members(stream: IO[bytes]) -> Iterator[_TarMember]:
    """Yield the members of a tar archive but its folders."""
    long_name, pax = "", dict[str, str]()
    while header := _tar_header(stream):
        if header.type in (*_LONG_NAMES, *_PAX):
            if header.size > _LARGEST_TAR_HEADER:
                raise tarfile.ReadError(f"a header of the tar archive has {header.size:,} bytes")
            content = _content(stream, header.size)
            if header.type == tarfile.GNUTYPE_LONGNAME:
                long_name = content.split(b"\0")[0].decode("utf-8", "surrogateescape")
            elif header.type in _PAX:
                pax = _pax_records(content)
            continue
        if header.type == tarfile.GNUTYPE_SPARSE or any(key.startswith("GNU.sparse") for key in pax):
            raise tarfile.ReadError("the tar archive has a sparse file; unpack it and name the folder")
        is_file = header.type in _REGULAR
        has_content = is_file or header.type not in tarfile.SUPPORTED_TYPES
        size = _size(pax.get("size", header.size)) if has_content else 0
        member = _TarMember(stream, pax.get("path") or long_name or header.name, size, is_file=is_file)
        if header.type != tarfile.DIRTYPE:
            yield member
        member.skip()
        long_name, pax = "", {}
    while rest := stream.read(SAMPLE):  # to the end, where compressed data have their checksum
        if any(rest):
            raise tarfile.ReadError("the tar archive goes on behind its end; unpack it and name the folder")


def _tar_header(stream: IO[bytes]) -> tarfile.TarInfo | None:
    """Return the next header of a tar archive; None at its end, which is a block of zeros."""
    block = stream.read(_BLOCK)
    if len(block) < _BLOCK:
        raise EOFError
    if not any(block):
        return None
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError) as error:
        raise tarfile.ReadError(f"a header of the tar archive is damaged ({error})") from error
    header.size = _size(header.size)
    return header


def _size(number: int | str) -> int:
    if not str(number).isdecimal():
        raise tarfile.ReadError(f"a header of the tar archive is damaged (size {shown(str(number), 300)})")
    return int(number)


def _content(stream: IO[bytes], size: int) -> bytes:
    member = _TarMember(stream, "", size, is_file=True)
    content = ReadStream(member.read).buffered().read()
    member.skip()
    return content


_REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_LONG_NAMES = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_PAX = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)


def _pax_records(content: bytes) -> dict[str, str]:
    """Return the records ``length key=value`` of a pax header."""
    records = {}
    while content.strip(b"\0"):
        length, _, _ = content.partition(b" ")
        if not (length.isdigit() and 0 < int(length) <= len(content)):
            raise tarfile.ReadError("a pax header of the tar archive is damaged")
        key, _, value = content[len(length) + 1 : int(length)].rstrip(b"\n").partition(b"=")
        records[key.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
        content = content[int(length) :]
    return records

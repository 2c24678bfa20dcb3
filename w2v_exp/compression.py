"""Compressed streams, recognised by their first bytes and decompressed in bounded memory."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from typing import IO, Any

from w2v_exp.errors import UserError

SAMPLE = 1 << 16  # bytes of a buffer, and at most the beginning that a format is recognised by
# Bytes for the dictionary of LZMA (.xz, .lzma, zips). `xz -9` needs 67 MB; a header of 26 bytes can claim 4 GB.
LARGEST_DICTIONARY = 1 << 28
LARGEST_WINDOW = 1 << 27  # of Zstandard, the default of its decoder; `zstd --ultra -22` needs as much

_LOST = 1 << 12  # bytes of Zstandard data before damage that may be lost, as they are read at once
_ENCRYPTED = 1  # of a zip member's flags
_SMALLEST_DICTIONARY = 4096  # that the format has
_FORMATS = {
    "gzip": re.compile(rb"\x1f\x8b"),
    "bzip2": re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"),
    "xz": re.compile(rb"\xfd7zXZ\0"),
    "lzma": re.compile(
        rb"\x5d\0\0"
    ),  # the older format of xz; it has no magic number, but no text has these bytes
    # also a frame to be skipped, which parallel and seekable files begin with
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
    "zip": re.compile(rb"PK(\x03\x04|\x05\x06|\x07\x08)"),
}

# What the functions below, `zipfile` and `tarfile` raise for damaged data; zipfile adds RuntimeError (compression
# that it does not know) and ValueError (offsets and names that cannot be).
DAMAGE = (
    EOFError,
    lzma.LZMAError,
    zlib.error,
    zipfile.BadZipFile,
    tarfile.TarError,
    RuntimeError,
    ValueError,
)


def compression_of(beginning: bytes) -> str:
    """Return the format of a file that begins with these bytes: gzip, bzip2, xz, lzma, zstd or zip; "" if none.

    >>> compression_of(b"BZh91AY&SY..."), compression_of(b"PK is a text")
    ('bzip2', '')
    """
    return next((name for name, magic in _FORMATS.items() if magic.match(beginning)), "")


def decompressed(stream: IO[bytes], compression: str) -> io.BufferedReader:
    """Return what a stream of gzip, bzip2, xz, lzma or zstd holds, all of its parts one after the other.

    Damage is found when it is read: whatever lies behind the data is damage, except zeros (as tapes and xz add them)
    behind any but zstd. Reading raises an exception of `DAMAGE` or OSError.
    """
    if compression == "zstd":
        return ReadStream(_zstandard_reader(stream)).buffered()
    if compression == "gzip":
        # The classes of the standard library for the other formats ignore what lies behind the data.
        return ReadStream(gzip.GzipFile(fileobj=stream).read1).buffered()
    new = bz2.BZ2Decompressor if compression == "bzip2" else _new_lzma_decompressor
    return ReadStream(_Parts(stream, new).read).buffered()


class ReadStream(io.RawIOBase):
    """A stream of what a function reads.

    It returns fewer bytes than the buffer holds only at the end, and before an error, so that all bytes before damage
    are read. Once reading has failed, it fails again: decompressors return anything after an error.

    Parameters
    ----------
    read : callable
        Given a number of bytes, returns as many or fewer; none at the end.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._failure: Exception | None = None

    def buffered(self) -> io.BufferedReader:
        """Return a reader of this stream that can peek at its next `SAMPLE` bytes."""
        return io.BufferedReader(self, SAMPLE)

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer; return the number of bytes."""
        if error := self._failure:
            self._failure = OSError(str(error) or type(error).__name__)
            try:
                raise error
            finally:
                del error  # which refers to this frame by its traceback
        filled = 0
        try:
            while filled < len(buffer) and (piece := self._read(len(buffer) - filled)):
                buffer[filled : filled + len(piece)] = piece
                filled += len(piece)
        except Exception as error:
            # Without its traceback, which refers to this object.
            self._failure = error.with_traceback(None)
            if not filled:
                return self.readinto(buffer)
        return filled


class _Parts:
    """Reads the compressed parts of a stream, one after the other."""

    def __init__(self, stream: IO[bytes], new: Callable[[], Any]) -> None:
        self._stream = stream
        self._new = new
        self._current = new()
        self._ahead = b""  # compressed bytes behind the end of the part before

    def read(self, count: int) -> bytes:
        while True:
            if self._current.eof:
                self._ahead = self._current.unused_data.lstrip(b"\0")
                while not self._ahead:
                    if not (more := self._stream.read(SAMPLE)):
                        return b""
                    self._ahead = more.lstrip(b"\0")
                self._current = self._new()
            compressed = b""
            if self._current.needs_input:
                compressed = self._ahead or self._stream.read(SAMPLE)
                self._ahead = b""
                if not compressed:
                    raise EOFError
            try:
                if piece := self._current.decompress(compressed, count):
                    return piece  # type: ignore[no-any-return]
            except lzma.LZMAError as error:
                if "Memory usage limit" in str(error):
                    raise DictionaryError from error
                raise


class DictionaryError(UserError):
    """Data that needs more memory to decompress than `LARGEST_DICTIONARY`, or `LARGEST_WINDOW`."""

    def __init__(self, largest: int = 0, remedy: str = "with a smaller one (xz -9 has 64 MiB)") -> None:
        largest = (largest or LARGEST_DICTIONARY) >> 20
        super().__init__(f"it needs more than {largest} MiB for its dictionary; compress it again, {remedy}")


def _zstandard_reader(stream: IO[bytes]) -> Callable[[int], bytes]:
    """Return a function that reads the frames of Zstandard data, whose checksums and ends are checked."""
    import pyarrow as pa  # 0.1 s

    source = pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), "zstd")

    def read(count: int) -> bytes:
        try:
            return source.read(min(count, _LOST))  # type: ignore[no-any-return]
        except OSError as error:
            message = str(error)
            if error.errno is not None:  # of the file, not of its data
                raise
            if "too much memory" in message:
                raise DictionaryError(LARGEST_WINDOW, "with zstd --long=27 or less") from error
            if "Truncated" in message:
                raise EOFError from error
            raise

    return read


def _new_lzma_decompressor() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_AUTO, memlimit=LARGEST_DICTIONARY)


def open_zip(file: IO[bytes]) -> zipfile.ZipFile:
    """Return the zip archive in a file.

    Raises
    ------
    zipfile.BadZipFile
        If it is none, is truncated, or its directory is damaged.
    """
    try:
        return zipfile.ZipFile(file)
    except zipfile.BadZipFile:
        raise
    except Exception as error:  # a dozen kinds, for offsets, names, dates and versions that cannot be
        raise zipfile.BadZipFile(f"its directory is damaged ({error})") from error


def open_member(archive: zipfile.ZipFile, file: IO[bytes], member: zipfile.ZipInfo) -> IO[bytes]:
    """Open a member of the zip archive that `open_zip` returned for `file`.

    Raises
    ------
    DictionaryError
        If it would need too much memory. `zipfile` allocates whatever the data claim.
    zipfile.BadZipFile
        If it is encrypted or damaged. Opening and reading it may raise any of `DAMAGE`.
    """
    if member.flag_bits & _ENCRYPTED:
        raise zipfile.BadZipFile("it is encrypted; unpack the archive first")
    stream = archive.open(member)  # which checks the local header
    if member.compress_type not in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        return stream
    stream.close()
    file.seek(member.header_offset + 26)
    lengths = file.read(4)  # of the name and the extra field, which the data follow
    start = member.header_offset + 30 + sum(struct.unpack("<HH", lengths))
    return ReadStream(_ZipMember(file, start, member).read).buffered()


class _ZipMember:
    """Reads a member of a zip archive that is compressed by bzip2 or LZMA.

    What `zipfile` opens decompresses all that it reads at once, and bzip2 makes a gigabyte of 785 bytes.
    """

    def __init__(self, file: IO[bytes], start: int, member: zipfile.ZipInfo) -> None:
        self._file = file
        self._at = start
        self._end = start + member.compress_size
        self._left = member.file_size
        self._checksum, self._expected = 0, member.CRC
        self._decompressor: Any = (
            bz2.BZ2Decompressor() if member.compress_type == zipfile.ZIP_BZIP2 else self._new_lzma()
        )

    def read(self, count: int) -> bytes:
        """Return as many bytes, or fewer; none at the end, where the checksum is looked at."""
        while self._left and count:
            if self._decompressor.eof:
                raise zipfile.BadZipFile("its data are shorter than its directory says")
            compressed = self._compressed(SAMPLE) if self._decompressor.needs_input else b""
            if piece := self._decompressor.decompress(compressed, min(count, self._left)):
                self._left -= len(piece)
                self._checksum = zlib.crc32(piece, self._checksum)
                return piece  # type: ignore[no-any-return]
        if not self._left and self._checksum != self._expected:
            raise zipfile.BadZipFile("its checksum (CRC-32) is wrong")
        return b""

    def _compressed(self, count: int) -> bytes:
        self._file.seek(self._at)
        piece = self._file.read(min(count, self._end - self._at))
        if not piece:
            raise EOFError
        self._at += len(piece)
        return piece

    def _new_lzma(self) -> lzma.LZMADecompressor:
        header = self._compressed(
            9
        )  # version (2 bytes), size of what follows (2), lc/lp/pb (1), dictionary (4)
        if len(header) < 9 or header[2:4] != b"\5\0":
            raise zipfile.BadZipFile("the header of its LZMA data is damaged")
        rest, literal_context = divmod(header[4], 9)
        position, literal_position = divmod(rest, 5)
        dictionary = int.from_bytes(header[5:], "little")
        if dictionary > LARGEST_DICTIONARY:
            raise DictionaryError
        filters = [
            {
                "id": lzma.FILTER_LZMA1,
                "dict_size": max(dictionary, _SMALLEST_DICTIONARY),
                "lc": literal_context,
                "lp": literal_position,
                "pb": position,
            }
        ]
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)

"""A published text: a file that everybody has the same bytes of, fetched once and verified."""

from __future__ import annotations

import errno
import hashlib
import re
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from w2v_exp.compression import DAMAGE, DictionaryError, compression_of, decompressed, open_member, open_zip
from w2v_exp.errors import CorpusError
from w2v_exp.file_lock import locked
from w2v_exp.files import replacing
from w2v_exp.own_folder import is_own, make_own, own_place
from w2v_exp.text.documents import promised_format

if TYPE_CHECKING:
    from w2v_exp.text.download import Download, Progress


_BLOCK = 1 << 20
_ZIP_BEGINS = b"PK\x03\x04"
_TRY_AGAIN = "Try again, which goes on from there, or set corpus.path to a copy of your own."
_ELSEWHERE = "Set corpus.url to another address of it, or corpus.path to a copy of your own."


class WrongContentError(Exception):
    """Bytes that are not the published ones; says what they are instead, as the end of a sentence."""


@dataclass(frozen=True)
class PublishedText:
    """A text whose size and digest are known, published as the one file of a zip.

    Parameters
    ----------
    name : str
        Of the file that is kept.
    size : int
        Its bytes.
    md5 : str
        Of its bytes, hexadecimal. It tells damage, not malice: MD5 is what the publisher gives.
    """

    name: str
    size: int
    md5: str

    def fetch(
        self,
        url: str,
        folder: Path,
        *,
        progress: Progress = lambda _done, _of: None,
        say: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
        timeout: float = 30.0,
    ) -> Path:
        """Return the verified file in a folder, after downloading and unpacking it if it is not there.

        Any number of processes may ask for it at once: one downloads, the others wait for it.

        Parameters
        ----------
        url : str
            Where the zip is.
        folder : Path
            Where the file is kept; made if it is not there.
        progress : callable
            Is told of the bytes of the zip.
        say : callable
            Is told in a sentence if the file was there but damaged.
        timeout : float
            Seconds to wait for the server's next byte.

        Raises
        ------
        CorpusError
            If it cannot be downloaded or kept, or is something else than what was published.
        """
        file = folder / self.name
        try:
            if self._is_intact(file):
                return file
            file = own_place(folder) / self.name
            folder = file.parent
            make_own(folder)
            with locked(folder / f"{self.name}.lock"):
                if self._is_intact(file):  # another process has just fetched it
                    return file
                if file.exists():
                    say(f"{file} is damaged; it is downloaded again.")
                archive = folder / f"{self.name}.zip.partial"
                # Anything may be compressed badly, but not to a zip that is longer than what it holds and a bit.
                from w2v_exp.text.download import Download  # and with it TLS, which most runs have no use for

                download = Download(url, archive, at_most=self.size + _BLOCK, timeout=timeout)
                self._fetch_and_unpack(download, file, progress)
                return file
        except OSError as error:
            raise CorpusError(
                f"{folder} cannot keep {self.name}: {error.strerror or error}. Make room or give access there, or "
                "set W2V_EXP_CACHE to another folder."
            ) from error

    def verify(self, file: Path) -> None:
        """Check that a file, plain or compressed or zipped, holds the published bytes.

        Raises
        ------
        WrongContentError
            If it does not.
        OSError
            If it cannot be read.
        """
        for _ in self._verified_blocks(lambda: _opened(file)):
            pass

    def _is_intact(self, file: Path) -> bool:
        try:
            if file.stat().st_size != self.size:
                return False
            self.verify(file)
        except (FileNotFoundError, WrongContentError):
            return False
        return True

    def _fetch_and_unpack(self, download: Download, file: Path, progress: Progress) -> None:
        """Download the zip, or the rest of it, and unpack it.

        Whether it is whole is decided by what has arrived, not by the length that the server gave. If pieces of
        different downloads do not make the right file, it is downloaded once more, from the beginning.
        """
        from w2v_exp.text.download import InterruptedDownloadError

        while True:
            resumed = download.bytes_so_far() > 0
            if not (resumed and zipfile.is_zipfile(download.file)):  # else: ended before it was unpacked
                try:
                    download.go_on(progress)
                except InterruptedDownloadError as error:
                    if not zipfile.is_zipfile(download.file):
                        raise CorpusError(f"{error} {_TRY_AGAIN}") from error
                except CorpusError as error:
                    raise CorpusError(f"{error} {_ELSEWHERE}") from error
                if _is_beginning_of_zip(download.file):
                    size = download.bytes_so_far()
                    raise CorpusError(
                        f"{download.url} ends after {size:,} bytes, within its zip. {_TRY_AGAIN}"
                    )
            try:
                self._unpack(download.file, file)
            except WrongContentError as error:
                download.discard()
                if not resumed:
                    raise CorpusError(f"{download.url} is not {self.name}: {error}. {_ELSEWHERE}") from error
            else:
                download.discard()
                return

    def _unpack(self, archive: Path, file: Path) -> None:
        unfinished = re.compile(rf"\.{re.escape(file.name)}\.[0-9a-f]+")
        for left in file.parent.iterdir():  # by processes that were killed; nobody else is at it
            if unfinished.fullmatch(left.name) and is_own(file.parent):
                left.unlink(missing_ok=True)
        with replacing(file, "wb") as stream:
            for block in self._verified_blocks(lambda: _opened(archive, is_zip=True)):
                stream.write(block)

    def _verified_blocks(self, opened: Callable[[], AbstractContextManager[IO[bytes]]]) -> Iterator[bytes]:
        """Yield the bytes of a file, and raise `WrongContentError` at their end, at the latest, if they are wrong.

        No more than `size` bytes are unpacked, however much a zip holds.
        """
        digest = hashlib.md5(usedforsecurity=False)
        size = 0
        try:
            with opened() as stream:
                while block := stream.read(min(_BLOCK, self.size + 1 - size)):
                    size += len(block)
                    if size > self.size:
                        raise WrongContentError(f"it holds more than {self.size:,} bytes")
                    digest.update(block)
                    yield block
        except (OSError, DictionaryError, *DAMAGE) as error:
            # Without a number it is gzip's or bz2's; this number means a place in a zip that cannot be.
            if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
                raise
            raise WrongContentError(f"it cannot be unpacked ({error})") from error
        if size < self.size:
            raise WrongContentError(f"it holds {size:,} bytes, and should hold {self.size:,}")
        if digest.hexdigest() != self.md5:
            raise WrongContentError(f"its md5 is {digest.hexdigest()}, and should be {self.md5}")


@contextmanager
def _opened(file: Path, *, is_zip: bool = False) -> Iterator[IO[bytes]]:
    """Open the bytes that a file holds: decompressed, or those of the one file in a zip.

    Raises
    ------
    zipfile.BadZipFile
        If a zip holds none or several, or is damaged. Reading may raise any of `DAMAGE`.
    """
    with file.open("rb") as stream:
        compression = "zip" if is_zip else compression_of(stream.peek(_BLOCK)) or promised_format(file.name)
        if compression != "zip":
            yield decompressed(stream, compression) if compression else stream
            return
        archive = open_zip(stream)
        members = [member for member in archive.infolist() if not member.filename.endswith("/")]
        if len(members) != 1:
            raise zipfile.BadZipFile(f"the zip holds {len(members)} files, and must hold one")
        with open_member(archive, stream, members[0]) as unpacked:
            yield unpacked


def _is_beginning_of_zip(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(len(_ZIP_BEGINS)) == _ZIP_BEGINS and not zipfile.is_zipfile(file)

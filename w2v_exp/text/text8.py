"""The corpus text8, downloaded, verified and unpacked once."""

from __future__ import annotations

import errno
import hashlib
import http.client
import logging
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, ClassVar
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from w2v_exp.compression import DAMAGE, DictionaryError, compression_of, decompressed, open_member, open_zip
from w2v_exp.errors import CorpusError, SettingError, check_path, refuse_secret, require_kind
from w2v_exp.files import (
    DamagedFileError,
    cache_folder,
    is_own,
    locked,
    make_own,
    own_place,
    read_checked,
    replacing,
    write_checked,
)
from w2v_exp.text.chunks import texts_of_files
from w2v_exp.text.documents import promised_format

_log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 30.0
_BLOCK = 1 << 16
_RANGE_REFUSED = (http.HTTPStatus.PRECONDITION_FAILED, http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)

# Is told how many bytes there are, of how many (None: the server doesn't say).
Progress = Callable[[int, int | None], None]


class InterruptedDownloadError(CorpusError):
    """A download that ended early; what has arrived is kept."""


@dataclass(frozen=True)
class Download:
    """What is at an address, on its way into a file.

    Only one process at a time may work on it. Whether the bytes are the right ones is for the caller to find out:
    a server may say anything about its length, and does not always tell that a file has changed.

    Parameters
    ----------
    url : str
        The address, ``http://`` or ``https://``.
    file : Path
        Grows while it arrives. Where it comes from is kept beside it, in a file with ``.source`` after its name.
    at_most : int
        So many bytes are taken; a longer file is not what was asked for.
    timeout : float
        Seconds to wait for the server's next byte.
    """

    url: str
    file: Path
    at_most: int
    timeout: float = TIMEOUT_SECONDS

    def bytes_so_far(self) -> int:
        """Return how many bytes have arrived from this address."""
        return self.file.stat().st_size if self._source() is not None else 0

    def discard(self) -> None:
        """Delete what has arrived."""
        self.file.unlink(missing_ok=True)
        self._source_file.unlink(missing_ok=True)

    def go_on(self, progress: Progress) -> None:
        """Fetch what is missing; everything, if the server cannot go on or has another file by now.

        Raises
        ------
        InterruptedDownloadError
            If the connection fails or ends before the length that the server has announced.
        CorpusError
            If the server refuses, or sends more than `at_most` bytes.
        OSError
            If the file cannot be written.
        """
        try:
            answer, offset = self._ask()
        except HTTPError as error:
            error.close()
            meaning = http.client.responses.get(error.code, "")
            raise CorpusError(
                f"{self.url} cannot be downloaded: the server answers {error.code} {meaning}".rstrip() + "."
            ) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise InterruptedDownloadError(f"{self.url} cannot be reached: {_reason(error)}.") from error
        with answer:
            total = None if answer.length is None else offset + answer.length
            if not offset:
                self._begin(_validator(answer))
            done = self._receive(answer, offset, total, progress)
        if done > self.at_most:
            self.discard()
            raise CorpusError(
                f"{self.url} sends more than {self.at_most:,} bytes: it is not the file that is wanted."
            )
        if total is not None and done < total:
            raise self._interrupted(done, total, "the server closed the connection")

    def _ask(self) -> tuple[http.client.HTTPResponse, int]:
        """Return the server's answer and the position in the file where its bytes begin."""
        offset = self.bytes_so_far()
        if offset:
            validator = self._source() or ""
            only_if_unchanged = {"If-Range": validator} if validator else {}
            try:
                answer = self._open({"Range": f"bytes={offset}-"} | only_if_unchanged)
            except HTTPError as error:
                if error.code not in _RANGE_REFUSED:
                    raise
                error.close()
            else:
                if answer.status != http.HTTPStatus.PARTIAL_CONTENT:  # all of it, from the beginning
                    return answer, 0
                unchanged = _validator(answer) in ("", validator)
                if unchanged and answer.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
                    return answer, offset
                answer.close()
        return self._open({}), 0

    def _open(self, headers: dict[str, str]) -> http.client.HTTPResponse:
        request = Request(self.url, headers={"User-Agent": "w2v_exp"} | headers)
        answer = urlopen(request, timeout=self.timeout)
        if isinstance(answer, http.client.HTTPResponse):
            return answer
        answer.close()
        raise URLError("it leads to an address that is not HTTP")

    def _receive(
        self, answer: http.client.HTTPResponse, offset: int, total: int | None, progress: Progress
    ) -> int:
        """Write the answer's bytes and return how many the file has then."""
        done = offset
        with self.file.open("ab") as stream:
            progress(done, total)
            while True:
                try:
                    block = answer.read1(_BLOCK)
                except (OSError, http.client.HTTPException) as error:
                    raise self._interrupted(done, total, _reason(error)) from error
                stream.write(block)
                done += len(block)
                if not block or done > self.at_most:
                    return done
                progress(done, total)

    def _begin(self, validator: str) -> None:
        self.discard()
        write_checked(self._source_file, {"url": self.url, "validator": validator})

    def _source(self) -> str | None:
        """Return the validator that the bytes came with ("" without one), or None if there are none from here."""
        try:
            source = read_checked(self._source_file)
        except (OSError, DamagedFileError):
            return None
        return str(source["validator"]) if source["url"] == self.url and self.file.exists() else None

    @property
    def _source_file(self) -> Path:
        return self.file.with_name(f"{self.file.name}.source")

    def _interrupted(self, done: int, total: int | None, reason: str) -> InterruptedDownloadError:
        of_all = "" if total is None else f" of {total:,}"
        return InterruptedDownloadError(
            f"The download of {self.url} stopped after {done:,}{of_all} bytes: {reason}."
        )


def _validator(answer: http.client.HTTPResponse) -> str:
    """Return what tells this version of the file from others (RFC 9110, 13.1.5), or "" if nothing does."""
    tag: str = answer.headers.get("ETag", "")
    return tag if tag.startswith('"') else answer.headers.get("Last-Modified", "")


def _reason(error: Exception) -> str:
    """Return in a line what went wrong, without anything that the server has written."""
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, TimeoutError):
        return "the server did not answer in time"
    if isinstance(cause, OSError):
        return cause.strerror or str(cause) or type(cause).__name__
    return "the answer is not HTTP" if isinstance(cause, http.client.HTTPException) else str(cause)


_READ_AT_ONCE = 1 << 20
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
                    _log.warning(f"{file} is damaged; it is downloaded again.")
                archive = folder / f"{self.name}.zip.partial"
                # Anything may be compressed badly, but not to a zip that is longer than what it holds and a bit.

                download = Download(url, archive, at_most=self.size + _READ_AT_ONCE, timeout=timeout)
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

        Whether it is whole is decided by what has arrived, not by the length that the server gave. If chunks of
        different downloads do not make the right file, it is downloaded once more, from the beginning.
        """
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
                while block := stream.read(min(_READ_AT_ONCE, self.size + 1 - size)):
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
        compression = (
            "zip" if is_zip else compression_of(stream.peek(_READ_AT_ONCE)) or promised_format(file.name)
        )
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


@dataclass(frozen=True)
class Text8Corpus:
    """The first 10⁸ characters of an English Wikipedia of March 2006, only a to z and spaces: 17.0 M words, one line.

    Made by Matt Mahoney ("About the test data", 2006). It is downloaded when it is first read, 31 MB, and kept in
    the folder ``text8`` of the cache (see `cache_folder`); it is read from there only if its md5 is right.

    Parameters
    ----------
    url : str
        Where text8.zip is downloaded from.
    path : str, optional
        A text8 or text8.zip of your own; then nothing is downloaded.
    verify : bool
        Whether `path` must have the md5 of text8. What is downloaded always must.
    """

    url: str = "http://mattmahoney.net/dc/text8.zip"
    path: str | None = None
    verify: bool = True
    published: ClassVar = PublishedText("text8", 100_000_000, "3bea1919949baf155f99411df5fada7e")

    def __post_init__(self) -> None:
        require_kind("url", self.url, str, "an address")
        check_path(self, "path", "the path of a file, or None")
        if not self.url.lower().startswith(("http://", "https://")):
            raise SettingError("url", self.url, "must begin with http:// or https://; for a file, set path.")
        refuse_secret("url", self.url, "Download the file yourself and set corpus.path.")
        if self.path is not None:
            self._own_file(self.path)

    @property
    def source(self) -> str:
        """The path or the address."""
        return self.path or self.url

    def files(
        self,
        *,
        progress: Progress = lambda _done, _of: None,
    ) -> list[Path]:
        """Return the one file that is read; it is downloaded if it is not there.

        Its md5 is left to the reading: it takes a third of a second, more than to take a text's ids from the cache.

        Parameters and errors are those of `fetch`.
        """
        if self.path is not None:
            return [self._own_file(self.path)]
        file = self.folder() / self.published.name
        with suppress(OSError):
            if file.stat().st_size == self.published.size:
                return [file]
        return [self.fetch(progress=progress)]

    def fetch(
        self,
        *,
        progress: Progress = lambda _done, _of: None,
    ) -> Path:
        """Return the verified file, downloading it if need be.

        Parameters
        ----------
        progress : callable
            Is told how many bytes of the download there are, of how many (None if the server does not say).

        Raises
        ------
        CorpusError
            If it cannot be downloaded or kept, or is not text8.
        """
        if self.path is None:
            return self.published.fetch(self.url, self.folder(), progress=progress)
        file = self._own_file(self.path)
        try:
            if self.verify:
                self.published.verify(file)
        except WrongContentError as error:
            raise CorpusError(
                f"{file} is not text8: {error}. Name the whole text8 or text8.zip, or set corpus.verify=false to "
                "take it as it is."
            ) from error
        except OSError as error:
            raise CorpusError(f"{file} cannot be read: {error.strerror or error}.") from error
        return file

    def chunks(self) -> Iterator[str]:
        """Yield the text, chunk by chunk, after fetching it if need be."""
        yield from chain.from_iterable(texts_of_files([self.fetch()]))

    @staticmethod
    def _own_file(path: str) -> Path:
        try:
            file = Path(path).expanduser()
            if file.is_file():
                return file
            problem = f"no such file, seen from {Path.cwd()}; name a text8 or text8.zip."
        except (OSError, RuntimeError) as error:  # too long a name, a folder that is shut, no such ~user
            reason = getattr(error, "strerror", None) or str(error).rstrip(".")
            problem = f"cannot be looked up: {reason}."
        raise SettingError("path", path, problem)

    @staticmethod
    def folder() -> Path:
        """Return where it is kept once it is downloaded.

        Raises
        ------
        CorpusError
            If there is no place for it.
        """
        try:
            return cache_folder() / "text8"
        except RuntimeError as error:  # no home folder
            raise CorpusError(
                f"There is no place for text8 ({error}): set W2V_EXP_CACHE to a folder."
            ) from error

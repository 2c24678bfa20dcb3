"""The corpus text8, downloaded, verified and unpacked once."""

from __future__ import annotations

import hashlib
import io
import logging
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any, ClassVar

from w2v_exp.errors import CorpusError, SettingError, check_path, refuse_secret, require_kind
from w2v_exp.files import cache_folder, locked, make_own, own_place, remove_unfinished, replacing
from w2v_exp.text.chunks import texts_of_files
from w2v_exp.text.documents import documents_in, reading

_log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 30.0  # for a server's next bytes
_CHUNK = 1 << 14  # bytes received at once
_BLOCK = 1 << 20  # bytes verified at once
_ELSEWHERE = (
    "Try again, or set corpus.url to another address of text8.zip, or corpus.path to a copy of your own."
)

# Called with the number of bytes downloaded, and with their total, or None if the server does not send it.
Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Text8Corpus:
    """The first 10⁸ characters of an English Wikipedia of March 2006, only a to z and spaces: 17.0 M words, one line.

    Made by Matt Mahoney ("About the test data", 2006). It is downloaded when it is first read, 31 MB, and kept in
    the folder ``text8`` of the cache (see `cache_folder`); it is read from there only if its md5 is right.

    Parameters
    ----------
    url : str
        Address of text8.zip.
    path : str, optional
        A text8 or text8.zip of your own, used instead of a download.
    verify : bool
        Whether `path` must have the md5 of text8. A download always must.
    """

    url: str = "http://mattmahoney.net/dc/text8.zip"
    path: str | None = None
    verify: bool = True
    size: ClassVar[int] = 100_000_000
    md5: ClassVar[str] = (
        "3bea1919949baf155f99411df5fada7e"  # the published one; it detects damage, not malice
    )

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

    def files(self, *, progress: Progress = lambda _done, _of: None) -> list[Path]:
        """Return the one file that is read; download it if it is missing.

        Its md5 is checked when it is read: that takes a third of a second, more than mapping its ids from the cache.
        Parameters and errors are those of `fetch`.
        """
        if self.path is not None:
            return [self._own_file(self.path)]
        file = self.folder() / "text8"
        return [file if _size(file) == self.size else self.fetch(progress=progress)]

    def fetch(self, *, progress: Progress = lambda _done, _of: None) -> Path:
        """Return the verified file; download it if it is missing or damaged.

        One of several processes downloads it, and the others wait for it. An interrupted download leaves nothing.

        Parameters
        ----------
        progress : callable
            Called with the number of bytes downloaded and their total (None if the server does not send it).

        Raises
        ------
        CorpusError
            If it cannot be downloaded or stored, or is not text8.
        """
        if self.path is not None:
            return self._verified_copy(self.path)
        folder = self.folder()
        file = folder / "text8"
        try:
            if self._is_intact(file):
                return file
            make_own(folder)
            with locked(folder / "text8.lock"):
                if self._is_intact(file):  # another process has just downloaded it
                    return file
                if file.exists():
                    _log.warning(f"{file} is damaged; it is downloaded again.")
                remove_unfinished(folder, [file.name])
                with tempfile.TemporaryFile(dir=folder) as archive:
                    self._download(archive, progress)
                    with replacing(file, "wb") as unpacked:
                        for block in self._verified(archive, self.url):  # type: ignore[arg-type]  # it has `peek`
                            unpacked.write(block)
                return file
        except OSError as error:
            raise CorpusError(
                f"{folder} cannot keep text8: {error.strerror or error}. Make room or give access there, or set "
                "W2V_EXP_CACHE to another folder."
            ) from error
        except CorpusError as error:
            raise CorpusError(f"{error} {_ELSEWHERE}") from error

    def chunks(self) -> Iterator[str]:
        """Yield the text in chunks; download it first if need be."""
        yield from chain.from_iterable(texts_of_files([self.fetch()]))

    @staticmethod
    def folder() -> Path:
        """Return the folder of the downloaded file."""
        return own_place(cache_folder() / "text8")

    @staticmethod
    def _own_file(path: str) -> Path:
        try:
            file = Path(path).expanduser()
            if file.is_file():
                return file
            problem = f"no such file, seen from {Path.cwd()}; name a text8 or text8.zip."
        except (OSError, RuntimeError) as error:  # too long a name, a folder without access, no such ~user
            reason = getattr(error, "strerror", None) or str(error).rstrip(".")
            problem = f"cannot be looked up: {reason}."
        raise SettingError("path", path, problem)

    def _verified_copy(self, path: str) -> Path:
        file = self._own_file(path)
        if self.verify:
            try:
                with reading(str(file)), file.open("rb") as stream:
                    deque(self._verified(stream, str(file)), maxlen=0)
            except CorpusError as error:
                raise CorpusError(
                    f"{error} Name the whole text8 or text8.zip, or set corpus.verify=false to take it as it is."
                ) from error
        return file

    def _is_intact(self, file: Path) -> bool:
        if _size(file) != self.size:
            return False
        with file.open("rb") as stream:
            try:
                deque(self._verified(stream, str(file)), maxlen=0)
            except CorpusError:
                return False
        return True

    def _verified(self, stream: io.BufferedReader, name: str) -> Iterator[bytes]:
        """Yield the text in a file, plain or compressed; at most one byte more than text8 has is unpacked.

        Raises
        ------
        CorpusError
            At the end, at the latest, if it is not text8.
        """
        digest = hashlib.md5(usedforsecurity=False)
        size = 0
        with reading(name):
            for document in documents_in(stream, name, Counter()):
                while block := document.stream.read(min(_BLOCK, self.size + 1 - size)):
                    size += len(block)
                    digest.update(block)
                    if size > self.size:
                        raise CorpusError(f"{name} is not text8: it has more than {self.size:,} bytes.")
                    yield block
        if size < self.size:
            raise CorpusError(f"{name} is not text8: it has {size:,} bytes instead of {self.size:,}.")
        if digest.hexdigest() != self.md5:
            raise CorpusError(f"{name} is not text8: its md5 is {digest.hexdigest()} instead of {self.md5}.")

    def _download(self, file: IO[bytes], progress: Progress) -> None:
        """Download the address into an empty file, and rewind it.

        Raises
        ------
        CorpusError
            If the server cannot be reached, refuses, breaks off, or sends more than a zip of text8 can have.
        """
        from http.client import HTTPException

        from pooch import HTTPDownloader  # late, as requests is: 8 MB that only a download needs
        from requests.exceptions import RequestException

        # Any text can be compressed badly, but not to a zip that is much longer than the text.
        received = _Received(self.url, file, self.size + _BLOCK, progress)
        connections = ExitStack()  # pooch leaves that of a failed download open

        def close_at_end(response: Any, **_: Any) -> None:
            connections.callback(response.close)

        download = HTTPDownloader(
            progressbar=received,
            chunk_size=_CHUNK,
            timeout=TIMEOUT_SECONDS,
            hooks={"response": close_at_end},
        )
        try:
            with connections:
                download(self.url, file, pooch=None)
        except (RequestException, ValueError, HTTPException) as error:
            of_all = f" after {received.done:,} bytes" if received.done else ""
            raise CorpusError(f"{self.url} cannot be downloaded{of_all}: {_reason(error)}.") from error
        file.seek(0)


class _Received:
    """A progress bar as pooch wants it, which ends a download that is too long."""

    def __init__(self, url: str, file: IO[bytes], limit: int, progress: Progress) -> None:
        self.total = 0  # set by pooch; 0 if unknown
        self.done = 0
        self._url, self._file, self._limit, self._progress = url, file, limit, progress

    def update(self, _size: int) -> None:
        """Report the bytes in the file; pooch counts the last chunk as a full one."""
        self.done = self._file.tell()
        if self.done > self._limit:
            raise CorpusError(f"{self._url} is not text8: it has more than {self._limit:,} bytes.")
        self._progress(self.done, self.total or None)

    def reset(self) -> None:
        """Do nothing: pooch updates once more at the end."""

    def close(self) -> None:
        """Do nothing: the caller closes its own progress bar."""


def _reason(error: Exception) -> str:
    """Return the reason why a download failed, on one line and without any text of the server's."""
    from http.client import HTTPException, responses

    from requests.exceptions import HTTPError, Timeout, TooManyRedirects

    if isinstance(error, HTTPError) and error.response is not None:
        code = error.response.status_code
        return f"the server answers {code} {responses.get(code, '')}".rstrip()
    if isinstance(error, TooManyRedirects):
        return "the server redirects in a circle"
    cause: BaseException = error
    while deeper := cause.__cause__ or cause.__context__:  # down to the error of the operating system
        cause = deeper
    if isinstance(error, Timeout) or isinstance(cause, TimeoutError):
        return "the server did not answer in time"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    if isinstance(cause, HTTPException):
        return "the server closed the connection or does not speak HTTP"
    return "it is not the address of a file"


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except OSError:
        return None

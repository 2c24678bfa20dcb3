"""A download over HTTP: a file that grows, and is gone on with where it was cut off."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from w2v_exp.errors import CorpusError
from w2v_exp.files import DamagedFileError, read_checked, write_checked

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

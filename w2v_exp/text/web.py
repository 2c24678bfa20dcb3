"""Files of web servers: their sizes, lists of folders, and readers that resume where a connection breaks.

Errors are those of requests and urllib3, and `WebError`; :mod:`w2v_exp.text.remote` converts them into messages.
"""

from __future__ import annotations

import html
import os
import re
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import urljoin

AT_ONCE = 16  # connections
CONNECT_SECONDS, READ_SECONDS = 10.0, 30.0  # for a connection, and for a server's next bytes
RETRIES = 4  # of a request, after 0, 1, 2 and 4 s
FIRST_WAIT = 0.5  # seconds
LONGEST_WAIT = 20.0  # seconds, whatever a server asks for before the next attempt
LARGEST_INDEX = 1 << 26  # bytes of a list of a folder: half a million files
MOST_FOLDERS = 10_000
CHANGED = "it has changed since it was listed. Run the same command again."
_BLOCK = 1 << 16  # bytes skipped at once
_PASSING = (408, 429, 500, 502, 503, 504)  # statuses that may be others at the next attempt


class WebError(Exception):
    """An answer that cannot be used; the message is the end of a sentence, with its full stop."""


class WebFile(NamedTuple):
    """A file of a web server.

    Parameters
    ----------
    address : str
        The address.
    size : int or None
        Bytes; None if the server does not send it.
    version : str
        ETag, or else the time of the last change; "" if the server sends neither.
    """

    address: str
    size: int | None
    version: str


def look_up(address: str) -> WebFile:
    """Return a file with its size and version, from the head of the answer."""
    response = _session().head(address, allow_redirects=True, timeout=(CONNECT_SECONDS, READ_SECONDS))
    # Some servers refuse this request, or answer it without the size.
    if response.status_code not in (200, 404) or response.headers.get("Content-Length") in (None, "0"):
        with _answer(address) as response:
            return _described(address, response)
    response.raise_for_status()
    return _described(address, response)


def _described(address: str, response: Any) -> WebFile:
    size = response.headers.get("Content-Length", "")
    version = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
    return WebFile(address, int(size) if size.isdecimal() else None, version)


def _answer(address: str, start: int = 0) -> Any:
    """Return the answer to a request for a file from a byte on, whose body is still to be read."""
    headers = {"Range": f"bytes={start}-"} if start else {}
    response = _session().get(address, headers=headers, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS))
    try:
        response.raise_for_status()
    except BaseException:
        response.close()
        raise
    return response


def _session() -> Any:
    return session_of(os.getpid())


@lru_cache(maxsize=1)
def session_of(_process: int) -> Any:
    """Return the connections of a process, with proxies and passwords by the environment."""
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    class Repeated(Retry):
        def get_retry_after(self, response: Any) -> float | None:
            seconds = super().get_retry_after(response)
            return None if seconds is None else min(seconds, LONGEST_WAIT)

    retries = Repeated(RETRIES, backoff_factor=FIRST_WAIT, status_forcelist=_PASSING, raise_on_status=False)
    session = requests.Session()
    session.headers["Accept-Encoding"] = "identity"  # positions and sizes are those of the file
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=AT_ONCE, max_retries=retries))
    return session


# ---------------------------------------------------------------- folders

_LINK = re.compile(r"""<a\s[^>]*?href\s*=\s*["']([^"'>]+)""", re.IGNORECASE)


def listed_below(folder: str, *, is_deep: bool) -> Iterator[str]:
    """Yield the paths, percent-encoded, of the files below a folder that a server lists on HTML pages.

    Parameters
    ----------
    folder : str
        The address, with a slash at the end.
    is_deep : bool
        Whether folders in it are listed, too.
    """
    unlisted, seen = [""], {""}
    while unlisted:
        current = unlisted.pop()
        for link in _links(f"{folder}{current}"):
            below = f"{current}{link}"
            if below in seen:
                continue
            seen.add(below)
            if not link.endswith("/"):
                yield below
            elif is_deep:
                unlisted.append(below)
        if len(unlisted) > MOST_FOLDERS:
            raise WebError(f"has more than {MOST_FOLDERS:,} folders. Name fewer.")


def _links(folder: str) -> Iterator[str]:
    """Yield the links of a page that lead below it, relative to it."""
    with _answer(folder) as response:
        if "html" not in response.headers.get("Content-Type", ""):
            raise WebError("is not a list of files in HTML. Name the file, without a slash at the end.")
        page = response.raw.read(LARGEST_INDEX).decode("utf-8", "replace")
        base = response.url
    for link in _LINK.findall(page):
        address = urljoin(base, html.unescape(link))
        below = address.removeprefix(base)
        if address != below and below and not re.search(r"[?#]|^/|//", below):
            yield below


# ---------------------------------------------------------------- a file from any position


class WebReader:
    """Reads a file from any position on; a connection that breaks is resumed at its byte.

    If the server sends no parts of files, the file is read again from its beginning to this byte.
    """

    def __init__(self, file: WebFile) -> None:
        self._file = file
        self._response: Any = None
        self._sent = 0  # position behind the bytes that the response has sent
        self._breaks = 0  # since the last new byte

    def read_at(self, position: int, buffer: Any) -> int:
        """Fill a part of the buffer, at least a byte before the end of the file; return the number of bytes."""
        from urllib3.exceptions import HTTPError

        while True:
            try:
                return self._read_at(position, buffer)
            except (HTTPError, OSError) as error:  # of requests as well
                self.close()
                is_answer = getattr(error, "response", None) is not None
                if is_answer or self._breaks == RETRIES:
                    raise
                time.sleep(FIRST_WAIT * 2**self._breaks if self._breaks else 0)
                self._breaks += 1

    def close(self) -> None:
        """Close the connection."""
        if self._response is not None:
            self._response.close()
            self._response = None

    def _read_at(self, position: int, buffer: Any) -> int:
        if self._response is None or self._sent != position:
            self._connect(position)
        data = self._response.raw.read1(len(buffer))  # `read` loses the bytes before a break
        if not data and self._file.size is not None:
            raise ConnectionError("the server sends fewer bytes than it has announced")
        buffer[: len(data)] = data
        self._sent += len(data)
        self._breaks = 0
        return len(data)

    def _connect(self, position: int) -> None:
        self.close()
        self._response = response = _answer(self._file.address, position)
        _, size, version = _described(self._file.address, response)
        self._sent = 0
        if response.status_code == 206:
            sent = _SENT.match(response.headers.get("Content-Range", ""))
            if sent is None or int(sent[1]) != position:
                raise WebError("the server sends another part than requested.")
            self._sent, size = position, None if sent[2] == "*" else int(sent[2])
        elif size is None and not response.raw.chunked:
            raise WebError(
                "the server sends no size, so that a connection that breaks would look like the end of the file. "
                "Download the file."
            )
        self._require_same(size, version)
        while self._sent < position:
            skipped = len(response.raw.read(min(_BLOCK, position - self._sent)))
            if not skipped:
                raise ConnectionError("the server sends fewer bytes than before")
            self._sent += skipped

    def _require_same(self, size: int | None, version: str) -> None:
        """Raise `WebError` if size or version differ from those known; unknown ones count as equal."""
        known = self._file
        if size is not None and known.size not in (None, size):
            raise WebError(CHANGED)
        if version and known.version and version != known.version:
            raise WebError(CHANGED)
        self._file = known._replace(version=known.version or version)


_SENT = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")

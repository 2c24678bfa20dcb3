"""Texts in object stores and on web servers: addresses that begin with s3, gs, hf, http or https.

Stores are listed by the packages that fsspec has for them, in one pass over a prefix, and read in blocks of 4 MiB, a
request each, which these packages repeat if it fails. A file of a web server is read in one streamed request, which is
resumed at its byte when the connection breaks. A file that differs from the one that was listed is an error, so that a
text never consists of two states of a file.

This module, and the packages, are imported when the first such address is used.
"""

from __future__ import annotations

import html
import http.client
import io
import logging
import os
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib.util import find_spec
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

from w2v_exp.compression import SAMPLE
from w2v_exp.errors import SettingError, UserError, install_command, refuse_secret, shown
from w2v_exp.text.damage import UnavailableError
from w2v_exp.text.documents import BACKUP, HIDDEN, Found, reason_to_skip

BLOCK = 1 << 22  # bytes of a request to a store
LISTED_SECONDS = 60.0  # a command looks up the same address several times
AT_ONCE = 16  # requests for the sizes of a web server's files
LARGEST_INDEX = 1 << 26  # bytes of a web server's list of a folder: half a million files
MOST_FOLDERS = 10_000  # of a web server
CONNECT_SECONDS, READ_SECONDS = 10.0, 30.0  # for a connection, and for a web server's next bytes
RETRIES = 4  # of a request to a web server, after 0, 1, 2 and 4 s
FIRST_WAIT = 0.5  # seconds
LONGEST_WAIT = 20.0  # seconds, whatever a web server asks for before the next attempt
_SECRET_REMEDY = (
    "Give credentials by the environment: the variables of the store, or ~/.netrc for a web server. "
    "For an address that is signed itself, download the file."
)


class _Store(NamedTuple):
    package: str
    extra: str
    credentials: str


_STORES = {
    "s3": _Store(
        "s3fs",
        "remote",
        "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; for a public bucket set FSSPEC_S3_ANON=true.",
    ),
    "gs": _Store(
        "gcsfs",
        "gs",
        "Set GOOGLE_APPLICATION_CREDENTIALS, or run: gcloud auth application-default login.",
    ),
    "hf": _Store(
        "huggingface_hub",
        "hf",
        "Set HF_TOKEN, or run: hf auth login. For a gated data set, accept its terms on its page first.",
    ),
}
_NETRC = "Enter user and password of the server in ~/.netrc."
_VERSIONS = ("ETag", "generation", "blob_id", "xet_hash")  # of a file, as stores name it


class RemoteError(UnavailableError):
    """A remote text that cannot be read although nothing shows that its content is damaged."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file in a store or on a web server; it has the methods of a `Path` that reading needs, and can be pickled.

    Parameters
    ----------
    address : str
        The address.
    size : int, optional
        Bytes; None if the server does not send it.
    version : str
        ETag, generation or digest, by which a changed file is recognised; "" if the server sends none.
    path : str
        The path for fsspec, with the revision or generation where the store has them.
    """

    address: str
    size: int | None = None
    version: str = ""
    path: str = ""

    def __str__(self) -> str:
        return self.address

    @property
    def name(self) -> str:
        """The last part of the path."""
        return unquote(PurePosixPath(urlsplit(self.address).path).name) if _is_web(self) else self._below.name

    @property
    def suffix(self) -> str:
        """The suffix of the name, such as ``.txt``."""
        return PurePosixPath(self.name).suffix

    @property
    def _below(self) -> PurePosixPath:
        return PurePosixPath(self.address.partition("://")[2])

    def relative_to(self, base: RemoteFile) -> PurePosixPath:
        """Return the path below a folder."""
        below = self.address.removeprefix(base.address).lstrip("/")
        return PurePosixPath(unquote(below) if _is_web(self) else below)

    def absolute(self) -> RemoteFile:
        """Return the file itself."""
        return self

    def stat(self) -> _Status:
        """Return the size, 0 if it is unknown."""
        return _Status(self.size or 0)

    def open(self, mode: str = "rb") -> io.BufferedReader:
        """Open the file for reading; errors of reading are `RemoteError`."""
        if mode != "rb":
            raise ValueError(f"mode={mode}: a remote file is only read, as bytes.")
        if _is_web(self):
            return io.BufferedReader(_WebStream(self), SAMPLE)
        return io.BufferedReader(_StoreStream(self), max(1, min(BLOCK, self.size or BLOCK)))


class _Status(NamedTuple):
    st_size: int


def _is_web(file: RemoteFile) -> bool:
    return file.address.startswith("http")


# ---------------------------------------------------------------- listing

_listings: dict[str, tuple[float, Found]] = {}


def find_remote(address: str) -> Found:
    """Return the file at an address, the files below a folder, or those that a glob finds, with the folder above them.

    Globs and skipped names are those of :func:`w2v_exp.text.documents.find_files`. A folder of a web server ends in
    ``/``, and the server must list it on an HTML page. The same address is listed once a minute at most.

    Raises
    ------
    SettingError
        If there is no file, if it cannot be listed, if a package is missing, or if the address contains a secret.
    """
    now = time.monotonic()
    for listed in [each for each, (at, _) in _listings.items() if now - at > LISTED_SECONDS]:
        del _listings[listed]
    if address not in _listings:
        found = _find(address)
        _listings[address] = time.monotonic(), found
    found = _listings[address][1]
    return found._replace(files=[*found.files], skipped=Counter(found.skipped))


def _find(address: str) -> Found:
    _refuse_secrets(address)
    scheme = address.partition("://")[0].replace("gcs", "gs")
    root, pattern = _split(address, "*[" if scheme.startswith("http") else "*?[")
    if scheme not in _STORES:
        found = _web_files(address, root, pattern)
    else:
        _require_package(address, _STORES[scheme])
        found = _store_files(address, root, pattern)
    if not found.files:
        problem = "no file matches this glob." if pattern else "is a folder without files."
        raise SettingError("path", address, problem)
    return found


def _split(address: str, magic: str) -> tuple[str, list[str]]:
    """Return the folder above a glob, and the parts of the glob; no parts if it is none."""
    parts = address.split("/")
    first = next((i for i, part in enumerate(parts) if i > 2 and any(each in part for each in magic)), None)
    return ("/".join(parts[:first]), parts[first:]) if first else (address.rstrip("/"), [])


def _refuse_secrets(address: str) -> None:
    parts = urlsplit(address)
    try:
        parts.port  # noqa: B018  # a password with a slash ends up here
    except ValueError:
        refuse_secret("path", address, _SECRET_REMEDY)
    # Without the path, in which an @ is usual: package@1.2, a revision.
    refuse_secret("path", f"{parts.scheme}://{parts.netloc}?{parts.query}#{parts.fragment}", _SECRET_REMEDY)


def _require_package(address: str, store: _Store) -> None:
    missing = [name for name in ("fsspec", store.package) if find_spec(name) is None]
    if missing:
        raise SettingError(
            "path", address, f"needs the package {missing[-1]}: {install_command(store.extra)}"
        )


def _selected(files: Iterable[tuple[str, RemoteFile]], pattern: list[str], base: str) -> Found:
    """Return those of files, each with its path below the base, that a glob matches; all without a glob."""
    asked = {
        HIDDEN: any(part.startswith(".") for part in pattern),
        BACKUP: any(part.endswith(("~", "#")) for part in pattern),
    }
    kept: list[tuple[list[str], RemoteFile]] = []
    skipped = Counter[str]()
    for below, file in files:
        parts = below.split("/")
        if not _matches(parts, pattern or ["**"]):
            continue
        reason = next((why for part in parts if (why := reason_to_skip(part)) and not asked[why]), "")
        if reason:
            skipped[reason] += 1
        else:
            kept.append((parts, file))
    kept.sort(key=lambda each: each[0])
    return Found([file for _, file in kept], 0, skipped, RemoteFile(base))


def _matches(parts: list[str], pattern: list[str]) -> bool:
    """Return whether the parts of a path match those of a glob."""
    if not parts or not pattern:
        return not parts and not pattern
    if pattern[0] == "**":
        return len(pattern) == 1 or any(_matches(parts[i:], pattern[1:]) for i in range(len(parts)))
    return fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


@contextmanager
def _looking_up(address: str) -> Iterator[None]:
    """Convert any error of a lookup into `SettingError`; the packages raise those of a dozen libraries."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise SettingError("path", address, _reason(error, address)) from error


# ---------------------------------------------------------------- stores


def _store_files(address: str, root: str, pattern: list[str]) -> Found:
    with _looking_up(address):
        files = _filesystem(address)
        path = files._strip_protocol(root)
        if address.startswith("hf:"):
            path = _at_commit(files, path)
        try:
            if not pattern and not address.endswith("/") and (info := files.info(path))["type"] == "file":
                return Found([_store_file(root, path, info)], 0, Counter())
            # A glob of one part needs the one folder; else all below it in one pass, a request for a thousand files.
            is_flat = len(pattern) == 1 and pattern != ["**"]
            infos = files.ls(path, detail=True) if is_flat else files.find(path, detail=True).values()
        except FileNotFoundError:
            _require_bucket(files, address)
            raise
        found = [
            (info["name"][len(path) :].lstrip("/"), info)
            for info in infos
            if info["type"] == "file" and info["name"].startswith(f"{path}/") and info["name"][-1] != "/"
        ]
        return _selected(
            ((below, _store_file(f"{root}/{below}", info["name"], info)) for below, info in found),
            pattern,
            root,
        )


def _filesystem(address: str) -> Any:
    """Return the file system of a store; fsspec keeps one for each process, as connections cannot be shared."""
    import fsspec

    scheme = address.partition("://")[0].replace("gcs", "gs")
    logging.getLogger("gcsfs").setLevel(
        logging.CRITICAL
    )  # it logs the traceback of each error that it raises
    return fsspec.filesystem(scheme, use_listings_cache=False, **_OPTIONS.get(scheme, {}))


_OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {"local_expiry_check": True},  # compares the ETag of each answer, without a request for it
    "gs": {"version_aware": True},  # reads the generation that was listed
}


def _at_commit(files: Any, path: str) -> str:
    """Return a path in a repository with its branch replaced by the present commit, which does not change."""
    from huggingface_hub import HfApi

    place = files.resolve_path(path)
    if not hasattr(place, "repo_id"):  # of a bucket, which has no commits
        return path
    info = HfApi().repo_info(place.repo_id, repo_type=place.repo_type, revision=place.revision)
    return str(replace(place, revision=info.sha, _raw_revision=None).unresolve())


def _require_bucket(files: Any, address: str) -> None:
    bucket = urlsplit(address).netloc
    try:
        files.info(bucket)
    except FileNotFoundError as error:
        if not address.startswith("hf:"):
            raise SettingError("path", address, f"no such bucket: {bucket}.") from error


def _store_file(address: str, path: str, info: Mapping[str, Any]) -> RemoteFile:
    version = next((str(info[key]) for key in _VERSIONS if info.get(key)), "")
    if info.get("generation") and not re.search("[#?]", path):  # which gcsfs would take for one
        path = f"{path}#{info['generation']}"
    return RemoteFile(address, int(info["size"]), version, path)


class _Seekable(io.RawIOBase):
    """A stream of a file whose size is known, or that is read from the beginning to the end."""

    def __init__(self, file: RemoteFile) -> None:
        self._file = file
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._file.size is not None

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if self._file.size is None:
            raise io.UnsupportedOperation("the server does not send the size")
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.size}[whence]
        if start + offset < 0:
            raise ValueError("a position before the beginning")
        self._at = start + offset
        return self._at


class _StoreStream(_Seekable):
    """Reads a file of a store, each time in one request."""

    def __init__(self, file: RemoteFile) -> None:
        super().__init__(file)
        self._opened: Any = None

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer; return the number of bytes."""
        assert self._file.size is not None
        count = min(len(buffer), self._file.size - self._at)
        if count <= 0:
            return 0
        with _reading(self._file):
            if self._opened is None:
                self._opened = self._open()
            self._opened.seek(self._at)
            data = self._opened.read(count)
        if len(data) != count:
            raise RemoteError(
                f"{self._file} cannot be read: the store sends {len(data):,} bytes instead of {count:,} at byte "
                f"{self._at:,}. Run the same command again."
            )
        buffer[:count] = data
        self._at += count
        return count

    def _open(self) -> Any:
        file = self._file
        opened = _filesystem(file.address).open(file.path, "rb", cache_type="none", size=file.size)
        if file.address.startswith("s3:"):
            opened.details = {"name": file.path, "size": file.size, "ETag": file.version}
        elif str(opened.details.get("generation") or file.version) != file.version:
            raise RemoteError(f"{file} cannot be read: {CHANGED}")
        return opened


@contextmanager
def _reading(file: RemoteFile) -> Iterator[None]:
    """Convert any error of reading into `RemoteError`."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        _listings.clear()
        raise RemoteError(f"{file} cannot be read: {_reason(error, file.address)}") from error


# ---------------------------------------------------------------- web servers


def _web_files(address: str, root: str, pattern: list[str]) -> Found:
    with _looking_up(address):
        if not pattern and not address.endswith("/"):
            return Found([_web_file(address)], 0, Counter())
        found = list(_listed_below(f"{root}/", is_deep=len(pattern) != 1 or pattern == ["**"]))
        selected = _selected(
            ((unquote(below), RemoteFile(f"{root}/{below}")) for below in found), pattern, root
        )
        with ThreadPoolExecutor(AT_ONCE) as threads:
            return selected._replace(files=[*threads.map(_web_file, map(str, selected.files))])


def _web_file(address: str) -> RemoteFile:
    """Return a file of a web server with its size and version, from the head of the answer."""
    response = _session().head(address, allow_redirects=True, timeout=(CONNECT_SECONDS, READ_SECONDS))
    # Some servers refuse this request, or answer it without the size.
    if response.status_code not in (200, 404) or response.headers.get("Content-Length") in (None, "0"):
        with _answer(address) as response:
            return _described(address, response)
    response.raise_for_status()
    return _described(address, response)


def _described(address: str, response: Any) -> RemoteFile:
    size = response.headers.get("Content-Length", "")
    return RemoteFile(address, int(size) if size.isdecimal() else None, _version(response))


def _version(response: Any) -> str:
    return response.headers.get("ETag") or response.headers.get("Last-Modified") or ""


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
    return _session_of(os.getpid())


@lru_cache(maxsize=1)
def _session_of(_process: int) -> Any:
    """Return the connections of a process to web servers, with proxies and passwords by the environment."""
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


_PASSING = (408, 429, 500, 502, 503, 504)  # statuses that may be others at the next attempt
_LINK = re.compile(r"""<a\s[^>]*?href\s*=\s*["']([^"'>]+)""", re.IGNORECASE)


def _listed_below(folder: str, *, is_deep: bool) -> Iterator[str]:
    """Yield the paths, percent-encoded, of the files below a folder that a web server lists on HTML pages."""
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
            raise SettingError("path", folder, f"has more than {MOST_FOLDERS:,} folders. Name fewer.")


def _links(folder: str) -> Iterator[str]:
    """Yield the links of a page that lead below it, relative to it."""
    with _answer(folder) as response:
        if "html" not in response.headers.get("Content-Type", ""):
            raise SettingError(
                "path", folder, "is not a list of files in HTML. Name the file, without a slash at the end."
            )
        page = response.raw.read(LARGEST_INDEX).decode("utf-8", "replace")
        base = response.url
    for link in _LINK.findall(page):
        address = urljoin(base, html.unescape(link))
        below = address.removeprefix(base)
        if address != below and below and not re.search(r"[?#]|^/|//", below):
            yield below


class _WebStream(_Seekable):
    """Reads a file of a web server; a connection that breaks is resumed at its byte.

    If the server sends no parts of files, the file is read again from its beginning to this byte.
    """

    def __init__(self, file: RemoteFile) -> None:
        super().__init__(file)
        self._response: Any = None
        self._sent = 0  # position behind the bytes that the response has sent
        self._breaks = 0  # since the last new byte

    def readinto(self, buffer: Any) -> int:
        """Fill a part of the buffer; return the number of bytes."""
        from urllib3.exceptions import HTTPError

        if not len(buffer) or (self._file.size is not None and self._at >= self._file.size):
            return 0
        with _reading(self._file):
            while True:
                try:
                    return self._read(buffer)
                except (HTTPError, OSError) as error:  # of requests as well
                    self._disconnect()
                    if _status_of(error) is not None or self._breaks == RETRIES:
                        raise
                    time.sleep(FIRST_WAIT * 2**self._breaks if self._breaks else 0)
                    self._breaks += 1

    def close(self) -> None:
        """Close the connection."""
        self._disconnect()
        super().close()

    def _read(self, buffer: Any) -> int:
        if self._response is None or self._sent != self._at:
            self._connect()
        data = self._response.raw.read1(len(buffer))  # `read` loses the bytes before a break
        if not data and self._file.size is not None:
            raise ConnectionError("the server sends fewer bytes than it has announced")
        buffer[: len(data)] = data
        self._at += len(data)
        self._sent = self._at
        self._breaks = 0
        return len(data)

    def _connect(self) -> None:
        self._disconnect()
        self._response = response = _answer(self._file.address, self._at)
        self._sent, size = 0, response.headers.get("Content-Length")
        if response.status_code == 206:
            sent = _SENT.match(response.headers.get("Content-Range", ""))
            if sent is None or int(sent[1]) != self._at:
                raise RemoteError(
                    f"{self._file} cannot be read: the server sends another part than requested."
                )
            self._sent, size = self._at, sent[2]
        elif size is None and not response.raw.chunked:
            raise RemoteError(
                f"{self._file} cannot be read: the server sends no size, so that a connection that breaks would look "
                "like the end of the file. Download the file."
            )
        self._require_same(int(size) if size and size.isdecimal() else None, _version(response))
        while self._sent < self._at:
            skipped = len(response.raw.read(min(SAMPLE, self._at - self._sent)))
            if not skipped:
                raise ConnectionError("the server sends fewer bytes than before")
            self._sent += skipped

    def _require_same(self, size: int | None, version: str) -> None:
        """Raise `RemoteError` if size or version differ from those known; what is unknown counts as equal."""
        known = self._file
        if (known.version and version and version != known.version) or (
            size is not None and known.size not in (None, size)
        ):
            _listings.clear()
            raise RemoteError(f"{known} cannot be read: {CHANGED}")
        self._file = replace(known, version=known.version or version)

    def _disconnect(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None


_SENT = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")

# ---------------------------------------------------------------- errors

CHANGED = "it has changed since it was listed. Run the same command again."


def _reason(error: BaseException, address: str) -> str:
    """Return why a request failed and what to do, without any address that a server or library names."""
    errors = [*_chain(error)]
    kinds = " ".join(type(each).__name__ for each in errors)
    status = next(filter(None, map(_status_of, errors)), None)
    store = _STORES.get(address.partition("://")[0].replace("gcs", "gs"))
    credentials = store.credentials if store else _NETRC
    if status in (401, 403):
        return f"access is denied ({status}). {credentials}"
    if re.search("NoCredentials|PartialCredentials|DefaultCredentials|LocalToken", kinds):
        return f"no credentials are found. {credentials}"
    if status in (404, 410):
        hidden = f" (or it is private). {credentials}" if address.startswith("hf:") else "."
        return f"no such file or folder{hidden}"
    if status in (412, 416) or "FileExpired" in kinds:
        return CHANGED
    if status is not None:
        return f"the server answers {status} {http.client.responses.get(status, '')}".rstrip() + "."
    if re.search("gaierror|NameResolution|DNS", kinds):
        return (
            "the name of the server cannot be resolved. Check the address, the network, and variables such as "
            "AWS_ENDPOINT_URL, HF_ENDPOINT and HTTPS_PROXY."
        )
    if "Certificate" in kinds:
        return "the server's certificate is not valid."
    if re.search("Timeout", kinds):
        return "the server did not answer in time. Try again later."
    system = [each.strerror for each in errors if isinstance(each, OSError) and each.errno and each.strerror]
    message = system[-1] if system else str(error) or type(error).__name__
    cannot = "the server cannot be reached: " if "Connect" in kinds else ""
    return f"{cannot}{shown(_URL.sub('…', message.splitlines()[0]), 300).rstrip('.')}."


_URL = re.compile(r"\S*(://|url: )\S+")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all errors that caused it, each once; each library keeps them in another place."""
    found, seen = [error], set[int]()
    while found:
        current = found.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        details = getattr(current, "kwargs", None)
        inner = [
            current.__cause__,
            current.__context__,
            getattr(current, "reason", None),
            getattr(current, "os_error", None),
            details.get("error") if isinstance(details, dict) else None,
            *current.args,
        ]
        found += [each for each in inner if isinstance(each, BaseException)]


def _status_of(error: BaseException) -> int | None:
    """Return the status of HTTP that an error stands for, if it stands for one."""
    if isinstance(error, FileNotFoundError):
        return 404
    if isinstance(error, PermissionError) or str(error).startswith("Forbidden"):
        return 403
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # of botocore
        response = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    for status in (
        response,
        *(getattr(response, "status_code", None),),
        getattr(error, "status", None),
        getattr(error, "code", None),
    ):
        if isinstance(status, int) and 400 <= status < 600:
            return status
    return None

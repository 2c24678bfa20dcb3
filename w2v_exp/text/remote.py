"""Texts in object stores and on web servers: addresses that begin with s3, gs, hf, http or https.

Stores are listed by the packages that fsspec has for them, in one pass over a prefix, and read in blocks of 4 MiB, a
request each, which these packages repeat if it fails. A file of a web server is read in one streamed request, which is
resumed at its byte when the connection breaks. A file that differs from the one that was listed is an error, so that a
text never consists of two states of a file.

This module, and the packages, are imported when the first such address is used.
"""

from __future__ import annotations

import http.client
import io
import logging
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from importlib.util import find_spec
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from w2v_exp.compression import SAMPLE
from w2v_exp.errors import SettingError, UserError, install_command, refuse_secret, shown
from w2v_exp.text.damage import UnavailableError
from w2v_exp.text.file_search import BACKUP, HIDDEN, Found, reason_to_skip
from w2v_exp.text.web import AT_ONCE, CHANGED, WebError, WebFile, WebReader, listed_below, look_up

BLOCK = 1 << 22  # bytes of a request to a store
LISTED_SECONDS = 60.0  # a command looks up the same address several times
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
    """A file in a store or on a web server.

    It has the methods of a `Path` that reading needs, and can be pickled.

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
            return io.BufferedReader(
                _Stream(self, WebReader(WebFile(self.address, self.size, self.version))), SAMPLE
            )
        return io.BufferedReader(_Stream(self, _StoreReader(self)), max(1, min(BLOCK, self.size or BLOCK)))


class _Stream(io.RawIOBase):
    """The bytes that a reader reads from a file; seekable if the size is known."""

    def __init__(self, file: RemoteFile, reader: WebReader | _StoreReader) -> None:
        self._file = file
        self._reader = reader
        self._at = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return whether the size is known."""
        return self._file.size is not None

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position and return it."""
        if self._file.size is None:
            raise io.UnsupportedOperation("the server does not send the size")
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.size}[whence]
        if start + offset < 0:
            raise ValueError("a position before the beginning")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer, or as much as the file has; a format is recognised by the first bytes read."""
        size = self._file.size
        wanted = len(buffer) if size is None else max(0, min(len(buffer), size - self._at))
        filled, view = 0, memoryview(buffer)
        try:
            while filled < wanted and (count := self._reader.read_at(self._at, view[filled:wanted])):
                filled += count
                self._at += count
        except Exception as error:  # of a dozen libraries
            _listings.clear()
            raise RemoteError(f"{self._file} cannot be read: {_reason(error, self._file.address)}") from error
        return filled

    def close(self) -> None:
        """Close the connection."""
        self._reader.close()
        super().close()


class _Status(NamedTuple):
    st_size: int


def _is_web(file: RemoteFile) -> bool:
    return file.address.startswith("http")


# ---------------------------------------------------------------- listing

_listings: dict[str, tuple[float, Found]] = {}


def find_remote(address: str) -> Found:
    """Return the files that an address names, with the folder above them.

    The address is that of a file, a folder (with all below it) or a glob.

    Globs and skipped names are those of :func:`w2v_exp.text.file_search.find_files`. A folder of a web server ends in
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


def base_of(address: str) -> RemoteFile | None:
    """Return the folder above the files of an address; None for a file.

    There is no request where the address suffices.
    """
    root, pattern = _split(address)
    return RemoteFile(root) if pattern or address.endswith("/") else find_remote(address).base  # type: ignore[return-value]


def _find(address: str) -> Found:
    _refuse_secrets(address)
    scheme = _scheme(address)
    root, pattern = _split(address)
    if scheme not in _STORES:
        found = _web_files(address, root, pattern)
    else:
        _require_package(address, _STORES[scheme])
        found = _store_files(address, root, pattern)
    if not found.files:
        problem = "no file matches this glob." if pattern else "is a folder without files."
        raise SettingError("path", address, problem)
    return found


def _scheme(address: str) -> str:
    return address.partition("://")[0].replace("gcs", "gs")


def _split(address: str) -> tuple[str, list[str]]:
    """Return the folder above a glob, and the parts of the glob; no parts if it is none."""
    magic = "*[" if address.startswith("http") else "*?["
    parts = address.split("/")
    first = next((i for i, part in enumerate(parts) if i > 2 and any(each in part for each in magic)), None)
    return ("/".join(parts[:first]), parts[first:]) if first else (address.rstrip("/"), [])


def _refuse_secrets(address: str) -> None:
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018  # a password with a slash ends up here
    except ValueError:
        refuse_secret("path", address, _SECRET_REMEDY)
        raise SettingError("path", address, "is not an address: server or port are not valid.") from None
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
    """Convert any error of a lookup into `SettingError`.

    The packages raise those of a dozen libraries.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise SettingError("path", address, _reason(error, address)) from error


# ---------------------------------------------------------------- stores


def _store_files(address: str, root: str, pattern: list[str]) -> Found:
    with _looking_up(address), _attempted_once(_filesystem(address)) as files:
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
            (info["name"][len(path) + 1 :], info)
            for info in infos
            if info["type"] == "file" and info["name"].startswith(f"{path}/") and info["name"][-1] != "/"
        ]
        return _selected(
            ((below, _store_file(f"{root}/{below}", info["name"], info)) for below, info in found),
            pattern,
            root,
        )


@contextmanager
def _attempted_once(files: Any) -> Iterator[Any]:
    """Let s3fs attempt a request once.

    botocore makes five attempts itself: five times five would take 7 minutes.
    """
    files.retries = 1
    try:
        yield files
    finally:
        files.__dict__.pop("retries", None)


def _filesystem(address: str) -> Any:
    """Return the file system of a store.

    fsspec keeps one for each process, as connections cannot be shared.
    """
    import fsspec

    scheme = _scheme(address)
    # It logs the traceback of each error that it raises.
    logging.getLogger("gcsfs").setLevel(logging.CRITICAL)
    return fsspec.filesystem(scheme, use_listings_cache=False, **_OPTIONS.get(scheme, {}))


_OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {"local_expiry_check": True},  # compares the ETag of each answer, without a request for it
    # Reads the generation that was listed, by the proxy of the environment.
    "gs": {"version_aware": True, "session_kwargs": {"trust_env": True}},
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


class _StoreReader:
    """Reads a file of a store from any position on, each time in one request."""

    def __init__(self, file: RemoteFile) -> None:
        self._file = file
        self._opened: Any = None

    def read_at(self, position: int, buffer: Any) -> int:
        """Fill the buffer, or as much as the file has; return the number of bytes."""
        if self._opened is None:
            self._opened = self._open()
        count = min(len(buffer), (self._file.size or 0) - position)
        self._opened.seek(position)
        data = self._opened.read(count)
        if len(data) != count:
            raise OSError(f"the store sends {len(data):,} bytes instead of {count:,} at byte {position:,}")
        buffer[:count] = data
        return count

    def close(self) -> None:
        """Close the file."""
        if self._opened is not None:
            self._opened.close()

    def _open(self) -> Any:
        file = self._file
        opened = _filesystem(file.address).open(file.path, "rb", cache_type="none", size=file.size)
        if file.address.startswith("s3:"):
            opened.details = {"name": file.path, "size": file.size, "ETag": file.version}
        elif file.address.startswith("g") and str(opened.details.get("generation", "")) != file.version:
            raise WebError(CHANGED)
        return opened


# ---------------------------------------------------------------- web servers


def _web_files(address: str, root: str, pattern: list[str]) -> Found:
    with _looking_up(address):
        if not pattern and not address.endswith("/"):
            return Found([_web_file(address)], 0, Counter())
        found = list(listed_below(f"{root}/", is_deep=len(pattern) != 1 or pattern == ["**"]))
        selected = _selected(
            ((unquote(below), RemoteFile(f"{root}/{below}")) for below in found), pattern, root
        )
        with ThreadPoolExecutor(AT_ONCE) as threads:
            return selected._replace(files=[*threads.map(_web_file, map(str, selected.files))])


def _web_file(address: str) -> RemoteFile:
    with _looking_up(address):  # the error names the file
        return RemoteFile(*look_up(address))


# ---------------------------------------------------------------- errors


def _reason(error: BaseException, address: str) -> str:
    """Return why a request failed and what to do, without any address that a server or library names."""
    if isinstance(error, WebError):
        return str(error)
    errors = [*_chain(error)]
    kinds = " ".join(type(each).__name__ for each in errors)
    status = next(filter(None, map(_status_of, errors)), None)
    store = _STORES.get(_scheme(address))
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
    problem = f"{shown(_URL.sub('…', message.splitlines()[0]), 300).rstrip('.')}."
    if "Connect" not in kinds:
        return problem
    return f"the server cannot be reached: {problem} Check the address and the network."


_URL = re.compile(r"\S*(://|url: )\S+")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all errors that caused it, each once.

    Each library keeps them in another place.
    """
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
    places = (
        response,
        getattr(response, "status_code", None),
        *(getattr(error, name, None) for name in _STATUS),
    )
    return next((place for place in places if isinstance(place, int) and 400 <= place < 600), None)


_STATUS = ("status", "code")  # of aiohttp, of gcsfs

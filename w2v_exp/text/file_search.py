"""Files that a folder or glob names, and the type of files that are read."""

from __future__ import annotations

import errno
import fnmatch
import glob
import io
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple, Protocol

# Reasons to skip what a folder or an archive has.
HIDDEN = "hidden files and folders"
BACKUP = "backups of editors (name~)"
AGAIN = "links to files and folders that are read already"
BROKEN = "broken links"
OTHER = "links, pipes and devices"
_SYSTEM_NAMES = ("__MACOSX", "lost+found", "Thumbs.db", "desktop.ini")  # of macOS, Linux and Windows
_FILE, _FOLDER = "file", "folder"


class FileStatus(Protocol):
    """The part of `os.stat_result` that all files have."""

    @property
    def st_size(self) -> int:
        """Bytes."""


class TextFile(Protocol):
    """A file that is read: a `Path`, or a file of a store or web server with these methods."""

    @property
    def name(self) -> str:
        """The last part of its path."""

    @property
    def suffix(self) -> str:
        """The suffix of the name."""

    def open(self, mode: Literal["rb"], /) -> io.BufferedReader:
        """Open it; a file whose size is known is seekable."""

    def stat(self) -> FileStatus:
        """Return the size; 0 for one that a web server does not send."""

    def absolute(self) -> Any:
        """Return the file by its full path or address."""

    def relative_to(self, folder: Any, /) -> PurePosixPath | Path:
        """Return the path below a folder."""


def is_address(path: str) -> bool:
    """Return whether a path is the address of a store or web server.

    >>> is_address("s3://bucket/texts/"), is_address("texts/s3")
    (True, False)
    """
    return re.match(r"(s3|gs|gcs|hf|https?)://", path) is not None


class Found(NamedTuple):
    """The files of a folder or glob.

    Parameters
    ----------
    files : list of files
        In the order of their names, folder by folder.
    folders : int
        The number of folders that a glob matches itself; their files are not read.
    skipped : Counter
        The numbers of files and folders that were skipped, by reason.
    base : file, optional
        The folder above the files of an address; None for a single file, and for local files.
    """

    files: Sequence[TextFile]
    folders: int
    skipped: Counter[str]
    base: TextFile | None = None


def reason_to_skip(name: str) -> str:
    """Return why a file or folder of this name is skipped in a folder; "" if it is not.

    >>> reason_to_skip(".git"), reason_to_skip("notes.txt")
    ('hidden files and folders', '')
    """
    if name.startswith(".") or name in _SYSTEM_NAMES:
        return HIDDEN
    if name.endswith("~") or (len(name) > 1 and name[0] == name[-1] == "#"):
        return BACKUP
    return ""


def find_files(path: Path) -> Found:
    """Return the files in a folder, with all below it, or those that a glob finds.

    ``**`` in a glob stands for any number of folders, so that a folder means the same as ``folder/**``. Links to files
    and folders are followed. A file of several names, by symbolic links, is read once: by the name without a link, or
    else by the first. Hidden files and folders, and backups of editors, are skipped unless the glob asks for them
    (``.*``, ``*~``) or names them.

    Raises
    ------
    OSError
        If a folder cannot be listed.
    """
    if path.is_dir():
        search = _Search(str(path), ("**",))
    else:
        search = _Search(path.anchor, path.parts[1:] if path.anchor else path.parts)
    names: dict[str, str] = {}  # by the path that has no links
    for place in sorted(search.files(), key=lambda place: (place.linked, _in_order(place.path))):
        if names.setdefault(place.real, place.path) != place.path:
            search.skipped[AGAIN] += 1
    files = [Path(name) for name in sorted(names.values(), key=_in_order)]
    return Found(files, search.folders, search.skipped)


def _in_order(path: str) -> list[str]:
    return path.split(os.sep)


class _Place(NamedTuple):
    """A file or folder that was found.

    Parameters
    ----------
    path, name, real : str
        Its path, the last part of it, and its path without links.
    kind : str
        `_FILE`, `_FOLDER`, or the reason to skip it.
    linked : bool
        Whether a link was followed to it, or it is one.
    """

    path: str
    name: str
    real: str
    kind: str
    linked: bool


class _Search:
    """A search for the files below a folder that match a pattern, given as its parts between slashes."""

    def __init__(self, base: str, parts: tuple[str, ...]) -> None:
        self.skipped: Counter[str] = Counter()
        self.folders = 0
        self._base = _Place(base, "", os.path.realpath(base), _FOLDER, linked=False)
        self._parts = [
            part for part, before in zip(parts, ("", *parts), strict=False) if not part == before == "**"
        ]
        self._follows = False
        self._met_links = False
        self._searched: set[tuple[str, int, bool]] = set()
        self._listed: dict[str, list[_Place]] = {}

    def files(self) -> Iterator[_Place]:
        """Yield the files that match, one perhaps several times.

        First are those by names without a link, then all.
        """
        yield from self._matching_files()
        if self._met_links:
            self._follows = True
            self._searched.clear()
            self.skipped.clear()
            self.folders = 0
            yield from self._matching_files()

    def _matching_files(self) -> Iterator[_Place]:
        for place in self._matches(self._base, 0):
            if place.kind == _FILE:
                yield place
            elif place.kind == _FOLDER:
                self.folders += self._parts[-1] != "**"
            else:
                self.skipped[place.kind] += 1

    def _matches(self, folder: _Place, done: int) -> Iterator[_Place]:
        """Yield what matches the parts behind the first `done` below a folder."""
        if folder.kind != _FOLDER or not self._may_enter(folder) or self._was_searched(folder, done):
            return
        part, is_last = self._parts[done], done + 1 == len(self._parts)
        if part == "**":
            for below in self._folders_below(folder, done):
                if is_last:
                    yield from self._named(below, "*")
                else:
                    yield from self._matches(below, done + 1)
            return
        found = list(self._named(folder, part)) if glob.has_magic(part) else []
        for place in found or self._exactly_named(folder, part):
            if is_last:
                yield place
            else:
                yield from self._matches(place, done + 1)

    def _folders_below(self, folder: _Place, done: int) -> Iterator[_Place]:
        """Yield a folder and all below it, each once."""
        unlisted = [folder]
        while unlisted:
            current = unlisted.pop()
            if self._was_searched(current, done, below=True):
                self.skipped[AGAIN] += 1
                continue
            yield current
            unlisted += [
                place
                for place in reversed(self._list(current))
                if place.kind == _FOLDER and not reason_to_skip(place.name) and self._may_enter(place)
            ]

    def _may_enter(self, folder: _Place) -> bool:
        self._met_links |= folder.linked
        return self._follows or not folder.linked

    def _was_searched(self, folder: _Place, done: int, *, below: bool = False) -> bool:
        """Return whether a folder has been searched for the same parts.

        It counts by whatever name, and has been searched from now on.
        """
        state = folder.real, done, below
        if state in self._searched:
            return True
        self._searched.add(state)
        return False

    def _named(self, folder: _Place, pattern: str) -> Iterator[_Place]:
        """Yield what matches a part of a glob in a folder, but for what is skipped in folders."""
        matches = _matcher(pattern)
        for place in self._list(folder):
            if not matches(place.name):
                continue
            reason = reason_to_skip(place.name)
            asked = {HIDDEN: pattern.startswith("."), BACKUP: pattern.endswith(("~", "#"))}
            if reason and not asked[reason]:
                self.skipped[reason] += 1
            else:
                yield place

    def _exactly_named(self, folder: _Place, name: str) -> Iterator[_Place]:
        path = os.path.join(folder.path, name)
        try:
            linked = folder.linked or stat.S_ISLNK(os.lstat(path).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return
        yield _Place(path, name, os.path.realpath(path), _kind_of(lambda: os.stat(path)), linked)

    def _list(self, folder: _Place) -> list[_Place]:
        """Return what a folder has, in the order of names."""
        if folder.path not in self._listed:
            with os.scandir(folder.path or os.curdir) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
            self._listed[folder.path] = [self._place(folder, entry) for entry in listed]
        return self._listed[folder.path]

    def _place(self, folder: _Place, entry: os.DirEntry[str]) -> _Place:
        path = os.path.join(folder.path, entry.name)
        if entry.is_symlink():
            return _Place(path, entry.name, os.path.realpath(path), _kind_of(entry.stat), linked=True)
        # Without a system call each, as there may be a million of them.
        kind = _FILE if entry.is_file() else _FOLDER if entry.is_dir() else OTHER
        return _Place(path, entry.name, os.path.join(folder.real, entry.name), kind, folder.linked)


def _kind_of(status: Callable[[], os.stat_result]) -> str:
    try:
        mode = status().st_mode
    except FileNotFoundError:
        return BROKEN
    except OSError as error:
        if error.errno == errno.ELOOP:
            return BROKEN
        raise
    return _FILE if stat.S_ISREG(mode) else _FOLDER if stat.S_ISDIR(mode) else OTHER


def _matcher(pattern: str) -> Callable[[str], object]:
    if pattern == "*":
        return lambda _: True
    return lambda name: fnmatch.fnmatch(name, pattern)

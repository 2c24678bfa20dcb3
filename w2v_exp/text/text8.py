"""The corpus text8: the beginning of an English Wikipedia, a common yardstick."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from w2v_exp.errors import CorpusError, SettingError
from w2v_exp.text.cache_folder import cache_folder
from w2v_exp.text.pieces import texts_of_files
from w2v_exp.text.published import PublishedText, WrongContentError
from w2v_exp.validation import check_path, refuse_secret, require_kind

if TYPE_CHECKING:
    from w2v_exp.text.download import Progress


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
        say: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
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
        return [self.fetch(progress=progress, say=say)]

    def fetch(
        self,
        *,
        progress: Progress = lambda _done, _of: None,
        say: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
    ) -> Path:
        """Return the verified file, downloading it if need be.

        Parameters
        ----------
        progress : callable
            Is told how many bytes of the download there are, of how many (None if the server does not say).
        say : callable
            Is told in a sentence if a file in the cache was damaged.

        Raises
        ------
        CorpusError
            If it cannot be downloaded or kept, or is not text8.
        """
        if self.path is None:
            return self.published.fetch(self.url, self.folder(), progress=progress, say=say)
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

    def pieces(self) -> Iterator[str]:
        """Yield the text, piece by piece, after fetching it if need be."""
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

"""Parts of a corpus, each of which a task reads: some of its files, or a range of a large one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any
from zlib import crc32

from w2v_exp.errors import UserError, require_import
from w2v_exp.files import expanded
from w2v_exp.text.chunks import text_of_range, texts_of_files
from w2v_exp.text.corpus import Corpus, FileCorpus, SotuCorpus, texts_of
from w2v_exp.text.damage import Damage
from w2v_exp.text.documents import BYTE_ORDER_MARK, reading
from w2v_exp.text.file_search import TextFile, is_address

_LOOKED_AT = 1 << 16  # bytes
# White space of one byte before something else. A part does not begin with white space, so that neither line ends nor
# lines of white space only are cut. (Carriage returns may be followed by a line end, but not here.)
_CUTS = {
    "text": re.compile(rb"[\t\n\x0b\x0c\x1c-\x1f ](?=[^\t-\r\x1c-\x1f \x80-\xbf])"),
    "json": re.compile(rb"\n(?=\{)"),
}
_LONGEST_CHARACTER = 4  # bytes


@dataclass(frozen=True)
class Part:
    """A part of a corpus.

    Parameters
    ----------
    files : tuple of files
        By absolute paths or addresses; empty for all of the corpus.
    start, stop : int
        Range of the bytes of the only file; `stop` is 0 for whole files.
    of_rows : bool
        Whether the range has JSON lines, each of which is a text.
    """

    files: tuple[TextFile, ...] = ()
    start: int = 0
    stop: int = 0
    of_rows: bool = False

    @property
    def continues(self) -> bool:
        """Whether the first text is the rest of one that began in the part before."""
        return self.start > 0 and not self.of_rows


def divide(corpus: Corpus, size: int) -> list[Part]:
    """Divide a corpus into parts of about `size` bytes.

    It is one part if it does not consist of files.

    A file or folder that grows keeps most of its parts: a large file is cut at multiples of `size`, and a sequence of
    files behind those whose names have small hashes. Files of stores and web servers are not cut, as a server need not
    send ranges.
    """
    if not isinstance(corpus, (FileCorpus, SotuCorpus)) or getattr(corpus, "is_pipe", False):
        return [Part()]
    parts: list[Part] = []
    together: list[TextFile] = []
    held = 0
    if isinstance(corpus, FileCorpus) and (corpus.field or corpus.names) and not corpus.has_table():
        return [Part()]  # which raises that there is none
    for named in corpus.files():
        file: TextFile = named.absolute()
        with reading(str(file)):
            length = file.stat().st_size
        is_large = length > size and isinstance(named, Path) and isinstance(corpus, FileCorpus)
        if kind := corpus.ranges_of(named) if is_large and isinstance(corpus, FileCorpus) else "":
            parts += [Part(tuple(together))] if together else []
            together, held = [], 0
            cuts = [0, *_cuts(file, length, size, _CUTS[kind]), length]
            parts += [Part((file,), *ends, of_rows=kind == "json") for ends in pairwise(cuts)]
            continue
        together.append(file)
        held += length
        is_end = crc32(file.name.encode(errors="surrogateescape")) < min(1.0, length / size) * (1 << 32)
        if held >= size or (is_end and held >= size / 4):
            parts.append(Part(tuple(together)))
            together, held = [], 0
    return [*parts, Part(tuple(together))] if together else parts


def _cuts(file: TextFile, length: int, size: int, pattern: re.Pattern[bytes]) -> Iterator[int]:
    """Yield positions in a file, each the first behind a multiple of `size` where a word or row begins."""
    with reading(str(file)), file.open("rb") as stream:
        last = 0
        for target in range(size, length, size):
            if target <= last:
                continue
            if (cut := _first_cut(stream, target, pattern)) is None:
                return
            last = cut
            yield cut


def _first_cut(stream: Any, target: int, pattern: re.Pattern[bytes]) -> int | None:
    """Return the first position from `target` on where a part may begin; None if there is none."""
    start = target - 1
    while True:
        stream.seek(start)
        content = stream.read(_LOOKED_AT)
        if len(content) < 2:
            return None
        for found in pattern.finditer(content):
            beginning = content[found.end() : found.end() + _LONGEST_CHARACTER].decode(errors="ignore")[:1]
            # Byte order marks are removed, so that what is behind one may be white space.
            if beginning and not beginning.isspace() and beginning != BYTE_ORDER_MARK:
                return int(start + found.end())
        start += max(1, len(content) - _LONGEST_CHARACTER)
        if len(content) < _LOOKED_AT:
            return None


def texts_of_part(
    corpus: Corpus, part: Part, damage: Damage, members: Counter[str]
) -> Iterator[Iterator[str]]:
    """Yield the texts of a part, each in chunks and read before the next.

    For the other arguments see `FileCorpus.texts_of`.
    """
    if part.of_rows and isinstance(corpus, FileCorpus):
        yield from corpus.rows_of_range(part.files[0], part.start, part.stop)
    elif part.stop:
        yield text_of_range(part.files[0], part.start, part.stop)
    elif part.files:
        if isinstance(corpus, FileCorpus):
            yield from corpus.texts_of(part.files, damage, members)
        else:
            yield from texts_of_files(part.files)
    else:
        yield from texts_of(corpus, damage)


# ---------------------------------------------------------------- corpora and tokenizers in a file


def described(chosen: Any) -> dict[str, Any]:
    """Return class and settings of a corpus, tokenizer or rule, for JSON.

    A path is made absolute.

    Raises
    ------
    UserError
        If it is no dataclass of a module, so that another process cannot make it.
    """
    made = type(chosen)
    if not hasattr(made, "__dataclass_fields__") or "<" in made.__qualname__:
        raise UserError(f"{made.__name__}: must be a dataclass of a module to be used in several processes.")
    settings = {setting.name: getattr(chosen, setting.name) for setting in fields(chosen)}
    path = settings.get("path")
    if path and not is_address(path) and not getattr(chosen, "is_pipe", False):
        settings["path"] = str(expanded(path).absolute())
    return {"class": f"{made.__module__}:{made.__qualname__}", "settings": settings}


def remade(description: dict[str, Any]) -> Any:
    """Return the object of a description, without checks of its settings.

    They have been made.

    Those of a corpus list all of its files.
    """
    made = require_import("class", description["class"])
    chosen = object.__new__(made)
    for name, value in description["settings"].items():
        object.__setattr__(chosen, name, value)
    return chosen


def as_json(part: Part) -> list[Any]:
    """Return a part for JSON."""
    files = [str(file) if isinstance(file, Path) else asdict(file) for file in part.files]  # type: ignore[call-overload]
    return [files, part.start, part.stop, part.of_rows]


def from_json(described_part: Sequence[Any]) -> Part:
    """Return the part that `as_json` has described."""
    files, *of_range = described_part
    return Part(tuple(Path(file) if isinstance(file, str) else _remote(file) for file in files), *of_range)


def _remote(description: dict[str, Any]) -> TextFile:
    from w2v_exp.text.remote import RemoteFile

    return RemoteFile(**description)

"""Pieces of a text: a file's text as a stream of stretches of bounded size, cut at white space."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from w2v_exp.errors import CorpusError

PIECE_CHARACTERS = 1 << 20
LONGEST_WORD = 1 << 20  # characters; a text is cut at white space only, so this bounds the memory of reading
_SPACE = re.compile(r"\s")


def texts_of_files(files: Sequence[Path]) -> Iterator[Iterator[str]]:
    """Yield the text of each file, in pieces, with a line end where the words of two files would touch.

    To be read one after the other.

    Raises
    ------
    CorpusError
        If a file cannot be read, is truncated or is not UTF-8.
    """
    for file in files:
        yield _pieces_of(file, end="" if file is files[-1] else "\n")


def _pieces_of(file: Path, end: str) -> Iterator[str]:
    """Yield the text of a file in pieces, with `end` after it if it does not end in white space itself."""
    try:
        with open_bytes(file) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig") as stream:
            unfinished: list[str] = []  # what has been read since the last white space
            length = 0  # its characters
            while block := stream.read(PIECE_CHARACTERS):
                first_space = _SPACE.search(block)
                if length + (first_space.start() if first_space else len(block)) > LONGEST_WORD:
                    raise CorpusError(
                        f"{file} has more than {LONGEST_WORD:,} characters without white space between them, and a "
                        "text is read in pieces cut at white space. Put some between its words or lines."
                    )
                cut = _end_of_last_space(block)
                if cut:
                    yield "".join([*unfinished, block[:cut]])
                    unfinished, length = [], 0
                unfinished.append(block[cut:])
                length += len(block) - cut
            if rest := "".join(unfinished):
                yield rest + end
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{file} is not UTF-8 (byte 0x{error.object[error.start]:02x}: {error.reason}). "
            "Convert it first, for example with iconv -t UTF-8."
        ) from error
    except EOFError as error:
        raise CorpusError(f"{file} ends in the middle of its compressed data: it is truncated.") from error
    except (OSError, *DAMAGE) as error:
        raise CorpusError(f"{file} cannot be read: {error}.") from error


def _end_of_last_space(text: str) -> int:
    """Return where the last white space of a text ends, whichever of Unicode's it is; 0 if there is none."""
    return len(text) if text[-1].isspace() else len(text) - len(text.rsplit(maxsplit=1)[-1])


def open_bytes(file: Path) -> IO[bytes]:
    """Open a file to read what it holds: uncompressed, if its name ends in .gz, .bz2, .xz or .zip."""
    opener = _OPENERS.get(file.suffix.lower())
    return opener(file) if opener else file.open("rb")  # type: ignore[operator]


def open_zipped(file: Path) -> IO[bytes]:
    """Open the one file that a zip holds, whatever the zip itself is called.

    Raises
    ------
    zipfile.BadZipFile
        If it holds none or several, or is no zip. Reading may raise any of `DAMAGE`.
    """
    with zipfile.ZipFile(file) as archive:  # what it opens stays open after it
        # Not by `is_dir`, which cannot do with an empty name.
        held = [entry for entry in archive.infolist() if not entry.filename.endswith("/")]
        if len(held) != 1:
            raise zipfile.BadZipFile(f"the zip holds {len(held)} files, and must hold one")
        return archive.open(held[0])


# What reading compressed data raises where it is damaged; zipfile adds RuntimeError (encrypted, or compressed in
# ways that it does not know) and ValueError (offsets and names that cannot be).
DAMAGE = (EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, RuntimeError, ValueError)
_OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open, ".zip": open_zipped}

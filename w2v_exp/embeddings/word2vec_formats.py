"""The two formats of word2vec: a line ``V dim``, then each word with its vector, as text or as float32.

Source: the end of ``TrainModel`` in word2vec.c (Mikolov et al. 2013). gensim reads and writes them too.
"""

from __future__ import annotations

import io
import re
import reprlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import FormatError, UserError
from w2v_exp.memory import require_memory

LONGEST_WORD = 1 << 20  # bytes; a damaged file is not read to its end for a word that does not end
LONGEST_NUMBER = 64
HEADER = re.compile(rb"(\d{1,18})[ \t]+(\d{1,18})[ \t]*\r?\n")
NO_TEXT = re.compile(rb"[^\t\r\n -~]")  # what no number and no separator has
EXPONENTS = re.compile(rb"[:-@]")  # as last bytes of little-endian float32, those that are not digits as well
ASCII_WHITE_SPACE = re.compile(rb"[ \t\n\r\v\f]")


def text_rows(words: Sequence[str], vectors: NDArray[Any]) -> Iterator[bytes]:
    """Yield the text format: the header, then a line for each word.

    Nine significant digits bring every float32 back exactly, also by way of a double: they are off by at most
    about a sixth of the way to the middle between two float32.

    Raises
    ------
    UserError
        If a word cannot be written, or a value is too large for float32.
    """
    rounded = _as_float32(vectors)
    yield b"%d %d\n" % rounded.shape
    line = b"%s" + b" %.9g" * rounded.shape[1] + b"\n"
    for word, row in zip(_encoded(words), rounded, strict=True):
        yield line % (word, *row.tolist())


def binary_rows(words: Sequence[str], vectors: NDArray[Any]) -> Iterator[bytes]:
    r"""Yield the binary format: the header, then for each word: it, a space, little-endian float32, ``\n``.

    Raises
    ------
    UserError
        If a word cannot be written, or a value is too large for float32.
    """
    rounded = _as_float32(vectors)
    yield b"%d %d\n" % rounded.shape
    for word, row in zip(_encoded(words), rounded, strict=True):
        yield b"%s %s\n" % (word, row.tobytes())


def read_text(path: Path, stream: io.BufferedReader, size: int) -> tuple[list[str], NDArray[np.float32]]:
    """Read the text format from a stream of at most `size` bytes.

    The last line has to end like the others: without its end nobody knows whether its last number is whole.

    Raises
    ------
    FormatError
        If it is malformed, with the line.
    """
    vectors = _empty_vectors(path, stream, size, bytes_per_value=2)
    promised, dim = vectors.shape
    longest_line = LONGEST_WORD + LONGEST_NUMBER * (dim + 1)
    words = []
    for row in range(promised):
        where = f"{path}, line {row + 2}"
        line = stream.readline(longest_line)
        if len(line) == longest_line:
            raise FormatError(f"{where}: is longer than a word and {dim} numbers can be.")
        if not line.endswith(b"\n"):
            place = "in the middle of" if line else "before"
            raise FormatError(f"{where}: the file ends {place} this line; line 1 promises {promised} words.")
        word, *values = line.rstrip(b" \r\n").split(b" ")
        words.append(_decoded(where, word))
        if len(values) != dim:
            raise FormatError(f"{where}: has {len(values)} values where line 1 says {dim}.")
        with np.errstate(over="ignore"):  # what is too large becomes infinite, which `Embeddings` refuses
            vectors[row] = _numbers(where, values)
    surplus = stream.readline(LONGEST_NUMBER)
    if surplus:
        raise FormatError(
            f"{path}, line {promised + 2}: goes on with {reprlib.repr(surplus)} after the {promised} words "
            "that line 1 promises."
        )
    return words, vectors


def read_binary(path: Path, stream: io.BufferedReader, size: int) -> tuple[list[str], NDArray[np.float32]]:
    """Read the binary format from a stream of at most `size` bytes.

    word2vec ends each vector with a line end and gensim does not; either is read, but not a mixture.

    Raises
    ------
    FormatError
        If it is malformed, with the number of the word.
    """
    vectors = _empty_vectors(path, stream, size, bytes_per_value=4)
    promised = len(vectors)
    words: list[str] = []
    line_ends: bool | None = None  # known once there is something after the first vector
    for row in range(promised):
        where = f"{path}, word number {row + 1}"
        first = stream.read(1)
        if row:
            if line_ends is None:
                line_ends = first == b"\n"
            if line_ends != (first == b"\n"):
                raise FormatError(f"{where}: does not begin where it should; the file is damaged.")
            if line_ends:
                first = stream.read(1)
        words.append(_decoded(where, _rest_of_word(where, stream, first)))
        if stream.readinto(vectors[row]) != vectors[row].nbytes:
            raise FormatError(
                f"{where}: the file ends in the middle of its vector; line 1 promises {promised} words."
            )
    ending = stream.read(2)
    if line_ends and not ending:
        raise FormatError(f"{path}: the line end after the last vector is missing; the file is truncated.")
    if ending and (ending != b"\n" or line_ends is False):
        raise FormatError(f"{path}: goes on after the {promised} words that line 1 promises.")
    return words, vectors.astype(np.float32, copy=False)


def is_binary(rest: bytes, dim: int, *, expected: bool) -> bool:
    """Return whether what follows line 1 is the binary format, not the text one.

    If the first word's line ends in `dim` numbers, it is text; if there is something behind the word that no text
    has, binary; otherwise what is `expected`. One number of 2⁻¹¹ to 8 in size is enough to know binary: the last byte
    of such a float32 is not of a number's text.

    Parameters
    ----------
    rest : bytes
        Of the file, what follows line 1, or the beginning of it.
    dim : int
        How many numbers a vector has.
    expected : bool
        What it is where nothing tells.
    """
    _, _, behind_word = rest.partition(b" ")
    line, line_end, _ = behind_word.partition(b"\n")
    values = line.rstrip(b" \r").split(b" ")
    if line_end and len(values) == dim:
        with suppress(FormatError):
            _numbers("", values)
            return False
    vector = behind_word[: 4 * dim]
    return expected or bool(NO_TEXT.search(vector) or EXPONENTS.search(vector[3::4]))


def _encoded(words: Sequence[str]) -> Iterator[bytes]:
    for number, word in enumerate(words, 1):
        encoded = word.encode()
        problem = ""
        if word.split() != [word]:  # also at white space that is not ASCII: many readers split there
            problem = "has white space in it" if word else "is empty"
        elif len(encoded) > LONGEST_WORD:
            problem = f"takes more than {LONGEST_WORD} bytes"
        if problem:
            raise UserError(
                f"Word number {number}, {reprlib.repr(word)}, {problem}, "
                "which word2vec's formats cannot hold. Use .npz."
            )
        yield encoded


def _as_float32(vectors: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        rounded = np.ascontiguousarray(vectors, "<f4")
    if not np.isfinite([rounded.min(), rounded.max()]).all():
        raise UserError("A value is too large for float32, which word2vec's formats hold. Use .npz.")
    return rounded


def _empty_vectors(
    path: Path, stream: io.BufferedReader, size: int, *, bytes_per_value: int
) -> NDArray[np.float32]:
    """Read line 1 and return the array it promises, if a file of this size can hold it."""
    header = stream.readline(LONGEST_NUMBER)
    match = HEADER.fullmatch(header)
    if not match:
        raise FormatError(
            f"{path}, line 1: must be the number of words and the number of dimensions, such as '3000 100'; "
            f"{f'it is {reprlib.repr(header)}' if header else 'the file is empty'}."
        )
    promised, dim = map(int, match.groups())
    if not promised or not dim:
        raise FormatError(f"{path}, line 1: says {promised} words of {dim} dimensions; both must be above 0.")
    least = promised * (2 + bytes_per_value * dim)  # a word has a letter at least, and two separators
    if least > size - len(header):
        raise FormatError(
            f"{path}, line 1: says {promised} words of {dim} dimensions, which take {least} bytes or more, "
            f"but no more than {size - len(header)} follow. The file is truncated, or its first line is wrong."
        )
    require_memory(
        4 * promised * dim, f"{path}: {promised} words of {dim} dimensions", "Keep fewer words in the file."
    )
    return np.empty((promised, dim), "<f4")


def _rest_of_word(where: str, stream: io.BufferedReader, first: bytes) -> bytes:
    """Return the bytes before the next space; the first of them has been read."""
    word, letter = bytearray(), first
    while letter != b" ":
        word += letter
        if not letter or len(word) > LONGEST_WORD:
            problem = "does not end within 1 MiB" if letter else "ends with the file"
            raise FormatError(
                f"{where}: the word {problem}. The file is truncated, or its first line is wrong."
            )
        letter = stream.read(1)
    return bytes(word)


def _decoded(where: str, word: bytes) -> str:
    try:
        decoded = word.decode()
    except UnicodeDecodeError as error:
        raise FormatError(f"{where}: the word {reprlib.repr(word)} is not UTF-8 ({error.reason}).") from error
    if not word or ASCII_WHITE_SPACE.search(word):
        raise FormatError(f"{where}: the word {reprlib.repr(decoded)} is empty or has white space in it.")
    return decoded


def _numbers(where: str, values: list[bytes]) -> list[float]:
    try:
        if b"_" in b"".join(values):
            raise ValueError("a number has no '_'")  # though Python reads 1_0 as 10
        return list(map(float, values))
    except ValueError as error:
        raise FormatError(f"{where}: a value is not a number: {str(error)[:100]}.") from error

"""Files that embeddings are evaluated on: found by path or by name, read line by line."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from w2v_exp.errors import FormatError, SettingError, install_command
from w2v_exp.files import expanded

# Sets by name: files of the test data that gensim installs with itself.
WORD_PAIR_SETS = {"wordsim353": "wordsim353.tsv", "simlex999": "simlex999.txt"}
ANALOGY_SETS = {"questions-words": "questions-words.txt"}
LONGEST_LINE = 1 << 16  # bytes; a corpus that is named by mistake is not read to its end


def find_set(source: str | Path, named: Mapping[str, str]) -> Path:
    """Return the file of an evaluation set. gensim is not imported, only its folder looked for.

    Parameters
    ----------
    source : str or Path
        A name of `named`, or the path of a file.
    named : mapping of str to str
        Names, and the files in gensim's test data that they stand for.

    Raises
    ------
    SettingError
        If there is no such file, or the name needs gensim and it is not installed.
    """
    if source in named:
        path, missing = _in_gensim(named[str(source)])
    else:
        path = expanded(source)
        missing = f"no such file, seen from {Path.cwd()}. Give a path, or one of {', '.join(named)}."
    try:
        if path is not None and path.is_file():
            return path
    except OSError as error:  # too long a name, a folder that is shut
        missing = f"cannot be looked up: {error.strerror}."
    raise SettingError("source", source, missing)


def _in_gensim(file: str) -> tuple[Path | None, str]:
    """Return where gensim's installation should have a file, and what to say if it is not there."""
    package = find_spec("gensim")
    if package is None or package.origin is None:
        return None, (
            "comes with gensim, which is not installed; give the path of the file, or install it: "
            f"{install_command('evaluation')}"
        )
    path = Path(package.origin).parent / "test" / "test_data" / file
    # some distributors leave the tests of a package out
    return path, f"gensim was installed without its test data ({path}); give the path of the file."


def numbered_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield each line that is not blank, without its end, after the place to name in an error.

    Raises
    ------
    FormatError
        If the file cannot be read, is not UTF-8, or has a line that no word or question can be as long as.
    """
    try:
        with path.open("rb") as stream:
            number = 0
            while line := stream.readline(LONGEST_LINE):
                number += 1
                where = f"{path}, line {number}"
                if len(line) == LONGEST_LINE:
                    raise FormatError(
                        f"{where}: is longer than {LONGEST_LINE} bytes; this is no evaluation set."
                    )
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    raise FormatError(f"{where}: is not UTF-8 ({error.reason}).") from error
                if text.strip():
                    yield where, text.rstrip("\r\n")
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror or error}.") from error


def quoted(line: str) -> str:
    """Return a line for an error message: escaped, and not too long."""
    shortened = reprlib.Repr()
    shortened.maxstring = 60
    return shortened.repr(line)


def first_ids(words: Sequence[str], spelled: Callable[[str], str]) -> dict[str, int]:
    """Return the id of each word by its spelling; of words that are spelled alike, that of the first.

    The first is the most frequent one where ids are ordered by count. So gensim looks words of a set up
    (``case_insensitive=True``: by their upper case).

    >>> first_ids(["the", "Paris", "PARIS"], str.upper)
    {'THE': 0, 'PARIS': 1}
    """
    ids: dict[str, int] = {}
    for number, word in enumerate(words):
        ids.setdefault(spelled(word), number)
    return ids

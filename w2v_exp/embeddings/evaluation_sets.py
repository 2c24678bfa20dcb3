"""Files that embeddings are evaluated on: found by path or by name, read line by line."""

from __future__ import annotations

import csv
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
MOST_LINES = 1_000_000
SAMPLED_LINES = 1000  # by which the layout of a file is recognised
SEPARATORS = {
    "\t": "tabs",
    ";": "semicolons",
    ",": "commas",
    " ": "spaces",
}  # in the order in which they are tried


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
                where = f"{path}, line {number + 1}"
                if len(line) == LONGEST_LINE:
                    raise FormatError(
                        f"{where}: is longer than {LONGEST_LINE} bytes; this is no evaluation set."
                    )
                try:
                    text = line.decode("utf-8" if number else "utf-8-sig")
                except UnicodeDecodeError as error:
                    raise FormatError(
                        f"{where}: is not UTF-8 ({error.reason}). Convert the file, for example with iconv -t UTF-8."
                    ) from error
                for part in text.rstrip("\r\n").split("\r"):  # a lone \r ends a line of old Mac files
                    number += 1
                    if number > MOST_LINES:
                        raise FormatError(
                            f"{path}: has more than {MOST_LINES} lines; this is no evaluation set."
                        )
                    if part.strip():
                        yield f"{path}, line {number}", part
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror or error}.") from error


def split_fields(line: str, separator: str) -> list[str]:
    """Return the fields of a line.

    Tabs separate fields as they are. Commas and semicolons do as in CSV: a field may be in quotes, and white space
    around it is dropped. A space stands for white space of any length.

    >>> split_fields('"ice cream", cold, 5.5', ","), split_fields("sun  sunlight 50", " ")
    (['ice cream', 'cold', '5.5'], ['sun', 'sunlight', '50'])
    """
    if separator == "\t":
        return line.split("\t")
    if separator == " ":
        return line.split()
    try:
        (fields,) = csv.reader([line], delimiter=separator, skipinitialspace=True, strict=True)
    except (csv.Error, ValueError):  # an open quote
        return []
    return [field.strip() for field in fields]


def separator_of(lines: Sequence[str], is_row: Callable[[list[str]], bool]) -> str | None:
    """Return the separator by which at least half of the lines are rows; None if there is none.

    Tabs are tried first, then semicolons, commas and white space.
    """
    for separator in SEPARATORS:
        rows = sum(is_row(split_fields(line, separator)) for line in lines)
        if rows and 2 * rows >= len(lines):
            return separator
    return None


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

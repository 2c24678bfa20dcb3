"""Errors that a user can correct, checks of settings that raise them, and values formatted for messages."""

from __future__ import annotations

import argparse
import json
import math
import operator
import pkgutil
import re
import reprlib
import shlex
import sys
import textwrap
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import fields
from difflib import get_close_matches
from numbers import Real
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import numpy as np

LONGEST_SHOWN = 200  # characters of a value in a message
_ENDLESS = re.compile(r"\S{1001,}")
JOINERS = "\u200c\u200d"  # not printable, but Persian and the scripts of India are spelled with them


def has_shape(character: str) -> bool:
    """Return whether a terminal displays a character instead of executing it.

    Control characters, lone surrogates, and marks that change the direction of writing have no shape.
    """
    return character.isprintable() or character in JOINERS or unicodedata.category(character) == "Zs"


def visible(text: str) -> str:
    r"""Replace characters without a shape, except line ends and tabs, by ``�``.

    Values, file names and words of a corpus come from outside and must not control a terminal.

    >>> visible("a\x1b[31mb\u202e\n")
    'a�[31mb�\n'
    """
    if text.isprintable():
        return text
    return "".join(c if has_shape(c) or c in "\n\t" else "�" for c in text)


def shown(text: str, longest: int = 24) -> str:
    r"""Return a text for display on one line.

    Characters without a shape (see `has_shape`) become ``�``, and a text of more than `longest` characters is cut.

    >>> shown("a\x1b[31mb"), shown("wordlessness", longest=5)
    ('a�[31mb', 'word…')
    """
    plain = "".join(c if c.isprintable() or c in JOINERS else "�" for c in text)
    return plain if len(plain) <= longest else plain[: longest - 1] + "…"


_PROGRAMS = "w2v-exp|python|pip|iconv|pdftotext|zstd|gzip|lz4|lzip|mlflow|git"
# Parts of a message without a line break: keys with values, quotations, and commands to the end of their clause.
_UNBROKEN = re.compile(
    rf"""^[\w.]+=[^\n]*?:(?=\s) | (?<!\w)(?:'[^'\n]*'|"[^"\n]*"|`[^`\n]*`)(?!\w)
    | (?<![\w/.-])(?:{_PROGRAMS})\ (?:'[^'\n]*'|"[^"\n]*"|[^'"\n])*?(?=[.:,;)]+\s|\s\(|[.:)]*\s*$)""",
    re.VERBOSE | re.MULTILINE,
)


def wrapped(text: str, width: int) -> str:
    """Break lines of more than `width` characters at spaces, but not within a word, a quotation or a command.

    These may be longer than a line, which a terminal breaks by itself: copied, they are whole. Indented lines, as in
    the usage of a command, are unchanged.

    >>> print(wrapped("It is UTF-16. Convert it: iconv -f UTF-16 -t UTF-8.", 24))
    It is UTF-16. Convert
    it:
    iconv -f UTF-16 -t UTF-8.
    """
    if all(len(line) <= width for line in text.split("\n")):
        return text
    joined = _UNBROKEN.sub(lambda found: found[0].replace(" ", "\0"), text)
    lines = [_wrapped_line(line, width) for line in joined.split("\n")]
    return "\n".join(lines).replace("\0", " ")


def _wrapped_line(line: str, width: int) -> str:
    if len(line) <= width or line.startswith(" "):
        return line
    end = line[len(line.rstrip(" ")) :]  # the message may continue
    return "\n".join(textwrap.wrap(line, width, **_AT_SPACES)) + end


_AT_SPACES: dict[str, Any] = {
    "break_long_words": False,
    "break_on_hyphens": False,
    "expand_tabs": False,
    "replace_whitespace": False,
}


class UserError(Exception):
    """A mistake of the user, with a message for that person.

    The message is shown without control characters; of words of more than 1,000 characters only the beginning is shown.
    """

    def __str__(self) -> str:
        """Return the message, safe to print."""
        return visible(_ENDLESS.sub(lambda found: f"{found[0][:LONGEST_SHOWN]}…", super().__str__()))


class SettingError(UserError):
    """A setting whose value cannot be used.

    Parameters
    ----------
    key : str
        Key of the setting in the configuration.
    value : object
        Its value.
    problem : str
        The problem and its remedy, as the end of a sentence that begins with key and value.
    """

    def __init__(self, key: str, value: object, problem: str) -> None:
        super().__init__(f"{key}={_shown(value)}: {problem}")
        self.key = key
        self.value = value
        self.problem = problem

    def __reduce__(self) -> tuple[type[SettingError], tuple[str, object, str]]:
        """Pickle key, value and problem; by default only the message would be sent to another process."""
        return SettingError, (self.key, self.value, self.problem)

    def within(self, group: str) -> SettingError:
        """Return the same error with its key below `group` (``decay`` becomes ``schedule.decay``)."""
        return SettingError(f"{group}.{self.key}", self.value, self.problem)


def _shown(value: object) -> str:
    """Return a value for a message; of thousands of digits or characters only the beginning."""
    try:
        text = str(value)
    except ValueError:  # Python converts no integer of more than 4,300 digits
        return "(a number of thousands of digits)"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


class CorpusError(UserError):
    """A text that cannot be read, or from which nothing can be trained."""


class FormatError(UserError):
    """A file of embeddings that is damaged or violates its format."""


class WordNotSupportedError(UserError):
    """A word that a file format cannot represent."""


class TrainingDivergedError(UserError):
    """The cost stopped being a finite number."""


def install_command(extra: str) -> str:
    """Return the command that adds an extra to this installation of the project.

    The project is on no package index, so pip needs the origin of this copy, which installers record in
    ``direct_url.json`` (PEP 610). For a checkout that was never installed it is the checkout itself; a copy from an
    index needs only its name.

    >>> install_command("sotu").startswith("pip install ")
    True
    """
    from importlib.metadata import PackageNotFoundError, distribution  # 7 ms

    checkout = Path(__file__).resolve().parents[1]
    try:
        recorded = distribution("w2v_exp").read_text("direct_url.json")
    except PackageNotFoundError:
        recorded = json.dumps({"url": checkout.as_uri(), "dir_info": {}})
    if recorded is None:
        return _pip_install(f"w2v_exp[{extra}]")
    origin = json.loads(recorded)
    parts = urlsplit(origin["url"])
    if parts.scheme == "file" and "dir_info" in origin:
        options = ["-e"] if origin["dir_info"].get("editable") else []
        return _pip_install(*options, f"{_shortened(Path(unquote(parts.path)))}[{extra}]")
    vcs = origin.get("vcs_info")
    address = f"{vcs['vcs']}+{origin['url']}@{vcs['commit_id']}" if vcs else origin["url"]
    return _pip_install(f"w2v_exp[{extra}] @ {address}")


def _shortened(folder: Path) -> str:
    return "." if folder == Path.cwd() else str(folder)


def _pip_install(*arguments: str) -> str:
    return shlex.join(["pip", "install", *arguments])


def spelled(value: object) -> str:
    """Return a value for display, as it is written on the command line, without quotes.

    >>> spelled(None), spelled(True), spelled([0.3, "auto"])
    ('null', 'true', '[0.3, auto]')
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(spelled, value))}]"
    return str(value)


_SHORT = reprlib.Repr()
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = _SHORT.maxset = 3
_SHORT.maxlevel = 2
_SHORT.maxstring = _SHORT.maxother = 80


def short(value: object) -> str:
    """Return a representation of a value on one line: dtype and shape of an array, the beginning of a long list.

    >>> short(np.zeros((3, 2))), short([1, 2, 3, 4, 5])
    ('float64[3, 2]', '[1, 2, 3, ...] (5)')
    """
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{list(value.shape)}"
    if isinstance(value, ShortRepr):
        return repr(value)
    text = " ".join(_SHORT.repr(value).split())
    many = isinstance(value, (list, tuple, dict)) and len(value) > _SHORT.maxlist
    return f"{text} ({len(value):,})" if many else text  # type: ignore[arg-type]


class ShortRepr:
    """Base of dataclasses with a representation on one line; declare them with ``repr=False``."""

    def __repr__(self) -> str:
        this: Any = self
        shown = (f"{field.name}={short(getattr(self, field.name))}" for field in fields(this) if field.repr)
        return f"{type(self).__name__}({', '.join(shown)})"


LARGEST = 2**63 - 1  # the largest integer of NumPy and of databases


def require_whole(key: str, value: Any, *, at_least: int, at_most: int = LARGEST) -> int:
    """Return an integer of Python or NumPy, or an array without dimensions, as an ``int``.

    Raises
    ------
    SettingError
        If it is not an integer (or a bool), or out of bounds.
    """
    try:
        number = None if isinstance(value, (bool, np.bool_)) else operator.index(value)
    except TypeError:
        number = None
    if number is not None and at_least <= number <= at_most:
        return number
    if number is not None and number > at_most:
        raise SettingError(key, value, f"must be a whole number from {at_least:,} to {at_most:,}.")
    raise SettingError(key, value, f"must be a whole number, {at_least} or more.")


def require_number(
    key: str,
    value: Any,
    *,
    above: float = -math.inf,
    at_least: float = -math.inf,
    below: float = math.inf,
    at_most: float = math.inf,
) -> float:
    """Return a real number of Python or NumPy, or an array without dimensions, as a ``float``.

    Raises
    ------
    SettingError
        If it is not a finite number (or a bool), or outside the given bounds.
    """
    number = math.nan
    is_scalar = isinstance(value, Real) or (isinstance(value, np.ndarray) and value.ndim == 0)
    if is_scalar and not isinstance(value, (bool, np.bool_)) and np.asarray(value).dtype.kind in "iufO":
        with suppress(TypeError, ValueError, OverflowError):
            number = float(value)
    if math.isfinite(number) and above < number < below and at_least <= number <= at_most:
        return number
    bounds = [
        f"{name} {bound:g}"
        for name, bound in (("above", above), ("at least", at_least), ("below", below), ("at most", at_most))
        if math.isfinite(bound)
    ]
    raise SettingError(key, value, f"must be a number {' and '.join(bounds)}".rstrip() + ".")


def require_kind(key: str, value: Any, kinds: type | tuple[type, ...], description: str) -> None:
    """Raise `SettingError` unless `value` is an object of one of these classes."""
    if not isinstance(value, kinds):
        raise wrong_kind(key, value, description)


def require_methods(key: str, value: Any, *methods: str, description: str) -> None:
    """Raise `SettingError` unless `value` is an object, not a class, that has these methods or attributes."""
    if isinstance(value, type) or not all(hasattr(value, method) for method in methods):
        raise wrong_kind(key, value, description)


def check_path(settings: object, key: str, description: str) -> None:
    """Check a path in a field of a dataclass, even a frozen one, and store it as ``str``; None is allowed."""
    path = getattr(settings, key)
    require_kind(key, path, (str, Path, type(None)), description)
    if isinstance(path, Path):
        object.__setattr__(settings, key, str(path))


def wrong_kind(key: str, value: object, description: str) -> SettingError:
    """Return the error for an argument of the wrong kind."""
    kind = f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
    return SettingError(key, short(value), f"must be {description}, not {kind}.")


def require_array(key: str, value: Any, kinds: str, dimensions: int, description: str) -> None:
    """Raise `SettingError` unless `value` is an array of these kinds of numbers (`dtype.kind`) and dimensions."""
    if not isinstance(value, np.ndarray):
        raise wrong_kind(key, value, description)
    if value.ndim != dimensions or value.dtype.kind not in kinds:
        raise SettingError(key, short(value), f"must be {description}.")


def require_floating(key: str, dtype: Any) -> None:
    """Raise `SettingError` unless `dtype` is float32 or float64."""
    try:
        known = np.dtype(dtype) in (np.float32, np.float64)
    except TypeError:
        known = False
    if not known:
        raise SettingError(key, short(dtype), "must be float32 or float64.")


def check_whole(settings: object, *keys: str, at_least: int, at_most: int = LARGEST) -> None:
    """Check fields of a dataclass, even a frozen one, by `require_whole`, and store them as ``int``."""
    for key in keys:
        number = require_whole(key, getattr(settings, key), at_least=at_least, at_most=at_most)
        object.__setattr__(settings, key, number)


def check_number(settings: object, key: str, **bounds: float) -> None:
    """Check a field of a dataclass, even a frozen one, by `require_number`, and store it as ``float``."""
    object.__setattr__(settings, key, require_number(key, getattr(settings, key), **bounds))


def require_choice(key: str, value: str, choices: Iterable[str]) -> None:
    """Raise `SettingError`, with a suggestion, unless `value` is one of `choices`."""
    known = list(choices)
    if value not in known:
        raise SettingError(
            key, value, f"not an option{suggestion(str(value), known)} Options: {', '.join(known)}."
        )


_ADDRESS = re.compile(r"([\w+.-]+)://(.*)", re.DOTALL)
_SECRET = re.compile(
    r"pass|pwd|secret|token|credential|signature|^sig$|auth|(api|access|private)[_-]?key", re.IGNORECASE
)


def require_import(key: str, name: str) -> Any:
    """Return the object of a dotted name, or raise `SettingError`; modules in the current folder are found."""
    here = str(Path.cwd())
    if here not in sys.path:  # `python -m` searches the current folder, the console script does not
        sys.path.insert(0, here)
    try:
        return pkgutil.resolve_name(name)
    except Exception as error:  # importing a module may raise anything
        raise SettingError(key, name, f"cannot be imported ({type(error).__name__}: {error}).") from error


def refuse_secret(key: str, address: str, remedy: str) -> None:
    """Raise `SettingError` if an address contains a password or token, which all readers of a run would see.

    That is: a user with a password before the last ``@``, with any characters in the password; a user alone in ``http``
    and ``https``, where it is a token; or a parameter with a telling name. The message contains none of it.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        return
    scheme, rest = found.groups()
    user, at, host = ("", "", rest) if rest.startswith("/") else rest.rpartition("@")  # no host: a file
    place, *query = re.split(r"[?#]", rest, maxsplit=1)
    names = [name for name, _ in parse_qsl(re.sub("[;#]", "&", "".join(query)), keep_blank_values=True)]
    if at and (":" in user or scheme.lower().startswith("http")):
        shown = f"…@{re.split('[?#]', host)[0]}"
    elif any(map(_SECRET.search, names)):
        shown = f"{place}?…"
    else:
        return
    raise SettingError(
        key,
        f"{scheme}://{shown}",
        f"must not hold a password or token: it would be stored with the runs. {remedy}",
    )


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return ``", did you mean …?"`` with the closest of the known words, or ``"."`` if none is close.

    >>> suggestion("windw", ["window", "dim"])
    ', did you mean window?'
    >>> suggestion("zzz", ["window", "dim"])
    '.'
    """
    close = get_close_matches(word, list(known), n=1, cutoff=0.55)
    return f", did you mean {close[0]}?" if close else "."


class SuggestingParser(argparse.ArgumentParser):
    """A parser that suggests the closest choice for one that it does not have."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = [*map(str, action.choices)]
            raise argparse.ArgumentError(
                action,
                f"invalid choice: {value!r}{suggestion(str(value), known)} Choices: {', '.join(known)}.",
            )

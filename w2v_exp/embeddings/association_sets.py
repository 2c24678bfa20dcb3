"""Tests of association: sets of words from files, and the published ones."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from w2v_exp.errors import FormatError, SettingError, ShortRepr, short, shown, suggestion
from w2v_exp.files import expanded

PUBLISHED = Path(__file__).with_name("associations.yaml")
LARGEST_FILE = (
    1 << 18
)  # bytes: the parser, in Python so that no nesting can overflow it, reads 50 kB a second
LONGEST_NAME = 100
MOST_WORDS = 1000  # of a set: memory of a test is quadratic in them
# By the numbers of sets of targets and of attributes.
KINDS = {(2, 2): "WEAT", (1, 2): "SC-WEAT", (2, 1): "RND"}
SHAPES = (
    "two targets and two attributes (WEAT), one target and two attributes (SC-WEAT), or two targets and one "
    "attribute (RND)"
)

WordSets = Mapping[str, Sequence[str]]


@dataclass(frozen=True, repr=False)
class AssociationTest(ShortRepr):
    """Sets of words whose associations are compared.

    The numbers of sets make the kind of the test: two targets and two attributes are a WEAT, one target and two
    attributes its single-category form, two targets and one attribute the relative norm distance. See `associate`.

    Parameters
    ----------
    name : str
        Lower-case letters, digits and underscores: it is a part of the name of a metric.
    targets, attributes : mapping of str to sequence of str
        One or two sets of words, by name. No word may be in two sets, or twice in one; case does not count. A set has
        at most 1,000 words.

    Raises
    ------
    SettingError
        If a set is empty, a word is repeated, or there is no test with these numbers of sets.
    """

    name: str
    targets: WordSets
    attributes: WordSets
    kind: str = field(init=False)

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and re.fullmatch(r"[a-z0-9_]+", self.name)):
            raise SettingError(
                "name", short(self.name), "must be lower-case letters (a to z), digits and underscores."
            )
        if len(self.name) > LONGEST_NAME:
            raise SettingError("name", self.name, f"is longer than {LONGEST_NAME} characters.")
        seen: dict[str, str] = {}
        for key in ("targets", "attributes"):
            sets = getattr(self, key)
            if not isinstance(sets, Mapping):
                raise SettingError(key, short(sets), "must be sets of words by name: {name: [word, …], …}.")
            object.__setattr__(self, key, {name: tuple(words) for name, words in sets.items()})
            for name, words in sets.items():
                _check_set(key, str(name), words, seen)
        kind = KINDS.get((len(self.targets), len(self.attributes)))
        if kind is None:
            numbers = f"{len(self.targets)} sets of targets and {len(self.attributes)} of attributes"
            raise SettingError(
                "targets", short([*self.targets]), f"{numbers} are no test. A test has {SHAPES}."
            )
        object.__setattr__(self, "kind", kind)

    @property
    def sets(self) -> dict[str, tuple[str, ...]]:
        """All sets by name, targets first."""
        return {**self.targets, **self.attributes}  # type: ignore[dict-item]

    @classmethod
    def read(cls, source: str | Path) -> list[AssociationTest]:
        """Read a published test, or all tests of a file.

        A file is YAML. ``sets`` are lists of words by name; ``tests`` name their ``targets`` and ``attributes``, which
        are sets of the file or published ones. Words are text, whatever they look like: ``no`` is a word.

        Parameters
        ----------
        source : str or Path
            The name of a published test, such as ``weat7``, or the path of a file.

        Raises
        ------
        SettingError
            If there is neither a test nor a file of this name.
        FormatError
            If the file is malformed; names the line.
        """
        published = published_tests()
        if str(source) in published:
            return [published[str(source)]]
        return [*_read_file(find_tests(source), published_sets()).tests.values()]


def find_tests(source: str | Path) -> Path:
    """Return the file of a test: that of the published ones, or the path itself.

    Raises
    ------
    SettingError
        If there is neither a test nor a file of this name.
    """
    published = published_tests()
    if str(source) in published:
        return PUBLISHED
    path = expanded(source)
    missing = f"no such file, seen from {Path.cwd()}. Give a path, or one of {', '.join(published)}."
    try:
        if path.is_file():
            return path
    except (OSError, ValueError) as error:  # a name that is too long, or has a NUL byte
        missing = f"cannot be looked up: {getattr(error, 'strerror', None) or error}."
    raise SettingError("source", source, missing)


@dataclass(frozen=True)
class _File:
    sets: dict[str, list[str]]
    tests: dict[str, AssociationTest]


@cache
def _published() -> _File:
    return _read_file(PUBLISHED, {})


def published_tests() -> dict[str, AssociationTest]:
    """Return the published tests by name: WEAT 1 to 10, and those of Garg et al."""
    return dict(_published().tests)


def published_sets() -> dict[str, list[str]]:
    """Return the published sets of words by name."""
    return dict(_published().sets)


def _check_set(key: str, name: str, words: Any, seen: dict[str, str]) -> None:
    """Raise `SettingError` for a set that is empty or repeats a word; `seen` has the set of each word so far."""
    if not name.isprintable() or len(name) > LONGEST_NAME:
        raise SettingError(
            key, name, f"is no name of a set: it must be printable, with at most {LONGEST_NAME} characters."
        )
    if isinstance(words, str) or not isinstance(words, Sequence) or not words:
        raise SettingError(key, name, "must be a list of at least one word.")
    if len(words) > MOST_WORDS:
        raise SettingError(key, name, f"has {len(words):,} words; at most {MOST_WORDS:,} are supported.")
    for word in words:
        if not isinstance(word, str) or not word.strip():
            raise SettingError(key, name, f"has {short(word)}, which is not a word.")
        if (other := seen.get(word.upper())) is not None:
            where = "twice" if other == name else f"in common with {shown(other, 60)}"
            raise SettingError(key, name, f"has {shown(word, 40)} {where} (case does not count).")
        seen[word.upper()] = name


# ------------------------------------------------------------ files


def _read_file(path: Path, known: Mapping[str, list[str]]) -> _File:
    """Return the sets and tests of a file; tests may name `known` sets as well."""
    parts = _mapping(_parse(path), path, "The file", ("sets", "tests"))
    sets = {
        name: _words(node, path, f"set {shown(name, 60)}")
        for name, node in (_mapping(parts["sets"], path, "sets") if "sets" in parts else {}).items()
    }
    if "tests" not in parts:
        raise FormatError(
            f"{path}: has no tests. Add: tests: {{my_test: {{targets: [set, set], attributes: [set, set]}}}}"
        )
    tests = {}
    for name, node in _mapping(parts["tests"], path, "tests").items():
        fields = _mapping(node, path, f"test {shown(name, 60)}", ("targets", "attributes"))
        chosen: dict[str, dict[str, list[str]]] = {}
        for key in ("targets", "attributes"):
            if key not in fields:
                raise _malformed(path, node, f"test {shown(name, 60)} has no {key}.")
            names = _words(fields[key], path, f"{key} of test {shown(name, 60)}", "name of a set")
            chosen[key] = {one: _found(one, {**known, **sets}, path, fields[key]) for one in names}
            if len(chosen[key]) < len(names):
                raise _malformed(path, fields[key], f"{key} of test {shown(name, 60)} has a set twice.")
        try:
            tests[name] = AssociationTest(name, **chosen)
        except SettingError as error:
            raise _malformed(path, node, f"test {shown(name, 60)}: {error}") from None
    if not tests:
        raise _malformed(path, parts["tests"], "tests is empty.")
    return _File(sets, tests)


def _parse(path: Path) -> Any:
    """Return the root node of a YAML file; nodes have lines, and their values are text."""
    import yaml  # 40 ms

    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror or error}.") from error
    if len(content) > LARGEST_FILE:
        raise FormatError(f"{path}: is larger than {LARGEST_FILE:,} bytes; it is not a file of word sets.")
    try:
        root = yaml.compose(content, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}, line {mark.line + 1}" if mark else f"{path}"
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "damaged"
        raise FormatError(f"{where}: is not valid YAML ({problem}).") from error
    except (RecursionError, ValueError) as error:  # nested too deep; an escape that is no character
        raise FormatError(f"{path}: is not valid YAML ({type(error).__name__}).") from error
    if root is None:
        raise FormatError(f"{path}: is empty; it must have sets and tests.")
    return root


def _mapping(node: Any, path: Path, what: str, keys: Sequence[str] = ()) -> dict[str, Any]:
    """Return the nodes of a mapping by key; with `keys`, no others are allowed."""
    if node.id != "mapping":
        raise _malformed(path, node, f"{what} must be a mapping: lines of `name: value`.")
    found: dict[str, Any] = {}
    for key, value in node.value:
        name = key.value if key.id == "scalar" else ""
        if not name:
            raise _malformed(path, key, f"{what} has a key that is not a name.")
        if keys and name not in keys:
            raise _malformed(
                path, key, f"{what} has the unknown key {shown(name, 60)}{suggestion(name, keys)}"
            )
        if name in found:
            raise _malformed(path, key, f"{what} has {shown(name, 60)} twice.")
        found[name] = value
    return found


def _words(node: Any, path: Path, what: str, item: str = "word") -> list[str]:
    """Return the texts of a list of scalars."""
    if node.id != "sequence":
        raise _malformed(path, node, f"{what} must be a list: [{item}, {item}].")
    for one in node.value:
        if one.id != "scalar" or not one.value.strip():
            raise _malformed(path, one, f"{what} has an entry that is not a {item}.")
    words = [one.value.strip() for one in node.value]
    if not words:
        raise _malformed(path, node, f"{what} is empty.")
    return words


def _found(name: str, sets: Mapping[str, list[str]], path: Path, node: Any) -> list[str]:
    if name not in sets:
        raise _malformed(path, node, f"there is no set {shown(name, 60)}{suggestion(name, sets)}")
    return sets[name]


def _malformed(path: Path, node: Any, problem: str) -> FormatError:
    return FormatError(f"{path}, line {node.start_mark.line + 1}: {problem}")

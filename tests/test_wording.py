"""Plain technical English: openings and words that CONTRIBUTING rules out stay out of code, configuration and docs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Rule 1: a noun instead of a relative clause at the beginning of a heading, cell, docstring or message.
OPENING = re.compile(r"^(?:What|Whatever|Whoever|Whether what|How far)\b")
# Rules 2 and 3: software does not talk; one term per concept.
WORDS = re.compile(
    r"\b(?:tells?|told|says?|said|knows|asks|asked|remembers?|so many|as many as|as often as|"
    r"go(?:es|ing)? on (?:from|with|where)|be given again|of before)\b",
    re.IGNORECASE,
)


def first_lines(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the first lines of all docstrings of a module, and its messages: strings that read like a sentence."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    with_docstring = [
        node for node in ast.walk(tree) if isinstance(node, documented) and ast.get_docstring(node)
    ]
    docstrings = {node.body[0].value for node in with_docstring}
    for docstring in docstrings:
        yield docstring.lineno, docstring.value.strip().splitlines()[0]
    sentence = re.compile(r"^[A-Z][a-z]* [a-z]|\. [A-Z]|[a-z] [a-z]+\.$")
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings
        if is_text and sentence.search(node.value):
            yield node.lineno, node.value


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Yield headings, cells and lines of a Markdown page, without code."""
    text = re.sub(r"^( *)```.*?^\1```", lambda code: "\n" * code[0].count("\n"), text, flags=re.S | re.M)
    for number, line in enumerate(text.splitlines(), 1):
        plain = re.sub(r"`[^`]*`|\]\([^)]*\)|<!--.*?-->", "", line)
        for part in plain.split("|") if line.startswith("|") else [plain]:
            yield number, re.sub(r"^[#>\-* ]+|^\d+\. ", "", part).strip()


def comments(text: str) -> Iterator[tuple[int, str]]:
    """Yield the comments of a YAML file."""
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.search(r"# (.*)", line):
            yield number, match[1]


def texts(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines to check of a file."""
    if file.suffix == ".py":
        return first_lines(file)
    text = file.read_text(encoding="utf-8")
    return prose(text) if file.suffix == ".md" else comments(text)


PATTERNS = ("*.md", "docs/**/*.md", "conf/**/*.yaml", "w2v_exp/**/*.py", "scripts/**/*.py")
NAMES = sorted(file.relative_to(ROOT).as_posix() for pattern in PATTERNS for file in ROOT.glob(pattern))
EXEMPT = {"CONTRIBUTING.md", "CHANGELOG.md"}  # the rules themselves; the past


@pytest.mark.parametrize("name", sorted(set(NAMES) - EXEMPT))
def test_wording(name: str) -> None:
    found = [
        (number, text) for number, text in texts(ROOT / name) if OPENING.search(text) or WORDS.search(text)
    ]
    assert found == [], "see 'Style of the language' in CONTRIBUTING.md"

"""Escaping of outside text: for terminals, Markdown, CSV and spreadsheets."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from w2v_exp.errors import has_shape, shown, visible

if TYPE_CHECKING:
    from rich.console import Console


# Characters without a meaning in any Markdown dialect: letters, digits, some signs; an underscore or full stop inside
# a word (but not that of www.), a full stop or colon at its end.
_PLAIN = re.compile(
    r"""[^\W_] | [^\x00-\x7f] | [ =,()/%+?'"-] | (?<=[^\W_])(?<![wW]{3})[_.](?=[^\W_]) | [.:](?=\ |$)""",
    re.VERBOSE,
)


def markdown(text: str, longest: int = 60) -> str:
    """Return a text escaped for Markdown and its tables; doubtful characters become entities.

    >>> markdown("objective.update=sum"), markdown("<b>|*")
    ('objective.update=sum', '&#60;b&#62;&#124;&#42;')
    """
    plain = shown(text, longest)
    return "".join(c if _PLAIN.match(plain, i) else f"&#{ord(c)};" for i, c in enumerate(plain))


def code_span(text: str) -> str:
    """Return a text as a code span of Markdown, for any backticks in it (CommonMark, section 6.1).

    >>> code_span("window=3"), code_span("corpus.text='a `b`'")
    ('`window=3`', "`` corpus.text='a `b`' ``")
    """
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    line = " ".join(visible(text).split("\n"))
    return f"{fence}{line}{fence}" if len(fence) == 1 else f"{fence} {line} {fence}"


_FORMULA = re.compile(r"'*[=+@\t\r-]")  # the start of a formula of a spreadsheet, or of an escaped one
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def table_cells(row: Iterable[Any]) -> list[Any]:
    r"""Return the cells of a CSV or TSV row, escaped for terminals and spreadsheets; `table_text` is the inverse.

    Backslashes and invisible characters become Python's escapes (``\x1b``). A text that a spreadsheet would take for a
    formula gets a leading apostrophe (OWASP, CSV injection), and so does one with apostrophes before a formula. Numbers
    are unchanged.

    >>> table_cells(["word", "=1+1", "-0.5", "a\x1b[0m", 3])
    ['word', "'=1+1", '-0.5', 'a\\x1b[0m', 3]
    """
    return [_cell(value) if isinstance(value, str) else value for value in row]


def _cell(text: str) -> str:
    if _NUMBER.fullmatch(text):
        return text
    quoted = "'" + text if _FORMULA.match(text) else text
    if quoted.isprintable() and "\\" not in quoted:
        return quoted
    return "".join(c if has_shape(c) and c != "\\" else _escaped(c) for c in quoted)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode()


def table_text(cell: str) -> str:
    """Return the text of a cell that `table_cells` escaped."""
    text = re.sub(
        r"\\(?:\\|[tnr]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})",
        lambda found: found[0].encode().decode("unicode_escape"),
        cell,
    )
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def visible_console(*, stderr: bool = False, width: int | None = None) -> Console:
    """Return a Rich console that replaces control characters in printed texts."""
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

    class VisibleConsole(Console):
        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else Segment(visible(segment.text), segment.style)

    stream = sys.stderr if stderr else sys.stdout
    while raw := getattr(stream, "rich_proxied_file", None):  # a `VisibleStream`, or that of a progress bar
        stream = raw
    return VisibleConsole(file=stream, width=width)

"""HTML by which a notebook shows an object: tables without scripts, with all texts escaped."""

from __future__ import annotations

import html
import numbers
from collections.abc import Mapping, Sequence

from w2v_exp.errors import shown

LONGEST_CELL, LONGEST_TEXT = 40, 300  # characters
ROWS = 10


def escaped(value: object, longest: int = LONGEST_CELL) -> str:
    r"""Return a value as HTML: a number with separators, or a text that is escaped and cut.

    >>> escaped("<script>\x1b"), escaped(12000), escaped(0.51234)
    ('&lt;script&gt;�', '12,000', '0.51234')
    """
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return f"{int(value):,}"
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return f"{float(value):,.6g}"
    line = " ".join(str(value)[: 2 * longest].split())  # line ends become spaces
    return html.escape(shown(line, longest))


def card(
    title: str, facts: Sequence[str], columns: Mapping[str, Sequence[object]] | None = None, text: str = ""
) -> str:
    """Return the HTML of an object: a line of facts, a table, and the beginning of a text.

    Parameters
    ----------
    title : str
        Its class, in bold.
    facts : sequence of str
        Printed in a line; not escaped yet.
    columns : mapping of str to sequence, optional
        The columns of the table by their headings. Words and numbers; not escaped yet.
    text : str
        The text, which is cut.
    """
    line = ", ".join(escaped(fact, LONGEST_TEXT) for fact in facts)
    parts = [f"<p><b>{escaped(title)}</b>: {line}</p>"]
    if columns and any(columns.values()):
        heads = "".join(_cell("th", heading, values) for heading, values in columns.items())
        rows = zip(*columns.values(), strict=True)
        cells = ("".join(_cell("td", value, [value]) for value in row) for row in rows)
        body = "".join(f"<tr>{row}</tr>" for row in cells)
        parts.append(f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>")
    if text:
        parts.append(f'<blockquote style="overflow-wrap:anywhere">{escaped(text, LONGEST_TEXT)}</blockquote>')
    return f"<div>{''.join(parts)}</div>"


def _cell(tag: str, content: object, values: Sequence[object]) -> str:
    """Return a cell, aligned as the values of its column: texts to the left."""
    are_texts = any(isinstance(value, str) for value in values)
    longest = LONGEST_TEXT if tag == "td" else LONGEST_CELL
    style = f"text-align:{'left' if are_texts else 'right'};padding:0.1em 1em 0.1em 0"
    return f'<{tag} style="{style}">{escaped(content, longest)}</{tag}>'

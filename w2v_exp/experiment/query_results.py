"""Results of queries: as data for programs, and as tables for people."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.similarity import Similar
from w2v_exp.errors import shown
from w2v_exp.reporting.escape import visible_console
from w2v_exp.reporting.intervals import number_text


class Result(NamedTuple):
    """The result of a query.

    Parameters
    ----------
    data : dict
        For programs: values that JSON can hold.
    text : renderable
        For people: text that rich can print.
    """

    data: dict[str, Any]
    text: RenderableType


def print_result(result: Result, as_json: bool, source: dict[str, str]) -> None:
    """Print a result, or its data and where they come from as JSON."""
    if as_json:  # in ASCII, so that no word can control a terminal
        print(json.dumps(source | result.data, indent=1))
    else:
        visible_console().print(result.text)


def word_rows(embeddings: Embeddings, similar: Similar) -> list[dict[str, Any]]:
    """Return words with scores and counts, for programs."""
    return [{"word": word, "score": score, "count": _count(embeddings, word)} for word, score in similar]


def word_table(embeddings: Embeddings, similar: Similar, score: str, title: str) -> Group:
    """Return a table of words with scores and counts, under a title."""
    table = plain_table("word", score, *(["count"] if embeddings.counts is not None else []))
    for word, value in similar:
        count = _count(embeddings, word)
        table.add_row(Text(shown(word)), number_text(value), *([] if count is None else [f"{count:,}"]))
    return Group(Text(title, style="bold"), table)


def plain_table(first: str, *others: str) -> Table:
    """Return an empty table without lines; columns after the first are numbers, but for some."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(first)
    for name in others:
        table.add_column(Text(name), justify="left" if name in ("section", "measure") else "right")
    return table


def word_entry(embeddings: Embeddings, word: str) -> str:
    """Return a word with its count, if that is known."""
    count = _count(embeddings, word)
    return shown(word) if count is None else f"{shown(word)} ({count:,})"


def _count(embeddings: Embeddings, word: str) -> int | None:
    return None if embeddings.counts is None else int(embeddings.counts[embeddings.ids[word]])

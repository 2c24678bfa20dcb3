"""Answers to questions about embeddings: as data for programs, as tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.evaluation import StandardEvaluation
from w2v_exp.embeddings.similarity import Similar
from w2v_exp.experiment.evaluation import evaluation_rows
from w2v_exp.reporting.escape import shown

ANALOGY_METHODS = ("sum", "product")


class Answer(NamedTuple):
    """An answer.

    Parameters
    ----------
    data : dict
        For programs: what JSON can hold.
    said : renderable
        For people: what rich can print.
    """

    data: dict[str, Any]
    said: RenderableType


def neighbours(embeddings: Embeddings, words: Sequence[str], count: int, first: int | None) -> Answer:
    """Answer which words have the largest cosines with each of some words, among the first or all words."""
    found = [embeddings.most_similar(word, topn=count, restrict_vocab=first) for word in words]
    data = {word: _rows(embeddings, similar) for word, similar in zip(words, found, strict=True)}
    tables = [
        _table(embeddings, similar, "cosine", title=_entry(embeddings, word))
        for word, similar in zip(words, found, strict=True)
    ]
    return Answer({"neighbours": data}, Columns(tables, padding=(1, 4)))


def similarity(embeddings: Embeddings, words: Sequence[str]) -> Answer:
    """Answer what cosine two words have, or every two of several."""
    cosines = [[embeddings.similarity(one, other) for other in words] for one in words]
    data = {"words": list(words), "cosines": cosines}
    if len(words) == 2:
        return Answer(data, Text(_number(cosines[0][1])))
    table = _plain_table("", *(shown(word) for word in words))
    for word, row in zip(words, cosines, strict=True):
        table.add_row(Text(shown(word)), *(_number(cosine) for cosine in row))
    return Answer(data, table)


def analogy(
    embeddings: Embeddings, one: str, other: str, third: str, count: int, first: int | None, method: str
) -> Answer:
    """Answer what is to the third word as the second one is to the first.

    By the cosine with second − first + third (``sum``: 3CosAdd), or a quotient of similarities (``product``: 3CosMul).
    """
    ask = embeddings.most_similar if method == "sum" else embeddings.most_similar_cosmul
    found = ask([other, third], [one], topn=count, restrict_vocab=first)
    question = f"{shown(one)} is to {shown(other)} as {shown(third)} is to …"
    data = {"analogy": [one, other, third], "method": method, "answers": _rows(embeddings, found)}
    return Answer(data, _table(embeddings, found, "cosine" if method == "sum" else "score", title=question))


def evaluate(embeddings: Embeddings, evaluation: StandardEvaluation) -> Answer:
    """Answer how good embeddings are on sets of word pairs and analogies, and how files of these were read."""
    sets = evaluation.read()
    rows = evaluation_rows(evaluation.score(embeddings, sets), epoch=0)
    table = _plain_table("set", "section", "measure", "score", "known", "of")
    for row in rows:
        score = "–" if row.score is None else _number(row.score)
        named = (Text(shown(row.set, 40)), Text(shown(row.section, 40)), row.measure)
        table.add_row(*named, score, f"{row.known:,}", f"{row.total:,}")
    data = [{key: value for key, value in row._asdict().items() if key != "epoch"} for row in rows]
    layouts = {name: one.layout for name, one in sets.items()}
    notes = [Text(f"{shown(name, 40)}: {layout}", style="dim") for name, layout in layouts.items()]
    return Answer({"evaluation": data, "layouts": layouts}, Group(table, *notes))


def _rows(embeddings: Embeddings, similar: Similar) -> list[dict[str, Any]]:
    return [{"word": word, "score": score, "count": _count(embeddings, word)} for word, score in similar]


def _table(embeddings: Embeddings, similar: Similar, score: str, title: str) -> Group:
    table = _plain_table("word", score, *(["count"] if embeddings.counts is not None else []))
    for word, value in similar:
        count = _count(embeddings, word)
        table.add_row(Text(shown(word)), _number(value), *([] if count is None else [f"{count:,}"]))
    return Group(Text(title, style="bold"), table)


def _plain_table(first: str, *others: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(first)
    for name in others:
        table.add_column(Text(name), justify="left" if name in ("section", "measure") else "right")
    return table


def _entry(embeddings: Embeddings, word: str) -> str:
    count = _count(embeddings, word)
    return shown(word) if count is None else f"{shown(word)} ({count:,})"


def _count(embeddings: Embeddings, word: str) -> int | None:
    return None if embeddings.counts is None else int(embeddings.counts[embeddings.ids[word]])


def _number(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")

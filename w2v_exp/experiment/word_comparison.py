"""``w2v-exp ask compare``: the words of two runs or files compared."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np
from rich.columns import Columns
from rich.console import Group
from rich.table import Table
from rich.text import Text

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.replicates import Replicates
from w2v_exp.embeddings.word_changes import WordChanges, word_changes
from w2v_exp.errors import shown
from w2v_exp.experiment.query_results import Result, plain_table
from w2v_exp.reporting.intervals import number_text

FREQUENT = 1_000  # words among which those that moved are listed: vectors of rare words vary with the seed


class Opened(NamedTuple):
    """A run or a file, opened.

    Parameters
    ----------
    embeddings : Embeddings
        With the vectors to compare as input vectors.
    vectors : str
        Name of these vectors.
    title, source : str
        As in `LoadedEmbeddings`.
    replicates : Replicates, optional
        Of these vectors.
    space : str
        Of a slice, the source of its run, whose slices have vectors in one space; else empty.
    """

    embeddings: Embeddings
    vectors: str
    title: str
    source: str
    replicates: Replicates | None = None
    space: str = ""


def compare(one: Opened, other: Opened, words: Sequence[str], count: int, first: int | None) -> Result:
    """Return the neighbours of words in two embeddings; without words, those that moved most and least.

    Parameters
    ----------
    one, other : Opened
        With at least one word in common.
    words : sequence of str
        Each is a word of at least one of them.
    count : int
        Number of neighbours, or of words that moved.
    first : int, optional
        Only the first `first` words of both vocabularies are compared.

    Raises
    ------
    UserError
        If a word is in neither of them, or no word is in both.
    """
    both = [
        each if first is None else each._replace(embeddings=each.embeddings.most_frequent(first))
        for each in (one, other)
    ]
    embeddings = [each.embeddings for each in both]
    for word in words:
        if not any(word in each for each in embeddings):
            embeddings[0].vector(word)  # raises the error, with the closest known word
    rotate = one.space != other.space or not one.space
    changes = word_changes(embeddings[0], embeddings[1], 0 if words else FREQUENT, rotate=rotate)
    data = {
        "sources": [
            {"name": name, "source": each.source, "vectors": each.vectors, "words": len(each.embeddings)}
            for name, each in zip("AB", both, strict=True)
        ],
        "shared_words": len(changes.words),
        "mean_cosine": float(changes.cosines.mean()),
    }
    head = Text("\n").join(
        [*(_heading(name, each) for name, each in zip("AB", both, strict=True)), _agreement(changes)]
    )
    if not words:
        moved = _moved(changes, count)
        return Result(data | moved.data, Group(head, Text(), moved.text))
    compared = [_word_compared(word, embeddings, changes, count) for word in words]
    results = {word: result.data for word, result in zip(words, compared, strict=True)}
    blank = [part for result in compared for part in (Text(), result.text)]
    return Result(data | {"words": results}, Group(head, *blank))


def _heading(name: str, opened: Opened) -> Text:
    words, dim = opened.embeddings.input.shape
    return Text(
        f"{name}: {shown(opened.title, 30)} · {words:,} words · {dim:,} dimensions · {opened.vectors} vectors"
    )


def _agreement(changes: WordChanges) -> Text:
    return Text(
        f"{len(changes.words):,} word{'s' * (len(changes.words) != 1)} in both; "
        f"mean {changes.measure} {number_text(changes.cosines.mean())}"
    )


def _word_compared(word: str, embeddings: Sequence[Embeddings], changes: WordChanges, count: int) -> Result:
    """Return the neighbours of a word in two embeddings, in two columns; those that both have are marked."""
    found = [each.most_similar(word, topn=count) if word in each else [] for each in embeddings]
    common = {near for near, _ in found[0]} & {near for near, _ in found[1]}
    lacking = [name for name, each in zip("AB", embeddings, strict=True) if word not in each]
    data: dict[str, Any] = {
        "cosine": None,
        "neighbours": [
            [{"word": near, "score": score} for near, score in similar] if word in each else None
            for each, similar in zip(embeddings, found, strict=True)
        ],
        "common": [near for near, _ in found[0] if near in common],
    }
    if lacking:
        line = f"not among the words of {lacking[0]}"
    else:
        ids = [each.ids[word] for each in embeddings]
        units = [changes.directions[k][ids[k]] for k in (0, 1)]
        data["cosine"] = float(np.vecdot(*units))
        aligned = number_text(data["cosine"])
        line = f"{changes.measure} {aligned}, {len(common)} of {len(found[0])} neighbours shared"
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in [name for name in "AB" if name not in lacking]:
        table.add_column("")
        table.add_column(name)
        table.add_column("cosine", justify="right")
    for row in zip_longest(*(similar for similar in found if similar)):
        cells: list[Text | str] = []
        for near, cosine in (each or ("", None) for each in row):
            mark = "=" if near in common else ""
            cells += [mark, Text(shown(near)), "" if cosine is None else number_text(cosine)]
        table.add_row(*cells)
    title = Text.assemble((shown(word), "bold"), f": {line}")
    return Result(data, Group(title, table))


def _moved(changes: WordChanges, count: int) -> Result:
    """Return the words that moved most and least, of the most frequent ones."""
    number = len(changes.overlap)
    order = np.argsort(changes.cosines[:number], kind="stable")
    data: dict[str, Any] = {"neighbours": changes.neighbours, "compared_words": number}
    among = (
        f"Of the {number:,} most frequent words in both"
        if number < len(changes.words)
        else "Of all words in both"
    )
    lines = []
    if changes.neighbours:
        share = float(changes.overlap.mean())
        data["shared_neighbours"] = share
        line = f"{among}: {100 * share:.1f} % of the {changes.compared} shared ({100 * changes.chance:.1f} % by chance)"
        lines = [Text(line), Text()]
    tables = []
    for key, title, ids in (
        ("moved_most", "moved most", order[:count]),
        ("moved_least", "moved least", order[::-1][:count]),
    ):
        shared = np.rint(np.nan_to_num(changes.overlap[ids]) * changes.neighbours).astype(int).tolist()
        rows = list(
            zip([changes.words[i] for i in ids.tolist()], changes.cosines[ids].tolist(), shared, strict=True)
        )
        data[key] = [{"word": word, "cosine": cosine, "shared": number} for word, cosine, number in rows]
        table = plain_table(title, "cosine", "shared")
        for word, cosine, number in rows:
            table.add_row(Text(shown(word, 20)), number_text(cosine), str(number))
        tables.append(table)
    return Result(data, Group(*lines, Columns(tables, padding=(0, 2))))

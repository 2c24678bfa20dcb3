"""The query ``ask change``: words that changed over the slices of a text, their neighbours and similarities."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group
from rich.text import Text

from w2v_exp.errors import shown
from w2v_exp.experiment.query_results import Result, plain_table
from w2v_exp.reporting.intervals import number_text, written_interval
from w2v_exp.slices.change import SIGNIFICANT
from w2v_exp.slices.embeddings import Similarity, SliceEmbeddings


def change(found: SliceEmbeddings, words: Sequence[str], count: int) -> Result:
    """Return the words that changed, the neighbours of a word by slice, or similarities by slice.

    Parameters
    ----------
    found : SliceEmbeddings
        Of a run.
    words : sequence of str
        None: the words that changed most. One: its nearest words in each slice. More: the cosine of the first with
        each other one in each slice, with its band.
    count : int
        Number of words.
    """
    if not words:
        changed = found.changed()
        table = plain_table("word", "change", "nats/pair", "q", "count")
        for each in changed[:count]:
            numbers = (number_text(each.relative), f"{each.effect:.4f}", f"{each.q:.2g}", f"{each.tokens:,}")
            table.add_row(Text(shown(each.word)), *numbers)
        rate = f"false discovery rate {100 * SIGNIFICANT:.0f} %"
        tested = f"{len(changed):,} of {len(found.tested()):,} tested words changed ({rate})"
        data = {"changed": [each._asdict() for each in changed[:count]], "tested": len(found.tested())}
        return Result(data, Group(Text(tested, style="bold"), table))
    if len(words) == 1:
        near = found.neighbours(words[0], count)
        table = plain_table("slice", "nearest words")
        table.columns[1].justify = "left"
        for label in found.slices:
            listed = ", ".join(shown(word) for word, _ in near.get(label, [])) or "rare"
            table.add_row(Text(shown(label)), Text(listed))
        return Result({"neighbours": {words[0]: near}}, Group(Text(shown(words[0]), style="bold"), table))
    others = words[1:]
    lines = {other: found.similarity(words[0], other) for other in others}
    table = plain_table(shown(words[0]), *(shown(other) for other in others))
    for place, label in enumerate(found.slices):
        table.add_row(Text(shown(label)), *(_banded(lines[other][place]) for other in others))
    rows = {other: [each._asdict() for each in line] for other, line in lines.items()}
    return Result({"similarity": {words[0]: rows}}, table)


def _banded(similarity: Similarity) -> str:
    """Return a cosine with its 95 % interval, if it has one."""
    if similarity.cosine is None:
        return "rare"
    band = ""
    if similarity.low is not None and similarity.high is not None:
        band = f" ({written_interval((similarity.low, similarity.high))})"
    return number_text(similarity.cosine) + band

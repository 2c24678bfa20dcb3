"""The probe words of a run: their nearest neighbours, as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.neighbours import NEIGHBOURS, Probe, chosen_probes, probe
from w2v_exp.plan import Plan
from w2v_exp.text.vocabulary import Vocabulary


def probe_run(plan: Plan, vocabulary: Vocabulary, embeddings: Callable[[], Embeddings]) -> list[Probe]:
    """Return a plan's probe words, or some of the vocabulary, with the words nearest to them by the chosen vectors."""
    words = chosen_probes(vocabulary.words) if plan.probes is None else plan.probes
    if not words:
        return []
    return probe(embeddings().using(plan.embedding), words)


def probe_table(probes: Sequence[Probe]) -> dict[str, list[Any]]:
    """Return a row for each probe word: it, its count, the nearest words, their cosines; what is not known is None."""
    if not probes:
        return {}
    table: dict[str, list[Any]] = {
        "word": [probe.word for probe in probes],
        "count": [probe.count for probe in probes],
    }
    for column, part in (("similar", 0), ("cosine", 1)):
        for rank in range(NEIGHBOURS):
            table[f"{column}_{rank + 1}"] = [
                probe.similar[rank][part] if rank < len(probe.similar) else None for probe in probes
            ]
    return table

"""The files of a run."""

from __future__ import annotations

import csv
import logging
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from w2v_exp.embeddings import Embeddings
from w2v_exp.errors import WordNotSupportedError
from w2v_exp.examples.counts import Bounds
from w2v_exp.experiment.job import as_yaml
from w2v_exp.experiment.run_info import RunInfo
from w2v_exp.files import replacing, write_checked
from w2v_exp.machine import readable_bytes
from w2v_exp.plan import Plan
from w2v_exp.reporting.escape import table_cells
from w2v_exp.reporting.explorer import ExplorerPage, NoExplorer
from w2v_exp.reporting.projections import SOFTMAX_WORDS, map_positions
from w2v_exp.text.vocabulary import Vocabulary
from w2v_exp.tracking.upload import PICTURES
from w2v_exp.training.trainer import EpochRecord, Trainer

_log = logging.getLogger(__name__)

# All files that a run writes into its folder ``artifacts``.
RUN_FILES = re.compile(
    r"(config|overrides)\.yaml|vocabulary\.tsv|(costs|evaluation|similar_words)\.csv|embeddings\.(npz|txt|bin)"
    r"|(evaluation|neighbours|pictures|similar_words)\.json|explorer\.html|(cost|embedding_map|softmax)\.png"
    r"|traceback\.txt|model|replicates|slices\.(npz|csv|html)|(slice_similarities|changed_words)\.csv"
)


def write_config(info: RunInfo, folder: Path) -> None:
    """Write ``config.yaml``, the composed values as `recorded_values` returns them, and ``overrides.yaml``."""
    with replacing(folder / "config.yaml") as stream:
        stream.write(as_yaml(info.values))
    with replacing(folder / "overrides.yaml") as stream:
        stream.write(as_yaml(info.overrides))


def write_vocabulary(vocabulary: Vocabulary, folder: Path) -> None:
    """Write ``vocabulary.tsv``: id, word (by `table_cells`) and count; quoted as in CSV."""
    with replacing(folder / "vocabulary.tsv") as stream:
        rows = csv.writer(stream, delimiter="\t", lineterminator="\n")
        rows.writerow(("id", "word", "count"))
        words = table_cells(vocabulary.words)
        rows.writerows(zip(range(len(vocabulary)), words, vocabulary.counts.tolist(), strict=True))


def write_costs(
    records: Sequence[EpochRecord],
    curves: Mapping[str, Mapping[int, float]],
    training_metric: str,
    folder: Path,
) -> None:
    """Write ``costs.csv``: a row per epoch with its record and measured costs, each named as its metric.

    Parameters
    ----------
    records : sequence of EpochRecord
        Of all epochs.
    curves : mapping of str to mapping of int to float
        Costs by epoch, by the name of their metric; a cell is empty after epochs without a measurement.
    training_metric : str
        The metric of the records' cost.
    folder : Path
        The destination.
    """
    measured = {metric: curve for metric, curve in curves.items() if metric != training_metric}
    with replacing(folder / "costs.csv") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        names = [training_metric if name == "cost" else name for name in EpochRecord._fields]
        rows.writerow([*names, *measured])
        for record in records:
            rows.writerow([*record, *(curve.get(record.epoch, "") for curve in measured.values())])


def write_table(name: str, table: Mapping[str, Sequence[Any]], folder: Path) -> None:
    """Write a table, given by its columns, as a CSV file; unknown values are empty. No columns, no file."""
    if not table:
        return
    with replacing(folder / f"{name}.csv") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(table_cells(table))
        rows.writerows(map(table_cells, zip(*table.values(), strict=True)))


def write_rows(name: str, rows: Iterable[Mapping[str, Any]], folder: Path) -> None:
    """Write rows as a CSV file, one by one; their keys are the headings. No rows, no file."""
    rows = iter(rows)
    if (first := next(rows, None)) is None:
        return
    with replacing(folder / f"{name}.csv") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(first)
        writer.writerows(table_cells(row.values()) for row in chain([first], rows))


def write_embeddings(embeddings: Embeddings, chosen: str, folder: Path) -> None:
    """Write ``embeddings.npz`` with both matrices, ``.txt`` and ``.bin`` with the chosen vectors.

    The last two are not written if their formats cannot represent a word, such as a given one with a space.
    """
    embeddings.save(folder / "embeddings.npz")
    for suffix in ("txt", "bin"):
        try:
            embeddings.using(chosen).save(folder / f"embeddings.{suffix}")
        except WordNotSupportedError as error:
            _log.warning(f"embeddings.{suffix} is not written: {error}")


def write_explorer(plan: Plan, title: str, embeddings: Callable[[], Embeddings], folder: Path) -> str:
    """Write ``explorer.html``, if the plan has it and it is not too large; return a line about it."""
    if isinstance(plan.explorer, NoExplorer):
        return ""
    page = ExplorerPage(embeddings().using(plan.embedding), plan.explorer, title, plan.embedding, plan.seed)
    if refusal := plan.explorer.refusal(page.size):
        return refusal
    if page.map_cost:
        _log.info(f"{page.map_cost} explorer.projection=pca takes none.")
    size = page.write(folder / "explorer.html")
    return f"explorer.html ({readable_bytes(size)}): the words on a map, with their neighbours"


def write_pictures(
    plan: Plan,
    bounds: Bounds | None,
    vocabulary: Vocabulary,
    trainer: Trainer,
    curves: Mapping[str, Mapping[int, float]],
    folder: Path,
    *,
    estimated: bool,
) -> None:
    """Write the data of a run's pictures: its costs, its embeddings, and the softmax output of a small vocabulary.

    The process that uploads the run draws the pictures: see `run_plots.draw_pictures`.
    """
    article = {r.epoch: r.article_cost for r in trainer.records if math.isfinite(r.article_cost)}
    drawn = {**curves, "article_cost": article} if trainer.records else {}
    embeddings = Embeddings.from_training(vocabulary, trainer.word_parameters).using(plan.embedding)
    words, positions, shares = map_positions(
        embeddings.words, embeddings.input, vocabulary.counts[: len(embeddings)]
    )
    values: dict[str, Any] = {
        "curves": {name: list(curve.items()) for name, curve in drawn.items()},
        "unigram": bounds.unigram_cost if bounds else math.nan,
        "floor": bounds.cost_floor if bounds else math.nan,
        "estimated": estimated,
        "vocabulary_size": len(embeddings),
        "words": words,
        "positions": positions.tolist(),
        "shares": shares,
        "softmax_words": [],
    }
    if len(vocabulary) <= SOFTMAX_WORDS:
        probabilities = trainer.objective.probabilities(trainer.parameters, np.arange(len(embeddings)))
        centres, contexts, _ = trainer.examples.pairs.distinct()
        neighbours = np.zeros((len(embeddings), len(vocabulary)), bool)
        neighbours[centres, contexts] = True
        values["softmax_words"] = list(vocabulary.words)
        values["probabilities"] = probabilities.tolist()
        values["true_neighbours"] = neighbours.tolist()
    write_checked(folder / PICTURES, values, durable=False)

"""The embeddings of slices of a run: checks and estimates before training, files after it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from w2v_exp.errors import SettingError
from w2v_exp.examples.counted_text import CountedText
from w2v_exp.experiment.estimate import readable_seconds
from w2v_exp.experiment.outputs import write_rows
from w2v_exp.machine import MEGABYTE, Work, measure_rates, readable_bytes
from w2v_exp.model.parameters import Parameters
from w2v_exp.plan import Plan
from w2v_exp.slices.embeddings import FILE, SliceEmbeddings
from w2v_exp.slices.fit import SliceFit, memory, work
from w2v_exp.slices.grouping import SliceRule, Slices, require_tokens
from w2v_exp.text.encoding import EncodedText

_log = logging.getLogger(__name__)

PAGE = "slices.html"


@dataclass(frozen=True)
class Slicing:
    """The slices of a run's text.

    Parameters
    ----------
    plan : Plan
        Of the run.
    rule : SliceRule
        Its group `slices`.
    text : EncodedText
        The text.
    slices : Slices
        Its slices.
    frequent : int
        Number of embeddings: of words that are not rare in a slice, over all slices.
    """

    plan: Plan
    rule: SliceRule
    text: EncodedText
    slices: Slices
    frequent: int

    @classmethod
    def of(cls, plan: Plan, text: EncodedText | CountedText) -> Slicing | None:
        """Divide the text of a run; None without slices.

        Raises
        ------
        SettingError
            If the names of its documents do not give two slices.
        CorpusError
            If all words of a slice are rare.
        """
        rule = plan.slices
        if not isinstance(rule, SliceRule) or isinstance(text, CountedText):
            return None
        sizes = np.diff(text.documents)
        try:
            slices = rule.divide(text.names, sizes)
        except SettingError as error:
            raise error.within("slices") from None
        tokens = slices.count_words(text.ids, text.documents, len(text.vocabulary))
        embedded = tokens[:, : plan.labels.number_of_centres(len(text.vocabulary))]
        require_tokens(slices, tokens.sum(axis=1), embedded.max(axis=1), rule.min_tokens)
        if unused := int((slices.of_documents < 0).sum()):
            _log.info(
                f"slices.pattern: {unused:,} of {len(sizes):,} documents are in no slice: empty, or without a label."
            )
        return cls(plan, rule, text, slices, int((embedded >= rule.min_tokens).sum()))

    @property
    def memory(self) -> int:
        """Peak bytes beside those of training."""
        return memory(len(self.text.ids), len(self.text.vocabulary), self.plan.dim, len(self.slices.labels))

    def seconds(self) -> float:
        """Return the expected seconds."""
        expected: Work = work(self.frequent, len(self.text.vocabulary), self.plan.dim)
        with threadpool_limits(limits=1, user_api="blas"):
            return expected.seconds(measure_rates("float64", self.plan.dim))

    def estimate(self) -> str:
        """Return a line with the expected time and memory."""
        return (
            f"{PAGE}: {self.frequent:,} embeddings in {len(self.slices.labels):,} slices take about "
            f"{readable_seconds(self.seconds())} and {readable_bytes(self.memory)}."
        )

    def fit(self, parameters: Parameters, probes: Iterable[str]) -> SliceEmbeddings:
        """Return the embeddings of the slices for trained parameters."""
        plan = self.plan
        fit = SliceFit(
            self.text,
            self.slices,
            parameters,
            self.rule,
            window=plan.window,
            shrinking=plan.shrinking_window,
            seed=plan.seed,
        )
        # One thread gives the same bytes for any `threads`. Two took four times as long on busy cores.
        with threadpool_limits(limits=1, user_api="blas"):
            return fit.embeddings(list(probes))

    def write(
        self, parameters: Parameters, probes: Iterable[str], title: str, folder: Path
    ) -> tuple[dict[str, float], str]:
        """Write the files of the slices; return metrics, and a line about the page."""
        from w2v_exp.reporting.slices_page import SlicesPage

        begun = time.monotonic()
        found = self.fit(parameters, probes)
        found.save(folder / FILE)
        write_rows("slices", found.table(), folder)
        write_rows("changed_words", (word._asdict() for word in found.tested()), folder)
        write_rows("slice_similarities", similarity_rows(found), folder)
        metrics = {
            "slice_embeddings": float(len(found.vectors)),
            "slices_seconds": time.monotonic() - begun,
        }
        if found.tested():
            metrics["changed_words"] = float(len(found.changed()))
            metrics["tested_words"] = float(len(found.tested()))
        page = SlicesPage(found, title)
        if self.rule.limit_mb is not None and page.size > self.rule.limit_mb * MEGABYTE:
            return metrics, (
                f"slices.limit_mb={self.rule.limit_mb:g}: {PAGE} would have {readable_bytes(page.size)} and is not "
                "written. Set slices.limit_mb=null, or a larger slices.min_tokens."
            )
        size = page.write(folder / PAGE)
        about = f"words in {len(found.slices):,} slices, and those that changed"
        return metrics, f"{PAGE} ({readable_bytes(size)}): {about}"


def similarity_rows(found: SliceEmbeddings) -> Iterable[Mapping[str, Any]]:
    """Yield a row for each pair of words with bands, and each slice in which both have an embedding."""
    for i, j in found.bands.pairs.tolist():
        word, other = found.words[i], found.words[j]
        for each in found.similarity(word, other):
            if each.cosine is not None:
                numbers = ("" if x is None else round(x, 4) for x in (each.cosine, each.low, each.high))
                yield dict(zip(SIMILARITY, (word, other, each.slice, *numbers), strict=True))


SIMILARITY = ("word", "other", "slice", "cosine", "low", "high")

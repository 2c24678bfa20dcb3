"""A run's fingerprint: one name for all that decides its result, so that a run that is done is known again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import w2v_exp
from w2v_exp.embeddings.evaluation import StandardEvaluation, set_name
from w2v_exp.embeddings.word_pairs import ANALOGY_SETS, WORD_PAIR_SETS, find_set
from w2v_exp.plan import Plan
from w2v_exp.text.encoding import EncodedText

FORMAT = 1  # of what is described: one more whenever it means something else
# How a run is recorded, kept alive and shown. It trains the same with any of them.
NOT_OF_THE_RESULT = {
    "cache",
    "tracking",
    "explorer",
    "checkpoint",
    "probes",
    "repeats",
    "estimate",
    "resume",
    "force",
}
# Where something was found. The digest of what was found there says more, and is the same on every machine.
PLACES = {"path", "run", "word_pairs", "analogies"}
# The code that turns a text and a plan into a result: the core, and what makes its objects of a plan.
CODE = (
    "text/*.py",
    "examples/*.py",
    "model/*.py",
    "training/*.py",
    "embeddings/*.py",
    "scatter.py",
    "cores.py",
    "experiment/building.py",
    "experiment/trainers.py",
)
_HASHED_AT_ONCE = 1 << 20


def fingerprint(plan: Plan, text: EncodedText, origin_digest: str = "") -> str:
    """Return the fingerprint of the run that a plan makes of a text: 32 hexadecimal digits.

    Two runs of the same fingerprint have the same result, as far as the machine and the versions of NumPy and its
    BLAS let them. It is the same in every process and folder, and under every hash seed.

    Parameters
    ----------
    plan : Plan
        Its values count, but for those that do not decide the result (`NOT_OF_THE_RESULT`).
    text : EncodedText
        Its words, ids and passages count, so whatever a custom tokenizer depends on does, too.
    origin_digest : str
        SHA-256 of the embeddings that the run goes on from; empty if it begins by itself.
    """
    settings = {
        key.name: _described(getattr(plan, key.name))
        for key in dataclasses.fields(plan)
        if key.name not in NOT_OF_THE_RESULT
    }
    described = {
        "format": FORMAT,
        "settings": settings,
        "text": text_digest(text),
        "origin": origin_digest,
        "evaluation": _evaluated_on(plan.evaluation),
        "code": code_digest(),
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:32]


def text_digest(text: EncodedText) -> str:
    """Return the SHA-256, hexadecimal, of all that training sees of a text (half a second for 200 M tokens)."""
    digest = hashlib.sha256(json.dumps(text.vocabulary.words).encode())
    for array, stored in ((text.ids, "<i4"), (text.passages, "<i8"), (text.vocabulary.counts, "<i8")):
        digest.update(f"[{len(array)}]".encode())
        for piece in _pieces(array):
            digest.update(np.ascontiguousarray(piece, stored).data)
    return digest.hexdigest()


@cache
def code_digest() -> str:
    """Return the SHA-256, hexadecimal, of the code that trains and measures (`CODE`), line ends apart."""
    package = Path(w2v_exp.__file__).resolve().parent
    digest = hashlib.sha256()
    for pattern in CODE:
        for file in sorted(package.glob(pattern)):
            source = file.read_text(encoding="utf-8")  # with \n line ends, whatever the checkout has
            digest.update(json.dumps([file.relative_to(package).as_posix(), source]).encode())
    return digest.hexdigest()


def _described(value: Any) -> Any:
    """Return a plan's value as JSON has it: an object as its class and its settings, those of `PLACES` left out."""
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    settings = {
        key.name: _described(getattr(value, key.name))
        for key in dataclasses.fields(value)
        if key.name not in PLACES
    }
    return {"class": type(value).__name__} | settings


def _evaluated_on(evaluation: object) -> list[list[str]]:
    """Return name and SHA-256 of each set that the embeddings will be evaluated on."""
    if not isinstance(evaluation, StandardEvaluation):
        return []
    kinds = (
        ("word_pairs", evaluation.word_pairs, WORD_PAIR_SETS),
        ("analogies", evaluation.analogies, ANALOGY_SETS),
    )
    return [
        [set_name(kind, source), hashlib.sha256(find_set(source, named).read_bytes()).hexdigest()]
        for kind, sources, named in kinds
        for source in sources
    ]


def _pieces(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    for start in range(0, len(array), _HASHED_AT_ONCE):
        yield array[start : start + _HASHED_AT_ONCE]

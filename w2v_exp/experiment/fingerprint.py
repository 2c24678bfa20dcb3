"""A run's fingerprint: one name for all that decides its result, so that a run that is done is known again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.choices import GROUPS, option_name
from w2v_exp.embeddings.evaluation import StandardEvaluation, set_name
from w2v_exp.embeddings.word_pairs import ANALOGY_SETS, WORD_PAIR_SETS, find_set
from w2v_exp.plan import Plan
from w2v_exp.text.encoding import EncodedText

# Raise by one whenever a text and a plan give another result: another draw, order, formula or default of the code. Then
# finished runs are trained again, and checkpoints of before are not found. `tests/test_golden_runs.py` fails if it is
# forgotten; `tests/golden_runs.py` says how to record the new results.
RESULT_VERSION = 1
FORMAT = 2  # of the description below: raise by one whenever a key means something else
# How a run is recorded, kept alive and shown. It trains the same with any of them.
NOT_OF_THE_RESULT = {
    "cache",
    "tracking",
    "explorer",
    "checkpoint",
    "probes",
    "repeats",
    "changes",
    "change",
    "estimate",
    "resume",
    "force",
}
# Where something was found. The digest of what was found there says more, and is the same on every machine.
PLACES = {"path", "run", "word_pairs", "analogies"}
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
        Its words, ids and segments count, so whatever a custom tokenizer depends on does, too.
    origin_digest : str
        SHA-256 of the embeddings that the run goes on from; empty if it begins by itself.
    """
    settings = {
        key.name: _described(key.name, getattr(plan, key.name))
        for key in dataclasses.fields(plan)
        if key.name not in NOT_OF_THE_RESULT
    }
    described = {
        "format": FORMAT,
        "result_version": RESULT_VERSION,
        "settings": settings,
        "text": text_digest(text),
        "origin": origin_digest,
        "evaluation": _evaluated_on(plan.evaluation),
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:32]


def text_digest(text: EncodedText) -> str:
    """Return the SHA-256, hexadecimal, of all that training sees of a text (half a second for 200 M tokens)."""
    digest = hashlib.sha256(json.dumps(text.vocabulary.words).encode())
    for array, stored in ((text.ids, "<i4"), (text.segments, "<i8"), (text.vocabulary.counts, "<i8")):
        digest.update(f"[{len(array)}]".encode())
        for piece in _pieces(array):
            digest.update(np.ascontiguousarray(piece, stored).data)
    return digest.hexdigest()


def _described(key: str, value: Any) -> Any:
    """Return a plan's value as JSON has it: a choice as its option's name and its settings, without `PLACES`.

    Names of classes and modules are not in it, so that they can change.
    """
    if key not in GROUPS:
        return value
    settings = {
        setting.name: getattr(value, setting.name)
        for setting in dataclasses.fields(value)
        if setting.name not in PLACES
    }
    return {"option": option_name(key, value)} | settings


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

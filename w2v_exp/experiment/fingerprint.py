"""The fingerprint of a run: a digest of all inputs of its result.

A finished run with the same fingerprint is reused instead of a new one (``resume``), and the checkpoint of a killed run
is found by it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.choices import GROUPS, option_name
from w2v_exp.embeddings.association_sets import AssociationTest
from w2v_exp.embeddings.evaluation import StandardEvaluation, set_name
from w2v_exp.embeddings.word_pairs import ANALOGY_SETS, WORD_PAIR_SETS, find_set
from w2v_exp.examples.counted_text import CountedText
from w2v_exp.plan import Plan
from w2v_exp.slices.grouping import NoSlices
from w2v_exp.text.encoding import EncodedText
from w2v_exp.text.sentences import SentenceCorpus

# Raise by one whenever the same text and plan give another result: by another random draw, order, formula or default.
# Finished runs are then trained again, and earlier checkpoints are not found. `tests/test_golden_runs.py` fails if it
# is forgotten; `tests/golden_runs.py` describes how to record the new results.
RESULT_VERSION = 3
FORMAT = 2  # of the description below: raise by one whenever a key means something else
# Keys that only change how a run is recorded, resumed and shown.
NOT_OF_THE_RESULT = {
    "cache",
    "counting",
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
# Keys that have no effect without a bootstrap.
OF_BOOTSTRAP = {"bootstrap", "bootstrap_epochs"}
# Paths and runs: the digests of their contents count instead, which are the same on every machine.
PLACES = {"path", "run", "word_pairs", "analogies", "associations"}
# Settings of a corpus that the digests of its text and of the names of its documents have.
OF_READING = {"field", "names", "on_error"}
# Settings that are described with the sets that they concern, so that a run without these keeps its fingerprint.
WITH_SETS = {"largest_loss"}
# Settings that came later, described only if they are set: earlier runs keep their fingerprints.
ONLY_IF_SET = {"centre_words"}
_HASHED_AT_ONCE = 1 << 20


def fingerprint(plan: Plan, text: EncodedText | CountedText, pretrained_digest: str = "") -> str:
    """Return the fingerprint of a run: 32 hexadecimal digits.

    Two runs with the same fingerprint have the same result, up to differences of the machine and of the versions of
    NumPy and its BLAS. It does not depend on the process, the folder and the hash seed.

    Parameters
    ----------
    plan : Plan
        All of its values but `NOT_OF_THE_RESULT`.
    text : EncodedText or CountedText
        Words, ids and segments, or words and counts, and with them everything that a custom tokenizer depends on.
    pretrained_digest : str
        SHA-256 of the pretrained embeddings; empty without any.
    """
    settings = {
        key.name: _described(key.name, getattr(plan, key.name))
        for key in dataclasses.fields(plan)
        if key.name not in NOT_OF_THE_RESULT
        and (plan.bootstrap or key.name not in OF_BOOTSTRAP)
        and not isinstance(getattr(plan, key.name), NoSlices)
    }
    described = {
        "format": FORMAT,
        "result_version": RESULT_VERSION,
        "settings": settings,
        "text": text.digest if isinstance(text, CountedText) else text_digest(text),
        **(
            {"documents": _digest(text.documents)} if plan.bootstrap and isinstance(text, EncodedText) else {}
        ),
        "origin": pretrained_digest,
        "evaluation": _evaluated_on(plan.evaluation),
    }
    if "slices" in settings and isinstance(text, EncodedText):
        described["names"] = documents_digest(text)
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:32]


def text_digest(text: EncodedText) -> str:
    """Return the SHA-256 of words, ids, segments and counts (0.5 s for 200 M)."""
    digest = hashlib.sha256(json.dumps(text.vocabulary.words).encode())
    for array, stored in ((text.ids, "<i4"), (text.segments, "<i8"), (text.vocabulary.counts, "<i8")):
        digest.update(f"[{len(array)}]".encode())
        for piece in _pieces(array):
            digest.update(np.ascontiguousarray(piece, stored).data)
    return digest.hexdigest()


def _digest(positions: NDArray[np.int64]) -> str:
    return hashlib.sha256(np.ascontiguousarray(positions, "<i8").data).hexdigest()


def documents_digest(text: EncodedText) -> str:
    """Return the SHA-256 of the positions and names of the documents."""
    digest = hashlib.sha256(np.ascontiguousarray(text.documents, "<i8").data)
    for name in text.names:
        digest.update(json.dumps(name).encode())
    return digest.hexdigest()


def _described(key: str, value: Any) -> Any:
    """Return a value of a plan for JSON; a choice as its option and settings.

    Without `PLACES`, and without names of classes and modules, so that these can change.
    """
    if key not in GROUPS:
        return value
    if isinstance(value, SentenceCorpus):
        return {"option": "sentences"}  # the digest of the text has the rest
    settings = {
        setting.name: getattr(value, setting.name)
        for setting in dataclasses.fields(value)
        if setting.name not in PLACES | WITH_SETS | OF_READING
        and not (setting.name in ONLY_IF_SET and getattr(value, setting.name) is None)
    }
    return {"option": option_name(key, value)} | settings


def _evaluated_on(evaluation: object) -> list[list[str]]:
    """Return the name and SHA-256 of each evaluation set."""
    if not isinstance(evaluation, StandardEvaluation):
        return []
    kinds = (
        ("word_pairs", evaluation.word_pairs, WORD_PAIR_SETS),
        ("analogies", evaluation.analogies, ANALOGY_SETS),
    )
    found = [
        [set_name(kind, source), hashlib.sha256(find_set(source, named).read_bytes()).hexdigest()]
        for kind, sources, named in kinds
        for source in sources
    ]
    tests = [test for source in evaluation.associations for test in AssociationTest.read(source)]
    return found + [
        [test.name, repr((test.targets, test.attributes, evaluation.largest_loss))] for test in tests
    ]


def _pieces(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    for start in range(0, len(array), _HASHED_AT_ONCE):
        yield array[start : start + _HASHED_AT_ONCE]

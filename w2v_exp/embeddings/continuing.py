"""Training that goes on from saved embeddings: where the words of a new text start, and what becomes of the others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np

from w2v_exp.embeddings.embeddings import Embeddings
from w2v_exp.model.parameters import ContinuedInitialization


def initialization_from(saved: Embeddings, words: Sequence[str]) -> ContinuedInitialization:
    """Return what makes the parameters of a vocabulary of these words: saved vectors for those that have them.

    The matrices are not copied before parameters are made.
    """
    rows = np.fromiter((saved.ids.get(word, -1) for word in words), np.int64, len(words))
    return ContinuedInitialization(rows, saved.input, saved.output)


def with_other_words(trained: Embeddings, saved: Embeddings) -> Embeddings:
    """Return trained embeddings with the saved words that they lack behind their own, in the order that these had.

    Their vectors are the saved ones: nothing has moved them. Their count is 0, which is how often they occur in the
    text of the training; so words stay in the order of their counts.

    Parameters
    ----------
    trained : Embeddings
        Of the words of a text.
    saved : Embeddings
        What training went on from; vectors of as many dimensions. They take the dtype of `trained`. Where they have
        no output vectors and `trained` has, theirs are zero, which is what they would have started at; where
        `trained` has none, theirs are left out.
    """
    rows = [row for word, row in saved.ids.items() if word not in trained]
    if not rows:
        return trained
    counts, output, dtype = trained.counts, trained.output, trained.input.dtype
    if counts is not None:
        counts = np.concatenate([counts, np.zeros(len(rows), np.int64)])
    if output is not None:
        width = output.shape[1]
        others = np.zeros((len(rows), width), dtype) if saved.output is None else saved.output[rows]
        output = np.concatenate([output, others], dtype=dtype)
    words = [*trained.words, *(saved.words[row] for row in rows)]
    return Embeddings(words, counts, np.concatenate([trained.input, saved.input[rows]], dtype=dtype), output)


def content_digest(embeddings: Embeddings) -> str:
    """Return the SHA-256, hexadecimal, of all that training depends on that goes on from these embeddings.

    That is words and vectors, with their dtype: neither counts, nor the format of the file that they come from.
    """
    digest = hashlib.sha256(json.dumps(embeddings.words).encode())
    for matrix in (embeddings.input, embeddings.output):
        if matrix is None:
            digest.update(b"null")
            continue
        digest.update(json.dumps([matrix.dtype.name, *matrix.shape]).encode())
        little_endian = np.ascontiguousarray(matrix, matrix.dtype.newbyteorder("<"))
        digest.update(little_endian.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()

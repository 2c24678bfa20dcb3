"""A corpus, encoded: the ids of its words, in one pass over the text."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import CorpusError
from w2v_exp.text.corpus import Corpus
from w2v_exp.text.tokenizer import Tokenizer
from w2v_exp.text.vocabulary import Vocabulary, VocabularyRule


@dataclass(frozen=True)
class EncodedText:
    """A text as ids.

    Parameters
    ----------
    ids : ndarray of int32, shape (n,)
        The ids of the tokens that are in the vocabulary, in the order of the text.
    vocabulary : Vocabulary
        The words behind the ids.
    tokens : int
        How many tokens the text has, those that were dropped included.
    digest : str
        SHA-256 of the text, hexadecimal.
    """

    ids: NDArray[np.int32]
    vocabulary: Vocabulary
    tokens: int
    digest: str


def encode_text(corpus: Corpus, tokenizer: Tokenizer, rule: VocabularyRule) -> EncodedText:
    """Read, tokenize, count and encode a corpus in one pass.

    Words get provisional ids in the order in which they turn up; once all are counted, the ids are mapped to
    those of the vocabulary. Memory: 8 bytes a token at the end, the distinct words, and one piece of text.

    Raises
    ------
    CorpusError
        If the text cannot be read or has no word. (Whether the vocabulary keeps any is left to the caller.)
    """
    provisional: defaultdict[str, int] = defaultdict(count().__next__)
    digest = hashlib.sha256()
    pieces: list[NDArray[np.int32]] = []
    for text in corpus.pieces():
        digest.update(text.encode())
        pieces.append(np.fromiter(map(provisional.__getitem__, tokenizer(text)), dtype=np.int32))
    if not provisional:
        raise CorpusError(f"The text ({corpus.source}) has no word that this tokenizer finds.")

    counts = np.zeros(len(provisional), np.int64)
    for piece in pieces:
        seen = np.bincount(piece)
        counts[: len(seen)] += seen
    vocabulary = rule.select(dict(zip(provisional, counts.tolist(), strict=True)))
    new_ids = np.fromiter((vocabulary.ids.get(word, -1) for word in provisional), dtype=np.int32)
    for number, piece in enumerate(pieces):  # one by one, so that no other array is as long as the text
        ids = new_ids[piece]
        pieces[number] = ids[ids >= 0]
    return EncodedText(np.concatenate(pieces), vocabulary, int(counts.sum()), digest.hexdigest())

"""Resampled documents of a text: the samples of a bootstrap over documents."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import CorpusError, ShortRepr
from w2v_exp.examples.held_out import has_pairs
from w2v_exp.examples.sampling import TextPart
from w2v_exp.text.cache import map_numbers
from w2v_exp.text.chunks import without_repeats
from w2v_exp.text.encoding import ID

BLOCK = 1000  # tokens, at least, of a block of a text that is one document
FEWEST = 10  # documents or blocks: intervals from fewer would not mean much
RELIABLE = 30  # below this number of them, intervals are known to be too narrow
_SEED = 20_261_129  # the weights are the same in all runs, whatever their seeds


@dataclass(frozen=True, repr=False)
class Resampling(ShortRepr):
    """The bootstrap over the documents of a text.

    Document k occurs in a replicate as often as a number from the Poisson distribution with mean 1 says (Hanley &
    MacGibbon 2006; with all documents, the numbers of a multinomial bootstrap have nearly this distribution). The
    numbers of replicate r depend on r and k alone: configurations that are compared have the same ones.

    Parameters
    ----------
    text : TextPart
        The text.
    documents : ndarray of int64, shape (d + 1,)
        Document k is ``ids[documents[k]:documents[k + 1]]``; it may be empty.
    """

    text: TextPart
    documents: NDArray[np.int64]

    @classmethod
    def of(cls, text: TextPart, *, by_segment: bool = False) -> Resampling:
        """Return the bootstrap over the documents of a text, or over blocks of a text that is one document.

        Parameters
        ----------
        text : TextPart
            With its documents, if they are known.
        by_segment : bool
            Whether each segment of a single document is a document itself, rather than a line. Blocks are made of
            consecutive lines, or of tokens if there are no lines, with about `BLOCK` tokens.

        Raises
        ------
        CorpusError
            If there are fewer than `FEWEST` documents or blocks.
        """
        documents = text.documents
        if documents is None or np.count_nonzero(np.diff(documents)) < 2:
            documents = np.arange(len(text.ids) + 1) if text.segments is None else text.segments
            if not by_segment or text.segments is None:
                documents = _blocks(documents)
        number = int(np.count_nonzero(np.diff(documents)))
        if number < FEWEST:
            raise CorpusError(
                f"needs at least {FEWEST} documents, or blocks of {BLOCK:,} tokens of one document, and the text has "
                f"{number}; take a longer text."
            )
        return cls(text, documents)

    @property
    def number(self) -> int:
        """Number of documents that are not empty."""
        return int(np.count_nonzero(np.diff(self.documents)))

    def weights(self, replicate: int) -> NDArray[np.int64]:
        """Return how often each document occurs in a replicate, (d,)."""
        return np.random.default_rng([_SEED, replicate]).poisson(1.0, len(self.documents) - 1)

    def sample(self, replicate: int, folder: Path | None = None) -> TextPart:
        """Return the text of a replicate: copies of documents, each with segments of its own.

        Parameters
        ----------
        replicate : int
            Its number.
        folder : Path, optional
            For the temporary file of a text that is mapped from a file; None: the system's folder.

        Raises
        ------
        CorpusError
            If the documents that were drawn have no pair.
        """
        copied = np.repeat(np.arange(len(self.documents) - 1), self.weights(replicate))
        edges = self.documents
        if self.text.segments is not None:
            edges = np.sort(np.concatenate([edges, self.text.segments]), kind="stable")
        edges = without_repeats(edges)
        first, last = edges.searchsorted(self.documents[:-1]), edges.searchsorted(self.documents[1:])
        lengths = np.diff(edges)
        ends = np.cumsum(np.concatenate([[0], *(lengths[first[k] : last[k]] for k in copied.tolist())]))
        sample = TextPart(self._ids(copied, int(ends[-1]), folder), ends)
        if not has_pairs(sample):
            raise CorpusError(f"Replicate {replicate} of the bootstrap has no pair. Take a longer text.")
        return sample

    def _ids(self, copied: NDArray[np.intp], length: int, folder: Path | None) -> NDArray[np.int32]:
        """Return the ids of the copies; they are mapped from a file if those of the text are."""
        if isinstance(self.text.ids, np.memmap):
            with tempfile.TemporaryFile(dir=folder) as file:
                for ids in self._copies(copied):
                    file.write(ids.astype(ID, copy=False).data)
                file.flush()
                return map_numbers(file, ID, length)
        return np.concatenate([*self._copies(copied), np.empty(0, np.int32)])

    def _copies(self, copied: NDArray[np.intp]) -> Iterator[NDArray[np.int32]]:
        for k in copied.tolist():
            yield self.text.ids[self.documents[k] : self.documents[k + 1]]


def _blocks(edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return those edges that are the first at or behind each multiple of `BLOCK`, and the last one.

    >>> _blocks(np.array([0, 300, 900, 1100, 1900, 2500]))
    array([   0, 1100, 2500])
    """
    kept = np.diff(edges // BLOCK, prepend=-1) > 0
    kept[-1] = True
    return edges[kept]

"""Replicates of embeddings, from a bootstrap over documents, and intervals of what is computed from them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2v_exp.embeddings.embeddings import Embeddings
from w2v_exp.embeddings.formats import read_extras
from w2v_exp.embeddings.similarity import Similar, directions, highest
from w2v_exp.errors import FormatError, UserError, require_number, require_whole
from w2v_exp.files import replacing

FOLDER = "replicates"  # of a run, among its artifacts
LEVEL = 0.9
FEWEST = (
    19  # replicates: with fewer, the ends of an interval of this level are the smallest and largest value
)
_FILE = re.compile(r"(\d{3,})\.npz")


def replicate_file(number: int) -> str:
    """Return the file name of a replicate.

    >>> replicate_file(7)
    '007.npz'
    """
    return f"{number:03}.npz"


@dataclass(frozen=True)
class Description:
    """The description of a replicate.

    Parameters
    ----------
    embedding : str
        Its vectors: ``input``, ``sum`` or ``balanced``, those that the run evaluates.
    scores : mapping of str to float
        Its scores on the evaluation sets.
    """

    embedding: str
    scores: Mapping[str, float]


def write_replicate(path: Path, vectors: NDArray[Any], description: Description) -> None:
    """Write a replicate, the whole file or nothing; the same replicate gives the same bytes.

    Parameters
    ----------
    path : Path
        The file: an archive of ``vectors``, (V, dim) as float16, and ``description``, the UTF-8 bytes of a JSON object.
    vectors : ndarray of float, shape (V, dim)
        A row for each word; zeros for a word that does not occur in the resampled documents.
    description : Description
        Which vectors these are, and their scores.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    encoded = np.frombuffer(json.dumps(vars(description)).encode(), np.uint8)
    with replacing(path, "wb") as stream:
        np.savez(stream, allow_pickle=False, vectors=vectors.astype("<f2"), description=encoded)


def read_replicate(path: Path, words: int) -> tuple[NDArray[np.float32], Description]:
    """Return vectors and description of a replicate.

    Raises
    ------
    FormatError
        If there is no such file, it is damaged, or is not of this number of words.
    """
    arrays = read_extras(path, ("vectors", "description"))
    vectors = arrays.get("vectors")
    if vectors is None or vectors.ndim != 2 or len(vectors) != words or vectors.dtype != np.float16:
        raise FormatError(f"{path} is not a replicate of {words:,} words.")
    try:
        described = json.loads(arrays["description"].tobytes())
        scores = {str(name): float(value) for name, value in described["scores"].items()}
        description = Description(str(described["embedding"]), scores)
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(f"{path} has no description that can be read.") from error
    return vectors.astype(np.float32), description


def interval(values: ArrayLike, level: float = LEVEL, estimate: float | None = None) -> tuple[float, float]:
    """Return the interval of a quantity from its values in replicates.

    With α = (1 − level)/2 and n values, its ends are the values of rank (n + 1)·α and (n + 1)·(1 − α), interpolated
    between neighbouring ranks, and the smallest and largest value beyond these (Davison & Hinkley 1997, section 5.3.1).
    So 19 values or more are needed for the ends of 90 %.

    Replicates have fewer distinct documents than the text, which lowers scores and the cosines of near words. With an
    `estimate`, both ends are moved by the estimate minus the mean of the values, which covers more often:
    docs/intervals.md has the figures.

    Parameters
    ----------
    values : array of float
        A value for each replicate; NaN where it is not defined.
    level : float
        Above 0 and below 1.
    estimate : float, optional
        The value of the run itself; None: the plain percentiles.

    Returns
    -------
    low, high : float
        NaN with fewer than two values.
    """
    level = require_number("level", level, above=0, below=1)
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    if len(known) < 2:
        return float("nan"), float("nan")
    tail = (1 - level) / 2
    shift = 0.0 if estimate is None else estimate - known.mean()
    low, high = (np.quantile(known, [tail, 1 - tail], method="weibull") + shift).tolist()
    return low, high


class Replicates:
    """The replicates of a run's embeddings: each is trained on documents that were drawn anew.

    They are read from files one at a time, and never all in memory. `w2v_exp.load_replicates` returns those of a run.

    Parameters
    ----------
    folder : Path or str
        The folder of their files.
    words : sequence of str
        The word of each row.

    Raises
    ------
    UserError
        If there is none.
    """

    def __init__(self, folder: Path | str, words: Sequence[str]) -> None:
        self.folder, self.words = Path(folder), list(words)
        self.ids = {word: number for number, word in enumerate(self.words)}
        numbered = {
            int(found[1]): path for path in self.folder.glob("*.npz") if (found := _FILE.fullmatch(path.name))
        }
        self._files = [numbered[number] for number in sorted(numbered)]
        if not self._files:
            raise UserError(f"{folder}: there are no replicates. Train with bootstrap=50.")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} of {len(self.words):,} words)"

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, number: int) -> Embeddings:
        """Return a replicate; a word that does not occur in it has a vector of zeros."""
        vectors, _ = read_replicate(self._files[number], len(self.words))
        return Embeddings(self.words, None, vectors)

    def __iter__(self) -> Iterator[Embeddings]:
        return (self[number] for number in range(len(self)))

    interval = staticmethod(interval)

    @property
    def embedding(self) -> str:
        """The vectors that the replicates have: ``input``, ``sum`` or ``balanced``."""
        return read_replicate(self._files[0], len(self.words))[1].embedding

    @property
    def scores(self) -> dict[str, NDArray[np.float64]]:
        """The value of each replicate, by the name of a metric; NaN where it is not defined."""
        found = [read_replicate(path, len(self.words))[1].scores for path in self._files]
        names = dict.fromkeys(name for scores in found for name in scores)
        return {name: np.array([scores.get(name, np.nan) for scores in found]) for name in names}

    def values(self, measure: Callable[[Embeddings], float]) -> NDArray[np.float64]:
        """Return a measure of each replicate, (R,): any function of embeddings."""
        return np.array([measure(embeddings) for embeddings in self])

    def cosines(self, a: str, b: str) -> NDArray[np.float64]:
        """Return the cosine of two words in each replicate, (R,); NaN where one of them does not occur.

        Raises
        ------
        UnknownWordError
            If one is unknown.
        """
        return self.cosines_of([a, b])[:, 0, 1]

    def cosines_of(self, words: Sequence[str]) -> NDArray[np.float64]:
        """Return the cosines of n words with each other in each replicate, (R, n, n); NaN where one does not occur."""
        found = np.empty((len(self), len(words), len(words)))
        for number, embeddings in enumerate(self):
            vectors = directions(embeddings[list(words)])
            absent = ~vectors.any(axis=1)
            vectors[absent] = np.nan
            found[number] = vectors @ vectors.T
        return found

    def neighbour_shares(self, word: str, topn: int = 10, restrict_vocab: int | None = None) -> Similar:
        """Return the words that are among the `topn` nearest of a word, with their shares of the replicates.

        Replicates without the word do not count. A word that does not occur in a replicate is not near in it.

        Parameters
        ----------
        word : str
            The word.
        topn : int
            Number of nearest words.
        restrict_vocab : int, optional
            Search only the first `restrict_vocab` words.

        Returns
        -------
        list of (str, float)
            By falling share, equal ones by rising id.

        Raises
        ------
        UnknownWordError
            If the word is unknown.
        """
        return self.neighbour_shares_of([word], topn, restrict_vocab)[0]

    def neighbour_shares_of(
        self, words: Sequence[str], topn: int = 10, restrict_vocab: int | None = None
    ) -> list[Similar]:
        """Return `neighbour_shares` of each word, from one pass over the replicates."""
        topn = require_whole("topn", topn, at_least=1)
        numbers = [Counter[int]() for _ in words]
        known = [0] * len(words)
        for embeddings in self:
            searched = directions(embeddings.input[:restrict_vocab])
            queries = directions(embeddings[list(words)])
            absent = np.flatnonzero(~searched.any(axis=1)).tolist()
            for place, (word, query) in enumerate(zip(words, queries, strict=True)):
                if not query.any():
                    continue
                known[place] += 1
                own = self.ids[word]
                excluded = {*absent, own} if own < len(searched) else set(absent)
                numbers[place].update(highest(searched @ query, topn, sorted(excluded)).tolist())
        return [
            [
                (self.words[i], count / of)
                for i, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
            ]
            for counts, of in zip(numbers, known, strict=True)
        ]

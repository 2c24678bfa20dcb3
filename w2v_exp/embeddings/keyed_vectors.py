"""`KeyedVectors`: words and vectors that can be added and replaced, with gensim's methods."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.embeddings.analogies import AnalogySet, answer_questions
from w2v_exp.embeddings.embeddings import Embeddings
from w2v_exp.embeddings.formats import StoredEmbeddings, read, save_archive
from w2v_exp.embeddings.opening import LoadOptions
from w2v_exp.embeddings.similarity import Query, UnknownWordError, directions
from w2v_exp.embeddings.word_pairs import WordPairSet, score_word_pairs
from w2v_exp.embeddings.word_queries import WordQueries
from w2v_exp.errors import (
    FormatError,
    SettingError,
    require_choice,
    require_kind,
    require_whole,
    short,
    wrong_kind,
)

UTF_8 = ("utf8", "utf-8")
DATATYPES = ("float16", "float32", "float64")
# Names of gensim's that are not here, with the remedy.
ELSEWHERE = {
    "vocab": "Use key_to_index, or get_vecattr(word, 'count'), as in gensim 4.",
    "index2word": "Use index_to_key, as in gensim 4.",
    "index2entity": "Use index_to_key, as in gensim 4.",
    "vectors_norm": "Use get_normed_vectors(), as in gensim 4.",
    "syn0": "Use vectors.",
    "syn0norm": "Use get_normed_vectors().",
    "word_vec": "Use get_vector(word).",
    "words_closer_than": "Use closer_than(key1, key2).",
    "wmdistance": "Word mover's distance is not available. Use n_similarity(document1, document2).",
    "vectors_lockf": "Vectors cannot be locked. Keep a copy of the rows, and write them back after training.",
    "intersect_word2vec_format": "Load the file by load_word2vec_format, and write its vectors by wv[words] = vectors.",
}


class KeyedVectors(WordQueries):
    """Words with vectors, by the names of gensim's `KeyedVectors`.

    Unlike `Embeddings`, it can be empty, and vectors can be added and replaced. A word may be given by its id.

    Parameters
    ----------
    vector_size : int
        Number of dimensions.
    count : int
        Without effect: memory grows as vectors are added.
    dtype : dtype
        Type of the numbers: float16, float32 or float64.
    """

    def __init__(self, vector_size: int, count: int = 0, dtype: DTypeLike = np.float32) -> None:
        size = require_whole("vector_size", vector_size, at_least=1)
        require_whole("count", count, at_least=0)
        self.words: list[str] = []
        self.ids: dict[str, int] = {}
        self._memory: NDArray[Any] = np.empty((0, size), _checked_datatype("dtype", dtype))
        self.input = self._memory
        self.expandos: dict[str, NDArray[Any]] = {}
        self._normed: NDArray[Any] | None = None

    @classmethod
    def of(
        cls, words: Sequence[str], vectors: NDArray[Any], counts: NDArray[np.int64] | None = None
    ) -> KeyedVectors:
        """Return an object of these arrays, which are not copied."""
        made = cls(vectors.shape[1], dtype=vectors.dtype)
        made.words = list(words)
        made.ids = {word: i for i, word in enumerate(made.words)}
        made.vectors = vectors
        if counts is not None:
            made.expandos["count"] = counts
        return made

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} words, vector_size={self.vector_size}, {self.input.dtype})"

    def __getattr__(self, name: str) -> Any:
        if name in ELSEWHERE:
            raise AttributeError(f"KeyedVectors has no {name}. {ELSEWHERE[name]}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ELSEWHERE:
            raise AttributeError(f"KeyedVectors has no {name}. {ELSEWHERE[name]}")
        super().__setattr__(name, value)

    @property
    def vectors(self) -> NDArray[Any]:
        """The vector of each word, (V, dim). Call `fill_norms` after changing it."""
        return self.input

    @vectors.setter
    def vectors(self, vectors: NDArray[Any]) -> None:
        if not isinstance(vectors, np.ndarray) or vectors.shape != (len(self.words), self.vector_size):
            raise SettingError(
                "vectors", short(vectors), f"must be an array of shape {(len(self.words), self.vector_size)}."
            )
        _checked_datatype("vectors", vectors.dtype)
        self._memory = self.input = vectors
        self.fill_norms(force=True)

    @property
    def counts(self) -> NDArray[np.int64] | None:  # type: ignore[override]
        """Number of occurrences of each word, (V,); None if unknown."""
        return self.expandos.get("count")

    @property
    def _directions(self) -> NDArray[Any]:
        if self._normed is None:
            vectors = self.input
            if vectors.dtype == np.float16:  # half precision is a format of storage
                vectors = vectors.astype(np.float32)
            self._normed = directions(vectors) if len(vectors) else vectors
        return self._normed

    def fill_norms(self, force: bool = False) -> None:
        """Forget the directions of all vectors, so that queries see changed ones.

        Without `force` it has no effect: they are computed when they are needed.
        """
        if force:
            self._normed = None

    def unit_normalize_all(self) -> None:
        """Scale all vectors to length 1, in place."""
        self.input[...] = self._directions
        self.fill_norms(force=True)

    def init_sims(self, replace: bool = False) -> None:
        """Scale all vectors to length 1 if `replace`; otherwise without effect."""
        if replace:
            self.unit_normalize_all()

    # ------------------------------------------------------------ words by name or id

    def _id(self, word: Any) -> int:
        if isinstance(word, (int, np.integer)) and not isinstance(word, bool):
            if 0 <= word < len(self.words):
                return int(word)
            raise UnknownWordError(f"{word}: is no id. Ids are from 0 to {len(self.words) - 1}.")
        return super()._id(word)

    def __contains__(self, key: object) -> bool:
        if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
            return bool(0 <= key < len(self.words))
        return super().__contains__(key)

    def __getitem__(self, key_or_keys: Any) -> NDArray[Any]:
        """Return the vector of a word or id, (dim,), or of several, (n, dim); read-only for one."""
        if isinstance(key_or_keys, (str, int, np.integer)):
            return self.get_vector(key_or_keys)  # type: ignore[arg-type]
        require_kind("key_or_keys", key_or_keys, Iterable, "a word or a list of words")
        return self.input[[self._id(key) for key in key_or_keys]]

    def get_vector(self, key: str, norm: bool = False) -> NDArray[Any]:
        """Return the vector of a word, (dim,), read-only, or with `norm` its direction."""
        vector = super().get_vector(key, norm)
        if not norm:
            vector.flags.writeable = False
        return vector

    def _mean(self, positive: Query, negative: Query) -> tuple[NDArray[Any], list[int]]:
        return super()._mean(self._named(positive), self._named(negative))

    def most_similar_cosmul(
        self, positive: Query = None, negative: Query = None, *args: Any, **kwargs: Any
    ) -> Any:
        """Return the words with the highest ratios of similarities: see `Embeddings`."""
        return super().most_similar_cosmul(self._named(positive), self._named(negative), *args, **kwargs)

    def _named(self, query: Query) -> Query:
        """Return a query with words in place of ids."""
        if isinstance(query, (int, np.integer)) and not isinstance(query, bool):
            return self.words[self._id(query)]
        if isinstance(query, tuple) and len(query) == 2 and isinstance(query[1], float):
            return self._named(query[0]), query[1]
        if isinstance(query, (list, tuple, set)):
            return [self._named(item) for item in query]
        return query

    # ------------------------------------------------------------ changes

    def add_vector(self, key: str, vector: Sequence[float] | NDArray[Any]) -> int:
        """Add a word with a vector, or replace the vector of a known one; return its id."""
        self.add_vectors([key], [np.asarray(vector)], replace=True)
        return self.ids[key]

    def add_vectors(
        self,
        keys: str | Sequence[str],
        weights: Sequence[NDArray[Any]] | NDArray[Any],
        extras: Mapping[str, NDArray[Any]] | None = None,
        replace: bool = False,
    ) -> None:
        """Add words with vectors.

        Parameters
        ----------
        keys : str or list of str
            The words.
        weights : list of ndarray, or ndarray of shape (n, dim)
            Their vectors; (dim,) for one word.
        extras : dict of str to ndarray, optional
            Attributes of these words, (n,): see `set_vecattr`.
        replace : bool
            Whether vectors of known words are replaced, or kept.

        Raises
        ------
        SettingError
            If a word is not a string, or the vectors have another shape or values that are not finite.
        """
        if isinstance(keys, str):
            keys, weights = [keys], np.asarray(weights).reshape(1, -1)
        for key in keys:
            if not isinstance(key, str):
                raise SettingError("keys", short(key), f"a word must be a string, not {type(key).__name__}.")
        rows = np.asarray(weights)
        if rows.shape != (len(keys), self.vector_size) or rows.dtype.kind not in "iuf":
            raise SettingError(
                "weights", short(rows), f"must be numbers of shape {(len(keys), self.vector_size)}."
            )
        if not np.isfinite(rows).all():
            raise SettingError("weights", short(rows), "has a value that is NaN or infinite.")
        last = {key: number for number, key in enumerate(keys)}  # of a repeated word, the last vector
        new = [key for key in last if key not in self.ids]
        self._append(new, rows[[last[key] for key in new]])
        changed = [key for key in last if key not in set(new)] if replace else []
        self.input[[self.ids[key] for key in changed]] = rows[[last[key] for key in changed]]
        for attr, values in (extras or {}).items():
            for key in [*new, *changed]:
                self.set_vecattr(key, attr, values[last[key]])
        self.fill_norms(force=True)

    def __setitem__(self, keys: str | Sequence[str], weights: Any) -> None:
        """Add words with vectors, or replace the vectors of known words."""
        if isinstance(keys, (str, int, np.integer)):
            keys, weights = [keys], [weights]
        names = [self.words[self._id(key)] if not isinstance(key, str) else key for key in keys]
        self.add_vectors(names, weights, replace=True)

    def _append(self, words: Sequence[str], rows: NDArray[Any]) -> None:
        """Append new words; memory grows by an eighth at least."""
        known = len(self.words)
        needed = known + len(words)
        if needed > len(self._memory):
            grown = np.zeros((max(needed, known + known // 8), self.vector_size), self.input.dtype)
            grown[:known] = self.input
            self._memory = grown
        self._memory[known:needed] = rows
        self.input = self._memory[:needed]
        self.words.extend(words)
        self.ids.update((word, known + i) for i, word in enumerate(words))
        for attr, values in self.expandos.items():
            self.expandos[attr] = np.concatenate([values, np.zeros(len(words), values.dtype)])

    def set_vecattr(self, key: str, attr: str, val: Any) -> None:
        """Store an attribute of a word; all values of an attribute have the type of the first."""
        index = self._id(key)
        if attr not in self.expandos:
            dtype = np.int64 if isinstance(val, (int, np.integer)) else np.asarray(val).dtype
            self.expandos[attr] = np.zeros(len(self), object if isinstance(val, str) else dtype)
        self.expandos[attr][index] = val

    def get_vecattr(self, key: str, attr: str) -> Any:
        """Return an attribute of a word, such as its ``count``.

        As in gensim, the ``count`` is V − id where counts are unknown: files list words by falling count.
        """
        if attr == "count" and attr not in self.expandos:
            return super().get_vecattr(key, attr)
        require_choice("attr", attr, self.expandos)
        return self.expandos[attr][self._id(key)]

    def sort_by_descending_frequency(self) -> None:
        """Sort words by falling count, equal ones by their order."""
        if self.counts is None:
            return
        order = np.argsort(-self.counts, kind="stable")
        self.words = [self.words[i] for i in order.tolist()]
        self.ids = {word: i for i, word in enumerate(self.words)}
        self.vectors = self.input[order]
        self.expandos = {attr: values[order] for attr, values in self.expandos.items()}

    def vectors_for_all(
        self, keys: Iterable[str], allow_inference: bool = True, copy_vecattrs: bool = False
    ) -> KeyedVectors:
        """Return the vectors of those words that are known, in their order.

        Parameters
        ----------
        keys : iterable of str
            The words; repeated and unknown ones are skipped.
        allow_inference : bool
            Without effect: no vector is inferred.
        copy_vecattrs : bool
            Whether attributes such as counts are copied.
        """
        if isinstance(keys, str) or not isinstance(keys, Iterable):
            raise wrong_kind("keys", keys, "a list of words")
        rows = [self._id(key) for key in dict.fromkeys(keys) if key in self]
        part = KeyedVectors(self.vector_size, dtype=self.input.dtype)
        part._append([self.words[row] for row in rows], self.input[rows])
        if copy_vecattrs:
            attributes = self.expandos or {"count": np.arange(len(self), 0, -1)}
            part.expandos = {attr: values[rows] for attr, values in attributes.items()}
        return part

    # ------------------------------------------------------------ files

    def save(self, fname: Path | str, *args: Any, **kwargs: Any) -> None:
        """Write words, vectors and counts as an archive, whatever the suffix.

        It is the archive of `Embeddings.save`; nothing is pickled. Further arguments, which gensim has, are without
        effect.
        """
        require_kind("fname", fname, (str, Path), "the path of a file")
        stored = self.to_embeddings()
        save_archive(Path(fname), StoredEmbeddings(stored.words, stored.counts, stored.input, None))

    @classmethod
    def load(cls, fname: Path | str, mmap: str | None = None) -> KeyedVectors:
        """Read vectors in any format of `Embeddings.load`.

        Pickles, as gensim's ``save`` writes them, are refused. `mmap` is without effect.
        """
        loaded = Embeddings.load(fname)
        return cls.of(loaded.words, loaded.input, loaded.counts)

    def to_embeddings(self) -> Embeddings:
        """Return these words, vectors and counts as `Embeddings`; float16 becomes float32."""
        vectors = self.input.astype(np.float32) if self.input.dtype == np.float16 else self.input
        return Embeddings(self.words, self.counts, vectors)

    def save_word2vec_format(
        self,
        fname: Path | str,
        fvocab: Path | str | None = None,
        binary: bool = False,
        total_vec: int | None = None,
        write_header: bool = True,
        prefix: str = "",
        append: bool = False,
        sort_attr: str = "count",
    ) -> None:
        """Write words and vectors in word2vec's format: see `Embeddings`.

        Raises
        ------
        SettingError
            For `total_vec`, `append` and other `sort_attr`, which are not available.
        """
        if append or total_vec is not None:
            key, value = ("append", append) if append else ("total_vec", total_vec)
            raise SettingError(key, value, "is not available. Write one file with all vectors.")
        require_choice("sort_attr", sort_attr, ["count"])
        self.to_embeddings().save_word2vec_format(fname, fvocab, binary, write_header, prefix)

    @classmethod
    def load_word2vec_format(
        cls,
        fname: Path | str,
        fvocab: Path | str | None = None,
        binary: bool = False,
        encoding: str = "utf8",
        unicode_errors: str = "strict",
        limit: int | None = None,
        datatype: DTypeLike = np.float32,
        no_header: bool = False,
    ) -> KeyedVectors:
        """Read a file in word2vec's formats or GloVe's.

        Parameters
        ----------
        fname : Path or str
            The file, also compressed. Its content decides on the format, whatever `binary`.
        fvocab : Path or str, optional
            A file of lines ``word count``.
        binary : bool
            Without effect.
        encoding : str
            Must be ``utf8``.
        unicode_errors, limit, no_header
            See `LoadOptions`. Of a repeated word, the first row is kept.
        datatype : dtype
            float16, float32 or float64. Vectors are read as float32, and then converted.

        Raises
        ------
        UserError
            As `Embeddings.load`.
        """
        require_kind("fname", fname, (str, Path), "the path of a file")
        dtype = _checked_datatype("datatype", datatype)
        if encoding.lower() not in UTF_8:
            raise SettingError("encoding", encoding, "must be utf8. Convert the file, for example by iconv.")
        options = LoadOptions(limit, no_header, unicode_errors, duplicates="first")
        stored = read(Path(fname), options)
        loaded = cls.of(stored.words, stored.input.astype(dtype, copy=False), stored.counts)
        if fvocab is not None:
            counts = _read_counts(Path(fvocab), unicode_errors)
            loaded.expandos["count"] = np.array([counts.get(word, 0) for word in loaded.words], np.int64)
        return loaded

    # ------------------------------------------------------------ evaluation

    def evaluate_word_pairs(
        self,
        pairs: WordPairSet | Path | str,
        delimiter: str = "\t",
        encoding: str = "utf8",
        restrict_vocab: int = 300_000,
        case_insensitive: bool = True,
        dummy4unknown: bool = False,
    ) -> tuple[tuple[float, float], tuple[float, float], float]:
        """Correlate cosines with human scores of word pairs.

        `Embeddings.evaluate_word_pairs` returns an object instead. The delimiter is detected.

        Returns
        -------
        pearson, spearman : (float, float)
            The correlation, and the probability of one as far from 0 if there were none (by Student's distribution).
        oov_ratio : float
            Unknown pairs in per cent.
        """
        chosen = pairs if isinstance(pairs, WordPairSet) else WordPairSet.read(pairs)
        score = score_word_pairs(
            self.words[: require_whole("restrict_vocab", restrict_vocab, at_least=1)],
            self.input,
            chosen,
            case_insensitive=case_insensitive,
            dummy4unknown=dummy4unknown,
        )
        counted = score.pairs if dummy4unknown else score.known
        pearson, spearman = ((r, _p_value(r, counted)) for r in (score.pearson, score.spearman))
        return pearson, spearman, 100 * (1 - score.coverage)

    def evaluate_word_analogies(
        self,
        analogies: AnalogySet | Path | str,
        restrict_vocab: int = 300_000,
        case_insensitive: bool = True,
        dummy4unknown: bool = False,
        similarity_function: str = "most_similar",
    ) -> tuple[float, list[dict[str, Any]]]:
        """Answer analogies.

        `Embeddings.evaluate_word_analogies` returns an object instead.

        Returns
        -------
        accuracy : float
            Share of correct answers; 0 if no question is known.
        sections : list of dict
            ``section``, its name, ``correct`` and ``incorrect``, lists of questions; the last one is the total.
        """
        chosen = analogies if isinstance(analogies, AnalogySet) else AnalogySet.read(analogies)
        restrict = require_whole("restrict_vocab", restrict_vocab, at_least=1)
        answers = answer_questions(
            self.words[:restrict], self._directions[:restrict], chosen, case_insensitive, similarity_function
        )
        counts = answers.known | dummy4unknown
        sections: list[dict[str, Any]] = [
            {"section": section.name, "correct": [], "incorrect": []} for section in chosen.sections
        ]
        questions = [question for section in chosen.sections for question in section.questions]
        for question, number, counted, correct in zip(
            questions, answers.section_of.tolist(), counts.tolist(), answers.correct.tolist(), strict=True
        ):
            if counted:
                sections[number]["correct" if correct else "incorrect"].append(tuple(question))
        total = {
            kind: [question for section in sections for question in section[kind]]
            for kind in ("correct", "incorrect")
        }
        sections.append({"section": "Total accuracy", **total})
        number = len(total["correct"]) + len(total["incorrect"])
        return len(total["correct"]) / number if number else 0.0, sections


def _checked_datatype(key: str, dtype: DTypeLike) -> np.dtype[Any]:
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = np.dtype(object)
    if found.name not in DATATYPES:
        raise SettingError(key, short(dtype), f"must be one of {', '.join(DATATYPES)}.")
    return found


def _read_counts(path: Path, unicode_errors: str) -> dict[str, int]:
    """Return the count of each word of a file of lines ``word count``."""
    errors = "replace" if unicode_errors == "skip" else unicode_errors
    counts: dict[str, int] = {}
    try:
        with path.open(encoding="utf8", errors=errors, newline="\n") as lines:
            for number, line in enumerate(lines, 1):
                word, _, count = line.rstrip("\r\n").rpartition(" ")
                if not count.isdecimal():
                    raise FormatError(f"{path}, line {number}: is not a word and its count.")
                counts[word] = int(count)
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise FormatError(f"{path} is not UTF-8 ({error.reason}). Use unicode_errors=replace.") from error
    return counts


def _p_value(correlation: float, pairs: int) -> float:
    """Return the two-sided probability of a correlation of `pairs` independent pairs."""
    from scipy.special import betainc

    freedom = pairs - 2
    if freedom < 1 or math.isnan(correlation):
        return math.nan
    return float(betainc(freedom / 2, 0.5, 1 - correlation**2))

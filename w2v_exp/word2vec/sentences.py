"""Sentences: lists of words from memory or files, the selection of their words, and their ids."""

from __future__ import annotations

import io
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, count, islice, repeat
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from w2v_exp.compression import DAMAGE, SAMPLE, compression_of, decompressed
from w2v_exp.errors import CorpusError, SettingError, UserError, require_kind, require_whole, short
from w2v_exp.text.chunks import without_repeats
from w2v_exp.text.corpus import FileCorpus
from w2v_exp.text.encoding import EncodedText, encode_text, require_ids_memory
from w2v_exp.text.tokenizers import WhitespaceTokenizer
from w2v_exp.text.vocabulary import Vocabulary

LONGEST_SENTENCE = 10_000  # words of a line that gensim's classes yield at once
SENTENCES_AT_ONCE = 1 << 12
CHECK_EVERY = 1 << 26  # bytes of ids

TrimRule = Callable[[str, int, int], int | None]
DEFAULT, DISCARD, KEEP = range(3)  # results of a trim rule, as gensim.utils has them


class SentencesError(UserError, TypeError):
    """Sentences that are not lists of words."""


class ArgumentError(SettingError, ValueError):
    """An argument that gensim refuses by a `ValueError`."""


class UnknownArgumentError(UserError, TypeError):
    """A keyword that is no parameter."""


class Selection(Protocol):
    """Selects the vocabulary of a text."""

    def select(self, counts: Mapping[str, int]) -> Vocabulary:
        """Return the vocabulary of words with these counts."""


class LineSentence:
    """The lines of a file, each split at white space into a list of words.

    It can be iterated any number of times.

    Parameters
    ----------
    source : Path, str, or file
        The file, also compressed (gzip, bzip2, xz, lzma, zstd), or an open file that can be sought.
    max_sentence_length : int
        Longer lines are cut into lists of this number of words.
    limit : int, optional
        Only this many lines are read.
    """

    def __init__(
        self,
        source: Path | str | IO[Any],
        max_sentence_length: int = LONGEST_SENTENCE,
        limit: int | None = None,
    ) -> None:
        self.source = source
        self.max_sentence_length = require_whole("max_sentence_length", max_sentence_length, at_least=1)
        self.limit = None if limit is None else require_whole("limit", limit, at_least=0)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.source)!r})"

    def __iter__(self) -> Iterator[list[str]]:
        if isinstance(self.source, (str, Path)):
            yield from self._sentences(Path(self.source).expanduser())
        else:
            self.source.seek(0)
            yield from self._split(self.source, "the open file")

    def _sentences(self, path: Path) -> Iterator[list[str]]:
        try:
            with path.open("rb") as raw, io.BufferedReader(raw, SAMPLE) as stream:
                compression = compression_of(stream.peek(SAMPLE))
                if compression == "zip":
                    raise CorpusError(f"{path} is a zip archive. Unpack it, or compress the file by gzip.")
                lines: Iterable[bytes] = decompressed(stream, compression) if compression else stream
                yield from self._split(lines, str(path))
        except OSError as error:
            raise CorpusError(f"{path} cannot be read: {error.strerror or error}.") from error
        except DAMAGE as error:
            raise CorpusError(f"{path} is damaged: {error}.") from error

    def _split(self, lines: Iterable[bytes | str], name: str) -> Iterator[list[str]]:
        longest = self.max_sentence_length
        for number, line in enumerate(islice(lines, self.limit), 1):
            try:
                words = (line if isinstance(line, str) else line.decode()).split()
            except UnicodeDecodeError as error:
                raise CorpusError(f"{name}, line {number}: is not UTF-8 ({error.reason}).") from error
            for first in range(0, len(words), longest):
                yield words[first : first + longest]


class PathLineSentences(LineSentence):
    """The lines of all files of a folder, by file name, each as a list of words.

    Parameters
    ----------
    source : Path or str
        The folder; folders within it are skipped. Or a single file.
    max_sentence_length, limit
        See `LineSentence`; the limit holds for each file.
    """

    def __init__(
        self, source: Path | str, max_sentence_length: int = LONGEST_SENTENCE, limit: int | None = None
    ) -> None:
        require_kind("source", source, (str, Path), "the path of a folder or file")
        super().__init__(source, max_sentence_length, limit)
        folder = Path(source).expanduser()
        if not folder.exists():
            raise CorpusError(f"{source}: no such folder or file, seen from {Path.cwd()}.")
        self.input_files = (
            sorted(file for file in folder.iterdir() if file.is_file()) if folder.is_dir() else [folder]
        )

    def __iter__(self) -> Iterator[list[str]]:
        for file in self.input_files:
            yield from self._sentences(file)


def encode_sentences(
    sentences: Iterable[Iterable[str]], selection: Selection, max_words: int | None = None
) -> tuple[EncodedText, int]:
    """Read sentences once, count their words, and encode them in memory.

    Parameters
    ----------
    sentences : iterable of iterable of str
        Restartable or not.
    selection : Selection
        Selects the vocabulary by the counts.
    max_words : int, optional
        Largest number of distinct words in memory: where a sentence exceeds it, the rarest ones are forgotten, with
        their occurrences so far. The bound of the counts that are forgotten rises by 1 each time, as in gensim.

    Returns
    -------
    text : EncodedText
        Each sentence is a segment. Its digest is empty.
    number : int
        Number of sentences.

    Raises
    ------
    SentencesError
        If a sentence is not an iterable of strings.
    CorpusError
        If there is no word.
    """
    ids: defaultdict[str, int] = defaultdict(count().__next__)
    pruning = None if max_words is None else _Pruning(require_whole("max_vocab_size", max_words, at_least=1))
    chunks: list[NDArray[np.int32]] = []
    ends, tokens, number, checked = [np.zeros(1, np.int64)], 0, 0, 0
    for some in _chunked(sentences, 1 if pruning else SENTENCES_AT_ONCE):
        lengths = np.fromiter(map(len, some), np.int64, len(some))
        words = list(chain.from_iterable(some))
        try:
            chunks.append(np.fromiter(map(ids.__getitem__, words), np.int32, len(words)))
        except TypeError as error:  # a word that cannot be hashed, such as a list
            raise _not_words(words) from error
        ends.append(tokens + np.cumsum(lengths))
        tokens, number = tokens + len(words), number + len(some)
        if pruning:
            pruning.forget(words, ids)
        if 4 * tokens - checked > CHECK_EVERY:
            checked = 4 * tokens
            require_ids_memory("sentences", checked)
    if not tokens:
        raise CorpusError(
            "sentences: has no word. If it is an iterator, it may have been consumed: pass a list."
        )
    if not all(isinstance(word, str) for word in ids):
        raise _not_words(ids)
    provisional = np.concatenate(chunks)
    counts = np.bincount(provisional)
    rows = np.fromiter(ids.values(), np.int64, len(ids))  # fewer than the counts where words were forgotten
    vocabulary = selection.select(dict(zip(ids, counts[rows].tolist(), strict=True)))
    new_ids = np.full(len(counts), -1, np.int32)
    new_ids[rows] = np.fromiter(map(vocabulary.ids.get, ids, repeat(-1)), np.int32, len(ids))
    mapped = new_ids[provisional]
    kept = mapped >= 0
    before = np.concatenate([[0], np.cumsum(kept)])
    segments = without_repeats(before[np.concatenate(ends)])
    return EncodedText(mapped[kept], vocabulary, tokens, "", segments), number


def _chunked(sentences: Iterable[Iterable[str]], size: int) -> Iterator[list[list[str]]]:
    """Yield sentences as lists of words, several at a time."""
    if isinstance(sentences, (str, bytes)) or not isinstance(sentences, Iterable):
        raise SentencesError(
            f"sentences={short(sentences)}: must be an iterable of lists of words. A file is named by corpus_file."
        )
    all_sentences, warned = iter(sentences), False
    while some := list(islice(all_sentences, size)):
        for number, sentence in enumerate(some):
            if isinstance(sentence, (list, tuple)):
                continue
            if isinstance(sentence, str) and not warned:
                warned = True
                warnings.warn(
                    f"sentences: {short(sentence)} is a string, of which each character is taken as a word. "
                    "A sentence is a list of words, such as text.split().",
                    stacklevel=5,
                )
            if not isinstance(sentence, Iterable):
                raise SentencesError(
                    f"sentences: {short(sentence)} is not a list of words. A sentence is a list of strings."
                )
            some[number] = list(sentence)
        yield some  # type: ignore[misc]


class _Pruning:
    """Counts of words, of which the rarest are forgotten where there are too many."""

    def __init__(self, most: int) -> None:
        self.counts: Counter[str] = Counter()
        self._most = most
        self._smallest = 1

    def forget(self, words: list[str], ids: dict[str, int]) -> None:
        """Count words, and forget the rarest ones if there are too many."""
        self.counts.update(words)
        if len(self.counts) <= self._most:
            return
        for word in [word for word, number in self.counts.items() if number < self._smallest]:
            del self.counts[word], ids[word]
        self._smallest += 1


def _not_words(words: Iterable[Any]) -> SentencesError:
    word = next(word for word in words if not isinstance(word, str))
    return SentencesError(
        f"sentences: {short(word)} is not a word, but {type(word).__name__}. A word must be a string: "
        "[[str(word) for word in sentence] for sentence in sentences]."
    )


@dataclass
class WordSelection:
    """Selects the words of a text as gensim does.

    Parameters
    ----------
    min_count, max_final_vocab, is_sorted, trim_rule
        See `Word2Vec`.
    known : Vocabulary, optional
        Words that come first, whatever their counts; new ones are appended.
    """

    min_count: int
    max_final_vocab: int | None
    is_sorted: bool
    trim_rule: TrimRule | None
    known: Vocabulary | None
    effective_min_count: int = 0

    def select(self, counts: Mapping[str, int]) -> Vocabulary:
        """Return the vocabulary of words with these counts."""
        smallest = self.min_count
        if self.max_final_vocab is not None and self.max_final_vocab < len(counts):
            falling = sorted(counts.values(), reverse=True)
            smallest = max(smallest, falling[self.max_final_vocab] + 1)
        self.effective_min_count = smallest
        kept = [word for word, count in counts.items() if self._keeps(word, count)]
        if self.is_sorted:  # ties by the word, so that ids do not depend on the order of the text
            kept.sort()
            kept.sort(key=counts.__getitem__, reverse=True)
        if self.known is None:
            return Vocabulary(kept, np.array([counts[word] for word in kept], np.int64))
        new = [word for word in kept if word not in self.known.ids]
        words = [*self.known.words, *new]
        before = np.concatenate([self.known.counts, np.zeros(len(new), np.int64)])
        return Vocabulary(words, before + np.array([counts.get(word, 0) for word in words], np.int64))

    def _keeps(self, word: str, count: int) -> bool:
        decision = (
            DEFAULT if self.trim_rule is None else self.trim_rule(word, count, self.effective_min_count)
        )
        if decision in (None, DEFAULT):
            return count >= self.effective_min_count
        return decision == KEEP


@dataclass(frozen=True)
class KnownWords:
    """Selects a vocabulary that is fixed already."""

    vocabulary: Vocabulary

    def select(self, counts: Mapping[str, int]) -> Vocabulary:
        """Return the vocabulary."""
        return self.vocabulary


@dataclass(frozen=True)
class HeldText:
    """The text of `build_vocab`, with the object that it was read from."""

    sentences: Any
    file: Path | str | None
    text: EncodedText

    def of(self, sentences: Any, file: Path | str | None) -> EncodedText | None:
        """Return the text if it was read from this object or file; else None."""
        is_same = (
            sentences is self.sentences if sentences is not None else file is not None and file == self.file
        )
        return self.text if is_same else None


def encode(
    sentences: Iterable[Iterable[str]] | None,
    file: Path | str | None,
    selection: Selection,
    max_words: int | None,
) -> tuple[EncodedText, int]:
    """Return a text as ids, and its number of sentences."""
    if (sentences is None) == (file is None):
        raise UnknownArgumentError("sentences, corpus_file: give one of the two.")
    if file is None:
        assert sentences is not None
        return encode_sentences(sentences, selection, max_words)
    require_kind("corpus_file", file, (str, Path), "the path of a file")
    if max_words is not None:
        return encode_sentences(LineSentence(file), selection, max_words)
    try:
        corpus = FileCorpus(str(file), boundaries="line")
    except SettingError as error:
        raise SettingError("corpus_file", file, error.problem) from None
    text = encode_text(corpus, WhitespaceTokenizer(), selection)  # type: ignore[arg-type]
    return text, len(text.segments) - 1

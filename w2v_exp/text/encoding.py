"""A corpus as ids, in one pass, in memory or in a file."""

from __future__ import annotations

import hashlib
from array import array
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count, islice, repeat
from pathlib import Path
from typing import IO, Any, overload
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from w2v_exp.display import ROWS, card
from w2v_exp.errors import CorpusError, ShortRepr, require_methods, wrong_kind
from w2v_exp.machine import require_memory
from w2v_exp.text.chunks import move_positions, whole_blank_lines, without_repeats
from w2v_exp.text.corpus import Corpus, segment_end_of, texts_of
from w2v_exp.text.damage import NOTHING, Damage, Skipped
from w2v_exp.text.tokenizers import Tokenizer, encode_chunks
from w2v_exp.text.vocabulary import Vocabulary, VocabularyRule

# Two chunks together have fewer distinct words to look up than two chunks apart; more only take more memory.
CHUNKS_AT_ONCE = 2

SHORT_TEXTS = 1 << 18  # characters of several texts that are tokenized together

# Distinct words stay in memory: reading ends when less than this is available.
SMALLEST_LEFT = 64_000_000
CHECK_EVERY = 16_000_000  # bytes of text

Progress = Callable[[int], None]  # called with the bytes of text read so far


class Reading:
    """State of reading a corpus: words in order of appearance, their counts, segments, documents, digest."""

    def __init__(self, corpus: Corpus, progress: Progress = lambda _: None) -> None:
        self._corpus = corpus
        self._progress = progress
        self._ids: defaultdict[str, int] = defaultdict(count().__next__)
        self._counts = np.zeros(1 << 10, np.int64)  # of the words so far, with room for more
        self._digest = hashlib.sha256()
        self._segment_end = segment_end_of(corpus)
        # For each chunk being tokenized, the number of texts that begin with each of its parts.
        self._begins: deque[list[int]] = deque()
        self._ends: list[NDArray[np.int64]] = []  # of segments: the number of tokens before each
        self._documents = array("q")  # likewise, before the beginning of each text
        self._names = bytearray()  # of the texts, as `Names` has them
        self._name = ""  # of the text before
        self._damage = Damage(skip=getattr(corpus, "on_error", "stop") == "skip")

    def provisional_ids(
        self, tokenizer: Tokenizer, processes: int = 1
    ) -> Generator[NDArray[np.int32], None, None]:
        """Yield the ids of each chunk's tokens."""
        done = 0
        # Closed even after an error, so that no process is left running.
        with closing(encode_chunks(tokenizer, self._chunks(), processes, self._segment_end)) as chunks:
            for words, numbers, ends, texts in chunks:
                begins = self._begins.popleft()
                for before, number in zip([0, *texts.tolist()], begins, strict=True):
                    self._documents.extend(repeat(done + before, number))
                if self._segment_end != "corpus":
                    inner = without_repeats(ends) if ends.size else ends
                    outer = [0, *texts] if begins[0] else texts
                    self._ends.append(done + np.sort(np.concatenate([inner, outer]).astype(np.int64)))
                done += len(numbers)
                yield self._numbers_of(words, np.bincount(numbers, minlength=len(words)))[numbers]

    def _numbers_of(self, words: Sequence[str], counts: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the provisional ids of distinct words, and add to their counts."""
        ids = np.fromiter(map(self._ids.__getitem__, words), np.int32, len(words))
        while len(self._counts) < len(self._ids):
            self._counts = np.concatenate([self._counts, np.zeros_like(self._counts)])
        self._counts[ids] += counts
        return ids

    def _chunks(self) -> Iterator[str | list[str]]:
        """Yield chunks of a text, and lists of short texts."""
        several: list[str] = []
        begins: list[int] = []
        characters = 0
        for number, chunk in self._begun_chunks():
            is_long = len(chunk) > SHORT_TEXTS
            # A chunk in the middle of a text begins a list: a blank line may reach across its beginning.
            if several and (is_long or not number or characters > SHORT_TEXTS):
                self._begins.append(begins)
                yield several
                several, begins, characters = [], [], 0
            if is_long:
                self._begins.append([number])
                yield chunk
                continue
            several.append(chunk)
            begins.append(number)
            characters += len(chunk)
        if several:
            self._begins.append(begins)
            yield several

    def _begun_chunks(self) -> Iterator[tuple[int, str]]:
        """Yield each chunk of the texts with the number of texts that begin with it, most of them empty."""
        read = checked = 0

        def reading(text: Iterator[str]) -> Iterator[str]:
            nonlocal read, checked
            for chunk in text:
                content = chunk.encode()
                self._digest.update(content)
                read += len(content)
                del content
                if read - checked > CHECK_EVERY:
                    checked = read
                    require_memory(
                        SMALLEST_LEFT,
                        f"{self._corpus.source}: reading further, with {len(self._ids):,} distinct words in memory,",
                        "Take a part of the text, or another tokenizer.",
                    )
                self._progress(read)
                yield chunk

        begins = 0  # texts without a chunk yet
        for text in texts_of(self._corpus, self._damage):
            begins += 1
            name = _name_of(text)
            self._names += (
                _SAME if name and name == self._name else name.encode(errors="surrogatepass")
            ) + b"\0"
            self._name = name
            chunks = _joined(reading(text))
            if self._segment_end == "blank line":
                chunks = whole_blank_lines(chunks)
            for chunk in chunks:
                yield begins, chunk
                begins = 0

    def select(self, rule: VocabularyRule) -> tuple[Vocabulary, NDArray[np.int32]]:
        """Return the vocabulary, and for each provisional id the new one, or −1 for words that are dropped."""
        if not self._ids:
            raise no_word(self._corpus, self.skipped)
        vocabulary = rule.select(dict(zip(self._ids, self._counts.tolist(), strict=False)))
        return vocabulary, np.fromiter(map(vocabulary.ids.get, self._ids, repeat(-1)), np.int32)

    def ends(self) -> list[NDArray[np.int64]]:
        """Return the number of tokens before each end of a segment, also at both ends of the text if there is one."""
        return self._ends

    def take_segments(self) -> NDArray[np.int64]:
        """Return the segments as in `EncodedText`, but of all tokens; some may be empty."""
        ends, self._ends = self._ends, []
        return np.concatenate([[0], *ends, [self.tokens]])

    def take_documents(self) -> tuple[NDArray[np.int64], Names]:
        """Return the documents as in `EncodedText`, but of all tokens, and their names."""
        names = Names(np.frombuffer(self._names, np.uint8))
        documents = np.full(len(names) + 1, self.tokens)  # beyond the last text that has a chunk
        documents[: len(self._documents)] = self._documents
        return documents, names

    @property
    def tokens(self) -> int:
        """Number of tokens."""
        return int(self._counts.sum())

    @property
    def skipped(self) -> Skipped:
        """The damaged files and rows that were skipped so far."""
        return self._damage.skipped

    @property
    def digest(self) -> str:
        """SHA-256 of the text."""
        return self._digest.hexdigest()


def no_word(corpus: Corpus, skipped: Skipped) -> CorpusError:
    """Return the error of a text without a word."""
    return CorpusError(
        f"The text ({corpus.source}) has no word that this tokenizer finds. "
        f"{f'corpus.on_error=skip: {skipped}' if skipped else ''}".rstrip()
    )


def _joined(chunks: Iterator[str]) -> Iterator[str]:
    while several := list(islice(chunks, CHUNKS_AT_ONCE)):
        yield "".join(several)


_SAME = b"\1"  # stands for the name before


def _name_of(text: Iterator[str]) -> str:
    """Return the name of a text, which may have surrogates, as names of files have that are not UTF-8; "" if none."""
    name = getattr(text, "name", "")
    return name.replace("\0", " ").replace(_SAME.decode(), " ") if isinstance(name, str) else ""


class Names(Sequence[str]):
    """Names of documents, each decoded when it is used: there may be a million.

    Parameters
    ----------
    content : ndarray of uint8
        The names in UTF-8, each followed by a NUL; the byte 1 stands for the name before: all rows of a table may have
        that of its file.
    """

    def __init__(self, content: NDArray[np.uint8]) -> None:
        self.content = content

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self):,})"

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        return np.flatnonzero(np.append(np.uint8(0), self.content) == 0)  # also before the first

    @cached_property
    def _own(self) -> NDArray[np.int64]:
        """Return the numbers of documents whose name is not that of the one before."""
        is_same = (np.diff(self._ends) == 2) & (self.content[self._ends[:-1]] == _SAME[0])
        return np.flatnonzero(~is_same)

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, number: int) -> str: ...
    @overload
    def __getitem__(self, number: slice) -> list[str]: ...
    def __getitem__(self, number: int | slice) -> str | list[str]:
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        number = int(self._own[self._own.searchsorted(range(len(self))[number], "right") - 1])
        start, stop = self._ends[number : number + 2].tolist()
        return self.content[start : stop - 1].tobytes().decode(errors="surrogatepass")


ID = np.dtype("<i4")  # of a file of ids, on every machine
POSITION = np.dtype("<i8")  # of a file of segments
BEGINNING = 60  # words that a notebook shows
IDS_AT_ONCE = 1 << 18
_CHECK_EVERY = 1 << 26  # bytes of ids in memory


@dataclass(frozen=True, repr=False)
class EncodedText(ShortRepr):
    """A text as ids.

    Parameters
    ----------
    ids : ndarray of int32, shape (n,)
        The ids of the tokens that are in the vocabulary, in the order of the text.
    vocabulary : Vocabulary
        The words behind the ids.
    tokens : int
        Number of tokens of the text, including dropped ones.
    digest : str
        SHA-256 of the text, hexadecimal.
    segments : ndarray of int64, shape (p + 1,)
        Segment k is ``ids[segments[k]:segments[k + 1]]``; windows do not cross from one to another. Values rise
        strictly from 0 to n, since segments without a kept word are dropped. (A text without ids has no segment.)
    documents : ndarray of int64, shape (d + 1,), optional
        Document k, one of the texts of the corpus, is ``ids[documents[k]:documents[k + 1]]``, whatever the segments
        are. Documents without a kept word stay, as empty ones. None: all ids are one document.
    names : sequence of str, shape (d,), optional
        Names of the documents; None: "" for each.
    entry : Path, optional
        Folder of the cache entry that the ids are mapped from.
    skipped : Skipped
        The damaged files and rows that were skipped.
    """

    ids: NDArray[np.int32]
    vocabulary: Vocabulary
    tokens: int
    digest: str
    segments: NDArray[np.int64]
    documents: NDArray[np.int64] = None  # type: ignore[assignment]  # never after `__post_init__`
    names: Sequence[str] = field(default=None, repr=False)  # type: ignore[arg-type]
    entry: Path | None = None
    skipped: Skipped = field(default=NOTHING, repr=False)

    def __post_init__(self) -> None:
        if self.documents is None:
            object.__setattr__(self, "documents", np.array([0, len(self.ids)]))
        if self.names is None:
            object.__setattr__(self, "names", [""] * (len(self.documents) - 1))

    def _repr_html_(self) -> str:
        """Return the beginning of the text and its most frequent words, for notebooks."""
        words, segments = self.vocabulary.words, max(0, len(self.segments) - 1)
        facts = [
            f"{len(self.ids):,} of {self.tokens:,} tokens",
            f"{len(words):,} distinct words",
            f"{segments:,} segment{'' if segments == 1 else 's'}",
            f"{len(self.names):,} document{'' if len(self.names) == 1 else 's'}",
        ]
        counts = self.vocabulary.counts[:ROWS].tolist()
        beginning = " ".join(words[number] for number in self.ids[:BEGINNING].tolist())
        return card(type(self).__name__, facts, {"word": words[:ROWS], "count": counts}, beginning)


def encode_text(
    corpus: Corpus, tokenizer: Tokenizer, rule: VocabularyRule, progress: Progress = lambda _: None
) -> EncodedText:
    """Read, tokenize, count and encode a corpus in one pass, in memory.

    Words get provisional ids in order of appearance; when all are counted, these are mapped to the ids of the
    vocabulary. Memory: 8 bytes per token at the end, the distinct words, one chunk of text, 16 bytes per segment and
    document, and the documents' names.
    Long texts are better encoded by :func:`w2v_exp.text.cache.encode_cached`.

    Raises
    ------
    SettingError
        If one of the three is of the wrong kind.
    CorpusError
        If the text cannot be read or has no word. (The vocabulary may be empty; callers check that.)
    NotEnoughMemoryError
        If the ids, or the distinct words, do not fit the available memory.
    """
    require_text_parts(corpus, tokenizer, rule)
    reading = Reading(corpus, progress)
    chunks: list[NDArray[np.int32]] = []
    held = checked = 0  # bytes of the chunks
    for chunk in reading.provisional_ids(tokenizer):
        chunks.append(chunk)
        held += chunk.nbytes
        if held - checked > _CHECK_EVERY:
            checked = held
            require_ids_memory(corpus.source, held)
    vocabulary, new_ids = reading.select(rule)
    documents, names = reading.take_documents()
    mapping = _Mapping(new_ids, reading.take_segments(), documents)
    for number, chunk in enumerate(
        chunks
    ):  # one by one, so that there is no second array of the text's length
        chunks[number] = mapping.map(chunk)
    ids, segments = np.concatenate(chunks), mapping.segments
    return EncodedText(
        ids,
        vocabulary,
        reading.tokens,
        reading.digest,
        segments,
        documents,
        names,
        skipped=reading.skipped,
    )


def require_text_parts(corpus: Any, tokenizer: Any, rule: Any) -> None:
    """Check the kinds of three arguments: a list of sentences is no corpus, a name or class no tokenizer.

    Raises
    ------
    SettingError
        For the first of a wrong kind.
    """
    require_methods(
        "corpus",
        corpus,
        "chunks",
        description="a corpus, such as TextCorpus(text), FileCorpus(path), or an object with a method chunks()",
    )
    if isinstance(tokenizer, type) or not callable(tokenizer):
        raise wrong_kind(
            "tokenizer", tokenizer, "a tokenizer, such as WordTokenizer(), or a function from text to words"
        )
    require_methods("rule", rule, "select", description="a VocabularyRule")


def require_ids_memory(source: str, held: int) -> None:
    """Check that the ids encoded so far can be joined to one array in memory.

    Raises
    ------
    NotEnoughMemoryError
        If they cannot.
    """
    require_memory(
        held + _CHECK_EVERY,
        f"{source}: encoding more than {held // ID.itemsize:,} tokens in memory",
        "Use cache=disk with a larger cache.limit_gb, which keeps them in a file, or a part of the text.",
    )


@dataclass(frozen=True, repr=False)
class IdFile(ShortRepr):
    """A text whose ids have been written to a file (int32, little-endian, nothing else).

    Parameters
    ----------
    vocabulary, tokens, digest, segments, documents, names, skipped
        As in `EncodedText`.
    length : int
        Number of ids.
    checksum : int
        CRC-32 of the ids.
    """

    vocabulary: Vocabulary
    tokens: int
    digest: str
    segments: NDArray[np.int64]
    documents: NDArray[np.int64]
    names: Names
    length: int
    checksum: int
    skipped: Skipped = NOTHING


def encode_to_file(
    corpus: Corpus,
    tokenizer: Tokenizer,
    rule: VocabularyRule,
    file: IO[bytes],
    processes: int = 1,
    progress: Progress = lambda _: None,
) -> IdFile:
    """Read, tokenize, count and encode a corpus, with its ids in a file instead of in memory.

    One pass over the text writes provisional ids, and one over the file maps them in place. Memory: the distinct words,
    a few chunks of text, 16 bytes per segment and document, and the documents' names, whatever the text's length. The
    ids are those of `encode_text`.

    Parameters
    ----------
    file : binary file
        Empty, and open for reading and writing.
    processes : int
        Number of processes that tokenize; see :func:`w2v_exp.text.tokenizers.encode_chunks`.

    Raises
    ------
    CorpusError
        If the text cannot be read or has no word.
    OSError
        If the file cannot be written.
    """
    reading = Reading(corpus, progress)
    with closing(reading.provisional_ids(tokenizer, processes)) as chunks:
        for chunk in chunks:
            file.write(chunk.astype(ID, copy=False).data)
    vocabulary, new_ids = reading.select(rule)
    documents, names = reading.take_documents()
    mapping = _Mapping(new_ids, reading.take_segments(), documents)
    length, checksum = _map_file(file, mapping)
    return IdFile(
        vocabulary,
        reading.tokens,
        reading.digest,
        mapping.segments,
        documents,
        names,
        length,
        checksum,
        reading.skipped,
    )


class _Mapping:
    """Map provisional ids to new ones, span by span in their order, and adjust segments and documents.

    Parameters
    ----------
    new_ids : ndarray of int32
        New id for each provisional one; −1 for dropped words.
    segments, documents : ndarray of int64
        Those of the provisional ids; changed in place.
    """

    def __init__(
        self, new_ids: NDArray[np.int32], segments: NDArray[np.int64], documents: NDArray[np.int64]
    ) -> None:
        self._new_ids = new_ids
        self._segments = segments
        self._documents = documents
        self._done = 0
        self._kept = 0

    def map(self, provisional: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return the new ids of the next span."""
        ids = self._new_ids[provisional]
        kept = ids >= 0
        for positions in (self._segments, self._documents):
            move_positions(positions, self._done, kept, self._kept)
        ids = ids[kept]
        self._done += len(provisional)
        self._kept += len(ids)
        return ids

    @property
    def segments(self) -> NDArray[np.int64]:
        """The segments of the new ids, after all are mapped; none is empty."""
        return without_repeats(self._segments)


def _map_file(file: IO[bytes], mapping: _Mapping) -> tuple[int, int]:
    """Map the provisional ids in a file in place; return the number and the CRC-32 of the kept ids."""
    read = written = checksum = 0
    file.seek(0)
    while block := file.read(IDS_AT_ONCE * ID.itemsize):
        read += len(block)
        kept = mapping.map(np.frombuffer(block, ID)).astype(ID, copy=False).tobytes()
        checksum = crc32(kept, checksum)
        file.seek(written)
        written += file.write(kept)  # never overtakes the reading position
        file.seek(read)
    file.truncate(written)
    file.flush()
    return written // ID.itemsize, checksum

"""A corpus while it is read."""

from __future__ import annotations

import hashlib
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from itertools import count, islice, repeat

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import CorpusError
from w2v_exp.memory import require_memory
from w2v_exp.text.corpus import Corpus, passage_end_of, texts_of
from w2v_exp.text.passages import whole_blank_lines, without_repeats
from w2v_exp.text.tokenizer import Tokenizer
from w2v_exp.text.tokenizing import number_pieces
from w2v_exp.text.vocabulary import Vocabulary, VocabularyRule

# Two have fewer distinct words than one and one, and each of these has to be looked up; more only take more memory.
PIECES_AT_ONCE = 2

# Distinct words stay in memory: so much of it is left, or reading ends.
SMALLEST_LEFT = 64_000_000
CHECK_EVERY = 16_000_000  # bytes of text

Progress = Callable[[int], None]  # is told how many bytes of text have been read so far


class Reading:
    """A corpus while it is read: its words in the order in which they turn up, their counts, passages, digest."""

    def __init__(self, corpus: Corpus, progress: Progress = lambda _: None) -> None:
        self._corpus = corpus
        self._progress = progress
        self._ids: defaultdict[str, int] = defaultdict(count().__next__)
        self._counts = np.zeros(1 << 10, np.int64)  # of the words so far, with room for more
        self._digest = hashlib.sha256()
        self._passage_end = passage_end_of(corpus)
        self._text_ends = hashlib.sha256()
        self._begins: deque[bool] = deque()  # of the pieces being tokenized: does a text begin with it?
        self._ends: list[NDArray[np.int64]] = []  # of passages: how many tokens stand before each

    def provisional_ids(
        self, tokenizer: Tokenizer, processes: int = 1
    ) -> Generator[NDArray[np.int32], None, None]:
        """Yield the ids of each piece's tokens."""
        done = 0
        # Closed whatever happens, so that no process is left behind.
        with closing(number_pieces(tokenizer, self._pieces(), processes, self._passage_end)) as pieces:
            for words, numbers, ends in pieces:
                if self._begins.popleft() and self._passage_end != "corpus":
                    self._ends.append(np.array([done]))
                if ends.size:
                    self._ends.append(done + without_repeats(ends))
                done += len(numbers)
                ids = np.fromiter(map(self._ids.__getitem__, words), np.int32, len(words))
                while len(self._counts) < len(self._ids):
                    self._counts = np.concatenate([self._counts, np.zeros_like(self._counts)])
                self._counts[ids] += np.bincount(numbers, minlength=len(words))
                yield ids[numbers]

    def _pieces(self) -> Iterator[str]:
        read = checked = 0

        def reading(text: Iterator[str]) -> Iterator[str]:
            nonlocal read, checked
            for piece in text:
                content = piece.encode()
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
                yield piece
            self._text_ends.update(b"%d " % read)

        for text in texts_of(self._corpus):
            pieces = _joined(reading(text))
            if self._passage_end == "blank line":
                pieces = whole_blank_lines(pieces)
            for number, piece in enumerate(pieces):
                self._begins.append(number == 0)
                yield piece

    def select(self, rule: VocabularyRule) -> tuple[Vocabulary, NDArray[np.int32]]:
        """Return the vocabulary, and by provisional id the new one, or −1 for words that are dropped."""
        if not self._ids:
            raise CorpusError(f"The text ({self._corpus.source}) has no word that this tokenizer finds.")
        vocabulary = rule.select(dict(zip(self._ids, self._counts.tolist(), strict=False)))
        return vocabulary, np.fromiter(map(vocabulary.ids.get, self._ids, repeat(-1)), np.int32)

    def take_passages(self) -> NDArray[np.int64]:
        """Return the passages, as those of `EncodedText`, but among all tokens, and some of them may be empty."""
        ends, self._ends = self._ends, []
        return np.concatenate([[0], *ends, [self.tokens]])

    @property
    def tokens(self) -> int:
        """How many there are."""
        return int(self._counts.sum())

    @property
    def digest(self) -> str:
        """SHA-256 of the text."""
        return self._digest.hexdigest()

    @property
    def identity(self) -> str:
        """SHA-256 of the text and, if passages end with the corpus's texts, of where these end."""
        if self._passage_end == "corpus":
            return self.digest
        return hashlib.sha256(f"{self.digest} {self._text_ends.hexdigest()}".encode()).hexdigest()


def _joined(pieces: Iterator[str]) -> Iterator[str]:
    while several := list(islice(pieces, PIECES_AT_ONCE)):
        yield "".join(several)

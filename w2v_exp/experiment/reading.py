"""The text of a run, with a bar while a long one is fetched or read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from w2v_exp.choices import NoCache
from w2v_exp.errors import CorpusError
from w2v_exp.examples.pairs import count_pairs
from w2v_exp.plan import Plan
from w2v_exp.text.cached_encoding import encode_cached
from w2v_exp.text.encoding import EncodedText, encode_text
from w2v_exp.text.text8 import Text8Corpus


def read_corpus(plan: Plan) -> EncodedText:
    """Return the corpus of a plan as ids, from its cache if that has them."""
    if isinstance(plan.corpus, Text8Corpus):
        with _bar("downloading text8") as show:
            plan.corpus.files(progress=show, say=_say)
    if isinstance(plan.cache, NoCache):
        return encode_text(plan.corpus, plan.tokenizer, plan.vocabulary)
    with _bar("reading the corpus") as show:
        return encode_cached(
            plan.corpus, plan.tokenizer, plan.vocabulary, plan.cache, progress=show, say=_say
        )


def read_trainable_text(plan: Plan) -> EncodedText:
    """Return the encoded corpus, after a check that there is at least one pair to train on."""
    text = read_corpus(plan)
    if not count_pairs(len(text.ids), plan.window, text.segments):
        segments = len(text.segments) - 1
        apart = f" in {segments} segments (see corpus.boundaries)" if segments > 1 else ""
        raise CorpusError(
            f"There is no pair to train on: of the text's {text.tokens} tokens the vocabulary keeps {len(text.ids)}"
            f"{apart}, and a pair needs two{' in one' if apart else ''}. Loosen vocabulary.min_count, max_size, "
            "max_frequency or stop_words, or take a longer text."
        )
    return text


def _say(line: str) -> None:
    print(line, file=sys.stderr)


@contextmanager
def _bar(title: str) -> Iterator[Callable[[int, int | None], None]]:
    """Give what shows how many bytes are done: a bar where there is a terminal, elsewhere nothing."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from w2v_exp.tracking.progress import BytesBar

    with BytesBar(title) as bar:
        yield bar.show

"""What is compared: the article's training, pair generation, a whole command."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import replace

import numpy as np

from benchmarks import baseline
from benchmarks.child import CHECKOUT
from benchmarks.real_text import real_text
from benchmarks.sizes import Size
from benchmarks.steps import AS_PUBLISHED, DEFAULT, Variant, compare
from benchmarks.timing import Comparison, alternate
from benchmarks.training import Training, require_equal
from w2v_exp.examples.pairs import window_pairs
from w2v_exp.text.corpus import ArticleCorpus
from w2v_exp.text.encoding import encode_text
from w2v_exp.text.tokenizers import ArticleTokenizer
from w2v_exp.text.vocabulary import VocabularyRule

ARTICLE_VARIANTS = (
    Variant("as published, sparse labels", AS_PUBLISHED, {"labels": "sparse"}, 1e-9, 1.5, 2.5),
    Variant("as published, dense labels", AS_PUBLISHED, {"labels": "dense"}, 1e-9),
    Variant("no update lost (default)", DEFAULT, {"labels": "sparse"}, None, 1.5, 2.5),
)


def article_training(size: Size, threads: int) -> list[Comparison]:
    """Compare the whole training of the article: 84 pairs in one batch, dim 50."""
    text = encode_text(ArticleCorpus(), ArticleTokenizer(), VocabularyRule())
    words = ArticleTokenizer()(ArticleCorpus.sentence)
    training = Training(
        window_pairs(text.ids, 3, len(text.vocabulary)),
        baseline.make_pairs(words, text.vocabulary.ids, 3),
        epochs=size.epochs,
        batch_size=128,
    )
    return compare(
        "the article's training",
        training,
        ARTICLE_VARIANTS,
        unit="epochs",
        amount=size.epochs,
        repeats=size.repeats,
        threads=threads,
    )


def pair_generation(size: Size) -> list[Comparison]:
    """Compare making the pairs of real text, window 5: from ids, and from words, as the baseline does."""
    text = real_text(size.messages, size.vocabulary_size)
    ids, vocabulary = text.ids[: size.tokens], text.vocabulary
    words = [vocabulary.words[i] for i in ids.tolist()]

    def by_loop() -> object:
        return baseline.make_pairs(words, vocabulary.ids, 5)

    def from_ids() -> object:
        return window_pairs(ids, 5, len(vocabulary))

    def from_words() -> object:
        looked_up = np.fromiter(map(vocabulary.ids.__getitem__, words), np.int32, len(words))
        return window_pairs(looked_up, 5, len(vocabulary))

    made = window_pairs(ids, 5, len(vocabulary))
    centres, contexts = baseline.make_pairs(words, vocabulary.ids, 5)
    difference = max(
        float(np.abs(made.centres - centres).max()), float(np.abs(made.contexts - contexts).max())
    )
    require_equal("pairs", difference, tolerance=0)
    kinds = [lambda: by_loop, lambda: from_ids, lambda: from_words]
    loop, ids_alone, with_look_ups = alternate(kinds, size.repeats, threads=1)
    made_of_ids = Comparison(
        "pairs of real text", "from ids", "pairs", len(made), 1, loop, ids_alone, 40, difference=difference
    )
    made_of_words = replace(made_of_ids, variant="from words", our_seconds=with_look_ups, at_least=None)
    return [made_of_ids, made_of_words]


def command_seconds(repeats: int) -> list[float]:
    """Return the CPU seconds of ``python -m w2v_exp tracking=none epochs=1``, all of it, run by run."""
    command = [sys.executable, "-m", "w2v_exp", "tracking=none", "epochs=1"]
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(repeats + 1):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return seconds[1:]  # the first one may compile modules

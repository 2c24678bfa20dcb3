"""A text of two topics in which one word moves from one topic to the other, and its trained model."""

from __future__ import annotations

from functools import cache

import numpy as np
from plans import plan_of

from w2v_exp.examples.pairs import count_ids
from w2v_exp.experiment.build import build_examples, build_initialization, build_trainer, split_text
from w2v_exp.text.encoding import EncodedText
from w2v_exp.text.vocabulary import Vocabulary

WINDOW = 3
FIRST, SECOND = [f"a{i}" for i in range(12)], [f"b{i}" for i in range(12)]
MOVED, STEADY = "moved", "steady"
DOCUMENTS = 24  # alternately long and short, one a year from 1900


@cache
def moving_text(seed=0):
    """Return the text: `MOVED` is among words of the first topic until 1911, of the second from 1912 on."""
    generator = np.random.default_rng(seed)
    documents, names = [], []
    for number in range(DOCUMENTS):
        sentences = []
        for sentence in range(56 if number % 2 else 32):
            topic = FIRST if sentence % 2 else SECOND
            words = list(generator.choice(topic, 7))
            if sentence % 8 == 1:
                words[3] = STEADY
            if sentence % 8 == (5 if number < DOCUMENTS // 2 else 4):  # far from `STEADY`
                words[5] = MOVED
            sentences += words
        documents.append(sentences)
        names.append(f"{1900 + number}.txt")
    tokens = [word for document in documents for word in document]
    words, counts = np.unique(tokens, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    vocabulary = Vocabulary(words[order].tolist(), counts[order])
    ids = np.array([vocabulary.ids[word] for word in tokens], np.int32)
    edges = np.cumsum([0, *map(len, documents)])
    return EncodedText(ids, vocabulary, len(ids), "", np.array([0, len(ids)]), edges, names)


@cache
def trained(seed=0):
    """Return the parameters of a softmax of the text."""
    plan = plan_of(
        "labels=counts",
        "objective.output_offset=unigram",
        f"window={WINDOW}",
        "dim=6",
        "epochs=60",
        "order=corpus",
    )
    text = moving_text(seed)
    part, _ = split_text(plan, text)
    examples = build_examples(plan, part.ids, len(text.vocabulary), part.segments)
    initialization = build_initialization(plan, examples, part)
    trainer = build_trainer(plan, examples, initialization, count_ids(part.ids, len(text.vocabulary)))
    trainer.train()
    return trainer.word_parameters

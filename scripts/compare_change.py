"""Compare the test of change with CADE and with aligned trainings, on changes that are planted in real text.

    python scripts/compare_change.py                              the presidents' messages, three seeds
    python scripts/compare_change.py --text big.txt --bytes 10000000 --seeds 2
    python scripts/compare_change.py --methods ours               only our side

From the middle of the text on, the occurrences of two words of similar frequency are exchanged: for half of the pairs
all, for the others every second one. Each method sees two slices, before and after, and orders all words that occur
often enough in both. The score is the area under the ROC curve (AUC) of the planted words among all. The messages have
a real order in time, so other words change as well; in a text without one, nothing but the planted words changes.

- ours: the softmax of `experiment=sotu_softmax`, and `slices`, ordered by the size of the change.
- SGNS + Procrustes: `experiment=sotu_sgns` for each slice, aligned by the words that are frequent in both; 1 − cosine.
- CADE (Bianchi et al. 2020; Di Carlo et al. 2019): a training on everything, whose output weights both slices keep;
  1 − cosine. Its package needs a modified gensim 3 that is not on PyPI and does not build with Python 3.11, so its
  algorithm is run with gensim 4: output weights are restored after each batch of 1,000 tokens. Settings are its
  defaults (CBOW, 5 + 5 epochs, 10 negatives), and skip-gram.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from hydra import compose, initialize_config_dir
from numpy.typing import NDArray

from w2v_exp.config import register_schema
from w2v_exp.embeddings.alignment import procrustes
from w2v_exp.embeddings.similarity import directions
from w2v_exp.examples.pairs import count_ids
from w2v_exp.examples.sampling import TextPart
from w2v_exp.experiment.build import build_examples, build_initialization, build_trainer
from w2v_exp.loader import config_folder
from w2v_exp.model.parameters import Parameters
from w2v_exp.plan import Plan, make_plan
from w2v_exp.slices.fit import SliceFit
from w2v_exp.slices.grouping import SliceRule, Slices
from w2v_exp.text.corpus import SotuCorpus, TextCorpus
from w2v_exp.text.encoding import EncodedText, encode_text

LEAST = 50  # occurrences of a planted word in each half
FREQUENT = 20  # occurrences of any ordered word in each half
MOST = 5000  # occurrences of a planted word
DOCUMENT = 2000  # tokens of the documents that a text without documents is cut into
BATCH = 1000  # tokens after which CADE's output weights are restored
LONGEST = 10_000  # words of a sentence of gensim
RATE = 0.025


class Planted(NamedTuple):
    """A text with planted changes.

    Parameters
    ----------
    text : EncodedText
        The changed text.
    half : int
        The first document of the second slice.
    words : ndarray of int
        The planted words.
    shares : ndarray of float
        Share of their occurrences that were exchanged.
    """

    text: EncodedText
    half: int
    words: NDArray[np.intp]
    shares: NDArray[np.float64]

    @property
    def slices(self) -> Slices:
        """Before and after."""
        documents = np.arange(len(self.text.documents) - 1)
        return Slices(["before", "after"], (documents >= self.half).astype(np.intp))

    @property
    def parts(self) -> list[NDArray[np.int32]]:
        """The ids of both slices."""
        cut = int(self.text.documents[self.half])
        return [self.text.ids[:cut], self.text.ids[cut:]]


def plan_of(*overrides: str) -> Plan:
    """Return the plan of a configuration."""
    register_schema()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return make_plan(compose("config", [*overrides, "tracking=none", "threads=1"]))


def plant(text: EncodedText, pairs: int, seed: int) -> Planted:
    """Exchange words of similar frequency in the second half of a text."""
    generator = np.random.default_rng(seed)
    half = int(np.searchsorted(text.documents, len(text.ids) // 2))
    cut, words = int(text.documents[half]), len(text.vocabulary)
    before, after = (np.bincount(part, minlength=words) for part in (text.ids[:cut], text.ids[cut:]))
    able = np.flatnonzero((before >= LEAST) & (after >= LEAST) & (before + after <= MOST))
    by_frequency = able[np.argsort(-(before + after)[able], kind="stable")]
    first = 2 * generator.choice(len(by_frequency) // 2, pairs, replace=False)
    ids = text.ids.copy()
    shares = np.where(np.arange(pairs) % 2, 0.5, 1.0)
    for one, other, share in zip(by_frequency[first], by_frequency[first + 1], shares, strict=True):
        for old, new in ((one, other), (other, one)):
            places = cut + np.flatnonzero(text.ids[cut:] == old)
            ids[places[generator.random(len(places)) < share]] = new
    changed = EncodedText(
        ids, text.vocabulary, len(ids), "", np.array([0, len(ids)]), text.documents, text.names
    )
    planted = np.concatenate([by_frequency[first], by_frequency[first + 1]])
    return Planted(changed, half, planted, np.tile(shares, 2))


def train(plan: Plan, ids: NDArray[np.int32], words: int) -> Parameters:
    """Return the parameters of a training."""
    examples = build_examples(plan, ids, words, None)
    initialization = build_initialization(plan, examples, TextPart(ids))
    trainer = build_trainer(plan, examples, initialization, count_ids(ids, words), text=TextPart(ids))
    trainer.train()
    return trainer.word_parameters


class Ordering(NamedTuple):
    """Sizes of change by word, NaN for words that are not ordered, and q-values where a method has them."""

    sizes: NDArray[np.float64]
    q: NDArray[np.float64] | None = None


def ours(planted: Planted, seed: int) -> Ordering:
    """Return the sizes of change by the test of change."""
    plan = plan_of("experiment=sotu_softmax", f"seed={seed}")
    words = planted.text.vocabulary.words
    parameters = train(plan, planted.text.ids, len(words))
    rule = SliceRule(pattern=".", min_tokens=FREQUENT, replicates=0)
    fit = SliceFit(
        planted.text, planted.slices, parameters, rule, window=plan.window, shrinking=True, seed=seed
    )
    sizes, q = np.full(len(words), np.nan), np.full(len(words), np.nan)
    for each in fit.embeddings().tested():
        sizes[planted.text.vocabulary.ids[each.word]] = each.relative
        q[planted.text.vocabulary.ids[each.word]] = each.q
    return Ordering(sizes, q)


def sgns(planted: Planted, seed: int) -> Ordering:
    """Return 1 − cosine of vectors of a training for each slice, after the best rotation."""
    plan = plan_of("experiment=sotu_sgns", f"seed={seed}")
    words = len(planted.text.vocabulary)
    before, after = (train(plan, part, words).embedding for part in planted.parts)
    frequent = _frequent(planted)
    sizes = np.full(words, np.nan)
    sizes[frequent] = 1 - procrustes(before[frequent], after[frequent]).cosines
    return Ordering(sizes)


def cade(planted: Planted, seed: int, skip_gram: bool = False) -> Ordering:
    """Return 1 − cosine of vectors of slices that are trained with the output weights of the whole text."""
    from gensim.models import Word2Vec

    words = planted.text.vocabulary.words

    def made(part: NDArray[np.int32]) -> Any:
        model = Word2Vec(
            vector_size=100,
            sg=int(skip_gram),
            negative=10,
            window=5,
            min_count=0,
            sample=1e-3,
            workers=1,
            seed=seed,
            alpha=RATE,
        )
        counts = np.bincount(part, minlength=len(words)).tolist()
        model.build_vocab_from_freq({word: max(1, count) for word, count in zip(words, counts, strict=True)})
        return model

    def lists(part: NDArray[np.int32], length: int) -> list[list[str]]:
        return [
            [words[i] for i in part[start : start + length].tolist()] for start in range(0, len(part), length)
        ]

    compass = made(planted.text.ids)
    compass.train(
        lists(planted.text.ids, LONGEST), total_examples=1, total_words=len(planted.text.ids), epochs=5
    )
    place = [compass.wv.key_to_index[word] for word in words]
    vectors = []
    for part in planted.parts:
        model = made(part)
        own = [model.wv.key_to_index[word] for word in words]
        output = np.empty_like(model.syn1neg)
        output[own] = compass.syn1neg[place]
        batches = lists(part, BATCH) * 5
        for number, batch in enumerate(batches):
            model.syn1neg[:] = output
            rates = [RATE + (1e-4 - RATE) * (number + end) / len(batches) for end in (0, 1)]
            model.train(
                [batch],
                total_examples=1,
                total_words=len(batch),
                epochs=1,
                start_alpha=rates[0],
                end_alpha=rates[1],
            )
        vectors.append(directions(model.wv.vectors[own]))
    sizes = np.full(len(words), np.nan)
    frequent = _frequent(planted)
    sizes[frequent] = 1 - np.vecdot(*vectors)[frequent]
    return Ordering(sizes)


def _frequent(planted: Planted) -> NDArray[np.intp]:
    """Return the words that are frequent in both slices."""
    words = len(planted.text.vocabulary)
    counts = [np.bincount(part, minlength=words) for part in planted.parts]
    return np.flatnonzero(np.minimum(*counts) >= FREQUENT)


METHODS: dict[str, Callable[[Planted, int], Ordering]] = {
    "ours": ours,
    "SGNS + Procrustes": sgns,
    "CADE (CBOW)": cade,
    "CADE (skip-gram)": lambda planted, seed: cade(planted, seed, skip_gram=True),
}


def auc(sizes: NDArray[np.float64], is_planted: NDArray[np.bool_]) -> float:
    """Return the probability that a planted word has a larger change than another one."""
    from scipy.stats import rankdata

    ranks, n = rankdata(sizes), int(is_planted.sum())
    return float((ranks[is_planted].sum() - n * (n + 1) / 2) / (n * (len(sizes) - n)))


def measure(planted: Planted, ordering: Ordering) -> dict[str, float]:
    """Return the scores of a method."""
    ordered = np.flatnonzero(~np.isnan(ordering.sizes))
    sizes, scores = ordering.sizes[ordered], {"words": float(len(ordered))}
    shares = np.zeros(len(ordering.sizes))
    shares[planted.words] = planted.shares
    shares = shares[ordered]
    scores["auc"] = auc(sizes, shares > 0)
    for share in (1.0, 0.5):
        kept = (shares == share) | (shares == 0)
        scores[f"auc_{share:g}"] = auc(sizes[kept], shares[kept] > 0)
    if ordering.q is not None:
        found = ordering.q[ordered] <= 0.05
        scores["found"] = float(found[shares > 0].mean())
        scores["others"] = float(found[shares == 0].mean())
    return scores


def read(options: argparse.Namespace) -> EncodedText:
    """Return the text with its documents; a file is cut into documents of equal length."""
    plan = plan_of("experiment=sotu_softmax")
    if options.text is None:
        return encode_text(SotuCorpus(), plan.tokenizer, plan.vocabulary)
    with options.text.open("rb") as stream:
        content = stream.read(options.bytes).decode(errors="ignore")
    text = encode_text(TextCorpus(content), plan.tokenizer, plan.vocabulary)
    documents = np.append(np.arange(0, len(text.ids), DOCUMENT), len(text.ids))
    return EncodedText(text.ids, text.vocabulary, text.tokens, "", text.segments, documents)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--text", type=Path, help="a plain file; default: the presidents' messages")
    parser.add_argument("--bytes", type=int, default=10_000_000, help="of the file; default: 10 MB")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--pairs", type=int, default=40, help="of exchanged words; default: 40")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--out", type=Path, help="file to which each result is appended, as a line of JSON")
    options = parser.parse_args(arguments)
    text = read(options)
    below = False
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        planted = plant(text, options.pairs, seed)
        for method in options.methods:
            begun = time.process_time()
            scores = measure(planted, METHODS[method](planted, seed))
            result = {"method": method, "seed": seed, **scores, "cpu_seconds": time.process_time() - begun}
            print(
                json.dumps(
                    {
                        key: round(value, 4) if isinstance(value, float) else value
                        for key, value in result.items()
                    }
                )
            )
            sys.stdout.flush()
            below |= method == "ours" and scores["auc"] < 0.9
            if options.out:
                with options.out.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(result) + "\n")
    return int(below)


if __name__ == "__main__":
    sys.exit(main())

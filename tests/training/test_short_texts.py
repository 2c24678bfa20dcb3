"""Negative sampling by blocks on short texts: as good as gensim on its own test corpus, and finite on any text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from numpy.typing import NDArray

from w2v_exp.config import register_schema
from w2v_exp.examples.architectures import Cbow, SkipGram
from w2v_exp.examples.blocks import BlockExamples, BlockRule
from w2v_exp.examples.counted import CountedExamples, CountsRule
from w2v_exp.examples.counts import count_window_pairs
from w2v_exp.examples.sampling import TextPart
from w2v_exp.experiment.build import build_examples, build_trainer, split_text
from w2v_exp.experiment.estimate import estimate_run
from w2v_exp.experiment.inputs import Pretrained, read_corpus
from w2v_exp.experiment.run import estimate_metrics
from w2v_exp.loader import config_folder
from w2v_exp.model.negative_sampling import NegativeSampling, NoiseDistribution, SampledObjective
from w2v_exp.model.parameters import Parameters
from w2v_exp.plan import Plan, make_plan
from w2v_exp.text.encoding import EncodedText
from w2v_exp.text.vocabulary import Vocabulary
from w2v_exp.training.trainer import Trainer

WINDOW, NEGATIVES, EPOCHS, DIM = 5, 15, 10, 100
SANITY = (
    f"window={WINDOW}",
    "shrinking_window=false",
    f"objective.negatives={NEGATIVES}",
    f"epochs={EPOCHS}",
)
# gensim 4.4.0, one worker: with its default subsampling (10⁻³), and without; the means of seeds 1 to 10 and 1 to 3.
SUBSAMPLING = {
    "word2vec": ("subsampling=word2vec", "subsampling.threshold=1e-3"),
    "none": ("subsampling=none",),
}
GENSIM_COST = {"word2vec": 3.563, "none": 3.340}


def plan_of(*overrides: str) -> Plan:
    register_schema()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return make_plan(compose("config", ["experiment=sotu_sgns", *overrides]))


def trainer_of(plan: Plan, ids: NDArray[np.int32], words: int, segments: NDArray[np.int64] | None) -> Trainer:
    examples = build_examples(plan, ids, words, segments)
    counts = np.bincount(ids, minlength=words)
    return build_trainer(plan, examples, plan.initialization, word_counts=counts)


def objective_cost(parameters: Parameters, text: TextPart, counts: NDArray[np.int64]) -> float:
    """Return the objective's exact mean over all pairs of a text: its expectation over the negatives, in nats."""
    rule = NegativeSampling(negatives=NEGATIVES, sharing="all")
    objective = SampledObjective(rule, NoiseDistribution(counts), np.random.default_rng(0))
    pairs = count_window_pairs([text.ids], WINDOW, len(counts), shrinking=False, segments=text.segments)
    examples = CountedExamples(pairs, CountsRule(centres=len(counts)))
    return sum(objective.step(parameters, batch).cost for batch in batches_of(examples)) / pairs.total


def batches_of(examples: CountedExamples) -> Iterable:
    return examples.batches(np.random.default_rng(0))


def rank(vectors: NDArray[np.float32], words: list[str], query: str, expected: str) -> int:
    """Return the number of words that are nearer to a word than the expected one, as gensim's test counts them."""
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors @ vectors[words.index(query)]
    cosines[words.index(query)] = -np.inf
    return int((cosines > cosines[words.index(expected)]).sum())


@cache
def lee_sentences() -> list[list[str]]:
    utils = pytest.importorskip("gensim.utils")
    datapath = pytest.importorskip("gensim.test.utils").datapath
    lines = Path(datapath("lee_background.cor")).read_text(encoding="utf-8").splitlines()
    return [utils.simple_preprocess(line) for line in lines]


def sanity(folder: Path, subsampling: str, *overrides: str) -> tuple[float, int, Trainer]:
    """Train on the Lee corpus at the settings of gensim's sanity test; return cost, rank and trainer."""
    text = folder / "lee.txt"
    text.write_text("\n".join(map(" ".join, lee_sentences())), encoding="utf-8")
    corpus = (
        "corpus=file",
        f"corpus.path={text}",
        "corpus.boundaries=line",
        "tokenizer=whitespace",
        "cache=none",
    )
    plan = plan_of(*corpus, *SUBSAMPLING[subsampling], *SANITY, *overrides)
    encoded = read_corpus(plan)
    part, _ = split_text(plan, encoded)
    words = list(encoded.vocabulary.words)
    trainer = trainer_of(plan, part.ids, len(words), part.segments)
    trainer.train()
    cost = objective_cost(trainer.parameters, part, np.asarray(encoded.vocabulary.counts))
    return cost, rank(trainer.parameters.embedding, words, "attacks", "bombings"), trainer


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("subsampling", ["word2vec", "none"])
def test_gensim_s_sanity_test(subsampling: str, seed: int, tmp_path: Path) -> None:
    cost, place, trainer = sanity(tmp_path, subsampling, f"seed={seed}")
    assert isinstance(trainer.examples, BlockExamples)
    assert trainer.examples.tokens == 32
    assert cost < GENSIM_COST[subsampling] + 0.02
    assert place < 20


def zipf(tokens: int, words: int) -> NDArray[np.int32]:
    shares = 1 / np.arange(1, words + 1)
    drawn = np.random.default_rng(0).choice(words, tokens, p=shares / shares.sum())
    return np.concatenate([np.arange(words), drawn]).astype(np.int32)


@pytest.fixture(scope="module")
def plan() -> Plan:
    """A plan of ten epochs at the experiment's settings, no word dropped."""
    return plan_of("subsampling=none")


@pytest.mark.parametrize("model", [SkipGram(), Cbow("mean"), Cbow("sum")], ids=["skipgram", "mean", "sum"])
@pytest.mark.parametrize("sharing", ["group", "pair", "all"])
@pytest.mark.parametrize("words", [1, 2, 3, 30])
def test_tiny_vocabularies_train(words: int, sharing: str, model: SkipGram | Cbow, plan: Plan) -> None:
    """More negatives, shared ones and centres of a group than there are words: finite, and the cost falls."""
    objective = NegativeSampling(negatives=20, sharing=sharing, group=1000, shared=50)
    plan = replace(plan, model=model, objective=objective, learning_rate=0.1)
    records = trainer_of(plan, zipf(100, words), words, None).train()
    assert np.isfinite([record.cost for record in records]).all()
    assert records[-1].cost < records[0].cost


@pytest.mark.parametrize(("tokens", "words"), [(3, 13), (300, 2), (300, 50), (3000, 500)])
@pytest.mark.parametrize("learning_rate", [0.025, 0.4])
def test_short_texts_do_not_diverge(tokens: int, words: int, learning_rate: float, plan: Plan) -> None:
    """The cost of gensim at the second rate grows to 43 on the Lee corpus."""
    plan = replace(plan, objective=NegativeSampling(negatives=NEGATIVES), learning_rate=learning_rate)
    trainer = trainer_of(plan, zipf(tokens, words), words, None)
    records = trainer.train()
    assert records[-1].cost < records[0].cost < 20
    assert np.abs(trainer.parameters.embedding).max() < 10


@pytest.mark.parametrize(("tokens", "expected"), [(None, 64), (256, 256)])
def test_the_size_of_blocks_is_logged(tokens: int | None, expected: int, plan: Plan) -> None:
    if tokens:
        plan = replace(plan, labels=BlockRule(tokens))
    part, words = TextPart(zipf(70_000, 50)), 50
    vocabulary = Vocabulary([f"w{number}" for number in range(words)], np.bincount(part.ids))
    text = EncodedText(part.ids, vocabulary, len(part.ids), "", np.array([0, len(part.ids)]))
    _, metrics = estimate_metrics(plan, text, part, Pretrained.read(plan))
    assert metrics["block_tokens"] == expected


def test_memory_is_estimated_for_the_size_of_blocks(plan: Plan) -> None:
    part, plan = TextPart(zipf(70_000, 50)), replace(plan, dim=2000)
    resolved, large = (replace(plan, labels=BlockRule(tokens)) for tokens in (64, 1024))
    assert estimate_run(plan, part, 50) == estimate_run(resolved, part, 50)
    assert estimate_run(plan, part, 50).step < estimate_run(large, part, 50).step / 4

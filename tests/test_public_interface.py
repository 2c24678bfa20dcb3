"""The names of `w2v_exp` in a notebook: wrong arguments are refused by name, and nothing fills a screen."""

import ast
import dataclasses
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import w2v_exp
from w2v_exp import (
    ArticleCorpus,
    ArticleInitialization,
    ArticleTokenizer,
    CustomTokenizer,
    Embeddings,
    Examples,
    FileCorpus,
    Pairs,
    Parameters,
    Softmax,
    SotuCorpus,
    Text8Corpus,
    TextCache,
    TextCorpus,
    Trainer,
    UserError,
    Vocabulary,
    VocabularyRule,
    Word2VecInitialization,
    WordTokenizer,
    cost_floor,
    encode_cached,
    encode_text,
    information_explained,
    load_run,
    unigram_cost,
    window_pairs,
)
from w2v_exp.errors import ShortRepr, short

CORE = ("text", "examples", "model", "training", "embeddings")
TEXT = encode_text(ArticleCorpus(), ArticleTokenizer(), VocabularyRule())
V = len(TEXT.vocabulary)
GENERATOR = np.random.default_rng(0)
PARAMETERS = Word2VecInitialization()(V, 5, GENERATOR)
PAIRS = window_pairs(TEXT.ids, 3, V)
EXAMPLES = Examples(PAIRS)
EMBEDDINGS = Embeddings.from_training(TEXT.vocabulary, PARAMETERS)
FIVE = Word2VecInitialization()(5, 5, GENERATOR)
RULE, WORDS = VocabularyRule(), TEXT.vocabulary.words

# What is wrong, and the argument that the message begins with.
WRONG = {
    "corpus": [
        lambda: encode_text([["a", "list"], ["of", "sentences"]], ArticleTokenizer(), RULE),
        lambda: encode_text("a text", ArticleTokenizer(), RULE),
        lambda: encode_text(ArticleCorpus, ArticleTokenizer(), RULE),
        lambda: encode_cached([["a"]], ArticleTokenizer(), RULE, TextCache()),
    ],
    "tokenizer": [
        lambda: encode_text(ArticleCorpus(), "word", RULE),
        lambda: encode_text(ArticleCorpus(), WordTokenizer, RULE),
        lambda: encode_text(ArticleCorpus(), None, RULE),
    ],
    "rule": [
        lambda: encode_text(ArticleCorpus(), ArticleTokenizer(), None),
        lambda: encode_text(ArticleCorpus(), ArticleTokenizer(), 5),
    ],
    "cache": [
        lambda: encode_cached(ArticleCorpus(), ArticleTokenizer(), RULE, None),
        lambda: encode_cached(ArticleCorpus(), ArticleTokenizer(), RULE, "folder"),
    ],
    "text": [
        lambda: WordTokenizer()(["a"]),
        lambda: ArticleTokenizer()(b"a"),
        lambda: TextCorpus(None),
        lambda: TextCorpus(b"bytes"),
        lambda: TextCorpus([["a", "b"]]),
    ],
    "path": [
        lambda: FileCorpus(["a.txt"]),
        lambda: FileCorpus(None),
        lambda: Text8Corpus(path=3),
        lambda: Embeddings.load(None),
        lambda: EMBEDDINGS.save(3),
    ],
    "url": [lambda: Text8Corpus(3)],
    "folder": [lambda: TextCache(folder=3)],
    "limit_gb": [lambda: TextCache(limit_gb="x"), lambda: TextCache(limit_gb=np.nan)],
    "processes": [lambda: TextCache(processes=10**12)],
    "messages": [lambda: SotuCorpus(messages="x")],
    "boundaries": [lambda: TextCorpus("a b", boundaries=None)],
    "callable": [lambda: CustomTokenizer(3), lambda: CustomTokenizer(str.split)],
    "min_count": [lambda: VocabularyRule(min_count=0), lambda: VocabularyRule(min_count=True)],
    "stop_words": [lambda: VocabularyRule(stop_words="abc"), lambda: VocabularyRule(stop_words=[1])],
    "words": [
        lambda: Vocabulary(["a", "a"], np.array([1, 2])),
        lambda: Vocabulary("abc", np.array([1, 2, 3])),
        lambda: Vocabulary([1, 2], np.array([1, 2])),
        lambda: Embeddings("ab", None, np.zeros((2, 2))),
        lambda: EMBEDDINGS[3],
        lambda: EMBEDDINGS.doesnt_match(None),
        lambda: EMBEDDINGS.doesnt_match("the"),
    ],
    "counts": [
        lambda: Vocabulary(["a"], np.array([1, 2])),
        lambda: Vocabulary(["a"], [1]),
        lambda: Vocabulary.from_counts([("a", 1)]),
        lambda: Vocabulary.from_counts({"a": "x"}),
        lambda: Vocabulary.from_counts({"a": -1}),
        lambda: VocabularyRule().select(["a"]),
        lambda: Embeddings(["a"], [1], np.zeros((1, 2))),
    ],
    "window": [
        lambda: window_pairs(TEXT.ids, 0, V),
        lambda: window_pairs(TEXT.ids, 1.5, V),
        lambda: window_pairs(TEXT.ids, True, V),
        lambda: window_pairs(TEXT.ids, np.ones(3, int), V),
        lambda: window_pairs(TEXT.ids, np.ones(16), V),
        lambda: window_pairs(TEXT.ids, np.zeros(16, np.uint8), V),
    ],
    "ids": [
        lambda: window_pairs(TEXT, 3, V),
        lambda: window_pairs(np.ones(4), 1, 3),
        lambda: window_pairs(np.zeros((3, 3), np.int32), 1, 3),
        lambda: window_pairs(TEXT.ids, 3, V - 1),
        lambda: window_pairs([0, -1], 3, V),
        lambda: window_pairs(None, 3, V),
    ],
    "vocabulary_size": [lambda: window_pairs(TEXT.ids, 3, "a"), lambda: window_pairs(TEXT.ids, 3, -1)],
    "segments": [
        lambda: window_pairs(TEXT.ids, 3, V, np.array([0, 5])),
        lambda: window_pairs(TEXT.ids, 3, V, np.array([0, 9, 5, 16])),
        lambda: window_pairs(TEXT.ids, 3, V, "none"),
    ],
    "centres": [lambda: Pairs([0], [1], 2)],
    "contexts": [lambda: Pairs(np.zeros(2, np.int32), np.zeros(3, np.int32), 2)],
    "pairs": [
        lambda: Examples([(0, 1)]),
        lambda: Examples(TEXT.ids),
        lambda: cost_floor([1]),
        lambda: unigram_cost(None),
        lambda: EMBEDDINGS.evaluate_word_pairs(None),
    ],
    "analogies": [lambda: EMBEDDINGS.evaluate_word_analogies(3)],
    "labels": [lambda: Examples(PAIRS, labels="x"), lambda: Examples(PAIRS, labels=[])],
    "batch_size": [lambda: Examples(PAIRS, batch_size=0), lambda: Examples(PAIRS, batch_size=2.0)],
    "order": [lambda: Examples(PAIRS, order="x")],
    "dtype": [
        lambda: Examples(PAIRS, dtype="x"),
        lambda: Examples(PAIRS, labels="dense", dtype=int),
        lambda: Word2VecInitialization()(3, 2, GENERATOR, "int8"),
    ],
    "examples": [lambda: Trainer(PAIRS, PARAMETERS), lambda: Trainer(TEXT, PARAMETERS)],
    "parameters": [
        lambda: Trainer(EXAMPLES, PARAMETERS.embedding),
        lambda: Trainer(EXAMPLES, FIVE),
        lambda: Embeddings.from_training(TEXT.vocabulary, None),
    ],
    "vocabulary": [lambda: Embeddings.from_training(WORDS, PARAMETERS)],
    "epochs": [
        lambda: Trainer(EXAMPLES, PARAMETERS, epochs=-1),
        lambda: Trainer(EXAMPLES, PARAMETERS, epochs=1.5),
    ],
    "learning_rate": [
        lambda: Trainer(EXAMPLES, PARAMETERS, learning_rate=-1),
        lambda: Trainer(EXAMPLES, PARAMETERS, learning_rate=np.float32("nan")),
    ],
    "threads": [
        lambda: Trainer(EXAMPLES, PARAMETERS, threads=0),
        lambda: Trainer(EXAMPLES, PARAMETERS, threads=10**12),
    ],
    "objective": [
        lambda: Trainer(EXAMPLES, PARAMETERS, objective="softmax"),
        lambda: Trainer(EXAMPLES, PARAMETERS, objective=Softmax),
    ],
    "optimizer": [lambda: Trainer(EXAMPLES, PARAMETERS, optimizer="sgd")],
    "schedule": [lambda: Trainer(EXAMPLES, PARAMETERS, schedule="linear")],
    "generator": [
        lambda: Trainer(EXAMPLES, PARAMETERS, generator=0),
        lambda: Word2VecInitialization()(3, 2, 0),
    ],
    "callbacks": [lambda: Trainer(EXAMPLES, PARAMETERS, callbacks=print)],
    "embedding": [
        lambda: Parameters([[0.0]], [[0.0]]),
        lambda: Parameters(np.zeros(3), np.zeros(3)),
        lambda: Parameters(np.zeros((3, 2), int), np.zeros((3, 2), int)),
    ],
    "output": [lambda: Parameters(np.zeros((3, 2)), np.zeros((3, 3)))],
    "dim": [
        lambda: Word2VecInitialization()(3, 0, GENERATOR),
        lambda: ArticleInitialization()(3, -1, GENERATOR),
    ],
    "scale": [lambda: ArticleInitialization("a"), lambda: ArticleInitialization(np.inf)],
    "update": [lambda: Softmax(update=None)],
    "epsilon": [lambda: Softmax(epsilon=None)],
    "cost": [lambda: information_explained("a", 1, 0)],
    "floor": [lambda: information_explained(1, 1, None)],
    "run_id": [lambda: load_run(None), lambda: load_run(3)],
    "topn": [
        lambda: EMBEDDINGS.most_similar("the", topn=-1),
        lambda: EMBEDDINGS.most_similar("the", topn=1.5),
    ],
    "restrict_vocab": [lambda: EMBEDDINGS.most_similar("the", restrict_vocab=0)],
    "input": [
        lambda: Embeddings(["a"], None, [[1.0]]),
        lambda: Embeddings(["a"], None, np.zeros((1, 2), int)),
    ],
    "vectors": [lambda: EMBEDDINGS.using(None), lambda: EMBEDDINGS.using([])],
    "fname": [lambda: EMBEDDINGS.save_word2vec_format(3)],
    "3": [lambda: EMBEDDINGS.similarity("the", 3), lambda: EMBEDDINGS.vector(3)],
}


@pytest.mark.parametrize(
    ("argument", "call"), [(argument, call) for argument, calls in WRONG.items() for call in calls]
)
def test_a_wrong_argument_is_refused_by_its_name_in_a_line(argument, call):
    with pytest.raises(UserError) as refusal:
        call()
    message = str(refusal.value)
    assert message.startswith(argument)
    assert len(message.splitlines()) == 1
    assert len(message) < 300


def test_a_text_that_is_no_string_is_no_word():
    assert [1] not in EMBEDDINGS
    assert "the" in EMBEDDINGS


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint64, np.array])
def test_whole_numbers_of_any_kind_are_those_of_python(kind):
    many = Embeddings([f"w{i}" for i in range(300)], None, np.random.default_rng(0).random((300, 4)))
    assert many.most_similar("w0", topn=kind(0)) == []
    assert many.most_similar("w0", topn=kind(3)) == many.most_similar("w0", topn=3)
    assert many.most_similar_cosmul("w0", topn=kind(3)) == many.most_similar_cosmul("w0", topn=3)
    clipped = {"clip_start": 1, "clip_end": 200}
    as_kind = {name: kind(value) for name, value in clipped.items()}
    assert many.most_similar("w0", **as_kind) == many.most_similar("w0", **clipped)
    assert many.most_similar("w0", restrict_vocab=kind(9)) == many.most_similar("w0", restrict_vocab=9)
    pairs = window_pairs(TEXT.ids, kind(3), kind(V))
    assert len(pairs) == len(PAIRS)
    assert len(window_pairs(TEXT.ids, np.full(16, 3, np.uint8), V)) == len(PAIRS)
    examples = Examples(pairs, batch_size=kind(20))
    trainer = Trainer(examples, PARAMETERS, epochs=kind(200), threads=kind(1))
    assert (examples.batches_per_epoch, trainer.total_steps) == (5, 1000)
    assert Word2VecInitialization()(kind(3), kind(2), GENERATOR).embedding.shape == (3, 2)
    assert VocabularyRule(kind(5), kind(200)) == VocabularyRule(5, 200)
    assert Vocabulary.from_counts({"a": kind(2)}).counts.tolist() == [2]


def test_paths_may_be_those_of_pathlib(tmp_path):
    (tmp_path / "a.txt").write_text("a b a")
    assert FileCorpus(tmp_path / "a.txt") == FileCorpus(str(tmp_path / "a.txt"))
    assert TextCache(tmp_path) == TextCache(str(tmp_path))


LONG_TEXT = encode_text(TextCorpus(" ".join(f"word{i}" for i in range(5000))), ArticleTokenizer(), RULE)
LARGE = Word2VecInitialization()(5000, 5, GENERATOR)
LONG_PAIRS = window_pairs(LONG_TEXT.ids, 3, 5000)


@pytest.mark.parametrize(
    "value",
    [
        LONG_TEXT,
        LONG_TEXT.vocabulary,
        LARGE,
        LONG_PAIRS,
        Examples(LONG_PAIRS),
        Trainer(Examples(LONG_PAIRS), LARGE),
        Embeddings.from_training(LONG_TEXT.vocabulary, LARGE),
        next(Examples(LONG_PAIRS, batch_size=5000).batches(GENERATOR)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_holds_arrays_is_represented_in_a_line(value):
    text = repr(value)
    assert text.startswith(f"{type(value).__name__}(")
    assert len(text.splitlines()) == 1
    assert len(text) < 500
    assert "0x" not in text


def array_classes():
    """Return the dataclasses of the core with a field that is an array."""
    for package in CORE:
        folder = str(Path(w2v_exp.__file__).parent / package)
        for module in pkgutil.iter_modules([folder]):
            if module.name == "__main__":
                continue
            for found in vars(importlib.import_module(f"w2v_exp.{package}.{module.name}")).values():
                is_dataclass = isinstance(found, type) and dataclasses.is_dataclass(found)
                if is_dataclass and any("NDArray" in str(field.type) for field in dataclasses.fields(found)):
                    yield found


@pytest.mark.parametrize("made", sorted(set(array_classes()), key=lambda made: made.__name__))
def test_every_dataclass_with_arrays_has_the_short_representation(made):
    assert made.__repr__ is ShortRepr.__repr__


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.zeros(3), "float64[3]"),
        (np.zeros((0, 2), np.int32), "int32[0, 2]"),
        ([1, 2, 3], "[1, 2, 3]"),
        (list(range(10)), "[0, 1, 2, ...] (10)"),
        (None, "None"),
        ("a\nb", "'a\\nb'"),
    ],
)
def test_values_are_shortened(value, text):
    assert short(value) == text


def test_a_long_or_hostile_word_is_shortened_and_escaped():
    assert len(short(["x" * 10**6] * 10)) < 400
    assert "\x1b" not in short(["\x1b[31m"])


@pytest.mark.usefixtures("starts_processes")
def test_public_names_are_imported_when_they_are_used_and_are_those_of_the_type_checker() -> None:
    (checked,) = (
        node
        for node in ast.parse(Path(w2v_exp.__file__).read_text(encoding="utf-8")).body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name)
    )
    modules = {
        alias.name: node.module
        for node in checked.body
        for alias in node.names
        if node.module.startswith("w2v_exp")
    }
    assert modules == w2v_exp._MODULES
    functions = ["load_replicates", "load_run", "load_slices", "runs", "train"]
    assert sorted(w2v_exp.__all__) == sorted([*modules, *functions])
    for name, module in modules.items():
        assert getattr(w2v_exp, name) is getattr(importlib.import_module(module), name)
    assert set(w2v_exp.__all__) <= set(dir(w2v_exp))
    with pytest.raises(AttributeError, match="nonsense"):
        w2v_exp.nonsense  # noqa: B018
    program = (
        "import sys, w2v_exp; print('numpy' in sys.modules); w2v_exp.Pairs; print('numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]

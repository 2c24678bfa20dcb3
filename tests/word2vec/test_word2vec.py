"""Word2Vec: gensim's names on this project's trainer; the same result as the core, files, callbacks, mistakes."""

import json
import zipfile

import numpy as np
import pytest

import w2v_exp
from w2v_exp import BlockExamples, Embeddings, NegativeSampling, Parameters, Trainer, Word2VecInitialization
from w2v_exp.errors import CorpusError, FormatError, SettingError, UserError
from w2v_exp.examples.sampling import Word2VecSubsampling
from w2v_exp.training.steps import BlockSteps
from w2v_exp.word2vec import CallbackAny2Vec, Word2Vec, recipe
from w2v_exp.word2vec.recipe import Descent, Recipe, TreeSteps, tree_softmax

GENERATOR = np.random.default_rng(5)
WORDS = np.array([f"w{i}" for i in range(40)])
SHARES = 1 / np.arange(2, 42)
TEXT = [WORDS[GENERATOR.choice(40, size=12, p=SHARES / SHARES.sum())].tolist() for _ in range(60)]
FEW = {"vector_size": 8, "min_count": 2, "epochs": 2, "workers": 1, "seed": 3}
KINDS = {
    "skip-gram": {"sg": 1},
    "cbow": {"sg": 0},
    "cbow, sum": {"sg": 0, "cbow_mean": 0},
    "skip-gram, hs": {"sg": 1, "hs": 1, "negative": 0},
    "cbow, hs": {"sg": 0, "hs": 1, "negative": 0},
}
kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def model_of(**arguments):
    return Word2Vec(TEXT, **FEW | arguments)


def same(one, other):
    assert one.wv.index_to_key == other.wv.index_to_key
    assert one.wv.vectors.tobytes() == other.wv.vectors.tobytes()
    assert one._output.tobytes() == other._output.tobytes()


# ---------------------------------------------------------------- training


def test_the_names_of_the_package_are_those_of_the_module():
    assert w2v_exp.Word2Vec is Word2Vec
    assert w2v_exp.KeyedVectors is w2v_exp.word2vec.KeyedVectors


@pytest.mark.parametrize("sg", [0, 1])
def test_the_vectors_are_those_of_a_training_by_the_core(sg):
    model = model_of(sg=sg, sample=0.01, window=3, alpha=0.05, min_alpha=0.01, ns_exponent=-0.5, negative=4)
    ids = np.array(
        [model.wv.key_to_index[word] for line in TEXT for word in line if word in model.wv], np.int32
    )
    lengths = [sum(word in model.wv for word in line) for line in TEXT]
    segments = np.concatenate([[0], np.cumsum(lengths)])
    vocabulary_size = len(model.wv)
    generator = np.random.default_rng(3)
    parameters = Word2VecInitialization(width=2)(vocabulary_size, 8, generator, np.float32)
    group, shared = (20, 30) if sg else (16, 8)
    rule = NegativeSampling(4, exponent=-0.5, group=group, shared=shared)
    examples = BlockExamples(
        ids,
        3,
        vocabulary_size,
        passage=rule.passage_size(16),
        context=None if sg else "mean",
        subsampling=Word2VecSubsampling(0.01),
        shrinking_window=True,
        segments=segments,
    )
    objective = rule.bind(examples, np.bincount(ids), generator)
    left, right = (np.minimum(np.concatenate([np.arange(n)[::step] for n in lengths]), 3) for step in (1, -1))
    # With a window of 1, 2 or 3, drawn uniformly.
    contexts = np.mean([np.minimum(left, w) + np.minimum(right, w) for w in (1, 2, 3)])
    steps = BlockSteps(
        objective, parameters, examples.block.tokens, embedding_rate=1 if sg else float(contexts)
    )
    trainer = Trainer(
        examples,
        parameters,
        objective=objective,
        steps=steps,
        schedule=Descent(0.2),
        epochs=2,
        learning_rate=0.05,
        generator=generator,
    )
    records = trainer.train()
    assert np.allclose(model.wv.vectors, parameters.embedding, rtol=0, atol=1e-7)
    assert np.allclose(model.syn1neg, parameters.output, rtol=0, atol=1e-7)
    assert model.get_latest_training_loss() == pytest.approx(records[-1].cost)


@kinds
def test_the_steps_from_text_to_vectors_give_the_same_as_one_call(kind):
    whole = model_of(**kind)
    parts = Word2Vec(**FEW | kind)
    parts.build_vocab(TEXT)
    trained, words = parts.train(TEXT, total_examples=parts.corpus_count, epochs=parts.epochs)
    same(whole, parts)
    assert words == 2 * sum(map(len, TEXT))
    assert 0 < trained < words
    # Other sentences than those of the vocabulary are read again, to the same ids.
    again = Word2Vec(**FEW | kind)
    again.build_vocab(TEXT)
    again.train(list(TEXT), total_words=1, epochs=2)
    same(whole, again)


@kinds
def test_training_lowers_the_loss(kind):
    losses = []

    class Losses(CallbackAny2Vec):
        def on_epoch_end(self, model):
            losses.append(model.get_latest_training_loss())

    model = model_of(**kind | {"epochs": 15, "alpha": 0.1, "sample": 0, "callbacks": [Losses()]})
    assert len(losses) == 15
    assert losses[-1] == model.get_latest_training_loss()
    assert losses[-1] < losses[0] - 0.02


def test_a_generator_is_read_once_and_held():
    whole = model_of()
    same(whole, Word2Vec((line for line in TEXT), **FEW))
    model, once = Word2Vec(**FEW), iter(TEXT)
    model.build_vocab(once)
    model.train(once, total_examples=60, epochs=2)
    same(whole, model)


def test_a_file_gives_the_same_as_its_lines(tmp_path):
    (tmp_path / "text").write_text("\n".join(" ".join(line) for line in TEXT))
    same(model_of(), Word2Vec(corpus_file=str(tmp_path / "text"), **FEW))


def test_seeds_and_workers_of_short_texts_decide_on_the_bytes():
    same(model_of(), model_of(workers=4))
    assert model_of(seed=4).wv.vectors.tobytes() != model_of().wv.vectors.tobytes()


@pytest.mark.usefixtures("starts_processes")
def test_long_texts_are_trained_by_several_processes(monkeypatch):
    monkeypatch.setattr(recipe, "FEWEST_WORDS", 0)
    monkeypatch.setattr(recipe, "available_cores", lambda: 2)
    monkeypatch.setattr(recipe, "starts_processes", lambda: True)
    seen = []

    class Seen(CallbackAny2Vec):
        def on_epoch_end(self, model):
            seen.append(model.wv.vectors.copy())

    one = model_of(sg=1, epochs=8, alpha=0.1, sample=0)
    two = model_of(sg=1, epochs=8, alpha=0.1, sample=0, workers=2, callbacks=[Seen()])
    assert len(seen) == 8
    assert not np.array_equal(seen[0], seen[1])  # callbacks see the vectors of the processes
    assert np.array_equal(seen[-1], two.wv.vectors)
    assert two.wv.vectors.flags.owndata
    assert two.get_latest_training_loss() == pytest.approx(one.get_latest_training_loss(), abs=0.1)


def test_an_epoch_without_pairs_is_sampled_again():
    lines = [["a", "b", "c", "d", "e", "f"], ["g", "h", "i", "j", "k", "l"]]
    losses = []

    class Losses(CallbackAny2Vec):
        def on_epoch_end(self, model):
            losses.append(model.get_latest_training_loss())

    # A word is kept with a probability of .12, so an epoch has about one pair.
    Word2Vec(lines, min_count=1, vector_size=4, epochs=30, callbacks=[Losses()])
    assert len(losses) == 30
    assert min(losses) > 0


def test_a_text_whose_words_are_nearly_all_dropped_is_trained_without_subsampling():
    lines = [["a", "b"], ["b", "a"]]  # each word is half of it
    with pytest.warns(UserWarning, match="sample: drops nearly all words of this short text"):
        model = Word2Vec(lines, min_count=1, vector_size=4, sample=1e-5)
    same(model, Word2Vec(lines, min_count=1, vector_size=4, sample=0))
    with pytest.raises(CorpusError, match="There is no pair to train on"):
        Word2Vec([["a"], ["b"]], min_count=1, vector_size=4, sample=0)


def test_further_sentences_without_a_pair_of_known_words_are_not_trained(tmp_path):
    """The first example of gensim's documentation trains on two unknown words."""
    model = model_of()
    model.save(tmp_path / "word2vec.model")
    model = Word2Vec.load(tmp_path / "word2vec.model")
    before = model.wv.vectors.copy()
    with pytest.warns(UserWarning, match="have no pair of known words, so nothing is trained") as warned:
        assert model.train([["hello", "world"]], total_examples=1, epochs=1) == (0, 2)
    assert len(warned) == 1
    np.testing.assert_array_equal(model.wv.vectors, before)


def test_a_sample_above_1_is_a_number_of_occurrences():
    total = int(model_of(epochs=0).wv.counts.sum())
    share = 20 * (3 + 5**0.5) / 2 / total
    same(model_of(sample=20), model_of(sample=share))
    same(model_of(sample=10**9), model_of(sample=0))


def test_alpha_falls_from_start_to_end():
    rates = []

    class Rates:
        on_train_begin = on_train_end = on_epoch_begin = lambda self, model: None

        def on_epoch_end(self, model):
            rates.append(model.alpha)

    model = model_of(epochs=0)
    model.train(TEXT, total_examples=1, epochs=1, start_alpha=0.02, end_alpha=0.01, callbacks=Rates())
    assert (model.alpha, model.min_alpha, rates) == (0.02, 0.01, [0.02])
    with pytest.warns(UserWarning, match=r"alpha=0\.03: is above that of an earlier training, 0\.02"):
        model.train(TEXT, total_examples=1, epochs=1, start_alpha=0.03)


def test_a_descent_ends_at_its_final_value():
    descent = Descent(0.2)
    assert [round(descent(step, 4, 0, 1), 6) for step in range(5)] == [1, 0.8, 0.6, 0.4, 0.2]


def test_callbacks_are_called_in_order():
    calls = []

    class Calls(CallbackAny2Vec):
        def on_train_begin(self, model):
            calls.append("train")

        def on_epoch_begin(self, model):
            calls.append("epoch")

        def on_epoch_end(self, model):
            calls.append(model.wv.most_similar("w0", topn=1)[0][0] in model.wv)

        def on_train_end(self, model):
            calls.append("end")

    model_of(callbacks=[Calls()])
    assert calls == ["train", "epoch", True, "epoch", True, "end"]


def test_an_error_of_a_callback_leaves_the_vectors_up_to_there():
    class Stops(CallbackAny2Vec):
        def on_epoch_end(self, model):
            raise StopIteration

    model = Word2Vec(**FEW)
    model.build_vocab(TEXT)
    before = model.wv.vectors.copy()
    with pytest.raises(StopIteration):
        model.train(TEXT, total_examples=1, epochs=3, callbacks=[Stops()])
    assert not np.array_equal(before, model.wv.vectors)


# ---------------------------------------------------------------- hierarchical softmax


def test_a_small_step_follows_the_gradient_of_the_summed_cost():
    settings = Recipe(True, True, True, 6, 5, 0.75, 3, False, Word2VecSubsampling(0.5))
    ids = np.array([w for line in TEXT for w in np.unique(line, return_inverse=True)[1]], np.int32)
    counts = np.bincount(ids)
    from w2v_exp.examples.sampling import TextPart

    examples = settings.examples(TextPart(ids), len(counts))
    batch = next(examples.batches(np.random.default_rng(0)))
    drawn = np.random.default_rng(1).standard_normal((2, len(counts), 6))
    parameters = Parameters(drawn[0], drawn[1][:-1])
    objective = tree_softmax(counts)
    step = objective.step(parameters, batch)
    before = Parameters(parameters.embedding.copy(), parameters.output.copy())
    cost, _ = TreeSteps(objective, parameters, pairs=64).step(batch, 1e-7)
    assert cost == pytest.approx(step.cost)
    moved = (before.output - parameters.output) / 1e-7
    assert np.allclose(moved, step.output_gradient * batch.pairs, atol=1e-3)
    moved = (before.embedding - parameters.embedding)[batch.rows] / 1e-7
    assert np.allclose(moved, step.embedding_gradient, atol=1e-3)


@pytest.mark.parametrize("sg", [0, 1])
def test_scores_are_log_likelihoods_of_all_examples(sg):
    model = model_of(sg=sg, hs=1, negative=0, window=1, epochs=5)
    a, b, c = (model.wv.key_to_index[word] for word in ("w0", "w1", "w2"))
    parameters = model._parameters()
    vectors = parameters.embedding
    inputs = np.stack([vectors[a], vectors[b], vectors[c], (vectors[a] + vectors[c]) / 2])
    probabilities = tree_softmax(model.wv.counts).probabilities(
        Parameters(inputs, parameters.output), np.arange(4)
    )
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    examples = [(0, b), (1, a), (1, c), (2, b)] if sg else [(1, a), (3, b), (1, c)]
    expected = sum(np.log(probabilities[row, word]) for row, word in examples)
    scores = model.score([["w0", "unknown", "w1", "w2"], ["w0"]])
    assert scores == pytest.approx([expected, 0], rel=1e-5)
    with pytest.raises(RuntimeError, match="score: needs the hierarchical softmax"):
        model_of().score(TEXT)


# ---------------------------------------------------------------- vocabulary


@kinds
def test_new_words_are_added_and_trained(kind):
    model = model_of(**kind)
    before, output = model.wv.vectors.copy(), model._word_vectors().copy()
    counts = model.wv.counts.copy()
    more = [["new", "w0", "new", "w1"]] * 3
    model.build_vocab(more, update=True)
    assert model.wv.index_to_key[-1] == "new"
    assert np.array_equal(model.wv.vectors[:-1], before)
    if not model.hs:
        assert np.array_equal(model._output[:-1], output)
    assert model.wv.get_vecattr("new", "count") == 6
    assert model.wv.get_vecattr("w0", "count") == counts[model.wv.key_to_index["w0"]] + 3
    drawn = model.wv["new"].copy()
    model.train(more, total_examples=3, epochs=2)
    assert not np.array_equal(drawn, model.wv["new"])


def test_a_vocabulary_from_counts():
    model = Word2Vec(**FEW | {"sample": 0})
    model.build_vocab_from_freq({"a": 5, "b": 9, "c": 1})
    assert (model.wv.index_to_key, model.wv.counts.tolist()) == (["b", "a"], [9, 5])
    model.build_vocab_from_freq({"d": 2, "a": 1}, update=True)
    assert (model.wv.index_to_key, model.wv.counts.tolist()) == (["b", "a", "d"], [9, 6, 2])
    model.train([["a", "b", "zzz"]] * 9, total_examples=1, epochs=1)
    other = Word2Vec(**FEW)
    other.reset_from(model)
    assert other.wv.key_to_index == model.wv.key_to_index


def test_words_keep_their_order_without_sorting():
    model = Word2Vec([["x", "y", "y"], ["z", "x", "y"]], vector_size=2, min_count=1, sorted_vocab=0, sample=0)
    assert model.wv.index_to_key == ["x", "y", "z"]


def test_likely_words_of_a_context():
    model = model_of(epochs=10, alpha=0.1)
    likely = model.predict_output_word(["w0", "w1", "unknown"], topn=3)
    assert likely == model.predict_output_word([model.wv.key_to_index["w0"], "w1"], topn=3)
    assert len(likely) == 3
    everything = model.predict_output_word(["w0"], topn=len(model.wv))
    assert sum(share for _, share in everything) == pytest.approx(1)
    with pytest.warns(UserWarning, match="is a known word"):
        assert model.predict_output_word(["unknown"]) is None
    with pytest.raises(RuntimeError, match="needs the output vectors of negative sampling"):
        model_of(hs=1, negative=0).predict_output_word(["w0"])


# ---------------------------------------------------------------- files


@kinds
def test_a_saved_model_is_trained_further_to_the_same_bytes(kind, tmp_path):
    model = model_of(**kind | {"comment": "ours", "max_final_vocab": 30})
    model.save(str(tmp_path / "word2vec.model"))
    loaded = Word2Vec.load(str(tmp_path / "word2vec.model"), mmap="r")
    same(model, loaded)
    assert repr(loaded) == repr(model)
    assert (loaded.comment, loaded.corpus_count, loaded.get_latest_training_loss()) == (
        "ours",
        60,
        model.get_latest_training_loss(),
    )
    for one in (model, loaded):
        one.train(TEXT, total_examples=60, epochs=2)
    same(model, loaded)
    assert Embeddings.load(tmp_path / "word2vec.model").output.shape == (len(model.wv), 8)


def test_a_file_that_is_no_model_is_refused(tmp_path):
    model = model_of()
    model.wv.save(tmp_path / "vectors")
    (tmp_path / "pickle").write_bytes(b"\x80\x04K\x01.")
    model.save(tmp_path / "model")
    with zipfile.ZipFile(tmp_path / "model") as archive, zipfile.ZipFile(tmp_path / "new", "w") as new:
        for name in archive.namelist():
            content = archive.read(name)
            new.writestr(name, content.replace(b'"window": 5', b'"window": 0'))
    assert b'"window": 0' in (tmp_path / "new").read_bytes()
    for name, message in {
        "vectors": r"holds vectors, and no model that Word2Vec.save\(\) has written",
        "pickle": "is a Python pickle",
        "new": r"the model in it is damaged \(window=0: must be a whole number",
    }.items():
        with pytest.raises(FormatError, match=message):
            Word2Vec.load(tmp_path / name)
    with pytest.raises(RuntimeError, match="There is no vocabulary to save"):
        Word2Vec().save(tmp_path / "empty")
    assert not (tmp_path / "empty").exists()


def test_nothing_is_pickled(tmp_path):
    model = model_of()
    model.save(tmp_path / "model")
    with np.load(tmp_path / "model", allow_pickle=False) as arrays:
        state = json.loads(arrays["word2vec"].tobytes())
    assert state["settings"]["min_count"] == 2


# ---------------------------------------------------------------- mistakes


WRONG = {
    "vector_size": 0,
    "alpha": 0,
    "min_alpha": -1,
    "window": 1.5,
    "min_count": -1,
    "max_vocab_size": 0,
    "max_final_vocab": "many",
    "sample": -1,
    "seed": -1,
    "workers": 0,
    "sg": 2,
    "hs": "yes",
    "negative": -1,
    "ns_exponent": float("nan"),
    "cbow_mean": None,
    "epochs": 2.5,
    "sorted_vocab": 3,
    "null_word": 1,
    "callbacks": [3],
}


@pytest.mark.parametrize(("key", "value"), WRONG.items(), ids=WRONG)
def test_a_wrong_argument_is_refused_by_name(key, value):
    with pytest.raises(SettingError, match=f"^{key}=") as caught:
        Word2Vec([["a", "b"]], **{"min_count": 1, key: value})
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: Word2Vec(hs=0, negative=0), ValueError, "negative=0: must be 1 or more with hs=0"),
        (lambda: Word2Vec(size=100), TypeError, "size=100: is vector_size=100, as in gensim 4"),
        (lambda: Word2Vec(iter=3), TypeError, "iter=3: is epochs=3, as in gensim 4"),
        (lambda: Word2Vec(windw=3), TypeError, "windw=3: is no parameter of Word2Vec, did you mean window?"),
        (lambda: Word2Vec([]), CorpusError, "sentences: has no word"),
        (
            lambda: Word2Vec(TEXT, min_count=10**6),
            RuntimeError,
            "min_count=1000000: no word of the text occurs",
        ),
        (
            lambda: Word2Vec().train(TEXT),
            ValueError,
            "epochs=None: must be given, such as epochs=model.epochs",
        ),
        (lambda: Word2Vec().train(TEXT, epochs=1), ValueError, "total_examples=None: must be given"),
        (
            lambda: Word2Vec().train(TEXT, total_examples=1, epochs=1),
            RuntimeError,
            "There is no vocabulary yet",
        ),
        (
            lambda: Word2Vec().build_vocab(TEXT, update=True),
            RuntimeError,
            "update=True: there is no vocabulary",
        ),
        (lambda: Word2Vec().build_vocab(txt=TEXT), TypeError, "is no parameter of build_vocab"),
        (lambda: model_of().train(TEXT, epoch=1), TypeError, "is no parameter of train, did you mean epochs"),
        (lambda: Word2Vec().reset_from(3), SettingError, "other_model=3: must be a Word2Vec"),
    ],
)
def test_a_mistake_is_of_gensims_kind_and_names_the_remedy(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert isinstance(caught.value, UserError)
    assert message in str(caught.value)


def test_vectors_without_output_vectors_cannot_be_trained():
    model = model_of()
    model.wv.add_vectors(["new"], np.ones((1, 8)))
    with pytest.raises(RuntimeError, match="output vectors are missing"):
        model.train(TEXT, total_examples=1, epochs=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hs": 1}, "hs=1, negative=5: only the hierarchical softmax is trained. Set one of the two to 0."),
        ({"callbacks": [CallbackAny2Vec()]}, "callbacks: without sentences nothing is trained"),
        ({"trim_rule": lambda *_: 0}, "trim_rule: without sentences no vocabulary is built"),
    ],
)
def test_what_is_not_done_is_warned_of(arguments, message):
    with pytest.warns(UserWarning, match=message):
        Word2Vec(**arguments)


@pytest.mark.parametrize("name", ["most_similar", "accuracy", "cum_table"])
def test_a_missing_name_of_gensims_names_the_remedy(name):
    with pytest.raises(AttributeError, match=rf"Word2Vec has no {name}\. "):
        getattr(Word2Vec(), name)
    with pytest.raises(
        AttributeError, match=r"Word2Vec has no syn1\. With hs=0 the output vectors are syn1neg"
    ):
        model_of().syn1  # noqa: B018
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        Word2Vec().nonsense  # noqa: B018


def test_a_representation_of_one_line():
    assert repr(model_of(sg=1)) == (
        f"Word2Vec({len(model_of().wv)} words, vector_size=8, skip-gram, negative=5, alpha=0.025)"
    )

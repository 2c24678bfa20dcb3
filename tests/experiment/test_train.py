"""`w2v_exp.train`: the run of the command line, from Python."""

import logging
import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hydra._internal import config_loader_impl, defaults_list
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobRuntime
from hydra.version import VersionBase
from hypothesis import given
from hypothesis import strategies as st
from omegaconf.basecontainer import BaseContainer

import w2v_exp
from w2v_exp import Embeddings, UserError, loader
from w2v_exp.config import parse_overrides
from w2v_exp.experiment.train import overrides_of

TEXT = "a rose is a rose is a rose\n" * 3
SMALL = {"experiment": None, "dim": 8, "epochs": 3, "progress": False}


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_text_gives_the_bytes_of_the_command_line_and_writes_nothing_here(command, tmp_path):
    (tmp_path / "rose.txt").write_text(TEXT)
    settings = ["dim=8", "epochs=3", "window=2", "tokenizer=word", "tracking=none", "explorer=none"]
    done = command("corpus=file", "corpus.path=rose.txt", *settings, "hydra.run.dir=run")
    assert done.returncode == 0, done.stderr
    before = sorted(Path().iterdir())
    expected = Embeddings.load("run/artifacts/embeddings.npz")
    trained = w2v_exp.train(TEXT, window=2, tokenizer="word", **SMALL)
    assert trained.words == expected.words
    np.testing.assert_array_equal(trained.input, expected.input)
    np.testing.assert_array_equal(trained.output, expected.output)
    assert sorted(Path().iterdir()) == before


@pytest.mark.second_tier
def test_a_text_is_given_in_several_ways(tmp_path):
    (tmp_path / "rose.txt").write_text(TEXT)
    expected = w2v_exp.train(TEXT, **SMALL)
    for source in ("rose.txt", Path("rose.txt"), w2v_exp.FileCorpus("rose.txt"), w2v_exp.TextCorpus(TEXT)):
        np.testing.assert_array_equal(w2v_exp.train(source, **SMALL).input, expected.input)
    article = w2v_exp.train(**SMALL)
    np.testing.assert_array_equal(w2v_exp.train(w2v_exp.ArticleCorpus(), **SMALL).input, article.input)
    np.testing.assert_array_equal(w2v_exp.train(corpus="article", **SMALL).input, article.input)


@pytest.mark.second_tier
def test_sentences_are_lines_whose_words_are_kept(tmp_path):
    lines = "New York is big\n\nis it\nNew York\n"
    by_line = w2v_exp.train(lines, tokenizer="whitespace", corpus__boundaries="line", **SMALL)
    once = (line.split() for line in lines.splitlines())  # cannot be read twice
    given_words = w2v_exp.train(once, **SMALL)
    assert given_words.words == by_line.words
    np.testing.assert_array_equal(given_words.input, by_line.input)
    kept = w2v_exp.train([["New York", "Is", "", "\x1b[0m"], ["Is", "<b>"]], folder="kept", **SMALL)
    assert set(kept.words) == {"New York", "Is", "", "\x1b[0m", "<b>"}
    assert Embeddings.load("kept/artifacts/embeddings.npz").words == kept.words


@pytest.mark.cases(every=4)
@pytest.mark.parametrize(
    ("settings", "same"),
    [
        ({"vocabulary__min_count": 2}, {"vocabulary": {"min_count": 2}}),
        ({"vocabulary__min_count": 2}, {"vocabulary.min_count": 2}),
        ({"vocabulary__min_count": 2}, {"vocabulary": w2v_exp.VocabularyRule(min_count=2)}),
        (
            {"objective": "negative_sampling", "objective__negatives": 2},
            {"objective": w2v_exp.NegativeSampling(negatives=2)},
        ),
    ],
)
def test_settings_of_options_have_four_spellings(settings, same):
    one, other = (
        w2v_exp.train([["a", "b", "a"], ["b", "a", "c"]], **SMALL, **some) for some in (settings, same)
    )
    assert one.words == other.words
    np.testing.assert_array_equal(one.input, other.input)


@pytest.mark.cases(every=8)
@pytest.mark.parametrize(
    ("source", "settings", "message"),
    [
        (TEXT, {"windw": 3}, "windw: unknown key, did you mean window?"),
        (TEXT, {"vocabulary": {"min_cout": 3}}, "vocabulary.min_cout: unknown key"),
        (TEXT, {"dim": 0}, "dim=0: must be a whole number, 1 or more."),
        (TEXT, {"dim": "x"}, "dim=x: must be a whole number."),
        (TEXT, {"objective": "negativ"}, "objective=negativ: not an option, did you mean negative_sampling?"),
        (TEXT, {"vector_size": 3}, "vector_size: unknown key. Use dim."),
        (TEXT, {"repeats": 2}, "repeats=2: is for sweeps"),
        (TEXT, {"hydra": {"run": 1}}, "hydra.*: is a key of Hydra itself"),
        (TEXT, {"corpus": "sotu"}, "corpus='sotu': the first argument is the text"),
        (TEXT, {"tokenizer": str.split}, "tokenizer=.*: is a function. Give sentences"),
        (TEXT, {"seed": object()}, "seed=.*: must be a number, a string"),
        (TEXT, {"tracking": 3}, "tracking=3: must be True, False"),
        (TEXT, {"folder": "a_file/run"}, "folder=a_file/run: a_file is a file"),
        ("nowhere.txt", {}, "corpus.path=nowhere.txt: no such file"),
        ("my books/no where.txt", {}, r"no such file.* A text of this look: TextCorpus\(text\)\."),
        ("", {}, "corpus.path=: is empty"),
        (3, {}, "source=3: must be a path, a text"),
        ([], {}, "sentences: they have no word"),
        (["a text"], {}, r"sentences\[0\]='a text': is not a list of strings"),
        ([["a"], ["b", 3]], {}, r"sentences\[1\]: 3 is a word of type int"),
        ([["a"], ["b", ["c"]]], {}, r"sentences\[1\]=\['b', \['c'\]\]: is not a list of strings"),
        ([["a", "b"]], {"tokenizer": "word"}, "tokenizer='word': given sentences are lists of words"),
        ([["a"], ["b"]], {}, "There is no pair to train on"),
    ],
)
def test_mistakes_have_the_messages_of_the_command_line(source, settings, message):
    Path("a_file").write_text("")
    with pytest.raises(UserError, match=message):
        w2v_exp.train(source, **SMALL | settings)
    assert [*Path().iterdir()] == [Path("a_file")]


def test_the_error_of_a_generator_of_sentences_is_raised():
    def broken():
        yield ["a", "b"]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        w2v_exp.train(broken(), **SMALL)


def process_state():
    """Return what belongs to the process: handlers of signals, logging, and the state of Hydra."""
    loggers = [logging.getLogger(name) for name in ("", "w2v_exp", "hydra")]
    return {
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
        "logging": [(each.level, each.propagate, [*each.handlers], each.disabled) for each in loggers],
        "store": {*ConfigStore.instance().repo},
        "version": VersionBase.instance().getbase(),
        "job": dict(JobRuntime.instance().conf),
        "config": HydraConfig.instance().cfg,
        "resolvers": dict(BaseContainer._resolvers),
        "loader": (defaults_list._create_interpolation_map, config_loader_impl.CachingConfigRepository),
        "environment": dict(os.environ),
        "folder": Path.cwd(),
    }


@pytest.mark.second_tier
def test_the_process_is_left_as_it_was(monkeypatch):
    monkeypatch.setattr(
        defaults_list, "_create_interpolation_map", loader._create_interpolation_map
    )  # Hydra's own
    JobRuntime.instance().set("name", "mine")
    before = process_state()
    w2v_exp.train(TEXT, **SMALL)
    assert process_state() == before
    with pytest.raises(UserError):
        w2v_exp.train(TEXT, nonsense=1, **SMALL)
    assert process_state() == before


@pytest.mark.second_tier
def test_threads_train_one_after_the_other_with_the_same_results():
    expected = w2v_exp.train(TEXT, **SMALL).input
    found, before = [], process_state()

    def train():
        found.append(w2v_exp.train(TEXT, **SMALL).input)

    threads = [threading.Thread(target=train) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert all((each == expected).all() for each in found)
    assert process_state() == before


@dataclass(frozen=True)
class SignallingCorpus(w2v_exp.TextCorpus):
    """A text that sends a signal to this process when it is read."""

    signal: int = signal.SIGINT

    def chunks(self):
        signal.raise_signal(self.signal)
        yield from super().chunks()


def test_a_mistake_is_raised_without_the_error_of_hydra():
    with pytest.raises(w2v_exp.UserError, match="dims: unknown key, did you mean dim") as raised:
        w2v_exp.train(TEXT, dims=3)
    assert raised.value.__suppress_context__
    assert raised.value.__cause__ is None


@pytest.mark.second_tier
def test_an_interruption_is_raised_and_leaves_no_folder(monkeypatch, tmp_path):
    places = tmp_path / "temporary"
    places.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(places))
    with pytest.raises(KeyboardInterrupt):
        w2v_exp.train(SignallingCorpus(TEXT), **SMALL)
    assert not any(places.iterdir())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.second_tier
def test_a_handler_of_the_program_is_called_during_training():
    received = []
    before = signal.signal(signal.SIGTERM, lambda *_: received.append("own"))
    try:
        w2v_exp.train(SignallingCorpus(TEXT, signal=signal.SIGTERM), **SMALL)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert received == ["own"]


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs", "Cc"])),
)


@given(VALUES | st.lists(VALUES, max_size=3))
def test_a_value_is_that_of_the_command_line(value):
    (override,) = parse_overrides(overrides_of({"probes": value}))
    several, found = isinstance(value, list), override.value()
    plain = [getattr(each, "text", each) for each in (found if several else [found])]
    assert plain == (value if several else [value])
    assert not override.is_sweep_override()


@pytest.mark.second_tier
@pytest.mark.usefixtures("store")
def test_a_text_without_settings_is_trained_as_my_text(command, tmp_path):
    generator = np.random.default_rng(0)
    words = [f"w{number}" for number in generator.zipf(1.5, 4000) if number < 500]
    lines = [words[first : first + 10] for first in range(0, len(words), 10)]
    text = "\n".join(" ".join(line) for line in lines)
    (tmp_path / "my.txt").write_text(text)
    done = command("experiment=my_text", "corpus.path=my.txt", "tracking=none", "hydra.run.dir=run")
    assert done.returncode == 0, done.stderr
    saved = Embeddings.load("run/artifacts/embeddings.npz")
    picked = w2v_exp.runs(folder="run").iloc[0]
    for source in (Path("my.txt"), text):
        trained = w2v_exp.train(source, progress=False)
        assert trained.words == saved.words
        np.testing.assert_array_equal(trained.input, saved.using(picked.embedding).input)
    w2v_exp.train(lines, progress=False, folder="sentences", window=2)
    row = w2v_exp.runs(folder="sentences").iloc[0]
    for key in ("objective", "labels", "vocabulary.min_count", "vocabulary.max_size", "dtype", "epochs"):
        assert row[key] == picked[key]
    assert row["window"] == 2

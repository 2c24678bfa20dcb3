"""The choice of evaluation sets: checked when it is made, read once, scored by name."""

import sys

import numpy as np
import pytest
from evaluated import structured_embeddings

from w2v_exp.embeddings import AnalogySet, Embeddings, WordPairSet
from w2v_exp.embeddings.evaluation import NoEvaluation, StandardEvaluation, set_name
from w2v_exp.errors import FormatError, SettingError


def test_the_standard_sets_are_scored_by_name():
    standard, embeddings = StandardEvaluation(), structured_embeddings(dim=10)
    scores = standard.score(embeddings, standard.read())
    assert list(scores) == ["wordsim353", "simlex999", "analogies"]
    assert scores["wordsim353"] == embeddings.evaluate_word_pairs("wordsim353")
    assert scores["analogies"] == embeddings.evaluate_word_analogies("questions-words")


def test_settings_reach_what_is_scored():
    embeddings = structured_embeddings(dim=10)
    chosen = StandardEvaluation(word_pairs=["simlex999"], restrict_vocab=200)
    scores = chosen.score(embeddings, chosen.read())
    assert list(scores) == ["simlex999", "analogies"]
    assert scores["analogies"].all.known < 100


def test_no_evaluation_has_nothing_to_read_and_nothing_to_say():
    embeddings = Embeddings(["a"], None, np.ones((1, 1)))
    assert NoEvaluation().score(embeddings, NoEvaluation().read()) == {}
    assert NoEvaluation().every is None


@pytest.mark.parametrize(
    ("settings", "answer"),
    [
        ({"word_pairs": ["wordsim"]}, r"word_pairs=wordsim: no such file.* one of wordsim353, simlex999\."),
        ({"word_pairs": ["questions-words"]}, "word_pairs=questions-words: no such file"),
        ({"analogies": ["wordsim353"]}, r"analogies=wordsim353: no such file.* one of questions-words\."),
        ({"word_pairs": ["simlex999", "simlex999"]}, "word_pairs=simlex999: is the second set named simlex999"),
        ({"analogies": ["questions-words", "semantic.txt"]}, "is the second set named analogies_semantic"),
        ({"word_pairs": [], "analogies": []}, "use evaluation=none"),
        ({"restrict_vocab": 0}, "restrict_vocab=0: must be a whole number"),
        ({"every": 0}, "every=0: must be a whole number, 1 or more"),
        ({"associations": ["weat11"]}, r"associations=weat11: no such file.* one of weat1, "),
        ({"largest_loss": 1}, "largest_loss=1: must be a number"),
    ],
)  # fmt: skip
def test_a_choice_that_cannot_be_evaluated_is_refused_when_it_is_made(
    settings, answer, tmp_path, monkeypatch
):
    (tmp_path / "semantic.txt").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingError, match=answer):
        StandardEvaluation(**settings)


def test_without_gensim_the_choice_is_answered_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gensim", None)  # Python's own way to say that there is none
    with pytest.raises(
        SettingError, match=r"^word_pairs=wordsim353: comes with gensim.*pip install .*\[evaluation\]"
    ):
        StandardEvaluation()


def test_sets_by_path_need_no_gensim_and_are_read_when_asked_for(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "gensim", None)
    pairs, analogies = tmp_path / "MEN (dev).tsv", tmp_path / "questions-words.txt"
    pairs.write_text("a\tb\t1\n")
    analogies.write_text(": x\na b c d\n")
    chosen = StandardEvaluation([str(pairs)], [str(analogies)])
    sets = chosen.read()
    assert isinstance(sets["word_pairs_men_dev"], WordPairSet)
    assert isinstance(sets["analogies"], AnalogySet)
    pairs.write_text("a b\n")
    with pytest.raises(FormatError, match="line 1"):
        chosen.read()


def test_associations_are_scored_by_the_name_of_their_test(tmp_path):
    file = tmp_path / "sets.yaml"
    file.write_text("tests: {mine: {targets: [men, women], attributes: [family]}}")
    chosen = StandardEvaluation([], [], associations=["weat7", str(file)], largest_loss=0.5)
    sets = chosen.read()
    assert [*sets] == ["association_weat7", "association_mine"]
    words = [word for test in sets.values() for words in test.sets.values() for word in words]
    embeddings = Embeddings(
        list(dict.fromkeys(words)), None, np.random.default_rng(0).standard_normal((len({*words}), 5))
    )
    assert chosen.score(embeddings, sets) == {
        name: embeddings.association(test, largest_loss=0.5) for name, test in sets.items()
    }
    again = StandardEvaluation([], [], associations=[str(file), str(file)])
    with pytest.raises(SettingError, match="has the second test named mine"):
        again.read()
    file.write_text("tests: {mine: {targets: [men], attributes: [family]}}")
    with pytest.raises(FormatError, match="line 1"):
        chosen.read()


@pytest.mark.parametrize("source", ["!!!.txt", "x" * 300, "Τέστ.tsv", "a/../b c.txt"])
def test_the_name_of_a_set_is_one_that_mlflow_takes(source):
    from mlflow.utils.validation import _validate_metric_name

    _validate_metric_name(set_name("analogies", source) + "_syntactic")

"""Embeddings of slices: a word that moves is found, bands agree with exact ones, and files come back."""

import zipfile
from dataclasses import replace

import numpy as np
import pytest
from texts import DOCUMENTS, FIRST, MOVED, SECOND, STEADY, WINDOW, moving_text, trained

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.similarity import UnknownWordError, directions
from w2v_exp.errors import CorpusError, FormatError
from w2v_exp.slices.embeddings import SliceEmbeddings
from w2v_exp.slices.fit import SliceFit
from w2v_exp.slices.grouping import SliceRule
from w2v_exp.slices.solver import solve

RULE = SliceRule(
    pattern=r"\d{4}", number=4, min_tokens=10, smoothing=20, permutations=200, words=[MOVED, STEADY, "a0"]
)


def fit_of(rule=RULE, text=None, seed=0):
    """Return the fit of a rule to the text."""
    text = text or moving_text()
    slices = rule.divide(text.names, np.diff(text.documents))
    return SliceFit(text, slices, trained(), rule, window=WINDOW, shrinking=False, seed=seed)


@pytest.fixture(scope="module")
def fitted():
    """Return the embeddings of four slices."""
    return fit_of().embeddings()


def test_the_word_that_moves_changes_most_and_its_neighbours_follow(fitted):
    """All others keep theirs, and are not significant, but for the rate of false discoveries."""
    assert len(fitted.slices) == 4
    assert fitted.tested()[0].word == MOVED
    assert MOVED in [word.word for word in fitted.changed(0.01)]
    assert STEADY not in [word.word for word in fitted.changed(0.01)]
    neighbours = fitted.neighbours(MOVED, 5)
    first, *_, last = neighbours.values()
    assert {word for word, _ in first} <= {*FIRST, STEADY}
    assert {word for word, _ in last} <= {*SECOND}
    cosines = fitted.cosines_to_pooled()
    assert np.nanmin(cosines[:, fitted.index(STEADY)]) > np.nanmin(cosines[:, fitted.index(MOVED)])


def test_no_change_is_found_if_documents_are_in_random_order(fitted):
    """The slices of permuted names: at most a word in twenty."""
    text = moving_text()
    names = np.random.default_rng(7).permutation(text.names).tolist()
    shuffled = fit_of(text=replace(text, names=names)).embeddings()
    assert len(shuffled.changed(0.05)) <= len(shuffled.tested()) // 20
    effects = np.array([word.effect for word in shuffled.tested()])
    assert abs(effects.mean()) < 0.001 < next(w.effect for w in fitted.tested() if w.word == MOVED)


def test_similarities_have_bands_that_hold_them(fitted):
    """For the words of the rule; none for other pairs."""
    for each in fitted.similarity(MOVED, "a0"):
        assert each.low < each.high
        assert each.low - 0.05 < each.cosine < each.high + 0.05
    first, *_, last = fitted.similarity(MOVED, "a0")
    assert first.low > last.high
    assert [each[1:] for each in fitted.similarity("a0", MOVED)] == [
        each[1:] for each in fitted.similarity(MOVED, "a0")
    ]
    unbanded = fitted.similarity("a3", "b7")
    assert all(each.cosine is not None and each.low is None for each in unbanded)


def test_bands_agree_with_problems_that_are_solved_again():
    """One Newton step gives the standard error of each vector to 10 %."""
    fit = fit_of()
    words = np.array([fit._text.vocabulary.ids[word] for word in (MOVED, STEADY, "a1")])
    words.sort()
    ((_, part),) = fit._parts(words)
    documents = np.flatnonzero(fit._slices.of_documents == 1)
    weights = np.random.default_rng(0).multinomial(
        len(documents), np.full(len(documents), 1 / len(documents)), 200
    )
    slices, owners, vectors = fit._solve(part)
    for number in range(len(words)):
        (vector,) = vectors[(slices == 1) & (owners == number)]
        rows = slice(*np.searchsorted(part.moments.words, [number, number + 1]))
        steps = fit._bootstrap(part, number, rows, documents, weights.astype(float))
        one_step = directions(vector + steps @ fit._inverses(vector[None])[0])
        target = fit._softmax.expect(vector[None]).mean[0] + RULE.ridge * (vector - part.pooled[number])
        anchors = np.repeat(part.pooled[number][None], len(steps), axis=0)
        exact = directions(
            solve(
                fit._softmax,
                target + steps,
                np.repeat(vector[None], len(steps), axis=0),
                part.inverses[number : number + 1],
                np.zeros(len(steps), np.intp),
                ridge=RULE.ridge,
                anchors=anchors,
            )
        )
        ratio = one_step.std(axis=0).sum() / exact.std(axis=0).sum()
        assert ratio == pytest.approx(1, abs=0.1)


def test_the_same_seed_gives_the_same_numbers(fitted):
    """Another seed only other permutations and replicates."""
    again, other = fit_of().embeddings(), fit_of(seed=1).embeddings()
    np.testing.assert_array_equal(again.vectors, fitted.vectors)
    np.testing.assert_array_equal(again.change.p, fitted.change.p)
    np.testing.assert_array_equal(again.bands.low, fitted.bands.low)
    np.testing.assert_array_equal(other.vectors, fitted.vectors)
    assert (other.bands.low != fitted.bands.low).any()


def test_rare_words_have_no_vector_in_a_slice():
    """A word with fewer tokens than the rule asks for; one that is rare everywhere is unknown."""
    text = moving_text()
    ids = text.ids.copy()
    word, other = text.vocabulary.ids["a0"], text.vocabulary.ids["a1"]
    ids[: text.documents[6]][ids[: text.documents[6]] == word] = other
    late = fit_of(text=replace(text, ids=ids)).embeddings()
    index = late.index("a0")
    assert late.tokens[0, index] == 0
    assert late.rows[0, index] == -1
    assert late.similarity("a0", "a1")[0].cosine is None
    assert late.slices[0] not in late.neighbours("a0")
    rows = [row for row in late.table(3) if row["word"] == "a0"]
    assert rows[0] == {
        "word": "a0",
        "slice": late.slices[0],
        "tokens": 0,
        "rare": 1,
        "cosine": "",
        "neighbours": "",
    }
    assert rows[1]["neighbours"].count(" ") == 2
    with pytest.raises(UnknownWordError, match="zebra: is in no slice"):
        late.index("zebra")


def test_slices_of_one_document_have_neither_test_nor_bands():
    """There is nothing to permute or to draw."""
    alone = fit_of(SliceRule(pattern=".+", min_tokens=2, words=["a0", "a1"])).embeddings()
    assert len(alone.slices) == DOCUMENTS
    assert not alone.tested()
    assert np.isnan(alone.bands.low).all()
    assert alone.neighbours("a0")


def test_a_slice_without_frequent_words_is_refused():
    """Before anything is computed."""
    with pytest.raises(CorpusError, match=r"slices.min_tokens=1000"):
        fit_of(SliceRule(pattern=".+", min_tokens=1000))


def test_files_come_back(fitted, tmp_path):
    """Also as embeddings of the whole text; a damaged or foreign file is an error."""
    path = tmp_path / "slices.npz"
    fitted.save(path)
    loaded = SliceEmbeddings.load(path)
    assert loaded.words == fitted.words
    assert loaded.slices == fitted.slices
    assert loaded.changed() == fitted.changed()
    assert loaded.similarity(MOVED, "a0") == fitted.similarity(MOVED, "a0")
    assert loaded.neighbours(MOVED) == fitted.neighbours(MOVED)
    np.testing.assert_array_equal(Embeddings.load(path).input, fitted.pooled)
    Embeddings(["x", "y"], None, np.eye(2, dtype=np.float32)).save(tmp_path / "other.npz")
    with pytest.raises(FormatError, match="no embeddings of slices"):
        SliceEmbeddings.load(tmp_path / "other.npz")
    content = path.read_bytes()
    (tmp_path / "short.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(FormatError):
        SliceEmbeddings.load(tmp_path / "short.npz")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("rows", lambda array: array + 1000),
        ("band_pairs", lambda array: array - 5),
        ("tokens", lambda array: array[:-1]),
        ("vectors", lambda array: array.astype(np.int64)),
        ("slices", lambda array: array[:-1]),
        ("slices", lambda _: np.frombuffer(b"[1,2,3,4]", np.uint8)),
    ],
)
def test_arrays_that_do_not_fit_are_format_errors(fitted, tmp_path, name, change):
    """Another program may have written the archive."""
    path, other = tmp_path / "slices.npz", tmp_path / "other.npz"
    fitted.save(path)
    arrays = dict(np.load(path, allow_pickle=False))
    arrays[name] = change(arrays[name])
    np.savez(other, **arrays)
    assert zipfile.is_zipfile(other)
    with pytest.raises(FormatError, match=name):
        SliceEmbeddings.load(other)

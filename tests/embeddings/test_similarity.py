"""What is similar to what: gensim's answers, many questions at once, and what is refused."""

import numpy as np
import pytest
from evaluated import in_gensim
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies

from w2v_exp.embeddings import Embeddings, similarity
from w2v_exp.errors import UserError

WORDS = [f"word{i}" for i in range(300)]
TOLERANCE = 1e-6


def random_embeddings(seed=0, words=300, dim=20, dtype=np.float32):
    vectors = np.random.default_rng(seed).standard_normal((words, dim)).astype(dtype)
    vectors *= np.arange(1, words + 1, dtype=dtype)[:, None]  # of different lengths
    return Embeddings([f"word{i}" for i in range(words)], None, vectors)


@pytest.fixture(scope="module", params=[np.float32, np.float64])
def ours(request):
    return random_embeddings(dtype=request.param)


@pytest.fixture
def theirs(ours):
    """gensim's own, made anew: its `similarity` changes vectors of float64 in place."""
    return in_gensim(ours)


def assert_same(found, expected):
    assert [word for word, _ in found] == [word for word, _ in expected]
    assert [score for _, score in found] == pytest.approx([score for _, score in expected], abs=TOLERANCE)


def unit(seed, dim=20):
    vector = np.random.default_rng(seed).standard_normal(dim).astype(np.float32)
    return vector / np.linalg.norm(vector)


QUERIES = [
    {"positive": "word0"},
    {"positive": ["word299"]},
    {"positive": ["word1", "word2"], "negative": ["word3"]},
    {"positive": ["word1", "word2"], "negative": "word3", "topn": 3},
    {"negative": ["word7", "word8"]},
    {"positive": 3 * unit(1)},
    {"positive": [unit(1), unit(2)], "negative": [unit(3)]},
    {"positive": np.stack([unit(1), unit(2)])},
    {"positive": ["word4", 2 * unit(4)], "negative": ["word5"]},
    {"positive": [("word1", 0.5), "word2", (unit(2), 3)], "negative": [("word9", -0.25), ("word8", 2.0)]},
    {"positive": ["word1", "word1"], "topn": 1},
    {"positive": "word1", "topn": 0},
    {"positive": "word1", "topn": 1000},
    {"positive": "word200", "restrict_vocab": 50},
    {"positive": "word20", "restrict_vocab": 50, "topn": 50},
    {"positive": "word20", "clip_start": 10, "clip_end": 40, "topn": 60},
    {"positive": "word20", "clip_start": 10, "restrict_vocab": 5},
]


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_the_most_similar_words_are_gensims(ours, theirs, query):
    assert_same(ours.most_similar(**query), theirs.most_similar(**query))


@pytest.mark.parametrize("query", QUERIES[:4] + QUERIES[13:], ids=str)
def test_all_cosines_are_gensims(ours, theirs, query):
    query = query | {"topn": None}
    np.testing.assert_allclose(ours.most_similar(**query), theirs.most_similar(**query), atol=TOLERANCE)


COSMUL = [
    {"positive": "word0"},
    {"positive": "word0", "negative": "word1"},
    {"positive": ["word1", "word2"], "negative": ["word3"]},
    {"positive": ["word1", "word2", "word4"], "negative": ["word3", "word5"], "topn": 1000},
    {"positive": [unit(1), "word2"], "negative": [unit(3)], "topn": 4},
    {"positive": "word1", "topn": 0},
]


# gensim calls a method of its own that it has deprecated
of_gensims_cosmul = pytest.mark.filterwarnings("ignore:Call to deprecated `init_sims`:DeprecationWarning")


@of_gensims_cosmul
@pytest.mark.parametrize("query", COSMUL, ids=range(len(COSMUL)))
def test_products_of_similarities_are_gensims(ours, theirs, query):
    found, expected = ours.most_similar_cosmul(**query), theirs.most_similar_cosmul(**query)
    assert [word for word, _ in found] == [word for word, _ in expected]
    assert [score for _, score in found] == pytest.approx([score for _, score in expected], rel=1e-5)
    every = query | {"topn": None}
    np.testing.assert_allclose(
        ours.most_similar_cosmul(**every), theirs.most_similar_cosmul(**every), rtol=2e-5
    )


@of_gensims_cosmul
def test_a_restricted_vocabulary_of_products_is_that_of_the_first_words(ours):
    """gensim 4.4 takes `restrict_vocab` here and does nothing with it."""
    first = in_gensim(Embeddings(ours.words[:50], None, ours.input[:50]))
    found = ours.most_similar_cosmul(["word1", "word2"], ["word3"], restrict_vocab=50)
    expected = first.most_similar_cosmul(["word1", "word2"], ["word3"])
    assert [word for word, _ in found] == [word for word, _ in expected]
    # words outside of it may still be asked with
    outside = ours.most_similar_cosmul(["word200"], ["word299"], topn=50, restrict_vocab=50)
    assert {word for word, _ in outside} == set(ours.words[:50])


@pytest.mark.parametrize("pair", [("word0", "word1"), ("word5", "word5"), ("word299", "word3")])
def test_similarities_are_gensims(ours, theirs, pair):
    assert ours.similarity(*pair) == pytest.approx(theirs.similarity(*pair), abs=TOLERANCE)
    assert ours.similarity(w1=pair[0], w2=pair[1]) == ours.similarity(*pair)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "size",
    [1, 3, 10],  # two words are equally far, but for rounding
)
def test_the_word_that_does_not_match_is_gensims(ours, theirs, seed, size):
    words = np.random.default_rng(seed).permutation(WORDS)[:size].tolist()
    assert ours.doesnt_match(words) == theirs.doesnt_match(words)


def test_words_that_are_not_known_are_left_out_of_those_that_should_match(ours, theirs):
    words = ["word1", "unheard", "word2", "word3"]
    with pytest.warns(UserWarning, match=r"Unknown words are skipped: \['unheard'\]"):
        assert ours.doesnt_match(words) == theirs.doesnt_match(words)
    with pytest.raises(UserError, match=r"None of \['unheard'\] is among the 300 words"):
        ours.doesnt_match(["unheard"])


def test_equally_far_words_are_told_apart_by_the_alphabet():
    opposite = Embeddings(["b", "a"], None, np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert opposite.doesnt_match(["b", "a"]) == opposite.doesnt_match(["a", "b"]) == "a"


def test_vectors_are_looked_up_by_a_word_or_by_several(ours, theirs):
    np.testing.assert_array_equal(ours["word7"], theirs["word7"])
    np.testing.assert_array_equal(ours[["word7", "word0"]], theirs[["word7", "word0"]])
    with pytest.raises(UserError, match="'unheard' is not among"):
        ours[["word7", "unheard"]]


@st.composite
def queries(draw):
    """Words, vectors, and lists of both with weights."""
    words = st.sampled_from(WORDS[:40])
    vectors = st.integers(0, 5).map(unit)
    keys = words | vectors
    weighted = keys | st.tuples(keys, st.floats(-2, 2))
    return draw(st.lists(keys | st.lists(weighted, min_size=1, max_size=3), max_size=8))


@given(
    queries(),
    st.integers(0, 60),
    st.none() | st.integers(1, 60),
    st.integers(1, 1 << 14),
    st.sampled_from([np.float32, np.float64]),
)
def test_many_queries_at_once_are_answered_bit_by_bit_as_one_after_another(
    asked, topn, restrict_vocab, batch_bytes, dtype
):
    few = random_embeddings(words=40, dtype=dtype)
    alone = [few.most_similar(query, topn=topn, restrict_vocab=restrict_vocab) for query in asked]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(similarity, "BATCH_BYTES", batch_bytes)
        assert few.most_similar_to_each(asked, topn, restrict_vocab) == alone


def test_the_rows_of_a_matrix_are_queries(ours):
    rows = ours.input[:3]
    assert ours.most_similar_to_each(rows, topn=2) == [ours.most_similar(row, topn=2) for row in rows]


@given(
    numpy_strategies.arrays(np.float32, (6, 2), elements=st.sampled_from([0.0, 1.0, -1.0, 3.0])),
    st.integers(0, 7),
)
def test_the_nearest_are_those_of_a_sort_of_all_cosines_ties_by_id(vectors, topn):
    few = Embeddings(list("abcdef"), None, vectors)
    for word, found in zip("abcdef", few.most_similar_to_each("abcdef", topn), strict=True):
        cosines = few.most_similar(word, topn=None)
        order = [i for i in np.argsort(-cosines, kind="stable").tolist() if few.words[i] != word]
        assert found == [(few.words[i], float(cosines[i])) for i in order[:topn]]


def test_memory_does_not_grow_with_the_queries():
    import tracemalloc

    many = random_embeddings(words=10_000, dim=8)
    many.most_similar("word0")
    tracemalloc.start()
    many.most_similar_to_each(many.words[:3000], topn=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * similarity.BATCH_BYTES  # all cosines at once would be 120 MB


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda e: e.most_similar(), "positive or negative needs a word or a vector"),
        (lambda e: e.most_similar([]), "positive or negative needs a word or a vector"),
        (lambda e: e.most_similar(7), "A word, a vector or a list of them is needed, not 7"),
        (lambda e: e.most_similar(["word1", "wrd2"]), r"'wrd2' is not among the 300 words, did you mean word2\?"),
        (lambda e: e.most_similar([("word1", "much")]), "weight of 'word1' must be a finite number, not 'much'"),
        (lambda e: e.most_similar([("word1", np.nan)]), "weight of 'word1' must be a finite number"),
        (lambda e: e.most_similar("word1", restrict_vocab=0), "restrict_vocab=0: must be a whole number"),
        (lambda e: e.most_similar("word1", clip_start=-1), "clip_start=-1"),
        (lambda e: e.most_similar("word1", clip_start=300), "clip_start=300: must be below the number of words, 300"),
        (lambda e: e.most_similar("word1", clip_start=5, clip_end=5), "clip_end=5: must be .* 6 or more"),
        (lambda e: e.most_similar_to_each(["word1"], topn=None), "topn=None"),
        (lambda e: e.most_similar_to_each(["word1", None]), "positive or negative needs a word or a vector"),
        (lambda e: e.most_similar_cosmul(negative="word1"), "needs a word or a vector in positive"),
        (lambda e: e.most_similar_cosmul(["word1", ("word2", 2)]), "has no weights"),
        (lambda e: e.most_similar_cosmul("word1", topn=-1), "topn=-1"),
        (lambda e: e.similarity("word1", "unheard"), "'unheard' is not among"),
    ],
    ids=range(16),
)  # fmt: skip
def test_what_cannot_be_answered_is_refused_with_a_sentence(call, said):
    with pytest.raises(UserError, match=said):
        call(random_embeddings())


def test_a_mean_of_the_largest_vectors_is_no_overflow():
    few = Embeddings(["east", "north"], None, np.array([[1.0, 0.0], [0.0, 1.0]]))
    largest = np.array([1.7e308, 0.0])
    (word, cosine), *_ = few.most_similar([largest, (largest, 1e300)])
    assert (word, cosine) == ("east", 1)


def test_opposite_words_cancel_and_nothing_is_similar_to_nothing():
    few = Embeddings(["east", "west", "north"], None, np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]]))
    assert few.most_similar(["east", "west"]) == [("north", 0.0)]
    assert few.most_similar_cosmul("north") == [("east", pytest.approx(0.5)), ("west", pytest.approx(0.5))]

"""Looking up and comparing vectors, and embeddings whose parts do not fit together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies

from w2v_exp.embeddings import Embeddings
from w2v_exp.errors import SettingError, UserError
from w2v_exp.model.parameters import Parameters
from w2v_exp.text.vocabulary import Vocabulary


def embeddings(*vectors, words=None, counts=None, output=None):
    words = words or [f"word{i}" for i in range(len(vectors))]
    return Embeddings(words, counts, np.array(vectors, np.float64), output)


COMPASS = embeddings((1, 0), (1, 1), (0, 2), (-3, 0), words=["east", "northeast", "north", "west"])


def test_a_word_has_its_vector():
    assert COMPASS.vector("north").tolist() == [0, 2]
    assert len(COMPASS) == 4
    assert "north" in COMPASS
    assert "south" not in COMPASS


def test_similarity_is_the_cosine():
    assert COMPASS.similarity("east", "northeast") == pytest.approx(0.5**0.5)
    assert COMPASS.similarity("east", "north") == 0
    assert COMPASS.similarity("east", "west") == pytest.approx(-1)


def test_the_most_similar_words_come_first_and_a_word_is_not_similar_to_itself():
    similar = COMPASS.most_similar("east")
    assert [word for word, _ in similar] == ["northeast", "north", "west"]
    assert [cosine for _, cosine in similar] == pytest.approx([0.5**0.5, 0, -1])
    assert COMPASS.most_similar("east", topn=1) == similar[:1]
    assert COMPASS.most_similar("east", topn=0) == []


def test_a_vector_may_be_similar_to_any_word_and_its_length_does_not_matter():
    similar = COMPASS.most_similar([0, 0.001], topn=2)
    assert similar == [("north", 1.0), ("northeast", pytest.approx(0.5**0.5))]
    assert COMPASS.most_similar([0, 1e300], topn=2) == similar


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("dim", [1, 3, 50, 101])
def test_words_with_equal_vectors_tie_in_the_order_of_their_ids(dtype, dim):
    # A product of the whole matrix with the vector rounds some of these rows differently.
    generator = np.random.default_rng(dim)
    vectors = np.tile(generator.standard_normal(dim), (1001, 1)).astype(dtype)
    vectors[1::2] *= -1
    tied = Embeddings([str(i) for i in range(1001)], None, vectors)
    alike = [str(i) for i in [*range(0, 1001, 2), *range(1, 1001, 2)]]
    assert [word for word, _ in tied.most_similar(3 * vectors[0], topn=1001)] == alike
    alike.remove("500")
    assert [word for word, _ in tied.most_similar("500", topn=1001)] == alike


@given(
    numpy_strategies.arrays(
        np.float32, (5, 3), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)
    )
)
def test_cosines_lie_between_minus_one_and_one_for_the_largest_and_the_smallest_vectors(vectors):
    any_vectors = Embeddings(list("abcde"), None, vectors)
    for word in "abcde":
        cosines = [cosine for _, cosine in any_vectors.most_similar(word)]
        assert len(cosines) == 4
        assert np.abs(cosines).max() <= 1 + 1e-6
        assert cosines == sorted(cosines, reverse=True)
        assert any_vectors.similarity(word, word) == pytest.approx(
            1 if any_vectors.vector(word).any() else 0, abs=1e-6
        )


def test_what_has_been_trained_is_copied():
    parameters = Parameters(np.ones((2, 3)), np.zeros((2, 3)))
    trained = Embeddings.from_training(Vocabulary.from_counts({"a": 2, "b": 1}), parameters)
    parameters.embedding[:] += 1
    parameters.output[:] += 1
    assert trained.words == ["a", "b"]
    assert trained.counts.tolist() == [2, 1]
    assert trained.input.tolist() == [[1, 1, 1]] * 2
    assert trained.output.tolist() == [[0, 0, 0]] * 2


@pytest.mark.parametrize("size", [4, 30])
def test_balanced_vectors_depend_on_the_product_of_the_matrices_alone(size):
    generator = np.random.default_rng(0)
    left, right, turn = (generator.normal(size=shape) for shape in ((size, 6), (size, 6), (6, 6)))
    words, counts = [str(i) for i in range(size)], np.ones(size, np.int64)
    one = Embeddings(words, counts, left, right).using("balanced").input
    other = Embeddings(words, counts, left @ turn, right @ np.linalg.inv(turn).T).using("balanced").input
    np.testing.assert_allclose(one @ one.T, other @ other.T, atol=1e-8)
    U, values, Vt = np.linalg.svd(left @ right.T)
    expected = ((U + Vt.T) * np.sqrt(values))[:, :6]
    np.testing.assert_allclose(one @ one.T, expected @ expected.T, atol=1e-8)
    assert one.shape == left.shape


def test_other_vectors_than_the_input_ones_may_be_used():
    both = embeddings((1, 0), (0, 1), words=["a", "b"], output=np.array([[0.0, 2.0], [0.0, 3.0]]))
    assert both.using("input") is both
    assert both.using("output").similarity("a", "b") == 1
    assert both.using("sum").input.tolist() == [[1, 2], [0, 4]]
    with pytest.raises(SettingError, match=r"vectors=outputs: not an option, did you mean output\?"):
        both.using("outputs")
    with pytest.raises(UserError, match="input vectors only"):
        COMPASS.using("sum")


@pytest.mark.parametrize(
    "look_up", [COMPASS.vector, COMPASS.most_similar, lambda w: COMPASS.similarity("east", w)]
)
def test_an_unknown_word_is_answered_with_the_closest_one(look_up):
    with pytest.raises(UserError, match=r"^'Norht' is not among the 4 words, did you mean north\?$"):
        look_up("Norht")


def test_a_word_like_no_other_gets_no_suggestion():
    with pytest.raises(UserError, match=r"^'zzz' is not among the 4 words\.$"):
        COMPASS.vector("zzz")


def test_hostile_words_do_not_reach_the_terminal_and_long_ones_are_not_compared():
    hostile = embeddings((1,), (2,), words=["\x1b[31mred", "x" * 1_000_000])
    with pytest.raises(UserError) as refusal:
        hostile.vector("\x1b[31mre")
    assert str(refusal.value) == r"'\x1b[31mre' is not among the 2 words."
    with pytest.raises(UserError) as refusal:
        hostile.vector("x" * 1_000_001)
    assert len(str(refusal.value)) < 100


@pytest.mark.parametrize(
    "vector",
    [
        [1],
        [1, 2, 3],
        [[[1, 2]]],
        np.array(1),
        [1, np.nan],
        [1, np.inf],
        [["a", "b"]],
        [None, "east"],
        [[1], 2],
    ],
)
def test_a_vector_that_cannot_be_compared_is_refused(vector):
    with pytest.raises(UserError, match="A vector must be 2"):
        COMPASS.most_similar(vector)


@pytest.mark.parametrize("topn", [-1, 1.5, "all"])
def test_the_number_of_words_must_be_whole(topn):
    with pytest.raises(UserError, match="topn"):
        COMPASS.most_similar("east", topn=topn)


TWO = np.ones((2, 3))


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        (([], None, TWO), "words must not be empty"),
        ((["a", "b", "a"], None, np.ones((3, 1))), "word number 3, 'a', is word number 1 as well"),
        ((["a", 2], None, TWO), "word number 2, 2, is not a string"),
        ((["a", ["b"]], None, TWO), r"word number 2, \['b'\], is not a string"),
        ((["a", "\udcff"], None, TWO), r"word number 2, '\\udcff', has half of a surrogate pair"),
        ((["a"], None, TWO), "input must have a row for each of the 1 words"),
        ((["a", "b"], None, TWO[:, :0]), "at least one column"),
        ((["a", "b"], None, TWO[0, :2]), "its shape is"),
        ((["a", "b"], None, TWO.astype(int)), "input must be float32 or float64"),
        ((["a", "b"], None, TWO.astype(np.float16)), "input must be float32 or float64"),
        ((["a", "b"], None, TWO, TWO.astype(np.float32)), "output must be .* input and output alike"),
        ((["a", "b"], None, TWO, TWO[:, :2]), "output must have a row"),
        ((["a", "b"], None, TWO * [[1], [np.nan]]), "input: the vector of word number 2, 'b', has .* NaN"),
        ((["a", "b"], None, TWO, TWO * -np.inf), "output: the vector of word number 1, 'a', has .* infinite"),
        ((["a", "b"], np.array([1, 2, 3]), TWO), "counts must be int64"),
        ((["a", "b"], np.array([1.0, 2.0]), TWO), "counts must be int64"),
        ((["a", "b"], np.array([1, -1]), TWO), "counts must be int64"),
    ],
)  # fmt: skip
def test_parts_that_do_not_fit_together_are_refused(parts, problem):
    with pytest.raises(UserError, match=problem):
        Embeddings(*parts)

"""Association tests: equal to plain loops over words, partitions and samples, and honest about missing words."""

import math
import statistics
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from w2v_exp.embeddings import AssociationTest, Embeddings, associations
from w2v_exp.embeddings.association_sets import published_tests
from w2v_exp.embeddings.associations import associate, association_effect
from w2v_exp.embeddings.similarity import directions
from w2v_exp.errors import SettingError

SIZES = {"WEAT": (3, 4, 2, 3), "SC-WEAT": (3, 4, 3), "RND": (3, 4, 5)}


def sets_of(kind, sizes=None):
    """Return a test of a kind with words a0, a1, … b0, …."""
    sizes = sizes or SIZES[kind]
    named = {name: [f"{name}{i}" for i in range(size)] for name, size in zip("abcd", sizes, strict=False)}
    targets = 1 if kind == "SC-WEAT" else 2
    return AssociationTest(
        "mine", *(dict(part) for part in ([*named.items()][:targets], [*named.items()][targets:]))
    )


def vectors_of(test, seed=0, dim=6):
    words = [word for words in test.sets.values() for word in words]
    return words, np.random.default_rng(seed).standard_normal((len(words), dim))


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)


def association(word, first, second):
    return statistics.fmean(cosine(word, a) for a in first) - statistics.fmean(
        cosine(word, b) for b in second
    )


def plain_weat(first, second, a, b):
    """Equation 1 of Caliskan et al., word by word."""
    s = [association(word, a, b) for word in (*first, *second)]
    gap = statistics.fmean(s[: len(first)]) - statistics.fmean(s[len(first) :])
    return gap / statistics.pstdev(s), gap


def plain_single(targets, a, b):
    effects = [
        association(word, a, b) / statistics.pstdev([cosine(word, other) for other in (*a, *b)])
        for word in targets
    ]
    return statistics.fmean(effects), statistics.fmean(effects)


def plain_rnd(first, second, attributes):
    """Equation of Garg et al., by attribute, with vectors of length 1."""
    first, second, attributes = (directions(np.array(part)) for part in (first, second, attributes))
    means = [[statistics.fmean(column) for column in zip(*part, strict=True)] for part in (first, second)]
    value = statistics.fmean(math.dist(m, means[0]) - math.dist(m, means[1]) for m in attributes)
    return value, value


PLAIN = {"WEAT": plain_weat, "SC-WEAT": plain_single, "RND": plain_rnd}
KINDS = pytest.mark.parametrize("kind", PLAIN)


def split(test, words, vectors):
    rows = dict(zip(words, vectors, strict=True))
    return [[rows[word] for word in part] for part in test.sets.values()]


@KINDS
@settings(max_examples=25)
@given(seed=st.integers(0, 2**32))
def test_effect_and_p_are_those_of_loops_over_words_and_partitions(kind, seed):
    test = sets_of(kind)
    words, vectors = vectors_of(test, seed)
    parts = split(test, words, vectors)
    found = associate(words, vectors, test)
    effect, gap = PLAIN[kind](*parts)
    assert found.effect == pytest.approx(effect, abs=1e-9)
    where = 1 if kind == "SC-WEAT" else 0  # the attributes are permuted, or the targets
    pooled, size = [*parts[where], *parts[where + 1]], len(parts[where])
    gaps = []
    for chosen in combinations(range(len(pooled)), size):
        others = [i for i in range(len(pooled)) if i not in chosen]
        halves = [[pooled[i] for i in half] for half in (chosen, others)]
        gaps.append(PLAIN[kind](*parts[:where], *halves, *parts[where + 2 :])[1])
    assert found.partitions == len(gaps) == math.comb(7, size)
    assert found.p_one_sided == sum(other >= gap - 1e-9 for other in gaps) / len(gaps)
    assert found.p == sum(abs(other) >= abs(gap) - 1e-9 for other in gaps) / len(gaps)
    assert found.p_error == 0


@KINDS
def test_effects_of_samples_are_those_of_their_words(kind):
    test = sets_of(kind)
    words, vectors = vectors_of(test)
    parts = split(test, words, vectors)
    generator = np.random.default_rng(1)
    drawn = [generator.integers(len(part), size=(20, len(part))) for part in parts]
    weights = [
        np.stack([np.bincount(row, minlength=n) / n for row in rows])
        for rows, n in zip(drawn, map(len, parts), strict=True)
    ]
    statistic = associations._STATISTICS[kind]([directions(np.array(part)) for part in parts])
    effects = statistic.effects(weights)
    for number in range(20):
        samples = [[part[i] for i in rows[number]] for part, rows in zip(parts, drawn, strict=True)]
        try:
            expected = PLAIN[kind](*samples)[0]
        except ZeroDivisionError:
            assert math.isnan(effects[number])
        else:
            assert effects[number] == pytest.approx(expected, abs=1e-9)


@KINDS
def test_words_have_their_own_associations(kind):
    test = sets_of(kind)
    words, vectors = vectors_of(test)
    parts = split(test, words, vectors)
    found = associate(words, vectors, test)
    if kind == "RND":
        expected = [plain_rnd(*parts[:2], [word])[0] for word in parts[2]]
    elif kind == "WEAT":
        expected = [association(word, *parts[2:]) for word in (*parts[0], *parts[1])]
    else:
        expected = [plain_single([word], *parts[1:])[0] for word in parts[0]]
    assert [*found.by_word.values()] == pytest.approx(expected, abs=1e-9)
    named = test.attributes if kind == "RND" else test.targets
    assert [*found.by_word] == [word for part in named.values() for word in part]


def test_an_association_by_construction_has_the_largest_effect_and_the_smallest_p():
    test = sets_of("WEAT", (8, 8, 8, 8))
    words = [word for part in test.sets.values() for word in part]
    east, north = np.eye(2)
    vectors = np.array([east if word[0] in "ac" else north for word in words])
    found = associate(words, vectors, test)
    assert found.effect == pytest.approx(2)  # the bound for sets of equal size
    assert (found.p_one_sided, found.p, found.partitions) == (1 / 12870, 2 / 12870, 12870)
    assert (found.low, found.high) == pytest.approx((2, 2))
    turned = AssociationTest("turned", test.targets, dict(reversed(test.attributes.items())))
    found = associate(words, vectors, turned)
    assert (found.effect, found.p_one_sided, found.p) == (pytest.approx(-2), 1, 2 / 12870)


@KINDS
def test_sampled_partitions_are_near_all_of_them(kind, monkeypatch):
    sizes = {"WEAT": (7, 7, 3, 3), "SC-WEAT": (3, 7, 7), "RND": (7, 7, 3)}[kind]
    test = sets_of(kind, sizes)
    words, vectors = vectors_of(test)
    every = associate(words, vectors, test)
    assert (every.partitions, every.p_error) == (3432, 0)
    monkeypatch.setattr(associations, "MOST_PARTITIONS", 100)
    sampled = associate(words, vectors, test)
    assert sampled.partitions == 10_000
    assert sampled.p_error == pytest.approx(math.sqrt(every.p * (1 - every.p) / 10_000), rel=0.1)
    assert abs(sampled.p - every.p) < 4 * sampled.p_error
    monkeypatch.setattr(associations, "_AT_ONCE", 50)  # chunks of three
    assert associate(words, vectors, test).p == pytest.approx(sampled.p, abs=4 * sampled.p_error)


def test_p_is_never_zero():
    test = sets_of("WEAT", (30, 30, 2, 2))
    words = [word for part in test.sets.values() for word in part]
    vectors = np.array([[1.0, 0] if word[0] in "ac" else [0.0, 1] for word in words])
    found = associate(words, vectors, test)
    assert found.p == 1e-4
    assert 0 < found.p_error < 1.1e-4


def test_the_same_seed_gives_the_same_result():
    test = sets_of("WEAT", (15, 15, 3, 3))
    words, vectors = vectors_of(test)
    assert associate(words, vectors, test) == associate(words, vectors, test)
    assert associate(words, vectors, test, seed=1).low != associate(words, vectors, test).low


# ------------------------------------------------------------ words


def test_missing_words_are_counted_and_named_and_too_many_refuse_the_test():
    test = sets_of("WEAT", (5, 5, 5, 5))
    words, vectors = vectors_of(test)
    known = [word for word in words if word not in ("a1", "d0")]
    rows = vectors[[words.index(word) for word in known]]
    found = associate(known, rows, test)
    assert found.known == {"a": 4, "b": 5, "c": 5, "d": 4}
    assert found.missing == {"a": ["a1"], "d": ["d0"]}
    assert (found.words, found.total, found.problem) == (18, 20, "")
    assert found.partitions == math.comb(9, 4)
    refused = associate(known, rows, test, largest_loss=0.19)
    assert refused.problem == "a lacks 1 of 5 words, d lacks 1 of 5 words, more than 19 %."
    assert math.isnan(refused.effect)
    assert math.isnan(refused.p)
    assert refused.missing == found.missing
    nothing = associate(["x"], np.ones((1, 2)), test, largest_loss=0.99)
    assert nothing.problem == (
        "a lacks 5 of 5 words, b lacks 5 of 5 words, c lacks 5 of 5 words, d lacks 5 of 5 words, more than 99 %."
    )


def test_a_permuted_set_needs_two_words():
    test = AssociationTest("one", {"a": ["x"], "b": ["y"]}, {"c": ["z"], "d": ["w"]})
    found = associate(list("xyzw"), np.eye(4), test)
    assert found.problem == "a, b must have two known words."
    single = AssociationTest("one", {"a": ["x"]}, {"c": ["z", "u"], "d": ["w", "v"]})
    found = associate(list("xzuwv"), vectors_of(sets_of("WEAT"))[1][:5], single)
    assert (found.problem, found.partitions) == ("", 6)


def test_equal_vectors_have_no_effect_size():
    test = sets_of("WEAT")
    words, _ = vectors_of(test)
    found = associate(words, np.ones((len(words), 3)), test)
    assert found.problem == "all words have the same association, so the effect has no scale."


def test_a_word_with_a_vector_of_zeros_is_unknown():
    test = sets_of("WEAT", (5, 5, 5, 5))
    words, vectors = vectors_of(test)
    without = [word for word in words if word != "a1"]
    expected = associate(without, np.delete(vectors, words.index("a1"), axis=0), test)
    vectors[words.index("a1")] = 0
    assert associate(words, vectors, test) == expected
    assert expected.missing == {"a": ["a1"]}
    nothing = associate(words, np.zeros_like(vectors), test)
    assert "a lacks 5 of 5 words" in nothing.problem


@pytest.mark.parametrize(("size", "lost"), [(100, 0.29), (10, 0.3), (50, 0.14)])
def test_a_set_may_lose_exactly_the_given_share(size, lost):
    test = sets_of("WEAT", (size, 2, 2, 2))
    words, vectors = vectors_of(test)
    first = round(size * lost)
    assert associate(words[first:], vectors[first:], test, largest_loss=lost).problem == ""
    assert associate(words[first + 1 :], vectors[first + 1 :], test, largest_loss=lost).problem


def test_a_word_is_found_as_spelled_or_else_in_another_case():
    test = AssociationTest("t", {"a": ["Bill", "Ann"], "b": ["will", "joy"]}, {"c": ["x"], "d": ["y"]})
    words = ["bill", "Bill", "ANN", "ann", "will", "joy", "x", "y"]
    vectors = np.random.default_rng(0).standard_normal((8, 3))
    found = associate(words, vectors, test)
    assert found.respelled == {"Ann": "ANN"}  # the first, which is the most frequent
    renamed = [{"bill": "x1", "Bill": "bill", "ANN": "Ann"}.get(word, word) for word in words]
    assert associate(renamed, vectors, test).effect == found.effect


@pytest.mark.parametrize("largest_loss", [-0.1, 1, math.nan, "all"])
def test_a_share_that_is_none_is_refused(largest_loss):
    with pytest.raises(SettingError, match=r"^largest_loss="):
        associate(["a"], np.ones((1, 1)), sets_of("WEAT"), largest_loss=largest_loss)


@KINDS
def test_the_effect_alone_is_that_of_the_test(kind):
    test = sets_of(kind)
    words, vectors = vectors_of(test)
    assert association_effect(words, vectors, test) == associate(words, vectors, test).effect
    assert math.isnan(association_effect(words[1:], vectors[1:], test))


# ------------------------------------------------------------ embeddings


def test_embeddings_take_a_test_its_name_or_a_file(tmp_path):
    test = published_tests()["weat7"]
    words, vectors = vectors_of(test)
    embeddings = Embeddings(words, None, vectors)
    found = embeddings.association("weat7")
    assert found == embeddings.association(test) == associate(words, vectors, test)
    assert found.total == 32
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text("tests: {mine: {targets: [math, arts], attributes: [male_terms, female_terms]}}")
    two.write_text(
        one.read_text()[:-1] + ", other: {targets: [math], attributes: [male_terms, female_terms]}}"
    )
    assert embeddings.association(one).effect == found.effect
    with pytest.raises(
        SettingError, match=r"has several tests \(mine, other\)\. Use AssociationTest\.read\."
    ):
        embeddings.association(str(two))
    with pytest.raises(SettingError, match=r"^test="):
        embeddings.association(7)

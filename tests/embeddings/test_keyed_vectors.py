"""KeyedVectors: gensim's results, words that are added and replaced, files, and wrong arguments."""

import numpy as np
import pytest
from evaluated import in_gensim
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from w2v_exp.embeddings import AnalogySet, Embeddings, WordPairSet
from w2v_exp.embeddings.keyed_vectors import KeyedVectors
from w2v_exp.embeddings.similarity import UnknownWordError
from w2v_exp.errors import FormatError, SettingError, UserError

WORDS = [f"word{i}" for i in range(60)]
VECTORS = (np.random.default_rng(0).standard_normal((60, 8)) * np.linspace(0.2, 3, 60)[:, None]).astype(
    np.float32
)
COUNTS = np.arange(600, 0, -10)
TOLERANCE = 1e-6


@pytest.fixture
def ours():
    return KeyedVectors.of(WORDS, VECTORS.copy(), COUNTS.copy())


@pytest.fixture
def theirs():
    made = in_gensim(Embeddings(WORDS, COUNTS, VECTORS))
    for word, count in zip(WORDS, COUNTS.tolist(), strict=True):
        made.set_vecattr(word, "count", count)
    return made


QUERIES = {
    "similar_by_word": lambda kv: kv.similar_by_word("word3"),
    "similar_by_key": lambda kv: kv.similar_by_key("word3", topn=4, restrict_vocab=20),
    "similar_by_vector": lambda kv: kv.similar_by_vector(np.arange(8, dtype=np.float32), topn=60),
    "most_similar of ids": lambda kv: kv.most_similar(3, [4, "word5"]),
    "most_similar of weighted words": lambda kv: kv.most_similar([("word1", 0.3), "word2"]),
    "most_similar_cosmul": lambda kv: kv.most_similar_cosmul(["word1", "word2"], ["word3"]),
    "n_similarity": lambda kv: kv.n_similarity(["word1", "word2"], ["word3"]),
    "similarity of ids": lambda kv: kv.similarity(7, 8),
    "distance": lambda kv: kv.distance("word1", "word9"),
    "distances": lambda kv: kv.distances("word1", ["word2", "word1"]),
    "distances from all": lambda kv: kv.distances(np.ones(8, np.float32)),
    "rank": lambda kv: kv.rank("word1", "word9"),
    "rank of itself": lambda kv: kv.rank("word1", "word1"),
    "closer_than": lambda kv: kv.closer_than("word1", "word9"),
    "most_similar_to_given": lambda kv: kv.most_similar_to_given("word1", ["word5", "word9", "word7"]),
    "relative_cosine_similarity": lambda kv: kv.relative_cosine_similarity("word1", "word9"),
    "get_mean_vector": lambda kv: kv.get_mean_vector(["word1", "none", "word2"], [1, 2, -3]),
    "get_mean_vector, raw": lambda kv: kv.get_mean_vector(
        ["word1", VECTORS[4], "word2"], pre_normalize=False, post_normalize=True
    ),
    "get_vector": lambda kv: kv.get_vector("word6", norm=True),
    "item of ids": lambda kv: kv[[3, "word1"]],
    "get_normed_vectors": lambda kv: kv.get_normed_vectors(),
    "get_vecattr": lambda kv: kv.get_vecattr("word2", "count"),
    "get_index": lambda kv: [kv.get_index("word2"), kv.get_index("none", -1), kv.has_index_for("none")],
    "cosine_similarities": lambda kv: kv.cosine_similarities(VECTORS[0], VECTORS[:5]),
    "rank_by_centrality": lambda kv: kv.rank_by_centrality(["word1", "word5", "word7"]),
    "vectors_for_all": lambda kv: kv.vectors_for_all(["word9", "none", "word2", "word9"]).vectors,
    "index_to_key": lambda kv: [kv.index_to_key, list(kv.key_to_index.items()), kv.vector_size, len(kv)],
}


def flat(value):
    """Return words and numbers of a result, in order."""
    if isinstance(value, (str, int, float, np.number)):
        return [value]
    return [leaf for item in value for leaf in flat(item)]


@pytest.mark.filterwarnings("ignore:Call to deprecated `init_sims`:DeprecationWarning")  # by gensim itself
@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_results_are_gensims(ours, theirs, query):
    found, expected = flat(query(ours)), flat(query(theirs))
    assert len(found) == len(expected)
    for mine, yours in zip(found, expected, strict=True):
        assert mine == yours if isinstance(yours, str) else mine == pytest.approx(yours, abs=TOLERANCE)


@pytest.mark.parametrize(
    "name", [name for name in QUERIES if " of ids" not in name and "_for_all" not in name]
)
def test_embeddings_have_the_same_queries(ours, name):
    embeddings = Embeddings(WORDS, COUNTS, VECTORS)
    assert flat(QUERIES[name](embeddings)) == flat(QUERIES[name](ours))


def test_scores_on_evaluation_sets_are_gensims(ours, theirs, tmp_path):
    pairs, analogies = tmp_path / "pairs.tsv", tmp_path / "questions.txt"
    generator = np.random.default_rng(1)
    pairs.write_text("".join(f"word{a}\tword{b}\t{c}\n" for a, b, c in generator.integers(0, 70, (40, 3))))
    lines = [" ".join(f"word{i}" for i in row) for row in generator.choice(62, (30, 4))]
    analogies.write_text(": one\n" + "\n".join(lines[:15]) + "\n: two\n" + "\n".join(lines[15:]) + "\n")
    found, expected = ours.evaluate_word_pairs(str(pairs)), theirs.evaluate_word_pairs(str(pairs))
    assert flat(found) == pytest.approx(flat(expected), abs=1e-6)
    assert flat(ours.evaluate_word_pairs(WordPairSet.read(pairs))) == flat(found)
    accuracy, sections = ours.evaluate_word_analogies(str(analogies))
    theirs_accuracy, theirs_sections = theirs.evaluate_word_analogies(str(analogies))
    assert accuracy == theirs_accuracy

    def counts(sections):
        return [(part["section"], len(part["correct"]), len(part["incorrect"])) for part in sections]

    assert counts(sections) == counts(theirs_sections)
    assert ours.evaluate_word_analogies(AnalogySet.read(analogies))[0] == accuracy


# ---------------------------------------------------------------- changes


words = st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=8)


@settings(max_examples=examples(25))
@given(st.lists(st.tuples(words, st.booleans()), max_size=5))
def test_added_vectors_are_those_of_a_dictionary(batches):
    kv, expected, number = KeyedVectors(2), {}, 0.0
    for batch, replace in batches:
        rows = np.array([[number + i, -1.0] for i in range(len(batch))], np.float32)
        number += len(batch)
        kv.add_vectors(batch, rows, replace=replace)
        last = dict(zip(batch, rows.tolist(), strict=True))
        expected |= {word: row for word, row in last.items() if replace or word not in expected}
    assert kv.index_to_key == list(expected)
    assert kv.vectors.tolist() == list(expected.values())
    assert all(kv[word].tolist() == row for word, row in expected.items())


def test_a_replaced_vector_changes_neighbours(ours):
    before = ours.most_similar("word1", topn=1)
    assert before[0][0] != "new"
    ours["new"] = ours["word1"] * 2
    assert ours.most_similar("word1", topn=1) == [("new", pytest.approx(1))]
    ours["new"] = -ours["word1"]
    assert ours.most_similar("word1", topn=1) == before
    assert ours.get_vecattr("new", "count") == 0
    ours.add_vector("new", ours["word2"])
    assert ours.similarity("new", "word2") == pytest.approx(1)
    assert len(ours) == 61


def test_vectors_changed_in_place_are_seen_after_fill_norms(ours):
    assert ours.similarity("word1", "word2") < 0.99
    ours.vectors[1] = ours.vectors[2]
    ours.fill_norms(force=True)
    assert ours.similarity("word1", "word2") == pytest.approx(1)
    ours.unit_normalize_all()
    assert np.linalg.norm(ours.vectors, axis=1) == pytest.approx(np.ones(60))


def test_a_single_vector_cannot_be_overwritten_by_accident(ours):
    with pytest.raises(ValueError, match="read-only"):
        ours["word1"] += 1


def test_words_are_sorted_by_count(ours):
    ours.add_vectors(["often"], np.ones((1, 8)), extras={"count": np.array([10_000])})
    ours.sort_by_descending_frequency()
    assert ours.index_to_key[:2] == ["often", "word0"]
    assert ours["often"].tolist() == [1] * 8
    assert ours.get_vecattr("word0", "count") == 600


# ---------------------------------------------------------------- files


def test_an_archive_restores_words_vectors_and_counts(ours, tmp_path):
    file = tmp_path / "word2vec.wordvectors"
    ours.save(file)
    loaded = KeyedVectors.load(str(file), mmap="r")
    assert loaded.index_to_key == WORDS
    assert loaded.vectors.tobytes() == VECTORS.tobytes()
    assert loaded.get_vecattr("word5", "count") == 550
    assert Embeddings.load(file).counts.tolist() == COUNTS.tolist()


@pytest.mark.parametrize("binary", [False, True])
def test_word2vec_format_with_counts_limit_and_datatype(ours, tmp_path, binary):
    file, counts = tmp_path / "vectors", tmp_path / "counts"
    ours.save_word2vec_format(file, counts, binary=binary)
    loaded = KeyedVectors.load_word2vec_format(file, counts, binary=binary)
    assert loaded.vectors.tobytes() == VECTORS.tobytes()
    assert loaded.get_vecattr("word59", "count") == 10
    half = KeyedVectors.load_word2vec_format(str(file), binary=binary, limit=20, datatype=np.float16)
    assert (half.vectors.dtype, half.vectors.shape) == (np.float16, (20, 8))
    assert half.get_vecattr("word0", "count") == 20  # unknown: as in gensim
    whole = KeyedVectors.load_word2vec_format(file, limit=20)
    assert [w for w, _ in half.most_similar("word1")] == [w for w, _ in whole.most_similar("word1")]


def test_a_file_without_header(ours, tmp_path):
    ours.save_word2vec_format(tmp_path / "glove.txt", write_header=False)
    loaded = KeyedVectors.load_word2vec_format(tmp_path / "glove.txt", no_header=True)
    assert loaded.index_to_key == WORDS


# ---------------------------------------------------------------- mistakes


def test_an_unknown_word_is_a_key_error_with_a_readable_message(ours):
    with pytest.raises(KeyError) as caught:
        ours["word1x"]
    assert isinstance(caught.value, UserError)
    assert str(caught.value) == "'word1x' is not among the 60 words, did you mean word1?"
    with pytest.raises(UnknownWordError, match=r"^60: is no id\. Ids are from 0 to 59\.$"):
        ours[60]
    assert 60 not in ours and 59 in ours and "word1x" not in ours


WRONG = {
    "weights": lambda kv: kv.add_vectors(["a"], np.ones((1, 7))),
    "weights=": lambda kv: kv.add_vectors(["a"], np.full((1, 8), np.nan)),
    "keys": lambda kv: kv.add_vectors([3], np.ones((1, 8))),
    "keys=": lambda kv: kv.get_mean_vector([]),
    "keys=w": lambda kv: kv.get_mean_vector("word1"),
    "weights=[": lambda kv: kv.get_mean_vector(["word1"], [1, 2]),
    "ws1": lambda kv: kv.n_similarity("word1", ["word2"]),
    "keys_list": lambda kv: kv.most_similar_to_given("word1", []),
    "attr": lambda kv: kv.get_vecattr("word1", "code"),
    "vectors": lambda kv: setattr(kv, "vectors", np.ones((3, 8))),
    "vector_size": lambda kv: KeyedVectors(0),
    "dtype": lambda kv: KeyedVectors(3, dtype="int8"),
    "datatype": lambda kv: kv.load_word2vec_format("x", datatype=int),
    "encoding": lambda kv: kv.load_word2vec_format("x", encoding="latin1"),
    "append": lambda kv: kv.save_word2vec_format("x", append=True),
    "total_vec": lambda kv: kv.save_word2vec_format("x", total_vec=3),
    "sort_attr": lambda kv: kv.save_word2vec_format("x", sort_attr="length"),
}


@pytest.mark.parametrize(("key", "call"), WRONG.items(), ids=WRONG)
def test_a_wrong_argument_is_refused_by_name(ours, key, call):
    with pytest.raises(SettingError, match=f"^{key.split('=')[0]}=") as caught:
        call(ours)
    assert caught.value.key == key.split("=")[0]


@pytest.mark.parametrize("name", ["vocab", "index2word", "wmdistance", "vectors_lockf", "syn0"])
def test_a_missing_name_of_gensims_names_the_remedy(ours, name):
    with pytest.raises(AttributeError, match=rf"KeyedVectors has no {name}\. "):
        getattr(ours, name)
    with pytest.raises(AttributeError, match=rf"KeyedVectors has no {name}\. "):
        setattr(ours, name, 1)


def test_a_pickle_of_gensims_is_refused(tmp_path):
    (tmp_path / "old").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(FormatError, match="is a Python pickle"):
        KeyedVectors.load(tmp_path / "old")


@pytest.mark.parametrize("binary", [False, True])
def test_a_file_that_ends_early_is_an_end_of_file_error(ours, tmp_path, binary):
    ours.save_word2vec_format(tmp_path / "v", binary=binary)
    content = (tmp_path / "v").read_bytes()
    (tmp_path / "v").write_bytes(content.replace(b"60 8", b"90 8", 1))
    with pytest.raises(EOFError) as caught:
        KeyedVectors.load_word2vec_format(tmp_path / "v", binary=binary)
    assert isinstance(caught.value, FormatError)


def test_a_damaged_file_of_counts_names_the_line(ours, tmp_path):
    ours.save_word2vec_format(tmp_path / "v")
    (tmp_path / "counts").write_text("word0 5\nword1\n")
    with pytest.raises(FormatError, match=r"counts, line 2: is not a word and its count\.$"):
        KeyedVectors.load_word2vec_format(tmp_path / "v", tmp_path / "counts")


def test_a_representation_of_one_line(ours):
    assert repr(ours) == "KeyedVectors(60 words, vector_size=8, float32)"
    assert repr(KeyedVectors(5)) == "KeyedVectors(0 words, vector_size=5, float32)"

"""Analogies: read from files, and answered as gensim answers them."""

import numpy as np
import pytest
from evaluated import in_gensim, structured_embeddings
from hypothesis import given
from hypothesis import strategies as st

from w2v_exp.embeddings import AnalogySet, Embeddings, analogies
from w2v_exp.embeddings.analogies import AnalogyScore, AnalogySection
from w2v_exp.embeddings.word_pairs import ANALOGY_SETS, find_set
from w2v_exp.errors import FormatError, SettingError


@pytest.mark.parametrize(("dtype", "restrict_vocab"), [(np.float32, 30_000), (np.float64, 1500)])
def test_every_section_is_answered_and_covered_as_gensim_does_it(dtype, restrict_vocab):
    embeddings = structured_embeddings(dtype=dtype)
    ours = embeddings.evaluate_word_analogies("questions-words", restrict_vocab)
    accuracy, sections = in_gensim(embeddings).evaluate_word_analogies(
        str(find_set("questions-words", ANALOGY_SETS)), restrict_vocab=restrict_vocab
    )
    assert ours.all.accuracy == pytest.approx(accuracy, abs=1e-6)
    *sections, total = sections
    assert [(part.name, part.correct, part.known) for part in [*ours.sections, ours.all]] == [
        (name, len(theirs["correct"]), len(theirs["correct"]) + len(theirs["incorrect"]))
        for name, theirs in zip(
            [*(theirs["section"] for theirs in sections), "all"], [*sections, total], strict=True
        )
    ]
    assert ours.all.questions == 19_544
    assert 0.1 < ours.all.accuracy < 0.9  # a test in which some hold and some do not
    assert 0.01 < ours.all.coverage < 1


def test_totals_are_sums_of_sections():
    scores = structured_embeddings(dim=20).evaluate_word_analogies("questions-words")
    semantic, syntactic = scores.sections[:5], scores.sections[5:]
    assert [part.name for part in semantic] == [
        "capital-common-countries",
        "capital-world",
        "currency",
        "city-in-state",
        "family",
    ]
    for total, parts in (
        (scores.semantic, semantic),
        (scores.syntactic, syntactic),
        (scores.all, scores.sections),
    ):
        assert total.correct == sum(part.correct for part in parts)
        assert total.known == sum(part.known for part in parts)
        assert total.accuracy == total.correct / total.known
    assert (scores.semantic.questions, scores.syntactic.questions) == (8869, 10675)


def test_case_may_count_and_unknown_words_may_count_as_wrong_as_in_gensim():
    embeddings = structured_embeddings(dim=20)
    settings = {"restrict_vocab": 1500, "case_insensitive": False, "dummy4unknown": True}
    ours = embeddings.evaluate_word_analogies("questions-words", **settings)
    accuracy, sections = in_gensim(embeddings).evaluate_word_analogies(
        str(find_set("questions-words", ANALOGY_SETS)), **settings
    )
    assert ours.all.accuracy == pytest.approx(accuracy, abs=1e-9)
    assert ours.all.known == ours.all.questions == 19_544
    assert ours.all.correct == len(sections[-1]["correct"])
    other_case = embeddings.evaluate_word_analogies("questions-words", 1500)
    assert other_case.all.correct != ours.all.correct


@pytest.mark.filterwarnings("ignore:Call to deprecated `init_sims`:DeprecationWarning")
def test_products_of_similarities_give_the_answers_of_gensims_most_similar_cosmul():
    """One by one: in gensim 4.4 `evaluate_word_analogies` answers by sums whatever it is asked for."""
    embeddings = structured_embeddings()
    ids = {}
    for word in embeddings.words:
        ids.setdefault(word.upper(), word)
    first = Embeddings(list(ids.values()), None, embeddings[list(ids.values())])  # in one case each
    theirs = in_gensim(first)
    asked = [
        question
        for section in AnalogySet.read("questions-words").sections
        for question in section.questions[::100]
        if all(word.upper() in ids for word in question)
    ]
    answers = []
    for question in asked:
        a, b, c, expected = (ids[word.upper()] for word in question)
        ((answer, _),) = theirs.most_similar_cosmul(positive=[b, c], negative=[a], topn=1)
        ((same, _),) = first.most_similar_cosmul(positive=[b, c], negative=[a], topn=1)
        assert same == answer
        answers.append(answer == expected)
    scores = first.evaluate_word_analogies(
        AnalogySet([AnalogySection(str(i), [question]) for i, question in enumerate(asked)]),
        similarity_function="most_similar_cosmul",
    )
    assert [bool(part.correct) for part in scores.sections] == answers
    assert 0.1 < np.mean(answers) < 0.9


def plainly_answered(embeddings, question, similarity_function):
    """Answer one question word by word, in float64; None if a word is unknown."""
    first = {}
    for i, word in enumerate(embeddings.words):
        first.setdefault(word.upper(), i)
    if any(word.upper() not in first for word in question):
        return None
    vectors = embeddings.input / np.linalg.norm(embeddings.input, axis=1, keepdims=True)
    a, b, c, _ = (vectors[first[word.upper()]] for word in question)

    def score(vector):
        if similarity_function == "most_similar":
            return float(vector @ (b - a + c))
        to_a, to_b, to_c = ((1 + vector @ other) / 2 for other in (a, b, c))
        return float(to_b * to_c / (to_a + 1e-6))

    answers = sorted(
        (-score(vector), i, word.upper())
        for i, (word, vector) in enumerate(zip(embeddings.words, vectors, strict=True))
        if word.upper() not in {asked.upper() for asked in question[:3]}
    )
    return bool(answers) and answers[0][2] == question[3].upper()


SPELLINGS = ["a", "A", "b", "B", "c", "d", "e", "E", "f"]


@given(
    st.permutations(SPELLINGS),
    st.integers(1, len(SPELLINGS)),
    st.integers(0, 2**32 - 1),
    st.lists(st.tuples(*[st.sampled_from([*SPELLINGS, "unknown"])] * 4), min_size=1, max_size=20),
    st.integers(1, 1600),
    st.sampled_from(list(analogies.SIMILARITY_FUNCTIONS)),
)
def test_batches_answer_as_one_question_after_another_does(
    words, count, seed, questions, batch_bytes, similarity_function
):
    vectors = np.random.default_rng(seed).standard_normal((count, 3))
    embeddings = Embeddings(words[:count], None, vectors)
    asked = AnalogySet([AnalogySection(f"{i}", [question]) for i, question in enumerate(questions)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(analogies, "BATCH_BYTES", batch_bytes)
        scores = embeddings.evaluate_word_analogies(asked, similarity_function=similarity_function)
    assert [bool(part.correct) if part.known else None for part in scores.sections] == [
        plainly_answered(embeddings, question, similarity_function) for question in questions
    ]


def test_words_of_the_question_are_no_answers_in_whatever_case():
    rows = {"man": (1, 0), "king": (1, 1), "KING": (1, 1.1), "woman": (1.1, 0.1), "queen": (0.8, 1.5)}
    embeddings = Embeddings(list(rows), None, np.array(list(rows.values()), float))
    scores = embeddings.evaluate_word_analogies(
        AnalogySet([AnalogySection("x", [("Man", "King", "Woman", "Queen")])])
    )
    assert scores.all == AnalogyScore("all", 1, 1, 1)


@pytest.mark.parametrize("similarity_function", analogies.SIMILARITY_FUNCTIONS)
def test_memory_does_not_grow_with_the_questions(similarity_function):
    import tracemalloc

    words = [f"word{i}" for i in range(10_000)]
    embeddings = Embeddings(
        words, None, np.random.default_rng(0).standard_normal((10_000, 8)).astype(np.float32)
    )
    question = ("word1", "word2", "word3", "word4")
    embeddings.evaluate_word_analogies(AnalogySet([AnalogySection("x", [question])]))
    words = np.random.default_rng(0).permutation(words).tolist()
    asked = AnalogySet([AnalogySection("x", list(zip(*[iter(words * 2)] * 4, strict=True)))])
    tracemalloc.start()
    embeddings.evaluate_word_analogies(asked, similarity_function=similarity_function)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.3 * analogies.BATCH_BYTES  # all cosines at once would be 200 MB


@pytest.mark.slow
@pytest.mark.parametrize("similarity_function", analogies.SIMILARITY_FUNCTIONS)
def test_all_of_googles_questions_are_answered_among_thirty_thousand_words(similarity_function):
    """100 dimensions, one core: 3 and 4.5 s."""
    from threadpoolctl import threadpool_limits

    read = AnalogySet.read("questions-words")
    asked = {word for section in read.sections for question in section.questions for word in question}
    words = [*sorted(asked), *(f"word{i}" for i in range(30_000 - len(asked)))]
    vectors = np.random.default_rng(0).standard_normal((30_000, 100)).astype(np.float32)
    embeddings = Embeddings(words, None, vectors)
    with threadpool_limits(1):
        scores = embeddings.evaluate_word_analogies(read, similarity_function=similarity_function)
    assert scores.all.known == 19_544


def written(path, text):
    path.write_bytes(text.encode())
    return path


def test_a_file_is_read_by_its_sections(tmp_path):
    read = AnalogySet.read(
        written(
            tmp_path / "q.txt", ": capital cities\nAthens Greece\tRome  Italy\r\n\n: empty\n:gram1\na b c d"
        )
    )
    assert read.sections == [
        AnalogySection("capital cities", [("Athens", "Greece", "Rome", "Italy")]),
        AnalogySection("empty", []),
        AnalogySection("gram1", [("a", "b", "c", "d")]),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "good better rough rougher\nBig bigger New newer\n",
        "good\tbetter\trough\trougher\r\nBig\tbigger\tNew\tnewer\r\n",
        "good\tbetter rough\trougher\nBig bigger  New newer\n",
        "good,better,rough,rougher\nBig, bigger, New, newer\n",
        'word1;word2;word3;word4\ngood;better;rough;rougher\n"Big";bigger;New;newer\n',
        "\ufeff# a comment\n#another\ngood better rough rougher\n\nBig bigger New newer",
        "good better rough rougher\rBig bigger New newer\r",
    ],
)
def test_questions_without_sections_get_one_of_the_files_name(tmp_path, text):
    read = AnalogySet.read(written(tmp_path / "msr.txt", text))
    questions = [("good", "better", "rough", "rougher"), ("Big", "bigger", "New", "newer")]
    assert read.sections == [AnalogySection("msr", questions)]
    assert "2 questions in 1 sections" in read.layout


def test_questions_before_a_section_and_words_with_spaces_or_signs(tmp_path):
    text = "Paris\tFrance\tNew Delhi\tIndia\n: tags\n#a\t#b\t:c\t#d\n"
    assert AnalogySet.read(written(tmp_path / "q.txt", text)).sections == [
        AnalogySection("q", [("Paris", "France", "New Delhi", "India")]),
        AnalogySection("tags", [("#a", "#b", ":c", "#d")]),
    ]


def test_an_empty_section_has_no_accuracy():
    empty = AnalogyScore("empty", 0, 0, 0)
    assert np.isnan([empty.accuracy, empty.coverage]).all()
    assert AnalogyScore.total("all", []) == AnalogyScore("all", 0, 0, 0)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a b c\n", r"line 1: must be four words, separated by spaces, .* it is 'a b c'\."),
        ("a,b,c,d\na,b,c\n", r"line 2: must be four words, separated by commas"),
        (": x\na b c\n", r"line 2: must be four words, .* it is 'a b c'\."),
        (": x\n\na b c d e\n", r"line 3: must be four words"),
        (": x\na b c d\n:\n", r"line 3: the section has no name"),
        ("", "has no question"),
        (": x\n: y\n", "has no question"),
    ],
)
def test_a_malformed_file_is_refused_with_the_line(tmp_path, text, problem):
    with pytest.raises(FormatError, match=problem):
        AnalogySet.read(written(tmp_path / "q.txt", text))


def test_an_unknown_similarity_function_is_answered_with_those_there_are():
    with pytest.raises(
        SettingError, match=r"similarity_function=cosmul: .* Options: most_similar, most_similar_cos"
    ):
        Embeddings(["a"], None, np.ones((1, 1))).evaluate_word_analogies(
            "questions-words", similarity_function="cosmul"
        )


def test_restrict_vocab_must_be_a_whole_number():
    with pytest.raises(SettingError, match="restrict_vocab"):
        Embeddings(["a"], None, np.ones((1, 1))).evaluate_word_analogies("questions-words", 0)

"""Word pairs: read from files, and scored as gensim scores them."""

import numpy as np
import pytest
from evaluated import in_gensim, structured_embeddings
from hypothesis import given
from hypothesis import strategies as st

from w2v_exp.embeddings import Embeddings, WordPairSet
from w2v_exp.embeddings.word_pairs import WORD_PAIR_SETS, find_set
from w2v_exp.errors import FormatError, SettingError, UserError


def written(path, text):
    path.write_bytes(text.encode())
    return path


def compare_with_gensim(embeddings, path, restrict_vocab, tolerance):
    ours = embeddings.evaluate_word_pairs(path, restrict_vocab)
    pearson, spearman, unknown_percent = in_gensim(embeddings).evaluate_word_pairs(
        str(path), restrict_vocab=restrict_vocab
    )
    assert ours.spearman == pytest.approx(spearman[0], abs=tolerance)
    assert ours.pearson == pytest.approx(pearson[0], abs=1e-6)
    assert 100 * (1 - ours.coverage) == pytest.approx(unknown_percent, abs=1e-9)
    assert 0.1 < ours.coverage < 1  # both kinds of pairs are there
    assert 0.1 < ours.spearman < 0.9


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", WORD_PAIR_SETS)
@pytest.mark.parametrize("restrict_vocab", [300_000, 1000])
def test_scores_and_coverage_are_gensims(name, dtype, restrict_vocab, tmp_path):
    """Without pairs that are repeated: gensim rounds their cosines by where vectors lie, so they tie by chance."""
    lines = find_set(name, WORD_PAIR_SETS).read_text().splitlines()
    distinct = {line if line.startswith("#") else frozenset(line.split("\t")[:2]): line for line in lines}
    assert len(lines) - len(distinct) == {"wordsim353": 2, "simlex999": 1}[name]
    path = written(tmp_path / "pairs.tsv", "\n".join(distinct.values()))
    compare_with_gensim(structured_embeddings(dtype=dtype), path, restrict_vocab, tolerance=1e-6)


def test_case_may_count_and_unknown_pairs_may_take_part_as_in_gensim(tmp_path):
    lines = find_set("simlex999", WORD_PAIR_SETS).read_text().splitlines()
    path = written(tmp_path / "pairs.tsv", "\n".join(sorted({*lines[:300]})))
    embeddings = structured_embeddings(dtype=np.float64)
    settings = {"restrict_vocab": 1500, "case_insensitive": False, "dummy4unknown": True}
    ours = embeddings.evaluate_word_pairs(path, **settings)
    pearson, spearman, unknown_percent = in_gensim(embeddings).evaluate_word_pairs(str(path), **settings)
    assert ours.spearman == pytest.approx(spearman[0], abs=1e-6)
    assert ours.pearson == pytest.approx(pearson[0], abs=1e-6)
    assert 100 * (1 - ours.coverage) == pytest.approx(unknown_percent, abs=1e-9)
    assert 0.1 < ours.coverage < 0.9


def test_pairs_that_are_repeated_tie_where_gensim_orders_them_by_chance():
    path = find_set("wordsim353", WORD_PAIR_SETS)
    compare_with_gensim(structured_embeddings(), path, 300_000, tolerance=1e-5)


@pytest.mark.parametrize(("name", "pairs"), [("wordsim353", 353), ("simlex999", 999)])
def test_the_sets_of_gensims_test_data_have_their_size(name, pairs):
    read = WordPairSet.read(name)
    assert len(read.pairs) == len(read.scores) == pairs


def test_a_file_may_have_comments_blank_lines_and_line_ends_of_any_system(tmp_path):
    read = WordPairSet.read(
        written(tmp_path / "p.tsv", "\ufeff# words\ntiger\tcat\t7.35\r\n\nice cream\tΜέλι\t1\n")
    )
    assert read.pairs == [("tiger", "cat"), ("ice cream", "Μέλι")]
    assert read.scores.tolist() == [7.35, 1]


words = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1).filter(
    lambda word: word.strip() and not word.startswith(("#", "\ufeff"))
)


@given(st.lists(st.tuples(words, words, st.floats(-1e9, 1e9)), min_size=1))
def test_what_is_written_is_read(tmp_path_factory, lines):
    path = tmp_path_factory.mktemp("pairs") / "pairs.tsv"
    read = WordPairSet.read(written(path, "".join(f"{a}\t{b}\t{score!r}\n" for a, b, score in lines)))
    assert read.pairs == [(a, b) for a, b, _ in lines]
    assert read.scores.tolist() == [score for *_, score in lines]


@pytest.mark.parametrize(
    "line",
    [
        "a b 1",
        "a\tb",
        "a\tb\t1\t2",
        "\tb\t1",
        "a\t \t1",
        "a\tb\tmuch",
        "a\tb\tnan",
        "a\tb\tinf",
        "a,b,1",
        ":x",
    ],
)
def test_a_line_that_is_no_pair_is_refused_with_its_number(tmp_path, line):
    path = written(tmp_path / "pairs.tsv", f"# comment\n\na\tb\t1\n{line}\n")
    with pytest.raises(
        FormatError, match=r"pairs\.tsv, line 4: must be two words and a number, separated by"
    ):
        WordPairSet.read(path)


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n"])
def test_a_file_without_pairs_is_refused(tmp_path, text):
    with pytest.raises(FormatError, match="has no line with two words and a score"):
        WordPairSet.read(written(tmp_path / "pairs.tsv", text))


def test_hostile_lines_do_not_reach_the_terminal(tmp_path):
    with pytest.raises(FormatError) as refusal:
        WordPairSet.read(written(tmp_path / "pairs.tsv", "\x1b[31m" + "red" * 1000))
    assert r"'\x1b[31m" in str(refusal.value)
    assert "\x1b" not in str(refusal.value)
    assert len(str(refusal.value)) < 400


def test_no_pair_known_is_a_coverage_of_zero_and_no_score():
    score = Embeddings(["unheard"], None, np.ones((1, 2))).evaluate_word_pairs("wordsim353")
    assert (score.known, score.pairs, score.coverage) == (0, 353, 0)
    assert np.isnan([score.spearman, score.pearson]).all()


def test_the_first_spelling_of_a_word_counts(tmp_path):
    read = WordPairSet([("us", "them"), ("them", "then"), ("us", "then")], np.array([3.0, 2.0, 1.0]))
    rows = {"US": (1, 0), "us": (0, 1), "Them": (2, 0.1), "then": (1, 1)}
    embeddings = Embeddings(list(rows), None, np.array(list(rows.values()), float))
    assert embeddings.evaluate_word_pairs(read).spearman == 1  # "us" as (0, 1) would give less
    later = Embeddings(["us", "US", "Them", "then"], None, embeddings.input[[1, 0, 2, 3]])
    assert later.evaluate_word_pairs(read).spearman < 0.9


@pytest.mark.parametrize("restrict_vocab", [0, -1, 2.5, None])
def test_restrict_vocab_must_be_a_whole_number(restrict_vocab):
    with pytest.raises(SettingError, match="restrict_vocab"):
        structured = Embeddings(["a"], None, np.ones((1, 1)))
        structured.evaluate_word_pairs("wordsim353", restrict_vocab)


def test_an_unknown_set_is_answered_with_the_names_there_are():
    with pytest.raises(UserError, match=r"no such file.*wordsim353, simlex999"):
        WordPairSet.read("wordsim")


# --- as the authors of the sets publish them, with invented rows

ROWS = [("river", "bank", 7.25), ("cup", "mug", 9.5), ("sun", "shoe", 0.5), ("Paris", "rome", 6.0)]


def lines(form, header=""):
    return header + "".join(form.format(a=a, b=b, s=s, l=s - 0.5, h=s + 0.5) for a, b, s in ROWS)


SIMLEX = "word1\tword2\tPOS\tSimLex999\tconc(w1)\tconc(w2)\tconcQ\tAssoc(USF)\tSimAssoc333\tSD(SimLex)\n"
PUBLISHED = {
    "WordSim-353, combined.tab": lines("{a}\t{b}\t{s}\n", "Word 1\tWord 2\tHuman (mean)\n"),
    "WordSim-353, combined.csv": lines("{a},{b},{s}\r\n", "Word 1,Word 2,Human (mean)\r\n"),
    "WordSim-353, set1": lines("{a}\t{b}\t{s}\t{h}\t{l}\t9\n", "Word 1\tWord 2\tHuman (mean)\t1\t2\t3\n"),
    "WordSim-353, set1.csv": lines("{a},{b},{s},{h},{l},9\n", "Word 1,Word 2,Human (mean),1,2,3\n"),
    "WordSim-353, similarity": "# a comment\n" + lines("{a}\t{b}\t{s}\n"),
    "SimLex-999": lines("{a}\t{b}\tN\t{s}\t4.8\t3.1\t1\t0.6\t0\t1.2\n", SIMLEX),
    "SimVerb-3500": lines("{a}\t{b}\tV\t{s}\tSYNONYMS\n"),
    "MEN, natural form": lines("{a} {b} {s:f}\n"),
    "RG-65": lines("{a};{b};{s}\n"),
    "RG-65 with spaces": lines("{a} ; {b} ; {s}\n"),
    "RareWords": lines("{a}\t{b}\t{s}\t{h}\t{l}\t{h}\t{l}\n"),
    "RareWords, ragged": lines("{a}\t{b}\t{s}\t{h}\t{l}\t{h}\t{l}\n").replace("\t9.0\n", "\n"),
    "MTurk-771": lines("{a},{b},{s}\n"),
    "a byte order mark": "\ufeff" + lines("{a},{b},{s}\n"),
    "a header behind a mark": "\ufeff" + lines("{a};{b};{s}\n", "w1;w2;score\n"),
    "quoted fields": lines('"{a}","{b}","{s}"\n', '"word_1","word_2","similarity"\n'),
    "line ends of old Macs": lines("{a},{b},{s}\r"),
    "an index": lines("7,{a},{b},{s}\n", ",word1,word2,score\n"),
    "a header of other spaces": lines("{a} {b} {s}\n", "Word 1 Word 2 Human (mean)\n"),
    "columns of spaces": lines("{a:<20}{b:<20}{s}\n"),
    "topics": lines("sport,{a},{b},true,{s},9\n", "topic,term1,term2,isEqual,score,raters\n"),
    "a mean among other columns": lines("{a}\t{b}\t3\t{s}\t4\n", "word1\tword2\traters\tmean\tcount\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_sets_are_read_as_their_authors_publish_them(tmp_path, name):
    read = WordPairSet.read(written(tmp_path / "pairs", PUBLISHED[name]))
    assert list(zip(read.pairs, read.scores.tolist(), strict=True)) == [((a, b), s) for a, b, s in ROWS]


def test_how_a_file_was_read_can_be_looked_up(tmp_path):
    read = WordPairSet.read(written(tmp_path / "pairs", "# invented\n" + PUBLISHED["SimLex-999"]))
    assert read.layout == (
        "separated by tabs; words in columns 1 and 2, score in column 4 ('SimLex999') of 10; "
        "the first line is a header; 1 comment line skipped"
    )
    assert WordPairSet.read("simlex999").layout.startswith(
        "separated by tabs; words in columns 1 and 2, score in col"
    )


def test_quoted_fields_may_have_separators_in_them(tmp_path):
    text = 'one,two,score\n"river, wide",bank,1\ncup,"a ""mug""",2\n'
    read = WordPairSet.read(written(tmp_path / "pairs", text))
    assert read.pairs == [("river, wide", "bank"), ("cup", 'a "mug"')]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (lines("{a}\t{b}\t{s}\t3\n"), r"columns 3, 4 have numbers, .*columns=\[1,2,4\]"),
        (lines("{a},{b},{s},7.5,1.25\n"), r"columns 3, 4, 5 have numbers"),
        (lines("{a},{b},{s},3\n", "word1,word2,similarity,relatedness\n"), r"columns 3 \('similarity'\), 4 \('relat"),
        (lines("7,{a},{b},{s}\n"), "column 1 has numbers instead of words"),
        (lines("t\t{a}\t{b}\t{s}\n"), "column 1 has only 1 values, as labels have"),
        (lines("{a}\tN\t{b}\tN\t{s}\n"), "column 2 has only 1 values, as labels have"),
        (lines("{a}\t{b}\t{s}\n").replace(".", ","), "line 1: .* Decimal commas are not supported"),
        (lines("{a};{b};{s}\n", "w1;w2;score\n").replace(".", ","), "line 2: .* Decimal commas"),
        (lines("{a},{b},{s}\n").replace(".", ","), "columns 3, 4 have numbers"),
        (lines("{a}\t{b}\t{s}\n") + "x\ty\tz\n", "line 5: must be two words and a number, separated by tabs"),
        (lines("{a},{b},N,{s}\n") + "x,y,N,nan\n", "line 5: must be words in columns 1 and 2 and a number in column 4"),
        ("word1,word2,score\n", "line 1: must be two words and a number, separated by tabs, semicolons, commas or sp"),
        ("the cat sat on the mat\n" * 9, "line 1: must be two words and a number"),
        ("a\tb\t1_0\n", "line 1: must be two words and a number"),
        ('"a,b,1\n', "line 1: must be two words and a number"),
    ],
)  # fmt: skip
def test_what_is_not_clear_is_refused(tmp_path, text, problem):
    with pytest.raises(FormatError, match=problem):
        WordPairSet.read(written(tmp_path / "pairs", text))


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        (lines("{a}\t{b}\t{s}\t3\n"), [1, 2, 3]),
        (lines("{a},{b},3,{s}\n", "word1,word2,similarity,relatedness\n"), ["word1", "word2", "relatedness"]),
        (lines("{a},{b},3,{s}\n", "word1,word2,similarity,relatedness\n"), ["1", "2", "4"]),
        (lines("7,{a},{b},{s}\n"), (2, 3, 4)),
        (lines("{s};{b};{a}\n"), [3, 2, 1]),
    ],
)
def test_columns_can_be_given(tmp_path, text, columns):
    read = WordPairSet.read(written(tmp_path / "pairs", text), columns)
    assert list(zip(read.pairs, read.scores.tolist(), strict=True)) == [((a, b), s) for a, b, s in ROWS]


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ([1, 2], "must be three columns"),
        ([1, 1, 2], "must be three columns"),
        ([1, 2, 5], "has no such column; it has 4"),
        ([0, 1, 2], "has no such column"),
        (
            ["word1", "word2", "mean"],
            "has no such column; it has 4 named 'word1', 'word2', 'similarity', 'relat",
        ),
    ],
)
def test_columns_that_are_not_there_are_refused(tmp_path, columns, problem):
    text = lines("{a},{b},3,{s}\n", "word1,word2,similarity,relatedness\n")
    with pytest.raises((SettingError, FormatError), match=problem):
        WordPairSet.read(written(tmp_path / "pairs", text), columns)

"""Queries from the shell: the results are those of `Embeddings`, and a mistake ends in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from processes import Command, run_python

from w2v_exp.embeddings import AssociationTest, Embeddings
from w2v_exp.embeddings.replicates import Description, Replicates, interval, replicate_file, write_replicate
from w2v_exp.embeddings.word_changes import word_changes
from w2v_exp.errors import UserError
from w2v_exp.experiment.queries import run
from w2v_exp.tracking.load import load_embeddings

WORDS = ["man", "woman", "king", "queen", "apple", "[red]pear", "\x1b[31mplum"]
VECTORS = np.array(
    [[1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 1, 1], [-1, 0, 0.1], [-1, 0.1, 0], [-1, 0, 0]], np.float64
)


@pytest.fixture
def embeddings() -> Embeddings:
    return Embeddings(WORDS, np.array([900, 800, 70, 60, 5, 4, 3]), VECTORS, VECTORS[::-1].copy())


@pytest.fixture
def file(embeddings: Embeddings, tmp_path: Path) -> str:
    embeddings.save(tmp_path / "embeddings.npz")
    return str(tmp_path / "embeddings.npz")


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(list(arguments)) == 0
    return capsys.readouterr().out


def data(capsys: pytest.CaptureFixture[str], question: str, *arguments: str) -> dict:
    answer = said(capsys, question, "--json", *arguments)
    assert answer.isascii()
    return json.loads(answer)


def test_neighbours_are_those_of_most_similar(
    capsys: pytest.CaptureFixture[str], file: str, embeddings: Embeddings
) -> None:
    answer = data(capsys, "neighbours", file, "king", "apple", "-n", "3")
    assert (answer["source"], answer["vectors"]) == (file, "input")
    for word in ("king", "apple"):
        found = [(row["word"], row["score"]) for row in answer["neighbours"][word]]
        assert found == embeddings.most_similar(word, topn=3)
    assert [row["count"] for row in answer["neighbours"]["king"]] == [60, 900, 800]
    table = said(capsys, "neighbours", file, "king", "apple", "-n", "3")
    assert "king (70)" in table
    assert [line.split()[0] for line in table.splitlines() if "0.816" in line] == ["queen"]
    assert "[red]pear" in table  # not taken for markup
    assert "\x1b" not in table
    assert "�[31mplum" in table


def test_only_the_first_words_can_be_answers_and_other_vectors_be_asked(
    capsys: pytest.CaptureFixture[str], file: str, embeddings: Embeddings
) -> None:
    answer = data(capsys, "neighbours", file, "king", "--first", "2", "--vectors", "output")
    assert answer["vectors"] == "output"
    expected = embeddings.using("output").most_similar("king", restrict_vocab=2)
    assert [(row["word"], row["score"]) for row in answer["neighbours"]["king"]] == expected


def test_similarity_of_two_words_is_a_number_and_of_more_a_table(
    capsys: pytest.CaptureFixture[str], file: str, embeddings: Embeddings
) -> None:
    assert said(capsys, "similarity", file, "king", "queen") == "0.816\n"
    assert said(capsys, "similarity", file, "king", "apple") == "−0.633\n"
    answer = data(capsys, "similarity", file, "king", "queen", "apple")
    assert answer["cosines"][0][1] == embeddings.similarity("king", "queen")
    table = said(capsys, "similarity", file, "king", "queen", "apple").splitlines()
    assert table[0].split() == ["king", "queen", "apple"]
    assert table[1].split() == ["king", "1.000", "0.816", "−0.633"]


@pytest.mark.parametrize("method", ["sum", "product"])
def test_an_analogy_is_said_as_it_is_meant(
    capsys: pytest.CaptureFixture[str], file: str, embeddings: Embeddings, method: str
) -> None:
    asked = ("analogy", file, "man", "king", "woman", "--method", method)
    ask = embeddings.most_similar if method == "sum" else embeddings.most_similar_cosmul
    answers = [(row["word"], row["score"]) for row in data(capsys, *asked)["answers"]]
    assert answers == ask(["king", "woman"], ["man"])
    assert method == "product" or answers[0][0] == "queen"
    assert said(capsys, *asked).splitlines()[0] == "man is to king as woman is to …"


def test_scores_are_those_of_the_evaluation(
    capsys: pytest.CaptureFixture[str], file: str, tmp_path: Path, embeddings: Embeddings
) -> None:
    pairs, analogies = tmp_path / "pairs.tsv", tmp_path / "analogies.txt"
    pairs.write_text("man\twoman\t8\nking\tqueen\t9\nman\tapple\t1\nman\tunicorn\t5\n")
    analogies.write_text(": royals\nman king woman queen\nman king unicorn queen\n")
    answer = data(capsys, "evaluate", file, "--word-pairs", str(pairs), "--analogies", str(analogies))
    rows = {(row["set"], row["section"]): row for row in answer["evaluation"]}
    expected = embeddings.evaluate_word_pairs(pairs)
    assert rows["word_pairs_pairs", ""]["score"] == pytest.approx(expected.spearman)
    assert (rows["word_pairs_pairs", ""]["known"], rows["word_pairs_pairs", ""]["total"]) == (3, 4)
    assert rows["analogies_analogies", "royals"]["score"] == 1
    assert "royals" in said(capsys, "evaluate", file, "--analogies", str(analogies))


@pytest.mark.parametrize(
    "asked",
    [
        "neighbours FILE -lrb-",
        "neighbours FILE king -lrb-",
        "neighbours FILE -n 3 king -lrb-",
        "neighbours FILE -ne",
        "similarity FILE -lrb- king",
        "analogy FILE king -lrb- queen",
    ],
)
def test_a_word_that_begins_with_a_hyphen_is_hinted_at(
    capsys: pytest.CaptureFixture[str], file: str, asked: str
) -> None:
    with pytest.raises(SystemExit) as exit:
        run(asked.replace("FILE", file).split())
    assert exit.value.code == 2
    word = "-ne" if "-ne" in asked else "-lrb-"
    assert f"If {word} is a word, write -- before the words: -- {word}\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    "mistake", ["neighbours FILE", "neighbours FILE --", "similarity FILE king", "who FILE"]
)
def test_other_mistakes_are_not_hinted_at(
    capsys: pytest.CaptureFixture[str], file: str, mistake: str
) -> None:
    with pytest.raises(SystemExit):
        run(mistake.replace("FILE", file).split())
    assert "is a word" not in capsys.readouterr().err


def test_after_two_hyphens_every_word_can_be_asked_for(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    Embeddings(["-lrb-", "king", "-n"], None, np.eye(3)).save(tmp_path / "e.npz")
    path = str(tmp_path / "e.npz")
    assert said(capsys, "similarity", path, "--", "-lrb-", "-n") == "0.000\n"
    assert data(capsys, "neighbours", path, "--", "-lrb-")["neighbours"].keys() == {"-lrb-"}


def test_a_page_to_explore_is_written(capsys: pytest.CaptureFixture[str], file: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert str(page) in said(capsys, "explore", file, "--out", str(page), "--words", "5")
    text = page.read_text(encoding="utf-8")
    assert "<bdi>embeddings.npz</bdi>" in text
    assert "the first 5 of 7 words" in text


@pytest.fixture
def later(tmp_path: Path) -> str:
    """The words of ``file`` but for one, and another one, turned and in a space with more dimensions."""
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0]
    words = [*WORDS[:5], "\x1b[31mplum", "new"]
    vectors = VECTORS.copy()
    vectors[2:4] = vectors[3:1:-1]  # king and queen have changed places
    Embeddings(words, None, vectors @ turn[:3]).save(tmp_path / "later.npz")
    return str(tmp_path / "later.npz")


def test_neighbours_of_words_are_compared(
    capsys: pytest.CaptureFixture[str], file: str, later: str, embeddings: Embeddings
) -> None:
    answer = data(capsys, "compare", file, later, "king", "[red]pear", "new", "-n", "3")
    assert [source["source"] for source in answer["sources"]] == [file, later]
    assert answer["shared_words"] == 6
    king = answer["words"]["king"]
    both = [embeddings, Embeddings.load(later)]
    for neighbours, each in zip(king["neighbours"], both, strict=True):
        assert [(row["word"], row["score"]) for row in neighbours] == each.most_similar("king", topn=3)
    near = [[word for word, _ in each.most_similar("king", topn=3)] for each in both]
    assert king["common"] == [word for word in near[0] if word in near[1]]
    assert king["cosine"] == pytest.approx(word_changes(*both).cosines[WORDS.index("king")])
    assert [answer["words"][word]["cosine"] for word in ("[red]pear", "new")] == [None, None]
    assert answer["words"]["[red]pear"]["neighbours"][1] is None
    assert answer["words"]["new"]["neighbours"][0] is None
    table = said(capsys, "compare", file, later, "king", "[red]pear", "apple", "-n", "5")
    assert "A: embeddings.npz · 7 words · 3 dimensions · input vectors\n" in table
    assert "B: later.npz · 7 words · 5 dimensions · input vectors\n" in table
    assert f"king: cosine after alignment {king['cosine']:.3f}, 4 of 5 neighbours shared\n" in table
    assert "[red]pear: not among the words of B\n" in table
    assert "=  �[31mplum" in table
    assert "\x1b" not in table
    assert max(map(len, table.splitlines())) <= 80


def test_words_that_moved_most_and_least_are_listed(
    capsys: pytest.CaptureFixture[str], file: str, later: str, embeddings: Embeddings
) -> None:
    answer = data(capsys, "compare", file, later, "-n", "2")
    changes = word_changes(embeddings, Embeddings.load(later))
    order = np.argsort(changes.cosines)
    assert [row["word"] for row in answer["moved_most"]] == [changes.words[i] for i in order[:2]]
    assert [row["word"] for row in answer["moved_least"]] == [changes.words[i] for i in order[::-1][:2]]
    assert {"king", "queen"} == {row["word"] for row in answer["moved_most"]}
    assert (answer["neighbours"], answer["compared_words"]) == (1, 6)
    assert answer["shared_neighbours"] == pytest.approx(changes.overlap.mean())
    table = said(capsys, "compare", file, later)
    assert "6 words in both; mean cosine after alignment " in table
    assert "Of all words in both: " in table
    assert max(map(len, table.splitlines())) <= 80
    few = data(capsys, "compare", file, later, "--first", "3")
    assert few["shared_words"] == 3
    same = data(capsys, "compare", file, file)
    assert same["mean_cosine"] == pytest.approx(1)
    assert same["shared_neighbours"] == 1


def test_only_frequent_words_are_listed_as_moved(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = [f"w{number}" for number in range(1_010)]
    for seed, name in enumerate(("a", "b")):
        vectors = np.random.default_rng(seed).normal(size=(1_010, 4))
        Embeddings(words, None, vectors).save(tmp_path / f"{name}.npz")
    both = [str(tmp_path / f"{name}.npz") for name in "ab"]
    answer = data(capsys, "compare", *both, "-n", "2000")
    assert {row["word"] for row in answer["moved_most"]} == {*words[:1_000]}
    table = said(capsys, "compare", *both)
    assert "Of the 1,000 most frequent words in both: " in table
    assert "% of the 10 nearest words shared" in table
    assert max(map(len, table.splitlines())) <= 80


def test_a_page_of_two_runs_is_written(
    capsys: pytest.CaptureFixture[str], file: str, later: str, tmp_path: Path
) -> None:
    page = tmp_path / "both.html"
    assert str(page) in said(capsys, "explore", file, later, "--out", str(page))
    text = page.read_text(encoding="utf-8")
    assert "<bdi>embeddings.npz</bdi> and <bdi>later.npz</bdi>" in text
    assert "6 words in both" in text
    said(capsys, "explore", file, file, "--out", str(page))
    assert "<bdi>embeddings.npz (1)</bdi> and <bdi>embeddings.npz (2)</bdi>" in page.read_text(
        encoding="utf-8"
    )


@pytest.mark.second_tier
def test_the_time_of_a_map_is_printed_before_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(1300, 4))
    Embeddings([f"w{i}" for i in range(1300)], None, vectors).save(tmp_path / "e.npz")
    page = tmp_path / "page.html"
    arguments = ["explore", str(tmp_path / "e.npz"), "--out", str(page)]
    assert run(arguments) == 0
    first = page.read_bytes()
    printed = capsys.readouterr()
    assert printed.err == (
        "explorer.html: the t-SNE map of 1,300 words takes about 1 s of one core. --projection pca takes none.\n"
    )
    assert printed.out.startswith(f"{page}: ")
    assert run(arguments) == 0
    assert page.read_bytes() == first
    capsys.readouterr()
    assert run([*arguments, "--projection", "pca"]) == 0
    assert capsys.readouterr().err == ""
    assert "t-SNE: similar" not in page.read_text()


MISTAKES = [
    (["neighbours", "FILE", "knig"], "'knig' is not among the 7 words, did you mean king?"),
    (["neighbours", "FILE", "king", "King"], "'King' is not among the 7 words, did you mean king?"),
    (["similarity", "FILE", "king", "zzz"], "'zzz' is not among the 7 words."),
    (["analogy", "FILE", "man", "king", "womn"], "'womn' is not among the 7 words, did you mean woman?"),
    (["neighbours", "FOLDER/nowhere.npz", "king"], "nowhere.npz: no such file, seen from "),
    (["neighbours", "FOLDER/words.txt", "king"], "words.txt"),
    (["neighbours", "FOLDER", "king", "--vectors", "inputs"], "invalid choice: 'inputs'"),
    (["neighbours", "FILE", "king", "-n", "0"], "0: must be a whole number from 1 to 999,999,999."),
    (["neighbours", "FILE", "king", "-n", "many"], "many: must be a whole number from 1 to 999,999,999."),
    (
        ["neighbours", "FILE", "king", "-n", "9" * 5000],
        "999999999: must be a whole number from 1 to 999,999,999.",
    ),
    (["similarity", "FILE", "king"], "the following arguments are required: WORD"),
    (["evaluate", "FILE", "--analogies", "nowhere.txt"], "analogies=nowhere.txt: no such file"),
    (["compare", "FILE"], "the following arguments are required: OTHER\n"),
    (["compare", "FILE", "FOLDER/no.npz"], "FOLDER/no.npz: no such file, seen from "),
    (["compare", "FILE", "FILE", "knig"], "'knig' is not among the 7 words, did you mean king?"),
    (["explore", "FILE", "FOLDER/no.npz"], "FOLDER/no.npz: no such file, seen from "),
    (["explore", "FILE", "--out", "FOLDER/no/page.html"], "no/page.html cannot be written"),
    (["nearest", "FILE", "king"], "invalid choice: 'nearest'"),
    (
        ["neighbors", "FILE", "king"],
        "invalid choice: 'neighbors', did you mean neighbours? Choices: neighbours,",
    ),
    (
        ["analogy", "FILE", "a", "b", "c", "--method", "sums"],
        "'sums', did you mean sum? Choices: sum, product.",
    ),
    (
        ["neighbours", "latest", "king", "--uri", "sqlite:///FOLDER/no.db"],
        "--uri=sqlite:///FOLDER/no.db: there is no",
    ),
    (
        ["neighbours", "latest", "king", "--tracking-uri", "sqlite:///FOLDER/no.db"],
        "no such database. Execute a run",
    ),
]


@pytest.mark.parametrize(("arguments", "answer"), MISTAKES, ids=[" ".join(case[0]) for case in MISTAKES])
def test_a_mistake_is_answered_in_a_line(
    capsys: pytest.CaptureFixture[str], file: str, tmp_path: Path, arguments: list[str], answer: str
) -> None:
    (tmp_path / "words.txt").write_text("no embeddings at all\n")
    arguments = [text.replace("FILE", file).replace("FOLDER", str(tmp_path)) for text in arguments]
    try:
        code = run(arguments)
    except SystemExit as end:  # of argparse
        code = end.code
    output = capsys.readouterr()
    assert (code, output.out) == (2, "")
    assert answer.replace("FOLDER", str(tmp_path)) in output.err


@pytest.mark.parametrize("kept", ["", "artifacts"])
def test_the_folder_of_a_run_without_tracking_will_do(
    embeddings: Embeddings, tmp_path: Path, kept: str
) -> None:
    (tmp_path / "a_run" / kept).mkdir(parents=True)
    embeddings.save(tmp_path / "a_run" / kept / "embeddings.npz")
    saved = load_embeddings(str(tmp_path / "a_run"))
    assert (saved.title, saved.chosen) == ("a_run", "input")
    assert saved.embeddings.words == WORDS
    with pytest.raises(
        UserError, match=r"there is no embeddings\.npz in this folder, nor in artifacts/ below"
    ):
        load_embeddings(str(tmp_path))


@pytest.mark.usefixtures("store")
def test_a_run_is_named_by_its_id_the_beginning_of_one_its_name_or_as_the_latest(
    command: Command, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    text = "king queen man woman prince princess " * 4
    settings = [
        "corpus=text",
        f"corpus.text='{text}'",
        "tokenizer=whitespace",
        "dim=4",
        "tracking.plots=false",
    ]
    assert command(*settings, "epochs=2").returncode == 0
    assert command(*settings, "epochs=3", "embedding=sum", "repeats=1", "window=2,3", "-m").returncode == 0
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    found = MlflowClient(uri).search_runs(["1"], order_by=["attributes.start_time ASC"])
    ids = {run.info.run_name: run.info.run_id for run in found}
    assert list(ids) == ["text", "summary: window", "window=2", "window=3"]  # a summary begins with its sweep

    last = load_embeddings(ids["window=3"], uri)
    assert (last.title, last.chosen, last.source) == ("window=3", "sum", f"run {ids['window=3']}")
    for named in ("latest", "window=3", ids["window=3"][:8]):  # the summary of the sweep is no run
        assert load_embeddings(named, uri).source == last.source
    assert load_embeddings("text", uri).chosen == "input"
    with pytest.raises(UserError, match="no finished run with the id or name"):
        load_embeddings("0123", uri)
    with pytest.raises(UserError, match=r"has no embeddings\.npz"):
        load_embeddings(ids["summary: window"][:12], uri)

    arguments = ["neighbours", "latest", "king", "--uri", uri, "--json"]
    done = command("ask", *arguments)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["vectors"] == "sum"
    expected = last.embeddings.using("sum").most_similar("king")
    assert [(row["word"], row["score"]) for row in answer["neighbours"]["king"]] == expected


@pytest.mark.usefixtures("end_to_end")
def test_a_file_is_asked_without_mlflow_and_a_reader_may_go_away(file: str, tmp_path: Path) -> None:
    script = (
        "import sys; from w2v_exp.__main__ import run; run(sys.argv[1:]);"
        "print('loaded:', [name for name in ('mlflow', 'scipy', 'hydra', 'omegaconf') if name in sys.modules])"
    )
    done = run_python("-c", script, "ask", "neighbours", file, "king", folder=tmp_path)
    assert "loaded: []" in done.stdout, done.stdout + done.stderr
    reader, writer = os.pipe()
    os.close(reader)
    gone = subprocess.run(
        [sys.executable, "-m", "w2v_exp", "ask", "neighbours", file, "king"],
        stdout=writer,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        check=False,
    )
    os.close(writer)
    assert (gone.stderr, gone.returncode) == (b"", 1)


SETS = """\
sets:
  a: [man, KING, tsar]
  b: [woman, queen]
  c: [apple, "[red]pear"]
  d: ["\\e[31mplum"]
tests:
  royal: {targets: [a, b], attributes: [c, d]}
  single: {targets: [a], attributes: [b, c]}
  distance: {targets: [a, b], attributes: [c]}
"""


@pytest.fixture
def sets(tmp_path: Path) -> str:
    (tmp_path / "sets.yaml").write_text(SETS)
    return str(tmp_path / "sets.yaml")


def test_associations_are_those_of_embeddings(
    capsys: pytest.CaptureFixture[str], file: str, sets: str, embeddings: Embeddings
) -> None:
    answer = data(capsys, "associations", file, sets, "--largest-loss", "0.4")
    tests = AssociationTest.read(sets)
    assert [one["test"] for one in answer["associations"]] == ["royal", "single", "distance"]
    for one, test in zip(answer["associations"], tests, strict=True):
        found = embeddings.association(test, largest_loss=0.4)
        assert (one["effect"], one["p"], one["low"]) == (found.effect, found.p, found.low)
        assert one["missing"] == {"a": ["tsar"]}
        assert one["respelled"] == {"KING": "king"}
    text = said(capsys, "associations", file, sets, "--largest-loss", "0.4", "--words")
    assert "royal: unknown: tsar." in text
    assert "in another case: KING as king." in text
    assert "[red]pear" in text
    assert "\x1b" not in text
    assert "3 tests: for 5 % in all, p must be below 0.017 (Bonferroni)." in text


def test_replicates_give_intervals_over_documents(
    capsys: pytest.CaptureFixture[str], file: str, sets: str, embeddings: Embeddings, tmp_path: Path
) -> None:
    generator = np.random.default_rng(0)
    (tmp_path / "replicates").mkdir()
    for number in range(1, 25):
        vectors = VECTORS + generator.normal(0, 0.3, VECTORS.shape)
        vectors[: number % 2] = 0  # in half of the replicates, man does not occur
        write_replicate(tmp_path / "replicates" / replicate_file(number), vectors, Description("input", {}))
    answer = data(capsys, "associations", file, sets, "--largest-loss", "0.4")
    replicates, tests = Replicates(tmp_path / "replicates", WORDS), AssociationTest.read(sets)
    for one, test in zip(answer["associations"], tests, strict=True):
        found = embeddings.association(test, largest_loss=0.4)
        values = [each.association(test, largest_loss=0.4).effect for each in replicates]
        assert sum(map(np.isnan, values)) == 12  # two of three words are missing
        assert one["documents"] == list(interval(values, estimate=found.effect))
        assert one["replicates"] == 24
    text = said(capsys, "associations", file, sets, "weat7", "--largest-loss", "0.4")
    low, high = (f"{end:.3f}".replace("-", "−") for end in answer["associations"][0]["documents"])
    assert f"royal: {low} to {high} over documents" in text
    assert "90 % intervals over documents, from 24 replicates." in text
    assert "weat7: nan" not in text
    assert "over documents" not in said(capsys, "associations", file, sets, "--vectors", "output")


def test_a_test_that_lacks_words_is_named_and_has_no_figures(
    capsys: pytest.CaptureFixture[str], file: str, sets: str
) -> None:
    text = said(capsys, "associations", file, sets, "weat7")
    assert "royal: not possible: a lacks 1 of 3 words, more than 20 %." in " ".join(text.split())
    assert "male_terms lacks 7 of 8 words" in " ".join(text.split())
    answer = data(capsys, "associations", file, "weat7")
    (found,) = answer["associations"]
    assert (found["effect"], found["p"], found["by_word"]) == (None, None, {})
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["weat11"], "weat11: no such file"),
        (["."], ".: no such file"),
        (["wrong.yaml"], "wrong.yaml, line 1: The file has the unknown key test, did you mean tests?"),
        (["weat7", "--largest-loss", "1"], "must be a share, from 0 to less than 1."),
        (["weat7", "--largest-loss", "nan"], "must be a share"),
        ([], "the following arguments are required: TEST"),
    ],
)
def test_a_mistake_in_a_test_ends_in_one_line(
    arguments: list[str],
    problem: str,
    capsys: pytest.CaptureFixture[str],
    file: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wrong.yaml").write_text("test: {}")
    try:
        code = run(["associations", file, *arguments])
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert problem in capsys.readouterr().err

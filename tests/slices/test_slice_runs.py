"""Runs with slices: their files, questions to them, and mistakes before training."""

import csv
import json
import re

import numpy as np
import pytest
from texts import MOVED, STEADY, moving_text

import w2v_exp
from w2v_exp.embeddings.similarity import directions
from w2v_exp.errors import UserError
from w2v_exp.experiment.outputs import RUN_FILES

SETTINGS = [
    "corpus=file", "corpus.path=texts", "tokenizer=whitespace", "labels=counts",
    "window=3", "dim=6", "epochs=40", "tracking=none", "explorer=none", "checkpoint=none", "cache=none", "bounds=false",
    "hydra.run.dir=run", f"probes=[{MOVED},{STEADY}]",
]  # fmt: skip
SLICED = [
    "objective.output_offset=unigram",
    "slices=dates",
    "slices.number=4",
    "slices.min_tokens=10",
    "slices.smoothing=20",
    "slices.permutations=100",
]


@pytest.fixture
def folder(tmp_path):
    """Return a folder with the documents of the text as files."""
    text = moving_text()
    (tmp_path / "texts" / "part").mkdir(parents=True)
    words = text.vocabulary.words
    for number, name in enumerate(text.names):
        ids = text.ids[slice(*text.documents[number : number + 2])].tolist()
        place = tmp_path / "texts" / ("part" if number % 2 else "")
        (place / name).write_text(" ".join(words[i] for i in ids))
    return tmp_path


def rows_of(path):
    """Return the rows of a CSV file."""
    with path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_a_run_writes_the_embeddings_of_its_slices(folder, command):
    """Tables, page, archive and metrics; and answers questions about them."""
    done = command(*SETTINGS, *SLICED)
    assert done.returncode == 0, done.stderr
    assert "embeddings in 4 slices take about" in done.stderr
    assert re.search(r"changed words \(false discovery rate 5 %\) +\d", done.stdout)
    assert re.search(r"slices\.html \(.*\): words in 4 slices", done.stdout)
    files = folder / "run" / "artifacts"
    names = {"slices.npz", "slices.csv", "slices.html", "changed_words.csv", "slice_similarities.csv"}
    assert names <= {file.name for file in files.iterdir()}
    assert all(RUN_FILES.fullmatch(name) for name in names)
    changed = rows_of(files / "changed_words.csv")
    assert changed[0]["word"] == MOVED
    assert float(changed[0]["q"]) < 0.01
    slices = rows_of(files / "slices.csv")
    assert {row["slice"] for row in slices} == {"1900–1905", "1906–1911", "1912–1917", "1918–1923"}
    similarities = [
        row
        for row in rows_of(files / "slice_similarities.csv")
        if {row["word"], row["other"]} == {MOVED, STEADY}
    ]
    assert len(similarities) == 4
    assert all(float(row["low"]) < float(row["high"]) for row in similarities)

    found = w2v_exp.load_slices(folder / "run")
    assert found.changed(0.01)[0].word == MOVED
    asked = command("ask", "change", "run")
    assert asked.returncode == 0, asked.stderr
    assert MOVED in asked.stdout.splitlines()[2]
    asked = command("ask", "change", "run", MOVED, "-n", "3")
    assert re.search(r"1900–1905 +[ab]\d+", asked.stdout)
    asked = command("ask", "change", "run", MOVED, STEADY, "--json")
    (line,) = json.loads(asked.stdout)["similarity"][MOVED].values()
    assert [each["slice"] for each in line] == list(found.slices)
    assert line[0]["low"] < line[0]["high"]
    asked = command("ask", "change", "run", "zebra")
    assert (asked.returncode, asked.stderr.count("\n")) == (2, 1)
    assert "zebra: is in no slice" in asked.stderr

    slices = ["run:1900-1905", "run:1918–1923"]
    asked = command("ask", "compare", *slices, MOVED, "--json")
    assert asked.returncode == 0, asked.stderr
    compared = json.loads(asked.stdout)
    ends = [found.of_slice(label) for label in ("1900–1905", "1918-1923")]
    assert [source["words"] for source in compared["sources"]] == [len(each) for each in ends]
    cosine = float(np.vecdot(*(directions(each[MOVED][None])[0] for each in ends)))
    assert compared["words"][MOVED]["cosine"] == pytest.approx(cosine, abs=1e-6)  # in one space: not rotated
    for near, label in zip(compared["words"][MOVED]["neighbours"], ("1900–1905", "1918–1923"), strict=True):
        assert [row["word"] for row in near] == [word for word, _ in found.neighbours(MOVED)[label]]
    asked = command("ask", "explore", *slices, "--out", "slices.html")
    assert asked.returncode == 0, asked.stderr
    assert "mean cosine of both vectors" in (folder / "slices.html").read_text(encoding="utf-8")
    asked = command("ask", "neighbours", "run:1899", MOVED)
    assert (asked.returncode, asked.stderr.count("\n")) == (2, 1)
    assert "1899: not a slice. Slices: 1900–1905, " in asked.stderr


def test_folders_and_files_are_slices(folder, command):
    """Each file alone has no test and no bands, and its page states this."""
    quick = [*SETTINGS, "epochs=2", "slices.min_tokens=5"]
    assert command(*quick, "slices=folders", "slices.replicates=0").returncode == 0
    found = w2v_exp.load_slices(folder / "run")
    assert found.slices == (".", "part")
    assert found.tested()
    done = command(*quick, "slices=files", "slices.min_tokens=2")
    assert done.returncode == 0, done.stderr
    found = w2v_exp.load_slices(folder / "run")
    assert len(found.slices) == 24
    assert not found.tested()
    assert "Change was not tested" in (folder / "run" / "artifacts" / "slices.html").read_text()
    assert not (folder / "run" / "artifacts" / "changed_words.csv").exists()


def test_an_estimate_names_time_and_memory_of_the_slices(folder, command):
    """Without training."""
    done = command("estimate", *SETTINGS, *SLICED)
    assert done.returncode == 0, done.stderr
    assert re.search(r"slices\.html: [\d,]+ embeddings in 4 slices take about .* and .*MB", done.stdout)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["slices=pattern"], "slices.pattern=: is empty"),
        (["slices=pattern", "slices.pattern='('"], "slices.pattern=(: is not a regular expression"),
        (["slices=pattern", "slices.pattern=zebra"], "slices.pattern=zebra: matches none of 24 names"),
        (["slices=pattern", "slices.pattern=txt"], "makes one slice (txt)"),
        (["slices=dates", "slices.min_tokens=5000"], "slices.min_tokens=5000: the slice"),
        (["slices=dates", "objective=negative_sampling"], "slices need objective=softmax"),
        (["slices=dates", "objective=negative_sampling", "labels=blocks", "model=cbow"], "slices need"),
        (["slices=dates", "subsampling=word2vec"], "slices need subsampling=none"),
        (["slices=dates", "corpus=article", "~corpus.path"], "corpus.path"),
        (["slices.number=3"], "slices.number"),
    ],
)
def test_mistakes_end_the_command_before_training(folder, command, settings, message):
    """In one line, with the key."""
    done = command(*SETTINGS, *settings)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "run" / "artifacts").exists()


def test_a_run_without_slices_has_none_to_ask_for(folder, command):
    """With the remedy."""
    assert command(*SETTINGS, "epochs=1").returncode == 0
    asked = command("ask", "change", str(folder / "run"))
    assert asked.returncode == 2
    assert "there is no slices.npz" in asked.stderr
    assert "slices=years" in asked.stderr
    with pytest.raises(UserError, match="no slices"):
        w2v_exp.load_slices(folder / "run")

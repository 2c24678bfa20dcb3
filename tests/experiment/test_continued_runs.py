"""Runs that go on from saved embeddings, with new text and new words."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from processes import Command

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.continuing import content_digest
from w2v_exp.errors import UserError
from w2v_exp.tracking.recorded_embeddings import find_run

OLD = ["corpus=text", f"corpus.text='{'king queen man woman prince princess boy girl ' * 6}'"]
NEW = ["corpus=text", f"corpus.text='{'king queen man woman robot android robot girl ' * 6}'"]
SETTINGS = ["tokenizer=whitespace", "dim=4", "optimizer=adam", "schedule=constant", "batch_size=4096"]
UNTRACKED = ["tracking=none", "bounds=false"]
WORD2VEC = ["objective=negative_sampling", "labels=blocks", "optimizer=sgd", "learning_rate=0.025"]


def start(path: str) -> list[str]:
    return ["initialization=from_file", f"initialization.path={path}"]


def train(command: Command, folder: Path, *overrides: str) -> tuple[Embeddings, dict[str, float]]:
    """Return what a run leaves in this folder: embeddings and metrics."""
    done = command(*SETTINGS, *UNTRACKED, *overrides, f"hydra.run.dir={folder.name}")
    assert done.returncode == 0, done.stderr
    metrics = json.loads((folder / "result.json").read_text())["metrics"]
    return Embeddings.load(folder / "artifacts" / "embeddings.npz"), metrics


def saved_file(run: str, suffix: str = "npz") -> str:
    return f"{run}/artifacts/embeddings.{suffix}"


@pytest.fixture
def old(command: Command, tmp_path: Path) -> Embeddings:
    """Train on the old text, in the folder ``old``."""
    return train(command, tmp_path / "old", *OLD, "initialization=normal", "epochs=100")[0]


def matrices(embeddings: Embeddings) -> list[np.ndarray]:
    assert embeddings.output is not None
    return [embeddings.input, embeddings.output]


def assert_same_vectors(words: list[str], one: Embeddings, other: Embeddings) -> None:
    for mine, yours in zip(matrices(one), matrices(other), strict=True):
        for word in words:
            assert mine[one.ids[word]].tobytes() == yours[other.ids[word]].tobytes(), word


def test_on_the_same_text_a_run_goes_on_from_the_vectors_and_the_cost_reached(
    command: Command, tmp_path: Path, old: Embeddings
) -> None:
    _, untrained = train(command, tmp_path / "same", *OLD, *start(saved_file("old")), "epochs=0")
    first, again = ((tmp_path / saved_file(run)).read_bytes() for run in ("old", "same"))
    assert first == again
    _, trained = train(command, tmp_path / "further", *OLD, *start(saved_file("old")), "epochs=20")
    with (tmp_path / "further/artifacts/costs.csv").open(newline="") as stream:
        costs = [float(row["cost"]) for row in csv.DictReader(stream)]
    assert costs[0] == pytest.approx(untrained["cost"], abs=1e-9)  # one step an epoch: that of its beginning
    assert trained["cost"] < costs[0] < np.log(len(old)) - 0.3
    assert (trained["continued_words"], trained["new_words"], trained["kept_words"]) == (8, 0, 0)


def test_new_words_are_trained_and_words_that_the_new_text_lacks_are_kept_to_the_byte(
    command: Command, tmp_path: Path, old: Embeddings
) -> None:
    begun, at_first = train(command, tmp_path / "begun", *NEW, *start(saved_file("old")), "epochs=0")
    new, metrics = train(command, tmp_path / "new", *NEW, *start(saved_file("old")), "epochs=50")
    text, lacking = ["robot", "android", "girl", "king", "man", "queen", "woman"], ["boy", "prince", "princess"]
    assert begun.words == new.words == text + lacking
    assert new.counts is not None
    assert new.counts.tolist() == [12, 6, 6, 6, 6, 6, 6, 0, 0, 0]
    assert_same_vectors(lacking, new, old)
    assert_same_vectors(text[2:], begun, old)
    assert np.abs(begun.input[:2]).max() <= 0.5 / 4
    assert metrics["cost"] < at_first["cost"] - 0.1
    for before, after in zip(matrices(begun), matrices(new), strict=True):
        assert (before[:7] != after[:7]).any(axis=1).all()
    assert (metrics["continued_words"], metrics["new_words"], metrics["kept_words"]) == (5, 2, 3)
    written = Embeddings.load(tmp_path / saved_file("new", "txt"))
    assert written.words == new.words
    np.testing.assert_array_equal(written.input, new.input.astype(np.float32))


@pytest.mark.parametrize("model", ["skipgram", "cbow"])
def test_negative_sampling_goes_on_and_the_same_config_gives_the_same_bytes(
    command: Command, tmp_path: Path, old: Embeddings, model: str
) -> None:
    choices = [*NEW, *WORD2VEC, f"model={model}", *start(saved_file("old")), "epochs=3"]
    new, _ = train(command, tmp_path / "new", *choices)
    train(command, tmp_path / "again", *choices)
    assert (tmp_path / saved_file("new")).read_bytes() == (tmp_path / saved_file("again")).read_bytes()
    assert_same_vectors(["boy", "prince", "princess"], new, old)
    assert (new["king"] != old["king"]).any()


@pytest.mark.parametrize(("suffix", "dtype"), [("txt", "float64"), ("bin", "float32")])
def test_from_word2vecs_formats_input_vectors_go_on_and_output_weights_start_at_zero(
    command: Command, tmp_path: Path, old: Embeddings, suffix: str, dtype: str
) -> None:
    choices = [*NEW, *start(saved_file("old", suffix)), f"dtype={dtype}"]
    begun, _ = train(command, tmp_path / "begun", *choices, "epochs=0")
    assert begun.input.dtype == dtype
    for word in old.words:
        np.testing.assert_array_equal(begun[word], old[word].astype(np.float32))
    assert begun.output is not None
    assert not begun.output.any()
    new, _ = train(command, tmp_path / "new", *choices, "epochs=5")
    assert new.output is not None
    assert new.output[:7].any(axis=1).all()
    assert not new.output[7:].any()


def test_the_hierarchical_softmax_goes_on_from_input_vectors_alone(
    command: Command, tmp_path: Path, old: Embeddings
) -> None:
    choices = [*NEW, *start(saved_file("old")), "objective=hierarchical_softmax"]
    begun, _ = train(command, tmp_path / "begun", *choices, "epochs=0")
    new, _ = train(command, tmp_path / "new", *choices, "epochs=3")
    for embeddings in (begun, new):
        assert embeddings.output is None
        np.testing.assert_array_equal(embeddings["boy"], old["boy"])
    np.testing.assert_array_equal(begun["king"], old["king"])
    assert (new["king"] != old["king"]).any()


def test_the_words_that_are_kept_are_evaluated_and_probed_as_well(
    command: Command, tmp_path: Path, old: Embeddings
) -> None:
    (tmp_path / "pairs.tsv").write_text("king\tqueen\t9\nprince\tboy\t3\nrobot\tprincess\t7\nking\tunicorn\t1\n")
    evaluation = ["evaluation=standard", "evaluation.word_pairs=[pairs.tsv]", "evaluation.analogies=[]"]
    new, metrics = train(
        command, tmp_path / "new", *NEW, *start(saved_file("old")), *evaluation, "epochs=2", "probes=[prince]"
    )
    score = new.evaluate_word_pairs(tmp_path / "pairs.tsv")
    assert score.known == 3
    assert metrics["word_pairs_pairs"] == score.spearman
    with (tmp_path / "new/artifacts/similar_words.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert [row["similar_1"], row["count"]] == [new.most_similar("prince", topn=1)[0][0], "0"]


# ---------------------------------------------------------------- a run in MLflow


@pytest.mark.usefixtures("store")
def test_a_run_goes_on_from_one_in_the_store_by_id_or_by_name(command: Command, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    tracked = [*SETTINGS, "tracking.plots=false", "bounds=false", "probes=[]"]
    done = command(*tracked, *OLD, "epochs=10")
    assert done.returncode == 0, done.stderr
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (parent,) = client.search_runs(["1"])
    from_run = ["initialization=from_run", f"initialization.run={parent.info.run_id}"]
    done = command(*tracked, *NEW, *from_run, "epochs=2", "tracking.experiment=other")
    assert done.returncode == 0, done.stderr
    (child,) = client.search_runs([client.get_experiment_by_name("other").experiment_id])

    old, new = (
        Embeddings.load(client.download_artifacts(run.info.run_id, "embeddings.npz", tmp_path))
        for run in (parent, child)
    )
    assert_same_vectors(["boy", "prince", "princess"], new, old)
    assert child.data.tags["continued_from"] == parent.info.run_id
    assert child.data.tags["initialization.digest"] == content_digest(old)
    assert child.data.params["initialization"] == "from_run"
    assert child.data.params["initialization.run"] == parent.info.run_id
    assert child.data.metrics["kept_words"] == 3
    assert not {"continued_from", "initialization.digest"} & set(parent.data.tags)

    client.update_run(parent.info.run_id, name="the old one")
    named = ["initialization=from_run", "initialization.run='the old one'"]
    train(command, tmp_path / "named", *NEW, *named, "epochs=2")  # no tracking: the usual store is read
    named_run = Embeddings.load(tmp_path / saved_file("named"))
    assert named_run.input.tobytes() == new.input.tobytes()


def test_a_name_finds_the_only_finished_run_that_has_it(store: Path, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{store}"
    client = MlflowClient(uri)
    ids = {}
    for number, (name, status) in enumerate(
        [("one", "FINISHED"), ("two", "FINISHED"), ("two", "FINISHED"), ("one", "FAILED"), ("it's", "FINISHED")]
    ):
        experiment = client.create_experiment(str(number), (tmp_path / "artifacts").as_uri())
        ids[number] = client.create_run(experiment, run_name=name).info.run_id
        client.set_terminated(ids[number], status)
    assert find_run("one", uri) == ids[0]
    assert find_run("it's", uri) == ids[4]
    assert find_run("0" * 32, uri) == "0" * 32  # an id: whether it is there is seen when it is loaded
    with pytest.raises(UserError, match=rf"2 finished runs .* give an id \(the latest: ({ids[1]}|{ids[2]})\)"):
        find_run("two", uri)
    with pytest.raises(UserError, match=r"no finished run of this id or name in sqlite:///"):
        find_run("three", uri)
    with pytest.raises(UserError, match="cannot be looked up"):
        find_run("'\"", uri)


# ---------------------------------------------------------------- mistakes


@pytest.fixture
def saved(tmp_path: Path) -> None:
    words = [f"w{number}" for number in range(20_000)]
    vectors = np.random.default_rng(0).standard_normal((len(words), 4))
    Embeddings(words, None, vectors).save(tmp_path / "saved.npz")
    (tmp_path / "broken.txt").write_text("2 4\nw0 1 2 3\n")


@pytest.mark.usefixtures("saved")
@pytest.mark.parametrize(
    ("setting", "answer"),
    [
        ("from_file", "initialization.path=: is empty; name a file of embeddings."),
        ("from_file initialization.path=none.npz", "initialization.path=none.npz: no such file, seen from /"),
        ("from_file initialization.path=broken.txt", "initialization.path=broken.txt: broken.txt"),
        (
            "from_file initialization.path=saved.npz dim=5",
            "initialization.path=saved.npz: its vectors have 4 dimensions, and dim=5; set dim=4.",
        ),
        (
            "from_file initialization.path=saved.npz dtype=float32",
            "its vectors are float64, which dtype=float32 would round; set dtype=float64.",
        ),
        ("from_run", "initialization.run=: is empty; give the id of a run, or its name."),
        ("from_run initialization.run=x", "initialization.run=x: tracking.uri=sqlite:///"),
    ],
)
def test_a_mistake_is_answered_before_the_text_is_read(
    command: Command, tmp_path: Path, setting: str, answer: str
) -> None:
    unreadable = ["corpus=text", "corpus.text='1 2 3'", "dim=4"]
    done = command(*unreadable, *f"initialization={setting}".split())
    assert done.returncode == 2
    assert answer in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.usefixtures("saved")
def test_a_text_without_any_of_the_saved_words_is_refused(command: Command, tmp_path: Path) -> None:
    done = command(*SETTINGS, *NEW, *start("saved.npz"))
    assert done.returncode == 2
    assert done.stderr == (
        "initialization.path=saved.npz: the vocabulary of this text, 7 words, has none of its 20000 words; "
        "is the tokenizer another one?\n"
    )
    assert not (tmp_path / "mlflow.db").exists()


def test_a_run_that_is_not_there_or_has_no_embeddings_is_refused(
    command: Command, tmp_path: Path, store: Path
) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{store}")
    experiment = client.create_experiment("x", (tmp_path / "artifacts").as_uri())
    failed = client.create_run(experiment).info.run_id
    client.set_terminated(failed, "FAILED")
    for run, answer in ((failed, "has no embeddings.npz: it is failed"), ("0" * 32, "cannot be read from")):
        done = command(*SETTINGS, *NEW, "initialization=from_run", f"initialization.run='{run}'")
        assert done.returncode == 2
        assert done.stderr.startswith(f"initialization.run={run}: Run {run} ")
        assert answer in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert len(client.search_runs([experiment])) == 1


@pytest.mark.usefixtures("saved")
def test_the_estimate_has_the_saved_vectors_in_it(command: Command) -> None:
    text = ["corpus=text", "corpus.text='w1 w2 w3 w1 w2'", "tokenizer=whitespace", "dim=4"]
    shown = []
    for choice in ([], start("saved.npz")):
        done = command(*text, *choice, "estimate=true", COLUMNS="120")
        assert done.returncode == 0, done.stderr
        (row,) = [line for line in done.stdout.splitlines() if line.startswith("→")]
        shown.append(row.split()[2:4])
    without, with_them = (float(number) for number, unit in shown if unit == "kB")
    assert with_them - without == pytest.approx(20_000 * 4 * 8 / 1000, abs=1)

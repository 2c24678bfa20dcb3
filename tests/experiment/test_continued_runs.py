"""Runs that go on from saved embeddings, with new text and new words."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from plans import plan_of
from processes import Command

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.embeddings import content_digest
from w2v_exp.errors import SettingError, UserError
from w2v_exp.experiment.inputs import Pretrained
from w2v_exp.tracking.load import find_run

OLD_WORDS = ["boy", "girl", "king", "man", "prince", "princess", "queen", "woman"]
OLD_TEXT = "king queen man woman prince princess boy girl " * 6
NEW_TEXT = "king queen man woman robot android robot girl " * 6
OLD = ["corpus=text", f"corpus.text='{OLD_TEXT}'"]
NEW = ["corpus=text", f"corpus.text='{NEW_TEXT}'"]
LACKING = ["boy", "prince", "princess"]  # of the new text, which has besides:
NEW_VOCABULARY = ["robot", "android", "girl", "king", "man", "queen", "woman"]
SETTINGS = ["tokenizer=whitespace", "dim=4", "optimizer=adam", "schedule=constant", "batch_size=4096"]
UNTRACKED = ["tracking=none", "bounds=false"]


def start(path: str) -> list[str]:
    return ["initialization=from_file", f"initialization.path={path}"]


def train(
    command: Command, folder: Path, *overrides: str
) -> tuple[Embeddings, dict[str, float], list[float]]:
    """Return what a run leaves in this folder: embeddings, metrics, the cost of each epoch."""
    done = command(*SETTINGS, *UNTRACKED, *overrides, f"hydra.run.dir={folder.name}")
    assert done.returncode == 0, done.stderr
    metrics = json.loads((folder / "result.json").read_text())["metrics"]
    file, costs = folder / "artifacts" / "costs.csv", []
    if file.exists():
        with file.open(newline="") as stream:
            costs = [
                float(next(value for key, value in row.items() if "cost" in key))
                for row in csv.DictReader(stream)
            ]
    return Embeddings.load(folder / "artifacts" / "embeddings.npz"), metrics, costs


@pytest.fixture
def saved(tmp_path: Path) -> Embeddings:
    """Save some embeddings of the old words in three formats: ``saved.npz``, ``.txt`` and ``.bin``."""
    vectors = np.random.default_rng(5).standard_normal((2, len(OLD_WORDS), 4))
    embeddings = Embeddings(OLD_WORDS, None, vectors[0], vectors[1])
    for suffix in ("npz", "txt", "bin"):
        embeddings.save(tmp_path / f"saved.{suffix}")
    return embeddings


def matrices(embeddings: Embeddings) -> list[np.ndarray]:
    assert embeddings.output is not None
    return [embeddings.input, embeddings.output]


def assert_same_vectors(words: list[str], one: Embeddings, other: Embeddings) -> None:
    for mine, yours in zip(matrices(one), matrices(other), strict=True):
        for word in words:
            assert mine[one.ids[word]].tobytes() == yours[other.ids[word]].tobytes(), word


def test_on_the_same_text_a_run_goes_on_from_the_vectors_and_the_cost_reached(
    command: Command, tmp_path: Path
) -> None:
    train(command, tmp_path / "old", *OLD, "initialization=normal", "epochs=30")
    left = "artifacts/embeddings.npz"
    _, untrained, _ = train(command, tmp_path / "same", *OLD, *start(f"old/{left}"), "epochs=0")
    assert (tmp_path / "same" / left).read_bytes() == (tmp_path / "old" / left).read_bytes()
    _, trained, costs = train(command, tmp_path / "further", *OLD, *start(f"old/{left}"), "epochs=20")
    assert costs[0] == pytest.approx(untrained["cost"], abs=1e-9)  # one step an epoch: that of its beginning
    assert trained["cost"] < costs[0] < np.log(len(OLD_WORDS)) - 0.1
    assert (trained["continued_words"], trained["new_words"], trained["kept_words"]) == (8, 0, 0)


def test_new_words_are_trained_and_words_that_the_new_text_lacks_are_kept_to_the_byte(
    command: Command, tmp_path: Path, saved: Embeddings
) -> None:
    new, metrics, costs = train(command, tmp_path / "new", *NEW, *start("saved.npz"), "epochs=50")
    assert new.words == NEW_VOCABULARY + LACKING
    assert new.counts is not None
    assert new.counts.tolist() == [12, 6, 6, 6, 6, 6, 6, 0, 0, 0]
    assert_same_vectors(LACKING, new, saved)
    for before, after in zip(matrices(saved), matrices(new), strict=True):
        for word in NEW_VOCABULARY[2:]:
            assert (before[saved.ids[word]] != after[new.ids[word]]).all()
        assert np.abs(after[:2]).max() > 0.5 / 4, "which is the most that new words begin with"
    assert costs[-1] < costs[0] - 0.1
    assert (metrics["continued_words"], metrics["new_words"], metrics["kept_words"]) == (5, 2, 3)
    written = Embeddings.load(tmp_path / "new/artifacts/embeddings.txt")
    assert written.words == new.words
    np.testing.assert_array_equal(written.input, new.input.astype(np.float32))


def test_negative_sampling_goes_on_and_the_same_config_gives_the_same_bytes(
    command: Command, tmp_path: Path, saved: Embeddings
) -> None:
    word2vec = [
        "objective=negative_sampling",
        "labels=blocks",
        "optimizer=sgd",
        *start("saved.npz"),
        "epochs=2",
    ]
    left = []
    for run, model in enumerate(("skipgram", "skipgram", "cbow")):
        new, _, _ = train(command, tmp_path / str(run), *NEW, *word2vec, f"model={model}")
        assert_same_vectors(LACKING, new, saved)
        assert (new["king"] != saved["king"]).any()
        left.append((tmp_path / str(run) / "artifacts/embeddings.npz").read_bytes())
    assert left[0] == left[1] != left[2]


@pytest.mark.parametrize(("suffix", "dtype"), [("txt", "float64"), ("bin", "float32")])
def test_from_word2vecs_formats_input_vectors_go_on_and_output_weights_start_at_zero(
    command: Command, tmp_path: Path, saved: Embeddings, suffix: str, dtype: str
) -> None:
    choices = [*NEW, *start(f"saved.{suffix}"), f"dtype={dtype}"]
    begun, _, _ = train(command, tmp_path / "begun", *choices, "epochs=0")
    assert begun.words == NEW_VOCABULARY + LACKING
    assert begun.input.dtype == dtype
    for word in OLD_WORDS:
        np.testing.assert_array_equal(begun[word], saved[word].astype(np.float32))
    assert begun.output is not None
    assert not begun.output.any()


def test_the_hierarchical_softmax_goes_on_with_nodes_made_of_saved_output_vectors(
    command: Command, tmp_path: Path, saved: Embeddings
) -> None:
    choices = [*NEW, *start("saved.npz"), "objective=hierarchical_softmax"]
    begun, _, _ = train(command, tmp_path / "begun", *choices, "epochs=0")
    (before, output), (after, centred) = matrices(saved), matrices(begun)
    old = [word for word in OLD_WORDS if word in NEW_VOCABULARY]
    for words, mean in ((old, True), (LACKING, False)):  # those that the text lacks have no part in its tree
        was, now = [saved.ids[word] for word in words], [begun.ids[word] for word in words]
        np.testing.assert_array_equal(after[now], before[was])
        moved = centred[now] - output[was]
        np.testing.assert_allclose(moved, np.broadcast_to(moved[0], moved.shape), rtol=0, atol=1e-12)
        assert moved.any() == mean


def test_the_hierarchical_softmax_goes_on_from_input_vectors_alone(
    command: Command, tmp_path: Path, saved: Embeddings
) -> None:
    choices = [*NEW, *start("saved.txt"), "objective=hierarchical_softmax", "epochs=1"]
    new, _, costs = train(command, tmp_path / "new", *choices)
    # With weights of zero each turn of a path is as likely as the other, and the first step moves the weights only.
    assert 2 * np.log(2) < costs[0] < 4 * np.log(2)
    for word in OLD_WORDS:
        np.testing.assert_array_equal(new[word], saved[word].astype(np.float32))


def test_the_words_that_are_kept_are_evaluated_and_probed_as_well(
    command: Command, tmp_path: Path, saved: Embeddings
) -> None:
    (tmp_path / "pairs.tsv").write_text(
        "king\tqueen\t9\nprince\tboy\t3\nrobot\tprincess\t7\nking\tunicorn\t1\n"
    )
    evaluation = ["evaluation=standard", "evaluation.word_pairs=[pairs.tsv]", "evaluation.analogies=[]"]
    choices = [*NEW, *start("saved.npz"), *evaluation, "probes=[prince]", "epochs=2"]
    new, metrics, _ = train(command, tmp_path / "new", *choices)
    score = new.evaluate_word_pairs(tmp_path / "pairs.tsv")
    assert score.known == 3
    assert metrics["word_pairs_pairs"] == score.spearman
    with (tmp_path / "new/artifacts/similar_words.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert [row["similar_1"], row["count"]] == [new.most_similar("prince", topn=1)[0][0], "0"]


def test_the_estimate_has_the_saved_vectors_in_it(command: Command, tmp_path: Path) -> None:
    words = [f"w{number}" for number in range(20_000)]
    Embeddings(words, None, np.ones((len(words), 4))).save(tmp_path / "many.npz")
    text = ["corpus=text", "corpus.text='w1 w2 w3 w1 w2'", "tokenizer=whitespace", "dim=4"]
    done = command(*text, *start("many.npz"), "estimate=true", COLUMNS="120")
    assert done.returncode == 0, done.stderr
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("→")]
    needs, unit = row.split()[4:6]  # behind the time, which is in two words as well
    assert unit == "kB"
    assert 640 < float(needs) < 660
    assert [file.name for file in tmp_path.iterdir()] == ["many.npz"]


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
    assert done.stderr == ""  # no bar of MLflow's
    (child,) = client.search_runs([client.get_experiment_by_name("other").experiment_id])

    old, new = (
        Embeddings.load(client.download_artifacts(run.info.run_id, "embeddings.npz", tmp_path))
        for run in (parent, child)
    )
    assert_same_vectors(LACKING, new, old)
    assert child.data.tags["continued_from"] == parent.info.run_id
    assert child.data.tags["initialization.digest"] == content_digest(old)
    assert child.data.params["initialization"] == "from_run"
    assert child.data.params["initialization.run"] == parent.info.run_id
    assert child.data.tags["kept_words"] == "3"
    assert not {"continued_from", "initialization.digest"} & set(parent.data.tags)

    client.update_run(parent.info.run_id, name="the old one")
    named = [
        "initialization=from_run",
        "initialization.run='the old one'",
    ]  # of the usual store: nothing is tracked
    by_name, _, _ = train(command, tmp_path / "named", *NEW, *named, "epochs=2")
    assert by_name.input.tobytes() == new.input.tobytes()


def test_a_name_finds_the_only_finished_run_that_has_it(store: Path, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{store}"
    client = MlflowClient(uri)
    named = [
        ("one", "FINISHED"),
        ("two", "FINISHED"),
        ("two", "FINISHED"),
        ("one", "FAILED"),
        ("it's", "FINISHED"),
    ]
    ids = []
    for number, (name, status) in enumerate(named):
        experiment = client.create_experiment(str(number), (tmp_path / "artifacts").as_uri())
        ids.append(client.create_run(experiment, run_name=name).info.run_id)
        client.set_terminated(ids[number], status)
    assert find_run("one", uri) == ids[0]
    assert find_run("it's", uri) == ids[4]
    assert find_run("0" * 32, uri) == "0" * 32  # an id: whether it is there is seen when it is loaded
    with pytest.raises(
        UserError, match=rf"2 finished runs .* give an id \(the latest: ({ids[1]}|{ids[2]})\)"
    ):
        find_run("two", uri)
    with pytest.raises(UserError, match=r"no finished run with the id or name three in sqlite:///"):
        find_run("three", uri)
    with pytest.raises(UserError, match="cannot be looked up"):
        find_run("'\"", uri)


# ---------------------------------------------------------------- mistakes


def read_pretrained(*overrides: str) -> Pretrained:
    """Read what a configuration goes on from, as a run does before it reads its text."""
    return Pretrained.read(plan_of("dim=4", *overrides))


@pytest.mark.usefixtures("saved")
@pytest.mark.parametrize(
    ("setting", "answer"),
    [
        (
            "from_file initialization.path=saved.npz dim=5",
            "saved.npz: its vectors have 4 dimensions, and dim=5; set",
        ),
        ("from_file initialization.path=none.npz", "initialization.path=none.npz: no such file, seen from /"),
        ("from_run initialization.run=x", "initialization.run=x: tracking.uri=sqlite:///"),
    ],
)
def test_a_mistake_is_answered_before_the_text_is_read(
    command: Command, tmp_path: Path, setting: str, answer: str
) -> None:
    done = command("corpus=text", "corpus.text='1 2 3'", "dim=4", *f"initialization={setting}".split())
    assert done.returncode == 2
    assert answer in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.usefixtures("saved")
@pytest.mark.parametrize(
    ("setting", "answer"),
    [
        ("from_file", "^initialization.path=: is empty; name a file of embeddings.$"),
        ("from_run", "^initialization.run=: is empty; give the id of a run, or its name.$"),
        ("from_file initialization.path=broken.txt", "^initialization.path=broken.txt: broken.txt"),
        (
            "from_file initialization.path=saved.npz dtype=float32",
            "npz: its vectors are float64, which dtype=float32 would round; set dtype=float64.$",
        ),
    ],
)
def test_what_is_no_start_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, setting: str, answer: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.txt").write_text("2 4\nw0 1 2 3\n")
    with pytest.raises(SettingError, match=answer):
        read_pretrained(*f"initialization={setting}".split())


@pytest.mark.usefixtures("saved")
def test_a_text_without_any_of_the_saved_words_is_refused(command: Command, tmp_path: Path) -> None:
    done = command(*SETTINGS, "corpus=text", "corpus.text='King Queen King'", *start("saved.npz"))
    assert done.returncode == 2
    assert done.stderr == (
        "initialization.path=saved.npz: the vocabulary of this text, 2 words, has none of its 8 words; "
        "is the tokenizer different?\n"
    )
    assert not (tmp_path / "mlflow.db").exists()


def test_a_run_that_is_not_there_or_has_no_embeddings_is_refused(store: Path, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{store}"
    client = MlflowClient(uri)
    experiment = client.create_experiment("x", (tmp_path / "artifacts").as_uri())
    failed = client.create_run(experiment).info.run_id
    client.set_terminated(failed, "FAILED")
    for run, answer in ((failed, "has no embeddings.npz: it is failed"), ("f" * 32, "cannot be read from")):
        with pytest.raises(SettingError, match=f"^initialization.run={run}: Run {run} .*{answer}|{answer}"):
            read_pretrained("initialization=from_run", f"initialization.run={run}", f"tracking.uri={uri}")

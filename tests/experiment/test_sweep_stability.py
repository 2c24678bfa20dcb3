"""Stability of the embeddings of real sweeps: at their end, and by `w2v-exp compare --embeddings`."""

import csv
import random
import shutil
from pathlib import Path

import pytest
from in_process import run_in_process
from processes import Command

from w2v_exp.embeddings.stability import compare_runs
from w2v_exp.errors import UserError
from w2v_exp.experiment import stability as experiment_stability
from w2v_exp.reporting.escape import table_text

HOSTILE = ["<b>x</b>", "=1+1", "[bold]", "\u202eevil", "{{7*7}}"]
SETTINGS = [
    "experiment=file_softmax",
    "corpus.path=text.txt",
    "tokenizer=whitespace",
    "dim=8",
    "epochs=2",
    "explorer=none",
    "probes=[]",
]
UNTRACKED = [*SETTINGS, "tracking=none"]


def write_text(folder: Path) -> None:
    """Write a text of 120 words in groups of ten, which keep to themselves: there is something to be learnt."""
    choose = random.Random(0)
    words = [f"w{i}" for i in range(115)] + HOSTILE
    lines = []
    for _ in range(1500):
        group = choose.randrange(12)
        lines.append(" ".join(choose.choices(words[group::12], k=8)))
    (folder / "text.txt").write_text("\n".join(lines), encoding="utf-8")


def table(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return [*csv.DictReader(stream)]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run a sweep of two configurations with three seeds, without a store; return its folder."""
    folder = tmp_path_factory.mktemp("swept")
    write_text(folder)
    done = run_in_process(*UNTRACKED, "window=2,4", "repeats=3", "hydra.sweep.dir=many", "-m", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "nearest neighbours of a word in common, on average." in " ".join(done.stdout.split())
    return folder


@pytest.fixture
def folder(swept: Path, tmp_path: Path) -> Path:
    """Return a copy of the sweep's folder in that of the test."""
    shutil.copytree(swept, tmp_path, dirs_exist_ok=True)
    return tmp_path / "many"


def test_without_a_store_the_folder_is_enough(folder: Path, command: Command, tmp_path: Path) -> None:
    page = (folder / "summary.html").read_text(encoding="utf-8")
    assert '<section id="stability"' in page
    assert "6 runs, 120 shared words, 10 nearest neighbours of each." in page
    done = command("compare", "many", "--embeddings", "--out", "out")
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    for text in (
        "Stability of the embeddings",
        "window=4 –",
        "by chance",
        "1–100",
        "101–120",
        "least stable",
    ):
        assert text in done.stdout
    # All words are compared in both, so that both have the same results.
    for name in ("stability.csv", "stability_words.csv"):
        assert (tmp_path / "out" / name).read_bytes() == (folder / name).read_bytes()
    rows = table(folder / "stability.csv")
    assert [(row["configuration"], row["other"]) for row in rows[::3]] == [
        ("window=4", "window=4"),  # the best
        ("window=2", "window=2"),
        ("window=4", "window=2"),
    ]
    assert [(row["first_rank"], row["last_rank"]) for row in rows[:3]] == [
        ("1", "120"),
        ("1", "100"),
        ("101", "120"),
    ]
    words = table(folder / "stability_words.csv")
    assert {table_text(row["word"]) for row in words} >= set(HOSTILE)
    counts = [int(row["count"]) for row in words]
    assert counts == sorted(counts, reverse=True)
    assert 'id="stability"' in (tmp_path / "out" / "summary.html").read_text(encoding="utf-8")


def test_runs_and_files_by_name(folder: Path, command: Command, tmp_path: Path) -> None:
    named = ["many/0", "many/1", "many/2/artifacts/embeddings.npz"]
    done = command(
        "compare", "--embeddings", *named, "--neighbours=5", "--words=80", "--vectors=input", "--out=out"
    )
    assert done.returncode == 0, done.stderr
    assert "3 runs, the most frequent 80 of 120 shared words, 5 nearest neighbours of each." in done.stdout
    (row,) = table(tmp_path / "out" / "stability.csv")
    sweep = command(
        "compare", "many", "--embeddings", "--neighbours=5", "--words=80", "--vectors=input", "--out=all"
    )
    assert sweep.returncode == 0
    of_sweep = {row["configuration"]: row for row in table(tmp_path / "all" / "stability.csv")[:2]}
    assert row["overlap"] == of_sweep["window=2"]["overlap"]


@pytest.mark.second_tier
@pytest.mark.usefixtures("store")
def test_with_a_store(command: Command, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    write_text(tmp_path)
    done = command(*SETTINGS, "repeats=2", "tracking.plots=false", "-m")
    assert done.returncode == 0, done.stderr
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (summary,) = client.search_runs(["1"], "tags.kind = 'summary'")
    (sweep,) = (tmp_path / "outputs" / "sweeps").iterdir()
    row = table(sweep / "stability.csv")[0]
    for metric, column in (
        ("stability_neighbours", "overlap"),
        ("stability_cosine", "cosine"),
        ("stability_correlation", "correlation"),
    ):
        assert summary.data.metrics[metric] == pytest.approx(float(row[column]))
    files = {file.path for file in client.list_artifacts(summary.info.run_id)}
    assert {"stability.csv", "stability_words.csv", "summary.html"} <= files
    # The embeddings are in the store: from there, and by the folder, which names the store, from elsewhere.
    assert (
        command(*SETTINGS, "tracking.plots=false").returncode == 0
    )  # a copy of the first run is not compared with it
    for arguments in ([], ["--filter", "params.window = '5'"], [str(sweep)]):
        done = command("compare", "--embeddings", *arguments)
        assert done.returncode == 0, done.stderr
        assert "2 runs, 120 shared words" in done.stdout
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = command("compare", "--embeddings", str(sweep), folder=elsewhere)
    assert done.returncode == 0, done.stderr
    # A skipped run has no files of its own.
    done = command(*SETTINGS, "repeats=3", "tracking.plots=false", "resume=true", "-m")
    assert done.returncode == 0, done.stderr
    assert "2 reused" in done.stdout
    done = command("compare", "--embeddings")
    assert "3 runs, 120 shared words" in done.stdout, done.stderr


def test_reused_runs_are_read_from_the_folders_of_the_earlier_ones(command: Command, tmp_path: Path) -> None:
    write_text(tmp_path)
    for name, seeds in (("one", 2), ("two", 3)):
        arguments = [
            *UNTRACKED,
            f"repeats={seeds}",
            f"hydra.sweep.dir=outputs/sweeps/{name}",
            "resume=true",
            "-m",
        ]
        done = command(*arguments)
        assert done.returncode == 0, done.stderr
    assert "2 reused" in done.stdout
    assert "two runs that differ only in their seed have" in " ".join(done.stdout.split())
    assert len(table(tmp_path / "outputs" / "sweeps" / "two" / "stability_words.csv")) == 120
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = command("compare", "--embeddings", str(tmp_path / "outputs" / "sweeps" / "two"), folder=elsewhere)
    assert done.returncode == 2
    assert (
        f"outputs/sweeps/one/0: there is no embeddings.npz of this run, seen from {elsewhere}." in done.stderr
    )
    assert "1 run with embeddings: at least two are needed" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["window=3,5", "dim=10,50", "epochs=3", "tracking=none", "-m"],  # the article's: one seed, 13 words
        ["repeats=2", "epochs=3", "tracking=none", "-m"],
    ],
)
def test_nothing_is_shown_where_there_is_nothing_to_say(
    arguments: list[str], command: Command, tmp_path: Path
) -> None:
    done = command(*arguments, "hydra.sweep.dir=many")
    assert done.returncode == 0, done.stderr
    assert "Stability" not in done.stdout
    assert 'id="stability"' not in (tmp_path / "many" / "summary.html").read_text(encoding="utf-8")
    assert not [*(tmp_path / "many").glob("stability*")]
    done = command("compare", "many", "--embeddings")  # unless it is asked for
    assert "shared words, 1 nearest neighbour of each" in " ".join(done.stdout.split())


def test_damaged_embeddings_do_not_make_a_sweep_fail(
    folder: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "0" / "artifacts" / "embeddings.npz").write_bytes(b"damaged")
    done = command("compare", "many", "--embeddings")
    assert done.returncode == 0
    assert "embeddings.npz" in done.stderr
    assert "Left out, without embeddings: window=2 seed=0." in " ".join(done.stdout.split())

    def fail(*_: object, **__: object) -> None:
        raise UserError("no memory.")

    monkeypatch.setattr(experiment_stability, "compare_runs", fail)
    done = command(*UNTRACKED, "window=2", "repeats=2", "hydra.sweep.dir=again", "-m")
    assert done.returncode == 0
    assert "The stability of the embeddings is not computed: no memory." in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["many", "many"],
            "Several runs are compared with --embeddings; without it, give one folder of a sweep.",
        ),
        (["many", "--words", "9"], "--words: needs --embeddings."),
        (["many", "--embeddings", "--words", "0"], "must be a whole number"),
        (["many", "--embeddings", "--words", "1"], "--words=1: must be a whole number, 2 or more."),
        (["--embeddings", "nothing.npz", "many/0"], "nothing.npz: no such file"),
        (["--embeddings", "many/99", "many/0"], "many/99: no such file"),
        (
            ["--embeddings", "nowhere"],
            "nowhere: not the folder of a sweep (it has no sweep.json). Runs are compared",
        ),
        (["--embeddings", "many", "--sweep", "x"], "not allowed with argument"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], message: str, command: Command, tmp_path: Path) -> None:
    (tmp_path / "many" / "0").mkdir(parents=True)
    (tmp_path / "many" / "0" / "embeddings.txt").write_text("")
    done = command("compare", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_report_of_a_sweep_is_bounded(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    from w2v_exp.experiment.report import distinct
    from w2v_exp.reporting.comparison import compare
    from w2v_exp.results import Sweep, read_results

    comparison = compare(distinct(read_results(folder, Sweep.read(folder))))
    size = (folder / "0" / "artifacts" / "embeddings.npz").stat().st_size
    monkeypatch.setattr(experiment_stability, "MOST_BYTES", 3 * size + 100)  # of the first configuration
    report = experiment_stability.sweep_stability(comparison, None)
    assert report is not None
    assert report.stability.runs == 3
    assert report.notes[0] == "Compared are 1 of 2 configurations: the first ones with several seeds."
    monkeypatch.setattr(experiment_stability, "MOST_BYTES", size + 100)
    assert experiment_stability.sweep_stability(comparison, None) is None
    monkeypatch.undo()
    monkeypatch.setattr(experiment_stability, "SAMPLED_WORDS", 15)
    report = experiment_stability.sweep_stability(comparison, None)
    assert report is not None
    assert len(report.stability.words) == 30
    assert "Neighbours are those of 30 words" in report.notes[-1]
    assert compare_runs is experiment_stability.compare_runs

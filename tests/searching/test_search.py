"""A search by the command line: its trials are runs like others, and it survives what a sweep survives."""

from __future__ import annotations

import csv
import re
import shlex
import shutil
import signal
from pathlib import Path
from typing import Any

import optuna
import pytest
from in_process import run_in_process
from mlflow import MlflowClient
from omegaconf import OmegaConf
from optuna.trial import TrialState
from processes import Command

from w2v_exp.config import register_schema
from w2v_exp.errors import UserError
from w2v_exp.experiment import cli
from w2v_exp.experiment.command import check_command, parse

SEARCH = ["hydra/sweeper=optuna", "hydra.sweeper.study_name=found", "-m"]
SPACE = ["dim=range(4,20)", "learning_rate=tag(log,interval(0.001,1))"]
QUICK = ["explorer=none", "epochs=20", "hydra.sweeper.startup_trials=2"]
STORED = [*QUICK, "tracking.plots=false"]
FOLDER = Path("outputs/sweeps/found")


def study(folder: Path) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.load_study(study_name="found", storage=f"sqlite:///{folder / FOLDER / 'study.db'}")


def values(searched: optuna.Study) -> list[tuple[Any, ...]]:
    """Return what the trials of a search were given and what they came to, without those that were interrupted."""
    interrupted = searched.user_attrs.get("interrupted", [])
    trials = [trial for trial in searched.trials if trial.number not in interrupted]
    return [(*trial.params.values(), trial.value) for trial in trials]


def runs_of(store: Path) -> list[Any]:
    client = MlflowClient(f"sqlite:///{store}")
    (experiment,) = [e for e in client.search_experiments() if e.name == "w2v_exp"]
    found = client.search_runs([experiment.experiment_id])
    return [run for run in found if run.data.tags.get("kind") != "summary"]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Any:
    """Return the folder of a search of three trials, and what it said."""
    folder = tmp_path_factory.mktemp("search")
    shutil.copy(empty_store, folder / "mlflow.db")
    fixed = "learning_rate=0.02"  # the search replaces it
    done = run_in_process(*SEARCH, fixed, *SPACE, *STORED, "hydra.sweeper.n_trials=3", folder=folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_each_trial_is_a_run_of_the_store_and_its_metric_the_value(searched: Any) -> None:
    folder, _ = searched
    runs = {int(run.data.tags["trial"]): run for run in runs_of(folder / "mlflow.db")}
    trials = study(folder).trials
    assert sorted(runs) == [trial.number for trial in trials] == list(range(3))
    for trial in trials:
        run = runs[trial.number]
        assert trial.state == TrialState.COMPLETE
        assert trial.value == run.data.metrics["cost"]
        assert {key: str(value) for key, value in trial.params.items()} == {
            key: run.data.params[key] for key in ("dim", "learning_rate")
        }
        assert (run.data.tags["study"], run.data.tags["sweep"]) == ("found", "found")
        assert run.data.tags["fingerprint"]
        assert trial.user_attrs["run_id"] == run.info.run_id


def test_it_ends_as_a_grid_does_and_names_its_best(searched: Any, command: Command, store: Path) -> None:
    folder, said = searched
    with (folder / FOLDER / "comparison.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 3
    costs = [float(row["cost"]) for row in rows]
    assert costs == sorted(costs)  # by what was sought
    assert "Ranked by cost, lowest first." in searched[1]
    assert "<html" in (folder / FOLDER / "summary.html").read_text()
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    (summary,) = client.search_runs(["1"], "tags.kind = 'summary'")
    assert summary.info.run_name == "summary: dim × learning_rate"
    best = study(folder).best_trial
    (line,) = [line for line in said.splitlines() if line.startswith("Best: ")]
    assert line.startswith(f"Best: cost={best.value:.6g}, trial {best.number} (3 trials). Again: ")
    name, *again = shlex.split(line.partition("Again: ")[2])
    assert name == "w2v-exp"
    keys = [text.partition("=")[0] for text in again]
    assert sorted(keys) == sorted({*keys})
    done = command(*again, f"tracking.uri=sqlite:///{store}")
    assert done.returncode == 0, done.stderr
    (run,) = runs_of(store)
    assert run.data.metrics["cost"] == best.value


@pytest.mark.slow
def test_a_search_that_goes_on_does_what_it_would_have_done_at_once(
    searched: Any, command: Command, tmp_path: Path
) -> None:
    for trials in (1, 3):
        done = command(*SEARCH, *SPACE, *QUICK, "tracking=none", f"hydra.sweeper.n_trials={trials}")
        assert done.returncode == 0, done.stderr
        assert len(study(tmp_path).trials) == trials
    assert values(study(tmp_path)) == values(study(searched[0]))
    assert f"{FOLDER}" in done.stdout
    with (tmp_path / FOLDER / "comparison.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 3


@pytest.mark.parametrize("killed_by", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_search_that_is_killed_comes_to_the_same_trials(
    killed_by: int, searched: Any, process_command: Command, tmp_path: Path, store: Path
) -> None:
    asked = [*SEARCH, *SPACE, *STORED, "hydra.sweeper.n_trials=3"]
    killed = process_command(
        *asked, killed_by=killed_by, killed_at=(f"{FOLDER}/1/artifacts/vocabulary.tsv", 1)
    )
    assert killed.returncode == (-9 if killed_by == signal.SIGKILL else 130), killed.stderr
    states = [trial.state for trial in study(tmp_path).trials]
    assert states[0] == TrialState.COMPLETE
    assert (TrialState.RUNNING in states) == (killed_by == signal.SIGKILL)
    done = process_command(*asked)
    assert done.returncode == 0, done.stderr
    assert "(3 trials)" in done.stdout
    after = study(tmp_path)
    assert after.user_attrs["interrupted"] == [1]
    assert after.trials[1].state == TrialState.FAIL
    assert after.trials[2].params == after.trials[1].params
    assert values(after) == values(study(searched[0]))
    with (tmp_path / FOLDER / "comparison.csv").open() as stream:
        assert [row["status"] for row in csv.DictReader(stream)] == ["FINISHED"] * 3
    statuses = sorted(run.info.status for run in runs_of(store))
    assert statuses.count("FINISHED") == 3
    assert set(statuses) <= {"FINISHED", "KILLED"}


@pytest.mark.slow
def test_a_trial_that_was_killed_goes_on_from_its_checkpoint(
    process_command: Command, tmp_path: Path, store: Path
) -> None:
    asked = [
        *SEARCH,
        *SPACE,
        *STORED,
        "epochs=20000",
        'checkpoint.every="100 epochs"',
        "hydra.sweeper.n_trials=2",
    ]
    killed = process_command(*asked, killed_at=("outputs/checkpoints/*/checkpoint.npz", 1))
    assert killed.returncode == -9
    done = process_command(*asked)
    assert done.returncode == 0, done.stderr
    assert "Resuming from checkpoint" in done.stdout + done.stderr
    assert study(tmp_path).user_attrs["interrupted"] == [0]
    runs = {run.data.tags["trial"]: run for run in runs_of(store)}
    assert sorted(runs) == ["1", "2"]
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert runs["1"].data.tags["continued"] == "1"


def test_a_trial_that_fails_is_told_and_the_search_goes_on(command: Command, tmp_path: Path) -> None:
    rates = "learning_rate=choice(0.05,1e300)"
    done = command(*SEARCH, rates, *QUICK, "tracking=none", "hydra.sweeper.n_trials=5")
    assert done.returncode == 0, done.stderr
    by_rate = {trial.params["learning_rate"]: trial for trial in study(tmp_path).trials}
    assert by_rate["0.05"].state == TrialState.COMPLETE
    assert by_rate["1e+300"].state == TrialState.FAIL
    assert by_rate["1e+300"].user_attrs["reason"]
    failed = sum(trial.state == TrialState.FAIL for trial in study(tmp_path).trials)
    assert f"(5 trials, {failed} of which failed)" in done.stdout


def test_the_same_values_are_trained_once_and_told_each_time(
    command: Command, tmp_path: Path, store: Path
) -> None:
    done = command(*SEARCH, "dim=4,6", *STORED, "hydra.sweeper.n_trials=3", "hydra.sweeper.n_jobs=3")
    assert done.returncode == 0, done.stderr
    runs = {run.data.params["dim"]: run for run in runs_of(store)}
    assert len(runs) == len(runs_of(store)) <= 2
    for trial in study(tmp_path).trials:
        assert trial.value == runs[trial.params["dim"]].data.metrics["cost"]
        assert trial.user_attrs["run_id"] == runs[trial.params["dim"]].info.run_id
    with (tmp_path / FOLDER / "comparison.csv").open() as stream:
        assert [row["runs"] for row in csv.DictReader(stream)] == ["1"] * len(runs)  # no repeats


def test_joblib_does_several_trials_at_once(process_command: Command, tmp_path: Path) -> None:
    done = process_command(
        *(
            *SEARCH,
            "dim=range(4,20)",
            *QUICK,
            "tracking=none",
            "hydra.sweeper.n_trials=2",
            "hydra.sweeper.n_jobs=2",
        ),
        *("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
    )
    assert done.returncode == 0, done.stderr
    with (tmp_path / FOLDER / "comparison.csv").open() as stream:
        costs = {row["dim"]: float(row["cost"]) for row in csv.DictReader(stream)}
    assert costs == {str(trial.params["dim"]): trial.value for trial in study(tmp_path).trials}
    assert len(costs) == 2


def test_a_metric_that_turns_out_not_to_be_logged_ends_the_search(command: Command, tmp_path: Path) -> None:
    """Whether the words of an evaluation set are known is not known before."""
    done = command(
        *(*SEARCH, "dim=range(4,20)", *QUICK, "tracking=none", "hydra.sweeper.metric=wordsim353"),
        *("evaluation=standard", "evaluation.analogies=[]"),
    )
    assert done.returncode == 2
    assert "hydra.sweeper.metric=wordsim353: is not logged by a finished run; it has logged: " in done.stderr
    assert [trial.state for trial in study(tmp_path).trials] == [TrialState.FAIL]


@pytest.mark.cases(every=3)
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "hydra/sweeper=optuna: needs a search space. Add keys"),
        (
            ["dim=interval(4,50)"],
            "dim=4.0: must be a whole number. For whole numbers write int(interval(4,50)).",
        ),
        (["optimizer=choice(sgd,adm)"], "optimizer=adm: not an option, did you mean adam?"),
        (["dim=interval(5,1)"], "dim=interval(5,1): the end of an interval must be above its start."),
        (["dim=range(0,5)"], "dim=0: must be a whole number, 1 or more."),
        (
            ["dim=4,5", "hydra.sweeper.metric=cots"],
            "hydra.sweeper.metric=cots: is not logged by these runs, did you",
        ),
        (
            ["dim=4,5", "hydra.sweeper.metric=validation_cost"],
            "hydra.sweeper.metric=validation_cost: is not logged",
        ),
        (
            ["dim=4,5", "hydra.sweeper.direction=up"],
            "hydra.sweeper.direction=up: not an option. Options: minimize,",
        ),
        (
            ["dim=4,5", "hydra.sweeper.n_trials=0"],
            "hydra.sweeper.n_trials=0: must be a whole number, 1 or more.",
        ),
        (
            ["dim=4,5", "hydra.sweeper.n_trial=5"],
            "hydra.sweeper.n_trial: unknown key, did you mean hydra.sweeper.n_",
        ),
        (
            ["dim=4,5", "hydra.sweeper.study_name=a/b"],
            "hydra.sweeper.study_name=a/b: must be the name of a folder:",
        ),
        (
            ["dim=4,5", "hydra.sweeper.storage=postgresql://me:secret@host/studies"],
            "hydra.sweeper.storage=postgresql://…@host/studies: must not hold a password",
        ),
        (
            ["dim=4,5", "hydra.sweep.subdir=x"],
            "hydra.sweep.subdir: a search numbers the folders of its trials.",
        ),
        (["dim=4,5", "repeats=3"], "repeats=3: is not supported in a search"),
    ],
)
def test_what_cannot_be_searched_is_said_before_anything_is_done(arguments: list[str], said: str) -> None:
    register_schema()
    with pytest.raises(UserError) as raised:
        check_command(parse(["hydra/sweeper=optuna", "-m", *arguments]))
    assert str(raised.value).startswith(said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["hydra/sweeper=optuna", "dim=4"], "hydra/sweeper=optuna: a search has several runs; add -m."),
        (
            ["dim=interval(4,50)", "-m"],
            "dim=interval(4,50): an interval has no list of values. A search draws from",
        ),
        (["dim=interval(4,50)"], "dim=interval(4,50): several values make a sweep; add -m to run it."),
    ],
)
def test_a_space_without_a_search_and_a_search_without_runs_are_refused(
    arguments: list[str], said: str
) -> None:
    register_schema()
    with pytest.raises(UserError) as raised:
        check_command(parse(arguments))
    assert str(raised.value).startswith(said)


def begin(folder: Path, *arguments: str) -> Any:
    register_schema()
    command = check_command(parse(["hydra/sweeper=optuna", "-m", "dim=4,5", *arguments]))
    assert command.search
    config = OmegaConf.masked_copy(command.config, [str(key) for key in command.config if key != "hydra"])
    folder.mkdir(exist_ok=True)
    return command.search.open_study(config, folder)


def test_a_study_is_named_by_its_folder(tmp_path: Path) -> None:
    assert begin(tmp_path).name == tmp_path.name


@pytest.mark.second_tier
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ("epochs=7", "with epochs=5000, not 7."),
        ("dim=4,6", "with dim=4,5, not 4,6."),
        ("optimizer=adam", "with optimizer.name=sgd, not adam."),
        ("hydra.sweeper.direction=maximize", "with hydra.sweeper.direction=minimize, not maximize."),
    ],
)
def test_what_has_another_meaning_does_not_go_on_in_a_study(changed: str, said: str, tmp_path: Path) -> None:
    begin(tmp_path)
    begin(tmp_path, "hydra.sweeper.n_trials=50", "tracking=none", "checkpoint=none")
    with pytest.raises(UserError, match=said):
        begin(tmp_path, changed)


def test_a_study_elsewhere_is_shared_but_not_its_open_trials(tmp_path: Path) -> None:
    """Two machines may search with one study; what is open on the other one is left to it."""
    arguments = (
        f"hydra.sweeper.storage=sqlite:///{tmp_path / 'shared.db'}",
        "hydra.sweeper.study_name=found",
    )
    one = begin(tmp_path / "one", *arguments)
    here, there = one.study.ask(), one.study.ask()
    here.set_user_attr("folder", one.folder_id())
    other = begin(tmp_path / "other", *arguments)
    there.set_user_attr("folder", other.folder_id())
    assert {trial.state for trial in one.study.trials} == {TrialState.RUNNING}
    one = begin(tmp_path / "one", *arguments)
    assert [trial.state for trial in one.study.trials][:2] == [TrialState.FAIL, TrialState.RUNNING]
    assert one.interrupted == [here.number]


def test_a_storage_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    for url in ("foo", f"sqlite:///{tmp_path / 'no' / 'folder.db'}"):
        with pytest.raises(UserError, match="cannot be used as Optuna's database"):
            begin(tmp_path, f"hydra.sweeper.storage={url}")


@pytest.mark.second_tier
@pytest.mark.parametrize(("known", "code"), [(29, 2), (30, 0)])
def test_a_search_for_a_score_of_too_few_pairs_names_no_best_and_says_why(
    known: int, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"w{number}" for number in range(40)]
    pairs = [(words[i], words[(7 * i + 3) % 40]) for i in range(known)] + [("unknown", "words")] * 5
    (tmp_path / "pairs.tsv").write_text("".join(f"{a}\t{b}\t{i % 10}\n" for i, (a, b) in enumerate(pairs)))
    (tmp_path / "text.txt").write_text(" ".join(words * 3))
    monkeypatch.chdir(tmp_path)
    sets = ["evaluation=standard", "evaluation.word_pairs=[pairs.tsv]", "evaluation.analogies=[]"]
    text = ["corpus=file", "corpus.path=text.txt", "tokenizer=whitespace", "tracking=none", "explorer=none"]
    search = [*SEARCH, "hydra.sweeper.metric=word_pairs_pairs", "hydra.sweeper.n_trials=2"]
    assert cli.run([*text, *sets, *search, "dim=range(2,9)", "epochs=2"]) == code
    said = capsys.readouterr()
    if code:
        assert "No trial can be ranked by word_pairs_pairs (1 trials, 1 of which failed)." in said.out
        assert (
            f"hydra.sweeper.metric=word_pairs_pairs: {known} of {known + 5} pairs or questions are in"
            in said.err
        )
        assert "Best:" not in said.out
    else:
        assert re.search(
            rf"Best: word_pairs_pairs=[-.\d]+ \({known}/{known + 5}\), trial \d \(2 trials\)", said.out
        )
        assert f"({known}/{known + 5})" in " ".join(said.out.split("Ranked by")[0].split())

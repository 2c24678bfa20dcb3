"""Hydra's keys for folders, in every form that Hydra takes; and that no two runs share a folder."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.entities import RunTag
from omegaconf import OmegaConf

from w2v_exp.config import Sources, literal, parse_overrides, quoted, register_schema
from w2v_exp.errors import UserError
from w2v_exp.experiment.cli import run
from w2v_exp.experiment.command import check_command, parse
from w2v_exp.experiment.folders import (
    ARTIFACTS,
    clear_earlier,
    new_folder,
    require_free,
    sweep_lock,
)
from w2v_exp.files import locked
from w2v_exp.results import RESULT_FILE, RunResult, write_result
from w2v_exp.tracking.history import LOCK, process_tags
from w2v_exp.tracking.journal import End, Header, Journal
from w2v_exp.tracking.store import open_store
from w2v_exp.tracking.upload import Cursor, is_uploaded

QUICK = ["tracking=none", "epochs=1", "dim=2", "explorer=none", "checkpoint=none", "bounds=false"]
YEAR = f"{datetime.now():%Y}"
# As it stands on a command line, and the folder that is meant.
FOLDERS = [
    ("plain", "plain"),
    ("'my runs/one'", "my runs/one"),
    ('"it\'s here"', "it's here"),
    ("a=b", "a=b"),
    (r"a\,b", "a,b"),
    ("'a,b'", "a,b"),
    ("'[x]'", "[x]"),
    ("'$5 (50%)'", "$5 (50%)"),
    ("josé", "josé"),
    ("logs/${now:%Y}", f"logs/{YEAR}"),
    ("'logs/${now:%Y}/${hydra.job.name}'", f"logs/{YEAR}/w2v_exp"),
    ("${hydra:job.name}", "w2v_exp"),
    ("${oc.env:PLACE}/x", "from env/x"),
    ("w${window}", "w3"),
    ("./deep/er", "deep/er"),
]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLACE", "from env")
    return tmp_path


def results(folder: Path) -> set[str]:
    return {str(file.parent.relative_to(folder)) for file in folder.rglob("result.json")}


@pytest.mark.cases(every=2)
@pytest.mark.parametrize(("mode", "prefix"), [("run", ""), ("sweep", "++")])
@pytest.mark.usefixtures("here")
def test_a_folder_is_what_is_composed(mode: str, prefix: str) -> None:
    register_schema()
    for text, meant in FOLDERS:
        (override,) = parse_overrides([f"{prefix}hydra.{mode}.dir={text}"])
        assert str(new_folder(Sources().compose([str(override.input_line)]), mode)) == meant


@pytest.mark.cases(every=3)
@pytest.mark.parametrize(
    "text", ["", "' '", r"'\${no}'", "[x]", "${no}", "${hydra.job.num}", "null", "file", "file/x"]
)
def test_what_can_be_no_folder_is_refused(text: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "file").touch()
    for mode, swept in (("run", []), ("sweep", ["seed=0,1", "-m"])):
        assert run([*QUICK, f"hydra.{mode}.dir={text}", *swept]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"hydra.{mode}.dir" in line
    assert [file.name for file in here.iterdir()] == ["file"]


def test_runs_and_sweeps_are_where_their_composed_folder_is(here: Path) -> None:
    assert run([*QUICK, "hydra.run.dir='one, ${now:%Y}'"]) == 0
    assert run([*QUICK, "hydra.sweep.dir='it\\'s [many], ${now:%Y}'", "seed=0,1", "-m"]) == 0
    many = f"it's [many], {YEAR}"
    assert results(here) == {f"one, {YEAR}", f"{many}/0", f"{many}/1"}
    assert (here / many / "summary.html").exists()


OWN = """\
# @package _global_
hydra:
  run:
    dir: mine/${oc.env:PLACE}
  sweep:
    dir: many/${now:%Y}
    subdir: s${seed}
  job:
    chdir: true
"""


@pytest.mark.second_tier
@pytest.mark.parametrize("flag", ["--config-dir", "--config-path"])
@pytest.mark.parametrize("option", ["experiment", "sweep"])
def test_folders_of_the_users_own_file_count(option: str, flag: str, here: Path) -> None:
    (here / "josé's, [conf]=$1" / option).mkdir(parents=True)
    (here / "josé's, [conf]=$1" / option / "own.yaml").write_text(OWN)
    flags = [flag, "josé's, [conf]=$1", f"{option}=own"]
    assert run([*QUICK, *flags]) == 0
    assert run([*QUICK, *flags, "seed=0,1", "-m"]) == 0
    assert results(here) == {"mine/from env", f"many/{YEAR}/s0", f"many/{YEAR}/s1"}


def test_a_primary_configuration_of_the_users_own_inherits_the_shipped_one(here: Path) -> None:
    (here / "conf").mkdir()
    (here / "conf" / "mine.yaml").write_text(
        "defaults: [config, _self_]\nhydra: {run: {dir: mine}, searchpath: ['file://more']}\nwindow: 2\n"
    )
    (here / "more" / "experiment").mkdir(parents=True)
    (here / "more" / "experiment" / "other.yaml").write_text("# @package _global_\ndim: 3\n")
    assert run([*QUICK[:2], *QUICK[3:], "-cd", "conf", "-cn", "mine", "experiment=other"]) == 0
    config = OmegaConf.load(here / "mine" / ".hydra" / "config.yaml")
    assert (config.window, config.dim) == (2, 3)


@pytest.mark.parametrize("launcher", ["basic", pytest.param("joblib", marks=pytest.mark.slow)])
def test_relative_paths_are_meant_from_the_folder_of_the_command(launcher: str, here: Path) -> None:
    (here / "t.txt").write_text("alpha beta gamma alpha beta gamma delta\n" * 3)
    (here / "pairs.tsv").write_text("alpha\tbeta\t1\nbeta\tgamma\t2\ngamma\tdelta\t3\n")
    corpus = ["corpus=file", "corpus.path=t.txt", "tokenizer=word", "hydra.job.chdir=true"]
    assert run([*QUICK, *corpus, "hydra.run.dir=first"]) == 0
    again = ["initialization=from_file", "initialization.path=first/artifacts/embeddings.npz"]
    sets = ["evaluation=standard", "evaluation.word_pairs=[pairs.tsv]", "evaluation.analogies=[]"]
    chosen = [
        *corpus,
        *again,
        *sets,
        "hydra.sweep.dir=many",
        "cache.folder=kept",
        f"hydra/launcher={launcher}",
    ]
    assert run([*QUICK, *chosen, "seed=0,1", "-m"]) == 0
    assert results(here) == {"first", "many/0", "many/1"}
    assert {file.name for file in here.iterdir()} <= {"t.txt", "pairs.tsv", "first", "many", "kept"}


def test_a_store_is_in_the_folder_of_the_command(here: Path, store: Path) -> None:
    stored = [text for text in QUICK if text != "tracking=none"] + ["tracking.plots=false"]
    assert run([*stored, "hydra.job.chdir=true"]) == 0
    assert [*here.rglob("*.db")] == [store]


@pytest.mark.cases(every=3)
@pytest.mark.parametrize(
    ("subdir", "shared"),
    [
        ("w${window}", "w2: runs 1 and 2 of 4"),
        ("${optimizer.name}", "sgd: runs 1 and 2 of 4"),
        ("x", "x: runs 1 and 2 of 4"),
        ("${window}${seed}/../${window}", "21/../2: runs 1 and 2 of 4"),
        ("${now:%Y}", f"{YEAR}: runs 1 and 2 of 4"),
        ("../${hydra.job.num}", "../0: must be a folder of its own below"),
        ("/tmp/${hydra.job.num}", "/tmp/0: must be a folder of its own below"),
        ("summary", "summary: must be a folder of its own below"),
        (".", ".: must be a folder of its own below"),
    ],
)
def test_runs_that_would_share_a_folder_are_refused(subdir: str, shared: str, here: Path) -> None:
    register_schema()
    with pytest.raises(UserError) as raised:
        check_command(parse([*QUICK, f"hydra.sweep.subdir='{subdir}'", "window=2,3", "seed=0,1", "-m"]))
    assert str(raised.value).startswith(f"hydra.sweep.subdir={shared}")
    assert not [*here.iterdir()]


@pytest.mark.second_tier
def test_every_run_has_the_subdir_that_is_composed_for_it(here: Path) -> None:
    subdir = "hydra.sweep.subdir='${hydra.job.num}/${hydra.job.override_dirname}/${optimizer.name}'"
    swept = ["optimizer=sgd,adam", "window=2,3", "-m"]
    exclude = (
        "hydra.job.config.override_dirname.exclude_keys=[tracking,epochs,dim,explorer,checkpoint,bounds]"
    )
    assert run([*QUICK, subdir, exclude, "hydra.sweep.dir=many", *swept]) == 0
    assert results(here) == {
        f"many/{number}/optimizer={name},window={window}/{name}"
        for number, (name, window) in enumerate([("sgd", 2), ("sgd", 3), ("adam", 2), ("adam", 3)])
    }


@pytest.mark.second_tier
def test_a_used_folder_gives_nothing_to_the_next_sweep(here: Path) -> None:
    assert run([*QUICK, "hydra.sweep.dir=many", "window=2,3,4", "-m"]) == 0
    (here / "many" / "notes.txt").write_text("mine")
    assert run([*QUICK, "hydra.sweep.dir=many", "window=5,6", "-m"]) == 0
    rows = (here / "many" / "comparison.csv").read_text().splitlines()[1:]
    assert sorted(row.partition(",")[0] for row in rows) == ["5", "6"]
    assert (here / "many" / "2" / "result.json").exists()  # not of this sweep, and not in its way
    assert (here / "many" / "notes.txt").exists()


def test_a_living_sweep_keeps_others_out(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with sweep_lock(here / "many"):
        assert run([*QUICK, "hydra.sweep.dir=many", "window=2,3", "-m"]) == 2
        assert "many: in use by another sweep" in capsys.readouterr().err
        assert not results(here)
    assert run([*QUICK, "hydra.sweep.dir=many", "window=2,3", "-m"]) == 0
    assert not (here / "many" / "sweep.lock").exists()


def test_a_folder_that_another_run_needs_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = here / "one"
    one.mkdir()
    with locked(one / LOCK):
        assert run([*QUICK, "hydra.run.dir=one"]) == 2
    assert "one: in use by another run" in capsys.readouterr().err
    (one / "pending.json").write_text("{}")
    assert run([*QUICK, "hydra.run.dir=one"]) == 2
    assert "is not in MLflow yet" in capsys.readouterr().err
    assert not results(here)


@pytest.mark.parametrize("name", ["artifacts/thesis.pdf", "artifacts/config.yaml", "result.json"])
def test_what_is_not_of_a_run_is_neither_uploaded_nor_deleted(name: str, here: Path) -> None:
    file = here / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")
    assert run([*QUICK, "hydra.run.dir=."]) == 2
    assert file.read_text() == "mine"
    assert not (here / LOCK).exists()


def test_a_run_in_a_used_folder_has_only_its_own_files(here: Path) -> None:
    assert run([*[text for text in QUICK if "explorer" not in text], "hydra.run.dir=one"]) == 0
    assert (here / "one" / ARTIFACTS / "explorer.html").exists()
    assert run([*QUICK, "window=2", "hydra.run.dir=one"]) == 0
    assert not (here / "one" / ARTIFACTS / "explorer.html").exists()
    assert json.loads((here / "one" / "result.json").read_text())["status"] == "FINISHED"


def test_the_files_of_a_run_are_those_that_are_cleared(here: Path, store: Path) -> None:
    """A file of a new name would have a used folder refused."""
    (here / "pairs.tsv").write_text("you\tnot\t1\nnot\tlight\t2\nlight\tthat\t3\n")
    sets = ["evaluation=standard", "evaluation.word_pairs=[pairs.tsv]", "evaluation.analogies=[]"]
    from mlflow import MlflowClient

    assert run(["epochs=2", "dim=2", *sets, "hydra.run.dir=one"]) == 0
    client = MlflowClient(f"sqlite:///{store}")
    (found,) = client.search_runs(["1"])
    files = [file.path for file in client.list_artifacts(found.info.run_id)]
    assert {"cost.png", "evaluation.json", "neighbours.json", "explorer.html"} <= set(files)
    artifacts = here / "one" / ARTIFACTS
    artifacts.mkdir()
    for file in files:
        (artifacts / file).touch()
    require_free(here / "one")
    clear_earlier(here / "one")
    assert not [*artifacts.iterdir()]


@given(st.text(alphabet="\\${}'\" ,=[]():%#ab/~é\t"))
def test_a_quoted_text_means_itself(text: str) -> None:
    (override,) = parse_overrides([f"key={quoted(text)}"])
    assert OmegaConf.create({"key": override.value()}).key == text
    assert OmegaConf.create({"key": literal(text)}).key == text


def test_the_result_of_a_run_that_was_killed_before_it_had_a_lock_is_replaced(tmp_path: Path) -> None:
    lost = RunResult(name="lost", swept={}, seed=0, status="KILLED", reason="its process was killed")
    write_result(lost, tmp_path, None)
    require_free(tmp_path)
    clear_earlier(tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / RESULT_FILE).write_text('{"mine": true}')
    with pytest.raises(UserError, match=RESULT_FILE):
        require_free(tmp_path)
    clear_earlier(tmp_path)
    assert (tmp_path / RESULT_FILE).read_text() == '{"mine": true}'


def elsewhere(here: Path, run: str) -> Cursor:
    return Cursor(f"sqlite:///{here / 'other.db'}", "w2v_exp", run_id=run)


def of_a_living_run(here: Path, run: str) -> Cursor:
    store = f"sqlite:///{here / 'mlflow.db'}"
    MlflowClient(store).log_batch(
        run, tags=[RunTag(key, value) for key, value in process_tags(here / "living").items()]
    )
    return Cursor(store, "w2v_exp", run_id=run)


def of_a_run_that_is_gone(here: Path, run: str) -> Cursor:
    return Cursor(f"sqlite:///{here / 'mlflow.db'}", "w2v_exp", run_id="0" * 32)


@pytest.mark.cases(every=3)
@pytest.mark.parametrize(
    ("left", "problem"),
    [
        (elsewhere, r"for another store, sqlite:///.*other\.db"),
        (of_a_living_run, "cannot be uploaded: run [0-9a-f]{32} is alive in .*living"),
        (of_a_run_that_is_gone, "cannot be uploaded: .*0{32}"),
    ],
)
@pytest.mark.parametrize(
    ("place", "subdir"), [(["hydra.run.dir=one"], ""), (["hydra.sweep.dir=one", "seed=0,1", "-m"], "1")]
)
def test_data_that_cannot_be_uploaded_to_the_store_are_refused_before_anything_is_done(
    place: list[str],
    subdir: str,
    left: Callable[[Path, str], Cursor],
    problem: str,
    here: Path,
    store: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    opened = open_store(f"sqlite:///{store}")
    run_id = opened.client.create_run(opened.experiment_id).info.run_id
    one = here / "one" / subdir
    one.mkdir(parents=True)
    (here / "living").mkdir()
    with locked(here / "living" / LOCK):
        cursor = left(here, run_id)
        cursor.write(one)
        journal = Journal.create(one, Header("a run"))
        journal.end(End("KILLED"))
        journal.close()
        command = [text for text in QUICK if text != "tracking=none"]
        assert run([*command, *place]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(str(one.relative_to(here)))
    assert re.search(problem, line)
    assert Cursor.read(one) == cursor
    assert not is_uploaded(one)
    assert opened.client.get_run(run_id).info.status == "RUNNING"
    assert not results(here)

"""The command line as a user meets it: good input, bad input, interruption."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import Command, environment, run_command, run_on_terminal, run_python

from w2v_exp.choices import GROUPS
from w2v_exp.experiment.cli import run
from w2v_exp.experiment.reference import default_options, options

MISTAKES = [
    (["windw=3"], "windw: unknown key, did you mean window?"),
    (["optimizer=momentum", "optimizer.momentm=0.3"], "did you mean optimizer.momentum?"),
    (["optimiser=adam"], "optimiser: unknown key, did you mean optimizer?"),
    (["+foo=3"], "foo=3: unknown key"),
    (["vector_size=3"], "vector_size: unknown key. Use dim."),
    (["+min_count=3"], "Use vocabulary.min_count."),
    (
        ["corpus.path=a.txt"],
        "corpus.path: unknown key. It belongs to corpus=file or corpus=text8",
    ),
    (
        ["objective.negative=3"],
        "objective.negative: unknown key, did you mean objective.negatives? "
        "It belongs to objective=negative_sampling; add that option.",
    ),
    (["objective.updat=sum"], "objective.updat: unknown key, did you mean objective.update?"),
    (["vocabulary.min_cont=3"], "vocabulary.min_cont: unknown key, did you mean vocabulary.min_count?"),
    (["objective.negatives=3"], "It belongs to objective=negative_sampling; add that option."),
    (["corpus=."], "corpus=.: not an option. To train on this path: corpus=file corpus.path=."),
    (["~window"], "window: needs a value"),
    (["~optimizer"], "optimizer: needs a value."),
    (["optimizer=null"], "optimizer=null: must name an option. Options: adagrad, "),
    (["optimizer=3"], "optimizer=3: must name an option. Options: adagrad, "),
    (["probes=" + "[" * 900], "…: not understood"),
    (["probes=" + "[" * 900 + "]" * 900], "too deeply"),
    (["seed=" + "9" * 5000], "…: has a number of too many digits."),
    (["corpus.text=a\x1bb"], "corpus.text=a�b: has a control character"),
    (["corpus.text=a\udc80"], "corpus.text=a�: is not UTF-8 text."),
    (["--config-dir", "nowhere"], "--config-dir=nowhere: no such folder, seen from /"),
    (["--config-path=nowhere"], "--config-path=nowhere: no such folder, seen from /"),
    (
        ["--config-name", "nothing"],
        "--config-name=nothing: there is no nothing.yaml in the folders of options.",
    ),
    (["hydra.searchpath=[file:///no/where]"], "hydra.searchpath=[/no/where]: no such folder."),
    (["-m", "--cfg", "job"], "--multirun and --cfg: give only one of them."),
    (["--experimental-rerun=x"], "unrecognized arguments: --experimental-rerun=x."),
    (["tokenizer=wrd"], "tokenizer=wrd: not an option, did you mean word? Options: article, character"),
    (["experiment=artcle"], "experiment=artcle: not an option, did you mean article?"),
    (["sweep=foo"], "sweep=foo: not an option. Options: ablation, classic, "),
    (["window=abc"], "window=abc: must be a whole number."),
    (["force=perhaps"], "force=perhaps: must be true or false."),
    (["estimate=" + "x" * 5000], "estimate=" + "x" * 200 + "…: must be true or false."),
    (["window=2.5"], "window=2.5: must be a whole number."),
    (["window=0"], "window=0: must be a whole number, 1 or more."),
    (["seed=null"], "seed=null: needs a value."),
    (["learning_rate=-1"], "learning_rate=-1.0: must be a number above 0."),
    (["learning_rate=inf"], "learning_rate=inf: must be a number above 0."),
    (["order=random"], "order=random: not an option. Options: corpus, blocks, shuffled."),
    (["epochs=-1"], "epochs=-1: must be a whole number, 0 or more."),
    (["embedding=output"], "embedding=output: not an option. Options: input, sum, balanced."),
    (
        ["initialization=spectral", "initialization.shift=0"],
        "initialization.shift=0.0: must be a number at least 1.",
    ),
    (["dtype=float16"], "dtype=float16: not an option, did you mean float64?"),
    (["objective.update=overwrit"], "objective.update=overwrit: not an option, did you mean overwrite?"),
    (
        ["schedule=cosine", "schedule.warm_up=1"],
        "schedule.warm_up=1.0: must be a number at least 0 and below 1.",
    ),
    (["vocabulary.max_frequency=0"], "vocabulary.max_frequency=0.0: must be a number above 0 and at most 1."),
    (["tracking.points=1"], "tracking.points=1: must be a whole number, 2 or more."),
    (["corpus=file"], "corpus.path=: is empty"),
    (["corpus=file", "corpus.path=/no/such/file"], "corpus.path=/no/such/file: no such file"),
    (["corpus=text"], "corpus.text='': is empty"),
    (["corpus=text", "corpus.text=word"], "There is no pair to train on"),
    (["corpus=text", "corpus.text='1 2 3'"], "has no word that this tokenizer finds"),
    (["vocabulary.min_count=4"], "There is no pair to train on"),
    (
        ["corpus=text", 'corpus.text="one\ntwo\nthree"', "corpus.boundaries=line"],
        "the vocabulary keeps 3 in 3 segments (see corpus.boundaries), and a pair needs two in one.",
    ),
    (
        ["corpus=sotu", "corpus.boundaries=lines"],
        "corpus.boundaries=lines: not an option, did you mean line? Options: none, line, document.",
    ),
    (
        ["tokenizer=custom", "tokenizer.callable=no_such_module.f"],
        "tokenizer.callable=no_such_module.f: cannot be",
    ),
    (["--cfg", "job", "window=3,5"], "window=3,5: several values make a sweep; add -m"),
    (["dtype=[1]"], "dtype=[1]: must be text."),
    (["window.a=3"], "window={}: must be a whole number."),
    (["~window=9"], "The value of 'window' is 3 and not 9."),
    (["window=3,5"], "window=3,5: several values make a sweep; add -m"),
    (["window=3,0", "dim=10", "-m"], "window=0: must be a whole number, 1 or more."),
    (["schedule=step,lin", "-m"], "schedule=lin: not an option, did you mean linear?"),
    (["repeats=3", "seed=1,2", "-m"], "repeats=3: sets the seeds itself."),
    (
        ["labels=counts", "objective.update=overwrite"],
        "objective.update=overwrite: needs the order of the pairs",
    ),
    (["labels=counts", "labels.smoothing=-1"], "labels.smoothing=-1.0: must be a number at least 0."),
    (["window"], "window: not a sub-command. Sub-commands: ask, cache, compare, estimate, export, sync, ui."),
    (["aks", "neighbours"], "aks: not a sub-command, did you mean ask?"),
    (["dim=3", "compare"], "compare: a sub-command comes first: w2v-exp compare"),
    (["--help", "labls"], "--help labls: not a group or key, did you mean labels? Groups: corpus, "),
    (["--cfg", "job", "windw=3"], "windw: unknown key, did you mean window?"),
    (["compare"], "mlflow.db: there is no such database. Execute a run first, or name another store."),
    (["compare", "--uri", "sqlite:///no.db"], "--uri=sqlite:///"),
    (["compare", "nowhere"], "nowhere: not the folder of a sweep"),
    (["sync", "nowhere"], "nowhere: no such folder, seen from /"),
    (["ask", "neighbours", "latest", "king"], "mlflow.db: there is no such database."),
]


@pytest.mark.cases(every=2)
@pytest.mark.parametrize(("arguments", "answer"), MISTAKES, ids=[" ".join(case[0])[:60] for case in MISTAKES])
def test_a_mistake_is_answered_in_one_or_two_lines_and_leaves_nothing(
    command: Command, tmp_path: Path, arguments: list[str], answer: str
) -> None:
    done = command(*arguments)
    assert done.returncode == 2
    assert answer in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert len(done.stderr.strip().splitlines()) <= 2
    assert not (tmp_path / "mlflow.db").exists()
    assert not (tmp_path / "mlartifacts").exists()


def test_a_run_without_tracking_leaves_its_files(command: Command, tmp_path: Path) -> None:
    done = command("tracking=none", "epochs=20")
    assert done.returncode == 0, done.stderr
    assert "information explained" in done.stdout
    (folder,) = (tmp_path / "outputs" / "runs").iterdir()
    files = {file.name for file in (folder / "artifacts").iterdir()}
    assert files == {
        "config.yaml",
        "overrides.yaml",
        "vocabulary.tsv",
        "costs.csv",
        "embeddings.npz",
        "embeddings.txt",
        "embeddings.bin",
        "similar_words.csv",
        "similar_words.json",
        "neighbours.json",
        "explorer.html",
    }
    assert len((folder / "artifacts" / "costs.csv").read_text().splitlines()) == 21
    assert json.loads((folder / "result.json").read_text())["status"] == "FINISHED"
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.usefixtures("end_to_end")
def test_the_same_config_gives_the_same_bytes_whatever_the_hash_seed(tmp_path: Path) -> None:
    embeddings = []
    for hash_seed in ("1", "2"):
        folder = tmp_path / hash_seed
        folder.mkdir()
        arguments = ["tracking=none", "epochs=30", "order=shuffled", "batch_size=16", "seed=7"]
        done = run_command(*arguments, folder=folder, PYTHONHASHSEED=hash_seed)
        assert done.returncode == 0, done.stderr
        (run,) = (folder / "outputs" / "runs").iterdir()
        embeddings.append(
            {name: (run / "artifacts" / f"embeddings.{name}").read_bytes() for name in ("npz", "bin")}
        )
    assert embeddings[0] == embeddings[1]


def test_the_help_fits_a_terminal_of_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert run(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if len(line) > 80] == []
    assert "                           word" in lines  # of the second column


def test_help_of_a_group_shows_every_option_and_setting_with_type_default_and_meaning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for group, chosen in default_options().items():
        assert run(["--help", group]) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert chosen is None or f"{group}={chosen} (default)" in said
        assert said.count("(default)") == (chosen is not None)
        assert f" Default: {chosen or 'none of these'}." in said
        for option in options(group):
            assert f"{group}={option.name} " in said
            for setting in option.settings:
                key = f"{group.replace('/', '.')}.{setting.key}"
                kind = f" ({setting.kind})" if group in GROUPS else ""
                assert f"{key}={' '.join(setting.default.split())[:50]}" in said, key
                assert kind in said, key
                assert setting.meaning in said, key
    assert run(["--help"]) == 0
    overview = capsys.readouterr().out
    assert overview.count(" (default) ") == sum(map(bool, default_options().values()))
    assert run(["--help", "window"]) == 0
    assert capsys.readouterr().out.startswith("window=3  (whole number)\n    number of context words")


def test_estimate_is_a_sub_command_too(command: Command) -> None:
    done = command("estimate", "window=2")
    assert done.returncode == 0, done.stderr
    assert "Estimated for 16 tokens of 13 words, window 2" in done.stdout
    assert command("estimate", "--help").stdout.startswith("Print the estimated memory and training time")


@pytest.mark.usefixtures("starts_processes")
@pytest.mark.parametrize(
    ("module", "lost"),
    [
        ("signal", False),
        ("w2v_exp.processes", True),
        ("w2v_exp.experiment.cli", False),
        ("hydra", True),
        ("numpy", False),
        ("w2v_exp.experiment.run", True),
    ],
)
@pytest.mark.parametrize("start", ["w2v-exp", "-m"])
def test_an_interruption_while_modules_are_imported_ends_in_one_line(
    tmp_path: Path, module: str, lost: bool, start: str
) -> None:
    """Also in one of the places where Python drops exceptions, such as a finalizer."""
    if start == "-m":
        begin = "runpy.run_module('w2v_exp', run_name='__main__', alter_sys=True)"
    else:
        begin = "from w2v_exp.__main__ import main; main()"  # as the script does
    script = f"""if True:
        import _signal, os, runpy, sys
        _signal.signal(_signal.SIGINT, _signal.default_int_handler)
        class Interrupting:
            def __del__(self):
                os.kill(os.getpid(), _signal.SIGINT)
            def find_spec(self, name, *_):
                if name == {module!r}:
                    Interrupting() if {lost} else self.__del__()
        sys.modules.pop("signal", None)
        sys.meta_path.insert(0, Interrupting())
        {begin}
        """
    done = run_python("-c", script, "tracking=none", "epochs=1", folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Interrupted.\n")
    assert not [*tmp_path.iterdir()]


@pytest.mark.usefixtures("end_to_end")
@pytest.mark.parametrize("arguments", [["--help"], ["windw=3"], ["tracking=none", "epochs=1"]], ids=" ".join)
def test_heavy_packages_are_not_loaded_where_they_are_not_needed(
    tmp_path: Path, arguments: list[str]
) -> None:
    script = (
        "import sys; from w2v_exp.experiment.cli import run; run(sys.argv[1:]);"
        "print('loaded:', [name for name in ('mlflow', 'scipy', 'matplotlib', 'pandas') if name in sys.modules])"
    )
    done = run_python("-c", script, *arguments, folder=tmp_path)
    assert "loaded: []" in done.stdout, done.stdout + done.stderr


@pytest.mark.usefixtures("starts_processes")
def test_a_terminal_shows_how_far_a_run_is(tmp_path: Path) -> None:
    shown = run_on_terminal("epochs=20000,21000", "-m", "tracking=none", folder=tmp_path)
    assert "run 1/2" in shown
    assert "run 2/2" in shown
    assert re.search(r"epoch \d+/21000  cost \d\.\d{4}  [\d,]+ pairs/s", shown)


def test_without_a_terminal_there_is_no_bar(command: Command) -> None:
    assert command("epochs=20000", "tracking=none").stderr == ""


def test_help_names_every_group_option_and_knob(command: Command) -> None:
    said = command("--help").stdout
    for word in ("tokenizer=…", "inverse_time", "experiment=…", "memory_ladder", "window=3", "--config-dir"):
        assert word in said


@pytest.mark.usefixtures("starts_processes")
def test_a_reader_that_goes_away_is_no_error_to_tell_of(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "w2v_exp", "--help"],
        stdout=writer,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        check=False,
    )
    os.close(writer)
    assert done.stderr == b""
    assert done.returncode == 1


def test_a_callable_of_the_users_own_is_found_in_the_current_folder(command: Command, tmp_path: Path) -> None:
    (tmp_path / "my_module.py").write_text("def my_tokens(text):\n    return text.upper().split()\n")
    done = command("tokenizer=custom", "tokenizer.callable=my_module.my_tokens", "tracking=none", "epochs=1")
    assert done.returncode == 0, done.stderr
    (vocabulary,) = tmp_path.glob("outputs/runs/*/artifacts/vocabulary.tsv")
    assert "LOSER'S" not in done.stderr
    assert "\tLOSER'S\t1\n" in vocabulary.read_text()


def test_options_of_the_users_own_folder_are_found(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "mine" / "schedule"
    folder.mkdir(parents=True)
    (folder / "slow.yaml").write_text("defaults:\n  - /schema/schedule/linear@_here_\nfloor: 0.5\n")
    done = command(
        "--config-dir", "mine", "schedule=slow", "tracking=none", "epochs=2", "schedule.floor=0.25"
    )
    assert done.returncode == 0, done.stderr
    (config,) = tmp_path.glob("outputs/runs/*/artifacts/config.yaml")
    assert "floor: 0.25" in config.read_text()


def test_a_diverging_run_fails_with_advice_and_keeps_its_costs(command: Command, tmp_path: Path) -> None:
    arguments = ["tracking=none", "learning_rate=1e200", "epochs=50", "schedule=constant"]
    done = command(*arguments)
    assert done.returncode == 1
    assert "Try a smaller learning_rate" in done.stderr
    assert "Traceback" not in done.stderr
    (folder,) = tmp_path.glob("outputs/runs/*")
    assert json.loads((folder / "result.json").read_text())["status"] == "FAILED"
    assert "TrainingDivergedError" in (folder / "artifacts" / "traceback.txt").read_text()
    assert (folder / "artifacts" / "costs.csv").exists()


@pytest.mark.usefixtures("starts_processes", "store")
@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_an_interrupted_run_is_killed_and_keeps_what_it_has(
    tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    from mlflow import MlflowClient

    process = subprocess.Popen(
        [
            *(
                sys.executable,
                "-m",
                "w2v_exp",
                "epochs=100000000",
                "tracking.points=10",
                "tracking.plots=false",
            ),
            "checkpoint.every=100 epochs",
        ],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not list(tmp_path.glob("outputs/checkpoints/*/checkpoint.npz")):  # so some epochs are done
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(sent)
    _, said = process.communicate()
    assert process.returncode == code, said
    assert "Interrupted" in said
    assert "Traceback" not in said
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (run,) = client.search_runs(["1"])
    assert run.info.status == "KILLED"
    assert run.data.metrics["cost"] > 1
    files = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert {"costs.csv", "embeddings.npz", "config.yaml"} <= files

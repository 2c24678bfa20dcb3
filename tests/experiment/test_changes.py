"""Sweeps of one change at a time: what they run, what is refused before any run, and how they are compared."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from processes import Command

from w2v_exp.config import Sources, parse_overrides, register_schema
from w2v_exp.errors import UserError
from w2v_exp.experiment.command import Command as Understood
from w2v_exp.experiment.command import check_command, parse, read_changes
from w2v_exp.tracking.history import recorded_runs
from w2v_exp.tracking.store import open_store

BOTH = "changes={wide: window=5, adam: [optimizer=adam, learning_rate=0.01]}"

MINE = """# @package _global_
repeats: 3
epochs: 5
changes:
  wide: window=5
  tiny:
    - dim=2
    - order=shuffled
hydra:
  mode: MULTIRUN
"""


def understood(*arguments: str) -> Understood:
    register_schema()
    return check_command(parse([*arguments]))


def test_each_run_is_the_base_and_one_set_of_overrides_for_every_seed() -> None:
    command = understood(BOTH, "dim=7", "repeats=2", "-m")
    found = [
        (
            values["change"],
            values["seed"],
            plan.window,
            type(plan.optimizer).__name__,
            plan.learning_rate,
            plan.dim,
        )
        for values, plan in command.plans()
    ]
    assert found == [
        (name, seed, *settings, 7)
        for name, settings in {
            "base": (3, "GradientDescent", 0.05),
            "wide": (5, "GradientDescent", 0.05),
            "adam": (3, "Adam", 0.01),
        }.items()
        for seed in "01"
    ]
    assert command.runs == 6
    assert [run[-1] for run in command.run_overrides()][::2] == ["seed=0", "window=5", "learning_rate=0.01"]


def test_other_keys_are_swept_beside_changes_and_a_set_prevails_over_a_fixed_value() -> None:
    command = understood("changes.small=dim=5", "dim=9", "window=2,3", "-m")
    assert [(v["change"], plan.window, plan.dim) for v, plan in command.plans()] == [
        ("base", 2, 9),
        ("base", 3, 9),
        ("small", 2, 5),
        ("small", 3, 5),
    ]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["change=adam"], ["base", "adam"]),
        (["change=adam,base,wide"], ["base", "adam", "wide"]),
        (["~changes.wide"], ["base", "adam"]),
        (["changes.deep='epochs=9 dim=9'"], ["base", "wide", "adam", "deep"]),
    ],
)
def test_some_changes_are_chosen_left_out_or_added(arguments: list[str], names: list[str]) -> None:
    assert understood(BOTH, *arguments, "-m").swept["change"] == names


def test_quotes_in_a_set_are_those_of_a_shell() -> None:
    command = understood("""changes={rose: "corpus=text corpus.text='a rose is a rose'"}""", "-m")
    assert [plan for _, plan in command.plans()][1].corpus.text == "a rose is a rose"  # type: ignore[union-attr]


@pytest.mark.cases(every=3)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["changes={a: windw=5}"], "changes.a: windw: unknown key, did you mean window?"),
        (["changes={a: window=0}"], "changes.a: window=0: must be a whole number"),
        (["changes={a: optimizer=nope}"], "changes.a: optimizer=nope: not an option"),
        (["changes={a: labels=counts objective.update=overwrite}"], "changes.a: objective.update=overwrite:"),
        (["changes={a: window=3}"], "changes.a: changes nothing"),
        (["changes={a: cache=none}"], "changes.a: changes nothing"),
        (["changes={a: window=5, b: window=5}"], "changes.b: makes the same run as changes.a"),
        (["change=a"], "change=a: there are no changes"),
        ([BOTH, "change=wid"], "change=wid: not a change, did you mean wide?"),
        ([BOTH, "change=${window}"], "change=3: not a change"),
        ([BOTH, "hydra/sweeper=optuna", "dim=choice(3,4)"], "changes: not supported with another sweeper"),
    ],
)
def test_a_mistake_is_named_before_any_run(arguments: list[str], message: str) -> None:
    with pytest.raises(UserError) as mistake:
        understood(*arguments, "-m")
    assert message in str(mistake.value)


@pytest.mark.cases(every=2)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("changes={a: force=true}", "changes.a: force applies to the whole sweep"),
        ("changes={a: window=5, a: dim=5}", "found duplicate key a"),
        ("changes={a: 'window=3,5'}", "changes.a: window=3,5 has several values"),
        ("changes={a: seed=3}", "changes.a: seed applies to the whole sweep"),
        ("changes={a: hydra.sweep.dir=x}", "changes.a: hydra.sweep.dir applies to the whole sweep"),
        ("changes={a: dim=5}", "changes.a: dim is swept as well"),
        ("changes={base: window=5}", "changes.base: not a name of a change"),
        ("changes={'a b': window=5}", "changes.a b: not a name of a change"),
        ("changes={null: window=5}", "changes={null: window=5}: not valid YAML"),
        ("changes={a: }", "changes.a: must be overrides"),
        ("changes={a: {b: c}}", "changes.a: must be overrides"),
        ("changes={a: word}", "changes.a=word: not understood; write key=value"),
        ('changes={a: "text=\'x"}', "changes.a=text='x: no closing quotation"),
        ("changes={a: ", "not valid YAML"),
        ("changes=3", "changes=3: must be named sets of overrides"),
    ],
)
def test_a_set_that_cannot_be_read_is_named(text: str, message: str) -> None:
    register_schema()
    with pytest.raises(UserError) as mistake:
        read_changes(Sources().compose([str(o.input_line) for o in parse_overrides([text])]).changes, ["dim"])
    assert message in str(mistake.value)


def test_without_m_nothing_is_run() -> None:
    with pytest.raises(UserError, match="add -m to run them"):
        understood(BOTH)


@pytest.mark.second_tier
@pytest.mark.usefixtures("store")
def test_changes_of_ones_own_folder_are_resumed_and_compared_with_the_base(
    command: Command, tmp_path: Path
) -> None:
    own = tmp_path / "my_conf" / "sweep"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text(MINE)
    mine = ["--config-dir", "my_conf", "sweep=mine", "tracking.plots=false"]
    assert command(*mine, "change=wide").returncode == 0
    done = command(*mine, "hydra.sweep.dir=again")
    assert done.returncode == 0, done.stderr
    assert "9 finished runs of 3 configurations, 6 reused from earlier runs" in done.stdout
    with (tmp_path / "again" / "comparison.csv").open(encoding="utf-8") as stream:
        rows = {row["change"]: row for row in csv.DictReader(stream)}
    assert {name: (row["status"], row["runs"]) for name, row in rows.items()} == {
        "base": ("SKIPPED", "3"),
        "wide": ("SKIPPED", "3"),
        "tiny": ("FINISHED", "3"),
    }
    page = (tmp_path / "again" / "summary.html").read_text(encoding="utf-8")
    assert "difference<br>from base" in page
    assert "<td>base</td>" in page
    assert "<tr><td>tiny</td><td><code>dim=2 order=shuffled</code></td></tr>" in page
    store = open_store(f"sqlite:///{tmp_path / 'mlflow.db'}")
    params = [run.data.params for run in recorded_runs(store, "params.change = 'tiny'")]
    assert [(each["dim"], each["order"]) for each in params] == [("2", "shuffled")] * 3
    assert not any(key.startswith("changes") for each in params for key in each)

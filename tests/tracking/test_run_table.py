"""`w2v_exp.runs`: a table of the runs in a store or in folders."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import w2v_exp
from w2v_exp import UserError
from w2v_exp.tracking.run_table import RecordedRun, select, table, typed

HOSTILE = "<script>\x1b[31m"


def recorded(number, metrics=None, **params):
    texts = {key: str(value) for key, value in params.items()}
    return RecordedRun(f"id{number}", f"run {number}", "FINISHED", 1000 + number, texts, {}, metrics or {})


def test_parameters_have_types_and_those_that_differ_come_first():
    first = recorded(1, {"cost": 1.5, "pairs": 84}, dim=5, window=3, optimizer="adam")
    frame = table([first, recorded(2, {"cost": 2.5}, dim=5, window=5)])
    columns = ["name", "status", "started", "sweep", "window", "optimizer", "cost", "pairs", "dim"]
    assert [*frame.columns] == columns
    assert frame.window.tolist() == [3, 5]
    assert frame.index.tolist() == ["id1", "id2"]
    assert frame.groupby("window").cost.mean().to_dict() == {3: 1.5, 5: 2.5}
    assert frame.started.dt.tz is not None


def test_a_parameter_and_a_metric_of_one_name_are_two_columns():
    frame = table([recorded(1, {"name": 1.0, "dim": 2.0}, dim=5, sweep="schedules")])
    assert frame.loc["id1", ["metrics.name", "dim", "params.dim", "params.sweep"]].tolist() == [
        1,
        2,
        5,
        "schedules",
    ]
    assert len({*frame.columns}) == len(frame.columns)


def test_hostile_texts_are_escaped_in_a_notebook():
    frame = table([recorded(1, corpus=HOSTILE), recorded(2, corpus="plain")])
    assert "<script" not in frame._repr_html_()


def test_a_table_without_runs_has_the_first_columns():
    frame = table([])
    assert len(frame) == 0
    assert [*frame.columns] == ["name", "status", "started", "sweep"]


def test_runs_are_selected_by_values():
    found = [
        recorded(1, window=3, lower=True),
        recorded(2, window=5, lower=False),
        recorded(3, window=7, lower="None"),
    ]
    assert [run.id for run in select(found, {"window": 5})] == ["id2"]
    assert [run.id for run in select(found, {"window": [3, 7]})] == ["id1", "id3"]
    assert [run.id for run in select(found, {"lower": True, "status": "FINISHED"})] == ["id1"]
    assert [run.id for run in select(found, {"lower": None})] == ["id3"]
    assert select(found, {"name": "run 4"}) == []
    with pytest.raises(UserError, match=r"windw: no run has this parameter, did you mean window\?"):
        select(found, {"windw": 3})
    assert select([], {"anything": 3}) == []


@given(st.integers() | st.floats(allow_nan=False) | st.booleans() | st.none())
def test_a_logged_value_gets_its_type_back(value):
    found = typed(str(value))
    if len(str(value)) <= 40:
        assert found == value
        assert type(found) is type(value)


def test_runs_of_folders(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError):
        w2v_exp.runs()
    done = command("window=2,3", "epochs=2", "dim=5", "tracking=none", "explorer=none", "probes=[]", "-m")
    assert done.returncode == 0, done.stderr
    (tmp_path / "outputs" / "journal.jsonl").write_text("no journal\n")
    frame = w2v_exp.runs()
    assert frame.window.tolist() == [2, 3]
    assert frame.cost.notna().all()
    assert frame.status.tolist() == ["FINISHED"] * 2
    (chosen,) = w2v_exp.runs(window=3).index
    assert chosen.startswith("outputs/sweeps/")
    assert w2v_exp.load_run(chosen).input.shape[1] == 5
    assert w2v_exp.load_run().input.shape[1] == 5
    with pytest.raises(UserError, match="folder=nowhere: no such folder"):
        w2v_exp.runs(folder="nowhere")


@pytest.mark.usefixtures("store")
@pytest.mark.second_tier
def test_a_tracked_run_is_a_row_and_filters_are_those_of_mlflow(tmp_path, monkeypatch):
    from mlflow import MlflowClient  # which takes seconds

    monkeypatch.chdir(tmp_path)
    small = {"experiment": None, "dim": 5, "epochs": 2, "progress": False}
    for window in (1, 2):
        trained = w2v_exp.train([["a", HOSTILE, "a", "b"]], window=window, tracking__plots=False, **small)
    frame = w2v_exp.runs()
    assert frame.window.tolist() == [1, 2]
    assert frame.corpus.tolist() == ["sentences"] * 2
    note = MlflowClient("sqlite:///mlflow.db").get_run(frame.index[1]).data.tags["mlflow.note.content"]
    assert "w2v_exp.train([[" in note
    assert "window=2" in note
    assert frame["corpus.tokens"].tolist() == [4, 4]
    assert frame.tokens.tolist() == [4, 4]  # a tag of the run
    assert (w2v_exp.load_run().input == trained.input).all()
    assert (w2v_exp.load_run(frame.index[1]).input == trained.input).all()
    assert w2v_exp.runs("params.window = '2'").window.tolist() == [2]
    assert w2v_exp.runs("metrics.cost < 0").empty
    assert w2v_exp.runs(folder="outputs").window.tolist() == [1, 2]
    assert w2v_exp.runs("params.window = '2'", folder="outputs").window.tolist() == [2]
    assert w2v_exp.runs("metrics.cost < 0", folder="outputs").empty
    for folder in (None, "outputs"):
        with pytest.raises(UserError, match="filter='nonsense'"):
            w2v_exp.runs("nonsense", folder=folder)
    with pytest.raises(UserError, match="there is no such experiment"):
        w2v_exp.runs(experiment="nowhere")

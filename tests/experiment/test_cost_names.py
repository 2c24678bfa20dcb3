"""Every figure called a cost is the metric of that name, wherever it is shown, whatever the objective is."""

from __future__ import annotations

import base64
import csv
import json
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from matplotlib.text import Text
from mlflow import MlflowClient

from w2v_exp.experiment import cli
from w2v_exp.reporting import style
from w2v_exp.tracking import progress

OBJECTIVES = ("softmax", "hierarchical_softmax", "negative_sampling")
WORDS = np.random.default_rng(3).zipf(1.4, 3000).clip(max=40)
SETTINGS = [
    "corpus=file",
    "corpus.path=text.txt",
    "tokenizer=whitespace",
    "initialization=word2vec",
    "dim=5",
    "window=2",
    "epochs=4",
    "learning_rate=0.01",
    "cost_sample=1000",  # a third of the text: negative sampling's cost is an estimate
    "explorer=none",
]
FIGURE = re.compile(
    r"((?:unigram baseline |\w+ )?cost(?: floor)?)( \(sampled estimate\))?[^\d\n]*?(\d+\.\d+)"
)


class Shown(NamedTuple):
    """What a command has shown: on the terminal, in pictures by their name, in its folder."""

    stdout: str
    stderr: str
    pictures: dict[str, list[str]]
    folder: Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    folder = tmp_path_factory.mktemp("costs")
    (folder / "text.txt").write_text(" ".join(f"word{number}" for number in WORDS))
    shutil.copy(empty_store, folder / "mlflow.db")
    return folder


@pytest.fixture
def shown(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command in this process, on what it takes for a terminal of 200 columns."""
    pictures: dict[str, list[str]] = {}
    drawing = style.drawing

    @contextmanager
    def read(path: Path, **settings: Any) -> Iterator[Any]:
        with drawing(path, **settings) as figure:
            yield figure
            pictures[Path(path).name] = [text.get_text() for text in figure.findobj(Text)]

    def run(*arguments: str) -> Shown:
        monkeypatch.chdir(folder)
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.setattr(sys, "argv", list(sys.argv))
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        monkeypatch.setattr(progress.TerminalBar, "interval", 0.0)
        monkeypatch.setattr(style, "drawing", read)
        pictures.clear()
        assert cli.run([*SETTINGS, *arguments]) == 0
        captured = capsys.readouterr()
        newest = max(folder.glob("outputs/*/*"), key=lambda each: each.stat().st_mtime_ns)
        return Shown(captured.out, captured.err, dict(pictures), newest)

    return run


def newest_runs(folder: Path) -> list[Any]:
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    return list(client.search_runs(["1"], order_by=["attributes.start_time DESC"]))


def costs_in(text: str) -> list[tuple[str, str, float]]:
    return [
        (name.replace("baseline ", "").replace(" ", "_"), qualifier, float(value))
        for name, qualifier, value in FIGURE.findall(text)
    ]


@pytest.mark.cases(every=3)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_run_shows_each_cost_by_its_name(objective: str, shown: Any, folder: Path) -> None:
    sampled = objective == "negative_sampling"
    done = shown(f"objective={objective}", "validation=held_out", "validation.block=100")
    run = newest_runs(folder)[0]
    metrics = run.data.metrics
    assert ("objective_cost" in metrics) == sampled
    names = {"cost", "objective_cost"} if sampled else {"cost"}

    terminal = costs_in(done.stdout)
    assert {name for name, _, _ in terminal} >= names
    picture = [figure for text in done.pictures["cost.png"] for figure in costs_in(text)]
    assert {name for name, _, _ in picture} >= names | {"validation_cost"}
    for name, qualifier, value in (*terminal, *picture):
        assert value == pytest.approx(metrics[name], abs=6e-5), name
        assert bool(qualifier) == (sampled and name == "cost")

    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    history = {name: dict(curve_of(client, run, name)) for name in names}
    bar = costs_in(done.stderr)
    assert {name for name, _, _ in bar} == {"objective_cost" if sampled else "cost"}
    for name, _, value in bar:
        assert any(value == pytest.approx(logged, abs=6e-5) for logged in history[name].values())
    (file,) = Path(run.info.artifact_uri.removeprefix("file://")).glob("costs.csv")
    rows = list(csv.DictReader(file.read_text().splitlines()))
    for name in names:
        column = {int(row["epoch"]): float(row[name]) for row in rows if row[name]}
        assert column == history[name]
    result = json.loads((done.folder / "result.json").read_text())
    assert {name: dict(map(tuple, points)) for name, points in result["curves"].items()} == history


def curve_of(client: MlflowClient, run: Any, metric: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, metric)]


@pytest.mark.second_tier
def test_a_sweep_shows_each_cost_by_its_name(shown: Any, folder: Path) -> None:
    done = shown(f"objective={','.join(OBJECTIVES)}", "cost_every=2", "-m")
    runs = {r.data.params["objective"]: r for r in newest_runs(folder)[:4] if r.data.tags.get("kind") is None}
    assert set(runs) == set(OBJECTIVES)
    metrics = {objective: run.data.metrics for objective, run in runs.items()}

    with (done.folder / "comparison.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            for name in ("cost", "objective_cost"):
                assert row[name] == (
                    repr(metrics[row["objective"]][name]) if name in metrics[row["objective"]] else ""
                )

    # the terminal's table
    assert "(sampled" in done.stdout
    for objective in OBJECTIVES:
        (line,) = [line for line in done.stdout.splitlines() if line.split()[:1] == [objective]]
        assert f"{metrics[objective]['cost']:.4f}" in line
        assert ("(sampled estimate)" in line) == (objective == "negative_sampling")

    page = (done.folder / "summary.html").read_text()
    headings = re.findall(r'<th class="n" data-priority="\d+"><button>(.*?)</button>', page)
    for row in re.findall(r"<tr data-group=.*?</tr>", page, re.DOTALL):
        objective = next(name for name in OBJECTIVES if f"<td>{name}</td>" in row)
        values = re.findall(r'<td class="n" data-v="(.*?)">', row)[1:]  # without the rank
        for name in ("cost", "objective_cost"):
            shown_value = values[headings.index(name.replace("_", " "))]
            assert (float(shown_value) if shown_value else None) == metrics[objective].get(name)
    data = json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1]
    )
    for name, curves in data["curves"].items():
        for run, (_, packed) in zip(data["runs"], curves["values"], strict=True):
            points = np.frombuffer(base64.b64decode(packed), "<f4")
            logged = metrics[run["name"].removeprefix("objective=")].get(name)
            assert points.size == 0 if logged is None else points[-1] == np.float32(logged)
    assert set(data["curves"]) == {"cost", "objective_cost"}

    for name in ("cost", "objective_cost"):
        texts = done.pictures[f"{name}_curves.png"]
        ends = dict(re.findall(r"objective=([^ …]+)…?  (\d+\.\d+)", "\n".join(texts)))
        expected = {objective: values[name] for objective, values in metrics.items() if name in values}
        assert len(ends) == len(expected)
        for cut, value in ends.items():
            (objective,) = [objective for objective in expected if objective.startswith(cut)]
            assert float(value) == pytest.approx(expected[objective], abs=6e-5)
        assert f"{name.replace('_', ' ')}, nats per pair" in texts


@pytest.mark.second_tier
def test_a_sweep_of_negative_sampling_alone_draws_its_objective_by_epoch(shown: Any) -> None:
    """Its cost is measured at the end only, which makes no curve."""
    done = shown("objective=negative_sampling", "dim=3,5", "-m")
    assert "objective_cost_curves.png" in done.pictures
    assert "cost_curves.png" not in done.pictures
    assert "cost (sampled estimate)" in re.sub(r"\s+", " ", (done.folder / "summary.html").read_text())

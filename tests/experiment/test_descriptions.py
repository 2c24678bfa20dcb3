"""Descriptions of runs and sweeps in MLflow, and the view of a sweep's runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from omegaconf import OmegaConf

from w2v_exp.experiment.descriptions import run_description, sweep_description, view_key, view_tags
from w2v_exp.experiment.run_info import RunInfo
from w2v_exp.reporting.comparison import compare
from w2v_exp.results import RunResult, Sweep
from w2v_exp.tracking.journal import End, Header, Journal
from w2v_exp.tracking.store import open_store
from w2v_exp.tracking.upload import MOST_VIEWS, NOTE, VIEW, Cursor, Uploader

METRICS = {"information_explained": 0.91234, "cost": 1.72591, "pairs": 84.0, "train_seconds": 12.3456}
SWEEP = Sweep("of today", "w2v-exp window=3,5 -m", ["window"], 2, id="5f" * 8)


def info_of(*overrides: str, sweep: Sweep | None = None) -> RunInfo:
    return RunInfo("a run", 0, sweep, {}, list(overrides), {}, OmegaConf.create(), Path())


def results(metric: str = "information_explained", **more: Any) -> list[RunResult]:
    return [
        RunResult(
            f"window={window}", {"window": str(window)}, 0, "FINISHED", metrics={metric: window / 10}, **more
        )
        for window in (3, 5)
    ]


def test_a_finished_run_is_described_by_its_results_first() -> None:
    files = ["explorer.html", "embeddings.npz"]
    text = run_description(info_of("window=3", sweep=SWEEP), "FINISHED", "", METRICS, files)
    results, links, command, sweep, _ = text.split("\n\n")
    assert results == "information explained **0.912**, cost **1.7259**, seconds **12.3**"
    assert links == "[map of the words](run:explorer.html?workflowType=machine_learning)"
    assert command == "`w2v-exp window=3`"
    assert sweep.startswith("Run 1 of the sweep `w2v-exp window=3,5 -m`: [all its runs](experiment:runs?")


def test_a_failed_run_is_described_by_its_reason_first() -> None:
    text = run_description(info_of(), "FAILED", "no <b>memory</b>", {}, ["traceback.txt"])
    assert text.startswith("**Failed**: no &#60;b&#62;memory")
    assert "cost **7.48e+187**" in run_description(info_of(), "FAILED", "", {"cost": 7.484e187})
    assert "[traceback](run:traceback.txt?" in text
    assert run_description(info_of()).startswith("**Running**\n\n`w2v-exp`")


@given(st.text(max_size=40), st.text(max_size=40))
def test_outside_text_in_a_description_stays_text(override: str, reason: str) -> None:
    info = info_of(override, sweep=Sweep(reason, override, [], 1))
    page = MarkdownIt("commonmark", {"html": True}).parse(run_description(info, "FAILED", reason))
    kinds = {child.type for token in page for child in [token, *(token.children or [])]}
    assert kinds <= {"paragraph_open", "paragraph_close", "inline", "text", "code_inline"} | {
        "strong_open",
        "strong_close",
        "softbreak",
    }


def test_a_sweep_is_described_by_its_findings_first() -> None:
    text = sweep_description(compare(results()), SWEEP)
    assert text.startswith(
        "**In short**\n\n- **Best: window=5**: information explained 0.500\n- **window**: 5 is best"
    )
    assert (
        "[page of the sweep](run:summary.html?workflowType=machine_learning) · [table of its runs](experiment:runs?"
        in text
    )
    assert "best run" not in text  # without tracking there is none to link to
    assert "[best run](experiment:runs/" in sweep_description(compare(results(run_id="ab" * 16)), SWEEP)
    unranked = sweep_description(compare(results("pairs")), SWEEP)
    assert unranked.startswith("**In short**\n\n- 2 finished runs of 2 configurations\n\n[page")


def test_the_view_of_a_sweep_has_its_keys_and_the_metrics_that_are_compared() -> None:
    (tag,) = (tags := view_tags(compare(results(), None), SWEEP))
    assert tag == VIEW + view_key(SWEEP)
    view = json.loads(tags[tag])
    assert view["name"] == "window (of today)"
    state = json.loads(view["state"])
    assert state["selectedColumns"] == ["params.`window`", "metrics.`information_explained`"]
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`information_explained`", False)
    assert state["searchFilter"] == "tags.sweep = 'of today'"
    assert view_tags(compare(results()), Sweep("old", "", [], 2)) == {}


def test_views_are_of_the_experiment_and_the_oldest_are_deleted(store: Path, tmp_path: Path) -> None:
    opened = open_store(f"sqlite:///{store}")
    experiment = opened.experiment_id
    opened.client.set_experiment_tag(experiment, f"{VIEW}of-a-user", json.dumps({"createdAt": 0}))
    opened.client.set_experiment_tag(experiment, f"{VIEW}w2v_exp-changed", "by a user")
    for number in range(MOST_VIEWS):
        opened.client.set_experiment_tag(
            experiment, f"{VIEW}w2v_exp-{number:02}", json.dumps({"createdAt": number})
        )
    journal = Journal.create(tmp_path, Header("summary"))
    note = "[page](run:summary.html), [run](experiment:runs/5)"
    views = view_tags(compare(results()), SWEEP)
    journal.set_tags({NOTE: note, f"{VIEW}of-a-user": "replaced", **views})
    journal.end(End("FINISHED"))
    uploader = Uploader(opened.client, journal, Cursor.of(opened), is_new=True)
    uploader.upload()
    journal.close()
    run_id = uploader.cursor.run_id
    tags = opened.client.get_run(run_id).data.tags
    place = f"#/experiments/{experiment}"
    assert tags[NOTE] == f"[page]({place}/runs/{run_id}/artifacts/summary.html), [run]({place}/runs/5)"
    assert [tag for tag in tags if tag.startswith(VIEW)] == [f"{VIEW}of-a-user"]
    assert opened.client.get_experiment(experiment).tags[f"{VIEW}of-a-user"] == json.dumps({"createdAt": 0})
    views = {key.removeprefix(VIEW) for key in opened.client.get_experiment(experiment).tags if VIEW in key}
    kept = {f"w2v_exp-{number:02}" for number in range(1, MOST_VIEWS)}
    assert views == {"of-a-user", "w2v_exp-changed", view_key(SWEEP)} | kept


@pytest.mark.parametrize("sweep", ["it's", "plain"])
def test_a_view_finds_the_runs_of_its_sweep(sweep: str, store: Path) -> None:
    opened = open_store(f"sqlite:///{store}")
    opened.client.create_run(opened.experiment_id, tags={"sweep": sweep})
    (tag,) = view_tags(compare(results()), Sweep(sweep, "", [], 2, id="aa")).values()
    state = json.loads(json.loads(tag)["state"])
    assert len(opened.client.search_runs([opened.experiment_id], state["searchFilter"])) == 1

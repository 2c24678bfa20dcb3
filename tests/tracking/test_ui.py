"""MLflow's UI as `w2v-exp ui` serves it: its address, and how the runs of a sweep look there."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mlflow_server import wait_for
from processes import Command, environment

from w2v_exp.experiment.ui import _latest
from w2v_exp.tracking.locations import parse_address
from w2v_exp.tracking.store import open_store
from w2v_exp.tracking.upload import VIEW

SWEEP = ("window=3,5", "dim=10", "epochs=300", "tracking.plots=false", "-m")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "tracking.uri=sqlite:///{folder}/mlflow.db: there is no such database. Execute a run first"),
        (["--uri", "sqlite:///a.db"], "--uri=sqlite:///{folder}/a.db: there is no such database."),
        (["--uri", "http://127.0.0.1:9"], "--uri=http://127.0.0.1:9: is a server, which has its own UI."),
        (["--uri", "mlflow.db"], "--uri=mlflow.db: a path, not an address. Use sqlite:///mlflow.db."),
    ],
)
def test_a_store_that_cannot_be_served_is_one_line(
    arguments: list[str], problem: str, command: Command, tmp_path: Path
) -> None:
    done = command("ui", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(problem.format(folder=tmp_path))
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("store")
def test_a_port_that_cannot_be_used_is_one_line(command: Command) -> None:
    with socket.socket() as used:
        used.bind(("127.0.0.1", 0))
        used.listen()
        port = used.getsockname()[1]
        done = command("ui", "--port", str(port))
        assert done.stderr == f"--port={port}: cannot be used (Address already in use). Give another port.\n"
    assert command("ui", "--port", "70000").stderr == "--port=70000: must be between 1 and 65,535.\n"


def test_the_address_is_that_of_the_latest_sweep_or_run(store: Path) -> None:
    uri = f"sqlite:///{store}"

    def address() -> str:
        return _latest(parse_address(uri), 5000).removeprefix("http://127.0.0.1:5000/#/experiments")

    assert address() == "?workflowType=machine_learning"
    opened = open_store(uri)
    experiment = opened.experiment_id
    run = opened.client.create_run(experiment, start_time=20).info.run_id
    assert address() == f"/{experiment}/runs/{run}?workflowType=machine_learning"
    for key, value in {
        "w2v_exp-a": {"createdAt": 10},
        "w2v_exp-b": {"createdAt": 30},
        "of a user": {"createdAt": 40},
        "w2v_exp-c": "changed",
    }.items():
        opened.client.set_experiment_tag(experiment, f"{VIEW}{key}", json.dumps(value))
    view = f"/{experiment}/runs?workflowType=machine_learning&viewStateShareKey=w2v_exp-b"
    assert address() == view
    opened.client.create_run(experiment, start_time=31)
    assert "/runs/" in address()
    opened.client.delete_experiment(experiment)
    assert address() == "?workflowType=machine_learning"


@pytest.mark.browser
def test_a_sweep_is_found_and_compared_in_the_browser(process_command: Command, tmp_path: Path) -> None:
    from browser import chromium, opened

    done = process_command(*SWEEP)
    assert done.returncode == 0, done.stderr
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "ui.log"
    with log.open("wb") as stream:
        ui = subprocess.Popen(
            [sys.executable, "-m", "w2v_exp", "ui", "--port", str(port)],
            cwd=tmp_path,
            env=environment(),
            stdout=stream,
            stderr=stream,
        )
    try:
        wait_for(lambda: "startup complete" in log.read_text() or ui.poll() is not None)
        (address,) = re.findall(r"^http://.*viewStateShareKey=.*$", log.read_text(), re.MULTILINE)
        with chromium() as browser, opened(browser, address) as (page, _):
            best_first = [f"window={key}" for key in re.findall(r"^(\d) .*\d$", done.stdout, re.MULTILINE)]
            check_view(page, best_first)
            page.get_by_text("summary: window").first.click()
            check_summary(page, best_first[0])
        assert "Warning" not in log.read_text()
    finally:
        ui.send_signal(signal.SIGINT)
        ui.wait(60)


def check_view(page: Any, best_first: list[str]) -> None:
    """The table has the swept key and the compared metrics as columns, and the best run first."""
    page.locator(".ag-header-cell", has_text="information_explained").wait_for(timeout=60_000)
    wait_for(lambda: places(page, ".ag-header-cell", "x")[-3:] == ["window", "information_explained", "cost"])
    rows = places(page, ".ag-pinned-left-cols-container .ag-row", "y")
    assert [re.search("window=.|summary", row)[0] for row in rows] == [*best_first, "summary"]


def places(page: Any, selector: str, axis: str) -> list[str]:
    """Return the texts of the elements that are seen, in their order on the screen."""
    seen = [
        (element.bounding_box(), element.inner_text().strip()) for element in page.locator(selector).all()
    ]
    return [text for _, text in sorted((box[axis], text) for box, text in seen if box and text)][:5]


def check_summary(page: Any, best: str) -> None:
    """The description begins with the findings, and its link opens the page of the sweep."""
    page.get_by_text("In short").wait_for(timeout=60_000)
    assert page.get_by_text(f"Best: {best}").count()
    page.get_by_text("Show more").first.click()
    with page.context.expect_page() as opened_page:
        page.get_by_role("link", name="page of the sweep").click()
    frame = opened_page.value.wait_for_selector("iframe.mlflow-html-iframe", timeout=60_000).content_frame()
    assert frame.get_by_role("heading", name="In short").count() == 1

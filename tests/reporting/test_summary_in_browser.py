"""The page of a real sweep, looked at in Chromium: from disk, and in the artifact viewer of MLflow's UI."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from browser import Watch, chromium, opened
from mlflow import MlflowClient
from processes import environment, run_command

pytestmark = pytest.mark.browser

COMMAND = [
    "window=3,5",
    "dim=10,50",
    "repeats=3",
    "-m",
    "epochs=300",
    "learning_rate=0.05",
    "tracking.plots=false",
]
HOSTILE = "</script><script>document.title='run'</script><img src=http://example.org/x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run a sweep of which one run fails, in a folder of its own."""
    folder = tmp_path_factory.mktemp("sweep")
    done = run_command(*COMMAND, folder=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> str:
    (page,) = folder.glob("outputs/sweeps/*/summary.html")
    return page.as_uri()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    with opened(browser, address) as (page, watch):
        yield page
        assert watch.complaints == []
        assert watch.left_the_machine == []


def first_column(page: Any, column: int) -> list[str]:
    return page.locator(f"table.sortable tbody tr td:nth-child({column})").all_inner_texts()


def point_at(page: Any, mark: Any) -> None:
    """Move the pointer to the middle of a mark."""
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def look_at_the_page(page: Any) -> None:
    """Sort, point and mark, and see that the page answers: the same from disk and in MLflow."""
    assert "Sweep of window × dim" in page.locator("h1").inner_text()
    assert "12 finished runs of 4 configurations" in page.locator(".lead").inner_text()
    assert "window=3,5 dim=10,50 repeats=3 -m" in page.locator(".command").inner_text()
    assert page.locator("path.line").count() == 12

    heading = page.locator("th button", has_text="dim")
    heading.click()
    assert first_column(page, 3) == ["10", "10", "50", "50"]
    heading.press("Enter")
    assert first_column(page, 3) == ["50", "50", "10", "10"]
    assert page.locator("th[aria-sort]").inner_text().startswith("dim")
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"

    page.locator("#curves-chart").scroll_into_view_if_needed()
    line = page.locator("path.line").last
    x, y = line.evaluate(
        """line => {
          const at = line.getPointAtLength(line.getTotalLength() * 0.5).matrixTransform(line.getScreenCTM());
          const chart = line.ownerSVGElement.getBoundingClientRect();  // in a frame, as the window does not see it
          return [at.x - chart.x, at.y - chart.y];
        }"""
    )
    box = page.locator("#curves-chart svg").first.bounding_box()
    page.mouse.move(box["x"] + x, box["y"] + y)
    tip = page.locator("#tip").inner_text()
    assert re.search(r"window=\d dim=\d+", tip)
    assert re.search(r"seed \d", tip)
    assert re.search(r"epoch \d+: cost \d\.\d+", tip)
    assert page.locator("path.line.over").count() == 1


def test_a_page_from_disk_sorts_and_tells_runs(page: Any) -> None:
    look_at_the_page(page)


def test_a_row_marks_its_runs_in_every_chart(page: Any) -> None:
    button = page.locator("button.mark").nth(1)
    button.focus()
    page.keyboard.press("Enter")
    assert button.get_attribute("aria-pressed") == "true"
    page.mouse.move(0, 0)
    assert page.locator("path.line.over").count() == 3
    assert page.locator("circle.dot.over").count() == page.locator("#fronts-charts svg").count()
    button.click()
    page.mouse.move(0, 0)
    assert page.locator("path.line.over").count() == 0


def test_points_and_effects_tell_what_they_are(page: Any) -> None:
    point_at(page, page.locator("circle.dot").first)
    tip = page.locator("#tip").inner_text()
    assert "information explained" in tip
    assert "peak MB" in tip
    point_at(page, page.locator("circle.mean-dot").first)
    assert re.search(r"(window|dim)=\d+\s+mean [-\d.]+ ± [\d.]+ \(95 %\)", page.locator("#tip").inner_text())
    page.mouse.move(0, 0)
    assert page.locator("#tip").is_hidden()


@pytest.mark.parametrize("width", [400, 1280])
def test_labels_of_points_do_not_overlap(browser: Any, address: str, width: int) -> None:
    with opened(browser, address, viewport={"width": width, "height": 900}) as (page, _):
        for chart in page.locator("#fronts-charts figure").all():
            boxes = [label.bounding_box() for label in chart.locator("text.label").all()]
            assert boxes
            for one, other in combinations(boxes, 2):
                assert (
                    one["x"] + one["width"] <= other["x"]
                    or other["x"] + other["width"] <= one["x"]
                    or one["y"] + one["height"] <= other["y"] + 1
                    or other["y"] + other["height"] <= one["y"] + 1
                )
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_part_of_the_epochs_can_be_enlarged_and_left_again(page: Any) -> None:
    chart = page.locator("#curves-chart svg").first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    before = page.locator("path.line").first.get_attribute("d")
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 210, steps=4)
    page.mouse.up()
    assert page.locator("path.line").first.get_attribute("d") != before
    page.locator("#all-epochs").click()
    assert page.locator("path.line").first.get_attribute("d") == before
    assert page.locator("#all-epochs").is_hidden()


def test_arrow_keys_go_from_run_to_run(page: Any) -> None:
    page.locator("#curves-chart svg").first.focus()
    seen = set()
    for _ in range(12):
        page.keyboard.press("ArrowDown")
        seen.add(page.locator("#tip").inner_text())
    assert len(seen) == 12


def test_colours_follow_a_key_and_epochs_a_logarithm(page: Any) -> None:
    page.locator("#colours").select_option(label="by window")
    assert page.locator("#legend li").all_inner_texts() == ["window=3", "window=5"]
    before = page.locator("path.line").first.get_attribute("d")
    page.locator("#log-epochs").check()
    assert page.locator("path.line").first.get_attribute("d") != before


def test_what_is_folded_is_drawn_when_it_opens(page: Any) -> None:
    folded = page.locator("details").last
    assert folded.locator("svg").count() == 0
    folded.locator("summary").click()
    folded.locator("svg").nth(1).wait_for()
    assert folded.locator("circle.mean-dot").count() == 4


def test_parallel_coordinates_identify_and_select_runs(page: Any) -> None:
    chart = page.locator("#parallel-chart svg")
    chart.scroll_into_view_if_needed()
    assert chart.locator("path.thread").count() == 12
    box = chart.bounding_box()
    x, y = chart.locator("path.thread").last.evaluate(
        "line => { const at = line.getPointAtLength(0.9 * line.getTotalLength()); return [at.x, at.y]; }"
    )
    page.mouse.move(box["x"] + x, box["y"] + y)
    assert re.search(
        r"window=\d dim=\d+\s+seed \d\s+information explained", page.locator("#tip").inner_text()
    )
    assert chart.locator("path.thread.over").count() == 1
    axis = chart.locator("line.axis").first.bounding_box()
    page.mouse.move(axis["x"], axis["y"] + 0.5 * axis["height"])
    page.mouse.down()
    page.mouse.move(axis["x"] + 2, axis["y"] + axis["height"], steps=3)
    page.mouse.up()
    assert page.locator("#parallel-count").inner_text() == "6 of 12 runs."
    assert chart.locator("path.thread.out").count() == 6
    page.mouse.click(axis["x"], axis["y"] + 20)
    assert page.locator("#parallel-count").inner_text() == ""
    page.locator("#parallel-metric").select_option(label="seconds")
    assert "seconds" in page.locator("#parallel-chart svg").inner_html()


def test_importance_has_bars_with_intervals(page: Any) -> None:
    part = page.locator(".importance").first
    assert part.locator("rect.part").count() == 4
    assert part.locator("line.interval").count() == 4
    assert re.search(r"window\s+\d+(\.\d)? %\s+[\d.]+ % to [\d.]+ %", part.inner_text())


@pytest.mark.parametrize("width", [390, 1280])
def test_no_column_is_clipped_and_all_can_be_shown(browser: Any, address: str, width: int) -> None:
    with opened(browser, address, viewport={"width": width, "height": 800}) as (page, _):
        clipped = page.locator("#configurations .table").evaluate(
            "table => table.scrollWidth - table.clientWidth"
        )
        assert width == 390 or clipped == 0
        hidden = page.locator("#hidden-columns")
        if width == 390:
            assert "pairs/s" in hidden.inner_text()
            page.locator("#all-columns").click()
        assert hidden.is_hidden() or "pairs/s" not in hidden.inner_text()
        assert width == 1280 or page.locator("th", has_text="pairs/s").is_visible()


def test_a_running_page_loads_itself_again_and_keeps_what_was_chosen(browser: Any, tmp_path: Path) -> None:
    from w2v_exp.reporting.comparison import compare
    from w2v_exp.reporting.summary_page import Header, Running, write_summary_page
    from w2v_exp.results import RunResult

    def write(runs: int, *, running: bool) -> None:
        results = [
            RunResult(
                f"k={i}",
                {"k": str(i)},
                0,
                "FINISHED",
                metrics={"information_explained": i / 9, "train_seconds": 1.0},
                curves={"cost": [(0, 2.0), (9, 1.0 + i)]},
            )
            for i in range(runs)
        ]
        header = Header("s", "w2v-exp k=0,1,2,3 -m", 4, {}, Running("now", 1, "s") if running else None)
        write_summary_page(compare(results), header, tmp_path / "summary.html")

    write(2, running=True)
    with opened(browser, (tmp_path / "summary.html").as_uri()) as (page, watch):
        assert "2 of 4 runs, so far." in page.locator("#running").inner_text()
        page.locator("#log-epochs").check()
        page.locator("th button", has_text="k").first.click()
        page.locator("details").last.locator("summary").click()
        write(3, running=True)
        page.get_by_text("3 of 4 runs, so far.").wait_for()
        page.locator("#log-epochs:checked").wait_for()
        page.locator("th[aria-sort]", has_text="k").first.wait_for()
        page.locator("#effects details[open]").nth(1).wait_for()
        write(4, running=False)
        page.locator("#running").wait_for(state="detached")
        assert page.locator("tr[data-group]").count() == 4
        assert watch.complaints == []
        assert watch.left_the_machine == []
    with opened(browser, (tmp_path / "summary.html").as_uri(), java_script_enabled=False) as (page, _):
        write(2, running=True)
        page.reload()
        write(4, running=False)
        page.get_by_text("4 finished runs").wait_for(timeout=10_000)


def test_hostile_texts_do_nothing(browser: Any, tmp_path: Path) -> None:
    from w2v_exp.reporting.comparison import compare
    from w2v_exp.reporting.summary_page import Header, write_summary_page
    from w2v_exp.results import RunResult

    def run(value: str, explained: float, status: str = "FINISHED") -> RunResult:
        metrics = {"information_explained": explained, "peak_memory_mb": 1.0, "train_seconds": 1.0}
        return RunResult(
            value,
            {HOSTILE: value},
            0,
            status,
            HOSTILE,
            metrics,
            {"cost": [(0, 2.0), (9, 1.0)]},
            run_id=HOSTILE,
        )

    runs = [run(HOSTILE, 0.5), run("__proto__", 0.4), run("{{ 7 * 6 }}", 0.3), run(HOSTILE, 0.1, "FAILED")]
    write_summary_page(compare(runs), Header(HOSTILE, HOSTILE), tmp_path / "summary.html")
    with opened(browser, (tmp_path / "summary.html").as_uri()) as (page, watch):
        assert page.locator("path.line").count() == 4
        for place in range(3):
            point_at(page, page.locator("circle.dot").nth(place))
            assert page.locator("#tip").is_visible()
        assert "onerror=alert(1)>" in page.locator(".command").inner_text()
        assert page.title().endswith("onerror=alert(1)>")
        assert page.locator("img").count() == 0
        assert watch.complaints == []
        assert set(watch.requests) <= {(tmp_path / "summary.html").as_uri(), "data:,"}


def test_each_cost_has_a_chart_of_its_own_with_whole_epochs(browser: Any, tmp_path: Path) -> None:
    from w2v_exp.reporting.comparison import compare
    from w2v_exp.reporting.summary_page import Header, write_summary_page
    from w2v_exp.results import RunResult

    def run(objective: str, **curves: list[tuple[int, float]]) -> RunResult:
        metrics = {name: points[-1][1] for name, points in curves.items()} | {"train_seconds": 1.0}
        sampled = {"cost_pairs": 9.0, "cost_sample_share": 0.1} if objective == "sgns" else {}
        return RunResult(objective, {"objective": objective}, 0, "FINISHED", "", metrics | sampled, curves)

    runs = [
        run("softmax", cost=[(0, 3.0), (1, 2.5), (2, 2.25)]),
        run("sgns", cost=[(2, 2.75)], objective_cost=[(0, 5.0), (1, 4.5), (2, 4.25)]),
    ]
    write_summary_page(compare(runs), Header("s", "c"), tmp_path / "summary.html")
    with opened(browser, (tmp_path / "summary.html").as_uri()) as (page, watch):
        expected = {
            "cost": ({"0", "1"}, "cost 2.75 (sampled estimate)"),
            "objective_cost": ({"1"}, "objective cost 4.25"),
        }
        for metric, (lines, tip) in expected.items():
            chart = page.locator(f"figure[data-curves={metric}]")
            drawn = chart.locator("path.line")
            assert {drawn.nth(i).get_attribute("data-run") for i in range(drawn.count())} == lines
            assert f"{metric.replace('_', ' ')}, nats per pair" in chart.locator("text").all_text_contents()
            ticks = chart.locator("text[text-anchor=middle]").all_text_contents()
            assert ticks == ["0", "1", "2"]
            chart.locator("svg").first.focus()
            tips = []
            for _ in lines:
                page.keyboard.press("ArrowDown")
                tips.append(page.locator("#tip").inner_text())
            assert any(f"epoch 2: {tip}" in text for text in tips)
        assert page.locator("#fronts").count() == 0  # nothing is ranked: no empty chart
        assert watch.complaints == []


def test_nothing_can_be_loaded_or_run_that_is_not_the_page_s_own(browser: Any, address: str) -> None:
    asked: list[str] = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    with HTTPServer(("127.0.0.1", 0), Listener) as listener, opened(browser, address) as (page, watch):
        threading.Thread(target=listener.serve_forever).start()
        page.evaluate(
            """address => {
              const script = document.createElement("script");
              script.textContent = "document.title = 'run'";
              const picture = new Image();
              picture.src = address;
              document.body.append(script, picture);
              return fetch(address).catch(() => null);
            }""",
            f"http://127.0.0.1:{listener.server_port}/picture",
        )
        page.wait_for_timeout(100)
        listener.shutdown()
        assert page.title() != "run"
        assert asked == []
        assert len([text for text in watch.complaints if "Content Security Policy" in text]) >= 3


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    """Serve MLflow's UI of the sweep's store."""
    port = free_port()
    place = f"http://127.0.0.1:{port}"
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "ui",
        "--backend-store-uri",
        f"sqlite:///{folder / 'mlflow.db'}",
    ]
    log = (folder / "server.log").open("w")
    process = subprocess.Popen(
        [*command, "--port", str(port), "--workers", "1"],
        cwd=folder,
        env=environment(MLFLOW_DISABLE_TELEMETRY="true"),
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{place}/health", timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                assert process.poll() is None, (folder / "server.log").read_text()
                time.sleep(0.2)
        yield place
    finally:
        process.terminate()
        process.wait()
        log.close()


def test_the_page_works_in_mlflow_s_artifact_viewer(browser: Any, folder: Path, server: str) -> None:
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    (summary,) = client.search_runs(["1"], "tags.kind = 'summary'")
    place = f"experiments/1/runs/{summary.info.run_id}/artifacts/summary.html"
    address = f"{server}/#/{place}?workflowType=machine_learning"
    with opened(browser, address) as (page, watch):
        frame = page.frame_locator("iframe.mlflow-html-iframe")
        frame.locator("path.line").first.wait_for(timeout=60_000)
        mark: Any = InFrame(page, frame)
        look_at_the_page(mark)
        assert watch.left_the_machine == []
        # MLflow's own page asks its server for what is not there
        assert [text for text in watch.complaints if f" {server}/ajax-api/" not in text] == []


class InFrame:
    """A page within a page: what is looked for is in the frame, the pointer is the window's."""

    def __init__(self, page: Any, frame: Any) -> None:
        self.mouse = page.mouse
        self.keyboard = page.keyboard
        self.locator = frame.locator


def test_watching_sees_what_leaves_the_machine(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "bad.html").write_text(
        "<script>console.error('bad')</script><img src='https://example.org/x.png'>"
    )
    with opened(browser, (tmp_path / "bad.html").as_uri()) as (page, watch):
        page.wait_for_timeout(100)
        assert isinstance(watch, Watch)
        assert any(text.startswith("bad ") for text in watch.complaints)
        assert watch.left_the_machine == ["https://example.org/x.png"]

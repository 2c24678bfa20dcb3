"""The page of a running sweep: written as runs end, complete at its end, and true if the sweep was killed."""

import pytest
from plans import plan_of

from w2v_exp.experiment import report
from w2v_exp.reporting.summary_page import FILE
from w2v_exp.results import RunResult, Sweep, write_result

RELOAD = '<meta http-equiv="refresh"'


def folder_of(place, total=4):
    sweep = Sweep("a sweep", "w2v-exp window=3,5 dim=10,50 -m", ["window", "dim"], total, id="1")
    sweep.write(place)
    return sweep


def end_run(folder, sweep, number, status="FINISHED"):
    swept = {"window": "35"[number // 2], "dim": ["10", "50"][number % 2]}
    metrics = {"information_explained": number / 10, "peak_memory_mb": 1.0}
    place = folder / str(number)
    place.mkdir()
    write_result(RunResult(f"run {number}", swept, 0, status, "", metrics), place, sweep)


@pytest.fixture
def at_once(monkeypatch):
    """Let pages be written without a pause."""
    monkeypatch.setattr(report, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(report, "SHARE", float("inf"))


def test_the_page_follows_the_runs_and_is_complete_at_the_end(tmp_path, at_once, command):
    sweep = folder_of(tmp_path)
    page = report.LivePage(tmp_path)
    begun = (tmp_path / FILE).read_text()
    assert "0 of 4 runs, so far." in begun
    assert "Sweep of window × dim" in begun
    assert RELOAD in begun
    for number in range(3):
        end_run(tmp_path, sweep, number, "FAILED" if number == 1 else "FINISHED")
        page.update()
        assert f"{number + 1} of 4 runs, so far." in (tmp_path / FILE).read_text()
    text = (tmp_path / FILE).read_text()
    assert "2 finished runs of 2 configurations, 1 failed" in text
    assert "not started" not in text
    done = command("compare", str(tmp_path), "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    completed = (tmp_path / FILE).read_text()
    assert "so far" not in completed
    assert RELOAD not in completed


def test_a_page_that_would_take_too_much_of_the_time_waits(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "LEAST_SECONDS", 1000.0)
    sweep = folder_of(tmp_path)
    page = report.LivePage(tmp_path)
    end_run(tmp_path, sweep, 0)
    page.update()
    assert "0 of 4 runs, so far." in (tmp_path / FILE).read_text()


def test_nothing_is_written_while_no_run_ends(tmp_path, at_once):
    folder_of(tmp_path)
    page = report.LivePage(tmp_path)
    before = (tmp_path / FILE).stat().st_ino
    page.update(0)
    assert (tmp_path / FILE).stat().st_ino == before


def test_a_folder_that_cannot_be_written_stops_no_sweep(tmp_path, logged):
    folder_of(tmp_path)
    (tmp_path / FILE).mkdir()
    report.LivePage(tmp_path).update()
    assert any(FILE in line for line in logged)


def test_a_sweep_without_a_result_does_not_leave_a_running_page(tmp_path):
    folder_of(tmp_path)
    report.LivePage(tmp_path)
    assert report.finish_sweep(tmp_path, plan_of()) == []
    page = (tmp_path / FILE).read_text()
    assert "No run finished, 4 not started." in page
    assert RELOAD not in page

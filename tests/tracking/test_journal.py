"""Journals: they are read as they were written, damage is reported in one line, and a full disk ends nothing."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_store_faults import fill, small_disk

from w2v_exp.tracking.journal import FILE, DamagedJournalError, End, Header, Journal, read_fingerprint
from w2v_exp.tracking.upload import Cursor, is_uploaded

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
TEXTS = st.dictionaries(st.text(), st.text(), max_size=3)
HEADERS = st.builds(Header, name=st.text(), tags=TEXTS, params=TEXTS)
LINES: tuple[dict[str, Any], ...] = (
    {"metrics": {"cost": 2.5}, "step": 1, "time": 5},
    {"tags": {"a": "b"}},
    {"resumed": 5, "tags": {"a": "b"}},
    {"end": "FINISHED", "time": 5, "files": "artifacts", "move": True},
)
on_a_folder = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def entries_of(folder: Path) -> list[Any]:
    return list(Journal.open(folder).entries())


@given(
    header=HEADERS,
    metrics=st.dictionaries(st.text(), st.floats(), min_size=1, max_size=3),
    step=st.integers(0, 2**40),
    tags=TEXTS,
    status=st.sampled_from(["FINISHED", "FAILED", "KILLED"]),
)
@on_a_folder
def test_a_journal_is_read_as_it_was_written(
    header: Header, metrics: dict[str, float], step: int, tags: dict[str, str], status: str, tmp_path: Path
) -> None:
    journal = Journal.create(tmp_path, header)
    journal.log_metrics(metrics, step)
    journal.set_tags(tags)
    journal.resume(tags)
    journal.end(End(status, "artifacts"))
    journal.close()
    read = Journal.open(tmp_path)
    assert read.header == header
    finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
    entries = list(read.entries())
    assert [(entry.metrics, entry.step) for entry in entries[:-3]] == ([(finite, step)] if finite else [])
    assert [dict(entry.tags) for entry in entries[-3:-1]] == [tags, tags]
    assert [entry.is_resumption for entry in entries[-3:]] == [False, True, False]
    assert read.last_end() == End(status, "artifacts")
    assert entries[-1].offset == read.length == (tmp_path / FILE).stat().st_size


def test_the_fingerprint_is_at_the_beginning(tmp_path: Path) -> None:
    assert read_fingerprint(tmp_path) == ""
    Journal.create(tmp_path, Header("a run", "5f" * 16)).close()
    assert read_fingerprint(tmp_path) == "5f" * 16


def test_a_pipe_is_no_journal(tmp_path: Path) -> None:
    """To open one for reading waits for a writer."""
    os.mkfifo(tmp_path / FILE)
    assert read_fingerprint(tmp_path) == ""
    Cursor("sqlite:///a.db", "w2v_exp").write(tmp_path)
    assert is_uploaded(tmp_path)
    with pytest.raises(FileNotFoundError):
        Journal.open(tmp_path)


@pytest.mark.parametrize("cut", [1, 7, 40])
def test_an_incomplete_last_line_is_ignored_and_reported(cut: int, tmp_path: Path, logged: list[str]) -> None:
    """As a kill leaves it in the middle of a write."""
    journal = Journal.create(tmp_path, Header("a run"))
    journal.log_metrics({"cost": 2.5}, 0)
    journal.log_metrics({"cost": 1.5}, 1)
    journal.close()
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:-cut])
    journal = Journal.open(tmp_path)
    (line,) = logged
    assert "ignored its incomplete last line" in line
    journal.log_metrics({"cost": 1.0}, 1)
    journal.close()
    assert [dict(entry.metrics) for entry in entries_of(tmp_path)] == [{"cost": 2.5}, {"cost": 1.0}]


@given(
    number=st.integers(0, len(LINES) - 1),
    changed=st.dictionaries(
        st.sampled_from(["metrics", "tags", "end", "files", "step", "time", "move", "resumed", "colour"]),
        JSON,
        min_size=1,
    )
    | st.binary()
    | st.sampled_from([b"[" * 100_000, b'{"metrics": {"cost": NaN}, "step": 0, "time": 0}'])
    | st.sampled_from([b'{"metrics": {"cost": 1e999}, "step": 0, "time": 0}'])
    | JSON,
)
@on_a_folder
def test_a_damaged_line_is_refused_in_one_line(number: int, changed: Any, tmp_path: Path) -> None:
    if isinstance(changed, dict):
        changed = LINES[number] | changed
    line = changed if isinstance(changed, bytes) else json.dumps(changed).encode()
    Journal.create(tmp_path, Header("a run")).close()
    with (tmp_path / FILE).open("ab") as stream:
        stream.write(line + b"\n")
    try:
        entries = entries_of(tmp_path)
    except DamagedJournalError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert all(math.isfinite(value) for entry in entries for value in entry.metrics.values())
        assert all(isinstance(value, str) for entry in entries for value in entry.tags.values())


@given(changed=st.dictionaries(st.sampled_from(["journal", "name", "id", "tags", "x"]), JSON, min_size=1))
@on_a_folder
def test_a_damaged_header_is_refused_in_one_line(changed: dict[str, Any], tmp_path: Path) -> None:
    values = json.loads(Header("a run").line()) | changed
    (tmp_path / FILE).write_text(json.dumps(values) + "\n")
    try:
        header = Journal.open(tmp_path).header
    except DamagedJournalError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert Header.parse(header.line()) == header


@pytest.mark.usefixtures("starts_processes")
def test_a_full_disk_is_reported_once_and_costs_no_line(tmp_path: Path, logged: list[str]) -> None:
    with small_disk(tmp_path / "disk", "256k"):
        folder = tmp_path / "disk"
        journal = Journal.create(folder, Header("a run"))
        fill(folder)
        for step in range(1000):
            journal.log_metrics({"cost": step / 7}, step)
        journal.flush(durable=True)
        assert [line.partition(": ")[2] for line in logged] == [
            "cannot be written (No space left on device); training continues."
        ]
        assert [entry.step for entry in journal.entries()] == [*range(1000)]
        assert len(entries_of(folder)) < 1000
        logged.clear()
        (folder / "filled").unlink()
        journal.end(End("FINISHED"))
        journal.close()
        assert [entry.step for entry in entries_of(folder)][:-1] == [*range(1000)]
        assert not logged

"""Files that a sweep reads back may be damaged: then they count as not written, and a line says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from w2v_exp.errors import SettingError, UserError
from w2v_exp.files import DamagedFileError, read_checked, write_checked
from w2v_exp.results import RESULT_FILE, SWEEP_FILE, RunResult, Sweep, read_result, read_results, write_result
from w2v_exp.searching.search import FOLDER_ID_FILE, STUDY_FILE, SearchStudy
from w2v_exp.searching.settings import SearchSettings
from w2v_exp.text import cache as text_cache
from w2v_exp.text.cache import (
    DESCRIPTION,
    DOCUMENTS,
    IDS,
    NAMES,
    SEGMENTS,
    WORDS,
    DamagedEntryError,
    TextCache,
    encode_cached,
    read_figures,
    read_text,
    write_figures,
)
from w2v_exp.text.corpus import FileCorpus
from w2v_exp.text.tokenizers import WhitespaceTokenizer
from w2v_exp.text.vocabulary import VocabularyRule
from w2v_exp.training.checkpoints import DamagedCheckpointError, open_checkpoint, write_checkpoint
from w2v_exp.training.trainer import EpochRecord, EpochSums, TrainingState

RESULT = RunResult(
    name="window=3",
    swept={"window": "3"},
    seed=0,
    status="FINISHED",
    metrics={"cost": 1 / 3, "unigram_cost": 7.0},
    similar={"日本": ["a", "\u2028"]},
)
SWEEP = Sweep("name", "w2v-exp window=3,5 -m", ["window"], 2)
FUZZED = 20_000

Damage = Callable[[bytes], bytes]


def damages() -> st.SearchStrategy[Damage]:
    """Cut a file off, change, insert or delete bytes anywhere, or put something else in its place."""
    place = st.floats(0, 1, exclude_max=True)
    return st.one_of(
        place.map(lambda at: lambda content: content[: int(at * len(content))]),
        st.tuples(place, st.binary(min_size=1, max_size=4)).map(
            lambda drawn: lambda content: _put(content, *drawn)
        ),
        st.tuples(place, st.binary(min_size=1, max_size=4)).map(
            lambda drawn: lambda content: _put(content, *drawn, insert=True)
        ),
        st.tuples(place, st.integers(1, 9)).map(lambda drawn: lambda content: _cut(content, *drawn)),
        st.sampled_from(
            [
                b"",
                b"null",
                b"[]",
                b"{}",
                b'{"checksum": 0}',
                b"[" * 100_000,
                b"\xff\xfe",
                b"0" * 5000,
                b"NaN",
                bytes(99),
            ]
        ).map(lambda other: lambda _: other),
    )


def _put(content: bytes, at: float, changed: bytes, *, insert: bool = False) -> bytes:
    place = int(at * len(content))
    return content[:place] + changed + content[place + (0 if insert else len(changed)) :]


def _cut(content: bytes, at: float, number: int) -> bytes:
    place = int(at * len(content))
    return content[:place] + content[place + number :]


@given(damage=damages())
@settings(max_examples=examples(100), deadline=None)
def test_values_come_back_as_written_or_not_at_all(
    damage: Damage, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / "values.json"
    values = asdict(RESULT)
    write_checked(file, values, durable=False)
    content = file.read_bytes()
    assert read_checked(file) == values
    file.write_bytes(damage(content))
    try:
        assert read_checked(file) == values  # white space and the order of keys may be others
    except DamagedFileError as error:
        assert str(error) in (
            "it is empty",
            "it is not what was written",
            "its checksum is that of other values",
        )


def test_every_truncation_and_every_other_byte_of_a_result_is_noticed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_result(RESULT, tmp_path, None)
    file = tmp_path / RESULT_FILE
    content = file.read_bytes()
    generator = Random(0)
    for place in range(len(content)):
        for damaged in (
            content[:place],
            _put(content, place / len(content), bytes([generator.randrange(256)])),
        ):
            file.write_bytes(damaged)
            result = read_result(tmp_path)
            line = capsys.readouterr().err
            if result is None:
                assert line.startswith(f"{file}: cannot be read (")
                assert line.endswith("); its run counts as unfinished.\n")
                assert line.count("\n") == 1
            else:
                assert result == RESULT
                assert line == ""


def test_a_damaged_result_leaves_the_others_of_its_sweep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        write_result(RESULT, tmp_path / str(number), SWEEP)
    (tmp_path / "1" / RESULT_FILE).write_bytes(b"")
    assert read_results(tmp_path, SWEEP) == [RESULT, RESULT]
    assert capsys.readouterr().err == (
        f"{tmp_path / '1' / RESULT_FILE}: cannot be read (it is empty); its run counts as unfinished.\n"
    )


def test_values_of_another_version_are_not_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for values in (
        {},
        {"curves": 3},
        {**asdict(RESULT), "later": 1},
        {**asdict(RESULT), "curves": {"cost": [1]}},
    ):
        write_checked(tmp_path / RESULT_FILE, values)
        assert read_result(tmp_path) is None
        assert "it is of another version" in capsys.readouterr().err
    write_checked(tmp_path / SWEEP_FILE, {"name": "a", "later": 1})
    with pytest.raises(UserError, match="it is of another version"):
        Sweep.read(tmp_path)


@given(damage=damages())
@settings(max_examples=examples(30), deadline=None)
def test_a_damaged_sweep_is_a_mistake_in_a_line(
    damage: Damage, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("sweep")
    SWEEP.write(folder)
    (folder / SWEEP_FILE).write_bytes(damage((folder / SWEEP_FILE).read_bytes()))
    try:
        assert Sweep.read(folder) == SWEEP
    except UserError as error:
        assert str(error).startswith(f"{folder / SWEEP_FILE}: cannot be read (")
        assert "\n" not in str(error)


def state() -> TrainingState:
    generator = np.random.default_rng(0).bit_generator.state
    return TrainingState(
        records=[EpochRecord(0, 1.5, 2.5, float("nan"), 1.0)],
        sums=EpochSums(steps=3),
        pairs_done=3,
        train_seconds=0.5,
        ended_by="",
        epoch_generator=generator,
        generator=generator,
        arrays={"embedding": np.arange(6.0).reshape(2, 3), "output": np.arange(4, dtype=np.float32)},
    )


@given(damage=damages())
@settings(max_examples=examples(40), deadline=None)
def test_a_checkpoint_is_what_was_written_or_damaged(
    damage: Damage, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    if not (folder / "whole.npz").exists():
        write_checkpoint(folder / "whole.npz", state(), {"number": 1})
    (folder / "damaged.npz").write_bytes(damage((folder / "whole.npz").read_bytes()))
    assert_is_state_or_damaged(folder / "damaged.npz")


def assert_is_state_or_damaged(file: Path) -> None:
    try:
        checkpoint = open_checkpoint(file)
    except DamagedCheckpointError:
        return
    for name, array in state().arrays.items():
        np.testing.assert_array_equal(checkpoint.state.arrays[name], array)
    assert checkpoint.state.generator == state().generator
    checkpoint.close()


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[TextCache, FileCorpus, Path]:
    """Return a cache, a corpus, and the folder of its entry."""
    monkeypatch.setattr(text_cache, "SMALLEST_CACHED", 0)
    (tmp_path / "text.txt").write_text("a rose is a rose\n" * 5)
    cache, corpus = TextCache(str(tmp_path / "cache")), FileCorpus(str(tmp_path / "text.txt"), "line")
    encode_cached(corpus, WhitespaceTokenizer(), VocabularyRule(), cache)
    ((key, _, _, _),) = cache.entries()
    return cache, corpus, cache.path / key


def random_damage(content: bytes, generator: Random) -> bytes:
    """Damage a file as `damages` do, a hundred times faster."""
    kind, at = generator.randrange(5), generator.random()
    changed = generator.randbytes(generator.randrange(1, 5))
    if kind == 0:
        return content[: int(at * len(content))]
    if kind == 1:
        return _cut(content, at, len(changed))
    if kind == 2:
        bit = 1 << generator.randrange(8)
        place = int(at * len(content))
        return content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]
    return _put(content, at, changed, insert=kind == 3)


ARRAYS = (IDS, SEGMENTS, DOCUMENTS, NAMES)


@pytest.mark.parametrize("number", [200, pytest.param(FUZZED, marks=pytest.mark.slow)])
def test_a_damaged_entry_of_the_cache_is_noticed(
    number: int, cached: tuple[TextCache, FileCorpus, Path]
) -> None:
    _, _, folder = cached
    text, generator = read_text(folder), Random(number)
    ids, segments = text.ids.tolist(), text.segments.tolist()
    documents = text.documents.tolist(), [*text.names]
    whole = {name: (folder / name).read_bytes() for name in (DESCRIPTION, WORDS, *ARRAYS)}
    for done in range(number):
        name = list(whole)[done % len(whole)]
        (folder / name).unlink()  # not written over: it may be mapped
        (folder / name).write_bytes(random_damage(whole[name], generator))
        try:
            found = read_text(folder)
        except DamagedEntryError:
            pass
        else:
            assert (found.ids.tolist(), found.segments.tolist()) == (ids, segments)
            assert (found.documents.tolist(), [*found.names]) == documents
            assert found.vocabulary.words == text.vocabulary.words
        (folder / name).unlink()
        (folder / name).write_bytes(whole[name])


@pytest.mark.parametrize("number", [200, pytest.param(FUZZED, marks=pytest.mark.slow)])
def test_damaged_figures_are_not_taken(number: int, tmp_path: Path) -> None:
    figures = {"unigram_cost": 1 / 3, "cost_floor": 0.1}
    write_figures(tmp_path, "cd" * 16, figures)
    (file,) = tmp_path.iterdir()
    content, generator = file.read_bytes(), Random(number)
    for _ in range(number):
        file.write_bytes(random_damage(content, generator))
        assert read_figures(tmp_path, "cd" * 16) in (None, figures)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["checkpoint", RESULT_FILE, SWEEP_FILE])
def test_thousands_of_damaged_files_make_no_other_error(kind: str, tmp_path: Path) -> None:
    generator = Random(kind)
    file = tmp_path / kind
    read: Callable[[], Any]
    if kind == "checkpoint":
        write_checkpoint(file, state(), {"number": 1})
        read = lambda: assert_is_state_or_damaged(file)  # noqa: E731
    elif kind == RESULT_FILE:
        write_result(RESULT, tmp_path, None)
        read = lambda: read_result(tmp_path) in (None, RESULT)  # noqa: E731
    else:
        SWEEP.write(tmp_path)
        read = lambda: Sweep.read(tmp_path) == SWEEP  # noqa: E731
    content = file.read_bytes()
    for _ in range(FUZZED):
        file.write_bytes(random_damage(content, generator))
        try:
            assert read() is not False
        except UserError as error:
            assert "\n" not in str(error)


SEARCH = SearchSettings(metric="cost", n_trials=4)


@pytest.mark.parametrize("number", [5, pytest.param(2000, marks=pytest.mark.slow)])
def test_a_damaged_study_is_a_mistake_in_a_line(number: int, tmp_path: Path) -> None:
    study = SearchStudy(SEARCH, tmp_path, "minimize")
    for value in (1.0, 2.0, 3.0):
        study.study.tell(study.study.ask(), value)
    content, generator = (tmp_path / STUDY_FILE).read_bytes(), Random(number)
    for done in range(number):
        (tmp_path / f"{done}").mkdir()
        (tmp_path / f"{done}" / STUDY_FILE).write_bytes(
            random_damage(content, generator) if done else content[:5000]
        )
        try:
            damaged = SearchStudy(SEARCH, tmp_path / f"{done}", "minimize")
            assert len(damaged.ended) <= 3
        except SettingError as error:
            assert "cannot be used as Optuna's database" in str(error)
            assert "\n" not in str(error)


def test_a_damaged_folder_id_of_a_search_is_replaced_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = SearchStudy(SEARCH, tmp_path, "minimize")
    before = study.folder_id()
    assert study.folder_id() == before
    (tmp_path / FOLDER_ID_FILE).write_bytes(b"\xff")
    assert study.folder_id() != before
    assert "cannot be read (it is not what was written)" in capsys.readouterr().err

"""Settings for a text of one's own, by its size and the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plans import plan_of

from w2v_exp.config import override_of
from w2v_exp.errors import spelled
from w2v_exp.picks import NAMED, Picks, pick_settings

GB = 10**9
CORPUS = ("corpus=text", "corpus.text=some words")


def picks(size: int | None, cores: int = 2, memory: int | None = 8 * GB, **chosen: Any) -> Picks:
    return pick_settings(size, cores=cores, memory=memory, given=chosen)


def overrides(settings: dict[str, Any]) -> list[str]:
    return [override_of(key, value) for key, value in settings.items()]


TABLE = [
    # bytes, cores, memory: objective, labels, initialization, min_count, max_size, epochs
    (100, 2, 8 * GB, "softmax", "counts", "spectral", 1, 30_000, 16),
    (100_000, 2, 8 * GB, "softmax", "counts", "spectral", 2, 30_000, 16),
    (1_000_000, 2, 8 * GB, "softmax", "counts", "spectral", 5, 30_000, 16),
    (12_000_000, 1, 8 * GB, "softmax", "counts", "spectral", 5, 30_000, 16),
    (12_000_000, 64, 8 * GB, "softmax", "counts", "spectral", 5, 30_000, 16),
    (100_000_000, 2, 8 * GB, "softmax", "counts", "normal", 5, 30_000, 20),
    (100_000_000, 2, None, "softmax", "counts", "normal", 5, 30_000, 20),
    (100_000_000, 2, GB // 2, "negative_sampling", "blocks", "word2vec", 5, 131_072, 5),
    (1 * GB, 2, 8 * GB, "softmax", "counts", "normal", 5, 30_000, 20),
    (1 * GB, 2, 2 * GB, "negative_sampling", "blocks", "word2vec", 5, 500_000, 1),
    (100 * GB, 64, 64 * GB, "negative_sampling", "blocks", "word2vec", 5, 500_000, 1),
    (None, 2, 8 * GB, "softmax", "counts", "normal", 5, 30_000, 20),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row[0]} {row[1]} {row[2]}")
def test_picks_by_size_and_machine(row: tuple[Any, ...]) -> None:
    size, cores, memory, *expected = row
    settings = picks(size, cores, memory).settings
    keys = ("objective", "labels", "initialization", "vocabulary.min_count", "vocabulary.max_size", "epochs")
    assert [settings[key] for key in keys] == expected
    assert (settings["dtype"], settings["threads"]) == ("float32", "auto")


SIZES = st.none() | st.integers(0, 10**4) | st.integers(0, 10**14)
CORES = st.integers(1, 1024)
MEMORY = st.none() | st.integers(0, 10**13)
CHOSEN = st.fixed_dictionaries(
    {},
    optional={
        "objective": st.sampled_from(["softmax", "negative_sampling", "hierarchical_softmax"]),
        "dim": st.integers(1, 5000),
        "window": st.integers(1, 50),
        "epochs": st.integers(0, 10**6),
        "threads": st.integers(1, 64),
        "dtype": st.sampled_from(["float32", "float64"]),
        "vocabulary.max_size": st.none() | st.integers(1, 10**6),
        "learning_rate": st.floats(0.001, 10),
    },
)


@pytest.mark.second_tier
@given(size=SIZES, cores=CORES, memory=MEMORY, chosen=CHOSEN)
def test_picks_are_always_valid_and_never_what_was_given(
    size: int | None, cores: int, memory: int | None, chosen: dict[str, Any]
) -> None:
    picked = picks(size, cores, memory, **chosen)
    plan_of(*CORPUS, *overrides(picked.settings), *overrides(chosen))
    assert not picked.settings.keys() & chosen.keys()
    assert picked.settings.get("epochs", 1)
    for line, keys in zip(picked.lines, NAMED, strict=True):
        assert line.startswith(f"{keys[0]}=")
        assert "\n" not in line
        assert line.endswith(".")


@pytest.mark.cases(every=9)
@pytest.mark.parametrize(
    "chosen",
    [
        {"labels": "streamed"},
        {"labels": "sparse"},
        {"labels": "blocks"},
        {"labels": "blocks", "labels.tokens": 64},
        {"model": "cbow"},
        {"model": "cbow", "objective": "negative_sampling"},
        {"model": "cbow", "objective": "softmax", "labels": "sparse"},
        {"workers": 2},
        {"optimizer": "adam"},
        {"initialization": "normal", "objective": "hierarchical_softmax"},
        {"objective": "negative_sampling", "labels": "streamed"},
        {"objective": "hierarchical_softmax", "labels": "sparse"},
        {"subsampling": "word2vec"},
        {"labels.smoothing": 0, "objective.weight_decay": 0},
    ],
    ids=str,
)
@pytest.mark.parametrize("size", [10**6, 10**8])
def test_other_options_get_settings_that_fit_them(chosen: dict[str, Any], size: int) -> None:
    picked = picks(size, **chosen)
    plan_of(*CORPUS, *overrides(picked.settings), *overrides(chosen))


@given(size=SIZES, cores=CORES, memory=st.integers(0, 10**13), more=st.integers(0, 10**13))
def test_more_memory_never_loses_the_softmax(size: int | None, cores: int, memory: int, more: int) -> None:
    before, after = picks(size, cores, memory), picks(size, cores, memory + more)
    if before.settings["objective"] == "softmax":
        assert after.settings == before.settings
    elif after.settings["objective"] != "softmax":
        assert after.settings["vocabulary.max_size"] >= before.settings["vocabulary.max_size"]


@given(size=SIZES, cores=CORES, more=CORES, memory=MEMORY, chosen=CHOSEN)
def test_more_cores_never_lose_epochs(
    size: int | None, cores: int, more: int, memory: int | None, chosen: dict[str, Any]
) -> None:
    before, after = (picks(size, each, memory, **chosen).settings | chosen for each in (cores, cores + more))
    if before["objective"] == after["objective"]:
        assert after["epochs"] >= before["epochs"]
    else:
        assert after["objective"] == "softmax"


@given(size=st.integers(0, 10**14), more=st.integers(0, 10**14), cores=CORES, memory=MEMORY)
def test_a_longer_text_never_gets_fewer_words_or_the_softmax_back(
    size: int, more: int, cores: int, memory: int | None
) -> None:
    before, after = (picks(each, cores, memory).settings for each in (size, size + more))
    assert after["vocabulary.max_size"] >= min(before["vocabulary.max_size"], 1000)
    assert after["vocabulary.min_count"] >= before["vocabulary.min_count"]
    if before["objective"] == "negative_sampling":
        assert after["objective"] == "negative_sampling"
        assert after["epochs"] <= before["epochs"]


def test_a_little_more_memory_changes_nothing() -> None:
    """Available memory varies from run to run, and a killed run is resumed only with the same settings."""
    for memory in (GB // 5, GB // 2, 2 * GB, 8 * GB):
        before, after = (picks(10**9, memory=memory * part // 100).settings for part in (100, 103))
        assert before == after


def test_known_numbers_of_words_replace_the_estimates() -> None:
    estimated = pick_settings(10**8, cores=1, memory=None, given={"dim": 400})
    counted = pick_settings(10**8, cores=1, memory=None, tokens=10**7, words=5_000, given={"dim": 400})
    assert counted.settings["epochs"] == 20 > estimated.settings["epochs"]
    assert "about 10,000,000 words" in counted.lines[0]
    assert "about 5,000 words" in counted.lines[1]
    assert ": 17,000,000 words; " in pick_settings(None, cores=1, memory=None, tokens=17_000_000).lines[0]


def test_a_tiny_text_keeps_its_words_with_negative_sampling() -> None:
    assert picks(1000, objective="negative_sampling").settings["subsampling"] == "none"
    assert picks(10**6, objective="negative_sampling").settings["subsampling"] == "word2vec"


def test_the_lines_name_overridden_picks() -> None:
    lines = picks(
        10**6, epochs="3", dtype="float64", **{"labels.smoothing": 0, "vocabulary.min_count": 5}
    ).lines
    assert lines[0].endswith(" Given: labels.smoothing=0 instead of 100.0.")
    assert "Given" not in lines[1]  # the same as picked
    assert lines[2].startswith("dtype=float64 threads=auto: ")
    assert lines[2].endswith(" Given: dtype=float64 instead of float32.")
    assert lines[3].startswith("epochs=3: about ")
    assert lines[3].endswith(" Given: epochs=3 instead of 16.")


def test_an_unknown_size_is_named() -> None:
    assert (
        picks(None)
        .lines[0]
        .startswith("objective=softmax labels=counts: the size is unknown, 100 MB are assumed; ")
    )
    assert picks(None).settings == picks(100_000_000).settings


@pytest.mark.parametrize("wrong", [{"size": -1}, {"cores": 0}, {"memory": -1}])
def test_impossible_sizes_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be 0 or more"):
        pick_settings(**({"size": 1, "cores": 1, "memory": 1} | wrong))  # type: ignore[arg-type]


COLUMNS: list[tuple[int, dict[str, Any]]] = [
    (12 * 10**6, {}),
    (10**8, {}),
    (12 * 10**6, {"objective": "negative_sampling"}),
    (10**8, {"objective": "negative_sampling"}),
    (10**8, {"objective": "negative_sampling", "model": "cbow"}),
    (10**8, {"objective": "hierarchical_softmax"}),
]


def test_the_table_in_the_documentation_is_that_of_the_code() -> None:
    page = (Path(__file__).parents[1] / "docs/choosing.md").read_text(encoding="utf-8")
    table = page.partition("## Settings that go together")[2].partition("In all columns")[0]
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if "`" in line[:5]
    ]
    common = {"dtype": "float32", "threads": "auto", "vocabulary.min_count": 5}
    for column, (size, chosen) in enumerate(COLUMNS, 1):
        settings = pick_settings(size, cores=4, memory=None, given=chosen).settings | chosen
        documented = {row[0].strip("`"): row[column] for row in rows if row[column]}
        expected = {key: spelled(value) for key, value in settings.items() if key not in common}
        expected.pop("model", None)
        assert documented == expected
        assert settings.items() >= common.items()

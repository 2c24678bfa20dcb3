"""The bounds of a run's cost: those of all its training pairs, computed once for a text in the cache."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import plans
import pytest
from numpy.typing import NDArray
from processes import Command

from w2v_exp import machine
from w2v_exp.examples.counts import Bounds, PairCounts
from w2v_exp.examples.pairs import window_pairs
from w2v_exp.examples.sampling import TextPart
from w2v_exp.experiment import measures as module
from w2v_exp.experiment.build import build_examples
from w2v_exp.experiment.measures import (
    bound_metrics,
    counting_memory,
    training_bounds,
)
from w2v_exp.files import read_checked
from w2v_exp.machine import MEGABYTE, PeakMemory
from w2v_exp.plan import Plan
from w2v_exp.text.cache import FIGURES

V = 12
IDS = np.minimum(np.random.default_rng(1).geometric(0.25, 300) - 1, V - 1).astype(np.int32)
SEGMENTS = np.array([0, 40, 41, 200, 300])
PlanOf = Callable[..., Plan]


@pytest.fixture
def plan_of(tmp_path: Path) -> PlanOf:
    return partial(plans.plan_of, f"cache.folder={tmp_path / 'cache'}")


@pytest.fixture
def mapped(tmp_path: Path) -> TextPart:
    IDS.tofile(tmp_path / "ids")
    return TextPart(np.memmap(tmp_path / "ids", np.int32, mode="r"), SEGMENTS)


def bounds_of(plan: Plan, training: TextPart, entry: Path | None = None) -> Bounds | None:
    examples = build_examples(plan, training.ids, V, training.segments)
    return training_bounds(plan, entry, training, examples)


def close(bounds: Bounds | None, expected: Bounds) -> bool:
    assert bounds is not None
    return list(vars(bounds).values()) == pytest.approx(list(vars(expected).values()), abs=1e-6)


@pytest.mark.parametrize("labels", ["dense", "sparse", "counts", "streamed"])
@pytest.mark.parametrize("segments", [None, SEGMENTS])
@pytest.mark.parametrize("sampled", [[], ["subsampling=word2vec", "subsampling.threshold=0.01"]])
def test_they_are_those_of_all_pairs_whatever_is_sampled(
    plan_of: PlanOf, labels: str, segments: NDArray[np.int64] | None, sampled: list[str]
) -> None:
    plan = plan_of(f"labels={labels}", *sampled)
    assert plan.trains_on_all_pairs == (not sampled)
    expected = Bounds.of(window_pairs(IDS, plan.window, V, segments))
    assert close(bounds_of(plan, TextPart(IDS, segments)), expected)


@pytest.mark.parametrize("labels", ["sparse", "counts", "streamed"])
def test_shrinking_windows_weigh_the_pairs(plan_of: PlanOf, labels: str) -> None:
    plan = plan_of(f"labels={labels}", "shrinking_window=true", "window=2")
    assert plan.trains_on_all_pairs == (
        labels == "counts"
    )  # counts have the weights; listed windows are drawn
    # Pairs at distance 1 weigh twice as much as those at distance 2: as if they were there twice.
    near, both = (window_pairs(IDS, window, V) for window in (1, 2))
    twice = type(near)(
        np.concatenate([near.centres, both.centres]), np.concatenate([near.contexts, both.contexts]), V
    )
    assert close(bounds_of(plan, TextPart(IDS)), Bounds.of(twice))


def test_those_of_a_cached_text_are_kept_and_taken_while_all_is_the_same(
    plan_of: PlanOf, mapped: TextPart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = []
    count: Callable[..., PairCounts] = module.count_window_pairs

    def counting(*arguments: object, **options: object) -> PairCounts:
        counted.append(options)
        return count(*arguments, **options)

    monkeypatch.setattr(module, "count_window_pairs", counting)
    first = bounds_of(plan_of(), mapped, tmp_path)
    assert close(first, Bounds.of(window_pairs(IDS, 3, V, SEGMENTS)))
    assert bounds_of(plan_of(), mapped, tmp_path) == first
    assert bounds_of(plan_of("seed=3", "labels=dense", "dim=7"), mapped, tmp_path) == first
    assert len(counted) == 1
    others = [
        bounds_of(plan_of("window=2"), mapped, tmp_path),
        bounds_of(plan_of("shrinking_window=true"), mapped, tmp_path),
        bounds_of(plan_of(), TextPart(mapped.ids), tmp_path),
        bounds_of(plan_of(), TextPart(mapped.ids[:-1], np.minimum(SEGMENTS, 299)), tmp_path),
    ]
    assert len(counted) == 5
    assert len({first, *others}) == 5
    assert bounds_of(plan_of(), mapped, tmp_path) == first
    file = tmp_path / FIGURES
    file.write_text(file.read_text().replace("2.", "3."))
    assert bounds_of(plan_of(), mapped, tmp_path) == first
    assert len(counted) == 6


def test_counts_at_hand_are_not_counted_again(plan_of: PlanOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(module, "count_window_pairs")
    assert bounds_of(plan_of("labels=counts"), TextPart(IDS)) is not None
    with pytest.raises(NameError):
        bounds_of(plan_of("labels=sparse"), TextPart(IDS))


def test_an_entry_that_cannot_be_written_is_done_without(
    plan_of: PlanOf, mapped: TextPart, tmp_path: Path
) -> None:
    removed = tmp_path / "removed"
    assert bounds_of(plan_of(), mapped, removed) == bounds_of(plan_of(), TextPart(IDS, SEGMENTS))
    assert not removed.exists()


def test_they_are_left_out_where_there_is_no_memory_to_count(
    plan_of: PlanOf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, examples = plan_of(), build_examples(plan_of(), IDS, V)
    monkeypatch.setattr(machine, "available_memory", lambda: 100)
    assert training_bounds(plan, None, TextPart(IDS), examples) is None
    said = capsys.readouterr().err
    needed = machine.readable_bytes(counting_memory(plan, TextPart(IDS), V))
    assert f"Skipping unigram_cost and cost_floor: Counting the pairs needs {needed}, and 100 B" in said
    assert "bounds=false" in said


@pytest.mark.parametrize("segments", [None, np.arange(0, 300_001, 20)])
def test_what_counting_needs_is_its_peak(plan_of: PlanOf, segments: NDArray[np.int64] | None) -> None:
    """Equal pairs take memory once: here three of a text are one on the average."""
    shares = 1 / (np.arange(4000) + 2.7)
    ids = np.random.default_rng(0).choice(4000, 300_000, p=shares / shares.sum()).astype(np.int32)
    plan, training = plan_of("window=5", "labels=streamed"), TextPart(ids, segments)
    examples = build_examples(plan, ids, 4000, segments)
    bounds_of(plan, TextPart(IDS))  # what is loaded on first use is no memory of this
    with PeakMemory() as peak:
        assert training_bounds(plan, None, training, examples) is not None
    assert counting_memory(plan, training, 4000) / MEGABYTE == pytest.approx(peak.megabytes, rel=0.15)


def test_a_cost_stands_between_them_only_if_it_is_of_the_same_pairs() -> None:
    assert bound_metrics(Bounds(3.0, 1.0), None) == {"unigram_cost": 3.0, "cost_floor": 1.0}
    assert bound_metrics(Bounds(3.0, 1.0), 1.5) == {
        "unigram_cost": 3.0,
        "cost_floor": 1.0,
        "cost_gap": 0.5,
        "information_explained": 0.75,
    }


OF_A_COST = {"cost_gap", "information_explained"}
OF_PAIRS = {"unigram_cost", "cost_floor"}


@pytest.mark.cases(every=2)
@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("choices", "there", "missing"),
    [
        ([], OF_A_COST | OF_PAIRS, set()),
        (["bounds=false"], set(), OF_A_COST | OF_PAIRS),
        (["subsampling=paper", "subsampling.threshold=0.05"], OF_PAIRS, OF_A_COST),
        (
            ["validation=held_out", "validation.block=4", "validation.share=0.25"],
            OF_A_COST | OF_PAIRS | {"validation_unigram_cost"},
            set(),
        ),
    ],
)
def test_runs_log_what_is_known_and_draw_it(
    choices: list[str], there: set[str], missing: set[str], command: Command, tmp_path: Path
) -> None:
    done = command("epochs=5", *choices)
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.glob("outputs/runs/*/result.json")
    metrics = json.loads(file.read_text())["metrics"]
    assert there <= set(metrics)
    assert not missing & set(metrics)
    assert len(list(tmp_path.glob("**/cost.png"))) == 1


def test_the_second_run_of_a_long_text_takes_the_bounds_from_the_cache(
    command: Command, tmp_path: Path
) -> None:
    words = np.array([f"word{number}" for number in range(40)])
    (tmp_path / "long.txt").write_text(" ".join(words[np.random.default_rng(0).integers(0, 40, 330_000)]))
    results = []
    for number in range(2):
        done = command(
            "corpus=file",
            "corpus.path=long.txt",
            "tokenizer=whitespace",
            "labels=counts",
            "subsampling=word2vec",
            "labels.sampled_passes=1",
            "window=1",
            "epochs=1",
            "tracking=none",
            f"cache.folder={tmp_path / 'cache'}",
            f"hydra.run.dir=run{number}",
        )
        assert done.returncode == 0, done.stderr
        (figures,) = (tmp_path / "cache").glob(f"*/{FIGURES}")
        metrics = json.loads((tmp_path / f"run{number}" / "result.json").read_text())["metrics"]
        results.append((figures.stat().st_mtime_ns, {name: metrics[name] for name in OF_PAIRS}))
    assert results[0] == results[1]
    (kept,) = read_checked(figures).values()
    assert {name: kept[name] for name in OF_PAIRS} == results[0][1]


def test_bounds_are_those_recorded_for_the_format_in_which_they_are_kept(
    plan_of: PlanOf, tmp_path: Path
) -> None:
    (np.arange(300) ** 2 % 31 % V).astype(np.int32).tofile(tmp_path / "ids")
    training = TextPart(np.memmap(tmp_path / "ids", np.int32, mode="r"), SEGMENTS)
    found = bounds_of(plan_of("window=3", "shrinking_window=true"), training)
    assert found is not None
    recorded = (1, 2.1931520189340867, 1.6626238278245649)
    assert (module.BOUNDS_FORMAT, found.unigram_cost, found.cost_floor) == pytest.approx(
        recorded, abs=1e-9
    ), (
        "Raise BOUNDS_FORMAT in experiment/measures.py, or caches keep the old bounds; then record the new ones here."
    )

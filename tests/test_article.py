"""The article's published figures, and the report that checks them.

Two seeds here, five in the script. Why each tolerance is what it is stands in the report, beside the claim.
"""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from article import (  # noqa: E402
    cost_curves,
    label_memory,
    literal_change,
    neighbour_tables,
    worked_example,
)
from article.label_memory import measure, refuse  # noqa: E402
from article.lost_updates import (  # noqa: E402
    attainable_cost,
    kept_updates,
    share_kept,
)
from article.model import FOLDER, PublishedFigures, article_pairs, article_text, contexts_of, train_article  # noqa: E402
from article.report import (  # noqa: E402
    Claim,
    Point,
    headline,
    page,
    report,
)
from reproduce_article import POINTS, conditions, write  # noqa: E402

from w2v_exp.examples.counts import cost_floor  # noqa: E402
from w2v_exp.examples.pairs import Pairs  # noqa: E402
from w2v_exp.text.tokenizers import ArticleTokenizer  # noqa: E402

SEEDS = range(2)
SLOW = [pytest.mark.slow]
MEASURED = [label_memory]  # takes longer than all the others; `measure` and `refuse` have tests of their own
Examine = Callable[[ModuleType], Point]


@pytest.fixture(scope="module")
def published() -> PublishedFigures:
    return PublishedFigures.read()


@pytest.fixture(scope="module")
def examine(published: PublishedFigures) -> Examine:
    """Return what examines a point, once."""
    return cache(lambda module: module.examine(published, SEEDS))


# --- the figures themselves, asserted without the report's own checks


def test_the_published_figures_are_all_there(published: PublishedFigures) -> None:
    assert published.epochs.tolist() == list(range(0, 5000, 10))
    assert published.costs["dense"][-1] == 2.0322921804434446
    assert published.costs["sparse"][-1] == 2.03314201017937
    assert {labels: len(lists) for labels, lists in published.neighbours.items()} == {
        "dense": 13,
        "sparse": 13,
    }
    assert {len(words) for lists in published.neighbours.values() for words in lists.values()} == {4}


def test_the_sentence_has_16_tokens_13_words_and_84_pairs() -> None:
    assert (article_text().tokens, len(article_text().vocabulary), len(article_pairs(3))) == (16, 13, 84)
    assert [len(article_pairs(window)) for window in (1, 2, 5)] == [30, 58, 130]


def test_with_a_typographic_apostrophe_it_has_17_tokens() -> None:
    sentence = "After the deduction of the costs of investing, beating the stock market is a loser’s game."
    assert len(ArticleTokenizer()(sentence)) == 17


def test_investing_has_its_ten_contexts_at_window_5() -> None:
    contexts = contexts_of("investing", article_pairs(5))
    assert " ".join(contexts) == "deduction of the costs of beating the stock market is"


@pytest.mark.parametrize("labels", ["dense", "sparse"])
@pytest.mark.parametrize("seed", SEEDS)
def test_costs_follow_the_published_curve(published: PublishedFigures, labels: str, seed: int) -> None:
    costs = train_article(seed, labels=labels).costs
    # Another start shifts the curve by up to 40 epochs, where it falls by up to 0.06 in 50.
    assert np.abs(costs[published.epochs] - published.costs[labels]).max() <= 0.03
    assert 2.028 <= costs[4990] <= 2.044
    lowest = 1000 + costs[1000:1401].argmin()
    assert 1000 < lowest < 1400
    assert costs[lowest:].max() >= costs[lowest] + 0.001


def test_dense_and_sparse_labels_train_the_same_model() -> None:
    dense, sparse = (train_article(0, labels=labels) for labels in ("dense", "sparse"))
    # 5,000 epochs of float64 rounding in another order of summation
    assert np.abs(dense.costs - sparse.costs).max() <= 1e-9


@pytest.mark.parametrize("labels", ["dense", "sparse"])
@pytest.mark.parametrize("seed", SEEDS)
def test_neighbours_are_the_published_ones(published: PublishedFigures, labels: str, seed: int) -> None:
    run = train_article(seed, labels=labels)
    words = article_text().vocabulary.words
    shared = sum(
        len({words[i] for i in row} & set(published.neighbours[labels][word]))
        for word, row in zip(words, run.neighbours.tolist(), strict=True)
    )
    assert shared >= 45  # fourth places are often close, and starts differ
    assert 45 <= run.true_neighbours <= 48


@pytest.mark.parametrize("seed", SEEDS)
def test_without_lost_updates_the_cost_comes_down_to_the_floor(seed: int) -> None:
    run = train_article(seed, update="accumulate")
    assert run.costs[-1] == pytest.approx(1.719, abs=0.0005)
    assert run.final_cost == pytest.approx(1.7255, abs=0.0005)
    assert run.true_neighbours == 50
    assert (np.diff(run.costs) < 0).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_part_of_that_gain_is_the_large_step_on_the_embedding(seed: int) -> None:
    run = train_article(seed, update="accumulate", embedding_gradient="mean")
    assert run.costs[-1] == pytest.approx(2.05, abs=0.01)  # still on its way: the start shows
    assert run.true_neighbours == pytest.approx(45, abs=2)


def test_of_84_updates_71_are_lost_and_numpy_loses_the_same() -> None:
    pairs = article_pairs()
    kept = kept_updates(pairs, 128)
    assert (len(pairs), np.count_nonzero(~kept)) == (84, 71)
    rows = np.zeros(pairs.vocabulary_size)
    rows[pairs.centres] -= np.arange(len(pairs))  # which pair's value does each row end with?
    assert sorted(-rows) == np.flatnonzero(kept).tolist()


def test_the_share_of_kept_updates_counts_what_numpy_keeps() -> None:
    generator = np.random.default_rng(0)
    pairs = Pairs(generator.integers(0, 9, 960, np.int32), generator.integers(0, 9, 960, np.int32), 9)
    for batch_size in (1, 7, 32, 960):
        full = len(pairs) // batch_size * batch_size
        assert share_kept(pairs, batch_size) == kept_updates(pairs, batch_size)[:full].mean()


# --- the least attainable cost


def test_the_attainable_cost_is_the_floor_without_epsilon_and_1_7168_with_it() -> None:
    pairs = article_pairs()
    assert cost_floor(pairs) == pytest.approx(1.7230, abs=0.00005)
    assert attainable_cost(pairs, 0.0) == pytest.approx(cost_floor(pairs), abs=1e-12)
    assert attainable_cost(pairs, 0.001) == pytest.approx(1.7168, abs=0.00005)


@pytest.mark.parametrize("epsilon", [0.001, 0.1, 0.7])
def test_no_distribution_costs_less_and_one_costs_as_much(epsilon: float) -> None:
    # At 0.7 only the first of the three words is worth any probability.
    contexts = np.repeat(np.arange(3, dtype=np.int32), [12, 3, 1])
    pairs = Pairs(np.zeros(16, np.int32), contexts, 3)
    shares = np.array([12, 3, 1]) / 16
    grid = np.linspace(0, 1, 401)
    first, second = (axis.ravel() for axis in np.meshgrid(grid, grid))
    inside = first + second <= 1
    p = np.stack([first, second, 1 - first - second])[:, inside].clip(0)
    cheapest = (-(shares @ np.log(p + epsilon))).min()
    least = attainable_cost(pairs, epsilon)
    assert least - 1e-12 <= cheapest <= least + 1e-4  # the grid's step is 0.0025


# --- the memory of labels


def test_dense_labels_grow_with_the_vocabulary_and_sparse_ones_do_not() -> None:
    dense = [measure("dense", words, 2000, seed=0) for words in (250, 500)]
    assert (dense[1].peak - dense[0].peak) / dense[0].pairs == pytest.approx(250 * 8, rel=0.02)
    sparse = [measure("sparse", words, 64_000, seed=0) for words in (250, 500)]
    assert sparse[1].peak == pytest.approx(sparse[0].peak, rel=0.05)


def test_dense_labels_that_cannot_fit_are_refused_in_two_lines_before_anything_is_allocated() -> None:
    refusal = refuse(seed=0)
    if refusal is None:
        pytest.skip("this system does not report its available memory")
    needs, advice = refusal.message.splitlines()
    assert re.search(r"needs .+B, and .+B are available", needs)
    assert "labels=sparse" in advice
    assert refusal.needed == refusal.pairs * refusal.vocabulary_size * 8
    assert refusal.allocated < 1_000_000 < refusal.needed


# --- two places


def test_the_cost_read_after_the_backward_pass_is_nan_and_the_model_trains_all_the_same() -> None:
    literal_costs, literal = literal_change.train_plainly(literal_change.epoch_with_cost_last, seed=0)
    costs, ordered = literal_change.train_plainly(literal_change.epoch_with_cost_first, seed=0)
    assert np.isnan(literal_costs).all()
    assert np.array_equal(literal.embedding, ordered.embedding)
    assert np.abs(costs - train_article(0).costs).max() <= 1e-9


# --- the report


@pytest.mark.parametrize(
    "module",
    [
        pytest.param(module, id=module.__name__.rpartition(".")[2], marks=SLOW if module in MEASURED else [])
        for module in POINTS
    ],
)
def test_every_claim_holds(examine: Examine, module: ModuleType) -> None:
    point = examine(module)
    assert [claim.name for claim in point.failed] == []
    assert all(claim.tolerance and claim.reason for claim in point.claims)


def with_another_count(published: PublishedFigures) -> PublishedFigures:
    return replace(published, counts=published.counts | {"tokens": 17})


def with_another_pair(published: PublishedFigures) -> PublishedFigures:
    return replace(published, pairs=published.pairs[::-1])


def with_another_cost(published: PublishedFigures) -> PublishedFigures:
    return replace(published, costs=published.costs | {"sparse": published.costs["sparse"] + 0.05})


def with_other_neighbours(published: PublishedFigures) -> PublishedFigures:
    dense = published.neighbours["dense"]
    moved = dict(zip(dense, [*dense.values()][::-1], strict=True))
    return replace(published, neighbours=published.neighbours | {"dense": moved})


@pytest.mark.parametrize(
    ("module", "change", "named"),
    [
        (worked_example, with_another_count, "Tokens"),
        (worked_example, with_another_pair, "Contexts of `investing`"),
        (cost_curves, with_another_cost, "sparse labels"),
        (neighbour_tables, with_other_neighbours, "dense labels"),
    ],
)
def test_a_wrong_figure_is_noticed_and_named(published, module, change, named: str) -> None:
    point = module.examine(change(published), range(1))
    assert point.verdict == "not reproduced"
    assert all(named in claim.name for claim in point.failed)
    assert point.failed[0].name in headline([point])


def test_what_could_not_be_measured_is_named_and_is_no_failure() -> None:
    point = Point("T", "s", True, "f", [Claim("Updates kept", "1", "no package", "0", "r", None)], "body")
    assert point.verdict == "holds"
    assert headline([point]) == (
        "**All 0 figures that were measured are within their tolerance.** Not measured: Updates kept."
    )


def test_words_are_escaped_and_a_bar_does_not_end_a_cell(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script> a|b"
    point = Point(hostile, hostile, True, hostile, [Claim(hostile, "1", "2", "0", "r", False)], hostile)
    html = page(report([point], ""), tmp_path)
    assert "<script" not in html
    assert "<td>&lt;script&gt;alert(1)&lt;/script&gt; a|b</td>" in html
    assert '<td class="bad">✗ out of tolerance</td>' in html


def reproduce(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "scripts" / "reproduce_article.py", "--seeds", "1", *arguments]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, examine: Examine) -> Path:
    folder = tmp_path_factory.mktemp("article")
    points = [examine(module) for module in POINTS if module not in MEASURED]
    write(points, folder, conditions(len(SEEDS)))
    return folder


def test_the_report_has_every_point_in_both_forms(folder: Path) -> None:
    for name in ("report.md", "report.html"):
        text = (folder / name).read_text(encoding="utf-8")
        assert "figures are within their tolerance" in text or "figures that were measured are within" in text
        for expected in ("71 of 84", "1.7168", "NaN", "2.0323", "deduction"):
            assert expected in text, (name, expected)
    named = re.findall(r"\]\((pictures/[^)]+)\)", (folder / "report.md").read_text(encoding="utf-8"))
    assert sorted(named) == sorted(f"pictures/{path.name}" for path in (folder / "pictures").iterdir())


class Fetches(HTMLParser):
    """Collects what a page would fetch or run, and where its links go."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.sources: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attributes:
            if name in {"src", "srcset", "data", "poster", "background"}:
                self.sources.append(value or "")
            elif name in {"href", "action"}:
                self.links.append(value or "")
            elif name == "id":
                self.ids.add(value or "")
            assert not name.startswith("on"), name


def test_the_page_needs_nothing_else(folder: Path) -> None:
    html = (folder / "report.html").read_text(encoding="utf-8")
    fetches = Fetches()
    fetches.feed(html)
    assert not fetches.tags & {"script", "iframe", "object", "embed", "base"}
    assert len(fetches.sources) == len(list((folder / "pictures").iterdir())) > 2
    assert all(source.startswith("data:image/svg+xml;base64,") for source in fetches.sources)
    assert fetches.links
    assert {link.removeprefix("#") for link in fetches.links} <= {
        *fetches.ids,
        "data:,",
    }  # no icon is fetched
    assert not re.search(r"url\(|@import|https?://", html)


@pytest.mark.usefixtures("starts_processes")
@pytest.mark.slow
def test_the_script_writes_the_report_and_ends_with_exit_code_0(tmp_path: Path) -> None:
    done = reproduce("--out", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "within their tolerance" in done.stdout
    assert len(list((tmp_path / "pictures").iterdir())) == 4
    assert (tmp_path / "report.html").read_text(encoding="utf-8").count("data:image/svg+xml;base64,") == 4


@pytest.mark.usefixtures("starts_processes")
@pytest.mark.slow
def test_a_wrong_figure_ends_the_script_with_exit_code_1(tmp_path: Path) -> None:
    figures = tmp_path / "published"
    shutil.copytree(FOLDER, figures)
    costs = figures / "published_costs.csv"
    rows = list(csv.reader(costs.read_text(encoding="utf-8").splitlines()))
    rows[51][1] = str(float(rows[51][1]) + 0.1)  # epoch 500, dense
    costs.write_text("\n".join(map(",".join, rows)) + "\n", encoding="utf-8")
    done = reproduce("--out", tmp_path / "out", "--published", figures)
    assert done.returncode == 1
    assert "1 of 35 figures out of tolerance: Cost at all 500 printed epochs, dense labels" in done.stdout
    page_text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "✗ out of tolerance" in page_text
    assert "‼ not reproduced" in page_text


@pytest.mark.usefixtures("starts_processes")
def test_no_seeds_are_refused() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "reproduce_article.py", "--seeds", "0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "'0' must be a whole number, 1 or more" in done.stderr

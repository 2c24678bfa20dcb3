"""The page of a sweep holds all that was found, is safe whatever it is told, and stays small."""

import base64
import hashlib
import html
import json
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from w2v_exp.reporting.comparison import compare
from w2v_exp.reporting.summary_page import POINTS, ROWS, Header, summary_page, write_summary_page
from w2v_exp.results import RunResult

HEADER = Header("2026-11-23_12-00-00-abcd", "w2v-exp window=3,5 -m", 4)
HOSTILE = "</script><script>alert(1)</script>\u2028\u202e\ud800'\"&<img src=x onerror=alert(2)>{{ 7 * 6 }}"


class Reader(HTMLParser):
    """Reads a page as a browser does: its elements, its texts, the data in it."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.texts, self.scripts, self._inside = [], [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._inside.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data):
        if self._inside and self._inside[-1] == "script":
            self.scripts[-1] += data
        elif not (self._inside and self._inside[-1] == "style"):
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    @property
    def data(self):
        return json.loads(self.scripts[0])


def run(
    swept,
    explained,
    seed=0,
    status="FINISHED",
    reason="",
    costs=((0, 2.5), (10, 2.0)),
    run_id="",
    ended_by="epochs",
    **metrics,
):
    metrics |= {"information_explained": explained, "peak_memory_mb": 1.0, "train_seconds": 2.0}
    name = " ".join(f"{key}={value}" for key, value in swept.items())
    metrics = {name: value for name, value in metrics.items() if math.isfinite(value)}
    return RunResult(name, swept, seed, status, reason, {**metrics}, {"cost": list(costs)}, ended_by, run_id)


def read(runs, asked=HEADER):
    return Reader(summary_page(compare(runs), asked))


def grid(windows=2, dims=2, seeds=1, **more):
    return [
        run({"window": str(w), "objective.dim": str(d)}, (w * d) / 200 + seed / 1000, seed, **more)
        for w in range(1, windows + 1)
        for d in range(1, dims + 1)
        for seed in range(seeds)
    ]


def curves_of(data):
    """Return the curves of a page as its script reads them."""
    return [
        list(
            zip(
                data["curves"]["cost"]["epochs"][which],
                np.frombuffer(base64.b64decode(packed), "<f4"),
                strict=True,
            )
        )
        for which, packed in data["curves"]["cost"]["values"]
    ]


def test_the_page_says_what_was_varied_by_which_command_and_how_it_went():
    failed = run({"window": "9", "objective.dim": "1"}, math.nan, status="FAILED", reason="training diverged")
    text = read([*grid(seeds=2), failed], Header("a sweep", "w2v-exp a=1,2 -m", 12)).text
    assert "Sweep of window × dim" in text
    assert "8 finished runs of 4 configurations, 1 failed, 3 not started" in text
    assert "w2v-exp a=1,2 -m" in text
    assert "window 1, 2, 9 objective.dim 1, 2 seed 0, 1" in text
    assert "window=9 objective.dim=1 0 failed training diverged" in text


def test_runs_that_have_ended_early_are_counted():
    text = read(
        [run({"k": str(i)}, 0.5, ended_by=how) for i, how in enumerate(["patience", "minutes", "patience"])]
    ).text
    assert (
        "3 finished runs of 3 configurations, 2 ended by patience, 1 ended by minutes, 1 not started." in text
    )


def test_skipped_runs_are_listed_with_the_run_that_has_their_results():
    skipped = run({"window": "9", "objective.dim": "1"}, 0.5, status="SKIPPED", run_id="abc123")
    text = read([*grid(), skipped]).text
    assert "Reused from earlier runs" in text
    assert "abc123" in text
    assert "Unfinished runs" not in text


def test_the_table_has_every_configuration_with_numbers_to_sort_by():
    page = read(grid(3, 2, seeds=2))
    numbers = [attributes for tag, attributes in page.elements if tag == "tr" and "data-group" in attributes]
    assert len(numbers) == 6
    values = [float(a["data-v"]) for tag, a in page.elements if tag == "td" and a.get("data-v")]
    assert any(value == pytest.approx(0.0305) for value in values)
    assert "0.030 ± 0.001" in page.text


def test_curves_are_those_of_the_runs():
    costs = [(epoch, 2 + 1 / (1 + epoch)) for epoch in range(50)]
    other = [(epoch, 1.5) for epoch in range(0, 50, 7)]
    data = read(
        [
            run({"k": "1"}, 0.5, costs=costs),
            run({"k": "2"}, 0.4, costs=other),
            run({"k": "3"}, 0.3, costs=other),
        ]
    ).data
    first, second, third = curves_of(data)
    np.testing.assert_allclose(first, costs, rtol=1e-7)
    assert second == third
    assert len(data["curves"]["cost"]["epochs"]) == 2


def test_costs_that_are_no_numbers_are_left_out():
    costs = [(0, 2.0), (1, math.nan), (2, math.inf), (3, 1e300), (4, 1.0)]
    (curve,) = curves_of(read([run({}, 0.5, costs=costs)]).data)
    assert curve == [(0, 2.0), (4, 1.0)]


def test_very_many_curves_are_thinned_to_a_size_that_can_be_sent():
    costs = [(epoch, float(epoch)) for epoch in range(500)]
    curves = curves_of(read([run({"k": str(i)}, i / 1000, costs=costs) for i in range(400)]).data)
    assert sum(map(len, curves)) <= POINTS
    assert all((curve[0][0], curve[-1][0]) == (0, 499) for curve in curves)


def test_the_charts_know_fronts_effects_and_the_floor():
    data = read(grid(seeds=2, cost_floor=1.25, cost_gap=0.5)).data
    assert data["floor"] == 1.25
    assert [front["front"] for front in data["fronts"]] == [[0], [0]]
    assert [key["values"] for key in data["keys"]] == [["1", "2"], ["1", "2"]]
    (effect, *_) = data["effects"]
    assert [value[:2] for value in effect["values"]] == [
        [0, pytest.approx(0.008)],
        [1, pytest.approx(0.0155)],
    ]
    assert effect["values"][0][2] > 0


def test_charts_without_a_point_are_left_out():
    baseline = run({"k": "1"}, 0.5)
    del baseline.metrics["train_seconds"]  # not trained
    scored = run({"k": "2"}, math.nan, wordsim353=0.4)
    del scored.metrics["peak_memory_mb"]
    page = read([baseline, scored])
    names = [metric["name"] for metric in page.data["metrics"]]
    drawn = [(names[front["metric"]], names[front["resource"]]) for front in page.data["fronts"]]
    assert drawn == [("information_explained", "peak_memory_mb"), ("wordsim353", "train_seconds")]
    assert "Quality against resources" in page.text
    assert "Quality against resources" not in read([run({"k": k}, math.nan) for k in "12"]).text


def test_one_seed_says_that_the_noise_is_not_known():
    text = read(grid()).text
    assert "significance unknown" in text
    assert "too few seeds" in text
    assert "(significant)" not in text


def test_a_search_has_the_importance_of_its_keys_instead_of_their_effects():
    runs = [run({"rate": str(0.01 * i), "idle": str(i * 7 % 40)}, 0.02 * i) for i in range(40)]
    text = read(runs).text
    assert re.search(
        r"rate : explains \d\d % of the variance between runs \(95 % interval \d\d % to \d+ %\)\.", text
    )
    assert "its effect cannot be estimated" not in text


def test_two_swept_keys_make_a_heat_map_and_three_several():
    text = read(grid(2, 2)).text
    assert "All combinations" in text
    three = [run({"a": a, "b": b, "c": c}, 0.5) for a in "12" for b in "345" for c in "67"]
    captions = [a for tag, a in read(three).elements if tag == "caption"]
    assert len(captions) == 2
    assert "All combinations" not in read([run({"a": a}, 0.5) for a in "123"]).text


@pytest.mark.parametrize(
    "runs",
    [
        [run({}, 0.5)],
        [run({"k": "1"}, math.nan, costs=()), run({"k": "2"}, math.nan, costs=())],
        [run({"k": "1"}, math.nan, status="FAILED", reason="no memory", costs=())],
        [run({"k": "1"}, 0.5), run({"other": "2"}, 0.6)],
        [RunResult("", {"k": str(i)}, 0, "FINISHED") for i in range(2)],
        [run({"k": str(i)}, 0.5, seed) for i in range(2) for seed in range(2)],
    ],
    ids=["one run", "nothing known", "nothing finished", "different keys", "no metrics", "all the same"],
)
def test_a_sweep_of_any_kind_has_a_page(runs):
    page = read(runs)
    assert "Sweep of" in page.text
    assert page.data["runs"]


def test_hostile_texts_are_shown_and_do_nothing():
    runs = [
        run({HOSTILE: HOSTILE, "k": str(i)}, i / 3, run_id=HOSTILE, status=status, reason=HOSTILE)
        for i, status in enumerate(["FINISHED", "FINISHED", "FAILED", HOSTILE, "SKIPPED"])
    ]
    runs.append(run({HOSTILE: HOSTILE[:9]}, 0.1))
    page = read(runs, Header(HOSTILE, HOSTILE))
    assert [tag for tag, _ in page.elements if tag == "script"] == ["script", "script"]
    assert not [tag for tag, _ in page.elements if tag in ("img", "iframe", "object", "base", "form")]
    assert [link for tag, link in page.elements if tag == "link"] == [{"rel": "icon", "href": "data:,"}]
    assert not [
        name
        for _, attributes in page.elements
        for name in attributes
        if name.startswith("on") or name == "style"
    ]
    assert "<img src=x onerror=alert(2)>{{ 7 * 6 }}" in page.text
    assert "\u2028" not in page.text
    assert "\u202e" not in page.text
    summary_page(compare(runs), Header(HOSTILE, HOSTILE)).encode("utf-8")


@settings(max_examples=examples(12), deadline=None)
@given(st.lists(st.text(max_size=12), min_size=2, max_size=3, unique=True), st.text(max_size=30))
def test_any_value_can_be_swept(values, reason):
    runs = [run({"k": value}, 0.1 * i) for i, value in enumerate(values)]
    page = read([*runs, run({"k": values[0]}, math.nan, 1, "FAILED", reason)], Header(reason, reason))
    names = {tag for tag, _ in page.elements}
    plain = [run({"k": str(i)}, 0.1 * i) for i in range(len(values))]
    assert names == {tag for tag, _ in read([*plain, run({"k": "1"}, math.nan, 1, "FAILED", "why")]).elements}
    assert len(page.data["runs"]) == len(values) + 1


def test_only_the_page_s_own_script_and_style_may_run():
    page = summary_page(compare(grid()), HEADER)
    (policy,) = (html.unescape(found) for found in re.findall(r'Security-Policy" content="([^"]+)"', page))
    script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    style = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    for name, (text,) in {"script-src": script, "style-src": style}.items():
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.[a-z]+[^\s\"']*", page))
    assert addresses == {"http://www.w3.org/2000/svg"}  # a name, which nobody fetches


def test_the_same_sweep_gives_the_same_page(tmp_path):
    for name in ("a.html", "b.html"):
        write_summary_page(compare(grid(seeds=2)), HEADER, tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_a_page_of_very_many_configurations_has_the_best_of_them():
    page = read([run({"k": str(i)}, i / 5000) for i in range(ROWS + 10)])
    assert f"the first {ROWS} of {ROWS + 10}" in page.text
    assert len([a for tag, a in page.elements if tag == "tr" and "data-group" in a]) == ROWS


def test_200_runs_of_500_points_are_a_page_of_less_than_a_megabyte(tmp_path):
    generator = np.random.default_rng(0)
    scores = ("wordsim353", "simlex999", "analogies", "validation_cost", "pairs_per_second", "cost_gap")
    runs = [
        run(
            {"window": str(w), "dim": str(d), "objective.negatives": str(n)},
            generator.random(),
            seed,
            costs=[(10 * epoch, generator.random()) for epoch in range(500)],
            **{name: generator.random() for name in scores},
        )
        for w in range(5)
        for d in range(4)
        for n in range(5)
        for seed in range(2)
    ]
    assert len(runs) == 200
    write_summary_page(compare(runs), HEADER, tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size < 1_000_000

"""What the choices contribute, on a text that takes no time. Nothing here looks at which of them is better."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SCRIPTS = Path(__file__).parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import ablation  # noqa: E402
from ablations import laboratory, trials  # noqa: E402
from ablations.noise import Difference  # noqa: E402
from ablations.outcomes import Outcomes  # noqa: E402
from ablations.page import TEMPLATE, put  # noqa: E402
from ablations.trials import choices, optimizers  # noqa: E402
from claim.comparison import plan_of  # noqa: E402

from w2v_exp.errors import UserError  # noqa: E402
from w2v_exp.examples.counted import CountedExamples  # noqa: E402
from w2v_exp.experiment.building import build_examples  # noqa: E402

pytestmark = pytest.mark.slow  # half a minute; the script is run by hand
WORDS = [f"w{number}" for number in range(30)]
SHIPPED = "experiment=sotu_softmax"


def wandering_text(tokens=3_000):
    """Return words whose neighbours are near to them in number."""
    generator = np.random.default_rng(5)
    steps = np.cumsum(generator.integers(-2, 3, tokens))
    return " ".join(WORDS[min(abs(step) % 40, 29)] for step in steps)


@pytest.fixture
def few_choices(monkeypatch):
    """Compose the configurations of some choices only: each takes a quarter of a second."""
    few = {name: trials.TAKEN_BACK[name] for name in ("weight_decay", "subsampling", "window")}
    monkeypatch.setattr(trials, "TAKEN_BACK", few)
    monkeypatch.setattr(trials, "RATES", {"adagrad": [0.2], "sgd": [10.0, 1e30]})


# ---------------------------------------------------------------- what is tried


def test_each_choice_is_taken_back_alone():
    shipped, *others = choices([SHIPPED])
    changed = {
        trial.name: [name for name, value in vars(trial.plan).items() if value != getattr(shipped.plan, name)]
        for trial in others
    }
    assert shipped.name == "shipped"
    assert changed["weight_decay"] == ["objective"]
    assert changed["count_exponent"] == ["labels"]
    assert changed["subsampling"] == ["subsampling"]  # three passes are what it has by default
    assert changed["window"] == ["shrinking_window"]
    assert changed["normal"] == ["initialization"]
    weights = {trial.name: trial.plan.labels.centre_exponent for trial in others}
    assert (weights["centre_exponent"], weights["centre_exponent_085"]) == (1, 0.85)
    assert others[-1].plan.epochs == 0


def test_a_choice_that_the_experiment_has_not_made_is_left_out(few_choices):
    names = [trial.name for trial in choices([SHIPPED, "objective.weight_decay=0"])]
    assert names == ["shipped", "subsampling", "window", "ppmi_svd"]


def test_the_baseline_is_the_experiment_of_that_name_on_the_same_text(few_choices):
    *_, baseline = choices([SHIPPED, "window=3"])
    assert baseline.name == "ppmi_svd"
    published, _ = plan_of(["experiment=sotu_ppmi_svd"])
    assert baseline.plan.initialization == published.initialization
    assert baseline.plan.subsampling == published.subsampling
    assert baseline.plan.window == 3


def test_optimizers_differ_in_nothing_else():
    tried = list(optimizers([SHIPPED]))
    shipped, _ = plan_of([SHIPPED, "initialization=normal"])
    for trial in tried:
        same = replace(trial.plan, optimizer=shipped.optimizer, learning_rate=shipped.learning_rate)
        assert same == shipped
    rates = {
        name: [trial.plan.learning_rate for trial in tried if trial.optimizer == name]
        for name in trials.RATES
    }
    assert rates == trials.RATES
    assert shipped in [trial.plan for trial in tried]


# ---------------------------------------------------------------- noise


def test_differences_are_taken_seed_by_seed():
    noisy, better = {0: 0.1, 1: 0.5, 2: 0.9}, {0: 0.2, 1: 0.61, 2: 0.99}
    difference = Difference.of(better, noisy)
    assert difference.mean == pytest.approx(0.1)
    assert difference.deviation == pytest.approx(0.01)
    assert difference.margin == pytest.approx(4.303 * 0.01 / 3**0.5, rel=1e-3)  # Student's t of two degrees
    assert difference.exceeds_noise


def test_what_another_seed_could_have_made_does_not_exceed_the_noise():
    difference = Difference.of({0: 0.3, 1: 0.4, 2: 0.5}, {0: 0.4, 1: 0.3, 2: 0.4})
    assert difference.exceeds_noise is False


def test_only_seeds_that_both_have_count():
    difference = Difference.of({0: 0.3, 1: 0.4, 2: None}, {1: 0.3, 2: 0.1, 3: 0.2})
    assert (difference.mean, difference.seeds) == (pytest.approx(0.1), 1)
    assert difference.exceeds_noise is None
    assert Difference.of({0: 0.3}, {1: 0.3}) is None


# ---------------------------------------------------------------- the page


def test_a_table_is_put_between_its_markers_and_the_prose_stays(tmp_path):
    text = "before\n<!-- scores -->\nold\n<!-- /scores -->\nafter\n"
    expected = "before\n<!-- scores -->\nnew \\1\n<!-- /scores -->\nafter\n"
    assert put(text, "scores", "new \\1", tmp_path) == expected
    with pytest.raises(UserError, match="no place for a table, from <!-- scores -->"):
        put("no markers", "scores", "", tmp_path)


# ---------------------------------------------------------------- all of it, tiny


@pytest.fixture
def folder(tmp_path, monkeypatch, few_choices):
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(wandering_text())
    Path("pairs.tsv").write_text("".join(f"w0\tw{number}\t{30 - number}\n" for number in range(1, 30)))
    Path("questions.txt").write_text(": gram1\nw0 w1 w2 w3\nw3 w4 w4 w5\n")
    return tmp_path


SETTINGS = [
    *("corpus=file", "corpus.path=text.txt", "tokenizer=whitespace", "vocabulary.min_count=1", "cache=none"),
    *("evaluation.word_pairs=[pairs.tsv]", "evaluation.analogies=[questions.txt]", "dim=6"),
]


@pytest.fixture
def command(folder):
    def run(*arguments):
        fixed = ["--threads", "1", "--seeds", "2", "--epochs", "2", "--output", "out", "--runs", "runs.jsonl"]
        return ablation.main([*SETTINGS, *fixed, *arguments])

    return run


def kept():
    return [json.loads(line) for line in Path("runs.jsonl").read_text().splitlines()]


def test_everything_is_trained_scored_and_written(command, capsys):
    assert command() == 0
    names = [(run["training"]["contender"], run["training"]["seed"]) for run in kept()]
    of_a_seed = ["shipped", *trials.TAKEN_BACK, "ppmi_svd", "adagrad_0.2", "sgd_10", "sgd_1e+30"]
    assert names == [(name, seed) for seed in (0, 1) for name in of_a_seed]
    page = Path("out/ablation.md").read_text()
    for expected in (
        "| as shipped |",
        "| `objective.weight_decay=0` |",
        "| `optimizer=adagrad learning_rate=0.2` |",
        "30 words",
    ):
        assert expected in page
    for picture in ("ablation.png", "ablation_optimizers.png"):
        with Image.open(f"out/{picture}") as drawn:
            assert drawn.width == 1600
    printed = capsys.readouterr().out
    assert printed.count("seed 1: ") == len(of_a_seed)
    assert "information explained" in page


def test_information_is_explained_only_of_all_pairs(command):
    assert command("--only", "subsampling", "window", "ppmi_svd", "--seeds", "1") == 0
    explained = {run["training"]["contender"]: run["explained"] for run in kept()}
    assert explained["subsampling"] is explained["ppmi_svd"] is None
    assert 0 < explained["window"] < 1
    differences = Path("out/ablation.md").read_text().split("differences -->")[1].splitlines()
    costs = {row.split("|")[1].strip(): row.split("|")[-3].strip() for row in differences if row[:3] == "| `"}
    assert costs["`shrinking_window=false`"] == "–"  # it is the cost of other pairs


def test_with_a_choice_comes_what_it_is_compared_with(command):
    assert command("--only", "weight_decay", "--seeds", "1") == 0
    assert [run["training"]["contender"] for run in kept()] == ["shipped", "weight_decay"]
    page = Path("out/ablation.md").read_text()
    assert page.count("Not measured yet") == 2  # of the optimizers


def test_what_is_done_is_kept_when_it_is_interrupted_and_not_done_again(command, monkeypatch, capsys):
    train_on, trained = laboratory.train_on, []

    def interrupted(plan, *rest):
        trained.append(plan)
        if len(trained) == 2:
            raise KeyboardInterrupt
        return train_on(plan, *rest)

    monkeypatch.setattr(laboratory, "train_on", interrupted)
    asked = ("--only", "weight_decay")
    assert command(*asked) == 130
    assert "--resume goes on" in capsys.readouterr().err
    (first,) = kept()
    assert command(*asked, "--resume") == 0
    assert kept()[0] == first
    assert len(kept()) == 4
    assert len(trained) == 5
    assert command(*asked, "--resume") == 0
    assert len(trained) == 5
    assert command(*asked, "--seeds", "1") == 0  # without --resume it is done anew
    assert len(trained) == 7
    assert len(kept()) == 4


def test_outcomes_of_other_settings_are_neither_taken_nor_lost(command):
    assert command("--only", "weight_decay", "--seeds", "1") == 0
    assert command("--only", "weight_decay", "--seeds", "1", "--resume", "--epochs", "3") == 0
    assert [run["training"]["epochs"] for run in kept()] == [2, 2, 3, 3]


def test_too_large_a_step_is_an_outcome(command, capsys):
    asked = ("--only", "sgd", "--seeds", "1")
    assert command(*asked) == 0
    assert "learning_rate=1e+30: diverged" in capsys.readouterr().out
    page = Path("out/ablation.md").read_text()
    assert "| `optimizer=sgd learning_rate=1e+30` | diverged |" in page
    assert command(*asked, "--resume") == 0
    assert len(kept()) == 2  # it is not tried again


def test_pairs_are_counted_once_for_all_that_train_on_the_same(folder, monkeypatch):
    counted = []

    def counting(*arguments):
        counted.append(arguments)
        return build_examples(*arguments)

    monkeypatch.setattr(laboratory, "build_examples", counting)
    given = [SHIPPED, "evaluation=standard", *SETTINGS, "epochs=1", "threads=1"]
    tried = {trial.name: trial for trial in choices(given)}
    room = laboratory.Laboratory(tried["shipped"].plan)
    outcomes = Outcomes(Path("runs.jsonl"), room.text)
    asked = [tried[name] for name in ("shipped", "subsampling", "weight_decay", "ppmi_svd", "window")]
    for seed in (0, 1):
        assert len(list(room.run(asked, seed, outcomes))) == 5
    assert len(counted) == 4  # all, with and without a shrinking window; sampled, once for each seed


def test_examples_of_kept_pairs_are_what_they_would_be_if_counted_anew(folder):
    plan, _ = plan_of([SHIPPED, "evaluation=standard", *SETTINGS, "subsampling=word2vec"])
    room = laboratory.Laboratory(plan)
    room._examples(replace(plan, seed=3, labels=replace(plan.labels, smoothing=0.0)))
    again = room._examples(replace(plan, seed=3))
    anew = build_examples(replace(plan, seed=3), room.text.ids, len(room.text.vocabulary))
    assert isinstance(anew, CountedExamples)
    batches = zip(
        again.batches(np.random.default_rng(0)), anew.batches(np.random.default_rng(0)), strict=True
    )
    for batch, expected in batches:
        np.testing.assert_array_equal(batch.centres, expected.centres)
        np.testing.assert_array_equal(batch.centre_weights, expected.centre_weights)
        np.testing.assert_array_equal(batch.labels.counts, expected.labels.counts)
        np.testing.assert_array_equal(batch.prior.shares, expected.prior.shares)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["dimm=1"], "did you mean dim"),
        (["--experiment", "sotu"], "labels=counts"),
        (["corpus.path=nowhere.txt"], "corpus.path=nowhere.txt"),
    ],
)
def test_a_mistake_is_told_before_anything_is_trained(command, capsys, arguments, said):
    assert command(*arguments) == 2
    assert said in capsys.readouterr().err
    assert not Path("runs.jsonl").exists()


def test_a_page_without_a_place_for_a_table_is_told_before_anything_is_trained(command, capsys):
    Path("out").mkdir()
    Path("out/ablation.md").write_text(TEMPLATE.read_text().replace("<!-- vectors -->", ""))
    assert command() == 2
    assert "no place for a table" in capsys.readouterr().err
    assert not Path("runs.jsonl").exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"conditions": "x"}'])
def test_a_file_that_is_none_of_outcomes_is_told_and_stays(command, capsys, content):
    Path("runs.jsonl").write_text(content)
    assert command() == 2
    assert "cannot be gone on with" in capsys.readouterr().err
    assert Path("runs.jsonl").read_text() == content


def test_a_trial_that_is_none_is_refused(command):
    with pytest.raises(SystemExit, match="2"):
        command("--only", "smoothign")

"""Sizes from outside: every number of the configuration is bounded before it is used, whatever is given."""

import dataclasses
import typing

import pytest
from plans import plan_of

from w2v_exp.choices import GROUPS
from w2v_exp.config import HYDRA_ERRORS
from w2v_exp.errors import UserError
from w2v_exp.examples.pairs import count_ids
from w2v_exp.experiment import cli
from w2v_exp.experiment.build import build_trainer, split_text
from w2v_exp.experiment.config_errors import explain
from w2v_exp.experiment.estimate import estimate_encodings, estimate_run, require_fit
from w2v_exp.experiment.inputs import read_trainable_text
from w2v_exp.experiment.measures import RunCosts
from w2v_exp.experiment.record import kept_epochs
from w2v_exp.experiment.run import dry_run
from w2v_exp.plan import MOST_RUNS, Plan

VALUES = (-1, 10**12, 2**62, 10**23, 10**400, "1e300", "nan", "inf")
MORE_VALUES = (*VALUES, 0, 1, 2**63 - 1, 2**63, "0.5", "-inf")
# An option of each group by the class behind it, with what a plan of it needs besides.
OPTIONS = {
    "VocabularyRule": "vocabulary=all",
    "CountsRule": "labels=counts",
    "StreamRule": "labels=streamed",
    "BlockRule": "labels=blocks objective=negative_sampling",
    "NegativeSampling": "objective=negative_sampling objective.sharing=group labels=blocks",
    "SpectralInitialization": "initialization=spectral epochs=0",
    "ValidationRule": "validation=held_out validation.by=block validation.block=4 validation.share=0.3",
    "TextCache": "cache=disk",
    "ExplorerRule": "explorer=auto",
    "MlflowTracking": "tracking=mlflow",
    "StopRule": "validation=held_out validation.block=4 validation.share=0.3",
    "SotuCorpus": "corpus=sotu",
    "Word2VecSubsampling": "subsampling=word2vec",
    "PaperSubsampling": "subsampling=paper",
    "ArticleInitialization": "initialization=article",
    "HierarchicalSoftmax": "objective=hierarchical_softmax",
    "StandardEvaluation": "evaluation=standard",
}


def is_numeric(hint):
    return bool({int, float} & set(typing.get_args(hint) or (hint,)))


def numeric_keys():
    """Return each numeric key, with what is to be chosen for it to be there."""
    keys = [
        ("", key)
        for key, hint in typing.get_type_hints(Plan).items()
        if key not in GROUPS and is_numeric(hint)
    ]
    for group, options in GROUPS.items():
        for name, made in options.items():
            hints = typing.get_type_hints(made)
            choice = OPTIONS.get(made.__name__, f"{group}={name}")
            keys += [
                (choice, f"{group}.{field.name}")
                for field in dataclasses.fields(made)
                if is_numeric(hints[field.name])
            ]
    return keys


def begin(plan):
    """Do all that a run does before it trains, and its first three steps."""
    text = read_trainable_text(plan)
    training, held_out = split_text(plan, text)
    size = len(text.vocabulary)
    estimate_encodings(plan, training, size)
    require_fit(plan, training, size, estimate_run(plan, training, size))
    built = dry_run(plan, training, size)
    trainer = build_trainer(plan, built.examples, built.initialization, count_ids(training.ids, size))
    RunCosts(plan, trainer).sample(training, held_out)
    kept_epochs(plan.epochs, 500)


@pytest.mark.cases(every=8)
@pytest.mark.parametrize(("choice", "key"), numeric_keys())
def test_a_number_of_any_size_is_used_or_refused_in_a_line(choice, key):
    used = []
    for value in VALUES:
        try:
            plan = plan_of(*choice.split(), f"{key}={value}")
            used.append(value)
            if key != "corpus.messages":  # the whole text would be read
                begin(plan)
        except (*HYDRA_ERRORS, OverflowError) as error:
            message = str(explain(error))
        except UserError as error:
            message = str(error)
        else:
            continue
        assert message.count("\n") <= 1
        assert len(message) < 700
        assert "Traceback" not in message
    assert "nan" not in used
    assert "inf" not in used


@pytest.mark.parametrize("key", ["threads", "workers", "cache.processes", "repeats", "epochs", "dim"])
def test_what_takes_resources_names_its_bound(key):
    with pytest.raises(UserError, match=rf"^{key}={10**12}: must be a whole number from \d to [\d,]+\.$"):
        plan_of(f"{key}={10**12}")


def refused(*arguments, capsys):
    assert cli.run([*arguments, "tracking=none"]) == 2
    message = capsys.readouterr().err
    assert len(message.splitlines()) <= 2
    return message


@pytest.mark.parametrize(
    "arguments",
    [
        ["window=range(1,300000000)"],
        ["window=shuffle(range(1,300000000))"],
        ["learning_rate=range(0.1,1,0.00000001)"],
        ["window=range(1,200)", "dim=range(1,200)"],
        ["seed=range(0,5)", "window=range(1,3000)"],
        ["repeats=10000", "dim=10,20"],
        ["repeats=2000000"],
        ["window=1,2", "hydra/launcher=joblib", f"hydra.launcher.n_jobs={10**12}"],
    ],
)
def test_a_sweep_of_too_many_runs_is_refused_before_they_are_listed(arguments, capsys):
    message = refused(*arguments, "-m", capsys=capsys)
    assert f"{MOST_RUNS:,}" in message or "1,024" in message


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["window=range(1,10,0)"], "a range needs two finite ends and a step that is not 0."),
        (["learning_rate=range(0.1,inf)"], "a range needs two finite ends and a step that is not 0."),
        (["seed=0," + "7" * 5000], "too many digits"),
        (["repeats=201", "estimate=true"], "estimate=true: 201 runs; at most 200 are estimated."),
        (["probes=[" + "a," * 1000 + "b]", "window=1,2"], "must be at most 1,000 words."),
    ],
)
def test_a_sweep_without_end_is_refused(arguments, said, capsys):
    assert said in refused(*arguments, "-m", capsys=capsys)


@pytest.mark.slow
@pytest.mark.parametrize(("choice", "key"), numeric_keys())
def test_a_command_line_with_a_number_of_any_size_ends_in_a_line(choice, key, capsys):
    for value in MORE_VALUES:
        if key == "corpus.messages" and str(value) == "1":
            continue
        assert cli.run([*choice.split(), f"{key}={value}", "estimate=true"]) in (0, 2)
        assert len(capsys.readouterr().err.splitlines()) <= 2

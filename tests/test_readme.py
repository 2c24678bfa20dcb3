"""README and docs: every command, example, link and picture works, and generated pages are up to date."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import io
import os
import re
import shlex
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
from processes import Command, run_python

import w2v_exp
from w2v_exp.__main__ import run
from w2v_exp.choices import GROUPS
from w2v_exp.config import register_schema
from w2v_exp.embeddings import Embeddings
from w2v_exp.errors import UserError
from w2v_exp.experiment import SUBCOMMANDS
from w2v_exp.experiment.command import check_command, parse
from w2v_exp.loader import config_folder
from w2v_exp.plan import Plan
from w2v_exp.text import remote
from w2v_exp.text.file_search import Found
from w2v_exp.text.remote import RemoteFile

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
_spec = importlib.util.spec_from_file_location("generate_reference", ROOT / "docs" / "generate_reference.py")
assert _spec and _spec.loader
generate_reference = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate_reference)
configuration_page = cache(generate_reference.configuration_page)


PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *(ROOT / "docs").rglob("*.md")]
)


def blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8").replace(":tags: [remove-stderr]\n", "").replace("\\\n", "")
    return re.findall(
        rf"^ *```(?:{language}|{{code-cell}} ipython3\n%%{language})\n(.*?)```", text, flags=re.S | re.M
    )


def commands(page: Path) -> list[list[str]]:
    """Return the arguments of every command of w2v_exp in a page."""
    pattern = re.compile(r"^(?:\S*on_loopback.sh )?(?:w2v-exp|python -m w2v_exp) (?!.*…)(.*)$", flags=re.M)
    lines = [line for block in blocks(page, "bash") for line in pattern.findall(block)]
    return [shlex.split(line, comments=True) for line in lines]


@pytest.mark.usefixtures("end_to_end")
def test_the_notebook_runs_and_prints_neighbours(tmp_path: Path) -> None:
    page = ROOT / "docs" / "from_python.md"
    (code,) = [block for block in blocks(page, "python") if "Trainer(" in block]
    done = run_python("-W", "error", "-c", code, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "('is'," in done.stdout


@pytest.mark.usefixtures("starts_processes")
def test_embeddings_are_loaded_queried_and_saved(tmp_path: Path) -> None:
    (code,) = [block for block in blocks(ROOT / "docs" / "embeddings.md", "python") if "print(" in block]
    words = ["man", "woman", "king", "queen", "apple"]
    vectors = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 1, 1], [-1, 0, 0.1]], float)
    Embeddings(words, None, vectors).save(tmp_path / "embeddings.npz")
    done = run_python("-W", "error", "-c", code, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    similar, each, odd = done.stdout.splitlines()
    assert similar.startswith("[('queen',")
    assert each.startswith("[[('queen',")
    assert odd == "apple"
    assert Embeddings.load(tmp_path / "vectors.bin.gz").words == words


def test_the_tokenizer_of_ones_own_runs(command: Command, tmp_path: Path) -> None:
    page = ROOT / "docs" / "texts.md"
    (code,) = [block for block in blocks(page, "python") if "my_tokens" in block]
    (tmp_path / "my_module.py").write_text(code)
    (arguments,) = [
        arguments for arguments in commands(page) if any("my_module" in each for each in arguments)
    ]
    done = command(*arguments, "tracking=none")
    assert done.returncode == 0, done.stderr
    (vocabulary,) = tmp_path.glob("outputs/runs/*/artifacts/vocabulary.tsv")
    assert "#word2vec\t1" in vocabulary.read_text()


def test_the_choice_that_contributing_adds_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    register_schema()
    (code,), (options,) = blocks(ROOT / "CONTRIBUTING.md", "python"), blocks(ROOT / "CONTRIBUTING.md", "yaml")
    Path("hashtags.py").write_text(code)
    Path("my_conf/tokenizer").mkdir(parents=True)
    Path("my_conf/tokenizer/hashtag.yaml").write_text(options)
    (_, plan), *_ = check_command(parse(["--config-dir", "my_conf", "tokenizer=hashtag"])).plans()
    assert plan.tokenizer("A #Rose!") == ["a", "#rose"]
    assert run(["--config-dir", "my_conf", "--help", "tokenizer"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "tokenizer=hashtag Words and hashtags. tokenizer.lower=true (true or false) convert to" in shown
    for damaged in ("lower: [", "- 1", "name: hashtags.None", "name: no.Such", "\0"):
        Path("my_conf/tokenizer/hashtag.yaml").write_text(damaged)
        assert run(["--config-dir", "my_conf", "--help", "tokenizer"]) == 0
        assert "\ntokenizer=hashtag\n" in f"{capsys.readouterr().out}\n"
    assert run(["--config-dir", "my_conf", "--help"]) == 0
    assert "\n  hashtag\n" in capsys.readouterr().out


def test_the_protocols_and_tables_that_contributing_names_exist() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `([\w/]+)\.py`: `(\w+)` \| `(\w+)` in (.*) \|$", page, flags=re.M)
    assert len(rows) == 7
    for group, module, protocol, table, place in rows:
        found = importlib.import_module(f"w2v_exp.{module.replace('/', '.')}")
        assert isinstance(getattr(found, protocol), type)
        options = GROUPS if place == "`choices.py`" else vars(found)
        assert (options["labels"] if table == "GROUPS" else options[table]).items() <= GROUPS[group].items()


def test_the_sample_of_output_in_the_readme_is_true(command: Command) -> None:
    (sample,) = [block for block in blocks(ROOT / "README.md", "text") if "finished" in block]
    done = command("window=3,5", "dim=10,50", "-m", "tracking=none")
    measured = re.compile(r"^(\d+ +\d+ +\S+ +\S+ +\S+ +\S+) +\S+ +\S+ +[\d,]+ *$", flags=re.M)  # times vary
    assert len(measured.findall(sample)) == 4
    assert measured.findall(done.stdout) == measured.findall(sample)


@pytest.mark.second_tier
@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.stem)
def test_commands_compose(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    register_schema()
    for name in ("my_text.txt", "big.txt", "wikipedia.txt", "vectors.bin.gz", "my_sets.yaml"):
        Path(name).write_text("a rose is a rose")
    Path("speeches.csv").write_text("date,speech\n1790-01-08,a rose\n1865-04-15,is a rose\n")
    Path("sbatch").touch(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(remote, "_find", lambda address: Found([RemoteFile(address, 16)], 0, Counter()))
    monkeypatch.setattr(RemoteFile, "open", lambda *_: io.BufferedReader(io.BytesIO(b"a rose is a rose")))
    Path("c4").mkdir()
    Path("c4/1.json.gz").write_text("")
    Path("books").mkdir()
    Path("books/one.txt.gz").write_text("a rose is a rose")
    for arguments in commands(page):
        skipped = "--config-dir" in arguments or "~" in arguments[0] or arguments[0] == "-sc"
        if arguments[0] in SUBCOMMANDS or skipped:
            continue
        texts = [argument for argument in arguments if "callable" not in argument]
        if texts != arguments:
            texts.remove("tokenizer=custom")
        try:
            assert check_command(parse(texts)).runs >= 1
        except UserError as error:
            pytest.fail(f"{' '.join(arguments)}: {error}")


def test_the_reference_is_that_of_the_code() -> None:
    for name, text in generate_reference.pages().items():
        kept = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
        assert kept == text, f"docs/reference/{name} is out of date: run `make reference`"


def test_the_reference_names_every_group_option_and_setting() -> None:
    page = configuration_page()
    groups = (*GROUPS, "experiment", "sweep", "hydra/sweeper", "hydra/launcher")
    assert set(groups) == generate_reference.PURPOSES.keys()
    for group in groups:
        for file in (config_folder() / group).glob("*.yaml"):
            (row,) = re.findall(
                rf"^\| `{group}={file.stem}`(?: \*\*\(default\)\*\*)? \| (.*) \|$", page, flags=re.MULTILINE
            )
            assert len(row) > 10, (group, file.stem)
    for group, options in GROUPS.items():
        for made in options.values():
            for setting in dataclasses.fields(made):
                assert f"| `{group}.{setting.name}` |" in page, (group, setting.name)
    for key in dataclasses.fields(Plan):
        assert f"| `{key.name}` |" in page or f"[`{key.name}`]" in page, key.name


def test_every_setting_of_the_reference_has_a_meaning() -> None:
    rows = re.findall(r"^\| `[\w.]+` \| .*$", configuration_page(), flags=re.MULTILINE)
    assert len(rows) > 80
    assert [row for row in rows if row.endswith("| |") or row.endswith("|  |")] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    included = page.read_text(encoding="utf-8").startswith("```{include}")
    for target in [] if included else re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        if anchor and file.suffix == ".md":
            text = file.read_text(encoding="utf-8")
            if text.startswith("```{include}"):
                text = (file.parent / text.split()[1]).read_text(encoding="utf-8")
            titles = re.findall(r"^#+ (.*)$", text, flags=re.M)
            slugs = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]
            assert anchor in slugs, (target, slugs)


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_the_architecture_fits_two_screens() -> None:
    assert len((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").splitlines()) <= 110


@pytest.mark.second_tier
def test_the_path_of_a_setting_in_the_architecture_is_that_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| [^|]+ \| `([\w/]+\.py)` \| (`.*`) \|$", page, flags=re.M)
    path = {(file, name) for file, names in rows for name in re.findall(r"`([\w.]+)`", names)}
    assert len(path) > 10
    package = Path(w2v_exp.__file__).parent
    called = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        file = Path(frame.f_code.co_filename)
        if event == "call" and file.is_relative_to(package):
            called.add((file.relative_to(package).as_posix(), frame.f_code.co_qualname))

    monkeypatch.chdir(tmp_path)
    sys.setprofile(note)
    try:
        code = run(["window=5", "epochs=1", "tracking=none", "explorer=none", "probes=[]"])
    finally:
        sys.setprofile(None)
    assert code == 0
    assert path <= called


def test_every_public_name_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    assert set(re.findall(r"auto\w+:: (\w+)", page)) == set(w2v_exp.__all__)


def test_tutorials_are_notebooks_and_the_toctree_has_every_page() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^[\w/]+$", index, flags=re.M))
    docs = ROOT / "docs"
    pages = {page.relative_to(docs).with_suffix("").as_posix() for page in docs.rglob("*.md")}
    assert {page for page in pages if not page.startswith("log/")} - {"index"} == {
        page for page in listed if not page.startswith("log/")
    }
    log = (docs / "log" / "index.md").read_text(encoding="utf-8")
    assert {page.stem for page in (docs / "log").glob("*.md")} - {"index"} <= set(log.split())


def inline_code(page: Path) -> list[str]:
    """Return the code spans of a page, and the lines of its shell blocks."""
    text = page.read_text(encoding="utf-8")
    prose = re.sub(r"^( *)```.*?^\1```", "", text, flags=re.S | re.M)
    spans = re.findall(r"`([^`\n]+)`", prose)
    return [*spans, *(line.split("  #")[0] for block in blocks(page, "bash") for line in block.splitlines())]


@cache
def existing() -> tuple[set[str], dict[str, set[str]]]:
    """Return all keys that can be overridden, and the options of each group."""
    found = {group: generate_reference.options(group) for group in generate_reference.PURPOSES}
    keys = {value.key for value in generate_reference.top_level_values()}
    keys |= {"hydra.sweeper.max_batch_size", "hydra.sweep.dir", "hydra.run.dir"}
    for group, all_options in found.items():
        prefix = group.replace("/", ".")
        keys |= {f"{prefix}.{setting.key}" for option in all_options for setting in option.settings}
    names = {group: {option.name for option in all_options} for group, all_options in found.items()}
    names["tokenizer"].add("hashtag")  # the examples that a reader adds
    names["sweep"].add("my_changes")
    return keys, names


def unknown_override(key: str, value: str) -> bool:
    """Return whether a ``key=value`` of the documentation has a key or an option that does not exist."""
    keys, names = existing()
    if key in names:
        return bool(re.fullmatch(r"[\w,]+", value)) and not set(value.split(",")) <= names[key]
    return key not in keys and key.startswith((*(f"{group}." for group in GROUPS), "hydra."))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_names_in_code_spans_exist(page: Path) -> None:
    spans = inline_code(page)
    overrides = [
        pair
        for span in spans
        for pair in re.findall(r"(?<![\w.-])([a-z][\w./]*)=([^\s`'\"=]+)", span)
        if "://" not in span
    ]
    assert [f"{key}={value}" for key, value in overrides if unknown_override(key, value)] == []
    files = [
        name for span in spans for name in re.findall(r"^(?:conf|docs|scripts|tests|w2v_exp)/[\w./-]+$", span)
    ]
    assert [name for name in files if not (ROOT / name.rstrip(".")).exists()] == []
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M))
    named = {name for span in spans for name in re.findall(r"^make ([a-z-]+)", span)}
    assert named <= targets
    subcommands = {name for span in spans for name in re.findall(r"^w2v-exp ([a-z]+)(?= |$)", span)}
    assert subcommands <= set(SUBCOMMANDS)

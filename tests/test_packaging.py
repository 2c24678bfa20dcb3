"""The built wheel: complete, and usable from any folder."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from processes import environment, run_python

from w2v_exp.errors import install_command

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(starts_processes: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (found,) = folder.glob("*.whl")
    return found


def test_the_wheel_holds_the_code_the_configuration_and_the_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (entry_points,) = [name for name in names if name.endswith("entry_points.txt")]
        assert "w2v-exp = w2v_exp.__main__:main" in archive.read(entry_points).decode()
    sources = {file.relative_to(ROOT).as_posix() for file in (ROOT / "w2v_exp").rglob("*.py")}
    options = {f"w2v_exp/{file.relative_to(ROOT).as_posix()}" for file in (ROOT / "conf").rglob("*.yaml")}
    pages = {
        file.relative_to(ROOT).as_posix()
        for suffix in ("html", "css", "js")
        for file in (ROOT / "w2v_exp").rglob(f"*.{suffix}")
    }
    assert len(pages) > 5
    assert sources | options | pages | {"w2v_exp/py.typed"} <= names
    assert not [name for name in names if name.startswith(("tests/", "scripts/", "conf/"))]


def test_the_installed_command_runs_in_any_folder(wheel: Path, tmp_path: Path) -> None:
    installed, elsewhere = tmp_path / "installed", tmp_path / "elsewhere"
    elsewhere.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    script = "import sys, w2v_exp.__main__ as m; print(m.__file__); sys.argv[0] = 'w2v-exp'; m.main()"
    done = run_python(
        "-c",
        script,
        "window=2,4",
        "-m",
        "tracking=none",
        "epochs=3",
        folder=elsewhere,
        PYTHONPATH=str(installed),
    )
    assert done.returncode == 0, done.stderr
    assert str(installed) in done.stdout
    assert "2 finished runs" in done.stdout
    assert (elsewhere / "outputs").is_dir()


EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def installed_from(origin: dict[str, object] | None, site_packages: Path) -> None:
    """Write the record that an installer leaves of the project."""
    record = site_packages / "w2v_exp-0.1.0.dist-info"
    record.mkdir(parents=True)
    (record / "METADATA").write_text("Metadata-Version: 2.4\nName: w2v_exp\nVersion: 0.1.0\n")
    if origin is not None:
        (record / "direct_url.json").write_text(json.dumps(origin))


COMMIT = "a" * 40


@pytest.mark.parametrize(
    ("origin", "arguments"),
    [
        ({"url": "file:///a%20b/code", "dir_info": {}}, ["/a b/code[sotu]"]),
        ({"url": "file:///code", "dir_info": {"editable": True}}, ["-e", "/code[sotu]"]),
        (
            {"url": "file:///w2v_exp-0.1.0.whl", "archive_info": {}},
            ["w2v_exp[sotu] @ file:///w2v_exp-0.1.0.whl"],
        ),
        (
            {"url": "https://host/code.git", "vcs_info": {"vcs": "git", "commit_id": COMMIT}},
            [f"w2v_exp[sotu] @ git+https://host/code.git@{COMMIT}"],
        ),
        (None, ["w2v_exp[sotu]"]),
    ],
    ids=["folder", "editable", "wheel", "repository", "index"],
)
def test_extras_are_installed_from_where_the_project_was(
    origin: dict[str, object] | None, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed_from(origin, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    command = install_command("sotu")
    assert shlex.split(command) == ["pip", "install", *arguments]
    if not arguments[-1].startswith("/"):
        assert Requirement(arguments[-1]).extras == {"sotu"}


def test_in_the_folder_that_it_was_installed_from_the_command_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed_from({"url": tmp_path.as_uri(), "dir_info": {}}, tmp_path / "site-packages")
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    monkeypatch.chdir(tmp_path)
    assert install_command("search") == "pip install '.[search]'"


def test_every_extra_that_is_named_anywhere_exists_and_none_is_sought_on_an_index() -> None:
    files = [ROOT / "README.md", ROOT / "Makefile"]
    files += [
        file for folder in ("docs", "conf", "w2v_exp", "scripts") for file in (ROOT / folder).rglob("*.*")
    ]
    texts = [f.read_text(encoding="utf-8") for f in files if f.suffix in ("", ".md", ".yaml", ".py", ".sh")]
    named: set[str] = set()
    for text in texts:
        assert not re.search(r"pip install[^\n]*w2v_exp\[", text), "the project is on no index"
        found = [
            *re.findall(r"install_command\(['\"](\w+)['\"]\)", text),
            *re.findall(r"pip install[^\n]*'\.\[([\w,]+)\]'", text),
            *re.findall(r"# .*\bExtras?: ([a-z, ]+)", text),
        ]
        named |= {extra.strip() for extras in found for extra in extras.split(",")}
    assert {"sotu", "evaluation", "search", "maps"} <= named <= EXTRAS.keys()


@pytest.mark.slow
def test_the_lowest_versions_that_are_allowed_work(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", str(ROOT / "scripts" / "lowest_bounds.sh"), str(tmp_path)],
        env=environment(PYTHON=sys.executable),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

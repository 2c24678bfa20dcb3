"""The built wheel: complete, and usable from any folder."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from processes import run_python

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
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

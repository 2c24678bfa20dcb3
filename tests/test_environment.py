"""The environment of a process: a user without a name or home, folders that cannot be written or are gone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import environment

from w2v_exp.files import expanded
from w2v_exp.tracking.history import _user

RUN = ("-m", "w2v_exp", "epochs=2", "dim=3", "tracking.plots=false", "explorer=none")
USER = 12345  # without an entry among the system's users
# Another user who may read all files, this Python's among them, but write none.
AS_USER = [
    "setpriv",
    f"--reuid={USER}",
    f"--regid={USER}",
    "--clear-groups",
    "--inh-caps=+dac_read_search",
    "--ambient-caps=+dac_read_search",
]

only_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0 or not shutil.which("setpriv"),
    reason="only root may be another user",
)


@pytest.fixture
def folder(empty_store: Path) -> Iterator[Path]:
    """Return a folder with a store, both of that user."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(empty_store, folder / "mlflow.db")
        for path in (folder, folder / "mlflow.db"):
            os.chown(path, USER, USER)
        yield folder


def run(folder: Path, *arguments: str, without: tuple[str, ...] = (), **variables: str) -> tuple[int, str]:
    """Run Python as that user and return exit code and standard error."""
    variables = {"W2V_EXP_CACHE": "", "HOME": str(folder), **variables}
    env = {key: value for key, value in environment(**variables).items() if key not in without}
    done = subprocess.run(
        [*AS_USER, sys.executable, *arguments],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.usefixtures("starts_processes")
@only_root
def test_a_user_without_name_and_home_can_run(folder: Path) -> None:
    assert run(folder, *RUN, without=("HOME", "USER", "LOGNAME", "LNAME", "USERNAME")) == (0, "")


@pytest.mark.usefixtures("starts_processes")
@only_root
def test_the_cache_of_a_user_without_home_is_beside_the_runs(folder: Path) -> None:
    program = "import sys; from w2v_exp.files import cache_folder; sys.exit(str(cache_folder()))"
    found = run(folder, "-c", program, without=("HOME", "XDG_CACHE_HOME"))
    assert found == (1, f"{folder / 'outputs' / '.cache' / 'w2v_exp'}\n")


@only_root
@pytest.mark.slow
def test_a_run_does_without_folders_that_cannot_be_written(folder: Path) -> None:
    assert run(folder, *RUN, HOME="/nonexistent", TMPDIR="/nonexistent") == (0, "")


@pytest.mark.usefixtures("starts_processes")
@only_root
@pytest.mark.slow
def test_a_current_folder_that_cannot_be_written_is_reported_in_a_line(folder: Path) -> None:
    folder.chmod(0o555)
    os.chown(folder, 0, 0)
    assert run(folder, *RUN) == (1, "outputs: Permission denied.\n")
    assert run(folder, *RUN, "seed=1,2", "-m") == (1, "outputs: Permission denied.\n")


@pytest.mark.usefixtures("starts_processes")
@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        RUN,
        ("-m", "w2v_exp", "ask", "neighbours", "latest", "word"),
        ("-m", "w2v_exp", "cache", "list"),
        ("-m", "w2v_exp", "sync", "outputs"),
    ],
)
def test_a_deleted_folder_is_reported_in_a_line(command: tuple[str, ...], tmp_path: Path) -> None:
    script = 'rmdir "$PWD" && exec "$@"'
    (tmp_path / "gone").mkdir()
    done = subprocess.run(
        ["sh", "-c", script, "sh", sys.executable, *command],
        cwd=tmp_path / "gone", env=environment(PYTHONPATH=str(Path(__file__).parent.parent)),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "The current folder has been deleted. Change to a folder that exists.\n"


def test_a_home_folder_that_is_unknown_leaves_a_path_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert expanded("~no-such-user/a") == Path("~no-such-user/a")
    assert expanded("~\0/a") == Path("~\0/a")
    assert expanded("a/~") == Path("a/~")
    monkeypatch.setenv("HOME", "/home/me")
    assert expanded("~/a") == expanded(Path("~/a")) == Path("/home/me/a")


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: USER)
    assert _user() == f"uid {USER}"

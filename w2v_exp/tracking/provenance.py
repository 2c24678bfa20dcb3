"""What a run was made with: code, packages, machine."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import w2v_exp

PACKAGES = ("numpy", "hydra-core", "omegaconf", "mlflow")


@cache
def provenance() -> dict[str, str]:
    """Return tags: the git commit of this code, whether its tree was dirty, the versions of what matters."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    tags = {
        "mlflow.source.name": "w2v_exp",
        "mlflow.source.type": "LOCAL",
        "mlflow.user": _user(),
        "version.w2v_exp": w2v_exp.__version__,
        "version.python": platform.python_version(),
    }
    for package in PACKAGES:
        try:
            tags[f"version.{package}"] = version(package)
        except PackageNotFoundError:
            continue
    commit = _git("rev-parse", "HEAD")
    if commit:
        tags["mlflow.source.git.commit"] = tags["git.commit"] = commit
        tags["git.dirty"] = str(bool(_git("status", "--porcelain", "--untracked-files=no"))).lower()
    return tags


def _user() -> str:
    """Return the name of the user; the number of one who has none, as with ``docker run --user 12345``."""
    import getpass
    import os

    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # Python raises other errors from version to version
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"


def _git(*arguments: str) -> str:
    """Return what git says of the folder this code is in; nothing if it is not a checkout."""
    import shutil
    import subprocess

    folder = Path(w2v_exp.__file__).resolve().parent.parent
    git = shutil.which("git")
    if git is None or not (folder / ".git").exists():
        return ""
    answer = subprocess.run([git, "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    return answer.stdout.strip()

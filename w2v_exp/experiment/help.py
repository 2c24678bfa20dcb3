"""What ``--help`` says: every choice with the line that its file begins with, every knob with its value."""

from __future__ import annotations

import platform
import re
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

import w2v_exp
from w2v_exp.choices import GROUPS
from w2v_exp.config import config_folder
from w2v_exp.tracking.provenance import PACKAGES

USAGE = """\
A laboratory for word embeddings: configured, tracked runs of a NumPy word2vec.

  python -m w2v_exp                                    one run: the article's model on its sentence
  python -m w2v_exp window=5 optimizer=adam            other values, other choices
  python -m w2v_exp window=3,5 dim=10,50 -m            a sweep over all combinations
  python -m w2v_exp experiment=article                 a named experiment
  python -m w2v_exp sweep=schedules                    a named sweep
  python -m w2v_exp window=5 estimate=true             only show memory and training time of each label encoding
  python -m w2v_exp optimizer=adam --cfg job           only show the configuration that this makes

Put quotes around a value with special characters: 'corpus.text="a rose is a rose"'. Your own folder of options
is added by --config-dir; --hydra-help tells of Hydra's other flags."""


def version_text() -> str:
    """Return the version of w2v_exp, and below it those of what decides its results."""
    versions = [f"Python {platform.python_version()}"]
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            versions.append(f"{package} {version(package)}")
    return f"w2v_exp {w2v_exp.__version__}\n{', '.join(versions)}"


def help_text() -> str:
    """Return the help, from the files in ``conf/``."""
    sections = [USAGE, "Values (key=value):\n" + _knobs()]
    sections += [
        _group(group) for group in (*GROUPS, "experiment", "sweep", "hydra/sweeper", "hydra/launcher")
    ]
    return "\n\n".join(sections)


def _knobs() -> str:
    text = (config_folder() / "config.yaml").read_text(encoding="utf-8")
    knobs = re.findall(r"^(\w+): (\S+) *(?:# (.*))?$", text, flags=re.MULTILINE)
    return "\n".join(f"  {f'{key}={value}':24} {comment}".rstrip() for key, value, comment in knobs)


def _group(group: str) -> str:
    lines = [f"{group}=…"]
    for file in sorted((config_folder() / group).glob("*.yaml")):
        comments = [
            line[2:] for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("# ")
        ]
        said = [line for line in comments if not line.startswith(("@package", "python -m"))]
        lines.append(f"  {file.stem:24} {said[0] if said else ''}".rstrip())
    return "\n".join(lines)

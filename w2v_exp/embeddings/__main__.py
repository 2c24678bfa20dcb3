"""The command ``python -m w2v_exp.embeddings``: asks saved embeddings from the shell."""

from __future__ import annotations

from w2v_exp.experiment.questions import run
from w2v_exp.processes import exit_with

if __name__ == "__main__":
    exit_with(run)

"""The command ``python -m w2v_exp.embeddings``: asks saved embeddings from the shell."""

from __future__ import annotations

from importlib import import_module

from w2v_exp.exiting import exit_with

if __name__ == "__main__":
    # By name: what is above the core is not imported with it.
    exit_with(import_module("w2v_exp.experiment.questions").run)

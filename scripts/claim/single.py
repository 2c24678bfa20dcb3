"""One configuration, checked: what the command ``python -m w2v_exp`` would run with these overrides."""

from __future__ import annotations

from w2v_exp.config import register_schema
from w2v_exp.errors import UserError
from w2v_exp.experiment.command import Command, parse, understand


def single_command(overrides: list[str]) -> Command:
    """Return the command that has these overrides.

    Raises
    ------
    UserError
        If it is none, or not one that can be compared.
    """
    register_schema()
    command = understand(parse(overrides))
    if command.is_sweep:
        raise UserError("One configuration is compared at a time; leave out the sweep.")
    if command.plan.validation.share:
        raise UserError("All sides train on all of the text; leave out validation.")
    return command

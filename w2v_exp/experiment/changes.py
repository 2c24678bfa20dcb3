"""Sweeps of one change at a time: the base configuration, then the base with each of some named sets of overrides."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from typing import Any

from hydra.errors import HydraException

from w2v_exp.config import parse_overrides
from w2v_exp.errors import UserError, shown, suggestion
from w2v_exp.experiment.fingerprint import NOT_OF_THE_RESULT
from w2v_exp.plan import Plan
from w2v_exp.runs import BASE, CHANGE

# A name is the value of an override and part of a run's name. Hydra reads some words as other values than text.
NAME = re.compile(r"(?!(?:null|true|false|nan|inf)$)[a-z][\w.+-]{0,39}", re.ASCII | re.IGNORECASE)
OF_THE_SWEEP = ("changes", CHANGE, "sweep", "seed", "repeats", "estimate", "resume", "force")


def read_changes(changes: Mapping[Any, Any], swept: Collection[str]) -> dict[str, list[str]]:
    """Return the overrides of each change, by its name.

    Parameters
    ----------
    changes : mapping
        As in a configuration: of each name a text, as it would be typed on a command line, or a list of overrides.
    swept : collection of str
        The other keys of the sweep, which no change may set.

    Raises
    ------
    UserError
        For the first change that cannot be read, has several values for a key, or sets a key that is not its own.
    """
    sets = {}
    for name, given in changes.items():
        place = f"changes.{shown(str(name), 40)}"
        if not isinstance(name, str) or not NAME.fullmatch(name) or name == BASE:
            raise UserError(
                f"{place}: not a name of a change. Use up to 40 letters, digits and _.+- after a letter; "
                f"{BASE} is the configuration without a change."
            )
        try:
            texts = shlex.split(given) if isinstance(given, str) else given
        except ValueError as error:
            raise UserError(
                f"{place}={shown(given, 80)}: {str(error).lower()}. Close the quotation."
            ) from error
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
            raise UserError(f"{place}: must be overrides. Write {place}='key=value key=value'.")
        try:
            overrides = parse_overrides(texts)
        except (HydraException, UserError) as error:
            raise UserError(
                f"{place}={shown(shlex.join(texts), 80)}: not understood; write key=value, "
                "and quote a value with special characters."
            ) from error
        for override in overrides:
            key = str(override.key_or_group)
            if override.is_sweep_override():
                raise UserError(
                    f"{place}: {override.input_line} has several values. Make each a change of its own."
                )
            if override.is_hydra_override() or key in OF_THE_SWEEP:
                raise UserError(f"{place}: {key} applies to the whole sweep. Set it beside the changes.")
            if key in swept:
                raise UserError(
                    f"{place}: {key} is swept as well. Leave it out of the changes or of the sweep."
                )
        sets[name] = [str(override.input_line) for override in overrides]
    return sets


def select_changes(sets: Mapping[str, list[str]], wanted: Sequence[str]) -> dict[str, list[str]]:
    """Return the base and the wanted changes, all where none is named, with their overrides.

    Raises
    ------
    UserError
        For a name that no change has.
    """
    for name in wanted:
        if name not in sets and name != BASE:
            raise UserError(f"{CHANGE}={shown(name, 80)}: not a change{suggestion(name, list(sets))}")
    return {BASE: []} | {name: sets[name] for name in wanted or sets if name != BASE}


def require_distinct(plans: Mapping[str, Plan]) -> None:
    """Refuse a change whose runs would have the same results as the base or another change.

    Parameters
    ----------
    plans : mapping of str to Plan
        By change, that of the base among them; equal in all other swept keys.

    Raises
    ------
    UserError
        With the names of the two.
    """
    earlier: dict[str, list[Any]] = {}
    for name, plan in plans.items():
        values = [getattr(plan, key.name) for key in fields(Plan) if key.name not in NOT_OF_THE_RESULT]
        for other, others in earlier.items():
            if values == others:
                same = "changes nothing" if other == BASE else f"makes the same run as changes.{other}"
                raise UserError(f"changes.{name}: {same}. Leave it out: '~changes.{name}'.")
        earlier[name] = values

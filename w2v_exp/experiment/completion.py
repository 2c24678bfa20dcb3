"""Shell completion of ``w2v-exp`` and ``python -m w2v_exp``: ``w2v-exp -sc install=bash``, zsh or fish.

Hydra's completion is not used. It fails on flags and sub-commands, takes ``-m w2v_exp`` for overrides, completes every
``python`` command by this program, and changes the word breaks of the shell for all other programs.

A script for the shell calls ``w2v-exp -sc query=bash`` with the command line up to the cursor in ``COMP_LINE``, and the
answer are whole words, one a line.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from w2v_exp.config import HYDRA_ERRORS, Sources, without_hydra
from w2v_exp.errors import UserError, has_shape
from w2v_exp.experiment import SUBCOMMANDS
from w2v_exp.experiment.command import Parser
from w2v_exp.experiment.config_errors import CHOOSABLE, all_keys

# `words` is what is typed up to the cursor. Bash splits at = and :, too, and replaces only the last part.
BASH = r"""
_w2v_exp_completion() {
    local line="${COMP_LINE:0:COMP_POINT}" typed word program
    typed="${line##*[[:space:]]}"
    program=("$1")
    if [[ "${1##*/}" == python* ]]; then
        if [[ ! "$line" =~ ^[[:space:]]*[^[:space:]]+[[:space:]]+-m[[:space:]]+w2v_exp[[:space:]] ]]; then
            if declare -F "$_w2v_exp_python" > /dev/null; then "$_w2v_exp_python" "$@"; fi
            return
        fi
        program+=(-m w2v_exp)
    fi
    COMPREPLY=()
    while IFS= read -r word; do
        if [[ "$word" == "$typed"* ]]; then COMPREPLY+=("${word#"${typed%"$2"}"}"); fi
    done < <(COMP_LINE="$line" "${program[@]}" -sc query=bash 2> /dev/null)
    if [[ ${#COMPREPLY[@]} == 1 && "${COMPREPLY[0]}" == *[=./] ]]; then compopt -o nospace; fi
}
if ! complete -p python > /dev/null 2>&1 && declare -F _completion_loader > /dev/null; then
    _completion_loader python
fi
if [[ "$(complete -p python 2> /dev/null)" =~ -F[[:space:]]([^[:space:]]+) ]]; then
    if [[ "${BASH_REMATCH[1]}" != _w2v_exp_* ]]; then _w2v_exp_python="${BASH_REMATCH[1]}"; fi
fi
complete -o bashdefault -o default -F _w2v_exp_completion w2v-exp python python3
"""
BASH_END = """
complete -r w2v-exp python python3 2> /dev/null
if declare -F "$_w2v_exp_python" > /dev/null; then complete -F "$_w2v_exp_python" python python3; fi
unset -f _w2v_exp_completion
unset _w2v_exp_python
"""
ZSH = r"""
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
_w2v_exp_completion() {
    local -a program found
    program=("$words[1]")
    if [[ "${words[1]:t}" == python* ]]; then
        if [[ "$words[2] $words[3]" != "-m w2v_exp" ]]; then
            if (( $+functions[_python] )); then _python "$@"; else _default; fi
            return
        fi
        program+=(-m w2v_exp)
    fi
    found=("${(@f)$(COMP_LINE="$LBUFFER" "${program[@]}" -sc query=zsh 2> /dev/null)}")
    local -a open=("${(@M)found:#*[=./]}") closed=("${(@)found:#*[=./]}")
    compadd -S '' -- "${(@)open:#}" && local matched=1
    compadd -- "${(@)closed:#}" && matched=1
    (( matched )) || _default
}
(( $+functions[_python] )) || autoload -Uz _python 2> /dev/null
compdef _w2v_exp_completion w2v-exp python python3
"""
ZSH_END = """
compdef -d w2v-exp python python3
unfunction _w2v_exp_completion
"""
FISH = r"""
function __w2v_exp_completion
    set -l program (commandline -cpo)[1]
    if string match -q 'python*' (path basename -- $program 2>/dev/null; or basename -- $program)
        set program $program -m w2v_exp
    end
    COMP_LINE=(commandline -cp | string collect) $program -sc query=fish 2>/dev/null
end
function __w2v_exp_is_module
    string match -qr '^\s*\S+\s+-m\s+w2v_exp\s' -- (commandline -cp)
end
complete -c w2v-exp -a '(__w2v_exp_completion)'
complete -c python -n __w2v_exp_is_module -a '(__w2v_exp_completion)'
complete -c python3 -n __w2v_exp_is_module -a '(__w2v_exp_completion)'
"""
FISH_END = """
complete -e -c w2v-exp
complete -e -c python -n __w2v_exp_is_module
complete -e -c python3 -n __w2v_exp_is_module
functions -e __w2v_exp_completion __w2v_exp_is_module
"""
SCRIPTS = {"bash": (BASH, BASH_END), "zsh": (ZSH, ZSH_END), "fish": (FISH, FISH_END)}


def shell_completion(requests: Sequence[str]) -> str:
    """Return the script that installs or removes completion, or the answer to a query, as text.

    Parameters
    ----------
    requests : sequence of str
        One of ``install=SHELL``, ``uninstall=SHELL`` and ``query=SHELL``.
    """
    action, _, shell = requests[0].partition("=") if len(requests) == 1 else ("", "", "")
    if action not in ("install", "uninstall", "query") or shell not in SCRIPTS:
        shells = ", ".join(SCRIPTS)
        raise UserError(
            f"--shell-completion: needs install=SHELL or uninstall=SHELL, with a shell of {shells}."
        )
    if action != "query":
        return SCRIPTS[shell][action == "uninstall"].strip()
    try:
        found = completions(os.environ.get("COMP_LINE", ""))
    except (UserError, *HYDRA_ERRORS):  # a mistake further left on the line
        return ""
    # A name of a file in a folder of options may be hostile: one word a line, and nothing else.
    return "\n".join(word for word in found if word and all(has_shape(c) and not c.isspace() for c in word))


def completions(line: str) -> list[str]:
    """Return the words that continue the last word of a command line, sorted.

    >>> completions("w2v-exp cache ")
    ['clear', 'list']
    >>> completions("python -m w2v_exp optimizer=lazy")
    ['optimizer=lazy_adam', 'optimizer=lazy_momentum']
    """
    words = line.split()
    typed = words.pop() if line[-1:].strip() and words else ""
    if os.path.basename(words[0] if words else "").startswith("python"):  # noqa: PTH119
        words = words[2:]  # -m w2v_exp
    name, given = (words[1], words[2:]) if len(words) > 1 else ("", [])
    if name == "estimate":
        found = _overrides(given, typed)
    elif name in SUBCOMMANDS:
        found = _of_parser(_subcommand_parser(name), given, typed)
    else:
        found = _overrides(words[1:], typed)
        found += [] if name else SUBCOMMANDS
    return sorted({word for word in found if word.startswith(typed)})


def _subcommand_parser(name: str) -> argparse.ArgumentParser:
    if name == "ask":
        from w2v_exp.experiment.queries import query_parser as make
    elif name == "export":
        from w2v_exp.experiment.export import export_parser as make
    elif name == "sync":
        from w2v_exp.experiment.sync import sync_parser as make
    elif name == "ui":
        from w2v_exp.experiment.ui import ui_parser as make
    elif name == "compare":
        from w2v_exp.experiment.subcommands import compare_parser as make
    else:
        from w2v_exp.experiment.subcommands import cache_parser as make
    return make()


def _of_parser(parser: argparse.ArgumentParser, given: Sequence[str], typed: str) -> list[str]:
    """Return the flags and fixed words of a parser, or of the sub-parser that is chosen on the command line."""
    for i, word in enumerate(given):
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction) and word in action.choices:
                return _of_parser(action.choices[word], given[i + 1 :], typed)
    before = next(
        (a for a in parser._actions if given and given[-1] in a.option_strings and a.nargs != 0), None
    )
    if before is not None:
        return [*map(str, before.choices or ())]
    flags = [flag for action in parser._actions for flag in action.option_strings if flag.startswith("--")]
    words = [
        str(w) for a in parser._actions if not a.option_strings for w in a.choices or () if w not in given
    ]
    return flags if typed.startswith("-") else words


def _overrides(given: Sequence[str], typed: str) -> list[str]:
    """Return flags, keys, or values of a key, after the flags and overrides before them."""
    parser = Parser()
    if typed.startswith("-") or (given and given[-1] in ("--cfg", "-c", "--info", "-i")):
        return _of_parser(parser, given, typed)
    try:
        parsed, _ = parser.parse_known_intermixed_args(list(given))
    except UserError:
        parsed = parser.parse_intermixed_args([])
    sources, texts = Sources.of(parsed), [text for text in parsed.overrides if "=" in text]
    if given and given[-1] in ("--help", "-h"):
        return [*CHOOSABLE]
    sign = typed[: len(typed) - len(typed.lstrip("+~"))]
    key, equals, value = typed[len(sign) :].partition("=")
    if not equals:
        # A group is completed to its options, and by a full stop to its settings.
        keys = [f"{sign}{key}=" for key in [*CHOOSABLE, *all_keys(sources, texts)]]
        return _up_to_full_stop(keys, typed)
    before = value[: value.rfind(",") + 1]  # further values of a sweep
    return [f"{sign}{key}={before}{each}" for each in _values(sources, texts, key)]


def _up_to_full_stop(keys: Sequence[str], typed: str) -> list[str]:
    """Return keys with at most one part more than typed, so that a hundred settings do not hide the groups."""
    depth = typed.count(".")
    found = []
    for key in keys:
        parts = key.split(".")
        found.append(key if len(parts) <= depth + 1 else ".".join(parts[: depth + 1]) + ".")
    return found


def _values(sources: Sources, texts: Sequence[str], key: str) -> list[str]:
    """Return the options of a group, or the values of a switch."""
    if key in CHOOSABLE:
        return sources.options(key, texts)
    value = OmegaConf.select(_composed(sources, texts), key, throw_on_missing=False)
    return ["false", "true"] if isinstance(value, bool) else []


def _composed(sources: Sources, texts: Sequence[str]) -> DictConfig:
    """Return the configuration of the options on a command line, without those that cannot be composed."""
    choices = [text for text in texts if text.split("=", 1)[0] in CHOOSABLE and "," not in text]
    try:
        return without_hydra(sources.compose(choices))
    except (UserError, *HYDRA_ERRORS):
        return without_hydra(sources.compose([]))

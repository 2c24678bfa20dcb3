"""Folders of runs and sweeps: their names, and checks that they are free.

No two runs share a folder, and files of other origin in it are neither overwritten nor deleted.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from shutil import rmtree

from hydra._internal.config_loader_impl import get_overrides_dirname
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from w2v_exp.choices import GROUPS
from w2v_exp.config import composition_errors, hydra_values, parse_overrides
from w2v_exp.errors import UserError, shown
from w2v_exp.experiment.config_errors import explain
from w2v_exp.experiment.outputs import RUN_FILES
from w2v_exp.files import DamagedFileError, is_locked, read_checked, try_lock
from w2v_exp.results import RESULT_FILE, SWEEP_FILE
from w2v_exp.tracking.history import LOCK
from w2v_exp.tracking.upload import LEGACY, is_uploaded

SWEEP_LOCK = "sweep.lock"  # in a sweep's folder, held by the process of the sweep
SUBDIR = "${hydra.job.num}"  # the shipped hydra.sweep.subdir: two runs never have the same
RESERVED = ("summary", "submitit")  # folders of a sweep that do not belong to a run
ARTIFACTS = "artifacts"  # in the folder of a run, the folder of its files
TEMPORARY = re.compile(r"\.(.*)\.[0-9a-f]{8}")  # name by `files.replacing` in a killed run
NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}  # a file system without locks


def new_folder(config: DictConfig, mode: str, study_name: str | None = None) -> Path:
    """Return the folder for a new run or sweep.

    It is the user's ``hydra.run.dir`` or ``hydra.sweep.dir``, or by default the time with four random digits, so that
    runs that start in the same second differ. A search with a name has a folder of this name, by which it is resumed.

    Parameters
    ----------
    config : DictConfig
        With Hydra's own part.
    mode : str
        ``run`` or ``sweep``.
    study_name : str, optional
        The name of a search.

    Raises
    ------
    UserError
        If the user's value cannot be a folder.
    """
    key = f"hydra.{mode}.dir"
    if is_shipped_folder(config, mode):
        if study_name:
            return Path(f"outputs/sweeps/{study_name}")
        return Path(f"outputs/{mode}s/{datetime.now():%Y-%m-%d_%H-%M-%S}-{secrets.token_hex(2)}")
    try:
        with hydra_values(config):
            text = str(OmegaConf.select(config, key, throw_on_missing=True))
    except OmegaConfBaseException as error:
        raise explain(error) from error
    if not text.strip():
        raise UserError(f"{key}=: is empty; name a folder.")
    if "\0" in text or "${" in text:  # Hydra would resolve ${…} once more
        raise UserError(f"{key}={shown(text, 80)}: has a character that is not allowed in a folder's name.")
    folder = Path(text)
    for place in (folder, *folder.parents):
        if os.path.lexists(place) and not os.path.isdir(place):  # noqa: PTH112  (False for a name that is too long)
            raise UserError(f"{key}={shown(text, 200)}: {shown(str(place), 200)} is a file, not a folder.")
    return folder


def is_shipped_folder(config: DictConfig, mode: str) -> bool:
    """Return whether the folder of a run or sweep is the default one."""
    return _unresolved(config, mode, "dir") == f"outputs/{mode}s/${{now:%Y-%m-%d_%H-%M-%S}}"


def is_shipped_subdir(config: DictConfig) -> bool:
    """Return whether runs of a sweep are in folders named by their number."""
    return _unresolved(config, "sweep", "subdir") == SUBDIR


def _unresolved(config: DictConfig, mode: str, key: str) -> str:
    node = OmegaConf.select(config, f"hydra.{mode}")
    values = OmegaConf.to_container(node, resolve=False) if isinstance(node, DictConfig) else None
    if not isinstance(values, dict) or values.get(key) in (None, "???"):
        raise UserError(f"hydra.{mode}.{key}: needs a value.")
    return str(values[key])


def compose_distinct(
    compose: Callable[[Mapping[str, str]], DictConfig], combinations: Sequence[Mapping[str, str]]
) -> dict[tuple[str, ...], DictConfig]:
    """Return one configuration for all runs of a sweep with the same options.

    A composition takes 0.1 s, so a thousand runs take minutes. Runs that differ only in values of plain keys, such as
    seeds, share a configuration: no other value depends on them, and each value is checked by itself.

    Parameters
    ----------
    compose : callable
        Composes the configuration of a run by its swept values.
    combinations : sequence of mappings of str to str
        The swept values of each run.

    Raises
    ------
    UserError, HydraException, OmegaConfBaseException
        If a combination cannot be composed.
    """
    composed: dict[tuple[str, ...], DictConfig] = {}
    for values in combinations:
        if (chosen := _choices(values)) not in composed:
            composed[chosen] = compose(values)
    return composed


def _choices(values: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"{key}={value}" for key, value in values.items() if not _is_plain(key))


def _is_plain(key: str) -> bool:
    return key.isidentifier() and key not in GROUPS and key not in ("experiment", "sweep", "change")


def run_subdirs(
    composed: Mapping[tuple[str, ...], DictConfig],
    fixed: Sequence[str],
    combinations: Sequence[Mapping[str, str]],
) -> list[str]:
    """Return the folder of each run below that of its sweep.

    It is ``hydra.sweep.subdir``, resolved for each run.

    Parameters
    ----------
    composed : mapping
        From `compose_distinct`; modified in place.
    fixed : sequence of str
        The overrides of all runs.
    combinations : sequence of mappings of str to str
        The swept values of each run.

    Raises
    ------
    UserError
        If two runs have the same folder, or one is not below the sweep's folder.
    """
    found: dict[str, int] = {}
    master = next(iter(composed.values()))
    common = [override for override in parse_overrides(fixed) if not override.is_hydra_override()]
    parsed: dict[str, Override] = {}
    for number, values in enumerate(combinations):
        texts = {key: f"{key}={value}" for key, value in values.items()}
        for text in texts.values():
            if text not in parsed:
                (parsed[text],) = parse_overrides([text])
        config = composed[_choices(values)]
        OmegaConf.copy_cache(master, config)  # as in Hydra: ${now:…} is the same for all runs of a sweep
        subdir = _subdir_of(config, number, common, {key: parsed[text] for key, text in texts.items()})
        place = os.path.normpath(subdir)
        if place in (".", *RESERVED) or place.startswith("..") or Path(place).is_absolute() or "\0" in place:
            raise UserError(
                f"hydra.sweep.subdir={shown(subdir, 80)}: must be a folder of its own below the sweep's folder."
            )
        if place in found:
            raise UserError(
                f"hydra.sweep.subdir={shown(subdir, 80)}: runs {found[place] + 1} and {number + 1} of "
                f"{len(combinations)} would share this folder. Add ${{hydra.job.num}}, or every swept key."
            )
        found[place] = number
    return [*found]


def _subdir_of(
    config: DictConfig, number: int, fixed: Sequence[Override], swept: Mapping[str, Override]
) -> str:
    """Return ``hydra.sweep.subdir`` of a run; modifies the configuration."""
    overrides = [*fixed, *swept.values()]
    with read_write(config), open_dict(config):
        for key, override in swept.items():
            if _is_plain(key):
                OmegaConf.update(config, key, override.value())
        job = config.hydra.job
        job.num, job.id = number, str(number)
        config.hydra.overrides.task = [str(override.input_line) for override in overrides]
        form = job.config.override_dirname
        job.override_dirname = get_overrides_dirname(overrides, form.exclude_keys, form.item_sep, form.kv_sep)
        with hydra_values(config), composition_errors():
            return str(OmegaConf.select(config, "hydra.sweep.subdir", throw_on_missing=True))


@contextmanager
def sweep_lock(folder: Path) -> Iterator[None]:
    """Create and lock a sweep's folder for the duration of the block.

    Raises
    ------
    UserError
        If a running sweep has locked it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = try_lock(folder / SWEEP_LOCK)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        yield
        return
    if lock is None:
        raise UserError(
            f"{folder}: in use by another sweep that is still running. Wait for it, or choose another folder."
        )
    with lock:
        try:
            yield
        finally:
            (folder / SWEEP_LOCK).unlink(missing_ok=True)


def require_free(folder: Path) -> None:
    """Refuse a folder in which a new run would overwrite something.

    Raises
    ------
    UserError
        If a run is alive in it, if an earlier run has left pending data there, or if it holds files that no run wrote.
    """
    lock = folder / LOCK
    if not lock.exists():
        require_delivered(folder)
        _require_absent(folder, ARTIFACTS, *(() if _is_result(folder / RESULT_FILE) else (RESULT_FILE,)))
        return
    if is_locked(lock):
        raise UserError(f"{folder}: in use by another run that is still running. Choose another folder.")
    require_delivered(folder)
    if foreign := [file for file in _listed(folder / ARTIFACTS) if not _is_of_run(file)]:
        raise UserError(
            f"{folder / ARTIFACTS}: holds {shown(foreign[0], 80)}, which no run wrote. Choose another folder."
        )


def require_free_sweep(folder: Path) -> None:
    """Refuse a folder in which a new sweep would overwrite something.

    Raises
    ------
    UserError
        If files that no sweep wrote have the names of a sweep's files.
    """
    if not (folder / SWEEP_FILE).exists():
        _require_absent(folder, *RESERVED, "comparison.csv", "summary.html", "multirun.yaml")


def require_delivered(folder: Path) -> None:
    """Refuse a folder with pending data of an earlier run or sweep.

    Raises
    ------
    UserError
        With the command that uploads them.
    """
    if not is_uploaded(folder) or (folder / LEGACY).exists():
        raise UserError(
            f"{folder}: holds data of an earlier run that is not in MLflow yet. Upload it with "
            f"w2v-exp sync {shlex.quote(str(folder))}, or choose another folder."
        )


def _require_absent(folder: Path, *names: str) -> None:
    for name in names:
        if (os.path.lexists(folder / name) and not (folder / name).is_dir()) or _listed(folder / name):
            raise UserError(f"{folder / name}: exists and was not written by a run. Choose another folder.")


def _is_of_run(file: str) -> bool:
    return RUN_FILES.fullmatch(TEMPORARY.sub(r"\1", file)) is not None


def _listed(folder: Path) -> list[str]:
    return os.listdir(folder) if folder.is_dir() else []  # noqa: PTH208


def clear_earlier(folder: Path) -> None:
    """Delete the files of an earlier run in this folder.

    Call `require_free` before. Without the lock file of a run, only the file of a result is deleted.
    """
    if (folder / LOCK).exists():
        for name in filter(_is_of_run, _listed(folder / ARTIFACTS)):
            path = folder / ARTIFACTS / name
            if path.is_dir() and not path.is_symlink():
                rmtree(path)
            else:
                path.unlink(missing_ok=True)
        (folder / RESULT_FILE).unlink(missing_ok=True)
    elif _is_result(folder / RESULT_FILE):
        (folder / RESULT_FILE).unlink(missing_ok=True)


def _is_result(file: Path) -> bool:
    """Return whether a file is the result of a run."""
    with suppress(OSError, DamagedFileError):
        return bool(read_checked(file))
    return False

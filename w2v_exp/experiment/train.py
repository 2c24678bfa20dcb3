"""One training from Python: `train` composes, checks and runs a configuration as the command line does."""

from __future__ import annotations

import dataclasses
import glob
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra._internal import config_loader_impl, defaults_list
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobRuntime
from hydra.version import VersionBase
from omegaconf import DictConfig, OmegaConf
from omegaconf.basecontainer import BaseContainer

from w2v_exp.choices import GROUPS
from w2v_exp.config import (
    HYDRA_ERRORS,
    hydra_values,
    options_of,
    override_of,
    quoted,
    recorded_values,
    register_schema,
    without_hydra,
)
from w2v_exp.embeddings import Embeddings
from w2v_exp.errors import SettingError, UserError, short, wrong_kind
from w2v_exp.experiment.command import Command, check_command, parse
from w2v_exp.experiment.config_errors import explain
from w2v_exp.experiment.folders import ARTIFACTS, new_folder
from w2v_exp.experiment.run import execute_run
from w2v_exp.experiment.run_info import RunInfo
from w2v_exp.plan import Plan
from w2v_exp.processes import fitted, termination_as_exception
from w2v_exp.text.corpus import CORPORA, TextCorpus
from w2v_exp.text.sentences import SentenceCorpus
from w2v_exp.tracking.load import ARCHIVE, load_run
from w2v_exp.tracking.progress import place_of_progress, progress_hidden
from w2v_exp.tracking.store import check_store, store_uri

PathName = os.PathLike[str] | str
OF_SWEEPS = ("repeats", "changes", "change", "sweep", "estimate")
# Without a folder or a store nobody would see the results of these.
QUIET = {"tracking": "none", "checkpoint": "none", "explorer": "none", "probes": []}
DEFAULTS = {"experiment": "my_text"}  # of a given text
LONGEST_RECORDED = 2000  # characters of a given text in the configuration of a run
EXCERPT = 80


def train(
    source: Any = None,
    *,
    tracking: Any = None,
    folder: PathName | None = None,
    config_dir: PathName | None = None,
    progress: bool = True,
    **settings: Any,
) -> Embeddings:
    """Train embeddings on a text, and return them; see `w2v_exp.train`."""
    given = _given(source, settings)
    if tracking is None and any(key.startswith(("tracking.", "tracking__")) for key in settings):
        tracking = True
    with ExitStack() as stack:
        stack.enter_context(_one_at_a_time)
        stack.enter_context(hydra_state_kept())
        stack.enter_context(nullcontext() if progress else progress_hidden())
        stack.enter_context(termination_as_exception(only_default=True))
        is_temporary = folder is None and tracking in (None, False, "none")
        if folder is None and is_temporary:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="w2v_exp-"))
        try:
            command = _command(given, _tracked(tracking, settings, is_temporary), folder, config_dir)
        except SettingError as error:
            if error.key == "corpus.path" and isinstance(source, str) and " " in source:
                problem = f"{error.problem} A text of this look: TextCorpus(text)."
                raise SettingError(error.key, error.value, problem) from None
            raise error from None
        except UserError as error:
            raise error from None  # the error of Hydra that it explains fills a screen of a notebook
        info, plan = _run_of(command, given, is_temporary)
        return _trained(replace(info, call=_call(source, settings)), plan)


def _call(source: Any, settings: Mapping[str, Any]) -> str:
    """Return a call of `train` for the description of its run, with long values cut.

    >>> _call("books/", {"dim": 100, "vocabulary.min_count": 5})
    "w2v_exp.train('books/', dim=100, **{'vocabulary.min_count': 5})"
    """
    is_short = isinstance(source, (str, os.PathLike, list, tuple, *CORPORA.values()))
    first = [] if source is None else [short(source) if is_short else f"<{type(source).__name__}>"]
    named = [f"{key}={short(value)}" for key, value in settings.items() if key.isidentifier()]
    dotted = {key: value for key, value in settings.items() if not key.isidentifier()}
    return f"w2v_exp.train({', '.join([*first, *named, *([f'**{short(dotted)}'] if dotted else [])])})"


def _trained(info: RunInfo, plan: Plan) -> Embeddings:
    """Execute a run and return its embeddings, with the vectors of its key `embedding` as ``input``.

    Raises
    ------
    Exception
        The error that ended the run.
    """
    if plan.bootstrap and info.is_temporary and not plan.mlflow:
        problem = "its replicates need a place. Give folder='…' or tracking=True."
        raise SettingError("bootstrap", plan.bootstrap, problem)
    if plan.mlflow:
        check_store(plan.mlflow.uri, plan.mlflow.experiment)
    try:
        info.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"folder={info.folder}: cannot be made ({error.strerror or error}).") from error
    outcome = execute_run(info, plan)
    if outcome.error:
        raise outcome.error
    result = outcome.result
    if not result.done:
        raise UserError(f"The run did not finish: {result.reason}")
    if plan.mlflow and place_of_progress():
        print(f"MLflow: run {result.run_id} in {store_uri(plan.mlflow.uri)}", file=sys.stderr)
    if not result.finished_before:
        return outcome.embeddings().using(plan.embedding)
    if plan.mlflow:
        return load_run(result.run_id, plan.mlflow.uri).using(plan.embedding)
    return Embeddings.load(Path(result.run_id) / ARTIFACTS / ARCHIVE).using(plan.embedding)


# ---------------------------------------------------------------- the text


@dataclass(frozen=True)
class Given:
    """The text of a call.

    Parameters
    ----------
    settings : mapping of str to object
        Settings of the configuration that name it.
    corpus : object or None
        The corpus itself, if it exists in this process only.
    """

    settings: Mapping[str, Any]
    corpus: TextCorpus | SentenceCorpus | None = None

    @property
    def size(self) -> tuple[int | None, int | None]:
        """The number of bytes and of words of a text that only this process has, as far as they are known."""
        if isinstance(self.corpus, SentenceCorpus):
            return None, self.corpus.tokens
        return (len(self.corpus.text.encode()) if self.corpus else None), None


def _given(source: Any, settings: Mapping[str, Any]) -> Given:
    """Return the text that the first argument of `train` stands for.

    Raises
    ------
    SettingError
        If it is none, or the text is named by settings as well.
    """
    if source is None:
        return Given({})
    given = _text_of(source, settings)
    return replace(given, settings=DEFAULTS | dict(given.settings))


def _text_of(source: Any, settings: Mapping[str, Any]) -> Given:
    """Return the text of a source, with the settings that name it."""
    for key, value in _flat(settings):
        if key in ("corpus", "corpus.path", "corpus.text"):
            raise SettingError(key, short(value), "the first argument is the text. Give one of both.")
    if isinstance(source, str):
        if _is_text(source):
            return _given_text(TextCorpus(source))
        return Given({"corpus": "file", "corpus.path": source})
    if isinstance(source, Path):
        return Given({"corpus": "file", "corpus.path": str(source)})
    if isinstance(source, TextCorpus):
        return _given_text(source)
    if isinstance(source, tuple(CORPORA.values())):
        return Given(_settings_of_choice("corpus", source))
    if isinstance(source, Iterable) and not isinstance(source, (bytes, Mapping)):
        corpus = SentenceCorpus.read(source)
        for key in settings:
            if key.partition("__")[0].partition(".")[0] in ("tokenizer", "corpus"):
                problem = "given sentences are lists of words, which are kept as they are. Leave it out."
                raise SettingError(key.replace("__", "."), short(settings[key]), problem)
        return Given({"corpus": "text", "corpus.text": corpus.source}, corpus)
    raise wrong_kind(
        "source", source, "a path, a text, a corpus such as SotuCorpus(), or an iterable of lists of words"
    )


def _given_text(corpus: TextCorpus) -> Given:
    text = corpus.text
    if len(text) > LONGEST_RECORDED:
        text = f"{text[:EXCERPT]}… ({len(text):,} characters given in Python)"
    settings = {"corpus": "text", "corpus.text": text, "corpus.boundaries": corpus.boundaries}
    return Given(settings, corpus)


def _is_text(source: str) -> bool:
    """Return whether a string is a text instead of a path.

    A path exists, or is a glob, or has no white space, or looks like a file: one short line that ends in a suffix. So
    a misspelled path is an error and not a short text.
    """
    if not source.strip() or len(source.split(maxsplit=1)) == 1:
        return False
    if "\n" in source or len(os.fsencode(source)) > 4096:
        return True
    path = Path(source).expanduser()
    try:
        if os.path.lexists(path):
            return False
        if glob.has_magic(source) and glob.glob(str(path), recursive=True):  # noqa: PTH207  (of any path)
            return False
    except (OSError, ValueError):
        return True
    is_like_a_file = path.suffix[1:].isalnum() and " " not in path.suffix
    return not is_like_a_file and not source.endswith(("/", os.sep))


# ---------------------------------------------------------------- settings, as the command line has them


def overrides_of(settings: Mapping[str, Any]) -> list[str]:
    """Return settings given in Python as the overrides of a command line.

    >>> overrides_of({"window": 3, "vocabulary": {"min_count": 2}, "subsampling__threshold": 1e-4, "probes": None})
    ['window=3', 'vocabulary.min_count=2', 'subsampling.threshold=0.0001', 'probes=null']
    """
    texts = []
    for key, value in _flat(settings):
        if value is None and key in GROUPS:
            texts.append(f"{key}=none")
        elif value is not None or key != "experiment":  # the command line has no word for none
            texts.append(override_of(key, value))
    return texts


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and values; a mapping, and an object that is an option, have several."""
    for name, value in settings.items():
        if not isinstance(name, str):
            raise SettingError(f"{prefix}{name!r}", short(value), "a key must be a string.")
        key = prefix + name.replace("__", ".")
        if isinstance(value, Mapping):
            yield from _flat(value, f"{key}.")
        elif key in GROUPS and dataclasses.is_dataclass(value) and not isinstance(value, type):
            yield from _settings_of_choice(key, value).items()
        else:
            yield key, value


def _settings_of_choice(group: str, chosen: Any) -> dict[str, Any]:
    """Return the settings that make an option of a group, such as ``optimizer`` and ``Adam(beta1=0.8)``."""
    names = [name for name, made in GROUPS[group].items() if type(chosen) is made]
    if not names:
        raise SettingError(
            group, short(chosen), f"is no option of this group. Options: {', '.join(options_of(group))}."
        )
    option = names[0] if names[0] in options_of(group) else None  # a group with one class needs no option
    values = {
        f"{group}.{key.name}": getattr(chosen, key.name) for key in dataclasses.fields(chosen) if key.init
    }
    return ({group: option} if option else {}) | values


def _tracked(tracking: Any, settings: Mapping[str, Any], is_temporary: bool) -> dict[str, Any]:
    """Return the settings of a call with those of `tracking`.

    Raises
    ------
    SettingError
        For a key of sweeps, or of Hydra itself.
    """
    for key, value in settings.items():
        name = key.replace("__", ".")
        if name.partition(".")[0] in OF_SWEEPS:
            raise SettingError(
                name, short(value), "is for sweeps, and train() trains one model. Use the command w2v-exp."
            )
        if name.partition(".")[0] == "hydra":
            raise SettingError(
                name,
                short(value),
                "is a key of Hydra itself. Use folder= or config_dir=, or the command w2v-exp.",
            )
    quiet = dict(QUIET) if is_temporary else {"tracking": "none", "checkpoint": "none"}
    if tracking in (None, False, "none"):
        chosen: dict[str, Any] = quiet
    elif tracking is True:
        chosen = {"tracking": "mlflow"}
    elif isinstance(tracking, Mapping):
        chosen = {"tracking": "mlflow"} | {f"tracking.{key}": value for key, value in tracking.items()}
    elif isinstance(tracking, str) and ("://" in tracking or tracking == "databricks"):
        chosen = {"tracking": "mlflow", "tracking.uri": tracking}
    elif isinstance(tracking, (str, *GROUPS["tracking"].values())):
        chosen = {"tracking": tracking}
    else:
        raise wrong_kind(
            "tracking", tracking, "True, False, the address of a store, or a dict of its settings"
        )
    return chosen | dict(settings)


def _command(
    given: Given,
    settings: Mapping[str, Any],
    folder: PathName | None,
    config_dir: PathName | None,
) -> Command:
    """Return the checked command of a call."""
    arguments = overrides_of(dict(given.settings) | dict(settings))
    if folder is not None:
        arguments.append(f"hydra.run.dir={quoted(os.fspath(folder))}")
    if config_dir is not None:
        arguments.append(f"--config-dir={os.fspath(config_dir)}")
    command = check_command(parse(arguments), *given.size)
    if command.picks and place_of_progress():
        print(fitted("\n".join(command.picks), sys.stderr), file=sys.stderr)
    if command.is_sweep:
        raise UserError(
            "train() trains one model, and this configuration is a sweep. Use the command w2v-exp."
        )
    return command


def _run_of(command: Command, given: Given, is_temporary: bool) -> tuple[RunInfo, Plan]:
    """Return the run of a command, in its folder, and its plan with the given text."""
    config = command.config
    try:
        with hydra_values(config):
            # Resolved now, since the configuration of Hydra itself is not set while the run is executed.
            values: DictConfig = OmegaConf.create(recorded_values(without_hydra(config)))
    except HYDRA_ERRORS as error:
        raise explain(error) from error
    try:
        folder = new_folder(config, "run")
    except UserError as error:
        raise UserError(str(error).replace("hydra.run.dir=", "folder=", 1)) from error
    info = replace(RunInfo.of_job(values, config.hydra, folder.absolute()), is_temporary=is_temporary)
    plan = command.plan
    if isinstance(given.corpus, TextCorpus):
        plan = replace(plan, corpus=replace(given.corpus, boundaries=values.corpus.boundaries))
    elif given.corpus:
        sentences = given.corpus
        plan = replace(plan, corpus=sentences)
        counts = {"sentences": sentences.sentences, "tokens": sentences.tokens}
        values.corpus = {"name": "sentences", **counts}
        values.tokenizer = {"name": "none"}
        name = re.sub("^text(?= |$)", "sentences", info.name)
        info = replace(info, name=name, choices=info.choices | {"corpus": "sentences", "tokenizer": "none"})
    return info, plan


# ---------------------------------------------------------------- the state of the process

_schema: dict[str, Any] = {}  # of this project, which takes 0.1 s to make
_one_at_a_time = threading.RLock()  # limits of BLAS threads, measured memory and Hydra belong to the process


@contextmanager
def hydra_state_kept() -> Iterator[None]:
    """Restore the state of Hydra in this process after the block: a program that uses Hydra may call `train`."""
    store, sources = ConfigStore.instance().repo, SourcesRegistry.instance().types
    named_alike = {name: store.pop(name) for name in ("schema", "schema.yaml") if name in store}
    store.update(_schema)
    if not _schema:
        register_schema.cache_clear()
        register_schema()
    types = {FileConfigSource.scheme(): FileConfigSource} | sources
    resolvers = dict(BaseContainer._resolvers)
    version, job, current = VersionBase.instance(), JobRuntime.instance(), HydraConfig.instance()
    before = version.version_base, job.conf.copy(), current.cfg
    replaced = defaults_list._create_interpolation_map, config_loader_impl.CachingConfigRepository
    try:
        yield
    finally:
        version.version_base, job.conf, current.cfg = before
        defaults_list._create_interpolation_map, config_loader_impl.CachingConfigRepository = replaced
        sources.update(types)
        for name in BaseContainer._resolvers.keys() - resolvers.keys():
            del BaseContainer._resolvers[name]
        BaseContainer._resolvers.update(resolvers)
        _schema.update({name: store.pop(name) for name in ("schema", "schema.yaml")})
        store.update(named_alike)
        if not named_alike:
            register_schema.cache_clear()

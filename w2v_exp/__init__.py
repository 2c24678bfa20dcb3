"""A laboratory for word embeddings around a NumPy word2vec.

`train` trains embeddings in one call, with the configuration of the command line; `runs` and `load_run` read earlier
runs. They load Hydra or MLflow when they are called. The other names are the core, from text to embeddings: NumPy only.
Each module is imported when a name of it is first used, so that a command starts handling signals within milliseconds.
"""

from w2v_exp.version import __version__ as __version__

TYPE_CHECKING = False  # mypy knows this name; importing typing would take the first 10 ms of a command

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike
    from typing import Any

    from pandas import DataFrame  # type: ignore[import-untyped]

    from w2v_exp.embeddings import AssociationTest, Embeddings
    from w2v_exp.embeddings.keyed_vectors import KeyedVectors
    from w2v_exp.embeddings.replicates import Replicates
    from w2v_exp.errors import UserError
    from w2v_exp.examples.architectures import Cbow, SkipGram
    from w2v_exp.examples.batches import Examples
    from w2v_exp.examples.blocks import BlockExamples
    from w2v_exp.examples.cbow import StreamedCbow
    from w2v_exp.examples.counts import cost_floor, information_explained, unigram_cost
    from w2v_exp.examples.pairs import Pairs, window_pairs
    from w2v_exp.examples.streamed import StreamedExamples
    from w2v_exp.model.hierarchical_softmax import HierarchicalSoftmax
    from w2v_exp.model.negative_sampling import NegativeSampling
    from w2v_exp.model.parameters import ArticleInitialization, Parameters, Word2VecInitialization
    from w2v_exp.model.softmax import Softmax
    from w2v_exp.slices.embeddings import SliceEmbeddings
    from w2v_exp.text.cache import TextCache, encode_cached
    from w2v_exp.text.corpus import ArticleCorpus, FileCorpus, SotuCorpus, TextCorpus
    from w2v_exp.text.encoding import EncodedText, encode_text
    from w2v_exp.text.sentences import SentenceCorpus
    from w2v_exp.text.text8 import Text8Corpus
    from w2v_exp.text.tokenizers import (
        ArticleTokenizer,
        CharacterTokenizer,
        CustomTokenizer,
        WhitespaceTokenizer,
        WordTokenizer,
    )
    from w2v_exp.text.vocabulary import Vocabulary, VocabularyRule
    from w2v_exp.training.trainer import Trainer
    from w2v_exp.word2vec.word2vec import Word2Vec


def train(
    source: "str | PathLike[str] | Iterable[Iterable[str]] | object | None" = None,
    *,
    tracking: "bool | str | dict[str, Any] | None" = None,
    folder: "str | PathLike[str] | None" = None,
    config_dir: "str | PathLike[str] | None" = None,
    progress: bool = True,
    **settings: "Any",
) -> "Embeddings":
    """Train embeddings on a text, and return them.

    It is one run of the command ``w2v-exp``: the same settings, checks and results. Nothing is written to the current
    folder, unless it is requested by `tracking`, `folder` or a setting. Calls in several threads are executed one after
    the other.

    Parameters
    ----------
    source : path, str, iterable of iterables of str, or corpus, optional
        The text. A `Path`, or a string that names a file, folder or glob, is read from there. A string with line ends,
        or with spaces and without the look of a file name, is the text itself (`TextCorpus` says so in any case).
        Sentences are lists of words, which are kept exactly as they are; a generator will do. A corpus is for example
        ``SotuCorpus()``. None: the text that the settings name.
    tracking : bool, str or dict, optional
        True logs the run to MLflow, as the command line does: to MLFLOW_TRACKING_URI or ``./mlflow.db``, with its files
        in ``outputs``. A string is the address of a store; a dict has the settings of the group, such as ``uri``,
        ``experiment`` and ``plots``.
    folder : path, optional
        Keeps the files of the run in this new folder.
    config_dir : path, optional
        A folder with options of your own, as ``--config-dir``.
    progress : bool
        Whether progress is shown, on a terminal or in a notebook.
    **settings
        Keys of the configuration with their values: ``dim=100``. An option is chosen by its name,
        ``objective="negative_sampling"``. A setting of an option is written with two underscores,
        ``vocabulary__min_count=5``, or in a dict of the group, ``vocabulary={"min_count": 5}``, or as on the command
        line, ``**{"vocabulary.min_count": 5}``.

    Returns
    -------
    Embeddings
        Their ``input`` has the vectors that the setting `embedding` chooses.

    Raises
    ------
    UserError
        For a setting or text that cannot be used, with the messages of the command line.
    KeyboardInterrupt
        If it is interrupted.

    Examples
    --------
    >>> sentences = [["a", "rose", "is", "a", "rose"], ["a", "daisy", "is", "a", "flower"]]
    >>> train(sentences, experiment=None, dim=10, epochs=20, progress=False).words
    ['a', 'is', 'rose', 'daisy', 'flower']
    """
    from w2v_exp.experiment.train import train  # late: it is above the core, and needs Hydra

    return train(
        source, tracking=tracking, folder=folder, config_dir=config_dir, progress=progress, **settings
    )


def runs(
    filter: str = "",
    *,
    tracking_uri: str | None = None,
    experiment: str | None = None,
    folder: "str | PathLike[str] | None" = None,
    **equal: object,
) -> "DataFrame":
    """Return earlier runs, a row per run, with parameters and metrics by their names.

    Parameters
    ----------
    filter : str
        A filter of MLflow, such as ``"metrics.cost < 1.8 and params.optimizer = 'adam'"``; "" takes all runs.
    tracking_uri, experiment : str, optional
        Of the store; None takes MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME, or else ``sqlite:///mlflow.db`` in the
        current folder and ``w2v_exp``. Without that file, the runs in the folder ``outputs`` are returned.
    folder : path, optional
        Return the runs in this folder and below it, from their own files, instead of those of a store.
    **equal
        Values that parameters must have, ``window=3``; with two underscores for settings of options, and a list for
        several values. ``sweep="…"`` and ``study="…"`` select the runs of a sweep or a search, ``status="FINISHED"``
        those with a status.

    Returns
    -------
    pandas.DataFrame
        With the id of the run as index (the folder, for runs without a store), the oldest run first. Columns:
        ``name``, ``status``, ``started``, ``sweep``; then the parameters that differ between the runs; the metrics; the
        other parameters. Parameters have the type that they look like.

    Raises
    ------
    UserError
        If there is no such store or folder, or the filter cannot be understood.
    """
    from w2v_exp.tracking.run_table import runs  # late: it needs MLflow and pandas

    return runs(filter, tracking_uri=tracking_uri, experiment=experiment, folder=folder, **equal)


def load_run(run_id: "str | PathLike[str]" = "latest", tracking_uri: str | None = None) -> "Embeddings":
    """Return the embeddings of a run: words, counts and both matrices.

    Parameters
    ----------
    run_id : str or path
        A run in MLflow: its id, the beginning of only one id, the name of only one finished run, or ``latest``: the
        finished run that began last. Or the folder of a run without tracking. Without a store, ``latest`` is the run
        in ``outputs`` that ended last.
    tracking_uri : str, optional
        Of the store; None takes MLFLOW_TRACKING_URI, or else ``sqlite:///mlflow.db`` in the current folder.

    Raises
    ------
    UserError
        If there is no such store or run, or the run has kept no embeddings.
    FormatError
        If the file is damaged.
    """
    from w2v_exp.tracking import load  # late: it is above the core, and needs MLflow

    return load.load_run(run_id, tracking_uri)


def load_replicates(
    run_id: "str | PathLike[str]" = "latest", tracking_uri: str | None = None
) -> "Replicates":
    """Return the replicates of a run with a bootstrap, for intervals.

    Parameters
    ----------
    run_id, tracking_uri
        As for `load_run`.

    Raises
    ------
    UserError
        If there is no such store or run, or the run has no replicates.
    FormatError
        If a file is damaged.

    Examples
    --------
    >>> replicates = load_replicates("latest")  # doctest: +SKIP
    >>> replicates.interval(replicates.cosines("peace", "war"), estimate=0.32)  # doctest: +SKIP
    (0.11, 0.57)
    """
    from w2v_exp.tracking import load  # late: it is above the core, and needs MLflow

    return load.load_replicates(run_id, tracking_uri)


def load_slices(
    run_id: "str | PathLike[str]" = "latest", tracking_uri: str | None = None
) -> "SliceEmbeddings":
    """Return the embeddings of the slices of a run that was trained with the group `slices`.

    Parameters
    ----------
    run_id, tracking_uri
        As for `load_run`.

    Raises
    ------
    UserError
        If there is no such store or run, or it has no slices.
    FormatError
        If the file is damaged.
    """
    from w2v_exp.tracking import load  # late: it is above the core, and needs MLflow

    return load.load_slices(run_id, tracking_uri)


_MODULES = {
    "ArticleCorpus": "w2v_exp.text.corpus",
    "ArticleInitialization": "w2v_exp.model.parameters",
    "ArticleTokenizer": "w2v_exp.text.tokenizers",
    "AssociationTest": "w2v_exp.embeddings",
    "BlockExamples": "w2v_exp.examples.blocks",
    "Cbow": "w2v_exp.examples.architectures",
    "CharacterTokenizer": "w2v_exp.text.tokenizers",
    "CustomTokenizer": "w2v_exp.text.tokenizers",
    "Embeddings": "w2v_exp.embeddings",
    "EncodedText": "w2v_exp.text.encoding",
    "Examples": "w2v_exp.examples.batches",
    "FileCorpus": "w2v_exp.text.corpus",
    "HierarchicalSoftmax": "w2v_exp.model.hierarchical_softmax",
    "KeyedVectors": "w2v_exp.embeddings.keyed_vectors",
    "NegativeSampling": "w2v_exp.model.negative_sampling",
    "Pairs": "w2v_exp.examples.pairs",
    "Parameters": "w2v_exp.model.parameters",
    "Replicates": "w2v_exp.embeddings.replicates",
    "SentenceCorpus": "w2v_exp.text.sentences",
    "SkipGram": "w2v_exp.examples.architectures",
    "SliceEmbeddings": "w2v_exp.slices.embeddings",
    "Softmax": "w2v_exp.model.softmax",
    "SotuCorpus": "w2v_exp.text.corpus",
    "StreamedCbow": "w2v_exp.examples.cbow",
    "StreamedExamples": "w2v_exp.examples.streamed",
    "Text8Corpus": "w2v_exp.text.text8",
    "TextCache": "w2v_exp.text.cache",
    "TextCorpus": "w2v_exp.text.corpus",
    "Trainer": "w2v_exp.training.trainer",
    "UserError": "w2v_exp.errors",
    "Vocabulary": "w2v_exp.text.vocabulary",
    "VocabularyRule": "w2v_exp.text.vocabulary",
    "WhitespaceTokenizer": "w2v_exp.text.tokenizers",
    "Word2Vec": "w2v_exp.word2vec.word2vec",
    "Word2VecInitialization": "w2v_exp.model.parameters",
    "WordTokenizer": "w2v_exp.text.tokenizers",
    "cost_floor": "w2v_exp.examples.counts",
    "encode_cached": "w2v_exp.text.cache",
    "encode_text": "w2v_exp.text.encoding",
    "information_explained": "w2v_exp.examples.counts",
    "unigram_cost": "w2v_exp.examples.counts",
    "window_pairs": "w2v_exp.examples.pairs",
}


if not TYPE_CHECKING:  # mypy shall report names that do not exist

    def __getattr__(name: str) -> object:
        """Import the module of a public name, and return what the name stands for (PEP 562)."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(_MODULES[name]), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = [
    "ArticleCorpus",
    "ArticleInitialization",
    "ArticleTokenizer",
    "AssociationTest",
    "BlockExamples",
    "Cbow",
    "CharacterTokenizer",
    "CustomTokenizer",
    "Embeddings",
    "EncodedText",
    "Examples",
    "FileCorpus",
    "HierarchicalSoftmax",
    "KeyedVectors",
    "NegativeSampling",
    "Pairs",
    "Parameters",
    "Replicates",
    "SentenceCorpus",
    "SkipGram",
    "SliceEmbeddings",
    "Softmax",
    "SotuCorpus",
    "StreamedCbow",
    "StreamedExamples",
    "Text8Corpus",
    "TextCache",
    "TextCorpus",
    "Trainer",
    "UserError",
    "Vocabulary",
    "VocabularyRule",
    "WhitespaceTokenizer",
    "Word2Vec",
    "Word2VecInitialization",
    "WordTokenizer",
    "cost_floor",
    "encode_cached",
    "encode_text",
    "information_explained",
    "load_replicates",
    "load_run",
    "load_slices",
    "runs",
    "train",
    "unigram_cost",
    "window_pairs",
]

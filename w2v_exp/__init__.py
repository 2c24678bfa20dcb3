"""A laboratory for word embeddings around a NumPy word2vec.

These names are the core, from text to embeddings: NumPy only, usable from a notebook. `load_run` alone needs MLflow,
and loads it when it is called. Each module is imported when a name of it is first used, so that a command starts
handling signals within milliseconds.
"""

TYPE_CHECKING = False  # mypy knows this name; importing typing would take the first 10 ms of a command

if TYPE_CHECKING:
    from w2v_exp.embeddings import Embeddings
    from w2v_exp.embeddings.keyed_vectors import KeyedVectors
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
    from w2v_exp.text.cache import TextCache, encode_cached
    from w2v_exp.text.corpus import ArticleCorpus, FileCorpus, SotuCorpus, TextCorpus
    from w2v_exp.text.encoding import EncodedText, encode_text
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

__version__ = "0.1.0"


def load_run(run_id: str, tracking_uri: str | None = None) -> "Embeddings":
    """Return the embeddings of a run in MLflow: words, counts and both matrices.

    Parameters
    ----------
    run_id : str
        Its id, the beginning of only one id, the name of only one finished run, or ``latest``: the finished run that
        began last.
    tracking_uri : str, optional
        Of the store; None takes MLFLOW_TRACKING_URI, or else ``sqlite:///mlflow.db`` in the current folder.

    Raises
    ------
    UserError
        If there is no such store or run, or the run has kept no embeddings.
    FormatError
        If the artifact is damaged.
    """
    from w2v_exp.tracking import load  # late: it is above the core, and needs MLflow

    return load.load_run(run_id, tracking_uri)


_MODULES = {
    "ArticleCorpus": "w2v_exp.text.corpus",
    "ArticleInitialization": "w2v_exp.model.parameters",
    "ArticleTokenizer": "w2v_exp.text.tokenizers",
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
    "SkipGram": "w2v_exp.examples.architectures",
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
    "SkipGram",
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
    "Word2VecInitialization",
    "WordTokenizer",
    "cost_floor",
    "encode_cached",
    "encode_text",
    "information_explained",
    "load_run",
    "unigram_cost",
    "window_pairs",
]

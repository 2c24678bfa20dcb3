"""A laboratory for word embeddings around a NumPy word2vec.

These names are the core, from text to embeddings: NumPy only, usable from a notebook. `load_run` alone needs MLflow,
and loads it when it is called.
"""

from w2v_exp.embeddings import Embeddings
from w2v_exp.errors import UserError
from w2v_exp.examples.batches import Examples
from w2v_exp.examples.counts import cost_floor, information_explained, unigram_cost
from w2v_exp.examples.pairs import Pairs, window_pairs
from w2v_exp.model.parameters import ArticleInitialization, Parameters, Word2VecInitialization
from w2v_exp.model.softmax import Softmax
from w2v_exp.text.cache import TextCache
from w2v_exp.text.cached_encoding import encode_cached
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


def load_run(run_id: str, tracking_uri: str | None = None) -> Embeddings:
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


__all__ = [
    "ArticleCorpus",
    "ArticleInitialization",
    "ArticleTokenizer",
    "CharacterTokenizer",
    "CustomTokenizer",
    "Embeddings",
    "EncodedText",
    "Examples",
    "FileCorpus",
    "Pairs",
    "Parameters",
    "Softmax",
    "SotuCorpus",
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

"""Which words predict which: word2vec's two models."""

from __future__ import annotations

from dataclasses import dataclass

from w2v_exp.validation import require_choice

CONTEXTS = ("mean", "sum")


@dataclass(frozen=True)
class SkipGram:
    """A centre is to predict each of the words around it (Mikolov et al. 2013a, section 3.2)."""


@dataclass(frozen=True)
class Cbow:
    """The words around a centre, together, are to predict it (Mikolov et al. 2013a, section 3.1).

    Parameters
    ----------
    context : {"mean", "sum"}
        What of their embeddings the hidden vector is. Gradients are exact for both. (word2vec and gensim leave out the
        division by the number of words in the gradient of the mean; İrsoy et al. 2021.)
    """

    context: str = "mean"

    def __post_init__(self) -> None:
        require_choice("context", self.context, CONTEXTS)


MODELS = {"skipgram": SkipGram, "cbow": Cbow}

"""Word2vec by gensim's names: a script for gensim runs with its import changed."""

from w2v_exp.embeddings.keyed_vectors import KeyedVectors
from w2v_exp.word2vec.callbacks import CallbackAny2Vec
from w2v_exp.word2vec.sentences import LineSentence, PathLineSentences
from w2v_exp.word2vec.word2vec import Word2Vec

__all__ = ["CallbackAny2Vec", "KeyedVectors", "LineSentence", "PathLineSentences", "Word2Vec"]

"""`Word2Vec`: training by gensim's names and arguments, on this project's trainer."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.embeddings.embeddings import Embeddings
from w2v_exp.embeddings.formats import StoredEmbeddings, read_extras, save_archive
from w2v_exp.embeddings.keyed_vectors import KeyedVectors
from w2v_exp.errors import (
    FormatError,
    SettingError,
    UserError,
    require_kind,
    require_number,
    require_whole,
    short,
    suggestion,
)
from w2v_exp.examples.pairs import window_pairs
from w2v_exp.examples.sampling import NoSubsampling, Subsampling, TextPart, Word2VecSubsampling
from w2v_exp.machine import available_cores
from w2v_exp.model.parameters import Parameters, Word2VecInitialization
from w2v_exp.text.encoding import EncodedText
from w2v_exp.text.vocabulary import Vocabulary
from w2v_exp.training.trainer import Trainer
from w2v_exp.word2vec.callbacks import Calls, checked_callbacks
from w2v_exp.word2vec.recipe import Descent, Recipe, tree_softmax
from w2v_exp.word2vec.sentences import (
    ArgumentError,
    HeldText,
    KnownWords,
    TrimRule,
    UnknownArgumentError,
    WordSelection,
    encode,
)

MODEL_VERSION = 1
INITIAL_WIDTH = 2.0  # gensim draws vectors from U(−1, 1)/dim since its version 4
RENAMED = {"size": "vector_size", "iter": "epochs"}  # by gensim 4
# Names of gensim's models that are not here, with the remedy.
ELSEWHERE = {
    "vocabulary": "Use wv.",
    "trainables": "Use syn1neg or syn1.",
    "syn1": "With hs=0 the output vectors are syn1neg.",
    "syn1neg": "With hs=1 the output vectors are syn1.",
    "accuracy": "Use wv.evaluate_word_analogies(file).",
    "cum_table": "Noise is drawn without a table.",
    "delete_temporary_training_data": "Keep wv only.",
    "intersect_word2vec_format": "Load the file by KeyedVectors.load_word2vec_format, and write its vectors into wv.",
    **{
        name: f"Use wv.{name}, as in gensim 4."
        for name in (
            "most_similar",
            "similarity",
            "doesnt_match",
            "similar_by_word",
            "n_similarity",
            "wmdistance",
        )
    },
}


class NoVocabularyError(UserError, RuntimeError):
    """A model that cannot train yet, since it has no words or parameters."""


def _arguments(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of a function's parameters."""
    return function.__code__.co_varnames[: function.__code__.co_argcount]


class Word2Vec:
    """A word2vec model, by the names and arguments of gensim's.

    Sentences are read once, and kept as ids for training. docs/from_gensim.md lists the differences.

    Parameters
    ----------
    sentences : iterable of iterable of str, optional
        Lists of words, restartable or not. Given, the model is trained at once.
    corpus_file : Path or str, optional
        A file (or folder) instead: one sentence per line, words between white space.
    vector_size : int
        Number of dimensions.
    alpha, min_alpha : float
        Learning rate per pair at the begin and at the end; it falls linearly.
    window : int
        Largest distance between the words of a pair.
    min_count : int
        Words that occur less often are dropped.
    max_vocab_size : int, optional
        Largest number of distinct words in memory while they are counted; the rarest are forgotten.
    sample : float
        Threshold of the subsampling of frequent words; 0: none. Above 1, a number of occurrences.
    seed : int
        Of all random numbers. The result is reproducible with one worker.
    workers : int
        Largest number of processes, as far as there are cores; −1: one per core. A text of few words is trained by
        one.
    sg : {0, 1}
        1: skip-gram; 0: CBOW.
    hs : {0, 1}
        1: hierarchical softmax, in place of negative sampling.
    negative : int
        Number of negatives per pair.
    ns_exponent : float
        Of the counts in the distribution of negatives.
    cbow_mean : {0, 1}
        CBOW: 1: mean of contexts; 0: sum.
    epochs : int
        Passes over the text.
    trim_rule : callable, optional
        Called with word, count and `min_count`: returns 0 for the default rule, 1 to drop the word, 2 to keep it.
    sorted_vocab : {0, 1}
        Whether words are sorted by falling count, or in order of appearance.
    compute_loss : bool
        Without effect: the mean loss is always known.
    callbacks : sequence of CallbackAny2Vec
        Called at begin and end of training and of each epoch.
    comment : str, optional
        Kept with the model.
    max_final_vocab : int, optional
        `min_count` is raised until no more words than this are left.
    shrink_windows : bool
        Whether the window of each word is drawn from 1 … `window`.
    hashfxn, batch_words, null_word
        Without effect; `null_word` must be 0.

    Raises
    ------
    SettingError
        For an argument that is out of bounds, with its name.
    """

    def __init__(
        self,
        sentences: Iterable[Iterable[str]] | None = None,
        corpus_file: Path | str | None = None,
        vector_size: int = 100,
        alpha: float = 0.025,
        window: int = 5,
        min_count: int = 5,
        max_vocab_size: int | None = None,
        sample: float = 1e-3,
        seed: int = 1,
        workers: int = 3,
        min_alpha: float = 0.0001,
        sg: int = 0,
        hs: int = 0,
        negative: int = 5,
        ns_exponent: float = 0.75,
        cbow_mean: int = 1,
        hashfxn: Any = None,
        epochs: int = 5,
        null_word: int = 0,
        trim_rule: TrimRule | None = None,
        sorted_vocab: int = 1,
        batch_words: int = 10_000,
        compute_loss: bool = False,
        callbacks: Sequence[Any] = (),
        comment: str | None = None,
        max_final_vocab: int | None = None,
        shrink_windows: bool = True,
        **unknown: Any,
    ) -> None:
        _refuse_unknown("Word2Vec", unknown, Word2Vec.__init__)
        self.vector_size = require_whole("vector_size", vector_size, at_least=1)
        self.alpha = require_number("alpha", alpha, above=0)
        self.min_alpha = require_number("min_alpha", min_alpha, at_least=0)
        self.window = require_whole("window", window, at_least=1)
        self.min_count = require_whole("min_count", 0 if min_count is None else min_count, at_least=0)
        self.max_vocab_size = _whole_or_none("max_vocab_size", max_vocab_size)
        self.max_final_vocab = _whole_or_none("max_final_vocab", max_final_vocab)
        self.sample = require_number("sample", sample or 0, at_least=0)
        self.seed = require_whole("seed", seed, at_least=0, at_most=2**128 - 1)
        self.workers = available_cores() if workers == -1 else require_whole("workers", workers, at_least=1)
        self.sg = _flag("sg", sg)
        self.hs = _flag("hs", hs)
        self.negative = require_whole("negative", negative, at_least=0, at_most=10_000)
        self.ns_exponent = require_number("ns_exponent", ns_exponent)
        self.cbow_mean = _flag("cbow_mean", cbow_mean)
        self.epochs = require_whole("epochs", epochs, at_least=0)
        self.sorted_vocab = _flag("sorted_vocab", sorted_vocab)
        self.shrink_windows = bool(shrink_windows)
        self.compute_loss = bool(compute_loss)
        self.batch_words, self.comment = batch_words, comment
        if null_word:
            raise SettingError("null_word", null_word, "must be 0; there is no null word.")
        if not (self.hs or self.negative):
            raise ArgumentError(
                "negative", negative, "must be 1 or more with hs=0: without either, nothing is trained."
            )
        if self.hs and self.negative:
            _warn(
                f"hs=1, negative={negative}: only the hierarchical softmax is trained. Set one of the two to 0."
            )
        self.wv = KeyedVectors(self.vector_size)
        self.corpus_count = self.corpus_total_words = 0
        self.train_count = 0
        self.total_train_time = 0.0
        self.effective_min_count = self.min_count
        self._output: NDArray[np.float32] = np.empty((0, self.vector_size), np.float32)
        self._generator = np.random.default_rng(self.seed)
        self._lowest_alpha = self.alpha
        self._loss = 0.0
        self._text: HeldText | None = None
        if sentences is not None or corpus_file is not None:
            self.build_vocab(sentences, corpus_file, trim_rule=trim_rule)
            self.train(
                sentences,
                corpus_file,
                total_examples=self.corpus_count,
                epochs=self.epochs,
                callbacks=callbacks,
            )
            self._text = None
        elif callbacks:
            _warn("callbacks: without sentences nothing is trained. Pass them to train().")
        elif trim_rule is not None:
            _warn("trim_rule: without sentences no vocabulary is built. Pass it to build_vocab().")

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({len(self.wv)} words, vector_size={self.vector_size}, "
            f"{'skip-gram' if self.sg else 'CBOW'}, {'hs=1' if self.hs else f'negative={self.negative}'}, "
            f"alpha={self.alpha:g})"
        )

    def __getattr__(self, name: str) -> Any:
        if name in ELSEWHERE:
            raise AttributeError(f"Word2Vec has no {name}. {ELSEWHERE[name]}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    # ------------------------------------------------------------ vocabulary

    def build_vocab(
        self,
        corpus_iterable: Iterable[Iterable[str]] | None = None,
        corpus_file: Path | str | None = None,
        update: bool = False,
        progress_per: int = 10_000,
        keep_raw_vocab: bool = False,
        trim_rule: TrimRule | None = None,
        **unknown: Any,
    ) -> None:
        """Read sentences once, select the vocabulary, and draw initial vectors.

        The sentences are kept as ids, 4 bytes per word, until they are trained on.

        Parameters
        ----------
        corpus_iterable, corpus_file, trim_rule
            See `Word2Vec`; `sentences` is another name of the first.
        update : bool
            Whether new words are added to the vocabulary, which keeps its vectors, or replace it.
        progress_per, keep_raw_vocab
            Without effect.
        """
        corpus_iterable = unknown.pop("sentences", corpus_iterable)
        _refuse_unknown("build_vocab", unknown, Word2Vec.build_vocab)
        choice = self._selection(update, trim_rule)
        text, number = encode(corpus_iterable, corpus_file, choice, self.max_vocab_size)
        self._text = HeldText(corpus_iterable, corpus_file, text)
        self.corpus_count, self.corpus_total_words = number, text.tokens
        self._set_vocabulary(text.vocabulary, choice)

    def build_vocab_from_freq(
        self,
        word_freq: Mapping[str, int],
        keep_raw_vocab: bool = False,
        corpus_count: int | None = None,
        trim_rule: TrimRule | None = None,
        update: bool = False,
    ) -> None:
        """Select the vocabulary from given counts, and draw initial vectors.

        Parameters
        ----------
        word_freq : mapping of str to int
            The count of each word.
        corpus_count : int, optional
            Number of sentences.
        trim_rule, update, keep_raw_vocab
            See `build_vocab`.
        """
        counted = Vocabulary.from_counts(word_freq)
        choice = self._selection(update, trim_rule)
        self.corpus_count = corpus_count or 0
        self.corpus_total_words = int(counted.counts.sum())
        self._text = None
        self._set_vocabulary(choice.select(dict(word_freq)), choice)

    def _selection(self, update: bool, trim_rule: TrimRule | None) -> WordSelection:
        if update and not len(self.wv):
            raise NoVocabularyError(
                "update=True: there is no vocabulary to extend yet. Call build_vocab() without it."
            )
        known = self._vocabulary() if update else None
        return WordSelection(self.min_count, self.max_final_vocab, bool(self.sorted_vocab), trim_rule, known)

    def _set_vocabulary(self, vocabulary: Vocabulary, choice: WordSelection) -> None:
        """Take a vocabulary, and draw the vectors of words that have none."""
        if not len(vocabulary):
            raise NoVocabularyError(
                f"min_count={self.min_count}: no word of the text occurs as often. Lower min_count."
            )
        self.effective_min_count = choice.effective_min_count
        known, before = len(self.wv) if choice.known else 0, self.wv
        if known:
            node_words = self._word_vectors() if self.hs else None
            generator = np.random.default_rng([self.seed, known])
        else:
            self._generator = generator = np.random.default_rng(self.seed)
            node_words = None
        rule = Word2VecInitialization(width=INITIAL_WIDTH)
        drawn = rule(len(vocabulary), self.vector_size, generator, np.float32)
        if known:
            drawn.embedding[:known] = before.vectors
            drawn.output[:known] = self._output if node_words is None else node_words
        self.wv = KeyedVectors.of(vocabulary.words, drawn.embedding, vocabulary.counts)
        self._output = drawn.output
        if node_words is not None:  # the tree has changed with the counts
            nodes = tree_softmax(vocabulary.counts).to_node_vectors(drawn).output
            self._output[: len(nodes)] = nodes

    def _vocabulary(self) -> Vocabulary:
        counts = self.wv.counts
        if counts is None:
            raise NoVocabularyError("wv: has no counts of words. Build the vocabulary by build_vocab().")
        return Vocabulary(self.wv.index_to_key, counts)

    def reset_from(self, other_model: Word2Vec) -> None:
        """Take the vocabulary of another model, and draw initial vectors."""
        require_kind("other_model", other_model, Word2Vec, "a Word2Vec")
        vocabulary = other_model._vocabulary()
        self.corpus_count, self.corpus_total_words = other_model.corpus_count, other_model.corpus_total_words
        self._text = None
        self._set_vocabulary(vocabulary, self._selection(False, None))

    # ------------------------------------------------------------ training

    def train(
        self,
        corpus_iterable: Iterable[Iterable[str]] | None = None,
        corpus_file: Path | str | None = None,
        total_examples: int | None = None,
        total_words: int | None = None,
        epochs: int | None = None,
        start_alpha: float | None = None,
        end_alpha: float | None = None,
        word_count: int = 0,
        queue_factor: int = 2,
        report_delay: float = 1.0,
        compute_loss: bool | None = None,
        callbacks: Sequence[Any] = (),
        **unknown: Any,
    ) -> tuple[int, int]:
        """Train on sentences, whose unknown words are skipped.

        The sentences of `build_vocab` are not read again; others are read once, whatever the number of epochs.

        Parameters
        ----------
        corpus_iterable, corpus_file, callbacks
            See `Word2Vec`; `sentences` is another name of the first.
        total_examples, total_words : int
            One of them must be given, as in gensim: ``model.corpus_count``. Their value is without effect.
        epochs : int
            Passes over the text.
        start_alpha, end_alpha : float, optional
            Replace `alpha` and `min_alpha`.
        word_count, queue_factor, report_delay, compute_loss
            Without effect.

        Returns
        -------
        trained_words, words : int
            Expected number of words that subsampling keeps, and number of words of the text, over all epochs.
        """
        corpus_iterable = unknown.pop("sentences", corpus_iterable)
        _refuse_unknown("train", unknown, Word2Vec.train)
        if epochs is None:
            raise ArgumentError("epochs", None, "must be given, such as epochs=model.epochs.")
        if total_examples is None and total_words is None:
            raise ArgumentError("total_examples", None, "must be given: total_examples=model.corpus_count.")
        epochs = require_whole("epochs", epochs, at_least=0)
        self.alpha = require_number("start_alpha", start_alpha or self.alpha, above=0)
        end_alpha = self.min_alpha if end_alpha is None else end_alpha
        self.min_alpha = require_number("end_alpha", end_alpha, at_least=0)
        if self.alpha > self._lowest_alpha:
            _warn(f"alpha={self.alpha:g}: is above that of an earlier training, {self._lowest_alpha:g}.")
        vocabulary, parameters = self._vocabulary_to_train(), self._parameters()
        text = self._text.of(corpus_iterable, corpus_file) if self._text else None
        if text is None:
            text, _ = encode(corpus_iterable, corpus_file, KnownWords(vocabulary), None)
            part = _part(text)
            if not self._recipe().without_subsampling().has_pairs(part, len(vocabulary)):
                _warn(
                    "sentences: have no pair of known words, so nothing is trained. "
                    "build_vocab(…, update=True) adds words."
                )
                return 0, text.tokens * epochs
        part = _part(text)
        callbacks = checked_callbacks(callbacks)
        calls = Calls(self, callbacks, epochs)
        began = perf_counter()
        for callback in callbacks:
            callback.on_train_begin(self)
        calls.begin_epoch()
        if epochs:
            trainer = self._recipe().trainer(
                part,
                vocabulary.counts,
                parameters,
                schedule=Descent(self.min_alpha / self.alpha),
                epochs=epochs,
                learning_rate=self.alpha,
                generator=self._generator,
                callbacks=[calls],
                workers=self.workers,
            )
            self._train(trainer, parameters)
        self._lowest_alpha = min(self._lowest_alpha, self.alpha)
        self.train_count += 1
        self.total_train_time += perf_counter() - began
        for callback in callbacks:
            callback.on_train_end(self)
        keep = self._subsampling().keep_probabilities(np.bincount(text.ids, minlength=len(vocabulary)))
        return round(float(keep[text.ids].sum()) * epochs), text.tokens * epochs

    def _train(self, trainer: Trainer, parameters: Parameters) -> None:
        """Train; vectors are up to date within callbacks and after an error."""
        if trainer.parameters is not parameters:  # in memory that is shared with other processes
            self.wv.vectors = trainer.parameters.embedding
        try:
            trainer.train()
        finally:
            if trainer.parameters is not parameters:
                parameters.embedding[...] = trainer.parameters.embedding
                parameters.output[...] = trainer.parameters.output
                self.wv.vectors = parameters.embedding
            self.wv.fill_norms(force=True)

    def _recipe(self) -> Recipe:
        return Recipe(
            skip_gram=bool(self.sg),
            mean=bool(self.cbow_mean),
            hierarchical=bool(self.hs),
            dim=self.vector_size,
            negatives=max(1, self.negative),
            exponent=self.ns_exponent,
            window=self.window,
            shrinking_window=self.shrink_windows,
            subsampling=self._subsampling(),
        )

    def _subsampling(self) -> Subsampling:
        """Return the subsampling; a `sample` of 1 or more is a number of occurrences."""
        threshold = self.sample
        if threshold >= 1:
            counts = self.wv.counts
            threshold *= (3 + math.sqrt(5)) / 2 / max(1, 0 if counts is None else int(counts.sum()))
        return Word2VecSubsampling(threshold) if 0 < threshold < 1 else NoSubsampling()

    def _vocabulary_to_train(self) -> Vocabulary:
        if not len(self.wv):
            raise NoVocabularyError("There is no vocabulary yet. Call build_vocab() before train().")
        if len(self._output) != len(self.wv):
            raise NoVocabularyError(
                "wv: was replaced, or vectors were added, so output vectors are missing. Build the vocabulary by "
                "build_vocab(), and write vectors into wv.vectors."
            )
        return self._vocabulary()

    def _parameters(self) -> Parameters:
        """Return the parameters themselves; of the hierarchical softmax, V − 1 rows of output weights."""
        vectors = self.wv.vectors
        if vectors.dtype != np.float32 or not vectors.flags.c_contiguous or not vectors.flags.writeable:
            self.wv.vectors = vectors = np.array(vectors, np.float32)
        return Parameters(vectors, self._output[: len(vectors) - 1] if self.hs else self._output)

    def _word_vectors(self) -> NDArray[np.float32]:
        """Return the output vectors of words, (V, dim)."""
        parameters = self._parameters()
        if not self.hs:
            return parameters.output
        counts = self._vocabulary().counts
        return tree_softmax(counts).to_word_vectors(parameters).output

    @property
    def syn1neg(self) -> NDArray[np.float32]:
        """Output vectors of words, (V, dim), of negative sampling."""
        if self.hs:
            raise AttributeError  # with the message of `__getattr__`
        return self._output

    @property
    def syn1(self) -> NDArray[np.float32]:
        """Output vectors of tree nodes, (V, dim), of the hierarchical softmax; the last row is unused."""
        if not self.hs:
            raise AttributeError(
                "syn1 is of the hierarchical softmax; with hs=0 the output vectors are syn1neg."
            )
        return self._output

    @property
    def layer1_size(self) -> int:
        """Number of dimensions."""
        return self.vector_size

    def get_latest_training_loss(self) -> float:
        """Return the mean loss of the latest epoch, in nats per pair (CBOW: per centre).

        gensim's is a sum over all epochs. 0 before any training.
        """
        return self._loss

    # ------------------------------------------------------------ predictions

    def predict_output_word(
        self, context_words_list: Iterable[str | int], topn: int = 10
    ) -> list[tuple[str, float]] | None:
        """Return the most probable centres of a context, by a softmax of scores.

        Unknown words are skipped; without a known one, None is returned.

        Raises
        ------
        NoVocabularyError
            If there are no output vectors of negative sampling.
        """
        if self.hs or len(self._output) != len(self.wv):
            raise NoVocabularyError(
                "predict_output_word: needs the output vectors of negative sampling (hs=0)."
            )
        rows = [self.wv.get_index(word) for word in context_words_list if word in self.wv]  # type: ignore[arg-type]
        if not rows:
            _warn(f"predict_output_word: none of {short(context_words_list)} is a known word.")
            return None
        hidden = self.wv.vectors[rows].sum(axis=0)
        if self.cbow_mean:
            hidden /= len(rows)
        scores = (self._output @ hidden).astype(np.float64)
        exponentials = np.exp(scores - scores.max())
        best = np.argsort(-exponentials, kind="stable")[: require_whole("topn", topn, at_least=0)]
        words = self.wv.index_to_key
        return [(words[i], float(exponentials[i] / exponentials.sum())) for i in best.tolist()]

    def score(
        self,
        sentences: Iterable[Iterable[str]],
        total_sentences: int = 1_000_000,
        chunksize: int = 100,
        queue_factor: int = 2,
        report_delay: float = 1.0,
    ) -> NDArray[np.float64]:
        """Return the log-likelihood of the pairs of each sentence, (n,), in nats.

        Only with the hierarchical softmax; of CBOW's centres instead of pairs. Windows are not shrunk, and unknown
        words are skipped. The other arguments are without effect.
        """
        if not self.hs:
            raise NoVocabularyError("score: needs the hierarchical softmax (hs=1).")
        vocabulary, parameters = self._vocabulary_to_train(), self._parameters()
        objective = tree_softmax(vocabulary.counts)
        scores = []
        for sentence in sentences:
            ids = np.array([vocabulary.ids[word] for word in sentence if word in vocabulary.ids], np.int32)
            if len(ids) < 2:
                scores.append(0.0)
                continue
            pairs = window_pairs(np.arange(len(ids), dtype=np.int32), self.window, len(ids))
            hidden, words = parameters.embedding[ids], ids[pairs.contexts]
            rows: NDArray[Any] = pairs.centres
            if not self.sg:
                sums = np.zeros_like(hidden)
                np.add.at(sums, pairs.centres, hidden[pairs.contexts])
                divisor = np.bincount(pairs.centres)[:, None] if self.cbow_mean else 1
                hidden, rows, words = sums / divisor, np.arange(len(ids)), ids
            inputs = Parameters(hidden.astype(np.float32), parameters.output)
            chosen = objective.probabilities(inputs, np.arange(len(ids)))[rows, words]
            scores.append(float(np.log(np.maximum(chosen, np.finfo(np.float64).tiny)).sum()))
        return np.array(scores)

    # ------------------------------------------------------------ files

    def save(self, fname: Path | str, *args: Any, **kwargs: Any) -> None:
        """Write the model to one file, whatever its suffix, the whole file or nothing.

        Nothing is pickled: the file is an archive of arrays, and `Embeddings.load` reads its vectors. Further
        arguments, which gensim has, are without effect.
        """
        require_kind("fname", fname, (str, Path), "the path of a file")
        if len(self._output) != len(self.wv):
            self._vocabulary_to_train()
        settings = {name: getattr(self, name) for name in _SAVED}
        state = {
            "version": MODEL_VERSION,
            "settings": settings,
            "generator": self._generator.bit_generator.state,
        }
        words, counts = self.wv.index_to_key, self.wv.counts
        if not words:
            raise NoVocabularyError("There is no vocabulary to save. Call build_vocab() before save().")
        extras: dict[str, NDArray[Any]] = {"word2vec": np.frombuffer(json.dumps(state).encode(), np.uint8)}
        if self.hs:
            extras["nodes"] = self._output
        stored = StoredEmbeddings(words, counts, self._parameters().embedding, self._word_vectors())
        save_archive(Path(fname), stored, extras)

    @classmethod
    def load(cls, fname: Path | str, mmap: str | None = None, rethrow: bool = False) -> Word2Vec:
        """Read a model that `save` has written, to query it or train it further.

        Pickles, as gensim's ``save`` writes them, are refused. `mmap` and `rethrow` are without effect.

        Raises
        ------
        FormatError
            If the file is damaged, or holds no model.
        """
        require_kind("fname", fname, (str, Path), "the path of a file")
        saved = Embeddings.load(fname)
        extras = read_extras(Path(fname), ["word2vec", "nodes"])
        if "word2vec" not in extras:
            raise FormatError(
                f"{fname}: holds vectors, and no model that Word2Vec.save() has written. Use KeyedVectors.load()."
            )
        try:
            state = json.loads(extras["word2vec"].tobytes())
            settings, generator = state["settings"], state["generator"]
            if state["version"] != MODEL_VERSION:
                raise ValueError(f"version {state['version']}")
            parameters = {name: settings.pop(name) for name in _PARAMETERS}
            with warnings.catch_warnings():  # of a combination that was accepted before
                warnings.simplefilter("ignore", UserWarning)
                model = cls(**parameters)
            vars(model).update({name: settings[name] for name in _STATE})
            model._generator.bit_generator.state = generator
            output = extras["nodes"] if model.hs else saved.output
            if output is None or output.shape != saved.input.shape or saved.counts is None:
                raise ValueError("no output vectors")
        except (KeyError, ValueError, TypeError, AttributeError, UserError) as error:
            raise FormatError(
                f"{fname}: the model in it is damaged ({error}). Its vectors are loaded by KeyedVectors.load()."
            ) from error
        model.wv = KeyedVectors.of(saved.words, saved.input, saved.counts)
        model._output = np.ascontiguousarray(output, np.float32)
        return model


# The order of `__init__`, without arguments that are not kept.
_NOT_KEPT = {"self", "sentences", "corpus_file", "hashfxn", "null_word", "trim_rule", "callbacks"}
_PARAMETERS = [name for name in _arguments(Word2Vec.__init__) if name not in _NOT_KEPT]
_COUNTED = ["corpus_count", "corpus_total_words", "train_count", "total_train_time"]
_STATE = [*_COUNTED, "effective_min_count", "_lowest_alpha", "_loss"]
_SAVED = [*_PARAMETERS, *_STATE]


def _refuse_unknown(function: str, unknown: Mapping[str, Any], known: Callable[..., Any]) -> None:
    for name, value in unknown.items():
        if name in RENAMED:
            raise UnknownArgumentError(
                f"{name}={short(value)}: is {RENAMED[name]}={short(value)}, as in gensim 4."
            )
        names = known.__code__.co_varnames[1 : known.__code__.co_argcount]
        raise UnknownArgumentError(
            f"{name}={short(value)}: is no parameter of {function}{suggestion(name, names)}"
        )


def _whole_or_none(key: str, value: Any) -> int | None:
    return None if value is None else require_whole(key, value, at_least=1)


def _flag(key: str, value: Any) -> int:
    if value not in (0, 1):
        raise SettingError(key, short(value), "must be 0 or 1.")
    return int(value)


def _part(text: EncodedText) -> TextPart:
    return TextPart(text.ids, text.segments if len(text.segments) > 2 else None)


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=3)

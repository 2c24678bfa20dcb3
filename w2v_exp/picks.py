"""Settings for a text of one's own, by its size and the machine.

`pick_settings` is a pure function: the command line (``experiment=my_text``) and `w2v_exp.train` call it with the same
arguments and get the same settings. The figures behind the rules are in ``docs/choosing.md``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from w2v_exp.errors import spelled
from w2v_exp.machine import automatic_threads, readable_bytes

TOKEN_BYTES = 6  # of English text: a word and a space
UNKNOWN_BYTES = 100_000_000  # assumed for a text whose size is not known, such as a pipe
# Words that occur five times: 3,920 in 1 MB, 19,195 in 10 MB, 68,004 in 100 MB of Wikipedia. Other texts have fewer.
WORDS_AT, WORDS_OF_TOKENS, EXPONENT_BELOW, EXPONENT_ABOVE = 1_690_000, 19_195, 0.69, 0.55
OFTEN = {5: 1, 2: 2, 1: 4}  # factor to them of words that occur this often, in texts with such a rule
# Peak memory of counting and factorising pairs. With 24·V·dim bytes of vectors, the peaks of 1, 12 and 100 MB of
# Wikipedia are estimated as 26, 170 and 690 MB; measured were 33, 192 and 475 MB (window 5; the last without factors).
COUNTED_BYTES, COUNTED_EXPONENT = 17_000_000, 0.78

FEW_TOKENS, VERY_FEW_TOKENS = (
    100_000,
    10_000,
)  # below, words that occur less than five times, or once, are kept
SHORT_TOKENS = 500_000  # below, negative sampling needs more epochs
LONG_TOKENS = 5_000_000  # from here on, settings of 100 MB of Wikipedia; below, of 2 M words of speeches
MOST_SOFTMAX_WORDS = 30_000  # an epoch takes V²·dim; more words were not measured
FEWEST_WORDS, MOST_WORDS = 1_000, 500_000  # of negative sampling
BUDGET_SECONDS = 300.0  # of training that epochs are fitted to, at the rates below
# Of one core, two thirds of the rates measured on a quiet machine (docs/log/speed.md).
PRODUCTS_PER_SECOND = 30e9  # floating-point operations of an exact epoch
SAMPLED_TOKENS_PER_SECOND = 300_000.0  # skip-gram with negative sampling, dim 100
PARALLEL_EFFICIENCY = 0.7  # of several threads
FEWEST_EPOCHS = 5  # of the softmax; with less time, negative sampling
MEMORY_SHARE = 0.5  # of the available memory that counts may take

SOFTMAX, SAMPLING, TREE = "softmax", "negative_sampling", "hierarchical_softmax"

Value = str | int | float | bool | None


@dataclass(frozen=True)
class Picks:
    """Settings for a text, with their reasons.

    Parameters
    ----------
    settings : dict of str to value
        The picked settings by key, as on a command line, without those that were given. The options of groups come
        first.
    lines : tuple of str
        Four lines: objective and encoding, vocabulary, precision and threads, epochs; each with its reason, and with
        the picks that were overridden.
    seconds : float
        A rough training time.
    """

    settings: dict[str, Value]
    lines: tuple[str, str, str, str]
    seconds: float


@dataclass(frozen=True)
class _Text:
    """A text and a machine, as the rules see them."""

    size: int
    is_known: bool
    is_counted: bool  # tokens are no estimate
    tokens: int
    words: int  # that occur at least `min_count` times
    min_count: int
    dim: int
    window: int
    threads: int
    memory: int | None

    @property
    def is_long(self) -> bool:
        return self.tokens > LONG_TOKENS

    @property
    def counting_bytes(self) -> float:
        """The peak memory of counting pairs, and of training on them."""
        pairs = COUNTED_BYTES * math.pow(self.tokens * TOKEN_BYTES / 1e6, COUNTED_EXPONENT) * self.window / 5
        return pairs + 24 * min(self.words, MOST_SOFTMAX_WORDS) * self.dim

    @property
    def fits_counts(self) -> bool:
        return self.memory is None or self.counting_bytes <= MEMORY_SHARE * self.memory


@dataclass
class _Recipe:
    """Settings that go together: all of them, the number of epochs included, and the reasons for some."""

    settings: dict[str, Value]
    seconds: float
    objective: str
    vocabulary: str
    threads: str
    epochs: str
    given: dict[str, Any] = field(default_factory=dict)


def pick_settings(
    size: int | None,
    *,
    cores: int,
    memory: int | None,
    tokens: int | None = None,
    words: int | None = None,
    given: Mapping[str, Any] | None = None,
) -> Picks:
    """Return settings for a text of this size on this machine.

    With more memory, a text never gets negative sampling instead of the softmax; a longer text never gets fewer words
    of the same objective, and more cores never fewer epochs.

    Parameters
    ----------
    size : int or None
        Bytes of the uncompressed text; None: unknown, then 100 MB are assumed.
    cores : int
        Cores of the machine.
    memory : int or None
        Available bytes; None: unknown, then all fits.
    tokens, words : int, optional
        Number of words of the text, and of distinct words that occur often enough (five times in a long text); None:
        estimated from the size.
    given : mapping of str to value, optional
        Settings that the user has chosen, by key. They are not picked, and the others fit them: with
        ``objective=negative_sampling``, for example, labels are ``blocks``. Values may be text, as on a command line.

    Raises
    ------
    ValueError
        If a size or number is negative, or there is no core.
    """
    if min(size or 0, memory or 0, tokens or 0, words or 0) < 0 or cores < 1:
        raise ValueError("size, memory, tokens and words must be 0 or more, and cores 1 or more.")
    chosen = dict(given or {})
    text = _described(size, cores, memory, tokens, words, chosen)
    objective, reason = _objective(text, chosen)
    recipe = {SAMPLING: _sampling, TREE: _tree}.get(objective, _softmax)(text, chosen)
    recipe.objective = reason or recipe.objective
    recipe.settings = {"objective": objective, **recipe.settings}
    return _without_given(recipe, text, chosen)


def _described(
    size: int | None,
    cores: int,
    memory: int | None,
    tokens: int | None,
    words: int | None,
    given: Mapping[str, Any],
) -> _Text:
    """Return the text and the machine, with estimates for what is unknown."""
    is_known = size is not None or tokens is not None
    is_counted = size is None and tokens is not None
    if tokens is None:
        tokens = math.ceil((UNKNOWN_BYTES if size is None else size) / TOKEN_BYTES)
    if size is None:
        size = tokens * TOKEN_BYTES
    min_count = 5 if tokens >= FEW_TOKENS else 2 if tokens >= VERY_FEW_TOKENS else 1
    if words is None:
        exponent = EXPONENT_BELOW if tokens < WORDS_AT else EXPONENT_ABOVE
        estimated = OFTEN[min_count] * WORDS_OF_TOKENS * math.pow(tokens / WORDS_AT, exponent)
        words = min(tokens, round(estimated))
    threads = _number(given, "threads", automatic_threads(cores))
    return _Text(
        size,
        is_known,
        is_counted,
        tokens,
        max(words, 2),
        min_count,
        _number(given, "dim", 100),
        _number(given, "window", 5),
        threads,
        memory,
    )


def _number(given: Mapping[str, Any], key: str, default: int) -> int:
    """Return a given whole number, or the default: what is no number is refused elsewhere."""
    try:
        return max(1, int(given[key]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return default


def _objective(text: _Text, given: Mapping[str, Any]) -> tuple[str, str]:
    """Return the objective, and its reason if a given setting decides."""
    if (objective := given.get("objective")) is not None:
        return str(objective), ""
    if given.get("model", "skipgram") != "skipgram":
        return SAMPLING, f"model={given['model']} has no pairs to count."
    if given.get("labels") == "blocks":
        return SAMPLING, "labels=blocks are for negative sampling."
    if _number(given, "workers", 1) > 1:
        return SAMPLING, "several workers share blocks of the text."
    if "labels" in given or (text.fits_counts and _softmax_epochs(text) >= FEWEST_EPOCHS):
        return SOFTMAX, ""
    return SAMPLING, ""


# ---------------------------------------------------------------- the exact softmax


def _epoch_seconds(text: _Text, words: int) -> float:
    """Return the seconds of an exact epoch: three products of V × V × dim."""
    speed_up = max(1.0, PARALLEL_EFFICIENCY * text.threads)
    return 6.0 * words**2 * text.dim / (PRODUCTS_PER_SECOND * speed_up)


def _softmax_epochs(text: _Text, words: int = MOST_SOFTMAX_WORDS) -> int:
    """Return the number of epochs that fit the budget, and that are enough."""
    most = 20 if text.is_long else 16
    return min(most, int(BUDGET_SECONDS / _epoch_seconds(text, min(words, text.words))))


def _softmax(text: _Text, given: Mapping[str, Any]) -> _Recipe:
    """Return the settings of the softmax on counts of pairs.

    Those of ``experiment=sotu_softmax``, and for long texts of ``experiment=file_softmax``.
    """
    words = min(_number(given, "vocabulary.max_size", MOST_SOFTMAX_WORDS), text.words)
    if given.get("vocabulary.max_size", 0) is None:
        words = text.words
    epochs = max(FEWEST_EPOCHS, _softmax_epochs(text, words))
    settings: dict[str, Value] = {
        "labels": "counts",
        "subsampling": "none",
        "initialization": "normal" if text.is_long else "spectral",
        "optimizer": "adagrad_counts",
        "schedule": "linear_tenth",
        "labels.smoothing": 100.0,
        "labels.centre_exponent": 0.6 if text.is_long else 0.7,
        "labels.count_exponent": 0.85,
        "objective.output_offset": "unigram",
        "objective.embedding_gradient": "mean",
        "objective.weight_decay": _weight_decay(text),
        "order": "shuffled",
        "embedding": "balanced" if text.is_long else "sum",
        "vocabulary.min_count": text.min_count,
        "vocabulary.max_size": MOST_SOFTMAX_WORDS,
        "dtype": "float32",
        "threads": "auto",
        "epochs": epochs,
        "learning_rate": 0.3 if text.is_long else 0.2,
    }
    seconds = _number(given, "epochs", epochs) * _epoch_seconds(text, words)
    return _Recipe(
        settings,
        seconds,
        objective=f"{_size_phrase(text)}; pair counts need about {_of_memory(text)}.",
        vocabulary=f"{_words_phrase(text, words)}; time grows with their square.",
        threads=f"{PRECISION}; {_threads_phrase(text.threads, given)}.",
        epochs=_epochs_phrase(epochs, 20 if text.is_long else 16, seconds, given, "counts"),
    )


def _weight_decay(text: _Text) -> float:
    """Return λ: 0.01 for 2 M words and 0.003 for 17 M, as measured, and in between and beyond by the square root."""
    decay = 0.01 * math.sqrt(2e6 / max(1, text.tokens))
    return float(f"{min(0.03, max(0.001, decay)):.1g}")


# ---------------------------------------------------------------- negative sampling


def _sampling(text: _Text, given: Mapping[str, Any]) -> _Recipe:
    """Return the settings of negative sampling on blocks.

    Those of ``experiment=sotu_sgns``, and for long texts of ``experiment=wikipedia_sgns`` and ``wikipedia_cbow``.
    """
    is_cbow = given.get("model", "skipgram") == "cbow"
    workers = _number(given, "workers", 1)
    rate = SAMPLED_TOKENS_PER_SECOND * 100 / (50 + text.dim / 2) * max(1.0, PARALLEL_EFFICIENCY * workers)
    # 30 epochs of 1 MB score .50 and .21 on WordSim-353 and SimLex-999, 10 epochs .33 and .09.
    most = 5 if text.is_long else 10 if text.tokens >= SHORT_TOKENS else 30
    epochs = max(1, min(most, int(BUDGET_SECONDS * rate / max(1, text.tokens))))
    settings: dict[str, Value] = {
        "labels": "blocks",
        "subsampling": "word2vec"
        if text.tokens >= VERY_FEW_TOKENS
        else "none",  # it would drop nearly all words
        "initialization": "word2vec" if text.is_long or is_cbow else "gensim",
        "optimizer": "sgd",
        "schedule": "linear",
        "order": "corpus",
        "embedding": "input",
        "bounds": False,
        "vocabulary.min_count": text.min_count,
        "vocabulary.max_size": _sampling_words(text),
        "dtype": "float32",
        "threads": "auto",
        "epochs": epochs,
        "learning_rate": 0.1 if is_cbow else 0.03 if text.is_long else 0.025,
    }
    if is_cbow:
        settings |= {"objective.group": 16, "objective.shared": 8}
    seconds = _number(given, "epochs", epochs) * text.tokens / rate
    if "objective" in given:
        reason = f"{_size_phrase(text)}; the memory is that of the vectors alone."
    elif not text.fits_counts:
        reason = f"{_size_phrase(text)}; pair counts, for the softmax, would need about {_of_memory(text)}."
    else:
        epoch = _duration(_epoch_seconds(text, min(text.words, MOST_SOFTMAX_WORDS)))
        reason = f"{_size_phrase(text)}; an epoch of the softmax would take {epoch}."
    used = "one core, so that results repeat; workers=2 uses two"
    return _Recipe(
        settings,
        seconds,
        objective=reason,
        vocabulary=f"{_words_phrase(text, min(text.words, _sampling_words(text)))}.",
        threads=f"{PRECISION}; {used if workers == 1 else f'{workers} workers'}.",
        epochs=_epochs_phrase(epochs, most, seconds, given, "blocks"),
    )


def _sampling_words(text: _Text) -> int:
    """Return the largest vocabulary: its matrices take at most a quarter of the memory.

    A power of two, because the available memory varies from run to run, and the vocabulary must not: a killed run is
    resumed only with the same settings.
    """
    if text.memory is None:
        return MOST_WORDS
    fitting = text.memory // 4 // (8 * text.dim)
    return max(FEWEST_WORDS, min(MOST_WORDS, 1 << fitting.bit_length() >> 1))


# ---------------------------------------------------------------- the hierarchical softmax


def _tree(text: _Text, given: Mapping[str, Any]) -> _Recipe:
    """Return the settings of the hierarchical softmax.

    Those of ``experiment=sotu_hierarchical``, and for long texts of ``experiment=wikipedia_hierarchical``. It is never
    picked: it needs more memory than the softmax, and scores lower.
    """
    recipe = _softmax(text, given)
    epochs = 5 if text.is_long else 16
    recipe.settings |= {
        "subsampling": "word2vec" if text.is_long else "none",
        "initialization": "spectral",
        "initialization.context_exponent": 1.0,
        "embedding": "input",
        "bounds": not text.is_long,
        "epochs": epochs,
        "learning_rate": 0.02 if text.is_long else 0.05,
    }
    for key in ("labels.smoothing", "objective.output_offset"):
        del recipe.settings[key]
    if text.is_long:
        recipe.settings |= {"labels.sampled_passes": 1, "initialization.eigenvalue_exponent": 0.6}
        recipe.settings |= {"labels.centre_exponent": 1.0, "labels.count_exponent": 1.0}
    recipe.seconds = _number(given, "epochs", epochs) * _epoch_seconds(text, min(text.words, 12_000))
    recipe.threads = f"{PRECISION}; this objective uses one core."
    recipe.epochs = _epochs_phrase(epochs, epochs, recipe.seconds, given, "counts")
    return recipe


# ---------------------------------------------------------------- what was given, and the lines


def _line_of(key: str) -> int:
    """Return the line on which an overridden pick is named."""
    group = key.partition(".")[0]
    return {"vocabulary": 1, "dtype": 2, "threads": 2, "epochs": 3, "learning_rate": 3, "optimizer": 3}.get(
        group, 3 if group == "schedule" else 0
    )


NAMED = (
    ("objective", "labels"),
    ("vocabulary.min_count", "vocabulary.max_size"),
    ("dtype", "threads"),
    ("epochs",),
)


def _without_given(recipe: _Recipe, text: _Text, given: Mapping[str, Any]) -> Picks:
    """Return the picks that are left, and the lines."""
    picked = dict(recipe.settings)
    dropped: dict[str, Value] = {}  # by what was given itself
    for key in recipe.settings:
        group, _, setting = key.partition(".")
        if key in given:
            dropped[key] = picked.pop(key)
        elif (
            setting and group in given and str(given[group]) != str(recipe.settings.get(group, given[group]))
        ):
            del picked[key]  # of an option that was replaced
    if "optimizer" in dropped and str(given["optimizer"]) != str(dropped["optimizer"]):
        picked.pop("learning_rate", None)  # rates of optimizers differ a thousandfold
    reasons = (recipe.objective, recipe.vocabulary, recipe.threads, recipe.epochs)
    lines = []
    for number, (keys, reason) in enumerate(zip(NAMED, reasons, strict=True)):
        named = [f"{key}={spelled(given.get(key, recipe.settings[key]))}" for key in keys]
        over = [
            f"{key}={spelled(given[key])} instead of {spelled(value)}"
            for key, value in dropped.items()
            if _line_of(key) == number and str(given[key]) != spelled(value)
        ]
        lines.append(f"{' '.join(named)}: {reason}" + (f" Given: {', '.join(over)}." if over else ""))
    return Picks(picked, (lines[0], lines[1], lines[2], lines[3]), recipe.seconds)


PRECISION = "half the memory of float64, and faster"


def _size_phrase(text: _Text) -> str:
    if not text.is_known:
        return f"the size is unknown, {readable_bytes(UNKNOWN_BYTES)} are assumed"
    if text.is_counted:
        return f"{text.tokens:,} words"
    return f"{readable_bytes(text.size)}, about {_rounded(text.tokens)} words"


def _words_phrase(text: _Text, kept: int) -> str:
    often = {1: "once", 2: "twice", 5: "five times"}[text.min_count]
    cut = f", and {_rounded(kept)} are kept" if kept < text.words else ""
    return f"about {_rounded(text.words)} words occur {often} or more{cut}"


def _of_memory(text: _Text) -> str:
    needed = readable_bytes(float(f"{text.counting_bytes:.2g}"))
    return needed if text.memory is None else f"{needed} of {readable_bytes(text.memory)}"


def _threads_phrase(threads: int, given: Mapping[str, Any]) -> str:
    number = f"{threads} threads" if threads > 1 else "one thread"
    return number if "threads" in given else f"one thread per core, at most 8 (here {threads})"


def _epochs_phrase(epochs: int, most: int, seconds: float, given: Mapping[str, Any], labels: str) -> str:
    """Return the reason for the epochs, and the training time where the rates of this module hold."""
    time = f"about {_duration(seconds)} of training"
    if str(given.get("labels", labels)) != labels:
        time = f"estimate=true prints the time with labels={given['labels']}"
    if "epochs" in given:
        return f"{time}."
    if epochs < most:
        return f"fewer than the usual {most}, to save time; {time}."
    return f"enough for a text of this size; {time}."


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds)):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _rounded(number: float) -> str:
    return f"{float(f'{number:.2g}'):,.0f}"

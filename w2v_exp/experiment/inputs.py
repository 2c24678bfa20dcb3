"""The inputs of a run: text, initial embeddings, evaluation sets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from w2v_exp.choices import FromFile, FromRun, MlflowTracking, NoCache
from w2v_exp.counting.engines import LocalCounting
from w2v_exp.embeddings import AssociationTest, Embeddings
from w2v_exp.embeddings.associations import association_problem
from w2v_exp.embeddings.embeddings import content_digest, initialization_from, merge_missing_words
from w2v_exp.embeddings.evaluation import Sets, StandardEvaluation
from w2v_exp.embeddings.opening import load_warnings_logged
from w2v_exp.errors import CorpusError, SettingError, UserError
from w2v_exp.examples.counted_text import CountedText
from w2v_exp.examples.pairs import count_pairs
from w2v_exp.experiment.build import counting_rule
from w2v_exp.experiment.fingerprint import fingerprint
from w2v_exp.files import cache_folder, expanded
from w2v_exp.model.parameters import ContinuedInitialization
from w2v_exp.plan import Plan
from w2v_exp.text.cache import TextCache, describe_tokenizer, encode_cached
from w2v_exp.text.corpus import Corpus, warn_once
from w2v_exp.text.encoding import EncodedText, encode_text
from w2v_exp.text.sentences import SentenceCorpus
from w2v_exp.text.size import estimated_bytes
from w2v_exp.text.text8 import Text8Corpus
from w2v_exp.text.vocabulary import GivenVocabulary, Vocabulary
from w2v_exp.tracking.progress import bytes_bar, tasks_bar

if TYPE_CHECKING:  # 5 ms of the start, and few runs count by shards
    from w2v_exp.counting.corpus_counts import Windows
    from w2v_exp.counting.store import CountStore


def read_corpus(plan: Plan) -> EncodedText:
    """Return the corpus as word ids, from the cache if it has them."""
    if isinstance(plan.corpus, SentenceCorpus):
        return plan.corpus.encode(plan.vocabulary)
    if isinstance(plan.corpus, Text8Corpus):
        with bytes_bar("downloading text8") as show:
            plan.corpus.files(progress=show)
    if isinstance(plan.cache, NoCache):
        return encode_text(plan.corpus, plan.tokenizer, plan.vocabulary)
    with bytes_bar("reading the corpus") as show:
        return encode_cached(plan.corpus, plan.tokenizer, plan.vocabulary, plan.cache, progress=show)


def read_trainable_text(plan: Plan) -> EncodedText:
    """Return the encoded corpus; raise `CorpusError` if it has no pair."""
    text = read_corpus(plan)
    if not count_pairs(len(text.ids), plan.window, text.segments):
        raise _no_pair(plan, text.tokens, len(text.ids), len(text.segments) - 1)
    return text


def _no_pair(plan: Plan, tokens: int, kept: int, segments: int) -> CorpusError:
    apart = f" in {segments} segments (see corpus.boundaries)" if segments > 1 else ""
    remedy = "Loosen vocabulary.min_count, max_size, max_frequency or stop_words"
    if isinstance(plan.vocabulary, GivenVocabulary):
        remedy = "Name words of this text, as its tokenizer returns them, by vocabulary.path"
    return CorpusError(
        f"There is no pair to train on: of the text's {tokens} tokens the vocabulary keeps {kept}"
        f"{apart}, and a pair needs two{' in one' if apart else ''}. {remedy}, or take a longer text."
    )


LONG_TEXT = 200_000_000  # bytes, from which a text is counted by shards; shorter ones take a second in memory


def read_text(plan: Plan) -> EncodedText | CountedText:
    """Return the text of a run, counted or encoded; raise `CorpusError` if it has no pair."""
    return _count_text(plan) if is_counted(plan) else read_trainable_text(plan)


def is_counted(plan: Plan) -> bool:
    """Return whether the text is counted by shards: it is long, or an engine is set, and counts are enough."""
    if plan.needs_order:
        return False
    return not isinstance(plan.counting, LocalCounting) or (estimated_bytes(_corpus(plan)) or 0) >= LONG_TEXT


def text_inputs(plan: Plan) -> tuple[object, ...]:
    """Return the choices that the text of a run depends on."""
    return plan.corpus, plan.tokenizer, plan.vocabulary, _windows(plan) if is_counted(plan) else None


def _corpus(plan: Plan) -> Corpus:
    assert not isinstance(plan.corpus, SentenceCorpus)
    return plan.corpus


def _windows(plan: Plan) -> Windows:
    from w2v_exp.counting.corpus_counts import Windows

    return Windows(plan.window, plan.shrinking_window, counting_rule(plan).centre_words)


def _count_text(plan: Plan) -> CountedText:
    """Return the corpus as counts of its pairs, from the cache if it has them."""
    from w2v_exp.counting.corpus_counts import count_corpus

    with _count_store(plan) as store:
        store.prepare()  # before the engine, which keeps files of its own there
        with plan.counting.engine(store.folder) as engine, tasks_bar("counting the corpus") as show:
            text = count_corpus(
                _corpus(plan), plan.tokenizer, plan.vocabulary, _windows(plan), engine, store, progress=show
            )
    if not len(text.counts.counts):
        raise _no_pair(plan, text.tokens, text.kept, 1)
    return text


@contextmanager
def _count_store(plan: Plan) -> Iterator[CountStore]:
    """Yield the cache of counts; without one a temporary folder in the folder of caches."""
    from w2v_exp.counting.store import CountStore

    if isinstance(plan.cache, TextCache) and describe_tokenizer(plan.tokenizer):
        with suppress(OSError):  # reported by the store
            plan.cache.prepare()  # else its folder would seem to have other files
        yield CountStore(plan.cache.counts_path, plan.cache.counts_gb)
        return
    base = cache_folder()
    base.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="counts-", dir=base) as folder:
        yield CountStore(Path(folder))


@dataclass(frozen=True)
class Pretrained:
    """Pretrained embeddings as initial parameters.

    Empty without ``initialization=from_file`` or ``from_run``.

    Parameters
    ----------
    choice : FromFile or FromRun, optional
        The plan's initialization.
    embeddings : Embeddings, optional
        Of the plan's number of dimensions.
    digest : str
        SHA-256 of the embeddings.
    run_id : str
        Their run in MLflow; empty for a file.
    """

    choice: FromFile | FromRun | None = None
    embeddings: Embeddings | None = None
    digest: str = ""
    run_id: str = ""

    @classmethod
    def read(cls, plan: Plan) -> Pretrained:
        """Read the pretrained embeddings of a plan and check that they fit it.

        Raises
        ------
        SettingError
            If they cannot be read, or their dimensions or precision are not the plan's.
        """
        choice = plan.initialization
        if not isinstance(choice, (FromFile, FromRun)):
            return cls()
        try:
            run_id, saved = _read_file(choice) if isinstance(choice, FromFile) else _read_run(choice, plan)
        except UserError as error:
            raise _refusal(choice, str(error)) from error
        columns = saved.input.shape[1]
        if columns != plan.dim:
            raise _refusal(
                choice, f"its vectors have {columns} dimensions, and dim={plan.dim}; set dim={columns}."
            )
        if saved.input.dtype.itemsize > np.dtype(plan.dtype).itemsize:
            raise _refusal(
                choice,
                f"its vectors are {saved.input.dtype}, which dtype={plan.dtype} would round; "
                f"set dtype={saved.input.dtype}.",
            )
        return cls(choice, saved, content_digest(saved), run_id)

    def initialization(self, vocabulary: Vocabulary) -> ContinuedInitialization | None:
        """Return the initialization; None without pretrained embeddings.

        Raises
        ------
        SettingError
            If no word of the vocabulary has a pretrained vector.
        """
        if self.choice is None or self.embeddings is None:
            return None
        start = initialization_from(self.embeddings, vocabulary.words)
        if (start.rows < 0).all():
            raise _refusal(
                self.choice,
                f"the vocabulary of this text, {len(vocabulary)} words, has none of its {len(self.embeddings)} words; "
                "is the tokenizer different?",
            )
        return start

    def merge_missing_words(self, trained: Embeddings) -> Embeddings:
        """Return trained embeddings with the pretrained words that the text lacks."""
        return trained if self.embeddings is None else merge_missing_words(trained, self.embeddings)

    @property
    def memory(self) -> int:
        """Bytes of the vectors; they stay allocated until the run ends."""
        if self.embeddings is None:
            return 0
        output = self.embeddings.output
        return self.embeddings.input.nbytes + (0 if output is None else output.nbytes)

    def metrics(self, vocabulary: Vocabulary) -> dict[str, float]:
        """Return numbers of words: with a vector, without one, not in the text."""
        if self.embeddings is None:
            return {}
        continued = sum(word in self.embeddings for word in vocabulary.words)
        return {
            "continued_words": continued,
            "new_words": len(vocabulary) - continued,
            "kept_words": len(self.embeddings) - continued,
        }

    def tags(self) -> dict[str, str]:
        """Return tags with the digest and the run of the pretrained embeddings."""
        tags = {"initialization.digest": self.digest, "continued_from": self.run_id}
        return {key: value for key, value in tags.items() if value}


def _read_file(choice: FromFile) -> tuple[str, Embeddings]:
    options = asdict(choice)
    with load_warnings_logged():
        return "", Embeddings.load(expanded(options.pop("path")), **options)


def _read_run(choice: FromRun, plan: Plan) -> tuple[str, Embeddings]:
    """Return the id and the embeddings of a run in the plan's store."""
    from w2v_exp.tracking.load import find_run, load_run

    uri = plan.tracking.uri if isinstance(plan.tracking, MlflowTracking) else None
    run_id = find_run(choice.run, uri)
    return run_id, load_run(run_id, uri)


def _refusal(choice: FromFile | FromRun, problem: str) -> SettingError:
    key, value = ("run", choice.run) if isinstance(choice, FromRun) else ("path", choice.path)
    return SettingError(f"initialization.{key}", value, problem)


@dataclass(frozen=True)
class RunInputs:
    """The loaded inputs of a run.

    Parameters
    ----------
    plan : Plan
        The validated configuration.
    sets : mapping
        The evaluation sets, by name.
    pretrained : Pretrained
        The pretrained embeddings, if any.
    text : EncodedText or CountedText
        The corpus, with at least one pair to train on.
    """

    plan: Plan
    sets: Sets
    pretrained: Pretrained
    text: EncodedText | CountedText

    @classmethod
    def read(cls, plan: Plan) -> RunInputs:
        """Read the files, runs and texts that a plan names.

        Raises
        ------
        UserError
            If one cannot be read, or no pair can be made of the text.
        """
        sets = plan.evaluation.read()  # first: a malformed set ends the run before it has begun
        inputs = cls(plan, sets, Pretrained.read(plan), read_text(plan))
        inputs.warn_of_missing_words()
        return inputs

    def warn_of_missing_words(self) -> None:
        """Log a warning that names the association tests that are not possible with the words of the run."""
        if not isinstance(self.plan.evaluation, StandardEvaluation):
            return
        kept = self.pretrained.embeddings.words if self.pretrained.embeddings else []
        words = [*self.embedded.words, *kept]
        largest_loss = self.plan.evaluation.largest_loss
        tests = [test for test in self.sets.values() if isinstance(test, AssociationTest)]
        problems = {test.name: association_problem(words, test, largest_loss) for test in tests}
        listed = [f"{name} ({problem.rstrip('.')})" for name, problem in problems.items() if problem]
        if listed:
            warn_once(f"evaluation.associations: not computed: {', '.join(listed)}.")

    @cached_property
    def embedded(self) -> Vocabulary:
        """The words that have an embedding, without those that are contexts only."""
        vocabulary = self.text.vocabulary
        return vocabulary.first(self.plan.labels.number_of_centres(len(vocabulary)))

    @cached_property
    def fingerprint(self) -> str:
        """The key of the run's result; see `fingerprint`."""
        return fingerprint(self.plan, self.text, self.pretrained.digest)

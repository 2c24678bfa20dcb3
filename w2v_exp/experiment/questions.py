"""The command ``python -m w2v_exp.embeddings``: questions to the embeddings of a run or a file."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from typing import Any, NoReturn

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.embeddings import VECTORS
from w2v_exp.embeddings.evaluation import StandardEvaluation
from w2v_exp.embeddings.opening import (
    DUPLICATES,
    MALFORMED,
    UNICODE_ERRORS,
    LoadOptions,
    load_warnings_printed,
)
from w2v_exp.errors import UserError
from w2v_exp.experiment import answers
from w2v_exp.memory import readable_bytes
from w2v_exp.reporting.escape import visible_console
from w2v_exp.reporting.explorer import ExplorerPage, ExplorerRule
from w2v_exp.reporting.projections import PROJECTIONS
from w2v_exp.tracking.load import Saved, find_saved

MISTAKE, INTERRUPTED = 2, 130
LONGEST_NUMBER = 9  # digits

DESCRIPTION = "Ask the embeddings of a run or a file."
EPILOG = """\
RUN_OR_FILE is a run in MLflow (its id, the beginning of one, its name, or `latest`), a file or pipe (.npz, word2vec's
text or binary format, GloVe's text; also compressed), or the folder of a run without tracking.

  python -m w2v_exp.embeddings neighbours latest king queen
  python -m w2v_exp.embeddings similarity 3f1c king queen
  python -m w2v_exp.embeddings analogy embeddings.npz man king woman     man is to king as woman is to …
  python -m w2v_exp.embeddings evaluate vectors.bin.gz
  python -m w2v_exp.embeddings explore latest --out explorer.html
  python -m w2v_exp.embeddings neighbours latest -- -lrb-                a word that begins with a hyphen follows --"""


class _QuestionParser(argparse.ArgumentParser):
    """Points to ``--`` where a word that begins with a hyphen may have been taken for an option."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as argparse does; an error refers to these arguments."""
        self._given = list(args or ())
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Print the usage and the message, with the hint, and exit with code 2."""
        doubtful = message.partition("unrecognized arguments: ")[2].split() or self._given
        known = self._option_string_actions
        words = [text for text in doubtful if text.startswith("-") and text.partition("=")[0] not in known]
        if words and "--" not in self._given:
            message = (
                f"{message.rstrip('.')}. If {words[0]} is a word, write -- before the words: -- {words[0]}"
            )
        super().error(message)


def run(arguments: list[str]) -> int:
    """Answer what a command line asks, and return the exit code: 2 if it cannot be answered."""
    asked = _parser().parse_args(arguments)
    try:
        with load_warnings_printed():
            saved = find_saved(asked.run_or_file, asked.tracking_uri, _load_options(asked))
        vectors = asked.vectors or saved.chosen
        embeddings = saved.embeddings.using(vectors)
        if asked.question == "explore":
            _explore(asked, saved, embeddings, vectors)
        else:
            _print(_answer(asked, embeddings), asked.json, {"source": saved.source, "vectors": vectors})
    except UserError as error:
        print(error, file=sys.stderr)
        return MISTAKE
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _load_options(asked: argparse.Namespace) -> LoadOptions:
    return LoadOptions(**{key.name: getattr(asked, key.name) for key in dataclasses.fields(LoadOptions)})


def _answer(asked: argparse.Namespace, embeddings: Embeddings) -> answers.Answer:
    if asked.question == "neighbours":
        return answers.neighbours(embeddings, asked.words, asked.count, asked.first)
    if asked.question == "similarity":
        return answers.similarity(embeddings, [asked.word, *asked.others])
    if asked.question == "analogy":
        return answers.analogy(embeddings, asked.a, asked.b, asked.c, asked.count, asked.first, asked.method)
    return answers.evaluate(embeddings, _evaluation(asked))


def _evaluation(asked: argparse.Namespace) -> StandardEvaluation:
    """Return an evaluation on the sets that are named, or on the standard ones if none is."""
    restricted = {} if asked.first is None else {"restrict_vocab": asked.first}
    if asked.word_pairs is None and asked.analogies is None:
        return StandardEvaluation(**restricted)
    return StandardEvaluation(
        asked.word_pairs or [], asked.analogies or [], columns=asked.columns, **restricted
    )


def _print(answer: answers.Answer, as_json: bool, about: dict[str, str]) -> None:
    if as_json:  # in ASCII, so that no word can steer a terminal
        print(json.dumps(about | answer.data, indent=1))
    else:
        visible_console().print(answer.said)


def _explore(asked: argparse.Namespace, saved: Saved, embeddings: Embeddings, vectors: str) -> None:
    rule = ExplorerRule(limit_mb=None, words=asked.words, projection=asked.projection)
    size = ExplorerPage(embeddings, rule, saved.title, vectors).write(asked.out)
    print(f"{asked.out}: {readable_bytes(size)}")


def _parser() -> _QuestionParser:
    parser = _QuestionParser(
        prog="python -m w2v_exp.embeddings",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    questions = parser.add_subparsers(dest="question", required=True)
    common = _common_options()
    answered = _QuestionParser(add_help=False, parents=[common])
    answered.add_argument("--json", action="store_true", help="print the answer as JSON")
    limited = _QuestionParser(add_help=False, parents=[answered])
    limited.add_argument("-n", "--count", type=_number, default=10, help="how many words to show (10)")

    near = questions.add_parser(
        "neighbours", parents=[limited], help="the words nearest to each of some words"
    )
    near.add_argument("words", nargs="+", metavar="WORD")
    similar = questions.add_parser(
        "similarity", parents=[answered], help="the cosine of two words, or of every two of several"
    )
    similar.add_argument("word", metavar="WORD")
    similar.add_argument("others", nargs="+", metavar="WORD")
    analogy = questions.add_parser("analogy", parents=[limited], help="A is to B as C is to …")
    for word in ("a", "b", "c"):  # not one of nargs=3: argparse cannot name its three if one is missing
        analogy.add_argument(word, metavar=word.upper())
    analogy.add_argument(
        "--method",
        choices=answers.ANALOGY_METHODS,
        default="sum",
        help="sum: by B - A + C (3CosAdd, the default); product: by similarities multiplied (3CosMul)",
    )
    evaluation = questions.add_parser(
        "evaluate",
        parents=[answered],
        help="scores on word pairs and analogies (gensim's sets if none is named)",
    )
    evaluation.add_argument("--word-pairs", nargs="+", metavar="SET", help="files, wordsim353 or simlex999")
    evaluation.add_argument("--analogies", nargs="+", metavar="SET", help="files, or questions-words")
    evaluation.add_argument(
        "--columns",
        nargs=3,
        metavar=("WORD1", "WORD2", "SCORE"),
        help="of word pairs in files: their columns, by number from 1 or by name (recognised)",
    )
    for limited_question in (near, analogy, evaluation):
        limited_question.add_argument(
            "--first", type=_number, metavar="N", help="only the first (most frequent) N words can be answers"
        )
    explore = questions.add_parser("explore", parents=[common], help="a page to look at them in a browser")
    explore.add_argument("--out", default="explorer.html", metavar="FILE", help="the page (explorer.html)")
    explore.add_argument("--words", type=_number, metavar="N", help="only the most frequent N words (all)")
    explore.add_argument("--projection", choices=PROJECTIONS, default="pca", help="how the map is made (pca)")
    return parser


def _common_options() -> _QuestionParser:
    common = _QuestionParser(add_help=False)
    common.add_argument("run_or_file", metavar="RUN_OR_FILE")
    common.add_argument(
        "--vectors", choices=VECTORS, help="which are compared (what the run has chosen; of a file, input)"
    )
    common.add_argument(
        "--tracking-uri", metavar="URI", help="of the MLflow store (MLFLOW_TRACKING_URI, or ./mlflow.db)"
    )
    reading = common.add_argument_group("how a file is read")
    reading.add_argument("--limit", type=_number, metavar="N", help="only its first N rows (all)")
    reading.add_argument(
        "--no-header",
        action="store_true",
        help="line 1 is a word with its vector, even if it looks like a header",
    )
    reading.add_argument(
        "--unicode-errors",
        choices=UNICODE_ERRORS,
        default="strict",
        help="words that are not UTF-8 (strict: an error)",
    )
    reading.add_argument(
        "--duplicates",
        choices=DUPLICATES,
        default="error",
        help="repeated words: an error, or the first is kept",
    )
    reading.add_argument(
        "--malformed",
        choices=MALFORMED,
        default="error",
        help="rows that are no word with its numbers, or a header with another count: an error, or skipped",
    )
    return common


def _number(text: str) -> int:
    """Return a number of words, for argparse."""
    if not text.isdecimal() or len(text) > LONGEST_NUMBER or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"{text[:LONGEST_NUMBER]}: must be a whole number from 1 to {10**LONGEST_NUMBER - 1:,}."
        )
    return int(text)

"""Commands on embeddings: neighbours, similarity, analogies, evaluation, the explorer."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.embeddings import VECTORS
from w2v_exp.embeddings.evaluation import StandardEvaluation
from w2v_exp.embeddings.opening import (
    DUPLICATES,
    MALFORMED,
    UNICODE_ERRORS,
    LoadOptions,
    load_warnings_logged,
)
from w2v_exp.embeddings.similarity import Similar
from w2v_exp.errors import UserError, shown
from w2v_exp.experiment.measures import evaluation_rows
from w2v_exp.machine import readable_bytes
from w2v_exp.reporting.escape import visible_console
from w2v_exp.reporting.explorer import ExplorerPage, ExplorerRule
from w2v_exp.reporting.projections import PROJECTIONS
from w2v_exp.tracking.load import Saved, find_saved

ANALOGY_METHODS = ("sum", "product")


class Answer(NamedTuple):
    """An answer.

    Parameters
    ----------
    data : dict
        For programs: what JSON can hold.
    said : renderable
        For people: what rich can print.
    """

    data: dict[str, Any]
    said: RenderableType


def neighbours(embeddings: Embeddings, words: Sequence[str], count: int, first: int | None) -> Answer:
    """Answer which words have the largest cosines with each of some words, among the first or all words."""
    found = [embeddings.most_similar(word, topn=count, restrict_vocab=first) for word in words]
    data = {word: _rows(embeddings, similar) for word, similar in zip(words, found, strict=True)}
    tables = [
        _table(embeddings, similar, "cosine", title=_entry(embeddings, word))
        for word, similar in zip(words, found, strict=True)
    ]
    return Answer({"neighbours": data}, Columns(tables, padding=(1, 4)))


def similarity(embeddings: Embeddings, words: Sequence[str]) -> Answer:
    """Answer what cosine two words have, or every two of several."""
    cosines = [[embeddings.similarity(one, other) for other in words] for one in words]
    data = {"words": list(words), "cosines": cosines}
    if len(words) == 2:
        return Answer(data, Text(_number(cosines[0][1])))
    table = _plain_table("", *(shown(word) for word in words))
    for word, row in zip(words, cosines, strict=True):
        table.add_row(Text(shown(word)), *(_number(cosine) for cosine in row))
    return Answer(data, table)


def analogy(
    embeddings: Embeddings, one: str, other: str, third: str, count: int, first: int | None, method: str
) -> Answer:
    """Answer what is to the third word as the second one is to the first.

    By the cosine with second − first + third (``sum``: 3CosAdd), or a quotient of similarities (``product``: 3CosMul).
    """
    ask = embeddings.most_similar if method == "sum" else embeddings.most_similar_cosmul
    found = ask([other, third], [one], topn=count, restrict_vocab=first)
    question = f"{shown(one)} is to {shown(other)} as {shown(third)} is to …"
    data = {"analogy": [one, other, third], "method": method, "answers": _rows(embeddings, found)}
    return Answer(data, _table(embeddings, found, "cosine" if method == "sum" else "score", title=question))


def evaluate(embeddings: Embeddings, evaluation: StandardEvaluation) -> Answer:
    """Answer how good embeddings are on sets of word pairs and analogies, and how files of these were read."""
    sets = evaluation.read()
    rows = evaluation_rows(evaluation.score(embeddings, sets), epoch=0)
    table = _plain_table("set", "section", "measure", "score", "known", "of")
    for row in rows:
        score = "–" if row.score is None else _number(row.score)
        named = (Text(shown(row.set, 40)), Text(shown(row.section, 40)), row.measure)
        table.add_row(*named, score, f"{row.known:,}", f"{row.total:,}")
    data = [{key: value for key, value in row._asdict().items() if key != "epoch"} for row in rows]
    layouts = {name: one.layout for name, one in sets.items()}
    notes = [Text(f"{shown(name, 40)}: {layout}", style="dim") for name, layout in layouts.items()]
    return Answer({"evaluation": data, "layouts": layouts}, Group(table, *notes))


def _rows(embeddings: Embeddings, similar: Similar) -> list[dict[str, Any]]:
    return [{"word": word, "score": score, "count": _count(embeddings, word)} for word, score in similar]


def _table(embeddings: Embeddings, similar: Similar, score: str, title: str) -> Group:
    table = _plain_table("word", score, *(["count"] if embeddings.counts is not None else []))
    for word, value in similar:
        count = _count(embeddings, word)
        table.add_row(Text(shown(word)), _number(value), *([] if count is None else [f"{count:,}"]))
    return Group(Text(title, style="bold"), table)


def _plain_table(first: str, *others: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(first)
    for name in others:
        table.add_column(Text(name), justify="left" if name in ("section", "measure") else "right")
    return table


def _entry(embeddings: Embeddings, word: str) -> str:
    count = _count(embeddings, word)
    return shown(word) if count is None else f"{shown(word)} ({count:,})"


def _count(embeddings: Embeddings, word: str) -> int | None:
    return None if embeddings.counts is None else int(embeddings.counts[embeddings.ids[word]])


def _number(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")


MISTAKE = 2
LONGEST_NUMBER = 9  # digits

DESCRIPTION = "Ask the embeddings of a run or a file."
EPILOG = """\
RUN_OR_FILE is a run in MLflow (its id, the beginning of one, its name, or `latest`), a file or pipe (.npz, word2vec's
text or binary format, GloVe's text; also compressed), or the folder of a run without tracking.

  w2v-exp ask neighbours latest king queen
  w2v-exp ask similarity 3f1c king queen
  w2v-exp ask analogy embeddings.npz man king woman     man is to king as woman is to …
  w2v-exp ask evaluate vectors.bin.gz
  w2v-exp ask explore latest --out explorer.html
  w2v-exp ask neighbours latest -- -lrb-                a word that begins with a hyphen follows --"""


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
        with load_warnings_logged():
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
    return 0


def _load_options(asked: argparse.Namespace) -> LoadOptions:
    return LoadOptions(**{key.name: getattr(asked, key.name) for key in dataclasses.fields(LoadOptions)})


def _answer(asked: argparse.Namespace, embeddings: Embeddings) -> Answer:
    if asked.question == "neighbours":
        return neighbours(embeddings, asked.words, asked.count, asked.first)
    if asked.question == "similarity":
        return similarity(embeddings, [asked.word, *asked.others])
    if asked.question == "analogy":
        return analogy(embeddings, asked.a, asked.b, asked.c, asked.count, asked.first, asked.method)
    return evaluate(embeddings, _evaluation(asked))


def _evaluation(asked: argparse.Namespace) -> StandardEvaluation:
    """Return an evaluation on the sets that are named, or on the standard ones if none is."""
    restricted = {} if asked.first is None else {"restrict_vocab": asked.first}
    if asked.word_pairs is None and asked.analogies is None:
        return StandardEvaluation(**restricted)
    return StandardEvaluation(
        asked.word_pairs or [], asked.analogies or [], columns=asked.columns, **restricted
    )


def _print(answer: Answer, as_json: bool, about: dict[str, str]) -> None:
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
        prog="w2v-exp ask",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    questions = parser.add_subparsers(dest="question", required=True)
    common = _common_options()
    answered = _QuestionParser(add_help=False, parents=[common])
    answered.add_argument("--json", action="store_true", help="print the answer as JSON")
    limited = _QuestionParser(add_help=False, parents=[answered])
    limited.add_argument("-n", "--count", type=_whole_number, default=10, help="how many words to show (10)")

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
        choices=ANALOGY_METHODS,
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
            "--first",
            type=_whole_number,
            metavar="N",
            help="only the first (most frequent) N words can be answers",
        )
    explore = questions.add_parser("explore", parents=[common], help="a page to look at them in a browser")
    explore.add_argument("--out", default="explorer.html", metavar="FILE", help="the page (explorer.html)")
    explore.add_argument(
        "--words", type=_whole_number, metavar="N", help="only the most frequent N words (all)"
    )
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
    reading.add_argument("--limit", type=_whole_number, metavar="N", help="only its first N rows (all)")
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


def _whole_number(text: str) -> int:
    """Return a number of words, for argparse."""
    if not text.isdecimal() or len(text) > LONGEST_NUMBER or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"{text[:LONGEST_NUMBER]}: must be a whole number from 1 to {10**LONGEST_NUMBER - 1:,}."
        )
    return int(text)

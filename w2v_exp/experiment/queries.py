"""The sub-command ``ask``: queries on the embeddings of a run or a file."""

from __future__ import annotations

import argparse
import dataclasses
import math
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.text import Text

from w2v_exp.embeddings import AssociationTest, Embeddings
from w2v_exp.embeddings.associations import LARGEST_LOSS, Association, association_effect
from w2v_exp.embeddings.embeddings import VECTORS
from w2v_exp.embeddings.evaluation import StandardEvaluation
from w2v_exp.embeddings.opening import (
    DUPLICATES,
    MALFORMED,
    UNICODE_ERRORS,
    LoadOptions,
    load_warnings_logged,
)
from w2v_exp.embeddings.replicates import LEVEL, Replicates, interval
from w2v_exp.embeddings.similarity import Similar
from w2v_exp.errors import SettingError, SuggestingParser, UserError, shown
from w2v_exp.experiment.query_results import (
    Result,
    plain_table,
    print_result,
    word_entry,
    word_rows,
    word_table,
)
from w2v_exp.experiment.slice_queries import change
from w2v_exp.experiment.word_comparison import Opened, compare
from w2v_exp.files import expanded
from w2v_exp.machine import readable_bytes
from w2v_exp.reporting.conclusions import association_words, result_notes, result_table
from w2v_exp.reporting.explorer import ExplorerPage, ExplorerRule, PageRun
from w2v_exp.reporting.intervals import ENDS, number_text, written_interval
from w2v_exp.reporting.projections import AUTOMATIC, PROJECTIONS
from w2v_exp.tracking.load import load_embeddings, load_slices

ANALOGY_METHODS = ("sum", "product")
MISTAKE = 2
LONGEST_NUMBER = 9  # digits

DESCRIPTION = "Query the embeddings of a run or a file."
EPILOG = """\
RUN_OR_FILE is a run in MLflow (its id, the beginning of its id, its name, or `latest`), a file or pipe (.npz,
word2vec's text or binary format, GloVe's text; also compressed), or the folder of a run with tracking=none. RUN:LABEL
is a slice of a run with slices.

  w2v-exp ask neighbours latest king queen
  w2v-exp ask similarity 3f1c king queen
  w2v-exp ask analogy embeddings.npz man king woman     man is to king as woman is to …
  w2v-exp ask evaluate vectors.bin.gz
  w2v-exp ask associations latest weat7 my_sets.yaml
  w2v-exp ask compare RUN OTHER_RUN king queen          their neighbours in two runs
  w2v-exp ask compare RUN OTHER_RUN                     the words that moved most and least
  w2v-exp ask change latest peace war                   similarity over the slices (slices=…) of the text
  w2v-exp ask explore latest --out explorer.html
  w2v-exp ask explore RUN OTHER_RUN --out both.html     two runs side by side
  w2v-exp ask neighbours latest -- -lrb-                words that begin with a hyphen go after --"""


def run(arguments: list[str]) -> int:
    """Run ``w2v-exp ask`` and return the exit code: 2 for a mistake."""
    parsed = query_parser().parse_args(arguments)
    try:
        if parsed.query == "change":
            found = load_slices(parsed.run, parsed.uri)
            print_result(change(found, parsed.words, parsed.count), parsed.json, {"source": parsed.run})
            return 0
        opened = _opened(parsed.run_or_file, parsed)
        other = _opened(parsed.other, parsed) if getattr(parsed, "other", None) else None
        if parsed.query == "explore":
            _explore(parsed, opened, other)
        elif other:
            print_result(compare(opened, other, parsed.words, parsed.count, parsed.first), parsed.json, {})
        else:
            result = _result(parsed, opened.embeddings, opened.replicates)
            print_result(result, parsed.json, {"source": opened.source, "vectors": opened.vectors})
    except UserError as error:
        print(str(error).replace("tracking.uri", "--uri", 1) if parsed.uri else error, file=sys.stderr)
        return MISTAKE
    return 0


def _opened(source: str, parsed: argparse.Namespace) -> Opened:
    """Return a run, file or slice, with the replicates of its vectors if the query gives intervals."""
    run, _, label = source.rpartition(":")
    is_slice = run and label and label[0] not in " /\\"  # `summary: window` is a run, `runs:/…` an address
    if is_slice and not expanded(source).exists():
        of_slice = load_slices(run, parsed.uri).of_slice(label).using(parsed.vectors or "input")
        return Opened(of_slice, "slice", f"{Path(run).name}:{label}", source, space=run)
    with load_warnings_logged():
        intervals = parsed.query in ("neighbours", "similarity", "associations")
        saved = load_embeddings(source, parsed.uri, load_options(parsed), with_replicates=intervals)
    vectors = parsed.vectors or saved.chosen
    replicates = saved.replicates if saved.replicates and saved.replicates.embedding == vectors else None
    return Opened(saved.embeddings.using(vectors), vectors, saved.title, saved.source, replicates)


def load_options(parsed: argparse.Namespace) -> LoadOptions:
    """Return the options for reading a file."""
    return LoadOptions(**{key.name: getattr(parsed, key.name) for key in dataclasses.fields(LoadOptions)})


def _result(parsed: argparse.Namespace, embeddings: Embeddings, replicates: Replicates | None) -> Result:
    if parsed.query == "neighbours":
        return neighbours(embeddings, parsed.words, parsed.count, parsed.first, replicates)
    if parsed.query == "similarity":
        return similarity(embeddings, [parsed.word, *parsed.others], replicates)
    if parsed.query == "analogy":
        words = (parsed.a, parsed.b, parsed.c)
        return analogy(embeddings, *words, parsed.count, parsed.first, parsed.method)
    if parsed.query == "associations":
        tests = [test for source in parsed.tests for test in _read_tests(source)]
        return associations(embeddings, tests, parsed.largest_loss, parsed.words, replicates)
    return evaluate(embeddings, _evaluation(parsed))


def neighbours(
    embeddings: Embeddings,
    words: Sequence[str],
    count: int,
    first: int | None,
    replicates: Replicates | None = None,
) -> Result:
    """Return the nearest words of each word, by cosine.

    With replicates, also intervals of the cosines, and the share of the replicates in which a word is among the
    nearest.

    Parameters
    ----------
    embeddings : Embeddings
        The vectors to compare.
    words : sequence of str
        Words of the vocabulary.
    count : int
        Number of neighbours of each word.
    first : int, optional
        Only the first `first` words of the vocabulary can be neighbours.
    replicates : Replicates, optional
        Of these vectors.
    """
    found = [embeddings.most_similar(word, topn=count, restrict_vocab=first) for word in words]
    if replicates:
        shares = replicates.neighbour_shares_of(words, count, first)
        rows = [
            _with_intervals(embeddings, replicates, word, similar, dict(of_word))
            for word, similar, of_word in zip(words, found, shares, strict=True)
        ]
        tables = [
            _interval_table(embeddings, each, title=word_entry(embeddings, word), count=count)
            for word, each in zip(words, rows, strict=True)
        ]
        named = dict(zip(words, rows, strict=True))
        return Result(
            {"neighbours": named, "replicates": len(replicates)},
            Group(Columns(tables, padding=(1, 4)), _note(replicates)),
        )
    data = {word: word_rows(embeddings, similar) for word, similar in zip(words, found, strict=True)}
    tables = [
        word_table(embeddings, similar, "cosine", title=word_entry(embeddings, word))
        for word, similar in zip(words, found, strict=True)
    ]
    return Result({"neighbours": data}, Columns(tables, padding=(1, 4)))


def similarity(embeddings: Embeddings, words: Sequence[str], replicates: Replicates | None = None) -> Result:
    """Return the cosine of two words, or of every pair of several; with replicates, also its interval."""
    cosines = [[embeddings.similarity(one, other) for other in words] for one in words]
    data: dict[str, Any] = {"words": list(words), "cosines": cosines}
    cells = [[number_text(cosine) for cosine in row] for row in cosines]
    if replicates:
        values = replicates.cosines_of(words)
        ends = [
            [_cosine_interval(values[:, i, j], cosine) for j, cosine in enumerate(row)]
            for i, row in enumerate(cosines)
        ]
        data |= {"intervals": ends, "replicates": len(replicates)}
        cells = [
            [cell if i == j else f"{cell} ({written_interval(ends[i][j])})" for j, cell in enumerate(row)]
            for i, row in enumerate(cells)
        ]
    notes = [_note(replicates)] if replicates else []
    if len(words) == 2:
        return Result(data, Group(Text(cells[0][1]), *notes))
    table = plain_table("", *(shown(word) for word in words))
    for word, row in zip(words, cells, strict=True):
        table.add_row(Text(shown(word)), *row)
    return Result(data, Group(table, *notes))


def analogy(
    embeddings: Embeddings, a: str, b: str, c: str, count: int, first: int | None, method: str
) -> Result:
    """Return the words that complete "a is to b as c is to …".

    They have the largest cosine with b − a + c (``sum``: 3CosAdd), or the largest quotient of similarities
    (``product``: 3CosMul); `count` and `first` as in `neighbours`.
    """
    search = embeddings.most_similar if method == "sum" else embeddings.most_similar_cosmul
    found = search([b, c], [a], topn=count, restrict_vocab=first)
    title = f"{shown(a)} is to {shown(b)} as {shown(c)} is to …"
    data = {"analogy": [a, b, c], "method": method, "answers": word_rows(embeddings, found)}
    return Result(data, word_table(embeddings, found, "cosine" if method == "sum" else "score", title=title))


def evaluate(embeddings: Embeddings, evaluation: StandardEvaluation) -> Result:
    """Return scores on word pairs and analogies, and the layout of each file."""
    from w2v_exp.experiment.measures import evaluation_rows  # which loads Hydra

    sets = evaluation.read()
    rows = evaluation_rows(evaluation.score(embeddings, sets), epoch=0)
    table = plain_table("set", "section", "measure", "score", "known", "of")
    for row in rows:
        score = "–" if row.score is None else number_text(row.score)
        named = (Text(shown(row.set, 40)), Text(shown(row.section, 40)), row.measure)
        table.add_row(*named, score, f"{row.known:,}", f"{row.total:,}")
    data = [{key: value for key, value in row._asdict().items() if key != "epoch"} for row in rows]
    layouts = {name: one.layout for name, one in sets.items() if not isinstance(one, AssociationTest)}
    notes = [Text(f"{shown(name, 40)}: {layout}", style="dim") for name, layout in layouts.items()]
    return Result({"evaluation": data, "layouts": layouts}, Group(table, *notes))


def associations(
    embeddings: Embeddings,
    tests: Sequence[AssociationTest],
    largest_loss: float = LARGEST_LOSS,
    words: bool = False,
    replicates: Replicates | None = None,
) -> Result:
    """Return effect, p-value and intervals of tests on sets of words.

    Parameters
    ----------
    embeddings : Embeddings
        The vectors to compare.
    tests : sequence of AssociationTest
        The tests.
    largest_loss : float
        Largest share of unknown words of a set.
    words : bool
        Whether the association of each word is shown as well.
    replicates : Replicates, optional
        Of these vectors, for intervals over documents.
    """
    found = [embeddings.association(test, largest_loss=largest_loss) for test in tests]
    parts: list[RenderableType] = [result_table(found)]
    data = [_association_data(one) for one in found]
    if replicates:
        effects = [
            [association_effect(each.words, each.input, test, largest_loss) for test in tests]
            for each in replicates  # read one at a time
        ]
        for of_test, one, values in zip(data, found, zip(*effects, strict=True), strict=True):
            low, high = interval(values, estimate=one.effect)
            of_test |= {"documents": None, "replicates": len(replicates)}
            if math.isfinite(low):
                of_test["documents"] = [low, high]
                parts.append(Text(f"{shown(one.test, 24)}: {written_interval((low, high))} over documents"))
        parts.append(Text(_of_documents(replicates), style="dim"))
    if words:
        parts += [association_words(one) for one in found if one.by_word]
    parts += [Text(note, style="dim") for note in result_notes(found)]
    return Result({"associations": data}, Group(*parts))


def _read_tests(source: str) -> list[AssociationTest]:
    """Return the tests of an argument of the command."""
    try:
        return AssociationTest.read(source)
    except SettingError as error:
        raise UserError(f"{error.value}: {error.problem}") from None


def _association_data(one: Association) -> dict[str, Any]:
    """Return a result for JSON, which has no NaN."""
    values = dataclasses.asdict(one)
    return {
        key: None if isinstance(value, float) and math.isnan(value) else value
        for key, value in values.items()
    }


def _evaluation(parsed: argparse.Namespace) -> StandardEvaluation:
    """Return an evaluation on the named sets, by default the standard ones."""
    restricted = {} if parsed.first is None else {"restrict_vocab": parsed.first}
    if parsed.word_pairs is None and parsed.analogies is None:
        return StandardEvaluation(**restricted)
    return StandardEvaluation(
        parsed.word_pairs or [], parsed.analogies or [], columns=parsed.columns, **restricted
    )


def _explore(parsed: argparse.Namespace, opened: Opened, other: Opened | None) -> None:
    rule = ExplorerRule(limit_mb=None, words=parsed.words, projection=parsed.projection)
    titles = [shown(each.title, 70) for each in (opened, other) if each]
    if other and titles[0] == titles[1]:
        titles = [f"{titles[0]} ({number})" for number in (1, 2)]
    second = None
    if other:
        same_space = bool(other.space) and other.space == opened.space
        second = PageRun(other.embeddings, titles[1], other.vectors, same_space)
    page = ExplorerPage(opened.embeddings, rule, titles[0], opened.vectors, other=second)
    if page.map_cost:
        print(f"{page.map_cost} --projection pca takes {'less' if other else 'none'}.", file=sys.stderr)
    size = page.write(parsed.out)
    print(f"{parsed.out}: {readable_bytes(size)}")


def _with_intervals(
    embeddings: Embeddings,
    replicates: Replicates,
    word: str,
    similar: Similar,
    shares: Mapping[str, float],
) -> list[dict[str, Any]]:
    """Return `word_rows` with the interval of each cosine, and the share of each word."""
    rows = word_rows(embeddings, similar)
    values = replicates.cosines_of([word, *(other for other, _ in similar)])[:, 0, 1:]
    for row, of_row in zip(rows, values.T, strict=True):
        row["interval"] = _cosine_interval(of_row, row["score"])
        row["share"] = shares.get(row["word"], 0.0)
    return rows


def _cosine_interval(values: NDArray[np.float64], cosine: float) -> list[float] | None:
    """Return the interval of a cosine within its bounds; None if it is unknown."""
    ends = np.clip(interval(values, estimate=cosine), -1, 1).tolist()
    return ends if np.isfinite(ends).all() else None


def _note(replicates: Replicates) -> Text:
    return Text(_of_documents(replicates), style="dim")


def _of_documents(replicates: Replicates) -> str:
    return f"{100 * LEVEL:.0f} % intervals over documents, from {len(replicates)} replicates."


def _interval_table(
    embeddings: Embeddings, rows: Sequence[Mapping[str, Any]], title: str, count: int
) -> Group:
    """Return the table of `neighbours` with intervals and shares."""
    counts = ["count"] if embeddings.counts is not None else []
    table = plain_table("word", "cosine", ENDS, f"in nearest {count}", *counts)
    for row in rows:
        cells = (number_text(row["score"]), written_interval(row["interval"]), f"{100 * row['share']:.0f} %")
        table.add_row(Text(shown(row["word"])), *cells, *([f"{row['count']:,}"] if counts else []))
    return Group(Text(title, style="bold"), table)


class _QueryParser(SuggestingParser):
    """A parser whose errors mention ``--`` if a word begins with a hyphen."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as argparse does, and keep the arguments for `error`."""
        self._given = list(args or ())
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Print the usage and the message, with the hint, and exit with code 2."""
        unrecognized = message.partition("unrecognized arguments: ")[2].split() or self._given
        known = self._option_string_actions
        words = [
            text for text in unrecognized if text.startswith("-") and text.partition("=")[0] not in known
        ]
        if words and "--" not in self._given:
            message = (
                f"{message.rstrip('.')}. If {words[0]} is a word, write -- before the words: -- {words[0]}"
            )
        super().error(message)


def query_parser() -> argparse.ArgumentParser:
    """Return the parser of ``w2v-exp ask``."""
    parser = _QueryParser(
        prog="w2v-exp ask",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    queries = parser.add_subparsers(dest="query", required=True)
    common = source_options()
    with_json = _QueryParser(add_help=False, parents=[common])
    with_json.add_argument("--json", action="store_true", help="print the result as JSON")
    with_count = _QueryParser(add_help=False, parents=[with_json])
    with_count.add_argument(
        "-n", "--count", type=whole_number, default=10, help="number of words; default: 10"
    )

    near = queries.add_parser("neighbours", parents=[with_count], help="nearest words of each given word")
    near.add_argument("words", nargs="+", metavar="WORD")
    similar = queries.add_parser(
        "similarity", parents=[with_json], help="cosine of two words, or of every pair of several"
    )
    similar.add_argument("word", metavar="WORD")
    similar.add_argument("others", nargs="+", metavar="WORD")
    analogy = queries.add_parser("analogy", parents=[with_count], help="A is to B as C is to …")
    for word in ("a", "b", "c"):  # not one of nargs=3: argparse cannot name its three if one is missing
        analogy.add_argument(word, metavar=word.upper())
    analogy.add_argument(
        "--method",
        choices=ANALOGY_METHODS,
        default="sum",
        help="sum: cosine with B - A + C (3CosAdd); product: product of similarities (3CosMul); default: sum",
    )
    evaluation = queries.add_parser(
        "evaluate", parents=[with_json], help="scores on word pairs and analogies; default: gensim's sets"
    )
    evaluation.add_argument("--word-pairs", nargs="+", metavar="SET", help="files, wordsim353 or simlex999")
    evaluation.add_argument("--analogies", nargs="+", metavar="SET", help="files, or questions-words")
    evaluation.add_argument(
        "--columns",
        nargs=3,
        metavar=("WORD1", "WORD2", "SCORE"),
        help="columns of the files of word pairs: numbers from 1, or names; default: recognised",
    )
    tested = queries.add_parser(
        "associations",
        parents=[with_json],
        help="associations of sets of words: WEAT, its single-category form, and RND",
    )
    tested.add_argument(
        "tests",
        nargs="+",
        metavar="TEST",
        help="weat1 … weat10, garg_occupations, garg_intelligence, garg_appearance, or YAML files of sets and tests",
    )
    tested.add_argument(
        "--largest-loss",
        type=_share,
        default=LARGEST_LOSS,
        metavar="SHARE",
        help="largest share of unknown words of a set; default: 0.2",
    )
    tested.add_argument("--words", action="store_true", help="also print the association of each word")
    compared = queries.add_parser(
        "compare",
        parents=[with_count],
        help="neighbours of words in two runs or files; without words, those that moved most and least",
    )
    compared.add_argument("other", metavar="OTHER", help="a run or file, as RUN_OR_FILE")
    compared.add_argument("words", nargs="*", default=[], metavar="WORD")
    for limited in (near, analogy, evaluation, compared):
        limited.add_argument(
            "--first",
            type=whole_number,
            metavar="N",
            help="search only the first (most frequent) N words; default: all",
        )
    changed = queries.add_parser(
        "change", help="words that changed over the slices of the text; similarities and neighbours by slice"
    )
    changed.add_argument("run", metavar="RUN", help="a run with slices, or its folder")
    changed.add_argument(
        "words", nargs="*", default=[], metavar="WORD", help="one: its nearest words; more: similarities"
    )
    changed.add_argument("-n", "--count", type=whole_number, default=10, help="number of words; default: 10")
    changed.add_argument("--json", action="store_true", help="print the result as JSON")
    _add_store(changed)
    explore = queries.add_parser("explore", parents=[common], help="write a page to explore in a browser")
    explore.add_argument("other", nargs="?", metavar="OTHER", help="a second run or file, to compare both")
    explore.add_argument(
        "--out", default="explorer.html", metavar="FILE", help="file of the page; default: explorer.html"
    )
    explore.add_argument(
        "--words", type=whole_number, metavar="N", help="only the most frequent N words; default: all"
    )
    explore.add_argument(
        "--projection",
        choices=[AUTOMATIC, *PROJECTIONS],
        default=AUTOMATIC,
        help="first map of the page; default: auto, which is tsne for 200 words or more, else pca",
    )
    return parser


def _add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--uri",
        "--tracking-uri",
        metavar="URI",
        help="address of the MLflow store; default: MLFLOW_TRACKING_URI or ./mlflow.db",
    )


def source_options() -> _QueryParser:
    """Return a parser of the options that select and read embeddings."""
    common = _QueryParser(add_help=False)
    common.add_argument("run_or_file", metavar="RUN_OR_FILE")
    common.add_argument(
        "--vectors",
        choices=VECTORS,
        help="vectors to use; default: those chosen by the run's `embedding`, or input for a file",
    )
    _add_store(common)
    reading = common.add_argument_group("options for files")
    reading.add_argument(
        "--limit", type=whole_number, metavar="N", help="read only the first N rows; default: all"
    )
    reading.add_argument(
        "--no-header",
        action="store_true",
        help="line 1 is a word with its vector, even if it looks like a header",
    )
    reading.add_argument(
        "--unicode-errors",
        choices=UNICODE_ERRORS,
        default="strict",
        help="words that are not UTF-8; default: strict, an error",
    )
    reading.add_argument(
        "--duplicates",
        choices=DUPLICATES,
        default="error",
        help="repeated words: an error (default), or keep the first",
    )
    reading.add_argument(
        "--malformed",
        choices=MALFORMED,
        default="error",
        help="rows without a word and its numbers, or a header with a wrong count: an error (default), or skip them",
    )
    return common


def _share(text: str) -> float:
    """Return a share below 1, for argparse."""
    with suppress(ValueError):
        if 0 <= float(text) < 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text[:LONGEST_NUMBER]}: must be a share, from 0 to less than 1.")


def whole_number(text: str) -> int:
    """Return a positive whole number, for argparse."""
    if not text.isdecimal() or len(text) > LONGEST_NUMBER or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"{text[:LONGEST_NUMBER]}: must be a whole number from 1 to {10**LONGEST_NUMBER - 1:,}."
        )
    return int(text)

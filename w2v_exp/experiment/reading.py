"""The text of a run, with a bar while a long one is fetched or read."""

from __future__ import annotations

from time import perf_counter
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from w2v_exp.config import NoCache, Plan
from w2v_exp.text.cached_encoding import encode_cached
from w2v_exp.text.encoding import EncodedText, encode_text
from w2v_exp.text.text8 import Text8Corpus
from w2v_exp.tracking.progress import REFRESH_SECONDS


def read_corpus(plan: Plan) -> EncodedText:
    """Return the corpus of a plan as ids, from its cache if that has them."""
    console = Console(stderr=True)

    def say(line: str) -> None:
        console.print(Text(line), soft_wrap=True)

    if isinstance(plan.corpus, Text8Corpus):
        with BytesBar(console, "downloading text8") as bar:
            plan.corpus.files(progress=bar.show, say=say)
    if isinstance(plan.cache, NoCache):
        return encode_text(plan.corpus, plan.tokenizer, plan.vocabulary)
    with BytesBar(console, "reading the corpus") as bar:
        return encode_cached(
            plan.corpus, plan.tokenizer, plan.vocabulary, plan.cache, progress=bar.show, say=say
        )


class BytesBar:
    """Shows how many bytes are done, where there is a terminal and it takes longer than a moment."""

    def __init__(self, console: Console, title: str) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            DownloadColumn(),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            auto_refresh=False,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(title, total=None)

    def __enter__(self) -> BytesBar:
        self._next_refresh = perf_counter() + REFRESH_SECONDS
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, done: int, total: int | None) -> None:
        """Move the bar, if it is time to."""
        if self._bar.disable or perf_counter() < self._next_refresh:
            return
        self._next_refresh = perf_counter() + REFRESH_SECONDS
        self._bar.start()
        self._bar.update(self._task, completed=done, total=total)
        self._bar.refresh()

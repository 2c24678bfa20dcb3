"""The text of a run, with a bar while a long one is read."""

from __future__ import annotations

from time import perf_counter

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from w2v_exp.config import NoCache, Plan
from w2v_exp.text.cached_encoding import encode_cached
from w2v_exp.text.encoding import EncodedText, encode_text
from w2v_exp.tracking.progress import REFRESH_SECONDS


def read_corpus(plan: Plan) -> EncodedText:
    """Return the corpus of a plan as ids, from its cache if that has them."""
    if isinstance(plan.cache, NoCache):
        return encode_text(plan.corpus, plan.tokenizer, plan.vocabulary)
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("reading the corpus"),
        BarColumn(bar_width=24),
        DownloadColumn(),
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
        auto_refresh=False,
        disable=not console.is_terminal,
    )
    task = bar.add_task("", total=None)
    next_refresh = perf_counter() + REFRESH_SECONDS  # what takes less time needs no bar

    def show(done: int, total: int | None) -> None:
        nonlocal next_refresh
        if bar.disable or perf_counter() < next_refresh:
            return
        next_refresh = perf_counter() + REFRESH_SECONDS
        bar.start()
        bar.update(task, completed=done, total=total)
        bar.refresh()

    try:
        return encode_cached(
            plan.corpus,
            plan.tokenizer,
            plan.vocabulary,
            plan.cache,
            progress=show,
            say=lambda line: console.print(Text(line), soft_wrap=True),
        )
    finally:
        bar.stop()

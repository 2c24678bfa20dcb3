"""The command ``w2v-exp cache``: lists and clears the cache of encoded texts.

Downloaded corpora are listed, and stay.
"""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.text import Text

from w2v_exp.files import TAG
from w2v_exp.machine import readable_bytes
from w2v_exp.processes import exit_with
from w2v_exp.reporting.escape import visible_console
from w2v_exp.text.cache import TextCache
from w2v_exp.text.text8 import Text8Corpus


def main(arguments: list[str]) -> int:
    """Do what the arguments of the command line say, and return the exit code."""
    parser = argparse.ArgumentParser(prog="w2v-exp cache", description=__doc__)
    parser.add_argument("what", choices=["list", "clear"], help="show the texts in the cache, or remove them")
    parser.add_argument(
        "--folder", help="the cache, where it is not the usual one (cache.folder of the runs)"
    )
    asked = parser.parse_args(arguments)
    cache, console = TextCache(folder=asked.folder), visible_console()
    if asked.what == "list":
        list_texts(cache, console)
        if asked.folder is None:
            list_downloads(Text8Corpus.folder(), console)
    else:
        entries, size = cache.clear()
        console.print(
            Text(f"{_texts(entries)} of {readable_bytes(size)} removed from {cache.path}"), soft_wrap=True
        )
    return 0


def list_texts(cache: TextCache, console: Console) -> None:
    """Print what there is to say of the texts in a cache, the last used first."""
    entries = cache.entries()
    size = sum(entry_size for _, _, entry_size, _ in entries)
    console.print(Text(f"{_texts(len(entries))} of {readable_bytes(size)} in {cache.path}"), soft_wrap=True)
    for _, entry, entry_size, used in entries:
        if entry is None:
            damaged = "damaged, or of another version: made again when it is asked for"
            console.print(Text(f"\n{readable_bytes(entry_size)}, {damaged}"))
            continue
        when = datetime.fromtimestamp(used).strftime("%Y-%m-%d %H:%M")
        segments = f"{entry.segments:,} segments, " if entry.segment_end != "corpus" else ""
        figures = f"{entry.tokens:,} tokens, {segments}{readable_bytes(entry_size)}, last used {when}"
        # As `Text`: the name of a file may look like markup.
        console.print(Text(f"\n{entry.source}", style="bold"), soft_wrap=True)
        console.print(Text(f"  {figures}\n  {entry.tokenizer}\n  {entry.vocabulary}"), soft_wrap=True)


def list_downloads(folder: Path, console: Console) -> None:
    """Print how large the downloaded corpus in a folder is, if there is one."""
    size = sum(file.stat().st_size for file in folder.glob("*") if file.is_file() and file.name != TAG)
    if size:
        console.print(
            Text(
                f"\n{folder.name}\n  downloaded: {readable_bytes(size)} in {folder}, which clear leaves there"
            ),
            soft_wrap=True,
        )


def _texts(number: int) -> str:
    return f"{number} text" if number == 1 else f"{number} texts"


if __name__ == "__main__":
    exit_with(main)

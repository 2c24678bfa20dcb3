"""The command ``python -m w2v_exp.experiment.cache``: lists and clears the cache of encoded texts."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime

from rich.console import Console
from rich.text import Text

from w2v_exp.memory import readable_bytes
from w2v_exp.text.cache import TextCache


def main(arguments: list[str]) -> None:
    """Do what the arguments of the command line say."""
    parser = argparse.ArgumentParser(prog="python -m w2v_exp.experiment.cache", description=__doc__)
    parser.add_argument("what", choices=["list", "clear"], help="show the texts in the cache, or remove them")
    parser.add_argument(
        "--folder", help="the cache, where it is not the usual one (cache.folder of the runs)"
    )
    asked = parser.parse_args(arguments)
    cache, console = TextCache(folder=asked.folder), Console()
    if asked.what == "list":
        list_texts(cache, console)
    else:
        entries, size = cache.clear()
        console.print(
            Text(f"{_texts(entries)} of {readable_bytes(size)} removed from {cache.path}"), soft_wrap=True
        )


def list_texts(cache: TextCache, console: Console) -> None:
    """Print what there is to say of the texts in a cache, the last used first."""
    entries = cache.entries()
    size = sum(entry_size for _, _, entry_size, _ in entries)
    console.print(Text(f"{_texts(len(entries))} of {readable_bytes(size)} in {cache.path}"), soft_wrap=True)
    for _, entry, entry_size, used in entries:
        if entry is None:
            console.print(Text(f"\n{readable_bytes(entry_size)}, damaged: made again when it is asked for"))
            continue
        when = datetime.fromtimestamp(used).strftime("%Y-%m-%d %H:%M")
        figures = f"{entry.tokens:,} tokens, {readable_bytes(entry_size)}, last used {when}"
        # As `Text`: the name of a file may look like markup.
        console.print(Text(f"\n{entry.source}", style="bold"), soft_wrap=True)
        console.print(Text(f"  {figures}\n  {entry.tokenizer}\n  {entry.vocabulary}"), soft_wrap=True)


def _texts(number: int) -> str:
    return f"{number} text" if number == 1 else f"{number} texts"


if __name__ == "__main__":
    main(sys.argv[1:])

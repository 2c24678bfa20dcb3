"""A driver of a real count, which tests kill, and the counts that it must give.

python count_text.py FOLDER OPTION '{"workers": 2}'     counts FOLDER/text.txt by shards into FOLDER/counts

"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import numpy as np

from w2v_exp.choices import make_choice
from w2v_exp.counting.corpus_counts import Windows, count_corpus
from w2v_exp.counting.store import KINDS, CountStore
from w2v_exp.errors import UserError
from w2v_exp.examples.counts import count_window_pairs
from w2v_exp.processes import termination_as_exception
from w2v_exp.text.corpus import FileCorpus
from w2v_exp.text.encoding import encode_text
from w2v_exp.text.tokenizers import WordTokenizer
from w2v_exp.text.vocabulary import VocabularyRule

SHARD_BYTES = 4_000
RULE = VocabularyRule(min_count=2)
WINDOWS = Windows(3, shrinking=True)


def write_text(folder: Path) -> None:
    """Write a text of 24 shards."""
    generator = random.Random(0)
    words = [f"word{round(generator.paretovariate(0.7)) % 500}" for _ in range(12_000)]
    (folder / "text.txt").write_text(" ".join(words)[: 24 * SHARD_BYTES])


def results(folder: Path) -> dict[str, int]:
    """Return the finished results of shards, with the number of each file, which is another if it was written again."""
    store = CountStore(folder / "counts")
    kinds = [kind for kind in KINDS if kind != "counts"]
    files = [file for kind in kinds for file in (store.folder / kind).glob(f"[0-9a-f]*{KINDS[kind]}")]
    return {f"{file.parent.name}/{file.name}": file.stat().st_ino for file in files}


def assert_counted(folder: Path) -> None:
    """Compare the result with the counts of the text in memory."""
    text = encode_text(FileCorpus(str(folder / "text.txt")), WordTokenizer(), RULE)
    expected = count_window_pairs([text.ids], WINDOWS.size, len(text.vocabulary), shrinking=True)
    with np.load(folder / "result.npz") as found:
        for name in ("starts", "contexts", "counts"):
            np.testing.assert_array_equal(found[name], getattr(expected, name))


def main() -> int:
    """Count as a run does."""
    folder, option, settings = Path(sys.argv[1]).absolute(), sys.argv[2], json.loads(sys.argv[3])
    store = CountStore(folder / "counts")
    store.prepare()
    corpus = FileCorpus(str(folder / "text.txt"))
    try:
        with (
            termination_as_exception(),
            make_choice("counting", {"name": option, **settings}).engine(store.folder) as engine,
        ):
            text = count_corpus(
                corpus,
                WordTokenizer(),
                RULE,
                WINDOWS,
                engine,
                store,
                shard_bytes=SHARD_BYTES,
                progress=lambda step, done, _: print(step, done, flush=True),
            )
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    counts = text.counts
    np.savez(folder / "result.npz", starts=counts.starts, contexts=counts.contexts, counts=counts.counts)
    return 0


if __name__ == "__main__":
    sys.exit(main())

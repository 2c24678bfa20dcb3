"""A count for the tests of kills: it kills itself or one of its workers after a number of finished tasks.

python killed_counts.py FOLDER KILLED AFTER SEED     counts FOLDER/text.txt; KILLED is driver, worker or nothing
"""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path

from w2v_exp.counting.corpus_counts import Windows, count_corpus
from w2v_exp.counting.engines import LocalCounting
from w2v_exp.counting.store import CountStore
from w2v_exp.text.corpus import FileCorpus
from w2v_exp.text.tokenizers import WhitespaceTokenizer
from w2v_exp.text.vocabulary import VocabularyRule

SHARD_BYTES = 1_000
WINDOWS = Windows(3, shrinking=True)
RULE = VocabularyRule(min_count=2)


def main(folder: Path, killed: str, after: int, seed: int) -> None:
    """Count the text and print the digest of its counts."""
    finished = 0
    chance = random.Random(seed)

    def progress(_step: str, done: int, _of: int) -> None:
        nonlocal finished
        finished += done > 0
        if finished != after:
            return
        finished += 1  # once
        if killed == "driver":
            os.kill(os.getpid(), signal.SIGKILL)
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        workers = [
            child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
        ]
        if killed == "worker" and workers:
            os.kill(int(chance.choice(workers)), signal.SIGKILL)

    store = CountStore(folder / "counts")
    store.prepare()
    with LocalCounting(2).engine(store.folder) as engine:
        corpus = FileCorpus(str(folder / "text.txt"))
        counted = count_corpus(
            corpus,
            WhitespaceTokenizer(),
            RULE,
            WINDOWS,
            engine,
            store,
            shard_bytes=SHARD_BYTES,
            progress=progress,
        )
    print(counted.digest)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))

"""Compare `w2v_exp.Word2Vec` with gensim's: the same script, on the same lines, timed and scored alike.

    python scripts/compare_word2vec.py --text big.txt --bytes 20000000 --workers 1

Sides alternate, seed by seed. A ratio is that of gensim's processor time (with one worker; else of its wall time) to
ours, of ``train()`` alone, as the median over seeds. Run it alone on the machine.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

from w2v_exp import Embeddings, Word2Vec
from w2v_exp.embeddings import AnalogySet, WordPairSet

SETS = ("wordsim353", "simlex999")
WORDS_A_LINE = 1000  # of a text without lines


def lines_of(path: Path, size: int | None) -> Iterator[list[str]]:
    """Yield the lines of the first `size` bytes of a text as words, long ones in parts."""
    with path.open("rb") as stream:
        text = stream.read(-1 if size is None else size).decode(errors="ignore")
    for line in text.splitlines():
        words = line.split()
        for first in range(0, len(words), WORDS_A_LINE):
            yield words[first : first + WORDS_A_LINE]


def processor_seconds() -> float:
    """Return the processor time of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def measure(
    word2vec: Callable[..., Any], lines: list[list[str]], settings: dict[str, Any], epochs: int
) -> dict[str, float]:
    """Train a model, and return its times and scores."""
    model = word2vec(**settings)
    model.build_vocab(lines)
    wall, processor = perf_counter(), processor_seconds()
    model.train(lines, total_examples=model.corpus_count, epochs=epochs)
    wall, processor = perf_counter() - wall, processor_seconds() - processor
    embeddings = Embeddings(list(model.wv.index_to_key), None, model.wv.vectors)
    scores = {name: embeddings.evaluate_word_pairs(WordPairSet.read(name)).spearman for name in SETS}
    analogies = embeddings.evaluate_word_analogies(AnalogySet.read("questions-words")).all.accuracy
    return {"wall": wall, "processor": processor, **scores, "analogies": analogies}


def parsed() -> argparse.Namespace:
    """Return the arguments of the command."""
    parser = argparse.ArgumentParser(description="Compare w2v_exp.Word2Vec with gensim's.")
    parser.add_argument("--text", type=Path, required=True, help="a text, one sentence per line")
    parser.add_argument("--bytes", type=int, help="only its first bytes")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument(
        "--set",
        nargs="*",
        default=["sg=1"],
        metavar="NAME=VALUE",
        help="parameters, such as sg=0 hs=1 negative=0",
    )
    return parser.parse_args()


def main() -> int:
    """Run the comparison, and print a line for each training."""
    from gensim.models import Word2Vec as TheirWord2Vec

    arguments = parsed()
    lines = list(lines_of(arguments.text, arguments.bytes))
    chosen = {name: json.loads(value) for name, value in (pair.split("=") for pair in arguments.set)}
    settings = {"sample": 1e-4, "workers": arguments.workers, **chosen}
    sides: dict[str, Callable[..., Any]] = {"w2v_exp": Word2Vec, "gensim": TheirWord2Vec}
    print(f"{sum(map(len, lines)):,} words, {arguments.epochs} epochs, {settings}", flush=True)
    ratios = []
    for seed in range(1, arguments.seeds + 1):
        results = {
            name: measure(side, lines, {**settings, "seed": seed}, arguments.epochs)
            for name, side in sides.items()
        }
        for name, result in results.items():
            print(
                f"{name:8} seed {seed}: {json.dumps({k: round(v, 3) for k, v in result.items()})}", flush=True
            )
        key = "processor" if arguments.workers == 1 else "wall"
        ratios.append(results["gensim"][key] / results["w2v_exp"][key])
    print(f"ratio of {key} time, gensim's to ours: {statistics.median(ratios):.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

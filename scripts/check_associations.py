"""Compare association tests with WEFE, and measure by simulation how often intervals and p-values hold.

    pip install --target /tmp/wefe --no-deps wefe semantic_version requests urllib3 certifi idna charset_normalizer
    PYTHONPATH=/tmp/wefe python scripts/check_associations.py wefe
    python scripts/check_associations.py simulation

The first prints the largest difference of effects for each published test, on random vectors. The second draws sets of
words from known distributions. The results are in docs/log/associations.md.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from w2v_exp.embeddings import AssociationTest, Embeddings
from w2v_exp.embeddings.association_sets import published_sets, published_tests

DIMENSIONS = 50
SIMULATIONS = 400
POPULATION = 1000  # words of a set, for the true effect


def compare_with_wefe() -> None:
    """Print the largest difference of each published test over ten sets of random vectors."""
    from gensim.models import KeyedVectors
    from wefe.metrics import RND, WEAT  # type: ignore[import-not-found]
    from wefe.query import Query  # type: ignore[import-not-found]
    from wefe.word_embedding_model import WordEmbeddingModel  # type: ignore[import-not-found]

    words = sorted({word for listed in published_sets().values() for word in listed})
    differences: dict[str, float] = {}
    for seed in range(10):
        vectors = np.random.default_rng(seed).standard_normal((len(words), DIMENSIONS)).astype(np.float32)
        embeddings, keyed = Embeddings(words, None, vectors), KeyedVectors(DIMENSIONS)
        keyed.add_vectors(words, vectors)
        model = WordEmbeddingModel(keyed, "vectors")
        for name, test in published_tests().items():
            targets, attributes = (
                [list(one) for one in part.values()] for part in (test.targets, test.attributes)
            )
            query = Query(targets, attributes)
            if test.kind == "WEAT":
                theirs = WEAT().run_query(query, model)["effect_size"]
            else:
                theirs = RND().run_query(query, model, normalize=True)["result"]
            difference = abs(embeddings.association(test).effect - float(theirs))
            differences[name] = max(difference, differences.get(name, 0.0))
    for name, difference in differences.items():
        print(f"{name}: {difference:.1e}")


def simulate() -> None:
    """Print how often intervals over words contain the true effect, and p is below 0.05."""
    print("shift  words  true effect  mean effect  interval contains it  p < 0.05")
    for shift in (0.0, 0.7, 1.5):
        true = np.mean([_effect(_draw(np.random.default_rng(seed), POPULATION, shift)) for seed in range(3)])
        for size in (8, 25):
            effects, covered, below = [], 0, 0
            for seed in range(SIMULATIONS):
                embeddings, test = _test(_draw(np.random.default_rng(100 + seed), size, shift))
                found = embeddings.association(test, seed=seed)
                effects.append(found.effect)
                covered += bool(found.low <= true <= found.high)
                below += bool(found.p < 0.05)
            shares = f"{covered / SIMULATIONS:.1%}  {below / SIMULATIONS:.1%}"
            print(f"{shift}  {size}  {true:.2f}  {np.mean(effects):.2f}  {shares}")


def _draw(generator: np.random.Generator, size: int, shift: float) -> list[NDArray[np.float64]]:
    """Return vectors of two targets, apart by `shift` along an axis, and two attributes, apart by 4."""
    axis = np.eye(DIMENSIONS)[0]
    return [
        generator.standard_normal((size, DIMENSIONS)) + c * axis for c in (shift / 2, -shift / 2, 2.0, -2.0)
    ]


def _test(parts: Sequence[NDArray[np.float64]]) -> tuple[Embeddings, AssociationTest]:
    sets = {name: [f"{name}{i}" for i in range(len(part))] for name, part in zip("abcd", parts, strict=True)}
    test = AssociationTest("simulated", {n: sets[n] for n in "ab"}, {n: sets[n] for n in "cd"})
    return Embeddings([word for words in sets.values() for word in words], None, np.concatenate(parts)), test


def _effect(parts: Sequence[NDArray[np.float64]]) -> float:
    embeddings, test = _test(parts)
    return embeddings.association(test).effect


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["wefe"]:
            compare_with_wefe()
        case ["simulation"]:
            simulate()
        case _:
            sys.exit(__doc__)

"""Golden runs: small runs whose embeddings and costs are recorded in ``golden_runs.json``.

They show that results have not changed unless `RESULT_VERSION` (in ``w2v_exp/experiment/fingerprint.py``) has: a run
that has finished, or a checkpoint, is found by a fingerprint that holds this number instead of the source code.

A result that has to change
    Raise `RESULT_VERSION` by one, run ``python tests/golden_runs.py --record``, and commit both. The command refuses to
    record changed results under the version that they are recorded with.

A checkpoint that has to hold something else
    Raise `FORMAT_VERSION` (in ``w2v_exp/training/checkpoints.py``), and record as above: a checkpoint is recorded, too,
    and has to be resumed as long as the fingerprint of its run and its format stay.

A refactoring that must change no bit
    The recorded numbers are rounded, since the last bits of sums depend on the BLAS, the processor and NumPy. On one
    machine whole arrays can be compared: ``python tests/golden_runs.py --write FILE.npz`` with the commit before the
    change, ``python tests/golden_runs.py --compare FILE.npz`` with the one after it.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout, suppress
from io import StringIO
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from w2v_exp import Embeddings
from w2v_exp.experiment.cli import run
from w2v_exp.experiment.fingerprint import RESULT_VERSION
from w2v_exp.training.checkpoints import FORMAT_VERSION

RECORD = Path(__file__).with_suffix(".json")
DIGITS = 10
# Relative to the largest number of an array. The kernels that OpenBLAS has for other processors (OPENBLAS_CORETYPE),
# and NumPy without AVX, differ by 1e-13 and 2e-6 at the most.
TOLERANCES = {"float64": 1e-9, "float32": 2e-5}
NOT_RESULTS = {"epoch", "train_seconds"}
COMMON = "tracking=none cache=none checkpoint=none explorer=none probes=[] dim=4 window=2 seed=3"
LEXICON = {
    "noun": ["cat", "dog", "man", "woman", "king", "queen", "bird", "house", "child", "horse"],
    "verb": ["sees", "likes", "follows", "knows"],
    "place": ["garden", "town"],
}
SENTENCES = (
    "the noun verb the noun",
    "a noun verb the noun in the place",
    "the noun in the place verb a noun",
)
ON_TEXT = "corpus=file corpus.path=text.txt epochs=3 batch_size=32 initialization=normal learning_rate=0.3"
RUNS = {
    "article": "experiment=article epochs=40",
    "article corrected": "experiment=article_corrected epochs=40",
    "softmax dense": "labels=dense optimizer=momentum schedule=cosine order=shuffled objective.embedding_gradient=mean",
    "softmax sparse": "optimizer=adam learning_rate=0.01 schedule=constant objective.output_offset=unigram "
    "order=blocks corpus.boundaries=line shrinking_window=true validation=held_out validation.share=0.2 "
    "validation.block=20",
    "softmax overwrite": "labels=streamed labels.block=64 order=shuffled objective.update=overwrite "
    "objective.epsilon=0.001 subsampling=paper subsampling.threshold=0.02 schedule=step",
    "softmax counts": "labels=counts labels.centres=8 labels.smoothing=0.5 labels.count_exponent=0.8 "
    "labels.centre_exponent=0.9 optimizer=adagrad_counts schedule=linear_tenth objective.output_offset=learned "
    "objective.weight_decay=0.001 subsampling=word2vec subsampling.threshold=0.02 shrinking_window=true dtype=float32",
    "softmax sampled": "objective=sampled_softmax objective.frequent_words=9 objective.sampled_words=6 labels=counts "
    "labels.centres=3 labels.smoothing=2 labels.centre_exponent=0.9 labels.count_exponent=0.8 optimizer=adagrad_counts "
    "objective.output_offset=unigram objective.weight_decay=0.001 order=shuffled dtype=float32 "
    "schedule=linear_tenth",
    "softmax cbow": "model=cbow labels=dense optimizer=lazy_adam learning_rate=0.02 order=shuffled",
    "tree sparse": "objective=hierarchical_softmax optimizer=lazy_momentum learning_rate=0.05 initialization=gensim "
    "vocabulary.min_count=5 corpus.boundaries=document",
    "tree counts": "objective=hierarchical_softmax labels=counts labels.centres=8 optimizer=adagrad "
    "objective.weight_decay=0.001 initialization=spectral order=blocks",
    "tree cbow": "objective=hierarchical_softmax model=cbow model.context=sum labels=streamed labels.block=64 "
    "order=blocks schedule=exponential dtype=float32 subsampling=word2vec subsampling.threshold=0.02 "
    "shrinking_window=true",
    "sampling sparse": "objective=negative_sampling learning_rate=0.02 objective.sharing=pair initialization=word2vec "
    "schedule=inverse_time order=shuffled",
    "sampling streamed": "objective=negative_sampling learning_rate=0.02 labels=streamed labels.block=64 order=blocks "
    "optimizer=lazy_adam objective.negatives=3 subsampling=paper subsampling.threshold=0.02 dtype=float32",
    "sampling counts": "objective=negative_sampling objective.sharing=all objective.exponent=0.5 labels=counts "
    "labels.centres=8 optimizer=adagrad_counts",
    "sampling cbow": "objective=negative_sampling learning_rate=0.02 model=cbow labels=streamed labels.block=64 "
    "order=shuffled schedule=linear cost_every=2 cost_sample=200 shrinking_window=true corpus.boundaries=line",
    "blocks": "objective=negative_sampling labels=blocks labels.tokens=32 schedule=linear dtype=float32 "
    "subsampling=word2vec subsampling.threshold=0.02 shrinking_window=true corpus.boundaries=document "
    "validation=held_out validation.share=0.2 validation.by=document",
    "blocks cbow": "objective=negative_sampling model=cbow labels=blocks labels.tokens=16 order=blocks "
    "objective.sharing=pair initialization=gensim",
    "blocks all": "objective=negative_sampling labels=blocks labels.tokens=32 objective.sharing=all",
    "spectral": "initialization=spectral initialization.shift=1.2 epochs=0 embedding=balanced tokenizer=whitespace "
    "evaluation=standard evaluation.word_pairs=[pairs.tsv] evaluation.analogies=[analogies.txt]",
    "from file": "initialization=from_file initialization.path=start.txt embedding=sum "
    "evaluation=standard evaluation.word_pairs=[pairs.tsv] evaluation.analogies=[analogies.txt] evaluation.every=2",
}

# A run of which a checkpoint is recorded: one with an optimizer's state, held-out costs and evaluations.
CHECKPOINT = Path(__file__).with_name("golden_checkpoint")
CHECKPOINTED = (
    f"{COMMON} {ON_TEXT} {RUNS['softmax sparse']} checkpoint=regular checkpoint.every=1epoch evaluation=standard "
    "evaluation.word_pairs=[pairs.tsv] evaluation.analogies=[analogies.txt] evaluation.every=1"
)

Results = dict[str, NDArray[Any]]


def golden_text() -> str:
    """Return a text of 160 lines, in documents of eight; no library's random generator draws it."""
    state, lines = 1, []

    def draw(number: int) -> int:
        nonlocal state
        state = (1103515245 * state + 12345) % 2**31
        # The first words of a list are drawn most often.
        return (state >> 16) * (state >> 16) * number >> 30

    for line in range(160):
        words = SENTENCES[draw(len(SENTENCES))].split()
        lines.append(
            " ".join(LEXICON[word][draw(len(LEXICON[word]))] if word in LEXICON else word for word in words)
        )
        if line % 8 == 7:
            lines.append("")
    return "\n".join(lines)


def write_inputs(folder: Path) -> None:
    """Write the files that golden runs read."""
    nouns = LEXICON["noun"]
    (folder / "text.txt").write_text(golden_text(), encoding="utf-8")
    pairs = [f"{first}\t{second}\t{(3 * i) % 10}" for i, (first, second) in enumerate(pairwise(nouns))]
    (folder / "pairs.tsv").write_text("\n".join(pairs) + "\n", encoding="utf-8")
    questions = [" ".join((nouns[i:] + nouns[:i])[j : j + 4]) for i in range(10) for j in range(4)]
    (folder / "analogies.txt").write_text("\n".join([": nouns", *questions]) + "\n", encoding="utf-8")
    words = [*nouns[::2], "castle"]
    rows = [
        f"{word} " + " ".join(f"{np.sin(4.0 * i + j) / 4:.6f}" for j in range(4))
        for i, word in enumerate(words)
    ]
    (folder / "start.txt").write_text(f"{len(words)} 4\n" + "\n".join(rows) + "\n", encoding="utf-8")


def run_golden(name: str, folder: Path) -> Results:
    """Do a golden run in this process and return its results, by name; `folder` has the files of `write_inputs`."""
    settings = RUNS[name] if name.startswith("article") else f"{ON_TEXT} {RUNS[name]}"
    return run_settings(f"{COMMON} {settings}", folder, name.replace(" ", "_"))


def run_settings(settings: str, folder: Path, run_name: str) -> Results:
    """Do a run in this process and return its results; of a key that is given twice, the last value counts."""
    given = {setting.partition("=")[0]: setting for setting in settings.split()}
    arguments = [
        setting.replace("text.txt", str(folder / "text.txt"))
        .replace("start.txt", str(folder / "start.txt"))
        .replace("[pairs.tsv]", f"[{folder / 'pairs.tsv'}]")
        .replace("[analogies.txt]", f"[{folder / 'analogies.txt'}]")
        for setting in given.values()
    ]
    place = folder / run_name
    with redirect_stdout(StringIO()):
        code = run([*arguments, f"hydra.run.dir={place}"])
    if code:
        raise RuntimeError(f"golden run {run_name!r}: exit code {code}.")
    files = place / "artifacts"
    embeddings = Embeddings.load(files / "embeddings.npz")
    results: Results = {"words": np.array(embeddings.words), "embedding": embeddings.input}
    if embeddings.counts is not None:
        results["counts"] = embeddings.counts
    if embeddings.output is not None:
        results["output"] = embeddings.output
    for table in ("costs.csv", "evaluation.csv"):
        if (files / table).exists():
            results |= read_table(files / table)
    return results


def read_table(file: Path) -> Results:
    """Return the columns of a CSV file, numbers where they all are; empty cells are NaN."""
    with file.open(encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
    columns: Results = {}
    for name, cells in zip(header, zip(*rows, strict=True), strict=True):
        if name in NOT_RESULTS:
            continue
        try:
            columns[f"{file.stem}.{name}"] = np.array([float(cell or "nan") for cell in cells])
        except ValueError:
            columns[f"{file.stem}.{name}"] = np.array(cells)
    return columns


def rounded(results: Results) -> dict[str, Any]:
    """Return results as JSON has them; NaN is None."""

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(item) for item in value]
        if isinstance(value, float):
            return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None
        return value

    dtype = results["embedding"].dtype
    return {"dtype": str(dtype)} | {name: plain(array.tolist()) for name, array in results.items()}


def differences(recorded: Mapping[str, Any], results: Results) -> list[str]:
    """Return in which results a run differs from what is recorded of it by more than rounding."""
    found = []
    if recorded["dtype"] != str(results["embedding"].dtype):
        found.append(f"dtype: {recorded['dtype']} → {results['embedding'].dtype}")
    tolerance = TOLERANCES[recorded["dtype"]]
    for name in sorted((recorded.keys() | results.keys()) - {"dtype"}):
        if name not in recorded or name not in results:
            found.append(f"{name}: only {'now' if name in results else 'recorded'}")
            continue
        old, new = recorded[name], results[name]
        if not np.issubdtype(new.dtype, np.floating):
            if old != new.tolist():
                found.append(f"{name}: other values")
            continue
        expected = np.array(old, np.float64)
        if expected.shape != new.shape:
            found.append(f"{name}: shape {expected.shape} → {new.shape}")
            continue
        scale = np.nanmax(np.abs(expected), initial=0.0)
        if not np.allclose(new, expected, rtol=0.0, atol=tolerance * scale, equal_nan=True):
            farthest = np.nanmax(np.abs(new - expected), initial=0.0)
            found.append(f"{name}: by up to {farthest / (scale or 1.0):.1e} of its largest number")
    return found


def read_record() -> dict[str, Any]:
    """Return what is recorded: the version of the results, and the results of each run."""
    record: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    return record


def record(all_results: Mapping[str, Results]) -> str:
    """Record the results of all runs, or return why that is refused."""
    if RECORD.exists():
        before = read_record()
        changed = [
            name
            for name in RUNS
            if name in before["runs"]
            and name in all_results
            and differences(before["runs"][name], all_results[name])
        ]
        recorded_with = before["result_version"]
        if changed and recorded_with >= RESULT_VERSION:
            return (
                f"Results changed ({', '.join(changed)}): first raise RESULT_VERSION above {recorded_with}."
            )
    # A run a paragraph, a result a line: so a change can be read.
    runs = [
        f"{json.dumps(name)}: {{\n"
        + ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in rounded(results).items())
        + "\n}"
        for name, results in all_results.items()
    ]
    head = f'{{"result_version": {RESULT_VERSION}, "checkpoint_format": {FORMAT_VERSION}, "runs": {{\n'
    text = head + ",\n".join(runs) + "\n}}\n"
    RECORD.write_text(text, encoding="utf-8")
    return ""


def resumed_run(folder: Path, checkpoints: Path) -> tuple[Results, bool]:
    """Do the run of the recorded checkpoint; return its results, and whether it resumed from it."""
    said = StringIO()
    with redirect_stderr(said):
        results = run_settings(
            f"{CHECKPOINTED} checkpoint.folder={checkpoints}", folder, f"by_{checkpoints.name}"
        )
    return results, "checkpoint: epoch 3" in said.getvalue()


def record_checkpoint(folder: Path, format_before: int) -> str:
    """Record the checkpoint after the second of three epochs, if the recorded one cannot be resumed any more."""
    if CHECKPOINT.exists():
        shutil.copytree(CHECKPOINT, folder / "recorded")
        with suppress(RuntimeError):  # a run that fails
            if resumed_run(folder, folder / "recorded")[1]:
                return ""
    writing = folder / "writing"
    replace, written = os.replace, 0

    def copy_second(source: Any, target: Any) -> None:
        nonlocal written
        replace(source, target)
        if Path(target).name == "checkpoint.npz":
            written += 1
            if written == 2:
                ignored = shutil.ignore_patterns("lock", "previous.npz", ".*")
                shutil.copytree(writing, folder / "second", ignore=ignored)

    with mock.patch("os.replace", copy_second):
        resumed_run(folder, writing)
    names = [{path.name for path in place.glob("*")} for place in (CHECKPOINT, folder / "second")]
    if names[0] == names[1] and format_before >= FORMAT_VERSION:
        return f"The recorded checkpoint cannot be resumed: first raise FORMAT_VERSION above {format_before}."
    shutil.rmtree(CHECKPOINT, ignore_errors=True)
    shutil.copytree(folder / "second", CHECKPOINT)
    return ""


def exact(all_results: Mapping[str, Results]) -> Results:
    """Return the arrays of all runs, by the names of run and array."""
    return {f"{name}/{key}": array for name, results in all_results.items() for key, array in results.items()}


def compare_exactly(file: Path, all_results: Mapping[str, Results]) -> list[str]:
    """Return the names of the arrays that are not those of a file, to the byte."""
    now = exact(all_results)
    with np.load(file, allow_pickle=False) as archive:
        before = {name: archive[name] for name in archive.files}
    return [
        name
        for name in sorted(before.keys() | now.keys())
        if name not in before
        or name not in now
        or before[name].dtype != now[name].dtype
        or before[name].tobytes() != now[name].tobytes()
    ]


def main() -> str:
    """Do all golden runs, and what the command line asks for; return what is wrong."""
    parser = argparse.ArgumentParser(description="Golden runs: see the text at the head of this file.")
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--record", action="store_true", help=f"write the rounded results to {RECORD.name}")
    chosen.add_argument(
        "--check", action="store_true", help=f"compare the results with {RECORD.name}, as the test does"
    )
    chosen.add_argument("--write", type=Path, metavar="FILE.npz", help="write the exact results to a file")
    chosen.add_argument(
        "--compare", type=Path, metavar="FILE.npz", help="compare the exact results with such a file"
    )
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        write_inputs(Path(folder))
        all_results = {name: run_golden(name, Path(folder)) for name in RUNS}
        if arguments.record:
            format_before = read_record()["checkpoint_format"] if RECORD.exists() else 0
            return record(all_results) or record_checkpoint(Path(folder), format_before)
    if arguments.check:
        runs = read_record()["runs"]
        return "\n".join(f"{n}: {d}" for n in RUNS for d in differences(runs[n], all_results[n]))
    if arguments.write:
        np.savez_compressed(arguments.write, **exact(all_results))
        return ""
    return "\n".join(f"differs: {name}" for name in compare_exactly(arguments.compare, all_results))


if __name__ == "__main__":
    sys.exit(main() or 0)

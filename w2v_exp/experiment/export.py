"""The sub-command ``export``: the embeddings of a run or a file, in the formats of other programs."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.formats import FORMATS
from w2v_exp.embeddings.opening import load_warnings_logged
from w2v_exp.errors import SuggestingParser, UserError, visible
from w2v_exp.experiment.queries import MISTAKE, load_options, source_options, whole_number
from w2v_exp.machine import readable_bytes
from w2v_exp.reporting.atlas import OPENED_BY, atlas_seconds, check_atlas, write_atlas
from w2v_exp.reporting.projections import AUTOMATIC, PROJECTIONS
from w2v_exp.tracking.load import load_embeddings

ATLAS = "atlas"
DESCRIPTION = """\
Write the embeddings of a run or a file in the format of another program.

  projector         folder for TensorBoard's embedding projector: tensors and metadata as TSV, and a configuration
  atlas             Parquet file for embedding-atlas: words, map, nearest words
  model2vec         folder for model2vec: StaticModel.from_pretrained(FOLDER)
  word2vec          word2vec's text format, for gensim and many others; gzipped if PATH ends in .gz
  word2vec-binary   word2vec's binary format; gzipped if PATH ends in .gz
  glove             GloVe's text format: the same without a first line with the numbers of words and dimensions
  int8              .npz with 8-bit numbers, less than a quarter of the size; w2v-exp and Embeddings.load open it
  npz               .npz with all words, counts and vectors, exactly"""
EPILOG = """\
RUN_OR_FILE is as in `w2v-exp ask`. All formats but npz contain one vector per word.

  w2v-exp export latest --to model2vec --out my_model
  w2v-exp export latest --to projector --out projector --words 10000
  w2v-exp export 3f1c --to atlas --out words.parquet --vectors sum
  w2v-exp export vectors.bin.gz --to int8 --out vectors.npz"""


def run(arguments: list[str]) -> int:
    """Run ``w2v-exp export`` and return the exit code: 2 for a mistake."""
    given = export_parser().parse_args(arguments)
    try:
        _check(given)
        with load_warnings_logged():
            saved = load_embeddings(given.run_or_file, given.uri, load_options(given))
        keeps_all = given.to == "npz" and given.vectors is None
        embeddings = saved.embeddings if keeps_all else saved.embeddings.using(given.vectors or saved.chosen)
        if given.words is not None:
            embeddings = embeddings.most_frequent(given.words)
        _write(given, embeddings)
    except UserError as error:
        print(str(error).replace("tracking.uri", "--uri", 1) if given.uri else error, file=sys.stderr)
        return MISTAKE
    return 0


def _check(given: argparse.Namespace) -> None:
    """Raise `UserError` for options that cannot be used, before anything is read."""
    if given.to == ATLAS:
        check_atlas(given.out, given.projection or AUTOMATIC)
    elif given.projection is not None:
        raise UserError(f"--projection={given.projection}: only --to atlas has a map. Leave it out.")
    if given.out.exists() and not (given.out.is_file() or given.out.is_dir()):
        raise UserError(f"--out={given.out}: a device or pipe, which cannot be replaced by a file.")


def _write(given: argparse.Namespace, embeddings: Embeddings) -> None:
    """Write the file or folder, and print its size and how to open it."""
    words, dim = embeddings.input.shape
    if given.to == ATLAS:
        seconds = atlas_seconds(words, dim, given.projection or AUTOMATIC)
        if seconds >= 1:
            print(
                f"The map and the nearest words of {words:,} words take about {seconds:.0f} s of one core.",
                file=sys.stderr,
            )
        write_atlas(given.out, embeddings, given.projection or AUTOMATIC)
    else:
        embeddings.save(given.out, given.to)
    files = [*given.out.iterdir()] if given.out.is_dir() else [given.out]
    size = readable_bytes(sum(file.stat().st_size for file in files))
    numbers = f"{words:,} word{'' if words == 1 else 's'}, {dim:,} dimension{'' if dim == 1 else 's'}"
    print(visible(f"{given.out}: {numbers}, {size}\nOpen it: {_opening(given.to, given.out)}"))


def _opening(format: str, path: Path) -> str:
    """Return the command, or the call in Python, that opens an exported file."""
    name, quoted = shlex.quote(str(path)), repr(str(path))
    return {
        "projector": f"tensorboard --logdir {name}",
        "atlas": f"embedding-atlas {name} {OPENED_BY}",
        "model2vec": f"model2vec.StaticModel.from_pretrained({quoted})",
        "word2vec": f"gensim.models.KeyedVectors.load_word2vec_format({quoted})",
        "word2vec-binary": f"gensim.models.KeyedVectors.load_word2vec_format({quoted}, binary=True)",
        "glove": f"gensim.models.KeyedVectors.load_word2vec_format({quoted}, no_header=True)",
    }.get(format, f"w2v-exp ask neighbours {name} WORD")


def export_parser() -> argparse.ArgumentParser:
    """Return the parser of ``w2v-exp export``."""
    parser = SuggestingParser(
        prog="w2v-exp export",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[source_options()],
    )
    parser.add_argument("--to", required=True, choices=[*sorted((*FORMATS, ATLAS))], help="format")
    parser.add_argument(
        "--out", required=True, type=Path, metavar="PATH", help="file or folder; a file is replaced"
    )
    parser.add_argument(
        "--words", type=whole_number, metavar="N", help="only the most frequent N words; default: all"
    )
    parser.add_argument(
        "--projection",
        choices=[AUTOMATIC, *PROJECTIONS],
        help="map of atlas; default: auto, which is tsne for 200 words or more, else pca",
    )
    return parser

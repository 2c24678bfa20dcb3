r"""Formats that are folders of several files: TensorBoard's projector, and models of model2vec.

TensorBoard (2.21) splits metadata at ``\n`` and tabs, skips lines of white space, and reads a first line without a tab
as a word. model2vec (0.10) averages the rows of the tokens that its tokenizer finds in a sentence; words that are not
in the vocabulary become its unknown token, which it drops.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.embeddings.word2vec_formats import as_float32
from w2v_exp.errors import UserError, has_shape, shown
from w2v_exp.files import remove_unfinished, replacing
from w2v_exp.text.tokenizers import word_pattern

Files = Mapping[str, Iterable[bytes | memoryview]]  # the content of each file, in pieces


def write_folder(folder: Path, files: Files) -> None:
    """Write all files of a folder or none, which is made if it does not exist.

    They are renamed when all are complete, the first one last: a program that finds it finds the others.

    Raises
    ------
    UserError
        If a file cannot be written, or the folder contains any other files: it might belong to another program.
    """
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_unfinished(folder, files)
        if others := sorted({path.name for path in folder.iterdir()} - {*files}):
            raise UserError(f"{folder}: contains other files ({shown(others[0])}). Choose a new folder.")
        with ExitStack() as renamed_at_end:
            for name, content in files.items():
                renamed_at_end.enter_context(replacing(folder / name, "wb")).writelines(content)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror or error}.") from error
    finally:
        if is_new:
            with suppress(OSError):
                folder.rmdir()  # if it is empty


# ---------------------------------------------------------------- TensorBoard's projector

PROJECTOR_CONFIG = """\
embeddings {{
  tensor_name: "words"
  tensor_shape: {}
  tensor_shape: {}
  tensor_path: "tensors.tsv"
  metadata_path: "metadata.tsv"
}}
"""


def projector_files(words: Sequence[str], counts: NDArray[np.int64] | None, vectors: NDArray[Any]) -> Files:
    """Return the files of TensorBoard's projector: vectors and words as tables, and a configuration.

    - ``tensors.tsv``: a line for each word, numbers separated by tabs. Nine digits restore every float32.
    - ``metadata.tsv``: a line for each word, in the form of `projector_label`; with counts, a second column and a
      header.
    - ``projector_config.pbtxt``: names the two. ``tensorboard --logdir FOLDER`` finds it.

    Raises
    ------
    UserError
        If a value is too large for float32.
    """
    rounded = as_float32(vectors)
    return {
        "projector_config.pbtxt": [PROJECTOR_CONFIG.format(*rounded.shape).encode()],
        "metadata.tsv": _metadata_lines(words, counts),
        "tensors.tsv": _tensor_lines(rounded),
    }


def _metadata_lines(words: Sequence[str], counts: NDArray[np.int64] | None) -> Iterator[bytes]:
    if counts is None:
        yield from (f"{projector_label(word)}\n".encode() for word in words)
        return
    yield b"word\tcount\n"
    for word, count in zip(words, counts.tolist(), strict=True):
        yield f"{projector_label(word)}\t{count}\n".encode()


def _tensor_lines(rounded: NDArray[np.float32]) -> Iterator[bytes]:
    line = b"\t".join([b"%.9g"] * rounded.shape[1]) + b"\n"
    for row in rounded:
        yield line % tuple(row.tolist())


def projector_label(word: str) -> str:
    r"""Return a word as a cell of TensorBoard's metadata, different for different words.

    Backslashes are doubled. Characters without a shape, white space other than spaces, and spaces at the ends become
    Python's escapes. The empty word, which TensorBoard would skip, becomes a single backslash.

    >>> projector_label("New York"), projector_label("a\tb "), projector_label("")
    ('New York', 'a\\tb\\x20', '\\')
    """
    if word.isprintable() and "\\" not in word and word.strip() == word and word:
        return word
    inside = word.strip(" ")
    lead = len(word) - len(word.lstrip(" "))
    trail = len(word) - lead - len(inside)
    escaped = "".join(c if _is_plain(c) else c.encode("unicode_escape").decode() for c in inside)
    return lead * r"\x20" + escaped + trail * r"\x20" or "\\"


def _is_plain(character: str) -> bool:
    is_white = character.isspace() and character != " "
    return has_shape(character) and not is_white and character != "\\"


# ---------------------------------------------------------------- model2vec

UNKNOWN = "[UNK]"
CHARACTERS, STRINGS = r"\S", r"\S+"  # patterns of the tokenizers `character` and `whitespace`
MOST_ADDED = 0.01  # share of the vocabulary that a pattern may split


def model2vec_files(words: Sequence[str], counts: NDArray[np.int64] | None, vectors: NDArray[Any]) -> Files:
    """Return the files of a model that ``model2vec.StaticModel.from_pretrained`` loads.

    - ``config.json``: sentences are means of vectors, which are not scaled to length 1.
    - ``tokenizer.json``: see `tokenizer_settings`.
    - ``model.safetensors``: the vectors as float32, and zeros for the unknown token.

    Raises
    ------
    UserError
        If a value is too large for float32.
    """
    rounded = as_float32(vectors)
    config = {"model_type": "model2vec", "normalize": False, "embedding_dtype": "float32"}
    unknown_vector = np.zeros(rounded.shape[1], "<f4")
    return {
        "config.json": [json.dumps(config, indent=1).encode()],
        "tokenizer.json": [json.dumps(tokenizer_settings(words), ensure_ascii=False).encode()],
        "model.safetensors": [
            _safetensors_header("embeddings", (len(words) + 1, rounded.shape[1])),
            rounded.data,
            unknown_vector.tobytes(),
        ],
    }


def _safetensors_header(name: str, shape: tuple[int, int]) -> bytes:
    """Return the bytes of a safetensors file before its only tensor, of float32.

    They are the length of the following JSON (8 bytes, little-endian), and the JSON padded with spaces to a multiple
    of 8 bytes.
    """
    tensor = {"dtype": "F32", "shape": shape, "data_offsets": [0, 4 * shape[0] * shape[1]]}
    header = json.dumps({name: tensor}).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header


def tokenizer_settings(words: Sequence[str]) -> dict[str, Any]:
    """Return a tokenizer of the library tokenizers that finds each word, as the content of ``tokenizer.json``.

    The ids are the positions of the words, and the number of words for the unknown token. Text is converted to lower
    case, and to the normal form NFC, if that changes no word. It is split by the first of these patterns that splits at
    most 1 % of the words: single characters, the tokenizer `word`, or white space. The other words are searched before
    the text is split.
    """
    unknown = UNKNOWN
    known = set(words)
    while unknown in known:
        unknown = f"[{unknown}]"
    pattern, added = _splitting(words)
    normalizers = []
    if all(word == word.lower() for word in words):
        normalizers.append({"type": "Lowercase"})
    if all(unicodedata.is_normalized("NFC", word) for word in words):
        normalizers.append({"type": "NFC"})
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Removed", "invert": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added_token(i, words[i]) for i in added],
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": split,
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "WordLevel",
            "vocab": {**{word: i for i, word in enumerate(words)}, unknown: len(words)},
            "unk_token": unknown,
        },
    }


def _splitting(words: Sequence[str]) -> tuple[str, list[int]]:
    """Return a pattern of tokens, and the ids of the words that it would split."""
    word = word_pattern()
    # Escaped code points have another syntax in the library's regular expressions.
    plain = re.sub(r"\\u([0-9A-F]{4})", lambda code: chr(int(code[1], 16)), word.pattern)
    patterns = {CHARACTERS: re.compile(CHARACTERS), plain: word, STRINGS: re.compile(STRINGS)}
    split = {
        pattern: [i for i, word in enumerate(words) if not compiled.fullmatch(word)]
        for pattern, compiled in patterns.items()
    }
    most = MOST_ADDED * len(words)
    chosen = next((pattern for pattern, ids in split.items() if len(ids) <= most), STRINGS)
    return chosen, [i for i in split[chosen] if words[i].strip()]


def _added_token(i: int, word: str) -> dict[str, Any]:
    # `single_word`: not inside a longer word
    return {"id": i, "content": word, "single_word": True, "lstrip": False, "rstrip": False, "normalized": True,
            "special": False}  # fmt: skip

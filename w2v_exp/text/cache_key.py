"""What a cached text is known by: the digest of its text, and everything that made ids of it."""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from w2v_exp.text.corpus import Corpus
from w2v_exp.text.tokenizer import CustomTokenizer, Tokenizer
from w2v_exp.text.vocabulary import VocabularyRule

FORMAT = 3  # of an entry's files, and of what its ids mean: one more whenever either changes


def entry_key(identity: str, passage_end: str, tokenizer: dict[str, Any], rule: VocabularyRule) -> str:
    """Return the name of the entry for a text of this identity (see `IdFile`) and all that makes ids of it.

    Parameters
    ----------
    identity : str
        SHA-256.
    passage_end : str
        One of `PASSAGE_ENDS`.
    tokenizer : dict
        What `describe_tokenizer` returns.
    rule : VocabularyRule
        Which words are kept.
    """
    return _digest_of(
        {
            "format": FORMAT,
            "text": identity,
            "passage_end": passage_end,
            "tokenizer": tokenizer,
            "vocabulary": asdict(rule),
        }
    )


def describe_tokenizer(tokenizer: Tokenizer) -> dict[str, Any] | None:
    """Return all that tells a tokenizer from others, or None if that can't be told.

    It is its class and its settings, the content of the source file of the class, and the versions of Python and
    of `regex`, whose tables say what a letter is. What a callable does that is no dataclass can't be told, and
    neither that of a custom tokenizer: it may depend on anything that its module imports or reads.
    """
    if not is_dataclass(tokenizer) or isinstance(tokenizer, (type, CustomTokenizer)):
        return None
    source = _source_digest(type(tokenizer))
    if source is None:
        return None
    return {
        "class": f"{type(tokenizer).__module__}.{type(tokenizer).__qualname__}",
        "settings": asdict(tokenizer),
        "source": source,
        "python": list(sys.version_info[:2]),
        "regex": _version("regex"),
    }


def files_key(corpus: Corpus) -> str | None:
    """Return what a corpus's text is known by without reading it, or None for one that reads no files, or a pipe.

    It changes with the corpus's class and settings, and with the path, size or time of any of its files. (A file
    whose content has changed while its size and time, to the nanosecond, are the same is taken for unchanged.)

    Raises
    ------
    OSError
        If a file cannot be looked up.
    """
    files = corpus_files(corpus)
    if (
        files is None
        or not is_dataclass(corpus)
        or isinstance(corpus, type)
        or getattr(corpus, "is_pipe", False)
    ):
        return None
    seen = []
    for file in files:
        status = file.stat()
        seen.append([str(file.absolute()), status.st_size, status.st_mtime_ns])
    return _digest_of(
        {"format": FORMAT, "corpus": type(corpus).__qualname__, "settings": asdict(corpus), "files": seen}
    )


def corpus_files(corpus: Corpus) -> list[Path] | None:
    """Return the files that a corpus reads, or None for one that reads none."""
    files = getattr(corpus, "files", None)
    return None if files is None else list(files())


def _source_digest(made_by: type) -> str | None:
    try:
        file = inspect.getsourcefile(made_by)
        return None if file is None else hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except (TypeError, OSError):  # made in a notebook, or where there is no file
        return None


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _digest_of(described: dict[str, Any]) -> str:
    text = json.dumps(described, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]

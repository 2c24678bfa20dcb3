"""Tables and Zstandard files of web servers; damage there is skipped, faults of the network are not."""

from __future__ import annotations

import pytest
from faulty_server import answering
from test_skipped_damage import LINES, arrow_of, json_lines, parquet_of, skipping, zstandard

from w2v_exp.text import remote
from w2v_exp.text.corpus import FileCorpus
from w2v_exp.text.remote import RemoteError


def test_tables_of_a_web_server_are_read_as_local_ones(web_server):
    """Alone and in a folder."""
    contents = {
        "a.jsonl.zst": zstandard(json_lines()),
        "b.parquet": parquet_of(),
        "c.arrow": arrow_of(),
        "d.arrows": arrow_of(stream=True),
    }
    texts = [row["text"] for row in LINES]
    for name, content in contents.items():
        web_server.files[f"/texts/{name}"] = content
        corpus = FileCorpus(f"{web_server.url}/texts/{name}", "document", names="id")
        found = [("".join(text).strip(), text.name) for text in corpus.texts()]
        assert found == [(row["text"], str(row["id"])) for row in LINES], name
        assert corpus.segment_end == "text"
    remote._listings.clear()
    found, skipped = skipping(f"{web_server.url}/texts/")
    assert found == [(name, text) for name in contents for text in texts]
    assert not skipped


def test_damage_of_remote_files_is_skipped_and_an_error_of_the_server_is_not(web_server):
    """Another time the file could be read: the text would depend on the network."""
    web_server.files |= {
        "/texts/a.txt": b"caf\xe9",
        "/texts/b.jsonl": b'{\n{"text": "word"}\n',
        "/texts/c.parquet": b"PAR1",
    }
    found, skipped = skipping(f"{web_server.url}/texts/")
    assert found == [("b.jsonl", "word")]
    assert (skipped.files, skipped.rows) == (2, 1)
    for name in ("b.jsonl", "c.parquet", "d.jsonl.zst"):
        web_server.files[f"/texts/{name}"] = parquet_of() if name == "c.parquet" else zstandard(json_lines())
        remote._listings.clear()
        corpus = FileCorpus(f"{web_server.url}/texts/{name}", on_error="skip")
        web_server.faults.append(answering(403))
        with pytest.raises(RemoteError, match=name):
            list(corpus.chunks())
        web_server.faults.clear()

"""Texts of object stores on this machine: S3 by moto, the Hub by a small server, Google's by an emulator."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import os
import pickle
import re
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote

import pytest
from faulty_server import answering
from web_servers import Quiet, QuietServer, running

from w2v_exp.errors import CorpusError, SettingError
from w2v_exp.text import remote
from w2v_exp.text.cache import TextCache, encode_cached
from w2v_exp.text.corpus import FileCorpus
from w2v_exp.text.remote import find_remote
from w2v_exp.text.tokenizers import WhitespaceTokenizer
from w2v_exp.text.vocabulary import VocabularyRule

TEXT = "".join(f"line {i} of a text with ä word or two\n" for i in range(20_000)).encode()
FILES = {
    "year/1790/a.txt": b"fellow citizens of the senate\n",
    "year/1790/b.txt": b"i embrace with great satisfaction",
    "year/1791/a.txt": b"in vain may we expect peace",
    "year/1791/c.md": b"# a heading\n",
    "year/1791/.hidden": b"x",
    "year/d.txt": b"at the top\n",
    "year/e f#1%20?.txt": b"an odd name\n",
    "text.txt.gz": gzip.compress(TEXT, mtime=0),
    "text.txt": TEXT,
}
GLOBS = [
    "year",
    "year/",
    "year/*",
    "year/**",
    "year/**/*.txt",
    "year/*/a.txt",
    "year/1790/?.txt",
    "*.txt",
    "year/**/.h*",
]


@contextmanager
def environment(**variables):
    """Set variables of the environment (None: delete one), with new connections to the stores."""
    import fsspec

    def forget():
        remote._listings.clear()
        for scheme in ("s3", "hf"):
            fsspec.get_filesystem_class(scheme).clear_instance_cache()

    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            if value is None:
                patch.delenv(name, raising=False)
            else:
                patch.setenv(name, value)
        forget()
        yield
        forget()


@pytest.fixture(scope="module")
def s3():
    """Yield a client of an S3 server whose bucket ``texts`` has the files."""
    boto3 = pytest.importorskip("boto3")
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server.start()
    host, port = server.get_host_and_port()
    names = {"AWS_PROFILE": None, "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    with environment(AWS_ENDPOINT_URL=f"http://{host}:{port}", **names, **keys):
        client = boto3.client("s3")
        client.create_bucket(Bucket="texts")
        for name, content in FILES.items():
            client.put_object(Bucket="texts", Key=name, Body=content)
        client.put_object(Bucket="texts", Key="year/1791/", Body=b"")  # a folder, as consoles make them
        yield client
        client.close()
    server.stop()


@pytest.fixture
def put(s3):
    """Return a function that stores an object."""
    remote._listings.clear()
    return lambda name, content: s3.put_object(Bucket="texts", Key=name, Body=content)


def read(address, **settings):
    return "".join(FileCorpus(address, **settings).chunks()).encode()


def check_as_local(root, folder):
    """Check that all globs find, name and read below an address the same as in a folder with the files."""
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    for glob in GLOBS:
        local, far = FileCorpus(f"{folder}/{glob}", "document"), FileCorpus(f"{root}/{glob}", "document")
        assert [text.name for text in far.texts()] == [text.name for text in local.texts()], glob
        assert [*far.chunks()] == [*local.chunks()], glob
        assert far.segment_end == local.segment_end
        assert [file.stat().st_size for file in far.files()] == [
            file.stat().st_size for file in local.files()
        ]
    assert read(f"{root}/text.txt.gz") == read(f"{root}/text.txt") == TEXT


# ---------------------------------------------------------------- S3


def test_a_bucket_is_read_as_a_folder_is(s3, tmp_path):
    check_as_local("s3://texts", tmp_path)
    assert FileCorpus("s3://texts/text.txt", "document").segment_end == "blank line"
    assert len(FileCorpus("s3://texts").files()) == len(FILES) - 1


def test_objects_are_listed_by_a_request_for_a_thousand(s3, monkeypatch):
    """And read without one for the head of each."""
    import s3fs

    models = pytest.importorskip("moto.s3.models")
    backend = models.s3_backends["123456789012"]["aws"]
    for i in range(2_500):  # at once: a request for each takes 15 ms
        backend.put_object("texts", f"many/{i % 50}/{i}.txt", b"word ")
    called = []
    call = s3fs.S3FileSystem._call_s3
    monkeypatch.setattr(
        s3fs.S3FileSystem,
        "_call_s3",
        lambda self, method, *a, **k: called.append(method) or call(self, method, *a, **k),
    )
    remote._listings.clear()
    corpus = FileCorpus("s3://texts/many/**/*.txt", "document")
    assert (len(corpus.files()), corpus.segment_end) == (2_500, "text")
    assert 3 <= len(called) <= 5
    called.clear()
    assert read("s3://texts/many/7/*.txt").count(b"word") == 50
    assert called == ["list_objects_v2"] + ["get_object"] * 50


def test_blocks_are_requests_and_files_are_seekable(put, monkeypatch):
    monkeypatch.setattr(remote, "BLOCK", 100_000)
    (file,) = find_remote("s3://texts/text.txt").files
    with pickle.loads(pickle.dumps(file)).open("rb") as stream:
        assert stream.read() == TEXT
        stream.seek(-1000, os.SEEK_END)
        assert stream.read(10) == TEXT[-1000:-990]
        assert stream.seek(123_456) == 123_456
        assert stream.read(300_000) == TEXT[123_456:423_456]


def test_requests_of_blocks_are_repeated_where_the_connection_breaks(s3, web_server, monkeypatch):
    """The server has what it takes to serve an object."""
    pytest.importorskip("s3fs.core")
    monkeypatch.setattr(remote, "BLOCK", 300_000)
    monkeypatch.setattr("s3fs.core.asyncio.sleep", _no_sleep)
    web_server.files["/texts/a.txt"] = TEXT
    with environment(AWS_ENDPOINT_URL=web_server.url):
        web_server.faults += [0, 1000, 299_999, answering(503), 5]
        assert read("s3://texts/a.txt") == TEXT
        assert [part for method, _, part in web_server.requests if method == "GET"][:3] == [
            "bytes=0-299999"
        ] * 3
        web_server.faults += [1000] * 50
        with pytest.raises(CorpusError, match=r"s3://texts/a\.txt cannot be read: "):
            read("s3://texts/a.txt")
        web_server.faults.clear()
        web_server.has_ranges = False
        with pytest.raises(CorpusError, match=r"the store sends .* bytes instead of 300,000 at byte 0"):
            read("s3://texts/a.txt")


def test_the_proxy_of_the_environment_is_used_for_stores(s3, web_server):
    web_server.files["http://no.such.host/texts/a.txt"] = TEXT
    with environment(AWS_ENDPOINT_URL="http://no.such.host", HTTP_PROXY=web_server.url, NO_PROXY=""):
        assert read("s3://texts/a.txt") == TEXT


async def _no_sleep(_seconds):
    """Wait for nothing."""


@pytest.mark.parametrize("content", [TEXT.upper(), TEXT[:-500], TEXT * 2])
def test_an_object_that_changes_while_it_is_read_is_an_error(put, monkeypatch, content):
    monkeypatch.setattr(remote, "BLOCK", 100_000)
    put("changing.txt", TEXT)
    (file,) = find_remote("s3://texts/changing.txt").files
    with file.open("rb") as stream:
        assert stream.read(100_000) == TEXT[:100_000]
        put("changing.txt", content)
        with pytest.raises(
            CorpusError, match=r"changing\.txt cannot be read: it has changed since it was listed"
        ):
            stream.read()
    assert read("s3://texts/changing.txt") == content


def test_ids_of_an_object_are_cached_until_it_changes(put, tmp_path, monkeypatch):
    monkeypatch.setattr("w2v_exp.text.cache.SMALLEST_CACHED", 1)
    cache, opened = TextCache(str(tmp_path)), []
    real = remote.RemoteFile.open
    monkeypatch.setattr(
        remote.RemoteFile, "open", lambda self, mode: opened.append(str(self)) or real(self, mode)
    )

    def tokens():
        remote._listings.clear()
        opened.clear()
        corpus = FileCorpus("s3://texts/cached.txt")
        return encode_cached(corpus, WhitespaceTokenizer(), VocabularyRule(), cache).tokens, len(opened)

    put("cached.txt", b"one two three ")
    assert [tokens(), tokens()] == [(3, 1), (3, 0)]
    put("cached.txt", b"one two 33333 ")
    assert [tokens(), tokens()] == [(3, 1), (3, 0)]
    put("cached.txt", b"four ")
    assert tokens() == (1, 1)


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("nowhere/a.txt", "no such bucket: nowhere"),
        ("nowhere/", "no such bucket: nowhere"),
        ("nowhere/**/*.txt", "no such bucket: nowhere"),
        ("texts/none.txt", "no such file or folder"),
        ("texts/none/", "is a folder without files"),
        ("texts/year/*.zip", "no file matches this glob"),
    ],
)
def test_files_that_are_not_there(s3, path, problem):
    with pytest.raises(SettingError, match=problem):
        FileCorpus(f"s3://{path}")


def test_missing_credentials_name_the_variables(s3, tmp_path):
    variables = dict.fromkeys(["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
    with (
        environment(**variables, HOME=str(tmp_path)),
        pytest.raises(
            SettingError, match=r"no credentials are found\. Set AWS_PROFILE, or AWS_ACCESS_KEY_ID"
        ),
    ):
        FileCorpus("s3://texts/text.txt")


def test_a_server_that_cannot_be_reached_is_an_error_in_one_line(s3, monkeypatch):
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
    with environment(AWS_ENDPOINT_URL="http://127.0.0.1:9", AWS_MAX_ATTEMPTS="1"):
        with pytest.raises(SettingError, match=r"the server cannot be reached: .*\.$") as caught:
            FileCorpus("s3://texts/text.txt")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "package", "extra"),
    [
        ("s3://b/a", "s3fs", "remote"),
        ("gs://b/a", "gcsfs", "gs"),
        ("hf://datasets/a/b", "huggingface_hub", "hf"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(monkeypatch, address, package, extra):
    monkeypatch.setattr(remote, "find_spec", lambda name: None if name == package else sys)
    with pytest.raises(SettingError, match=rf"needs the package {package}: pip install .*\[{extra}\]"):
        FileCorpus(address)


def test_a_mistake_ends_the_command_with_one_line(s3, command):
    done = command("experiment=my_text", "corpus.path=s3://nowhere/a.txt", "tracking=none")
    assert (done.returncode, done.stderr) == (2, "corpus.path=s3://nowhere/a.txt: no such bucket: nowhere.\n")


def test_a_run_on_a_bucket_is_that_on_the_files(s3, tmp_path, command):
    """A text of the same words has the same fingerprint."""
    text = TEXT[: TEXT.index(b"\n", 20_000)]
    (tmp_path / "text.txt").write_bytes(text)
    s3.put_object(Bucket="texts", Key="run/text.txt", Body=text)
    remote._listings.clear()
    recorded = []
    for path in (tmp_path / "text.txt", "s3://texts/run/text.txt"):
        done = command(
            "corpus=file", f"corpus.path={path}", "tokenizer=whitespace", "labels=counts", "epochs=2", "dim=3",
            "tracking=none", "explorer=none", "checkpoint=none", f"hydra.run.dir={tmp_path}/{len(recorded)}",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        recorded.append((tmp_path / f"{len(recorded)}/artifacts/embeddings.npz").read_bytes())
    assert recorded[0] == recorded[1]


# ---------------------------------------------------------------- the Hub of Hugging Face

COMMIT = "c" * 40
_requests = []


class _Hub(Quiet, BaseHTTPRequestHandler):
    """The requests of `HfFileSystem` for one data set, ``org/texts``, whose only branch is ``main``."""

    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 20

    def do_GET(self):
        _requests.append(self.path)
        path, _, query = self.path.partition("?")
        path = unquote(path)
        repository = "/datasets/org/texts"
        if re.fullmatch(rf"/api{repository}(/revision/(main|{COMMIT}))?", path):
            self._send(json.dumps({"id": "org/texts", "sha": COMMIT, "siblings": []}).encode())
        elif found := re.fullmatch(rf"/api{repository}/tree/{COMMIT}/?(.*)", path):
            self._tree(found[1], is_deep="recursive=true" in query.lower())
        elif found := re.fullmatch(rf"{repository}/resolve/{COMMIT}/(.*)", path):
            start, stop = map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"]).groups())
            self._send(FILES[found[1]][start : stop + 1], 206)
        else:
            self._send(b"{}", 404, X_Error_Code="RepoNotFound")

    def _tree(self, folder, *, is_deep):
        prefix, entries = f"{folder}/" if folder else "", {}
        for name, content in FILES.items():
            if name.startswith(prefix):
                inner = name.removeprefix(prefix).split("/")
                for depth in range(1, len(inner)):
                    place = prefix + "/".join(inner[:depth])
                    entries[place] = {"type": "directory", "oid": "d" * 40, "size": 0, "path": place}
                digest = hashlib.sha1(content).hexdigest()
                entries[name] = {"type": "file", "oid": digest, "size": len(content), "path": name}
        kept = [entry for place, entry in entries.items() if is_deep or "/" not in place.removeprefix(prefix)]
        if kept:
            self._send(json.dumps(kept).encode())
        else:
            self._send(b"{}", 404, X_Error_Code="EntryNotFound")

    def _send(self, body, status=200, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def hub():
    """Let `hf://` addresses lead to a server on this machine."""
    constants = pytest.importorskip("huggingface_hub.constants")
    with running(QuietServer(_Hub)) as server, pytest.MonkeyPatch.context() as patch:
        address = server.url  # HF_ENDPOINT is read when the package is imported
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, address)
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        patch.setattr(constants, "ENDPOINT", address)
        with environment():
            yield "hf://datasets/org/texts"


def test_a_data_set_of_the_hub_is_read_as_a_folder_is_at_its_present_commit(hub, tmp_path):
    check_as_local(hub, tmp_path)
    assert read(f"{hub}@main/year/1790/a.txt") == FILES["year/1790/a.txt"]
    corpus = FileCorpus(f"{hub}/year/**/*.txt")
    _requests.clear()
    assert len([*corpus.texts()]) == len(_requests) == 5  # one for each file
    (file,) = find_remote(f"{hub}@main/year/1790/a.txt").files
    assert (str(file), COMMIT in file.path) == (f"{hub}@main/year/1790/a.txt", True)
    assert file.version == hashlib.sha1(FILES["year/1790/a.txt"]).hexdigest()


@pytest.mark.parametrize("path", ["none.txt", "none/*.txt", "../none/a.txt", "@branch/a.txt"])
def test_what_the_hub_does_not_have_may_be_private(hub, path):
    address = (
        f"hf://datasets/org/none/{path[3:]}" if path.startswith("..") else f"{hub}/{path}".replace("/@", "@")
    )
    with pytest.raises(SettingError, match=r"no such file or folder \(or it is private\)\. Set HF_TOKEN"):
        FileCorpus(address)


# ---------------------------------------------------------------- Google Cloud Storage


@pytest.mark.second_tier
def test_a_bucket_of_google_is_read_as_a_folder_is(tmp_path, monkeypatch):
    pytest.importorskip("gcsfs", reason="needs the extra gs")
    emulator = pytest.importorskip("gcp_storage_emulator.server", reason="needs gcp-storage-emulator")
    server = emulator.create_server("127.0.0.1", 0, in_memory=True, default_bucket="texts")
    server.start()
    try:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server._api._httpd.server_port}")
        for name, content in FILES.items():
            remote._filesystem("gs://texts").pipe(f"texts/{name}", content)
        check_as_local("gs://texts", tmp_path)
        check_as_local("gcs://texts", tmp_path)
        for path in ("nowhere/a.txt", "nowhere/*.txt"):
            with pytest.raises(SettingError, match="no such bucket: nowhere"):
                FileCorpus(f"gs://{path}")
        (file,) = find_remote("gs://texts/text.txt").files
        remote._filesystem("gs://texts").pipe("texts/text.txt", TEXT.upper())
        with pytest.raises(CorpusError, match="has changed since"), file.open("rb") as stream:
            stream.read()
    finally:
        server.stop()

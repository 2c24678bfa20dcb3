"""Texts of web servers: addresses, folders and globs; faults of servers and connections."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import tarfile
import zipfile
from collections import Counter

import pytest
from faulty_server import answering, resetting
from hypothesis import given
from hypothesis import strategies as st

from w2v_exp.errors import CorpusError, SettingError
from w2v_exp.text import remote, web
from w2v_exp.text.cache import TextCache, encode_cached
from w2v_exp.text.corpus import FileCorpus
from w2v_exp.text.damage import Damage
from w2v_exp.text.remote import RemoteError, RemoteFile, find_remote
from w2v_exp.text.size import estimated_bytes
from w2v_exp.text.tokenizers import WhitespaceTokenizer
from w2v_exp.text.vocabulary import VocabularyRule

TEXT = "".join(f"line {i} of a text with ä word or two\n" for i in range(20_000)).encode()


def read(address):
    return "".join(FileCorpus(address).chunks()).encode()


def ranges(web_server):
    return [part for method, _, part in web_server.requests if method == "GET"]


# ---------------------------------------------------------------- what is found


def test_a_file_is_read_in_one_request_behind_that_for_its_size(web_server):
    web_server.files["/a.txt"] = TEXT
    assert read(f"{web_server.url}/a.txt") == TEXT
    assert [method for method, *_ in web_server.requests] == ["HEAD", "GET"]


def test_a_folder_and_globs_find_what_they_find_of_local_files(web_server, tmp_path):
    names = ["a.txt", "b/c.txt", "b/d.md", "b/e/f.txt", "b/e/.hidden", "b/x~", ".git/y.txt", "z ü.txt"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"the words of {name}\n")
        web_server.files[f"/texts/{name.replace(' ', '%20').replace('ü', '%C3%BC')}"] = (
            f"the words of {name}\n".encode()
        )
    for glob in [
        "",
        "*",
        "**",
        "*.txt",
        "**/*.txt",
        "b/*",
        "*/*.txt",
        "**/e/*",
        "b/**/f.txt",
        "**/.hidden",
        "*/x~",
    ]:
        local, far = FileCorpus(f"{tmp_path}/{glob}"), FileCorpus(f"{web_server.url}/texts/{glob}")
        assert [text.name for text in far.texts()] == [text.name for text in local.texts()], glob
        assert [*far.chunks()] == [*local.chunks()], glob
        assert far.segment_end == local.segment_end


@pytest.mark.parametrize("name", ["x.gz", "x.bz2", "x.xz", "x.zip", "x.tar"])
def test_compressed_files_and_archives_are_read_as_local_ones(web_server, tmp_path, name):
    file = tmp_path / name
    if name == "x.zip":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("one.txt", TEXT)
            archive.writestr("two.txt", "the end")
    elif name == "x.tar":
        with tarfile.open(file, "w") as archive:
            member = tarfile.TarInfo("one.txt")
            member.size = len(TEXT)
            archive.addfile(member, io.BytesIO(TEXT))
    else:
        pack = {"x.gz": gzip.compress, "x.bz2": bz2.compress, "x.xz": lzma.compress}[name]
        file.write_bytes(pack(TEXT))
    web_server.files[f"/{name}"] = file.read_bytes()
    for boundaries in ("none", "document"):
        local = FileCorpus(str(file), boundaries=boundaries)
        far = FileCorpus(f"{web_server.url}/{name}", boundaries=boundaries)
        assert [*far.chunks()] == [*local.chunks()]
        assert far.segment_end == local.segment_end
        assert [text.name for text in far.texts()] == [text.name for text in local.texts()]


def test_a_redirect_is_followed(web_server):
    web_server.files["/a.txt"] = web_server.files["/elsewhere.txt"] = TEXT
    web_server.faults.append(answering(302, Location=f"{web_server.url}/elsewhere.txt"))
    assert read(f"{web_server.url}/a.txt") == TEXT


def test_the_proxy_of_the_environment_is_used(web_server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", web_server.url)
    monkeypatch.setenv("NO_PROXY", "")
    web_server.files["http://no.such.host/a.txt"] = TEXT
    assert read("http://no.such.host/a.txt") == TEXT


def test_a_server_that_refuses_heads_is_asked_for_the_file(web_server):
    web_server.has_heads = False
    web_server.files["/a.txt"] = TEXT
    (file,) = FileCorpus(f"{web_server.url}/a.txt").files()
    assert file.size == len(TEXT)
    assert file.version == '"one"'
    assert read(f"{web_server.url}/a.txt") == TEXT


def test_an_address_is_looked_up_once(web_server):
    web_server.files["/a.txt"] = TEXT
    for _ in range(3):
        corpus = FileCorpus(f"{web_server.url}/a.txt", boundaries="document")
        assert corpus.segment_end == "blank line"
        assert len(corpus.files()) == 1
    assert [method for method, *_ in web_server.requests].count("HEAD") == 1


def test_names_below_a_folder_need_no_request(web_server):
    """Each task that counts a part of the files has them."""
    web_server.files["/t/a.txt"] = TEXT
    corpora = [FileCorpus(f"{web_server.url}/t/"), FileCorpus(f"{web_server.url}/t/*.txt")]
    (file,) = corpora[0].files()
    remote._listings.clear()
    web_server.requests.clear()
    for corpus in corpora:
        assert [text.name for text in corpus.texts_of([file], Damage(), Counter())] == ["a.txt"]
    assert [method for method, *_ in web_server.requests] == ["GET"] * 2


def test_skipped_files_are_counted_anew_in_each_reading(web_server):
    web_server.files["/texts/a.txt"] = web_server.files["/texts/.b"] = b"words"
    found = find_remote(f"{web_server.url}/texts/")
    found.skipped["more"] += 1
    assert find_remote(f"{web_server.url}/texts/").skipped == {"hidden files and folders": 1}


def test_a_file_can_be_sent_to_another_process(web_server):
    web_server.files["/a.txt"] = TEXT
    (file,) = FileCorpus(f"{web_server.url}/a.txt").files()
    assert pickle.loads(pickle.dumps(file)) == file
    with pickle.loads(pickle.dumps(file)).open("rb") as stream:
        assert stream.read() == TEXT


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 500)), max_size=8))
def test_a_file_can_be_read_from_any_position(one_web_server, steps):
    one_web_server.reset()
    content = bytes(i % 251 for i in range(2500))
    one_web_server.files["/a"] = content
    (file,) = find_remote(f"{one_web_server.url}/a").files
    with file.open("rb") as stream:
        assert stream.seekable()
        for position, count in steps:
            assert stream.seek(position) == position
            assert stream.read(count) == content[position : position + count]
        assert stream.seek(-10, io.SEEK_END) == 2490
        assert stream.read() == content[-10:]


# ---------------------------------------------------------------- faults


def test_a_connection_that_breaks_is_resumed_at_its_byte(web_server):
    web_server.files["/a.txt"] = TEXT
    web_server.faults += [100_000, 200_000]
    assert read(f"{web_server.url}/a.txt") == TEXT
    assert ranges(web_server) == ["", "bytes=100000-", "bytes=300000-"]


def test_without_ranges_the_file_is_begun_again_and_read_to_the_place(web_server):
    web_server.has_ranges = False
    web_server.files["/a.txt"] = TEXT
    web_server.faults += [100_000, 200_000, 50_000]
    assert read(f"{web_server.url}/a.txt") == TEXT
    assert len(ranges(web_server)) == 4


@pytest.mark.parametrize("has_ranges", [True, False])
def test_a_format_is_recognised_although_its_first_bytes_come_alone(web_server, has_ranges):
    web_server.has_ranges = has_ranges
    web_server.files["/a"] = gzip.compress(TEXT)
    web_server.faults += [1, 2]
    assert read(f"{web_server.url}/a") == TEXT


@given(
    faults=st.lists(
        st.integers(0, 9_000) | st.sampled_from([answering(503), answering(429), resetting]), max_size=12
    ),
    has_ranges=st.booleans(),
    has_sizes=st.booleans(),
    is_packed=st.booleans(),
)
def test_any_sequence_of_faults_gives_the_text_or_an_error(
    one_web_server, faults, has_ranges, has_sizes, is_packed
):
    """An error only if there are more of them than a request is repeated."""
    one_web_server.reset()
    text = TEXT[:7_900]
    one_web_server.has_ranges, one_web_server.has_sizes = has_ranges, has_sizes
    one_web_server.files["/a"] = gzip.compress(text, mtime=0) if is_packed else text
    one_web_server.faults += faults
    try:
        assert read(f"{one_web_server.url}/a") == text
    except (RemoteError, SettingError):  # of reading, of the lookup
        assert len(faults) > web.RETRIES


def test_statuses_that_pass_are_tried_again(web_server):
    web_server.files["/a.txt"] = TEXT
    web_server.faults += [answering(503, Retry_After="3600"), answering(429), 1000, answering(500)]
    assert read(f"{web_server.url}/a.txt") == TEXT


def test_a_server_that_stays_down_is_given_up(web_server):
    web_server.files["/a.txt"] = TEXT
    web_server.faults += [answering(503)] * 20
    with pytest.raises(
        CorpusError, match=r"a.txt cannot be read: the server answers 503 Service Unavailable\."
    ):
        read(f"{web_server.url}/a.txt")
    assert len(ranges(web_server)) == web.RETRIES + 1


def test_a_length_that_the_file_does_not_have_is_an_error(web_server):
    web_server.files["/a.txt"] = TEXT
    (file,) = find_remote(f"{web_server.url}/a.txt").files
    web_server.files["/a.txt"] = TEXT[:-1]
    with pytest.raises(CorpusError, match="has changed since"), file.open("rb") as stream:
        stream.read()


def test_an_announced_length_that_is_never_sent_is_an_error(web_server):
    web_server.files["/a.txt"] = TEXT
    web_server.faults += [len(TEXT) - 10, 0, 0, 0, 0, 0]
    with pytest.raises(CorpusError, match=r"a\.txt cannot be read: "):
        read(f"{web_server.url}/a.txt")


@pytest.mark.parametrize("header", ["ETag", "Last-Modified"])
@pytest.mark.parametrize("has_ranges", [True, False])
def test_a_file_that_changes_while_it_is_read_is_an_error(web_server, header, has_ranges):
    web_server.has_ranges = has_ranges
    web_server.headers = {header: "Sun, 29 Nov 2026 16:00:00 GMT"}
    web_server.files["/a.txt"] = TEXT

    def change(_):
        web_server.headers = {header: "Sun, 29 Nov 2026 16:00:01 GMT"}
        web_server.files["/a.txt"] = TEXT.upper()
        return False

    web_server.faults += [300_000, change]
    with pytest.raises(CorpusError, match=r"has changed since it was listed\. Run the same command again"):
        read(f"{web_server.url}/a.txt")
    assert read(f"{web_server.url}/a.txt") == TEXT.upper()  # it is listed again


def test_a_file_that_vanishes_is_an_error(web_server):
    web_server.files["/a.txt"] = TEXT
    (file,) = find_remote(f"{web_server.url}/a.txt").files
    web_server.files.clear()
    with pytest.raises(CorpusError, match="no such file"), file.open("rb") as stream:
        stream.read()


def test_another_part_than_requested_is_an_error(web_server):
    def wrong(handler):
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 5-9/{len(TEXT)}")
        handler.send_header("Content-Length", "5")
        handler.end_headers()
        handler.wfile.write(TEXT[5:10])
        return True

    web_server.files["/a.txt"] = TEXT
    web_server.faults += [1000, wrong]
    with pytest.raises(CorpusError, match="another part than requested"):
        read(f"{web_server.url}/a.txt")


def test_a_file_without_any_length_is_refused(web_server):
    def until_closed(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(TEXT)
        handler.close_connection = True
        return True

    web_server.has_heads = False
    web_server.files["/a.txt"] = TEXT
    web_server.faults += [until_closed] * 2
    with pytest.raises(CorpusError, match=r"sends no size.* Download the file"):
        read(f"{web_server.url}/a.txt")


def test_a_file_in_chunks_is_read_although_its_size_is_unknown(web_server):
    web_server.has_sizes = False
    web_server.files["/a.txt"] = TEXT
    (file,) = FileCorpus(f"{web_server.url}/a.txt").files()
    assert file.size is None
    web_server.faults += [400_000]
    assert read(f"{web_server.url}/a.txt") == TEXT


# ---------------------------------------------------------------- mistakes and secrets


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/none.txt", "no such file or folder"),
        ("/none/", "no such file or folder"),
        ("/texts/*.md", "no file matches this glob"),
        ("/texts/a.txt/", "no such file or folder"),
    ],
)
def test_files_that_are_not_there(web_server, path, problem):
    web_server.files["/texts/a.txt"] = b"words"
    with pytest.raises(SettingError, match=problem):
        FileCorpus(f"{web_server.url}{path}")


@pytest.mark.parametrize(
    "address", ["az://bucket/a.txt", "ftp://host/*.txt", "S3://bucket/a", "file:///a.txt"]
)
def test_other_addresses_are_refused_with_those_that_are_read(address):
    with pytest.raises(
        SettingError, match=r"no such file; addresses begin with s3://, gs://, hf://, https://"
    ):
        FileCorpus(address)


@pytest.mark.parametrize("status", [401, 403])
def test_denied_access_names_where_a_password_belongs(web_server, status):
    web_server.has_heads = False
    web_server.files["/a.txt"] = b"words"
    web_server.faults += [answering(status)]
    with pytest.raises(SettingError, match=rf"access is denied \({status}\).*netrc"):
        FileCorpus(f"{web_server.url}/a.txt")


@pytest.mark.parametrize(
    "address",
    [
        "https://user:geheim@host/a.txt",
        "https://geheim@host/a.txt",
        "https://user:pa/geheim@host/a.txt",
        "https://host/a.txt?X-Amz-Signature=geheim&x=1",
        "https://host/a.txt?sv=2024&sig=geheim",
        "https://host/*.txt?token=geheim",
        "s3://KEY:geheim@bucket/a.txt",
        "s3://KEY:ge/geheim@bucket/a.txt",
        "gs://bucket/a.txt?access_token=geheim",
        "hf://user:geheim@datasets/a/b",
        "HTTPS://user:geheim@host/a.txt",
        "ftp://user:geheim@host/*.txt",
        "https://user:geheim@[host/a.txt",
    ],
)
def test_an_address_with_a_secret_is_refused_without_showing_it(address):
    with pytest.raises(SettingError, match="must not hold a password or token") as caught:
        FileCorpus(address)
    assert "geheim" not in str(caught.value)


@given(st.sampled_from(["s3", "gs", "hf", "http", "https"]), st.text(st.characters(exclude_characters="/@")))
def test_any_password_is_refused_without_showing_it(scheme, password):
    """Also one of characters that make the address invalid."""
    with pytest.raises(SettingError) as caught:
        FileCorpus(f"{scheme}://user:geheim{password}@host/a.txt")
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("address", ["http://[::1/a.txt", "https://host:port/a.txt", "s3://bu[cket/a.txt"])
def test_an_invalid_address_is_a_mistake(address):
    with pytest.raises(SettingError, match="is not an address: server or port are not valid"):
        FileCorpus(address)


def test_a_link_that_leads_nowhere_is_named(web_server):
    web_server.files |= {"/t/a.txt": TEXT, "/t/b.txt": TEXT}
    web_server.has_heads = False
    web_server.faults += [answering(404)]
    with pytest.raises(SettingError, match=r"path=http://.*/t/[ab]\.txt: no such file or folder"):
        FileCorpus(f"{web_server.url}/t/")


def test_an_at_in_the_path_is_no_secret(web_server):
    web_server.files["/package@1.2/a.txt"] = TEXT
    assert read(f"{web_server.url}/package@1.2/a.txt?download=true") == TEXT


def test_a_signed_address_behind_a_redirect_is_not_shown(web_server):
    web_server.files["/a.txt"] = TEXT
    signed = "http://127.0.0.1:9/a.txt?X-Amz-Signature=geheim"
    web_server.has_heads = False
    web_server.faults += [answering(302, Location=signed)]
    with pytest.raises(SettingError, match="cannot be reached") as caught:
        FileCorpus(f"{web_server.url}/a.txt")
    assert "geheim" not in str(caught.value)


def test_names_and_titles_are_decoded():
    file = RemoteFile("https://host/texts/a%20b/c%C3%A9.txt?download=true")
    assert file.name == "cé.txt"
    assert file.suffix == ".txt"


@pytest.mark.parametrize("sweeps", [False, True])
def test_a_secret_in_an_address_is_written_nowhere(tmp_path, command, sweeps):
    """Not in the message, and no run begins."""
    paths = "corpus.path=https://user:geheim@host/a.txt,https://host/b.txt" if sweeps else None
    done = command(
        "corpus=file", paths or "corpus.path=https://host/a.txt?sig=geheim", *(["-m"] if sweeps else [])
    )
    assert done.returncode == 2
    assert "must not hold a password or token" in done.stderr
    assert "geheim" not in done.stdout + done.stderr
    assert not [*tmp_path.rglob("journal.jsonl")]


def test_mistakes_end_the_command_with_one_line(web_server, tmp_path, command):
    web_server.files["/a.txt"] = TEXT
    for path, problem in [("none.txt", "no such file or folder."), ("*.md", "no file matches this glob.")]:
        done = command("experiment=my_text", f"corpus.path={web_server.url}/{path}")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"corpus.path={web_server.url}/{path}: {problem}\n"
    done = command("experiment=my_text", "corpus.path=http://127.0.0.1:9/a.txt")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "the server cannot be reached: Connection refused." in done.stderr
    done = command(f"corpus={web_server.url}/a.txt")
    assert f"To train on this path: corpus=file corpus.path={web_server.url}/a.txt." in done.stderr


def test_a_text_that_breaks_off_ends_a_run_with_one_line(web_server, command):
    web_server.files["/a.txt"] = TEXT
    web_server.faults += [1000, *[0] * 20]
    done = command("corpus=file", f"corpus.path={web_server.url}/a.txt", "tracking=none")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"{web_server.url}/a.txt cannot be read: " in done.stderr


def test_a_text_without_version_is_encoded_each_time(web_server, tmp_path, monkeypatch):
    """Its change could not be recognised."""
    monkeypatch.setattr("w2v_exp.text.cache.SMALLEST_CACHED", 1)
    web_server.headers = {}
    cache = TextCache(str(tmp_path / "cache"))
    for text in (b"one two three", b"six seven eig"):
        web_server.files["/a.txt"] = text
        remote._listings.clear()
        encoded = encode_cached(
            FileCorpus(f"{web_server.url}/a.txt"), WhitespaceTokenizer(), VocabularyRule(), cache
        )
        assert sorted(encoded.vocabulary.words) == sorted(text.decode().split())
    assert cache.entries() == []
    web_server.headers = {"Last-Modified": "Sun, 29 Nov 2026 16:00:00 GMT"}
    remote._listings.clear()
    encode_cached(FileCorpus(f"{web_server.url}/a.txt"), WhitespaceTokenizer(), VocabularyRule(), cache)
    assert len(cache.entries()) == 1


def test_the_size_of_a_text_is_estimated_from_its_largest_files(web_server):
    packed = gzip.compress(TEXT)
    web_server.files = {f"/t/{i}.txt.gz": packed for i in range(9)} | {"/t/a.txt": b"words"}
    size = estimated_bytes(FileCorpus(f"{web_server.url}/t/"))
    assert size == pytest.approx(9 * 2.7 * len(packed), rel=1e-3)
    assert len(ranges(web_server)) == 4  # the folder and three files
    web_server.has_sizes = False
    remote._listings.clear()
    assert estimated_bytes(FileCorpus(f"{web_server.url}/t/")) is None

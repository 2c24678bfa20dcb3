"""The files of a folder and of a glob: the same for the same meaning, each once, nothing left out silently."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from properties import examples
from test_corpus import zipped

from w2v_exp.errors import CorpusError, SettingError
from w2v_exp.text.corpus import FileCorpus
from w2v_exp.text.file_search import AGAIN, BACKUP, BROKEN, HIDDEN, OTHER, find_files


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(*files: str) -> None:
    for name in files:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(f"{name}\n")


def link(name: str, target: str) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).symlink_to(target)


def found(path: str) -> list[str]:
    return [str(file) for file in find_files(Path(path)).files]


def skipped(path: str) -> dict[str, int]:
    return dict(find_files(Path(path)).skipped)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("path", ["books", "books/**", "books/**/*", "books/**/*.txt", "**/*.txt", "b*/**"])
def test_linked_files_and_folders_are_found_however_they_are_named(path):
    make("books/a.txt", "store/1999/b.txt", "store/c.txt", "store/1999/deep/d.txt")
    link("books/1999", "../store/1999")
    link("books/c.txt", "../store/c.txt")
    expected = ["books/1999/b.txt", "books/1999/deep/d.txt", "books/a.txt", "books/c.txt"]
    if path.startswith("**"):  # then the same files are found without a link
        expected = ["books/a.txt", "store/1999/b.txt", "store/1999/deep/d.txt", "store/c.txt"]
    assert found(path) == expected


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "path", ["loop", "loop/**", "loop/**/*.txt", "loop/*/**/*.txt", "**/**/*.txt", "**/*/*"]
)
def test_each_file_is_read_once_whatever_leads_to_it(path):
    make("loop/b/a.txt")
    link("loop/self", ".")
    link("loop/a", "b")  # before the folder that it leads to
    link("loop/b/up", "../..")
    link("loop/b/again.txt", "a.txt")
    link("loop/b/self", "../self/b/../self")
    assert found(path) == ["loop/b/a.txt"]


@pytest.mark.usefixtures("folder")
def test_many_links_to_their_own_folder_take_no_time():
    make("loop/a.txt")
    for number in range(30):  # 30⁴⁰ paths, for who follows them all
        link(f"loop/{number}", ".")
    assert found("loop/**/*.txt") == found("loop") == ["loop/a.txt"]
    assert found("loop/*/*/*/*/a.txt") == ["loop/0/0/0/0/a.txt"]
    assert skipped("loop") == {AGAIN: 30}


@pytest.mark.usefixtures("folder")
def test_what_is_skipped_is_counted():
    make(
        "f/a.txt",
        "f/.git/config",
        "f/.b.txt",
        "f/c.txt~",
        "f/#d.txt#",
        "f/__MACOSX/._a",
        "f/lost+found/x",
        "f/Thumbs.db",
    )
    link("f/broken", "nowhere")
    link("f/circle", "circle")
    link("f/twice.txt", "a.txt")
    os.mkfifo("f/pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("f/socket")
    expected = {HIDDEN: 5, BACKUP: 2, BROKEN: 2, AGAIN: 1, OTHER: 2}
    assert found("f") == ["f/a.txt"]
    assert skipped("f") == skipped("f/**") == skipped("f/*") == expected


@pytest.mark.usefixtures("folder")
def test_hidden_files_and_backups_are_read_where_the_path_asks_for_them():
    make("f/.a/b.txt", "f/.a/.c.txt", "f/d.txt~", "f/e.txt")
    assert found("f/.*/*") == ["f/.a/b.txt"]
    assert found("f/.a/.*") == ["f/.a/.c.txt"]
    assert found("f/.a") == ["f/.a/b.txt"]
    assert found("f/*~") == ["f/d.txt~"]
    assert FileCorpus("f/d.txt~").files() == [Path("f/d.txt~")]


@pytest.mark.usefixtures("folder")
def test_names_with_the_characters_of_globs_are_found():
    make("data[1]/a.txt", "data[1]/b?.txt", "x/data2/c.txt")
    assert found("data[1]/*.txt") == ["data[1]/a.txt", "data[1]/b?.txt"]
    assert found("data[1]") == ["data[1]/a.txt", "data[1]/b?.txt"]
    make("data1/d.txt")
    assert found("data[1]/*.txt") == ["data1/d.txt"]  # a class of characters, where it matches
    assert found("data[[]1]/*") == ["data[1]/a.txt", "data[1]/b?.txt"]


@pytest.mark.usefixtures("folder")
def test_names_that_are_not_utf_8_are_read():
    make("f/a.txt")
    Path(os.fsdecode(b"f/caf\xe9.txt")).write_text("word")
    corpus = FileCorpus("f/*.txt")
    assert [os.fsencode(file) for file in corpus.files()] == [b"f/a.txt", b"f/caf\xe9.txt"]
    assert "".join(corpus.chunks()).split() == ["f/a.txt", "word"]


NAMES = st.sampled_from(
    ["a.txt", "b.md", "c", ".d.txt", "e~", "f/a.txt", "f/g/b.md", ".h/c", "f/.i/a.txt", "j/a.txt"]
)
LINKS = st.tuples(
    st.sampled_from(["k", "f/k", "j/k.txt", "0"]),
    st.sampled_from(["f", ".", "..", "f/g", "a.txt", "no", "k"]),
)


@property_settings(deadline=None, max_examples=examples(60))
@given(files=st.sets(NAMES, min_size=1), links=st.lists(LINKS, max_size=3))
def test_a_folder_is_its_glob_and_holds_what_a_walk_along_all_links_holds(tmp_path_factory, files, links):
    base = tmp_path_factory.mktemp("search")
    for name in files:
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text(name)
    for name, target in links:
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(base / name):
            (base / name).symlink_to(target)
    walked: set[str] = set()
    real_folders: set[str] = set()

    def walk(path: str) -> None:
        if os.path.realpath(path) in real_folders:
            return
        real_folders.add(os.path.realpath(path))
        for entry in os.scandir(path):
            if entry.name.startswith(".") or entry.name.endswith("~"):
                continue
            if Path(entry.path).is_dir():
                walk(entry.path)
            elif Path(entry.path).is_file():
                walked.add(os.path.realpath(entry.path))

    walk(str(base))
    as_folder, as_glob = find_files(base), find_files(base / "**" / "*")
    assert as_folder.files == sorted(as_folder.files) == as_glob.files
    assert {os.path.realpath(file) for file in as_folder.files} == walked
    assert len(as_folder.files) == len(walked)
    texts = find_files(base / "**" / "*.txt").files
    assert {os.path.realpath(file) for file in texts} == {file for file in walked if file.endswith(".txt")}


def test_a_folder_below_that_may_not_be_listed_is_an_error(folder):
    from test_corpus import an_ordinary_user, shut_out

    make("f/a.txt", "f/shut/b.txt")
    shut_out(folder / "f/shut", 0o000)
    try:
        for path in (folder / "f", folder / "f/**/*.txt", folder / "f/*/b.txt"):
            with (
                an_ordinary_user(),
                pytest.raises(SettingError, match=r"cannot be looked up: .*shut.*Permission denied"),
            ):
                FileCorpus(str(path))
    finally:
        (folder / "f/shut").chmod(0o700)


@pytest.mark.usefixtures("folder")
def test_a_file_that_vanishes_or_is_no_text_is_named():
    make("f/a.txt", "f/b.txt")
    corpus = FileCorpus("f")
    chunks = corpus.chunks()
    Path("f/c.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    with pytest.raises(CorpusError, match=r"^f/c\.png is not UTF-8"):
        list(corpus.chunks())
    Path("f/c.png").write_bytes(b"PNG\0")
    with pytest.raises(CorpusError, match=r"^f/c\.png is not text: it has NUL bytes"):
        list(corpus.chunks())
    Path("f/c.png").unlink()
    texts = corpus.texts()
    first = next(texts)
    Path("f/b.txt").unlink()
    with pytest.raises(CorpusError, match=r"^f/b\.txt cannot be read: .*No such file"):
        list(first)
    assert list(chunks) == ["f/a.txt\n"]  # files are listed when reading begins


UNREADABLE = {
    "f/a.pdf": (b"%PDF-1.7", "is a PDF document"),
    "f/b.jpg": (b"\xff\xd8\xff\xe0\0\x10JFIF", "is not UTF-8 (byte 0xff: invalid start byte)"),
    "f/c.bin": (b"word \0\0", "is not text: it has NUL bytes"),
    "f/d.zip": (zipped(mimetype=b"application/epub+zip"), "is an e-book or OpenDocument file"),
    "f/e.text": ("caf\u00e9 noir".encode("latin-1"), "is not UTF-8"),
}


def unreadable(*names):
    for name in names:
        Path(name).write_bytes(UNREADABLE[name][0])


@pytest.mark.parametrize("path", ["f", "f/**", "f/*"])
@pytest.mark.usefixtures("folder")
def test_files_that_are_no_text_are_listed_before_any_is_read(path):
    make("f/0.txt", "f/sub/1.txt")
    names = [*UNREADABLE]
    unreadable(*names)
    with pytest.raises(CorpusError) as refusal:
        next(FileCorpus(path).chunks())
    listed = "; ".join(f"{name} {UNREADABLE[name][1]}" for name in names[:3])
    remedy = {"f": "f/**/*.txt", "f/**": "f/**/*.txt", "f/*": "f/*.txt"}[path]
    assert str(refusal.value) == (
        f"corpus.path={path}: 5 files cannot be read: {listed}; 2 more. Convert them to UTF-8 text, "
        "or skip them: corpus.on_error=skip. "
        f"Exclude files that are not text by a glob: corpus.path='{remedy}'."
    )
    assert list(FileCorpus(remedy).chunks())


@pytest.mark.parametrize("name", UNREADABLE)
@pytest.mark.usefixtures("folder")
def test_a_single_file_that_is_no_text_is_named_with_the_path_in_its_remedy(name):
    make("f/0.txt")
    unreadable(name)
    with pytest.raises(CorpusError) as refusal:
        next(FileCorpus("f").chunks())
    message = str(refusal.value)
    assert message.startswith(f"{name} {UNREADABLE[name][1]}")
    assert message.endswith(" by a glob: corpus.path='f/**/*.txt'.")


@pytest.mark.usefixtures("folder")
def test_no_glob_is_proposed_for_the_suffix_of_a_file_that_is_no_text():
    make("f/0.text")
    unreadable("f/e.text")
    with pytest.raises(CorpusError, match=r"^f/e\.text is not UTF-8 .* -t UTF-8\.$"):
        next(FileCorpus("f").chunks())


@pytest.mark.usefixtures("folder")
def test_nul_bytes_behind_the_beginning_are_found_with_the_path_in_the_remedy():
    make("f/0.txt")
    Path("f/a.bin").write_bytes(b"word " * 9999 + b"\0")
    with pytest.raises(CorpusError, match=r"^f/a\.bin is not text: .* corpus\.path='f/\*\*/\*\.txt'\.$"):
        list(FileCorpus("f").chunks())


@pytest.mark.usefixtures("folder")
def test_the_beginnings_of_a_bounded_number_of_files_are_checked(monkeypatch):
    make("f/0.txt")
    unreadable("f/a.pdf", "f/b.jpg")
    monkeypatch.setattr("w2v_exp.text.corpus._LOOKED_AT", 2)
    with pytest.raises(CorpusError, match=r"^f/a\.pdf is a PDF"):
        next(FileCorpus("f").chunks())


@pytest.mark.usefixtures("folder")
def test_a_character_at_the_end_of_the_beginning_is_not_taken_for_damage():
    make("f/0.txt")
    text = "x " * 4095 + "x\u20ac \u00e9"  # the euro sign lies across byte 8,192
    Path("f/a.txt").write_text(text, encoding="utf-8")
    assert "".join(FileCorpus("f").chunks()) == f"f/0.txt\n{text}"


@pytest.mark.usefixtures("folder")
def test_what_is_skipped_is_printed_once(capsys):
    make("f/a.txt", "f/.b.txt")
    corpus = FileCorpus("f")
    assert list(corpus.chunks()) == list(corpus.chunks()) == ["f/a.txt\n"]
    assert capsys.readouterr().err == "corpus.path=f: skipped: hidden files and folders (1).\n"

"""Compressed files and archives: recognised by content, read in bounded memory, never fewer words without an error."""

from __future__ import annotations

import base64
import bz2
import gc
import gzip
import io
import lzma
import struct
import tarfile
import tracemalloc
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from w2v_exp import compression
from w2v_exp.errors import CorpusError
from w2v_exp.text.corpus import FileCorpus
from w2v_exp.text.encoding import encode_text
from w2v_exp.text.tokenizers import WhitespaceTokenizer
from w2v_exp.text.vocabulary import VocabularyRule

TEXTS = {"b/one.txt": b"alpha beta\n\ngamma", "b/two.txt": b"delta\n", "b.txt": b"epsilon"}
IN_ORDER = "alpha beta\n\ngamma\ndelta\nepsilon"
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda content: lzma.compress(content, lzma.FORMAT_ALONE),
    "zst": lambda content: pa.compress(content, codec="zstd", asbytes=True),
}


def zipped(texts: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in texts.items():
            archive.writestr(name, content)
    return stream.getvalue()


def tarred(texts: dict[str, bytes], format: int = tarfile.PAX_FORMAT, **others: bytes) -> bytes:
    """Return a tar archive of texts, and of members of other types, by name."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=format) as archive:
        for name, content in texts.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, kind in others.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "b/one.txt"
            archive.addfile(member)
    return stream.getvalue()


def read(file: Path) -> str:
    return "".join(FileCorpus(str(file)).chunks())


def written(file: Path, content: bytes) -> Path:
    file.write_bytes(content)
    return file


@pytest.mark.parametrize("name", ["text.txt", "text", "text.gz", "text.zip", "text.tar"])
@pytest.mark.parametrize("packed", COMPRESS)
def test_a_format_is_known_by_content_whatever_the_name(tmp_path, name, packed):
    assert read(written(tmp_path / name, COMPRESS[packed](b"some words"))) == "some words"
    assert read(written(tmp_path / name, COMPRESS[packed](tarred(TEXTS)))) == IN_ORDER


@pytest.mark.parametrize(
    "content",
    [
        zipped(TEXTS),
        zipped(TEXTS, zipfile.ZIP_LZMA),
        tarred(TEXTS),
        tarred(TEXTS, tarfile.GNU_FORMAT),
        tarred(TEXTS, tarfile.USTAR_FORMAT),
    ],
)
@pytest.mark.parametrize("name", ["archive.txt", "archive.gz"])
def test_members_of_an_archive_are_documents(tmp_path, name, content):
    file = written(tmp_path / name, content)
    assert read(file) == IN_ORDER
    text = encode_text(FileCorpus(str(file), "document"), WhitespaceTokenizer(), VocabularyRule())
    assert text.segments.tolist() == [0, 3, 4, 5]


def test_an_archive_is_a_document_less_or_more_of_a_folder(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "0.txt").write_text("zero")
    (tmp_path / "folder" / "1.zip").write_bytes(zipped(TEXTS))
    (tmp_path / "folder" / "2.tar.gz").write_bytes(gzip.compress(tarred(TEXTS)))
    (tmp_path / "folder" / "3.txt").write_text("end\n")
    assert read(tmp_path / "folder") == f"zero\n{IN_ORDER}\n{IN_ORDER}\nend\n"
    text = encode_text(
        FileCorpus(str(tmp_path / "folder"), "document"), WhitespaceTokenizer(), VocabularyRule()
    )
    assert np.diff(text.segments).tolist() == [1, 3, 1, 1, 3, 1, 1, 1]


def test_in_a_zip_of_one_text_blank_lines_separate_documents(tmp_path):
    file = written(tmp_path / "one.zip", zipped({"a.txt": b"one two\n\nthree", ".DS_Store": b"\0"}))
    text = encode_text(FileCorpus(str(file), "document"), WhitespaceTokenizer(), VocabularyRule())
    assert text.segments.tolist() == [0, 2, 3]


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_hidden_companions_and_backups_in_an_archive_are_skipped_and_counted(tmp_path, capsys, pack):
    hidden = {
        "__MACOSX/b/._one.txt": b"\0\5\x16\7",
        ".DS_Store": b"\0",
        "b/.git/config": b"x",
        "b/one.txt~": b"x",
    }
    file = written(tmp_path / "mac", pack({"./b.txt": b"word", **hidden}))
    assert read(file) == "word"
    assert capsys.readouterr().err == (
        f"corpus.path={file}: skipped: backups of editors (name~) (1), hidden files and folders (3).\n"
    )
    assert read(file) == "word"
    assert capsys.readouterr().err == ""  # once is enough


def test_links_devices_and_folders_of_a_tar_are_no_documents(tmp_path, capsys):
    kinds = {"l": tarfile.SYMTYPE, "h": tarfile.LNKTYPE, "c": tarfile.CHRTYPE, "p": tarfile.FIFOTYPE}
    content = tarred({"/etc/passwd": b"absolute", "../up.txt": b"above"}, **kinds, folder=tarfile.DIRTYPE)
    assert read(written(tmp_path / "a.tar", content)) == "absolute\nabove"
    assert "links, pipes and devices (4)" in capsys.readouterr().err


def test_a_link_in_a_zip_is_no_document(tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        link = zipfile.ZipInfo("link.txt")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "target.txt")
        archive.writestr("target.txt", "word")
    assert read(written(tmp_path / "a.zip", stream.getvalue())) == "word"


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_names_in_a_tar_are_read(tmp_path, format):
    texts = {f"{'folder/' * 40}{name}.txt": b"word" for name in ("é" * 90, "." + "b" * 200)}
    file = written(tmp_path / "a.tar", tarred(texts, format))
    assert read(file) == "word"  # the second is hidden


@pytest.mark.parametrize("pack", COMPRESS)
def test_parts_one_after_the_other_are_one_text(tmp_path, pack):
    parts = [COMPRESS[pack](word) for word in (b"one ", b"", b"two")]
    zeros = bytes(512)
    assert read(written(tmp_path / "a", b"".join(parts))) == "one two"
    if pack != "zst":
        assert read(written(tmp_path / "a", b"".join(parts) + zeros)) == "one two"
    if pack not in ("gz", "zst"):
        assert read(written(tmp_path / "a", (zeros if pack != "lzma" else b"").join(parts))) == "one two"
    with pytest.raises(CorpusError, match="cannot be read"):
        read(written(tmp_path / "a", b"".join(parts) + b"and garbage"))


# ---------------------------------------------------------------- damage

WORDS = b" ".join(b"word%d" % number for number in range(400)) + b"\n"
PACKED = {
    **{name: pack(WORDS) for name, pack in COMPRESS.items()},
    "zip": zipped({"a.txt": WORDS, "b.txt": WORDS}),
    "stored.zip": zipped({"a.txt": WORDS}, zipfile.ZIP_STORED),
    "lzma.zip": zipped({"a.txt": WORDS}, zipfile.ZIP_LZMA),
    "bzip2.zip": zipped({"a.txt": WORDS}, zipfile.ZIP_BZIP2),
    "tar": tarred({"a.txt": WORDS, "b.txt": WORDS}, tarfile.USTAR_FORMAT)[:10752],
    "tar.gz": gzip.compress(tarred({"a.txt": WORDS, "b.txt": WORDS})),
    "tar.xz": lzma.compress(tarred({"a.txt": WORDS, "b.txt": WORDS})),
}


@pytest.mark.parametrize("name", PACKED)
def test_a_file_that_is_cut_anywhere_is_an_error_that_names_it(tmp_path, name):
    whole = PACKED[name]
    expected = read(written(tmp_path / f"a.{name}", whole))
    file = tmp_path / f"cut.{name}"
    for length in {*range(24), *range(24, len(whole), len(whole) // 24), *range(len(whole) - 40, len(whole))}:
        written(file, whole[:length])
        try:
            text = read(file)
        except CorpusError as error:
            assert str(error).startswith(str(file))
            assert "\n" not in str(error)
        else:
            assert text == expected, length  # only padding is missing
            assert name == "tar"


def test_a_zip_with_a_password_is_refused_with_a_remedy(tmp_path):
    content = bytearray(zipped({"a.txt": WORDS}))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(
        CorpusError, match=r"secret\.zip \(member a\.txt\) cannot be read: it is encrypted; unpack"
    ):
        read(written(tmp_path / "secret.zip", bytes(content)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped({}), "is an archive without a text file"),
        (zipped({".hidden": b"x", "folder/": b""}), "is an archive without a text file"),
        (bytes(10240), "is named as a tar archive, but is none"),
        (b"just text", "is named as a tar archive, but is none"),
        (tarred({}, folder=tarfile.DIRTYPE), "is an archive without a text file"),
        (gzip.compress(gzip.compress(b"text")), "is compressed twice"),
        (gzip.compress(zipped(TEXTS)), "is compressed twice"),
        (zipped({"inner.zip": zipped(TEXTS)}), r"\(member inner\.zip\) is an archive itself"),
        (zipped({"inner.tgz": gzip.compress(tarred(TEXTS))}), r"\(member inner\.tgz\) is an archive itself"),
        (tarred({"inner.tar": tarred(TEXTS)}), r"\(member inner\.tar\) is an archive itself"),
        (zipped({"[Content_Types].xml": b"", "word/document.xml": b""}), "is an Office document"),
        (zipped({"mimetype": b"application/epub+zip"}), "is an e-book"),
        (b"%PDF-1.7 text", "is a PDF document, which is not read. Convert it"),
        (zipped({"a.pdf": b"%PDF-1.7 text"}), r"\(member a\.pdf\) is a PDF document"),
        (tarred(TEXTS) + tarred(TEXTS), "goes on behind its end"),
        (tarred({"a\n\x1b[2J": b"\xff"}), r"\(member a��\[2J\) is not UTF-8"),
    ],
)  # fmt: skip
def test_what_is_no_text_is_refused_with_a_remedy(tmp_path, content, message):
    with pytest.raises(CorpusError, match=message) as refusal:
        read(written(tmp_path / "a.tar", content))
    assert str(refusal.value).startswith(str(tmp_path / "a.tar"))
    assert str(refusal.value).isprintable()


def test_members_that_are_compressed_are_read(tmp_path):
    members = {f"a.{name}": pack(b"word") for name, pack in COMPRESS.items()}
    assert read(written(tmp_path / "a.zip", zipped(members))).split() == ["word"] * 5
    assert read(written(tmp_path / "a.tar.gz", gzip.compress(tarred(members)))).split() == ["word"] * 5
    with pytest.raises(CorpusError, match=r"member a\.gz\) ends in the middle"):
        read(written(tmp_path / "a.zip", zipped({"a.gz": b""})))


def test_damage_behind_the_first_member_of_a_tar_is_not_its_end(tmp_path):
    content = bytearray(tarred(TEXTS, tarfile.USTAR_FORMAT))
    content[1024 + 3] ^= 1  # in the name of the second header
    with pytest.raises(CorpusError, match="a header of the tar archive is damaged"):
        read(written(tmp_path / "a.tar", bytes(content)))


# ---------------------------------------------------------------- sizes


def with_checksum(content: bytes) -> bytes:
    return content + struct.pack("<I", zlib.crc32(content))


def xz_that_claims_4_gb() -> bytes:
    """Return an .xz file of 26 bytes whose header claims the largest dictionary."""
    block = with_checksum(bytes([2, 0, 0x21, 1, 40, 0, 0, 0]))
    return b"\xfd7zXZ\0" + with_checksum(b"\0\4") + block + bytes(2)


def lzma_that_claims_4_gb() -> bytes:
    return struct.pack("<BIq", 0x5D, 0xFFFFFFFF, -1) + bytes(13)


def zip_that_claims_4_gb() -> bytes:
    content = bytearray(zipped({"a.txt": b"word " * 99}, zipfile.ZIP_LZMA))
    properties = content.index(b"\x5d", 30)
    content[properties + 1 : properties + 5] = b"\xff" * 4
    return bytes(content)


@pytest.mark.parametrize("claim", [xz_that_claims_4_gb, lzma_that_claims_4_gb, zip_that_claims_4_gb])
def test_a_dictionary_that_is_claimed_is_not_allocated(tmp_path, claim):
    file = written(tmp_path / "a.lzma", claim())
    with pytest.raises(CorpusError, match=r"a\.lzma .*needs more than 256 MiB for its dictionary") as refusal:
        read(file)
    assert "\n" not in str(refusal.value)


def test_an_xz_that_claims_a_dictionary_is_refused_and_a_usual_one_is_read(tmp_path, monkeypatch):
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 24}]
    file = written(tmp_path / "a.xz", lzma.compress(b"word", filters=filters))
    assert read(file) == "word"
    monkeypatch.setattr(compression, "LARGEST_DICTIONARY", 1 << 23)
    with pytest.raises(CorpusError, match="needs more than 8 MiB for its dictionary"):
        read(file)


def zstandard_that_claims(log: int) -> bytes:
    """Return a frame of an empty block, whose header claims a window of 2**log bytes."""
    return b"\x28\xb5\x2f\xfd" + bytes([0, (log - 10) << 3]) + b"\1\0\0"


def test_a_large_window_of_zstandard_is_refused_with_the_option_that_makes_a_smaller_one(tmp_path):
    assert read(written(tmp_path / "a.zst", zstandard_that_claims(27) + COMPRESS["zst"](b"word"))) == "word"
    for log in (28, 31, 41):
        with pytest.raises(CorpusError, match=r"more than 128 MiB for its dictionary; .* zstd --long=27"):
            read(written(tmp_path / "a.zst", zstandard_that_claims(log)))


SKIPPED = b"\x53\x2a\x4d\x18" + struct.pack("<I", 5) + b"index"  # a frame to be skipped
# Of the tool zstd, with the checksum of its content, "alpha beta\ngamma delta\n" 9 times.
CHECKED = base64.b64decode("KLUv/QRo9QAAuGFscGhhIGJldGEKZ2FtbWEgZGVsdGEKAQBrSs0mgwNnqA==")


def test_frames_of_zstandard_that_are_no_data_are_skipped(tmp_path):
    """As those that parallel and seekable files begin or end with."""
    data = COMPRESS["zst"](b"some words")
    for content in (SKIPPED + data, data + SKIPPED, SKIPPED + data + SKIPPED):
        assert read(written(tmp_path / "a.zst", content)) == "some words"


def test_no_flipped_bit_of_a_zstandard_file_with_a_checksum_changes_the_text(tmp_path):
    """Each of them is an error with the name of the file, or without effect."""
    text = "alpha beta\ngamma delta\n" * 9
    assert read(written(tmp_path / "a.zst", CHECKED)) == text
    refused = 0
    for bit in range(8 * len(CHECKED)):
        content = bytearray(CHECKED)
        content[bit // 8] ^= 1 << bit % 8
        try:
            assert read(written(tmp_path / "a.zst", bytes(content))) in (text, ""), bit
        except CorpusError as error:
            assert str(error).startswith(str(tmp_path / "a.zst")), error
            refused += 1
    assert refused > 8 * len(CHECKED) - 40


def test_a_tar_whose_headers_claim_much_is_read_in_bounded_memory(tmp_path):
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 1 << 33
    with pytest.raises(CorpusError, match="a header of the tar archive has 8,589,934,592 bytes"):
        read(written(tmp_path / "a.tar", header.tobuf(tarfile.GNU_FORMAT) + bytes(10240)))


BLANKS = b" " * (1 << 20)


@pytest.mark.cases(every=3)
@pytest.mark.parametrize(
    "pack", ["gz", "bz2", "xz", "zst", "zip", "bzip2.zip", "lzma.zip", "tar.gz", "members.tar.gz"]
)
def test_what_unpacks_to_a_thousand_times_as_much_is_read_in_bounded_memory(tmp_path, pack):
    large = BLANKS * 32 + b"word"
    content = {
        "zip": lambda: zipped({"a.txt": large}),
        "bzip2.zip": lambda: zipped({"a.txt": large}, zipfile.ZIP_BZIP2),
        "lzma.zip": lambda: zipped({"a.txt": large}, zipfile.ZIP_LZMA),
        "tar.gz": lambda: gzip.compress(tarred({"a.txt": large}), 1),
        # 4,000 headers, which `tarfile` would keep, at 1.5 kB
        "members.tar.gz": lambda: gzip.compress(
            tarred({}, link=tarfile.SYMTYPE)[:512] * 4_000 + tarred({"a": b"word"}), 1
        ),
    }.get(pack, lambda: COMPRESS[pack](large))()
    file = written(tmp_path / f"a.{pack}", content)
    assert len(content) < 400_000
    tracemalloc.start()
    try:
        words = [word for chunk in FileCorpus(str(file)).chunks() for word in chunk.split()]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert words == ["word"]
    assert peak < (3e6 if pack == "members.tar.gz" else 20e6)


@pytest.mark.parametrize("name", ["book.txt", "book.txt.gz", "book.txt.zst", "books.zip", "books.tar"])
def test_a_reader_that_stops_early_leaves_no_file_open(name, tmp_path, monkeypatch):
    monkeypatch.setattr("w2v_exp.text.chunks.CHUNK_CHARACTERS", 4)
    for number in range(2):
        (tmp_path / f"{number}.txt").write_text("some words " * 50)
    if name.endswith(".gz"):
        (tmp_path / name).write_bytes(gzip.compress(b"some words " * 50))
    elif name.endswith(".zst"):
        (tmp_path / name).write_bytes(COMPRESS["zst"](b"some words " * 50))
    elif name.endswith(".zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.write(tmp_path / "0.txt", "0.txt")
            archive.write(tmp_path / "1.txt", "1.txt")
    elif name.endswith(".tar"):
        with tarfile.open(tmp_path / name, "w") as archive:
            archive.add(tmp_path / "0.txt", "0.txt")
            archive.add(tmp_path / "1.txt", "1.txt")
    else:
        (tmp_path / name).write_text("some words " * 50)
    with warnings.catch_warnings(record=True) as met:
        warnings.simplefilter("always")
        chunks = FileCorpus(str(tmp_path / name)).chunks()
        assert next(chunks).split()
        del chunks
        gc.collect()
    assert [str(warning.message) for warning in met] == []

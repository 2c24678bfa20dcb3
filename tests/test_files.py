"""Files that are there whole or not at all."""

import os
import stat

import pytest

from w2v_exp.files import replacing


def test_text_is_utf8_with_unix_line_ends(tmp_path):
    with replacing(tmp_path / "a.txt") as stream:
        stream.write("日本\n")
    assert (tmp_path / "a.txt").read_bytes() == "日本\n".encode()


def test_bytes_are_written_as_they_are(tmp_path):
    with replacing(str(tmp_path / "a.bin"), "wb") as stream:
        stream.write(b"\r\n\xff")
    assert (tmp_path / "a.bin").read_bytes() == b"\r\n\xff"


def test_nothing_is_at_the_path_before_the_block_ends(tmp_path):
    file = tmp_path / "a.txt"
    with replacing(file) as stream:
        stream.write("new")
        stream.flush()
        assert not file.exists()
    assert file.read_text() == "new"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("problem", [ValueError("half-way"), KeyboardInterrupt()])
def test_an_exception_leaves_the_old_file_and_no_temporary_one(tmp_path, problem):
    file = tmp_path / "a.txt"
    file.write_text("old")

    def write_half():
        with replacing(file) as stream:
            stream.write("new")
            raise problem

    with pytest.raises(type(problem)):
        write_half()
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_path_that_is_a_folder_leaves_no_temporary_file(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError), replacing(tmp_path / "folder") as stream:
        stream.write("text")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_two_writers_do_not_meet(tmp_path):
    file = tmp_path / "a.txt"
    with replacing(file) as first, replacing(file) as second:
        first.write("first")
        second.write("second")
    assert file.read_text() == "first"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_permissions_follow_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        with replacing(tmp_path / "a.txt") as stream:
            stream.write("text")
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o666 & ~umask

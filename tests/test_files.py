"""Files that are there whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from w2v_exp.files import replacing, sync_files, synced_later


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


def test_files_of_a_folder_that_is_synced_later_are_synced_once_and_together(tmp_path, monkeypatch):
    synced, fsync = [], os.fsync

    def noting(descriptor):
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    with synced_later(tmp_path):
        for name in "abc":
            with replacing(tmp_path / name) as stream:
                stream.write(name)
        assert synced == []
        sync_files(tmp_path.iterdir())
    assert sorted(synced[:3]) == ["a", "b", "c"]
    assert synced[3:] == [tmp_path.name]
    with replacing(tmp_path / "d") as stream:
        stream.write("d")
    assert len(synced) == 6


def test_a_file_that_cannot_be_synced_is_an_error(tmp_path, monkeypatch):
    def fail(descriptor):
        raise OSError(28, "No space left on device")

    (tmp_path / "a").touch()
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        sync_files([tmp_path / "a", tmp_path / "missing"])

"""Where the cache lies, by the environment."""

from pathlib import Path

import pytest

from w2v_exp.files import cache_folder


@pytest.mark.parametrize(
    ("own", "shared", "expected"),
    [
        ("/data/cache", "/xdg", "/data/cache"),
        ("~/cache", "", "/home/me/cache"),
        ("", "/xdg", "/xdg/w2v_exp"),
        ("", "relative", "/home/me/.cache/w2v_exp"),
        ("", "", "/home/me/.cache/w2v_exp"),
        (None, None, "/home/me/.cache/w2v_exp"),
    ],
)
def test_the_folder_follows_the_environment(monkeypatch, own, shared, expected):
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in (("W2V_EXP_CACHE", own), ("XDG_CACHE_HOME", shared)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert cache_folder() == Path(expected)


def test_a_relative_folder_is_seen_from_the_current_one(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("W2V_EXP_CACHE", "mine")
    assert cache_folder() == tmp_path / "mine"

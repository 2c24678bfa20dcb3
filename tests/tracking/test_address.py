"""Every spelling of an address is one place, or refused in a line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from w2v_exp.errors import UserError
from w2v_exp.tracking.locations import parse_address, sqlite_uri
from w2v_exp.tracking.store import browse_command, connect, open_store, store_uri

NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters="/"),
    min_size=1,
    max_size=20,
)


@given(name=NAMES.filter(lambda name: name.strip(".")))
@settings(deadline=None)
def test_a_path_becomes_an_address_of_that_path_for_us_and_for_sqlalchemy(name: str) -> None:
    path = Path("/somewhere") / name / "mlflow.db"
    uri = sqlite_uri(path)
    assert make_url(uri).database == str(path)
    assert parse_address(uri).database == path
    assert parse_address(parse_address(uri).uri) == parse_address(uri)


@pytest.mark.parametrize("folder", ["what?", "50%20", "a#b", "ü ñ", "x%3Fy", "q?timeout=9", "a&b='c'"])
def test_the_default_database_is_in_the_current_folder_whatever_that_is_called(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path
) -> None:
    place = tmp_path / folder
    place.mkdir()
    monkeypatch.chdir(place)
    (place / "mlflow.db").write_bytes(empty_store.read_bytes())
    store = open_store()
    assert store.client.get_experiment(store.experiment_id).name == "w2v_exp"
    assert [file.name for file in place.iterdir()] == ["mlflow.db"]
    assert list(tmp_path.iterdir()) == [place]
    assert browse_command(store.uri) == "w2v-exp ui"


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("sqlite:///a.db", "a.db"),
        ("sqlite:///./b/../a.db", "b/../a.db"),
        ("sqlite:///a.db?timeout=60", "a.db"),
        ("sqlite+pysqlite:///a.db", "a.db"),
        ("sqlite+pysqlite:///a.db?timeout=1.5&check_same_thread=false", "a.db"),
        ("sqlite:///sp ace%20x.db", "sp ace%20x.db"),
        ("sqlite+pysqlite:///sp ace%20x.db", "sp ace x.db"),
        ("sqlite:///what%3F.db", "what%3F.db"),
        ("sqlite:///a#b.db", "a#b.db"),
        ("sqlite:///a:b@c.db", "a:b@c.db"),
        ("SQLite:///a.db", None),
    ],
)
def test_an_sqlite_address_is_a_place(
    address: str, place: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if place is None:
        with pytest.raises(UserError):
            parse_address(address)
        return
    parsed = parse_address(address)
    assert parsed.database == tmp_path / place
    assert make_url(parsed.uri).database == str(tmp_path / place)
    assert make_url(parsed.uri).query == make_url(address).query
    create_engine(parsed.uri).connect().close()


def test_a_path_that_is_there_in_its_decoded_form_alone_is_that_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow's UI, started with such an address, decodes it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a b.db").touch()
    assert parse_address("sqlite:///a%20b.db").database == tmp_path / "a b.db"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("sqlite://", "in memory"),
        ("sqlite:///", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite+pysqlite:///:memory:", "in memory"),
        ("sqlite:///file:a.db?uri=true", "in memory"),
        ("sqlite:///~/a.db", "not expanded"),
        ("sqlite:a.db", "not an address"),
        ("sqlite:/a.db", "not an address"),
        ("sqlite://host/a.db", "three slashes"),
        ("sqlite+aiosqlite:///a.db", "driver"),
        ("sqlite:///a.db?timeout=soon", "options"),
        ("sqlite:///a.db?colour=red", "options"),
        ("sqlite:////tmp", "is a folder"),
        ("sqlite:///a\0b.db", "control characters"),
        ("http://host\n", "control characters"),
        ("a.db", "Use sqlite:///a.db"),
        ("/srv/runs/a.sqlite", "Use sqlite:////srv/runs/a.sqlite"),
        ("mlruns", "no longer keeps runs in a folder"),
        ("./mlruns", "no longer keeps runs in a folder"),
        ("file:///srv/mlruns", "no longer keeps runs in a folder"),
        ("file:mlruns", "no longer keeps runs in a folder"),
        ("http://", "not the address of a server"),
        ("https:///path", "not the address of a server"),
        ("http://host:port", "not the address of a server"),
        ("http://[::1", "not the address of a server"),
        ("http://my host", "not the address of a server"),
        ("postgresql+psycopg9://host/runs", "cannot be opened"),
        ("mysql://host/runs", "needs the package MySQLdb"),
        ("postgresql:nothing", "cannot be opened"),
        ("foo://x", "sqlite:///FILE"),
        ("C:\\runs\\mlflow.db", "Use sqlite:///C:\\runs"),
        ("uc:x", "sqlite:///FILE"),
        ("databricks-uc", "sqlite:///FILE"),
        (" ", "no longer keeps runs"),
    ],
)
def test_an_address_where_no_store_can_be_is_refused_in_a_line(
    address: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    with pytest.raises(UserError) as raised:
        open_store(address)
    said = str(raised.value)
    assert said.startswith("tracking.uri=")
    assert expected in said
    assert len(said.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@given(
    address=st.text(max_size=30)
    | st.from_regex(
        r"(sqlite|sqlite\+pysqlite|http|https|file|foo|)(:|:/|://|:///|:////)[a%?#&=:@\[\]/ .~]*\Z"
    )
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_an_address_or_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    try:
        parsed = parse_address(address)
    except UserError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert parse_address(parsed.uri) == parsed


def test_a_stored_address_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert store_uri("sqlite:///a.db") == f"sqlite:///{tmp_path}/a.db"
    with pytest.raises(UserError, match="there is no such database"):
        connect("sqlite:///a.db", create=False)
    assert not list(tmp_path.iterdir())

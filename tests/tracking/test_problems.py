"""What a server answers is told in words of use to people, before anything is trained."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository
from web_servers import Quiet, QuietServer, running

from w2v_exp.errors import UserError
from w2v_exp.tracking.store import error_message, is_transient, open_store, store_uri


@contextmanager
def answering(status: int, body: str = "", pause: float = 0) -> Iterator[str]:
    """Serve the same answer to all requests; give the server's address."""

    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(pause)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        do_PUT = do_GET  # noqa: N815

    with running(QuietServer(Handler)) as server:
        yield server.url


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("HOME", str(tmp_path))  # where a developer's credentials are
    for name in ("USERNAME", "PASSWORD", "URI", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)


def said_of(address: str) -> str:
    with pytest.raises(UserError) as raised:
        open_store(address)
    said = str(raised.value)
    assert said.startswith(f"tracking.uri={address}: ")
    assert len(said.splitlines()) == 1
    return said


@pytest.mark.parametrize("given", [{}, {"USERNAME": "ann"}, {"PASSWORD": "secret"}])
def test_who_has_not_said_who_they_are_is_told_where_to(
    given: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", value)
    with answering(401, "You are not authenticated.\n<a>") as address:
        said = said_of(address)
    assert "requires a user and a password" in said
    assert "MLFLOW_TRACKING_PASSWORD" in said
    assert "~/.mlflow/credentials" in said


def test_a_wrong_password_is_told_with_its_user_and_without_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".mlflow").mkdir()
    (tmp_path / ".mlflow" / "credentials").write_text(
        "[mlflow]\nmlflow_tracking_username = ann\nmlflow_tracking_password = secret\n"
    )
    with answering(401) as address:
        said = said_of(address)
    assert "does not accept ann" in said
    assert "secret" not in said


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (403, "Permission denied", "the permission EDIT"),
        (403, "Invalid Host header - possible DNS rebinding attack detected", "--allowed-hosts"),
        (404, "<html>", "not an MLflow server"),
        (502, "<html>\n<h1>Bad Gateway</h1>", "HTTP error 502"),
        (413, "<html>", "HTTP error 413"),
        (400, '{"error_code": "INVALID_PARAMETER_VALUE", "message": "no such thing"}', "no such thing"),
    ],
)
def test_what_a_server_refuses_is_told_in_a_line(status: int, body: str, expected: str) -> None:
    with answering(status, body) as address:
        assert expected in said_of(address)


def test_an_address_where_nothing_answers_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(200) as address:
        pass
    assert "no server responds: Connection refused" in said_of(address)
    with answering(200) as address:
        assert "certificate" in said_of(address.replace("http:", "https:"))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with answering(200, pause=1.5) as address:
        assert "does not respond in time" in said_of(address)


@pytest.mark.parametrize(("status", "passes"), [(401, False), (403, False), (413, False), (503, True)])
def test_only_what_may_pass_is_waited_for_when_files_are_sent(
    status: int, passes: bool, tmp_path: Path
) -> None:
    (tmp_path / "costs.csv").write_text("epoch,cost\n")
    with answering(status, "no\nno") as address:
        files = HttpArtifactRepository(f"{address}/api/2.0/mlflow-artifacts/artifacts/1/run/artifacts")
        with pytest.raises((OSError, MlflowException)) as raised:
            files.log_artifact(str(tmp_path / "costs.csv"))
    assert is_transient(raised.value) is passes
    assert len(error_message(raised.value).splitlines()) == 1


@pytest.mark.parametrize(
    "address",
    ["http://ann:secret@127.0.0.1:5000", "https://ann:secret@host/mlflow", "postgresql://:secret@host/runs"],
)
def test_a_password_in_an_address_is_refused_and_not_repeated(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    for uri in (None, address):
        with pytest.raises(UserError, match="must not hold a password") as raised:
            open_store(uri)
        assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:5000", "postgresql://ann@host:5432/runs", "sqlite:////a:b@c/d.db"]
)
def test_an_address_without_a_password_is_taken_as_it_is(address: str) -> None:
    assert store_uri(address) == address

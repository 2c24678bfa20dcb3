"""What an error of a store says to the person who uses it: what is wrong, and what to do."""

from __future__ import annotations

import re
import sqlite3

UNAUTHENTICATED, FORBIDDEN, NOT_FOUND = 401, 403, 404
WHERE_TO_SAY = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or ~/.mlflow/credentials"
SECRET_REMEDY = f"Remove it and use {WHERE_TO_SAY} (for a database PGPASSWORD or ~/.pgpass)."


def problem_of(error: Exception) -> str:
    """Return what an error says, in a line: in words of our own where a server's are of no use to anybody."""
    answered = _status_of_page(error)
    if answered is not None:
        return _refusal(answered, str(error))
    if (reason := _reason(error)) is not None:
        return _unreachable(reason)
    return first_line(database_error(error) or error)


def database_error(error: BaseException) -> Exception | None:
    """Return the error of the database's own driver that an error was caused by, if one was.

    SQLAlchemy has it in an attribute, and MLflow puts other lines before its words.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, sqlite3.Error):
            return cause
        driver = getattr(cause, "orig", None)
        if isinstance(driver, Exception):
            return driver
        cause = cause.__cause__
    return None


def first_line(error: Exception) -> str:
    """Return what an error says, in one line."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def http_status(error: BaseException) -> int | None:
    """Return HTTP's number for a fault, which MLflow gives those of databases, too; None for any other error."""
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        answered = _status_of_page(error)
        return answered if answered is not None else int(error.get_http_status_code())
    return _answered_to_upload(error)


def _status_of_page(error: BaseException) -> int | None:
    """Return the number of an answer that is not MLflow's own JSON: of what checks passwords, or of a proxy."""
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        # Of numbers that MLflow does not know, it keeps only the text.
        found = re.search(r"failed with error code (\d{3}) != 200", str(error))
        return int(found[1]) if found else None
    return _answered_to_upload(error)


def _answered_to_upload(error: BaseException) -> int | None:
    response = getattr(error, "response", None)  # files are sent by requests itself
    return None if response is None else int(response.status_code)


def _refusal(status: int, said: str) -> str:
    if status == UNAUTHENTICATED:
        user = _user()
        if user is None:
            return f"the server asks for a user and a password, which are read from {WHERE_TO_SAY}"
        return f"the server does not accept {user} with the password given; correct {WHERE_TO_SAY}"
    if status == FORBIDDEN and "Invalid Host header" in said:
        return "the server does not answer to this name; start it with --allowed-hosts and the name"
    if status == FORBIDDEN:
        return (
            f"the server does not let {_user() or 'you'} do that; ask who made the experiment, or an administrator, "
            "for the permission EDIT, or set another tracking.experiment"
        )
    if status == NOT_FOUND:
        return "what answers there is not an MLflow server; correct the address"
    return f"the server answers with HTTP's error {status}"


def _user() -> str | None:
    """Return who MLflow says that we are; None if it lacks a user or a password."""
    from mlflow.utils.credentials import read_mlflow_creds

    given = read_mlflow_creds()
    return given.username if given.username and given.password else None


def _reason(error: BaseException) -> Exception | None:
    """Return why there has been no answer of use, if that is what an error says."""
    from requests.exceptions import ConnectionError as NoConnection
    from requests.exceptions import RetryError, Timeout

    for reason in (error, error.__cause__, error.__context__):
        if isinstance(reason, NoConnection | RetryError | Timeout):
            return reason
    return None


def _unreachable(reason: Exception) -> str:
    from requests.exceptions import SSLError

    said = str(reason)
    if isinstance(reason, SSLError):
        return (
            "its certificate is not one that this machine trusts, or it speaks http, not https; the certificate's file "
            "can be named in MLFLOW_TRACKING_SERVER_CERT_PATH"
        )
    if found := re.search(r"too many (\d+) error responses", said):
        return _refusal(int(found[1]), said)
    if "timed out" in said.lower():
        return "the server does not answer in time"
    found = re.search(r"\[Errno -?\d+\] ([^'\")]+)", said)
    return f"no server answers there: {found[1].strip()}" if found else "no server answers there"

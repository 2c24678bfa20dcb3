"""MLflow's UI of the runs in a database, on this machine: ``w2v-exp ui``."""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
from contextlib import suppress

from w2v_exp.errors import UserError
from w2v_exp.tracking.database import query_database
from w2v_exp.tracking.locations import FOLDER, StoreAddress, parse_address
from w2v_exp.tracking.store import browse_address, store_uri
from w2v_exp.tracking.upload import OWN_VIEW, VIEW

MISTAKE = 2
HOST, PORT = "127.0.0.1", 5000
LIGHT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # eight processes for evaluations of language models
    "PYTHONWARNINGS": "ignore",  # of packages of MLflow, on other packages
}
VIEWS = """SELECT tag.experiment_id, tag.key, tag.value
FROM experiment_tags AS tag JOIN experiments USING (experiment_id)
WHERE lifecycle_stage = 'active' AND tag.key LIKE :prefix"""
LATEST_RUN = """SELECT experiment_id, run_uuid, start_time FROM runs WHERE lifecycle_stage = 'active'
ORDER BY start_time DESC LIMIT 1"""


def ui_parser() -> argparse.ArgumentParser:
    """Return the parser of the arguments of ``w2v-exp ui``."""
    parser = argparse.ArgumentParser(
        prog="w2v-exp ui",
        description="Serve MLflow's UI of the runs in a database, on this machine, until Ctrl-C.",
    )
    parser.add_argument("--port", type=int, default=PORT, help=f"port of {HOST}; default: {PORT}")
    parser.add_argument("--uri", help="of the database, if it is not MLFLOW_TRACKING_URI or ./mlflow.db")
    return parser


def main(arguments: list[str]) -> int:
    """Print the address of the latest sweep or run, and become the server of MLflow's UI.

    It is `mlflow ui` without the processes that only evaluations of language models need: 2 processes with 0.4 GB
    instead of 10 with 1.4 GB.
    """
    given = ui_parser().parse_args(arguments)
    try:
        address = parse_address(store_uri(given.uri))
        command = _server_command(address, given.port)
    except UserError as error:
        print(str(error).replace("tracking.uri", "--uri", 1) if given.uri else error, file=sys.stderr)
        return MISTAKE
    print(
        f"Open this address when the server has started; Ctrl-C ends it.\n{_latest(address, given.port)}",
        flush=True,
    )
    return os.execve(sys.executable, command, os.environ | LIGHT)


def _server_command(address: StoreAddress, port: int) -> list[str]:
    """Return the command of the server.

    Raises
    ------
    UserError
        If there is nothing to serve, or the port cannot be used.
    """
    if address.is_server:
        raise UserError(
            f"tracking.uri={address.uri}: is a server, which has its own UI. Open it in a browser."
        )
    if address.database and not address.database.exists():
        raise UserError(
            f"tracking.uri={address.uri}: there is no such database. Execute a run first, or name another store."
        )
    if not 0 < port < 1 << 16:
        raise UserError(f"--port={port}: must be between 1 and 65,535.")
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # of a server that has just ended
        try:
            free.bind((HOST, port))
        except OSError as error:
            raise UserError(f"--port={port}: cannot be used ({error.strerror}). Give another port.") from None
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", address.uri]
    if address.database:  # artifacts of an experiment that the UI has made are there
        command += ["--artifacts-destination", str(address.database.parent / FOLDER)]
    return [*command, "--host", HOST, "--port", str(port), "--workers", "1"]


def _latest(address: StoreAddress, port: int) -> str:
    """Return the address of the view of the latest sweep, or of the latest run if that began later."""
    server = f"http://{HOST}:{port}"
    views: list[tuple[int, str, str]] = []
    runs = []
    if database := address.database:
        for experiment, key, value in query_database(database, VIEWS, {"prefix": f"{OWN_VIEW}%"}) or ():
            with suppress(ValueError, TypeError, KeyError):  # somebody else has changed it
                views.append((int(json.loads(value)["createdAt"]), str(experiment), key.removeprefix(VIEW)))
        runs = query_database(database, LATEST_RUN, {}) or []
    created, experiment, view = max(views, default=(0, "", ""))
    if runs and runs[0][2] > created:
        return browse_address(server, str(runs[0][0]), str(runs[0][1]))
    if view:
        return browse_address(server, experiment, view=view)
    return f"{server}/#/experiments?workflowType=machine_learning"

"""A team's store: an MLflow server on PostgreSQL, to which eight write at once, and nothing is lost."""

from __future__ import annotations

import csv
import json
import multiprocessing
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from mlflow import MlflowClient
from mlflow_server import Server, wait_for
from processes import Command, start_command

from w2v_exp.embeddings import Embeddings
from w2v_exp.tracking.load import load_run
from w2v_exp.tracking.store import connect, open_store
from w2v_exp.tracking.upload import pending_folders

pytestmark = pytest.mark.postgres

WRITERS = 8
SCRIPT = Path(__file__).parents[2] / "tests" / "services" / "postgresql_on_loopback.sh"
SAY_WHERE = "import json, os, sys; print(json.dumps(dict(os.environ)), flush=True); sys.stdin.read()"
# What has no time of the day in it, and no seconds or memory that were measured.
REPEATABLE = ["embeddings.npz", "embeddings.txt", "embeddings.bin", "vocabulary.tsv", "neighbours.json"]
REPEATABLE_METRICS = ["cost", "learning_rate", "information_explained", "neighbour_precision", "pairs"]


class PostgreSQL:
    """A PostgreSQL on loopback: how to connect, in its own variables, and databases made in it."""

    def __init__(self, variables: dict[str, str]) -> None:
        self.variables = {name: value for name, value in variables.items() if name.startswith("PG")}
        self._made = 0

    def make_database(self) -> str:
        """Return the address, without a password, of a database in which there is nothing."""
        self._made += 1
        self.tell(f"CREATE DATABASE runs{self._made}")
        return f"postgresql+psycopg:///runs{self._made}"

    def end_connections(self) -> None:
        """End all that the server has, as a restart of PostgreSQL does."""
        self.tell("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'runs%'")

    def tell(self, statement: str) -> None:
        import psycopg

        names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
        given = {name: self.variables[variable] for name, variable in names.items()}
        with psycopg.connect(dbname="postgres", autocommit=True, **given) as connection:
            connection.execute(statement)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    pytest.importorskip("psycopg", reason="PostgreSQL needs psycopg: the extra server")
    process = subprocess.Popen(
        [str(SCRIPT), sys.executable, "-c", SAY_WHERE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = process.stdout.readline()
    assert said, "PostgreSQL did not start"
    yield PostgreSQL(json.loads(said))
    process.communicate()
    assert process.returncode == 0


@pytest.fixture(scope="module")
def server(postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server on a database in which there is nothing."""
    folder = tmp_path_factory.mktemp("server")
    running = Server(folder, postgresql.make_database(), workers=2, **postgresql.variables)
    yield running
    running.kill()


def finish(processes: list[subprocess.Popen[str]], code: int = 0) -> list[str]:
    """Wait for commands, and return what they have said."""
    said = ["".join(process.communicate(timeout=900)) for process in processes]
    assert [process.returncode for process in processes] == [code] * len(processes), "\n".join(said)
    assert not any("Traceback" in each for each in said)
    return said


def start_writers(folder: Path, *arguments: str, each: str) -> list[subprocess.Popen[str]]:
    """Start eight commands at once, in folders of their own; `each` has its seeds as {0} and {1}."""
    processes = []
    for number in range(WRITERS):
        own = folder / str(number)
        own.mkdir()
        processes.append(start_command(*arguments, each.format(2 * number, 2 * number + 1), folder=own))
    return processes


def runs_of(address: str, experiment: str) -> list[Any]:
    client = MlflowClient(address)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return list(client.search_runs([found.experiment_id], max_results=1000))


def models_of(address: str, experiment: str) -> list[Any]:
    """Return the runs of an experiment without the summaries of its sweeps."""
    return [run for run in runs_of(address, experiment) if run.data.tags.get("kind") != "summary"]


def history(client: MlflowClient, run_id: str, metric: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in client.get_metric_history(run_id, metric)]


def artifacts(client: MlflowClient, run_id: str, folder: Path) -> dict[str, bytes]:
    """Return all files of a run."""
    folder.mkdir(parents=True)
    fetched = Path(client.download_artifacts(run_id, "", str(folder)))
    return {
        str(file.relative_to(fetched)): file.read_bytes() for file in fetched.rglob("*") if file.is_file()
    }


def test_eight_that_start_at_once_lose_nothing(
    server: Server, command: Command, tmp_path: Path, store: Path
) -> None:
    """Their runs are, to the byte and to the last metric, what they are in a store of one's own."""
    arguments = ["epochs=300", "tracking.experiment=eight", "tracking.plots=false", "hydra.mode=MULTIRUN"]
    writers = start_writers(tmp_path, *arguments, f"tracking.uri={server.uri}", each="seed={0},{1}")
    finish(writers)
    alone = command(*arguments, f"seed={','.join(map(str, range(2 * WRITERS)))}")
    assert alone.returncode == 0, alone.stderr

    client, own = connect(server.uri), connect(f"sqlite:///{store}")  # without bars of progress
    expected = {run.data.params["seed"]: run for run in models_of(f"sqlite:///{store}", "eight")}
    found = models_of(server.uri, "eight")
    assert sorted(run.data.params["seed"] for run in found) == sorted(expected)
    assert len(expected) == 2 * WRITERS
    for run in found:
        seed, run_id = run.data.params["seed"], run.info.run_id
        same = expected[seed]
        assert run.info.status == "FINISHED"
        assert run.data.params == {**same.data.params, "tracking.uri": server.uri}
        assert run.data.metrics.keys() == same.data.metrics.keys()
        for metric in REPEATABLE_METRICS:
            assert history(client, run_id, metric) == history(own, same.info.run_id, metric)
        assert [step for step, _ in history(client, run_id, "cost")] == list(range(300))
        files = artifacts(client, run_id, tmp_path / "fetched" / seed)
        kept = artifacts(own, same.info.run_id, tmp_path / "kept" / seed)
        assert files.keys() == kept.keys()
        assert {"explorer.html", "costs.csv", "config.yaml"} <= files.keys()
        for name in REPEATABLE:
            assert files[name] == kept[name]
    load_run_and_compare(server, found[0].info.run_id, tmp_path / "fetched" / found[0].data.params["seed"])

    summaries = [run for run in runs_of(server.uri, "eight") if run.data.tags.get("kind") == "summary"]
    assert len(summaries) == WRITERS
    for number, summary in enumerate(summaries):
        (folder,) = tmp_path.glob(f"[0-9]/outputs/sweeps/{summary.data.tags['sweep']}")
        files = artifacts(client, summary.info.run_id, tmp_path / "summaries" / str(number))
        assert files["summary.html"] == (folder / "summary.html").read_bytes()
        (row,) = csv.DictReader(
            files["comparison.csv"].decode().splitlines()
        )  # seeds of the same configuration
        assert (row["status"], row["runs"]) == ("FINISHED", "2")
    assert not pending_folders(tmp_path)


def load_run_and_compare(server: Server, run_id: str, fetched: Path) -> None:
    loaded = load_run(run_id, server.uri)
    assert loaded.words == Embeddings.load(fetched / "embeddings.npz").words


def test_all_who_make_the_same_experiment_at_once_get_it(server: Server, tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    barrier, found = fork.Barrier(WRITERS), fork.Queue()
    names = [f"new {number}" for number in range(10)]

    def make() -> None:
        for name in names:
            barrier.wait(60)
            found.put((name, open_store(server.uri, name).experiment_id))

    processes = [fork.Process(target=make) for _ in range(WRITERS)]
    for process in processes:
        process.start()
    answers = [found.get(timeout=120) for _ in range(WRITERS * len(names))]
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * WRITERS
    assert len(set(answers)) == len({identity for _, identity in answers}) == len(names)


def test_what_has_finished_is_found_through_the_server(
    server: Server, command: Command, tmp_path: Path
) -> None:
    arguments = ["epochs=50", "tracking.experiment=resumed", "tracking.plots=false", "resume=true", "-m"]
    arguments.append(f"tracking.uri={server.uri}")
    (tmp_path / "other").mkdir()
    assert command(*arguments, "seed=1,2").returncode == 0
    again = command(*arguments, "seed=1,2,3", folder=tmp_path / "other")  # another of the team
    assert again.returncode == 0, again.stderr
    assert "2 reused from earlier runs" in again.stdout
    seeds = [run.data.params["seed"] for run in models_of(server.uri, "resumed")]
    assert sorted(seeds) == ["1", "2", "3"]


def test_a_killed_run_goes_on_in_the_same_run_of_the_server(server: Server, tmp_path: Path) -> None:
    arguments = ["epochs=60000", "tracking.experiment=killed", "tracking.plots=false", "checkpoint.every=1s"]
    arguments.append(f"tracking.uri={server.uri}")
    process = start_command(*arguments, folder=tmp_path)
    wait_for(lambda: list(tmp_path.glob("outputs/checkpoints/*/checkpoint.npz")))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    finish([start_command(*arguments, folder=tmp_path)])
    (run,) = runs_of(server.uri, "killed")
    assert (run.info.status, run.data.tags["continued"]) == ("FINISHED", "1")
    steps = [step for step, _ in history(MlflowClient(server.uri), run.info.run_id, "cost")]
    assert len(set(steps)) == len(steps) == 500


def wait_until_all_train(writers: list[subprocess.Popen[str]], folder: Path) -> None:
    """Wait until all runs have begun; the first ones are stopped meanwhile, or they would end on a slow machine."""
    stopped: set[int] = set()
    while len(stopped) < len(writers):
        for number, process in enumerate(writers):
            assert process.poll() is None, "".join(process.communicate())
            begun = folder.glob(f"{number}/outputs/runs/*/artifacts/vocabulary.tsv")
            if number not in stopped and any(begun):
                process.send_signal(signal.SIGSTOP)
                stopped.add(number)
        time.sleep(0.1)
    for process in writers:
        process.send_signal(signal.SIGCONT)


def test_eight_lose_nothing_when_the_database_and_the_server_are_gone_for_a_while(
    server: Server, postgresql: PostgreSQL, tmp_path: Path
) -> None:
    arguments = ["epochs=100000", "tracking.experiment=gone", "tracking.plots=false"]
    writers = start_writers(tmp_path, *arguments, f"tracking.uri={server.uri}", each="seed={0}")
    wait_until_all_train(writers, tmp_path)
    client = MlflowClient(server.uri)
    wait_for(lambda: all("cost" in run.data.metrics for run in runs_of(server.uri, "gone")), 900)
    postgresql.end_connections()
    time.sleep(3)
    assert all(process.poll() is None for process in writers)
    server.kill()
    time.sleep(12)
    assert all(process.poll() is None for process in writers)
    server.start()
    said = finish(writers)
    assert any("All data of the run have been uploaded to MLflow." in each for each in said)
    found = runs_of(server.uri, "gone")
    assert len(found) == WRITERS
    for run in found:
        assert run.info.status == "FINISHED"
        steps = [step for step, _ in history(client, run.info.run_id, "cost")]
        assert len(set(steps)) == len(steps) == 500
        assert "embeddings.npz" in {file.path for file in client.list_artifacts(run.info.run_id)}
    assert not pending_folders(tmp_path)


@pytest.fixture
def locked_server(postgresql: PostgreSQL, tmp_path: Path) -> Iterator[Server]:
    """Start a server that asks who one is, with users admin and ann; who makes an experiment may write to it."""
    pytest.importorskip("flask_wtf", reason="the server's users need mlflow[auth]: the extra server")
    folder = tmp_path / "server"
    folder.mkdir()
    settings = {
        "default_permission": "READ",
        "database_uri": postgresql.make_database(),
        "admin_username": "admin",
        "auth_cache_ttl_seconds": "60",
    }
    lines = [f"{key} = {value}" for key, value in settings.items()]
    (folder / "basic_auth.ini").write_text("\n".join(["[mlflow]", *lines, ""]))
    running = Server(
        folder,
        postgresql.make_database(),
        "--app-name",
        "basic-auth",
        MLFLOW_AUTH_CONFIG_PATH=str(folder / "basic_auth.ini"),
        MLFLOW_AUTH_ADMIN_PASSWORD="the admin's password",
        MLFLOW_FLASK_SERVER_SECRET_KEY="a secret of the server's",
        **postgresql.variables,
    )
    made = requests.post(
        f"{running.uri}/api/2.0/mlflow/users/create",
        json={"username": "ann", "password": "the password of Ann"},
        auth=("admin", "the admin's password"),
        timeout=60,
    )
    assert made.status_code == 200, made.text
    yield running
    running.kill()


def test_a_server_with_passwords_takes_runs_of_those_it_knows(
    locked_server: Server, command: Command, tmp_path: Path
) -> None:
    arguments = [f"tracking.uri={locked_server.uri}", "epochs=50", "tracking.plots=false"]
    home = {"HOME": str(tmp_path)}  # where a developer's credentials are not
    ann = home | {"MLFLOW_TRACKING_USERNAME": "ann", "MLFLOW_TRACKING_PASSWORD": "the password of Ann"}
    admin = home | {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": "the admin's password"}

    for given, expected in [
        (home, "requires a user and a password"),
        (ann | {"MLFLOW_TRACKING_PASSWORD": "guessed"}, "does not accept ann with the password given"),
    ]:
        for sweep in ([], ["window=2,3", "-m"]):
            refused = command(*arguments, *sweep, **given)
            assert refused.returncode == 2
            assert expected in refused.stderr
            assert refused.stderr.startswith("tracking.uri=")
            assert len(refused.stderr.splitlines()) == 1
            assert not list(tmp_path.glob("outputs/**/vocabulary.tsv")), "it has trained"

    assert command(*arguments, "tracking.experiment=admins", **admin).returncode == 0
    refused = command(*arguments, "tracking.experiment=admins", **ann)
    assert refused.returncode == 2
    assert "the user ann lacks the permission EDIT" in refused.stderr
    assert "EDIT" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1

    done = command(*arguments, "tracking.experiment=anns", "window=2,3", "-m", **ann)
    assert done.returncode == 0, done.stderr
    (tmp_path / ".mlflow").mkdir()
    (tmp_path / ".mlflow" / "credentials").write_text(
        "[mlflow]\nmlflow_tracking_username = ann\nmlflow_tracking_password = the password of Ann\n"
    )
    again = command(*arguments, "tracking.experiment=anns", "window=2,3,5", "resume=true", "-m", **home)
    assert again.returncode == 0, again.stderr
    assert "2 reused from earlier runs" in again.stdout

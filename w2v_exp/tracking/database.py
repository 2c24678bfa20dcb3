"""SQLite databases of MLflow: created whole, migrated as a copy, recognised when incomplete."""

from __future__ import annotations

import logging
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep, time
from typing import Any

from w2v_exp.errors import UserError
from w2v_exp.files import locked, sync_folder
from w2v_exp.tracking.locations import (
    StoreAddress,
    default_location,
    require_writable_location,
    sqlite_uri,
)

_log = logging.getLogger(__name__)

MARKER = "made_by_w2v_exp"  # in a folder that may be deleted if its process is gone
SIDE_FILES = ("-journal", "-wal", "-shm")
LOCK_SECONDS = 20.0  # that another process may hold the lock of a database, as in MLflow
QUIET_SECONDS = 5.0  # without a change; MLflow takes up to a second for one step of its migrations
LONGEST_WAIT_SECONDS = 120.0


@dataclass(frozen=True)
class Schema:
    """The schema that a database has.

    Parameters
    ----------
    revision : str or None
        Of MLflow's migrations; None if none is noted.
    tables : frozenset of str
        The names of all tables.
    """

    revision: str | None
    tables: frozenset[str]

    @classmethod
    def read(cls, database: Path) -> Schema:
        """Return the schema of a database; that of an empty file has no tables.

        Raises
        ------
        sqlite3.Error
            If the file cannot be read, or is no database.
        """
        with closing(_existing(database)) as connection:
            found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            tables = frozenset(name for (name,) in found)
            noted = "alembic_version" in tables
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if noted else None
        return cls(row[0] if row else None, tables)

    @property
    def is_current(self) -> bool:
        """Whether the installed MLflow can use it as it is."""
        return self.revision == _current_revision() and _current_tables() <= self.tables

    @property
    def is_foreign(self) -> bool:
        """Whether it has tables, and none of them is one of MLflow's."""
        return bool(self.tables) and not self.tables & {"experiments", "runs"}


def is_usable_database(address: StoreAddress, experiment: str) -> bool:
    """Return whether a run can be logged to an SQLite database, or to one that will be made, without MLflow.

    False if that is not certain: MLflow itself then finds out, in seconds instead of milliseconds.

    Parameters
    ----------
    address : StoreAddress
        Of the database.
    experiment : str
        The name of the experiment, which may be missing.
    """
    database = address.database
    if database is None:
        return False
    query = "SELECT artifact_location, lifecycle_stage FROM experiments WHERE name = :name"
    try:
        if not database.exists():
            is_left = any(database.with_name(database.name + suffix).exists() for suffix in SIDE_FILES)
            return not is_left and os.access(database.parent, os.W_OK | os.X_OK)
        found = query_database(database, query, {"name": experiment})
        if found is None or len(found) > 1 or not os.access(database, os.W_OK):
            return False
        location, stage = found[0] if found else (default_location(address) or "", "active")
        require_writable_location(address, experiment, location)
    except (OSError, UserError):
        return False
    return bool(stage == "active")


def query_database(database: Path, query: str, values: Mapping[str, str]) -> list[Any] | None:
    """Return the rows of a query, without MLflow; None unless the database has the schema of the installed one."""
    try:
        if Schema.read(database).revision != _newest_revision():
            return None
        with closing(_existing(database)) as connection:
            return connection.execute(query, values).fetchall()
    except (sqlite3.Error, OSError):
        return None


@cache
def _newest_revision() -> str:
    """Return the newest revision of the installed MLflow's migrations; empty if there is not exactly one.

    Each file of a migration has its revision, and the one that it follows.
    """
    found = find_spec("mlflow")
    folders = (found.submodule_search_locations if found else None) or []
    revisions: set[str] = set()
    followed: set[str] = set()
    for folder in folders:
        for file in Path(folder, "store", "db_migrations", "versions").glob("*.py"):
            text = file.read_text(encoding="utf-8", errors="replace")
            revisions.update(re.findall(r"^revision = [\"'](\w+)", text, re.MULTILINE))
            followed.update(re.findall(r"^down_revision = [\"'](\w+)", text, re.MULTILINE))
    newest = revisions - followed
    return newest.pop() if len(newest) == 1 else ""


def prepare_database(address: StoreAddress, *, create: bool = True) -> None:
    """Ensure that the SQLite database of a store is complete and has the schema of the installed MLflow.

    A new one is built in a folder beside its place and renamed, an older one is migrated as a copy that replaces it.
    So at every moment there is a complete database, or none. Of several processes one does that; the others wait.

    Raises
    ------
    UserError
        If the database cannot be used, or is not there and not to be created.
    """
    if address.database is None:
        return
    try:
        _prepare(address, address.database, create)
    except (sqlite3.Error, OSError) as error:
        said = (
            (error.strerror or type(error).__name__) if isinstance(error, OSError) else " ".join(error.args)
        )
        if "not a database" in said:
            said = "it is not an SQLite database"
        raise UserError(f"tracking.uri={address.uri}: cannot be opened ({said}).") from error


def _prepare(address: StoreAddress, database: Path, create: bool) -> None:
    if not create and not database.exists():
        raise UserError(
            f"tracking.uri={address.uri}: there is no such database. Execute a run first, or name another store."
        )
    if _is_ready(address, database):
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    lock = database.with_name(f"{database.name}.lock")
    with ExitStack() as stack:
        with suppress(OSError):  # a file system without locks: the first to rename wins all the same
            stack.enter_context(locked(lock))
            _remove_leftovers(database)
        _wait_until_unchanged(database)
        if not _is_ready(address, database):
            if database.exists() and database.stat().st_size:
                _migrate(address, database)
            else:
                _create(address, database)
        with suppress(OSError):  # while it is held: a process that still waits for it finds the database
            lock.unlink()


def _is_ready(address: StoreAddress, database: Path) -> bool:
    """Return whether a database can be used as it is; refuse one that never can."""
    if not database.exists() or not database.stat().st_size:
        return False
    schema = Schema.read(database)
    if schema.is_current:
        return True
    if schema.is_foreign:
        some = ", ".join(sorted(schema.tables)[:3])
        raise UserError(
            f"tracking.uri={address.uri}: is a database of another program (tables {some}). Use another file."
        )
    if schema.revision is not None and not _is_known(schema.revision):
        import mlflow

        raise UserError(
            f"tracking.uri={address.uri}: was written by an MLflow newer than {mlflow.__version__} (schema "
            f"{schema.revision}). Upgrade MLflow, or use another file."
        )
    return False


def _create(address: StoreAddress, database: Path) -> None:
    """Create a database under another name, and rename it when it is complete and on the disk."""
    for suffix in SIDE_FILES:
        side = database.with_name(database.name + suffix)
        if side.exists():  # SQLite would apply it to the new database
            raise UserError(
                f"tracking.uri={address.uri}: {side.name} is left of a database that is gone. "
                f"Delete {side}, or restore its database."
            )
    _log.info(f"creating {database.name} (once)")
    with _own_folder(database) as folder:
        new = folder / database.name
        _build(new, database.parent / "mlartifacts")
        _sync(new)
        if database.exists() and not database.stat().st_size:  # MLflow's own creation has been waited for
            new.replace(database)
        else:
            _rename_unless_there(new, database)
    sync_folder(database.parent)


def _migrate(address: StoreAddress, database: Path) -> None:
    """Migrate a copy of a database to the current schema, keep another copy, and replace the database."""
    with closing(sqlite3.connect(database, isolation_level=None, timeout=LOCK_SECONDS)) as original:
        # A write-ahead log left beside the new file would be applied to it. This fails while others have it open.
        if original.execute("PRAGMA journal_mode = DELETE").fetchone()[0] != "delete":
            raise UserError(
                f"tracking.uri={address.uri}: is in use, and has to be migrated. Stop the MLflow UI."
            )
        original.execute("BEGIN IMMEDIATE")  # until it is replaced: what others write would be lost
        schema = Schema.read(database)
        with _own_folder(database) as folder:
            old, new = folder / f"{database.name}.old", folder / database.name
            for copy in (old, new):
                _copy(database, copy)
            try:
                _upgrade(new)
                complete = Schema.read(new).is_current
                problem = "its tables are not those of its schema"
            except Exception as error:  # whatever SQLAlchemy, Alembic and MLflow raise
                complete = False
                problem = str(error).strip().splitlines()[0]
            if not complete:
                raise UserError(_incomplete(address, database, schema, problem))
            for copy in (old, new):
                _sync(copy)
                shutil.copymode(database, copy)
            kept = _keep(old, database.with_name(f"{database.name}.before-{schema.revision or 'upgrade'}"))
            # While nobody may write, one that is there is of a process that was killed, and SQLite has found it void.
            database.with_name(f"{database.name}-journal").unlink(missing_ok=True)
            new.replace(database)
        sync_folder(database.parent)
    _log.warning(
        f"{database.name}: migrated from schema {schema.revision} to {_current_revision()}; an older MLflow cannot "
        f"open it any more. The copy {kept.name} is as it was. Restart an MLflow UI that serves it."
    )


def _incomplete(address: StoreAddress, database: Path, schema: Schema, problem: str) -> str:
    files = [database, *(database.with_name(database.name + suffix) for suffix in SIDE_FILES)]
    named = " and ".join(str(file) for file in files if file.exists())
    runs = _number_of_runs(database)
    if not runs:
        return (
            f"tracking.uri={address.uri}: this database is incomplete, since its creation was interrupted; it holds no "
            f"run. Delete {named} and run the command again."
        )
    return (
        f"tracking.uri={address.uri}: this database cannot be migrated from schema {schema.revision} ({problem}); it "
        f"holds {runs} runs. Restore a copy of it, or move it away to begin a new one."
    )


def _number_of_runs(database: Path) -> int:
    with closing(_existing(database)) as connection, suppress(sqlite3.OperationalError):  # no such table
        return int(connection.execute("SELECT count(*) FROM runs").fetchone()[0])
    return 0


def _wait_until_unchanged(database: Path) -> None:
    """Wait for a process that creates or migrates a database without the lock: MLflow's own UI does.

    One that has not been written to for some seconds is nobody's work any more.
    """
    until = monotonic() + LONGEST_WAIT_SECONDS
    files = [database, *(database.with_name(database.name + suffix) for suffix in SIDE_FILES)]
    while database.exists() and not Schema.read(database).is_current and monotonic() < until:
        with suppress(FileNotFoundError):  # a journal comes and goes
            if time() - max(file.stat().st_mtime for file in files if file.exists()) > QUIET_SECONDS:
                return
        sleep(0.2)


@contextmanager
def _own_folder(database: Path) -> Iterator[Path]:
    """Give an empty folder beside a database, and delete it in the end."""
    folder = Path(tempfile.mkdtemp(prefix=f"{database.name}.new-", dir=database.parent))
    try:
        (folder / MARKER).touch()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_leftovers(database: Path) -> None:
    """Delete the folders of processes that were killed while they created this database; the lock is held."""
    for folder in database.parent.iterdir():
        if folder.name.startswith(f"{database.name}.new-") and not folder.is_symlink():
            if (folder / MARKER).is_file():
                shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):  # empty, if its process was killed before it wrote the marker
                folder.rmdir()


def _existing(database: Path) -> sqlite3.Connection:
    """Connect to a database that is there, for reading.

    Not read-only: of an interrupted transaction the journal has to be rolled back, as every reader does.
    """
    return sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True, timeout=LOCK_SECONDS)


def _rename_unless_there(new: Path, database: Path) -> None:
    """Give a file its name, unless another process, such as MLflow's UI, has made one of that name meanwhile."""
    try:
        database.hardlink_to(new)
    except FileExistsError:
        return
    except OSError:  # a file system without links
        new.rename(database)


def _keep(copy: Path, place: Path) -> Path:
    """Move a copy to a place, or to one with a number if that is taken; return which."""
    number, kept = 1, place
    while kept.exists():
        number += 1
        kept = place.with_name(f"{place.name}-{number}")
    return copy.rename(kept)


def _copy(database: Path, copy: Path) -> None:
    """Copy a database by SQLite itself: to open it as a file would release this process's locks on it (POSIX)."""
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


def _sync(file: Path) -> None:
    with file.open("rb+") as stream:
        os.fsync(stream.fileno())


def _build(new: Path, artifacts: Path) -> None:
    """Create MLflow's tables and its default experiment in a new database."""
    from mlflow.store.db.utils import _initialize_tables
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    with _engine(new) as engine:
        _initialize_tables(engine)
    store = SqlAlchemyStore(sqlite_uri(new), artifacts.as_uri())
    store._dispose_engine()
    SqlAlchemyStore._engine_map.pop(sqlite_uri(new), None)


def _upgrade(new: Path) -> None:
    from mlflow.store.db.utils import _initialize_tables

    with _engine(new) as engine:
        _initialize_tables(engine)  # which leaves tables that are there as they are


@contextmanager
def _engine(new: Path) -> Iterator[Any]:
    """Give a connection to a database that nobody else sees: it is written to the disk only when it is complete.

    SQLite waits for the disk after each of some 400 statements: 10 s instead of 2 s.
    """
    import sqlalchemy

    engine = sqlalchemy.create_engine(sqlite_uri(new), poolclass=sqlalchemy.NullPool)

    @sqlalchemy.event.listens_for(engine, "connect")
    def hurry(connection: sqlite3.Connection, record: object) -> None:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA journal_mode = MEMORY")

    try:
        yield engine
    finally:
        engine.dispose()


@cache
def _current_revision() -> str:
    from mlflow.store.db.utils import _get_latest_schema_revision

    return str(_get_latest_schema_revision())


@cache
def _current_tables() -> frozenset[str]:
    from mlflow.store.db.utils import Base  # not from where it is defined: there it has no tables yet

    return frozenset(Base.metadata.tables)


def _is_known(revision: str) -> bool:
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError
    from mlflow.store.db.utils import _get_alembic_config

    try:
        ScriptDirectory.from_config(_get_alembic_config("")).get_revision(revision)
    except CommandError:
        return False
    return True

"""How the service connects to its database: which one an address names, and what its connections have in common."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError

from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.project.settings import STATE_FOLDER

if TYPE_CHECKING:
    from sqlalchemy.pool import ConnectionPoolEntry

DATABASE_FILE = f"{STATE_FOLDER}/server.db"
#: Threads, and connections of each engine, that handlers share.
THREADS = 8
#: Seconds after which a connection that was not used is checked before its next use: PostgreSQL may have restarted.
CHECKED_AFTER = 1.0
_READS = "nimbus_reads"


def address_of(url: str, root: Path) -> sqlalchemy.URL:
    """Return the address that DATABASE_URL has; empty: of the file in `root`.

    Raises:
        SettingsError: it is malformed, or names another database system.
    """
    if not url:
        return sqlalchemy.URL.create("sqlite", database=str(root / DATABASE_FILE))
    try:
        made = make_url(url)
    except ArgumentError:
        raise SettingsError(
            "DATABASE_URL is not the address of a database.", "Such as postgresql://host/name"
        ) from None
    backend = made.get_backend_name()
    if backend in ("postgresql", "postgres"):
        return made.set(drivername="postgresql+psycopg")
    if backend == "sqlite":
        return made
    raise SettingsError(f"DATABASE_URL names {backend}; it must begin with postgresql:// or sqlite:///.")


def open_engines(url: sqlalchemy.URL) -> tuple[Engine, Engine]:
    """Return what opens transactions, and what opens connections that only read."""
    options: dict[str, Any] = {"pool_size": THREADS, "max_overflow": THREADS}
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": 30, "check_same_thread": False}, **options)
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine, engine.execution_options(**{_READS: True})
    # A statement sees what is committed when it begins, in a transaction or not: without one, two trips less.
    engines = create_engine(url, **options), create_engine(url, isolation_level="AUTOCOMMIT", **options)
    for each in engines:
        _check_idle_connections(each)
    return engines


def _set_up_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # we begin transactions ourselves
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    reads = connection.get_execution_options().get(_READS)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _check_idle_connections(engine: Engine) -> None:
    """Replace connections that do not work any more. To check each of them each time would be a trip a request."""

    def returned(_: Any, entry: ConnectionPoolEntry) -> None:
        entry.info["returned"] = time.monotonic()

    def taken(connection: Any, entry: ConnectionPoolEntry, _: object) -> None:
        if time.monotonic() - entry.info.get("returned", time.monotonic()) < CHECKED_AFTER:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error  # the pool opens another one

    event.listen(engine, "checkin", returned)
    event.listen(engine, "checkout", taken)

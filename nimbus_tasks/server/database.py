"""The service's database: SQLite in a file by default, PostgreSQL by `DATABASE_URL`. One code path for both.

Functions that take a `Connection` run in threads: `await database.write(function)` from handlers, or
`with database.writing() as connection` where a thread is already there. Migrations run at start, under a lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy
from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from nimbus_tasks.model.errors import SettingsError, StoreError
from nimbus_tasks.project.settings import STATE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Table

    T = TypeVar("T")

DATABASE_FILE = f"{STATE_FOLDER}/server.db"
MIGRATIONS = Path(__file__).with_name("migrations")
#: Threads, and connections, that handlers share.
THREADS = 8
_MIGRATION_LOCK = 0x6E696D627573  # "nimbus"; a number of our own among PostgreSQL's advisory locks
_READS = "nimbus_reads"


class Database:
    """One engine and its threads. url: empty for the file in `root`."""

    def __init__(self, url: str = "", root: Path | None = None) -> None:
        """Connect at the first use.

        Raises:
            SettingsError: the URL is malformed, or names another database system.
        """
        self.url = _url(url, root or Path())
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        options: dict[str, Any] = {"pool_size": 2 * THREADS, "max_overflow": THREADS}
        if self.is_sqlite:
            options["connect_args"] = {"timeout": 30, "check_same_thread": False}
        else:
            options["pool_pre_ping"] = True
        self.engine = create_engine(self.url, **options)
        if self.is_sqlite:
            event.listen(self.engine, "connect", _set_up_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        self._reading = self.engine.execution_options(**{_READS: True})
        self._readers = ThreadPoolExecutor(THREADS, "database")
        # SQLite has one writer at a time: others would wait for its lock, with pauses that grow.
        self._writers = ThreadPoolExecutor(1, "database-writer") if self.is_sqlite else self._readers

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction; it is committed where the block ends well.

        Raises:
            StoreError: the database does not answer.
        """
        with self._answers(), self.engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that only reads.

        Raises:
            StoreError: the database does not answer.
        """
        with self._answers(), self._reading.begin() as connection:
            yield connection

    async def write(self, act: Callable[[Connection], T]) -> T:
        """Run a function in a transaction, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(
            self._writers, functools.partial(_within, self.writing, act)
        )

    async def read(self, act: Callable[[Connection], T]) -> T:
        """Run a function that only reads, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(
            self._readers, functools.partial(_within, self.reading, act)
        )

    def insert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        """Return an INSERT that can say what happens on conflict."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    def migrate(self) -> None:
        """Bring the tables to their newest form. Several processes may start at once: one does it, others wait.

        Raises:
            StoreError: the database does not answer, or a newer version of this program has used it.
        """
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        if self.is_sqlite and self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        with self.writing() as connection:  # SQLite: holds the only lock for writing
            if not self.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _MIGRATION_LOCK})
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise StoreError(
                    f"The database {self} cannot be brought up to date: {error}.",
                    "Was it used by a newer version? Update: pip install -U nimbus-tasks",
                ) from None

    def close(self) -> None:
        self._readers.shutdown()
        self._writers.shutdown()
        self.engine.dispose()

    def __str__(self) -> str:
        return str(self.url.database) if self.is_sqlite else self.url.render_as_string(hide_password=True)

    @contextlib.contextmanager
    def _answers(self) -> Iterator[None]:
        try:
            yield
        except sqlalchemy.exc.IntegrityError:
            raise
        except (DBAPIError, sqlalchemy.exc.TimeoutError) as error:
            reason = str(error.orig if isinstance(error, DBAPIError) else error).strip().splitlines()[0].rstrip(".")
            raise StoreError(f"The database {self} does not answer: {reason}.", "Is it running?") from error


def _within(open_: Callable[[], contextlib.AbstractContextManager[Connection]], act: Callable[[Connection], T]) -> T:
    with open_() as connection:
        return act(connection)


def _url(url: str, root: Path) -> sqlalchemy.URL:
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


def _set_up_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # we begin transactions ourselves
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    reads = connection.get_execution_options().get(_READS)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

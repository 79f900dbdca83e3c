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
from typing import TYPE_CHECKING, TypeVar

import sqlalchemy
from sqlalchemy import Connection, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from nimbus_tasks.model.errors import SettingsError, StoreError
from nimbus_tasks.server.connections import THREADS, address_of, open_engines
from nimbus_tasks.server.group_commit import GroupCommit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Table

    NewInsert = Callable[[Table], sqlite.Insert | postgresql.Insert]
    T = TypeVar("T")

MIGRATIONS = Path(__file__).with_name("migrations")
_MIGRATION_LOCK = 0x6E696D627573  # "nimbus"; a number of our own among PostgreSQL's advisory locks


class Database:
    """One engine and its threads. url: empty for the file in `root`."""

    def __init__(self, url: str = "", root: Path | None = None) -> None:
        """Connect at the first use.

        Raises:
            SettingsError: the URL is malformed, or names another database system.
        """
        self.url = address_of(url, root or Path())
        self._own_folder = None if url else Path(str(self.url.database)).parent
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine, self._reading = open_engines(self.url)
        #: Makes an INSERT that can say what happens on conflict.
        self.insert: NewInsert = sqlite.insert if self.is_sqlite else postgresql.insert
        self._threads = ThreadPoolExecutor(THREADS, "database")
        self._group = GroupCommit(self.writing) if self.is_sqlite else None

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
        """Open a connection that only reads.

        Raises:
            StoreError: the database does not answer.
        """
        with self._answers(), self._reading.connect() as connection:
            yield connection

    async def write(self, act: Callable[[Connection], T]) -> T:
        """Run a function in a transaction, in a thread. On SQLite, others may run in the same transaction."""
        if self._group is not None:
            return await self._group.write(functools.partial(self._answered, act))
        return await self._in_thread(self.writing, act)

    async def write_each(self, act: Callable[[Connection], T]) -> T:
        """Run a function whose statements need no common transaction: on PostgreSQL each of them is one.

        That saves the round trips of BEGIN and COMMIT, of which each costs as much as a statement.
        """
        return await (self.write(act) if self.is_sqlite else self._in_thread(self.reading, act))

    async def read(self, act: Callable[[Connection], T]) -> T:
        """Run a function that only reads, in a thread."""
        return await self._in_thread(self.reading, act)

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
        if self._own_folder:
            self._own_folder.mkdir(parents=True, exist_ok=True)
        elif self.is_sqlite and self.url.database and not (folder := Path(self.url.database).parent).is_dir():
            raise SettingsError(
                f"DATABASE_URL names a file in {folder}, which is no folder.", "Make it, or correct it."
            )
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
        self._threads.shutdown()
        if self._group is not None:
            self._group.close()
        self.engine.dispose()
        self._reading.dispose()

    def __str__(self) -> str:
        return str(self.url.database) if self.is_sqlite else self.url.render_as_string(hide_password=True)

    async def _in_thread(
        self, open_: Callable[[], contextlib.AbstractContextManager[Connection]], act: Callable[[Connection], T]
    ) -> T:
        def run() -> T:
            with open_() as connection:
                return act(connection)

        return await asyncio.get_running_loop().run_in_executor(self._threads, run)

    def _answered(self, act: Callable[[Connection], T], connection: Connection) -> T:
        with self._answers():
            return act(connection)

    @contextlib.contextmanager
    def _answers(self) -> Iterator[None]:
        try:
            yield
        except sqlalchemy.exc.IntegrityError:
            raise
        except (DBAPIError, sqlalchemy.exc.TimeoutError) as error:
            reason = str(error.orig if isinstance(error, DBAPIError) else error).strip().splitlines()[0].rstrip(".")
            hint = "Is it running?"
            if self.is_sqlite:
                damaged = "not a database" in reason or "malformed" in reason
                hint = "Restore a backup, or move the file away." if damaged else "Check the file and its disk."
            raise StoreError(f"The database {self} does not answer: {reason}.", hint) from error

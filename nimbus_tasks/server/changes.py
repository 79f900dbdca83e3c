"""Says that assets have changed, whichever process changed them: LISTEN/NOTIFY on PostgreSQL, polling on SQLite.

The notification comes from a trigger of the table, so nothing that writes can forget it. One thread a process listens.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Self

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nimbus_tasks.server.database import Database

#: In a set of users: SQLite does not say whose assets have changed.
EVERYONE = "*"
CHANNEL = "nimbus_assets"
#: Seconds between two looks at SQLite's counter of changes; a look costs 20 microseconds.
POLL_SECONDS = 0.25
#: Seconds before another try where the database does not answer, and the longest wait for a notification.
PAUSE = 2.0


class Subscription:
    """The users whose assets have changed since the last `wait`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._users: set[str] = set()
        self._event = asyncio.Event()

    async def wait(self, timeout: float) -> set[str]:
        """Return the users whose assets have changed; empty after `timeout` seconds without a change."""
        with contextlib.suppress(TimeoutError):
            # Not `wait_for`: before Python 3.12 it swallows a cancellation that comes with the event.
            async with asyncio.timeout(timeout):
                await self._event.wait()
        self._event.clear()
        users, self._users = self._users, set()
        return users

    def wake(self) -> None:
        """End the present wait. From the loop's thread only."""
        self._event.set()

    def notify(self, users: set[str]) -> None:
        """Add users, from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._add, users)

    def _add(self, users: set[str]) -> None:
        self._users |= users
        self._event.set()


class Changes:
    """Listens while the block runs: `async with Changes(database) as changes`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._subscriptions: set[Subscription] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="changes", daemon=True)

    async def __aenter__(self) -> Self:
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over.set()
        await asyncio.to_thread(self._thread.join)

    @contextlib.contextmanager
    def subscribe(self) -> Iterator[Subscription]:
        subscription = Subscription(asyncio.get_running_loop())
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def _notify(self, users: set[str]) -> None:
        for subscription in tuple(self._subscriptions):
            subscription.notify(users)

    def _listen(self) -> None:
        follow = self._poll if self._database.is_sqlite else self._notified
        while not self._over.is_set():
            try:
                follow()
            except (DBAPIError, OSError) as error:
                del error  # who reads or writes next says so
            except Exception as error:  # psycopg's own, below SQLAlchemy
                if type(error).__module__.partition(".")[0] not in ("psycopg", "sqlite3"):
                    raise
            self._over.wait(PAUSE)

    def _poll(self) -> None:
        with self._database.engine.connect() as connection:
            driver = connection.connection.cursor()  # no transaction: each look sees the newest state
            seen = None  # what happened without a connection is not known
            while not self._over.is_set():
                version = driver.execute("PRAGMA data_version").fetchone()
                if version != seen:
                    self._notify({EVERYONE})
                seen = version
                self._over.wait(POLL_SECONDS)

    def _notified(self) -> None:
        with self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"LISTEN {CHANNEL}"))
            self._notify({EVERYONE})  # what happened without a connection is not known
            driver = connection.connection.dbapi_connection
            assert driver is not None
            try:
                while not self._over.is_set():
                    users = {each.payload for each in driver.notifies(timeout=PAUSE / 4, stop_after=1)}
                    if users:
                        self._notify(users)
            finally:
                connection.detach()  # it still listens: not for the pool

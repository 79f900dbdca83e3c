"""Who an API key or a session belongs to, by the records of the service."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nimbus_tasks.backends.kv.records import read_one
from nimbus_tasks.model import keys
from nimbus_tasks.model.clock import seconds_of

if TYPE_CHECKING:
    from nimbus_tasks.server.records_store import RecordsStore

#: Seconds for which a key or session that was found is not looked up again: a revoked one works for so long.
REMEMBERED = 5.0
_MOST_REMEMBERED = 10_000


class User(Struct, frozen=True):
    """Who makes a request. session: of a cookie; empty for an API key.

    key: the hash of the API key, or of the one that the session was opened with; empty where that was a link.
    logs_in: whether the API key opens sessions.
    """

    id: str
    email: str = ""
    session: str = ""
    key: str = ""
    logs_in: bool = True


class SessionRecord(Struct):
    """`session:{session_id}`. The id is the hash of what the cookie holds.

    key: the hash of the API key that it was opened with, and ends with; empty where it was a link.
    """

    user_id: str
    email: str
    created: str
    expires: str
    ip: str
    user_agent: str
    key: str = ""


class _Key(Struct):
    user_id: str = ""
    active: Any = False
    scope: str = ""


class Lookups:
    """Keys and sessions of the records, remembered for a few seconds. used: requests of each key, to be written."""

    def __init__(self, records: RecordsStore) -> None:
        self._records = records
        self._known: dict[str, tuple[float, User]] = {}
        self.used: dict[str, int] = {}

    async def key(self, key: str) -> User | None:
        hashed = keys.apikey_hash(key)
        user = self._remembered(hashed)
        if user is None:
            found = await self._find(hashed)
            if found is None:
                return None
            user = User(found.user_id, key=hashed, logs_in=not found.scope)
            self._remember(hashed, user)
        self.used[hashed] = self.used.get(hashed, 0) + 1
        return user

    async def session(self, cookie: str) -> User | None:
        session = session_id(cookie)
        user = self._remembered(session)
        if user is None:
            found = await read_one(self._records, session_key(session), SessionRecord)
            if found is None or seconds_of(found.expires) < time.time():
                return None
            if found.key:
                key = await self._find(found.key)
                if key is None or key.scope or key.user_id != found.user_id:
                    return None
            user = User(found.user_id, found.email, session, found.key)
            self._remember(session, user)
        return user

    def forget(self, name: str) -> None:
        self._known.pop(name, None)

    def forget_key(self, hashed: str) -> None:
        """Forget an API key, and the sessions that it opened."""
        self._known = {name: known for name, known in self._known.items() if known[1].key != hashed}

    def _remembered(self, name: str) -> User | None:
        until, user = self._known.get(name, (0.0, None))
        return user if until > time.monotonic() else None

    def _remember(self, name: str, user: User) -> None:
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[name] = (time.monotonic() + REMEMBERED, user)

    async def _find(self, hashed: str) -> _Key | None:
        """Return an API key; None where it is not one for the service, or was revoked."""
        found = await read_one(self._records, keys.apikey_key(hashed), _Key)
        usable = found is not None and found.user_id and found.active is True and found.scope in ("", "program")
        return found if usable else None


def session_id(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()


def session_key(session: str) -> str:
    return f"session:{session}"

"""Who makes a request: an API key or a session cookie. Routes are closed unless they say that they are public."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import TYPE_CHECKING, Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from msgspec import Struct

from nimbus_tasks.backends.kv.records import read_one
from nimbus_tasks.model import keys
from nimbus_tasks.model.clock import seconds_of
from nimbus_tasks.server.errors import ApiError
from nimbus_tasks.server.rate_limit import LOGIN, limit

if TYPE_CHECKING:
    from nimbus_tasks.server.service import Service

COOKIE = "nimbus_session"
CSRF_HEADER = "x-csrf-token"
#: Seconds for which a key or session that was found is not looked up again: a revoked one works for so long.
REMEMBERED = 5.0
_MOST_REMEMBERED = 10_000
_READS = ("GET", "HEAD", "OPTIONS")


class User(Struct, frozen=True):
    """Who makes a request. session: of a cookie; empty for an API key. key: the hash of an API key."""

    id: str
    email: str = ""
    session: str = ""
    key: str = ""


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

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, User]] = {}
        self.used: dict[str, int] = {}

    async def key(self, service: Service, key: str) -> User | None:
        hashed = keys.apikey_hash(key)
        user = self._remembered(hashed)
        if user is None:
            user_id = await _owner_of(service, hashed)
            if not user_id:
                return None
            user = User(user_id, key=hashed)
            self._remember(hashed, user)
        self.used[hashed] = self.used.get(hashed, 0) + 1
        return user

    async def session(self, service: Service, cookie: str) -> User | None:
        session = session_id(cookie)
        user = self._remembered(session)
        if user is None:
            found = await read_one(service.records, session_key(session), SessionRecord)
            if found is None or seconds_of(found.expires) < time.time():
                return None
            if found.key and await _owner_of(service, found.key) != found.user_id:
                return None
            user = User(found.user_id, found.email, session)
            self._remember(session, user)
        return user

    def forget(self, name: str) -> None:
        self._known.pop(name, None)

    def _remembered(self, name: str) -> User | None:
        until, user = self._known.get(name, (0.0, None))
        return user if until > time.monotonic() else None

    def _remember(self, name: str, user: User) -> None:
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[name] = (time.monotonic() + REMEMBERED, user)


async def _owner_of(service: Service, hashed: str) -> str:
    """Return whose API key this is; empty where it is not one that may do everything, or was revoked."""
    found = await read_one(service.records, keys.apikey_key(hashed), _Key)
    return "" if found is None or found.active is not True or found.scope else found.user_id


async def check_access(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Find the user of a request to a route that is not public; a guard of the whole application.

    Raises:
        ApiError: there is none, or a write with a cookie has no CSRF token.
    """
    if handler.opt.get("public"):
        return
    service: Service = connection.app.state.service
    user = await _user_of(connection, service)
    if user is None:
        client = connection.client.host if connection.client else ""
        if _has_credentials(connection):
            await limit(service.buckets, f"login:{client}", LOGIN, "attempts to log in")
        error = ApiError(401, "auth", "Log in, or send an API key: Authorization: Bearer sk_live_...")
        error.headers = {"www-authenticate": "Bearer"}
        raise error
    if user.session and connection.scope.get("method") not in _READS:
        token = connection.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(token.encode(), csrf_token(service.signing_key, user.session).encode()):
            raise ApiError(403, "auth", f"A request with a session needs the header {CSRF_HEADER}: see /api/session")
    connection.scope["user"] = user
    connection.scope["state"]["user_id"] = user.id


async def _user_of(connection: ASGIConnection[Any, Any, Any, Any], service: Service) -> User | None:
    kind, _, key = connection.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return await service.lookups.key(service, key.strip())
    cookie = connection.cookies.get(COOKIE, "")
    return await service.lookups.session(service, cookie) if cookie else None


def _has_credentials(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    return "authorization" in connection.headers or COOKIE in connection.cookies


def session_id(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()


def session_key(session: str) -> str:
    return f"session:{session}"


def csrf_token(signing_key: bytes, session: str) -> str:
    return hmac.digest(signing_key, f"csrf:{session}".encode(), "sha256").hex()

"""Logging in by a one-time link, sessions, and the use of API keys. Keys themselves: `gateway/keys.py`."""

from __future__ import annotations

import hashlib
import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Request, Response, delete, get
from litestar.datastructures import State
from msgspec import Struct

from nimbus_tasks.backends.kv import Swap, Write
from nimbus_tasks.backends.kv.records import read_one
from nimbus_tasks.model import records
from nimbus_tasks.model.clock import now
from nimbus_tasks.model.records import LOCAL_USER, UserRecord
from nimbus_tasks.server.auth import COOKIE, SessionRecord, User, csrf_token, session_id, session_key
from nimbus_tasks.server.errors import ApiError
from nimbus_tasks.server.rate_limit import LOGIN, limit
from nimbus_tasks.server.service import Service

if TYPE_CHECKING:
    from nimbus_tasks.server.records_store import RecordsStore

#: Seconds for which a login link works, once.
LINK_SECONDS = 15 * 60
_LOGIN = "login:"
_PUBLIC = {"public": True}


class _Link(Struct):
    user_id: str
    expires: float


class SessionAnswer(Struct, rename="camel"):
    """Who is logged in. csrf_token: for the header of writes; empty with an API key, which needs none."""

    user_id: str
    email: str
    csrf_token: str


async def make_login_link(service: Service, user_id: str = LOCAL_USER) -> str:
    """Return the path of a link that logs a user in, once. The user is made where there is none."""
    store = service.records
    if await read_one(store, records.user_key(user_id), dict[str, Any]) is None:
        await _put(store, records.user_key(user_id), UserRecord(user_id, "", now()))
    token = secrets.token_urlsafe(24)
    await _put(store, _link_key(token), _Link(user_id, time.time() + LINK_SECONDS))
    return f"/login?token={token}"


@get("/login", opt=_PUBLIC)
async def login(request: Request[Any, Any, State], service: Service, token: str = "") -> Response[None]:
    """Log in by a one-time link: sets the session's cookie, and goes on to the page."""
    client = request.client.host if request.client else ""
    await limit(service.buckets, f"login:{client}", LOGIN, "attempts to log in")
    found = await service.records.take(_link_key(token)) if token else None
    link = msgspec.json.decode(found, type=_Link) if found else None
    if link is None or link.expires < time.time():
        raise ApiError(403, "auth", "This link has been used or has expired: restart the service for a new one")
    cookie = await _open_session(service, link.user_id, client, request.headers.get("user-agent", ""))
    answer: Response[None] = Response(None, status_code=303, headers={"location": "/"})
    answer.set_cookie(
        COOKIE,
        cookie,
        max_age=service.settings.server.session_days * 86_400,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
        path="/",
    )
    return answer


@get("/api/session")
async def session(service: Service, user: User) -> SessionAnswer:
    """Say who is logged in, with the token that writes need."""
    token = csrf_token(service.signing_key, user.session) if user.session else ""
    return SessionAnswer(user.id, user.email, token)


@delete("/api/session", status_code=204)
async def logout(service: Service, user: User) -> Response[None]:
    """Log out: the session ends."""
    if user.session:
        await service.records.take(session_key(user.session))
        service.lookups.forget(user.session)
    answer: Response[None] = Response(None, status_code=204)
    answer.delete_cookie(COOKIE)
    return answer


async def write_key_use(service: Service) -> None:
    """Write the counts of requests into the keys' records: once a minute, and at a stop."""
    used, service.lookups.used = service.lookups.used, {}
    moment = now()
    for hashed, count in used.items():
        key = records.apikey_key(hashed)
        before = (await service.records.get([key])).get(key)
        record = msgspec.json.decode(before) if before else None
        if not isinstance(record, dict):
            continue
        usage = record.get("usage") or {}
        today = usage.get("requests_today", 0) if str(record.get("last_used", ""))[:10] == moment[:10] else 0
        record["usage"] = {"requests_today": today + count, "requests_total": usage.get("requests_total", 0) + count}
        record["last_used"] = moment
        # A key that was revoked in between stays revoked: then these counts are lost.
        await service.records.swap([Swap(key, before, msgspec.json.encode(record))])


async def _open_session(service: Service, user_id: str, ip: str, user_agent: str) -> str:
    """Return the cookie of a new session."""
    user = await read_one(service.records, records.user_key(user_id), dict[str, Any]) or {}
    cookie = secrets.token_urlsafe(32)
    began = datetime.now(UTC)
    ends = began + timedelta(days=service.settings.server.session_days)
    record = SessionRecord(
        user_id, user.get("email", ""), records.timestamp(began), records.timestamp(ends), ip, user_agent[:200]
    )
    await _put(service.records, session_key(session_id(cookie)), record)
    return cookie


async def _put(store: RecordsStore, key: str, record: object) -> None:
    await store.put([Write(key, msgspec.json.encode(record))])


def _link_key(token: str) -> str:
    return _LOGIN + hashlib.sha256(token.encode()).hexdigest()


ROUTES = [login, session, logout]

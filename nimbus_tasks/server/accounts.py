"""Logging in by a one-time link, sessions, and the use of API keys. Keys themselves: `gateway/keys.py`."""

from __future__ import annotations

import hashlib
import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.datastructures import State
from msgspec import Meta, Struct

from nimbus_tasks.backends.kv import Swap, Write
from nimbus_tasks.backends.kv.records import read_one
from nimbus_tasks.model import keys
from nimbus_tasks.model.clock import now, timestamp
from nimbus_tasks.model.keys import LOCAL_USER
from nimbus_tasks.model.records import UserRecord
from nimbus_tasks.server.auth import COOKIE, csrf_token
from nimbus_tasks.server.errors import ApiError
from nimbus_tasks.server.lookups import SessionRecord, User, session_id, session_key
from nimbus_tasks.server.pages import document
from nimbus_tasks.server.rate_limit import LOGIN, limit
from nimbus_tasks.server.service import Service
from nimbus_tasks.server.storage import folder_of

if TYPE_CHECKING:
    from nimbus_tasks.server.records_store import RecordsStore

#: Seconds for which a login link works, once.
LINK_SECONDS = 15 * 60
_LOGIN = "login:"
_PUBLIC = {"public": True}


class _Link(Struct):
    user_id: str
    expires: float


class SessionResponse(Struct, rename="camel"):
    """Who is logged in. csrf_token: for the header of writes; empty with an API key, which needs none.

    upload_concurrency: files that the page sends at once, at most. files_url: what the addresses of the user's files
    begin with.
    """

    user_id: str
    email: str
    csrf_token: str
    upload_concurrency: int
    files_url: str


class KeyLogin(Struct):
    key: Annotated[str, Meta(min_length=1, max_length=100)]


async def make_login_link(service: Service, user_id: str = LOCAL_USER) -> str:
    """Return the path of a link that logs a user in, once. The user is made where there is none."""
    store = service.records
    if await read_one(store, keys.user_key(user_id), dict[str, Any]) is None:
        await _put(store, keys.user_key(user_id), UserRecord(user_id, "", now()))
    token = secrets.token_urlsafe(24)
    await _put(store, _link_key(token), _Link(user_id, time.time() + LINK_SECONDS))
    return f"/login?token={token}"


@get("/login", opt=_PUBLIC, include_in_schema=False)
async def login(request: Request[Any, Any, State], service: Service, token: str = "") -> Response[Any]:
    """Log in by a one-time link, and go on to the page; without one, show the form that takes an API key."""
    if not token:
        return document()
    client = await _count_attempt(request, service)
    found = await service.records.take(_link_key(token))
    link = msgspec.json.decode(found, type=_Link) if found else None
    if link is None or link.expires < time.time():
        if "text/html" in request.headers.get("accept", ""):
            return Response(None, status_code=303, headers={"location": "/login?link=used"})
        raise ApiError(403, "auth", "This link has been used or has expired: restart the service for a new one")
    response: Response[Any] = Response(None, status_code=303, headers={"location": "/"})
    await _open_session(request, service, link.user_id, client, response)
    return response


@post("/api/session", opt=_PUBLIC, status_code=204)
async def login_by_key(request: Request[Any, Any, State], service: Service, data: KeyLogin) -> Response[None]:
    """Log in with an API key: a browser gets a session in its place, which ends when the key is revoked."""
    if request.content_type[0] != "application/json":  # what a form of another site cannot send
        raise ApiError(415, "invalid", "Send the key as JSON, with content-type: application/json")
    client = await _count_attempt(request, service)
    user = await service.lookups.key(data.key.strip())
    if user is None:
        raise ApiError(401, "auth", "This API key is not known, or it was revoked")
    if not user.logs_in:
        raise ApiError(403, "auth", "This API key is for a program: it does not log in")
    response: Response[None] = Response(None, status_code=204)
    await _open_session(request, service, user.id, client, response, user.key)
    return response


@get("/api/session")
async def session(service: Service, user: User) -> SessionResponse:
    """Say who is logged in, with the token that writes need."""
    token = csrf_token(service.signing_key, user.session) if user.session else ""
    files_url = service.storage.url(folder_of(user.id))
    return SessionResponse(user.id, user.email, token, service.settings.server.upload_concurrency, files_url)


@delete("/api/session", status_code=204)
async def logout(service: Service, user: User) -> Response[None]:
    """Log out: the session ends."""
    if user.session:
        await service.records.take(session_key(user.session))
        service.lookups.forget(user.session)
    response: Response[None] = Response(None, status_code=204)
    response.delete_cookie(COOKIE)
    return response


async def write_key_use(service: Service) -> None:
    """Write the counts of requests into the keys' records: once a minute, and at a stop."""
    used, service.lookups.used = service.lookups.used, {}
    moment = now()
    for hashed, count in used.items():
        key = keys.apikey_key(hashed)
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


async def _count_attempt(request: Request[Any, Any, State], service: Service) -> str:
    """Count an attempt to log in against the limit of the client's address; return the address."""
    client = request.client.host if request.client else ""
    await limit(service.buckets, f"login:{client}", LOGIN, "attempts to log in")
    return client


async def _open_session(
    request: Request[Any, Any, State], service: Service, user_id: str, ip: str, response: Response[Any], key: str = ""
) -> None:
    """Open a session, and have the response set its cookie."""
    user = await read_one(service.records, keys.user_key(user_id), dict[str, Any]) or {}
    cookie = secrets.token_urlsafe(32)
    began = datetime.now(UTC)
    days = service.settings.server.session_days
    agent = request.headers.get("user-agent", "")[:200]
    times = (timestamp(began), timestamp(began + timedelta(days=days)))
    record = SessionRecord(user_id, user.get("email", ""), *times, ip, agent, key)
    await _put(service.records, session_key(session_id(cookie)), record)
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=days * 86_400,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
        path="/",
    )


async def _put(store: RecordsStore, key: str, record: object) -> None:
    await store.put([Write(key, msgspec.json.encode(record))])


def _link_key(token: str) -> str:
    return _LOGIN + hashlib.sha256(token.encode()).hexdigest()


ROUTES = [login, login_by_key, session, logout]

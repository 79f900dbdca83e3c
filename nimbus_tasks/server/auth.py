"""Who makes a request: an API key or a session cookie. Routes are closed unless they say that they are public."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from nimbus_tasks.server.errors import ApiError
from nimbus_tasks.server.rate_limit import LOGIN, limit

if TYPE_CHECKING:
    from nimbus_tasks.server.lookups import User
    from nimbus_tasks.server.service import Service

COOKIE = "nimbus_session"
CSRF_HEADER = "x-csrf-token"
_READS = ("GET", "HEAD", "OPTIONS")


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
        return await service.lookups.key(key.strip())
    cookie = connection.cookies.get(COOKIE, "")
    return await service.lookups.session(cookie) if cookie else None


def _has_credentials(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    return "authorization" in connection.headers or COOKIE in connection.cookies


def csrf_token(signing_key: bytes, session: str) -> str:
    return hmac.digest(signing_key, f"csrf:{session}".encode(), "sha256").hex()

"""What surrounds every request: its id, security headers, slow clients, one line in the log."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from typing import TYPE_CHECKING, Any

from litestar.enums import ScopeType

from nimbus_tasks.server.errors import ApiError

if TYPE_CHECKING:
    from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

    from nimbus_tasks.project.settings import LogLevelName
    from nimbus_tasks.server.service import Service

_ID = re.compile(rb"[0-9A-Za-z_-]{8,64}")
#: A request that takes longer is logged.
SLOW_SECONDS = 1.0
_CSP = (
    "default-src 'self'; img-src 'self' data: blob: https: http://127.0.0.1:*; connect-src 'self' https: "
    "http://127.0.0.1:*; worker-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; "
    "object-src 'none'"
)
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"content-security-policy", _CSP.encode()),
    (b"cache-control", b"no-store"),
]
_TLS_ONLY = [(b"strict-transport-security", b"max-age=31536000")]
_WITHOUT_BODY = ("GET", "HEAD", "OPTIONS")


class RequestLayer:
    """An ASGI application around another one."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service
        self._patience = service.settings.server.slow_client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP:
            await self._around(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _around(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        request_id = _id_of(scope)
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        status, seconds = 0, None

        async def send_with_headers(message: Message) -> None:
            nonlocal status, seconds
            if message["type"] == "http.response.start":
                status, seconds = message["status"], time.perf_counter() - began
                headers = list(message["headers"])
                given = {name.lower() for name, _ in headers}
                usual = _HEADERS + _TLS_ONLY if scope["scheme"] == "https" else _HEADERS
                headers += [each for each in usual if each[0] not in given]
                message["headers"] = [*headers, (b"x-request-id", request_id.encode())]
            await send(message)

        patient = receive if scope["method"] in _WITHOUT_BODY else self._patient(receive)
        try:
            await self._app(scope, patient, send_with_headers)
        finally:
            if status:
                self._service.metrics.request(scope["method"], status)
            # Until the answer began: a stream of events stays open, and a client may read slowly.
            self._log(scope, status, time.perf_counter() - began if seconds is None else seconds)

    def _patient(self, receive: Receive) -> Receive:
        """Return a `receive` that gives up a client that sends nothing more of its body."""
        complete = False

        async def wait() -> Any:
            nonlocal complete
            if complete:
                return await receive()
            try:
                async with asyncio.timeout(self._patience):
                    message: Any = await receive()
            except TimeoutError:
                raise ApiError(408, "network", "The request's body did not arrive in time: send it again") from None
            complete = not message.get("more_body", False)
            return message

        return wait

    def _log(self, scope: HTTPScope, status: int, seconds: float) -> None:
        level: LogLevelName = "debug"
        if status >= 500 or not status:
            level = "error"
        elif status == 429 or seconds > SLOW_SECONDS:
            level = "warning"
        elif status >= 400:
            level = "info"
        state = scope["state"]
        more = {name: state[name] for name in ("user_id", "cause") if name in state}
        self._service.log.event(
            level,
            "request",
            request_id=state["request_id"],
            method=scope["method"],
            path=scope["path"],
            status=status,
            ms=round(1000 * seconds, 1),
            client=(scope.get("client") or ("",))[0],
            **more,
        )


def _id_of(scope: HTTPScope) -> str:
    """Return the id that a proxy gave this request, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _ID.fullmatch(value):
            return value.decode()
    return uuid.uuid4().hex

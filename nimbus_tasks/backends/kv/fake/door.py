"""A request's way in and out: its body, who asks, how often, which endpoint, and the journal before the answer.

The body is read to its end first, whatever the answer will be: a client that is still sending would see a broken
connection instead of an answer.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from typing import TYPE_CHECKING

from msgspec import Struct
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from nimbus_tasks.backends.kv.fake import answers, limits
from nimbus_tasks.backends.kv.fake.answers import Answer, Refusal
from nimbus_tasks.backends.kv.fake.call import Call, Cloud, read_query
from nimbus_tasks.backends.kv.fake.journal import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import Receive, Scope, Send

    Endpoint = Callable[[Cloud, Call], Answer]

_ID = re.compile(r"[0-9a-f]{32}")
_BEARER = re.compile(r"Bearer +([\x21-\x7e]+)", re.IGNORECASE)
_WHERE = re.compile(r"/client/v4/accounts/[^/]*(/storage/kv(/namespaces/[^/]*)?)?")


class Place(Struct, frozen=True):
    """A route: its name in the counts, its path, its endpoints by method, and what its errors call the action."""

    name: str
    path: str
    endpoints: Mapping[str, Endpoint]
    action: str = "get"


class Door:
    """The application at one place."""

    def __init__(self, place: Place, cloud: Cloud, token: str) -> None:
        self._place, self._cloud, self._token = place, cloud, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            body, size = await _read(request)
        except ClientDisconnect:
            return  # what was never wholly sent was never asked
        headers: dict[str, str] = {}
        try:
            answer = self._answer(request, body, size, headers)
        except Refusal as refusal:
            answer = refusal.answer()
        self._record(request, answer, size)
        response = Response(answer.body, answer.status, headers | answer.headers, answer.content_type)
        await response(scope, receive, send)

    def _answer(self, request: Request, body: bytes, size: int, headers: dict[str, str]) -> Answer:
        token = self._authenticate(request)
        now = self._cloud.clock.now()
        allowance = self._cloud.rate.admit(token, now)
        headers["ratelimit"] = f'"default";r={allowance.remaining};t={allowance.reset}'
        headers["ratelimit-policy"] = self._cloud.rate.policy
        if allowance.wait:
            raise answers.throttled(allowance.wait)
        endpoint, namespace = self._find(request)
        if size > limits.BODY_BYTES:
            raise answers.too_large(f"the request takes more than {limits.BODY_BYTES} bytes")
        query = read_query(request.scope["query_string"])
        content_type = request.headers.get("content-type", "")
        return endpoint(
            self._cloud, Call(query, content_type, body, now, namespace, request.path_params.get("key", ""))
        )

    def _authenticate(self, request: Request) -> bytes:
        """Return a digest of the token, which stands for it from here on."""
        header = request.headers.get("authorization")
        if header is None:
            raise answers.unauthenticated()
        found = _BEARER.fullmatch(header)
        if not found:
            raise answers.malformed_authorization()
        token = found[1].encode()
        if self._token and not hmac.compare_digest(token, self._token.encode()):
            raise answers.unauthenticated()
        return hashlib.sha256(token).digest()

    def _find(self, request: Request) -> tuple[Endpoint, int]:
        """Return the endpoint, and the number of the namespace that is asked for (0: none is)."""
        options = self._cloud.options
        account = request.path_params.get("account", "")
        if not _ID.fullmatch(account):
            raise answers.no_route(request.scope["path"])
        if options.account and account != options.account:
            raise answers.unauthorized()
        endpoint = self._place.endpoints.get(request.method)
        if endpoint is None:
            raise answers.method_not_allowed(request.method, sorted(self._place.endpoints))
        identifier = request.path_params.get("namespace")
        return endpoint, 0 if identifier is None else self._namespace(identifier)

    def _namespace(self, identifier: str) -> int:
        if not _ID.fullmatch(identifier):
            raise answers.malformed_namespace(identifier[:64])
        store = self._cloud.store
        found = store.namespace(identifier)
        if found is None and not self._cloud.options.namespaces:
            store.add_namespace(identifier, f"namespace-{identifier[:8]}")
            found = store.namespace(identifier)
        if found is None:
            raise answers.no_namespace(self._place.action)
        return found.number

    def _record(self, request: Request, answer: Answer, size: int) -> None:
        path = request.scope["path"]
        if found := _WHERE.match(path):
            path = path[found.end() :] or "/"
        query = request.scope["query_string"].decode("latin-1")
        wrote = bool(answer.stored or answer.removed)
        sizes = (size, len(answer.body))
        entry = Entry(time.time(), request.method, path, query, answer.status, *sizes, answer.pairs, wrote)
        self._cloud.journal.record(entry)
        done = {"writes": answer.stored, "reads": answer.read, "deletes": answer.removed, "lists": answer.lists}
        self._cloud.counts.add(self._place.name, entry, done)


async def _read(request: Request) -> tuple[bytes, int]:
    """Read the body to its end, and its size. Nothing else is kept of one that is too large."""
    parts: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= limits.BODY_BYTES:
            parts.append(chunk)
        else:
            parts.clear()
    return b"".join(parts), size

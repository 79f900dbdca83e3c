"""The application: routes, and what each request passes on its way to an endpoint.

The body is read to its end first, whatever the answer will be: a client that is still sending would see a broken
connection instead of an answer.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import parse_qsl

from msgspec import Struct
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from nimbus_tasks.backends.kv.fake import answers, limits
from nimbus_tasks.backends.kv.fake.answers import Answer, Refusal, wrong_body
from nimbus_tasks.backends.kv.fake.cloud import Call, Cloud
from nimbus_tasks.backends.kv.fake.endpoints import (
    delete_keys,
    delete_value,
    get_keys,
    get_metadata,
    get_namespace,
    get_value,
    list_keys,
    list_namespaces,
    put_pairs,
    put_value,
)
from nimbus_tasks.backends.kv.fake.inspection import Control, Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send


def read_query(query: bytes) -> dict[str, str]:
    """Return the parameters of a query, the last of each name.

    Raises:
        Refusal: it is not UTF-8.
    """
    try:
        return dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True, errors="strict"))
    except ValueError:
        raise wrong_body("could not decode the query string") from None


# --- each request --------------------------------------------------------------------------------------

_ID = re.compile(r"[0-9a-f]{32}")
_BEARER = re.compile(r"Bearer +([\x21-\x7e]+)", re.IGNORECASE)
_WHERE = re.compile(r"/client/v4/accounts/[^/]*(/storage/kv(/namespaces/[^/]*)?)?")


#: Answers a request that was admitted.
Endpoint: TypeAlias = "Callable[[Cloud, Call], Answer]"


class Resource(Struct, frozen=True):
    """A route: its name in the counts, its path, its endpoints by method, and what its errors call the action."""

    name: str
    path: str
    endpoints: Mapping[str, Endpoint]
    action: str = "get"


class Handler:
    """Admits the requests for one resource, and records their answers."""

    def __init__(self, resource: Resource, cloud: Cloud, token: str) -> None:
        self._resource, self._cloud, self._token = resource, cloud, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            body, size = await _read(request)
        except ClientDisconnect:
            return  # a request that was not sent in full has no effect
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
        """Return a digest of the token, which is not kept."""
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
        """Return the endpoint, and the number of the namespace (0 if the path has none)."""
        options = self._cloud.options
        account = request.path_params.get("account", "")
        if not _ID.fullmatch(account):
            raise answers.no_route(request.scope["path"])
        if options.account and account != options.account:
            raise answers.unauthorized()
        endpoint = self._resource.endpoints.get(request.method)
        if endpoint is None:
            raise answers.method_not_allowed(request.method, sorted(self._resource.endpoints))
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
            raise answers.no_namespace(self._resource.action)
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
        self._cloud.counts.add(self._resource.name, entry, done)


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


# --- routes (developers.cloudflare.com/api/resources/kv) -----------------------------------------------

ROOT = "/client/v4"
_NAMESPACES = ROOT + "/accounts/{account}/storage/kv/namespaces"
_NAMESPACE = _NAMESPACES + "/{namespace}"
_VALUE = {"GET": get_value, "PUT": put_value, "DELETE": delete_value}

RESOURCES = (
    Resource("/namespaces", _NAMESPACES, {"GET": list_namespaces}),
    Resource("/", _NAMESPACE, {"GET": get_namespace}),
    Resource("/values/{key}", _NAMESPACE + "/values/{key}", _VALUE),
    Resource("/metadata/{key}", _NAMESPACE + "/metadata/{key}", {"GET": get_metadata}),
    Resource("/keys", _NAMESPACE + "/keys", {"GET": list_keys}, "list keys"),
    # DELETE is how a bulk delete was asked for before 2024; wrangler 4 still does.
    Resource("/bulk", _NAMESPACE + "/bulk", {"PUT": put_pairs, "DELETE": delete_keys}, "bulk put"),
    Resource("/bulk/delete", _NAMESPACE + "/bulk/delete", {"POST": delete_keys}, "bulk delete"),
    Resource("/bulk/get", _NAMESPACE + "/bulk/get", {"POST": get_keys}, "bulk get keys"),
    Resource("(no route)", "/{rest:path}", {}),
)


def application(cloud: Cloud, token: str) -> ASGIApp:
    """Return the whole application. An empty token: any that is not empty is accepted."""
    routes = [Route(resource.path, Handler(resource, cloud, token)) for resource in RESOURCES]
    app = Starlette(routes=[*Control(cloud.store, cloud.counts, cloud.clock).routes, *routes])
    app.router.redirect_slashes = False

    async def undecoded(scope: Scope, receive: Receive, send: Send) -> None:
        # Routes match the path as it was sent: an encoded slash is a part of its key.
        if scope["type"] == "http":
            scope["path"] = scope["raw_path"].decode("latin-1")
        await app(scope, receive, send)

    return undecoded

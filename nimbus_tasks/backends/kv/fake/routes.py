"""Which path leads to which endpoint (developers.cloudflare.com/api/resources/kv)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.routing import Route

from nimbus_tasks.backends.kv.fake.bulk import delete_keys, get_keys, put_pairs
from nimbus_tasks.backends.kv.fake.control import Control
from nimbus_tasks.backends.kv.fake.door import Door, Place
from nimbus_tasks.backends.kv.fake.namespaces import get_namespace, list_keys, list_namespaces
from nimbus_tasks.backends.kv.fake.values import delete_value, get_metadata, get_value, put_value

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from nimbus_tasks.backends.kv.fake.call import Cloud

ROOT = "/client/v4"
_NAMESPACES = ROOT + "/accounts/{account}/storage/kv/namespaces"
_NAMESPACE = _NAMESPACES + "/{namespace}"
_VALUE = {"GET": get_value, "PUT": put_value, "DELETE": delete_value}

PLACES = (
    Place("/namespaces", _NAMESPACES, {"GET": list_namespaces}),
    Place("/", _NAMESPACE, {"GET": get_namespace}),
    Place("/values/{key}", _NAMESPACE + "/values/{key}", _VALUE),
    Place("/metadata/{key}", _NAMESPACE + "/metadata/{key}", {"GET": get_metadata}),
    Place("/keys", _NAMESPACE + "/keys", {"GET": list_keys}, "list keys"),
    # DELETE is how a bulk delete was asked for before 2024; wrangler 4 still does.
    Place("/bulk", _NAMESPACE + "/bulk", {"PUT": put_pairs, "DELETE": delete_keys}, "bulk put"),
    Place("/bulk/delete", _NAMESPACE + "/bulk/delete", {"POST": delete_keys}, "bulk delete"),
    Place("/bulk/get", _NAMESPACE + "/bulk/get", {"POST": get_keys}, "bulk get keys"),
    Place("(no route)", "/{rest:path}", {}),
)


def application(cloud: Cloud, token: str) -> ASGIApp:
    """Return the whole application. An empty token: any that is not empty is accepted."""
    routes = [Route(place.path, Door(place, cloud, token)) for place in PLACES]
    app = Starlette(routes=[*Control(cloud).routes, *routes])
    app.router.redirect_slashes = False

    async def undecoded(scope: Scope, receive: Receive, send: Send) -> None:
        # Routes match the path as it was sent: an encoded slash is a part of its key.
        if scope["type"] == "http":
            scope["path"] = scope["raw_path"].decode("latin-1")
        await app(scope, receive, send)

    return undecoded

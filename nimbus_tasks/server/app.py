"""The application: routes, who may use them, what surrounds a request. Each module brings its own routes.

`create_app(service, routes, lifespan)`: handlers get `service` and `user` by name. A route is for signed-in users
unless it says `opt={"public": True}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Litestar, Request, get
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import NotFoundException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from sqlalchemy import text

import nimbus_tasks
from nimbus_tasks.server import (
    accounts,
    api_keys,
    assets,
    classic_upload,
    completion,
    deletion,
    errors,
    folder_uploads,
    listing,
    page_batches,
    pages,
    public_blobs,
    uploads,
)
from nimbus_tasks.server.auth import check_access
from nimbus_tasks.server.lookups import User
from nimbus_tasks.server.requests import RequestLayer
from nimbus_tasks.server.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager

#: Bytes of a body, where a route does not say otherwise.
MOST_BODY = 1024 * 1024
PUBLIC = {"public": True}


@get("/healthz", opt=PUBLIC, sync_to_thread=False)
def healthz() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "ok"}


@get("/readyz", opt=PUBLIC)
async def readyz(service: Service) -> dict[str, str]:
    """Say that the database, the blob store and Redis, where it is used, answer; 503 where one does not."""
    await service.database.read(lambda connection: connection.execute(text("SELECT 1")).scalar_one())
    await service.storage.check()
    await service.buckets.check()
    return {"status": "ready"}


OWN_ROUTES: list[Any] = [
    healthz, readyz, *pages.ROUTES, *page_batches.ROUTES, *accounts.ROUTES, *api_keys.ROUTES,
    *uploads.ROUTES, *completion.ROUTES, *classic_upload.ROUTES, *folder_uploads.ROUTES, *assets.ROUTES,
    *listing.ROUTES, *deletion.ROUTES, *public_blobs.ROUTES,
]  # fmt: skip


def create_app(
    service: Service,
    routes: Sequence[Any] = (),
    lifespan: Sequence[Callable[[Litestar], AbstractAsyncContextManager[None]]] = (),
) -> Litestar:
    """Return the application with further routes. lifespan: opened at start, closed at a stop, such as jobs."""
    app = Litestar(
        route_handlers=[*OWN_ROUTES, *routes],
        lifespan=list(lifespan),
        dependencies={
            "service": Provide(_service, sync_to_thread=False),
            "user": Provide(_user, sync_to_thread=False),
        },
        guards=[check_access],
        before_request=_check_text,
        exception_handlers={**errors.HANDLERS, NotFoundException: pages.answer_unknown_path},  # type: ignore[dict-item]
        state=State({"service": service}),
        request_max_body_size=MOST_BODY,
        openapi_config=OpenAPIConfig(
            title="Nimbus Tasks",
            version=nimbus_tasks.__version__,
            path="/schema",
            render_plugins=[JsonRenderPlugin(path="/")],
        ),
        logging_config=None,
    )
    # Around everything, unknown paths too.
    app.asgi_handler = RequestLayer(app.asgi_handler, service)
    return app


async def _check_text(request: Request[Any, Any, State]) -> None:
    """Check that no text in the address holds a NUL, which neither PostgreSQL nor file systems take.

    Raises:
        ApiError: one does.
    """
    if "\x00" in request.scope["path"] or b"%00" in request.scope["query_string"]:
        raise errors.invalid("The address holds a NUL character")


def _service(state: State) -> Service:
    found: Service = state.service
    return found


def _user(request: Request[User, Any, State], service: Service) -> User:  # noqa: ARG001
    # Asks for the service because most handlers want both: two that are independent would each get a task.
    return request.user

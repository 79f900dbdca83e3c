"""Batches of pages at the project's target, so that one address shows pages and pictures: list, report, retry.

They are the project's, not a user's: its owner sees them, and who starts the service.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import MediaType, Response, get, post

from nimbus_tasks.backends.kv.open import Connection
from nimbus_tasks.batches.listing import Batches, batch_to_change, find_batch, list_batches
from nimbus_tasks.batches.retry import Retried, retry
from nimbus_tasks.gateway.keys import find_owner
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.model.keys import LOCAL_USER
from nimbus_tasks.publishing.outbox import open_outbox
from nimbus_tasks.publishing.target import open_target
from nimbus_tasks.server.errors import ApiError, invalid
from nimbus_tasks.server.lookups import User
from nimbus_tasks.server.service import Service

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from nimbus_tasks.publishing.target import OpenTarget

#: The report brings its own styles, and runs nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


@get("/api/batches")
async def batches(service: Service, user: User) -> Batches:
    """List the batches, newest first."""
    await _check_owner(service, user)
    async with _target(service) as target:
        return await list_batches(target)


@get("/api/batches/{batch_id:str}/report", media_type=MediaType.HTML)
async def batch_report(service: Service, user: User, batch_id: str) -> Response[str]:
    """Return a batch's report as a document to look at."""
    from nimbus_tasks.batches.report.gather import gather
    from nimbus_tasks.batches.report.html import report_page

    await _check_owner(service, user)
    try:
        async with _target(service) as target:
            report = await gather(target, await find_batch(target, batch_id))
    except SettingsError as error:
        raise invalid(str(error), 404) from None
    return Response(report_page(report), media_type=MediaType.HTML, headers={"content-security-policy": _POLICY})


@post("/api/batches/{batch_id:str}/retry", status_code=200)
async def retry_batch(service: Service, user: User, batch_id: str) -> Retried:
    """Put the failed pages of a batch back into the queue."""
    await _check_owner(service, user)
    connection = Connection()
    try:
        async with _target(service) as target, open_outbox(service.settings, connection.record) as sender:
            return await retry(target, await batch_to_change(target, batch_id), sender=sender)
    except SettingsError as error:
        raise invalid(str(error), 409) from None


def _target(service: Service) -> AbstractAsyncContextManager[OpenTarget]:
    return open_target(service.settings, Connection())


async def _check_owner(service: Service, user: User) -> None:
    """Check who asks for what belongs to the project.

    Raises:
        ApiError: it is another user.
    """
    if user.id not in (LOCAL_USER, await find_owner(service.records, service.settings.project.id)):
        raise ApiError(403, "auth", "Batches of pages are shown to the project's owner")


ROUTES: list[Any] = [batches, batch_report, retry_batch]

"""Routes for what happens after an upload: stats, progress, retries, dead letters, search, figures, cron."""

from __future__ import annotations

import asyncio
import hmac
import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

from litestar import Request, Response, Router, get, post, put
from litestar.datastructures import State
from litestar.di import Provide
from litestar.params import Parameter
from litestar.response import Stream
from msgspec import Struct
from prometheus_client import CONTENT_TYPE_LATEST

from nimbus_tasks.project.secrets import find_secret
from nimbus_tasks.server import claims, dead_letters, listing, search
from nimbus_tasks.server.assets import Asset, now_ms
from nimbus_tasks.server.dead_letters import DeadLetters
from nimbus_tasks.server.errors import ApiError, invalid, not_found
from nimbus_tasks.server.listing import AssetState
from nimbus_tasks.server.live import Live
from nimbus_tasks.server.lookups import User
from nimbus_tasks.server.rate_limit import CRON, limit
from nimbus_tasks.server.retry_schedule import ErrorClass
from nimbus_tasks.server.search import ContextOfAsset
from nimbus_tasks.server.service import Service
from nimbus_tasks.server.stats import Stats
from nimbus_tasks.server.telemetry import Telemetry

if TYPE_CHECKING:
    from nimbus_tasks.server.claims import Step

#: Empty: all of them.
AnyClass = ErrorClass | Literal[""]
PUBLIC = {"public": True}
#: What a call of a cron endpoint does at most, and in how many seconds.
CRON_MOST: dict[Step, int] = {"image": 10, "embedding": 5}
CRON_SECONDS = 60.0
#: Results of a search among which those in one state are looked for.
MOST_LOOKED_AT = 1000


def _live(state: State) -> Live:
    found: Live = state.live
    return found


class StatsResponse(Struct, frozen=True):
    stats: Stats
    timestamp: int


class Queued(Struct, frozen=True):
    """How many assets were queued again."""

    queued: int


class Found(Struct, frozen=True):
    """Assets that a search has found, the best first. scores: of a search by picture, 1 for the same."""

    assets: list[Asset]
    scores: list[float] = []


class CronResponse(Struct, frozen=True):
    """What one call did. remaining: jobs of this kind that still wait."""

    success: bool
    processed: int
    failed: int
    remaining: int


# --- stats and progress -------------------------------------------------------------------------------------


@get("/api/processing-stats")
async def processing_stats(live: Live, user: User) -> StatsResponse:
    """Count the user's assets by state."""
    return StatsResponse(await live.stats.get(user.id), now_ms())


@get("/api/sse/processing-updates", media_type="text/event-stream")
async def processing_updates(
    live: Live, user: User, last: Annotated[str, Parameter(header="Last-Event-ID")] = ""
) -> Stream:
    """Stream the stats as they change."""
    number = int(last) if last.isascii() and last.isdecimal() and len(last) < 18 else 0
    return Stream(
        live.progress.stream(user.id, number),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


# --- failures -----------------------------------------------------------------------------------------------


@post("/api/assets/{asset_id:str}/retry-processing", status_code=202)
async def retry_processing(service: Service, user: User, asset_id: str) -> Queued:
    """Queue the failed step of an asset again, ahead of others."""
    return await _retry(service, user, asset_id)


@post("/api/dead-letters/{asset_id:str}/retry", status_code=202)
async def retry_dead_letter(service: Service, user: User, asset_id: str) -> Queued:
    """Queue a dead letter again, ahead of others."""
    return await _retry(service, user, asset_id)


@post("/api/dead-letters/retry-all", status_code=202)
async def retry_all(
    service: Service, user: User, error_class: Annotated[AnyClass, Parameter(query="class")] = ""
) -> Queued:
    """Queue all dead letters of the user again, or those of one class."""
    return Queued(
        await service.database.write(lambda connection: dead_letters.retry_all(connection, user.id, error_class))
    )


@post("/api/dead-letters/{asset_id:str}/dismiss", status_code=204)
async def dismiss(service: Service, user: User, asset_id: str) -> None:
    """Take a dead letter off the list. Its asset stays as it is."""
    if not await service.database.write(
        lambda connection: dead_letters.dismiss(connection, user.id, asset_id, now_ms())
    ):
        raise not_found("dead letter")


@get("/api/dead-letters")
async def list_dead_letters(
    service: Service, user: User, cursor: str = "", error_class: Annotated[AnyClass, Parameter(query="class")] = ""
) -> DeadLetters:
    """List what has failed for good, newest first."""
    try:
        return await service.database.read(
            lambda connection: dead_letters.listed(connection, user.id, cursor, error_class)
        )
    except ValueError:
        raise invalid("cursor is not one that a listing has given") from None


async def _retry(service: Service, user: User, asset_id: str) -> Queued:
    queued = await service.database.write(lambda connection: dead_letters.retry(connection, user.id, asset_id))
    if queued is None:
        raise not_found("asset")
    if not queued:
        raise invalid("Nothing has failed here: there is nothing to retry", 409)
    return Queued(1)


# --- search -------------------------------------------------------------------------------------------------


@get("/api/search")
async def search_assets(
    service: Service,
    live: Live,
    user: User,
    q: str = "",
    like: str = "",
    in_state: Annotated[AssetState, Parameter(query="state")] = "any",
    most: Annotated[int, Parameter(query="limit", ge=1, le=100)] = 50,
) -> Found:
    """Find assets by words, or by a picture that they are like."""
    looked_at = most if in_state == "any" else MOST_LOOKED_AT
    if bool(q) == bool(like):
        raise invalid("Search by q, words, or by like, an asset")
    scores: dict[str, float] = {}
    if like:
        neighbours = await live.similar.like(user.id, like, looked_at)
        if neighbours is None:
            raise not_found("asset that can be compared: its embedding job is not done")
        scores = dict(neighbours)
        ids = list(scores)
    elif search.fold(q):
        ids = await service.database.read(lambda connection: search.by_words(connection, user.id, q, looked_at))
    else:
        raise invalid("q must have a word to look for")
    found = await service.database.read(lambda connection: listing.by_ids(connection, user.id, ids, in_state)[:most])
    return Found(found, [round(scores[asset.id], 4) for asset in found] if like else [])


@put("/api/assets/{asset_id:str}/context", status_code=204)
async def set_context(service: Service, user: User, asset_id: str, data: ContextOfAsset) -> None:
    """Say which alt texts and titles an asset is found by, and which pages use it, in place of what was known."""
    database = service.database
    if not await database.write(lambda connection: search.set_context(database, connection, user.id, asset_id, data)):
        raise not_found("asset")


# --- figures ------------------------------------------------------------------------------------------------


@get("/api/telemetry")
async def telemetry(service: Service, live: Live, user: User) -> Telemetry:  # noqa: ARG001 - for users only
    """Return figures of the whole service."""
    return await service.metrics.read(service.database, live.progress.streams)


@get("/metrics", opt=PUBLIC)
async def metrics(service: Service, live: Live) -> Response[bytes]:
    """Return figures for Prometheus. No names, no ids."""
    figures = await service.metrics.read(service.database, live.progress.streams)
    return Response(service.metrics.text(figures), headers={"content-type": CONTENT_TYPE_LATEST})


# --- cron ---------------------------------------------------------------------------------------------------


@post("/api/cron/process-images", opt=PUBLIC, status_code=200)
async def process_images(request: Request[Any, Any, State], service: Service, live: Live) -> CronResponse:
    """Run image jobs, where no worker process can run."""
    return await _cron(request, service, live, "image")


@post("/api/cron/process-embeddings", opt=PUBLIC, status_code=200)
async def process_embeddings(request: Request[Any, Any, State], service: Service, live: Live) -> CronResponse:
    """Run embedding jobs, where no worker process can run."""
    return await _cron(request, service, live, "embedding")


async def _cron(request: Request[Any, Any, State], service: Service, live: Live, step: Step) -> CronResponse:
    client = request.client.host if request.client else ""
    await limit(service.buckets, f"cron:{client}", CRON, "calls of cron endpoints")
    secret = find_secret("CRON_SECRET", service.root)
    if secret is None:
        raise ApiError(503, "server", "Cron endpoints are off: CRON_SECRET is not set on the service")
    given = request.headers.get("authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {secret.reveal()}".encode()):
        raise ApiError(401, "auth", "Send CRON_SECRET: Authorization: Bearer ...")
    outcomes: list[str] = []
    deadline = time.monotonic() + CRON_SECONDS
    while (most := CRON_MOST[step] - len(outcomes)) > 0 and time.monotonic() < deadline:
        taken = await live.jobs.claim(step, min(most, 2))
        if not taken:
            break
        running = [asyncio.create_task(live.jobs.run(held)) for held in taken]
        _, late = await asyncio.wait(running, timeout=deadline - time.monotonic())
        for task in late:
            task.cancel()  # gives its job back
        outcomes += [each for each in await asyncio.gather(*running, return_exceptions=True) if isinstance(each, str)]
    remaining = await service.database.read(lambda connection: claims.waiting(connection, step))
    return CronResponse(True, outcomes.count("done"), outcomes.count("failed"), remaining)


_ROUTES: list[Any] = [
    processing_stats, processing_updates, retry_processing, retry_dead_letter, retry_all, dismiss, list_dead_letters,
    search_assets, set_context, telemetry, metrics, process_images, process_embeddings,
]  # fmt: skip

ROUTER = Router("/", route_handlers=_ROUTES, dependencies={"live": Provide(_live, sync_to_thread=False)})

"""The queue of jobs. It is the table of assets: a row that says what is missing is the job that makes it.

A worker claims a row by a lease, renews it while it works, and writes the result only while the lease is its own. The
lease of a killed worker expires, and any other worker claims the row: no second record of the job exists that could
say something else. Everything here takes a connection inside a transaction.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct
from sqlalchemy import and_, case, func, or_, select, text, update

from nimbus_tasks.server.tables import assets, embedding_waits, embeddings, image_waits, turns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from nimbus_tasks.server.database import Database
    from nimbus_tasks.server.retry_schedule import Failure, Verdict

Step = Literal["image", "embedding"]
STEPS: tuple[Step, ...] = ("image", "embedding")
WAITING = {"image": image_waits, "embedding": embedding_waits}
#: step -> its columns: done, error, retry count, next retry
_C = assets.c
COLUMNS = {
    "image": (_C.processed, _C.processing_error, _C.processing_retry_count, _C.processing_next_retry),
    "embedding": (_C.embedded, _C.embedding_error, _C.embedding_retry_count, _C.embedding_next_retry),
}
_FREE = {assets.c.lease_owner: None, assets.c.lease_until: 0}
_RETURNED = (
    assets.c.id,
    assets.c.user_id,
    assets.c.pathname,
    assets.c.blob_url,
    assets.c.thumbnail_url,
    assets.c.filename,
    assets.c.mime_type,
    assets.c.size,
    assets.c.urgent,
    assets.c.interruptions,
)


class Claim(Struct, frozen=True):
    """A worker's right to one step of one asset. tries: how many have failed before."""

    step: Step
    token: str
    id: str
    user_id: str
    pathname: str
    blob_url: str
    thumbnail_url: str | None
    filename: str
    mime_type: str
    size: int
    urgent: bool
    interruptions: int
    tries: int


class ImageResult(Struct, frozen=True):
    """What an image job has made, and where it is."""

    image_url: str
    thumbnail_url: str
    width: int
    height: int
    placeholder: str
    ms: int


class Limit(Struct, frozen=True):
    """At most `count` claims in any `seconds`, by all workers together."""

    count: int
    seconds: float = 60.0


def now(connection: Connection) -> int:
    """Return epoch milliseconds by the one clock that all workers share: PostgreSQL's, or this machine's."""
    if connection.dialect.name == "postgresql":
        return int(
            connection.execute(text("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")).scalar_one()
        )
    return time.time_ns() // 1_000_000


def claim(
    database: Database,
    connection: Connection,
    step: Step,
    token: str,
    most: int,
    *,
    moment: int,
    lease: float,
    limit: Limit | None = None,
) -> list[Claim]:
    """Claim up to `most` assets whose step is due, urgent ones first, then the oldest."""
    name = f"claim {step}"
    if limit is not None:
        most = min(most, limit.count - len(_taken(database, connection, name, limit, moment)))
    if most <= 0:
        return []
    tries, due = COLUMNS[step][2:]
    chosen = (
        select(assets.c.id)
        .where(WAITING[step], or_(due.is_(None), due <= moment), assets.c.lease_until <= moment)
        .order_by(assets.c.urgent.desc(), assets.c.created_at)
        .limit(most)
        .with_for_update(skip_locked=True)  # SQLite has one writer at a time
    )
    ids = list(connection.execute(chosen).scalars())
    if not ids:
        return []
    claimed = connection.execute(
        update(assets)
        .where(assets.c.id.in_(ids))
        .values(
            {
                assets.c.lease_owner: token,
                assets.c.lease_until: moment + round(lease * 1000),
                # An owner that is still there did not end its work: it was killed, or lost its connection.
                assets.c.interruptions: assets.c.interruptions + case((assets.c.lease_owner.is_(None), 0), else_=1),
            }
        )
        .returning(*_RETURNED, tries.label("tries"))
    ).all()
    if limit is not None:
        _take(database, connection, name, limit, moment, len(claimed))
    order = {id_: place for place, id_ in enumerate(ids)}
    return sorted((Claim(step, token, **row._mapping) for row in claimed), key=lambda each: order[each.id])


def renew(connection: Connection, held: Iterable[Claim], *, moment: int, lease: float) -> set[str]:
    """Extend the leases; return the ids of those that are still held."""
    tokens: dict[str, list[str]] = {}
    for each in held:
        tokens.setdefault(each.token, []).append(each.id)
    kept: set[str] = set()
    for token, ids in tokens.items():
        statement = (
            update(assets)
            .where(assets.c.lease_owner == token, assets.c.id.in_(ids))
            .values({assets.c.lease_until: moment + round(lease * 1000)})
            .returning(assets.c.id)
        )
        kept.update(connection.execute(statement).scalars())
    return kept


def release(connection: Connection, held: Claim) -> None:
    """Give a job back unfinished: any worker may claim it at once."""
    connection.execute(update(assets).where(_ours(held)).values(_FREE))


def image_done(connection: Connection, held: Claim, result: ImageResult) -> bool:
    """Write what an image job has made; False where the job is another worker's by now."""
    values: dict[Any, Any] = {
        assets.c.image_url: result.image_url,
        assets.c.thumbnail_url: result.thumbnail_url,
        assets.c.width: result.width,
        assets.c.height: result.height,
        assets.c.placeholder: result.placeholder,
        assets.c.image_ms: result.ms,
    }
    return _done(connection, held, values)


class EmbeddingResult(Struct, frozen=True):
    """A vector, and what made it."""

    model: str
    vector: bytes
    ms: int


def embedding_done(database: Database, connection: Connection, held: Claim, result: EmbeddingResult) -> bool:
    """Write a vector; False where the job is another worker's by now."""
    if not _done(connection, held, {assets.c.urgent: False, assets.c.embedding_ms: result.ms}):
        return False
    insert = database.insert(embeddings).values(asset_id=held.id, model=result.model, vector=result.vector)
    keys = [embeddings.c.asset_id, embeddings.c.model]
    connection.execute(insert.on_conflict_do_update(index_elements=keys, set_={"vector": result.vector}))
    return True


def failed(connection: Connection, held: Claim, failure: Failure, verdict: Verdict, *, moment: int) -> bool:
    """Write a failure: the next try's time, or a dead letter. False where the job is another worker's by now."""
    _, error, tries, due = COLUMNS[held.step]
    dead = verdict.delay is None
    values: dict[Any, Any] = {
        error: verdict.message,
        tries: tries + 1,
        due: None if verdict.delay is None else moment + round(verdict.delay * 1000),
        assets.c.error_class: failure.error_class,
        assets.c.failed_at: moment if dead else None,
        assets.c.dismissed_at: None,
        assets.c.interruptions: 0,
        **_FREE,
    }
    return connection.execute(update(assets).where(_ours(held)).values(values)).rowcount == 1


def next_due(connection: Connection, moment: int) -> float | None:
    """Return the seconds until the next step becomes due or loses its lease; None where nothing waits."""
    times = []
    for step in STEPS:
        due = COLUMNS[step][3]
        later = case((assets.c.lease_until > func.coalesce(due, 0), assets.c.lease_until), else_=func.coalesce(due, 0))
        times.append(connection.execute(select(func.min(later)).where(WAITING[step])).scalar())
    known = [time for time in times if time is not None]
    return max(0.0, (min(known) - moment) / 1000) if known else None


def waiting(connection: Connection, step: Step) -> int:
    """Return how many jobs of one kind are left, due or not."""
    return connection.execute(select(func.count()).where(WAITING[step])).scalar_one()


def take_turn(database: Database, connection: Connection, name: str, limit: Limit, *, moment: int) -> bool:
    """Return True `limit.count` times in any `limit.seconds`, of all processes together."""
    if len(_taken(database, connection, name, limit, moment)) >= limit.count:
        return False
    _take(database, connection, name, limit, moment, 1)
    return True


def _done(connection: Connection, held: Claim, values: dict[Any, Any]) -> bool:
    done, error, _, due = COLUMNS[held.step]
    common = {done: True, error: None, due: None, assets.c.error_class: None, assets.c.interruptions: 0, **_FREE}
    return connection.execute(update(assets).where(_ours(held)).values({**values, **common})).rowcount == 1


def _ours(held: Claim) -> Any:
    return and_(assets.c.id == held.id, assets.c.lease_owner == held.token)


def _taken(database: Database, connection: Connection, name: str, limit: Limit, moment: int) -> list[int]:
    """Return the turns of the last period, and keep others from taking one before this transaction ends."""
    connection.execute(database.insert(turns).values(name=name, taken="[]").on_conflict_do_nothing())
    row = connection.execute(select(turns.c.taken).where(turns.c.name == name).with_for_update()).scalar_one()
    return [at for at in json.loads(row) if at > moment - limit.seconds * 1000]


def _take(database: Database, connection: Connection, name: str, limit: Limit, moment: int, count: int) -> None:
    taken = [*_taken(database, connection, name, limit, moment), *[moment] * count]
    connection.execute(update(turns).where(turns.c.name == name).values(taken=json.dumps(taken)))

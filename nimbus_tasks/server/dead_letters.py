"""Dead letters: assets whose step failed for good. They are listed, tried again or dismissed by their owner.

An asset has at most one: the embedding job waits for the image job. So a dead letter's id is its asset's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct
from sqlalchemy import and_, func, or_, select, tuple_, update

from nimbus_tasks.server.claims import Step  # the description of the API reads the types of fields
from nimbus_tasks.server.tables import assets

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

#: Dead letters in one answer.
PAGE = 100


class DeadLetter(Struct, frozen=True, rename="camel"):
    """One failure for good. attempts: how many tries failed. failed_at: epoch milliseconds."""

    id: str
    asset_id: str
    filename: str
    step: Step
    error: str
    error_class: str
    attempts: int
    failed_at: int
    blob_url: str
    thumbnail_url: str | None


class DeadLetters(Struct, frozen=True, rename="camel"):
    """A page, newest first. classes: all of them, counted. next_cursor: where the next page starts; None: nowhere."""

    dead_letters: list[DeadLetter]
    total: int
    classes: dict[str, int]
    next_cursor: str | None


def listed(connection: Connection, user_id: str, cursor: str = "", error_class: str = "") -> DeadLetters:
    """Return a page of a user's dead letters.

    Raises:
        ValueError: no page of this user starts at `cursor`.
    """
    dead = _dead(user_id)
    counts = select(assets.c.error_class, func.count()).where(dead).group_by(assets.c.error_class)
    classes = {row[0] or "unknown": row[1] for row in connection.execute(counts)}
    if error_class:
        dead = and_(dead, assets.c.error_class == error_class)
    if cursor:
        at, _, id_ = cursor.partition("-")
        dead = and_(dead, tuple_(assets.c.failed_at, assets.c.id) < tuple_(int(at), id_))
    order = (assets.c.failed_at.desc(), assets.c.id.desc())
    rows = connection.execute(select(assets).where(dead).order_by(*order).limit(PAGE + 1)).all()
    page = [_letter(row) for row in rows[:PAGE]]
    further = f"{page[-1].failed_at}-{page[-1].id}" if len(rows) > PAGE else None
    return DeadLetters(page, sum(classes.values()), classes, further)


def retry(connection: Connection, user_id: str, asset_id: str) -> bool | None:
    """Queue the failed step of an asset again, ahead of others. False where none has failed; None: no such asset."""
    mine = and_(assets.c.id == asset_id, assets.c.user_id == user_id, assets.c.deleted_at.is_(None))
    if connection.execute(select(assets.c.id).where(mine)).first() is None:
        return None
    return _queue_again(connection, and_(mine, _has_failed())) == 1


def retry_all(connection: Connection, user_id: str, error_class: str = "") -> int:
    """Queue all dead letters of a user, or those of one class, again; return how many."""
    chosen = _dead(user_id)
    if error_class:
        chosen = and_(chosen, assets.c.error_class == error_class)
    return _queue_again(connection, chosen)


def dismiss(connection: Connection, user_id: str, asset_id: str, moment: int) -> bool:
    """Take a dead letter off the list; its asset stays failed. Return whether it was there."""
    chosen = and_(_dead(user_id), assets.c.id == asset_id)
    return connection.execute(update(assets).where(chosen).values(dismissed_at=moment)).rowcount == 1


def _dead(user_id: str) -> ColumnElement[bool]:
    return and_(
        assets.c.user_id == user_id,
        assets.c.failed_at.is_not(None),
        assets.c.deleted_at.is_(None),
        assets.c.dismissed_at.is_(None),
    )


def _has_failed() -> ColumnElement[bool]:
    """Return what is true of dead letters, and of steps that wait for their next try."""
    return or_(
        assets.c.failed_at.is_not(None),
        assets.c.processing_next_retry.is_not(None),
        assets.c.embedding_next_retry.is_not(None),
    )


def _queue_again(connection: Connection, chosen: ColumnElement[bool]) -> int:
    values: dict[Any, Any] = {
        "urgent": True,
        "failed_at": None,
        "dismissed_at": None,
        "error_class": None,
        "processing_error": None,
        "embedding_error": None,
        "processing_retry_count": 0,
        "embedding_retry_count": 0,
        "processing_next_retry": None,
        "embedding_next_retry": None,
    }
    return connection.execute(update(assets).where(chosen).values(values)).rowcount


def _letter(row: Any) -> DeadLetter:
    image = not row.processed
    return DeadLetter(
        id=row.id,
        asset_id=row.id,
        filename=row.filename,
        step="image" if image else "embedding",
        error=(row.processing_error if image else row.embedding_error) or "",
        error_class=row.error_class or "unknown",
        attempts=row.processing_retry_count if image else row.embedding_retry_count,
        failed_at=row.failed_at,
        blob_url=row.blob_url,
        thumbnail_url=row.thumbnail_url,
    )

"""Failures for good: listed for their owner alone, tried again ahead of others, or dismissed."""

from __future__ import annotations

import pytest
from rows import add_assets, change, row_of

from nimbus_tasks.server import dead_letters
from nimbus_tasks.server.database import Database

DEAD = {"failed_at": 5_000, "error_class": "invalid", "processing_error": "No image", "processing_retry_count": 1}


def listed(
    database: Database, *, user: str = "ann", cursor: str = "", error_class: str = ""
) -> dead_letters.DeadLetters:
    with database.reading() as connection:
        return dead_letters.listed(connection, user, cursor, error_class)


def test_a_dead_letter_says_what_failed(database: Database) -> None:
    (image,) = add_assets(database, **DEAD)
    broken = {"processed": True, "embedding_error": "Wrong key", "embedding_retry_count": 2}
    (embedding,) = add_assets(database, failed_at=6_000, error_class="auth", **broken)
    add_assets(database, 3)

    found = listed(database)

    told = [(each.id, each.step, each.error, each.error_class, each.attempts) for each in found.dead_letters]
    assert told == [(embedding, "embedding", "Wrong key", "auth", 2), (image, "image", "No image", "invalid", 1)]
    assert (found.total, found.classes, found.next_cursor) == (2, {"auth": 1, "invalid": 1}, None)


def test_each_page_continues_the_one_before(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "PAGE", 3)
    ids = add_assets(database, 8, **DEAD)
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = listed(database, cursor=cursor)
        seen += [each.id for each in page.dead_letters]
        cursor = page.next_cursor

    assert seen == sorted(ids, reverse=True)


@pytest.mark.parametrize("cursor", ["x", "x-1", "-"])
def test_a_wrong_cursor_is_an_error(database: Database, cursor: str) -> None:
    with pytest.raises(ValueError, match="literal"):
        listed(database, cursor=cursor)


def test_a_retry_is_urgent_and_starts_anew(database: Database) -> None:
    (asset,) = add_assets(database, **DEAD)
    with database.writing() as connection:
        assert dead_letters.retry(connection, "ann", asset) is True
        assert dead_letters.retry(connection, "ann", asset) is False

    row = row_of(database, asset)
    assert row.urgent
    assert (row.failed_at, row.error_class, row.processing_error, row.processing_retry_count) == (None, None, None, 0)


def test_a_step_that_waits_for_its_time_may_be_retried_now(database: Database) -> None:
    (asset,) = add_assets(database, processing_next_retry=10**15, processing_error="No connection")
    with database.writing() as connection:
        assert dead_letters.retry(connection, "ann", asset) is True

    assert row_of(database, asset).processing_next_retry is None


def test_nobody_touches_what_is_anothers(database: Database) -> None:
    (asset,) = add_assets(database, **DEAD)
    with database.writing() as connection:
        assert dead_letters.retry(connection, "bob", asset) is None
        assert not dead_letters.dismiss(connection, "bob", asset, 1)
        assert dead_letters.retry_all(connection, "bob") == 0

    assert listed(database, user="bob").total == 0
    assert listed(database).total == 1


def test_all_of_one_class_are_retried(database: Database) -> None:
    add_assets(database, 3, **DEAD)
    add_assets(database, 2, **DEAD | {"error_class": "quota"})
    with database.writing() as connection:
        assert dead_letters.retry_all(connection, "ann", "quota") == 2
        assert dead_letters.retry_all(connection, "ann") == 3

    assert listed(database).total == 0


def test_a_dismissed_one_is_not_listed_and_may_still_be_retried(database: Database) -> None:
    (asset,) = add_assets(database, **DEAD)
    with database.writing() as connection:
        assert dead_letters.dismiss(connection, "ann", asset, 7)
        assert not dead_letters.dismiss(connection, "ann", asset, 8)
    assert listed(database).total == 0

    with database.writing() as connection:
        assert dead_letters.retry_all(connection, "ann") == 0
        assert dead_letters.retry(connection, "ann", asset) is True
    change(database, asset, **DEAD)
    assert listed(database).total == 1


def test_a_deleted_asset_is_no_dead_letter(database: Database) -> None:
    (asset,) = add_assets(database, **DEAD, deleted_at=1)
    with database.writing() as connection:
        assert dead_letters.retry(connection, "ann", asset) is None

    assert listed(database).total == 0

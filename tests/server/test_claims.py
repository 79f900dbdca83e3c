"""The queue in the table of assets: each job has one worker, and a killed worker's job finds another."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from rows import add_assets, change, row_of
from sqlalchemy import select

from nimbus_tasks.server import claims
from nimbus_tasks.server.claims import Claim, EmbeddingResult, ImageResult, Limit, Step
from nimbus_tasks.server.database import Database
from nimbus_tasks.server.retry_schedule import Failure, judge
from nimbus_tasks.server.tables import embeddings

MADE = ImageResult("http://main", "http://thumbnail", 40, 30, "placeholder", 12)
NOW = 1_700_000_000_000


def take(
    database: Database,
    step: Step = "image",
    most: int = 10,
    *,
    at: float = 0,
    owner: str = "one",
    limit: Limit | None = None,
) -> list[Claim]:
    """Claim at `at` seconds, for 60 seconds."""
    with database.writing() as connection:
        return claims.claim(
            database, connection, step, owner, most, moment=NOW + round(1000 * at), lease=60, limit=limit
        )


def finish(database: Database, held: Claim) -> bool:
    with database.writing() as connection:
        if held.step == "image":
            return claims.image_done(connection, held, MADE)
        return claims.embedding_done(database, connection, held, EmbeddingResult("model", b"vector", 3))


def fail(database: Database, held: Claim, failure: Failure, *, at: float = 0) -> bool:
    verdict = judge(failure, held.tries + 1, urgent=held.urgent)
    with database.writing() as connection:
        return claims.failed(connection, held, failure, verdict, moment=NOW + round(1000 * at))


def test_the_embedding_follows_the_image(database: Database) -> None:
    (asset,) = add_assets(database)

    assert take(database, "embedding") == []
    (image,) = take(database)
    assert finish(database, image)
    (embedding,) = take(database, "embedding")
    assert embedding.thumbnail_url == "http://thumbnail"
    assert finish(database, embedding)

    row = row_of(database, asset)
    assert (row.processed, row.embedded, row.width, row.height, row.placeholder) == (True, True, 40, 30, "placeholder")
    assert (row.lease_owner, row.lease_until, row.image_ms, row.embedding_ms) == (None, 0, 12, 3)
    with database.reading() as connection:
        assert connection.execute(select(embeddings)).all() == [(asset, "model", b"vector")]
    assert take(database) == take(database, "embedding") == []


def test_workers_at_once_never_share_a_job(database: Database) -> None:
    ids = add_assets(database, 200)
    with ThreadPoolExecutor(8) as pool:
        batches = list(pool.map(lambda number: take(database, most=7, owner=f"worker {number}"), range(40)))

    taken = [each.id for batch in batches for each in batch]
    assert sorted(taken) == sorted(ids)


def test_the_oldest_is_first_and_urgent_ones_are_before_it(database: Database) -> None:
    ids = add_assets(database, 4)
    change(database, ids[2], urgent=True)

    assert [each.id for each in take(database, most=3)] == [ids[2], ids[0], ids[1]]


def test_a_killed_workers_job_finds_another(database: Database) -> None:
    add_assets(database)
    (first,) = take(database, owner="killed")

    assert take(database, at=59, owner="other") == []
    (second,) = take(database, at=60, owner="other")
    assert second.interruptions == 1
    assert not finish(database, first)  # it was only asleep
    assert not fail(database, first, Failure("network", "Gone"))
    assert finish(database, second)


def test_a_worker_that_lives_keeps_its_jobs(database: Database) -> None:
    ids = add_assets(database, 2)
    held = take(database)
    with database.writing() as connection:
        assert claims.renew(connection, held, moment=NOW + 50_000, lease=60) == set(ids)

    assert take(database, at=100, owner="other") == []
    taken = take(database, at=111, owner="other", most=1)
    with database.writing() as connection:
        assert claims.renew(connection, held, moment=NOW + 111_000, lease=60) == set(ids) - {taken[0].id}


def test_a_job_that_was_given_back_is_free_at_once(database: Database) -> None:
    add_assets(database)
    (held,) = take(database)
    with database.writing() as connection:
        claims.release(connection, held)

    (again,) = take(database, owner="other")
    assert again.interruptions == 0


def test_a_failure_waits_for_its_time(database: Database) -> None:
    (asset,) = add_assets(database)
    (held,) = take(database)
    assert fail(database, held, Failure("network", "No connection"), at=1)

    row = row_of(database, asset)
    assert (row.processing_error, row.error_class, row.processing_retry_count) == ("No connection", "network", 1)
    assert row.processing_next_retry == NOW + 121_000
    assert take(database, at=120) == []
    (held,) = take(database, at=121)
    assert held.tries == 1
    assert finish(database, held)
    row = row_of(database, asset)
    assert (row.processing_error, row.error_class, row.processing_next_retry) == (None, None, None)


def test_the_sixth_failure_is_a_dead_letter(database: Database) -> None:
    (asset,) = add_assets(database)
    at = 0
    for _ in range(6):
        (held,) = take(database, at=at)
        fail(database, held, Failure("server", "Broken"), at=at)
        at += 22_000

    row = row_of(database, asset)
    assert (row.processing_error, row.processing_retry_count) == ("Max retries exceeded: Broken", 6)
    assert row.failed_at is not None
    assert take(database, at=10 * at) == []


def test_at_most_five_in_any_minute_by_all_workers(database: Database) -> None:
    add_assets(database, 30, processed=True)
    starts: list[float] = []
    for second in range(0, 200, 3):
        for owner in ("one", "two"):
            taken = take(database, "embedding", 2, at=second, owner=owner, limit=Limit(5))
            starts += [second] * len(taken)

    assert len(starts) == 20
    assert all(later - earlier >= 60 for earlier, later in zip(starts, starts[5:], strict=False))


def test_the_limit_holds_for_claims_at_once(database: Database) -> None:
    add_assets(database, 30, processed=True)
    with ThreadPoolExecutor(8) as pool:
        batches = list(pool.map(lambda _: take(database, "embedding", 3, limit=Limit(5)), range(16)))

    assert sum(map(len, batches)) == 5


def test_one_of_all_processes_has_the_turn(database: Database) -> None:
    def turn(moment: int) -> bool:
        with database.writing() as connection:
            return claims.take_turn(database, connection, "sweep", Limit(1, 600), moment=moment)

    assert [turn(NOW), turn(NOW + 599_999), turn(NOW + 600_000)] == [True, False, True]


def test_when_to_look_again(database: Database) -> None:
    def due(at: float = 0) -> float | None:
        with database.reading() as connection:
            return claims.next_due(connection, NOW + round(1000 * at))

    assert due() is None
    add_assets(database)
    assert due() == 0
    (held,) = take(database)
    assert due(10) == 50
    fail(database, held, Failure("unknown", "Odd"))
    assert due(10) == 50


def test_deleted_assets_are_no_jobs(database: Database) -> None:
    add_assets(database, deleted_at=NOW)

    assert take(database) == []

"""What a job makes and writes, whatever ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from deadlines import SECONDS
from rows import add_assets, change, row_of
from sqlalchemy import select

from nimbus_tasks.media.errors import MediaError, temporary
from nimbus_tasks.media.values import Context, Encoded, Processed, Vector
from nimbus_tasks.model.errors import NimbusError, RefusedError, StoreError, TransientError
from nimbus_tasks.project.settings import Embeddings, Project, Server, Settings
from nimbus_tasks.server import workers
from nimbus_tasks.server.changes import Changes
from nimbus_tasks.server.claims import Claim, Step
from nimbus_tasks.server.database import Database
from nimbus_tasks.server.jobs import MOST_INTERRUPTIONS, Jobs, failure_of
from nimbus_tasks.server.service import Service, open_service
from nimbus_tasks.server.tables import embeddings

MADE = Processed(
    Encoded(b"main", "image/jpeg", 40, 30), Encoded(b"thumb", "image/webp", 4, 3), "placeholder", "image/jpeg", 80, 60
)


class FakeMedia:
    """Both workers of pictures: `before` is called with what they get, and may raise or wait."""

    model = "fake"

    def __init__(self, before: Callable[[], Any] = lambda: None) -> None:
        self.before = before
        self.seen: list[Any] = []

    async def process(self, source: Path, content_type: str) -> Processed:
        self.seen.append((source.read_bytes(), content_type))
        await self._before()
        return MADE

    async def embed(self, picture: Encoded, context: Context) -> Vector:
        self.seen.append((picture.data, context.filename))
        await self._before()
        return Vector("fake", b"\0\0\0\0")

    async def close(self) -> None: ...

    async def _before(self) -> None:
        waited = self.before()
        if waited is not None:
            await waited


@pytest.fixture
def service(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("DATABASE_URL", database.url.render_as_string(hide_password=False))
    settings = Settings(Project("proj_0123456789ab"), server=Server(lease=60), embeddings=Embeddings())
    opened = open_service(settings, tmp_path)
    yield opened
    opened.close()


def upload(service: Service, count: int = 1) -> list[str]:
    ids = add_assets(service.database, count)
    for id_ in ids:
        path = service.root / ".nimbus/uploads" / row_of(service.database, id_).pathname
        path.parent.mkdir(parents=True)
        path.write_bytes(b"original")
    return ids


def thumbnails(service: Service) -> dict[str, bytes]:
    folder = service.root / ".nimbus/uploads/thumbnails/ann"
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def run_jobs(service: Service, media: FakeMedia, *steps: str, most: int = 10) -> list[str]:
    """Claim and run the jobs of each step, one step after the other."""

    async def run() -> list[str]:
        outcomes: list[str] = []
        async with Jobs(service, media, media) as jobs:  # type: ignore[arg-type]  # what jobs use of it
            for step in steps:
                claimed = await jobs.claim(step, most)  # type: ignore[arg-type]
                outcomes += await asyncio.gather(*map(jobs.run, claimed))
        return outcomes

    return asyncio.run(run())


def test_an_upload_becomes_searchable(service: Service) -> None:
    (asset,) = upload(service)
    media = FakeMedia()

    assert run_jobs(service, media, "image", "embedding") == ["done", "done"]
    assert media.seen == [(b"original", "image/jpeg"), (b"thumb", "photo-0.jpg")]
    row = row_of(service.database, asset)
    assert (row.width, row.height, row.placeholder, row.embedded) == (80, 60, "placeholder", True)
    assert row.thumbnail_url == f"/files/thumbnails/ann/{asset}.webp"
    assert thumbnails(service) == {f"{asset}.webp": b"thumb", f"{asset}.main.jpg": b"main"}
    assert list((service.root / ".nimbus/work").iterdir()) == []
    with service.database.reading() as connection:
        assert connection.execute(select(embeddings)).all() == [(asset, "fake", b"\0\0\0\0")]


def test_a_job_that_runs_again_changes_nothing(service: Service) -> None:
    (asset,) = upload(service)
    run_jobs(service, FakeMedia(), "image", "embedding")
    first, files = row_of(service.database, asset), thumbnails(service)
    change(service.database, asset, processed=False, embedded=False)

    run_jobs(service, FakeMedia(), "image", "embedding")

    ignored = {"image_ms": 0, "embedding_ms": 0}
    again = row_of(service.database, asset)
    assert again._asdict() | ignored == first._asdict() | ignored
    assert thumbnails(service) == files


@pytest.mark.parametrize(
    ("error", "error_class", "retried"),
    [
        (MediaError("bomb", "Too many pixels."), "invalid", False),
        (MediaError("key", "Wrong key.", kind="auth"), "auth", False),
        (temporary("limit", "Slow down.", kind="rate_limit", wait=7), "rate_limit", True),
        (MediaError("quota", "No credit.", kind="quota", permanent=False), "quota", True),
        (TransientError("No answer."), "network", True),
        (StoreError("Away."), "network", True),
        (RefusedError("It is not there."), "server", True),
        (NimbusError("Odd."), "server", True),
        (OSError(28, "No space left on device"), "server", True),
        (ValueError("surprise"), "unknown", True),
    ],
)
def test_errors_have_classes(error: Exception, error_class: str, retried: bool) -> None:
    failure = failure_of(error)

    assert (failure.error_class, failure.permanent) == (error_class, not retried)
    assert failure.message


def test_a_failure_is_written_and_others_go_on(service: Service) -> None:
    upload(service, 2)
    calls = iter([temporary("busy", "Busy.", kind="network"), None])

    def before() -> None:
        if error := next(calls):
            raise error

    assert sorted(run_jobs(service, FakeMedia(before), "image")) == ["done", "failed"]


def test_a_damaged_picture_is_a_dead_letter_at_once(service: Service) -> None:
    (asset,) = upload(service)

    def before() -> None:
        raise MediaError("damaged", "The picture is damaged.")

    assert run_jobs(service, FakeMedia(before), "image", "image") == ["failed"]
    row = row_of(service.database, asset)
    assert (row.processing_error, row.error_class) == ("The picture is damaged.", "invalid")
    assert row.failed_at is not None
    assert thumbnails(service) == {}


def test_a_stop_gives_the_job_back(service: Service) -> None:
    (asset,) = upload(service)

    async def run() -> None:
        begun = asyncio.Event()

        async def forever() -> None:
            begun.set()
            await asyncio.Event().wait()

        media = FakeMedia(forever)
        async with Jobs(service, media, media) as jobs:  # type: ignore[arg-type]
            (held,) = await jobs.claim("image", 1)
            task = asyncio.create_task(jobs.run(held))
            await begun.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    row = row_of(service.database, asset)
    assert (row.lease_owner, row.processing_retry_count, row.processed) == (None, 0, False)
    assert run_jobs(service, FakeMedia(), "image") == ["done"]


def test_workers_go_on_after_an_error_that_nobody_foresaw(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    (asset,) = upload(service)
    media, claim, surprises = FakeMedia(), Jobs.claim, [ValueError("surprise")]

    async def claim_after_surprise(jobs: Jobs, step: Step, most: int) -> list[Claim]:
        if surprises:
            raise surprises.pop()
        return await claim(jobs, step, most)

    async def run() -> None:
        jobs = Jobs(service, media, media)  # type: ignore[arg-type]  # what jobs use of it
        async with Changes(service.database) as changes, jobs:
            working = asyncio.create_task(workers.work(service, jobs, changes, media.close))
            while not row_of(service.database, asset).embedded:
                await asyncio.sleep(0.02)
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    monkeypatch.setattr(Jobs, "claim", claim_after_surprise)
    monkeypatch.setattr(workers, "PAUSE", 0.01)
    asyncio.run(asyncio.wait_for(run(), SECONDS))
    assert "image jobs stopped" in (service.root / ".nimbus/log.jsonl").read_text()


def test_a_worker_that_lost_its_lease_writes_nothing(service: Service) -> None:
    (asset,) = upload(service)

    async def other_worker() -> None:
        await asyncio.to_thread(change, service.database, asset, lease_owner="another")

    assert run_jobs(service, FakeMedia(other_worker), "image") == ["lost"]
    row = row_of(service.database, asset)
    assert (row.processed, row.lease_owner) == (False, "another")


def test_a_file_that_ends_its_worker_again_and_again_is_given_up(service: Service) -> None:
    (asset,) = upload(service)
    change(service.database, asset, lease_owner="killed", interruptions=MOST_INTERRUPTIONS - 1)

    assert run_jobs(service, FakeMedia(), "image") == ["failed"]
    row = row_of(service.database, asset)
    assert row.failed_at is not None
    assert f"ended {MOST_INTERRUPTIONS} times" in row.processing_error


def test_a_file_that_is_too_large_is_not_even_read(service: Service) -> None:
    (asset,) = add_assets(service.database, size=10**12)

    assert run_jobs(service, FakeMedia(), "image") == ["failed"]
    assert row_of(service.database, asset).error_class == "invalid"

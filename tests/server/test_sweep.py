"""The sweep removes what was begun and not completed, and nothing else, even while clients complete their uploads."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from deadlines import SECONDS
from msgspec import structs
from rows import add_assets, change
from service_process import PROJECT, sha256
from sqlalchemy import Connection, select, text

from nimbus_tasks.backends.kv import Write
from nimbus_tasks.model.errors import StoreError
from nimbus_tasks.project.settings import load
from nimbus_tasks.server import accounts, completion, sweep, uploads
from nimbus_tasks.server.assets import now_ms
from nimbus_tasks.server.database import Database
from nimbus_tasks.server.errors import ApiError
from nimbus_tasks.server.folder_storage import UPLOADS_FOLDER, FolderStorage
from nimbus_tasks.server.open_uploads import abandon
from nimbus_tasks.server.rate_limit import MemoryBuckets
from nimbus_tasks.server.service import Service
from nimbus_tasks.server.storage import Held, Upload, part_ranges
from nimbus_tasks.server.tables import assets, buckets
from nimbus_tasks.server.tables import uploads as table

HOUR = 3600
MIB = 1024 * 1024


@pytest.fixture
def service(database: Database, tmp_path: Path) -> Service:
    (tmp_path / ".nimbus").mkdir(exist_ok=True)
    (tmp_path / ".nimbus/project.toml").write_text(PROJECT)
    storage = FolderStorage(tmp_path, b"key")
    return Service(load(tmp_path), tmp_path, database, storage, MemoryBuckets(), b"key")


def begin(service: Service, content: bytes, *, hours_ago: float = 0, size: int = 0) -> Upload:
    """Begin an upload some time ago, whose bytes have arrived. size: of a file whose first part alone has."""
    file = uploads.NewFile("one.png", size or len(content), "image/png", sha256(content))
    upload = uploads.new_upload(service, "ann", file, "PUT")
    earlier = round(1000 * HOUR * hours_ago)
    upload = structs.replace(
        upload,
        upload_id=upload.asset_id if size else None,
        created_at=upload.created_at - earlier,
        expires_at=upload.expires_at - earlier,
    )
    with service.database.writing() as connection:
        connection.execute(table.insert(), structs.asdict(upload))
    store(service, f"parts/{upload.asset_id}/00001" if size else upload.pathname, content, hours_ago=hours_ago)
    return upload


def store(service: Service, pathname: str, content: bytes = b"bytes", *, hours_ago: float = 0) -> str:
    path = service.root / UPLOADS_FOLDER / pathname
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (moment := time.time() - HOUR * hours_ago, moment))
    return pathname


def stored(service: Service) -> set[str]:
    folder = service.root / UPLOADS_FOLDER
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def open_uploads(service: Service) -> set[str]:
    with service.database.reading() as connection:
        return {*connection.scalars(select(table.c.asset_id))}


def asset_ids(service: Service) -> set[str]:
    with service.database.reading() as connection:
        return {*connection.scalars(select(assets.c.id))}


def test_abandoned_uploads_go_with_their_bytes(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "_AT_ONCE", 2)
    for number in range(5):
        begin(service, b"abandoned %d" % number, hours_ago=2)
    large = begin(service, b"part", hours_ago=2, size=91 * MIB)
    store(service, f"parts/{large.asset_id}/{len(part_ranges(large.size)):05d}")
    under_way, late = begin(service, b"under way"), begin(service, b"late", hours_ago=0.5)
    done = begin(service, b"done", hours_ago=2)
    asyncio.run(completion.complete(service, done))

    assert asyncio.run(sweep.sweep_uploads(service)) == 6

    assert open_uploads(service) == {under_way.asset_id, late.asset_id}
    assert stored(service) == {under_way.pathname, late.pathname, done.pathname}
    assert asyncio.run(sweep.sweep_uploads(service)) == 0
    assert asyncio.run(sweep.sweep_uploads(service, now_ms() + 2000 * HOUR)) == 2
    assert stored(service) == {done.pathname}


def test_a_sweep_that_fails_is_done_by_the_next_one(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = begin(service, b"abandoned", hours_ago=2)

    async def fail(_: Upload) -> None:
        raise StoreError("The storage does not answer.")

    with monkeypatch.context() as broken:
        broken.setattr(service.storage, "abandon", fail)
        with pytest.raises(StoreError):
            asyncio.run(sweep.sweep_uploads(service))
    # Its bytes may be half gone: it becomes no asset any more.
    with pytest.raises(ApiError, match="ask for a new address"):
        asyncio.run(completion.complete(service, upload))
    assert asset_ids(service) == set()

    assert asyncio.run(sweep.sweep_uploads(service)) == 1
    assert (open_uploads(service), stored(service)) == (set(), set())


def test_an_upload_that_completes_during_the_sweep_keeps_its_bytes(service: Service) -> None:
    upload = begin(service, b"late", hours_ago=2)

    async def run() -> None:
        await completion.complete(service, upload)
        await completion.give_up(service, upload)  # the sweep has read its row before

    asyncio.run(run())

    assert asset_ids(service) == {upload.asset_id}
    assert stored(service) == {upload.pathname}


def test_completing_waits_for_who_gives_the_upload_up(service: Service, database: Database) -> None:
    upload = begin(service, b"late", hours_ago=2)

    async def run() -> None:
        with database.writing() as connection:
            assert abandon(connection, upload.asset_id)
            completing = asyncio.create_task(completion.complete(service, upload))
            while not database.is_sqlite and not await database.read(_waiting):  # SQLite has one writer at a time
                await asyncio.sleep(0.01)
        with pytest.raises(ApiError, match="ask for a new address"):
            await completing

    asyncio.run(asyncio.wait_for(run(), SECONDS))

    assert asset_ids(service) == set()
    assert open_uploads(service) == {upload.asset_id}


def _waiting(connection: Connection) -> int:
    """Return how many connections wait for a lock."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    return connection.execute(waiting).scalar_one()


def test_an_upload_that_is_swept_while_it_completes_becomes_no_asset(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"late"
    upload = begin(service, content, hours_ago=2)
    finish = service.storage.finish

    async def finish_and_sweep(upload: Upload) -> Held | None:
        held = await finish(upload)
        assert await sweep.sweep_uploads(service) == 1
        return held

    monkeypatch.setattr(service.storage, "finish", finish_and_sweep)
    told = completion.CompleteRequest(
        upload.asset_id, f"/files/{upload.pathname}", "one.png", len(content), "image/png", upload.checksum
    )
    user = uploads.User("ann")
    with pytest.raises(ApiError, match="ask for a new address") as raised:
        asyncio.run(completion.upload_complete.fn(service, user, told))

    assert raised.value.status == 404
    assert (asset_ids(service), open_uploads(service), stored(service)) == (set(), set(), set())


@pytest.fixture
def kept(service: Service) -> Iterator[set[str]]:
    """Files that are no orphans, all of them old."""
    live, deleted = add_assets(service.database, 2)
    change(service.database, deleted, deleted_at=now_ms() - 23 * 1000 * HOUR)
    upload = begin(service, b"under way", hours_ago=48)
    part = begin(service, b"part", hours_ago=48, size=91 * MIB)
    names = [f"assets/ann/{live}/photo.jpg", f"assets/ann/{deleted}/photo.jpg", f"thumbnails/ann/{live}.webp"]
    yield {
        *(store(service, name, hours_ago=48) for name in names),
        store(service, "notes/of-somebody.txt", hours_ago=48),
        upload.pathname,
        f"parts/{part.asset_id}/00001",
    }


def test_files_of_no_asset_and_of_deleted_ones_go(
    service: Service, kept: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "_LOOKED_UP", 2)
    for pathname in ("assets/ann/gone/photo.jpg", "assets/bob/gone-too/a.jpg", "thumbnails/ann/gone.webp"):
        store(service, pathname, hours_ago=25)
    store(service, "parts/gone/00001", hours_ago=25)
    (deleted,) = add_assets(service.database, start=2)
    change(service.database, deleted, deleted_at=now_ms() - 25 * 1000 * HOUR)
    store(service, f"assets/ann/{deleted}/photo.jpg", hours_ago=48)
    new = store(service, "assets/ann/new/photo.jpg", hours_ago=23)
    # A name that goes away between the listing and the look at its time.
    (service.root / UPLOADS_FOLDER / "assets/ann/vanished").symlink_to("nowhere")

    assert asyncio.run(sweep.sweep_orphans(service)) == 5

    assert stored(service) == kept | {new}
    assert not (service.root / UPLOADS_FOLDER / "assets/ann/gone").exists()
    assert asyncio.run(sweep.sweep_orphans(service)) == 0


def test_buckets_that_are_full_again_go(service: Service) -> None:
    ago = {"now": 0, "filling": 10 * 60, "full": 12 * 60}  # seconds; 100 tokens take ten minutes
    rows = [{"name": name, "tokens": 0, "updated": now_ms() - 1000 * seconds} for name, seconds in ago.items()]
    with service.database.writing() as connection:
        connection.execute(buckets.insert(), rows)

    assert asyncio.run(sweep.sweep_records(service)) == 1

    with service.database.reading() as connection:
        assert {*connection.scalars(select(buckets.c.name))} == {"now", "filling"}


def test_expired_sessions_and_links_go(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> set[str]:
        link = accounts._link_key((await accounts.make_login_link(service)).partition("=")[2])
        monkeypatch.setattr(accounts, "LINK_SECONDS", -1)
        await accounts.make_login_link(service)
        expires = {"session:old": "2020-01-01T00:00:00.000Z", "session:new": "2100-01-01T00:00:00.000Z"}
        await service.records.put(
            [Write(key, b'{"user_id": "ann", "expires": "%s"}' % moment.encode()) for key, moment in expires.items()]
        )
        assert await sweep.sweep_records(service) == 2
        names = {listed.key for listed in (await service.records.names("")).found}
        assert link in names
        return names - {link}

    assert asyncio.run(run()) == {"session:new", "user:user_local"}

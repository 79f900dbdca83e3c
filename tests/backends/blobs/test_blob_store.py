"""The contract of a blob store (`nimbus_tasks.backends.blobs.BlobStore`), asked of every one there is.

S3 is SeaweedFS. Each test has a prefix or a folder of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from typing import TYPE_CHECKING

import pytest
from edge.seaweed import needs_seaweed

from nimbus_tasks.backends.blobs import Blob, Held, Location, read_back
from nimbus_tasks.backends.blobs.folder import FolderStore
from nimbus_tasks.backends.blobs.s3 import S3Store
from nimbus_tasks.backends.blobs.s3_requests import Bucket, S3Requests
from nimbus_tasks.backends.http import Http, Timeouts
from nimbus_tasks.model.errors import NimbusError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from edge.seaweed import Seaweed

    from nimbus_tasks.backends.blobs import BlobStore

    Open = Callable[[], BlobStore]

WAIT = Timeouts(connect=5, read=60)


def folder(_: pytest.FixtureRequest, path: Path) -> BlobStore:
    return FolderStore(path / "blobs")


def s3(request: pytest.FixtureRequest, path: Path) -> BlobStore:
    seaweed: Seaweed = request.getfixturevalue("seaweed")
    prefix = f"{path.name}/"
    return S3Store(S3Requests(Http(seaweed.url, None, WAIT), seaweed.credentials, Bucket(seaweed.bucket, prefix)))


@pytest.fixture(params=[folder, pytest.param(s3, marks=needs_seaweed)], ids=lambda make: make.__name__)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    return lambda: request.param(request, tmp_path)


def blob_of(path: Path, content: bytes, content_type: str = "image/png") -> Blob:
    path.write_bytes(content)
    return Blob(path, hashlib.sha256(content).hexdigest(), len(content), content_type, path.name)


def held_of(blob: Blob, location: Location) -> Held:
    return Held(blob.sha256, blob.size, location)


def with_store(opened: Open, work: Callable[[BlobStore], Awaitable[None]]) -> None:
    async def run() -> None:
        store = opened()
        await store.open()
        try:
            await work(store)
        finally:
            await store.close()

    asyncio.run(run())


@pytest.mark.parametrize("size", [0, 1, 300_000, 17 * 1024 * 1024])
def test_what_is_put_is_found_listed_and_read(opened: Open, tmp_path: Path, size: int) -> None:
    content = random.Random(size).randbytes(size)
    blob = blob_of(tmp_path / "a.png", content)
    sent: list[int] = []

    async def work(store: BlobStore) -> None:
        assert await store.find(blob) is None
        location = await store.put(blob, sent.append)
        assert sum(sent) == size
        assert location.verified
        assert await store.find(blob) == location
        assert b"".join([chunk async for chunk in store.read(held_of(blob, location))]) == content
        listed = [held async for held in store.list()]
        assert [(held.sha256, held.size, held.location.url) for held in listed] == [(blob.sha256, size, location.url)]
        assert await read_back(store, blob, location)

    with_store(opened, work)


def test_equal_bytes_are_stored_once_and_can_be_put_again(opened: Open, tmp_path: Path) -> None:
    one, other = blob_of(tmp_path / "a.png", b"same"), blob_of(tmp_path / "b.png", b"same")

    async def work(store: BlobStore) -> None:
        assert await store.put(one) == await store.put(other)
        assert len([held async for held in store.list()]) == 1

    with_store(opened, work)


def test_what_is_removed_is_gone_and_may_be_removed_again(opened: Open, tmp_path: Path) -> None:
    blob = blob_of(tmp_path / "a.png", b"some bytes")

    async def work(store: BlobStore) -> None:
        held = held_of(blob, await store.put(blob))
        for _ in range(2):
            await store.remove(held)
        assert await store.find(blob) is None
        assert [each async for each in store.list()] == []
        with pytest.raises(RefusedError, match="is not there"):
            [chunk async for chunk in store.read(held)]

    with_store(opened, work)


@pytest.mark.parametrize("content", [b"longer than it was", b"other", b"x"], ids=["longer", "other", "shorter"])
def test_a_file_that_changes_is_refused_and_not_stored(opened: Open, tmp_path: Path, content: bytes) -> None:
    blob = blob_of(tmp_path / "a.png", b"bytes")
    if len(content) > blob.size:
        blob = blob_of(tmp_path / "a.png", b"first")
    blob.file.write_bytes(content)
    expected = content[: blob.size] == b"first"

    async def work(store: BlobStore) -> None:
        with pytest.raises(NimbusError):
            await store.put(blob)
        assert await store.find(blob) is None

    assert not expected
    with_store(opened, work)


def test_a_file_that_is_gone_is_named(opened: Open, tmp_path: Path) -> None:
    blob = blob_of(tmp_path / "a.png", b"bytes")
    blob.file.unlink()

    async def work(store: BlobStore) -> None:
        with pytest.raises(RefusedError, match=r"a\.png cannot be read"):
            await store.put(blob)

    with_store(opened, work)

"""The contract of a blob store (`nimbus_tasks.backends.blobs.BlobStore`), asked of every one there is.

S3 is SeaweedFS; Pinata is a process that keeps its documented behaviour. Each test has a prefix, a folder or an account
of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from typing import TYPE_CHECKING, Any

import pytest
from edge.pinata import Account, Pinata
from edge.seaweed import needs_seaweed

from nimbus_tasks.backends.blobs import Blob, Held, Location, read_back, s3_multipart
from nimbus_tasks.backends.blobs import pinata as pinata_module
from nimbus_tasks.backends.blobs.folder import FolderStore
from nimbus_tasks.backends.blobs.pinata import PinataStore
from nimbus_tasks.backends.blobs.pinata_requests import Places
from nimbus_tasks.backends.blobs.retry import RetryBlobStore
from nimbus_tasks.backends.blobs.s3 import S3Store
from nimbus_tasks.backends.blobs.s3_requests import Bucket, S3Requests
from nimbus_tasks.backends.http import Http, Timeouts
from nimbus_tasks.backends.kv.pacing import Pace, Pacing
from nimbus_tasks.model.errors import NimbusError, RefusedError, StoreError
from nimbus_tasks.project.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from edge.seaweed import Seaweed

    from nimbus_tasks.backends.blobs import BlobStore

    Open = Callable[[], BlobStore]

#: The smallest part that S3 takes.
PART = 5 * 1024 * 1024
WAIT = Timeouts(connect=5, read=60)


def folder(_: pytest.FixtureRequest, path: Path) -> BlobStore:
    return FolderStore(path / "blobs")


def s3(request: pytest.FixtureRequest, path: Path) -> BlobStore:
    seaweed: Seaweed = request.getfixturevalue("seaweed")
    prefix = f"{path.name}/"
    return S3Store(S3Requests(Http(seaweed.url, None, WAIT), seaweed.credentials, Bucket(seaweed.bucket, prefix)))


def pinata(request: pytest.FixtureRequest, _: Path) -> BlobStore:
    return pinata_store(request.getfixturevalue("pinata"))


def pinata_store(server: Account, **options: Any) -> PinataStore:
    token = Secret(server.token)
    places = Places(Http(server.url, token, WAIT), Http(server.url, token, WAIT), Http(server.url, None, WAIT))
    return PinataStore(places, **{"requests_a_minute": 100_000, **options})


@pytest.fixture(params=[folder, pytest.param(s3, marks=needs_seaweed), pinata], ids=lambda make: make.__name__)
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
        try:
            await store.open()
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


@pytest.mark.parametrize("content", [b"a longer text than it was", b"other", b"x"], ids=["longer", "other", "shorter"])
def test_a_file_that_changes_is_refused_and_not_stored(opened: Open, tmp_path: Path, content: bytes) -> None:
    blob = blob_of(tmp_path / "a.png", b"bytes")
    blob.file.write_bytes(content)

    async def work(store: BlobStore) -> None:
        with pytest.raises(NimbusError):
            await store.put(blob)
        blob.file.write_bytes(b"bytes")
        assert await store.find(blob) is None

    with_store(opened, work)


def test_a_file_that_is_gone_is_named(opened: Open, tmp_path: Path) -> None:
    blob = blob_of(tmp_path / "a.png", b"bytes")
    blob.file.unlink()

    async def work(store: BlobStore) -> None:
        with pytest.raises(RefusedError, match=r"a\.png cannot be read"):
            await store.put(blob)

    with_store(opened, work)


# --- large files ----------------------------------------------------------------------------------------------


@needs_seaweed
def test_an_interrupted_upload_in_parts_is_resumed(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_multipart, "PART", PART)
    monkeypatch.setattr("nimbus_tasks.backends.blobs.s3.PART", PART)
    blob = blob_of(tmp_path / "a.mp4", random.Random(1).randbytes(17 * 1024 * 1024), "video/mp4")
    sent: list[int] = []

    def interrupted(size: int) -> None:
        sent.append(size)
        if sum(sent) > 11 * 1024 * 1024:
            raise RefusedError("interrupted")

    async def work(store: BlobStore) -> None:
        with pytest.raises(RefusedError, match="interrupted"):
            await store.put(blob, interrupted)
        again: list[int] = []
        location = await store.put(blob, again.append)
        # Parts that had arrived are told as a whole; the others as they are sent.
        assert again.count(PART) == 2
        assert location.verified == "checksum"
        assert await read_back(store, blob, location)

    with_store(lambda: s3(request, tmp_path), work)


def test_parts_are_at_most_ten_thousand() -> None:
    parts = s3_multipart.parts_of(5 * 1024**4)
    assert len(parts) <= s3_multipart.MOST_PARTS
    assert sum(part.size for part in parts) == 5 * 1024**4
    assert len({part.size for part in parts[:-1]}) == 1


@pytest.mark.parametrize("tries", [2, 9])
def test_a_part_that_is_cut_off_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tries: int
) -> None:
    """Five parts, of which every second one is cut off: attempts count for each part."""
    monkeypatch.setattr(pinata_module, "LARGE", 1_000_000)
    monkeypatch.setattr("nimbus_tasks.backends.blobs.pinata_parts.PART", 700_000)
    blob = blob_of(tmp_path / "a.mp4", random.Random(2).randbytes(3_000_000), "video/mp4")
    with Pinata(fail_parts=2) as server:

        async def work(store: BlobStore) -> None:
            sent: list[int] = []
            location = await store.put(blob, sent.append)
            assert sum(sent) == blob.size
            assert location.verified == "cid v1-256k"
            assert await store.find(blob) == location

        with_store(lambda: RetryBlobStore(pinata_store(server), Pace(Pacing()), tries, 0.01), work)


# --- Pinata ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["v1-256k", "unixfs-v1-2025", "v0-256k"])
def test_cids_of_every_profile_are_known(tmp_path: Path, profile: str) -> None:
    blob = blob_of(tmp_path / "a.png", random.Random(3).randbytes(2_500_000))
    with Pinata(profile=profile) as server:

        async def work(store: BlobStore) -> None:
            assert (await store.put(blob)).verified == f"cid {profile}"

        with_store(lambda: pinata_store(server), work)


def test_a_cid_of_an_unknown_layout_is_a_warning_and_a_read_back(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = blob_of(tmp_path / "a.png", random.Random(3).randbytes(300_000))
    monkeypatch.setattr(pinata_module, "_cids_of", lambda _: {"v1-256k": "bafkreiother"})
    warnings: list[str] = []

    async def work(store: BlobStore) -> None:
        assert (await store.put(blob)).verified == "read back"

    account = request.getfixturevalue("pinata")
    with_store(lambda: pinata_store(account, warn=warnings.append), work)
    assert len(warnings) == 1
    assert "a.png" in warnings[0]


def test_a_wrong_token_is_said_and_not_shown(request: pytest.FixtureRequest) -> None:
    account: Account = request.getfixturevalue("pinata")
    account.token = "another-token-that-is-wrong"
    with pytest.raises(StoreError, match=r"401.*does not accept the credentials") as raised:
        with_store(lambda: pinata_store(account), lambda _: asyncio.sleep(0))
    assert "another-token" not in str(raised.value)


def test_an_upload_elsewhere_is_refused() -> None:
    store = pinata_store(Account("http://127.0.0.1:9", "a-token"))
    with pytest.raises(StoreError, match="another server"):
        store._parts._path_of("https://evil.example/files/1")

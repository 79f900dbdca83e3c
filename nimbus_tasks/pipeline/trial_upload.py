"""A small picture through the configured stores: every step of an upload, with its time. Only its pointer stays."""

from __future__ import annotations

import hashlib
import secrets
import struct
import tempfile
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.assets.pointers import read_pointer, set_pointer, time_of_upload
from nimbus_tasks.backends import concurrency
from nimbus_tasks.backends.blobs import Blob, Held, read_back
from nimbus_tasks.backends.blobs.open import open_blob_store
from nimbus_tasks.backends.kv.open import connect
from nimbus_tasks.model.assets import Pointer
from nimbus_tasks.model.errors import NimbusError, StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nimbus_tasks.backends.blobs import BlobStore, Location
    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.backends.kv.open import Connection
    from nimbus_tasks.pipeline.assets import AssetStage
    from nimbus_tasks.project.settings import Settings

#: The pointer of the test: `test:upload:latest`.
GROUP, VARIANT = "test", "upload"


class Step(Struct, frozen=True):
    """One step. ms: how long it took. error: why it failed; the steps after it were not tried."""

    name: str
    ms: int
    error: str = ""


class UploadTest(Struct, frozen=True):
    """The result of a test upload. url: where the picture was. verified: how its bytes were compared."""

    store: str
    passed: bool
    url: str
    steps: tuple[Step, ...]
    verified: str = ""


def test_upload(stage: AssetStage, settings: Settings, connection: Connection) -> UploadTest:
    """Upload a picture that no store has, point to it, read both back, and remove the picture.

    The pointer stays, as stores keep what was written: it names the latest test.

    Raises:
        SettingsError: settings or credentials are missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "nimbus-test.png"
        picture.write_bytes(make_picture())
        return concurrency.run(_Test(stage, settings, connection, picture).run())


def make_picture() -> bytes:
    """Return a PNG of 16 by 16 random pixels (w3.org/TR/png)."""
    lines = b"".join(b"\0" + secrets.token_bytes(3 * 16) for _ in range(16))

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


class _Test:
    def __init__(self, stage: AssetStage, settings: Settings, connection: Connection, picture: Path) -> None:
        content = picture.read_bytes()
        self._stage, self._settings, self._connection = stage, settings, connection
        digest = hashlib.sha256(content).hexdigest()
        self._blob = Blob(picture, digest, len(content), "image/png", picture.name)
        self._steps: list[Step] = []
        self._blobs: BlobStore | None = None
        self._kv: Store | None = None
        self._location: Location | None = None
        self._at = 0

    async def run(self) -> UploadTest:
        steps: tuple[tuple[str, Callable[[], Awaitable[None]]], ...] = (
            ("open the blob store", self._open_blobs),
            ("open the target", self._open_kv),
            ("upload and verify", self._put),
            ("read back", self._read_back),
            ("write the pointer", self._point),
            ("read the pointer", self._read_pointer),
        )
        try:
            passed = True
            for name, step in steps:
                passed = passed and await self._try(name, step)
            if self._location is not None:
                passed = await self._try("remove the picture", self._clean_up) and passed
        finally:
            for each in (self._blobs, self._kv):
                if each is not None:
                    await each.close()
        url = self._location.ipfs_url or self._location.url if self._location else ""
        verified = self._location.verified if self._location else ""
        return UploadTest(self._stage.target.store, passed, url, tuple(self._steps), verified)

    async def _try(self, name: str, step: Callable[[], Awaitable[None]]) -> bool:
        began, error = time.monotonic(), ""
        try:
            await step()
        except NimbusError as failure:
            error = str(failure)
        self._steps.append(Step(name, round((time.monotonic() - began) * 1000), error))
        return not error

    async def _open_blobs(self) -> None:
        self._blobs = await open_blob_store(self._stage.target, connection=self._connection)

    async def _open_kv(self) -> None:
        self._kv = await connect(self._settings, self._connection)
        self._at = await time_of_upload(self._kv, GROUP, VARIANT)

    async def _put(self) -> None:
        self._location = await self._opened().put(self._blob)

    async def _read_back(self) -> None:
        location = self._placed()
        if not await read_back(self._opened(), self._blob, location):
            raise StoreError(f"{location.url} has other bytes than were sent.", "Ask the service that keeps them.")

    async def _point(self) -> None:
        assert self._kv is not None
        where = self._placed()
        address = {"ipfs_url": where.ipfs_url} if where.ipfs_url else {"url": where.url}
        metadata = {"filename": self._blob.name, "sha256": self._blob.sha256, "size": self._blob.size}
        await set_pointer(self._kv, GROUP, VARIANT, Pointer(str(self._at), metadata, **address))

    async def _read_pointer(self) -> None:
        assert self._kv is not None
        found = await read_pointer(self._kv, GROUP, VARIANT)
        if found is None or found.metadata.get("sha256") != self._blob.sha256:
            raise StoreError("The pointer does not name the picture yet.", "KV may lag for a minute: try again then.")

    async def _clean_up(self) -> None:
        await self._opened().remove(Held(self._blob.sha256, self._blob.size, self._placed()))

    def _opened(self) -> BlobStore:
        assert self._blobs is not None
        return self._blobs

    def _placed(self) -> Location:
        assert self._location is not None
        return self._location

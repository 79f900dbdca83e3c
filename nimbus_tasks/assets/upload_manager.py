"""Uploads files from any program, and points to the latest of each group and variant.

The order is: bytes, verification, `asset:` record, pointer, and only then the local file is deleted, if that is asked
for. A failure leaves the local file, and never ends the uploads of others; bytes that are confirmed are not sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import msgspec
from msgspec import Struct

from nimbus_tasks.assets.clients import CloudflareKVClient, PinataUploader, blob_of, read_content
from nimbus_tasks.assets.metrics import Meter, UploadMetrics, failure_of
from nimbus_tasks.assets.pointers import metadata_of, plain_metadata, plain_name
from nimbus_tasks.assets.records import Placed, item_of
from nimbus_tasks.assets.webhook import Webhook
from nimbus_tasks.model.assets import asset_key, pointer_key
from nimbus_tasks.model.clock import now
from nimbus_tasks.model.errors import FileError, NimbusError, SettingsError, StateError
from nimbus_tasks.project.secrets import hide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from nimbus_tasks.assets.config import UploadConfig
    from nimbus_tasks.backends.blobs import OnSent

log = logging.getLogger("nimbus_tasks.assets")


class Asset(Struct, frozen=True):
    """A file to upload, and the pointer that will name it."""

    path: Path | str
    group: str
    variant: str
    metadata: dict[str, Any] = {}


class Uploadable(Protocol):
    """Anything that has what an `Asset` has."""

    @property
    def path(self) -> Path | str: ...
    @property
    def group(self) -> str: ...
    @property
    def variant(self) -> str: ...
    @property
    def metadata(self) -> Mapping[str, Any]: ...


class UploadResult(Struct, frozen=True):
    """The result of one file.

    success: it is stored, and its pointer names it or a later one. is_latest: the pointer names it.
    kv_key: of the pointer. error: what was wrong, and the next step; empty after success.
    """

    path: Path
    success: bool
    ipfs_url: str = ""
    cid: str = ""
    kv_key: str = ""
    is_latest: bool = False
    error: str = ""
    local_deleted: bool = False
    size: int = 0
    ms: int = 0


class UploadManager:
    """Uploads to Pinata with pointers in Cloudflare KV: `async with UploadManager(config) as manager:`."""

    def __init__(self, config: UploadConfig, on_progress: Callable[[Path, int, int], None] | None = None) -> None:
        """Nothing is sent.

        Args:
            config: where to.
            on_progress: is called with a file, the bytes of it that went up, and its size; fewer where some are sent
                again. It must not raise or wait.

        Raises:
            SettingsError: uploads are not enabled by the configuration.
        """
        if config.pinata is None or config.kv is None:
            raise SettingsError(
                "Uploads are not configured.",
                "Set PINATA_JWT, CLOUDFLARE_API_TOKEN, CLOUDFLARE_ACCOUNT_ID and KV_NAMESPACE_ID.",
            )
        self._delete_local = config.delete_local
        self._project = config.project_id
        self._pinata = PinataUploader(config.pinata, _warn, _retrying)
        self._kv = CloudflareKVClient(config.kv, retrying=_retrying)
        self._on_progress = on_progress
        self._meter = Meter()
        self._closed = False
        about = {"project_id": config.project_id, "store": "pinata"}
        hook = config.webhook
        self._webhook = Webhook(hook.url, hook.secret, about, _warn) if hook else None

    @property
    def metrics(self) -> UploadMetrics:
        """What this manager has done so far: `manager.metrics.prometheus()` is the text for Prometheus."""
        return self._meter.read()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        self._closed = True
        if self._webhook:
            await self._webhook.finish()
            await self._webhook.close()
        await self._pinata.close()
        await self._kv.close()

    async def upload(self, asset: Uploadable) -> UploadResult:
        """Upload one file. Whatever goes wrong with it is in the result."""
        began = time.monotonic()
        path = Path(asset.path)
        try:
            result = await self._upload(path, asset)
        except (NimbusError, OSError, ValueError) as error:
            log.error("upload failed: %s (%s)", path, type(error).__name__)  # noqa: TRY400 - no traceback
            self._meter.failed(failure_of(error))
            result = UploadResult(path, success=False, error=hide(str(error)), ms=_ms_since(began))
        else:
            result = msgspec.structs.replace(result, ms=_ms_since(began))
            self._meter.uploaded(result.size, result.ms)
            log.info("uploaded: %s, %d bytes, %d ms, %s", result.kv_key, result.size, result.ms, result.cid)
        if self._webhook:
            self._webhook.send(result)
        return result

    #: Charts and plots are what most programs upload.
    upload_visualization = upload

    async def upload_multiple(self, assets: Iterable[Uploadable], max_concurrent: int = 3) -> list[UploadResult]:
        """Upload files, at most `max_concurrent` at a time; the results are in the order of the files."""
        room = asyncio.Semaphore(max(1, max_concurrent))

        async def one(asset: Uploadable) -> UploadResult:
            async with room:
                return await self.upload(asset)

        return list(await asyncio.gather(*map(one, assets)))

    async def _upload(self, path: Path, asset: Uploadable) -> UploadResult:
        if self._closed:
            raise StateError("This UploadManager is closed.", "Upload inside its `async with` block.")
        group, variant = plain_name(asset.group), plain_name(asset.variant)
        key = pointer_key(group, variant)
        given = plain_metadata(asset.metadata)
        before = _identity(path)
        at = await self._kv.time_of_upload(group, variant)
        content = await read_content(path)
        sha256, size = content.sha256, content.size
        if not size:
            raise FileError(f"{path} is empty: nothing was uploaded.")
        log.debug("hashed: %s, %d bytes, %s", path, size, sha256)
        blob = blob_of(path, content, {"group": group, "variant": variant})
        location = await self._pinata.upload_blob(blob, self._sent(path, size))
        log.debug("verified: %s by %s, %s", path, location.verified, location.cid)
        if self._project:
            item = item_of(content, (path.as_posix(),))
            await self._kv.save_record(self._project, Placed(item, location, now()))
            log.debug("recorded: %s as %s", path, asset_key(self._project, sha256))
        metadata = metadata_of(path.name, group, variant, content, given)
        is_latest = await self._kv.set_latest_image(group, variant, location.ipfs_url, metadata, updated_at=at)
        deleted = self._delete_local and _delete_unchanged(path, before)
        return UploadResult(
            path, True, location.ipfs_url, location.cid, key, is_latest, local_deleted=deleted, size=size
        )

    def _sent(self, path: Path, size: int) -> OnSent:
        """Return what counts the bytes of a file that went up."""
        sent, on_progress = 0, self._on_progress

        def count(more: int) -> None:
            nonlocal sent
            sent += more
            if on_progress is not None:
                on_progress(path, sent, size)

        return count


def _warn(message: str) -> None:
    log.warning("%s", hide(message))


def _retrying(attempt: int, attempts: int, why: str) -> None:
    log.warning("retrying after attempt %d of %d: %s", attempt, attempts, hide(why))


def _identity(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file is written: inode, size, time."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _delete_unchanged(path: Path, before: tuple[int, int, int] | None) -> bool:
    """Delete a file that is still the one that was uploaded; return whether it was deleted."""
    if before is None or _identity(path) != before:
        return False
    with contextlib.suppress(OSError):
        path.unlink()
        return True
    return False


def _ms_since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)

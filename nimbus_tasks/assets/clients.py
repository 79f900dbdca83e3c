"""Clients of Pinata and of Cloudflare KV for programs: each usable on its own."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from nimbus_tasks.assets.digests import content_of
from nimbus_tasks.assets.pointers import plain_metadata, plain_name, read_pointer, set_pointer, time_of_upload
from nimbus_tasks.assets.records import put_records
from nimbus_tasks.backends.blobs import Blob, Location
from nimbus_tasks.backends.blobs.open import PINATA_PLANS
from nimbus_tasks.backends.blobs.pinata import PinataStore
from nimbus_tasks.backends.blobs.pinata_requests import Places
from nimbus_tasks.backends.blobs.retry import RetryBlobStore
from nimbus_tasks.backends.http import Http, Timeouts
from nimbus_tasks.backends.kv.cloudflare import CloudflareStore
from nimbus_tasks.backends.kv.pacing import Pace, Pacing
from nimbus_tasks.backends.kv.retry import RetryStore
from nimbus_tasks.model.assets import Pointer
from nimbus_tasks.model.errors import FileError, SettingsError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nimbus_tasks.assets.asset_file import Content
    from nimbus_tasks.assets.config import CloudflareKVConfig, PinataConfig
    from nimbus_tasks.assets.records import Placed
    from nimbus_tasks.backends.attempts import OnRetry
    from nimbus_tasks.backends.blobs import OnSent

#: Attempts for each request to KV, and seconds before the second one at most.
TRIES, RETRY_WAIT = 5, 1.0


async def read_content(file: Path) -> Content:
    """Read a file to its end, and return what it holds.

    Raises:
        FileError: it cannot be read.
    """
    try:
        with file.open("rb") as opened:
            return await asyncio.to_thread(content_of, opened.fileno(), file.name, os.fstat(opened.fileno()).st_size)
    except OSError as error:
        raise FileError(f"{file} cannot be read: {(error.strerror or '').lower()}.") from None


def blob_of(file: Path, content: Content, labels: Mapping[str, str] | None = None) -> Blob:
    return Blob(file, content.sha256, content.size, content.content_type, file.name, dict(labels or {}))


class PinataUploader:
    """Uploads files to IPFS: `async with PinataUploader(PinataConfig.from_env()) as pinata:`."""

    def __init__(
        self,
        config: PinataConfig,
        warn: Callable[[str], None] = lambda _: None,
        retrying: OnRetry = lambda *_: None,
    ) -> None:
        timeouts = Timeouts()
        places = Places(
            Http(config.upload_url, config.jwt, timeouts),
            Http(config.api_url, config.jwt, timeouts),
            Http(config.gateway_url, None, timeouts),
        )
        store = PinataStore(places, PINATA_PLANS[config.plan], config.group_id, warn)
        self._store = RetryBlobStore(store, Pace(Pacing()), TRIES, RETRY_WAIT, retrying)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def upload_file(
        self, file: Path | str, labels: Mapping[str, str] | None = None, sent: OnSent = lambda _: None
    ) -> Location:
        """Upload a file, and return its CID and addresses once it is verified. Bytes that are there are not sent.

        Raises:
            RefusedError: the file cannot be read, or Pinata refuses it.
            StoreError: Pinata does not answer.
        """
        path = Path(file)
        return await self.upload_blob(blob_of(path, await read_content(path), labels), sent)

    async def upload_blob(self, blob: Blob, sent: OnSent = lambda _: None) -> Location:
        """Upload a file whose digest is known, as `upload_file` does."""
        return await self._store.find(blob) or await self._store.put(blob, sent)

    async def close(self) -> None:
        await self._store.close()


class CloudflareKVClient:
    """Reads and writes pointers: `async with CloudflareKVClient(CloudflareKVConfig.from_env()) as kv:`."""

    def __init__(
        self,
        config: CloudflareKVConfig,
        warn: Callable[[str], None] = lambda _: None,
        retrying: OnRetry = lambda *_: None,
    ) -> None:
        identity = f"cloudflare:{config.account_id}:{config.namespace_id}"
        http = Http(config.api_url, config.api_token, Timeouts())
        store = CloudflareStore(http, identity, config.account_id, config.namespace_id, {})
        self._store = RetryStore(store, Pace(Pacing()), TRIES, RETRY_WAIT, retrying, warn)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def set_latest_image(
        self, group: str, variant: str, url: str, metadata: Mapping[str, Any] | None = None, *, updated_at: int = 0
    ) -> bool:
        """Point `{group}:{variant}:latest` to a file; return False where a later upload has done so.

        Args:
            group: 1 to 64 of `a-z 0-9 _ -`, or a member of an enum, as the variant.
            variant: of the group.
            url: `ipfs://CID`, or an address.
            metadata: kept with the pointer.
            updated_at: when the upload began, seconds since 1970 (`time_of_upload`); 0: now.

        Raises:
            SettingsError: a name or the address is invalid.
            StoreError: KV does not answer, or its key holds something else.
        """
        group, variant = plain_name(group), plain_name(variant)
        if urlsplit(url).scheme not in ("ipfs", "https", "http") or not urlsplit(url).netloc:
            raise SettingsError(f"A pointer cannot name {url[:100]!r}.", "It takes ipfs://CID, or an http(s) address.")
        at = str(updated_at or await self.time_of_upload(group, variant))
        ipfs = url.startswith("ipfs://")
        pointer = Pointer(at, plain_metadata(metadata or {}), **{"ipfs_url" if ipfs else "url": url})
        return await set_pointer(self._store, group, variant, pointer)

    async def get_latest_image(self, group: str, variant: str) -> Pointer | None:
        """Return a pointer; None where there is none."""
        return await read_pointer(self._store, plain_name(group), plain_name(variant))

    async def save_record(self, project_id: str, placed: Placed) -> None:
        """Write the `asset:` record of a file in Pinata, with what is known of it from elsewhere.

        Raises:
            StoreError: KV does not take it.
        """
        for why in (await put_records(self._store, project_id, "pinata", [placed])).values():
            raise StoreError(f"The record of {placed.item.paths[0]} was not stored: {why}", "Upload it again.")

    async def time_of_upload(self, group: str, variant: str) -> int:
        """Return the time of an upload that begins now, later than the pointer's: seconds since 1970."""
        return await time_of_upload(self._store, plain_name(group), plain_name(variant))

    async def close(self) -> None:
        await self._store.close()

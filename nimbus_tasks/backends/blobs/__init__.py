"""The contract of every blob store; `blobs/folder.py` is the simplest one.

A blob store keeps the bytes of files, each under the SHA-256 of its bytes, so equal files are stored once. A put is
verified: the location says how. Each call of a method is at most a few requests, so wrappers can pace and repeat them.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from nimbus_tasks.model.errors import FileError, StoreError

if TYPE_CHECKING:
    from nimbus_tasks.backends.http import Upload
    from nimbus_tasks.backends.http.response import Response

#: Bytes that are read from a file at once.
READ_AT_ONCE = 256 * 1024
#: Bytes that are read from a store at once.
RANGE = 8 * 1024 * 1024
#: Parts of a listing in a row without a file. Files of other programs can make some.
MOST_EMPTY_PAGES = 1000
#: Is called with the number of bytes that have been sent since the last call; negative where they are sent again.
OnSent = Callable[[int], None]


class Blob(Struct, frozen=True):
    """A file to store.

    sha256: of its bytes, 64 hex digits. name, folder: for people; folder: of the project, empty for its own folder.
    labels: texts that the store keeps with it where it can.
    """

    file: Path
    sha256: str
    size: int
    content_type: str
    name: str = ""
    labels: dict[str, str] = {}
    folder: str = ""


class Location(Struct, frozen=True, omit_defaults=True):
    """Where a blob store holds a file; part of an `asset:` record.

    url: where it can be read, if the store knows. cid, ipfs_url: of IPFS. id, group_id, etag: the store's own names.
    verified: how its bytes were compared: `checksum`, `cid PROFILE` or `read back`.
    """

    url: str
    cid: str = ""
    ipfs_url: str = ""
    id: str = ""
    group_id: str = ""
    etag: str = ""
    verified: str = ""


class Held(Struct, frozen=True):
    """A stored file. sha256: empty where the store does not say."""

    sha256: str
    size: int
    location: Location


class PageInUse(Struct, frozen=True):
    """A page that uses a file. url: its path where the site's domain is not known."""

    url: str
    title: str = ""


class Context(Struct, frozen=True):
    """What pages say of a file. titles: of the pages that use it."""

    alt: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    pages: tuple[PageInUse, ...] = ()


class Page(Struct, frozen=True):
    """A part of a listing. cursor: continues it; empty: this was the last part."""

    held: tuple[Held, ...]
    cursor: str = ""


class Resumable(Protocol):
    """Where uploads in parts that have not ended are at their store, by the digests of their files."""

    def find(self, sha256: str) -> str: ...

    def keep(self, sha256: str, where: str) -> None: ...

    def forget(self, sha256: str) -> None: ...


class ResumableHere:
    """Those of this process."""

    def __init__(self) -> None:
        self._held: dict[str, str] = {}

    def find(self, sha256: str) -> str:
        """Return where an upload of a file is; empty where there is none."""
        return self._held.get(sha256, "")

    def keep(self, sha256: str, where: str) -> None:
        self._held[sha256] = where

    def forget(self, sha256: str) -> None:
        self._held.pop(sha256, None)


class BlobStore(Protocol):
    """A place for files.

    `RefusedError` and `TransientError` are about one file, and the next one may succeed. Any other `StoreError`, which
    all methods may raise, is about the store as a whole: nothing more is worth sending.
    """

    @property
    def identity(self) -> str:
        """Identifies the store: what a ledger knows of it is valid for one identity only."""
        ...

    @property
    def pattern(self) -> str:
        """Where readers get a file: `{sha256}` stands for its digest, `{aa}` for the first two digits of it.

        Empty where only the store knows.
        """
        return ""

    def is_here(self, sha256: str, location: Location) -> bool:
        """Return whether a recorded location is one of this store, and not of another one of its kind."""
        address = self.pattern.replace("{aa}", sha256[:2]).replace("{sha256}", sha256)
        return address != "" and location.url == address

    async def open(self) -> None:
        """Connect. Must come before everything else."""
        ...

    def expect(self, blobs: Sequence[Blob]) -> None:
        """Receive the files that will be put, in order, so that one request can ask for many. Nothing is sent."""
        del blobs  # most stores have no use for it

    async def put(self, blob: Blob, sent: OnSent = lambda _: None) -> Location:
        """Store a file and verify it. Bytes that an interrupted put has sent are not sent again where the store can.

        sent: is not called where the store turns out to have the file.

        Raises:
            RefusedError: the store refuses this file, or the file has changed since it was hashed.
            TransientError: a retry may succeed.
        """
        ...

    async def find(self, blob: Blob) -> Location | None:
        """Return where the store holds this file, verified; None where it does not, or holds other bytes."""
        ...

    async def read_at(self, held: Held, start: int) -> bytes:
        """Return the bytes of a file from `start` on: fewer than RANGE only where the file ends.

        Raises:
            RefusedError: it is not there.
        """
        ...

    async def read(self, held: Held) -> AsyncIterator[bytes]:
        """Yield the bytes of a file.

        Raises:
            RefusedError: it is not there.
        """
        start = 0
        while True:
            part = await self.read_at(held, start)
            if part:
                yield part
            start += len(part)
            if len(part) < RANGE:
                return

    async def page(self, cursor: str = "") -> Page:
        """Return a part of the listing of all files."""
        ...

    async def list(self) -> AsyncIterator[Held]:
        """Yield all files that are stored.

        Raises:
            StoreError: the listing would never end.
        """
        cursor, before, empty = "", Page(()), 0
        while True:
            page = await self.page(cursor)
            empty = 0 if page.held else empty + 1
            if empty > MOST_EMPTY_PAGES or (page.held and page.held == before.held):
                raise StoreError("The listing of files does not end: the store repeats itself.", "Try again later.")
            for held in page.held:
                yield held
            cursor, before = page.cursor, page
            if not cursor:
                return

    async def describe(self, location: Location, context: Context) -> None:
        """Send what pages say of a file, in place of what was sent before.

        Raises:
            RefusedError: it does not take this, or has no such file.
        """
        del location, context  # most stores have no use for it

    async def remove(self, held: Held) -> None:
        """Remove a file; it may be gone already."""
        ...

    async def close(self) -> None: ...


def range_from(start: int) -> dict[str, str]:
    """Return the headers of a request for the bytes of a file from `start` on, RANGE at the most."""
    return {"range": f"bytes={start}-{start + RANGE - 1}", "accept-encoding": "identity"}


def bytes_from(response: Response, start: int) -> bytes:
    """Return the bytes of a response to `range_from`. Not every server knows ranges: some send the whole file."""
    if response.status == 416:  # nothing begins there: an empty file, or one of whole ranges
        return b""
    return response.body if response.status == 206 else response.body[start : start + RANGE]


async def read_back(store: BlobStore, blob: Blob, location: Location) -> bool:
    """Return whether a store holds exactly these bytes; all of them are read."""
    digest, size = hashlib.sha256(), 0
    async for chunk in store.read(Held(blob.sha256, blob.size, location)):
        digest.update(chunk)
        size += len(chunk)
        if size > blob.size:
            return False
    return digest.hexdigest() == blob.sha256


def upload_of(blob: Blob, start: int, size: int, sent: OnSent, before: bytes = b"", after: bytes = b"") -> Upload:
    """Return a range of a file as a body, between other bytes.

    Reading raises `FileError` where the file is shorter than it was.
    """
    from nimbus_tasks.backends.http import Upload

    async def read() -> AsyncIterator[bytes]:
        if before:
            yield before
        for chunk in chunks_of(blob, start, size):
            yield chunk
            sent(len(chunk))
        if after:
            yield after

    return Upload(len(before) + size + len(after), read)


def chunks_of(blob: Blob, start: int = 0, size: int | None = None) -> Iterator[bytes]:
    """Yield a range of a file.

    Raises:
        FileError: it is shorter than it was, or cannot be read.
    """
    left = blob.size - start if size is None else size
    try:
        with blob.file.open("rb") as file:
            file.seek(start)
            while left:
                chunk = file.read(min(left, READ_AT_ONCE))
                if not chunk:
                    raise changed(blob)
                left -= len(chunk)
                yield chunk
    except OSError as error:
        raise FileError(f"{blob.file} cannot be read: {(error.strerror or '').lower()}.") from None


def check_unchanged(blob: Blob) -> None:
    """Read a file, and see that it has the bytes that it was hashed with.

    Raises:
        FileError: it has others.
    """
    digest = hashlib.sha256()
    for chunk in chunks_of(blob, 0, None):
        digest.update(chunk)
    if digest.hexdigest() != blob.sha256:
        raise changed(blob)


def changed(blob: Blob) -> FileError:
    return FileError(f"{blob.file} has changed while it was uploaded: upload it again.")


def as_base64(sha256: str) -> str:
    """Return a digest as checksum headers have it."""
    return base64.b64encode(bytes.fromhex(sha256)).decode()

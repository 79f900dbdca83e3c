"""Bytes of uploads in a folder of this machine. The service itself takes them, at addresses that it has signed.

An address is valid for one file: method, pathname, end of validity, size, type, checksum and part are all signed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import os
import re
import time
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlencode

from msgspec import Struct

from nimbus_tasks.backends.blobs import READ_AT_ONCE, as_base64
from nimbus_tasks.model.errors import RefusedError, StoreError
from nimbus_tasks.project import atomic, beneath
from nimbus_tasks.server.storage import WHOLE_BYTES, Held, PartUrl, Signed, Storage, part_ranges

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from nimbus_tasks.server.storage import Upload

T = TypeVar("T")

UPLOADS_FOLDER = ".nimbus/uploads"
CHECKSUM = "x-amz-checksum-sha256"
_PATHNAME = re.compile(r"(?:assets|thumbnails|parts)(?:/[0-9A-Za-z_-][0-9A-Za-z._-]{0,130}){1,3}")


class Claim(Struct, frozen=True):
    """What an address is valid for. checksum: base64; empty for a part. part: from 1; 0: the whole file."""

    pathname: str
    expires: int
    size: int
    content_type: str
    checksum: str
    part: int = 0


class FolderStorage(Storage):
    """Files below `.nimbus/uploads`; public_url: under which the service is known, empty: addresses are paths."""

    is_local = True

    def __init__(self, root: Path, signing_key: bytes, public_url: str = "") -> None:
        self._folder = (root / UPLOADS_FOLDER).resolve()
        self._key = signing_key
        self._public_url = public_url

    async def check(self) -> None:
        await self._act(lambda: self._folder.mkdir(parents=True, exist_ok=True))

    async def sign(self, upload: Upload, base: str) -> Signed:
        expires = upload.expires_at // 1000
        if upload.size <= WHOLE_BYTES:
            checksum = as_base64(upload.checksum)
            claim = Claim(upload.pathname, expires, upload.size, upload.mime_type, checksum)
            return Signed(self._signed_url(base, claim), {"content-type": upload.mime_type, CHECKSUM: checksum})
        parts = tuple(
            PartUrl(
                number, start, size, self._signed_url(base, Claim(upload.pathname, expires, size, "", "", part=number))
            )
            for number, start, size in part_ranges(upload.size)
        )
        return Signed("", {}, parts, upload.asset_id)

    def is_signed(self, claim: Claim, signature: str) -> bool:
        """Return whether we have signed this; the end of its validity is for the caller."""
        return hmac.compare_digest(self._signature(claim).encode(), signature.encode())

    async def finish(self, upload: Upload) -> Held | None:
        if upload.upload_id is None:
            # Only verified bytes are ever put in place. A look takes 5 microseconds, a thread for it 20 times as long.
            with self._usable():
                size = self._size(upload.pathname)
            return None if size is None else Held(size, upload.checksum)
        return await self._act(lambda: self._join(upload))

    async def abandon(self, upload: Upload) -> None:
        await self.remove(upload.pathname)
        if upload.upload_id is not None:
            await self._act(lambda: self._remove_parts(upload))

    async def put(self, pathname: str, file: Path, content_type: str, sha256: str) -> None:
        def copy() -> None:
            with file.open("rb") as source:
                self._write(pathname, iter(lambda: source.read(READ_AT_ONCE), b""))

        await self._act(copy)

    async def read(self, pathname: str) -> AsyncIterator[bytes]:
        try:
            with self.path(pathname).open("rb") as file:
                while chunk := await asyncio.to_thread(file.read, READ_AT_ONCE):
                    yield chunk
        except FileNotFoundError:
            raise RefusedError(f"{pathname} is not there.") from None

    async def remove(self, pathname: str) -> None:
        await self._act(lambda: self._remove(pathname))

    async def list(self) -> AsyncIterator[tuple[str, float]]:
        for pathname, changed in await self._act(lambda: [*self._walk()]):
            yield pathname, changed

    def url(self, pathname: str) -> str:
        return f"{self._public_url}/files/{pathname}"

    async def close(self) -> None:
        """Do nothing: no file stays open."""

    def path(self, pathname: str) -> Path:
        """Return the file of a pathname.

        Raises:
            RefusedError: it is no pathname of ours.
        """
        if not _PATHNAME.fullmatch(pathname):
            raise RefusedError("This is no pathname.")
        return self._folder / pathname

    def receive(self, claim: Claim) -> Incoming:
        """Return a file that is about to be written, for the bytes of one request."""
        pathname = f"parts/{claim.pathname.split('/')[2]}/{claim.part:05d}" if claim.part else claim.pathname
        return Incoming(self._folder, self.path(pathname))

    def _signed_url(self, base: str, claim: Claim) -> str:
        query = {"expires": claim.expires, "size": claim.size, "part": claim.part, "signature": self._signature(claim)}
        return f"{base}/files/{claim.pathname}?{urlencode(query)}"

    def _signature(self, claim: Claim) -> str:
        text = "\n".join(["PUT", *(str(getattr(claim, name)) for name in Claim.__struct_fields__)])
        return hmac.digest(self._key, text.encode(), "sha256").hex()

    def _size(self, pathname: str) -> int | None:
        try:
            return self.path(pathname).stat().st_size
        except FileNotFoundError:
            return None

    def _write(self, pathname: str, chunks: Iterator[bytes]) -> None:
        path = self.path(pathname)
        parts = path.parent.relative_to(self._folder).parts
        folder = str(self._folder)
        with beneath.folder(folder, parts, create=True) as at:
            atomic.write(atomic.Place(at, folder, parts, folder), path.name, chunks, durable=True)

    def _join(self, upload: Upload) -> Held | None:
        """Write one file from all parts; None where one is missing. Again where it is already done."""
        digest, size = hashlib.sha256(), 0
        names = [self.path(f"parts/{upload.asset_id}/{number:05d}") for number, _, _ in part_ranges(upload.size)]

        def read() -> Iterator[bytes]:
            nonlocal size
            for name in names:
                with name.open("rb") as part:
                    while chunk := part.read(READ_AT_ONCE):
                        digest.update(chunk)
                        size += len(chunk)
                        yield chunk

        if not all(name.exists() for name in names):
            if self._size(upload.pathname) is None:
                return None
            with self.path(upload.pathname).open("rb") as file:
                return Held(os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest())
        self._write(upload.pathname, read())
        self._remove_parts(upload)
        return Held(size, digest.hexdigest())

    def _remove_parts(self, upload: Upload) -> None:
        for number, _, _ in part_ranges(upload.size):
            self._remove(f"parts/{upload.asset_id}/{number:05d}")

    def _remove(self, pathname: str) -> None:
        path = self.path(pathname)
        path.unlink(missing_ok=True)
        try:
            path.parent.rmdir()  # the folder of the asset
        except OSError:
            return  # something else is in it, or it is gone

    def _walk(self) -> Iterator[tuple[str, float]]:
        for kind in ("assets", "thumbnails", "parts"):
            for folder, _, names in os.walk(self._folder / kind):
                for name in names:
                    path = os.path.join(folder, name)
                    with contextlib.suppress(FileNotFoundError):  # removed since
                        yield os.path.relpath(path, self._folder), os.stat(path).st_mtime

    async def _act(self, act: Callable[[], T]) -> T:
        with self._usable():
            return await asyncio.to_thread(act)

    @contextlib.contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(f"{self._folder} cannot be used: {(error.strerror or '').lower()}.") from None


class Incoming:
    """A file that arrives in pieces. It takes its place when it is complete and right, or leaves nothing."""

    def __init__(self, folder: Path, path: Path) -> None:
        self._folder, self._path = folder, path
        self._digest = hashlib.sha256()
        self.size = 0

    def __enter__(self) -> Incoming:
        self._file = atomic.Pending(str(self._folder))
        return self

    def __exit__(self, *_: object) -> None:
        self._file.discard()

    def write(self, chunk: bytes) -> None:
        self._file.write(chunk)
        self._digest.update(chunk)
        self.size += len(chunk)

    @property
    def checksum(self) -> str:
        """The SHA-256 of what has arrived, as headers have it."""
        return as_base64(self._digest.hexdigest())

    async def keep(self) -> None:
        """Put the file in its place, on the disk."""
        parts = self._path.parent.relative_to(self._folder).parts

        def move() -> None:
            with beneath.folder(str(self._folder), parts, create=True) as at:
                self._file.keep(at, self._path.name)

        await asyncio.to_thread(move)


def is_expired(claim: Claim) -> bool:
    return claim.expires < time.time()

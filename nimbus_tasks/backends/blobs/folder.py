"""Blobs in a folder of this machine, each in a file with its digest as its name."""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING

from nimbus_tasks.backends.blobs import READ_AT_ONCE, Blob, BlobStore, Held, Location, changed, chunks_of
from nimbus_tasks.model.errors import RefusedError, StoreError
from nimbus_tasks.project import atomic, beneath, files

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from nimbus_tasks.backends.blobs import OnSent

_NAME = re.compile(r"[0-9a-f]{64}")


class FolderStore(BlobStore):
    """Blobs in `folder`, in subfolders of their digests' first two digits."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def identity(self) -> str:
        return f"folder:{self._folder.resolve()}"

    async def open(self) -> None:
        """Do nothing: the folder is made by the first put."""

    async def put(self, blob: Blob, sent: OnSent = lambda _: None) -> Location:
        digest = hashlib.sha256()

        def read() -> Iterator[bytes]:
            for chunk in chunks_of(blob):
                digest.update(chunk)
                sent(len(chunk))
                yield chunk
            if digest.hexdigest() != blob.sha256:
                raise changed(blob)

        folder, name = str(self._folder.resolve()), blob.sha256
        try:
            with beneath.folder(folder, (name[:2],), create=True) as at:
                atomic.write(atomic.Place(at, folder, (name[:2],), folder), name, read(), durable=True)
        except OSError as error:
            raise self._failure(error) from None
        return self._location(name, "checksum")

    async def find(self, blob: Blob) -> Location | None:
        digest = hashlib.sha256()
        try:
            async for chunk in self.read(Held(blob.sha256, blob.size, self._location(blob.sha256))):
                digest.update(chunk)
        except RefusedError:
            return None
        return self._location(blob.sha256, "checksum") if digest.hexdigest() == blob.sha256 else None

    async def read(self, held: Held) -> AsyncIterator[bytes]:
        try:
            with self._path(held.sha256).open("rb") as file:
                while chunk := file.read(READ_AT_ONCE):
                    yield chunk
        except FileNotFoundError:
            raise RefusedError(f"{self._path(held.sha256)} is not there.") from None
        except OSError as error:
            raise self._failure(error) from None

    async def list(self) -> AsyncIterator[Held]:
        for folder in sorted(self._folder.glob("[0-9a-f][0-9a-f]")):
            with os.scandir(folder) as entries:
                for entry in sorted(entries, key=lambda each: each.name):
                    if _NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                        yield Held(entry.name, entry.stat().st_size, self._location(entry.name))

    async def remove(self, held: Held) -> None:
        try:
            self._path(held.sha256).unlink(missing_ok=True)
        except OSError as error:
            raise self._failure(error) from None

    async def close(self) -> None:
        """Do nothing: no file stays open."""

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256

    def _location(self, sha256: str, verified: str = "") -> Location:
        return Location(self._path(sha256).as_posix(), verified=verified)

    def _failure(self, error: OSError) -> StoreError:
        next_step = files.MAKE_WRITABLE if files.is_read_only(error) else "Check the disk."
        return StoreError(f"{self._folder} cannot be used: {(error.strerror or '').lower()}.", next_step)

"""Blobs in a folder of this machine, each in a file with its digest as its name."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import re
from typing import TYPE_CHECKING

from nimbus_tasks.backends.blobs import RANGE, Blob, BlobStore, Held, Location, Page, changed, chunks_of
from nimbus_tasks.model.errors import RefusedError, StoreError
from nimbus_tasks.project import atomic, beneath, files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nimbus_tasks.backends.blobs import OnSent

_NAME = re.compile(r"[0-9a-f]{64}")
_SUBFOLDER = re.compile(r"[0-9a-f]{2}")
#: There is no room for this file; a smaller one may have it.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class FolderStore(BlobStore):
    """Blobs in `folder`, in subfolders of their digests' first two digits.

    public_url: from where readers get what is in the folder; empty: locations are paths.
    """

    def __init__(self, folder: Path, public_url: str = "") -> None:
        self._folder = folder
        self._base = public_url.rstrip("/") or folder.as_posix()

    @property
    def identity(self) -> str:
        return f"folder:{self._folder.resolve()}"

    @property
    def pattern(self) -> str:
        return f"{self._base}/{{aa}}/{{sha256}}"

    async def open(self) -> None:
        """Do nothing: the folder is made by the first put."""

    async def put(self, blob: Blob, sent: OnSent = lambda _: None) -> Location:
        loop = asyncio.get_running_loop()

        def sent_by_thread(size: int) -> None:
            loop.call_soon_threadsafe(sent, size)

        await asyncio.to_thread(self._write, blob, sent_by_thread)
        # What was written was hashed and is on the disk. Reading it back at once would read the system's cache.
        return self._location(blob.sha256, "checksum")

    async def find(self, blob: Blob) -> Location | None:
        digest = await asyncio.to_thread(self._digest, blob.sha256)
        return self._location(blob.sha256, "checksum") if digest == blob.sha256 else None

    async def read_at(self, held: Held, start: int) -> bytes:
        try:
            with self._path(held.sha256).open("rb") as file:
                file.seek(start)
                return file.read(RANGE)
        except FileNotFoundError:
            raise RefusedError(f"{self._path(held.sha256)} is not there.") from None
        except OSError as error:
            raise self._failure(error) from None

    async def page(self, cursor: str = "") -> Page:
        """Return what a subfolder has, and its name as the cursor."""
        try:
            names = sorted(name for name in os.listdir(self._folder) if _SUBFOLDER.fullmatch(name) and name > cursor)
            held = [
                Held(each.name, each.stat().st_size, self._location(each.name))
                for name in names[:1]
                for each in sorted(os.scandir(self._folder / name), key=lambda entry: entry.name)
                if _NAME.fullmatch(each.name) and each.is_file(follow_symlinks=False)
            ]
        except FileNotFoundError:
            return Page(())
        except OSError as error:
            raise self._failure(error) from None
        return Page(tuple(held), names[0] if len(names) > 1 else "")

    async def remove(self, held: Held) -> None:
        try:
            self._path(held.sha256).unlink(missing_ok=True)
        except OSError as error:
            raise self._failure(error) from None

    async def close(self) -> None:
        """Do nothing: no file stays open."""

    def _write(self, blob: Blob, sent: OnSent) -> None:
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
            if error.errno in _NO_ROOM:
                raise RefusedError(
                    f"It cannot be stored in {self._folder}: {(error.strerror or '').lower()}."
                ) from None
            raise self._failure(error) from None

    def _digest(self, sha256: str) -> str:
        """Return the digest of what is stored under a name; empty where nothing is."""
        try:
            with self._path(sha256).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise self._failure(error) from None

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256

    def _location(self, sha256: str, verified: str = "") -> Location:
        return Location(f"{self._base}/{sha256[:2]}/{sha256}", verified=verified)

    def _failure(self, error: OSError) -> StoreError:
        next_step = "Check the disk."
        if isinstance(error, FileExistsError | NotADirectoryError):
            next_step = "It must be a folder: move away the file of that name."
        elif files.is_read_only(error):
            next_step = files.make_writable(self._folder)
        return StoreError(f"{self._folder} cannot be used: {(error.strerror or '').lower()}.", next_step)

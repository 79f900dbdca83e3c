"""Where the bytes of uploads are: the contract of the service's storage.

A file is stored under its pathname, `assets/USER/ID/NAME`. Clients send the bytes to a signed address; the service
signs, verifies and removes. `folder_storage.py` is the simplest one.
"""

from __future__ import annotations

import hashlib
import re
import time
import unicodedata
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


#: Bytes of the largest file that is sent in one request; larger ones go in parts.
WHOLE_BYTES = 90 * 1024 * 1024
#: Bytes of a part. S3 takes at least 5 MiB, and at most 10,000 parts.
PART_BYTES = 16 * 1024 * 1024
_MOST_PARTS = 10_000
_UNSAFE = re.compile(r"[^0-9A-Za-z._-]+")
#: Types of pictures that jobs make -> how their names end.
_ENDINGS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/svg+xml": "svg",
}
#: Characters of a name in a pathname, and of a folder.
_LONGEST_NAME = 100
_LONGEST_FOLDER = 1000
#: What ends a line or moves the cursor.
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")


class Upload(Struct, frozen=True):
    """An upload that was signed and is not completed: a row of the table `uploads`. Times: epoch milliseconds.

    folder: that the file was in, for people. What a client sends of one has no method, no upload_id and no times.
    """

    asset_id: str
    user_id: str
    pathname: str
    filename: str
    size: int
    mime_type: str
    checksum: str
    method: str = ""
    upload_id: str | None = None
    created_at: int = 0
    expires_at: int = 0
    folder: str = ""

    @property
    def path(self) -> str:
        """The file's name with the folder it was in. Nothing is stored under it: `pathname_of` says where."""
        return f"{self.folder}/{self.filename}"

    @property
    def seconds(self) -> int:
        """The seconds for which its address is valid from now on."""
        return max(1, self.expires_at // 1000 - int(time.time()))


class PartUrl(Struct, frozen=True, rename="camel"):
    """Where a part of a large file goes: `size` bytes from `start` on."""

    part_number: int
    start: int
    size: int
    upload_url: str


class Signed(Struct, frozen=True):
    """How a client sends a file: one request with these headers, or one for each part. upload_id: the store's."""

    url: str
    headers: dict[str, str] = {}
    parts: tuple[PartUrl, ...] = ()
    upload_id: str | None = None


class Held(Struct, frozen=True):
    """What the storage holds under a pathname. sha256: of the bytes, 64 hex digits."""

    size: int
    sha256: str


class Storage(Protocol):
    """A place for bytes. All methods may raise `StoreError` where it does not answer.

    is_local: files are on this machine: to see whether one is there takes microseconds, and no request.
    """

    is_local: bool

    async def check(self) -> None:
        """See that the storage answers."""
        ...

    async def sign(self, upload: Upload, base: str) -> Signed:
        """Return how a client sends the bytes of an upload. base: the address under which the client knows us."""
        ...

    async def finish(self, upload: Upload) -> Held | None:
        """Put the parts of an upload together where it has parts; return what is stored, None where nothing is."""
        ...

    async def abandon(self, upload: Upload) -> None:
        """Remove what an upload has stored, its parts too. There may be nothing."""
        ...

    async def put(self, pathname: str, file: Path, content_type: str, sha256: str) -> None:
        """Store a file of this machine: what a job has made, or what came through the service."""
        ...

    def read(self, pathname: str) -> AsyncIterator[bytes]:
        """Yield the bytes of a file.

        Raises:
            RefusedError: it is not there.
        """
        ...

    async def remove(self, pathname: str) -> None:
        """Remove a file; it may be gone already."""
        ...

    def list(self) -> AsyncIterator[tuple[str, float]]:
        """Yield the pathname of each file, and when it was stored, in epoch seconds."""
        ...

    def url(self, pathname: str) -> str:
        """Return where readers get a file: an address, or a path on this service."""
        ...

    async def close(self) -> None: ...


def pathname_of(user_id: str, asset_id: str, filename: str) -> str:
    """Return where a file is stored. Its name is for people who look into the storage; the id makes it unique."""
    letters = "".join(each for each in unicodedata.normalize("NFKD", filename) if not unicodedata.combining(each))
    safe = _UNSAFE.sub("-", letters).strip(".-")
    stem, dot, extension = safe.rpartition(".")
    name = f"{stem[:_LONGEST_NAME]}{dot}{extension[:16]}" if dot else safe[:_LONGEST_NAME]
    return f"{folder_of(user_id)}{asset_id}/{name or 'file'}"


def folder_of(user_id: str) -> str:
    """Return what the pathnames of a user's files begin with."""
    return f"assets/{user_id}/"


def clean_folder(told: str) -> str:
    """Return the folder that a client says a file was in, for people: `holiday/day 1`.

    What leads elsewhere (`..`, a separator at the start) is left out, and what ends a line or moves the cursor.
    """
    parts = UNPRINTABLE.sub("", told)[:_LONGEST_FOLDER].replace("\\", "/").split("/")
    return "/".join(part.strip() for part in parts if part.strip() not in ("", ".", ".."))


def main_picture_of(user_id: str, asset_id: str, content_type: str) -> str:
    """Return where the main picture of an asset is stored."""
    return f"thumbnails/{user_id}/{asset_id}.main.{_ENDINGS.get(content_type, 'img')}"


def thumbnail_of(user_id: str, asset_id: str) -> str:
    """Return where the thumbnail of an asset is stored."""
    return f"thumbnails/{user_id}/{asset_id}.webp"


def made_type(pathname: str) -> str:
    """Return the content type of a picture that a job has made."""
    ending = pathname.rpartition(".")[2]
    return next((each for each, its in _ENDINGS.items() if its == ending), "application/octet-stream")


def part_ranges(size: int) -> list[tuple[int, int, int]]:
    """Return number, start and size of each part of a large file, all of one size but the last."""
    length = PART_BYTES
    while -(-size // length) > _MOST_PARTS:
        length *= 2
    return [(number, start, min(length, size - start)) for number, start in enumerate(range(0, size, length), 1)]


async def digest_of(chunks: AsyncIterator[bytes]) -> Held:
    """Read a file to its end."""
    digest, size = hashlib.sha256(), 0
    async for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
    return Held(size, digest.hexdigest())

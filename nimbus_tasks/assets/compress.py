"""Smaller copies of pictures, as WebP, where they save bytes. The originals stay as they are.

Copies are kept in `.nimbus/compressed`, by the digest of the original; an empty one says that the original is smaller.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from nimbus_tasks.assets.content_types import picture_size
from nimbus_tasks.assets.discovery import Discovery
from nimbus_tasks.backends.concurrency import in_parallel
from nimbus_tasks.media.errors import MediaError
from nimbus_tasks.media.images import ImageWorkers
from nimbus_tasks.project import files
from nimbus_tasks.project.scan import cores
from nimbus_tasks.project.settings import STATE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable

    from nimbus_tasks.assets.ledger import AssetFile
    from nimbus_tasks.project.settings import Images

FOLDER = f"{STATE_FOLDER}/compressed"
WEBP = "image/webp"
#: Of these, a copy as WebP is usually smaller. Animations and vector graphics stay.
KINDS = frozenset({"image/jpeg", "image/png"})


async def compress(found: Discovery, images: Images, warn: Callable[[str], None]) -> Discovery:
    """Return the files with their smaller copies. `warn` is told of pictures that cannot be read as such.

    Raises:
        SettingsError: the extra `images` is not installed.
        StateError: a copy cannot be written.
    """
    smaller: dict[str, AssetFile] = {}
    async with ImageWorkers(images) as workers:

        async def one(file: AssetFile) -> None:
            copy = Path(FOLDER, f"{file.sha256}-{images.quality}.webp")
            content = _kept(copy)
            if content is None:
                try:
                    (made,) = await workers.widths(Path(file.path), (), file.content_type, WEBP)
                except MediaError as error:
                    warn(f"{file.path} is sent as it is: {error}")
                    return
                content = made.data if len(made.data) < file.size else b""
                files.replace(copy, content)
            if content:
                digest = hashlib.sha256(content).hexdigest()
                width, height = picture_size(io.BytesIO(content))  # it is upright, whatever the original says in EXIF
                smaller[file.path] = msgspec.structs.replace(
                    file,
                    sha256=digest,
                    content_type=WEBP,
                    width=width,
                    height=height,
                    content=str(copy),
                    bytes=len(content),
                )

        await in_parallel(cores(), [file for file in found.files if file.content_type in KINDS], one)
    return Discovery([smaller.get(file.path, file) for file in found.files], found.problems, found.hashed)


def _kept(copy: Path) -> bytes | None:
    """Return a copy that was made before; None where there is none."""
    try:
        return files.read(copy)
    except OSError:
        return None

"""The values that pictures become."""

from __future__ import annotations

import array
import sys
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable


class Encoded(Struct, frozen=True):
    """A picture file. width, height: of one frame, as it is shown."""

    data: bytes
    content_type: str
    width: int
    height: int


class Processed(Struct, frozen=True):
    """What an image job makes of one picture.

    main: at most [images] max_side wide and high. thumbnail: WebP, its first frame. placeholder: a ThumbHash in base64.
    content_type: of the bytes that came. width, height: of these, after their EXIF orientation. frames: 1 for a still.
    """

    main: Encoded
    thumbnail: Encoded
    placeholder: str
    content_type: str
    width: int
    height: int
    frames: int = 1


class CopiesWanted(Struct, frozen=True):
    """Which copies of a picture to make.

    widths: pixels; those that are not below its own are left out. whole: at its own size too. into: the content type;
    empty: its own. lossless: no pixel of the whole picture changes (WebP).
    """

    widths: tuple[int, ...] = ()
    whole: bool = False
    into: str = ""
    lossless: bool = False


class Copies(Struct, frozen=True):
    """What was made of a picture. whole: at its own size; None: not made. narrower: smallest first."""

    whole: Encoded | None = None
    narrower: list[Encoded] = []


class Context(Struct, frozen=True):
    """What is known of a picture in words. titles: of the pages that use it."""

    filename: str = ""
    alt: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()


class Vector(Struct, frozen=True):
    """An embedding. model: what made it; only vectors of one model compare. values: little-endian float32."""

    model: str
    values: bytes

    @property
    def dimensions(self) -> int:
        return len(self.values) // 4

    @classmethod
    def of(cls, model: str, numbers: Iterable[float]) -> Vector:
        values = array.array("f", numbers)
        if sys.byteorder == "big":
            values.byteswap()
        return cls(model, values.tobytes())


class Embedder(Protocol):
    """Makes vectors of pictures or of what is known about them."""

    @property
    def model(self) -> str:
        """Identifies the model: vectors of another one are not comparable, and are made again."""
        ...

    async def embed(self, picture: Encoded, context: Context) -> Vector:
        """Return the vector of a picture. `picture`: its thumbnail.

        Raises:
            MediaError: there is none, for good or for now.
        """
        ...

    async def close(self) -> None: ...

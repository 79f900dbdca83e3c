"""Pictures of all kinds, made by Pillow: an independent encoder, and an independent reader of the results."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image


def photo(width: int = 320, height: int = 240, mode: str = "RGB") -> Image.Image:
    """Return a picture with a red left, a blue right and a bright lower half."""
    picture = Image.new("RGB", (width, height), (200, 30, 30))
    picture.paste((30, 30, 200), (width // 2, 0, width, height))
    picture.paste((240, 220, 90), (0, height // 2, width // 2, height))
    return picture.convert(mode)


def encoded(picture: Image.Image, form: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def animation(form: str, frames: int = 3) -> bytes:
    rest = [Image.new("RGB", (64, 48), (40 * number, 100, 200)) for number in range(1, frames)]
    options: dict[str, Any] = {"save_all": True, "append_images": rest, "duration": 120, "loop": 0}
    return encoded(Image.new("RGB", (64, 48), (0, 100, 200)), form, **options)


def read(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


#: First column and row, and steps, of each pass of an interlaced PNG.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def interlaced(width: int, height: int) -> bytes:
    """Return a small PNG file of one colour that a reader must have in memory as a whole, 3 bytes a pixel."""
    sizes = ((-(-(width - x) // across), -(-(height - y) // down)) for x, y, across, down in _PASSES)
    rows = bytes(sum(rows * (1 + -(-columns // 8)) for columns, rows in sizes))
    return png(width, height, rows, form=(1, 3, 0, 0, 1), PLTE=bytes(6))


def png(width: int, height: int, rows: bytes = b"", form: tuple[int, ...] = (8, 0, 0, 0, 0), **chunks: bytes) -> bytes:
    """Return a PNG file with this header, whatever its pixels are. `form`: the rest of it; 8 bit grey."""
    parts = [(b"IHDR", struct.pack(">II5B", width, height, *form))]
    parts += [(name.encode(), body) for name, body in chunks.items()]
    parts += [(b"IDAT", zlib.compress(rows, 1)), (b"IEND", b"")]
    made = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(made)

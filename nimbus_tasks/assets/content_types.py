"""The content type of a file and the size of a picture: from its first bytes, and otherwise from its name."""

from __future__ import annotations

import mimetypes
from typing import TYPE_CHECKING

import imagesize

if TYPE_CHECKING:
    from typing import BinaryIO

#: What other content types begin with (mimesniff.spec.whatwg.org, "matching an image type pattern").
_BEGINNINGS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"%PDF-": "application/pdf",
    b"\0\0\1\0": "image/x-icon",
}
_PICTURES = frozenset({"image/webp", "image/avif", *_BEGINNINGS.values()} - {"application/pdf"})
UNKNOWN = "application/octet-stream"
#: Not the types of this machine: each machine would upload others.
_TYPES = mimetypes.MimeTypes()
for _type, _suffix in (
    ("image/avif", ".avif"),
    ("image/webp", ".webp"),
    ("image/x-icon", ".ico"),
    ("font/woff2", ".woff2"),
    ("text/markdown", ".md"),
    ("application/manifest+json", ".webmanifest"),
):
    _TYPES.add_type(_type, _suffix)


def content_type_of(name: str, beginning: bytes) -> str:
    """Return the content type of a file. Where its bytes say something else than its name, the bytes are right."""
    for start, content_type in _BEGINNINGS.items():
        if beginning.startswith(start):
            return content_type
    if beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP":
        return "image/webp"
    if beginning[4:12] in (b"ftypavif", b"ftypavis"):
        return "image/avif"
    return UNKNOWN if is_named_like_picture(name) else _TYPES.guess_type(name)[0] or UNKNOWN


def is_named_like_picture(name: str) -> bool:
    """Return whether a name is that of a picture whose bytes tell its type."""
    return _TYPES.guess_type(name)[0] in _PICTURES


def picture_size(file: BinaryIO) -> tuple[int, int]:
    """Return width and height of a picture in pixels; 0 where it is none that is known."""
    try:
        width, height = imagesize.get(file)
    except Exception:  # any bytes may come here, and the library promises no kinds of errors
        return 0, 0
    return (int(width), int(height)) if width > 0 and height > 0 else (0, 0)

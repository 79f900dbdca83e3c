"""The formats of pictures: what a file is, by its first bytes."""

from __future__ import annotations

from nimbus_tasks.media.errors import MediaError

#: Bytes that are needed to tell.
BEGINNING = 4096
_BEGINNINGS = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"II*\x00": "image/tiff",
    b"MM\x00*": "image/tiff",
}
#: Names that clients give to the same formats.
_ALIASES = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/apng": "image/png",
    "image/heif": "image/heic",
    "image/heic-sequence": "image/heic",
    "image/heif-sequence": "image/heic",
    "image/avif-sequence": "image/avif",
}
#: What clients send that do not know.
_UNSAID = frozenset({"", "application/octet-stream", "binary/octet-stream"})
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})


def format_of(beginning: bytes) -> str:
    """Return the content type of a picture; empty where it is none that is known."""
    for start, content_type in _BEGINNINGS.items():
        if beginning.startswith(start):
            return content_type
    if beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP":
        return "image/webp"
    if beginning[4:8] == b"ftyp":
        return _heif(beginning)
    # Browsers and editors write it in UTF-8 (or UTF-16, with a mark); a comment or a prolog may come first.
    text = beginning.replace(b"\0", b"").lower().lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    return (
        "image/svg+xml" if text.startswith((b"<?xml", b"<!--", b"<!doctype svg", b"<svg")) and b"<svg" in text else ""
    )


def is_animated_png(data: bytes) -> bool:
    """Return whether a PNG file has frames (APNG): its control chunk comes before the pixels."""
    return data.startswith(b"\x89PNG") and b"acTL" in data[: data.find(b"IDAT")]


def _heif(beginning: bytes) -> str:
    """Return the format in a HEIF container, by its brands: the major one and those that it is compatible with."""
    size = min(int.from_bytes(beginning[:4], "big"), len(beginning))
    brands = {beginning[8:12], *(beginning[at : at + 4] for at in range(16, size - 3, 4))}
    if brands & {b"avif", b"avis"}:
        return "image/avif"
    return "image/heic" if brands & _HEIC_BRANDS else ""


def check_type(declared: str, found: str) -> None:
    """Compare the content type that a client declared with what the bytes are.

    Raises:
        MediaError: the file is no picture, or another one than declared.
    """
    declared = declared.partition(";")[0].strip().lower()
    declared = _ALIASES.get(declared, declared)
    if not found:
        raise MediaError(
            "not_an_image",
            "This is no picture: JPEG, PNG, WebP, GIF, AVIF, HEIC, TIFF and SVG are known.",
        )
    if declared not in _UNSAID and declared != found:
        raise MediaError(
            "wrong_type",
            f"Declared as {declared[:80]}, but its bytes are {found}.",
            "Upload it again under its own type.",
        )

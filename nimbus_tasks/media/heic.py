"""HEIC, which libvips' wheel cannot read for its patents: by pillow-heif, where the extra `heif` is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyvips

from nimbus_tasks.media.errors import MediaError

if TYPE_CHECKING:
    from collections.abc import Callable


def load_heic(data: bytes, check_size: Callable[[int, int], None]) -> Any:
    """Return a picture as libvips has it, upright. `check_size` is called before it is decoded.

    Raises:
        MediaError: it is damaged, or nothing here can read it.
    """
    try:
        import pillow_heif
    except ImportError:
        raise MediaError(
            "unsupported",
            "HEIC cannot be read here: pillow-heif is not installed.",
            "Run: pip install 'nimbus-tasks[heif]'; or upload it as JPEG.",
        ) from None
    try:
        picture = pillow_heif.open_heif(data)
        check_size(*picture.size)
        pixels, mode, (width, height) = bytes(picture.data), picture.mode, picture.size
    except MediaError:
        raise
    except Exception as error:  # it promises no kinds of errors
        raise MediaError(
            "damaged", f"The picture is truncated or damaged ({type(error).__name__} of pillow-heif)."
        ) from None
    bands = len(mode.partition(";")[0])
    wide = picture.stride // (bands * (2 if ";16" in mode else 1))
    image = pyvips.Image.new_from_memory(pixels, wide, height, bands, "ushort" if ";16" in mode else "uchar")
    image = image.crop(0, 0, width, height).copy(interpretation="rgb16" if ";16" in mode else "srgb")
    if profile := picture.info.get("icc_profile"):
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    return image

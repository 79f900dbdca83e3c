"""Copies of one picture: at its own size in fewer bytes, and at smaller widths. Runs in a process of images.py.

Animations and vector graphics have none: a copy would stand still, or have pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.media.formats import is_animated_png
from nimbus_tasks.media.picture import encode, honest_errors, open_picture, shrunk
from nimbus_tasks.media.values import Copies

if TYPE_CHECKING:
    from nimbus_tasks.media.picture import Opened
    from nimbus_tasks.media.values import CopiesWanted, Encoded
    from nimbus_tasks.project.settings import Images

#: WebP is not wider or higher than this.
_MOST_WEBP = 16_383


def copies(data: bytes, declared: str, limits: Images, wanted: CopiesWanted) -> Copies:
    """Return the copies of a picture that can be made.

    Raises:
        MediaError: it is no picture, or damaged.
    """
    opened = open_picture(data, declared, limits)
    if opened.content_type == "image/svg+xml" or opened.frames > 1 or is_animated_png(data):
        return Copies()
    form = wanted.into or opened.content_type
    fits = form != "image/webp" or max(opened.width, opened.height) <= _MOST_WEBP
    whole = wanted.whole and fits and not (wanted.lossless and _loses(opened))
    widths = sorted({width for width in wanted.widths if width < opened.width}) if fits else []
    if not whole and not widths:
        return Copies()
    own = max(opened.width, opened.height)
    sides = [max(width, round(width * opened.height / opened.width)) for width in widths]
    with honest_errors():
        pixels = opened.at(own if whole else sides[-1]).copy_memory()

        def made(side: int) -> Encoded:
            return encode(shrunk(pixels, side), form, limits.quality, lossless=wanted.lossless)

        return Copies(made(own) if whole else None, [made(side) for side in sides])


def _loses(opened: Opened) -> bool:
    """Return whether a picture has more than sRGB with 8 bits, which is what copies have."""
    return opened.header.format != "uchar" or bool(opened.header.get_typeof("icc-profile-data"))

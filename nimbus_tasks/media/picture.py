"""Opens, resizes and encodes one picture. The only module that imports pyvips, and that only in a process of images.py.

A picture is read once, in a stream, and JPEG at a fraction of its size where that is enough. The loader is chosen by
the file's own bytes, so no other code of libvips ever sees them. What is truncated or damaged is an error.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyvips
from msgspec import Struct

from nimbus_tasks.media.errors import MediaError
from nimbus_tasks.media.formats import check_type, format_of
from nimbus_tasks.media.svg import sanitised
from nimbus_tasks.media.thumbhash import MOST_PIXELS, thumbhash
from nimbus_tasks.media.values import Encoded, Processed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nimbus_tasks.project.settings import Images

_SVG, _HEIC = "image/svg+xml", "image/heic"
#: The loaders that files reach; all others stay blocked.
_LOADERS = {
    "image/jpeg": "jpegload",
    "image/png": "pngload",
    "image/webp": "webpload",
    "image/gif": "gifload",
    "image/avif": "heifload",
    "image/tiff": "tiffload",
    _SVG: "svgload",
}
_CLASSES = ("Jpeg", "Png", "Webp", "Nsgif", "Heif", "Tiff", "Svg")
_ANIMATED = frozenset({"image/gif", "image/webp"})
#: What a main picture keeps as its format. AVIF is not among them, since it takes ten times as long to write.
_KEPT = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif"})
#: Of EXIF, the owner's name stays with the picture. Place, camera, time and the rest do not.
_OWNER = ("exif-ifd0-Copyright", "exif-ifd0-Artist")
_WHITE = [255, 255, 255]
#: AVIF looks the same at a lower number: sharp's defaults are 80 for JPEG and WebP, and 50 for AVIF.
_AVIF_QUALITY = 50 / 80


def start() -> None:
    """Set libvips up for a process that sees many pictures, each once."""
    import numpy  # noqa: F401 - its start is not the first picture's

    pyvips.cache_set_max(0)
    pyvips.operation_block_set("VipsForeignLoad", True)
    for name in _CLASSES:
        pyvips.operation_block_set(f"VipsForeignLoad{name}", False)


class Opened(Struct, frozen=True):
    """A picture of which only the header was read. width, height: of one frame, as it is shown."""

    data: bytes
    content_type: str
    header: Any
    width: int
    height: int
    frames: int

    def at(self, side: int) -> Any:
        """Return its pixels at most this wide and high: upright, sRGB, 8 bit, without its other frames."""
        return _resized(self.header if self.content_type == _HEIC else self._loaded(side, 1), side)

    def animation_at(self, side: int) -> Any:
        """Return all its frames, as `at`."""
        return _resized(self._loaded(side, -1), side)

    def _loaded(self, side: int, frames: int) -> Any:
        """Return the picture as a stream, near the size that is asked for where the format can do that."""
        options: dict[str, Any] = {}
        ratio = max(self.width, self.height) / side
        if self.content_type == "image/jpeg":
            options["shrink"] = next((by for by in (8, 4, 2) if by <= ratio), 1)
        elif self.content_type == _SVG:
            options["scale"] = min(1 / ratio, side)
        if self.content_type in _ANIMATED:
            options["n"] = frames
        return _load(self.data, self.content_type, **options)


def open_picture(data: bytes, declared: str, limits: Images) -> Opened:
    """Read a picture's header.

    Raises:
        MediaError: it is no picture, not the declared one, or larger than the limits.
    """
    if len(data) > limits.max_megabytes * 1_000_000:
        raise MediaError("too_large", f"The file has {len(data):,} bytes; {limits.max_megabytes} MB are allowed.")
    if not data:
        raise MediaError("not_an_image", "The file is empty.")
    content_type = format_of(data[:4096])
    check_type(declared, content_type)
    if content_type == _SVG:
        if limits.svg == "refuse":
            raise MediaError("svg_refused", "SVG is not accepted here.", "Upload it as PNG or WebP.")
        data = sanitised(data)
    with honest_errors():
        if content_type == _HEIC:
            from nimbus_tasks.media.heic import load_heic

            header = load_heic(data, lambda width, height: _check_size(width, height, 1, limits))
        else:
            header = _load(data, content_type)
    frames = header.get("n-pages") if content_type in _ANIMATED and header.get_typeof("n-pages") else 1
    width, height = header.width, header.height
    # An SVG has no pixels: it is drawn at the size that is asked for.
    if content_type != _SVG:
        _check_size(width, height, frames, limits)
    if header.get_typeof("orientation") and header.get("orientation") >= 5:
        width, height = height, width
    return Opened(data, content_type, header, width, height, frames)


def process(data: bytes, declared: str, limits: Images) -> Processed:
    """Return the main picture, the thumbnail and the placeholder of a picture.

    Raises:
        MediaError: there are none.
    """
    opened = open_picture(data, declared, limits)
    with honest_errors():
        if opened.content_type == _SVG:
            main = Encoded(opened.data, _SVG, opened.width, opened.height)
            pixels = opened.at(limits.thumbnail)
        elif opened.frames > 1:
            pixels = opened.animation_at(limits.max_side).copy_memory()
            main = encode(pixels, opened.content_type, limits.quality)
            # Its first frame.
            pixels = pixels.crop(0, 0, pixels.width, pixels.get_page_height())
        else:
            pixels = opened.at(limits.max_side).copy_memory()
            main = encode(pixels, opened.content_type if opened.content_type in _KEPT else "", limits.quality)
        small = shrunk(pixels, limits.thumbnail).copy_memory()
        thumbnail = encode(small, "image/webp", limits.quality, owner=False)
        return Processed(
            main,
            thumbnail,
            _placeholder(small),
            opened.content_type,
            opened.width,
            opened.height,
            opened.frames,
        )


def rgb(data: bytes, side: int, limits: Images) -> bytes:
    """Return a picture as side x side pixels of red, green and blue. Its proportions are lost, its edges are not."""
    opened = open_picture(data, "", limits)
    with honest_errors():
        pixels = _without_alpha(opened.at(max(side, limits.thumbnail)).colourspace("srgb"))
        return bytes(pixels.thumbnail_image(side, height=side, size="force").write_to_memory())


def encode(image: Any, content_type: str, quality: int, *, owner: bool = True, lossless: bool = False) -> Encoded:
    """Return a file of these pixels, without metadata but, with `owner`, the owner's name. lossless: as WebP."""
    form = (
        content_type if content_type in (*_KEPT, "image/avif") else "image/webp" if image.hasalpha() else "image/jpeg"
    )
    image, keep = _with_owner(image) if owner else (image, "none")
    match form:
        case "image/jpeg":
            data = _without_alpha(image).jpegsave_buffer(Q=quality, optimize_coding=True, keep=keep)
        case "image/png":
            data = image.pngsave_buffer(palette=bool(image.get_typeof("palette")), keep=keep)
        case "image/webp":
            data = image.webpsave_buffer(Q=quality, lossless=lossless, exact=lossless, keep=keep)
        case "image/gif":
            data = image.gifsave_buffer(keep=keep)
        case _:
            data = image.heifsave_buffer(Q=round(quality * _AVIF_QUALITY), compression="av1", effort=2, keep=keep)
    return Encoded(data, form, image.width, image.get_page_height())


@contextmanager
def honest_errors() -> Iterator[None]:
    """Turn what libvips raises into a MediaError."""
    try:
        yield
    except MemoryError:
        raise out_of_memory() from None
    except pyvips.Error as error:
        if "out of memory" in str(error).lower():
            raise out_of_memory() from None
        # Its first line says that a function could not be called; the last one says why, if it knows.
        lines = [line.strip() for line in str(error).splitlines() if line.strip() and "unable to call" not in line]
        reason = "".join(each for each in lines[-1] if each.isprintable())[:120] if lines else ""
        raise MediaError("damaged", f"The picture is truncated or damaged{f' ({reason})' if reason else ''}.") from None


def out_of_memory() -> MediaError:
    return MediaError("memory", "The picture takes more memory than [images] memory allows.", "Upload a smaller one.")


def _check_size(width: int, height: int, frames: int, limits: Images) -> None:
    if width * height * frames > limits.max_megapixels * 1_000_000:
        times = f" in {frames:,} frames" if frames > 1 else ""
        raise MediaError(
            "too_many_pixels",
            f"The picture has {width:,} x {height:,} pixels{times}; {limits.max_megapixels} megapixels are allowed.",
            "Upload a smaller one.",
        )


def _load(data: bytes, content_type: str, **options: Any) -> Any:
    loader = getattr(pyvips.Image, f"{_LOADERS[content_type]}_buffer")
    return loader(data, access="sequential", fail_on="error", **options)


def _resized(image: Any, side: int) -> Any:
    """Return a picture within a square: upright, in sRGB or grey, 8 bit."""
    profile = image.interpretation != "cmyk" and image.get_typeof("icc-profile-data")
    # CMYK becomes sRGB in this. Other profiles are applied to the smaller picture: that is half the work.
    image = image.thumbnail_image(side, height=side, size="down")
    if profile:
        # sRGB where the profile is damaged.
        image = image.icc_transform("srgb", embedded=True, input_profile="srgb")
    space = "b-w" if image.interpretation in ("b-w", "grey16") else "srgb"
    if image.interpretation != space:
        image = image.colourspace(space)
    return image if image.format == "uchar" else image.cast("uchar")


def shrunk(image: Any, side: int) -> Any:
    """Return `_resized` pixels within a smaller square."""
    longest = max(image.width, image.get_page_height())
    return image if longest <= side else image.thumbnail_image(side, height=side, size="down")


def _without_alpha(image: Any) -> Any:
    return image.flatten(background=_WHITE if image.bands > 2 else [255]) if image.hasalpha() else image


def _placeholder(image: Any) -> str:
    import base64

    import numpy as np

    image = shrunk(image, MOST_PIXELS).colourspace("srgb")
    image = image if image.hasalpha() else image.bandjoin(255)
    rgba = np.frombuffer(image.write_to_memory(), np.uint8).reshape(image.height, image.width, 4)
    return base64.b64encode(thumbhash(rgba)).decode()


def _with_owner(image: Any) -> tuple[Any, str]:
    """Return a picture whose EXIF has the owner's name only, and what of its metadata to keep."""
    if not any(image.get_typeof(name) for name in _OWNER):
        return image, "none"
    image = image.copy()
    for name in image.get_fields():
        if name.startswith("exif-") and name not in _OWNER:
            image.remove(name)
    return image, "exif"

"""Pictures of a given size, made and never stored: JPEGs of noise, as large as photos of as many bytes are.

One picture is drawn for each size. The files differ in a comment, which also fills them up to the size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: A phone's photo of 12 megapixels has 5 MB.
_PIXELS_PER_BYTE = 2.4
_TRIES = 8
_MOST_COMMENT = 65_533
_START = b"\xff\xd8"


def write_pictures(folder: Path, count: int, megabytes: Sequence[float]) -> list[Path]:
    """Write so many pictures of these sizes in turn, no two of them equal."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes = [round(each * 1_000_000) for each in megabytes]
    drawn = {size: _draw(size) for size in set(sizes)}
    made = []
    for number in range(count):
        size = sizes[number % len(sizes)]
        made.append(folder / f"picture-{number:05}.jpg")
        made[-1].write_bytes(_filled(drawn[size], size, number))
    return made


def _draw(size: int) -> bytes:
    """Return the JPEG with the most noise below a size."""
    import pyvips

    width = max(16, round((size * _PIXELS_PER_BYTE * 4 / 3) ** 0.5))
    height = max(12, width * 3 // 4)
    x = pyvips.Image.xyz(width, height)[0]
    noise = pyvips.Image.gaussnoise(width, height, mean=0, sigma=1, seed=1)
    least, most, best = 0.0, 60.0, b""
    for _ in range(_TRIES):
        middle = (least + most) / 2
        grey = (x * (100 / width) + noise * middle + 90).cast("uchar")
        jpeg = grey.bandjoin([grey, grey]).copy(interpretation="srgb").jpegsave_buffer(Q=85)
        if len(jpeg) < size - 100:
            least, best = middle, jpeg
        else:
            most = middle
    if not best:
        raise SystemExit(f"No picture has only {size:,} bytes: take more.")
    return best


def _filled(picture: bytes, size: int, number: int) -> bytes:
    """Return a JPEG of exactly this size, with its number in a comment."""
    left = size - len(picture)
    comments = []
    while left:
        # Each comment takes 4 bytes besides its text, so no rest may be smaller than that.
        taken = min(left, _MOST_COMMENT + 4)
        if 0 < left - taken < 4:
            taken -= 4
        text = str(number).encode().ljust(taken - 4, b" ")[: taken - 4]
        comments.append(b"\xff\xfe" + (taken - 2).to_bytes(2) + text)
        left -= taken
    return _START + b"".join(comments) + picture[len(_START) :]

"""ThumbHash: a blurred picture in some 25 bytes, which a page shows until the thumbnail is there.

Chosen over BlurHash because it has the proportions, transparency and more detail in fewer bytes. The format is Evan
Wallace's (github.com/evanw/thumbhash). The package of that name on PyPI takes 50 ms a picture and fails on
transparency; with numpy it takes half a millisecond.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.float64]

#: The widest and highest picture; more has no effect on the result.
MOST_PIXELS = 100


def thumbhash(rgba: NDArray[np.uint8]) -> bytes:
    """Return the ThumbHash of a picture. `rgba`: height x width x 4, at most MOST_PIXELS wide and high."""
    import numpy as np

    height, width = rgba.shape[:2]
    colours, alpha = rgba[..., :3] / 255, rgba[..., 3] / 255
    total = alpha.sum()
    average = (colours * alpha[..., None]).sum((0, 1)) / total if total else np.zeros(3)
    # What is transparent takes the average colour.
    red, green, blue = np.moveaxis(average * (1 - alpha[..., None]) + colours * alpha[..., None], 2, 0)
    has_alpha = bool(total < width * height)

    longest = 5 if has_alpha else 7
    wide, high = (max(1, _round(longest * side / max(width, height))) for side in (width, height))
    light = _Channel((red + green + blue) / 3, max(3, wide), max(3, high))
    yellow_blue = _Channel((red + green) / 2 - blue, 3, 3)
    red_green = _Channel(red - green, 3, 3)
    channels = [light, yellow_blue, red_green]

    landscape = width > height
    header = _round(63 * light.mean) | _round(31.5 + 31.5 * yellow_blue.mean) << 6
    header |= _round(31.5 + 31.5 * red_green.mean) << 12 | _round(31 * light.scale) << 18 | has_alpha << 23
    more = (high if landscape else wide) | _round(63 * yellow_blue.scale) << 3
    more |= _round(63 * red_green.scale) << 9 | landscape << 15
    written: bytes = header.to_bytes(3, "little") + more.to_bytes(2, "little")
    if has_alpha:
        see_through = _Channel(alpha, 5, 5)
        written += bytes([_round(15 * see_through.mean) | _round(15 * see_through.scale) << 4])
        channels.append(see_through)
    halves = [half for channel in channels for half in channel.halves]
    halves += [0] * (len(halves) % 2)
    return written + bytes(low | high << 4 for low, high in zip(halves[::2], halves[1::2], strict=True))


class _Channel:
    """The low frequencies of one channel: its mean, and the others in steps of a 15th of the largest."""

    def __init__(self, values: Pixels, wide: int, high: int) -> None:
        import numpy as np

        height, width = values.shape
        across = np.cos(np.pi / width * np.outer(np.arange(wide), np.arange(width) + 0.5))
        down = np.cos(np.pi / height * np.outer(np.arange(high), np.arange(height) + 0.5))
        found = down @ values @ across.T / (width * height)
        kept = [(y, x) for y in range(high) for x in range(wide) if x * high < wide * (high - y)]
        self.mean, *others = (float(found[each]) for each in kept)
        self.scale = max(map(abs, others))
        self.halves = [_round(15 * (0.5 + 0.5 * each / self.scale)) if self.scale else 0 for each in others]


def _round(number: float) -> int:
    """Round as JavaScript does: halves go up."""
    return int(number + 0.5)

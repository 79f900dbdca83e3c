"""An embedder without a model: where a picture has which colours, and which way its edges run.

It finds pictures that look alike: copies, crops of the same scene, the same object on the same ground. It knows nothing
of what they show: a red car is like a red rose, and no words find either. The same bytes always give the same vector.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from nimbus_tasks.media.values import Context, Encoded, Vector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nimbus_tasks.media.images import ImageWorkers

    Numbers = NDArray[np.floating]

#: Changes with anything that changes the vectors.
MODEL = "nimbus-descriptor-1"
DIMENSIONS = 512
SIDE = 64
#: Bins of hue, of saturation and of brightness, for the picture as a whole.
_HUES, _SATURATIONS, _VALUES = 8, 2, 4
#: Parts across and down, and directions of edges in each.
_GRID, _DIRECTIONS = 4, 8
#: Low frequencies of the brightness, across and down.
_WAVES = 11
#: How much colours, edges and shapes count.
_WEIGHTS = (1.0, 0.8, 0.9, 0.9)


class DescriptorEmbedder:
    """Needs no network and no model."""

    model = MODEL

    def __init__(self, images: ImageWorkers) -> None:
        self._images = images

    async def embed(self, picture: Encoded, _context: Context) -> Vector:
        pixels = await self._images.pixels(picture.data, SIDE)
        return await asyncio.to_thread(describe, pixels)

    async def close(self) -> None:
        """Nothing is open."""


def describe(pixels: bytes) -> Vector:
    """Return the vector of SIDE x SIDE pixels of red, green and blue: DIMENSIONS numbers, of length 1."""
    import numpy as np

    rgb = np.frombuffer(pixels, np.uint8).reshape(SIDE, SIDE, 3).astype(np.float32) / 255
    grey = rgb @ np.array([0.299, 0.587, 0.114])
    parts = (_histogram(rgb), _layout(rgb), _edges(grey), _waves(grey))
    weighted = [weight * _unit(part) for weight, part in zip(_WEIGHTS, parts, strict=True)]
    vector = np.zeros(DIMENSIONS, np.float32)
    joined = np.concatenate(weighted)
    vector[: len(joined)] = joined
    return Vector(MODEL, _unit(vector).astype("<f4").tobytes())


def _histogram(rgb: Numbers) -> Numbers:
    """Return how many pixels have each hue, saturation and brightness; the root makes small areas count."""
    import numpy as np

    most, least = rgb.max(2), rgb.min(2)
    spread = most - least
    red, green, blue = np.moveaxis(rgb, 2, 0)
    divisor = np.where(spread > 0, spread, 1)
    hue = np.where(
        most == red,
        (green - blue) / divisor % 6,
        np.where(most == green, (blue - red) / divisor + 2, (red - green) / divisor + 4),
    )
    saturation = spread / np.where(most > 0, most, 1)
    at = [
        np.minimum((part * bins).astype(np.int64), bins - 1)
        for part, bins in ((hue / 6, _HUES), (saturation, _SATURATIONS), (most, _VALUES))
    ]
    # Grey has no hue.
    at[0] = np.where(saturation < 0.1, 0, at[0])
    places = (at[0] * _SATURATIONS + at[1]) * _VALUES + at[2]
    counts = np.bincount(places.ravel(), minlength=_HUES * _SATURATIONS * _VALUES)
    roots: Numbers = np.sqrt(counts)
    return roots


def _layout(rgb: Numbers) -> Numbers:
    """Return the mean colour of each part of a grid, without the mean of the picture."""
    cells = 2 * _GRID
    means = rgb.reshape(cells, SIDE // cells, cells, SIDE // cells, 3).mean((1, 3))
    found: Numbers = (means - means.mean((0, 1))).ravel()
    return found


def _edges(grey: Numbers) -> Numbers:
    """Return how strong the edges of each direction are, in each part of a grid."""
    import numpy as np

    down, across = np.gradient(grey)
    strength = np.hypot(down, across)
    direction = np.floor(np.arctan2(down, across) % np.pi / np.pi * _DIRECTIONS).astype(np.int64) % _DIRECTIONS
    rows, columns = np.indices(grey.shape) * _GRID // SIDE
    places = (rows * _GRID + columns) * _DIRECTIONS + direction
    found = np.bincount(places.ravel(), strength.ravel(), _GRID * _GRID * _DIRECTIONS)
    return np.sqrt(found).astype(np.float32)


def _waves(grey: Numbers) -> Numbers:
    """Return the low frequencies of the brightness (a cosine transform), without its mean."""
    import numpy as np

    cosines = np.cos(np.pi / SIDE * np.outer(np.arange(_WAVES), np.arange(SIDE) + 0.5)).astype(np.float32)
    waves = (cosines @ grey @ cosines.T).ravel()[1:]
    # The root brings fine shapes near to coarse ones.
    return (np.sign(waves) * np.sqrt(np.abs(waves))).astype(np.float32)


def _unit(vector: Numbers) -> Numbers:
    import numpy as np

    length = np.linalg.norm(vector)
    # Rounding leaves traces in a picture of one colour.
    unit: Numbers = vector / (length if length > 1e-4 else np.inf)
    return unit

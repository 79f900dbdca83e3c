"""Image jobs beside sharp, and the search for similar pictures beside its target.

A photo of 12 megapixels is made: soft colours with noise, 1.6 MB. Both make a main picture of 2048 pixels (JPEG,
quality 82) and a thumbnail of 256 (WebP), two pictures at a time, with caches off. Ours also makes the placeholder, and
its processes are bounded. Starts are not counted.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.sites import SCRATCH
from benchmarks.timing import Figure, Row, higher, in_turn, say, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.timing import Size

_PEERS = Path(__file__).parent / "peers"
PICTURES, QUICK_PICTURES = 60, 20
VECTORS, DIMENSIONS, QUESTIONS = 100_000, 512, 20


def images(size: Size) -> Iterator[Row]:
    """Process a photo again and again."""
    count = QUICK_PICTURES if size.quick else PICTURES
    say(f"images: {count} times a photo of 12 megapixels")
    SCRATCH.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="nimbus-bench-", dir=SCRATCH) as folder:
        file = Path(folder) / "photo.jpg"
        file.write_bytes(_photo())
        contenders: dict[str, Callable[[], float]] = {"ours": lambda: asyncio.run(_ours(file, count))}
        if (_PEERS / "node_modules" / "sharp").is_dir() and shutil.which("node"):
            contenders["sharp"] = lambda: _sharp(file, count)
        else:
            say("images: `make peers` installs sharp (Node.js); not measured")
        seconds = in_turn(contenders, size.runs(5), warm_ups=0)
    rate = {name: figure.per_second(count, "images/s") for name, figure in seconds.items()}
    what = "image jobs, JPEG of 12 megapixels, 2 processes"
    yield within(what, rate["ours"], at_least=5)
    if "sharp" in rate:
        yield higher(what, rate["ours"], rate["sharp"], "sharp, 2 at a time", 1)


def similar(size: Size) -> Iterator[Row]:
    """Ask for the ten nearest of many vectors."""
    import numpy as np

    from nimbus_tasks.media.similar import Scan
    from nimbus_tasks.media.values import Vector

    say(f"similar: {VECTORS:,} vectors of {DIMENSIONS} numbers")
    chance = np.random.default_rng(1)
    scan = Scan()
    for number in range(VECTORS):
        scan.add(str(number), Vector("m", chance.standard_normal(DIMENSIONS, np.float32).tobytes()))
    taken = []
    for _ in range(size.runs(QUESTIONS)):
        asked = Vector("m", chance.standard_normal(DIMENSIONS, np.float32).tobytes())
        began = time.perf_counter()
        scan.nearest(asked, 10)
        taken.append(1000 * (time.perf_counter() - began))
    yield within(f"ten nearest of {VECTORS:,} vectors of {DIMENSIONS} numbers", Figure("ms", tuple(taken)), below=50)


BENCHMARKS: dict[str, Callable[[Size], Iterator[Row]]] = {"images": images, "similar": similar}


async def _ours(file: Path, count: int) -> float:
    from nimbus_tasks.media.images import ImageWorkers
    from nimbus_tasks.project.settings import Images

    async with ImageWorkers(Images(processes=2)) as workers:
        await asyncio.gather(workers.process(file), workers.process(file))
        began = time.perf_counter()
        made = await asyncio.gather(*(workers.process(file, "image/jpeg") for _ in range(count)))
        seconds = time.perf_counter() - began
    if any((each.main.width, each.thumbnail.width) != (2048, 256) for each in made):
        sys.exit("images: a picture has another size than was asked for.")
    return seconds


def _sharp(file: Path, count: int) -> float:
    told = subprocess.run(
        ["node", "sharp.mjs", str(file), str(count)], cwd=_PEERS, capture_output=True, text=True, check=False
    )
    if told.returncode:
        sys.exit(f"sharp.mjs: {told.stderr}")
    return float(json.loads(told.stdout)["seconds"])


def _photo() -> bytes:
    """Return a JPEG of 4000 x 3000 pixels with the detail of a photo."""
    import numpy as np
    import pyvips

    chance = np.random.default_rng(1)
    soft = pyvips.Image.new_from_array(chance.integers(0, 256, (75, 100, 3), np.uint8)).copy(interpretation="srgb")
    noise = pyvips.Image.new_from_array(chance.integers(-6, 7, (3000, 4000, 1), np.int8))
    picture = (soft.resize(40, kernel="cubic") + noise).cast("uchar").copy(interpretation="srgb")
    return bytes(picture.jpegsave_buffer(Q=88))

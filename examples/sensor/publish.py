"""Draw the temperature of the last day and publish the plot, every minute, as `temperature:daily:latest`.

    python publish.py              every minute, until Ctrl-C
    python publish.py --once       one plot

Set PINATA_JWT, CLOUDFLARE_API_TOKEN, CLOUDFLARE_ACCOUNT_ID and KV_NAMESPACE_ID first.
"""

import asyncio
import math
import random
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import matplotlib

matplotlib.use("agg")  # files only, no window
from matplotlib import pyplot as plt

from nimbus_tasks.assets import Asset, UploadConfig, UploadManager
from nimbus_tasks.model.errors import NimbusError

EVERY = 60


def readings(end: datetime) -> list[tuple[datetime, float]]:
    """Return a reading for every ten minutes of the last day. Your sensor goes here."""
    times = [end - timedelta(minutes=10 * number) for number in range(144, -1, -1)]
    return [(at, 18 + 4 * math.sin(at.hour / 24 * math.tau) + random.random()) for at in times]


def plot(measured: list[tuple[datetime, float]], path: Path) -> None:
    figure, axes = plt.subplots(figsize=(8, 3))
    axes.plot([at for at, _ in measured], [value for _, value in measured])
    axes.set_ylabel("°C")
    figure.savefig(path)
    plt.close(figure)


async def publish(manager: UploadManager, folder: Path) -> bool:
    began = time.monotonic()
    now = datetime.now(UTC)
    measured = readings(now)
    path = folder / f"temperature-{now:%Y%m%d-%H%M%S}.png"
    plot(measured, path)
    metadata = {
        "data_points": len(measured),
        "start_time": measured[0][0],
        "end_time": measured[-1][0],
        "processing_time": round(time.monotonic() - began, 3),
    }
    result = await manager.upload(Asset(path, "temperature", "daily", metadata))
    print(f"{result.kv_key} -> {result.ipfs_url}" if result.success else f"Failed: {result.error}", flush=True)
    return result.success


async def main() -> int:
    async with UploadManager(UploadConfig.from_env()) as manager:
        with tempfile.TemporaryDirectory() as folder:
            while True:
                success = await publish(manager, Path(folder))
                if "--once" in sys.argv:
                    return 0 if success else 1
                await asyncio.sleep(EVERY)


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except NimbusError as error:  # such as a variable that is not set
        sys.exit(str(error))

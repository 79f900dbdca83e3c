"""Print where the latest temperature plot is, and what it shows."""

import asyncio
import sys

from nimbus_tasks.assets import CloudflareKVClient, CloudflareKVConfig
from nimbus_tasks.model.errors import NimbusError


async def main() -> int:
    async with CloudflareKVClient(CloudflareKVConfig.from_env()) as kv:
        pointer = await kv.get_latest_image("temperature", "daily")
    if pointer is None:
        print("No plot yet: python publish.py --once")
        return 1
    print(pointer.ipfs_url)
    for name, value in pointer.metadata.items():
        print(f"  {name}: {value}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except NimbusError as error:  # such as a variable that is not set
        sys.exit(str(error))

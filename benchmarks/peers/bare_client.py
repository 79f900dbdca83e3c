"""The least that sending costs: bodies that are ready, put to one address by httpx and nothing else.

    python bare_client.py URL SLOTS FOLDER      (the token is in the environment, BENCH_TOKEN)

Each of SLOTS connections sends the next of FOLDER's files until none is left, a client for each as ours has it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator


async def slot(url: str, files: Iterator[Path]) -> None:
    headers = {"authorization": f"Bearer {os.environ['BENCH_TOKEN']}", "content-type": "application/json"}
    # It is plain HTTP on this machine: no certificates to load, no proxies to look for.
    async with httpx.AsyncClient(headers=headers, timeout=100, verify=False, trust_env=False) as client:
        for file in files:
            answer = await client.put(url, content=file.read_bytes())
            answer.raise_for_status()


async def main(url: str, slots: int, folder: Path) -> None:
    files = iter(sorted(folder.iterdir()))
    async with asyncio.TaskGroup() as group:
        for _ in range(slots):
            group.create_task(slot(url, files))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))

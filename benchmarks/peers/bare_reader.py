"""Records read the plain way: a GET for each, by httpx and nothing else.

    python bare_reader.py SLOTS FILE      (the token is in the environment, BENCH_TOKEN)

FILE has an address a line. Each of SLOTS connections asks for the next one until none is left. Prints the seconds that
took, without the start of Python.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator


async def slot(addresses: Iterator[str]) -> None:
    headers = {"authorization": f"Bearer {os.environ['BENCH_TOKEN']}"}
    # It is plain HTTP on this machine: no certificates to load, no proxies to look for.
    async with httpx.AsyncClient(headers=headers, timeout=100, verify=False, trust_env=False) as client:
        for address in addresses:
            answer = await client.get(address)
            answer.raise_for_status()


async def main(slots: int, file: Path) -> float:
    addresses = iter(file.read_text(encoding="utf-8").splitlines())
    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(slots):
            group.create_task(slot(addresses))
    return time.perf_counter() - started


if __name__ == "__main__":
    print(asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]))))

"""The least that processing costs: one page after the other, each record read and written by itself, by rules.

    python bare_processor.py STORE PROJECT FILE      (STORE: a file, or an address; then the token is in BENCH_TOKEN)

FILE has a page id a line. Of each page the same is written as by nimbus:process: its status, its record with what the
same rules propose, its log, its status again. There are no leases, no queue and no batch, nobody else is reckoned with,
and nothing is tried again.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import httpx
import msgspec

from nimbus_tasks.model.records import PageRecord
from nimbus_tasks.processing.optimise.attempt import page_of
from nimbus_tasks.processing.optimise.rules import RulesOptimiser

_NOW = "2026-01-02T03:04:05.678Z"


class Store(Protocol):
    def get(self, key: str) -> bytes: ...

    def put(self, key: str, value: bytes) -> None: ...


class File:
    """An embedded store, with the settings that ours has."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA synchronous = NORMAL")

    def get(self, key: str) -> bytes:
        row = self._connection.execute("SELECT value FROM kv WHERE key = ?", (key,)).fetchone()
        return bytes(row[0]) if row else b""

    def put(self, key: str, value: bytes) -> None:
        put = "INSERT INTO kv(key, value) VALUES (?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value"
        self._connection.execute(put, (key, value))


class Gateway:
    """A Worker, a request for each record."""

    def __init__(self, url: str) -> None:
        headers = {"authorization": f"Bearer {os.environ['BENCH_TOKEN']}"}
        # It is plain HTTP on this machine: no certificates to load, no proxies to look for.
        self._client = httpx.Client(base_url=url, headers=headers, timeout=100, verify=False, trust_env=False)

    def get(self, key: str) -> bytes:
        answer = self._client.get(f"/kv/{quote(key, safe='')}")
        return b"" if answer.status_code == 404 else answer.raise_for_status().content

    def put(self, key: str, value: bytes) -> None:
        self._client.put(f"/kv/{quote(key, safe='')}", json={"value": value.decode()}).raise_for_status()


async def process(store: Store, project: str, page_id: str, optimiser: RulesOptimiser) -> None:
    def key(kind: str) -> str:
        return f"{kind}:{project}:{page_id}"

    status = msgspec.json.decode(store.get(key("status")))
    store.put(key("status"), msgspec.json.encode(status | {"status": "processing", "updated": _NOW}))
    record = msgspec.json.decode(store.get(key("page")), type=PageRecord)
    found = await optimiser.optimise(page_of(record))
    proposed = {"completed": _NOW, "model": found.model, "confidence": found.confidence}
    proposed |= {"changes": len(found.changes), "optimized_blocks": found.changes}
    record.optimization = msgspec.Raw(msgspec.json.encode(proposed))
    store.put(key("page"), msgspec.json.encode(record))
    held = store.get(key("logs"))
    log = msgspec.json.decode(held) if held else {"page_id": page_id, "entries": []}
    log["entries"] += [{"timestamp": _NOW, "level": "info", "step": "process", "message": "Done"}]
    store.put(key("logs"), msgspec.json.encode(log))
    store.put(key("status"), msgspec.json.encode(status | {"status": "done", "updated": _NOW}))


async def main(where: str, project: str, file: Path) -> None:
    store: Store = Gateway(where) if "://" in where else File(where)
    optimiser = RulesOptimiser()
    for page_id in file.read_text(encoding="utf-8").splitlines():
        await process(store, project, page_id, optimiser)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))

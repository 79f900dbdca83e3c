"""The least that processing costs: a bare loop that reads, optimises by rules and writes 100 pages at a time.

    python bare_processor.py STORE PROJECT FILE      (STORE: a file, or an address; then the token is in BENCH_TOKEN)

FILE has a page id a line. The loop writes what nimbus:process writes: statuses, page records with the proposals of the
same rules, logs, statuses again, and in the end the batch and the queue. It has no leases, comparisons, retries or
concurrency, and expects no other program.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import httpx
import msgspec

from nimbus_tasks.model.changes import Optimization
from nimbus_tasks.model.records import PageRecord
from nimbus_tasks.processing.optimise.attempt import page_of
from nimbus_tasks.processing.optimise.rules import RulesOptimiser

if TYPE_CHECKING:
    from collections.abc import Iterable

AT_A_TIME = 100
NOW = "2026-01-02T03:04:05.678Z"

encode, decode = msgspec.json.encode, msgspec.json.decode


class Store(Protocol):
    def get(self, keys: list[str]) -> dict[str, bytes]: ...

    def put(self, values: dict[str, bytes]) -> None: ...


class File:
    """An embedded store, with the settings that ours has."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA synchronous = NORMAL")

    def get(self, keys: list[str]) -> dict[str, bytes]:
        query = f"SELECT key, value FROM kv WHERE key IN ({','.join('?' * len(keys))})"
        return {key: bytes(value) for key, value in self._connection.execute(query, keys)}

    def put(self, values: dict[str, bytes]) -> None:
        put = "INSERT INTO kv(key, value) VALUES (?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value"
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(put, values.items())
        self._connection.execute("COMMIT")


class Gateway:
    """A Worker, asked in bulk."""

    def __init__(self, url: str) -> None:
        headers = {"authorization": f"Bearer {os.environ['BENCH_TOKEN']}"}
        # It is plain HTTP on this machine: no certificates to load, no proxies to look for.
        self._client = httpx.Client(base_url=url, headers=headers, timeout=100, verify=False, trust_env=False)

    def get(self, keys: list[str]) -> dict[str, bytes]:
        answer = self._client.post("/bulk/get", json={"keys": keys}).raise_for_status()
        return {key: value.encode() for key, value in answer.json()["values"].items() if value is not None}

    def put(self, values: dict[str, bytes]) -> None:
        pairs = [{"key": key, "value": value.decode()} for key, value in values.items()]
        self._client.put("/bulk", json=pairs).raise_for_status()


class Loop:
    def __init__(self, store: Store, project: str) -> None:
        self._store, self._project = store, project
        self._optimiser = RulesOptimiser()

    async def process(self, page_ids: Iterable[str]) -> None:
        pages = list(page_ids)
        statuses = {key: decode(value) for key, value in self._read("status", pages).items()}
        self._write_statuses(statuses, "processing")
        page_records = self._read("page", pages)
        for key, value in page_records.items():
            record = decode(value, type=PageRecord)
            found = await self._optimiser.optimise(page_of(record))
            changes = found.changes
            record.optimization = msgspec.Raw(
                encode(Optimization(NOW, found.model, found.confidence, len(changes), changes))
            )
            page_records[key] = encode(record)
        self._store.put(page_records)
        held = self._read("logs", pages)
        entries = [
            {"timestamp": NOW, "level": "info", "step": step, "message": step} for step in ("optimise", "process")
        ]
        logs = {}
        for page in pages:
            key = f"logs:{self._project}:{page}"
            before = decode(held[key])["entries"] if key in held else []
            logs[key] = encode({"page_id": page, "entries": [*before, *entries]})
        self._store.put(logs)
        self._write_statuses(statuses, "done")

    def finish(self) -> None:
        """Take all pages out of the queue, and let their batches say that they are done."""
        for shard in itertools.count():
            queue = f"queue:{self._project}:{shard}" if shard else f"queue:{self._project}"
            held = self._store.get([queue])
            if not held:
                return
            for batch in {f"batch:{self._project}:{item['batch_id']}" for item in decode(held[queue])["items"]}:
                record = decode(self._store.get([batch])[batch])
                for page in record["pages"].values():
                    page |= {"status": "done", "started": NOW, "completed": NOW}
                self._store.put({batch: encode(record | {"status": "completed"})})
            self._store.put({queue: encode({"items": [], "last_processed": NOW})})

    def _read(self, kind: str, pages: list[str]) -> dict[str, bytes]:
        return self._store.get([f"{kind}:{self._project}:{page}" for page in pages])

    def _write_statuses(self, statuses: dict[str, dict[str, Any]], state: str) -> None:
        self._store.put({key: encode(status | {"status": state, "updated": NOW}) for key, status in statuses.items()})


async def main(where: str, project: str, file: Path) -> None:
    loop = Loop(Gateway(where) if "://" in where else File(where), project)
    pages = iter(file.read_text(encoding="utf-8").splitlines())
    while some := list(itertools.islice(pages, AT_A_TIME)):
        await loop.process(some)
    loop.finish()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))

"""Web and worker processes are killed while files come in and are worked on: nothing is lost, made twice or left."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import signal
import struct
import subprocess
import time
import zlib
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from deadlines import SECONDS
from service_process import Client, ServiceProcess
from soak import SEED
from sqlalchemy import func, select

from nimbus_tasks.project.settings import load
from nimbus_tasks.server import sweep
from nimbus_tasks.server.database import Database
from nimbus_tasks.server.service import open_service
from nimbus_tasks.server.tables import assets, embeddings, uploads

SETTINGS = """
[server]
lease = 10.0
rate_tokens = 100000
[images]
processes = 1
"""


#: Pixels of a side: large enough for kills to meet the work on a picture.
SIDE = 500
#: Files that are uploaded at once, so that work waits.
BURST = 20
UPLOADERS = 3


def png(number: int) -> bytes:
    """Return a picture of its own."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rng = random.Random(number)
    rows = b"".join(b"\0" + rng.randbytes(3 * SIDE) for _ in range(SIDE))
    parts = {b"IHDR": struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0), b"IDAT": zlib.compress(rows, 1), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in parts.items())


class Cluster:
    """Processes of one service, of which some die all the time."""

    def __init__(self, folder: Path, database_url: str, webs: int, workers: int) -> None:
        self.environment = {"DATABASE_URL": database_url}
        self.folder = folder
        self.roles = ["web"] * webs + ["worker"] * workers
        self.processes: list[ServiceProcess | None] = [None] * len(self.roles)
        self.kills = {"web": 0, "worker": 0}
        self.starters = ThreadPoolExecutor(len(self.roles))

    def start(self, number: int) -> None:
        options = [f"--role={self.roles[number]}"]
        self.processes[number] = ServiceProcess(
            self.folder, *options, settings=SETTINGS, **self.environment
        ).__enter__()

    def kill(self, number: int) -> bool:
        """Kill a process; return whether it had started."""
        process, self.processes[number] = self.processes[number], None
        if process is None:
            return False
        children = _descendants(process.process.pid)
        for pid in (process.process.pid, *children):  # doit, and what works on pictures
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.stop(signal.SIGKILL)
        self.kills[self.roles[number]] += 1
        return True

    def stop(self) -> None:
        """Stop all; those that start do so first."""
        self.starters.shutdown()
        for process in self.processes:
            if process is not None:
                process.stop()

    def webs(self) -> list[str]:
        return [each.url for each in self.processes if each is not None and each.url]


def _descendants(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    return [each for child in map(int, found) for each in (child, *_descendants(child))]


def upload(cluster: Cluster, key: str, number: int, seed: int) -> None:
    """Upload as a client does that does not give up."""
    rng, content, name = random.Random(f"{seed} {number}"), png(number), f"picture {number}.png"
    deadline = time.monotonic() + 10 * SECONDS
    told = {"filename": name, "size": len(content), "mimeType": "image/png"}
    told["checksum"] = hashlib.sha256(content).hexdigest()
    while True:
        assert time.monotonic() < deadline, "The upload does not succeed"
        try:
            client = Client(rng.choice(cluster.webs()), key)
            with client.http:
                url: dict[str, Any] = client.http.get("/api/upload-url", params=told).raise_for_status().json()
                if url.get("isDuplicate"):
                    return
                if rng.random() < 0.05:
                    continue  # an upload that nobody completes
                client.send(url, content).raise_for_status()
                body = told | {"assetId": url["assetId"], "blobUrl": url["blobUrl"]}
                client.http.post("/api/upload-complete", json=body).raise_for_status()
                return
        except (httpx.HTTPError, IndexError):
            time.sleep(0.05)


async def _check(folder: Path, count: int) -> str:
    """Compare rows, vectors and files after everything has ended; return what was swept."""
    service = open_service(load(folder), folder)
    database = service.database
    with database.writing() as connection:
        connection.execute(uploads.update().values(expires_at=0))
    swept = await sweep.sweep_uploads(service), await sweep.sweep_orphans(service, older_than=-1)
    with database.reading() as connection:
        rows = connection.execute(select(assets)).all()
        vectors = connection.execute(select(embeddings.c.asset_id)).scalars().all()
        assert connection.execute(select(uploads)).all() == []
    assert len({row.checksum for row in rows}) == len(rows) == count  # none lost, none twice
    for row in rows:
        assert (row.processed, row.embedded, row.lease_owner) == (True, True, None), row
        assert (row.processing_error, row.embedding_error, row.failed_at) == (None, None, None), row
        assert (row.width, row.height) == (SIDE, SIDE)
    assert sorted(vectors) == sorted(row.id for row in rows)
    expected = {row.pathname for row in rows}
    for row in rows:
        expected |= {url.partition("/files/")[2] for url in (row.image_url, row.thumbnail_url)}
    assert {pathname async for pathname, _ in service.storage.list()} == expected
    assert len(expected) == 3 * count
    await service.storage.close()
    service.close()
    return f"{swept[0]} uploads and {swept[1]} files swept"


class State(NamedTuple):
    """How many assets there are, and how far they are. interrupted: those whose last worker was killed."""

    stored: int
    processed: int
    embedded: int
    interrupted: frozenset[str]


def _state(database: Database) -> State:
    counted = func.count(), func.count().filter(assets.c.processed), func.count().filter(assets.c.embedded)
    interrupted = select(assets.c.id).where(assets.c.interruptions > 0)
    with database.reading() as connection:
        counts = connection.execute(select(*counted).select_from(assets)).one()
        return State(*counts, frozenset(connection.scalars(interrupted)))


def rehearse(folder: Path, database_url: str, *, files: int, kills: int, webs: int, workers: int, seed: int) -> str:
    """Upload files while processes are killed, until all is done; return what happened."""
    rng = random.Random(seed)
    opened = Database(database_url)
    opened.migrate()
    cluster = Cluster(folder, database_url, webs, workers)
    pool = ThreadPoolExecutor(UPLOADERS)
    try:
        list(cluster.starters.map(cluster.start, range(len(cluster.roles))))
        first = cluster.processes[0]
        assert first is not None
        key = first.new_key()
        sent, killed, running, interrupted = 0, 0, list[Future[None]](), set[str]()
        state = at_last_kill = _state(opened)
        moved = time.monotonic()
        while state.embedded < files or killed < kills:
            assert time.monotonic() < moved + 10 * SECONDS, f"{state} of {files} after {killed} kills"
            # Bursts of uploads are spread over the kills.
            if sent < files and sent * kills <= (killed + 1) * files:
                for number in range(sent, min(files, sent + BURST)):
                    running.append(pool.submit(upload, cluster, key, number, seed))
                sent = min(files, sent + BURST)
            time.sleep(rng.uniform(0.2, 1))
            before, state = state, _state(opened)
            interrupted |= state.interrupted
            if state != before:
                moved = time.monotonic()
            # Between two kills something is done: else a slow machine would start processes only to kill them.
            if killed < kills and (state != at_last_kill or state.embedded == sent):
                number, at_last_kill = rng.randrange(len(cluster.roles)), state
                if cluster.kill(number):
                    killed, moved = killed + 1, time.monotonic()
                    running.append(cluster.starters.submit(cluster.start, number))
        for each in running:
            each.result()
        by_role = " and ".join(f"{count} {role}s" for role, count in cluster.kills.items())
        return f"{sent} files, {by_role} killed, at least {len(interrupted)} jobs continued by another worker"
    finally:
        pool.shutdown(cancel_futures=True)
        cluster.stop()
        opened.close()


def test_killed_processes_lose_nothing(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    _rehearse_and_check(tmp_path, database_url, files=6, kills=2, webs=1, workers=1, seed=1)


@pytest.mark.soak
@pytest.mark.timeout(7200)  # 20 minutes at load 18
def test_two_hundred_kills_lose_nothing(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    _rehearse_and_check(tmp_path, database_url, files=500, kills=200, webs=2, workers=3, seed=SEED)


def _rehearse_and_check(folder: Path, database_url: str, *, files: int, seed: int, **how: int) -> None:
    told = rehearse(folder, database_url, files=files, seed=seed, **how)
    swept = asyncio.run(_check(folder, files))
    print(f"{database_url.partition(':')[0]}, seed {seed}: {told}; {swept}; 0 lost, 0 twice, 0 left")

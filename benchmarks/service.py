"""The service's two requests of every upload, with 20 connections, against one process, on SQLite and on PostgreSQL.

Bytes are put into the folder storage by this program, so that upload-complete is measured alone. Rate limits are out of
the way and counted in memory. Requests come from another process on the same machine: both share its cores.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.sites import SCRATCH
from benchmarks.timing import Figure, Row, say, within

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service_process import ServiceProcess

    from benchmarks.timing import Size

_TESTS = Path(__file__).parents[1] / "tests"
CONNECTIONS = 20
REQUESTS, QUICK_REQUESTS = 4000, 600
_ENVIRONMENT = {
    "NIMBUS_SERVER_RATE_TOKENS": "1000000",
    "NIMBUS_SERVER_RATE_PER_MINUTE": "1000000",
    "NIMBUS_SERVER_RATE_STORE": "memory",
}


def service(size: Size) -> Iterator[Row]:
    """Sign and complete uploads."""
    sys.path[:0] = [str(_TESTS), str(_TESTS / "server")]
    from databases import PROGRAMS, Postgres

    count = QUICK_REQUESTS if size.quick else REQUESTS
    SCRATCH.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="nimbus-bench-", dir=SCRATCH) as folder:
        yield from _measure("SQLite", Path(folder, "sqlite"), count, {})
        if PROGRAMS is None:
            say("service: PostgreSQL is not here; not measured")
            return
        with Postgres(Path(folder, "postgres")) as postgres:
            yield from _measure("PostgreSQL", Path(folder, "pg"), count, {"DATABASE_URL": postgres.new_database()})


def _measure(name: str, folder: Path, count: int, environment: dict[str, str]) -> Iterator[Row]:
    from service_process import ServiceProcess

    say(f"service: {count} uploads on {name}, load {os.getloadavg()[0]:.1f}")
    with ServiceProcess(folder, "--role=web", **_ENVIRONMENT, **environment) as running:
        signed, completed = asyncio.run(_uploads(running, count))
    for what, (rate, p95), least in (("upload-url", signed, 1000), ("upload-complete", completed, 500)):
        where = f"{what}, {CONNECTIONS} connections, one process, {name}"
        yield within(f"{where}: requests/s", rate, at_least=least)
        yield within(f"{where}: p95, ms", p95, at_most=20)


async def _uploads(running: ServiceProcess, count: int) -> tuple[tuple[Figure, Figure], tuple[Figure, Figure]]:
    """Return requests a second and p95 of both requests."""
    key = await asyncio.to_thread(running.new_key)
    files = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(count)]
    asked = [
        _request("GET", f"/api/upload-url?filename=one.png&size=16&mimeType=image%2Fpng&checksum={each}", key)
        for each in files
    ]
    began = _cpu_seconds(running)
    answers, signed = await _send(running.url, asked)
    say(f"service: {1000 * (_cpu_seconds(running) - began) / count:.2f} ms of the service's CPU each upload-url")
    completing = []
    for each, answer in zip(files, answers, strict=True):
        told = json.loads(answer)
        path = running.folder / ".nimbus/uploads" / told["pathname"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(16))  # the storage takes what is in place as verified
        body = {"assetId": told["assetId"], "blobUrl": told["blobUrl"], "filename": "one.png", "size": 16}
        body |= {"mimeType": "image/png", "checksum": each}
        completing.append(_request("POST", "/api/upload-complete", key, json.dumps(body).encode()))
    began = _cpu_seconds(running)
    _, completed = await _send(running.url, completing)
    say(f"service: {1000 * (_cpu_seconds(running) - began) / count:.2f} ms of the service's CPU each upload-complete")
    return signed, completed


async def _send(url: str, requests: list[bytes]) -> tuple[list[bytes], tuple[Figure, Figure]]:
    """Send all requests over `CONNECTIONS` connections; return the answers, and their rate and p95."""
    answers: list[bytes] = [b""] * len(requests)
    times: list[float] = []
    left = iter(enumerate(requests))
    host, port = url.removeprefix("http://").split(":")

    async def connection() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        for number, request in left:
            began = time.perf_counter()
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            answers[number] = await reader.readexactly(length)
            times.append(time.perf_counter() - began)
            assert b" 200 " in head.split(b"\r\n")[0], (head, answers[number])
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    rate = len(requests) / (time.perf_counter() - began)
    p95 = sorted(times)[len(times) * 95 // 100] * 1000
    return answers, (Figure("requests/s", (rate,)), Figure("ms", (p95,)))


def _cpu_seconds(running: ServiceProcess) -> float:
    """Return the processor time of the service so far: other programs on the machine do not change it much."""
    fields = Path(f"/proc/{running.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _request(method: str, target: str, key: str, body: bytes = b"") -> bytes:
    head = f"{method} {target} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
    if body:
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


BENCHMARKS = {"service": service}

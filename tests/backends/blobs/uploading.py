"""Trials of uploads that meet a fault and are killed at a random step, and run again without either.

    python uploading.py KIND WORK --trials=N [--seed=N] [--large-every=N] [FAULT...]

KIND is folder, s3 (SeaweedFS) or pinata (its test server, which keeps duplicates). A JSON line tells what became of
each trial. Between the runs each file that the store shows must be whole; after the second one each is there once, with
its bytes, and so are the local files. The process forks for each run, so that a trial takes no imports.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import random
import resource
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.faults import Faults
from edge.pinata import Pinata
from edge.seaweed import Seaweed
from fault_table import FAULTS, READ_TIMEOUT, Fault

from nimbus_tasks.assets.ledger import AssetLedger
from nimbus_tasks.backends.blobs import Blob, Held, pinata, read_back, s3, s3_multipart, s3_requests
from nimbus_tasks.backends.blobs.folder import FolderStore
from nimbus_tasks.backends.blobs.pinata import PinataStore, Places
from nimbus_tasks.backends.blobs.retry import RetryBlobStore
from nimbus_tasks.backends.blobs.s3 import S3Store
from nimbus_tasks.backends.blobs.s3_requests import Bucket, S3Requests
from nimbus_tasks.backends.http import Http, Timeouts
from nimbus_tasks.backends.kv.pacing import Pace, Pacing
from nimbus_tasks.model.errors import NimbusError
from nimbus_tasks.project.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nimbus_tasks.backends.blobs import BlobStore

#: S3 takes no smaller parts.
PART = 5 * 1024 * 1024
#: A run has about so many steps; some are over before the one at which they were to be killed.
STEPS = 24
NOWHERE = "https://nowhere.invalid"


def _share(fault: str, share: float, **more: Any) -> Fault:
    return Fault(lambda chance: [{"fault": fault, "share": share, "seed": chance.randrange(1 << 30), **more}])


#: The rows that are about bulk requests to KV are about any request here.
ROWS = {name: FAULTS[name] for name in FAULTS if name != "unsuccessful_keys"} | {
    "501": _share("status", 0.2, status=501),
    "413": _share("status", 0.2, status=413, method="PUT|POST|PATCH"),
    "524": _share("status_after", 0.2, status=524),
    "disk full": Fault(disk=lambda chance: chance.randrange(1, 4000)),
}


class Server:
    """A store's server, and how a run opens the store: through the proxy, or straight."""

    def __init__(self, kind: str, work: Path, open_files: contextlib.ExitStack) -> None:
        self.kind, self.work = kind, work
        self.seaweed = open_files.enter_context(Seaweed(work / "seaweed")) if kind == "s3" else None
        self.pinata = (
            open_files.enter_context(Pinata(requests=10_000_000, duplicates="new")) if kind == "pinata" else None
        )
        server = self.seaweed or self.pinata
        self.url = server.url if server else ""
        self.proxy = open_files.enter_context(Faults(self.url, journal=work / "journal")) if server else None

    def store(self, name: str, url: str, timeouts: Timeouts) -> BlobStore:
        if self.seaweed:
            requests = S3Requests(Http(url, None, timeouts), self.seaweed.credentials, Bucket("files", f"{name}/"))
            return S3Store(requests)
        if self.pinata:
            token = Secret(self.pinata.token)
            places = Places(Http(url, token, timeouts), Http(url, token, timeouts), Http(url, None, timeouts))
            ledger = AssetLedger(self.work / name / "assets.db")  # as a run of `doit assets` has it
            return PinataStore(places, requests_a_minute=1_000_000, resumable=ledger)
        return FolderStore(self.work / name / "blobs")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["folder", "s3", "pinata"])
    parser.add_argument("work", type=Path)
    parser.add_argument("--trials", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--large-every", type=int, default=10, help="every so many trials have a file in parts")
    parser.add_argument("faults", nargs="*", default=list(ROWS))
    asked = parser.parse_intermixed_args()
    _smaller_parts(asked.kind)
    with contextlib.ExitStack() as open_files:
        server = Server(asked.kind, asked.work, open_files)
        if server.proxy:
            _sign_for(server.proxy.url, server.url)
        for number in range(asked.trials):
            for fault in asked.faults:
                large = number % asked.large_every == 0
                told = trial(server, fault, f"{asked.seed}/{number}/{fault}", large=large)
                sys.stdout.write(json.dumps(told) + "\n")
                sys.stdout.flush()


def trial(server: Server, fault: str, seed: str, *, large: bool) -> dict[str, Any]:
    chance, row = random.Random(seed), ROWS[fault]
    with tempfile.TemporaryDirectory(dir=server.work) as folder:
        name = Path(folder).name
        blobs = list(
            _files(Path(folder), chance, (2 * PART + 1 if server.kind == "s3" else 300_000) if large else 9000)
        )
        url, rules, slow = server.url, row.rules(chance), Timeouts(60, 60)
        if row.environment:
            url = NOWHERE
        elif server.proxy:
            server.proxy.set(rules)
            url = server.proxy.url
        fast = Timeouts(5, READ_TIMEOUT if fault == "time-out" else 60)
        step = chance.randint(1, STEPS)
        first = _forked(lambda: _upload(server.store(name, url, fast), blobs, step, row.disk(chance)))
        store = lambda: server.store(name, server.url, slow)  # noqa: E731 - each loop has its own clients
        wrong = asyncio.run(_check(store(), blobs, complete=False))
        again = _forked(lambda: _upload(store(), blobs, 0, 0))
        wrong += (
            asyncio.run(_check(store(), blobs, complete=True)) if again == 0 else [f"the second run ended: {again}"]
        )
        wrong += [f"{blob.file.name} is not what it was" for blob in blobs if _digest(blob.file) != blob.sha256]
        left = [path.name for path in Path(folder).rglob("*.tmp")]
        return {"fault": fault, "step": step, "first": first, "again": again, "wrong": wrong + left}


def _files(folder: Path, chance: random.Random, largest: int) -> Iterator[Blob]:
    for number, size in enumerate((chance.randrange(1, 400), largest, chance.randrange(2000, 5000))):
        file = folder / f"{number}.png"
        file.write_bytes(chance.randbytes(size))
        yield Blob(file, _digest(file), size, "image/png", file.name)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


# --- one run -----------------------------------------------------------------------------------------------


def _forked(work: Callable[[], int]) -> int:
    """Run something in a process of its own, and return its exit status; -9: it was killed."""
    child = os.fork()
    if not child:
        status = 70
        try:
            status = work()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _upload(plain: BlobStore, blobs: list[Blob], fatal: int, disk: int) -> int:
    """Put each file that is not there, and return 0, or 1 where any failed. Killed at step `fatal`; 0: never."""
    if disk:
        resource.setrlimit(resource.RLIMIT_FSIZE, (disk, disk))
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        if steps == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    send, replace, fsync = Http.send, os.replace, os.fsync

    async def send_in_steps(*arguments: Any, **options: Any) -> Any:
        step()
        answer = await send(*arguments, **options)
        step()
        return answer

    def in_steps(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **options: Any) -> Any:
            step()
            done = call(*arguments, **options)
            step()
            return done

        return called

    Http.send = send_in_steps  # type: ignore[method-assign]
    os.replace, os.fsync = in_steps(replace), in_steps(fsync)

    async def run() -> int:
        failed = 0
        store = RetryBlobStore(plain, Pace(Pacing(2)), 3, 0.01)
        try:
            await store.open()
            for blob in blobs:
                try:
                    if await store.find(blob) is None:
                        await store.put(blob, lambda _: step())
                except NimbusError:
                    failed = 1
        except NimbusError:
            failed = 1
        finally:
            await store.close()
        return failed

    return asyncio.run(run())


async def _check(store: BlobStore, blobs: list[Blob], *, complete: bool) -> list[str]:
    """Return what is wrong with what the store holds of these files."""
    wrong = []
    try:
        held: list[Held] = [each async for each in store.list()]
        for blob in blobs:
            of_it = [each for each in held if each.sha256 == blob.sha256]
            if complete and len(of_it) != 1:
                wrong.append(f"{blob.file.name} is stored {len(of_it)} times")
            for each in of_it:
                if not await read_back(store, blob, each.location):
                    wrong.append(f"{blob.file.name} is not whole")
    finally:
        await store.close()
    return wrong


# --- smaller than in life ----------------------------------------------------------------------------------


def _smaller_parts(kind: str) -> None:
    s3_multipart.PART = s3.PART = PART
    if kind == "pinata":
        pinata.LARGE, pinata.PART = 100_000, 120_000


def _sign_for(proxy: str, server: str) -> None:
    """Sign for the server's own address, which the proxy puts into the requests."""
    sign = s3_requests.sign

    def signed(credentials: Any, method: str, url: str, *rest: Any) -> dict[str, str]:
        return sign(credentials, method, url.replace(proxy, server), *rest)

    s3_requests.sign = signed  # type: ignore[assignment]


if __name__ == "__main__":
    main()

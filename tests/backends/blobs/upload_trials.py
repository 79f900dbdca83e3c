"""Trials of uploads that meet a fault and are killed at a random step, and run again without either.

    python upload_trials.py KIND WORK --trials=N [--first=N] [--seed=N] [--large-every=N] [FAULT...]

KIND is folder, s3 (SeaweedFS) or pinata (its test server, which keeps duplicates). A run is what
`nimbus:assets:upload --group --variant --delete-local` does with each of three files. A JSON line tells what became of
each trial. Between the runs each file that the store shows must be whole, each pointer must name one that is, and a
local file may be gone only if both name it. After the second run each file is stored once, its pointer names it, and
its local file is deleted. The process forks for each run, so that a trial takes no imports.
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
from typing import TYPE_CHECKING, Any, NamedTuple

from edge.faults import Faults
from edge.pinata import Pinata
from edge.seaweed import Seaweed
from fault_table import FAULTS, READ_TIMEOUT, Fault

from nimbus_tasks.assets.discovery import find_named
from nimbus_tasks.assets.ledger import AssetLedger
from nimbus_tasks.assets.pointers import read_pointer
from nimbus_tasks.backends.blobs import Blob, Held, pinata, pinata_parts, read_back, s3, s3_multipart, s3_requests
from nimbus_tasks.backends.blobs.folder import FolderStore
from nimbus_tasks.backends.blobs.pinata import PinataStore
from nimbus_tasks.backends.blobs.pinata_parts import PinataParts
from nimbus_tasks.backends.blobs.pinata_requests import Places
from nimbus_tasks.backends.blobs.retry import RetryBlobStore
from nimbus_tasks.backends.blobs.s3 import S3Store
from nimbus_tasks.backends.blobs.s3_requests import Bucket, S3Requests
from nimbus_tasks.backends.http import Http, Timeouts
from nimbus_tasks.backends.kv.open import KV_FILE, Connection
from nimbus_tasks.backends.kv.pacing import Pace, Pacing
from nimbus_tasks.backends.kv.sqlite import SqliteStore
from nimbus_tasks.model.errors import NimbusError
from nimbus_tasks.pipeline import assets
from nimbus_tasks.pipeline.asset_request import AssetRequest
from nimbus_tasks.project.secrets import Secret
from nimbus_tasks.project.settings import Assets, Project, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nimbus_tasks.backends.blobs import BlobStore, Resumable
    from nimbus_tasks.backends.blobs.open import BlobTarget

#: S3 takes no smaller parts.
PART = 5 * 1024 * 1024
#: A run has about so many steps; some are over before the one at which they were to be killed.
STEPS = 48
SETTINGS = Settings(Project("proj_0123456789ab"), assets=Assets(store="folder"))
GROUP = "trials"
NOWHERE = "https://nowhere.invalid"


def _share(fault: str, share: float, **more: Any) -> Fault:
    return Fault(lambda chance: [{"fault": fault, "share": share, "seed": chance.randrange(1 << 30), **more}])


#: The rows that are about bulk requests to KV are about any request here.
ROWS = {name: FAULTS[name] for name in FAULTS if name != "unsuccessful_keys"} | {
    "501": _share("status", 0.2, status=501),
    "413": _share("status", 0.2, status=413, method="PUT|POST|PATCH"),
    "524": _share("status_after", 0.2, status=524),
    # Below 100,000 bytes the ledger has no room either.
    "disk full": Fault(disk=lambda chance: chance.choice([chance.randrange(1, 4000), chance.randrange(4000, 300_000)])),
}


class Server:
    """A store's server, and how a run opens the store: through the proxy, or straight."""

    def __init__(self, kind: str, work: Path, rounds: int, open_files: contextlib.ExitStack) -> None:
        self.kind, self.work = kind, work
        self.seaweed = open_files.enter_context(Seaweed(work / "seaweed")) if kind == "s3" else None
        self.pinata = (
            open_files.enter_context(Pinata(accounts=rounds + 1, requests=10_000_000, duplicates="new"))
            if kind == "pinata"
            else None
        )
        self.token = ""
        server = self.seaweed or self.pinata
        self.url = server.url if server else ""
        self.proxy = open_files.enter_context(Faults(self.url, journal=work / "journal")) if server else None

    def begin_round(self) -> None:
        """Take another account: a trial lists what its account holds."""
        if self.pinata:
            self.token = self.pinata.account().token

    def store(self, name: str, url: str, timeouts: Timeouts, resumable: Resumable | None = None) -> BlobStore:
        if self.seaweed:
            requests = S3Requests(Http(url, None, timeouts), self.seaweed.credentials, Bucket("files", f"{name}/"))
            return S3Store(requests)
        if self.pinata:
            token = Secret(self.token)
            places = Places(Http(url, token, timeouts), Http(url, token, timeouts), Http(url, None, timeouts))
            return PinataStore(places, requests_a_minute=1_000_000, resumable=resumable)
        return FolderStore(self.work / name / "blobs")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["folder", "s3", "pinata"])
    parser.add_argument("work", type=Path)
    parser.add_argument("--trials", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first trial of each fault")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--large-every", type=int, default=10, help="every so many trials have a file in parts")
    parser.add_argument("faults", nargs="*", default=list(ROWS))
    asked = parser.parse_intermixed_args()
    _smaller_parts(asked.kind)
    with contextlib.ExitStack() as open_files:
        server = Server(asked.kind, asked.work, asked.trials, open_files)
        if server.proxy:
            _sign_for(server.proxy.url, server.url)
            _is_at(server.proxy.url, server.url)
        for number in range(asked.first, asked.first + asked.trials):
            server.begin_round()
            for fault in asked.faults:
                large = number % asked.large_every == 0
                told = trial(server, fault, f"{asked.seed}/{number}/{fault}", large=large)
                sys.stdout.write(json.dumps(told) + "\n")
                sys.stdout.flush()


def trial(server: Server, fault: str, seed: str, *, large: bool) -> dict[str, Any]:
    chance, row = random.Random(seed), ROWS[fault]
    with tempfile.TemporaryDirectory(dir=server.work) as folder:
        blobs = list(
            _files(Path(folder), chance, (2 * PART + 1 if server.kind == "s3" else 300_000) if large else 9000)
        )
        url, slow = server.url, Timeouts(60, 60)
        if row.environment:
            url = NOWHERE
        elif server.proxy:
            server.proxy.set(row.rules(chance))
            url = server.proxy.url
        fast = Timeouts(5, READ_TIMEOUT if fault == "time-out" else 60)
        step = chance.randint(1, STEPS)
        run = Run(server, Path(folder), blobs)
        first = _forked(lambda: run(url, fast, step, row.disk(chance)))
        if server.proxy:
            server.proxy.set([])  # the same address, so that the ledger knows the store again
        wrong = run.check(slow, complete=False)
        again = _forked(lambda: run(server.proxy.url if server.proxy else "", slow, 0, 0))
        wrong += run.check(slow, complete=True) if again == 0 else [f"the second run ended: {again}"]
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


class Run(NamedTuple):
    """Uploads of the files in a folder, each with a pointer, and what they leave."""

    server: Server
    folder: Path
    blobs: list[Blob]

    def __call__(self, url: str, timeouts: Timeouts, fatal: int, disk: int) -> int:
        """Upload what is there, and return 0, or 1 where any failed. Killed at step `fatal`; 0: never."""
        os.chdir(self.folder)
        if disk:
            resource.setrlimit(resource.RLIMIT_FSIZE, (disk, disk))
        step = _stepping(fatal)

        async def opened(_: BlobTarget, __: Path | None, ___: Connection, ledger: AssetLedger) -> BlobStore:
            store = RetryBlobStore(self._store(url, timeouts, ledger), Pace(Pacing(2)), 3, 0.01)
            try:
                await store.open()
            except BaseException:
                await store.close()
                raise
            return store

        assets.open_blob_store = opened  # type: ignore[assignment]
        # One after the other, as a program does that makes a plot every minute.
        return max(self._upload(blob, step) for blob in self.blobs if blob.file.exists()) if self._any() else 0

    def check(self, timeouts: Timeouts, *, complete: bool) -> list[str]:
        """Return what is wrong with what is stored, what the pointers name, and which local files are gone."""
        return asyncio.run(self._check(timeouts, complete=complete))

    def _any(self) -> bool:
        return any(blob.file.exists() for blob in self.blobs)

    def _upload(self, blob: Blob, step: Callable[[], None]) -> int:
        variant = blob.file.stem
        request = AssetRequest(group=GROUP, variant=variant, delete_local=True)
        try:
            with assets.AssetStage(SETTINGS) as stage:
                done = stage.upload(find_named([blob.file.name]), Connection(), Silent(step), request)
        except NimbusError:
            return 1
        return 0 if done.complete else 1

    def _store(self, url: str, timeouts: Timeouts, ledger: AssetLedger | None = None) -> BlobStore:
        return self.server.store(self.folder.name, url, timeouts, ledger)

    async def _check(self, timeouts: Timeouts, *, complete: bool) -> list[str]:
        wrong = []
        store, kv = self._store(self.server.url, timeouts), SqliteStore(self.folder / KV_FILE)
        try:
            held: list[Held] = [each async for each in store.list()]
            for blob in self.blobs:
                of_it = [each for each in held if each.sha256 == blob.sha256]
                if complete and len(of_it) != 1:
                    wrong.append(f"{blob.name} is stored {len(of_it)} times")
                whole = [await read_back(store, blob, each.location) for each in of_it]
                if not all(whole):
                    wrong.append(f"{blob.name} is not whole")
                pointer = await read_pointer(kv, GROUP, blob.file.stem)
                names_it = pointer is not None and pointer.metadata["sha256"] == blob.sha256
                if pointer is not None and not (names_it and any(whole)):
                    wrong.append(f"the pointer of {blob.name} names nothing")
                if complete and not names_it:
                    wrong.append(f"no pointer names {blob.name}")
                if blob.file.exists():
                    if _digest(blob.file) != blob.sha256:
                        wrong.append(f"{blob.name} is not what it was")
                    if complete:
                        wrong.append(f"{blob.name} is not deleted")
                elif not (names_it and any(whole)):
                    wrong.append(f"{blob.name} was deleted early")
        finally:
            await store.close()
            await kv.close()
        return wrong


class Silent:
    """An observer that counts steps."""

    def __init__(self, step: Callable[[], None]) -> None:
        self._step = step

    def sent(self, _: int) -> None:
        self._step()

    def file(self, _: object) -> None:
        self._step()

    def files_planned(self, *_: object) -> None:
        self._step()

    def copies_planned(self, _: int) -> None:
        self._step()

    def copied(self) -> None:
        self._step()

    def warn(self, _: str) -> None:
        self._step()


def _stepping(fatal: int) -> Callable[[], None]:
    """Make each request, each write to a store or ledger, and each removal two steps; kill at step `fatal`."""
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        if steps == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    def awaited(call: Callable[..., Any]) -> Callable[..., Any]:
        async def called(*arguments: Any, **options: Any) -> Any:
            step()
            done = await call(*arguments, **options)
            step()
            return done

        return called

    def plain(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **options: Any) -> Any:
            step()
            done = call(*arguments, **options)
            step()
            return done

        return called

    Http.send = awaited(Http.send)  # type: ignore[method-assign]
    SqliteStore.put = awaited(SqliteStore.put)  # type: ignore[method-assign]
    SqliteStore.swap = awaited(SqliteStore.swap)  # type: ignore[method-assign]
    for owner, name in ((os, "replace"), (os, "fsync"), (os, "unlink")):
        setattr(owner, name, plain(getattr(owner, name)))
    for name in ("begin", "confirm", "confirm_records"):
        setattr(AssetLedger, name, plain(getattr(AssetLedger, name)))
    return step


# --- smaller than in life ----------------------------------------------------------------------------------


def _smaller_parts(kind: str) -> None:
    s3_multipart.PART = s3.PART = PART
    if kind == "pinata":
        pinata.LARGE, pinata_parts.PART = 100_000, 120_000


def _sign_for(proxy: str, server: str) -> None:
    """Sign for the server's own address, which the proxy puts into the requests."""
    sign = s3_requests.sign

    def signed(credentials: Any, method: str, url: str, *rest: Any) -> dict[str, str]:
        return sign(credentials, method, url.replace(proxy, server), *rest)

    s3_requests.sign = signed  # type: ignore[assignment]


def _is_at(proxy: str, server: str) -> None:
    """Take the server's own address, which it says for an upload in parts, for that of the proxy."""
    is_here = PinataParts._is_here
    PinataParts._is_here = lambda self, at: is_here(self, at.replace(server, proxy))  # type: ignore[method-assign]


if __name__ == "__main__":
    main()

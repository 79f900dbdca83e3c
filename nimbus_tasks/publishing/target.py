"""An open target: its records read in bulk and in slots, records that others write too changed by compare and swap.

Beside it stands what the ledger of this machine knows of the target: paths of pages, batches still being uploaded.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from nimbus_tasks.backends.concurrency import in_slots
from nimbus_tasks.backends.kv.chunks import pack, runs
from nimbus_tasks.backends.kv.open import open_steadily
from nimbus_tasks.backends.kv.records import LONGEST_PAUSE, SWAP_TRIES, decode
from nimbus_tasks.model import records
from nimbus_tasks.model.clock import now
from nimbus_tasks.model.errors import StoreError
from nimbus_tasks.model.records import BatchRecord, QueueRecord
from nimbus_tasks.publishing.ledger import LEDGER_FILE, Ledger
from nimbus_tasks.publishing.options import Request
from nimbus_tasks.publishing.pacing import pacing, target_identity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence

    from nimbus_tasks.backends.http import Recorded
    from nimbus_tasks.backends.kv import Store, Write
    from nimbus_tasks.project.settings import Settings
    from nimbus_tasks.publishing.plan import Held

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode
_PAGE_ID = re.compile(r"page_[0-9a-f]{12}")


def _ignore(_: int) -> None:
    """Nobody wants to know how far it is."""


class OpenTarget:
    """A store that has been made contact with, and the project in it."""

    def __init__(self, store: Store, settings: Settings, clock: Callable[[], str] = now) -> None:
        self.store = store
        self.settings = settings
        self.project_id = settings.project.id
        self.slots = settings.upload.concurrency
        self.clock = clock

    # --- reading --------------------------------------------------------------------------------------

    async def read(self, keys: Sequence[str], shape: type[T], advance: Callable[[int], None] = _ignore) -> dict[str, T]:
        """Return the records that exist, by the last part of their keys: a page's id, a batch's.

        Each is decoded as it comes, so that only what `shape` names is kept in memory. `advance` is told how many keys
        each request was about.
        """
        found: dict[str, T] = {}

        def keep(key: str, value: bytes) -> None:
            found[last_part(key)] = decode(key, value, shape)

        await self._read(keys, keep, advance)
        return found

    async def read_values(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Return the values that exist, as they are stored."""
        found: dict[str, bytes] = {}
        await self._read(keys, found.__setitem__)
        return found

    async def read_one(self, key: str, shape: type[T]) -> T | None:
        value = (await self.store.get([key])).get(key)
        return None if value is None else decode(key, value, shape)

    async def queue(self) -> QueueRecord:
        key = records.queue_key(self.project_id)
        return await self.read_one(key, QueueRecord) or QueueRecord([])

    async def _read(
        self, keys: Sequence[str], keep: Callable[[str, bytes], None], advance: Callable[[int], None] = _ignore
    ) -> None:
        async def read_some(some: Sequence[str]) -> None:
            for key, value in (await self.store.get(some)).items():
                keep(key, value)
            advance(len(some))

        await in_slots(self.slots, runs(keys, self.store.limits.keys), read_some)

    # --- changing -------------------------------------------------------------------------------------

    async def change(
        self, key: str, shape: type[T], change: Callable[[T | None], T | None], seen: Mapping[str, bytes] | None = None
    ) -> T | None:
        """Put what `change` makes of a record in its place, and return that; None leaves it as it is.

        `change` is called again where others were quicker. `seen` spares the first look.
        """
        for tried in range(SWAP_TRIES):
            looked = seen if seen is not None and not tried else await self.store.get([key])
            before = looked.get(key)
            made = change(None if before is None else decode(key, before, shape))
            if made is None:
                return None
            after = _encode(made)
            if after == before or await self.store.swap(key, before, after):
                return made
            # Each waits for another time, longer after each try, so that others can finish.
            await asyncio.sleep(random.random() * min(LONGEST_PAUSE, 0.01 * 2**tried))  # noqa: S311
        raise StoreError(f"{key} was changed by others {SWAP_TRIES} times in a row.", "Run the same command again.")

    async def change_queue(self, change: Callable[[QueueRecord], QueueRecord]) -> None:
        key = records.queue_key(self.project_id)
        await self.change(key, QueueRecord, lambda queue: change(queue or QueueRecord([])))

    async def change_batch(self, batch_id: str, change: Callable[[BatchRecord], BatchRecord]) -> BatchRecord:
        key = records.batch_key(self.project_id, batch_id)
        made = await self.change(key, BatchRecord, lambda batch: None if batch is None else change(batch))
        if made is None:
            raise StoreError(f"{key} is not to be seen any more.", "KV may lag: run the same command again.")
        return made

    async def put(self, writes: Iterable[Write]) -> dict[str, str]:
        """Put many values in slots, and return why some of them failed, by the last part of their keys."""
        failed: dict[str, str] = {}

        async def put_some(some: Sequence[Write]) -> None:
            refused = (await self.store.put(some)).failed
            failed.update({last_part(key): why for key, why in refused.items()})

        await in_slots(self.slots, pack(writes, lambda write: write.size, self.store.limits), put_some)
        return failed

    # --- names of pages -------------------------------------------------------------------------------

    def page_id(self, name: str) -> str:
        """Return the id of the page that goes by a source path, from here or from the root, or by its id."""
        if _PAGE_ID.fullmatch(name):
            return name
        with contextlib.suppress(ValueError):
            name = Path(name).relative_to(Path.cwd()).as_posix()
        return records.page_id(self.project_id, name.removeprefix("./"))

    # --- what this machine knows ----------------------------------------------------------------------

    def known_pages(self) -> dict[str, Held]:
        with self._ledger() as ledger:
            return ledger.held() if ledger is not None else {}

    def known_batches(self) -> dict[str, tuple[str, bool]]:
        """Return batch id -> when it was created, and whether its upload has not ended yet."""
        with self._ledger() as ledger:
            return ledger.batches() if ledger is not None else {}

    def sent_in(self, batch_id: str) -> list[Held]:
        with self._ledger() as ledger:
            return ledger.in_batch(batch_id) if ledger is not None else []

    async def paths(self, page_ids: Iterable[str]) -> dict[str, str]:
        """Return the source paths of pages: from the ledger where it knows them, else from their records."""
        held = self.known_pages()
        found = {each: held[each].source_path for each in page_ids if each in held and held[each].source_path}
        keys = [records.page_key(self.project_id, each) for each in page_ids if each not in found]
        told = await self.read(keys, _Path)
        return found | {page_id: page.source_path for page_id, page in told.items()}

    @contextlib.contextmanager
    def _ledger(self) -> Iterator[Ledger | None]:
        """Open the ledger if there is one and it speaks of this target."""
        if not Path(LEDGER_FILE).exists():
            yield None
            return
        ledger = Ledger(Path(LEDGER_FILE), self.settings.target.store)
        try:
            yield ledger if ledger.identity == target_identity(self.store, self.settings) else None
        finally:
            ledger.close()


def last_part(key: str) -> str:
    return key.rpartition(":")[2]


class _Path(msgspec.Struct):
    source_path: str


@contextlib.asynccontextmanager
async def opened(
    settings: Settings, say: Callable[[float, str], None], record: Callable[[Recorded], None]
) -> AsyncIterator[OpenTarget]:
    """Open the target that the settings name; `say` is told of waits, `record` of requests."""
    store = await open_steadily(Path(), settings, pacing(settings, Request()), say, record)
    try:
        yield OpenTarget(store, settings)
    finally:
        await store.close()

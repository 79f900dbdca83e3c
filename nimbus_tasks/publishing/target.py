"""An open target: its records, and what this machine's ledger knows of it (paths, batches still being uploaded)."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from nimbus_tasks.backends.kv.open import connect
from nimbus_tasks.backends.kv.records import put_many, read_many, read_one, update_record
from nimbus_tasks.model.clock import now
from nimbus_tasks.model.errors import StoreError
from nimbus_tasks.model.keys import batch_key, page_key
from nimbus_tasks.model.records import BatchRecord
from nimbus_tasks.publishing.ledger import LEDGER_FILE, Ledger, target_identity
from nimbus_tasks.publishing.queue_record import change_entries, read_queue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence

    from nimbus_tasks.backends.kv import Store, Write
    from nimbus_tasks.backends.kv.open import Connection
    from nimbus_tasks.model.records import QueueRecord
    from nimbus_tasks.project.settings import Settings
    from nimbus_tasks.publishing.plan import Held
    from nimbus_tasks.publishing.queue_parts import Decide

T = TypeVar("T")


class OpenTarget:
    """A store that answers, and the project in it."""

    def __init__(self, store: Store, settings: Settings, clock: Callable[[], str] = now) -> None:
        self.store = store
        self.settings = settings
        self.project_id = settings.project.id
        self.slots = settings.upload.concurrency
        self.clock = clock

    # --- reading --------------------------------------------------------------------------------------

    async def read(
        self, keys: Sequence[str], shape: type[T], advance: Callable[[int], None] = lambda _: None
    ) -> dict[str, T]:
        """Return the records that exist, by the last part of their keys: the id of a page or a batch."""
        found = await read_many(self.store, keys, shape, self.slots, advance)
        return {last_part(key): record for key, record in found.items()}

    async def queue(self) -> QueueRecord:
        return await read_queue(self.store, self.project_id)

    async def batch(self, batch_id: str) -> BatchRecord | None:
        return await read_one(self.store, batch_key(self.project_id, batch_id), BatchRecord)

    # --- changing -------------------------------------------------------------------------------------

    async def change_queue(self, page_ids: Collection[str], decide: Decide) -> None:
        """Replace the queue entries of these pages, each by what `decide` returns for it."""
        await change_entries(self.store, self.project_id, page_ids, decide)

    async def change_batch(self, batch_id: str, change: Callable[[BatchRecord], BatchRecord]) -> BatchRecord:
        key = batch_key(self.project_id, batch_id)
        made = await update_record(self.store, key, BatchRecord, lambda batch: None if batch is None else change(batch))
        if made is None:
            raise StoreError(f"{key} was not found.", "KV may lag: run the same command again.")
        return made

    async def put(self, writes: Iterable[Write]) -> dict[str, str]:
        """Store many values, and return why some of them failed, by the last part of their keys."""
        return {last_part(key): why for key, why in (await put_many(self.store, writes, self.slots)).items()}

    # --- what this machine knows ----------------------------------------------------------------------

    def known_paths(self) -> set[str]:
        """Return the source paths of all pages."""
        with self._ledger() as ledger:
            return {row.source_path for row in ledger.rows()} - {""} if ledger is not None else set()

    def known_batches(self) -> dict[str, tuple[str, bool]]:
        """Return batch id -> (when it was created, whether its upload is still under way)."""
        with self._ledger() as ledger:
            return ledger.batches() if ledger is not None else {}

    def sent_in(self, batch_id: str) -> list[Held]:
        with self._ledger() as ledger:
            return ledger.in_batch(batch_id) if ledger is not None else []

    async def paths(self, page_ids: Iterable[str]) -> dict[str, str]:
        """Return the source paths of pages, from the ledger or else from their records."""
        page_ids = list(page_ids)
        with self._ledger() as ledger:
            held = {} if ledger is None else {each: ledger.page(each) for each in page_ids}
        found = {page_id: row.source_path for page_id, row in held.items() if row is not None and row.source_path}
        keys = [page_key(self.project_id, each) for each in page_ids if each not in found]
        paths = await self.read(keys, _Path)
        return found | {page_id: page.source_path for page_id, page in paths.items()}

    @contextlib.contextmanager
    def _ledger(self) -> Iterator[Ledger | None]:
        """Open the ledger if there is one and it is about this target."""
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
async def open_target(settings: Settings, connection: Connection) -> AsyncIterator[OpenTarget]:
    """Open the target that the settings name."""
    async with await connect(settings, connection) as store:
        yield OpenTarget(store, settings)

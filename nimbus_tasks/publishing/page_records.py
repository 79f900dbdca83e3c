"""The `page:` and `status:` records: as values to write, and how an upload creates and retires them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Struct

from nimbus_tasks.backends.concurrency import in_parallel
from nimbus_tasks.backends.kv import Write
from nimbus_tasks.backends.kv.records import (
    decode,
    decode_or_skip,
    encode,
    put_many,
    read_foreign,
    read_values,
    rewrite,
)
from nimbus_tasks.model.errors import UnreadableRecordError
from nimbus_tasks.model.keys import page_key, status_key
from nimbus_tasks.model.page_map import content_digest
from nimbus_tasks.model.records import PageMetadata, PageRecord, PageStatus
from nimbus_tasks.project.spool import runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.publishing.context import Context
    from nimbus_tasks.publishing.plan import Held

#: Statuses that are read at once.
AT_ONCE = 10_000
#: Most bytes of a page's facts in its metadata, which takes 1,024.
SHOWN_URL, SHOWN_TITLE, SHOWN_DESCRIPTION = 400, 150, 200


def page_write(project_id: str, record: PageRecord, digest: str, before: bytes | None = None) -> Write:
    """Return a page record as a write.

    digest: of its content; empty where the page does not count as held. before: the value that it replaces, of which
    unknown fields are kept.
    """
    metadata = PageMetadata(record.batch_id, record.uploaded, digest, *_shown(record))
    key = page_key(project_id, record.page_id)
    return Write(key, rewrite(key, before, record), encode(metadata))


class _Head(Struct):
    title: str = ""
    description: str = msgspec.field(default="", name="metaDescription")


class _Shown(Struct):
    url: str = ""
    head: _Head = msgspec.field(default_factory=_Head)


_decode_shown = msgspec.json.Decoder(_Shown).decode


def _shown(record: PageRecord) -> tuple[str, str, str]:
    """Return the address, title and description of a page for its metadata."""
    try:
        page = _decode_shown(record.extraction)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return "", "", ""  # another tool's
    url = page.url if len(page.url.encode()) <= SHOWN_URL else ""
    return url, _cut(page.head.title, SHOWN_TITLE), _cut(page.head.description, SHOWN_DESCRIPTION)


def _cut(text: str, limit: int) -> str:
    """Return a text, cut where its JSON is longer than the limit."""
    if len(encode(text)) - 2 <= limit:
        return text
    kept, left = "", limit - len("…".encode())
    for character in text:
        left -= len(encode(character)) - 2
        if left < 0:
            break
        kept += character
    return f"{kept}…"


def status_write(project_id: str, page_id: str, status: PageStatus, before: bytes | None = None) -> Write:
    key = status_key(project_id, page_id)
    return Write(key, rewrite(key, before, status))


def digest_of(record: PageRecord) -> str:
    """Return the digest of a record's content, as the page's map has it."""
    content = msgspec.json.decode(record.extraction, type=dict[str, Any])
    return content_digest({"path": record.source_path} | content)


async def count_proposals(store: Store, project_id: str, page_ids: Iterable[str]) -> int:
    """Return how many of these pages have proposals that sending them again would discard."""
    pending = 0
    for some in runs(page_ids, AT_ONCE):
        values = await read_values(store, [status_key(project_id, page_id) for page_id in some])
        for key in values:
            status = decode_or_skip(store, values, key, PageStatus)
            if status is not None and status.status == "done" and status.result is not UNSET:
                pending += status.result.changes > 0
    return pending


async def read_replaced(
    store: Store, project_id: str, page_ids: Sequence[str]
) -> tuple[dict[str, bytes], dict[str, tuple[PageRecord, PageStatus | None]]]:
    """Read the records of pages that are sent again.

    Returns the page and status records that hold more than an upload writes, by key, and the page records that an
    optimiser has worked on, each with its status where that is `done`.
    """
    statuses = {status_key(project_id, each): page_key(project_id, each) for each in page_ids}
    shapes: dict[str, type[Any]] = dict.fromkeys(statuses.values(), PageRecord) | dict.fromkeys(statuses, PageStatus)
    worked: dict[str, PageRecord] = {}
    done: dict[str, PageStatus] = {}

    def look(key: str, record: Any) -> None:
        if isinstance(record, PageRecord):
            if record.optimization is not UNSET or record.accepted is not UNSET:
                worked[key] = record
        elif record.status == "done":
            done[statuses[key]] = record

    before = await read_foreign(store, shapes, 1, look)
    return before, {key: (record, done.get(key)) for key, record in worked.items()}


async def mark_uploaded(
    rows: Sequence[Held], context: Context, before: Mapping[str, bytes] | None = None
) -> dict[str, str]:
    """Write the statuses of stored pages, and return why some could not be written, by page id.

    Without a queue nothing follows a page, and it needs no status, unless it was about to be retired.

    `before`: the values that they replace, where those hold more than this program writes; None: they are read.
    """
    if not rows:
        return {}
    wanted = rows if context.queues else [row for row in rows if not row.digest]
    failed = await put_uploaded([(row.page_id, row.batch_id) for row in wanted], context, before)
    context.ledger.confirm([msgspec.structs.replace(row, step="marked") for row in rows if row.page_id not in failed])
    return failed


async def put_uploaded(
    pages: Sequence[tuple[str, str]], context: Context, before: Mapping[str, bytes] | None = None
) -> dict[str, str]:
    """Write the status `uploaded` of pages, each with its batch; return why some could not be written, by page id."""
    updated = context.clock()
    statuses = {page_id: PageStatus("uploaded", batch_id, updated) for page_id, batch_id in pages}
    return await put_statuses(statuses, context, before) if statuses else {}


async def retire(rows: Sequence[Held], context: Context) -> dict[str, str]:
    """Mark pages inactive whose source is gone, and return why some could not be, by page id.

    Their records stay, but without a digest, so that a page that comes back is sent again.
    """
    context.ledger.confirm(msgspec.structs.replace(row, step="marked", digest="") for row in rows)
    failed: dict[str, str] = {}

    async def retire_some(some: Sequence[Held]) -> None:
        by_key = {page_key(context.project.project_id, row.page_id): row for row in some}
        updated = context.clock()
        writes = []
        for key, value in (await context.store.get(list(by_key))).items():
            row = by_key[key]
            try:
                # A cut connection or a login page may have answered: that must not be written over the record.
                decode(context.store, key, value, PageRecord)
            except UnreadableRecordError as error:
                failed[row.page_id] = str(error)
                continue
            writes.append(Write(key, value, encode(PageMetadata(row.batch_id, row.uploaded, ""))))
        refused = await put_many(context.store, writes, 1)
        failed.update({by_key[key].page_id: error for key, error in refused.items()})
        statuses = {row.page_id: PageStatus("inactive", row.batch_id, updated) for row in some}
        failed.update(await put_statuses(statuses, context))

    await in_parallel(context.slots, runs(rows, context.store.limits.keys), retire_some)
    return failed


async def put_statuses(
    statuses: dict[str, PageStatus], context: Context, before: Mapping[str, bytes] | None = None
) -> dict[str, str]:
    """Write the statuses of pages, and return why some could not be written, by page id."""
    if not statuses:
        return {}
    keys = {page_id: status_key(context.project.project_id, page_id) for page_id in statuses}
    if before is None:
        before = await read_foreign(context.store, dict.fromkeys(keys.values(), PageStatus), 1)
    writes = {
        page_id: status_write(context.project.project_id, page_id, each, before.get(keys[page_id]))
        for page_id, each in statuses.items()
    }
    failed = await put_many(context.store, writes.values(), 1)
    return {page_id: failed[write.key] for page_id, write in writes.items() if write.key in failed}

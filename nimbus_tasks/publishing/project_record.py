"""The `project:` record: stored once by the first command, its counters brought up to date by each upload."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import UNSET

from nimbus_tasks.backends import concurrency
from nimbus_tasks.backends.kv import Write, all_names
from nimbus_tasks.backends.kv.open import Connection, connect
from nimbus_tasks.backends.kv.records import decode_or_skip, encode, rewrite
from nimbus_tasks.model import keys
from nimbus_tasks.model.clock import timestamp
from nimbus_tasks.model.errors import StoreError
from nimbus_tasks.model.records import ProjectRecord, ProjectSettings
from nimbus_tasks.project.init import project_record

if TYPE_CHECKING:
    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.project.settings import Settings
    from nimbus_tasks.publishing.context import Context

#: How old the time of the last activity and the number of batches may be if a few pages are edited.
FRESH = timedelta(days=1)


def store_project(settings: Settings) -> None:
    """Store the record of a project that the target does not have yet."""

    async def put() -> None:
        async with await connect(settings, Connection()) as store:
            key = keys.project_key(settings.project.id)
            if key not in await store.get([key]):
                await store.put([Write(key, encode(project_record(settings, store.owner)))])

    concurrency.run(put())


async def count_usage(context: Context, *, idle: bool = False, edit: bool = False) -> None:
    """Bring the project's counters up to date. They are counted anew, so an interrupted run skews nothing.

    A run with nothing to send (`idle`) writes them only where an interrupted one left them wrong. An `edit` of a few
    pages writes them only if there are more or fewer pages, or after `FRESH`: each save would pay for them otherwise.
    """
    key = keys.project_key(context.project.project_id)
    values = await context.store.get([key])
    record = decode_or_skip(context.store, values, key, ProjectRecord)
    if record is None:
        if key in values:
            return  # it cannot be read, and stays as it is
        record = context.project
    pages, newest = context.ledger.count_active(), context.ledger.newest()
    before = deepcopy(record)
    # What the settings say wins. Where they say nothing, the record's tone and model stay.
    chosen, default = context.project.settings, ProjectSettings()
    record.settings.tone = chosen.tone if chosen.tone != default.tone else record.settings.tone
    record.settings.ai_model = chosen.ai_model if chosen.ai_model != default.ai_model else record.settings.ai_model
    record.name = context.project.name
    record.settings.domain = chosen.domain
    record.settings.content_access = chosen.content_access
    if context.project.redirects is not UNSET:
        record.redirects = context.project.redirects or UNSET
    record.settings.max_pages_per_batch = chosen.max_pages_per_batch
    record.settings.default_concurrency = chosen.default_concurrency
    record.usage.total_pages = pages
    counted = record.usage.last_activity
    same_content = (record.redirects, record.settings.content_access) == (
        before.redirects,
        before.settings.content_access,
    )
    is_counted = before.usage.total_pages == pages and (not newest or (counted is not UNSET and counted >= newest))
    if idle and same_content and is_counted:
        return
    if edit and record == before and counted is not UNSET and counted >= _before(FRESH):
        return
    record.usage.total_batches = await _count_batches(context, record.usage.total_batches)
    record.usage.last_activity = context.clock()
    stored = await context.store.put([Write(key, rewrite(key, values.get(key), record))])
    if stored.failed:
        # Otherwise the site would count as published, and the next run would not count again.
        raise StoreError(f"{key} could not be stored: {stored.failed[key]}", "Run doit upload again.")


def _before(age: timedelta) -> str:
    return timestamp(datetime.now(UTC) - age)


async def store_choice(store: Store, before: bytes, record: ProjectRecord, tone: str, ai_model: str) -> None:
    """Store the tone and the model that pages are optimised with, if the project's record names others.

    `before`: the value that holds the record.
    """
    if (record.settings.tone, record.settings.ai_model) == (tone, ai_model):
        return
    key = keys.project_key(record.project_id)
    record.settings.tone, record.settings.ai_model = tone, ai_model
    stored = await store.put([Write(key, rewrite(key, before, record))])
    if stored.failed:
        store.warn(f"{key} could not be stored: {stored.failed[key]}")


async def _count_batches(context: Context, before: int) -> int:
    """Count the batches at the target. A listing may not show the newest yet, and the ledger knows only its own."""
    known = {keys.batch_key(context.project.project_id, each) for each in context.ledger.batches()}
    if not context.store.traits.lists:
        return max(before, len(known))
    prefix = keys.batch_key(context.project.project_id, "")
    return len(known | {listed.key async for listed in all_names(context.store, prefix)})

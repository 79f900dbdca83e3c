"""What a command needs to reach the target that the settings name: whose ledger it is, the pace, the project there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from nimbus_tasks.backends.kv import Write
from nimbus_tasks.backends.kv.open import open_steadily
from nimbus_tasks.backends.kv.pacing import Pacing
from nimbus_tasks.project.init import project_key, project_record
from nimbus_tasks.publishing.options import Request

if TYPE_CHECKING:
    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.project.settings import Settings


def target_identity(store: Store, settings: Settings) -> str:
    """Return what a ledger must speak of to be believed: this store, and this project in it."""
    return f"{store.identity} {settings.project.id}"


def pacing(settings: Settings, request: Request) -> Pacing:
    """Return the pace that the settings and the request ask for."""
    return Pacing(
        slots=settings.upload.concurrency if request.concurrency is None else request.concurrency,
        delay=(settings.upload.delay if request.delay is None else request.delay) / 1000,
        give_up_after=settings.upload.give_up_after,
    )


def store_project(settings: Settings) -> None:
    """Store the record of a project that has none at the target yet."""

    async def put() -> None:
        store = await open_steadily(Path(), settings, pacing(settings, Request()))
        try:
            key = project_key(settings)
            if key not in await store.get([key]):
                await store.put([Write(key, msgspec.json.encode(project_record(settings, store.owner)))])
        finally:
            await store.close()

    asyncio.run(put())

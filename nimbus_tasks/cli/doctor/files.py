"""Facts about the blob store: whether it answers and accepts the credentials. Nothing is written there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from nimbus_tasks.backends import concurrency
from nimbus_tasks.backends.blobs.open import open_blob_store
from nimbus_tasks.cli.doctor.findings import failed, ok, problem
from nimbus_tasks.cli.doctor.target import ALL_SECONDS, CONNECT_SECONDS, READ_SECONDS
from nimbus_tasks.model.errors import NimbusError
from nimbus_tasks.pipeline.assets import blob_target, name_of

if TYPE_CHECKING:
    from pathlib import Path

    from nimbus_tasks.backends.blobs.open import BlobTarget
    from nimbus_tasks.cli.doctor.findings import Finding
    from nimbus_tasks.project.settings import Settings

_NEXT = "Check [assets], the network and the service's status page. doit nimbus:test-upload tries an upload."


def check_files(root: Path, settings: Settings) -> list[Finding]:
    """Check the blob store that the settings name, if they name one."""
    if not settings.assets.store:
        return []
    target = blob_target(settings)
    if target.store == "folder" and not (root / target.path).exists():
        return [ok("files", f"{target.path} does not exist yet: the first upload creates it")]
    hasty = {"connect_timeout": CONNECT_SECONDS, "read_timeout": READ_SECONDS, "tries": 1}
    return [concurrency.run(_look(root, msgspec.structs.replace(target, **hasty)))]


async def _look(root: Path, target: BlobTarget) -> Finding:
    try:
        async with asyncio.timeout(ALL_SECONDS):
            store = await open_blob_store(target, root)
            await store.close()
    except TimeoutError:
        return problem("files", f"{name_of(target)} did not answer within {ALL_SECONDS:g} s.", _NEXT)
    except NimbusError as error:
        return failed("files", error)
    return ok("files", f"{name_of(target)} can be used")

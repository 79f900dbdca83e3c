"""Facts about the blob store: access, what its plan allows, and whether browsers may upload.

Nothing is written there; `doit nimbus:test-upload` shows how it handles checksums.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from nimbus_tasks.backends import concurrency
from nimbus_tasks.backends.blobs.open import PINATA_PLANS, blob_store, open_blob_store
from nimbus_tasks.backends.blobs.s3 import S3Store
from nimbus_tasks.cli.doctor.findings import failed, ok, problem
from nimbus_tasks.cli.doctor.target import ALL_SECONDS, CONNECT_SECONDS, READ_SECONDS
from nimbus_tasks.model.errors import NimbusError
from nimbus_tasks.pipeline.asset_target import blob_target, name_of
from nimbus_tasks.project.environment import Environment

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
    return concurrency.run(_look(root, msgspec.structs.replace(target, **hasty), settings.project.domain))


async def _look(root: Path, target: BlobTarget, domain: str) -> list[Finding]:
    plan = Environment(None, root).text("PINATA_PLAN").lower() or target.plan
    rate = (
        f" (plan {plan}: {PINATA_PLANS[plan]} requests a minute)"
        if target.store == "pinata" and plan in PINATA_PLANS
        else ""
    )
    try:
        async with asyncio.timeout(ALL_SECONDS):
            store = await open_blob_store(target, root)
            await store.close()
            more = [await _browsers(root, target, domain)] if target.store == "s3" and domain else []
    except TimeoutError:
        return [problem("files", f"{name_of(target)} did not answer within {ALL_SECONDS:g} s.", _NEXT)]
    except NimbusError as error:
        return [failed("files", error)]
    return [ok("files", f"{name_of(target)} can be used{rate}"), *more]


async def _browsers(root: Path, target: BlobTarget, domain: str) -> Finding:
    """Tell whether a page of the site may upload to the bucket. Only uploads from browsers need it."""
    store, origin = blob_store(target, root), f"https://{domain}"
    assert isinstance(store, S3Store)
    try:
        allowed = await store.allows(origin)
    finally:
        await store.close()
    verb = "lets" if allowed else "does not let"
    needed = "" if allowed else "; only uploads from browsers need that"
    return ok("cors", f"{name_of(target)} {verb} pages of {origin} upload{needed}")

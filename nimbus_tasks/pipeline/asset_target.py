"""The blob store that the settings name, and its name for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import msgspec

from nimbus_tasks.backends.blobs.open import BlobTarget
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.project.settings import PROJECT_FILE, BlobStoreName

if TYPE_CHECKING:
    from nimbus_tasks.project.settings import Settings

#: Files at a time where the settings do not say: Pinata limits the requests a minute.
SLOTS, FEW_SLOTS = 16, 3
#: More files at a time make a service slower for its other users.
MOST_SERVER_SLOTS = 8
#: Attempts for each request to a service, at least: addresses expire, and it limits the rate.
SERVER_TRIES = 5


def name_of(target: BlobTarget) -> str:
    """Return what people call a blob store."""
    return {"folder": target.path, "s3": f"the bucket {target.bucket}", "server": "the service"}.get(
        target.store, "Pinata"
    )


def with_store(settings: Settings, store: str) -> Settings:
    """Return settings that name another blob store. store: empty: the same settings."""
    if not store:
        return settings
    return msgspec.structs.replace(settings, assets=msgspec.structs.replace(settings.assets, store=store))


def check_store(store: str) -> None:
    """Check the name of a blob store.

    Raises:
        SettingsError: it is none.
    """
    if store not in get_args(BlobStoreName):
        raise SettingsError(f"--store={store} is no blob store.", "It is one of: folder, s3, pinata, server.")


def blob_target(settings: Settings) -> BlobTarget:
    """Return the blob store that the settings name.

    Raises:
        SettingsError: they name none.
    """
    assets, upload_ = settings.assets, settings.upload
    check_store(assets.store)
    if not assets.store:
        raise SettingsError(
            f"{PROJECT_FILE}: [assets] store is not set, so images and files are not uploaded.",
            'Set it to "folder", "s3", "pinata" or "server".',
        )
    slots = assets.concurrency or (FEW_SLOTS if assets.store in ("pinata", "server") else SLOTS)
    return BlobTarget(
        store=assets.store,
        endpoint=assets.endpoint,
        bucket=assets.bucket,
        prefix=assets.prefix,
        region=assets.region,
        public_url=assets.public_url,
        plan=assets.plan,
        group_id=assets.group_id,
        service_url=assets.service_url,
        concurrency=min(slots, MOST_SERVER_SLOTS) if assets.store == "server" else slots,
        tries=max(upload_.tries, SERVER_TRIES) if assets.store == "server" else upload_.tries,
        retry_wait=upload_.retry_wait,
        give_up_after=upload_.give_up_after,
        connect_timeout=settings.target.connect_timeout,
        read_timeout=settings.target.read_timeout,
    )

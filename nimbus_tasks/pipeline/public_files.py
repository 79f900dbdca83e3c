"""Where readers get the files of the site that are stored as they are now, with their narrower copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.assets.copies import with_copies
from nimbus_tasks.backends.blobs.open import blob_store, service_address
from nimbus_tasks.html.apply.file_addresses import PublicFile
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.model.progress import silently
from nimbus_tasks.pipeline.asset_request import recipe_of
from nimbus_tasks.project.settings import PROJECT_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nimbus_tasks.assets.asset_file import AssetFile, Content
    from nimbus_tasks.backends.blobs import Location
    from nimbus_tasks.pipeline.assets import AssetStage
    from nimbus_tasks.project.settings import Assets, Settings


class StoredFile(Struct, frozen=True):
    """A file of the site, and where it and its narrower copies are stored."""

    file: AssetFile
    location: Location
    copies: tuple[tuple[Content, Location], ...] = ()


def public_files(stage: AssetStage, settings: Settings) -> dict[str, PublicFile]:
    """Return where readers get the files of the site that are uploaded as they are now, by source path.

    Raises:
        SettingsError: nothing says where readers get them, or they cannot.
    """
    service = service_address(stage.target).rstrip("/") if settings.assets.store == "server" else ""
    private = service and f"{service}/files/"
    found = {}
    for stored in stored_files(stage, settings):
        sent = stored.file.sent
        copies = tuple((_public_url(where, settings.assets, private), copy.width) for copy, where in stored.copies)
        url = _public_url(stored.location, settings.assets, private)
        found[stored.file.path] = PublicFile(url, sent.width, sent.height, copies)
    return found


def _public_url(location: Location, assets: Assets, private: str) -> str:
    if private and location.url.startswith(private):
        raise SettingsError(
            "The service gives the files in its folder to their owner only, so readers of pages would not see them.",
            'Let it keep them in a bucket that readers reach: [server] storage = "s3" and [assets] public_url there.',
        )
    if location.url.startswith(("https://", "http://")):
        return location.url
    if not assets.public_url:
        raise SettingsError(
            f"{PROJECT_FILE}: [assets] public_url is not set.",
            "Set it to the address where readers find the files.",
        )
    return f"{assets.public_url.rstrip('/')}/{'/'.join(location.url.split('/')[-2:])}"


def stored_files(stage: AssetStage, settings: Settings) -> Iterator[StoredFile]:
    """Yield the files of the site that are stored as they are now, and where. Nothing is sent.

    Raises:
        SettingsError: settings or credentials are missing.
    """
    identity = blob_store(stage.target).identity
    held, made = stage.ledger.held(identity), stage.ledger.made()
    found = stage.discover(silently).files
    copied = with_copies(found, recipe_of(settings), stage.ledger, held)
    pending = {file.sha256 for file in copied.pending}
    for file in copied.files:
        # What was uploaded with --compress, or before the settings changed, is still there.
        last = made.get(file.sha256)
        other = msgspec.structs.replace(file, whole=last.whole, narrower=last.narrower) if last else file
        for each in (other, file) if file.sha256 in pending else (file, other):
            if each.sent.sha256 in held:
                yield _located(stage, identity, each)
                break


def _located(stage: AssetStage, identity: str, file: AssetFile) -> StoredFile:
    known = [stage.ledger.stored(identity, sha256) for sha256 in file.digests]
    location, *copies = [each and each[0] for each in known]
    assert location is not None
    placed = zip(file.narrower, copies, strict=True)
    return StoredFile(file, location, tuple((copy, where) for copy, where in placed if where is not None))

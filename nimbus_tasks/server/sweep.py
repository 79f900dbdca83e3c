"""What was begun and not completed is removed: uploads with their bytes, files of no asset, old sessions and links."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, select

from nimbus_tasks.backends.kv import all_names
from nimbus_tasks.model.clock import seconds_of
from nimbus_tasks.server import uploads
from nimbus_tasks.server.assets import now_ms
from nimbus_tasks.server.storage import Upload
from nimbus_tasks.server.tables import assets
from nimbus_tasks.server.tables import uploads as open_uploads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nimbus_tasks.server.service import Service

#: Uploads that are removed at a time.
_AT_ONCE = 500
#: Files whose rows are looked up at a time.
_LOOKED_UP = 500
#: Seconds after which a file without a row is an orphan. An upload may take this long after its address was signed.
ORPHAN_SECONDS = 24 * 3600.0


class _Expiring(Struct):
    expires: str | float = 0.0


async def sweep_uploads(service: Service, now: int | None = None) -> int:
    """Remove uploads whose address expired a while ago; return how many. now: epoch milliseconds."""
    limit = (now_ms() if now is None else now) - 1000 * service.settings.server.sweep_after
    query = select(open_uploads).where(open_uploads.c.expires_at < limit).limit(_AT_ONCE)
    removed = 0
    while rows := await service.database.read(lambda connection: connection.execute(query).all()):
        for row in rows:
            await uploads.give_up(service, Upload(*row))
        removed += len(rows)
    if removed:
        service.log.event("info", "abandoned uploads removed", count=removed)
    return removed


async def sweep_orphans(service: Service, older_than: float = ORPHAN_SECONDS) -> int:
    """Remove files that belong to no asset and no upload; return how many. older_than: seconds."""
    limit = now_ms() / 1000 - older_than
    removed, found = 0, list[str]()
    async for pathname, stored in service.storage.list():
        if stored <= limit and pathname.startswith(("assets/", "thumbnails/", "parts/")):
            found.append(pathname)
        if len(found) == _LOOKED_UP:
            removed += await _remove_orphans(service, found)
            found.clear()
    removed += await _remove_orphans(service, found)
    if removed:
        service.log.event("warning", "files of no asset removed", count=removed)
    return removed


async def sweep_records(service: Service) -> int:
    """Remove sessions and login links that have expired; return how many."""
    removed = 0
    for prefix in ("session:", "login:"):
        async for listed in all_names(service.records, prefix):
            value = (await service.records.get([listed.key])).get(listed.key, b"{}")
            expires = msgspec.json.decode(value, type=_Expiring).expires
            ends = expires if isinstance(expires, float) else seconds_of(expires)
            if 1000 * ends < now_ms():
                removed += await service.records.take(listed.key) is not None
    return removed


async def _remove_orphans(service: Service, pathnames: Sequence[str]) -> int:
    ids = {pathname: _asset_id(pathname) for pathname in pathnames}

    def known(connection: Connection) -> set[str]:
        ours = select(assets.c.id).where(assets.c.id.in_(ids.values()))
        begun = select(open_uploads.c.asset_id).where(open_uploads.c.asset_id.in_(ids.values()))
        return {*connection.scalars(ours), *connection.scalars(begun)}

    there = await service.database.read(known) if ids else set()
    orphans = [pathname for pathname, asset_id in ids.items() if asset_id not in there]
    for pathname in orphans:
        await service.storage.remove(pathname)
    return len(orphans)


def _asset_id(pathname: str) -> str:
    """Return whose file it is: assets/USER/ID/NAME, thumbnails/USER/ID.webp, parts/ID/NUMBER."""
    parts = pathname.split("/")
    name = parts[1] if parts[0] == "parts" else parts[2] if len(parts) > 2 else ""
    return name.partition(".")[0]

"""What nobody needs is removed: abandoned uploads, files of deleted assets or of none, old sessions and links."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, or_, select

from nimbus_tasks.backends.kv import all_names
from nimbus_tasks.model.clock import seconds_of
from nimbus_tasks.server import completion
from nimbus_tasks.server.assets import RESTORABLE_SECONDS, now_ms
from nimbus_tasks.server.rate_limit import CRON, LOGIN, Rate
from nimbus_tasks.server.storage import Upload
from nimbus_tasks.server.tables import assets, buckets
from nimbus_tasks.server.tables import uploads as open_uploads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nimbus_tasks.server.service import Service

#: Uploads that are removed at a time.
_AT_ONCE = 500
#: Files whose rows are looked up at a time.
_LOOKED_UP = 500
#: Seconds after which a file without a row is an orphan: an upload may take this long after its address was signed.
#: The files of a deleted asset are kept as long: an hour more than it can be restored, since a sweep takes a while.
ORPHAN_SECONDS = RESTORABLE_SECONDS + 3600.0


class _Expiring(Struct):
    expires: str | float = 0.0


async def sweep_uploads(service: Service, now: int | None = None) -> int:
    """Remove uploads whose address expired a while ago; return how many. now: epoch milliseconds."""
    limit = (now_ms() if now is None else now) - 1000 * service.settings.server.sweep_after
    query = select(open_uploads).where(open_uploads.c.expires_at < limit).limit(_AT_ONCE)
    removed = 0
    while rows := await service.database.read(lambda connection: connection.execute(query).all()):
        for row in rows:
            await completion.give_up(service, Upload(*row))
        removed += len(rows)
    if removed:
        service.log.event("info", "abandoned uploads removed", count=removed)
    return removed


async def sweep_orphans(service: Service, older_than: float = ORPHAN_SECONDS) -> int:
    """Remove files of no asset and no upload, and of deleted assets; return how many. older_than: seconds."""
    limit = now_ms() / 1000 - older_than
    removed, found = 0, list[str]()
    async for pathname, stored in service.storage.list():
        if stored <= limit and pathname.startswith(("assets/", "thumbnails/", "parts/")):
            found.append(pathname)
        if len(found) == _LOOKED_UP:
            removed += await _remove_orphans(service, found, limit)
            found.clear()
    removed += await _remove_orphans(service, found, limit)
    if removed:
        service.log.event("warning", "files that nothing needs removed", count=removed)
    return removed


async def sweep_records(service: Service) -> int:
    """Remove sessions and login links that have expired, and full buckets of rate limits; return how many."""
    removed = 0
    for prefix in ("session:", "login:"):
        async for listed in all_names(service.records, prefix):
            value = (await service.records.get([listed.key])).get(listed.key, b"{}")
            expires = msgspec.json.decode(value, type=_Expiring).expires
            ends = expires if isinstance(expires, float) else seconds_of(expires)
            if 1000 * ends < now_ms():
                removed += await service.records.take(listed.key) is not None
    settings = service.settings.server
    minutes = 1 + max(
        rate.tokens / rate.per_minute for rate in (LOGIN, CRON, Rate(settings.rate_tokens, settings.rate_per_minute))
    )
    full = buckets.delete().where(buckets.c.updated < now_ms() - round(60_000 * minutes))
    return removed + await service.database.write(lambda connection: connection.execute(full).rowcount)


async def _remove_orphans(service: Service, pathnames: Sequence[str], limit: float) -> int:
    """Remove those files that nothing needs. limit: epoch seconds; what was deleted before is needed no more."""
    ids = {pathname: _asset_id(pathname) for pathname in pathnames}

    def known(connection: Connection) -> set[str]:
        needed = or_(assets.c.deleted_at.is_(None), assets.c.deleted_at > 1000 * limit)
        ours = select(assets.c.id).where(assets.c.id.in_(ids.values()), needed)
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

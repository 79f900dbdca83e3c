"""Routes: the `route:` records, by which a page is found by its address.

What the addresses are is computed from the site's pages; what the target holds is in the ledger. A route is written
only where it is new, or leads to another page. None is removed: the record of a page whose source is gone says so.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.backends.concurrency import in_parallel, pack
from nimbus_tasks.backends.kv import Write, all_names
from nimbus_tasks.backends.kv.records import encode, read_many
from nimbus_tasks.model import lenient
from nimbus_tasks.model.errors import StoreError
from nimbus_tasks.model.keys import route_key, route_name, route_prefix
from nimbus_tasks.model.records import RouteRecord
from nimbus_tasks.project.spool import Spool, among, runs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.publishing.context import Context

#: Routes that are read at once from a target that cannot list its keys, and confirmed at once.
AT_ONCE = 10_000


class Address(Struct, frozen=True, gc=False):
    """An address that a page has. place: the one that its file would have; another one is canonical."""

    path: str
    place: str
    page_id: str
    source_path: str

    @property
    def rank(self) -> str:
        """Sorts by the route; of pages with the same, the one whose file has that place comes first."""
        return f"{route_name(self.path)}\0{self.path != self.place:d}\0{self.source_path}"


class Route(Struct, frozen=True, gc=False):
    """A route. name: the last part of its key."""

    name: str
    page_id: str


class Shared(Struct, frozen=True):
    """An address that several pages have. found: the source path of the one that is found by it."""

    path: str
    found: str
    others: tuple[str, ...]

    def __str__(self) -> str:
        more = f" and {len(self.others) - 1} more" if len(self.others) > 1 else ""
        pages = f"{self.found}, {self.others[0]}{more}" if more else f"{self.found} and {self.others[0]}"
        return f"{pages} have one address, {self.path}: only {self.found} is found by it."


class _Metadata(Struct):
    page_id: str = ""


def find_routes(addresses: Iterable[Address]) -> tuple[Spool[Route], list[Shared]]:
    """Return the routes to these pages, and the addresses that several of them have. Pure.

    A page whose canonical address is that of another one is found by the place of its file.
    """
    found: Spool[Route] = Spool(Route, rank=lambda route: route.name)
    shared: list[Shared] = []
    beside: list[Address] = []
    ordered = Spool(Address, addresses, rank=lambda address: address.rank).in_order()
    for name, some in groupby(ordered, lambda address: route_name(address.path)):
        first, *others = some
        found.append(Route(name, first.page_id))
        beside += [msgspec.structs.replace(each, path=each.place) for each in others if each.path != each.place]
        if same := tuple(each.source_path for each in others if each.path == each.place):
            shared.append(Shared(first.path, first.source_path, same))
    if beside:
        is_taken = among([route.name for route in found.in_order()])
        beside.sort(key=lambda address: address.rank)
        for name, some in groupby(beside, lambda address: route_name(address.path)):
            if not is_taken(name):
                found.append(Route(name, next(some).page_id))
    return found, shared


def changed_routes(found: Iterable[Route], held: Iterable[Route]) -> Iterator[tuple[Route, str]]:
    """Yield the routes that the target lacks, or that lead to another page there: to which. Pure.

    Both are in the order of their names.
    """
    left = iter(held)
    at = next(left, None)
    for route in found:
        while at is not None and at.name < route.name:
            at = next(left, None)
        before = at.page_id if at is not None and at.name == route.name else ""
        if before != route.page_id:
            yield route, before


async def publish_routes(context: Context, addresses: Iterable[Address], *, whole: bool) -> list[Shared]:
    """Write the routes that the target lacks, and return the addresses that several pages have.

    whole: these are all pages of the site; otherwise a route that leads to another page stays.

    Raises:
        StoreError: the target does not answer, or refuses a route.
        StateError: the ledger cannot be used.
    """
    ledger, store, project_id = context.ledger, context.store, context.project.project_id
    found, shared = find_routes(addresses)
    if not ledger.knows_routes:
        held: Spool[Route] = Spool(Route, rank=lambda route: route.name)
        async for route in _routes_at(store, project_id, found):
            held.append(route)
        ledger.replace_routes((route.name, route.page_id) for route in held.in_order())
    before = (Route(*row) for row in ledger.routes())
    changed = Spool(Route, (route for route, other in changed_routes(found.in_order(), before) if whole or not other))
    wanted = (route for route in changed if _is_stored(context, route.page_id))
    for some in runs(wanted, AT_ONCE):
        await _write(context, some)
    return shared


def _is_stored(context: Context, page_id: str) -> bool:
    row = context.ledger.page(page_id)
    return row is not None and row.step != "retired"


async def _write(context: Context, routes: Sequence[Route]) -> None:
    project_id, updated = context.project.project_id, context.clock()
    names = {route_key(project_id, route.name): route for route in routes}
    writes = [
        Write(key, encode(RouteRecord(route.page_id, updated)), encode(_Metadata(route.page_id)))
        for key, route in names.items()
    ]
    failed: dict[str, str] = {}

    async def put(some: Sequence[Write]) -> None:
        stored = await context.store.put(some)
        failed.update(stored.failed)
        done = [names[write.key] for write in some if write.key not in stored.failed]
        context.ledger.confirm_routes((route.name, route.page_id) for route in done)

    await in_parallel(context.slots, pack(writes, lambda write: write.size, context.store.limits), put)
    for key, why in failed.items():
        raise StoreError(f"{key} could not be stored: {why}.", "Run doit upload again.")


async def _routes_at(store: Store, project_id: str, found: Iterable[Route]) -> AsyncIterator[Route]:
    """Yield the routes that the target holds; of a target that cannot list its keys, those among `found`."""
    prefix = route_prefix(project_id)
    if store.traits.lists:
        async for listed in all_names(store, prefix):
            try:
                page_id = msgspec.json.decode(listed.metadata, type=_Metadata).page_id
            except lenient.UNDECODABLE:
                page_id = ""  # another tool wrote it: it is written once more
            yield Route(listed.key.removeprefix(prefix), page_id)
        return
    for some in runs(found, AT_ONCE):
        read = await read_many(store, [prefix + route.name for route in some], RouteRecord)
        for key, record in read.items():
            yield Route(key.removeprefix(prefix), record.page_id)

"""Routes: a page is found by its address, and a route is written only where it is new or changed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from backends.kv.memory import MemoryStore
from hypothesis import given
from hypothesis import strategies as st

from nimbus_tasks.backends.kv import Traits
from nimbus_tasks.model.errors import StoreError
from nimbus_tasks.model.keys import LONGEST_ROUTE, route_name
from nimbus_tasks.model.records import ProjectRecord, ProjectSettings, ProjectUsage
from nimbus_tasks.publishing.context import Context
from nimbus_tasks.publishing.ledger import Ledger
from nimbus_tasks.publishing.plan import Held
from nimbus_tasks.publishing.routes import Address, Route, Shared, changed_routes, find_routes, publish_routes

if TYPE_CHECKING:
    from nimbus_tasks.publishing.plan import Step

PROJECT = "proj_0123456789ab"


def address(path: str, page: str, place: str = "") -> Address:
    return Address(path, place or path, f"page_{page}", f"dist/{page}.html")


def found(*addresses: Address) -> tuple[dict[str, str], list[Shared]]:
    routes, shared = find_routes(addresses)
    return {route.name: route.page_id for route in routes.in_order()}, shared


def test_each_address_leads_to_its_page() -> None:
    long = "/" + "x" * LONGEST_ROUTE
    assert found(address("/b", "b"), address("/a", "a"), address(long, "c")) == (
        {"/a": "page_a", "/b": "page_b", route_name(long): "page_c"},
        [],
    )
    assert route_name(long).startswith("sha256:")


def test_of_two_files_with_one_address_the_first_is_found() -> None:
    routes, (shared,) = found(address("/a/", "b"), address("/a/", "a"), address("/a/", "c"))
    assert routes == {"/a/": "page_a"}
    assert str(shared) == (
        "dist/a.html, dist/b.html and 1 more have one address, /a/: only dist/a.html is found by it."
    )
    assert str(Shared("/", "x", ("y",))) == "x and y have one address, /: only x is found by it."


def test_a_copy_of_another_page_is_found_by_the_place_of_its_file() -> None:
    copies = [address("/a", "b", place="/b"), address("/a", "c", place="/c"), address("/c", "d")]
    assert found(address("/a", "z"), *copies) == ({"/a": "page_z", "/b": "page_b", "/c": "page_d"}, [])
    # Without the page that they are copies of, the first of them is it.
    assert found(*copies[:2]) == ({"/a": "page_b", "/c": "page_c"}, [])


_ROUTES = st.dictionaries(st.text("ab/", max_size=3), st.sampled_from("xyz"))


@given(_ROUTES, _ROUTES)
def test_what_changed_is_what_differs(wanted: dict[str, str], held: dict[str, str]) -> None:
    here, there = (map(Route, sorted(each), map(each.get, sorted(each))) for each in (wanted, held))  # type: ignore[arg-type]
    changed = changed_routes(here, there)
    assert [(route.name, route.page_id, before) for route, before in changed] == [
        (name, page_id, held.get(name, "")) for name, page_id in sorted(wanted.items()) if held.get(name) != page_id
    ]


# --- writing ------------------------------------------------------------------------------------------


class Site:
    """A ledger, a store, and the pages that the store holds."""

    def __init__(self, traits: Traits | None = None) -> None:
        self.store = MemoryStore(traits=traits)
        self.ledger = Ledger(Path("unused"), "memory", dry_run=True)
        self.ledger.begin("here")

    def hold(self, pages: str, step: Step = "enqueued") -> None:
        rows = (Held(f"page_{page}", f"dist/{page}.html", "d" * (step != "retired"), "b", "", step) for page in pages)
        self.ledger.confirm(rows)

    def publish(self, *addresses: Address, whole: bool = True) -> list[Shared]:
        project = ProjectRecord(PROJECT, "u", "n", "", ProjectSettings(), ProjectUsage())
        unused: Any = None
        context = Context(project, "memory", self.store, self.ledger, lambda: "now", unused, unused)
        return asyncio.run(publish_routes(context, addresses, whole=whole))

    @property
    def routes(self) -> dict[str, str]:
        prefix = f"route:{PROJECT}:"
        found = {key.removeprefix(prefix): json.loads(value) for key, value in sorted(self.store.values.items())}
        assert all(record["updated"] == "now" for record in found.values())
        return {name: record["page_id"] for name, record in found.items()}

    def take_puts(self) -> int:
        """Return how many routes were written since the last call."""
        puts = sum(len(keys) for call, keys in self.store.calls if call == "put")
        self.store.calls.clear()
        return puts


ALL = [address(f"/{page}", page) for page in "abcdefgh"]


def test_a_route_is_written_once() -> None:
    site = Site()
    site.hold("abcdefgh")
    assert site.publish(*ALL) == []
    assert site.routes == {f"/{page}": f"page_{page}" for page in "abcdefgh"}
    assert site.take_puts() == 8
    site.publish(*ALL)
    assert site.store.calls == []  # one edit costs what it cost before


def test_pages_that_trade_places_and_one_that_goes() -> None:
    site = Site()
    site.hold("abc")
    site.publish(*ALL[:3])
    site.take_puts()
    site.hold("c", "retired")
    site.publish(address("/b", "a"), address("/a", "b"))
    assert site.routes == {"/a": "page_b", "/b": "page_a", "/c": "page_c"}  # the record of c says that it is gone
    assert site.take_puts() == 2


def test_a_page_that_is_not_stored_has_no_route() -> None:
    site = Site()
    site.hold("a")
    site.hold("b", "retired")
    site.publish(*ALL[:3])
    assert site.routes == {"/a": "page_a"}


def test_some_pages_of_a_site_take_no_address_from_others() -> None:
    site = Site()
    site.hold("ab")
    site.publish(ALL[0])
    site.publish(address("/a", "b"), address("/b", "b"), whole=False)
    assert site.routes == {"/a": "page_a", "/b": "page_b"}


@pytest.mark.parametrize("traits", [Traits(), Traits(lists=False)])
def test_a_ledger_that_knows_nothing_asks_the_target(traits: Traits) -> None:
    site = Site(traits)
    site.hold("abcd")
    site.publish(*ALL[:4])
    key = f"route:{PROJECT}:/a"
    site.store.values[key], site.store.metadata[key] = b'{"page_id":"page_b","updated":"now"}', b'{"page_id":"page_b"}'
    site.take_puts()
    site.ledger.replace("here", list(site.ledger.rows()), [])
    site.publish(*ALL[:4])
    assert site.routes["/a"] == "page_a"
    assert site.take_puts() == 1


def test_a_route_of_another_program_is_written_again() -> None:
    site = Site()
    site.hold("a")
    key = f"route:{PROJECT}:/a"
    site.store.values[key], site.store.metadata[key] = b"{}", b""
    site.publish(ALL[0])
    assert site.routes == {"/a": "page_a"}


def test_what_was_stored_is_known_although_the_store_refuses_one() -> None:
    site = Site()
    site.hold("abcdefgh")
    site.store.refuse[f"route:{PROJECT}:/b"] = "no"
    with pytest.raises(StoreError, match="/b could not be stored: no"):
        site.publish(*ALL)
    site.store.refuse.clear()
    site.take_puts()
    site.publish(*ALL)
    assert site.take_puts() == 1
    assert len(site.routes) == 8

"""Publishing over HTTP: whole `doit upload` processes, beside what others do to get the same pages into KV.

Each server is an empty process of its own (`servers.py`). What is timed is checked: each page is stored with its
status, and stands in the queue once. The classic client loses some of its queue; a row says how many.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from benchmarks import servers, sites, uploads
from benchmarks.timing import Figure, Row, against, faster, in_turn, run, say, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.servers import Server
    from benchmarks.sites import Site
    from benchmarks.timing import Size
    from benchmarks.uploads import Recorded, Sent, Serve

_PEERS = Path(__file__).parent / "peers"
_WRANGLER = Path(__file__).parents[1] / "tests" / "node" / "node_modules" / ".bin" / "wrangler"
#: Pages at a time: what a new project's settings say, and what the classic client does.
SLOTS = 5
#: What the classic client waits where somebody is careful. It takes minutes, so fewer pages are sent.
DELAY_MS = 200
DELAYED_PAGES = 500
#: Names that one page of a listing has.
LISTED = 1000


# --- through the Worker -------------------------------------------------------------------------------------


def gateway(size: Size) -> Iterator[Row]:
    """Publish a site through a Worker, beside the classic client, and beside bulk bodies that are ready."""
    pages = 250 if size.quick else 2_000
    say(f"gateway: {pages:,} pages")
    with uploads.ready(pages) as site, uploads.recorded(site, servers.worker) as recorded:
        what = f"{pages:,} new pages of {site.describe()} through the gateway"
        contenders = {
            "ours": lambda: uploads.publish(site, servers.worker),
            "classic": lambda: _classic_client(recorded, pages).seconds,
            "ours on classic": lambda: uploads.publish(site, servers.classic),
            "floor": lambda: uploads.put_bodies(recorded, pages, servers.worker, 1),
            "floor in slots": lambda: uploads.put_bodies(recorded, pages, servers.worker, SLOTS),
        }
        taken = in_turn(contenders, size.runs(5), warm_ups=0 if size.quick else 1)
        yield faster(what, taken["ours"], taken["classic"], "classic client, no delay", at_least=20)
        yield against(what, taken["ours"], taken["floor"], "bare httpx, one request at a time")
        yield against(what, taken["ours"], taken["floor in slots"], f"bare httpx, {SLOTS} at a time")
        yield faster(f"{what}, a classic one", taken["ours on classic"], taken["classic"], "classic client, no delay")
        if not size.quick:
            yield _delayed(what, taken["ours"], recorded, pages)
        yield from _bytes_of(site, recorded)


def _delayed(what: str, ours: Figure, recorded: Recorded, pages: int) -> Row:
    say(f"gateway: the classic client with a delay, {DELAYED_PAGES} pages")
    seconds = _classic_client(recorded, DELAYED_PAGES, DELAY_MS).seconds
    scaled = Figure("s", (seconds * pages / DELAYED_PAGES,))
    beside = f"classic client, {DELAY_MS} ms between requests (scaled from {DELAYED_PAGES} pages)"
    return faster(what, ours, scaled, beside)


def _bytes_of(site: Site, recorded: Recorded) -> Iterator[Row]:
    """Count bytes of request bodies at a quarter, a half and all of the pages, and what is in the queue then."""
    counts = [site.pages // 4, site.pages // 2, site.pages]
    say(f"gateway: bytes of {counts} pages")
    ours, classic = {}, {}
    for pages in counts:
        ours[pages] = Figure("kB a page", (_bytes_sent(site, pages) / pages / 1000,))
        ended = _classic_client(recorded, pages)
        classic[pages] = Figure("kB a page", (ended.sent / pages / 1000,))
        what = f"bytes sent for {pages:,} new pages through the gateway"
        yield against(what, ours[pages], classic[pages], "classic client")
    few, many = counts[0], counts[-1]
    what = f"bytes a page of {many:,} pages"
    yield against(what, ours[many], ours[few], f"of {few:,} pages", at_most=1.1)
    yield against(f"{what}, classic client", classic[many], classic[few], f"of {few:,} pages")
    ours_queued, queued = Figure("pages", (float(many),)), Figure("pages", (float(ended.queued),))
    yield against(f"in the queue after {many:,} pages", ours_queued, queued, "classic client, no delay")


class _Told(Struct):
    """What the classic client prints."""

    requests: int
    sent: int


class _Classic(Struct, frozen=True):
    """How a run of the classic client ended."""

    seconds: float
    sent: int
    queued: int


def _classic_client(recorded: Recorded, pages: int, delay_ms: int = 0) -> _Classic:
    script = str(_PEERS / "classic_client.mjs")
    with servers.classic() as server:
        command = ["node", script, str(recorded.pairs), str(pages), str(SLOTS), str(delay_ms)]
        ended = run(command, recorded.folder, server.environment)
        holds = server.holds(recorded.project)
    holds.check_records(pages)
    told = msgspec.json.decode(ended.output, type=_Told)
    if told.requests != 4 * pages:
        sys.exit(f"The classic client sent {told.requests} requests for {pages} pages")
    return _Classic(ended.seconds, told.sent, len(holds.queue))


def _bytes_sent(site: Site, pages: int) -> int:
    with servers.worker() as server:
        requests = uploads.requests_of(site, server, f"--limit={pages}", forget=True)
        server.holds(uploads.project(site)).check(pages)
    return sum(request.sent for request in requests)


# --- through Cloudflare's API ---------------------------------------------------------------------------------


def rest(size: Size) -> Iterator[Row]:
    """Publish a site through Cloudflare's REST API, beside wrangler, and beside bulk bodies that are ready."""
    pages = 2_000 if size.quick else 10_000
    say(f"rest: {pages:,} pages")
    with uploads.ready(pages) as site, uploads.recorded(site, servers.rest) as recorded:
        what = f"{pages:,} new pages of {site.describe()} through Cloudflare's API"
        one = recorded.folder / "one.json"
        one.write_bytes(b'[{"key":"page:one","value":"{}"}]')
        contenders = {
            "ours": lambda: uploads.publish(site, servers.rest),
            "wrangler": lambda: _wrangler(recorded, recorded.pairs, pages),
            "start": lambda: _wrangler(recorded, one, 0),
            "floor": lambda: uploads.put_bodies(recorded, pages, servers.rest, SLOTS),
        }
        taken = in_turn(contenders, size.runs(5), warm_ups=0 if size.quick else 1)
    yield faster(what, taken["ours"], taken["wrangler"], "`wrangler kv bulk put` of the same", at_least=4)
    start = taken["start"].median
    started = Figure("s", tuple(seconds - start for seconds in taken["wrangler"].values))
    yield faster(what, taken["ours"], started, f"the same without its start ({start:.1f} s)")
    floor = f"bare httpx, {SLOTS} at a time, its start included"
    yield against(what, taken["ours"], taken["floor"], floor, at_most=1.5)


def _wrangler(recorded: Recorded, pairs: Path, pages: int) -> float:
    quiet = {"WRANGLER_SEND_METRICS": "false", "CLOUDFLARE_CF_FETCH_ENABLED": "false", "CI": "1"}
    # It keeps logs and settings in the home folder.
    home = {"HOME": str(recorded.folder), "XDG_CONFIG_HOME": str(recorded.folder)}
    with servers.rest() as server:
        command = [str(_WRANGLER), "kv", "bulk", "put", str(pairs), "--remote", "--namespace-id", server.fake.namespace]
        seconds = run(command, recorded.folder, server.environment | quiet | home).seconds
        server.holds(recorded.project).check_records(pages)
    return seconds


# --- how many requests ----------------------------------------------------------------------------------------


def requests(_: Size) -> Iterator[Row]:
    """Count requests, writes and bytes where little or nothing is to be sent."""
    for pages in (100, 1_000, 10_000):
        say(f"requests: {pages:,} pages")
        with uploads.ready(pages, sites.SMALL) as site:
            of = f"{pages:,} pages of {site.describe()}"
            yield from _requests(site, servers.rest, f"{of}, Cloudflare's API", revision=1)
            yield from _requests(site, servers.worker, f"{of}, the gateway", revision=2)


def _requests(site: Site, serve: Serve, where: str, revision: int) -> Iterator[Row]:
    with serve() as server:
        _sent(site, server, forget=True)
        idle = _sent(site, server)
        site.edit(0, revision)
        changed = _sent(site, server)
        _check_writes(changed, server)
        relisted = _sent(site, server, forget=True)
    if any(each.writes for each in idle):
        sys.exit(f"An upload with nothing to send wrote: {idle}")
    yield within(f"nothing changed, {where}", _counted("requests", idle))
    what = f"one page changed, {where}"
    writes = _counted("writes", [each for each in changed if each.writes])
    yield Row(what, _counted("requests", changed), writes, "of which")
    yield within(f"{what}: sent", Figure("kB", (sum(each.sent for each in changed) / 1000,)))
    lists = [each for each in relisted if "/keys?prefix=page" in each.path]
    most = -(-site.pages // LISTED)
    yield Row(
        f"nothing changed and no ledger, {where}",
        _counted("requests", relisted),
        _counted("listings", lists),
        "of which",
        target=f"at most {most} listings, no write",
        reached=len(lists) <= most and not any(each.writes for each in relisted),
    )


def _counted(unit: str, requests: Sequence[Sent]) -> Figure:
    return Figure(unit, (float(len(requests)),))


def _check_writes(sent: Sequence[Sent], server: Server) -> None:
    """End the benchmark unless there are writes, each request one of them."""
    writes = [each for each in sent if each.writes]
    single = all(each.path.startswith("/kv/") for each in writes)
    if isinstance(server, servers.Rest):
        single = server.fake.counts()["writes"] == len(writes)
    if not (writes and single):
        sys.exit(f"An upload of one page should have written a few values, one a request: {writes}")


def _sent(site: Site, server: Server, *, forget: bool = False) -> Sequence[Sent]:
    """Upload, and return the requests, once it is sure that the log has all of them and the server all pages."""
    if isinstance(server, servers.Rest):
        server.fake.reset()
    sent = uploads.requests_of(site, server, forget=forget)
    if isinstance(server, servers.Rest):
        counts = server.fake.counts()
        if (sum(counts["requests"].values()), counts["bytes_in"]) != (len(sent), sum(each.sent for each in sent)):
            sys.exit(f"The log has {len(sent)} requests, the server counted {counts}")
    server.holds(uploads.project(site)).check(site.pages)
    return sent


BENCHMARKS: dict[str, Callable[[Size], Iterator[Row]]] = {"gateway": gateway, "rest": rest, "requests": requests}

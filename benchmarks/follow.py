"""A large batch, followed: `doit nimbus:batch:report` and `batch:list` on each store, beside plain reads.

The batch has been uploaded to each store and processed in the embedded one. What that wrote is put into the others as
it is: to process 10,000 pages takes minutes there, at Cloudflare's limit of 1,200 requests in five. Each report that is
timed is read and checked: all pages done, each with the log of its processing.
"""

from __future__ import annotations

import contextlib
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import msgspec
from msgspec import Struct

from benchmarks import batches, servers, sites, uploads
from benchmarks.timing import Figure, Row, against, doit, faster, in_turn, run, say, within
from nimbus_tasks.model.keys import logs_key, status_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.servers import Embedded, Server, Target
    from benchmarks.sites import Site
    from benchmarks.timing import Ended, Size

_PEERS = Path(__file__).parent / "peers"
REPORT = "nimbus:batch:report"
#: Pages at a time while the batch is processed.
WORKERS = 50
#: Pairs in one request, while what was processed is put elsewhere.
PAIRS = 500
#: What a new project's settings say.
SLOTS = 5
#: Keys that a request asks for, and values that a report needs of a page: its status and its log.
KEYS, VALUES = 100, 2
#: Requests that a report needs besides: the batch and its name, what the server is, a try again.
BESIDES = 10
#: A GET for each record takes minutes, so those of fewer pages are read.
PLAIN_PAGES = 1_000

#: The least that reading takes: Python's start, and the same values in one statement.
FLOOR = """
import sqlite3, sys
connection = sqlite3.connect(".nimbus/kv.db")
for kind in sys.argv[1:]:
    query = "SELECT key, value FROM kv WHERE key > ? AND key < ?"
    found = connection.execute(query, (kind + ":", kind + ";")).fetchall()
"""


def follow(size: Size) -> Iterator[Row]:
    """Report and list one batch at each target."""
    pages = 500 if size.quick else 10_000
    with uploads.ready(pages, sites.SMALL) as site:
        site.allow_one_batch()
        what = f"a batch of {pages:,} pages"
        say(f"follow: {what}, the embedded store")
        with servers.embedded(site) as embedded:
            batches.upload_as_batch(site, embedded)
            batches.process(site, embedded, WORKERS)
            yield from _in_the_file(site, embedded, what, size)
        say(f"follow: {what}, the gateway")
        with servers.worker() as worker:
            yield from _over_http(site, worker, f"{what}, the gateway", size)
        say(f"follow: {what}, Cloudflare's API")
        # Plain reads would soon be refused at Cloudflare's limit. Ours keep to it.
        with servers.rest(requests=10 * pages) as rest:
            yield from _over_http(site, rest, f"{what}, Cloudflare's API", size)


BENCHMARKS: dict[str, Callable[[Size], Iterator[Row]]] = {"follow": follow}


# --- each target --------------------------------------------------------------------------------------------


def _in_the_file(site: Site, embedded: Embedded, what: str, size: Size) -> Iterator[Row]:
    peaks: list[float] = []

    def report() -> float:
        ended = _reported(site, embedded)
        peaks.append(ended.peak_mb)
        return ended.seconds

    contenders = {
        "report": report,
        "list": lambda: batches.show_list(site, embedded).seconds,
        "values": lambda: _floor(site, "batch", "status", "logs").seconds,
        "batch": lambda: _floor(site, "batch").seconds,
    }
    taken = in_turn(contenders, size.runs(7), warm_ups=0 if size.quick else 1)
    yield against(f"report of {what}, embedded", taken["report"], taken["values"], "a bare `SELECT` of the same values")
    yield within(f"report of {what}, embedded: peak memory", Figure("MB", tuple(peaks)))
    yield against(f"list with {what}, embedded", taken["list"], taken["batch"], "a bare `SELECT` of the batch")


def _over_http(site: Site, server: Server, what: str, size: Size) -> Iterator[Row]:
    _put_processed(site, server)
    with _addresses(site, server) as addresses:
        contenders = {
            "report": lambda: _reported(site, server).seconds,
            "list": lambda: batches.show_list(site, server).seconds,
            "plain": lambda: _read_plainly(addresses, server),
        }
        taken = in_turn(contenders, size.runs(5), warm_ups=0 if size.quick else 1)
    requests = _requests(site, server, REPORT)
    yield within(f"report of {what}: requests", requests, at_most=site.pages * VALUES / KEYS + BESIDES)
    read = min(site.pages, PLAIN_PAGES)
    scaled = Figure("s", tuple(seconds * site.pages / read for seconds in taken["plain"].values))
    from_fewer = f" (scaled from {read:,} pages)" if read < site.pages else ""
    beside = f"bare httpx, a GET for each of {VALUES * site.pages:,} records, {SLOTS} at a time{from_fewer}"
    yield faster(f"report of {what}", taken["report"], scaled, beside)
    yield within(f"list with {what}: requests", _requests(site, server, batches.LIST), at_most=BESIDES)
    yield within(f"list with {what}", taken["list"])


def _requests(site: Site, server: Server, command: str) -> Figure:
    """Count the requests of a command, as its log has them; a fake that counts too must have seen as many."""
    if isinstance(server, servers.Rest):
        server.fake.reset()
    sent = uploads.requests_for(site, server, command)
    if isinstance(server, servers.Rest) and sum(server.fake.counts()["requests"].values()) != len(sent):
        sys.exit(f"The log of {command} has {len(sent)} requests, the server counted {server.fake.counts()}")
    if any(each.writes for each in sent):
        sys.exit(f"{command} wrote: {sent}")
    return Figure("requests", (float(len(sent)),))


# --- our report ---------------------------------------------------------------------------------------------


class _Metrics(Struct):
    total_pages: int
    states: dict[str, int]


class _Entry(Struct):
    step: str


class _Page(Struct):
    page_id: str
    source_path: str
    log_entries: list[_Entry]


class _Report(Struct):
    """What a report must say."""

    metrics: _Metrics
    pages: list[_Page]


def _reported(site: Site, target: Target) -> Ended:
    """Report on the newest batch, and check what the report says."""
    site.forget("reports/batch_*")
    ended = run(doit(REPORT), site.folder, target.environment)
    report = _read_report(site)
    logged = sum(any(entry.step == "process" for entry in page.log_entries) for page in report.pages)
    if (report.metrics.total_pages, report.metrics.states, logged) != (site.pages, {"done": site.pages}, site.pages):
        sys.exit(f"{site.pages} pages were processed; the report says {report.metrics}, {logged} of them with a log")
    return ended


def _read_report(site: Site) -> _Report:
    (file,) = (site.state / "reports").glob("batch_*_report.json")
    return msgspec.json.decode(file.read_bytes(), type=_Report)


# --- the same batch elsewhere -------------------------------------------------------------------------------


def _put_processed(site: Site, server: Server) -> None:
    """Upload the pages to an empty server, and put there what processing wrote in the embedded store."""
    with contextlib.closing(sqlite3.connect(site.state / "kv.db")) as store:
        rows = store.execute("SELECT key, value FROM kv WHERE substr(key, 1, 5) IN ('statu', 'logs:', 'batch')")
        held: list[tuple[str, bytes]] = sorted(rows)
    (was,) = (key.rpartition(":")[2] for key, _ in held if key.startswith("batch:"))
    batch_id = batches.upload_as_batch(site, server)
    pairs = [{"key": key.replace(was, batch_id), "value": value.decode().replace(was, batch_id)} for key, value in held]
    with httpx.Client(headers={"authorization": f"Bearer {server.token}"}, timeout=100) as client:
        for start in range(0, len(pairs), PAIRS):
            client.put(server.bulk, json=pairs[start : start + PAIRS]).raise_for_status()


# --- plain reads --------------------------------------------------------------------------------------------


def _floor(site: Site, *kinds: str) -> Ended:
    return run([sys.executable, "-c", FLOOR, *kinds], site.folder)


@contextlib.contextmanager
def _addresses(site: Site, server: Server) -> Iterator[Path]:
    """Write down where the status and the log of some pages are to be had."""
    _reported(site, server)
    project = uploads.project(site)
    page_ids = [page.page_id for page in _read_report(site).pages[:PLAIN_PAGES]]
    keys = [make(project, page_id) for page_id in page_ids for make in (status_key, logs_key)]
    with tempfile.TemporaryDirectory(prefix="nimbus-bench-", dir=sites.SCRATCH) as folder:
        file = Path(folder) / "addresses"
        file.write_text("\n".join(server.address(key) for key in keys), encoding="utf-8")
        yield file


def _read_plainly(addresses: Path, server: Server) -> float:
    command: Sequence[str] = [sys.executable, "-P", str(_PEERS / "bare_reader.py"), str(SLOTS), str(addresses)]
    return float(run(command, addresses.parent, {"BENCH_TOKEN": server.token}).output)

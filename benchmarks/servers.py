"""Where pages are published to. Servers are each an empty process of its own on this machine, on a free port.

They keep what they store in memory where the system lets them: what is measured is who sends and what is sent, not
how fast a disk says that it has written.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

import msgspec
from msgspec import Struct

from benchmarks.sites import SCRATCH
from tests.edge.fake import Fake
from tests.edge.workerd import Workerd

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import httpx

    from benchmarks.sites import Site

_MEMORY = Path("/dev/shm")
_CLASSIC = Path(__file__).parents[1] / "tests" / "edge" / "classic.js"
_USER = "user_0123456789ab"


class _Entry(Struct):
    page_id: str


class _Queue(Struct):
    items: list[_Entry]


class Holds(Struct, frozen=True):
    """What a server holds of a project: page ids, as often as they are there."""

    pages: set[str]
    statuses: set[str]
    queue: Counter[str]

    def check(self, pages: int) -> None:
        """End the benchmark unless all is there: so many pages with their statuses, each in the queue once."""
        self.check_records(pages)
        if self.queue != Counter(self.pages):
            sys.exit(f"Of {pages} pages, {len(self.queue)} stand in the queue, some {max(self.queue.values())} times")

    def check_records(self, pages: int) -> None:
        if len(self.pages) != pages or self.statuses != self.pages:
            sys.exit(f"{pages} pages were sent; stored: {len(self.pages)} records, {len(self.statuses)} statuses")


class Target(Protocol):
    """Where pages are published. `environment` is what a `doit` there needs."""

    environment: dict[str, str]

    def holds(self, project: str) -> Holds: ...


class Server(Target, Protocol):
    """A target over HTTP. The bulk address and the token are for a bare client."""

    bulk: str
    token: str

    def address(self, key: str) -> str:
        """Return where one value is to be had, with the token."""
        ...


class Embedded:
    """The store in a site's own folder."""

    def __init__(self, site: Site) -> None:
        self.environment: dict[str, str] = {}
        self.file = site.state / "kv.db"

    def holds(self, project: str) -> Holds:
        with contextlib.closing(sqlite3.connect(self.file)) as store:
            found = dict(store.execute("SELECT key, value FROM kv WHERE key NOT LIKE 'logs:%'"))

        def listed(kind: str) -> set[str]:
            prefix = f"{kind}:{project}:"
            return {key.removeprefix(prefix) for key in found if key.startswith(prefix)}

        # Its record, and what a long queue has in shards.
        parts = [found[key] for key in found if key == f"queue:{project}" or key.startswith(f"queue:{project}:")]
        return Holds(listed("page"), listed("status"), _queued(parts))


class Rest:
    """Cloudflare's REST API."""

    def __init__(self, fake: Fake) -> None:
        self.fake = fake
        self.token = fake.token
        self.bulk = f"{fake.namespace_url()}/bulk"
        self.environment = {
            "NIMBUS_TARGET": "cloudflare",
            "CLOUDFLARE_API_BASE_URL": fake.url,
            "CLOUDFLARE_API_TOKEN": fake.token,
            "CLOUDFLARE_ACCOUNT_ID": fake.account,
            "KV_NAMESPACE_ID": fake.namespace,
        }

    def holds(self, project: str) -> Holds:
        with self.fake.client() as client:
            return _holds(client, project, names="result", cursor=("result_info", "cursor"), value="/values/")

    def address(self, key: str) -> str:
        return f"{self.fake.namespace_url()}/values/{quote(key, safe='')}"


class Worker:
    """Our Worker, asked with an API key; or a classic one, which has the admin's secret only."""

    def __init__(self, workerd: Workerd, token: str) -> None:
        self.workerd = workerd
        self.token = token
        self.bulk = f"{workerd.url}/bulk"
        self.environment = {
            "NIMBUS_TARGET": "gateway",
            "NIMBUS_WORKER_URL": workerd.url,
            "NIMBUS_API_KEY": token,
        }

    def holds(self, project: str) -> Holds:
        with self.workerd.client() as admin:
            return _holds(admin, project, names="keys", cursor=("cursor",), value="/kv/")

    def address(self, key: str) -> str:
        return f"{self.workerd.url}/kv/{quote(key, safe='')}"


class Classic(Worker):
    """What a classic Worker holds, one of ours over the same KV tells."""

    def __init__(self, workerd: Workerd, folder: Path) -> None:
        super().__init__(workerd, workerd.secret)
        self._folder = folder

    def holds(self, project: str) -> Holds:
        with Workerd(self._folder / "view", kv=self._folder / "kv") as view:
            return Worker(view, view.secret).holds(project)


@contextlib.contextmanager
def embedded(site: Site) -> Iterator[Embedded]:
    site.forget("kv.db*", "claims.db*")
    yield Embedded(site)


@contextlib.contextmanager
def rest(**options: Any) -> Iterator[Rest]:
    """Start the fake of Cloudflare's API; `options` are its own (`requests=5000` in five minutes)."""
    with Fake(**options) as fake:
        yield Rest(fake)


@contextlib.contextmanager
def worker() -> Iterator[Worker]:
    with _folder() as folder, Workerd(folder) as workerd:
        yield Worker(workerd, workerd.new_key(_USER))


@contextlib.contextmanager
def classic() -> Iterator[Classic]:
    with _folder() as folder, Workerd(folder / "classic", worker=_CLASSIC, kv=folder / "kv") as workerd:
        yield Classic(workerd, folder)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    SCRATCH.mkdir(parents=True, exist_ok=True)
    parent = _MEMORY if _MEMORY.is_dir() else SCRATCH
    with tempfile.TemporaryDirectory(prefix="nimbus-bench-", dir=parent) as folder:
        yield Path(folder)


def _holds(client: httpx.Client, project: str, *, names: str, cursor: tuple[str, ...], value: str) -> Holds:
    def listed(kind: str) -> set[str]:
        prefix, found, place = f"{kind}:{project}:", set(), ""
        while True:
            query = f"prefix={quote(prefix)}&limit=1000" + (f"&cursor={quote(place, safe='')}" if place else "")
            page = client.get(f"/keys?{query}").raise_for_status().json()
            found |= {name["name"].removeprefix(prefix) for name in page[names]}
            place = page
            for field in cursor:
                place = place[field]
            if not place:
                return found

    parts: list[bytes] = []
    for shard in itertools.count():
        key = f"queue:{project}:{shard}" if shard else f"queue:{project}"
        waiting = client.get(f"{value}{quote(key, safe='')}")
        if waiting.status_code == 404:
            break
        parts.append(waiting.content)
    return Holds(listed("page"), listed("status"), _queued(parts))


def _queued(parts: Iterable[bytes]) -> Counter[str]:
    """Return how often each page stands in a queue."""
    return Counter(entry.page_id for part in parts for entry in msgspec.json.decode(part, type=_Queue).items)

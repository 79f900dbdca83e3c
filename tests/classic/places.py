"""Where the classic client works: upon a gateway, over HTTP, and upon the embedded store with the same bytes."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
from deadlines import SECONDS
from kit import PROJECT, Site, page_map
from remote import made

from classic.client import Records, Uploader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from kit import Run

_TABLE = "CREATE TABLE IF NOT EXISTS kv(key TEXT PRIMARY KEY, value BLOB, metadata TEXT, expiration INTEGER)"
_PUT = "INSERT OR REPLACE INTO kv(key, value, metadata) VALUES (?, ?, ?)"


class EmbeddedKv:
    """The embedded store, opened for each request as another program would open it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with self._open() as connection:
            connection.execute(_TABLE)

    def put(self, key: str, value: str, metadata: Mapping[str, Any] | None = None) -> None:
        with self._open() as connection:
            connection.execute(_PUT, (key, value.encode(), json.dumps(metadata) if metadata else None))

    def get(self, key: str) -> str | None:
        with self._open() as connection:
            row = connection.execute("SELECT value FROM kv WHERE key = ?", (key,)).fetchone()
        return bytes(row[0]).decode() if row else None

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self._file, SECONDS, isolation_level=None)) as connection:
            yield connection


class GatewayKv:
    """A gateway, by the classic part of its protocol."""

    def __init__(self, url: str, api_key: str) -> None:
        limits = httpx.Limits(max_keepalive_connections=0)
        headers = {"Authorization": f"Bearer {api_key}"}
        self._client = httpx.Client(
            base_url=url, headers=headers, timeout=SECONDS, limits=limits, trust_env=False, verify=False
        )

    def put(self, key: str, value: str, metadata: Mapping[str, Any] | None = None) -> None:
        options = {"metadata": metadata} if metadata else {}
        answer = self._client.put(f"/kv/{quote(key, safe='')}", json={"value": value, "options": options})
        answer.raise_for_status()

    def get(self, key: str) -> str | None:
        answer = self._client.get(f"/kv/{quote(key, safe='')}")
        return None if answer.status_code == 404 else answer.raise_for_status().text

    def close(self) -> None:
        self._client.close()


class Place:
    """A project, the store that it shares with the classic client, and our commands in it.

    lists: whether the store can list its keys, and so its batches.
    """

    def __init__(self, site: Site, records: Records, environment: dict[str, str], *, lists: bool = True) -> None:
        self.site, self.records, self._environment, self.lists = site, records, environment, lists

    def doit(self, *arguments: str) -> Run:
        return self.site.doit(*arguments, **self._environment)

    def ask(self, *arguments: str) -> Any:
        """Run a command that is expected to go well, and return its document."""
        run = self.doit(*arguments, "--json")
        assert run.status == 0, run.said
        return run.json

    def upload(self, batch_id: str, *names: str, races: bool = False) -> list[str]:
        """Upload pages as the classic client does, and return their ids."""
        maps = [page_map(f"dist/{name}.html") for name in names]
        return Uploader(self.records, races=races).upload(batch_id, maps)

    def states(self, page_ids: list[str]) -> list[str]:
        return [self.records.status(page)["status"] for page in page_ids]

    def waiting(self) -> list[str]:
        return sorted(item["page_id"] for item in self.records.queue())

    def check_agreement(self, batch_id: str, **expected: Any) -> None:
        """Assert that all commands and the record tell the same of a batch."""
        (listed,) = [each for each in self.ask("nimbus:batch:list")["batches"] if each["batch_id"] == batch_id]
        shown, held = self.ask("nimbus:batch:status", f"--batch={batch_id}"), self.records.batch(batch_id)
        for name, value in expected.items():
            found = [each["summary"].get(name, each.get(name)) for each in (listed, shown, held)]
            assert found == [value] * 3, name
        states = {page: self.records.status(page)["status"] for page in held["pages"]}
        assert {page: each["status"] for page, each in held["pages"].items()} == states


def place(kind: str, folder: Path, settings: str = "") -> Iterator[Place]:
    """Yield an empty project upon `sqlite`, our `gateway`, or a `classic` gateway of one key a request."""
    site = Site.new(folder / "site", f"[process]\nlook = 0.05\nflush = 0.05\n{settings}\n")
    if kind == "sqlite":
        yield Place(site, Records(EmbeddedKv(site / ".nimbus/kv.db"), PROJECT), {})
        return
    for target in made(kind, folder / "target"):
        environment = target.environment
        with contextlib.closing(GatewayKv(environment["NIMBUS_WORKER_URL"], environment["NIMBUS_API_KEY"])) as kv:
            yield Place(site, Records(kv, PROJECT), environment, lists=kind != "classic")

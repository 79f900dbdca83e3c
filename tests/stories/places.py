"""Where trials publish: a server that many projects share, behind a proxy that injects faults, or a file."""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import TYPE_CHECKING, Any, Protocol, Self
from urllib.parse import quote

from edge.fake import ACCOUNT, Fake
from edge.faults import Faults
from edge.workerd import Workerd
from kit import PROJECT, Site
from whole import Content, content_of

if TYPE_CHECKING:
    from pathlib import Path

#: Nobody's limit of requests is to be in the way of so many runs.
MANY = 10**9
USER = "user_0123456789ab"


class Place(Protocol):
    """A server and its proxy, as a context manager."""

    name: str
    proxy: Faults

    def project(self, key: str) -> str:
        """Return the project id of a trial."""
        ...

    def environment(self, key: str) -> dict[str, str]:
        """Return what the runs of a trial must be told, by way of the proxy."""
        ...

    def copy(self, site: Site, key: str, other: str) -> bool:
        """Let another trial hold what one holds, and a copy of its project know that; say whether that can be done."""
        ...

    def content(self, key: str) -> Content:
        """Ask the server itself what it holds of a trial."""
        ...

    def requests(self) -> list[dict[str, Any]]:
        """Return what the proxy was asked since this was called last."""
        ...


class _Behind:
    """A proxy whose journal is read from where it was read last."""

    proxy: Faults

    def __init__(self, work: Path) -> None:
        self._journal = work / "journal"
        self._read = 0
        self._open = contextlib.ExitStack()

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _start_proxy(self, upstream: str) -> None:
        self.proxy = self._open.enter_context(Faults(upstream, journal=self._journal))

    def requests(self) -> list[dict[str, Any]]:
        if not self._journal.exists():
            return []
        with self._journal.open("rb") as journal:
            journal.seek(self._read)
            lines = journal.readlines()
            self._read = journal.tell()
        return [json.loads(line) for line in lines]


class Embedded:
    """The embedded store of each trial's project, which lies in `work` under the name of its key."""

    name = "sqlite"

    def __init__(self, work: Path) -> None:
        self._work = work

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def project(self, key: str) -> str:
        return PROJECT

    def environment(self, key: str) -> dict[str, str]:
        return {"NIMBUS_TARGET": "sqlite"}

    def content(self, key: str) -> Content:
        store = Site(self._work / key).store
        return Content(store.values, store.metadata)


class Rest(_Behind):
    """The fake of Cloudflare's API: one project, in a namespace for each trial."""

    name = "cloudflare"

    def __enter__(self) -> Self:
        self._fake = self._open.enter_context(Fake(namespaces=(), requests=MANY))
        self._client = self._open.enter_context(self._fake.client())
        self._start_proxy(self._fake.url)
        return self

    def project(self, key: str) -> str:
        return PROJECT

    def environment(self, key: str) -> dict[str, str]:
        return {
            "NIMBUS_TARGET": "cloudflare",
            "CLOUDFLARE_API_BASE_URL": self.proxy.url,
            "CLOUDFLARE_API_TOKEN": self._fake.token,
            "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
            "KV_NAMESPACE_ID": _hex(key, 32),
        }

    def copy(self, site: Site, key: str, other: str) -> bool:
        values, metadata = self._pairs(key)
        pairs = [{"key": name, "value": value, "metadata": metadata[name]} for name, value in values.items()]
        bare = [{name: part for name, part in pair.items() if part is not None} for pair in pairs]
        self._client.put(f"{self._at(other)}/bulk", json=bare).raise_for_status()
        with site.ledger() as ledger:
            ledger.execute("UPDATE target SET identity = replace(identity, ?, ?)", (_hex(key, 32), _hex(other, 32)))
        return True

    def content(self, key: str) -> Content:
        return content_of(*self._pairs(key))

    def _pairs(self, key: str) -> tuple[dict[str, str], dict[str, Any]]:
        names = self._client.get(f"{self._at(key)}/keys").raise_for_status().json()["result"]
        # Few enough for one page of a listing, and for one bulk get.
        asked = {"keys": [name["name"] for name in names], "type": "text"}
        answer = self._client.post(f"{self._at(key)}/bulk/get", json=asked).raise_for_status()
        return answer.json()["result"]["values"], {name["name"]: name.get("metadata") for name in names}

    def _at(self, key: str) -> str:
        return self._fake.namespace_url(_hex(key, 32))


class Gateway(_Behind):
    """Our Worker on workerd: one namespace, a project for each trial."""

    name = "gateway"

    def __init__(self, work: Path) -> None:
        super().__init__(work)
        self._folder = work / "workerd"

    def __enter__(self) -> Self:
        limits = {"NIMBUS_LIMIT_PAIRS": 2, "NIMBUS_LIMIT_KEYS": 4}
        workerd = self._open.enter_context(Workerd(self._folder, **limits))
        self._key = workerd.new_key(USER)
        self._admin = self._open.enter_context(workerd.client())
        self._start_proxy(workerd.url)
        return self

    def project(self, key: str) -> str:
        return f"proj_{_hex(key, 12)}"

    def environment(self, key: str) -> dict[str, str]:
        return {"NIMBUS_TARGET": "gateway", "NIMBUS_WORKER_URL": self.proxy.url, "NIMBUS_API_KEY": self._key}

    def copy(self, site: Site, key: str, other: str) -> bool:
        """Refuse: in another project the pages have other ids."""
        return False

    def content(self, key: str) -> Content:
        project = self.project(key)
        names = [{"name": f"queue:{project}"}, {"name": f"project:{project}"}]
        for kind in ("page", "status", "batch", "logs"):
            # Few enough for one page of a listing.
            answer = self._admin.get(f"/keys?prefix={quote(f'{kind}:{project}:')}").raise_for_status()
            names += answer.json()["keys"]
        values = {}
        for name in (name["name"] for name in names):
            answer = self._admin.get(f"/kv/{quote(name, safe='')}")
            if answer.status_code != 404:
                values[name] = answer.raise_for_status().text
        return content_of(values, {name["name"]: name.get("metadata") for name in names})


def _hex(key: str, digits: int) -> str:
    """Return an id of the form that Cloudflare or a project has, another one for each trial."""
    return hashlib.sha256(key.encode()).hexdigest()[:digits]

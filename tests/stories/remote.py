"""Targets over a network, for stories: what the environment of a command must say, and what they hold."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from edge.fake import Fake
from edge.workerd import Workerd
from kit import PROJECT, Store

if TYPE_CHECKING:
    from collections.abc import Iterator

CLASSIC = Path(__file__).parents[1] / "edge/classic.js"
USER = "user_0123456789ab"
#: Waits are for real networks; here they only cost time.
QUICK = "[upload]\nretry_wait = 20\n"


class Target(Protocol):
    """A server that pages are published to."""

    environment: dict[str, str]

    def holds(self) -> Store: ...


class Cloudflare:
    """Cloudflare's REST API."""

    def __init__(self, fake: Fake, url: str = "") -> None:
        self.fake = fake
        self.environment = {
            "NIMBUS_TARGET": "cloudflare",
            "CLOUDFLARE_API_BASE_URL": url or fake.url,
            "CLOUDFLARE_API_TOKEN": fake.token,
            "CLOUDFLARE_ACCOUNT_ID": fake.account,
            "KV_NAMESPACE_ID": fake.namespace,
        }

    def holds(self) -> Store:
        state = self.fake.state()
        values = {
            key: base64.b64decode(pair["value"]) if pair["base64"] else pair["value"].encode()
            for key, pair in state.items()
        }
        return Store.of(values, {key: pair["metadata"] for key, pair in state.items()})


class Gateway:
    """Our Worker, with an API key of the project's owner."""

    def __init__(self, workerd: Workerd, url: str = "") -> None:
        self.workerd = workerd
        self.environment = {
            "NIMBUS_TARGET": "gateway",
            "NIMBUS_WORKER_URL": url or workerd.url,
            "NIMBUS_API_KEY": workerd.new_key(USER),
        }

    def holds(self) -> Store:
        values, metadata = {}, {}
        with self.workerd.client() as admin:
            names = [{"name": f"queue:{PROJECT}"}, {"name": f"project:{PROJECT}"}]
            for kind in ("page", "status", "batch", "logs"):
                # Few enough for one page of a listing.
                names += admin.get(f"/keys?prefix={quote(f'{kind}:{PROJECT}:')}").json()["keys"]
            for name in names:
                answer = admin.get(f"/kv/{quote(name['name'], safe='')}")
                if answer.status_code == 200:
                    values[name["name"]], metadata[name["name"]] = answer.content, name.get("metadata")
        return Store.of(values, metadata)


class Classic:
    """A gateway that knows one key a request and nothing else, but what tests ask it for."""

    def __init__(self, workerd: Workerd) -> None:
        self._workerd = workerd
        self.environment = {
            "NIMBUS_TARGET": "gateway",
            "NIMBUS_WORKER_URL": workerd.url,
            "NIMBUS_API_KEY": workerd.secret,
        }

    def holds(self) -> Store:
        with self._workerd.client() as admin:
            pairs = admin.get("/all-for-tests").json()
        return Store.of(
            {pair["name"]: pair["value"].encode() for pair in pairs},
            {pair["name"]: pair.get("metadata") for pair in pairs},
        )


def made(name: str, folder: Path, **options: Any) -> Iterator[Target]:
    """Start a target of a kind, empty, and end it."""
    folder.mkdir(exist_ok=True)
    if name == "cloudflare":
        with Fake(journal=folder / "journal", **options) as fake:
            yield Cloudflare(fake)
    elif name == "gateway":
        with Workerd(folder / "workerd", NIMBUS_CACHE_SECONDS=0) as workerd:
            yield Gateway(workerd)
    else:
        with Workerd(folder / "classic", worker=CLASSIC) as workerd:
            yield Classic(workerd)


def requests_of(journal: Path) -> list[dict[str, Any]]:
    """Return what a server has been asked, in order."""
    return [json.loads(line) for line in journal.read_text().splitlines()]

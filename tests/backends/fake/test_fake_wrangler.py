"""The real wrangler, Cloudflare's own command line, takes the fake for Cloudflare."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from deadlines import SECONDS
from edge.fake import NAMESPACE, Fake

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Where `npm install` in tests/node puts it, or the folder that the environment names.
FOLDERS = [Path(__file__).parents[2] / "node/node_modules", Path(os.environ.get("NIMBUS_NODE_MODULES") or "/nowhere")]
WRANGLER = next((folder / ".bin/wrangler" for folder in FOLDERS if (folder / ".bin/wrangler").exists()), None)

pytestmark = pytest.mark.skipif(WRANGLER is None, reason="wrangler is not installed: npm install in tests/node")


class Shell:
    """A folder in which wrangler runs against the fake, away from whatever the user has set up."""

    def __init__(self, fake: Fake, folder: Path) -> None:
        self.folder = folder
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "CI": "1",
            "NO_COLOR": "1",
            "WRANGLER_SEND_METRICS": "false",
            "CLOUDFLARE_CF_FETCH_ENABLED": "false",
            "CLOUDFLARE_API_BASE_URL": fake.url,
            "CLOUDFLARE_API_TOKEN": fake.token,
            "CLOUDFLARE_ACCOUNT_ID": fake.account,
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(WRANGLER), "kv", *arguments, "--namespace-id", NAMESPACE, "--remote"]
        environment, folder = self._environment, self.folder
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )

    def __call__(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def fake() -> Iterator[Fake]:
    with Fake() as fake:
        yield fake


@pytest.fixture
def wrangler(fake: Fake, tmp_path: Path) -> Iterator[Shell]:
    yield Shell(fake, tmp_path)
    with fake.client() as kv:
        kv.post("/bulk/delete", json=list(fake.state()))


def test_what_it_puts_in_bulk_is_there_and_it_reads_and_deletes_it_in_bulk(fake: Fake, wrangler: Shell) -> None:
    pairs = [{"key": f"page:{number:04d}", "value": f"v{number}", "metadata": {"n": number}} for number in range(1001)]
    pairs[0] |= {"value": "AP8=", "base64": True}
    (wrangler.folder / "pairs.json").write_text(json.dumps(pairs))
    fake.reset()
    wrangler("bulk", "put", "pairs.json")
    assert fake.counts()["requests"] == {"PUT /bulk": 2}, "it sends a thousand at a time"
    state = fake.state()
    assert len(state) == 1001
    assert (state["page:0000"]["value"], state["page:0000"]["base64"]) == ("AP8=", True)
    assert (state["page:1000"]["value"], state["page:1000"]["metadata"]) == ("v1000", {"n": 1000})

    (wrangler.folder / "keys.json").write_text(json.dumps(["page:0001", "page:1000", "none"]))
    out = wrangler("bulk", "get", "keys.json")
    values = json.loads(out[out.index("{") : out.rindex("}") + 1])
    assert values["page:0001"] == "v1"
    assert values["page:1000"] == "v1000"
    assert values["none"] is None

    fake.reset()
    wrangler("bulk", "delete", "keys.json", "--force")
    assert fake.counts()["requests"] == {"DELETE /bulk": 1}, "the older way"
    assert len(fake.state()) == 999


def test_what_it_puts_with_metadata_it_reads_and_lists(fake: Fake, wrangler: Shell) -> None:
    wrangler("key", "put", "a/b: ü", "value ⌚", "--metadata", '{"digest": "d"}', "--ttl", "3600")
    pair = fake.state()["a/b: ü"]
    assert (pair["value"], pair["metadata"]) == ("value ⌚", {"digest": "d"})
    assert wrangler("key", "get", "a/b: ü", "--text").strip() == "value ⌚"
    listed = json.loads(wrangler("key", "list"))
    assert listed == [{"name": "a/b: ü", "expiration": pair["expiration"], "metadata": {"digest": "d"}}]


def test_it_lists_by_prefix_through_all_pages(fake: Fake, wrangler: Shell) -> None:
    keys = [f"page:{number:04d}" for number in range(1500)]
    with fake.client() as kv:
        kv.put("/bulk", json=[{"key": key, "value": "v"} for key in [*keys, "other"]])
    fake.reset()
    assert [name["name"] for name in json.loads(wrangler("key", "list", "--prefix", "page:"))] == keys
    assert fake.counts()["requests"] == {"GET /keys": 2}


def test_it_understands_what_is_refused(wrangler: Shell) -> None:
    done = wrangler.run("key", "put", "k", "v", "--ttl", "59")
    assert done.returncode == 1
    assert "Expiration TTL must be at least 60" in done.stdout + done.stderr
    assert "[code: 10034]" in done.stdout + done.stderr

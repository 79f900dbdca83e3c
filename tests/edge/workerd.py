"""The Worker on Cloudflare's own runtime, as a process of its own on 127.0.0.1.

    with Workerd(tmp_path) as worker:
        key = worker.new_key("user_1")
        with worker.client(key) as client:
            client.get("/")

What it stores lies under `persist`: a second `Workerd` there, once the first has ended, finds it all. Keywords in
capitals are the Worker's variables (`NIMBUS_CACHE_SECONDS=0`). `secret` is the admin's, another one at each start.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import select
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Self

import httpx
import pytest
from deadlines import SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]
DEV = ROOT / "nimbus_tasks/gateway/worker/dev.mjs"
NODE_MODULES = ROOT / "tests" / "node" / "node_modules"

_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loading certificates that nobody asks for takes 20 ms a client

needs_workerd = pytest.mark.skipif(
    not (shutil.which("node") and (NODE_MODULES / "miniflare").is_dir()),
    reason="workerd is not here: run `npm install --prefix tests/node` (node 20)",
)


class Workerd:
    """One running Worker; `url` and `secret` are there once it has started.

    persist: the folder that holds KV and the Durable Objects; made where there is none.
    worker: another Worker's entry module.
    namespaces: the bindings of its KV namespaces.
    kv: another folder for KV alone.
    variables: the Worker's variables, in capitals.
    """

    url: str
    process: subprocess.Popen[bytes]

    def __init__(
        self,
        persist: Path,
        *,
        worker: Path | None = None,
        namespaces: Sequence[str] = ("NIMBUS_KV",),
        kv: Path | None = None,
        **variables: str | int,
    ) -> None:
        self.persist = persist
        self.secret = secrets.token_hex(16)
        self._arguments = ["--port", "0", "--persist", str(persist), "--namespaces", ",".join(namespaces)]
        self._arguments += ["--worker", str(worker)] if worker else []
        self._arguments += ["--kv", str(kv)] if kv else []
        self._variables = {name: str(value) for name, value in variables.items()}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def said(self) -> str:
        """What it wrote on standard error."""
        return (self.persist / "stderr.log").read_text()

    def start(self) -> str:
        """Start it, wait until it answers, and return its URL."""
        self.persist.mkdir(parents=True, exist_ok=True)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("NIMBUS_")},
            "NIMBUS_ADMIN_SECRET": self.secret,
            "NIMBUS_NODE_MODULES": str(NODE_MODULES),
            **self._variables,
        }
        with (self.persist / "stderr.log").open("ab") as errors:
            self.process = subprocess.Popen(
                ["node", str(DEV), *self._arguments],
                cwd=self.persist,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        assert self.process.stdout
        ready, _, _ = select.select([self.process.stdout], [], [], SECONDS)
        line = self.process.stdout.readline() if ready else b""
        if not line:
            self.kill()
            raise RuntimeError(f"The Worker did not start: {self.said}")
        self.url = json.loads(line)["url"]
        return self.url

    def stop(self) -> int:
        """End it as its parent's end would: its standard input closes."""
        assert self.process.stdin
        self.process.stdin.close()
        try:
            return self.process.wait(SECONDS)
        finally:
            self.kill()

    def kill(self) -> None:
        """End it without a chance to tidy up."""
        self.process.kill()
        self.process.wait(SECONDS)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()

    def client(self, bearer: str | None = None) -> httpx.Client:
        """Return a client with this bearer; with the admin's secret for None, with no bearer for ""."""
        bearer = self.secret if bearer is None else bearer
        # An address of its own for each client, as in real life: failures are limited by address.
        headers = {"CF-Connecting-IP": f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::1"}
        if bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        # workerd closes a connection that was idle for five seconds, and counts the time in which it was busy as idle:
        # on a slow machine the next request would meet that.
        limits = httpx.Limits(max_keepalive_connections=0)
        return httpx.Client(
            base_url=self.url, headers=headers, timeout=SECONDS, trust_env=False, limits=limits, verify=_NO_TLS
        )

    def new_key(self, user: str, *, active: bool = True, **more: str) -> str:
        """Make an API key for a user, as the admin does, and return it. more: fields of its record."""
        key = f"sk_live_{secrets.token_hex(16)}"
        record = {"user_id": user, "created": "2026-01-02T03:04:05.678Z", "active": active, "name": "test"}
        record |= more
        with self.client() as admin:
            name = f"apikey:sha256:{hashlib.sha256(key.encode()).hexdigest()}"
            admin.put(f"/kv/{name.replace(':', '%3A')}", json={"value": json.dumps(record)}).raise_for_status()
        return key

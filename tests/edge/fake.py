"""Cloudflare's KV REST API on 127.0.0.1, as a context manager: `with Fake(daily_writes=1000) as fake:`.

The fake is a process of its own (`python -m nimbus_tasks.backends.kv.fake`). It ends with the `with` block,
and at the latest when the process that started it does.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import httpx
from deadlines import SECONDS
from warm import warm_python

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Two ids of the form that Cloudflare gives.
ACCOUNT = "023e105f4ecef8ad9ca31a8372d0c353"
NAMESPACE = "0f2ac74b498b48028cb68387c421e279"


class Fake:
    """One account with one namespace and one token.

    namespaces: `ID` or `ID=TITLE` each; none at all: any is made on first use.
    token: empty: any is accepted.

    The other options are those of the command line: `lag=2`, `strict_writes=True`, `unsuccessful=0.1`. A sequence gives
    the option several times.
    """

    def __init__(
        self,
        *,
        journal: Path | None = None,
        namespaces: tuple[str, ...] = (NAMESPACE,),
        token: str | None = None,
        **options: Any,
    ) -> None:
        self.token = secrets.token_hex(20) if token is None else token
        self.account = ACCOUNT
        self.namespace = namespaces[0].partition("=")[0] if namespaces else NAMESPACE
        self.journal = journal
        self.url = ""
        self._arguments = list(_arguments({"account": ACCOUNT, "namespace": namespaces, "journal": journal, **options}))

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [warm_python(), "-m", "nimbus_tasks.backends.kv.fake", "--until-stdin-closes", *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "CLOUDFLARE_API_TOKEN": self.token},
        )
        assert self._process.stdout
        line = self._process.stdout.readline()  # it prints the line or ends, so this returns
        if not line:
            self._close()
            raise RuntimeError(f"the fake ended with exit status {self._process.returncode}")
        started = json.loads(line)
        self.url, self._pid = started["url"], started["pid"]
        self._control = httpx.Client(
            base_url=self.url.removesuffix("/client/v4") + "/_fake", timeout=SECONDS, verify=False
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._control.close()
        self._close()

    def kill(self) -> None:
        """End it as a power cut would."""
        os.kill(self._pid, signal.SIGKILL)
        self._process.wait(SECONDS)

    def client(self, **options: Any) -> httpx.Client:
        """Return a client of the namespace, with the token: `client.get("/values/key")`."""
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        # It is plain HTTP: to load certificates for it would take longer than most requests.
        return httpx.Client(base_url=self.namespace_url(), headers=headers, timeout=SECONDS, verify=False, **options)

    def namespace_url(self, namespace: str = "") -> str:
        return f"{self.url}/accounts/{self.account}/storage/kv/namespaces/{namespace or self.namespace}"

    def counts(self) -> dict[str, Any]:
        """Return `requests` by method and route, `statuses`, and totals: `writes`, `reads`, `bytes_in` and so on."""
        counts: dict[str, Any] = self._ask("GET", "/counts")
        return counts

    def state(self, prefix: str = "") -> dict[str, dict[str, Any]]:
        """Return all that was written, by key: `value`, `metadata`, `writes`, `namespace`, `base64`, `expiration`."""
        return {pair["key"]: pair for pair in self._ask("GET", f"/state?prefix={quote(prefix, safe='')}")}

    def reset(self) -> None:
        """Begin the counts anew."""
        self._ask("POST", "/reset")

    def advance(self, seconds: float) -> None:
        """Put the fake's clock forward: expirations, quotas, limits and lag go by it."""
        self._ask("POST", f"/clock?seconds={seconds}")

    def requests(self) -> list[dict[str, Any]]:
        """Return the journal."""
        assert self.journal
        return [json.loads(line) for line in self.journal.read_text().splitlines()]

    def _ask(self, method: str, path: str) -> Any:
        return self._control.request(method, path).raise_for_status().json()

    def _close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            pipe.close()
        try:
            self._process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise


def refusal(response: httpx.Response) -> tuple[int, int]:
    """Return the status and the code of an answer that says no, in the envelope that all such answers have."""
    body = response.json()
    assert body["success"] is False
    assert body["result"] is None
    assert body["messages"] == []
    assert all(set(error) >= {"code", "message"} for error in body["errors"])
    assert response.headers["content-type"] == "application/json"
    return response.status_code, body["errors"][0]["code"]


def result(response: httpx.Response) -> Any:
    """Return the result of an answer that went well, in its envelope."""
    body = response.json()
    assert response.status_code == 200, body
    assert (body["success"], body["errors"], body["messages"]) == (True, [], [])
    return body["result"]


def _arguments(options: dict[str, Any]) -> Iterator[str]:
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            yield flag
        elif isinstance(value, tuple | list):
            for each in value:
                yield from (flag, str(each))
        elif value is not None and value is not False:
            yield from (flag, str(value))

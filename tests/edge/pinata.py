"""Pinata's API on 127.0.0.1, as a process: `with Pinata(profile="unixfs-v1-2025") as pinata:`.

It ends with the `with` block, and at the latest when the process that started it does.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from typing import Any, Self

import httpx
from deadlines import SECONDS
from warm import warm_python


class Account:
    """One account of a server that runs."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.token = token

    def make_group(self, name: str) -> str:
        """Make a group, and return its id."""
        bearer = {"authorization": f"Bearer {self.token}"}
        made = httpx.post(f"{self.url}/v3/groups/public", json={"name": name}, headers=bearer, timeout=SECONDS)
        return str(made.raise_for_status().json()["data"]["id"])


class Pinata(Account):
    """The server and its first account. The options are those of the command line: `requests=60`, `fail_parts=2`."""

    def __init__(self, accounts: int = 1, **options: Any) -> None:
        self._tokens = [secrets.token_hex(20) for _ in range(accounts)]
        super().__init__("", self._tokens[0])
        self._arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]

    def account(self) -> Account:
        """Return an account that nobody has had; never the first one."""
        return Account(self.url, self._tokens.pop())

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [warm_python(), "-m", "nimbus_tasks.backends.blobs.fake_pinata", "--until-stdin-closes", *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PINATA_JWT": ",".join(self._tokens)},
        )
        assert self._process.stdout
        line = self._process.stdout.readline()  # it prints the line or ends, so this returns
        if not line:
            raise AssertionError(f"the fake ended with exit status {self._process.wait(SECONDS)}")
        self.url = json.loads(line)["url"]
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(SECONDS)
        self._process.stdout.close()

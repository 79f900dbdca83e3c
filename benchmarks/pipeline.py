"""The pipeline as its users run it: whole `doit` processes in a project with so many pages.

Every figure is checked: a run that should have sent nothing, one page or all of them has done just that.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from benchmarks import sites
from benchmarks.timing import PYTHON, Ended, Figure, Row, against, doit, in_turn, run, say, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.sites import Site
    from benchmarks.timing import Size

#: The least that any doit task over a folder of files costs: Python, doit, and a stat for each source file.
FLOOR = """
import os, sys, doit.doit_cmd
pending = [sys.argv[1]]
while pending:
    with os.scandir(pending.pop()) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                pending.append(entry.path)
            else:
                entry.stat(follow_symlinks=False)
"""

#: The least that storing costs: the same maps, read and put into the same kind of file, 500 a commit.
STORE_FLOOR = """
import os, sqlite3
connection = sqlite3.connect(".nimbus/floor.db", isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("PRAGMA synchronous = NORMAL")
connection.execute("CREATE TABLE kv(key TEXT PRIMARY KEY, value BLOB)")
names = [os.path.join(folder, name) for folder, _, names in os.walk(".nimbus/maps") for name in sorted(names)]
for start in range(0, len(names), 500):
    connection.execute("BEGIN")
    for name in names[start : start + 500]:
        with open(name, "rb") as file:
            connection.execute("INSERT INTO kv VALUES (?, ?)", (name, file.read()))
    connection.execute("COMMIT")
"""
_PEERS = Path(__file__).parent / "peers"
_STORED = ("kv.db*", "ledger.db*", "reports")


# --- nothing changed, one page changed ----------------------------------------------------------------------


def nothing_changed(size: Size) -> Iterator[Row]:
    """Time `doit upload` of a site that is already published, beside the floor and beside other tools."""
    ours: dict[int, Figure] = {}
    for pages in (1_000, 10_000) if size.quick else (1_000, 10_000, 50_000):
        say(f"nothing changed: {pages:,} pages")
        with sites.made(pages, sites.SMALL) as site:
            _publish(site)
            taken = in_turn(_beside_others(site), size.runs(15 if pages < 50_000 else 9))
        ours[pages] = taken["ours"]
        what = f"nothing changed, {pages:,} pages"
        yield against(what, taken["ours"], taken["floor"], "floor", at_most=2.5)
        yield against(what, taken["ours"], taken["make"], "make, pages and maps compared")
        yield against(what, taken["ours"], taken["gulp"], "gulp's `since: lastRun`, its start not counted")
        if pages == 10_000:
            # The target is 0.3 s on a machine where that takes 0.12: the same ratio on any other.
            yield against(what, taken["ours"], taken["list"], "`doit list` of nothing", at_most=2.5)
    if 50_000 in ours:
        yield against("nothing changed, 50,000 pages", ours[50_000], ours[10_000], "10,000 pages", at_most=5)


def _beside_others(site: Site) -> dict[str, Callable[[], float]]:
    empty = site.folder / "empty"
    empty.mkdir()
    (empty / "dodo.py").touch()
    makefile, last_run = (str(_PEERS / name) for name in ("unchanged.mk", "last_run.mjs"))
    return {
        "ours": lambda: _sends_nothing(site),
        "floor": lambda: run([PYTHON, "-c", FLOOR, sites.SOURCE], site.folder).seconds,
        "make": lambda: run(["make", "-s", "-f", makefile], site.folder).seconds,
        "gulp": lambda: float(run(["node", last_run], site.folder).output),
        "list": lambda: run(doit("list"), empty).seconds,
    }


def one_changed(size: Size) -> Iterator[Row]:
    """Time `doit upload` after one page was saved, beside one after none was."""
    pages = 10_000
    say(f"one page changed: {pages:,} pages")
    revision = 0
    with sites.made(pages, sites.TYPICAL) as site:
        _publish(site)

        def edited() -> float:
            nonlocal revision
            revision += 1
            site.edit(revision * 37 % pages, revision)
            taken = run(doit("upload"), site.folder).seconds
            _check_sent(site, 1)
            return taken

        taken = in_turn({"ours": edited, "nothing": lambda: _sends_nothing(site)}, size.runs(15))
    yield against(
        f"one page changed, {pages:,} pages of {site.describe()}",
        taken["ours"],
        taken["nothing"],
        "nothing changed",
        at_most=1.6,
    )


# --- all pages are new --------------------------------------------------------------------------------------


def first_upload(size: Size) -> Iterator[Row]:
    """Time each stage over a whole site, and all of them at once."""
    pages = 10_000
    say(f"first upload: {pages:,} pages")
    publishing: list[float] = []
    with sites.made(pages, sites.TYPICAL) as site:
        run(doit("_validate"), site.folder)

        def upload() -> float:
            _forget_upload(site)
            taken = run(doit("upload"), site.folder).seconds
            publishing.append(_check_sent(site, pages))
            return taken

        def insert() -> float:
            return _settled(site, "floor.db*", lambda: run([PYTHON, "-c", STORE_FLOOR], site.folder))

        def validate() -> float:
            with contextlib.closing(sqlite3.connect(site.state / "manifest/site.db")) as manifest, manifest:
                manifest.execute("DELETE FROM fact WHERE name = 'project_id'")  # every map is validated again
            return run(doit("_validate"), site.folder).seconds

        def everything() -> float:
            site.forget("maps", "manifest", "doit.db", "lock", "log.jsonl", *_STORED)
            taken = _settled(site, "floor.db*", lambda: run(doit("upload"), site.folder))
            _check_sent(site, pages)
            return taken

        runs = size.runs(7)
        taken = in_turn({"ours": upload, "floor": insert, "validate": validate}, runs)
        stage = Figure("s", tuple(publishing[-runs:]))
        whole = in_turn({"all": everything}, max(1, runs // 2), warm_ups=0)["all"]
    what = f"{pages:,} new pages of {site.describe()}"
    ours, floor = taken["ours"].per_second(pages), taken["floor"].per_second(pages)
    row = within(f"first upload, {what}: whole process", ours, at_least=5000)
    yield msgspec.structs.replace(
        row, beside=floor, beside_what="bare SQLite inserts", ratio=floor.median / ours.median
    )
    yield within(f"first upload, {what}: publishing alone", stage.per_second(pages))
    yield within(f"validate, {what}: whole process", taken["validate"].per_second(pages))
    yield within(f"extract, validate and upload, {what}", whole.per_second(pages))


def memory(size: Size) -> Iterator[Row]:
    """Measure the peak resident memory of first uploads, and how it grows with the site."""
    if size.quick:
        return
    peaks: dict[int, Figure] = {}
    for pages in (10_000, 100_000):
        say(f"memory: {pages:,} pages")
        with sites.made(pages, sites.SMALL) as site:
            run(doit("_validate"), site.folder)
            runs = [_first_upload(site) for _ in range(3)]
            again = run(doit("upload"), site.folder)
        what = f"{pages:,} pages of {site.describe()}"
        peaks[pages] = Figure("MB", tuple(ended.peak_mb for ended in runs))
        below = 250 if pages == 100_000 else None
        yield within(f"peak memory of a first upload, {what}", peaks[pages], below=below)
        speed = Figure("s", tuple(ended.seconds for ended in runs)).per_second(pages)
        yield within(f"speed of a first upload, {what}", speed)
        yield within(f"peak memory where nothing changed, {what}", Figure("MB", (again.peak_mb,)))
    growth = (peaks[100_000].median - peaks[10_000].median) * 1000 / 90_000
    yield within("memory that one more page takes in a first upload", Figure("kB", (growth,)))


BENCHMARKS: dict[str, Callable[[Size], Iterator[Row]]] = {
    "nothing-changed": nothing_changed,
    "one-changed": one_changed,
    "first-upload": first_upload,
    "memory": memory,
}


# --- what they have in common -------------------------------------------------------------------------------


class _Counts(Struct):
    stored: int


class _Report(Struct):
    """What is read of `reports/upload.json`."""

    started: str
    finished: str
    counts: _Counts


def _publish(site: Site) -> None:
    run(doit("upload"), site.folder)
    _check_sent(site, site.pages)
    os.sync()


def _sends_nothing(site: Site) -> float:
    report = site.state / "reports" / "upload.json"
    before = os.stat(report).st_mtime_ns
    ended = run(doit("upload"), site.folder)
    if os.stat(report).st_mtime_ns != before:
        sys.exit(f"An upload with nothing to send did something:\n{ended.output}")
    return ended.seconds


def _forget_upload(site: Site) -> None:
    run(doit("forget", "upload"), site.folder)
    site.forget(*_STORED)
    # Else the disk still writes the last run's pages while this one is measured.
    os.sync()


def _first_upload(site: Site) -> Ended:
    _forget_upload(site)
    ended = run(doit("upload"), site.folder)
    _check_sent(site, site.pages)
    return ended


def _settled(site: Site, made: str, measure: Callable[[], Ended]) -> float:
    """Remove what the last run made in `.nimbus/`, let the disk settle, and return the seconds of the next."""
    site.forget(made)
    os.sync()
    return measure().seconds


def _check_sent(site: Site, pages: int) -> float:
    """Return how many seconds publishing took of the last upload, once it is sure that it sent so many pages."""
    report = msgspec.json.decode((site.state / "reports" / "upload.json").read_bytes(), type=_Report)
    if report.counts.stored != pages:
        sys.exit(f"An upload of {pages} pages sent {report.counts.stored}")
    if pages == site.pages:
        with contextlib.closing(sqlite3.connect(f"file:{site.state / 'kv.db'}?mode=ro", uri=True)) as connection:
            stored = connection.execute("SELECT count(*) FROM kv WHERE key GLOB 'page:*'").fetchone()[0]
        if stored != pages:
            sys.exit(f"The store holds {stored} pages after an upload of {pages}")
    return (datetime.fromisoformat(report.finished) - datetime.fromisoformat(report.started)).total_seconds()

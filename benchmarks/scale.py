"""`python -m benchmarks.scale [--rows | --stored | --unchanged] PAGES...`: what commands take of a site of small pages.

With `--rows` the pages have no files: the manifest's rows are made up, and so is what their maps hold. So a million of
them fit on any disk, and the upload, the list of batches and reconcile are measured without extraction and validation.
With `--stored` their records and statuses are at the target already, as a run leaves them that was killed before it
wrote the queue. With `--unchanged` the files are empty and the manifest has them as read: a run with nothing to do
beside its floor, without the hours that a slow disk takes to write and read two million files.

One run of each; "nothing changed" and its floor run in turns, and their medians are shown. CPU seconds and peak memory
are those of `wait4`: of the process and the children that it waited for (for the memory, of the largest of them).
docs/scale.md has the results.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sqlite3
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import sites
from benchmarks.pipeline import FLOOR
from benchmarks.timing import PYTHON, doit, environment, machine, say
from nimbus_tasks.backends.kv.open import KV_FILE
from nimbus_tasks.backends.kv.sqlite import SqliteStore
from nimbus_tasks.project import settings
from nimbus_tasks.project.compare import digest_of
from nimbus_tasks.project.manifest import SITE, Manifest
from nimbus_tasks.project.scan import walk
from nimbus_tasks.project.settings import MAPS_FOLDER
from nimbus_tasks.publishing.ledger import LEDGER_FILE, Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_TURNS = 5
#: The pages of a site that has no files. Page ids are in no order, as those of real pages.
_ROWS = """
WITH RECURSIVE page(number) AS (SELECT 0 UNION ALL SELECT number + 1 FROM page WHERE number + 1 < ?)
INSERT INTO map(
    folder, name, mtime, size, ctime, source_path, page_id, digest, bytes, issues, conflict, invalid, url
) SELECT
    '.nimbus/maps/dist/section-' || printf('%04d', number / 1000), printf('page-%07d.html.json', number), 1, 700, 1,
    'dist/section-' || printf('%04d', number / 1000) || '/' || printf('page-%07d.html', number),
    printf('page_%012x', number * 2654435761 % 281474976710656), printf('%064d', number), 700, NULL, NULL, 0, ''
FROM page
"""
#: What a run that was killed leaves in the store and in the ledger. Its batches have a thousand pages each.
_STORED = """
ATTACH '.nimbus/manifest/site.db' AS site;
ATTACH '.nimbus/ledger.db' AS ledger;
CREATE TEMP TABLE sent AS SELECT page_id, source_path, digest, '2026-01-02T03:04:05.678Z' AS uploaded,
    'batch_' || strftime(
        '%Y%m%d_%H%M%S', 1767312000 + (row_number() OVER (ORDER BY source_path) - 1) / 1000, 'unixepoch'
    ) AS batch_id FROM site.map;
INSERT INTO kv(key, value, metadata) SELECT 'page:{project}:' || page_id, json_object(
    'page_id', page_id, 'project_id', '{project}', 'batch_id', batch_id, 'source_path', source_path,
    'uploaded', uploaded, 'extraction', json_object('content', printf('%.500c', 'x'))
), json_object('batch_id', batch_id, 'uploaded', uploaded, 'digest', digest) FROM sent ORDER BY page_id;
INSERT INTO kv(key, value) SELECT 'status:{project}:' || page_id, json_object(
    'status', 'uploaded', 'batch_id', batch_id, 'updated', uploaded
) FROM sent ORDER BY page_id;
INSERT INTO ledger.target(name, identity) VALUES ('sqlite', '{identity} {project}');
INSERT INTO ledger.batch SELECT DISTINCT 'sqlite', batch_id, uploaded, 1 FROM sent;
INSERT INTO ledger.page SELECT 'sqlite', page_id, source_path, digest, batch_id, uploaded, 'marked' FROM sent
    ORDER BY page_id;
"""
#: Uploads what the manifest has, as `doit upload` does once it has looked at the files.
UPLOAD = """
import msgspec
from nimbus_tasks.pipeline import upload_run
from nimbus_tasks.pipeline.pipeline import Pipeline
from nimbus_tasks.pipeline.snapshot import Snapshot
from nimbus_tasks.project.manifest import read_pages
from nimbus_tasks.project.scan import Scan
from nimbus_tasks.publishing.plan import Request

class Nobody:
    def __getattr__(self, name):
        return lambda *_: None

content = msgspec.Raw(b'{"content":"' + b"word " * 100 + b'"}')
upload_run._read_extraction = lambda page, pages: content
done = Pipeline().upload(Snapshot(0, Scan({}), read_pages(), ()), Request(), Nobody())
assert not done.outcome.stopped, done.outcome.stopped
print(done.outcome.sent, "sent")
"""


class Cost(NamedTuple):
    """What a process took."""

    what: str
    seconds: float
    cpu: float
    peak_mb: float

    def __str__(self) -> str:
        return f"| {self.what} | {self.cpu:.1f} s | {self.seconds:.1f} s | {self.peak_mb:.0f} MB |"


def cost(what: str, command: Sequence[str], folder: Path) -> Cost:
    """Run a command, and return what it took.

    Raises:
        SystemExit: it failed.
    """
    started = time.perf_counter()
    with subprocess.Popen(command, cwd=folder, env=environment(), stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} in {folder} ended with {process.returncode}")
    return Cost(what, time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def of_files(pages: int) -> Iterator[Cost]:
    """Yield what each command takes, from the first extraction to a check of the whole store."""
    with sites.made(pages, sites.SMALL) as site:
        yield cost("extract, all new", doit("extract"), site.folder)
        yield cost("validate, all new", doit("_validate"), site.folder)
        yield cost("upload, all new", doit("upload"), site.folder)
        yield from _unchanged(site.folder)
        site.edit(site.pages // 2, 1)
        yield cost("upload, one page changed", doit("upload"), site.folder)
        yield cost("upload --force --dry-run", doit("nimbus:upload", "--force", "--dry-run"), site.folder)
        yield cost("nimbus:batch:list", doit("nimbus:batch:list"), site.folder)
        yield cost("nimbus:reconcile", doit("nimbus:reconcile"), site.folder)


def _unchanged(folder: Path) -> Iterator[Cost]:
    """Yield the medians of a run with nothing to do and of its floor, in turns. The first turn is not counted."""
    commands = {
        "floor: every source file looked at": [PYTHON, "-c", FLOOR, sites.SOURCE],
        "upload, nothing changed": doit("upload"),
    }
    turns = [[cost(what, command, folder) for what, command in commands.items()] for _ in range(_TURNS + 1)]
    for what, *costs in zip(commands, *turns[1:], strict=True):
        seconds, cpu, peak = (statistics.median(values) for values in zip(*(each[1:] for each in costs), strict=True))
        yield Cost(what, seconds, cpu, peak)


def of_rows(pages: int, *, stored: bool) -> Iterator[Cost]:
    """Yield what the upload and the commands after it take, for pages that have no files."""
    with sites.made(1, sites.SMALL) as site:
        file = site.folder / SITE
        file.parent.mkdir()
        Manifest(file).close()
        with contextlib.closing(sqlite3.connect(file)) as manifest, manifest:
            manifest.execute(_ROWS, (pages,))
        if stored:
            _store(site.folder)
        upload = [sys.executable, "-c", UPLOAD]
        yield cost("upload, all stored before" if stored else "upload, all new", upload, site.folder)
        with contextlib.closing(sqlite3.connect(file)) as manifest, manifest:
            manifest.execute("UPDATE map SET digest = 'other' WHERE name = 'page-0000007.html.json'")
        yield cost("upload, one page changed", upload, site.folder)
        yield cost("nimbus:batch:list", doit("nimbus:batch:list"), site.folder)
        yield cost("nimbus:reconcile", doit("nimbus:reconcile"), site.folder)
        if not stored:
            with contextlib.closing(sqlite3.connect(file)) as manifest, manifest:
                manifest.execute("UPDATE map SET digest = digest || 'x'")
            yield cost("upload, all pages changed", upload, site.folder)


def of_unchanged(pages: int) -> Iterator[Cost]:
    """Yield what a run with nothing to do takes, and its floor, for empty files."""
    with sites.made(1, sites.SMALL) as site:
        cost("upload", doit("upload"), site.folder)
        for number in range(1, pages):
            source = site.path_of(number)
            map_file = site.folder / MAPS_FOLDER / source.relative_to(site.folder).with_suffix(".html.json")
            for file in (source, map_file):
                if number % sites.PAGES_A_FOLDER == 0:
                    file.parent.mkdir(parents=True)
                file.touch()
        with contextlib.chdir(site.folder):
            _note_as_read()
        yield from _unchanged(site.folder)


def _note_as_read() -> None:
    """Put the files of the working directory's project into its manifest, as stages do that have dealt with them."""
    manifest = Manifest()
    with manifest.transaction():
        for kind, folder, known in (
            ("source", sites.SOURCE, "'', '', 0, ''"),
            ("map", MAPS_FOLDER, "'', '', '', 0, NULL, NULL, 0, ''"),
        ):
            for listing in walk(folder, lambda _: True, [], hidden=True):
                rows = ((listing.folder, *file) for file in listing.files)
                manifest.write(f"INSERT OR IGNORE INTO {kind} VALUES (?, ?, ?, ?, ?, {known})", rows)
                row = (kind, listing.folder, digest_of(listing.files))
                manifest.write("INSERT OR REPLACE INTO folder VALUES (?, ?, ?)", [row])
    manifest.close()


def _store(folder: Path) -> None:
    """Put what the manifest has into the store and the ledger."""
    text = settings.load(folder).project.id
    store = SqliteStore(folder / KV_FILE)
    Ledger(folder / LEDGER_FILE, "sqlite").close()
    with contextlib.chdir(folder), contextlib.closing(sqlite3.connect(KV_FILE)) as connection:
        connection.executescript("PRAGMA synchronous = OFF;" + _STORED.format(project=text, identity=store.identity))
    asyncio.run(store.close())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", action="store_true", help="pages without files")
    parser.add_argument("--stored", action="store_true", help="pages without files that are stored and not yet queued")
    parser.add_argument("--unchanged", action="store_true", help="empty files that are known: nothing changed")
    parser.add_argument("pages", nargs="+", type=int)
    asked = parser.parse_args()
    for pages in asked.pages:
        say(f"{pages:,} pages")
        print(f"{machine()}\n\n| {pages:,} pages | CPU | wall clock | peak memory |\n|---|---|---|---|", flush=True)
        if asked.unchanged:
            some = of_unchanged(pages)
        else:
            some = of_rows(pages, stored=asked.stored) if asked.rows or asked.stored else of_files(pages)
        for each in some:
            print(each, flush=True)


if __name__ == "__main__":
    main()

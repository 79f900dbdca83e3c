"""The manifest: what extraction read and wrote, and what validation found, in a database of its own.

It answers "must this stage run?" without reading it all: for each folder it keeps a digest of the names and stamps of
its files (`compare.py`), so that a folder without changes costs one row. Memory does not grow with the site: rows are
read where they are needed, and what differs is kept in a temporary table.

It can be made again from the source files and the maps: one that is missing, damaged or of another version begins
empty, and the stages do everything again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import ItemsView, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Struct

from nimbus_tasks.model.errors import StateError
from nimbus_tasks.model.issues import Issue
from nimbus_tasks.project import files
from nimbus_tasks.project.scan import Stamp
from nimbus_tasks.project.settings import MAPS_FOLDER, STATE_FOLDER
from nimbus_tasks.project.spool import runs
from nimbus_tasks.project.sqlite import errors_as, log_ahead, open_or_renew, transaction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

T = TypeVar("T")

SITE = f"{STATE_FOLDER}/manifest/site.db"
#: The stamp of a file that has not been read: no file has it.
NEVER: Stamp = (0, 0, 0)

_VERSION = 1
_SCHEMA = f"""
PRAGMA user_version = {_VERSION};
CREATE TABLE fact(name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE folder(kind TEXT, path TEXT, digest BLOB NOT NULL, PRIMARY KEY(kind, path)) WITHOUT ROWID;
CREATE TABLE source(
    folder TEXT, name TEXT, mtime INTEGER, size INTEGER, ctime INTEGER,
    map_file TEXT NOT NULL, skipped TEXT NOT NULL, failed INTEGER NOT NULL, digest TEXT NOT NULL,
    PRIMARY KEY(folder, name)
) WITHOUT ROWID;
CREATE INDEX skipped_source ON source(folder, name) WHERE skipped != '';
CREATE TABLE map(
    folder TEXT, name TEXT, mtime INTEGER, size INTEGER, ctime INTEGER,
    source_path TEXT NOT NULL, page_id TEXT NOT NULL, digest TEXT NOT NULL, bytes INTEGER NOT NULL,
    issues BLOB, conflict BLOB, invalid INTEGER NOT NULL,
    PRIMARY KEY(folder, name)
) WITHOUT ROWID;
CREATE INDEX map_by_page ON map(page_id);
CREATE INDEX flawed_map ON map(folder, name) WHERE issues IS NOT NULL OR conflict IS NOT NULL;
"""
#: What was found that differs, of this process: without an mtime a file is missing. again: it is to be read although it
#: is as it was.
_FOUND = """
CREATE TEMP TABLE found(
    kind TEXT, folder TEXT, name TEXT, mtime INTEGER, size INTEGER, ctime INTEGER, PRIMARY KEY(kind, folder, name)
) WITHOUT ROWID;
CREATE TEMP TABLE looked(kind TEXT, path TEXT, digest BLOB, PRIMARY KEY(kind, path)) WITHOUT ROWID;
CREATE TEMP TABLE again(folder TEXT, name TEXT, PRIMARY KEY(folder, name)) WITHOUT ROWID;
"""
_encode_issues = msgspec.json.Encoder().encode
_decode_issues = msgspec.json.Decoder(tuple[Issue, ...]).decode


class SourceEntry(Struct, array_like=True, gc=False):
    """The result of one source file.

    map_file: empty where the file was skipped.
    skipped: why.
    failed: it could not be read.
    digest: of its bytes; empty where it is not known.
    """

    stamp: Stamp
    map_file: str
    skipped: str = ""
    failed: bool = False
    digest: str = ""


class PageEntry(Struct, array_like=True, gc=False):
    """The verdict on one map file as it was when its stamp was taken; see `validate.Verdict`."""

    stamp: Stamp
    source_path: str
    page_id: str
    digest: str
    size: int
    issues: tuple[Issue, ...] = ()


def split(path: str) -> tuple[str, str]:
    """Return the folder and the name of a path, as the tables have them."""
    folder, _, name = path.rpartition("/")
    return folder, name


def join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def pages_file(folder: str) -> str:
    """Return the manifest of a maps folder: each folder has its own."""
    if folder == MAPS_FOLDER:
        return SITE
    name = hashlib.blake2b(folder.encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()
    return f"{STATE_FOLDER}/manifest/pages-{name}.db"


class Manifest:
    """The database. Every method that writes commits before it returns."""

    def __init__(self, path: Path = Path(SITE)) -> None:
        """Open the file; make it anew where it is missing, damaged, or of another version.

        Raises:
            StateError: it cannot be opened or made.
        """
        self.path = path
        with self._errors():
            if not os.access(path.parent.parent, os.W_OK):
                # There is no project, or nothing can be done in it; the stages say so, and why.
                self._connection = sqlite3.connect(":memory:", isolation_level=None)
                _prepare(self._connection)
            else:
                self._connection = open_or_renew(path, _prepare, "Every page is read again.")
        self.sources = SourceTable(self)
        self.pages = PageTable(self)
        if path == Path(SITE):
            _take_over(self)

    @classmethod
    def to_read(cls, path: Path = Path(SITE)) -> Manifest:
        """Open an existing file, and change nothing in it."""
        manifest = cls.__new__(cls)
        manifest.path = path
        manifest._connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None)
        return manifest

    def close(self) -> None:
        self._connection.close()

    # --- facts ----------------------------------------------------------------------------------------

    def fact(self, name: str) -> str:
        """Return what was noted under a name; empty where nothing was."""
        rows = self.rows("SELECT value FROM fact WHERE name = ?", name)
        return str(rows[0][0]) if rows else ""

    def note(self, **facts: str) -> None:
        with self.transaction():
            self.write("INSERT OR REPLACE INTO fact VALUES (?, ?)", facts.items())

    # --- rows -----------------------------------------------------------------------------------------

    def rows(self, query: str, *parameters: object) -> list[Any]:
        with self._errors():
            return self._connection.execute(query, parameters).fetchall()

    def count(self, query: str, *parameters: object) -> int:
        return int(self.rows(query, *parameters)[0][0])

    def each(self, query: str, *parameters: object) -> Iterator[Any]:
        """Yield rows as they are read. Write nothing to the same tables meanwhile."""
        with self._errors():
            yield from self._connection.execute(query, parameters)

    def write(self, statement: str, rows: Iterable[Iterable[object]] = ((),)) -> None:
        """Execute a statement for each of the rows, within a `transaction`."""
        self._connection.executemany(statement, map(tuple, rows))

    def note_folders(self, kind: str, folders: Iterable[str]) -> None:
        """Note folders whose files are known, within a `transaction`: that one of them is gone is seen by this."""
        self.write("INSERT OR IGNORE INTO folder VALUES (?, ?, x'')", ((kind, folder) for folder in folders))

    @contextlib.contextmanager
    def transaction(self, *, temporary: bool = False) -> Iterator[None]:
        """Commit at the end, or roll back. `temporary`: only tables of this process are written, without the lock."""
        with self._errors(), transaction(self._connection, at_once=not temporary):
            yield

    def _errors(self) -> contextlib.AbstractContextManager[None]:
        return errors_as(
            StateError, self.path, f"{self.path} cannot be used", "Check the disk.", "every page is read again."
        )


def _prepare(connection: sqlite3.Connection) -> None:
    log_ahead(connection)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA cache_size = -16000")
    if connection.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
        with transaction(connection):
            _create(connection)
    for statement in _FOUND.split(";"):
        connection.execute(statement)


def _create(connection: sqlite3.Connection) -> None:
    """Make the tables, unless another process has just done so."""
    if connection.execute("PRAGMA user_version").fetchone()[0] == _VERSION:
        return
    for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
        connection.execute(f'DROP TABLE "{name}"')
    for statement in _SCHEMA.split(";"):
        connection.execute(statement)


class _Former(Struct):
    """What extraction knew when that was one JSON document."""

    rules: str
    entries: dict[str, SourceEntry]


def _take_over(manifest: Manifest) -> None:
    """Take over what extraction knew before there was a database, or the map of a page that went since would stay."""
    former = manifest.path.with_name("sources.json")
    if not former.exists():
        return
    known = files.read_json(former, _Former, "Every page is read again.")
    if known is not None and not manifest.fact("rules"):
        manifest.sources.put(known.entries.items())
        manifest.note(rules=known.rules)
    for path in former.parent.glob("*.json"):
        files.remove(path)


# --- its tables -----------------------------------------------------------------------------------------------


class _Table(Mapping[str, T]):
    """Rows by path, each read where it is asked for."""

    name: str
    columns: str

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest

    def __getitem__(self, path: str) -> T:
        rows = self.manifest.rows(f"SELECT {self.columns} FROM {self.name} WHERE folder = ? AND name = ?", *split(path))
        if not rows:
            raise KeyError(path)
        return self.entry(rows[0])

    def __iter__(self) -> Iterator[str]:
        return (join(*row) for row in self.manifest.each(f"SELECT folder, name FROM {self.name}"))

    def __len__(self) -> int:
        return self.manifest.count(f"SELECT count(*) FROM {self.name}")

    def __contains__(self, path: object) -> bool:
        query = f"SELECT 1 FROM {self.name} WHERE folder = ? AND name = ?"
        return isinstance(path, str) and bool(self.manifest.rows(query, *split(path)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and len(self) == len(other) and dict(self) == dict(other)

    __hash__ = None  # type: ignore[assignment]

    def items(self) -> ItemsView[str, T]:
        """Return the rows by path, read as they are iterated over."""
        return _Rows(self)

    def where(self, condition: str, *parameters: object) -> Iterator[tuple[str, T]]:
        """Yield the rows that meet a condition, by path."""
        query = f"SELECT folder, name, {self.columns} FROM {self.name} WHERE {condition}"
        for folder, name, *row in self.manifest.each(query, *parameters):
            yield join(folder, name), self.entry(row)

    def remove(self, paths: Iterable[str]) -> None:
        with self.manifest.transaction():
            self.manifest.write(f"DELETE FROM {self.name} WHERE folder = ? AND name = ?", map(split, paths))

    def entry(self, row: Sequence[Any]) -> T:
        raise NotImplementedError


class _Rows(ItemsView[str, T]):
    def __init__(self, table: _Table[T]) -> None:
        super().__init__(table)
        self._table = table

    def __iter__(self) -> Iterator[tuple[str, T]]:
        return self._table.where("1")


class SourceTable(_Table[SourceEntry]):
    """What extraction knows of each source file."""

    name = "source"
    columns = "mtime, size, ctime, map_file, skipped, failed, digest"

    def entry(self, row: Sequence[Any]) -> SourceEntry:
        mtime, size, ctime, map_file, skipped, failed, digest = row
        return SourceEntry((mtime, size, ctime), map_file, skipped, bool(failed), digest)

    def put(self, entries: Iterable[tuple[str, SourceEntry]]) -> None:
        rows = [(*split(path), *e.stamp, e.map_file, e.skipped, e.failed, e.digest) for path, e in entries]
        with self.manifest.transaction():
            self.manifest.write("INSERT OR REPLACE INTO source VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            self.manifest.note_folders("source", {row[0] for row in rows})
            self.manifest.note_folders("map", {split(row[5])[0] for row in rows if row[5]})

    def announce(self, paths: Iterable[tuple[str, str]], rules: str) -> None:
        """Note new source files and the maps that they will have; with other rules, every file is to be read again."""
        with self.manifest.transaction():
            if self.manifest.fact("rules") != rules:
                self.manifest.write("UPDATE source SET mtime = 0, size = 0, ctime = 0, digest = ''")
                self.manifest.write("UPDATE folder SET digest = x'' WHERE kind = 'source'")
                self.manifest.write("INSERT OR REPLACE INTO fact VALUES ('rules', ?)", [(rules,)])
            self.manifest.write(
                "INSERT OR IGNORE INTO source VALUES (?, ?, 0, 0, 0, ?, '', 0, '')",
                ((*split(path), map_file) for path, map_file in paths),
            )
            self.manifest.write(
                "INSERT OR IGNORE INTO folder SELECT DISTINCT 'source', folder, x'' FROM source WHERE mtime = 0"
            )

    def distrust(self, paths: Iterable[str]) -> None:
        """Have the folders of these files compared file by file at the next look."""
        with self.manifest.transaction():
            folders = {(split(path)[0],) for path in paths}
            self.manifest.write("UPDATE folder SET digest = x'' WHERE kind = 'source' AND path = ?", folders)

    def to_read_again(self) -> Iterator[tuple[str, SourceEntry]]:
        """Yield the files that could not be read, and those whose maps are gone."""
        yield from self.where("skipped != '' AND failed")
        yield from self.where("(folder, name) IN (SELECT folder, name FROM again)")

    def made(self, map_file: str) -> Iterator[tuple[str, SourceEntry]]:
        """Yield the file that a map was made from."""
        below = split(map_file)[0].removeprefix(MAPS_FOLDER).removeprefix("/")
        return self.where("folder = ? AND map_file = ?", below, map_file)

    def count_pages(self) -> int:
        """Count the source files that have a map."""
        return self.manifest.count("SELECT count(*) FROM source WHERE map_file != ''")


class PageTable(_Table[PageEntry]):
    """What validation knows of each map."""

    name = "map"
    columns = "mtime, size, ctime, source_path, page_id, digest, bytes, issues"

    def entry(self, row: Sequence[Any]) -> PageEntry:
        mtime, size, ctime, source_path, page_id, digest, length, issues = row
        return PageEntry(
            (mtime, size, ctime), source_path, page_id, digest, length, _decode_issues(issues) if issues else ()
        )

    def put(self, entries: Iterable[tuple[str, PageEntry]]) -> None:
        def row(path: str, e: PageEntry) -> tuple[object, ...]:
            invalid = any(issue.severity == "error" for issue in e.issues)
            issues = _encode_issues(e.issues) if e.issues else None
            return (*split(path), *e.stamp, e.source_path, e.page_id, e.digest, e.size, issues, None, invalid)

        rows = [row(path, entry) for path, entry in entries]
        with self.manifest.transaction():
            self.manifest.write("INSERT OR REPLACE INTO map VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            self.manifest.note_folders("map", {str(row[0]) for row in rows})

    def remove(self, paths: Iterable[str]) -> None:
        """Forget these maps, and that extraction made them: it makes them again."""
        for some in runs(paths, 1000):
            super().remove(some)
            made = [(split(path)[0].removeprefix(MAPS_FOLDER).removeprefix("/"), path) for path in some]
            with self.manifest.transaction():
                lost = "UPDATE source SET mtime = 0, size = 0, ctime = 0, digest = '' WHERE folder = ? AND map_file = ?"
                self.manifest.write(lost, made)
            self.manifest.sources.distrust(join(folder, "") for folder, _ in made)

    def of_page(self, page_id: str) -> PageEntry | None:
        """Return the entry of a page; None where there is none."""
        return next((entry for _, entry in self.where("page_id = ? LIMIT 1", page_id)), None)

    def shared(self) -> Iterator[tuple[str, PageEntry]]:
        """Yield the maps that have the page id of another one."""
        twice = "SELECT page_id FROM map WHERE page_id != '' GROUP BY page_id HAVING count(*) > 1"
        return self.where(f"page_id IN ({twice})")

    def set_conflicts(self, conflicts: Mapping[str, Issue]) -> None:
        """Note what is wrong between maps, in place of what was noted before."""
        known = set(self.manifest.rows("SELECT folder, name FROM map WHERE conflict IS NOT NULL"))
        gone = known.difference(map(split, conflicts))
        with self.manifest.transaction():
            for folder, name in gone:
                invalid = any(issue.severity == "error" for issue in self[join(folder, name)].issues)
                self.manifest.write(
                    "UPDATE map SET conflict = NULL, invalid = ? WHERE folder = ? AND name = ?",
                    [(invalid, folder, name)],
                )
            self.manifest.write(
                "UPDATE map SET conflict = ?, invalid = 1 WHERE folder = ? AND name = ?",
                ((_encode_issues((issue,)), *split(path)) for path, issue in conflicts.items()),
            )

    def issues(self) -> Iterator[Issue]:
        """Yield the issues of each map and those between maps, in the order of the files."""
        query = (
            "SELECT issues, conflict FROM map WHERE issues IS NOT NULL OR conflict IS NOT NULL ORDER BY "
            "CASE folder WHEN '' THEN name ELSE folder || '/' || name END"
        )
        for held in self.manifest.each(query):
            found = [issue for encoded in held if encoded for issue in _decode_issues(encoded)]
            yield from sorted(found, key=lambda issue: (issue.file, issue.pointer, issue.message))

    def site_digest(self) -> str:
        """Return one digest of the pages that can be published: equal sites, equal digests."""
        digest = hashlib.blake2b(digest_size=16)
        between = b""
        lines = self.manifest.each("SELECT page_id || ' ' || digest FROM map WHERE NOT invalid ORDER BY page_id")
        for some in runs(lines, 10_000):
            digest.update(between + "\n".join(line for (line,) in some).encode())
            between = b"\n"
        return digest.hexdigest()


class Sources(Struct, frozen=True):
    """What extraction knows, by source path.

    rules: digest of the settings and the extractor version.
    odd: what has the name of a page and is not a plain file, and why.
    unreadable: folders that could not be read, and why.
    """

    rules: str = ""
    odd: dict[str, str] = {}
    unreadable: dict[str, str] = {}
    entries: Mapping[str, SourceEntry] = {}


#: What pages can be sorted by.
Order = Literal["page_id", "source_path"]


class Pages(Struct, frozen=True):
    """What validation knows, by map file.

    site: one digest of all pages that can be published.
    invalid: the map files that cannot be published.
    """

    project_id: str = ""
    site: str = ""
    invalid: tuple[str, ...] = ()
    entries: Mapping[str, PageEntry] = {}

    def by(self, order: Order) -> Iterator[tuple[str, PageEntry]]:
        """Yield the entries by map file, in the order of their page ids or paths."""
        if isinstance(self.entries, PageTable):
            yield from self.entries.where(f"1 ORDER BY {order}")
        else:
            yield from sorted(self.entries.items(), key=lambda entry: str(getattr(entry[1], order)))

    @property
    def paths(self) -> Mapping[str, str]:
        """The source paths of the valid pages by page id, in the order of the ids."""
        if isinstance(self.entries, PageTable):
            return _Paths(self.entries.manifest)
        invalid = frozenset(self.invalid)
        return {entry.page_id: entry.source_path for file, entry in self.by("page_id") if file not in invalid}

    def of_page(self, page_id: str) -> PageEntry | None:
        """Return the entry of a page; None where there is none."""
        if isinstance(self.entries, PageTable):
            return self.entries.of_page(page_id)
        return next((entry for entry in self.entries.values() if entry.page_id == page_id), None)


class _Paths(Mapping[str, str]):
    """Paths by page id, each read where it is asked for."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest

    def __getitem__(self, page_id: str) -> str:
        rows = self._manifest.rows("SELECT source_path FROM map WHERE page_id = ? AND NOT invalid", page_id)
        if not rows:
            raise KeyError(page_id)
        return str(rows[0][0])

    def __iter__(self) -> Iterator[str]:
        rows = self._manifest.each("SELECT page_id FROM map WHERE NOT invalid ORDER BY page_id")
        return (page_id for (page_id,) in rows)

    def __len__(self) -> int:
        return self._manifest.count("SELECT count(*) FROM map WHERE NOT invalid")


def read_sources(manifest: Manifest | None = None) -> Sources:
    held = manifest or Manifest()
    odd = msgspec.json.decode(held.fact("odd") or "[{},{}]", type=tuple[dict[str, str], dict[str, str]])
    return Sources(held.fact("rules"), *odd, held.sources)


def read_pages(manifest: Manifest | None = None) -> Pages:
    held = manifest or Manifest()
    invalid = held.rows("SELECT folder, name FROM map WHERE (issues IS NOT NULL OR conflict IS NOT NULL) AND invalid")
    return Pages(held.fact("project_id"), held.fact("site"), tuple(sorted(join(*row) for row in invalid)), held.pages)

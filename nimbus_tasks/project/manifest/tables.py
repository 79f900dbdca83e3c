"""What is known of each source file and of each map, as rows by path."""

from __future__ import annotations

import contextlib
import hashlib
from abc import abstractmethod
from collections.abc import ItemsView, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import Struct

from nimbus_tasks.model.issues import Issue
from nimbus_tasks.project.scan import Stamp
from nimbus_tasks.project.settings import MAPS_FOLDER
from nimbus_tasks.project.spool import runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nimbus_tasks.project.manifest.database import Database

T = TypeVar("T")

#: The stamp of a file that has not been read: no file has it.
NEVER: Stamp = (0, 0, 0)

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
    url: str = ""


def split(path: str) -> tuple[str, str]:
    """Return the folder and the name of a path, as the tables have them."""
    folder, _, name = path.rpartition("/")
    return folder, name


def join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


class _Table(Mapping[str, T]):
    """Rows by path, each read where it is asked for."""

    name: str
    columns: str

    def __init__(self, manifest: Database) -> None:
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

    @abstractmethod
    def entry(self, row: Sequence[Any]) -> T:
        """Return the entry of a row of `columns`."""


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
        """Have the folders of these files compared file by file at the next scan."""
        self.manifest.distrust("source", (split(path)[0] for path in paths))

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
    columns = "mtime, size, ctime, source_path, page_id, digest, bytes, issues, url"

    def entry(self, row: Sequence[Any]) -> PageEntry:
        mtime, size, ctime, source_path, page_id, digest, length, encoded, url = row
        issues = _decode_issues(encoded) if encoded else ()
        return PageEntry((mtime, size, ctime), source_path, page_id, digest, length, issues, url)

    def put(self, entries: Iterable[tuple[str, PageEntry]]) -> None:
        def row(path: str, e: PageEntry) -> tuple[object, ...]:
            invalid = any(issue.severity == "error" for issue in e.issues)
            issues = _encode_issues(e.issues) if e.issues else None
            return (*split(path), *e.stamp, e.source_path, e.page_id, e.digest, e.size, issues, None, invalid, e.url)

        rows = [row(path, entry) for path, entry in entries]
        with self._changing([row[:2] for row in rows]):
            self.manifest.write("INSERT OR REPLACE INTO map VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            self.manifest.note_folders("map", {str(row[0]) for row in rows})

    def remove(self, paths: Iterable[str]) -> None:
        """Forget these maps, and that extraction made them: it makes them again."""
        for some in runs(paths, 1000):
            names = [split(path) for path in some]
            made = [(folder.removeprefix(MAPS_FOLDER).removeprefix("/"), join(folder, name)) for folder, name in names]
            with self._changing(names):
                self.manifest.write("DELETE FROM map WHERE folder = ? AND name = ?", names)
                lost = "UPDATE source SET mtime = 0, size = 0, ctime = 0, digest = '' WHERE folder = ? AND map_file = ?"
                self.manifest.write(lost, made)
            self.manifest.distrust("source", (folder for folder, _ in made))

    def of_page(self, page_id: str) -> PageEntry | None:
        """Return the entry of a page; None where there is none."""
        return next((entry for _, entry in self.where("page_id = ? LIMIT 1", page_id)), None)

    def shared(self) -> Iterator[tuple[str, PageEntry]]:
        """Yield the maps that have the page id of another one."""
        twice = "SELECT page_id FROM map WHERE page_id != '' GROUP BY page_id HAVING count(*) > 1"
        return self.where(f"page_id IN ({twice})")

    def set_conflicts(self, conflicts: Mapping[str, Issue]) -> set[str]:
        """Note what is wrong between maps, in place of what was noted before; return the maps of both."""
        known = set(self.manifest.rows("SELECT folder, name FROM map WHERE conflict IS NOT NULL"))
        gone = known.difference(map(split, conflicts))
        with self._changing([*gone, *map(split, conflicts)]):
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
        return {join(*name) for name in gone}.union(conflicts)

    def issues(self) -> Iterator[Issue]:
        """Yield the issues of each map and those between maps, in the order of the files."""
        query = (
            "SELECT issues, conflict FROM map WHERE issues IS NOT NULL OR conflict IS NOT NULL ORDER BY "
            "CASE folder WHEN '' THEN name ELSE folder || '/' || name END"
        )
        for held in self.manifest.each(query):
            found = [issue for encoded in held if encoded for issue in _decode_issues(encoded)]
            yield from sorted(found, key=lambda issue: (issue.file, issue.pointer, issue.message))

    @contextlib.contextmanager
    def _changing(self, names: Iterable[tuple[object, ...]]) -> Iterator[None]:
        """Change these rows in a transaction, with the digest of the pages that can be published (the fact `site`).

        It is what the digests of the pages add up to, so that a change costs what changes, and not the whole site.
        """
        each = frozenset(names)
        with self.manifest.transaction():
            before = self._digests(each)
            yield
            if (after := self._digests(each)) != before:
                site = (int(self.manifest.fact("site") or "0", 16) + after - before) % 2**128
                self.manifest.write("INSERT OR REPLACE INTO fact VALUES ('site', ?)", [(f"{site:032x}",)])

    def _digests(self, names: Iterable[tuple[object, ...]]) -> int:
        total = 0
        for some in runs(names, 400):
            asked = ", ".join(["(?, ?)"] * len(some))
            query = (
                f"WITH asked(folder, name) AS (VALUES {asked}) SELECT page_id || ' ' || digest "
                "FROM asked CROSS JOIN map USING (folder, name) WHERE NOT invalid"
            )
            for (page,) in self.manifest.rows(query, *chain.from_iterable(some)):
                total += int.from_bytes(hashlib.blake2b(page.encode(), digest_size=16).digest())
        return total

"""The files of a folder beside what the manifest knows of them: what is new, what changed, what is missing.

For each folder the manifest has a digest of the names and stamps of its files, so one without changes costs one row.
The files of the others are compared one by one, a folder at a time. Memory does not grow with the site. Our maps are
where their pages are: in a hidden folder, if the source folder is in one (`docs/.vitepress/dist`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import threading
from collections.abc import Callable, Collection, ItemsView, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

from nimbus_tasks.project.manifest import SITE, Manifest, join, split
from nimbus_tasks.project.scan import Entry, Scan, SkippedPath, Stamp, cores, walk
from nimbus_tasks.project.settings import MAPS_FOLDER


class Files(Mapping[str, Stamp]):
    """The stamps of the files of a folder as they were found, whether they are known or not.

    Only what differs from the manifest is kept: in a table of this process, and in `over`, which is looked at first
    (None: no such file). So a file that a stage has dealt with differs no more.
    """

    def __init__(self, manifest: Manifest, kind: str, over: Mapping[str, Stamp | None] | None = None) -> None:
        """`kind` is a table: source or map."""
        self.manifest, self.kind, self.over = manifest, kind, dict(over or {})

    def __getitem__(self, path: str) -> Stamp:
        stamp = self.over[path] if path in self.over else self._found(path)
        if stamp is None:
            raise KeyError(path)
        return stamp

    def __iter__(self) -> Iterator[str]:
        return (path for path, _ in self.items())

    def __bool__(self) -> bool:
        return next(iter(self), None) is not None

    def items(self) -> ItemsView[str, Stamp]:
        """Return the files with their stamps, read as they are iterated over."""
        return _Items(self)

    def __len__(self) -> int:
        count = self.manifest.count
        found = f"FROM found WHERE kind = '{self.kind}'"
        known = f"(SELECT 1 FROM {self.kind} AS known WHERE folder = found.folder AND name = found.name)"
        new = count(f"SELECT count(*) {found} AND mtime NOT NULL AND NOT EXISTS {known}")
        missing = count(f"SELECT count(*) {found} AND mtime IS NULL AND EXISTS {known}")
        over = sum((stamp is not None) - (self._found(path) is not None) for path, stamp in self.over.items())
        return count(f"SELECT count(*) FROM {self.kind}") + new - missing + over

    def has_folder(self, folder: str) -> bool:
        """Return whether the manifest knows a file in this folder, or below it."""
        first, end = (f"{folder}/", f"{folder}0") if folder else ("", "\U0010ffff")
        query = f"SELECT 1 FROM {self.kind} WHERE folder = ? OR folder >= ? AND folder < ? LIMIT 1"
        return bool(self.manifest.rows(query, folder, first, end))

    def with_changes(self, changes: Mapping[str, Stamp | None]) -> Files:
        """Return these files with some that are there, with a stamp, or not there (None)."""
        over = {path: stamp for path, stamp in ({**self.over, **changes}).items() if stamp != self._found(path)}
        return Files(self.manifest, self.kind, over)

    def changed(self) -> Iterator[tuple[str, Stamp]]:
        """Yield the files that are new, or differ from what the manifest knows, in the order of their folders."""
        for folder, name, *stamp in self.manifest.each(
            f"SELECT folder, name, mtime, size, ctime FROM found WHERE kind = '{self.kind}' AND mtime NOT NULL "
            f"AND NOT EXISTS (SELECT 1 FROM {self.kind} AS known WHERE folder = found.folder AND name = found.name "
            "AND mtime = found.mtime AND size = found.size AND ctime = found.ctime)"
        ):
            if (path := join(folder, name)) not in self.over:
                yield path, tuple(stamp)
        for path, found in self.over.items():
            if found is not None and found != self._known(path):
                yield path, found

    def missing(self) -> Iterator[str]:
        """Yield the files that the manifest knows and that are not there."""
        yield from self._unless_over(
            f"SELECT folder, name FROM found WHERE kind = '{self.kind}' AND mtime IS NULL AND EXISTS "
            f"(SELECT 1 FROM {self.kind} AS known WHERE folder = found.folder AND name = found.name)"
        )
        yield from (path for path, stamp in self.over.items() if stamp is None and self._known(path))

    def add_folder(self, folder: str, digest: bytes, files: Collection[Entry]) -> None:
        """Note what differs in one folder, which holds these files now."""
        known = {
            name: tuple(stamp)
            for name, *stamp in self.manifest.rows(
                f"SELECT name, mtime, size, ctime FROM {self.kind} WHERE folder = ?", folder
            )
        }
        rows: list[tuple[object, ...]] = []
        for name, *stamp in files:
            if known.pop(name, None) != tuple(stamp):
                rows.append((self.kind, folder, name, *stamp))
        rows += [(self.kind, folder, name, None, None, None) for name in known]
        self.manifest.write(f"DELETE FROM found WHERE kind = '{self.kind}' AND folder = ?", [(folder,)])
        self.manifest.write("INSERT INTO found VALUES (?, ?, ?, ?, ?, ?)", rows)
        self.manifest.write("INSERT OR REPLACE INTO scanned VALUES (?, ?, ?)", [(self.kind, folder, digest)])
        if self.kind == "map":
            self._note_lost_maps(folder, files)

    def _note_lost_maps(self, folder: str, files: Collection[Entry]) -> None:
        """Note the source files whose maps are gone from a folder of maps."""
        below = folder.removeprefix(MAPS_FOLDER).removeprefix("/")
        made = self.manifest.rows("SELECT name, map_file FROM source WHERE folder = ? AND map_file != ''", below)
        present = {name for name, *_ in files} if made else set()
        lost = [(below, name) for name, map_file in made if split(map_file)[1] not in present]
        self.manifest.write("DELETE FROM again WHERE folder = ?", [(below,)])
        self.manifest.write("INSERT INTO again VALUES (?, ?)", lost)

    def settle(self) -> None:
        """Note the digests of the folders that were scanned and hold nothing else than the manifest knows."""
        with self.manifest.transaction():
            self.manifest.write(
                "INSERT OR REPLACE INTO folder SELECT kind, path, digest FROM scanned WHERE kind = ?1 AND NOT EXISTS ("
                f"SELECT 1 FROM found LEFT JOIN {self.kind} AS known USING (folder, name) WHERE found.kind = ?1 "
                "AND found.folder = scanned.path AND (found.mtime IS NOT known.mtime OR found.size IS NOT known.size "
                "OR found.ctime IS NOT known.ctime))",
                [(self.kind,)],
            )
            self.manifest.write(
                "DELETE FROM folder WHERE kind = ? AND digest = x'' "
                f"AND NOT EXISTS (SELECT 1 FROM {self.kind} WHERE folder = path)",
                [(self.kind,)],
            )

    def _known(self, path: str) -> Stamp | None:
        query = f"SELECT mtime, size, ctime FROM {self.kind} WHERE folder = ? AND name = ?"
        rows = self.manifest.rows(query, *split(path))
        return rows[0] if rows else None

    def _found(self, path: str) -> Stamp | None:
        query = f"SELECT mtime, size, ctime FROM found WHERE kind = '{self.kind}' AND folder = ? AND name = ?"
        rows = self.manifest.rows(query, *split(path))
        if rows:
            return rows[0] if rows[0][0] is not None else None
        return self._known(path)

    def _unless_over(self, query: str) -> Iterator[str]:
        paths = (join(*row) for row in self.manifest.each(query))
        return (path for path in paths if path not in self.over)


class _Items(ItemsView[str, Stamp]):
    def __init__(self, files: Files) -> None:
        super().__init__(files)
        self._files = files

    def __iter__(self) -> Iterator[tuple[str, Stamp]]:
        files, kind = self._files, self._files.kind
        for folder, name, *stamp in files.manifest.each(
            f"SELECT folder, name, mtime, size, ctime FROM {kind} AS known WHERE NOT EXISTS (SELECT 1 FROM found "
            f"WHERE kind = '{kind}' AND folder = known.folder AND name = known.name) UNION ALL "
            f"SELECT folder, name, mtime, size, ctime FROM found WHERE kind = '{kind}' AND mtime NOT NULL"
        ):
            if (path := join(folder, name)) not in files.over:
                yield path, tuple(stamp)
        yield from ((path, stamp) for path, stamp in files.over.items() if stamp is not None)


# --- a whole folder -----------------------------------------------------------------------------------------


class Totals(Struct, frozen=True):
    """The end of a comparison: how many folders are known, and what was skipped."""

    known: int
    skipped: tuple[SkippedPath, ...]


#: A folder that is not as the manifest knows it, with its files; last, an `Answer`.
ChangedFolder = tuple[str, bytes, list[Entry]]
_encode = msgspec.msgpack.Encoder().encode


def compare(manifest: Manifest, kind: str, folder: str, wanted: Callable[[str], bool]) -> Scan:
    """Scan `folder` (see `scan`), and return its files as what differs from the manifest."""
    return _merge(manifest, kind, folder, wanted, _differing(manifest, kind, folder, wanted))


def start_compare(kind: str, folder: str, wanted: Callable[[str], bool]) -> Callable[[Manifest], Scan]:
    """Start to scan `folder` in a forked child, and return a function that waits for the result of `compare`.

    The manifest is to be opened after the fork, which SQLite's connections must not cross.

    A run without changes is mostly a stat of every file, and Python takes one stat at a time however many threads it
    has: a second core takes the other half (docs/benchmarks.md).

    Only on Linux (elsewhere a fork may break system libraries), with two cores, and in a process without other threads
    (a fork would copy their locks). Otherwise, and where the child fails, the function scans when it is called.
    """

    def compare_here(manifest: Manifest) -> Scan:
        return compare(manifest, kind, folder, wanted)

    if sys.platform != "linux" or threading.active_count() > 1 or cores() < 2:
        return compare_here
    source, sink = os.pipe()
    try:
        child = os.fork()
    except OSError:  # no more processes for this user
        os.close(source)
        os.close(sink)
        return compare_here
    if not child:
        try:
            with contextlib.suppress(BaseException), open(sink, "wb") as pipe:
                for changed in _differing(Manifest.to_read(Path(SITE)), kind, folder, wanted):
                    encoded = _encode(changed)
                    pipe.write(len(encoded).to_bytes(8, "big") + encoded)
        finally:
            os._exit(0)  # the parent's files are not flushed a second time
    os.close(sink)

    def wait(manifest: Manifest) -> Scan:
        try:
            with open(source, "rb") as pipe:
                return _merge(manifest, kind, folder, wanted, _received(pipe))
        except _ChildFailedError:
            return compare_here(manifest)
        finally:
            os.waitpid(child, 0)

    return wait


def rescan(files: Files, folders: Iterable[str], wanted: Callable[[str], bool]) -> Files:
    """Return the files as they are now in these folders, and as they were in the others."""
    skipped: list[SkippedPath] = []
    with files.manifest.transaction():
        for folder in folders:
            listing = next(walk(folder or ".", wanted, skipped, deep=False), None)
            some = listing.files if listing else []
            files.add_folder(folder, digest_of(some), some)
    return Files(files.manifest, files.kind)


class _ChildFailedError(Exception):
    """A child did not answer."""


def _received(pipe: IO[bytes]) -> Iterator[ChangedFolder | Totals]:
    while head := pipe.read(8):
        size = int.from_bytes(head, "big")
        encoded = pipe.read(size)
        if len(encoded) < size:
            break
        if encoded[0] >> 4 == 8:  # a map: structs are, and tuples are not
            yield msgspec.msgpack.decode(encoded, type=Totals)
            return
        yield msgspec.msgpack.decode(encoded, type=ChangedFolder)
    raise _ChildFailedError


def _differing(
    manifest: Manifest, kind: str, folder: str, wanted: Callable[[str], bool]
) -> Iterator[ChangedFolder | Totals]:
    """Yield the folders whose digests are not as the manifest has them."""
    skipped: list[SkippedPath] = []
    known = 0
    for listing in walk(folder, wanted, skipped, hidden=folder == MAPS_FOLDER):
        digest = digest_of(listing.files)
        held = manifest.rows("SELECT digest FROM folder WHERE kind = ? AND path = ?", kind, listing.folder)
        known += len(held)
        if not held or held[0][0] != digest:
            yield listing.folder, digest, listing.files
    yield Totals(known, tuple(sorted(skipped)))


def _merge(
    manifest: Manifest,
    kind: str,
    folder: str,
    wanted: Callable[[str], bool],
    differing: Iterable[ChangedFolder | Totals],
) -> Scan:
    files = Files(manifest, kind)
    totals = Totals(0, ())
    with manifest.transaction(temporary=True):
        manifest.write(f"DELETE FROM found WHERE kind = '{kind}'")
        manifest.write(f"DELETE FROM scanned WHERE kind = '{kind}'")
        for each in differing:
            if isinstance(each, Totals):
                totals = each
            else:
                files.add_folder(*each)
        if totals.known < manifest.count("SELECT count(*) FROM folder WHERE kind = ?", kind):
            # A folder is gone, or holds no such file any more: which ones, only another walk can tell.
            present = {listing.folder for listing in walk(folder, wanted, [], hidden=folder == MAPS_FOLDER)}
            for (path,) in manifest.rows("SELECT path FROM folder WHERE kind = ?", kind):
                if path not in present:
                    files.add_folder(path, b"", ())
    return Scan(files, totals.skipped)


def digest_of(files: list[Entry]) -> bytes:
    """Return a digest of the names and stamps of a folder's files."""
    return hashlib.blake2b(_encode(files), digest_size=16).digest()

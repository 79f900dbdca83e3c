"""What is known of images and files: the pages that use them, their digests, their copies, and where they are stored.

It is `.nimbus/assets.db`. A file's digest is kept with its stamp, so a file without changes is not read. What a store
holds is written when it is confirmed, never before; what is being sent is noted first, so that the next run looks for
it at the store. A file that is lost or damaged is made again: maps and files are read, and the store is asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec

from nimbus_tasks.assets.asset_file import AssetFile, Made, MappedPage, Uses
from nimbus_tasks.assets.ledger_tables import prepare
from nimbus_tasks.backends.blobs import Location
from nimbus_tasks.model.changes import Replaced
from nimbus_tasks.project.manifest import SITE, join, split
from nimbus_tasks.project.settings import STATE_FOLDER
from nimbus_tasks.project.sqlite import DatabaseFile, open_or_renew

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence, Set

    from nimbus_tasks.project.scan import Stamp

    #: Returns where a store holds the bytes with this digest, since when, and the digest of their record.
    Stored = Callable[[str], tuple[Location | None, str, str] | None]


#: Files for which it is not worth to read all that is known of a store.
FEW = 200
ASSETS_FILE = f"{STATE_FOLDER}/assets.db"

_RENEWED = "The maps and files are read again, and the store is asked what it holds."
_CHANGED = """
SELECT folder, name, mtime, size, ctime FROM site.map WHERE NOT invalid
EXCEPT SELECT folder, name, mtime, size, ctime FROM main.map
"""
_GONE = "SELECT folder, name FROM main.map EXCEPT SELECT folder, name FROM site.map WHERE NOT invalid"
_decode_location = msgspec.json.Decoder(Location).decode
_decode_texts = msgspec.json.Decoder(list[str]).decode
_decode_replaced = msgspec.json.Decoder(list[Replaced]).decode
_decode_made = msgspec.json.Decoder(Made).decode


class AssetLedger(DatabaseFile):
    """The database. Every method that writes commits before it returns."""

    again = "the store is asked what it holds."

    def __init__(self, path: Path = Path(ASSETS_FILE)) -> None:
        """Open the file; make it anew where there is none, or a damaged one.

        Raises:
            StateError: it cannot be opened or made.
        """
        super().__init__(path, lambda: open_or_renew(path, prepare, _RENEWED))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def version(self) -> int:
        """Return a number that is another one after another process has written."""
        return int(self.rows("PRAGMA data_version")[0][0])

    # --- which pages use which files ------------------------------------------------------------------

    def stale_maps(self, manifest: Path = Path(SITE)) -> tuple[list[tuple[str, Stamp]], list[str]]:
        """Return the valid maps that changed since their uses were noted, with stamps, and those that are gone."""
        with self._errors():
            self._connection.execute("ATTACH ? AS site", (str(manifest),))
            try:
                changed, gone = self.rows(_CHANGED), self.rows(_GONE)
            finally:
                self._connection.execute("DETACH site")
        return [(join(*row[:2]), tuple(row[2:])) for row in changed], [join(*row) for row in gone]

    def note_uses(self, maps: Iterable[Uses]) -> None:
        """Replace what is known of these maps."""
        with self.transaction():
            for map_file, stamp, page, files in maps:
                self.write("INSERT OR REPLACE INTO map VALUES (?, ?, ?, ?, ?)", [(*split(map_file), *stamp)])
                uses = [(path, map_file, *page, msgspec.json.encode(files[path])) for path in sorted(files)]
                if uses != self.rows("SELECT * FROM use WHERE map_file = ? ORDER BY path", map_file):
                    self.write("DELETE FROM use WHERE map_file = ?", [(map_file,)])
                    self.write("INSERT INTO use VALUES (?, ?, ?, ?, ?, ?)", uses)

    def forget_maps(self, map_files: Iterable[str]) -> None:
        with self.transaction():
            for map_file in map_files:
                self.write("DELETE FROM map WHERE folder = ? AND name = ?", [split(map_file)])
                self.write("DELETE FROM use WHERE map_file = ?", [(map_file,)])

    def used(self) -> Iterator[str]:
        """Yield the paths that pages use, sorted. Write nothing meanwhile."""
        return (path for (path,) in self.each("SELECT DISTINCT path FROM use ORDER BY path"))

    def pages_of(self, path: str) -> list[str]:
        """Return the source paths of the pages that use a file, sorted."""
        return [row[0] for row in self.rows("SELECT source_path FROM use WHERE path = ? ORDER BY 1", path)]

    def contexts(self) -> Iterator[tuple[str, MappedPage, list[str]]]:
        """Yield the files that pages use, each with one of these pages and its alt texts there."""
        query = "SELECT path, source_path, url, title, alt FROM use ORDER BY path, source_path"
        for path, *page, alt in self.each(query):
            yield path, MappedPage(*page), _decode_texts(alt)

    # --- public addresses in pages ---------------------------------------------------------------------

    def replaced(self, path: str) -> list[Replaced]:
        """Return the public addresses that `apply --assets` wrote into a page, and what they stand for."""
        rows = self.rows("SELECT addresses FROM replaced WHERE path = ?", path)
        return _decode_replaced(rows[0][0]) if rows else []

    def note_replaced(self, path: str, replaced: Sequence[Replaced]) -> None:
        with self.transaction():
            self.write("INSERT OR REPLACE INTO replaced VALUES (?, ?)", [(path, msgspec.json.encode(replaced))])

    # --- digests --------------------------------------------------------------------------------------

    def files(self, stamped: Sequence[tuple[str, Stamp]]) -> dict[str, AssetFile | None]:
        """Return these files, which are sorted by path; None for each that is not as it was when it was read."""
        query = (
            "SELECT path, mtime, size, ctime, sha256, content_type, width, height FROM file WHERE path BETWEEN ? AND ?"
        )
        rows = {path: rest for path, *rest in self.rows(query, stamped[0][0], stamped[-1][0])} if stamped else {}
        found: dict[str, AssetFile | None] = {}
        for path, stamp in stamped:
            row = rows.get(path)
            found[path] = AssetFile(path, stamp, *row[3:]) if row and tuple(row[:3]) == stamp else None
        return found

    def digests_of_used(self) -> frozenset[str]:
        """Return the digests that files of pages had when they were last read, whether they are there now or not."""
        return frozenset(row[0] for row in self.rows("SELECT sha256 FROM file WHERE path IN (SELECT path FROM use)"))

    def note_files(self, files: Iterable[AssetFile]) -> None:
        with self.transaction():
            values = (
                (each.path, *each.stamp, each.sha256, each.content_type, each.width, each.height) for each in files
            )
            self.write("INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)

    # --- copies of pictures ---------------------------------------------------------------------------

    def made(self) -> dict[str, Made]:
        """Return what was made of pictures last, by the digests of these."""
        return {original: _decode_made(copies) for original, copies in self.rows("SELECT original, copies FROM made")}

    def note_made(self, original: str, made: Made) -> None:
        with self.transaction():
            self.write("INSERT OR REPLACE INTO made VALUES (?, ?)", [(original, msgspec.json.encode(made))])

    def related(self, digests: Set[str]) -> set[str]:
        """Return these digests, and those of pictures and copies that belong to them."""
        families = ({original, *(each.sha256 for each in made.contents)} for original, made in self.made().items())
        return set(digests).union(*(family for family in families if family & digests))

    # --- what a store holds ---------------------------------------------------------------------------

    def knows(self, store: str) -> bool:
        """Return whether anything is known of a store."""
        return bool(self.rows("SELECT 1 FROM stored WHERE store = ? LIMIT 1", store))

    def held(self, store: str) -> frozenset[str]:
        """Return the digests of all that a store holds."""
        query = "SELECT sha256 FROM stored WHERE store = ? AND location IS NOT NULL"
        return frozenset(sha256 for (sha256,) in self.each(query, store))

    def stored(self, store: str, sha256: str) -> tuple[Location | None, str, str] | None:
        """Return where a store holds a file, since when, and the digest of its record at the target.

        The location is None where it was sent and not confirmed; there is nothing at all where it was never sent.
        """
        rows = self.rows("SELECT location, at, recorded FROM stored WHERE store = ? AND sha256 = ?", store, sha256)
        if not rows:
            return None
        location, at, recorded = rows[0]
        return _decode_location(location) if location else None, at, recorded

    def lookup(self, store: str, times: int) -> Stored:
        """Return what does the same as `stored` for many files: all that is known of the store is read once."""
        if times < FEW:
            return lambda sha256: self.stored(store, sha256)
        query = "SELECT sha256, location, at, recorded FROM stored WHERE store = ?"
        rows = {row[0]: row for row in self.each(query, store)}

        def stored(sha256: str) -> tuple[Location | None, str, str] | None:
            row = rows.get(sha256)
            return row and (_decode_location(row[1]) if row[1] else None, row[2], row[3])

        return stored

    def begin(self, store: str, digests: Iterable[str]) -> None:
        """Note what is about to be sent."""
        with self.transaction():
            self.write(
                "INSERT OR IGNORE INTO stored VALUES (?, ?, NULL, '', '', '', '')", ((store, each) for each in digests)
            )

    def confirm(self, store: str, found: Iterable[tuple[str, Location, str]]) -> None:
        """Write what the store has confirmed, and when."""
        with self.transaction():
            put = (
                "INSERT INTO stored VALUES (?, ?, ?, ?, '', '', '') ON CONFLICT DO UPDATE "
                "SET location = excluded.location, at = excluded.at"
            )
            self.write(put, ((store, sha256, msgspec.json.encode(location), at) for sha256, location, at in found))

    # An upload in parts that a killed run has begun, where the store does not list those. As `blobs.Resumable`.

    def find(self, sha256: str) -> str:
        """Return where an upload of a file is; empty where there is none."""
        rows = self.rows("SELECT location FROM resumable WHERE sha256 = ?", sha256)
        return rows[0][0] if rows else ""

    def keep(self, sha256: str, where: str) -> None:
        with self.transaction():
            self.write("INSERT OR REPLACE INTO resumable VALUES (?, ?)", [(sha256, where)])

    def forget(self, sha256: str) -> None:
        with self.transaction():
            self.write("DELETE FROM resumable WHERE sha256 = ?", [(sha256,)])

    def confirm_records(self, store: str, recorded: Iterable[tuple[str, str]]) -> None:
        """Write the digests of the records that the target has confirmed, by the digest of the file."""
        with self.transaction():
            put = "UPDATE stored SET recorded = ? WHERE store = ? AND sha256 = ?"
            self.write(put, ((record, store, sha256) for sha256, record in recorded))

    def sent_contexts(self, store: str) -> dict[str, tuple[Location, str]]:
        """Return what a store holds, by digest, each with the digest of the context that was sent; empty: none."""
        query = "SELECT sha256, location, context FROM stored WHERE store = ? AND location IS NOT NULL"
        return {sha256: (_decode_location(location), context) for sha256, location, context in self.rows(query, store)}

    def note_context(self, store: str, sha256: str, digest: str) -> None:
        with self.transaction():
            self.write("UPDATE stored SET context = ? WHERE store = ? AND sha256 = ?", [(digest, store, sha256)])

    def note_used(self, store: str, digests: Iterable[str], day: str) -> None:
        """Note that the site has these files today."""
        known = {
            sha256 for (sha256,) in self.rows("SELECT sha256 FROM stored WHERE store = ? AND used = ?", store, day)
        }
        with self.transaction():
            update = "UPDATE stored SET used = ? WHERE store = ? AND sha256 = ?"
            self.write(update, ((day, store, sha256) for sha256 in digests if sha256 not in known))

    def unused(self, store: str, since: str) -> list[tuple[str, Location]]:
        """Return what a store holds and what the site has not had since then."""
        query = (
            "SELECT sha256, location FROM stored WHERE store = ? AND location IS NOT NULL "
            "AND max(at, used) < ? ORDER BY sha256"
        )
        return [(sha256, _decode_location(location)) for sha256, location in self.rows(query, store, since)]

    def relocate(self, store: str, pattern: str) -> None:
        """Let readers get what a store holds by its `pattern` of now: settings decide it, and may have changed."""
        update = (
            "UPDATE stored SET location = CAST(json_set(CAST(location AS TEXT), '$.url', "
            "replace(replace(?, '{aa}', substr(sha256, 1, 2)), '{sha256}', sha256)) AS BLOB) WHERE store = ? "
            "AND json_extract(CAST(location AS TEXT), '$.url') != "
            "replace(replace(?, '{aa}', substr(sha256, 1, 2)), '{sha256}', sha256)"
        )
        with self.transaction():
            self.write(update, [(pattern, store, pattern)])

    def forget_store(self, store: str, digests: Iterable[str]) -> None:
        """Forget that a store holds these files: they were not found there."""
        with self.transaction():
            self.write("DELETE FROM stored WHERE store = ? AND sha256 = ?", ((store, each) for each in digests))

    def locations(self, store: str) -> Iterator[tuple[str, Location, str]]:
        """Yield what a store holds, by digest, and since when. Write nothing meanwhile."""
        query = "SELECT sha256, location, at FROM stored WHERE store = ? AND location IS NOT NULL ORDER BY sha256"
        for sha256, location, at in self.each(query, store):
            yield sha256, _decode_location(location), at

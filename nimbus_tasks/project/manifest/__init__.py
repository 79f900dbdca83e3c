"""The manifest: what extraction read and wrote, and what validation found, in a database of its own.

It answers "must this stage run?" without reading it all: for each folder it keeps a digest of the names and stamps of
its files (`compare.py`), so that a folder without changes costs one row. Memory does not grow with the site: rows are
read where they are needed, and what differs is kept in a temporary table.

It can be made again from the source files and the maps: one that is missing, damaged or of another version begins
empty, and the stages do everything again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Struct

from nimbus_tasks.project import files
from nimbus_tasks.project.manifest.database import Database
from nimbus_tasks.project.manifest.tables import NEVER, PageEntry, PageTable, SourceEntry, SourceTable, join, split
from nimbus_tasks.project.settings import MAPS_FOLDER, STATE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

SITE = f"{STATE_FOLDER}/manifest/site.db"

__all__ = [
    "NEVER",
    "SITE",
    "Manifest",
    "PageEntry",
    "PageTable",
    "Pages",
    "SourceEntry",
    "SourceTable",
    "Sources",
    "join",
    "split",
]


def pages_file(folder: str) -> str:
    """Return the manifest of a maps folder: each folder has its own."""
    if folder == MAPS_FOLDER:
        return SITE
    name = hashlib.blake2b(folder.encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()
    return f"{STATE_FOLDER}/manifest/pages-{name}.db"


class Manifest(Database):
    """The database, and its tables."""

    def __init__(self, path: Path = Path(SITE)) -> None:
        """Open the file; make it anew where it is missing, damaged, or of another version.

        Raises:
            StateError: it cannot be opened or made.
        """
        super().__init__(path)
        self.sources = SourceTable(self)
        self.pages = PageTable(self)
        if path == Path(SITE):
            _take_over(self)


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


class Sources(Struct, frozen=True):
    """What extraction knows, by source path.

    rules: digest of the settings and the extractor version.
    skipped: what has the name of a page and is not a plain file, and why.
    unreadable: folders that could not be read, and why.
    """

    rules: str = ""
    skipped: dict[str, str] = {}
    unreadable: dict[str, str] = {}
    entries: Mapping[str, SourceEntry] = {}


#: What pages can be sorted by.
Order = Literal["page_id", "source_path"]


class Pages(Struct, frozen=True):
    """What validation knows, by map file.

    site: one digest of all pages that can be published.
    invalid: the map files that cannot be published.
    since, changed: the digest before the last validation, and the maps that changed then; empty where they were many,
    or some are gone.
    """

    project_id: str = ""
    site: str = ""
    invalid: tuple[str, ...] = ()
    entries: Mapping[str, PageEntry] = {}
    since: str = ""
    changed: frozenset[str] = frozenset()

    def only(self, files: Collection[str]) -> Pages:
        """Return what is known of these map files alone."""
        entries = {file: entry for file in files if (entry := self.entries.get(file)) is not None}
        return Pages(self.project_id, invalid=tuple(file for file in self.invalid if file in entries), entries=entries)

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

    def __init__(self, manifest: Database) -> None:
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
    skipped = msgspec.json.decode(held.fact("skipped") or "[{},{}]", type=tuple[dict[str, str], dict[str, str]])
    return Sources(held.fact("rules"), *skipped, held.sources)


def read_pages(manifest: Manifest | None = None) -> Pages:
    held = manifest or Manifest()
    invalid = held.rows("SELECT folder, name FROM map WHERE (issues IS NOT NULL OR conflict IS NOT NULL) AND invalid")
    return Pages(held.fact("project_id"), held.fact("site"), tuple(sorted(join(*row) for row in invalid)), held.pages)

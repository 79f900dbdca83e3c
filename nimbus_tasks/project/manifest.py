"""The manifests: what extraction read and wrote, and what validation found.

They are doit's `targets` and `file_dep`, so two files answer "must this stage run?", not thousands. A stage replaces
its manifest last. Where one is missing, or of an older version, the stage does everything again.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.html.validate import Issue
from nimbus_tasks.project import files, heal
from nimbus_tasks.project.scan import Stamp
from nimbus_tasks.project.settings import STATE_FOLDER

if TYPE_CHECKING:
    from pathlib import Path

SOURCES = f"{STATE_FOLDER}/manifest/sources.json"
PAGES = f"{STATE_FOLDER}/manifest/pages.json"


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


class Sources(Struct, frozen=True):
    """What extraction knows, by source path.

    rules: digest of the settings and the extractor version.
    odd: what has the name of a page and is not a plain file, and why.
    unreadable: folders that could not be read, and why.
    """

    rules: str = ""
    odd: dict[str, str] = {}
    unreadable: dict[str, str] = {}
    entries: dict[str, SourceEntry] = {}


class PageEntry(Struct, array_like=True, gc=False):
    """The verdict on one map file as it was when its stamp was taken; see `validate.Verdict`."""

    stamp: Stamp
    source_path: str
    page_id: str
    digest: str
    size: int
    issues: tuple[Issue, ...] = ()


class Pages(Struct, frozen=True):
    """What validation knows, by map file.

    site: one digest of all pages that can be published.
    invalid: the map files that cannot be published.
    """

    project_id: str = ""
    site: str = ""
    invalid: tuple[str, ...] = ()
    entries: dict[str, PageEntry] = {}


def read_sources(root: Path) -> Sources:
    return files.read_json(root / SOURCES, Sources, "Every page is read again.") or Sources()


def read_pages(root: Path, file: str = PAGES) -> Pages:
    return files.read_json(root / file, Pages, "Every map is validated again.") or Pages()


def pages_file(folder: str, default_folder: str) -> str:
    """Return the manifest of a maps folder: each folder has its own."""
    if folder == default_folder:
        return PAGES
    name = hashlib.blake2b(folder.encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()
    return f"{STATE_FOLDER}/manifest/pages-{name}.json"


def write(root: Path, file: str, manifest: Sources | Pages) -> None:
    if (root / file).is_dir():
        heal.move_aside(root / file)
    files.replace(root / file, msgspec.json.encode(manifest))


def site_digest(pages: dict[str, str]) -> str:
    """Return one digest of page id -> page digest: equal sites, equal digests."""
    lines = "\n".join(sorted(f"{page_id} {digest}" for page_id, digest in pages.items()))
    return hashlib.blake2b(lines.encode(), digest_size=16).hexdigest()

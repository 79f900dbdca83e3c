"""The small files between stages: what extraction read and made, and what validation found.

They are doit's `targets` and `file_dep`, so "must this stage run?" is answered by two files, not by thousands.
A stage replaces its manifest last. One that is missing, or of an older version, means: do everything again.
"""

from __future__ import annotations

import gc
import hashlib
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import Struct

from nimbus_tasks import files
from nimbus_tasks.scan import Stamp
from nimbus_tasks.settings import STATE_FOLDER
from nimbus_tasks.validate import Issue

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T", "Sources", "Pages")

SOURCES = f"{STATE_FOLDER}/manifest/sources.json"
PAGES = f"{STATE_FOLDER}/manifest/pages.json"


class SourceEntry(Struct, array_like=True, gc=False):
    """What one source file became. `map_file` is empty where it was skipped; `failed`: it could not be read."""

    stamp: Stamp
    map_file: str
    skipped: str = ""
    failed: bool = False


class Sources(Struct):
    """What extraction knows, by source path.

    rules: digest of the settings and the extractor version.
    odd: things with the name of a page that are none, and why.
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


class Pages(Struct):
    """What validation knows, by map file.

    site: one digest of all that can be published.
    invalid: the map files that cannot.
    """

    project_id: str = ""
    site: str = ""
    invalid: tuple[str, ...] = ()
    entries: dict[str, PageEntry] = {}


def read_sources(root: Path) -> Sources:
    return _read(root / SOURCES, Sources)


def read_pages(root: Path, file: str = PAGES) -> Pages:
    return _read(root / file, Pages)


def pages_file(folder: str, default_folder: str) -> str:
    """Return the manifest of a maps folder: one each, so that two folders do not forget each other."""
    if folder == default_folder:
        return PAGES
    name = hashlib.blake2b(folder.encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()
    return f"{STATE_FOLDER}/manifest/pages-{name}.json"


def write(root: Path, file: str, manifest: Sources | Pages) -> None:
    files.replace(root / file, msgspec.json.encode(manifest))


def site_digest(pages: dict[str, str]) -> str:
    """Return one digest of page id -> page digest: equal sites, equal digests."""
    lines = "\n".join(sorted(f"{page_id} {digest}" for page_id, digest in pages.items()))
    return hashlib.blake2b(lines.encode(), digest_size=16).hexdigest()


def _read(path: Path, shape: type[T]) -> T:
    # Decoding makes nothing but live objects: looking for cycles among them doubles the time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return files.read_json(path, shape) or shape()
    finally:
        if collecting:
            gc.enable()

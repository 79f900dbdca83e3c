"""The small files between stages: what extraction read and made, and what validation found.

They are doit's `targets` and `file_dep`, so "must this stage run?" is answered by two files, not by thousands.
A stage replaces its manifest last. One that is missing, or of an older version, means: do everything again.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import Struct

from nimbus_tasks.html.validate import Issue
from nimbus_tasks.project import files
from nimbus_tasks.project.garbage import uncollected
from nimbus_tasks.project.scan import Stamp, stamp_of
from nimbus_tasks.project.settings import STATE_FOLDER

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T", "Sources", "Pages")

SOURCES = f"{STATE_FOLDER}/manifest/sources.json"
PAGES = f"{STATE_FOLDER}/manifest/pages.json"


class SourceEntry(Struct, array_like=True, gc=False):
    """What one source file became. `map_file` is empty where it was skipped; `failed`: it could not be read.

    digest: of its bytes; empty where it is not known.
    """

    stamp: Stamp
    map_file: str
    skipped: str = ""
    failed: bool = False
    digest: str = ""


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
    path = root / file
    files.replace(path, msgspec.json.encode(manifest))
    if _kept is not None:
        _kept[path] = (_version(path), manifest)


#: Manifests as they were last read or written, by their path, each with the version of its file; None: none are kept.
_kept: dict[Path, tuple[tuple[int, ...], Sources | Pages]] | None = None


def keep_in_memory() -> None:
    """Keep manifests from one run to the next in this process, as long as nobody else replaces their files.

    For a process that runs again and again. One that runs once would only hold a large site in memory for longer.
    Nobody changes a manifest that was read: a stage makes a new one.
    """
    global _kept  # noqa: PLW0603 - a process does or does not
    _kept = {} if _kept is None else _kept


def site_digest(pages: dict[str, str]) -> str:
    """Return one digest of page id -> page digest: equal sites, equal digests."""
    lines = "\n".join(sorted(f"{page_id} {digest}" for page_id, digest in pages.items()))
    return hashlib.blake2b(lines.encode(), digest_size=16).hexdigest()


def _version(path: Path) -> tuple[int, ...]:
    """Return what no other version of a file has: it is always replaced, so that each is a file of its own."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return (status.st_ino, *stamp_of(status))


def _read(path: Path, shape: type[T]) -> T:
    if _kept is None:
        return _decode(path, shape)
    version = _version(path)
    known, manifest = _kept.get(path, ((), None))
    if version and version == known and isinstance(manifest, shape):
        return manifest
    # Its version was asked for before: should it be replaced meanwhile, it is read once more next time.
    manifest = _decode(path, shape)
    _kept[path] = (version, manifest)
    return manifest


def _decode(path: Path, shape: type[T]) -> T:
    with uncollected():
        return files.read_json(path, shape) or shape()

"""One source file: read, extracted, and its map written if that changed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.model.errors import StateError
from nimbus_tasks.pipeline.replaced import as_before
from nimbus_tasks.project import beneath, files
from nimbus_tasks.project.settings import MAPS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nimbus_tasks.model.changes import Replaced
    from nimbus_tasks.pipeline.rules import Sheet, SiteRules

#: Larger files are not pages: KV takes 25 MiB a value, and much of HTML is markup.
LARGEST_PAGE = 64 * 1024 * 1024


class Extracted(Struct, frozen=True, array_like=True):
    """The result of one source file, as a worker process returns it.

    digest: of its bytes; empty where they were not read.
    matched: the settings' selectors that match on it. has_chrome: whether what the site's pages have in common does.
    sheets: style sheets that this process read for it, and for no page before.
    """

    path: str
    map_file: str
    written: bool = False
    skipped: str = ""
    failed: bool = False
    digest: str = ""
    matched: tuple[str, ...] = ()
    has_chrome: bool = False
    sheets: tuple[tuple[str, Sheet], ...] = ()


def extract_file(path: str, site: SiteRules, replaced: Sequence[Replaced] = ()) -> Extracted:
    """Extract one file of the source folder, and write its map if it changed. replaced: addresses in it."""
    try:
        html = read_source(path, site.folder)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return Extracted(path, "", skipped=f"cannot be read: {reason}", failed=True)
    return extract_html(path, html, site, replaced)


def extract_html(path: str, html: bytes, site: SiteRules, replaced: Sequence[Replaced] = ()) -> Extracted:
    """Extract one page from its HTML, and write its map if it changed."""
    from nimbus_tasks.html.extract import Skipped, extract_page
    from nimbus_tasks.pipeline.rules import sheets_of

    map_file = map_file_of(path)
    if len(html) > LARGEST_PAGE:
        return too_large(path)
    sheets = sheets_of(site)
    result = extract_page(site.source_path(path), as_before(html, replaced), site.rules, sheets.styles)
    page, matched, digest, read = result.page, tuple(result.matched), _digest(html), sheets.take()
    if isinstance(page, Skipped):
        return Extracted(path, "", skipped=page.reason, digest=digest, matched=matched, sheets=read)
    try:
        written = _write_if_changed(map_file, msgspec.json.encode(page))
    except StateError as error:
        return Extracted(path, "", skipped=str(error), failed=True, sheets=read)
    return Extracted(path, map_file, written, digest=digest, matched=matched, has_chrome=result.has_chrome, sheets=read)


def too_large(path: str) -> Extracted:
    return Extracted(path, "", skipped=f"larger than {LARGEST_PAGE >> 20} MiB")


def map_file_of(source_path: str) -> str:
    """Return where extraction writes a page's map: the same path below the maps folder."""
    parent, name = os.path.split(source_path)
    if len(name.encode("utf-8", "surrogateescape")) > 240:
        # File systems take 255 bytes a name, and `.json` and a temporary name must fit too.
        name = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    return os.path.join(MAPS_FOLDER, parent, f"{name}.json")


def has_digest(path: str, digest: str, folder: str) -> bool:
    """Return whether a source file still holds the same bytes: this takes a twentieth of extracting it."""
    try:
        return _digest(read_source(path, folder)) == digest
    except OSError:
        return False


def _digest(html: bytes) -> str:
    return hashlib.blake2b(html, digest_size=16).hexdigest()


def read_source(path: str, folder: str) -> bytes:
    """Return the bytes of a file in the source folder: one more than the largest page has at most.

    The folder may be a link. A part of the path below it that became one since the scan, or a pipe, is refused.
    """
    below = path.removeprefix(f"{folder}/") if folder != "." else path
    base = folder if below != path else "."
    return beneath.read_below(base or ".", below.split("/"), LARGEST_PAGE + 1)[0]


def _write_if_changed(map_file: str, content: bytes) -> bool:
    try:
        if files.read(Path(map_file)) == content:
            return False
    except OSError:
        pass  # there is none, or it cannot be read: writing reports that
    files.replace(Path(map_file), content)
    return True

"""What reading by address needs besides the pages: where each of them is, and the redirects of the site."""

from __future__ import annotations

import hashlib
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from nimbus_tasks.html.addresses import url_of
from nimbus_tasks.html.redirects import first_of_each, page_redirect, read_redirects
from nimbus_tasks.project import beneath

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nimbus_tasks.model.records import Redirect
    from nimbus_tasks.project.manifest import Pages
    from nimbus_tasks.project.scan import SkippedPath
    from nimbus_tasks.project.settings import Settings
    from nimbus_tasks.publishing.routes import Address

REDIRECTS_FILE = "_redirects"
_LARGEST = 1024 * 1024


def addresses(settings: Settings, pages: Pages) -> Iterator[Address]:
    """Yield the address of each valid page."""
    from nimbus_tasks.publishing.routes import Address

    invalid = frozenset(pages.invalid)
    for file, entry in pages.by("page_id"):
        if file not in invalid:
            place = url_of(entry.source_path, settings.source.name)
            yield Address(entry.url or place, place, entry.page_id, entry.source_path)


def find_redirects(settings: Settings, skipped: Iterable[SkippedPath]) -> list[Redirect]:
    """Return the redirects of the site: its pages that only lead to another one, then its `_redirects` file."""
    folder, domain = settings.source.folder, settings.project.domain
    found = (page_redirect(url_of(each.path, folder), each.reason, domain) for each in skipped)
    return first_of_each(chain((each for each in found if each is not None), _file_of_host(folder, domain)))


def _file_of_host(folder: str, domain: str) -> Iterator[Redirect]:
    if not folder or not Path(folder, REDIRECTS_FILE).is_file():
        return
    try:
        content, _ = beneath.read_below(folder, [REDIRECTS_FILE], _LARGEST)
    except (OSError, ValueError):
        return  # it leads out of the folder
    yield from read_redirects(content.decode("utf-8", "replace"), domain)


def published_as(settings: Settings, pages: Pages, redirects: Iterable[Redirect]) -> str:
    """Return what the ledger notes of a site that is published completely: equal sites, equal texts."""
    more = [*redirects]
    if not (more or settings.routes):
        return pages.site
    published = msgspec.json.encode((settings.content.access, settings.project.domain, settings.source.name, more))
    return f"{pages.site} {hashlib.blake2b(published, digest_size=8).hexdigest()}"

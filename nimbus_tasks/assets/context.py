"""What pages say of their files: alt texts and titles, by which our own service finds them, and the pages' addresses.

The ledger knows them from the maps, and which of them the service has: only what changed is sent.
"""

from __future__ import annotations

import hashlib
import re
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from nimbus_tasks.backends.blobs import Context, PageInUse
from nimbus_tasks.backends.concurrency import in_parallel
from nimbus_tasks.model.errors import RefusedError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from nimbus_tasks.assets.asset_file import AssetFile
    from nimbus_tasks.assets.ledger import AssetLedger
    from nimbus_tasks.backends.blobs import BlobStore, Location

#: Limits of the service: texts of each kind, and characters of a text.
MOST_TEXTS, MOST_CHARACTERS = 100, 2000
#: The same of pages: how many, characters of an address, and of a title.
MOST_PAGES, MOST_OF_URL, MOST_OF_TITLE = 50, 2000, 300


class NewContext(NamedTuple):
    """A stored file with the context that its store does not have yet. digest: of the context."""

    sha256: str
    location: Location
    context: Context
    digest: str


def new_contexts(files: Iterable[AssetFile], ledger: AssetLedger, store: str, domain: str) -> list[NewContext]:
    """Return the stored files whose context is to be sent. domain: of the site; without one, pages have only paths."""
    site = _site(domain)
    digests = {file.path: file.sent.sha256 for file in files}
    alts: dict[str, dict[str, None]] = {}
    titles: dict[str, dict[str, None]] = {}
    pages: dict[str, dict[str, str]] = {}
    for path, page, alt in ledger.contexts():
        if sha256 := digests.get(path):
            titles.setdefault(sha256, {})[page.title] = None
            pages.setdefault(sha256, {}).setdefault(site + page.url, page.title)
            alts.setdefault(sha256, {}).update(dict.fromkeys(alt))
    found = []
    for sha256, (location, sent) in ledger.sent_contexts(store).items():
        if sha256 in titles:
            context = Context(_texts(alts[sha256]), _texts(titles[sha256]), _pages(pages[sha256]))
            digest = hashlib.blake2b(msgspec.json.encode(context), digest_size=12).hexdigest()
            if digest != sent:
                found.append(NewContext(sha256, location, context, digest))
    return found


async def send_contexts(
    blobs: BlobStore, ledger: AssetLedger, contexts: list[NewContext], slots: int, warn: Callable[[str], None]
) -> None:
    """Send contexts; what fails is sent by the next upload.

    Raises:
        StoreError: the store does not answer.
    """
    failed: list[str] = []

    async def one(each: NewContext) -> None:
        try:
            await blobs.describe(each.location, each.context)
        except (RefusedError, TransientError) as error:
            failed.append(str(error))
        else:
            ledger.note_context(blobs.identity, each.sha256, each.digest)

    await in_parallel(slots, contexts, one)
    if failed:
        warn(f"The service does not know the alt texts and titles of {len(failed)} files: {failed[0]}")


def _site(domain: str) -> str:
    """Return what the addresses of a site begin with; empty where the domain, as people write it, names no host."""
    from nimbus_tasks.html.addresses import host_of

    host = host_of(domain)
    return f"https://{host}" if re.fullmatch(r"[\w.:\[\]-]+", host) else ""


def _pages(titles: Mapping[str, str]) -> tuple[PageInUse, ...]:
    """Return pages by their titles. An address that is too long is left out: a part of it leads elsewhere."""
    pages = (PageInUse(url, title[:MOST_OF_TITLE]) for url, title in titles.items() if len(url) <= MOST_OF_URL)
    return tuple(islice(pages, MOST_PAGES))


def _texts(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(text[:MOST_CHARACTERS] for text in texts if text)[:MOST_TEXTS]

"""apply --assets: the public addresses of uploaded files, into the built HTML: in place with a backup, or elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.html.apply.diff import diff
from nimbus_tasks.html.apply.file_addresses import PublicFile, address_files, restore_addresses
from nimbus_tasks.html.apply.markup import UnsafeChangeError
from nimbus_tasks.model.errors import SourceError
from nimbus_tasks.pipeline.apply import AppliedPage, RefusedChange
from nimbus_tasks.pipeline.site_files import put_page, read_page, replace_page

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nimbus_tasks.assets.ledger import AssetLedger
    from nimbus_tasks.model.progress import Progress
    from nimbus_tasks.pipeline.apply import Request

#: The change that a page's result names where the page as a whole is refused.
ADDRESSES = "addresses of files"


def apply_addresses(
    request: Request, paths: Iterable[str], public: Mapping[str, PublicFile], ledger: AssetLedger, progress: Progress
) -> Iterator[AppliedPage]:
    """Put public addresses into these pages; the results of pages without such a file are left out.

    In place, the ledger keeps the addresses that they had: extraction reads those, and so does the next run.

    Raises:
        StateError: a file cannot be written.
    """
    for path in paths:
        page = _apply(request, path, public, ledger)
        progress.advance()
        if page.applied or page.already or page.refused:
            yield page


def _apply(request: Request, path: str, public: Mapping[str, PublicFile], ledger: AssetLedger) -> AppliedPage:
    site = request.site
    try:
        before = read_page(site, path)
        original = restore_addresses(before, known) if (known := ledger.replaced(path)) else before
        made = address_files(original, path, site.folder, public.get)
        if site.output and not request.dry_run:
            put_page(site, path, made.html if made.files else before)
        if not made.files or made.html == before:
            return AppliedPage(path, already=made.files)
        if not (site.output or request.dry_run):
            ledger.note_replaced(path, made.replaced)
            replace_page(site, path, before, made.html, request.stamp)
    except (SourceError, UnsafeChangeError) as error:
        return AppliedPage(path, refused=(RefusedChange(ADDRESSES, str(error)),))
    return AppliedPage(path, made.files, diff=diff(path, before, made.html) if request.dry_run else "")

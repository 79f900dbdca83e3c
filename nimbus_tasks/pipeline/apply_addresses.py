"""apply --assets: the public addresses of uploaded files, into the built HTML: in place with a backup, or elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.html.apply.diff import diff
from nimbus_tasks.html.apply.file_addresses import PublicFile, address_files
from nimbus_tasks.html.apply.markup import UnsafeChangeError
from nimbus_tasks.model.errors import SourceError
from nimbus_tasks.pipeline.apply import AppliedPage, RefusedChange
from nimbus_tasks.pipeline.site_files import put_page, read_page, replace_page

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nimbus_tasks.model.progress import Progress
    from nimbus_tasks.pipeline.apply import Request

#: The change that a page's result names where the page as a whole is refused.
ADDRESSES = "addresses of files"


def apply_addresses(
    request: Request, paths: Iterable[str], public: Mapping[str, PublicFile], progress: Progress
) -> Iterator[AppliedPage]:
    """Put public addresses into these pages; the results of pages without such a file are left out.

    Raises:
        StateError: a file cannot be written.
    """
    for path in paths:
        page = _apply(request, path, public)
        progress.advance()
        if page.applied or page.refused:
            yield page


def _apply(request: Request, path: str, public: Mapping[str, PublicFile]) -> AppliedPage:
    site = request.site
    try:
        before = read_page(site, path)
        made = address_files(before, path, site.folder, public.get)
        if request.dry_run:
            return AppliedPage(path, made.files, diff=diff(path, before, made.html) if made.files else "")
        if site.output:
            put_page(site, path, made.html)
        elif made.files:
            replace_page(site, path, before, made.html, request.stamp)
    except (SourceError, UnsafeChangeError) as error:
        return AppliedPage(path, refused=(RefusedChange(ADDRESSES, str(error)),))
    return AppliedPage(path, made.files)

"""apply --assets: the public addresses of uploaded files, into the built HTML: in place with a backup, or elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.html.apply.diff import diff
from nimbus_tasks.html.apply.file_addresses import PublicFile, address_files
from nimbus_tasks.html.apply.markup import UnsafeChangeError
from nimbus_tasks.model.errors import SettingsError, SourceError
from nimbus_tasks.pipeline.apply import AppliedPage, RefusedChange
from nimbus_tasks.pipeline.site_files import put_page, read_page, replace_page
from nimbus_tasks.project.settings import PROJECT_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nimbus_tasks.backends.blobs import Location
    from nimbus_tasks.model.progress import Progress
    from nimbus_tasks.pipeline.apply import Request
    from nimbus_tasks.pipeline.assets import AssetStage
    from nimbus_tasks.project.settings import Assets

#: The change that a page's result names where the page as a whole is refused.
ADDRESSES = "addresses of files"


def public_files(stage: AssetStage, assets: Assets) -> dict[str, PublicFile]:
    """Return where readers get the files of the site that are uploaded as they are now, by source path.

    Raises:
        SettingsError: nothing says where readers get them.
    """
    found = {}
    for stored in stage.stored_files():
        sent = stored.file.sent
        copies = tuple((_public_url(where, assets), copy.width) for copy, where in stored.copies)
        url = _public_url(stored.location, assets)
        found[stored.file.path] = PublicFile(url, sent.width, sent.height, copies)
    return found


def _public_url(location: Location, assets: Assets) -> str:
    if location.url.startswith(("https://", "http://")):
        return location.url
    if not assets.public_url:
        raise SettingsError(
            f"{PROJECT_FILE}: [assets] public_url is not set.",
            "Set it to the address where readers find the files.",
        )
    return f"{assets.public_url.rstrip('/')}/{'/'.join(location.url.split('/')[-2:])}"


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

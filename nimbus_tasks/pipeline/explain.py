"""explain: why a page's map holds what it holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.pipeline.replaced import as_before, find_replaced
from nimbus_tasks.pipeline.rules import read_rules, refuse_bad_rules, sheets_of
from nimbus_tasks.pipeline.site_files import open_site, read_page
from nimbus_tasks.project.manifest import read_pages
from nimbus_tasks.project.page_names import named_pages, no_page

if TYPE_CHECKING:
    from nimbus_tasks.html.extract.explain import Explanation
    from nimbus_tasks.project.manifest import Manifest
    from nimbus_tasks.project.settings import Settings


def explain_page(settings: Settings, manifest: Manifest, path: str) -> Explanation:
    """Return what a page's map holds, and what was left out for which reason. path: any name of the page.

    Raises:
        SettingsError: there is no such page or no source folder, or a rule of the settings cannot be used.
        SourceError: the page cannot be read.
    """
    from nimbus_tasks.html.extract.explain import explain

    site = read_rules(settings, manifest)
    if not site.folder:
        raise SettingsError("[source] folder is not set.", "explain needs the HTML that the maps were made from.")
    refuse_bad_rules(site.rules)
    pages, files = read_pages(manifest), manifest.sources
    page = named_pages(path, settings, pages, files)[0]
    if not page.here:
        raise no_page(path, map(settings.source.source_path, files), settings.source)
    path = page.source_path
    html = read_page(open_site(Path(), site.folder, named=site.rules.folder), path)
    with find_replaced(settings) as replaced:
        html = as_before(html, replaced(settings.source.file_of(path)))
    return explain(path, html, site.rules, sheets_of(site).styles)

"""explain: why a page's map holds what it holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.pipeline.replaced import as_before, find_replaced
from nimbus_tasks.pipeline.rules import read_rules, refuse_bad_rules, sheets_of
from nimbus_tasks.pipeline.site_files import open_site, read_page

if TYPE_CHECKING:
    from nimbus_tasks.html.extract.explain import Explanation
    from nimbus_tasks.project.manifest import Manifest
    from nimbus_tasks.project.settings import Settings


def explain_page(settings: Settings, manifest: Manifest, path: str) -> Explanation:
    """Return what a page's map holds, and what was left out for which reason. path: with or without the folder.

    Raises:
        SettingsError: the project has no source folder, or a rule of the settings cannot be used.
        SourceError: there is no such page.
    """
    from nimbus_tasks.html.extract.explain import explain

    site = read_rules(settings, manifest)
    if not site.folder:
        raise SettingsError("[source] folder is not set.", "explain needs the HTML that the maps were made from.")
    refuse_bad_rules(site.rules)
    inside = f"{site.folder}/{path}"
    if site.folder != "." and Path(inside).is_file():
        path = inside
    path = site.source_path(path)
    html = read_page(open_site(Path(), site.folder, named=site.rules.folder), path)
    with find_replaced(settings) as replaced:
        html = as_before(html, replaced(settings.source.file_of(path)))
    return explain(path, html, site.rules, sheets_of(site).styles)

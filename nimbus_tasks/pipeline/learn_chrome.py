"""What a site's pages have in common, learnt from them and kept in `.nimbus/chrome.json`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from nimbus_tasks.pipeline.extract_file import LARGEST_PAGE, read_source
from nimbus_tasks.pipeline.rules import CHROME_FILE, CHROME_VERSION, Chrome, read_chrome, sheets_of
from nimbus_tasks.project import files

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nimbus_tasks.pipeline.rules import SiteRules


def learn_chrome(site: SiteRules, paths: Iterable[str], least: int) -> bool:
    """Learn what these pages have in common, if they are at least `least`; return whether that changed."""
    from nimbus_tasks.html.chrome import learn

    pages = [(site.source_path(path), html) for path in paths if (html := _source(site.folder, path)) is not None]
    if len(pages) < least:
        return False
    plain = msgspec.structs.replace(site.rules, chrome=())
    common = learn(pages, plain, sheets_of(site).styles)
    before = read_chrome()
    document = msgspec.json.encode(Chrome(len(pages), common.selectors, common.texts, CHROME_VERSION))
    files.replace(Path(CHROME_FILE), msgspec.json.format(document, indent=2) + b"\n")
    return before is None or (before.selectors, before.texts) != common


def _source(folder: str, path: str) -> bytes | None:
    try:
        html = read_source(path, folder)
    except OSError:
        return None
    return html if len(html) <= LARGEST_PAGE else None

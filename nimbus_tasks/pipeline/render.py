"""Render: one page as Markdown or HTML, from its map here or its record at the target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from nimbus_tasks.html.render import to_html, to_markdown
from nimbus_tasks.model import keys
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.model.records import PageRecord
from nimbus_tasks.project import files
from nimbus_tasks.project.manifest import Manifest, read_pages
from nimbus_tasks.project.page_names import named_pages

if TYPE_CHECKING:
    from nimbus_tasks.project.settings import Settings
    from nimbus_tasks.publishing.target import OpenTarget

FORMATS = {"markdown": to_markdown, "html": to_html}


def check_format(name: str) -> None:
    """Raise a `SettingsError` for a format that is not known."""
    if name not in FORMATS:
        raise SettingsError(f"--format={name} is not known.", f"It is one of: {', '.join(FORMATS)}.")


class Rendered(Struct, frozen=True):
    """A page in another format."""

    path: str
    format: str
    text: str


def find_map(settings: Settings, name: str) -> tuple[str, dict[str, Any]] | None:
    """Return the source path and the decoded map of the page that a name means; None without a map that can be read."""
    manifest = Manifest()
    page = named_pages(name, settings, read_pages(manifest), manifest.sources)[0]
    map_file = next((file for file, _ in manifest.pages.where("page_id = ? LIMIT 1", page.page_id)), "")
    if not map_file and (entry := manifest.sources.get(settings.source.file_of(page.source_path))) is not None:
        map_file = entry.map_file  # extracted, and not validated so far
    try:
        found = msgspec.json.decode(files.read(Path(map_file))) if map_file else None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return (page.source_path, found) if isinstance(found, dict) else None


async def read_extraction(target: OpenTarget, page_id: str, path: str) -> dict[str, Any]:
    """Return the `extraction` of a page's record at the target.

    Raises:
        SettingsError: there is none.
    """
    key = keys.page_key(target.project_id, page_id)
    record = (await target.read([key], PageRecord)).get(page_id)
    if record is None:
        raise SettingsError(f"{path} has neither a map here nor a record at the target.", "Run doit upload.")
    found: dict[str, Any] = msgspec.json.decode(record.extraction)
    return found


def render(document: dict[str, Any], name: str, path: str) -> str:
    """Return a page in a format.

    Raises:
        SettingsError: it has not the shape of a page.
    """
    try:
        return FORMATS[name](document)
    except ValueError as error:
        raise SettingsError(
            f"{path} cannot be rendered: {error}.", "Run doit validate: it says what is wrong."
        ) from None

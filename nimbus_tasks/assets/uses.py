"""Which files pages refer to, as their maps say. Only maps that changed are read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.assets.asset_file import MappedPage, Uses
from nimbus_tasks.model import lenient
from nimbus_tasks.project.spool import runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nimbus_tasks.assets.ledger import AssetLedger
    from nimbus_tasks.project.scan import Stamp
    from nimbus_tasks.project.settings import Source

#: Maps that are read and then written to the ledger at once: it waits for the disk each time.
_AT_ONCE = 500


class _Block(Struct):
    type: str = ""
    content: str = ""
    attributes: dict[str, str] = {}


class _Map(Struct):
    """The part of a map that is read here."""

    path: str = ""
    url: object = ""
    assets: list[str] = []
    head: dict[str, object] = {}
    above_fold_blocks: list[_Block] = []
    rest_of_page_blocks: list[_Block] = []

    def page(self, folder: str) -> MappedPage:
        from nimbus_tasks.html.addresses import path_on_site, url_of

        url = path_on_site(str(self.url)) or url_of(self.path, folder)
        return MappedPage(self.path, url, str(self.head.get("title", "")))

    def alts(self, folder: str) -> dict[str, list[str]]:
        """Return the alt texts of each file that the page refers to. folder: where source paths begin."""
        from nimbus_tasks.html.addresses import base_of, local_file, origin_of, url_of

        found: dict[str, list[str]] = {path: [] for path in self.assets}
        base, origin = base_of(url_of(self.path, folder), None), origin_of(str(self.head.get("canonical", "")))
        for block in (*self.above_fold_blocks, *self.rest_of_page_blocks):
            if block.type == "img" and block.content and (src := block.attributes.get("src")):
                path = local_file(base.resolve(src), {origin} - {""}, folder)
                if path in found and block.content not in found[path]:
                    found[path].append(block.content)
        return found


def note_uses(ledger: AssetLedger, source: Source | None = None) -> None:
    """Read the maps that changed, and note which files they refer to. source: where their source paths lie."""
    changed, gone = ledger.stale_maps()
    if gone:
        ledger.forget_maps(gone)
    for uses in runs(_uses(changed, source), _AT_ONCE):
        ledger.note_uses(uses)


def _uses(maps: Iterable[tuple[str, Stamp]], source: Source | None) -> Iterator[Uses]:
    folder = source.name if source else ""
    for map_file, stamp in maps:
        try:
            read = msgspec.json.decode(Path(map_file).read_bytes(), type=_Map)
        except (OSError, *lenient.UNDECODABLE):
            continue  # validation says so, and the next run reads it again
        files = {source.file_of(path) if source else path: alt for path, alt in read.alts(folder).items()}
        yield Uses(map_file, stamp, read.page(folder), files)

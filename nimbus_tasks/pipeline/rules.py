"""What changes the map of a page besides the page itself: the settings, the learnt chrome, the style sheets.

The chrome is in `.nimbus/chrome.json`, to be committed; it is learnt once. The sheets are those that the pages asked
for: the manifest knows their digests, so that another sheet extracts the pages again.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.html.rules import EXTRACTOR_VERSION, Rules, renamed
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.project import beneath, files
from nimbus_tasks.project.manifest import NEVER
from nimbus_tasks.project.scan import Stamp, stamp_of
from nimbus_tasks.project.settings import PROJECT_FILE, STATE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nimbus_tasks.html.styles import Styles
    from nimbus_tasks.project.manifest.database import Database
    from nimbus_tasks.project.settings import Settings

CHROME_FILE = f"{STATE_FOLDER}/chrome.json"
CHROME_VERSION = 2
#: Larger sheets are not written by people, and take seconds.
_LARGEST_SHEET = 8 * 1024 * 1024


class Chrome(Struct):
    """The file with what was learnt of a site (`html/chrome.py`). pages: how many it was learnt from."""

    pages: int
    selectors: tuple[str, ...]
    texts: tuple[str, ...] = ()
    version: int = 1


class Sheet(Struct, frozen=True, array_like=True):
    """A style sheet that pages ask for, as it was when it was read; without a digest there was none."""

    stamp: Stamp = NEVER
    digest: str = ""


class SiteRules(Struct, frozen=True):
    """The rules of a site, as each process gets them.

    rules: with the learnt chrome. rules_digest, sheets_digest: together of everything that changes a map besides its
    page. run: when they were read.
    """

    rules: Rules
    folder: str
    sheets: dict[str, Sheet]
    run: int
    rules_digest: str
    sheets_digest: str

    def source_path(self, file: str) -> str:
        """Return the source path of a file in the folder."""
        return renamed(file, self.folder, self.rules.folder) if self.folder != self.rules.folder else file

    @property
    def digest(self) -> str:
        return f"{self.rules_digest}-{self.sheets_digest}"


def _site_rules(rules: Rules, folder: str, sheets: dict[str, Sheet], run: int) -> SiteRules:
    digests = {address: sheet.digest for address, sheet in sheets.items()}
    return SiteRules(rules, folder, sheets, run, _digest((EXTRACTOR_VERSION, rules)), _digest(digests))


def _digest(content: object) -> str:
    return hashlib.blake2b(msgspec.json.encode(content, order="sorted"), digest_size=16).hexdigest()


def read_rules(settings: Settings, manifest: Database) -> SiteRules:
    """Return the rules as they are now."""
    folder = settings.source.folder
    known = msgspec.json.decode(manifest.fact("sheets") or "{}", type=dict[str, Sheet])
    sheets = {address: _look(folder, address, sheet) for address, sheet in known.items()}
    rules = settings.rules
    if chrome := read_chrome():
        rules = msgspec.structs.replace(rules, chrome=chrome.selectors, chrome_texts=frozenset(chrome.texts))
    return _site_rules(rules, folder, sheets, time.monotonic_ns())


def read_chrome() -> Chrome | None:
    """Return what was learnt of the site; None where nothing was yet, or by an earlier version, without texts."""
    chrome = files.read_json(Path(CHROME_FILE), Chrome, "It is learnt again from the pages.")
    return chrome if chrome is not None and chrome.version == CHROME_VERSION else None


def refuse_bad_rules(rules: Rules) -> None:
    """Raise a `SettingsError` for a rule that cannot be used."""
    from nimbus_tasks.html.extract import RulesError, check_rules

    try:
        check_rules(rules)
    except RulesError as error:
        where = CHROME_FILE if str(error).startswith("chrome") else PROJECT_FILE
        raise SettingsError(f"{where}: {error}") from None


# --- style sheets -------------------------------------------------------------------------------------


class Sheets:
    """The style sheets of a site, each read and parsed once in a process, as long as it is the same."""

    def __init__(self, site: SiteRules) -> None:
        from nimbus_tasks.html.styles import Styles

        self.styles: Styles = Styles(self._text, site.rules.folder)
        self._folder = site.folder
        self._run = site.run
        self._read: dict[str, Sheet] = {}
        self._digests: dict[str, str] = {}

    def hold_for(self, site: SiteRules) -> bool:
        """Return whether they are those of a run, or as a later run finds them."""
        if self._run == site.run:
            return True
        self._run = site.run
        now = {address: sheet.digest for address, sheet in site.sheets.items()}
        return self._folder == site.folder and self._digests.items() <= now.items()

    def take(self) -> tuple[tuple[str, Sheet], ...]:
        """Return the sheets that were asked for since the last call."""
        read, self._read = self._read, {}
        return tuple(read.items())

    def _text(self, address: str) -> str | None:
        content, sheet = _read_sheet(self._folder, address)
        self._read[address], self._digests[address] = sheet, sheet.digest
        return None if content is None else content.decode(errors="replace")


#: Those of the last run in this process.
_kept: list[Sheets] = []


def sheets_of(site: SiteRules) -> Sheets:
    """Return the sheets of a site: the same object as long as they are the same."""
    if not (_kept and _kept[0].hold_for(site)):
        _kept[:] = [Sheets(site)]
    return _kept[0]


def note_sheets(manifest: Database, site: SiteRules, more: Mapping[str, Sheet]) -> SiteRules:
    """Add sheets to those that the manifest knows."""
    if all(site.sheets.get(address) == sheet for address, sheet in more.items()):
        return site
    site = _site_rules(site.rules, site.folder, {**site.sheets, **more}, site.run)
    manifest.note(sheets=msgspec.json.encode(site.sheets, order="sorted").decode(), rules=site.digest)
    return site


def _look(folder: str, address: str, known: Sheet) -> Sheet:
    """Return a sheet as it is now; its content is compared only where its stamp has changed."""
    try:
        stamp = stamp_of(Path(folder, address).stat())
    except (OSError, ValueError):
        stamp = NEVER
    return known if stamp == known.stamp else _read_sheet(folder, address)[1]


def _read_sheet(folder: str, address: str) -> tuple[bytes | None, Sheet]:
    try:
        content, status = beneath.read_below(folder, address.split("/"), _LARGEST_SHEET + 1)
    except (OSError, ValueError):
        return None, Sheet()
    if len(content) > _LARGEST_SHEET:
        return None, Sheet(stamp_of(status), "too large")
    return content, Sheet(stamp_of(status), hashlib.blake2b(content, digest_size=16).hexdigest())

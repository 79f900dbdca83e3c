"""The rules of an extraction: everything in the settings that changes what a page's map says."""

from __future__ import annotations

from msgspec import Struct

#: Part of the manifest: a new version extracts every page again.
EXTRACTOR_VERSION = 1

#: Height of a first screen in CSS pixels (see `fold`). A common laptop shows 1366 x 768; phones scroll more.
DEFAULT_FOLD = 800


class Rules(Struct, frozen=True):
    """How pages of one site are read.

    main: CSS selector of the main content; empty: found for each page.
    ignore: CSS selectors of parts that give no content.
    fold: height in CSS pixels of what a visitor sees first; 0: nothing is above the fold.
    noindex: whether pages that ask robots not to index them are extracted all the same.
    patterns: paths with names in braces, `dist/local/{brand}-{service}.html`.
    selectors: dimension -> CSS selector whose first match's text is the value.
    constants: dimension -> value, for every page.
    """

    main: str = ""
    ignore: tuple[str, ...] = ()
    fold: int = DEFAULT_FOLD
    noindex: bool = False
    patterns: tuple[str, ...] = ()
    selectors: dict[str, str] = {}
    constants: dict[str, str] = {}

    def named_selectors(self) -> list[tuple[str, str]]:
        """Return the CSS selectors of the rules, each with the name of its setting: `main`, `selectors.brand`."""
        main = [("main", self.main)] if self.main else []
        ignore = [("ignore", selector) for selector in self.ignore]
        return main + ignore + [(f"selectors.{name}", selector) for name, selector in self.selectors.items()]


class RulesError(ValueError):
    """A rule that no page can be read with. Its text names the setting and its value, in one sentence."""


class Skipped(Struct, frozen=True):
    """A file that is not a page to publish, and the reason, for a person."""

    path: str
    reason: str

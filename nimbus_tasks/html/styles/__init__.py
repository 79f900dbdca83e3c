"""What a site's own style sheets hide.

Menus, dialogs and labels for screen readers stand in a page's HTML, and the sheets say that nobody sees them. Only
local sheets are read, in a window of 1280 x 800 pixels on a screen, as the page looks before anybody touches it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

from turbohtml import Element

from nimbus_tasks.html.styles.cascade import Cascade
from nimbus_tasks.html.styles.computed import Computed
from nimbus_tasks.html.styles.sheets import MAX_IMPORTS, Sheet, Window, media_matches, read_sheet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from turbohtml import Document

__all__ = ["DESKTOP", "MAX_REMEMBERED", "PHONE", "Computed", "Styles", "Window"]

DESKTOP = Window(1280, 800)
PHONE = Window(390, 844)

_SITE = "http://site.invalid"
_SHEETS = 'link[rel~="stylesheet" i][href]:not([rel~="alternate" i], [disabled]), style'
#: Sheets and combinations of sheets to remember. Pages with a sheet of their own each would fill the memory.
MAX_REMEMBERED = 500


class Styles:
    """The style sheets of one site.

    read: returns the text of a sheet by its path from the site's root, `css/main.css`, or None where there is none.
    folder: the site's root in the project, as source paths have it.
    """

    def __init__(self, read: Callable[[str], str | None], folder: str = "", window: Window = DESKTOP) -> None:
        self._read = read
        self._folder = f"{folder}/"
        self._window = window
        self._sheets: dict[str, list[Sheet]] = {}
        self._hiding: dict[tuple[str, ...], _Hiding | None] = {}
        self._computed: dict[tuple[str, ...], Computed] = {}
        self._others: dict[Window, Styles] = {}
        self._page: tuple[Document, tuple[str, ...]] | None = None

    @property
    def remembered(self) -> int:
        """How many combinations of sheets are remembered."""
        return len(self._hiding)

    def hidden(self, document: Document, body: Element, source_path: str) -> list[Element]:
        """Return the elements of the body that the sheets hide."""
        sources = self._sources_of(document, source_path)
        if sources not in self._hiding:
            self._forget_many()
            self._hiding[sources] = _hiding([sheet for source in sources for sheet in self._parsed(source)], body)
        hiding = self._hiding[sources]
        return hiding.hidden(body) if hiding else []

    def hiding_rule(self, document: Document, element: Element, source_path: str) -> str:
        """Return the rule that hides an element, and its sheet, for a person; empty where none does."""
        sheets = [
            (source, sheet) for source in self._sources_of(document, source_path) for sheet in self._parsed(source)
        ]
        rules = [(rule, source) for source, sheet in sheets for rule in sheet.rules if rule.hides]
        hiding = [each for each in rules if _is_known(each[0].selector, element) and element.matches(each[0].selector)]
        if not hiding:
            return ""
        rule, source = max(hiding, key=lambda each: each[0].specificity)
        where = source.removeprefix(f"{_SITE}/") if source.startswith(_SITE) else "<style>"
        return f"{where}: {rule.selector}"

    def computed(self, document: Document, source_path: str, window: Window) -> Computed:
        """Return the styles of a page's elements in a window."""
        if window != self._window:
            if window not in self._others:
                self._others[window] = Styles(self._read, self._folder.removesuffix("/"), window)
            return self._others[window].computed(document, source_path, window)
        sources = self._sources_of(document, source_path)
        if sources not in self._computed:
            self._forget_many()
            sheets = [sheet for source in sources for sheet in self._parsed(source)]
            self._computed[sources] = Computed(sheets, window)
        return self._computed[sources]

    def beside(self, document: Document, element: Element, source_path: str) -> list[Element]:
        """Return the siblings in columns beside an element: all float, or are items of a row that does not wrap."""
        computed = self.computed(document, source_path, self._window)
        root, *path = [each for each in reversed([element, *element.ancestors]) if isinstance(each, Element)]
        parent = around = computed.root(root)
        for each in path:
            parent, around = around, computed.style(each, around)
        siblings = [each for each in (*element.previous_siblings, *element.next_siblings) if isinstance(each, Element)]
        if parent.display == "flex" and not parent.is_column and not parent.wraps_items:
            return [each for each in siblings if computed.style(each, parent).position != "absolute"]
        floats = around.floats != "none"
        return [each for each in siblings if floats and computed.style(each, parent).floats != "none"]

    def _forget_many(self) -> None:
        if max(len(self._hiding), len(self._computed)) >= MAX_REMEMBERED:
            self._hiding.clear()
            self._computed.clear()
            self._sheets.clear()

    def _sources_of(self, document: Document, source_path: str) -> tuple[str, ...]:
        if self._page is None or self._page[0] is not document:  # one look at a page's tree
            self._page = document, tuple(self._sources(document, source_path.removeprefix(self._folder)))
        return self._page[1]

    def _sources(self, document: Document, page: str) -> Iterator[str]:
        """Return the sheets of a page in order: the address of a file, or the text of a `<style>`."""
        base = urljoin(f"{_SITE}/{page}", _base(document)).rpartition("/")[0] + "/"  # the same for many pages
        for element in document.select(_SHEETS):
            if not media_matches(element.attr("media") or "", self._window):
                continue
            if element.tag == "style":
                yield element.text
            elif address := _local(base, element.attr("href") or ""):
                yield address

    def _parsed(self, source: str) -> list[Sheet]:
        """Return a sheet after the ones that it imports."""
        if source not in self._sheets:
            ordered: list[Sheet] = []
            self._collect(source, ordered, set())
            self._sheets[source] = ordered
        return self._sheets[source]

    def _collect(self, source: str, ordered: list[Sheet], seen: set[str]) -> None:
        css: str | None = source
        if source.startswith(_SITE):
            if source in seen or len(seen) >= MAX_IMPORTS:
                return
            seen.add(source)
            css = self._read(unquote(urlsplit(source).path.removeprefix("/")))
        if css is not None:
            sheet = read_sheet(css, self._window)
            for imported in sheet.imports:
                if address := _local(source if source.startswith(_SITE) else _SITE, imported):
                    self._collect(address, ordered, seen)
            ordered.append(sheet)


def _base(document: Document) -> str:
    element = document.select_one("base[href]")
    return element.attr("href") or "" if element is not None else ""


@lru_cache(maxsize=4096)
def _local(base: str, address: str) -> str | None:
    """Return the whole address of a file of the site, without query and fragment; None for other sites'."""
    try:
        whole = urljoin(base, address.strip())
        return whole.partition("#")[0].partition("?")[0] if whole.startswith(f"{_SITE}/") else None
    except ValueError:
        return None


class _Hiding:
    """The rules of some sheets that hide elements, and those that show them again."""

    def __init__(self, selector: str, cascade: Cascade) -> None:
        self._selector = selector
        self._cascade = cascade

    def hidden(self, body: Element) -> list[Element]:
        return [element for element in body.select(self._selector) if self._hides(element)]

    def _hides(self, element: Element) -> bool:
        declared = self._cascade.declared(element)
        return declared.get("display") == "none" or declared.get("visibility") in {"hidden", "collapse"}


def _hiding(sheets: list[Sheet], body: Element) -> _Hiding | None:
    """Return the rules that can hide something; None without any."""
    hiding = [rule.selector for sheet in sheets for rule in sheet.rules if rule.hides]
    known = [selector for selector in dict.fromkeys(hiding) if _is_known(selector, body)]
    return _Hiding(", ".join(known), Cascade(sheets)) if known else None


def _is_known(selector: str, element: Element) -> bool:
    try:
        element.matches(selector)
    except ValueError:
        return False
    return True

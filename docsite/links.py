"""The built pages: does each link lead somewhere, and does a page load anything from elsewhere?"""

from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from pathlib import Path

#: What a browser loads by itself; other links it follows when somebody clicks.
_LOADING_RELATIONS = {
    "stylesheet",
    "icon",
    "preload",
    "prefetch",
    "preconnect",
    "dns-prefetch",
    "modulepreload",
    "manifest",
}
_ELSEWHERE = re.compile(r"^(https?:)?//")
_IN_STYLES = re.compile(r"""(?:url\(|@import)\s*['"]?(?:https?:)?//[^)'"\s]*""")
#: The theme's script would load what draws these from elsewhere. We draw when the site is built.
_DRAWN_IN_BROWSER = "mermaid"


class Reference(NamedTuple):
    """What a page names: its address, and whether a browser loads it by itself."""

    address: str
    loaded: bool


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.references: list[Reference] = []
        self.classes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        self.classes |= set(given.get("class", "").split())
        if "src" in given:
            self.references.append(Reference(given["src"], loaded=True))
        if "href" in given:
            loaded = tag == "link" and bool(_LOADING_RELATIONS & set(given.get("rel", "").split()))
            self.references.append(Reference(given["href"], loaded))


def pages_of(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def problems_of(site: Path) -> list[str]:
    """Return a line for each link that leads nowhere and for each thing that is loaded from elsewhere."""
    found = [problem for page in pages_of(site) for problem in _problems_of(page, site)]
    for style in sorted(site.rglob("*.css")):
        found += [f"{style.relative_to(site)}: loads {address}" for address in _IN_STYLES.findall(style.read_text())]
    return found


def _problems_of(page: Path, site: Path) -> list[str]:
    told = page.relative_to(site)
    read = _read(page)
    found = [f"{told}: a drawing that is made in the browser"] if _DRAWN_IN_BROWSER in read.classes else []
    for reference in read.references:
        if _ELSEWHERE.match(reference.address):
            if reference.loaded:
                found.append(f"{told}: loads {reference.address}")
            continue
        address = urlsplit(reference.address)
        if address.scheme in ("mailto", "data"):
            continue
        # The page for what is not there is shown at any address: its links begin at the top.
        start = site if address.path.startswith("/") else page.parent
        target = (start / unquote(address.path).lstrip("/")).resolve() if address.path else page
        if target.is_dir():
            target /= "index.html"
        if not target.is_file():
            found.append(f"{told}: no such page or file: {reference.address}")
        elif address.fragment and target.suffix == ".html" and unquote(address.fragment) not in _read(target).anchors:
            found.append(f"{told}: no such place in the page: {reference.address}")
    return found


@cache
def _read(page: Path) -> _Page:
    read = _Page()
    read.feed(page.read_text(encoding="utf-8"))
    return read

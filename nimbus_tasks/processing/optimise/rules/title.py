"""Titles that say nothing, and titles that are cut off where they are shown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nimbus_tasks.processing.optimise import HEADINGS, MAX_TITLE, TITLE
from nimbus_tasks.processing.optimise.rules.edit import Edit
from nimbus_tasks.processing.optimise.rules.language import is_foreign, language_of
from nimbus_tasks.processing.optimise.rules.marks import DASHES
from nimbus_tasks.processing.optimise.rules.spacing import manners_of, tidied

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nimbus_tasks.processing.optimise import Page

#: What editors and generators write where nobody has written anything.
_PLACEHOLDERS = frozenset(
    {"", "document", "home", "homepage", "index", "index.html", "new document", "new page", "page title", "title"}
    | {"herzlich willkommen", "startseite", "untitled", "welcome", "willkommen"}
    | {"untitled document", "untitled page", "react app", "vite app", "unbenannt", "unbenanntes dokument"}
    | {"document sans titre", "sans titre", "documento sin título", "sin título", "documento senza titolo"}
)
_INDEX = frozenset({"", "index.html", "index.htm"})
#: Folders that generators write a site to.
_PUBLISHED = frozenset({"_site", "build", "dist", "htdocs", "out", "public", "site", "www"})
_SEPARATOR = re.compile(rf"\s+(?:[|·•»«{DASHES}]|::)\s+")
#: A word that ends here is still shown: titles are cut by their width.
_TOLERATED = 3
#: The name of a site is short: what is longer is part of what the page is about.
_LONGEST_NAME = 35
#: Shorter ones do not say what the page is about.
_SHORTEST_TITLE = 15


def entitle(page: Page) -> Iterator[Edit]:
    """Yield a better title: the page's main heading for none, a shorter one for one that is too long."""
    title = page.head.get(TITLE, "").strip()
    if _is_placeholder(title):
        if heading := _main_heading(page):
            reason = f"Says nothing of the page: {'is missing' if not title else 'is a placeholder'}"
            yield Edit(TITLE, "title from heading", heading, f"{reason}, its main heading does")
    elif len(title) > MAX_TITLE + _TOLERATED and not _is_home(page) and (shorter := _shortened(title, page)):
        reason = f"Has {len(title)} characters, about {MAX_TITLE} are shown: its last part can go"
        yield Edit(TITLE, "title shortened", shorter, reason)


def _is_home(page: Page) -> bool:
    """Say whether it is the site's first page, in any language: there the site's name is what it is about.

    Its address says so, or its file: `index.html` in the folder that is published, as far as that can be told.
    """
    canonical = page.head.get("canonical", "")
    try:
        if canonical and _is_root(urlsplit(canonical).path, page):
            return True
    except ValueError:
        pass  # no address: its file is left to say so
    *folders, name = page.source_path.split("/")
    published = max((place for place, folder in enumerate(folders) if folder in _PUBLISHED), default=0)
    return _is_root("/".join([*folders[published + 1 :], name]), page)


def _is_root(path: str, page: Page) -> bool:
    *folders, name = path.lower().split("/")
    return name in _INDEX and all(folder in ("", language_of(page)) for folder in folders)


def _is_placeholder(text: str) -> bool:
    return text.casefold().rstrip("!. ") in _PLACEHOLDERS


def _main_heading(page: Page) -> str:
    """Return the page's first heading of the highest level that it has, if it can be a title."""
    headings = [block for block in page.blocks if block.type in HEADINGS and not is_foreign(block, page)]
    first = min(headings, key=lambda block: block.type, default=None)
    text = tidied(first.content.strip(), manners_of(page), title=True) if first else ""
    return "" if len(text) > MAX_TITLE or _is_placeholder(text) else text


def _shortened(title: str, page: Page) -> str:
    """Return a title without the site's name, or nothing where that is not to be told for sure."""
    separators = list(_SEPARATOR.finditer(title))
    if not separators:
        return ""
    first, last = separators[0], separators[-1]
    site = page.head.get("og:site_name", "").strip().casefold()
    if site and title[: first.start()].strip().casefold() == site:
        name, rest = title[: first.start()], title[first.end() :]
    else:
        # Where the site does not say its name, it is what stands last.
        name, rest = title[last.end() :], title[: last.start()]
    if len(name) > min(_LONGEST_NAME, len(rest)) or _is_topic(name, page):
        return ""
    first_part = title[: first.start()].strip()
    # What stands behind it is an addition, where the main heading does without it.
    if len(rest) > MAX_TITLE and first_part.casefold() == _main_heading(page).casefold():
        rest = first_part
    rest = tidied(rest.strip(), manners_of(page), title=True)
    return rest if _SHORTEST_TITLE <= len(rest) <= MAX_TITLE else ""


def _is_topic(name: str, page: Page) -> bool:
    """Say whether the page's main heading speaks of it: then it is no mere name of the site."""
    return name.strip().casefold() in _main_heading(page).casefold()

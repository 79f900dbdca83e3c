"""Heading levels that skip one, and page titles that are missing, placeholders or too long."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nimbus_tasks.processing.optimise import HEADINGS, MAX_TITLE, TITLE
from nimbus_tasks.processing.optimise.rules.edit import Edit
from nimbus_tasks.processing.optimise.rules.language import DASHES, is_foreign, language_of
from nimbus_tasks.processing.optimise.rules.spacing import style_of, tidied

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nimbus_tasks.model.page_map import Block
    from nimbus_tasks.processing.optimise import Page

# --- levels -------------------------------------------------------------------------------------------


def close_gaps(page: Page) -> Iterator[Edit]:
    """Yield headings more than one level below their parent, moved up. Parents and siblings stay what they were."""
    headings = [block for block in page.blocks if block.type in HEADINGS]
    if any(map(_has_aria_level, headings)):
        return
    above: list[tuple[int, int]] = []  # old and new level of each ancestor, outermost first
    for heading in headings:
        level = HEADINGS.index(heading.type) + 1
        while above and above[-1][0] >= level:
            above.pop()
        new = min(level, above[-1][1] + 1) if above else level
        above.append((level, new))
        if new != level:
            reason = f"Heading of level {level} right below one of level {new - 1}: it skips a level"
            yield Edit(heading.id, "outline", heading.content, reason, f"h{new}")


def _has_aria_level(heading: Block) -> bool:
    """Return whether ARIA gives the heading another level, or another role."""
    return "aria-level" in heading.attributes or "role" in heading.attributes


# --- titles -------------------------------------------------------------------------------------------

#: Defaults of editors and generators.
_PLACEHOLDERS = frozenset(
    {"", "document", "home", "homepage", "index", "index.html", "new document", "new page", "page title", "title"}
    | {"herzlich willkommen", "startseite", "untitled", "welcome", "willkommen"}
    | {"untitled document", "untitled page", "react app", "vite app", "unbenannt", "unbenanntes dokument"}
    | {"document sans titre", "sans titre", "documento sin título", "sin título", "documento senza titolo"}
)
_INDEX = frozenset({"", "index.html", "index.htm"})
#: Output folders of generators.
_PUBLISHED = frozenset({"_site", "build", "dist", "htdocs", "out", "public", "site", "www"})
_SEPARATOR = re.compile(rf"\s+(?:[|·•»«{DASHES}]|::)\s+")
#: Search engines cut by width: a word that ends this far beyond the limit is still shown.
_TOLERANCE = 3
#: A longer last part is more than the site's name.
_LONGEST_NAME = 35
#: A shorter title does not say what the page is about.
_SHORTEST_TITLE = 15
#: A longer one is no title, and its last part not the site's name.
_LONGEST_TITLE = 1000


def entitle(page: Page) -> Iterator[Edit]:
    """Yield the main heading where the title is missing or a placeholder, or a shorter title where it is too long."""
    title = page.head.get(TITLE, "").strip()
    if _is_placeholder(title):
        if heading := _main_heading(page):
            fault = "Is a placeholder" if title else "Is missing"
            yield Edit(TITLE, "title from heading", heading, f"{fault}: the main heading names the page")
    elif len(title) > MAX_TITLE + _TOLERANCE and not _is_home(page) and (shorter := _shortened(title, page)):
        reason = f"Has {len(title)} characters, about {MAX_TITLE} are shown: its last part can go"
        yield Edit(TITLE, "title shortened", shorter, reason)


def _is_home(page: Page) -> bool:
    """Return whether this is the site's home page, in any language: its topic is the site's name.

    The canonical address tells, or else the file: `index.html` in the output folder.
    """
    canonical = page.head.get("canonical", "")
    try:
        if canonical and _is_root(urlsplit(canonical).path, page):
            return True
    except ValueError:
        pass  # not an address
    *folders, name = page.source_path.split("/")
    published = max((place for place, folder in enumerate(folders) if folder in _PUBLISHED), default=0)
    return _is_root("/".join([*folders[published + 1 :], name]), page)


def _is_root(path: str, page: Page) -> bool:
    *folders, name = path.lower().split("/")
    return name in _INDEX and all(folder in ("", language_of(page)) for folder in folders)


def _is_placeholder(text: str) -> bool:
    return text.casefold().rstrip("!. ") in _PLACEHOLDERS


def _main_heading(page: Page) -> str:
    """Return the first heading of the page's highest level if it can serve as a title, else an empty string."""
    headings = [block for block in page.blocks if block.type in HEADINGS and not is_foreign(block, page)]
    first = min(headings, key=lambda block: block.type, default=None)
    text = tidied(first.content.strip(), style_of(page), title=True) if first else ""
    return "" if len(text) > MAX_TITLE or _is_placeholder(text) else text


def _shortened(title: str, page: Page) -> str:
    """Return the title without the site's name, or an empty string if the name is uncertain."""
    separators = list(_SEPARATOR.finditer(title)) if len(title) <= _LONGEST_TITLE else []
    if not separators:
        return ""
    first, last = separators[0], separators[-1]
    site = page.head.get("og:site_name", "").strip().casefold()
    if site and title[: first.start()].strip().casefold() == site:
        name, rest = title[: first.start()], title[first.end() :]
    else:
        # Unless the page names its site, the last part is taken for the name.
        name, rest = title[last.end() :], title[: last.start()]
    if len(name) > min(_LONGEST_NAME, len(rest)) or _is_topic(name, page):
        return ""
    first_part = title[: first.start()].strip()
    # The main heading does without the rest, so the title can too.
    if len(rest) > MAX_TITLE and first_part.casefold() == _main_heading(page).casefold():
        rest = first_part
    rest = tidied(rest.strip(), style_of(page), title=True)
    return rest if _SHORTEST_TITLE <= len(rest) <= MAX_TITLE else ""


def _is_topic(name: str, page: Page) -> bool:
    """Return whether the main heading contains the name: then it is more than the site's name."""
    return name.strip().casefold() in _main_heading(page).casefold()

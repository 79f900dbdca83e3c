"""What the pages of a site have in common besides their content: learnt from some of them, by structure.

A bar, a sidebar or a list of the site's pages stands at the same place of most pages, with the same words or with
nothing but links. What is learnt are selectors of such places, and digests of the texts that many pages have there.
Extraction leaves out what is at such a place, at the ends of a page's content, and says the same or is a list of links
(`Rules.chrome`): other words are the page's own. A page more or less changes nothing.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple, cast

from msgspec import Struct

from nimbus_tasks.html.extract.content import locate
from nimbus_tasks.html.extract.parse import not_a_page, parse_page
from nimbus_tasks.html.extract.surroundings import digest_of, find_headline
from nimbus_tasks.html.extract.text import PHRASING, collapsed_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from turbohtml import Element, Node

    from nimbus_tasks.html.rules import Rules
    from nimbus_tasks.html.styles import Styles

#: Pages to learn from: more teach nothing new. On a site with fewer pages than the minimum nothing is learnt.
ENOUGH_PAGES = 20
MIN_PAGES = 5

_OFTEN = 0.3  # share of pages that have a place, or a text
_VERY_OFTEN = 0.5
_REPEATED = 0.7  # share of a place's words in texts that many pages have
_LINKS = 0.8  # share of a place's words in links
_MAX_TEXT = 0.4  # share of a page's words in a place with links
_MAX_SHARE = 0.8  # share of a page's text
_WITH_HEADLINE = 0.1  # share of pages whose headline is in a place

_BLOCKS = f":not({', '.join(PHRASING)})"
_NUMBER = re.compile(r"\d")
_STATE = re.compile(
    r"^(?:is|has|js|no)-|^(?:active|collapsed?|current|disabled|even|expanded|first|hidden|last|odd|open|selected|show)$"
)
_SPECIAL = re.compile(r"[^\w\x80-\U0010ffff-]")


def sample_of(pages: int) -> range:
    """Return the numbers of enough of a site's pages to learn from, from all of its parts."""
    step = max(1, pages // ENOUGH_PAGES)
    return range(step // 2, pages, step)[:ENOUGH_PAGES]


class Common(NamedTuple):
    """What many pages have: the selectors of its places, and the digests of its texts, both in alphabetical order."""

    selectors: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()


class Place(Struct):
    """What an element of a page holds. words, links, repeated: all words, those in links, those of repeated texts."""

    key: str
    parent: int
    headline: bool
    text: str = ""
    words: int = 0
    links: int = 0
    repeated: int = 0


def learn(pages: Iterable[tuple[str, bytes]], rules: Rules, styles: Styles | None = None) -> Common:
    """Return what the pages (source path, HTML) have in common."""
    documents = []
    sources = []
    for path, html in pages:
        if not_a_page(html) is None and (body := (document := parse_page(html)).find("body")) is not None:
            hidden, content = locate(document, body, path, rules, styles)
            headline = find_headline(document, content.unseen)
            for element in hidden:
                element.clear()
            documents.append((body, headline))
            sources.append(html)
    if len(documents) < MIN_PAGES:
        return Common()
    headlines = Counter(collapsed_text(headline) for _, headline in documents if headline is not None)
    often = _OFTEN * len(documents)
    names = Counter(name for body, _ in documents for name in _names_in(body))
    common = frozenset(name for name, count in names.items() if count >= _VERY_OFTEN * len(documents))
    read = []
    for body, headline in documents:
        # A headline that many pages have is the site's name.
        own = headline if headline is not None and headlines[collapsed_text(headline)] < max(2, often) else None
        read.append(_read(body, own, common))
    texts = Counter(text for places in read for text in {place.text for place in places if place.text})
    for places in read:
        for place in reversed(places):
            if texts[place.text] >= max(2, often):
                place.repeated += len(place.text.split())
            if place.parent >= 0:
                parent = places[place.parent]
                parent.words += place.words
                parent.links += place.links
                parent.repeated += place.repeated
                parent.headline |= place.headline
    found = {key for key in _common(read) if _is_selector(key)}
    outermost = [key for key in found if not any(above in found for above in _above(key))]
    chosen = set(outermost) - _too_wide(outermost, sources, headlines)
    repeated = {
        digest_of(place.text)
        for places in read
        for place in places
        if texts[place.text] >= max(2, often) and (place.key in chosen or not chosen.isdisjoint(_above(place.key)))
    }
    return Common(tuple(sorted(chosen)), tuple(sorted(repeated)))


def _read(body: Element, headline: Element | None, common: frozenset[str]) -> list[Place]:
    """Return what each element holds by itself. Takes the page apart, so that each word is read once."""
    elements = [body, *body.select(_BLOCKS)]
    numbers: dict[Node, int] = {}
    steps: dict[Element, str] = {}
    places = []
    for number, element in enumerate(elements):
        numbers[element] = number
        parent = next((numbers[each] for each in element.ancestors if each in numbers), -1)
        places.append(Place(_key(element, steps, common), parent, headline=element == headline))
    for element, place in zip(reversed(elements), reversed(places), strict=True):
        place.text = collapsed_text(element)
        place.words = len(place.text.split())
        place.links = sum(len(collapsed_text(link).split()) for link in element.select("a")) if place.words else 0
        element.set_text("\n")
    return places


def _key(element: Element, steps: dict[Element, str], common: frozenset[str]) -> str:
    """Return a selector of an element's place: its own names and those of all elements around it."""
    if element not in steps:
        parent = element.parent
        above = "" if element.tag == "body" else f"{_key(parent, steps, common)} > "  # type: ignore[arg-type]
        steps[element] = above + _step(element, common)
    return steps[element]


def _step(element: Element, common: frozenset[str]) -> str:
    """Return the last part of a selector. Names with a number count where many pages have them."""
    tag = _SPECIAL.sub(_escaped, element.tag)
    if tag in ("body", "html"):
        return tag
    classes = (element.attr("class") or "").split()
    names = {name for name in classes if not _STATE.search(name) and (f".{name}" in common or not _NUMBER.search(name))}
    role, its_id = element.attr("role") or "", element.attr("id") or ""
    step = tag + "".join(f".{_SPECIAL.sub(_escaped, name)}" for name in sorted(names))
    if f"#{its_id}" in common:
        step += f"#{_SPECIAL.sub(_escaped, its_id)}"
    if role.isalpha():
        step += f'[role="{role}"]'
    return f"{tag}:not([class])" if step == tag and not classes else step


def _names_in(body: Element) -> set[str]:
    ids = {f"#{each.attr('id')}" for each in body.select("[id]")}
    return ids.union(*({f".{name}" for name in (each.attr("class") or "").split()} for each in body.select("[class]")))


def _too_wide(keys: Iterable[str], sources: Sequence[bytes], headlines: Mapping[str, int]) -> set[str]:
    """Return the selectors that also find content: elements with more names match them too."""
    found: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for html in sources:
        document = parse_page(html)
        body = cast("Element", document.find("body"))
        headline = find_headline(document, ())
        above: set[Node] = set()
        if headline is not None and headlines[collapsed_text(headline)] == 1:
            above = {headline, *headline.ancestors}
        whole = len(collapsed_text(body))
        for key in keys:
            elements = body.select(key)
            found[key] += bool(elements)
            size = sum(len(collapsed_text(element)) for element in elements)
            wrong[key] += any(element in above for element in elements) or size > _MAX_SHARE * whole
    return {key for key, count in wrong.items() if count > _WITH_HEADLINE * found[key]}


def _is_selector(key: str) -> bool:
    try:
        parse_page(b"").select(key)
    except ValueError:
        return False
    return True


def _escaped(special: re.Match[str]) -> str:
    return f"\\{special[0]}" if special[0].isprintable() and not special[0].isspace() else f"\\{ord(special[0]):x} "


def _above(key: str) -> Iterable[str]:
    while " > " in key:
        key = key.rpartition(" > ")[0]
        yield key


class _Sums(Struct):
    pages: int = 0
    words: int = 0
    links: int = 0
    repeated: int = 0
    headlines: int = 0
    share: float = 0.0


def _common(read: Sequence[Sequence[Place]]) -> set[str]:
    sums: dict[str, _Sums] = defaultdict(_Sums)
    for places in read:
        whole = sum(place.words for place in places if place.parent < 0)
        here: dict[str, list[Place]] = defaultdict(list)
        for place in places:
            here[place.key].append(place)
        for key, same in here.items():
            words = sum(place.words for place in same)
            if not words:
                continue
            of = sums[key]
            of.pages += 1
            of.words += words
            of.links += sum(place.links for place in same)
            of.repeated += sum(place.repeated for place in same)
            of.headlines += any(place.headline for place in same)
            of.share += words / whole
    pages = len(read)
    return {
        key
        for key, of in sums.items()
        if of.pages >= max(3, math.ceil(_OFTEN * pages))
        and of.headlines <= _WITH_HEADLINE * of.pages
        and (
            of.repeated >= _REPEATED * of.words
            or (of.pages >= _VERY_OFTEN * pages and of.links >= _LINKS * of.words and of.share < _MAX_TEXT * of.pages)
        )
    }

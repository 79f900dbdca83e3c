"""Why a page's map holds what it holds: which main content, and what was left out for which reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.html.extract import extract
from nimbus_tasks.html.extract.content import locate
from nimbus_tasks.html.extract.noise import find_line_numbers
from nimbus_tasks.html.extract.parse import parse_page
from nimbus_tasks.html.extract.presets import find_preset
from nimbus_tasks.html.extract.text import RAW, collapsed_text
from nimbus_tasks.html.rules import Rules, Skipped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from turbohtml import Element

    from nimbus_tasks.html.styles import Styles

_SHOWN = 60  # characters


class LeftOut(Struct, frozen=True):
    """An element without content. why: for a person. text: how it begins."""

    selector: str
    why: str
    words: int
    text: str


class Explanation(Struct, frozen=True, omit_defaults=True):
    """What is in a page's map, and what is not. skipped: why the page has no map. main, why: empty then."""

    path: str
    skipped: str = ""
    generator: str = ""
    main: str = ""
    why: str = ""
    blocks: int = 0
    left_out: tuple[LeftOut, ...] = ()


def explain(source_path: str, html: bytes, rules: Rules, styles: Styles | None = None) -> Explanation:
    """Return why the map of a page holds what it holds."""
    page = extract(source_path, html, rules, styles)
    if isinstance(page, Skipped):
        return Explanation(source_path, skipped=page.reason)
    document = parse_page(html)
    body = document.find("body")
    assert body is not None
    preset = find_preset(document)
    as_written = parse_page(html)  # to ask for its sheets: locating empties elements
    hidden, content = locate(document, body, source_path, rules, styles, preset)
    by_settings = [(selector, f"[source] ignore: {selector}") for selector in rules.ignore]
    by_settings += [(selector, f"{preset.name}: {selector}") for selector in preset.ignore]
    reasons: dict[Element, str] = {}
    for element in hidden:
        named = next((why for selector, why in by_settings if element.matches(selector)), "")
        rule = styles.hiding_rule(as_written, element, source_path) if styles and not named else ""
        reasons[element] = named or (f"hidden by {rule}" if rule else "hidden in the page")
    for element in find_line_numbers(body):  # one for each line
        reasons.pop(element, "")
    reasons |= {each.element: each.why for each in content.surroundings}
    for above in (content.main, *content.main.ancestors):
        for other in above.parent.children if above.parent is not None else ():
            if hasattr(other, "tag") and other != above and other not in content.unseen:
                reasons.setdefault(other, "outside of the main content")  # type: ignore[arg-type]
    return Explanation(
        source_path,
        generator=preset.name,
        main=content.selector,
        why=content.why,
        blocks=len(page.selector_map),
        left_out=tuple(_left_out(body, reasons)),
    )


def _left_out(body: Element, reasons: dict[Element, str]) -> Iterator[LeftOut]:
    """Yield what is left out in the order of the page: the outermost elements, if they have text."""
    inside: set[Element] = set()
    for element in body.select("*"):
        if element not in reasons or element in inside or element.tag in RAW:
            continue
        inside.update(element.select("*"))
        text = collapsed_text(element)
        if any(map(str.isalnum, text)):  # not the many signs of permanent links
            shown = text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
            yield LeftOut(element.css_path(), reasons[element], len(text.split()), shown)

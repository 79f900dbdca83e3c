"""Which rules of a page's style sheets apply to an element, and which of them wins (CSS Cascade Level 4)."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from nimbus_tasks.html.styles.sheets import read_declarations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from turbohtml import Element

    from nimbus_tasks.html.styles.sheets import Rule, Sheet

    #: A rule and its rank: specificity, then place.
    Ranked = tuple[tuple[tuple[int, int, int], int], Rule]

_NAME = r"((?:[\w-]|[^\x00-\x7f]|\\.)+)"
_ID = re.compile(rf"#{_NAME}")
_CLASS = re.compile(rf"\.{_NAME}")
_TAG = re.compile(r"^([a-z][\w-]*)", re.IGNORECASE)
_BRACKETS = re.compile(r"\[[^\]]*\]|\([^()]*\)")
_LAST_COMPOUND = re.compile(r"[^\s>+~]*$")
_ESCAPE = re.compile(r"\\(.)")
#: A name written with the number of a character.
HARD_NAME = re.compile(r"\\[0-9a-fA-F]")

_INLINE_STYLE = ((1_000_000, 0, 0), 0)


class Cascade:
    """The declarations that an ordered list of sheets makes for elements."""

    def __init__(self, sheets: Sequence[Sheet]) -> None:
        # By what their last part names: most rules can be passed over without a look at the tree.
        self._by_id: dict[str, list[Ranked]] = defaultdict(list)
        self._by_class: dict[str, list[Ranked]] = defaultdict(list)
        self._by_tag: dict[str, list[Ranked]] = defaultdict(list)
        self._others: list[Ranked] = []
        rules = (rule for sheet in sheets for rule in sheet.rules)
        for order, rule in enumerate(rules):
            self._list_for(rule.selector).append(((rule.specificity, order), rule))

    def _list_for(self, selector: str) -> list[Ranked]:
        if HARD_NAME.search(selector):
            return self._others
        compound = _LAST_COMPOUND.findall(_BRACKETS.sub("", selector))[0]
        if found := _ID.search(compound):
            return self._by_id[_ESCAPE.sub(r"\1", found[1])]
        if found := _CLASS.search(compound):
            return self._by_class[_ESCAPE.sub(r"\1", found[1])]
        if found := _TAG.search(compound):
            return self._by_tag[found[1].lower()]
        return self._others

    def declared(self, element: Element) -> dict[str, str]:
        """Return the winning declarations: the important ones, then by specificity, then the later ones."""
        matching = [ranked for ranked in self.candidates(element) if matches(element, ranked[1].selector)]
        return winning(matching, element.attr("style") or "")

    def candidates(self, element: Element) -> Iterator[Ranked]:
        yield from self._others
        yield from self._by_tag.get(element.tag, ())
        yield from self._by_id.get(element.attr("id") or "", ())
        for name in set((element.attr("class") or "").split()):
            yield from self._by_class.get(name, ())


def winning(matching: Sequence[Ranked], style: str) -> dict[str, str]:
    """Return what these rules and a `style` attribute declare together."""
    declared = [(rank, rule.declarations) for rank, rule in matching]
    if style:
        declared.append((_INLINE_STYLE, read_declarations(style)))
    declared.sort(key=lambda ranked: ranked[0])
    plain: dict[str, str] = {}
    important: dict[str, str] = {}
    for _, declarations in declared:
        for name, (value, is_important) in declarations.items():
            (important if is_important else plain)[name] = value
    return plain | important


def matches(element: Element, selector: str) -> bool:
    try:
        return element.matches(selector)
    except ValueError:  # not a selector, or one that the parser does not know: browsers skip the former too
        return False

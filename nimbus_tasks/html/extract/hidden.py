"""Parts of a page that a reader never sees: they give no text and no blocks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nimbus_tasks.html.extract.elements import OPAQUE, RAW

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from turbohtml import Element

_RAW = frozenset(RAW)
_BY_TAG = (
    *RAW,
    *OPAQUE,
    "annotation",  # of a formula: the same once more, in LaTeX
    "annotation-xml",
    "dialog:not([open])",
)
# Each element is compared with one name after the other: the first `:not` spares most elements the long list.
_HIDDEN = (
    ':is([hidden]:not([hidden="until-found" i]), [popover], [data-nimbus-ignore], '
    f":not(span, a, li, code, p, td, div, tr, dt, dd, em):is({', '.join(_BY_TAG)}))"
)
_PERHAPS_STYLED_AWAY = ':is([style*="none" i], [style*="hidden" i], [style*="collapse" i])'
_STYLED_AWAY = re.compile(
    r"(?: ^ | ; ) \s* (?: display \s* : \s* none | visibility \s* : \s* (?: hidden | collapse ) ) \b",
    re.IGNORECASE | re.VERBOSE,
)


def find_hidden(body: Element, ignore: Sequence[str]) -> list[Element]:
    """Return the elements of the body that give no text; those that hold nothing but text are emptied.

    The others keep their content until every selector is made: an id in them is an id of the page.
    """
    hidden = []
    unseen = ", ".join((_HIDDEN, *ignore))
    for element in body.select(f"{unseen}, {_PERHAPS_STYLED_AWAY}"):
        if element.tag in _RAW:
            element.clear()
            hidden.append(element)
        elif (style := element.attr("style")) is None or _STYLED_AWAY.search(style) or element.matches(unseen):
            hidden.append(element)
    return hidden


def everything_in(elements: Iterable[Element]) -> set[Element]:
    """Return the elements and all that is in them."""
    found: set[Element] = set()
    for element in elements:
        if element not in found:  # or hidden elements in hidden elements would cost their square
            found.add(element)
            found.update(element.select("*"))
    return found

"""Pages that say themselves that they are not for readers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nimbus_tasks.html.extract.text import collapsed_text

if TYPE_CHECKING:
    from turbohtml import Element

    from nimbus_tasks.html.extract.head import Head
    from nimbus_tasks.html.extract.rules import Rules

_TARGET = re.compile(r"[\d.\s]* [;,\s] \s* (?: url \s* = \s* )? ['\"]? ([^'\"]+)", re.IGNORECASE | re.VERBOSE)

#: A stub says little more than "this page has moved to ..."; a page with more is read, whatever it does later.
MOST_OF_A_STUB = 200


def not_for_readers(head: Head, body: Element, rules: Rules) -> str | None:
    """Return why a page is not to be published, or None. Its hidden parts are out of the body by now."""
    if not rules.noindex and not {"noindex", "none"}.isdisjoint(_words(head.facts.get("robots", ""))):
        return "robots are asked not to index it (noindex)"
    if (target := _TARGET.match(head.refresh)) and len(collapsed_text(body)) <= MOST_OF_A_STUB:
        return f"only redirects to {target[1].strip()}"
    return None


def _words(text: str) -> list[str]:
    return re.split(r"[\s,]+", text.lower())

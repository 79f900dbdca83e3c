"""Free facts about a page: its brand, its service, its place. From its path, its metadata, its text, the settings."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from nimbus_tasks.html.extract.rules import RulesError
from nimbus_tasks.html.extract.text import collapse

if TYPE_CHECKING:
    from turbohtml import Element

    from nimbus_tasks.html.extract.rules import Rules

_NAME = re.compile(r"\{([^{}]*)\}")


def read_dimensions(
    source_path: str, elements: dict[str, Element], said: dict[str, str], rules: Rules
) -> dict[str, str]:
    """Return the dimensions of a page. The closer to the page, the stronger.

    What the page itself says (`said`, its `<meta name="nimbus:NAME">`) wins over a selector's text, that over the
    path, and that over a constant. `elements`: dimension -> what its selector finds.
    """
    return rules.constants | _from_path(source_path, rules.patterns) | _from_text(elements) | said


def _from_path(source_path: str, patterns: tuple[str, ...]) -> dict[str, str]:
    """Return what the first pattern that fits the whole path finds in it."""
    for pattern, names in map(compile_pattern, patterns):
        if match := pattern.fullmatch(source_path):
            return dict(zip(names, match.groups(), strict=True))
    return {}


def _from_text(elements: dict[str, Element]) -> dict[str, str]:
    texts = {
        name: collapse((element.attr("content") if element.tag == "meta" else element.text) or "")
        for name, element in elements.items()
    }
    return {name: text for name, text in texts.items() if text}


@lru_cache(maxsize=64)
def compile_pattern(pattern: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    """Compile `shop/{brand}-{service}.html`; return it with its names.

    A name takes at least one character of one path segment, and as few as it can: in `rolex-watch-repair.html`
    the brand is `rolex`. All other characters mean themselves.
    """
    *parts, end = _NAME.split(pattern)
    literals, names = [*parts[::2], end], tuple(parts[1::2])
    if any("{" in literal or "}" in literal for literal in literals):
        raise RulesError(f"the pattern {pattern!r} has a brace without its partner")
    if not all(names):
        raise RulesError(f"the pattern {pattern!r} has a pair of braces without a name in it")
    if len(set(names)) < len(names):
        raise RulesError(f"the pattern {pattern!r} has a name twice")
    if not names:
        raise RulesError(f"the pattern {pattern!r} has no name in braces, so it finds nothing")
    return re.compile("([^/]+?)".join(map(re.escape, literals)), re.DOTALL), names

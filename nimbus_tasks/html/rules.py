"""The rules of an extraction: every setting that changes a page's map."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, NamedTuple

from msgspec import Struct

#: Part of the manifest: a new version extracts every page again.
EXTRACTOR_VERSION = 7

#: The first screen is laid out for a window of 1280 x 800 or 390 x 844 pixels, or estimated without style sheets.
FoldName = Literal["desktop", "phone", "flow"]
DEFAULT_FOLD: FoldName = "desktop"

#: An attribute with which a page leaves an element out.
IGNORED = "[data-nimbus-ignore]"

_NAME = re.compile(r"\{([^{}]*)\}")


class Rules(Struct, frozen=True):
    """How to read the pages of a site.

    main: CSS selector of the main content; empty: detected for each page.
    ignore: CSS selectors of elements to leave out.
    ignore_head: names of head values to leave out, with wildcards: `build`, `og:*` (`HeadFilter`).
    fold: the first screen: a window, or the height of one as wide as a desktop's; 0: nothing is above the fold.
    noindex: whether to extract pages that ask robots not to index them.
    patterns: source paths with names in braces, `dist/local/{brand}-{service}.html`.
    selectors: dimension -> CSS selector; the text of the first match is the value.
    constants: dimension -> value, for every page.
    chrome: CSS selectors of what many pages of the site have in common (`html/chrome.py`); left out at a page's ends,
    where it is a list of links or says what `chrome_texts` has.
    chrome_texts: digests of the texts that many pages have there (`surroundings.digest_of`).
    folder: the source folder as source paths name it, from which on a path is an address on the site.
    domain: of the site; canonical addresses on it are obeyed.
    """

    main: str = ""
    ignore: tuple[str, ...] = ()
    ignore_head: tuple[str, ...] = ()
    fold: int | FoldName = DEFAULT_FOLD
    noindex: bool = False
    patterns: tuple[str, ...] = ()
    selectors: dict[str, str] = {}
    constants: dict[str, str] = {}
    chrome: tuple[str, ...] = ()
    chrome_texts: frozenset[str] = frozenset()
    folder: str = ""
    domain: str = ""

    def named_selectors(self) -> list[tuple[str, str]]:
        """Return the CSS selectors of the rules, each with the name of its setting: `main`, `selectors.brand`."""
        main = [("main", self.main)] if self.main else []
        ignore = [("ignore", selector) for selector in self.ignore]
        return main + ignore + [(f"selectors.{name}", selector) for name, selector in self.selectors.items()]

    def named_matchers(self) -> list[tuple[str, str]]:
        """Return what should match something on a page, each with the name of its setting."""
        return self.named_selectors() + [("ignore_head", pattern) for pattern in self.ignore_head]


def renamed(path: str, folder: str, other: str) -> str:
    """Return a path below a folder as it would be below another one; any other path as it is. `.` is the project."""
    below = path
    if folder not in ("", "."):
        if not path.startswith(f"{folder}/"):
            return path
        below = path.removeprefix(f"{folder}/")
    return below if other in ("", ".") else f"{other}/{below}"


class RulesError(ValueError):
    """A rule that cannot be applied to any page. Its text names the setting and its value."""


#: Reasons that are counted apart. The address follows, as the page has it.
REDIRECTS_TO = "only redirects to "
#: The name of the generator comes before.
MADE = "makes it: an index, a search or an error page"


class Skipped(Struct, frozen=True):
    """A file that is not a page to publish, and the reason, for a person."""

    path: str
    reason: str


def check_rules(rules: Rules) -> None:
    """Raise RulesError for the first invalid rule."""
    from turbohtml import parse

    if isinstance(rules.fold, int) and rules.fold < 0:
        raise RulesError(f"fold is {rules.fold}, and must be a height in pixels: 0 or more")
    for pattern in rules.patterns:
        compile_pattern(pattern)
    chrome = [("chrome", selector) for selector in rules.chrome]
    for setting, selector in rules.named_selectors() + chrome:
        try:
            parse(b"").select(selector)
        except ValueError as error:
            # It begins with the selector once more.
            reason = str(error).rpartition(": ")[2]
            raise RulesError(f"{setting}: {selector!r} is not a CSS selector: {reason}") from None


class _Segment(NamedTuple):
    """One folder or file name of a pattern: literals, with a name between each two."""

    literals: tuple[str, ...]

    def values_in(self, text: str) -> list[str] | None:
        """Return what the names match, each as little as possible; None where the text does not match."""
        if len(self.literals) == 1:
            return [] if text == self.literals[0] else None
        first, *between, last = self.literals
        start, end = len(first), len(text) - len(last)
        if not text.startswith(first) or not text.endswith(last):
            return None
        values = []
        for literal in between:
            found = text.find(literal, start + 1, end)
            if found < 0:
                return None
            values.append(text[start:found])
            start = found + len(literal)
        return [*values, text[start:end]] if start < end else None


class PathPattern(NamedTuple):
    """A compiled pattern over source paths. Matching takes linear time: the first match of each literal will do."""

    segments: tuple[_Segment, ...]
    names: tuple[str, ...]

    def match(self, path: str) -> dict[str, str] | None:
        """Return the names and their values; None where the whole path does not match."""
        parts = path.split("/")
        if len(parts) != len(self.segments):
            return None
        values: list[str] = []
        for segment, part in zip(self.segments, parts, strict=True):
            found = segment.values_in(part)
            if found is None:
                return None
            values += found
        return dict(zip(self.names, values, strict=True))


@lru_cache(maxsize=64)
def compile_pattern(pattern: str) -> PathPattern:
    """Compile `shop/{brand}-{service}.html`.

    A name matches one or more characters within a path segment, as few as possible: the brand in
    `rolex-watch-repair.html` is `rolex`. All other characters match themselves.
    """
    *parts, end = _NAME.split(pattern)
    literals, names = [*parts[::2], end], tuple(parts[1::2])
    if any("{" in literal or "}" in literal for literal in literals):
        raise RulesError(f"the pattern {pattern!r} has an unmatched brace")
    if not all(names):
        raise RulesError(f"the pattern {pattern!r} has empty braces: put a name into them")
    if len(set(names)) < len(names):
        raise RulesError(f"the pattern {pattern!r} has the same name twice")
    if not names:
        raise RulesError(f"the pattern {pattern!r} has no name in braces, so it sets nothing")
    segments: list[list[str]] = [[]]
    for literal in literals:
        beginning, *more = literal.split("/")
        segments[-1].append(beginning)
        segments += [[each] for each in more]
    return PathPattern(tuple(_Segment(tuple(segment)) for segment in segments), names)

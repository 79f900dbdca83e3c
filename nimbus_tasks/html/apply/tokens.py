"""Where texts stand between the tags of a page, found like the WHATWG's tokenizer does.

The tree does not tell where its texts are written, so they are located here.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from nimbus_tasks.html.extract.parse import parse_text

if TYPE_CHECKING:
    from collections.abc import Iterator

PLAIN = "plaintext"
#: Elements whose content is text up to their own end tag.
_RAW = frozenset(
    {"iframe", "noembed", "noframes", "noscript", "script", "style", "textarea", "title", "xmp", PLAIN},
)
_RAW_ENDS = {tag: re.compile(rf"</{tag}(?=[\t\n\f />])", re.IGNORECASE) for tag in _RAW - {"script", PLAIN}}

# `</` begins an end tag before a letter, is text at the end of the page, and else begins a comment (`</>`: nothing).
_MARKUP = re.compile(r"<(?:[!?a-zA-Z]|/(?:[a-zA-Z]|(?=[^a-zA-Z])))")
# No group has a possessive quantifier: before 3.11.5, `re` does not return to where a failed repetition of it began
# (https://github.com/python/cpython/issues/106052), and Debian 12 has 3.11.2. Here nothing can match again differently.
_TAG = re.compile(
    r"""
    <(/?+) ([a-zA-Z][^\t\n\f />]*+)
    (?: [\t\n\f /]*+
        [^\t\n\f />] [^\t\n\f />=]*+
        (?: [\t\n\f ]*+ = [\t\n\f ]*+ (?: "[^"]*+" | '[^']*+' | (?=>) | [^\t\n\f >"'] [^\t\n\f >]*+ )
          | (?! [\t\n\f ]*+ = )
        )
    )*
    [\t\n\f /]*+ >
    """,
    re.VERBOSE,
)
_COMMENT_END = re.compile(r"(?<=<!--)-?>|--!?>")
_CDATA = "<![CDATA["
_SCRIPT = re.compile(r"<!--|-->|<(/?)script(?=[\t\n\f />])", re.IGNORECASE)


class TextToken(NamedTuple):
    """A text between two pieces of markup. `tag`: the raw element it is in, if any."""

    start: int
    end: int
    tag: str


def find_texts(page: str, foreign: Foreign) -> Iterator[TextToken]:
    """Yield the texts of a page in order, without what an unclosed tag swallows."""
    done = 0
    while markup := _MARKUP.search(page, done):
        start = markup.start()
        if done < start:
            yield TextToken(done, start, "")
        tag = _TAG.match(page, start)
        if tag is None:
            if markup[0][-1].isalpha():
                return
            done = _comment_end(page, start, foreign)
            continue
        done = tag.end()
        if (name := tag[2].lower()) in _RAW and not tag[1] and start not in foreign.tags:
            end = _raw_end(page, done, name)
            if done < end:
                yield TextToken(done, end, name)
            done = end
    if done < len(page):
        yield TextToken(done, len(page), "")


def _comment_end(page: str, start: int, foreign: Foreign) -> int:
    """Return where a comment, a declaration or the like ends."""
    if page.startswith("<!--", start):
        found = _COMMENT_END.search(page, start + 4)
        return found.end() if found else len(page)
    end, length = page.find(">", start), 1
    if page.startswith(_CDATA, start) and foreign.contains(start):
        end, length = page.find("]]>", start), 3
    return len(page) if end < 0 else end + length


def _raw_end(page: str, start: int, tag: str) -> int:
    if tag == PLAIN:
        return len(page)
    if tag == "script":
        return _script_end(page, start)
    end = _RAW_ENDS[tag].search(page, start)
    return end.start() if end else len(page)


def _script_end(page: str, start: int) -> int:
    """Return where a script ends. After `<!-- <script>`, the next `</script>` ends only the inner script."""
    in_comment = in_script = False
    while found := _SCRIPT.search(page, start):
        start = found.end()
        if found[0] == "<!--":
            in_comment = True
            start -= 2  # `<!-->` is a complete comment
        elif found[0] == "-->":
            in_comment = in_script = False
        elif found[1] and not in_script:
            return found.start()
        else:
            in_script = in_comment and not found[1]
    return len(page)


_MAYBE_FOREIGN = re.compile(r"<(?:svg|math)", re.IGNORECASE)


class Foreign(Struct, frozen=True):
    """Where SVG and MathML are: their start tags, and the ranges of their outermost elements, ascending."""

    tags: frozenset[int] = frozenset()
    starts: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()

    def contains(self, place: int) -> bool:
        found = bisect_right(self.starts, place) - 1
        return found >= 0 and place < self.ends[found]


def find_foreign(text: str) -> Foreign:
    """Locate SVG and MathML, in which tags and `<![CDATA[` mean something else. Pages without any are not parsed."""
    if not _MAYBE_FOREIGN.search(text):
        return Foreign()
    tags = set()
    starts, ends = [], [0]
    for element in parse_text(text).select("svg, math, svg *, math *"):
        if element.namespace.value == "html" or (place := element.source_location) is None:
            continue
        start = place.start_tag.start_offset
        tags.add(start)
        if element.tag in ("svg", "math") and start >= ends[-1]:
            starts.append(start)
            ends.append(place.end_tag.start_offset if place.end_tag else len(text))
    return Foreign(frozenset(tags), tuple(starts), tuple(ends[1:]))

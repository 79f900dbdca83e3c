"""Where texts stand between the tags of a page, as the WHATWG's tokenizer finds them.

A tree says what a page means, not where its texts were written: that is what this is for.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nimbus_tasks.html.apply.foreign_elements import Foreign

PLAIN = "plaintext"
#: Elements whose content is text that only their own end tag ends.
_RAW = frozenset(
    {"iframe", "noembed", "noframes", "noscript", "script", "style", "textarea", "title", "xmp", PLAIN},
)
_RAW_ENDS = {tag: re.compile(rf"</{tag}(?=[\t\n\f />])", re.IGNORECASE) for tag in _RAW - {"script", PLAIN}}

# `</` at the end of the page is text; before anything but a letter it begins a comment (`</>` is nothing at all).
_MARKUP = re.compile(r"<(?:[!?a-zA-Z]|/(?:[a-zA-Z]|(?=[^a-zA-Z])))")
_TAG = re.compile(
    r"""
    <(/?+) ([a-zA-Z][^\t\n\f />]*+)
    (?: [\t\n\f /]*+
        [^\t\n\f />] [^\t\n\f />=]*+
        (?: [\t\n\f ]*+ = [\t\n\f ]*+ (?: "[^"]*+" | '[^']*+' | (?=>) | [^\t\n\f >"'] [^\t\n\f >]*+ )
          | (?! [\t\n\f ]*+ = )
        )
    )*+
    [\t\n\f /]*+ >
    """,
    re.VERBOSE,
)
_COMMENT_END = re.compile(r"(?<=<!--)-?>|--!?>")
_CDATA = "<![CDATA["
_SCRIPT = re.compile(r"<!--|-->|<(/?)script(?=[\t\n\f />])", re.IGNORECASE)


class Text(NamedTuple):
    """A text between two pieces of markup; `tag` is that of the raw element it stands in."""

    start: int
    end: int
    tag: str


def find_texts(page: str, foreign: Foreign) -> Iterator[Text]:
    """Yield the texts of a page in their order. What a tag without its end swallows is in none."""
    done = 0
    while markup := _MARKUP.search(page, done):
        start = markup.start()
        if done < start:
            yield Text(done, start, "")
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
                yield Text(done, end, name)
            done = end
    if done < len(page):
        yield Text(done, len(page), "")


def _comment_end(page: str, start: int, foreign: Foreign) -> int:
    """Return where a comment, a declaration or the like ends."""
    if page.startswith("<!--", start):
        found = _COMMENT_END.search(page, start + 4)
        return found.end() if found else len(page)
    end, length = page.find(">", start), 1
    if page.startswith(_CDATA, start) and foreign.holds(start):
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
    """Return where a script ends: in `<!-- <script>` a `</script>` ends only what this began."""
    in_comment = in_script = False
    while found := _SCRIPT.search(page, start):
        start = found.end()
        if found[0] == "<!--":
            in_comment = True
            start -= 2  # `<!-->` is all of a comment
        elif found[0] == "-->":
            in_comment = in_script = False
        elif found[1] and not in_script:
            return found.start()
        else:
            in_script = in_comment and not found[1]
    return len(page)

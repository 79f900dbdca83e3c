"""The changes of a page as text."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from nimbus_tasks.html.apply.markup import UnsafeChangeError
from nimbus_tasks.html.apply.ranges import changed_ranges
from nimbus_tasks.html.apply.source import codec_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nimbus_tasks.html.apply.ranges import Range

#: Equal lines before and after each change, as `diff -u` shows them.
CONTEXT = 3


def diff(path: str, before: bytes, after: bytes) -> str:
    """Return the changes of a page as `diff -u` prints them."""
    codec = "latin-1"
    with contextlib.suppress(UnsafeChangeError):
        codec = codec_of(before)
    old, new = (_lines(html.decode(codec, "backslashreplace")) for html in (before, after))
    found = [line for hunk in _hunks(changed_ranges(old, new)) for line in _lines_of(hunk, old, new)]
    head = [f"--- a/{path}\n", f"+++ b/{path}\n"] if found else []
    lines = (line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in found)
    return "".join([*head, *lines])


def _lines(html: str) -> list[str]:
    *lines, last = html.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    return [f"{line}\n" for line in lines] + ([last] if last else [])


def _hunks(changes: list[Range]) -> Iterator[list[Range]]:
    """Group the changes that share equal lines around them."""
    hunk: list[Range] = []
    for change in changes:
        if hunk and change.first - hunk[-1].last > 2 * CONTEXT:
            yield hunk
            hunk = []
        hunk.append(change)
    if hunk:
        yield hunk


def _lines_of(hunk: list[Range], old: list[str], new: list[str]) -> Iterator[str]:
    before = min(CONTEXT, hunk[0].first)
    first, begin = hunk[0].first - before, hunk[0].begin - before
    after = min(CONTEXT, len(old) - hunk[-1].last)
    last, end = hunk[-1].last + after, hunk[-1].end + after
    yield f"@@ -{_place(first, last)} +{_place(begin, end)} @@\n"
    for change in hunk:
        yield from (f" {line}" for line in old[first : change.first])
        yield from (f"-{line}" for line in old[change.first : change.last])
        yield from (f"+{line}" for line in new[change.begin : change.end])
        first = change.last
    yield from (f" {line}" for line in old[first:last])


def _place(first: int, last: int) -> str:
    """Return a range of lines as a hunk's first line has it: from 1, or the line before an empty range."""
    count = last - first
    start = first + 1 if count else first
    return f"{start}" if count == 1 else f"{start},{count}"

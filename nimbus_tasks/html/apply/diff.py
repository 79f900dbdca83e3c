"""The changes of a page as text."""

from __future__ import annotations

import contextlib
from difflib import unified_diff

from nimbus_tasks.html.apply.markup import UnsafeChangeError
from nimbus_tasks.html.apply.source import codec_of


def diff(path: str, before: bytes, after: bytes) -> str:
    """Return the changes of a page as `diff -u` prints them."""
    codec = "latin-1"
    with contextlib.suppress(UnsafeChangeError):
        codec = codec_of(before)
    old, new = (_lines(html.decode(codec, "backslashreplace")) for html in (before, after))
    found = unified_diff(old, new, f"a/{path}", f"b/{path}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in found)


def _lines(html: str) -> list[str]:
    *lines, last = html.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    return [f"{line}\n" for line in lines] + ([last] if last else [])

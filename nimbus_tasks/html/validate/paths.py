"""What a source path may look like: it is part of the page's id, and names the same file on every machine."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nimbus_tasks.model.verdict import quote

if TYPE_CHECKING:
    from collections.abc import Callable

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ABSOLUTE = re.compile(r"/|[A-Za-z]:")  # of this system, and of one with drives

#: In this order: what a path has wrong, and what is said about it.
_FAULTS: tuple[tuple[Callable[[str], object], str], ...] = (
    (_CONTROL.search, "has a control character in it: rename the page"),
    (lambda path: "\\" in path, "has a backslash in it: separate folders with /"),
    (_ABSOLUTE.match, "is absolute: write it from the project root, such as dist/about.html"),
    (
        lambda path: ".." in path.split("/"),
        "climbs with ..: write it from the project root, without leaving it",
    ),
    (lambda path: "." in path.split("/"), "has a . in it that names no folder: leave that out"),
    (lambda path: "" in path.split("/"), "has a / too many: between two names there is one"),
)


def fault_of_path(path: str) -> str:
    """Return what is wrong with a source path, as a sentence; nothing when it is fine."""
    if not path:
        return "path is empty: write the page's path from the project root, such as dist/about.html"
    return next((f"path {quote(path)} {fault}" for found, fault in _FAULTS if found(path)), "")

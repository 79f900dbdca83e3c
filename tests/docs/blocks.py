"""The blocks of code in docs/*.md, in order, with the comment before each. CONTRIBUTING.md explains the comments."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parents[2] / "docs"
#: A block that includes a file of the repository.
INCLUDED = "--8<--"


class Block(NamedTuple):
    page: str
    line: int
    language: str
    title: str
    text: str
    not_run: str
    status: int

    @property
    def where(self) -> str:
        return f"docs/{self.page}:{self.line}"

    @property
    def commands(self) -> list[Command]:
        """The commands of a `console` block, with the lines they print."""
        found: list[Command] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append(Command(line[2:], []))
            else:
                found[-1].printed.append(line)
        return found


class Command(NamedTuple):
    line: str
    printed: list[str]


def pages() -> list[str]:
    return sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


def blocks_of(page: str) -> list[Block]:
    return list(_blocks(page))


def _blocks(page: str) -> Iterator[Block]:
    said = ""
    for token in MarkdownIt("commonmark").parse((DOCS / page).read_text(encoding="utf-8")):
        if token.type == "html_block":
            said = token.content
        elif token.type == "fence":
            language, _, more = token.info.partition(" ")
            title = re.search(r'title="([^"]*)"', more)
            not_run = re.search(r"<!-- not run: (.+?) -->", said)
            status = re.search(r"<!-- status: (\d) -->", said)
            yield Block(
                page=page,
                line=(token.map or [0])[0] + 1,
                language=language,
                title=title[1] if title else "",
                text=token.content,
                not_run=not_run[1] if not_run else "",
                status=int(status[1]) if status else 0,
            )
            said = ""
        elif not token.type.endswith("_close"):
            said = ""

"""The pages of docs/, with what is made from the code in the places that name it, and the pages that are made whole.

In a page `<!-- made: settings -->`, alone on a line, stands for what is made under that name (`MADE`), and a block of
code in the language `dot`, with a title, for its drawing.
"""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import yaml

from docsite import architecture, commands, documents, messages, settings, states
from docsite.building import CONFIGURATION, PAGES, ROOT, named_pages, write_configuration
from docsite.drawings import draw
from nimbus_tasks.cli.schemas import write_schemas

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SOURCES = ROOT / "docs"
SCHEMAS = "schemas"
#: What a page can name.
MADE: dict[str, Callable[[], str]] = {
    "commands": commands.index,
    "settings": settings.tables,
    "environment": settings.environment,
    "documents": documents.sections,
    "messages": messages.sections,
    "issues": messages.issues,
    "warnings": messages.warnings,
    "refusals": messages.refusals,
    "layers": architecture.layers,
    "rules": architecture.rules,
    "page moves": states.page_moves,
    "batch moves": states.batch_moves,
    "page states": lambda: _as_block("How a page moves from state to state", states.page_drawing()),
    "batch states": lambda: _as_block("How a batch moves from state to state", states.batch_drawing()),
}

_NAMED = re.compile(r"^<!-- made: (?P<name>[a-z ]+) -->$", re.MULTILINE)
_DRAWN = re.compile(r'^```dot title="(?P<caption>[^"\n]*)"\n(?P<dot>.*?)^```$', re.MULTILINE | re.DOTALL)


class PageError(Exception):
    """A page names something that is not there."""


def assemble(folder: Path) -> None:
    """Write all pages, their schemas and the builder's configuration below `folder`.

    Raises:
        PageError: a page names what nothing makes, or the navigation and the pages differ.
    """
    shutil.rmtree(folder / PAGES, ignore_errors=True)
    shutil.copytree(SOURCES, folder / PAGES)
    made = []
    for command, text in commands.pages():
        _write(folder / PAGES / command.path, text)
        made.append((f"doit {command.name}", command.path))
    for page in sorted((folder / PAGES).rglob("*.md")):
        name = page.relative_to(folder / PAGES).as_posix()
        page.write_text(filled(page.read_text(encoding="utf-8"), name), encoding="utf-8")
    write_schemas(folder / PAGES / SCHEMAS)
    write_configuration(folder, {commands.FOLDER: made})
    _compare_with_navigation(folder)


def filled(text: str, name: str) -> str:
    """Return a page with all that it names put in.

    Raises:
        PageError: it names what nothing makes.
    """

    def make(found: re.Match[str]) -> str:
        if found["name"] not in MADE:
            raise PageError(f"docs/{name}: nothing makes `{found['name']}`. There is: {', '.join(MADE)}")
        return MADE[found["name"]]()

    text = _NAMED.sub(make, text)
    figures = iter(draw([(found["caption"], found["dot"]) for found in _DRAWN.finditer(text)]))
    return _DRAWN.sub(lambda _: next(figures), text)


def _as_block(caption: str, dot: str) -> str:
    return f'```dot title="{caption}"\n{dot}\n```'


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _compare_with_navigation(folder: Path) -> None:
    navigation = yaml.safe_load((folder / CONFIGURATION).read_text(encoding="utf-8"))["nav"]
    named = set(named_pages(navigation))
    there = {path.relative_to(folder / PAGES).as_posix() for path in (folder / PAGES).rglob("*.md")}
    if lost := sorted(named ^ there):
        raise PageError(f"In the navigation of {CONFIGURATION} or in docs/, but not in both: {', '.join(lost)}")

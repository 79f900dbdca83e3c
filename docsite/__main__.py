"""`python -m docsite [FOLDER]`: build the site in FOLDER/site (.cache/docs/site). Exit status 1 if a link is broken.

It first writes the generated parts of the pages in docs/, so that they are true on GitHub too.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from docsite import commands, schemas, states
from nimbus_tasks.cli.schemas import write_schemas

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
#: mkdocs.yml names this folder too.
FOLDER = ".cache/docs"
#: The site serves it itself, so that no page loads anything from elsewhere. `make docs` installs it.
MERMAID = ROOT / "docsite/node_modules/@mermaid-js/tiny/dist/mermaid.tiny.js"
#: The parts of pages that are made from the code, such as the tables in docs/settings.md.
GENERATED: dict[str, Callable[[], str]] = {
    "commands.md": commands.index,
    "settings.md": schemas.settings,
    "environment.md": schemas.environment,
    "documents.md": schemas.documents,
    "page-states.md": states.pages,
    "batch-states.md": states.batches,
}


_PART = re.compile(r"<!-- generated: (\S+) -->\n.*?<!-- end of \1 -->", re.DOTALL)
#: What only the site has: anchors of headings, schemas, and a page for each command.
_OF_SITE = re.compile(r" \{#[^}]+\}| \[JSON Schema\]\([^)]+\)\.|\[([^]]+)\]\(commands/[^)]+\)")


def with_generated(page: str, *, for_site: bool) -> str:
    """Return a page with its generated parts as the code has them now.

    In docs/, where people read them on GitHub, they do not use what only the site has.
    """

    def part(found: re.Match[str]) -> str:
        text = GENERATED[found[1]]().strip()
        if not for_site:
            text = _OF_SITE.sub(r"\1", text)
        return f"<!-- generated: {found[1]} -->\n\n{text}\n\n<!-- end of {found[1]} -->"

    return _PART.sub(part, page)


def update_docs() -> None:
    """Write the generated parts of the pages in docs/."""
    for path in (ROOT / "docs").rglob("*.md"):
        before = path.read_text(encoding="utf-8")
        if (now := with_generated(before, for_site=False)) != before:
            path.write_text(now, encoding="utf-8")


def write_pages(folder: Path) -> None:
    """Write all pages and the builder's configuration to `folder`."""
    pages = folder / "pages"
    shutil.rmtree(pages, ignore_errors=True)
    shutil.copytree(ROOT / "docs", pages)
    for path in pages.rglob("*.md"):
        path.write_text(with_generated(path.read_text(encoding="utf-8"), for_site=True), encoding="utf-8")
    for command in commands.all_commands():
        path = pages / command.path
        path.parent.mkdir(exist_ok=True)
        path.write_text(command.page(), encoding="utf-8")
    write_schemas(pages / "schemas")
    shutil.copy(MERMAID, pages)
    configuration = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    (folder / "mkdocs.yml").write_text(configuration.replace(FOLDER, str(folder)), encoding="utf-8")


def build(folder: Path) -> bool:
    """Build the site in `folder`. Warnings, such as broken links and anchors, are errors."""
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict", "-f", str(folder / "mkdocs.yml")]
    # Files that pages include are named from the repository's top.
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        # The traceback that ends it says nothing more.
        sys.stderr.write(done.stdout + done.stderr.partition("Traceback")[0])
    return done.returncode == 0


def main(arguments: list[str]) -> int:
    folder = Path(arguments[0] if arguments else FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    update_docs()
    write_pages(folder)
    if not build(folder):
        return 1
    print(f"{folder / 'site'} is ready. To read it: python -m http.server --directory {folder / 'site'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

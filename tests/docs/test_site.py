"""The site is complete: every page is built and in the navigation, and the reference says what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

import docsite.__main__ as site
import nimbus_tasks
from docsite import commands, schemas, states
from nimbus_tasks.cli.schemas import DOCUMENTS
from nimbus_tasks.cli.tasks import task_nimbus
from nimbus_tasks.model.states import BATCH_MOVES, PAGE_MOVES
from nimbus_tasks.project.settings import Settings

PACKAGE = Path(nimbus_tasks.__file__).parent
#: What a browser loads by itself, from another server.
LOADED_FROM_ELSEWHERE = re.compile(
    r"""<(?:script|img|iframe|source)[^>]+src=["']?(?:https?:)?//|<link[^>]+rel=["']?(?:stylesheet|icon|preload|preconnect)"""
    r"""[^>]+href=["']?(?:https?:)?//|(?:url\(|@import)\s*['"]?(?:https?:)?//"""
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All pages as Markdown, with the generated ones."""
    folder = tmp_path_factory.mktemp("docs")
    site.write_pages(folder)
    return folder


def test_every_page_is_built_with_valid_links_and_loads_nothing_from_elsewhere(folder: Path) -> None:
    assert site.build(folder)
    start = (folder / "site/index.html").read_text(encoding="utf-8")
    for page in (folder / "pages").rglob("*.md"):
        built = page.relative_to(folder / "pages").with_suffix(".html").as_posix()
        assert f'href="./{built}"' in start or built == "index.html", f"{built} is not in the navigation of mkdocs.yml"
    for file in [*(folder / "site").rglob("*.html"), *(folder / "site").rglob("*.css")]:
        assert not LOADED_FROM_ELSEWHERE.search(file.read_text(encoding="utf-8")), file


@pytest.mark.parametrize(
    "page", ["[broken](gone.md)", "[broken](#gone)", "[broken](index.md#gone)", '--8<-- "gone.md"'], ids=str
)
def test_a_page_with_a_broken_link_or_include_fails_the_build(page: str, tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages/index.md").write_text(f"# Start\n\n{page}\n", encoding="utf-8")
    configuration = (site.ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("nav:")[0]
    (tmp_path / "mkdocs.yml").write_text(configuration, encoding="utf-8")
    assert not site.build(tmp_path)


def test_the_pages_in_docs_have_what_the_code_says() -> None:
    for path in (site.ROOT / "docs").rglob("*.md"):
        page = path.read_text(encoding="utf-8")
        assert page == site.with_generated(page, for_site=False), f"{path} is out of date. Run: make docs"


def test_every_command_has_a_page_with_its_options_and_documents(folder: Path) -> None:
    found = {command.name: command for command in commands.all_commands()}
    assert found.keys() == {task.name for task in task_nimbus()} | set(commands.STAGES)
    for command in found.values():
        page = (folder / "pages" / command.path).read_text(encoding="utf-8")
        assert all(f"`--{option['long']}" in page for option in command.options)
        assert all(f"#{document.name})" in page for document in DOCUMENTS if command.name in document.tasks)
    for document in DOCUMENTS:
        assert (folder / "pages/schemas" / f"{document.name}.json").is_file()


def test_the_examples_of_a_command_use_existing_options() -> None:
    options = {command.name: {option["long"] for option in command.options} for command in commands.all_commands()}
    for command in commands.all_commands():
        for name, rest in re.findall(r"^  doit ([\w:]+)(.*)$", command.text, re.MULTILINE):
            if name in options:  # not `doit clean extract`
                typed = rest.partition("   ")[0]
                assert set(re.findall(r"--([\w-]+)", typed)) <= options[name], f"{command.name}: doit {name}{rest}"


def test_every_setting_has_a_description() -> None:
    page = schemas.settings()
    for table in msgspec.structs.fields(Settings):
        section = page.partition(f"## [{table.name}] ")[2].partition("\n## ")[0]
        for key in msgspec.structs.fields(table.type):
            row = next(line for line in section.splitlines() if line.startswith(f"| `{key.name}` |"))
            assert row.split("|")[-2].strip(), f"[{table.name}] {key.name} has no description"


def test_the_diagrams_have_every_move_of_the_state_tables() -> None:
    pages, batches = states.pages(), states.batches()
    for move in PAGE_MOVES:
        assert re.search(rf"^    (any|{move.now}) --> {move.then}: {move.trigger}$", pages, re.MULTILINE)
    for now, moves in BATCH_MOVES.items():
        assert all(f"    {now} --> {then}: {why}\n" in batches for then, why in moves.items())


def test_the_architecture_page_lists_every_room() -> None:
    page = (site.ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rooms == set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md", "CONTRIBUTING.md"])
def test_the_paths_that_a_page_names_exist(page: str) -> None:
    """`html/extract`, `publishing/ledger.py`: below the package, or from the top of the repository."""
    text = (site.ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+/[a-z_/.]*[a-z_]|[a-z_]+/)`", text))
    assert len(named) > 3
    missing = [name for name in named if not any((top / name).exists() for top in (site.ROOT, PACKAGE))]
    assert missing == []


def test_every_message_in_troubleshooting_exists() -> None:
    """The longest constant piece of each message must be in the code."""
    code = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    rows = (site.ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8").splitlines()
    shown = [found[1] for row in rows if (found := re.match(r"\| `([^`]+)`", row))]
    assert len(shown) > 10
    for message in shown:
        pieces = re.split(r"\.\.\.|\d+|\(noindex\)|doit upload|\.nimbus\S+|\bmissing\b", message)
        piece = max(pieces, key=len).strip(" :-,(")
        assert piece in code, f"{message}: no code says {piece!r}"

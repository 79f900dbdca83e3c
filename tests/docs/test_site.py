"""The site is whole: every page, every link, nothing from elsewhere; what is made from the code says what that says."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

import nimbus_tasks
from docsite import architecture, assembly, building, commands, drawings, links, messages, settings, states
from nimbus_tasks.cli.schemas import DOCUMENTS
from nimbus_tasks.cli.tasks import task_nimbus
from nimbus_tasks.model.states import BATCH_MOVES, PAGE_MOVES
from nimbus_tasks.project.settings import Settings


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every page as Markdown, with what is made from the code."""
    made = tmp_path_factory.mktemp("docs")
    assembly.assemble(made)
    return made


def test_every_page_is_built_with_links_that_lead_somewhere_and_nothing_from_elsewhere(folder: Path) -> None:
    assert building.build(folder)
    site = folder / building.SITE
    assert links.problems_of(site) == []
    start = (site / "index.html").read_text(encoding="utf-8")
    for path in (folder / building.PAGES).rglob("*.md"):
        built = path.relative_to(folder / building.PAGES).with_suffix(".html").as_posix()
        assert (site / built).is_file()
        assert f'href="./{built}"' in start or built == "index.html", f"{built} is not in the navigation"


def test_a_page_that_the_navigation_does_not_name_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/new.md").write_text("# New\n", encoding="utf-8")
    monkeypatch.setattr(assembly, "SOURCES", tmp_path / "docs")
    with pytest.raises(assembly.PageError, match=r"but not in both: .*new\.md"):
        assembly.assemble(tmp_path / "made")


def test_every_command_has_a_page_with_its_help_its_options_and_its_documents(folder: Path) -> None:
    shown = {command.name: text for command, text in commands.pages()}
    assert {task.name for task in task_nimbus()} | {"extract", "validate", "upload", "summarize", "watch"} == set(shown)
    for command in commands.all_commands():
        text = (folder / building.PAGES / command.path).read_text(encoding="utf-8")
        assert text == shown[command.name]
        assert all(f"`--{option['long']}" in text for option in command.options)
    for document in DOCUMENTS:
        assert (folder / building.PAGES / "schemas" / f"{document.name}.json").is_file()
        assert all(f"schemas/{document.name}.json" in shown[task] for task in document.tasks)


def test_every_example_of_a_command_has_options_that_there_are() -> None:
    options = {command.name: {option["long"] for option in command.options} for command in commands.all_commands()}
    for command in commands.all_commands():
        for name, rest in re.findall(r"^  doit ([\w:]+)(.*)$", command.text, re.MULTILINE):
            if name in options:  # not `doit clean extract`
                typed = rest.partition("   ")[0]
                assert set(re.findall(r"--([\w-]+)", typed)) <= options[name], f"{command.name}: doit {name}{rest}"


def test_every_setting_is_told_with_what_it_means() -> None:
    told = settings.tables()
    for table in msgspec.structs.fields(Settings):
        section = told.partition(f"## [{table.name}] ")[2].partition("\n## ")[0]
        for key in msgspec.structs.fields(table.type):
            row = next(line for line in section.splitlines() if line.startswith(f"| `{key.name}` |"))
            assert row.split("|")[-2].strip(), f"[{table.name}] {key.name} says nothing"


def test_the_drawings_have_every_move_of_the_tables_and_no_other() -> None:
    every = {move.now for move in PAGE_MOVES}
    drawn = {
        (state, then, why)
        for now, then, why in edges(states.page_drawing())
        for state in (every if now == "any" else [now])
    }
    assert drawn == {(move.now, move.then, move.trigger) for move in PAGE_MOVES}
    assert edges(states.batch_drawing()) == {
        (now, then, why) for now, moves in BATCH_MOVES.items() for then, why in moves.items()
    }


def edges(dot: str) -> set[tuple[str, str, str]]:
    """Return the labelled edges of a drawing."""
    found = re.findall(r'"(\w+)" -> "(\w+)" \[label="(.+)"\]', dot)
    return {(now, then, " ".join(why.replace("\\n", " ").split())) for now, then, why in found}


def test_a_drawing_is_inline_and_takes_the_colour_of_the_page() -> None:
    [figure] = drawings.draw([("A & B", 'digraph { a -> b [label="take"] }')])
    assert figure.startswith('<figure class="drawing">\n<svg role="img" aria-label="A &amp; B"')
    assert "currentColor" in figure
    assert not re.search(r'"black"|\bid=|<!--|\n\n|xlink:href', figure)


def test_a_text_that_cannot_be_drawn_is_an_error() -> None:
    with pytest.raises(drawings.DrawingError, match="A drawing cannot be made"):
        drawings.draw([("broken", "digraph { ->")])


def test_every_layer_is_told_with_what_its_rooms_say_of_themselves() -> None:
    told = architecture.layers()
    [contract] = [each for each in architecture.contracts() if each["type"] == "layers"]
    for room in " | ".join(contract["layers"]).split(" | "):
        assert f"| `{room.removeprefix('nimbus_tasks.')}` | {architecture.summary(room)[:20]}" in told


def test_the_messages_are_those_of_the_code() -> None:
    found = {message.text: message for room in messages.all_messages().values() for message in room}
    assert found["There is no batch yet."].next_step == "Run: doit upload"
    assert found[".nimbus/project.toml is not valid TOML: …."].exit_status == 2
    assert "head.title is …" in messages.issues()
    assert {row.split(" | ")[-1] for row in messages.issues().splitlines()[2:]} == {"error |", "warning |"}
    assert "Pages whose source is gone stay as they are: …." in messages.warnings()
    assert "its encoding, …, cannot be written back" in messages.refusals()


def test_each_message_that_troubleshooting_explains_is_one_that_the_program_has() -> None:
    """What is put into a message differs: the longest piece of it that never does must be in the code."""
    code = "".join(path.read_text(encoding="utf-8") for path in Path(nimbus_tasks.__file__).parent.rglob("*.py"))
    rows = (building.ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8").splitlines()
    shown = [found[1] for row in rows if (found := re.match(r"\| `([^`]+)`", row))]
    assert len(shown) > 10
    for message in shown:
        pieces = re.split(r"\.\.\.|\d+|\(noindex\)|doit upload|\.nimbus\S+|\bmissing\b", message)
        piece = max(pieces, key=len).strip(" :-,(")
        assert piece in code, f"{message}: nothing says {piece!r}"


def test_a_page_that_names_what_nothing_makes_is_an_error() -> None:
    with pytest.raises(assembly.PageError, match=r"docs/a\.md: nothing makes `magic`"):
        assembly.filled("# A\n\n<!-- made: magic -->\n", "a.md")


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        ('<a href="gone.html">', "no such page or file: gone.html"),
        ('<a href="#gone">', "no such place in the page: #gone"),
        ('<img src="gone.png">', "no such page or file: gone.png"),
        ('<script src="https://cdn.example/x.js"></script>', "loads https://cdn.example/x.js"),
        ('<link rel="stylesheet" href="//fonts.example/a.css">', "loads //fonts.example/a.css"),
        ('<pre class="mermaid">', "a drawing that is made in the browser"),
    ],
)
def test_a_broken_link_and_whatever_comes_from_elsewhere_is_found(page: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(page, encoding="utf-8")
    assert links.problems_of(tmp_path) == [f"index.html: {problem}"]


def test_a_style_that_loads_from_elsewhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("a{background:url(https://cdn.example/x.png)}", encoding="utf-8")
    assert len(links.problems_of(tmp_path)) == 1


def test_links_to_other_sites_and_to_places_that_there_are_are_fine(tmp_path: Path) -> None:
    text = '<h1 id="top"><a href="https://example.com/">a</a><a href="index.html#top">b</a><a href="./">c</a>'
    (tmp_path / "index.html").write_text(text, encoding="utf-8")
    assert links.problems_of(tmp_path) == []

"""Sites of real generators: a new build stamp and another heading in one build send the page with the heading alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from example import EXAMPLES, Example

if TYPE_CHECKING:
    from kit import Run

NAMES = ("index", "watches", "clocks", "straps", "post", "about")


class Generator(NamedTuple):
    """An example. source, built: the files of a page, with `{}` for its name."""

    name: str
    source: str
    built: str


FLAT = "_build/html/{}.html"
GENERATORS = (
    Generator("mkdocs", "docs/{}.md", "site/{}/index.html"),
    Generator("sphinx", "docs/{}.rst", FLAT),
    Generator("eleventy", "pages/{}.md", "_site/{}/index.html"),
    Generator("vitepress", "docs/{}.md", "docs/.vitepress/dist/{}.html"),
)
#: It takes half a minute for each build.
MARKS = {"vitepress": [pytest.mark.soak]}


@pytest.fixture(params=[pytest.param(each, id=each.name, marks=MARKS.get(each.name, ())) for each in GENERATORS])
def generator(request: pytest.FixtureRequest) -> Generator:
    chosen: Generator = request.param
    needs_node = (EXAMPLES / chosen.name / "package.json").exists()
    if needs_node and not (EXAMPLES / chosen.name / "node_modules").exists():
        pytest.skip(f"examples/{chosen.name} is not installed: make generators")
    return chosen


@pytest.fixture
def example(generator: Generator, tmp_path: Path) -> Example:
    made = Example(generator.name, tmp_path)
    installed = EXAMPLES / generator.name / "node_modules"
    if installed.exists():
        (made / "node_modules").symlink_to(installed)
    return made


def build(example: Example, stamp: str, *options: str) -> Run:
    return example.well(" ".join(["doit upload", *options]), BUILD=stamp, NO_MKDOCS_2_WARNING="1")


def rename(example: Example, generator: Generator) -> None:
    """Give a page another headline, and with it another title."""
    file = example / generator.source.format("clocks")
    text = file.read_text()
    for old, new in (("# Clocks\n", "# Clocks, chimes\n"), ("Clocks\n======\n", "Clocks, chimes\n==============\n")):
        text = text.replace(old, new)
    file.write_text(text.replace("title: Clocks\n", "title: Clocks, chimes\n"))


def test_a_new_stamp_and_another_heading_send_one_page(generator: Generator, example: Example) -> None:
    build(example, "1")
    pages = {generator.built.format(name): name for name in NAMES}
    pages[generator.built.format("index").replace("index/index", "index")] = "index"
    texts = {pages[path]: text for path, text in example.published.items()}
    assert texts.keys() == set(NAMES)
    assert texts["about"].split(".")[0] == "About us Three watchmakers, two benches and one cat"
    assert texts["about"].endswith("two sisters and has never moved.")
    assert texts["watches"].startswith("Watches Mechanical and quartz watches of all makers, old and new. Service")
    assert texts["watches"].count("battery 0 8 service, hand-wound 7 120") == 1

    rename(example, generator)
    again = build(example, "2")
    assert "Found 1 file to upload (1 changed, 5 unchanged)" in again.out
    assert example.published[generator.built.format("clocks")].startswith("Clocks, chimes Wall clocks")


@pytest.mark.soak
def test_without_the_setting_every_page_is_sent_and_the_setting_is_named(
    generator: Generator, example: Example
) -> None:
    settings = Path(example / ".nimbus/project.toml")
    line = 'ignore_head = ["build"]'
    text = settings.read_text()
    settings.write_text(text.replace(line, ""))
    build(example, "1")
    again = build(example, "2")
    assert "Found 6 files to upload (6 changed)" in again.out
    assert f"\n   {line}\n" in again.out
    settings.write_text(text)
    build(example, "3")
    last = build(example, "4").out
    assert "0 maps changed, 6 pages in all" in last
    assert last.endswith("-- upload\n")

"""`make` and `just`: the build comes first, the pipeline last, and what it says about failure reaches the shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from example import Example

if TYPE_CHECKING:
    from pathlib import Path

#: A page of each example beside its index.
OTHER = {"make": "bread", "just": "repairs"}
#: What the shell gets where one page is invalid. make has one status for every recipe that fails, and names its own.
INVALID = {"make": 2, "just": 1}

both = pytest.mark.parametrize("tool", ["make", "just"])


@both
def test_publish_builds_first_and_sends_what_changed(tool: str, tmp_path: Path) -> None:
    example = Example(tool, tmp_path)
    example.well(f"{tool} publish")
    assert example.published.keys() == {"dist/index.html", f"dist/{OTHER[tool]}.html"}

    example.edit("pages/index.html", "<p>", "<p>By the harbour. ")
    preview = example.well(f"{tool} preview")
    assert "(1 changed, 1 unchanged)" in preview.out
    assert "harbour" not in example.published["dist/index.html"]

    (example / f"pages/{OTHER[tool]}.html").unlink()
    example.well(f"{tool} publish")
    assert example.published.keys() == {"dist/index.html"}
    assert "By the harbour." in example.published["dist/index.html"]
    assert "-- upload" in example.well(f"{tool} publish").out


@both
def test_a_new_layout_is_a_new_site(tool: str, tmp_path: Path) -> None:
    example = Example(tool, tmp_path)
    example.well(f"{tool} build")
    example.edit("bottom.html", "4 Harbour Lane", "5 Harbour Lane")
    example.well(f"{tool} build")
    built = list((example / "dist").iterdir())
    assert len(built) == 2
    assert all("5 Harbour Lane" in page.read_text() for page in built)


@both
def test_the_exit_status_travels_through(tool: str, tmp_path: Path) -> None:
    example = Example(tool, tmp_path)
    (example / "pages/new.html").write_text("<main><p>No title</p></main>")
    run = example.run(f"{tool} publish")
    assert run.status == INVALID[tool]
    assert "dist/new.html" in run.said
    if tool == "make":
        assert "Error 1" in run.err
    assert example.published.keys() == {"dist/index.html", f"dist/{OTHER[tool]}.html"}

    # Without a layout there is no site: nothing is published.
    (example / "top.html").unlink()
    assert example.run(f"{tool} publish").status != 0


@both
def test_watch_builds_and_publishes_after_a_save_until_ctrl_c(tool: str, tmp_path: Path) -> None:
    example = Example(tool, tmp_path)
    with example.terminal(f"{tool} watch") as terminal:
        terminal.until("Watching dist")
        terminal.until("sent 2")
        example.edit("pages/index.html", "<p>", "<p>By the harbour. ")
        terminal.until("sent 1")
        assert "Watch ended" in terminal.press_ctrl_c()
    assert "By the harbour." in example.published["dist/index.html"]


@both
def test_a_watch_that_cannot_begin_ends_with_all_that_it_started(tool: str, tmp_path: Path) -> None:
    example = Example(tool, tmp_path)
    example.edit(".nimbus/project.toml", "[source]", "[sauce]")
    # This returns when nobody writes to its output any more.
    run = example.run(f"{tool} watch")
    assert run.status == 2
    assert "Did you mean `source`?" in run.said

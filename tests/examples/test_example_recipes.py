"""`make` and `just`: build, publish, and pass on the exit status."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

import pytest
from deadlines import wait_until
from example import Example

if TYPE_CHECKING:
    from pathlib import Path

#: A page of each example, next to its index.
OTHER = {"make": "bread", "just": "repairs"}
#: The exit status if one page is invalid. make has one status for all failing recipes, and prints the recipe's own.
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
def test_a_changed_layout_rebuilds_every_page(tool: str, tmp_path: Path) -> None:
    example = Example(tool, tmp_path)
    example.well(f"{tool} build")
    example.edit("bottom.html", "4 Harbour Lane", "5 Harbour Lane")
    example.well(f"{tool} build")
    built = list((example / "dist").iterdir())
    assert len(built) == 2
    assert all("5 Harbour Lane" in page.read_text() for page in built)


@both
def test_the_exit_status_is_passed_on(tool: str, tmp_path: Path) -> None:
    example = Example(tool, tmp_path)
    (example / "pages/new.html").write_text("<main><p>No title</p></main>")
    run = example.run(f"{tool} publish")
    assert run.status == INVALID[tool]
    assert "dist/new.html" in run.said
    if tool == "make":
        assert "Error 1" in run.err
    assert example.published.keys() == {"dist/index.html", f"dist/{OTHER[tool]}.html"}

    # Without a layout the build fails, and nothing is published.
    (example / "top.html").unlink()
    assert example.run(f"{tool} publish").status != 0


def is_published(example: Example, *paths: str) -> bool:
    """Return whether these pages are stored; false while the store is being made, or a page has no status yet."""
    with contextlib.suppress(KeyError, sqlite3.OperationalError):
        return example.published.keys() == set(paths)
    return False


@both
def test_watch_builds_and_publishes_after_a_save_until_ctrl_c(tool: str, tmp_path: Path) -> None:
    example = Example(tool, tmp_path)
    with example.terminal(f"{tool} watch") as terminal:
        terminal.until("Watching dist")
        # The first build goes on beside the watch, which may find one page before the other.
        wait_until(lambda: is_published(example, "dist/index.html", f"dist/{OTHER[tool]}.html"))
        example.edit("pages/index.html", "<p>", "<p>By the harbour. ")
        terminal.until("(1 changed)")
        assert "Watch ended" in terminal.press_ctrl_c()
    assert "By the harbour." in example.published["dist/index.html"]


@both
def test_a_watch_that_cannot_start_ends_all_its_processes(tool: str, tmp_path: Path) -> None:
    example = Example(tool, tmp_path)
    example.edit(".nimbus/project.toml", "[source]", "[sauce]")
    # This returns once every process has closed its output. watchfiles has a traceback if it is ended as it starts.
    example.well(f'{{ {tool} watch; echo "status $?"; }} 2>&1 | cat > said')
    said = (example / "said").read_text()
    assert "Did you mean `source`?" in said
    assert "\nstatus 2\n" in said

"""`[tool.doit] loader = "nimbus"`: all our tasks without a dodo.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from example import Example

if TYPE_CHECKING:
    from pathlib import Path

PAGES = {"site/index.html", "site/maps.html"}


def test_no_dodo_is_needed(tmp_path: Path) -> None:
    example = Example("loader", tmp_path)
    run = example.well("doit")
    assert example.published.keys() == PAGES
    # Options in pyproject.toml apply, and are no reason to run if nothing changed.
    assert "concurrency: 10" in run.out
    assert example.well("doit").out.startswith("-- extract\n-- upload\n")
    # The state file is the same as with a dodo.py.
    assert (example / ".nimbus/doit.db").exists()
    assert not list(example.folder.glob(".doit*"))
    assert example.well("doit upload --force --json").json["counts"]["stored"] == 2
    assert "doit upload --dry-run" in example.well("doit help upload").out


def test_the_tasks_are_the_same_as_with_a_one_line_dodo(tmp_path: Path) -> None:
    example = Example("loader", tmp_path)
    listed = example.well("doit list --all").out
    (example / "pyproject.toml").unlink()
    (example / "dodo.py").write_text("from nimbus_tasks import *\n")
    assert example.well("doit list --all").out == listed


def test_the_projects_configuration_overrides_ours(tmp_path: Path) -> None:
    example = Example("loader", tmp_path)
    example.edit(
        "pyproject.toml", 'loader = "nimbus"', 'loader = "nimbus"\ndefault_tasks = ["validate"]\ndep_file = "own.db"'
    )
    assert "2 valid" in example.well("doit").out
    assert (example / "own.db").exists()
    assert example.published == {}


def test_a_dodo_next_to_it_is_refused_because_it_would_be_ignored(tmp_path: Path) -> None:
    example = Example("loader", tmp_path)
    (example / "dodo.py").write_text("def task_own():\n    return {'actions': ['echo own']}\n")
    run = example.run("doit")
    assert run.status == 2
    assert run.said.count("\n") == 1
    assert "so dodo.py would not be read. Remove that line" in run.err

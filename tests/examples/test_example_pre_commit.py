"""pre-commit: a commit with an invalid page is refused, and the page is named. No network."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml
from example import EXAMPLES, Example, environment
from repository import WHO

if TYPE_CHECKING:
    from pathlib import Path

HOOKS = EXAMPLES.parent / ".pre-commit-hooks.yaml"
#: Installing a hook would need a package index.
NOT_INSTALLED = "language: system"


@pytest.fixture
def example(tmp_path: Path) -> Example:
    """The example as a repository without commits. pre-commit's cache is in the test's folder."""
    example = Example("pre-commit", tmp_path)
    example.well("git init --quiet --initial-branch=main")
    return example


def commit(example: Example, message: str) -> tuple[int, str]:
    run = example.run(
        f"git add --all && git commit --quiet --message='{message}'", PRE_COMMIT_HOME=str(example.home / "cache"), **WHO
    )
    return run.status, run.said


def test_an_invalid_page_or_map_blocks_a_commit(example: Example) -> None:
    example.well("pre-commit install")
    assert commit(example, "First")[0] == 0

    (example / "site/new.html").write_text("<!doctype html>\n<p>No title</p>\n")
    (example / ".nimbus/maps/other.json").write_text('{\n  "path": other\n}\n')
    status, said = commit(example, "A page without a title, a map that is no JSON")
    assert status == 1
    assert "add a <title> to site/new.html" in said
    assert "other.json" in said
    assert "line 2, column 11" in said
    assert example.well("git log --format=%s").out == "First\n"

    example.edit("site/new.html", "<!doctype html>", "<!doctype html><title>New</title>")
    (example / ".nimbus/maps/other.json").unlink()
    assert commit(example, "With its title")[0] == 0
    assert example.well("git log --format=%s").out == "With its title\nFirst\n"


def test_the_hook_of_our_repository_runs_the_same_check(example: Example) -> None:
    """It runs in our environment, because installing it would need a package index."""
    ours = example.home / "ours"
    ours.mkdir()
    (ours / HOOKS.name).write_bytes(HOOKS.read_bytes())
    commands = f"cd {ours} && git init --quiet && git add --all && git commit --quiet --message=Hooks"
    example.well(f"{commands} && git tag v0", **WHO)
    (example / ".pre-commit-config.yaml").write_text(
        yaml.safe_dump(
            {"repos": [{"repo": str(ours), "rev": "v0", "hooks": [{"id": "nimbus-validate", "language": "system"}]}]}
        )
    )
    # It does not read dodo.py, whose imports may not be installed in the hook's environment.
    (example / "dodo.py").write_text("import something_else\n")
    (example / "site/new.html").write_text("<!doctype html>\n<p>No title</p>\n")
    example.well("pre-commit install")
    status, said = commit(example, "A page without a title")
    assert status == 1
    assert "add a <title> to site/new.html" in said
    (example / "site/new.html").unlink()
    assert commit(example, "Without the page")[0] == 0


def test_pre_commit_accepts_both_files(tmp_path: Path) -> None:
    for command in ("validate-manifest", str(HOOKS)), ("validate-config", ".pre-commit-config.yaml"):
        done = subprocess.run(
            ["pre-commit", *command],
            cwd=EXAMPLES / "pre-commit",
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, "")

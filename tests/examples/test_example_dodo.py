"""`from nimbus_tasks import *` in a dodo.py with its own tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from example import Example

if TYPE_CHECKING:
    from pathlib import Path

INDEX, GLAZES, COURSES = (f"dist/{name}.html" for name in ("index", "glazes", "courses"))


def test_the_users_build_runs_before_our_stages_and_the_users_feed_after_them(tmp_path: Path) -> None:
    example = Example("dodo", tmp_path)
    example.well("doit")
    assert example.published.keys() == {INDEX, GLAZES, COURSES}
    assert (example / "feed.txt").read_text().count("\n") == 3

    again = example.well("doit")
    for task in ("build", "extract", "upload", "feed"):
        assert f"-- {task}\n" in again.out

    # `upload` includes the build, with two processes too.
    example.edit("pages/glazes.html", "wood ash", "seaweed")
    (example / "pages/courses.html").unlink()
    changed = example.well("doit -n 2 upload")
    assert "1 changed" in changed.out
    assert example.published.keys() == {INDEX, GLAZES}
    assert "seaweed" in example.published[GLAZES]

    assert "\nbuild   " in example.run("doit list").out
    example.well("doit clean --clean-all")
    assert not (example / "feed.txt").exists()


def test_output_of_the_users_tasks_is_not_in_the_document(tmp_path: Path) -> None:
    example = Example("dodo", tmp_path)
    example.edit("dodo.py", '"actions": [build]', '"actions": [build, "echo built; echo loudly >&2"]')
    for command in ("doit upload --json", "doit -n 2 upload --force --json"):
        run = example.well(command)
        assert run.json["counts"]["stored"] == 3
        assert "loudly" in run.err if "-n" not in command else True


def test_the_users_reporter_and_state_file_are_used(tmp_path: Path) -> None:
    example = Example("dodo", tmp_path)
    example.edit(
        "dodo.py",
        '"default_tasks"',
        '"reporter": "executed-only", "backend": "json", "dep_file": "own", "default_tasks"',
    )
    example.well("doit")
    assert example.published.keys() == {INDEX, GLAZES, COURSES}
    again = example.well("doit")
    assert "--" not in again.out
    assert (example / "own").exists()


def test_a_users_task_that_replaces_a_stage_is_reported(tmp_path: Path) -> None:
    example = Example("dodo", tmp_path)
    example.well('python -c "import dodo; dodo.build()"')
    clash = "from nimbus_tasks import *\n\ndef task_upload():\n    return {'actions': ['echo copied']}\n"
    (example / "dodo.py").write_text(clash)
    run = example.well("doit")
    assert "The task `upload` is one of your own: summarize runs it in place of ours." in run.out
    assert "copied" in run.out
    # Running it by name is intended.
    assert "one of your own" not in example.well("doit upload").said


def test_a_prefix_avoids_name_clashes(tmp_path: Path) -> None:
    example = Example("dodo", tmp_path)
    example.well('python -c "import dodo; dodo.build()"')
    (example / "dodo.py").write_text(
        """\
from nimbus_tasks.tasks import DOIT_CONFIG, prefixed

DOIT_CONFIG = {**DOIT_CONFIG, "default_tasks": ["upload"]}


def task_site():
    yield from prefixed("site")


def task_upload():
    return {"actions": ["echo copied"], "task_dep": ["site:upload"]}
"""
    )
    run = example.well("doit")
    assert example.published.keys() == {INDEX, GLAZES, COURSES}
    assert run.out.endswith("copied\n")
    assert "one of your own" not in run.said
    assert "-- site:upload" in example.well("doit").out
    listed = example.well("doit list").out
    assert "site:summarize" in listed
    assert "nimbus:upload" in listed
    assert "_site" not in listed

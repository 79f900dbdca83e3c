"""The side of the CI: its environment, and the files that it reads."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from nimbus_tasks.cli.ci.markdown import MAX_BYTES, Section
from nimbus_tasks.cli.ci.problems import MAX_ANNOTATIONS, Problem
from nimbus_tasks.cli.ci_output import CIOutput
from nimbus_tasks.cli.console import Console
from nimbus_tasks.model.errors import StateError
from nimbus_tasks.publishing.outcome import Counts, PageResult, Summary

if TYPE_CHECKING:
    from pathlib import Path

NOW = "2026-11-21T12:00:00Z"
SECTION = Section("A run", [("pages", "3")])


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def runner(**environment: str) -> CIOutput:
    return CIOutput(Console(io.StringIO(), {}), environment)


def invalid(path: str, severity: str = "error") -> Problem:
    return Problem(path, "invalid-page", severity, "is missing")  # type: ignore[arg-type]


def test_on_a_desk_nobody_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    runner().annotate([invalid("a.html")], "report.json")
    runner().summarize(SECTION)
    assert capsys.readouterr() == ("", "")


def test_annotations_go_to_standard_error_each_once_and_no_more_of_a_kind_than_github_shows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    github = runner(GITHUB_ACTIONS="true")
    github.annotate([invalid("a.html"), invalid("b.html", "warning")], "report.json")
    github.annotate([invalid("a.html"), invalid("c.html")], "report.json")
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.split(",")[0] for line in err.splitlines()] == [
        "::error file=a.html",
        "::warning file=b.html",
        "::error file=c.html",
    ]
    github.annotate([invalid(f"{number}.html") for number in range(30)], "report.json")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == MAX_ANNOTATIONS - 2
    assert lines[-1].startswith("::error title=23 more::")


@pytest.mark.parametrize("variable", ["GITHUB_WORKSPACE", "CI_PROJECT_DIR"])
def test_files_are_named_from_the_top_of_the_repository(
    here: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    below = here / "sites" / "shop"
    below.mkdir(parents=True)
    assert runner(**{variable: str(here)}).folder == ""
    monkeypatch.chdir(below)
    assert runner(**{variable: str(here)}).folder == "sites/shop"
    assert runner(**{variable: str(here / "elsewhere")}).folder == ""
    assert runner().folder == ""


def test_a_summary_is_added_to_what_is_there_as_far_as_there_is_room(here: Path) -> None:
    file = here / "step.md"
    file.write_text("before\n")
    github = runner(GITHUB_STEP_SUMMARY=str(file))
    github.summarize(SECTION)
    assert file.read_text(encoding="utf-8").startswith("before\n## A run\n")
    file.write_bytes(b"x" * (MAX_BYTES - 5))
    github.summarize(SECTION)
    assert file.stat().st_size == MAX_BYTES - 5


def test_a_summary_that_cannot_be_written_is_a_warning_that_names_the_variable(here: Path) -> None:
    said = io.StringIO()
    CIOutput(Console(said, {}), {"GITHUB_STEP_SUMMARY": str(here)}).summarize(SECTION)
    assert "$GITHUB_STEP_SUMMARY" in said.getvalue()
    assert "cannot be written: is a directory" in said.getvalue()


def test_reports_are_written_where_they_are_asked_for(here: Path) -> None:
    page = PageResult("a.html", "page_1", "new", "stored")
    counts = Counts(1, 1, 0, 0, 0, 0, 0, 0)
    site = Summary("proj_1", "sqlite", NOW, NOW, [], 0, counts, "", "", [page])
    desk = runner()
    desk.write_reports("new/quality.json", "new/junit.xml", [invalid("a.html")], [], site)
    assert json.loads((here / "new/quality.json").read_bytes())[0]["location"]["path"] == "a.html"
    assert ElementTree.parse(here / "new/junit.xml").getroot().get("tests") == "1"
    with pytest.raises(StateError, match=r"a\.html/x\.xml cannot be written: file exists"):
        (here / "a.html").write_text("")
        desk.write_reports("", "a.html/x.xml", [], [], site)

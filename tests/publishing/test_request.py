"""What cannot be meant is refused before anything is done, and no report takes the place of something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nimbus_tasks.cli.ci_output import check_reports
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.publishing.plan import Request

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("request_", "option"),
    [
        (Request(limit=-1), "--limit=-1"),
        (Request(concurrency=0), "--concurrency=0"),
        (Request(delay=-7), "--delay=-7"),
        (Request(diff=True), "--diff needs --dry-run"),
    ],
)
def test_what_cannot_be_meant_is_refused(request_: Request, option: str) -> None:
    with pytest.raises(SettingsError, match=option):
        request_.check()


def test_what_is_left_to_the_settings_is_no_number() -> None:
    Request(concurrency=None, delay=None).check()
    Request(delay=0, concurrency=100, diff=True, dry_run=True).check()


@pytest.mark.parametrize(
    ("request_", "whole"),
    [(Request(), True), (Request(some=True), False), (Request(path="a"), False), (Request(folder="other/maps"), False)],
)
def test_only_all_the_maps_of_the_project_are_the_whole_site(request_: Request, whole: bool) -> None:
    assert request_.whole_site == whole


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.html").write_text("<!doctype html><title>A page</title>")
    (tmp_path / "quality.json").write_text("[]")
    (tmp_path / "junit.xml").write_text('<?xml version="1.0"?><testsuites/>')
    (tmp_path / "empty").touch()
    return tmp_path


@pytest.mark.parametrize("path", ["page.html", "junit.xml"])
def test_nothing_that_is_there_is_overwritten_but_an_earlier_report(here: Path, path: str) -> None:
    with pytest.raises(SettingsError, match=rf"--code-quality={path} exists and is not such a report"):
        check_reports(path, "")


def test_a_new_file_and_an_earlier_report_may_be_written(here: Path) -> None:
    check_reports("quality.json", "junit.xml")
    check_reports("new/quality.json", "empty")
    check_reports("", "")


@pytest.mark.parametrize("folder", ["../nowhere", "/nowhere/at/all", "new/../../nowhere"])
def test_a_folder_is_made_inside_the_project_only(here: Path, folder: str) -> None:
    with pytest.raises(SettingsError, match=f"^--junit={folder}/x.xml: there is no folder {folder}. Make it"):
        check_reports("", f"{folder}/x.xml")
    check_reports("", "../x.xml")


def test_two_reports_are_two_files(here: Path) -> None:
    with pytest.raises(SettingsError, match="both name empty"):
        check_reports("./empty", "empty")

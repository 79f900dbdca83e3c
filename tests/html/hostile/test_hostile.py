"""Whatever lies in the folders: the good pages arrive, each bad one is named with its reason."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import inputs
import pytest
from deadlines import SECONDS

if TYPE_CHECKING:
    from pathlib import Path

    from inputs import Hostile

INPUTS = inputs.all_inputs()

SETTINGS = f"""
[project]
id = "proj_0123456789ab"
[source]
folder = "{inputs.SOURCE}"
"""


class Run(NamedTuple):
    folder: Path
    status: int
    out: str
    err: str
    issues: dict[str, list[str]]  # map file -> its errors
    pages: dict[str, dict[str, Any]]  # path -> its entry in the summary


def run_in(folder: Path) -> Run:
    done = subprocess.run(
        [sys.executable, "-m", "doit", "upload", "--json"],
        cwd=folder,
        env={**os.environ, "NIMBUS_TARGET": "sqlite"},
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    reports = folder / ".nimbus/reports"
    issues = defaultdict(list)
    for issue in json.loads((reports / "validation.json").read_bytes())["issues"]:
        if issue["severity"] == "error":
            issues[issue["file"]].append(issue["message"])
    pages = {page["path"]: page for page in json.loads((reports / "summary.json").read_bytes())["pages"]}
    return Run(folder, done.returncode, done.stdout.decode(), done.stderr.decode(), issues, pages)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "dodo.py").write_text("from nimbus_tasks import *\n")
    (folder / ".nimbus").mkdir()
    (folder / ".nimbus/project.toml").write_text(SETTINGS)
    with contextlib.chdir(folder):
        inputs.make_all(INPUTS)
    return run_in(folder)


def test_over_a_hundred_hostile_pages_have_unique_names() -> None:
    assert len(INPUTS) > 150
    assert len({hostile.reported for hostile in INPUTS}) == len(INPUTS)


@pytest.mark.parametrize("path", inputs.GOOD_PAGES)
def test_the_good_pages_are_stored(run: Run, path: str) -> None:
    assert (run.pages[path]["result"], run.pages[path]["error"]) == ("stored", "")


@pytest.mark.parametrize("hostile", INPUTS, ids=lambda hostile: hostile.name.encode("unicode_escape").decode())
def test_each_is_named_with_its_reason(run: Run, hostile: Hostile) -> None:
    if hostile.outcome == "invalid":
        messages = run.issues[hostile.reported]
        assert any(hostile.says in message for message in messages), messages
    else:
        page = run.pages[hostile.reported]
        assert page["result"] == hostile.outcome, page
        assert hostile.says in page["error"]


def test_the_store_has_the_good_and_the_odd_pages_and_no_others(run: Run) -> None:
    with contextlib.closing(sqlite3.connect(run.folder / ".nimbus/kv.db")) as store:
        values = [value for (value,) in store.execute("SELECT value FROM kv WHERE key LIKE 'page:%'")]
    stored = {hostile.reported for hostile in INPUTS if hostile.outcome == "stored"}
    assert sorted(json.loads(value)["source_path"] for value in values) == sorted({*inputs.GOOD_PAGES, *stored})


def test_nothing_else_is_wrong(run: Run) -> None:
    expected = {hostile.reported for hostile in INPUTS if hostile.outcome == "invalid"}
    assert set(run.issues) == expected


def test_the_exit_status_says_that_some_pages_were_kept_back(run: Run) -> None:
    assert run.status == 1


def test_nobody_sees_a_traceback(run: Run) -> None:
    assert "Traceback" not in run.out + run.err


def test_standard_output_is_one_json_document(run: Run) -> None:
    assert json.loads(run.out)


def test_no_terminal_codes_come_through(run: Run) -> None:
    assert "\x1b" not in run.out + run.err


def test_a_second_run_sends_nothing_and_names_them_again(run: Run) -> None:
    again = run_in(run.folder)
    assert (again.status, again.issues) == (1, run.issues)
    as_before = {path: page["result"].replace("stored", "unchanged") for path, page in run.pages.items()}
    assert {path: page["result"] for path, page in again.pages.items()} == as_before
    assert "Traceback" not in again.out + again.err

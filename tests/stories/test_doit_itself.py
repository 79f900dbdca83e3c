"""What doit's own commands say and do about our tasks, and how ours live next to a user's."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import metadata
from typing import TYPE_CHECKING

import pytest
from kit import SECONDS, ended

if TYPE_CHECKING:
    from kit import Site

A, B, C = (f"dist/{name}.html" for name in "abc")


def test_list_names_every_command_with_a_sentence(site: Site) -> None:
    run = site.doit("list")
    listed = {line.split()[0]: line for line in run.out.splitlines()}
    assert {"extract", "validate", "upload", "summarize", "watch"} <= listed.keys()
    assert {"nimbus:project:init", "nimbus:upload"} <= listed.keys()
    assert all(len(line.split()) > 3 for line in listed.values())


def test_help_has_the_whole_text_and_the_options(site: Site) -> None:
    run = site.doit("help", "upload")
    assert run.status == 0
    assert "Examples:\n  doit upload\n" in run.out
    assert "--dry-run " in run.out


def test_list_status_tells_the_truth_before_after_and_after_an_edit(site: Site) -> None:
    def status() -> dict[str, str]:
        lines = site.doit("list", "--status").out.splitlines()
        return {line.split()[1]: line.split()[0] for line in lines}

    assert (status()["extract"], status()["upload"]) == ("R", "R")
    site.publish()
    assert (status()["extract"], status()["upload"]) == ("U", "U")
    site.page("a", "Edited.")
    assert status()["extract"] == "R"
    site.doit("validate")
    assert (status()["extract"], status()["upload"]) == ("U", "R")


def test_info_tells_why_an_upload_would_run(published: Site) -> None:
    assert "up-to-date" in published.doit("info", "upload").out
    published.remove_database("kv.db")
    said = published.doit("info", "upload").out
    assert "run" in said
    assert "sqlite is not known to hold all 3 pages as they are" in said


def test_info_speaks_of_invalid_maps(published: Site) -> None:
    published.write(B, "<html><body><p>No title</p></body></html>")
    published.doit("validate")
    assert "1 map files are invalid" in published.doit("info", "upload").out


def test_info_prints_options_and_reasons_without_python_values(published: Site) -> None:
    published.remove_database("kv.db")
    said = published.doit("info", "upload").out
    assert "--dry-run" in said
    assert "send unchanged pages too" in said
    assert "{" not in said
    assert "args=" not in said


def test_info_answers_a_wrong_name_with_the_nearest_one(site: Site) -> None:
    run = site.doit("info", "uplaod")
    assert (run.status, run.said) == (2, "❌ There is no task `uplaod`. Did you mean upload?  All tasks: doit list\n")
    run = site.doit("info", "NAME-THAT-IS-NOT")
    assert run.status == 3
    assert "NAME-THAT-IS-NOT" in run.err


@pytest.mark.parametrize(
    ("file", "content"), [("pyproject.toml", "[tool.doit\n"), ("pyproject.toml", "\x00"), ("doit.cfg", "no section")]
)
def test_a_broken_configuration_is_one_line(site: Site, file: str, content: str) -> None:
    site.write(file, content)
    # `doit` itself reads it before it loads a dodo.py.
    run = ended([sys.executable, "-m", "nimbus_tasks", "list"], site.folder, site.environment({}))
    assert (run.status, run.out) == (2, "")
    assert run.err.startswith(f"❌ {file} cannot be read: ")
    assert run.err.endswith("Correct it, or restore it from version control.\n")


@pytest.mark.parametrize("buffered", [True, False], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize(
    "command",
    [
        "",
        "upload --force --verbose",
        "upload --dry-run --json",
        "nimbus:page:status --path=dist/a.html",
        "nimbus:batch:list",
        "nimbus:apply --dry-run",
        "nimbus:completion",
        "nimbus:doctor",
        "list",
        "help upload",
        "info upload",
    ],
)
def test_a_command_whose_reader_has_gone_ends_quietly(published: Site, command: str, buffered: bool) -> None:
    """As in `doit nimbus:page:status ... | head -3`."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "doit", *command.split()],
        cwd=published.folder,
        env=published.environment({} if buffered else {"PYTHONUNBUFFERED": "1"}),
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=SECONDS,
        check=False,
    )
    os.close(writer)
    assert b"Error" not in done.stderr
    assert done.returncode in (0, 1, 141)  # 1: `doit info` of a task that would run


def test_the_version_is_ours(site: Site) -> None:
    run = ended([sys.executable, "-m", "nimbus_tasks", "--version"], site.folder, site.environment({}))
    assert (run.status, run.out) == (0, f"nimbus-tasks {metadata.version('nimbus-tasks')}\n")


def test_asking_changes_nothing(published: Site) -> None:
    before = published.store
    for question in (("list", "--status"), ("info", "upload"), ("info", "extract"), ("help", "upload")):
        assert published.doit(*question).status in (0, 1)
    assert published.store == before
    assert published.publish().out.endswith("-- upload\n")


def test_a_dry_run_does_not_make_doit_forget_what_it_knows(published: Site) -> None:
    assert published.doit("upload", "--dry-run").status == 0
    assert published.publish().out.endswith("-- upload\n")


def test_clean_keeps_the_store_the_ledger_and_the_settings(published: Site) -> None:
    before = published.store
    run = published.doit("clean", "--clean-dep")
    assert run.status == 0
    assert not list((published / ".nimbus/maps").rglob("*.json"))
    assert not (published / ".nimbus/reports/upload.json").exists()
    assert (published / ".nimbus/project.toml").exists()
    assert published.store == before
    published.publish()
    assert published.sent() == {}


def test_clean_extract_keeps_the_maps_of_other_tools(published: Site) -> None:
    published.map("other")
    published.publish()
    assert published.doit("clean", "extract").status == 0
    assert set(published.maps()) == {".nimbus/maps/other.json"}
    published.publish()
    assert published.store.active == {A, B, C, "src/other.njk"}


def test_a_dry_clean_only_says_what_it_would_remove(published: Site) -> None:
    run = published.doit("clean", "--dry-run", "extract")
    assert "remove .nimbus/maps/dist/a.html.json" in run.out
    assert len(published.maps()) == 3


def test_tasks_of_ones_own_live_next_to_ours(site: Site) -> None:
    site.write(
        "dodo.py",
        """\
from nimbus_tasks import *

DOIT_CONFIG = {**DOIT_CONFIG, "default_tasks": ["build", "upload"]}

def task_build():
    return {"actions": ["echo building >> built.txt"]}

def task_after():
    return {"actions": ["echo uploaded >> built.txt"], "task_dep": ["upload"]}
""",
    )
    run = site.doit()
    assert run.status == 0
    assert ".  build" in run.out
    assert site.store.active == {A, B, C}
    assert site.doit("after").status == 0
    assert (site / "built.txt").read_text().split() == ["building", "uploaded"]


def test_a_doit_configuration_of_ones_own_may_leave_ours_out(site: Site) -> None:
    site.write("dodo.py", 'from nimbus_tasks import *\n\nDOIT_CONFIG = {"default_tasks": ["upload"]}\n')
    assert site.doit().status == 0
    assert site.store.active == {A, B, C}
    assert site.doit().status == 0


@pytest.mark.parametrize(
    ("command", "same"),
    [
        ("--quiet", "summarize --quiet"),
        ("-n 2 --quiet --continue", "-n 2 --continue summarize --quiet"),
        ("run --json", "summarize --json"),
        ("--json -v 1 nimbus:page:log --path=dist/a.html", "-v 1 nimbus:page:log --json --path=dist/a.html"),
        ("--qiet", "summarize --qiet"),
        ("-q", "summarize -q"),
        ("--quiet uplod", "uplod"),
        ("--quiet list", "-n 2 list"),
    ],
)
def test_options_before_any_task_are_those_of_the_selected_tasks(site: Site, command: str, same: str) -> None:
    site.publish("--quiet")
    run, named = (site.doit(*words.split()) for words in (command, same))
    of_this_run = re.compile(r'"(created|started|finished|generated)": .*')
    assert of_this_run.sub("", run.out) == of_this_run.sub("", named.out)
    assert (run.status, run.err) == (named.status, named.err)
    assert run.status == (0 if command in ("--quiet", "-n 2 --quiet --continue") or "--json" in command else 2)


@pytest.mark.parametrize("words", ["--quiet", "--quiet mine", "--verbosity", "-aq", "--quiet no-task"])
def test_options_that_no_task_of_ours_can_take_stay_an_error_of_doit(site: Site, words: str) -> None:
    """Also in a project without our tasks: doit's `run` is ours in the whole environment."""
    site.write("dodo.py", 'def task_mine():\n    return {"actions": ["echo done"]}\n')
    run = site.doit(*words.split())
    assert (run.status, run.out) == (3, "")
    assert run.err.startswith("ERROR: Error parsing Command: option -")
    assert site.doit("-v", "2").out == ".  mine\ndone\n"


def test_what_follows_a_failed_upload_does_not_run(site: Site) -> None:
    site.write(B, "<html><body><p>No title</p></body></html>")
    site.write(
        "dodo.py",
        "from nimbus_tasks import *\n\n"
        'def task_deploy():\n    return {"actions": ["echo deployed > deployed.txt"], "task_dep": ["upload"]}\n',
    )
    assert site.doit("deploy").status == 1
    assert not (site / "deployed.txt").exists()
    assert site.summary() == {A: "stored", B: "invalid", C: "stored"}

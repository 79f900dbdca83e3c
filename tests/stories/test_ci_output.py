"""What a CI and its people get of each command: documents, annotations, reports, and as much talk as they want."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from kit import Site
from schema import conforms

if TYPE_CHECKING:
    from pathlib import Path

A, B, C = (f"dist/{name}.html" for name in "abc")
NO_TITLE = "<html><body><p>No title</p></body></html>"


def test_every_document_is_what_its_schema_says(site: Site) -> None:
    """One project's whole life, each command with --json. Keys and the Worker have stories of their own."""

    def told(name: str, *command: str, status: int = 0) -> str:
        run = site.doit(*command, "--json")
        assert run.status == status, run.said
        conforms(run.json, name)
        return str(run.json.get("batch_id", ""))

    site.write("dist/old.html", '<html><head><meta name="robots" content="noindex"></head><body></body></html>')
    told("init", "nimbus:project:init")
    told("extract", "extract")
    told("extract", "extract")  # with nothing to do there is a document too
    site.write(B, NO_TITLE)
    told("validation", "validate", status=1)
    told("plan", "upload", "--dry-run", status=1)
    told("summary", "upload", status=1)
    told("summary", "summarize", status=1)
    for name, report in (("upload", "upload"), ("summary", "summary"), ("validation", "validation")):
        conforms(site.report(report), name)
    site.page("b", "We repair , and clean watches.")
    told("summary", "nimbus:upload", status=1)
    told("summary", "upload")
    told("reconcile", "nimbus:reconcile", "--dry-run")
    told("batches", "nimbus:batch:list")
    told("page", "nimbus:page:status", f"--path={A}")
    told("process", "nimbus:process", "--until-empty")
    batch_id = told("batch_report", "nimbus:batch:report")
    conforms(site.report(f"{batch_id}_report"), "batch_report")
    told("batch", "nimbus:batch:status", f"--batch={batch_id}")
    told("batch", "nimbus:batch:monitor", f"--batch={batch_id}")
    told("retry", "nimbus:batch:retry", f"--batch={batch_id}")
    told("apply", "nimbus:apply", "--dry-run")
    told("page", "nimbus:page:status", f"--path={B}")
    told("page_log", "nimbus:page:log", f"--path={B}")
    site.page("c", "Edited.")
    told("summary", "upload")
    told("cancel", "nimbus:batch:cancel", f"--batch={max(site.store.batches)}")
    told("worker_files", "nimbus:worker:init")


def test_a_watch_tells_each_cycle_and_its_end_in_a_line_of_json(site: Site) -> None:
    with site.start("watch", "--json", "--status=watch.json") as watch:
        lines = [watch.until('"event":"cycle"')]
        conforms(json.loads((site / "watch.json").read_bytes()), "watch_status")
        assert watch.interrupt() == 0
        lines += [line for line in watch.lines if '"event":"ended"' in line]
    assert [json.loads(line)["event"] for line in lines] == ["cycle", "ended"]
    for line in lines:
        conforms(json.loads(line), "watch")


def test_github_gets_annotations_a_summary_and_the_reports_that_were_asked_for(site: Site) -> None:
    site.write("dist/b,c.html", NO_TITLE)
    site.map("other", head={"title": "", "metaDescription": "x"})
    run = site.doit(
        "upload",
        "--json",
        "--quiet",
        "--junit=reports/junit.xml",
        "--code-quality=reports/quality.json",
        GITHUB_ACTIONS="true",
        GITHUB_WORKSPACE=str(site.folder.parent),
        GITHUB_STEP_SUMMARY=str(site / "step.md"),
    )
    assert run.status == 1
    conforms(run.json, "summary")
    annotations = [line for line in run.err.splitlines() if line.startswith("::error ")]
    here = site.folder.name
    # The page where extraction made the map, which is in no repository; the map where another tool did.
    assert f"::error file={here}/dist/b%2Cc.html,title=Page is invalid::/head/title" in "\n".join(annotations)
    assert f"::error file={here}/.nimbus/maps/other.json,title=Page is invalid::" in "\n".join(annotations)
    rest = [line for line in run.err.splitlines() if not line.startswith("::")]
    assert all(line.startswith("❌ ") for line in rest), "with --quiet, only what is wrong"
    junit = ElementTree.parse(site / "reports/junit.xml").getroot()
    assert (junit.get("tests"), junit.get("failures")) == ("5", "2")
    quality = json.loads((site / "reports/quality.json").read_bytes())
    assert {entry["location"]["path"] for entry in quality if entry["severity"] == "major"} == {
        f"{here}/dist/b,c.html",
        f"{here}/.nimbus/maps/other.json",
    }
    assert "| `dist/b,c.html` | invalid |" in (site / "step.md").read_text(encoding="utf-8")


def test_reports_of_a_site_that_is_published_already_are_written_too(published: Site) -> None:
    run = published.doit("upload", "--quiet", "--junit=junit.xml")
    assert (run.status, run.said) == (0, "")
    assert ElementTree.parse(published / "junit.xml").getroot().get("tests") == "3"


@pytest.mark.parametrize("command", ["validate", "upload", "nimbus:upload"])
@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--junit=dist", " is a folder. Name a file, such as dist/junit."),
        ("--code-quality=new/", " is a folder. Name a file, such as new/code-quality."),
        ("--junit=../nowhere/x.xml", ": there is no folder ../nowhere. Make it, or name another one."),
    ],
)
def test_a_report_that_cannot_be_made_is_refused_before_anything_is_done(
    site: Site, command: str, option: str, said: str
) -> None:
    run = site.doit(command, option)
    assert (run.status, run.said) == (2, f"❌ {option}{said}\n")
    assert not (site / ".nimbus/maps").exists()


def test_a_report_that_cannot_be_written_is_told_and_what_was_uploaded_stays(site: Site) -> None:
    run = site.doit("upload", "--junit=dodo.py/junit.xml")
    assert run.status == 1
    assert "❌ dodo.py/junit.xml cannot be written" in run.said
    assert len(site.store.pages) == 3


def test_quiet_says_nothing_where_all_is_well_and_what_is_wrong_where_it_is_not(site: Site) -> None:
    warning = 'warning: head.metaDescription is missing: add a <meta name="description"> to dist/a.html'
    site.write(A, "<title>A</title><main><p>No description.</p></main>")
    assert "   1 warning: doit validate lists them\n" in site.doit("upload", "--dry-run").out
    site.write(A, "<title>A</title><main><p>Still no description.</p></main>")
    run = site.doit("validate")
    assert (f"   {warning}\n" in run.out, "lists them" in run.out) == (True, False)
    assert site.doit("validate", "--quiet") == (0, "", "")
    site.settings(ignore='[".nowhere"]')
    assert site.doit("upload", "--quiet") == (0, "", "")
    assert site.doit("summarize", "--quiet") == (0, "", "")
    site.write(B, NO_TITLE)
    run = site.doit("upload", "--quiet")
    assert run.status == 1
    assert run.out.startswith("❌ [1/1] Failed: .nimbus/maps/dist/b.html.json - head.title is missing")
    assert {line.split()[0] for line in run.said.splitlines()} == {"❌"}


def test_verbose_lists_what_is_otherwise_counted(tmp_path: Path) -> None:
    site = Site.with_pages(tmp_path, *(f"page-{number:02d}" for number in range(21)))
    assert "✅ [" not in site.publish().out
    assert "✅ [21/21] Uploaded" in site.publish("--force", "--verbose").out


def test_a_log_without_a_terminal_gets_each_quarter_of_every_long_step(tmp_path: Path) -> None:
    site = Site.with_pages(tmp_path, *(f"page-{number:02d}" for number in range(40)))
    said = site.publish().out
    said += site.doit("nimbus:process", "--until-empty").out
    said += site.doit("nimbus:batch:report").out
    for step in ("Extracting", "Validating", "Uploading", "Optimising", "Reading records"):
        assert f"   {step}: 50 % (" in said, step
    assert "\x1b" not in said

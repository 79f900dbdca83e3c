"""From the upload of the example site to optimised content in its HTML, step by step, with real processes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from kit import DODO, Site

REPOSITORY = Path(__file__).parents[2]
LONG = "examples/site/blog/stick-drift.html"
TITLE = "<title>Controller Stick Drift, Explained With a Pencil</title>"


@pytest.fixture
def example(tmp_path: Path) -> Site:
    """The example site with the repository's settings."""
    site = Site(tmp_path)
    shutil.copytree(REPOSITORY / "examples/site", site / "examples/site")
    site.write(".nimbus/project.toml", (REPOSITORY / ".nimbus/project.toml").read_text(encoding="utf-8"))
    site.write("dodo.py", DODO)
    return site


def test_a_site_goes_from_upload_through_optimisation_back_into_its_html(example: Site) -> None:
    before = (example / LONG).read_text(encoding="utf-8")
    assert example.doit("upload").status == 0
    with example.start("nimbus:batch:monitor", "--interval=100") as monitor:
        monitor.until("0 of 13 pages")
        processed = example.doit("nimbus:process", "--until-empty")
        assert processed.status == 0
        assert monitor.end() == 0, "the monitor ends with the batch"
    assert "13 of 13 pages" in monitor.lines[-1]

    listed = example.doit("nimbus:batch:list", "--json").json["batches"]
    assert [(each["status"], each["summary"]["completed"]) for each in listed] == [("completed", 13)]
    batch = f"--batch={listed[0]['batch_id']}"
    assert example.doit("nimbus:batch:status", batch).status == 0
    reported = example.doit("nimbus:batch:report", batch)
    assert reported.status == 0
    [file] = (example / ".nimbus/reports").glob("batch_*_report.json")
    report = json.loads(file.read_bytes())
    assert report["metrics"]["total_changes"] == 3
    changes = {page["source_path"]: page["optimized_blocks"] for page in report["pages"] if page["changes"]}
    assert set(changes) == {LONG, "examples/site/index.html", "examples/site/local/seiko-repair.html"}
    assert all(change["reason"] for page in changes.values() for change in page)
    shown = file.with_suffix(".html").read_text(encoding="utf-8")
    assert all(change["reason"].split("'")[0] in shown for page in changes.values() for change in page)

    preview = example.doit("nimbus:apply", "--dry-run")
    assert f"+  {TITLE}" in preview.out
    assert (example / LONG).read_text(encoding="utf-8") == before
    assert example.doit("nimbus:apply").status == 0
    assert TITLE in (example / LONG).read_text(encoding="utf-8")

    again = example.doit()
    assert again.status == 0
    assert "13 pages published, 3 sent now" in again.out
    after = example.doit("nimbus:process", "--until-empty")
    assert "Done: 0 (0 changes)" in after.out, "an applied page is not optimised again"
    detail = example.doit("nimbus:page:status", f"--path={LONG}")
    assert (detail.status, "Status: done" in detail.out) == (0, True)

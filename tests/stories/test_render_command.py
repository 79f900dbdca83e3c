"""A page as its record has it: from the map here, and from the target where there is none."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from kit import page_id

if TYPE_CHECKING:
    from kit import Run, Site

A = "dist/a.html"


def good(run: Run) -> Run:
    assert run.status == 0, run.said
    return run


def test_a_page_is_printed_from_its_map_or_its_record(site: Site) -> None:
    site.write(A, "<title>T</title><main><h1>One</h1><p>two <b>three</b></p></main>")
    good(site.doit("upload"))
    from_map = good(site.doit("nimbus:render", f"--path={A}")).out
    assert from_map == '---\ntitle: "T"\n---\n\n# One\n\ntwo **three**\n'
    page = good(site.doit("nimbus:render", "--path=a.html", "--format=html", "--json")).json
    assert (page["path"], page["format"]) == (A, "html")
    assert "<p>two <strong>three</strong></p>" in page["text"]
    for folder in ("maps", "manifest"):
        shutil.rmtree(site / f".nimbus/{folder}")
    for name in (A, "a.html", str(site / A), page_id(A)):
        assert good(site.doit("nimbus:render", f"--path={name}")).out == from_map


def test_a_page_or_a_format_that_is_not_known_is_named(published: Site) -> None:
    run = published.doit("nimbus:render", "--path=dist/d.html")
    assert (run.status, "There is no page dist/d.html" in run.said) == (2, True)
    run = published.doit("nimbus:render", f"--path={A}", "--format=pdf")
    assert (run.status, run.said) == (2, "❌ --format=pdf is not known. It is one of: markdown, html.\n")

"""apply writes proposed changes into the HTML and nothing else; a second run changes nothing."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from kit import SETTINGS, page_map

from nimbus_tasks.cli.console import Console
from nimbus_tasks.cli.messages.apply import Applied, applied
from nimbus_tasks.pipeline.apply import AppliedPage, RefusedChange

if TYPE_CHECKING:
    from kit import Site

A, D = "dist/a.html", "dist/d.html"
LACKING = "1 page without accepted changes: doit nimbus:apply --accepted, then doit"


@pytest.fixture
def proposed(site: Site) -> Site:
    """A published and processed site: page a has a mistake that the rules correct."""
    site.write(
        A,
        "<!doctype html><HTML lang=en><head><title>Watch repair in Bern</title>\r\n"
        '<meta name="description" content="We repair mechanical watches by hand, in our own workshop in Bern.">'
        "</head><body><main><h1>Watch  repair</h1>"
        "<p>We repair , clean and <b>polish</b> watches.</p></main></body></HTML>",
    )
    site.publish()
    assert site.doit("nimbus:process", "--until-empty").status == 0
    return site


def test_a_dry_run_shows_the_difference_and_changes_nothing(proposed: Site) -> None:
    before = (proposed / A).read_bytes()
    run = proposed.doit("nimbus:apply", "--dry-run")
    assert run.status == 0
    assert "We repair, clean and <b>polish</b> watches." in run.out
    assert f"Would change {A}" in run.out
    assert run.out.splitlines()[-1] == "📊 Would apply: 1, already there: 0, refused: 0"
    assert (proposed / A).read_bytes() == before


def test_only_proposed_changes_are_made_and_only_once(proposed: Site) -> None:
    before = (proposed / A).read_bytes()
    assert proposed.doit("nimbus:apply").status == 0
    after = (proposed / A).read_bytes()
    assert after == before.replace(b"repair ,", b"repair,")
    kept = list((proposed / ".nimbus/backup").rglob("a.html"))
    assert [file.read_bytes() for file in kept] == [before]
    run = proposed.doit("nimbus:apply", "--json")
    assert run.status == 0
    assert {page["path"]: (page["applied"], len(page["already"])) for page in run.json["pages"]}[A] == ([], 1)
    assert (proposed / A).read_bytes() == after
    [batch] = proposed.store.batches
    proposed.publish()
    assert proposed.doit("nimbus:process", "--until-empty").status == 0
    report = proposed.doit("nimbus:batch:report", f"--batch={batch}", "--json").json
    assert (report["metrics"]["total_changes"], report["metrics"]["uploaded_again"]) == (1, 1), "the old batch stays"
    assert "We repair, clean and polish watches." in proposed.store.text(A)


def test_texts_are_applied_to_pages_with_public_addresses(site: Site) -> None:
    """`apply --assets` in place, and then `apply`: the page gets its texts, and its own addresses again."""
    site.settings('[assets]\nstore = "folder"\npublic_url = "https://img.example"\n')
    site.write("dist/w.jpg", "picture")
    site.page("a", "We repair , clean and polish watches.")
    before = (site / A).read_bytes()
    site.publish()
    assert site.doit("nimbus:process", "--until-empty").status == 0
    assert site.doit("nimbus:apply", "--assets").status == 0
    assert b"https://img.example" in (site / A).read_bytes()
    run = site.doit("nimbus:apply", "--json", "--path=a.html")
    assert (run.status, [page["refused"] for page in run.json["pages"]]) == (0, [[]]), run.said
    after = (site / A).read_bytes()
    assert b"repair, clean" in after
    assert b'src="w.jpg"' in after
    assert after != before


def test_pages_are_written_to_another_folder(proposed: Site) -> None:
    before = (proposed / A).read_bytes()
    run = proposed.doit("nimbus:apply", "--output=edited")
    assert (run.status, run.out.splitlines()[-1]) == (0, "   Written to edited: pages, no other files")
    assert (proposed / A).read_bytes() == before
    assert b"repair, clean" in (proposed / "edited/a.html").read_bytes()
    for output, message in (
        ("dist/inside", "lies in dist"),
        ("dist", "is the folder"),
        ("", "--output is empty"),
        ("../nowhere/edited", "there is no folder ../nowhere"),
    ):
        run = proposed.doit("nimbus:apply", f"--output={output}")
        assert (run.status, len(run.said.splitlines())) == (2, 1), run.said
        assert message in run.said
    assert (proposed / A).read_bytes() == before


def test_changes_are_refused_with_the_reason_where_the_page_has_changed(proposed: Site) -> None:
    changed = (proposed / A).read_bytes().replace(b"polish", b"oil")
    (proposed / A).write_bytes(changed)
    run = proposed.doit("nimbus:apply")
    assert run.status == 1
    assert f"{A}: block-" in run.said
    assert "changed" in run.said
    assert (proposed / A).read_bytes() == changed


def test_a_page_that_differs_from_the_map_of_another_tool_is_refused(site: Site) -> None:
    site.write(".nimbus/project.toml", f'{SETTINGS}exclude = ["c.html"]\n')
    site.write("dist/c.html", "<title>Cameras</title><p>We repair , clean and sell cameras.")
    slip = {"id": "block-1", "type": "p", "content": "We repair , clean and sell clocks."}
    site.map("c", **page_map("dist/c.html", rest_of_page_blocks=[slip]))
    site.publish()
    assert site.doit("nimbus:process", "--until-empty").status == 0
    run = site.doit("nimbus:apply")
    assert run.status == 1
    assert "dist/c.html: block-1 - another tool made its map" in run.said


def test_one_reason_for_many_changes_of_a_page_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    refused = tuple(RefusedChange(f"block-{number}", "the page has changed") for number in range(5))
    page = AppliedPage("dist/a.html", refused=(*refused, RefusedChange("title", "it has no title")))
    applied(Console(environment={}), Applied(dry_run=False, output="", pages=[page]))
    assert [line for line in capsys.readouterr().out.splitlines() if "dist/a.html" in line] == [
        "❌ dist/a.html: block-0, block-1, block-2 and 2 more - the page has changed",
        "❌ dist/a.html: title - it has no title",
    ]


def test_without_proposals_there_is_nothing_to_apply(site: Site) -> None:
    site.publish()
    run = site.doit("nimbus:apply")
    assert (run.status, run.out.splitlines()[-1]) == (0, "📊 Applied: 0, already there: 0, refused: 0")


def test_accepted_changes_are_made_again_in_every_build(proposed: Site) -> None:
    """The published page keeps what was accepted: a build that lacks it gets it again, and nothing is sent for it."""
    built = (proposed / A).read_bytes()
    for name in ("b", "c"):
        proposed.page(name)
    proposed.publish()
    assert proposed.doit("nimbus:process", "--until-empty").status == 0
    assert proposed.doit("nimbus:apply").status == 0
    improved = (proposed / A).read_bytes()
    sent = proposed.publish()
    assert "1 page changed by accepted proposals only: not queued again" in sent.out
    assert (proposed.store.status(A), proposed.store.queue) == ("done", [])
    metrics = proposed.doit("nimbus:batch:report", "--json").json["metrics"]
    assert "average_time_ms" not in metrics, "no worker had its pages"
    assert proposed.store.log(A)[-1]["message"] == "Done: changed by accepted proposals only, and not queued again"
    assert "repair, clean" in proposed.store.text(A)

    def build_and_apply(html: bytes, *options: str) -> str:
        (proposed / A).write_bytes(html)
        run = proposed.doit("nimbus:apply", *options)
        assert run.status == 0, run.said
        return run.out

    def forget() -> None:
        """Go to another machine, which has only what is committed."""
        (proposed / ".nimbus/ledger.db").unlink()
        shutil.rmtree(proposed / ".nimbus/manifest")

    for again in range(2):
        if again:
            forget()
        assert "Applied: 1, already there: 0, refused: 0" in build_and_apply(built, *["--accepted"] * again)
        assert (proposed / A).read_bytes() == improved
        assert "already there: 1" in proposed.doit("nimbus:apply").out
        page, batches = proposed.store.page(A), proposed.store.batches
        run = proposed.publish()
        assert (proposed.store.page(A), proposed.store.batches, proposed.store.queue) == (page, batches, []), run.said
    assert "discards proposals" not in proposed.publish("--force").said
    assert A in proposed.store.queue, "--force optimises it once more"
    assert proposed.doit("nimbus:process", "--until-empty").status == 0

    # An upload that forgot to apply: the page is not optimised for that, and what was accepted is not lost.
    (proposed / A).write_bytes(built)
    forgot = proposed.publish().out
    assert "not queued again" in forgot
    assert LACKING in forgot
    assert "repair , clean" in proposed.store.text(A)
    assert "Applied: 1," in build_and_apply(built)
    assert "not queued again" in proposed.publish().out

    # An author edits the page.
    forget()
    edited = built.replace(b"<h1>", b"<p>New, and not yet improved , alas.</p><h1>")
    assert "Applied: 1," in build_and_apply(edited)
    proposed.publish()
    assert proposed.store.queue == [A]
    assert proposed.doit("nimbus:process", "--until-empty").status == 0
    assert "Applied: 1," in build_and_apply(edited, "--accepted"), "the new proposal is not reviewed yet"
    assert "Applied: 1, already there: 1," in proposed.doit("nimbus:apply").out
    assert "not queued again" in proposed.publish().out
    assert "Applied: 2," in build_and_apply(edited)
    before = proposed.store
    proposed.publish()
    assert proposed.store == before


@pytest.mark.parametrize("renamed", ["before it is sent", "as it is", "by a build"])
def test_accepted_changes_move_with_a_renamed_page(proposed: Site, renamed: str) -> None:
    built = (proposed / A).read_bytes()
    proposed.page("b")
    assert proposed.doit("nimbus:apply").status == 0
    if renamed != "before it is sent":
        proposed.publish()
    if renamed == "by a build":
        (proposed / A).write_bytes(built)
    (proposed / A).rename(proposed / D)
    moved = proposed.publish().out
    assert "1 page moved: proposals and accepted changes stay" in moved
    assert (LACKING in moved) == (renamed == "by a build")
    assert ((proposed.store.status(D), D in proposed.store.queue), proposed.sent()[D]) == (("done", False), "moved")
    for _ in range(2):
        (proposed / D).write_bytes(built)
        assert "Applied: 1, already there: 0, refused: 0" in proposed.doit("nimbus:apply", "--accepted").out
        proposed.publish()
        assert "repair, clean" in proposed.store.text(D)
        assert (proposed.store.status(D), D in proposed.store.queue) == ("done", False)


def test_accepted_changes_are_texts(site: Site) -> None:
    run = site.doit("nimbus:apply", "--accepted", "--assets")
    assert (run.status, run.said) == (2, "❌ --accepted and --assets do not go together. Run the command twice.\n")

"""What is never lost: pages that seem gone, stores and ledgers that are, and runs that fail in the middle."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from kit import DODO, PROJECT, Site, page_id

if TYPE_CHECKING:
    from pathlib import Path

A, B, C, D = (f"dist/{name}.html" for name in "abcd")


# --- removals -----------------------------------------------------------------------------------------


def test_more_than_half_of_the_site_is_not_marked_inactive_without_force(published: Site) -> None:
    published.remove(B, C)
    run = published.doit("upload")
    assert run.status == 1
    assert "stay as they are: 2 of 3 are more than half of the site" in run.out
    assert published.store.active == {A, B, C}
    published.publish("--force")
    assert published.store.active == {A}


def test_a_page_that_becomes_invalid_is_not_gone(published: Site) -> None:
    published.write("dist/a.html", "<main><p>No title.</p></main>")
    run = published.doit("upload")
    assert (run.status, "stay as they are" in run.said) == (1, False)
    assert "📊 Site: 2 pages published, 1 invalid" in run.out
    assert published.store.active == {A, B, C}


def test_half_of_the_site_may_go(published: Site) -> None:
    published.page("d")
    published.publish()
    published.remove(C, D)
    published.publish()
    assert published.store.active == {A, B}


def test_more_than_max_removals_are_not_marked_inactive_without_force(published: Site) -> None:
    published.settings("[upload]\nmax_removals = 0")
    published.remove(C)
    run = published.doit("upload")
    assert (run.status, "max_removals (0); --force removes them" in run.out) == (1, True)
    assert published.store.active == {A, B, C}
    published.publish("--force")
    assert published.store.active == {A, B}


def test_a_refused_removal_is_an_error_at_every_run(published: Site) -> None:
    published.remove(B, C)
    for _ in range(2):
        run = published.doit("upload")
        assert (run.status, "stay as they are" in run.out) == (1, True)


def test_an_empty_source_folder_is_an_error_and_takes_nothing_away(published: Site) -> None:
    published.remove(A, B, C)
    before = published.store
    run = published.doit("upload")
    assert (run.status, "holds no pages, and the site has 3. Did the build fail?" in run.out) == (2, True)
    assert published.store == before


@pytest.mark.parametrize(
    ("key", "wrong", "right"), [("include", "nothere/**", "**/*.html"), ("exclude", "*", "nothere/**")]
)
def test_patterns_that_leave_out_every_page_are_named(site: Site, key: str, wrong: str, right: str) -> None:
    """Before the first upload as after it."""
    for first in (True, False):
        site.settings(**{key: f'["{wrong}"]'})
        before = {} if first else site.store.values
        run = site.doit("upload")
        assert (run.status, f"[source] {key} leaves out all HTML in `dist`." in run.said) == (2, True), run.said
        assert site.store.values == before
        site.settings(**{key: f'["{right}"]'})
        site.publish()


def test_a_site_that_never_had_a_page_cannot_be_uploaded(empty: Site) -> None:
    """Neither from a folder that is empty, nor from maps that another tool has not written yet."""
    site = Site.new(empty.folder)
    (site / "dist").mkdir()
    run = site.doit("upload")
    assert run.status == 2, run.said
    fix = "Build the site, or correct [source] folder in .nimbus/project.toml."
    assert f"There is no page to upload in dist. {fix}" in run.said
    site.settings(folder='""')
    run = site.doit("upload")
    assert run.status == 2, run.said
    assert "There is no page to upload: no tool has written maps to .nimbus/maps. If your site is built" in run.said
    assert not site.store.values


def test_a_selector_of_the_settings_that_matches_nothing_is_a_warning(site: Site) -> None:
    facts = '[dimensions.selectors]\nbrand = ".brand"\nheading = "h1"\n'
    site.settings(facts, ignore='["main p", ".nowhere"]', ignore_head='["no-such", "description"]')
    run = site.doit("upload")
    assert run.status == 0, run.said
    warned = [line for line in run.said.splitlines() if "matches no element on any page" in line]
    assert [line.partition("project.toml: ")[2] for line in warned] == [
        "ignore = .nowhere matches no element on any page.",
        "selectors.brand = .brand matches no element on any page.",
        "ignore_head = no-such matches no element on any page.",
    ]
    site.page("a", "Edited.")
    assert "matches no element" not in site.doit("upload").said, "a run over some pages cannot tell"


def test_a_source_folder_that_is_missing_is_named_and_nothing_is_taken_away(published: Site) -> None:
    before = published.store
    shutil.rmtree(published / "dist")
    run = published.doit("upload")
    assert run.status == 2
    assert "The source folder `dist` does not exist. Build the site, or set [source] folder" in run.said
    assert published.store == before


# --- databases that are gone or lie -------------------------------------------------------------------


def test_pages_that_the_store_has_lost_are_sent_again_as_missing(published: Site) -> None:
    published.remove_database("kv.db")
    published.publish()
    assert published.sent() == {A: "missing", B: "missing", C: "missing"}
    assert sorted(published.store.queue) == [A, B, C]


def test_without_its_ledger_the_store_is_asked_and_nothing_is_sent(published: Site) -> None:
    before = published.store
    published.forget_ledger()
    published.publish()
    assert published.sent() == {}
    assert published.store == before


def test_without_the_whole_state_the_store_still_knows_what_it_holds(published: Site) -> None:
    before = published.store
    for file in ("ledger.db", "doit.db"):
        published.remove_database(file)
    for folder in ("maps", "manifest", "reports"):
        shutil.rmtree(published / ".nimbus" / folder)
    published.page("b", "Edited.")
    published.publish()
    assert published.sent() == {B: "changed"}
    assert published.store.page(A) == before.page(A)


def test_without_its_ledger_a_deleted_page_is_found_by_its_record(published: Site) -> None:
    published.forget_ledger()
    published.remove(C)
    published.publish()
    assert published.sent() == {C: "removed"}


def test_what_doit_forgets_the_ledger_still_knows(published: Site) -> None:
    before = published.store
    assert published.doit("forget", "upload").status == 0
    run = published.publish()
    assert "Nothing to upload: 3 files (3 unchanged)" in run.out
    assert published.store == before
    assert published.publish().out.endswith("-- upload\n")


# --- reconcile: the ledger beside what the store really holds -----------------------------------------


def test_reconcile_mends_a_ledger_that_lies(published: Site) -> None:
    with published.ledger() as ledger:
        ledger.execute("UPDATE page SET digest = 'wrong' WHERE source_path = ?", (A,))
        ledger.execute("DELETE FROM page WHERE source_path = ?", (B,))
        ledger.execute("INSERT INTO page VALUES ('sqlite', 'page_x', 'dist/x.html', '1', 'b', 't', 'queued')")
    before = published.store
    run = published.doit("nimbus:reconcile", "--json")
    assert run.status == 0
    assert {each["source_path"]: each["what"] for each in run.json["differences"]} == {
        A: "other content",
        B: "unknown to the ledger",
        "dist/x.html": "missing at the target",
    }
    assert published.store == before
    with published.ledger() as ledger:
        held = dict(ledger.execute("SELECT source_path, digest FROM page"))
    assert held == {path: before.page_metadata(path)["digest"] for path in (A, B, C)}
    assert "3 pages at .nimbus/kv.db, as the ledger has it" in published.doit("nimbus:reconcile").out


def test_a_dry_reconcile_mends_nothing(published: Site) -> None:
    with published.ledger() as ledger:
        ledger.execute("UPDATE page SET digest = 'wrong' WHERE source_path = ?", (A,))
    for _ in range(2):
        run = published.doit("nimbus:reconcile", "--dry-run")
        assert run.status == 0
        assert f"other content          {page_id(A)}  {A}" in run.out
        assert "Nothing was changed (dry run)" in run.out


def test_a_page_that_another_hand_wrote_to_the_store_is_found_by_reconcile(published: Site) -> None:
    published.change_store("UPDATE kv SET metadata = NULL WHERE key LIKE ?", f"page:%{page_id(A)}")
    assert published.doit("nimbus:reconcile").status == 0
    published.publish()
    assert published.sent() == {A: "changed"}


def test_a_page_that_fell_out_of_the_queue_is_sent_again_after_reconcile(published: Site) -> None:
    key = f"queue:{PROJECT}"
    queue = published.store.values[key]
    queue["items"] = [item for item in queue["items"] if item["page_id"] != page_id(B)]
    published.change_store("UPDATE kv SET value = ? WHERE key = ?", json.dumps(queue).encode(), key)
    assert f"not in the queue       {page_id(B)}" in published.doit("nimbus:reconcile").out
    published.publish()
    assert published.sent() == {B: "unfinished"}
    assert sorted(published.store.queue) == [A, B, C]


def test_a_page_that_is_being_processed_has_not_fallen_out_of_the_queue(published: Site) -> None:
    key = f"queue:{PROJECT}"
    published.change_store("UPDATE kv SET value = ? WHERE key = ?", b'{"items": []}', key)
    for path in (A, B, C):
        status = published.store.values[f"status:{PROJECT}:{page_id(path)}"] | {"status": "processing"}
        published.change_store(
            "UPDATE kv SET value = ? WHERE key = ?", json.dumps(status).encode(), f"status:{PROJECT}:{page_id(path)}"
        )
    assert published.doit("nimbus:reconcile", "--json").json["differences"] == []


def test_a_damaged_store_is_named_with_the_way_out(published: Site) -> None:
    published.remove_database("kv.db")
    published.write(".nimbus/kv.db", "This is no database." * 100)
    run = published.doit("upload")
    assert run.status == 2
    assert ".nimbus/kv.db" in run.said
    assert "remove it" in run.said
    assert len(run.said.strip().splitlines()) < 6
    published.remove_database("kv.db")
    published.publish()
    assert published.store.active == {A, B, C}


# --- failures in the middle ---------------------------------------------------------------------------


def test_a_map_that_changes_between_validation_and_upload_costs_only_itself(site: Site) -> None:
    site.write(
        "dodo.py",
        """\
from nimbus_tasks import *
from nimbus_tasks.pipeline import upload as uploading

def change_a_map_first(*arguments, _upload=uploading.Uploader.upload, **options):
    with open(".nimbus/maps/dist/a.html.json", "a") as file:
        file.write(" ")
    return _upload(*arguments, **options)

uploading.Uploader.upload = change_a_map_first
""",
    )
    run = site.doit("upload")
    assert run.status == 1
    assert "a.html.json changed while it was uploaded" in run.out
    assert site.summary() == {A: "failed", B: "stored", C: "stored"}
    assert sorted(site.store.queue) == [B, C]


def test_a_map_that_vanishes_between_validation_and_upload_costs_only_itself(site: Site) -> None:
    site.write(
        "dodo.py",
        """\
import os
from nimbus_tasks import *
from nimbus_tasks.pipeline import upload as uploading

def remove_a_map_first(*arguments, _upload=uploading.Uploader.upload, **options):
    os.unlink(".nimbus/maps/dist/a.html.json")
    return _upload(*arguments, **options)

uploading.Uploader.upload = remove_a_map_first
""",
    )
    run = site.doit("upload")
    assert run.status == 1
    assert "a.html.json cannot be read: no such file or directory" in run.out
    assert site.report()["counts"]["failed"] == 1
    site.write("dodo.py", DODO)
    site.publish()
    assert site.sent() == {A: "new"}


REFUSING = """\
from nimbus_tasks import *
from nimbus_tasks.backends.kv import sqlite

def refuse_one(write, refusal=sqlite.refusal):
    return "the store does not like it" if write.key == "{kind}:{project}:{key}" else refusal(write)

sqlite.refusal = refuse_one
"""


def test_a_record_that_the_store_refuses_is_reported_and_the_others_are_safe(site: Site) -> None:
    site.write("dodo.py", REFUSING.format(kind="page", project=PROJECT, key=page_id(A)))
    run = site.doit("upload")
    assert run.status == 1
    assert "the store does not like it" in run.out
    assert site.summary() == {A: "failed", B: "stored", C: "stored"}
    (batch,) = site.store.batches.values()
    assert batch["pages"][page_id(A)] == {"status": "failed", "error": "the store does not like it"}
    assert (batch["status"], batch["summary"]["failed"]) == ("queued", 1)
    assert sorted(site.store.queue) == [B, C]
    site.write("dodo.py", DODO)
    site.publish()
    assert site.sent() == {A: "new"}
    assert sorted(site.store.queue) == [A, B, C]


def test_a_page_without_a_status_is_not_queued_until_it_has_one(site: Site) -> None:
    site.write("dodo.py", REFUSING.format(kind="status", project=PROJECT, key=page_id(A)))
    assert site.doit("upload").status == 1
    assert sorted(site.store.queue) == [B, C]
    site.write("dodo.py", DODO)
    site.publish()
    assert site.sent() == {A: "unfinished"}
    assert sorted(site.store.queue) == [A, B, C]


def test_two_sources_of_one_map_path_are_named_and_neither_is_sent(tmp_path: Path) -> None:
    site = Site.new(tmp_path)
    site.settings(folder='""')
    site.map("one", path="src/same.njk")
    site.map("two", path="src/same.njk")
    site.map("three")
    run = site.doit("upload")
    assert run.status == 1
    assert site.store.pages == {"src/three.njk"}
    assert "one.json" in run.out
    assert "two.json" in run.out


def test_the_log_tells_what_failed(site: Site) -> None:
    site.write(B, "<html><body><p>No title</p></body></html>")
    site.doit("upload")
    events = [json.loads(line) for line in (site / ".nimbus/log.jsonl").read_text().splitlines()]
    told = {event["event"]: event for event in events}
    assert told["uploaded"]["sent"] == 2
    assert [event["path"] for event in events if event["event"] == "page"] == [B]
    assert all(event["timestamp"].endswith("Z") and event["level"] for event in events)

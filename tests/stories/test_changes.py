"""What a user does to a site between two uploads, and what of it is sent."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from kit import html

if TYPE_CHECKING:
    from kit import Site

A, B, C, D = (f"dist/{name}.html" for name in "abcd")


def test_the_first_upload_sends_every_page_and_queues_it(site: Site) -> None:
    run = site.publish()
    assert site.sent() == {A: "new", B: "new", C: "new"}
    assert site.store.active == {A, B, C}
    assert sorted(site.store.queue) == [A, B, C]
    assert "Found 3 files to upload (3 new)" in run.out
    assert "✅ [3/3] Uploaded: page_" in run.out


def test_doit_alone_does_it_all_and_ends_with_the_state_of_the_site(site: Site) -> None:
    run = site.doit()
    assert run.status == 0
    assert "📊 Site: 3 pages published, 3 sent now" in run.out
    assert site.summary() == {A: "stored", B: "stored", C: "stored"}


def test_with_nothing_changed_doit_skips_the_upload(published: Site) -> None:
    before = published.store
    run = published.publish()
    assert run.out == "-- extract\n-- upload\n"
    assert published.store == before


def test_files_that_were_only_touched_are_not_sent_and_their_maps_not_rewritten(published: Site) -> None:
    before, maps = published.store, published.maps()
    for path in (A, B, C):
        os.utime(published / path)
    published.publish()
    assert published.store == before
    assert published.maps() == maps


def test_an_edited_page_is_sent_alone(published: Site) -> None:
    before = published.store
    published.page("b", "Now with a guarantee.")
    published.publish()
    assert published.sent() == {B: "changed"}
    after = published.store
    assert "Now with a guarantee." in after.text(B)
    assert after.page(A) == before.page(A)
    assert after.queue.count(B) == 1


def test_an_added_page_is_sent_alone(published: Site) -> None:
    published.page("d")
    run = published.publish()
    assert published.sent() == {D: "new"}
    assert "Found 1 file to upload (1 new, 3 unchanged)" in run.out
    assert published.store.queue[-1] == D


def test_a_renamed_page_has_moved_and_the_old_one_is_inactive(published: Site) -> None:
    (published / C).rename(published / D)
    published.publish()
    assert published.sent() == {D: "moved", C: "removed"}
    assert published.store.active == {A, B, D}
    assert sorted(published.store.queue) == [A, B, D]


def test_a_deleted_page_is_marked_and_leaves_the_queue_but_its_record_stays(published: Site) -> None:
    record = published.store.page(C)
    published.remove(C)
    run = published.publish()
    after = published.store
    assert "Marked inactive" in run.out
    assert after.status(C) == "inactive"
    assert sorted(after.queue) == [A, B]
    assert after.page(C) == record
    assert after.page_metadata(C)["digest"] == ""
    assert not (published / ".nimbus/maps/dist/c.html.json").exists()


@pytest.mark.parametrize("ledger", ["kept", "removed"])
def test_a_page_that_comes_back_as_it_was_is_sent_again(published: Site, ledger: str) -> None:
    content = (published / C).read_text()
    published.remove(C)
    published.publish()
    if ledger == "removed":
        published.forget_ledger()
    published.write(C, content)
    published.publish()
    assert published.sent() == {C: "new"}
    assert published.store.active == {A, B, C}
    assert sorted(published.store.queue) == [A, B, C]
    assert published.store.page_metadata(C)["digest"]


def test_a_broken_page_keeps_nobody_else_back(published: Site) -> None:
    published.page("a", "Edited.")
    published.write(B, "<html><head></head><body><main><p>No title.</p></main></body></html>")
    run = published.doit("upload")
    assert run.status == 1
    assert "b.html.json - " in run.out
    assert "Failed: 1" in run.out
    assert published.sent() == {A: "changed"}
    assert published.summary() == {A: "stored", B: "invalid", C: "unchanged"}


def test_while_a_page_is_broken_none_is_marked_inactive(published: Site) -> None:
    published.write(B, "<html><body><main><p>No title.</p></main></body></html>")
    published.remove(C)
    run = published.doit("upload")
    assert run.status == 1
    assert "Pages whose source is gone stay as they are: 1 page failed" in run.out
    assert published.store.active == {A, B, C}


def test_a_mended_page_is_sent_and_the_gone_ones_go(published: Site) -> None:
    published.write(B, "<html><body><main><p>No title.</p></main></body></html>")
    published.remove(C)
    assert published.doit("upload").status == 1
    published.page("b", "Mended.")
    published.publish()
    assert published.sent() == {B: "changed", C: "removed"}
    assert published.publish().out.endswith("-- upload\n")


def test_a_broken_page_is_named_at_every_run_until_it_is_mended(site: Site) -> None:
    site.write(B, "<html><body><main><p>No title.</p></main></body></html>")
    first, second = site.doit("upload"), site.doit("upload")
    assert (first.status, second.status) == (1, 1)
    assert "b.html.json - " in first.out
    assert "b.html.json - " in second.out


def test_a_page_that_asks_not_to_be_indexed_is_skipped_with_its_reason(site: Site) -> None:
    site.write(B, '<html><head><meta name="robots" content="noindex"><title>B</title></head><body>B</body></html>')
    site.publish()
    assert site.store.pages == {A, C}
    assert site.summary()[B] == "skipped"


def test_other_settings_make_every_page_new_work_and_every_page_changed(published: Site) -> None:
    published.settings('[dimensions.constants]\nlanguage = "de"')
    published.publish()
    assert published.sent() == {A: "changed", B: "changed", C: "changed"}
    assert published.store.page(A)["extraction"]["dimensions"] == {"language": "de"}


def test_an_ignored_part_of_the_page_gives_no_content(published: Site) -> None:
    assert "All about a." in published.store.text(A)
    published.settings(ignore='["main p"]')
    published.publish()
    assert published.store.text(A) == "Page a A watch"


def test_settings_that_change_no_page_send_none(published: Site) -> None:
    published.settings("[upload]\nconcurrency = 2")
    before = published.store
    published.publish()
    assert published.store == before


def test_an_unknown_setting_names_the_nearest_one(site: Site) -> None:
    site.settings("[upload]\nconcurency = 3")
    run = site.doit("upload")
    assert run.status == 2
    assert "unknown key in [upload]: `concurency`. Did you mean `concurrency`?" in run.said


def test_pages_in_folders_keep_their_folders(site: Site) -> None:
    site.page("local/rolex-repair")
    site.publish()
    assert "dist/local/rolex-repair.html" in site.store.pages
    assert (site / ".nimbus/maps/dist/local/rolex-repair.html.json").is_file()


def test_a_source_folder_in_a_hidden_one_keeps_its_pages_where_no_map_changes(site: Site) -> None:
    """As VitePress and Nuxt build: the maps are in a hidden folder too."""
    site.settings(folder='"docs/.vitepress/dist"')
    pages = {f"docs/.vitepress/dist/{name}.html" for name in "abc"}
    for page in pages:
        site.write(page, html(f"All about {page}."))
    assert site.publish().said.count("Uploaded: ") == 3
    before = site.store
    for page in pages:
        os.utime(site / page, (1, 1))
    assert "0 maps changed, 3 pages in all" in site.publish().out
    assert site.store == before
    assert before.active == pages

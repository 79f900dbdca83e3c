"""`doit watch`: from a save to the store, again and again, whatever happens."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest
from deadlines import wait_until
from kit import Site, html
from watch_kit import STATUS, cycles, until_status, watching

if TYPE_CHECKING:
    from pathlib import Path

A, B, C, D = (f"dist/{name}.html" for name in "abcd")
BROKEN = "<html><body><main><p>No title.</p></main></body></html>"


def test_the_first_run_publishes_what_is_there(site: Site) -> None:
    with watching(site) as watch:
        assert "sent 3 (3 new): dist/a.html, dist/b.html, dist/c.html" in cycles(watch)[0]
        assert site.store.active == {A, B, C}


def test_with_nothing_to_send_the_first_run_says_so(published: Site) -> None:
    with watching(published) as watch:
        assert "nothing" in cycles(watch)[0]


def test_a_save_is_stored_and_told_in_one_line_with_its_time(published: Site) -> None:
    with watching(published) as watch:
        published.page("b", "Edited.")
        line = watch.until("sent")
        assert re.fullmatch(r"\d\d:\d\d:\d\d → sent 1 \(1 changed\): dist/b\.html in \d+ ms", line)
        assert "Edited." in published.store.text(B)
        wait_until(lambda: published.summary() == {A: "unchanged", B: "stored", C: "unchanged"})


def test_a_burst_of_saves_is_one_cycle(published: Site) -> None:
    with watching(published) as watch:
        for name in "abc":
            published.page(name, "Edited.")
        assert "sent 3 (3 changed)" in watch.until("sent")


def test_pages_come_go_and_come_back(published: Site) -> None:
    with watching(published) as watch:
        published.page("d")
        assert "1 new" in watch.until("sent")
        content = (published / C).read_text()
        published.remove(C)
        assert "1 removed" in watch.until("sent")
        published.write(C, content)
        assert "1 new" in watch.until("sent")
        assert published.store.active == {A, B, C, D}
        assert sorted(published.store.queue) == [A, B, C, D]


def test_an_invalid_page_is_told_once_and_the_watch_goes_on(published: Site) -> None:
    with watching(published) as watch:
        published.write(B, BROKEN)
        watch.until("b.html.json - ")
        published.page("a", "Edited.")
        watch.until("dist/a.html")
        published.page("b", "Mended.")
        watch.until("dist/b.html")
        assert sum("b.html.json - " in line for line in watch.lines) == 1
        assert "Mended." in published.store.text(B)


def test_a_page_that_breaks_again_is_told_again(published: Site) -> None:
    with watching(published) as watch:
        for text in ("Once.", "Twice."):
            published.write(B, BROKEN)
            watch.until("b.html.json - ")
            published.page("b", text)
            watch.until("dist/b.html")


def test_what_the_pipeline_writes_itself_starts_no_further_cycle(published: Site) -> None:
    with watching(published) as watch:
        published.page("a", "Edited.")
        watch.until("dist/a.html")
        published.page("b", "Edited.")
        watch.until("dist/b.html")
        assert watch.interrupt() == 0
        assert len(cycles(watch)) == 3


def test_a_source_folder_that_a_build_makes_anew_is_watched_again(published: Site) -> None:
    with watching(published) as watch:
        shutil.rmtree(published / "dist")
        watch.until("The source folder `dist` does not exist")
        assert published.store.active == {A, B, C}
        published.write("new/a.html", html("Built anew.", "Page a"))
        (published / "new/b.html").write_text(html("All about b.", "Page b"))
        (published / "new/c.html").write_text(html("All about c.", "Page c"))
        (published / "new").rename(published / "dist")
        assert "sent 1 (1 changed): dist/a.html" in watch.until("sent")
        published.page("b", "Edited after that.")
        watch.until("dist/b.html")


def test_other_settings_take_effect_at_once(published: Site) -> None:
    with watching(published) as watch:
        published.settings('[dimensions.constants]\nlanguage = "de"')
        assert "sent 3 (3 changed)" in watch.until("sent")


def test_wrong_settings_are_told_and_the_watch_goes_on(published: Site) -> None:
    right = (published / ".nimbus/project.toml").read_text()
    with watching(published) as watch:
        published.write(".nimbus/project.toml", right + "\n[uplaod]\n")
        watch.until("unknown table: `uplaod`. Did you mean `upload`?")
        published.write(".nimbus/project.toml", right)
        published.page("a", "Edited.")
        watch.until("dist/a.html")


def test_another_source_folder_is_watched_from_then_on(published: Site) -> None:
    published.write("public/x.html", html("Text.", "Page x"))
    with watching(published, f"--status={STATUS}") as watch:
        published.settings(folder='"public"')
        watch.until("👀 Watching public from now on. Pages that only dist has count as gone after a short rest.")
        watch.until("public/x.html")
        assert until_status(published, lambda status: status["sent"] == 1)["source"] == "public"
        published.write("public/y.html", html("Text.", "Page y"))
        watch.until("public/y.html")
        assert "Pages whose source is gone stay as they are: 3 of 5" in watch.until("source is gone")


def test_maps_of_other_tools_are_watched_too(published: Site) -> None:
    with watching(published) as watch:
        published.map("other")
        watch.until("src/other.njk")


def test_a_session_shares_one_batch(site: Site) -> None:
    with watching(site) as watch:
        for name in "ab":
            site.page(name, "Edited.")
            watch.until(f"dist/{name}.html in")
        (batch,) = site.store.batches.values()
        assert batch["page_count"] == 3


def test_a_failure_in_a_cycle_is_told_and_the_watch_goes_on(published: Site) -> None:
    published.write(
        "dodo.py",
        """\
from nimbus_tasks import *
from nimbus_tasks.pipeline import upload as uploading

upload = uploading.Uploader.upload

def fail_once(*arguments, **options):
    uploading.Uploader.upload = upload
    raise RuntimeError("the disk is on fire")

uploading.Uploader.upload = fail_once
""",
    )
    published.page("a", "Edited.")
    with published.start("watch") as watch:
        watch.until("RuntimeError: the disk is on fire")
        published.page("b", "Edited.")
        watch.until("dist/b.html")
        assert published.sent() == {A: "changed", B: "changed"}


def test_ctrl_c_ends_it_well_and_says_what_was_sent(published: Site) -> None:
    batches = set(published.store.batches)
    with watching(published) as watch:
        published.page("a", "Edited.")
        watch.until("dist/a.html")
        assert watch.interrupt() == 0
        (batch,) = set(published.store.batches) - batches
        summary = rf"👀 Watch ended after \d+ s: 1 page sent, 0 removed in 2 cycles, 0 problems, {batch}"
        assert re.fullmatch(summary, watch.lines[-1])
        assert "Traceback" not in "\n".join(watch.lines)


def test_an_upload_beside_a_watch_is_safe(published: Site) -> None:
    with watching(published) as watch:
        published.page("d")
        watch.until("dist/d.html")
        published.publish()
        assert published.store.uploads(D) == 1


@pytest.mark.parametrize("debounce", ["-5", "60001"])
def test_a_debounce_that_is_no_time_is_refused_in_one_line(tmp_path: Path, debounce: str) -> None:
    run = Site.with_pages(tmp_path, "a").doit("watch", f"--debounce={debounce}")
    assert run.status == 2
    assert run.out == f"❌ --debounce={debounce} must be 0 to 60000 milliseconds.\n"
    assert not run.err

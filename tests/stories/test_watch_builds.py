"""`doit watch` beside a generator at work: bursts, half-written pages, folders made anew."""

from __future__ import annotations

import shutil
import threading
from typing import TYPE_CHECKING

from kit import Site, html
from watch_kit import cycles, watching

if TYPE_CHECKING:
    from pathlib import Path

    from kit import Running

A, B, C = (f"dist/{name}.html" for name in "abc")
#: Longer than the debounce of these stories, so that a watch that did not wait would have begun.
PAUSE = 0.3


def pause() -> None:
    """Let a generator think: this is what is tested, there is nothing to wait for."""
    threading.Event().wait(PAUSE)


def fence(site: Site, watch: Running, name: str = "fence") -> None:
    """Save one more page, and wait until it is stored: all that came before has been seen."""
    site.page(name)
    watch.until(f"dist/{name}.html in")


def test_a_generator_that_writes_all_pages_as_they_were_sends_nothing(tmp_path: Path) -> None:
    site = Site.with_pages(tmp_path, *(f"page-{number}" for number in range(300)))
    site.publish()
    with watching(site) as watch:
        for number in range(300):
            site.page(f"page-{number}")
        fence(site, watch)
        assert [line for line in cycles(watch)[1:] if "fence" not in line] == []
        assert site.sent() == {"dist/fence.html": "new"}


def test_a_page_that_is_written_in_pieces_is_waited_for(published: Site) -> None:
    content = html("Edited, and long enough for three pieces.", "Page a").encode()
    third = len(content) // 3
    with watching(published, "--debounce=50") as watch:
        with (published / A).open("wb", buffering=0) as page:
            for piece in (content[:third], content[third : 2 * third], content[2 * third :]):
                page.write(piece)
                pause()
        assert "sent 1 (1 changed): dist/a.html" in watch.until("sent")
        assert len(cycles(watch)) == 2
    assert "long enough for three pieces" in published.store.text(A)
    assert published.store.uploads(A) == 2


def test_a_page_that_is_empty_for_a_moment_stays_as_it_was(published: Site) -> None:
    with watching(published, "--debounce=50") as watch:
        (published / A).write_bytes(b"")
        pause()
        fence(published, watch)
        assert published.store.active == {A, B, C, "dist/fence.html"}
        published.page("a", "Written at last.")
        watch.until("dist/a.html")
        assert published.store.uploads(A) == 2
    assert not any("removed" in line or "skipped" in line for line in watch.lines)


def test_a_page_that_is_removed_and_written_again_is_a_change(published: Site) -> None:
    with watching(published) as watch:
        published.remove(A)
        pause()
        published.page("a", "Written anew.")
        assert "(1 changed)" in watch.until("dist/a.html")
        published.remove(B)
        assert "(1 removed): dist/b.html" in watch.until("removed")


def test_a_renamed_page_is_new_at_once_and_gone_after_a_rest(published: Site) -> None:
    with watching(published) as watch:
        (published / A).rename(published / "dist/z.html")
        assert "(1 new): dist/z.html" in watch.until("sent")
        assert A in published.store.active
        assert "(1 removed): dist/a.html" in watch.until("sent")
        assert published.store.active == {B, C, "dist/z.html"}


def test_a_folder_that_is_moved_takes_its_pages_along(published: Site) -> None:
    published.write("dist/old/x.html", html("Text.", "Page x"))
    published.publish()
    with watching(published) as watch:
        (published / "dist/old").rename(published / "dist/new")
        assert "(1 new): dist/new/x.html" in watch.until("sent")
        assert "(1 removed): dist/old/x.html" in watch.until("sent")
        published.write("dist/new/x.html", html("Edited.", "Page x"))
        watch.until("(1 changed): dist/new/x.html")


def test_a_build_that_begins_by_removing_its_folder_marks_no_page_as_gone(published: Site) -> None:
    with watching(published, "--debounce=50") as watch:
        shutil.rmtree(published / "dist")
        pause()
        (published / "dist").mkdir()
        pause()
        for name in "abc":
            published.page(name)
            pause()
        published.page("a", "The only page that is different now.")
        assert "sent 1 (1 changed): dist/a.html" in watch.until("sent")
        fence(published, watch)
        assert published.store.active == {A, B, C, "dist/fence.html"}
        assert watch.interrupt() == 0
    assert not any("removed)" in line for line in watch.lines)


def test_a_generator_that_never_rests_is_published_all_the_same(published: Site) -> None:
    with watching(published, "--debounce=400") as watch:
        over = threading.Event()

        def write() -> None:
            number = 0
            while not over.wait(0.1):
                published.page("a", f"Written {(number := number + 1)} times.")

        writer = threading.Thread(target=write)
        writer.start()
        try:
            assert "dist/a.html" in watch.until("sent")
        finally:
            over.set()
            writer.join()


def test_a_map_of_another_tool_that_is_half_written_is_waited_for(published: Site) -> None:
    published.map("other")
    whole = (published / ".nimbus/maps/other.json").read_bytes()
    (published / ".nimbus/maps/other.json").unlink()
    with watching(published, "--debounce=50") as watch:
        with (published / ".nimbus/maps/other.json").open("wb", buffering=0) as file:
            file.write(whole[:40])
            pause()
            file.write(whole[40:])
        watch.until("src/other.njk")
    assert not any("❌" in line for line in watch.lines)

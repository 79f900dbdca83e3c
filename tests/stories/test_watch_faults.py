"""`doit watch` when something is wrong: invalid pages, settings, a store that goes away and comes back."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from edge.fake import Fake
from kit import Site
from remote import QUICK, Cloudflare
from watch_kit import STATUS, cycles, until_status, watching

if TYPE_CHECKING:
    from pathlib import Path

A, B = "dist/a.html", "dist/b.html"
BROKEN = "<html><body><main><p>No title.</p></main></body></html>"


def test_an_invalid_page_is_told_once_and_told_when_it_is_mended(published: Site) -> None:
    with watching(published) as watch:
        published.write(B, BROKEN)
        watch.until("❌ .nimbus/maps/dist/b.html.json - ")
        published.page("a", "Edited.")
        watch.until("dist/a.html in")
        published.page("b", "Mended.")
        watch.until("✅ Fixed: .nimbus/maps/dist/b.html.json")
        watch.until("dist/b.html in")
    assert sum("❌" in line for line in watch.lines) == 1


def test_settings_that_cannot_be_read_leave_the_old_ones_in_force(published: Site) -> None:
    right = (published / ".nimbus/project.toml").read_text()
    with watching(published) as watch:
        published.write(".nimbus/project.toml", right + "\n[upload\n")
        assert "project.toml" in watch.until("❌")
        published.page("a", "Edited under the old settings.")
        watch.until("dist/a.html in")
        published.write(".nimbus/project.toml", right + '\n[dimensions.constants]\nlanguage = "de"\n')
        watch.until("✅ Fixed: .nimbus/project.toml")
        watch.until("sent 3 (3 changed)")
    assert sum("❌" in line for line in watch.lines) == 1


def test_a_session_goes_on_in_a_new_batch_when_one_is_full(tmp_path: Path) -> None:
    site = Site.with_pages(tmp_path, "a", settings="[upload]\nmax_pages_per_batch = 2\n")
    with watching(site) as watch:
        for name in "bcd":
            site.page(name)
            watch.until(f"dist/{name}.html in")
        assert watch.interrupt() == 0
        assert [batch["page_count"] for batch in site.store.batches.values()] == [2, 2]
        assert all(batch in watch.lines[-1] for batch in site.store.batches)


def test_what_a_lost_store_did_not_take_is_sent_when_it_is_back_without_a_further_save(tmp_path: Path) -> None:
    site = Site.with_pages(tmp_path, "a", "b", settings=QUICK)
    with Fake() as fake:
        port = int(fake.url.split(":")[2].split("/")[0])
        with watching(site, **Cloudflare(fake).environment) as watch:
            fake.kill()
            site.page("a", "Saved while the store was away.")
            watch.until("❌")
            with Fake(port=port, token=fake.token) as again:
                watch.until("✅ Uploads work again")
                watch.until(" ms")
                assert "Saved while the store was away." in Cloudflare(again).holds().text(A)
            assert watch.interrupt() == 0
    assert sum("❌" in line for line in watch.lines) == 1


def test_a_locked_store_is_waited_for(published: Site) -> None:
    with watching(published, f"--status={STATUS}") as watch:
        with contextlib.closing(sqlite3.connect(published / ".nimbus/kv.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            published.page("a", "Saved while the store was locked.")
            until_status(published, lambda status: status["state"] == "working")
            other.execute("ROLLBACK")
        watch.until("dist/a.html in")
    assert published.store.uploads(A) == 2
    assert not any("❌" in line for line in watch.lines)


def test_a_store_that_cannot_be_opened_is_tried_again_until_it_can(published: Site) -> None:
    store = published / ".nimbus/kv.db"
    with watching(published) as watch:
        for name in ("kv.db-wal", "kv.db-shm"):
            (published / ".nimbus" / name).unlink(missing_ok=True)
        store.rename(published / "kept.db")
        store.mkdir()
        published.page("a", "Saved while there was no store.")
        watch.until("❌")
        store.rmdir()
        (published / "kept.db").rename(store)
        watch.until("✅ Uploads work again")
        assert "sent 1 (1 changed): dist/a.html" in watch.until("sent")
        assert len(cycles(watch)) == 2

"""Everything known about one page."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from filled import BATCH, ENDED_AT, PROJECT, UPLOADED, Filled, run
from msgspec import UNSET

from nimbus_tasks.batches.page_detail import PageDetail, Place, place_in, read_page
from nimbus_tasks.model import keys
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.model.page_map import content_digest
from nimbus_tasks.model.records import LogEntry, LogsRecord, PageRecord, QueueEntry, QueueRecord
from nimbus_tasks.project import settings
from nimbus_tasks.project.manifest import PageEntry, Pages
from nimbus_tasks.publishing.ledger import LEDGER_FILE, Ledger
from nimbus_tasks.publishing.plan import Held

PATH = "dist/a.html"
ID = keys.page_id(PROJECT, PATH)
CONTENT = {"engine": "html", "head": {"title": "A"}}
DIGEST = content_digest({"path": PATH} | CONTENT)


@pytest.fixture
def filled() -> Filled:
    made = Filled()
    made.batch("queued", **{ID[5:]: "uploaded"})
    extraction = msgspec.Raw(msgspec.json.encode(CONTENT))
    made.put(keys.page_key(PROJECT, ID), PageRecord(ID, PROJECT, BATCH, PATH, UPLOADED, extraction))
    made.put(keys.logs_key(PROJECT, ID), LogsRecord(ID, [LogEntry(ENDED_AT, "info", "upload", "stored")]))
    return made


def here(*paths: str, digest: str = DIGEST) -> Pages:
    entries = {f"{path}.json": PageEntry((1, 1, 1), path, keys.page_id(PROJECT, path), digest, 10) for path in paths}
    return Pages(PROJECT, entries=entries)


def detail(filled: Filled, path: str = PATH, pages: Pages | None = None) -> PageDetail:
    return run(read_page(filled.target, pages or here(PATH), path))


def test_a_page_that_waits_has_a_place_a_batch_and_the_same_content(filled: Filled) -> None:
    page = detail(filled)
    assert (page.page_id, page.source_path, page.uploaded) == (ID, PATH, UPLOADED)
    assert page.digest.here == page.digest.there == DIGEST
    assert page.queue == Place(1, 1, 5, UPLOADED, 0)
    assert page.status is not UNSET
    assert page.status.status == "uploaded"
    assert page.batch is not UNSET
    assert page.batch.page is not UNSET
    assert (page.batch.batch_id, page.batch.status, page.batch.page.status) == (BATCH, "queued", "uploaded")
    assert [entry.message for entry in page.log_entries] == ["stored"]


@pytest.mark.parametrize("pages", [Pages(), here(PATH)])
@pytest.mark.parametrize("name", [ID, f"./{PATH}", "a.html", "./a.html", "/a.html"])
def test_a_page_goes_by_other_names_too(filled: Filled, name: str, pages: Pages) -> None:
    name = str(Path(PATH).absolute()) if name == "/a.html" else name
    filled.target.settings = settings.parse(f'[project]\nid = "{PROJECT}"\n[source]\nfolder = "dist"\n', {})
    assert detail(filled, name, pages).source_path == PATH


def test_the_optimisation_does_not_change_the_digest(filled: Filled) -> None:
    record = filled.read(keys.page_key(PROJECT, ID), PageRecord)
    record.optimization = msgspec.Raw(b'{"completed": "t", "model": "rules", "changes": 2, "confidence": 1.0}')
    filled.put(keys.page_key(PROJECT, ID), record)
    page = json.loads(msgspec.json.encode(detail(filled)))
    assert page["optimization"]["model"] == "rules"
    assert page["digest"]["there"] == DIGEST, "what was optimised is not what was extracted"


def test_a_page_that_was_never_sent_has_a_digest_here_only(filled: Filled) -> None:
    page = detail(filled, "dist/new.html", here(PATH, "dist/new.html", digest="9"))
    assert json.loads(msgspec.json.encode(page)) == {
        "page_id": keys.page_id(PROJECT, "dist/new.html"),
        "source_path": "dist/new.html",
        "digest": {"here": "9"},
        "log_entries": [],
    }


def test_a_page_that_is_gone_here_is_known_from_the_target(filled: Filled) -> None:
    page = detail(filled, pages=Pages())
    assert (page.source_path, page.digest.here, page.digest.there) == (PATH, UNSET, DIGEST)


def test_a_page_with_a_only_a_status_is_known(filled: Filled) -> None:
    del filled.store.values[keys.page_key(PROJECT, ID)]
    page = detail(filled, ID, Pages())
    assert (page.source_path, page.uploaded) == (UNSET, UNSET)
    assert page.batch is not UNSET
    assert page.batch.batch_id == BATCH


def test_a_batch_that_does_not_name_the_page_is_named_still(filled: Filled) -> None:
    filled.batch("queued", b="uploaded")
    page = detail(filled)
    assert page.batch is not UNSET
    assert page.batch.page is UNSET


def test_an_unknown_path_is_an_error_that_names_the_nearest(filled: Filled) -> None:
    ledger = Ledger(Path(LEDGER_FILE), "sqlite")
    ledger.begin(f"{filled.store.identity} {PROJECT}")
    ledger.confirm([Held("page_1", "dist/about/a.html", "1", BATCH, UPLOADED, "queued")])
    ledger.close()
    with pytest.raises(SettingsError) as caught:
        detail(filled, "dist/ab.html")
    assert caught.value.message == "There is no page dist/ab.html, here or at the target."
    assert caught.value.next_step == "Nearest: dist/a.html, dist/about/a.html."


def test_where_no_page_is_known_the_next_step_is_an_upload() -> None:
    with pytest.raises(SettingsError, match="doit upload"):
        run(read_page(Filled().target, Pages(), "dist/a.html"))


def test_a_page_must_be_named(filled: Filled) -> None:
    with pytest.raises(SettingsError, match="Name a page with --path"):
        detail(filled, "")


def test_a_record_that_cannot_be_read_is_left_out(filled: Filled) -> None:
    filled.put(keys.page_key(PROJECT, ID), {"page_id": ID})
    assert detail(filled).uploaded is UNSET


def test_the_queue_is_in_the_order_in_which_pages_are_taken() -> None:
    entries = [
        QueueEntry("page_old", BATCH, 5, "2026-01-01", 0),
        QueueEntry("page_new", BATCH, 5, "2026-01-03", 2),
        QueueEntry("page_retried", BATCH, 8, "2026-01-04", 1),
        QueueEntry("page_mid", BATCH, 5, "2026-01-02", 0),
    ]
    queue = QueueRecord(entries)
    places = {entry.page_id: place_in(queue, entry.page_id) for entry in entries}
    assert [each.place for each in places.values() if each] == [2, 4, 1, 3]
    assert places["page_new"] == Place(4, 4, 5, "2026-01-03", 2)
    assert place_in(queue, "page_other") is None

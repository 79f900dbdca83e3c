"""Which batches there are: from the target's listing, and from the ledger what that does not show."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filled import BATCH, OTHER, PROJECT, UPLOADED, Filled, run

from nimbus_tasks.backends.kv import Traits
from nimbus_tasks.batches.listing import batch_to_change, find_batch, find_current, get_batch, list_batches
from nimbus_tasks.batches.page_states import page_total
from nimbus_tasks.cli.console import Console
from nimbus_tasks.cli.messages.batches import batch_status
from nimbus_tasks.model.errors import NimbusError, SettingsError
from nimbus_tasks.model.keys import batch_key
from nimbus_tasks.model.records import BatchRecord, BatchSummary
from nimbus_tasks.publishing.ledger import LEDGER_FILE, Ledger
from nimbus_tasks.publishing.plan import Held

if TYPE_CHECKING:
    from collections.abc import Iterator

NEWEST = "batch_20260104_030405"


@pytest.fixture
def filled() -> Filled:
    return Filled()


@pytest.fixture
def ledger(filled: Filled) -> Iterator[Ledger]:
    """A ledger that speaks of the target."""
    made = Ledger(Path(LEDGER_FILE), "sqlite")
    made.begin(f"{filled.store.identity} {PROJECT}")
    yield made
    made.close()


def held(name: str, batch_id: str = NEWEST) -> Held:
    return Held(f"page_{name}", f"src/{name}.njk", "1", batch_id, UPLOADED, "queued")


def ids(filled: Filled) -> list[str]:
    return [batch.batch_id for batch in run(list_batches(filled.target)).batches]


# --- the list -----------------------------------------------------------------------------------------


def test_a_project_without_batches_has_none(filled: Filled) -> None:
    assert run(list_batches(filled.target)).batches == []


def test_the_newest_comes_first(filled: Filled) -> None:
    for batch_id in (BATCH, NEWEST, OTHER):
        filled.batch("queued", batch_id)
    assert ids(filled) == [NEWEST, OTHER, BATCH]


def test_a_batch_is_listed_with_its_counts(filled: Filled) -> None:
    filled.batch("processing", a="done", b="failed", c="uploaded")
    [batch] = run(list_batches(filled.target)).batches
    assert (batch.batch_id, batch.status, batch.page_count) == (BATCH, "processing", 3)
    assert (batch.summary.completed, batch.summary.failed, batch.summary.pending) == (1, 1, 1)


def test_what_is_no_batch_of_ours_is_not_listed(filled: Filled) -> None:
    filled.batch("queued")
    filled.put(f"batch:{PROJECT}:notes", {"written": "by hand"})
    filled.put("batch:proj_ffffffffffff:batch_20260105_030405", {})
    assert ids(filled) == [BATCH]


def test_a_batch_that_is_being_uploaded_is_known_from_the_ledger(filled: Filled, ledger: Ledger) -> None:
    filled.batch("queued")
    ledger.open_batch(NEWEST, UPLOADED)
    ledger.confirm([held("a"), held("b")])
    assert ids(filled) == [NEWEST, BATCH]
    batch = run(find_batch(filled.target, NEWEST))
    assert (batch.status, batch.page_count, batch.summary.pending) == ("uploading", 2, 2)


def announce(filled: Filled, pages: int) -> None:
    """Fill in the record of a batch whose upload is under way."""
    summary = BatchSummary(completed=0, failed=0, pending=pages, average_time_ms=0)
    filled.put(batch_key(PROJECT, NEWEST), BatchRecord(NEWEST, PROJECT, UPLOADED, pages, "uploading", {}, summary))


def test_a_batch_that_another_machine_uploads_is_shown_with_its_number_of_pages(filled: Filled) -> None:
    announce(filled, 7)
    [listed] = run(list_batches(filled.target)).batches
    assert (listed.status, listed.page_count, listed.summary.pending) == ("uploading", 7, 7)
    batch = run(find_current(filled.target, ""))
    assert (batch.status, page_total(batch), batch.summary.pending) == ("uploading", 7, 7)
    screen = io.StringIO()
    batch_status(Console(screen), batch, {})
    assert "Pages: 7\n" in screen.getvalue()
    assert "Pending: 7\n" in screen.getvalue()
    assert "0/7\n" in screen.getvalue()
    with pytest.raises(SettingsError, match="still being uploaded"):
        run(batch_to_change(filled.target, NEWEST))


def test_of_an_upload_from_here_the_ledger_knows_more_than_the_record(filled: Filled, ledger: Ledger) -> None:
    announce(filled, 1)
    ledger.open_batch(NEWEST, UPLOADED)
    ledger.confirm([held("a"), held("b")])
    [listed] = run(list_batches(filled.target)).batches
    assert (listed.status, listed.page_count) == ("uploading", 2)
    assert set(run(find_batch(filled.target, NEWEST)).pages) == {"page_a", "page_b"}


def test_a_record_says_more_than_the_ledger(filled: Filled, ledger: Ledger) -> None:
    filled.batch("processing", a="done")
    ledger.open_batch(BATCH, UPLOADED)  # more pages are on their way
    assert run(find_batch(filled.target, BATCH)).status == "processing"


def test_a_batch_that_is_gone_from_the_target_is_not_listed(filled: Filled, ledger: Ledger) -> None:
    ledger.open_batch(NEWEST, UPLOADED)
    ledger.close_batch(NEWEST)
    assert ids(filled) == []


def test_a_ledger_that_speaks_of_another_target_is_not_asked(filled: Filled, ledger: Ledger) -> None:
    ledger.open_batch(NEWEST, UPLOADED)
    ledger.confirm([held("a")])
    ledger.begin("another store")
    assert ids(filled) == []
    assert run(filled.target.paths(["page_a"])) == {}


def test_where_nothing_can_be_listed_the_ledger_knows_its_own() -> None:
    filled = Filled(Traits(lists=False))
    with_ledger = Ledger(Path(LEDGER_FILE), "sqlite")
    with_ledger.begin(f"{filled.store.identity} {PROJECT}")
    with_ledger.open_batch(BATCH, UPLOADED)
    with_ledger.close()
    filled.batch("queued")
    filled.batch("queued", OTHER)
    found = run(list_batches(filled.target))
    assert ([batch.batch_id for batch in found.batches], found.complete) == ([BATCH], False)
    assert not [call for call, _ in filled.store.calls if call == "names"]


# --- one of them --------------------------------------------------------------------------------------


def test_the_newest_is_found_where_none_is_named(filled: Filled, ledger: Ledger) -> None:
    for batch_id in (BATCH, OTHER):
        filled.batch("queued", batch_id)
    ledger.open_batch(NEWEST, UPLOADED)
    ledger.close_batch(NEWEST)  # it is gone from the target
    assert run(find_batch(filled.target, "")).batch_id == OTHER


@pytest.mark.parametrize(
    "name", ["batch_20260102_030406", "batch_", "../../etc/passwd", "batch_20260102_030405x", "é" * 600]
)
def test_an_unknown_batch_is_an_error_with_the_nearest_ids(filled: Filled, name: str) -> None:
    filled.batch("queued")
    filled.batch("queued", OTHER)
    with pytest.raises(SettingsError) as caught:
        run(find_batch(filled.target, name))
    assert caught.value.message == f"There is no batch {name}."
    assert BATCH in caught.value.next_step
    assert caught.value.exit_status == 2


@pytest.mark.parametrize("name", ["", BATCH])
def test_without_any_batch_the_next_step_is_an_upload(filled: Filled, name: str) -> None:
    with pytest.raises(SettingsError, match="doit upload"):
        run(find_batch(filled.target, name))


def test_what_is_to_be_changed_must_be_named(filled: Filled) -> None:
    with pytest.raises(SettingsError, match="There is none yet"):
        run(batch_to_change(filled.target, ""))
    filled.batch("queued")
    with pytest.raises(SettingsError, match=f"Name a batch with --batch. Newest: {BATCH}"):
        run(batch_to_change(filled.target, ""))
    assert run(batch_to_change(filled.target, BATCH)).batch_id == BATCH


def test_what_is_still_being_uploaded_cannot_be_changed(filled: Filled, ledger: Ledger) -> None:
    ledger.open_batch(NEWEST, UPLOADED)
    with pytest.raises(SettingsError, match=r"still being uploaded\. .*doit upload resumes"):
        run(batch_to_change(filled.target, NEWEST))


def test_a_record_of_another_shape_is_one_line(filled: Filled) -> None:
    filled.put(f"batch:{PROJECT}:{BATCH}", {"batch_id": 7})
    with pytest.raises(NimbusError, match=f"batch:{PROJECT}:{BATCH} at the target cannot be read"):
        run(get_batch(filled.target, BATCH))


# --- paths --------------------------------------------------------------------------------------------


def test_paths_come_from_the_ledger_and_else_from_the_records(filled: Filled, ledger: Ledger) -> None:
    ledger.confirm([held("a"), Held("page_b", "", "1", NEWEST, UPLOADED, "queued")])
    filled.batch("queued", a="uploaded", b="uploaded", c="uploaded")
    filled.store.calls.clear()
    found = run(filled.target.paths(["page_a", "page_b", "page_c", "page_d"]))
    assert found == {"page_a": "src/a.njk", "page_b": "dist/b.html", "page_c": "dist/c.html"}
    assert not [keys for _, keys in filled.store.calls if f"page:{PROJECT}:page_a" in keys]

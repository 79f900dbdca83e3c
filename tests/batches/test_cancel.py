"""What has not been processed stops; what is done stays done."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import pytest
from filled import BATCH, ENDED_AT, OTHER, PROJECT, UPLOADED, Filled, run
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from nimbus_tasks.backends.kv import Swap, Traits
from nimbus_tasks.batches.cancel import Cancelled, cancel
from nimbus_tasks.model.errors import RefusedError, SettingsError, StoreError
from nimbus_tasks.model.keys import batch_key, status_key
from nimbus_tasks.model.records import BatchState, PageState, PageStatus, QueueEntry, Result, StatusError
from nimbus_tasks.model.states import ENDED_BATCHES

STORES = [Traits(), Traits(atomic=False, lists=False)]


@pytest.fixture(params=STORES, ids=["atomic", "classic"])
def filled(request: pytest.FixtureRequest) -> Filled:
    return Filled(request.param)


def stop(filled: Filled) -> Cancelled:
    return run(cancel(filled.target, filled.find()))


def test_what_waits_or_is_in_work_stops(filled: Filled) -> None:
    filled.batch("processing", a="done", b="processing", c="uploaded", d="queued", e="failed")
    filled.queue(QueueEntry("page_x", OTHER, 5, UPLOADED, 0))
    assert stop(filled) == Cancelled(BATCH, "cancelled", 3, 2, {})
    expected = {"a": "done", "b": "cancelled", "c": "cancelled", "d": "cancelled", "e": "failed"}
    assert filled.statuses() == filled.in_batch() == expected
    assert filled.queued == {"x"}, "other batches wait on"
    summary = filled.find().summary
    assert (summary.completed, summary.failed, summary.pending) == (1, 1, 0)


@pytest.mark.parametrize("state", sorted(ENDED_BATCHES))
def test_a_batch_that_has_ended_says_so(filled: Filled, state: BatchState) -> None:
    filled.batch(state, a="done")
    before = filled.snapshot()
    with pytest.raises(SettingsError, match=f"is {state} already"):
        stop(filled)
    assert filled.snapshot() == before


def test_a_page_that_was_done_before_its_batch_knew_is_not_touched(filled: Filled) -> None:
    filled.batch("processing", a="processing", b="processing", c="uploaded")
    status = PageStatus("done", BATCH, ENDED_AT, result=Result(ENDED_AT, True, 1, 1.0))
    filled.put(status_key(PROJECT, "page_a"), status)
    error = StatusError("no answer", "timeout", ENDED_AT)
    filled.put(status_key(PROJECT, "page_b"), PageStatus("failed", BATCH, ENDED_AT, error=error))
    stop(filled)
    assert filled.read(status_key(PROJECT, "page_a"), PageStatus) == status
    assert filled.in_batch() == {"a": "done", "b": "failed", "c": "cancelled"}
    pages = filled.find().pages
    assert (pages["page_a"].completed, pages["page_b"].error) == (ENDED_AT, "no answer")


def test_a_page_that_finishes_in_the_same_moment_stays_done() -> None:
    filled = Filled(Traits())
    filled.batch("processing", a="processing")
    batch = filled.find()

    def finish(_: str) -> None:
        filled.store.meddle = lambda _: None
        filled.status("page_a", "done")

    filled.store.meddle = finish
    assert run(cancel(filled.target, batch)).pages == 0
    assert filled.statuses() == filled.in_batch() == {"a": "done"}
    assert filled.state() == "completed"


def test_a_page_that_was_uploaded_again_goes_on_in_its_new_batch(filled: Filled) -> None:
    filled.batch("queued", a="uploaded", b="uploaded")
    filled.status("page_a", "uploaded", OTHER)
    filled.put(f"queue:{PROJECT}", {"items": []})
    filled.queue(QueueEntry("page_a", OTHER, 5, UPLOADED, 0), QueueEntry("page_b", BATCH, 5, UPLOADED, 0))
    stop(filled)
    assert filled.statuses() == {"a": "uploaded", "b": "cancelled"}
    assert filled.in_batch() == {"a": "cancelled", "b": "cancelled"}, "in this batch it is not processed"
    later = {page_id: page.superseded_by for page_id, page in filled.find().pages.items()}
    assert later == {"page_a": OTHER, "page_b": UNSET}
    assert filled.queued == {"a"}


def test_a_page_without_a_status_gets_one_that_keeps_workers_off(filled: Filled) -> None:
    filled.batch("queued", a="uploaded")
    del filled.store.values[status_key(PROJECT, "page_a")]
    stop(filled)
    assert filled.statuses() == {"a": "cancelled"}


def test_a_source_that_is_gone_is_told_to_the_batch(filled: Filled) -> None:
    filled.batch("queued", a="uploaded", b="uploaded")
    filled.status("page_a", "inactive")
    stop(filled)
    assert filled.in_batch() == {"a": "inactive", "b": "cancelled"}


def test_a_worker_that_tells_the_batch_meanwhile_is_not_undone(filled: Filled) -> None:
    filled.batch("processing", a="processing", b="uploaded")
    key = batch_key(PROJECT, BATCH)
    batch = filled.find()

    def finish(changed: str) -> None:
        if changed == key and filled.in_batch()["a"] == "processing":
            told = filled.find()
            told.pages["page_a"].status = "done"
            filled.put(key, told)

    filled.store.meddle = finish
    run(cancel(filled.target, batch))
    assert filled.in_batch() == {"a": "done", "b": "cancelled"}


def test_a_refused_status_keeps_its_page_and_the_batch_open(filled: Filled) -> None:
    filled.store.traits = Traits(atomic=False)
    filled.batch("processing", a="uploaded", b="uploaded")
    filled.store.refuse[status_key(PROJECT, "page_a")] = "too much"
    assert stop(filled) == Cancelled(BATCH, "processing", 1, 0, {"page_a": "too much"})
    assert (filled.queued, filled.in_batch()) == ({"a"}, {"a": "uploaded", "b": "cancelled"})


def test_a_status_that_the_store_refuses_to_exchange_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    filled = Filled(Traits())
    filled.batch("processing", a="uploaded", b="uploaded")
    swap = filled.store.swap

    async def refuse(swaps: Sequence[Swap]) -> frozenset[str]:
        if any(each.key == status_key(PROJECT, "page_a") for each in swaps):
            raise RefusedError("It will not have that.")
        return await swap(swaps)

    monkeypatch.setattr(filled.store, "swap", refuse)
    assert stop(filled).refused == {"page_a": "It will not have that."}
    assert filled.statuses() == {"a": "uploaded", "b": "cancelled"}


def test_cancel_gives_up_a_record_that_never_holds_still(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nimbus_tasks.backends.kv.records.LONGEST_PAUSE", 0.0)
    filled.batch("queued", a="uploaded")
    batch = filled.find()
    filled.store.meddle = lambda key: filled.status("page_y", "done") or filled.queue() or _stir(filled, key)
    with pytest.raises(StoreError, match=r"was changed by others 20 times in a row"):
        run(cancel(filled.target, batch))


def _stir(filled: Filled, key: str) -> None:
    filled.store.values[key] += b" "


def test_a_cancel_writes_the_pages_before_the_batch(filled: Filled) -> None:
    filled.batch("queued", a="uploaded", b="uploaded")
    stop(filled)
    assert sorted(set(filled.writes), key=filled.writes.index) == ["status", "queue", "logs", "batch"]


@given(
    st.lists(st.sampled_from(["uploaded", "queued", "processing", "done", "failed"]), min_size=1, max_size=7),
    st.integers(1, 40),
    st.sampled_from(STORES),
)
def test_killed_anywhere_the_next_run_goes_on(states: list[PageState], call: int, traits: Traits) -> None:
    filled = Filled(traits)
    filled.batch("processing", **{f"p{number}": state for number, state in enumerate(states)})
    ended = {"done", "failed"}
    expected = {f"p{n}": state if state in ended else "cancelled" for n, state in enumerate(states)}
    batch = filled.find()
    filled.store.fail_at = len(filled.store.calls) + call
    with contextlib.suppress(StoreError):
        run(cancel(filled.target, batch))
    filled.store.fail_at = 0
    if filled.state() not in ENDED_BATCHES:
        stop(filled)
    assert filled.statuses() == filled.in_batch() == expected
    assert filled.queued == set()
    assert filled.state() in ENDED_BATCHES

"""From a page record to what an optimiser is given, and errors that carry what became of a page."""

from __future__ import annotations

import asyncio
import pickle
from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec import Raw

from nimbus_tasks.model.errors import StoreError, TransientError
from nimbus_tasks.model.page_map import Block
from nimbus_tasks.model.records import PageRecord, QueueEntry
from nimbus_tasks.processing.optimise import Change, Optimised, Page
from nimbus_tasks.processing.optimise.attempt import RecordOptimiser, attempt, failure_of, page_of
from nimbus_tasks.processing.optimise.errors import HaltError, PermanentError, TemporaryError
from nimbus_tasks.processing.queue import Claim, Taken

if TYPE_CHECKING:
    from collections.abc import Callable


def record(extraction: bytes) -> PageRecord:
    return PageRecord(
        "page_0123456789ab", "proj_0123456789ab", "batch_20240902_134500", "dist/a.html", "2024", Raw(extraction)
    )


def test_blocks_come_in_document_order_with_the_head_and_the_tone() -> None:
    extraction = {
        "engine": "html",
        "main_selector": "main",
        "head": {"title": "Watches"},
        "above_fold_blocks": [{"id": "block-0", "type": "h1", "content": "Repair", "attributes": {"id": "a"}}],
        "rest_of_page_blocks": [{"id": "block-1", "type": "p", "content": "Words", "ours": 1}],
        "selector_map": {},
        "unknown": [1],
    }
    page = page_of(record(msgspec.json.encode(extraction)), "friendly")
    assert page.blocks == (Block("block-0", "h1", "Repair", {"id": "a"}), Block("block-1", "p", "Words"))
    assert (page.page_id, page.source_path, page.head) == ("page_0123456789ab", "dist/a.html", {"title": "Watches"})
    assert (page.main_selector, page.tone) == ("main", "friendly")


def test_a_block_that_could_be_taken_for_the_head_is_left_out() -> None:
    blocks = [{"id": name, "type": "p", "content": "Words"} for name in ("title", "metaDescription", "x")]
    extraction = {"head": {}, "above_fold_blocks": blocks, "rest_of_page_blocks": []}
    assert [block.id for block in page_of(record(msgspec.json.encode(extraction))).blocks] == ["x"]


@pytest.mark.parametrize("extraction", [b'{"head": 1}', b'{"head": {}, "rest_of_page_blocks": "text"}'])
def test_a_record_that_cannot_be_read_fails_for_good(extraction: bytes) -> None:
    with pytest.raises(PermanentError) as raised:
        page_of(record(extraction))
    assert raised.value.code == "unreadable_page"
    assert "page_0123456789ab" in str(raised.value)


def test_errors_say_whether_another_try_can_help() -> None:
    later, never = TemporaryError("timeout", "Too slow.", "Wait."), PermanentError("bad_answer", "Nonsense.")
    assert isinstance(later, TransientError)
    assert (failure_of(later).code, failure_of(later).final) == ("timeout", False)
    assert (failure_of(never).code, failure_of(never).final) == ("bad_answer", True)


def test_errors_survive_another_process() -> None:
    halt = HaltError("spend_cap", "Spent.", "Raise it.")
    for error in (TemporaryError("timeout", "Too slow.", "Wait."), PermanentError("bad_answer", "Nonsense."), halt):
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), copy.code, str(copy)) == (type(error), error.code, str(error))


def test_a_change_leaves_out_a_type_that_stays() -> None:
    change = Change("block-0", "p", "a  b", "a b", "Why.")
    assert msgspec.json.decode(msgspec.json.encode(change)) == {
        "id": "block-0",
        "type": "p",
        "content": "a  b",
        "optimized_content": "a b",
        "reason": "Why.",
    }


class Failing:
    """An optimiser that raises an error for each page."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.closed = False

    async def optimise(self, page: Page) -> Optimised:
        raise self.error

    async def close(self) -> None:
        self.closed = True


EMPTY = record(b'{"head": {}, "above_fold_blocks": [], "rest_of_page_blocks": []}')
TAKEN = Taken(Claim(QueueEntry(EMPTY.page_id, EMPTY.batch_id)), EMPTY, b"{}", "2024", "2024")


@pytest.mark.parametrize(
    ("error", "code"),
    [(TemporaryError("timeout", "Too slow."), "timeout"), (ZeroDivisionError("a bug"), "internal")],
)
def test_an_error_of_the_optimiser_is_the_failure_of_one_page(error: Exception, code: str) -> None:
    tried = asyncio.run(attempt(TAKEN, RecordOptimiser(Failing(error), "friendly")))
    assert tried.failure
    assert tried.failure.code == code
    assert "a bug" not in tried.failure.message


class Here:
    """Stands in for the child processes: the work is done at once, in this one."""

    def __init__(self, work: Callable[[bytes], bytes], cpu_seconds: float, most: int) -> None:
        self.run_one = work
        self.size = most
        assert cpu_seconds > most

    async def start(self) -> None:
        """Do nothing: there is no process."""

    async def run(self, message: bytes) -> bytes:
        return self.run_one(message)

    def close(self) -> None:
        self.run_one = bytes


class Pure(Failing):
    """An optimiser that depends on nothing but the page."""

    def improve(self, page: Page) -> Optimised:
        if self.error.args:
            raise self.error
        return Optimised((Change("block-0", "p", page.tone, "b", "Why."),), 1.0, "pure")


@pytest.mark.parametrize(("error", "code"), [(ValueError(), ""), (ValueError("a bug"), "internal")])
def test_work_in_a_child_process_answers_with_changes_or_a_failure(
    error: Exception, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nimbus_tasks.processing.optimise.attempt.CpuPool", Here)
    optimise = RecordOptimiser(Pure(error), "friendly")
    assert optimise.at_a_time > 1  # the others wait in the child, which then need not wait for this process
    asyncio.run(optimise.start())
    tried = asyncio.run(attempt(TAKEN, optimise))
    asyncio.run(optimise.close())
    assert (tried.failure.code if tried.failure else "") == code
    assert [change.content for change in tried.optimisation.changes] == ["friendly"] if tried.optimisation else code
    assert bool(tried.digest) is not bool(code)


@pytest.mark.parametrize("error", [HaltError("quota", "No credit.", "Pay."), StoreError("The cache is gone.")])
def test_an_error_that_every_page_would_meet_is_raised(error: Exception) -> None:
    with pytest.raises(type(error)):
        asyncio.run(attempt(TAKEN, RecordOptimiser(Failing(error), "friendly")))


def test_the_optimiser_is_closed_with_its_wrapper() -> None:
    optimiser = Failing(ValueError())
    asyncio.run(RecordOptimiser(optimiser, "friendly").close())
    assert optimiser.closed

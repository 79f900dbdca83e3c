"""What attempts promise: a file fails alone, a lost answer stores nothing twice, and an end. In virtual time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import virtual_time

from nimbus_tasks.backends.blobs import Blob, BlobStore, Held, Location, Page, read_back
from nimbus_tasks.backends.blobs.retry import RetryBlobStore
from nimbus_tasks.backends.kv.pacing import Pace, Pacing
from nimbus_tasks.model.errors import RefusedError, StoreError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nimbus_tasks.backends.blobs import OnSent

pytestmark = pytest.mark.usefixtures("_virtual_clock")

BLOB = Blob(Path("a.png"), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 0, "image/png")
THERE = Location("https://cdn.example/a", verified="checksum")
HELD = Held(BLOB.sha256, 0, THERE)


@pytest.fixture(scope="module")
def _virtual_clock() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        virtual_time.replace_clock(monkeypatch, "nimbus_tasks.backends.kv.pacing")
        yield


class Scripted(BlobStore):
    """A store with one error for each call, and then none. `keeps`: whether a put stores the file all the same."""

    identity = "scripted"

    def __init__(self, *errors: Exception, keeps: bool = False) -> None:
        self.errors = list(errors)
        self.keeps = keeps
        self.calls: list[str] = []
        self.moments: list[float] = []
        self.held = False
        self.closed = False

    async def open(self) -> None:
        self._next("open")

    async def put(self, blob: Blob, sent: OnSent = lambda _: None) -> Location:
        sent(7)
        self.held = self.held or self.keeps
        self._next("put")
        self.held = True
        return THERE

    async def find(self, blob: Blob) -> Location | None:
        self.calls.append("find")
        return THERE if self.held else None

    async def read_at(self, held: Held, start: int) -> bytes:
        self._next("read")
        return b""

    async def page(self, cursor: str = "") -> Page:
        self._next("page")
        return Page((HELD,))

    async def remove(self, held: Held) -> None:
        self._next("remove")

    async def close(self) -> None:
        self.closed = True

    def _next(self, call: str) -> None:
        self.calls.append(call)
        self.moments.append(virtual_time.monotonic() - virtual_time.BEGINNING)
        if self.errors:
            raise self.errors.pop(0)


class Watched(RetryBlobStore):
    """Notes retries and waits."""

    def __init__(self, store: BlobStore, tries: int = 3, give_up_after: int = 100) -> None:
        self.waits: list[tuple[float, str]] = []
        self.retries: list[tuple[int, int, str]] = []
        pace = Pace(Pacing(4, give_up_after=give_up_after), lambda seconds, why: self.waits.append((seconds, why)))
        super().__init__(store, pace, tries, 0.5, lambda *told: self.retries.append(told))


def busy(wait: float | None = None, *, progressed: bool = False) -> TransientError:
    error = TransientError.after(wait, "It is busy.")
    error.progressed = progressed
    return error


async def use(store: BlobStore, call: str) -> object:
    match call:
        case "open":
            return await store.open()
        case "put":
            return await store.put(BLOB)
        case "read":
            return await read_back(store, BLOB, THERE)
        case "page":
            return [each async for each in store.list()]
        case _:
            return await store.remove(HELD)


CALLS = ["open", "put", "read", "page", "remove"]


@pytest.mark.parametrize("call", CALLS)
def test_every_call_is_repeated_until_it_succeeds(call: str) -> None:
    store = Scripted(busy(), busy())
    watched = Watched(store)
    assert virtual_time.run(use(watched, call)) in (None, THERE, True, [HELD])
    assert [each for each in store.calls if each != "find"] == [call] * 3
    assert watched.retries == [(1, 3, "It is busy."), (2, 3, "It is busy.")]
    assert 0 < store.moments[2] < 2


@pytest.mark.parametrize("call", CALLS)
def test_attempts_end_and_say_how_many(call: str) -> None:
    store = Scripted(*[busy() for _ in range(9)])
    with pytest.raises(StoreError, match=r"It is busy\. \(tried 3 times\)") as raised:
        virtual_time.run(use(Watched(store), call))
    assert len(store.moments) == 3
    # One file's failure is its own; a store that does not open or list fails as a whole.
    assert isinstance(raised.value, TransientError) == (call not in ("open", "page"))


@pytest.mark.parametrize("error", [RefusedError("No."), StoreError("Closed.")])
def test_what_a_retry_does_not_change_is_not_repeated(error: StoreError) -> None:
    store = Scripted(error)
    with pytest.raises(type(error)) as raised:
        virtual_time.run(use(Watched(store), "put"))
    assert raised.value is error
    assert store.calls == ["put"]


def test_a_wait_that_the_store_asks_for_is_obeyed_by_all_files() -> None:
    store = Scripted(busy(60))
    watched = Watched(store)

    async def two() -> None:
        await watched.put(BLOB)
        await watched.put(BLOB)

    virtual_time.run(two())
    assert watched.waits == [(60, "It is busy.")]
    assert store.moments[1] >= 60


def test_a_put_whose_answer_was_lost_is_not_sent_again() -> None:
    store = Scripted(busy(), keeps=True)
    sent: list[int] = []

    async def work() -> Location:
        return await Watched(store).put(BLOB, sent.append)

    assert virtual_time.run(work()) == THERE
    assert store.calls == ["put", "find"]
    assert sum(sent) == BLOB.size


def test_bytes_that_are_sent_again_are_counted_once() -> None:
    sent: list[int] = []

    async def work() -> None:
        await Watched(Scripted(busy(), busy())).put(BLOB, sent.append)

    virtual_time.run(work())
    assert sent == [7, -7, 7, -7, 7]


def test_attempts_begin_again_after_progress() -> None:
    store = Scripted(*[busy(progressed=True) for _ in range(20)])
    virtual_time.run(use(Watched(store, give_up_after=5), "put"))
    assert store.calls.count("put") == 21


def test_after_many_failures_in_a_row_nothing_more_is_sent() -> None:
    store = Scripted(*[busy() for _ in range(99)])

    async def work() -> list[type[BaseException]]:
        watched, ended = Watched(store, give_up_after=5), []
        for _ in range(4):
            with pytest.raises(StoreError) as raised:
                await watched.put(BLOB)
            ended.append(raised.type)
        return ended

    assert virtual_time.run(work()) == [TransientError, StoreError, StoreError, StoreError]
    assert store.calls.count("put") == 5


def test_leaving_closes() -> None:
    store: Any = Scripted()

    async def work() -> None:
        async with Watched(store) as opened:
            assert opened.identity == "scripted"

    virtual_time.run(work())
    assert store.closed

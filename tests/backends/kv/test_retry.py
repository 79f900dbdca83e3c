"""What trying again promises: nothing lost, nothing believed that was not confirmed, and an end. In virtual time."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import virtual_time
from backends.kv.memory import MemoryStore
from hypothesis import given
from hypothesis import strategies as st

from nimbus_tasks.backends.attempts import LONGEST_BACKOFF
from nimbus_tasks.backends.kv import VALUE_BYTES, Limits, Names, Stored, Swap, Traits, Write
from nimbus_tasks.backends.kv.pacing import Pace, Pacing
from nimbus_tasks.backends.kv.retry import UNANSWERED, RetryStore
from nimbus_tasks.model.errors import (
    RefusedError,
    StoreError,
    TooMuchError,
    TooSlowError,
    TransientError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence

    Answer = Callable[[Sequence[Write]], Stored | None]

pytestmark = pytest.mark.usefixtures("_virtual_clock")


@pytest.fixture(scope="module")
def _virtual_clock() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        virtual_time.replace_clock(monkeypatch, "nimbus_tasks.backends.kv.pacing")
        yield


@pytest.fixture
def _dice() -> Iterator[None]:
    state = random.getstate()
    yield
    random.setstate(state)


class Scripted(MemoryStore):
    """A store whose answers are scripted, one a call; after the script it does what it is asked.

    An entry is an error to raise, a set of keys to be sent again, or a function of the writes that raises, answers, or
    returns None where the store is to do what it is asked.
    """

    def __init__(self, *script: Any) -> None:
        super().__init__(Limits(pairs=100, bytes=100_000, keys=100), Traits(lag=7))
        self.script = list(script)
        self.always: Answer = lambda _: None
        self.puts: list[str] = []
        self.moments: list[float] = []

    async def open(self) -> None:
        self._next([])

    async def put(self, writes: Sequence[Write]) -> Stored:
        self.puts.append("".join(write.key for write in writes))
        self.moments.append(virtual_time.monotonic() - virtual_time.BEGINNING)
        answer = self._next(writes)
        if isinstance(answer, Stored):
            return answer
        again: set[str] = answer or set()
        stored = await super().put([write for write in writes if write.key not in again])
        failed = {write.key: "not just now" for write in writes if write.key in again}
        return Stored(stored.confirmed, stored.failed | failed, frozenset(failed))

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        self._next([Write(key, b"") for key in keys])
        return await super().get(keys)

    async def names(self, prefix: str, cursor: str = "") -> Names:
        self._next([])
        return await super().names(prefix, cursor)

    async def swap(self, swaps: Sequence[Swap]) -> frozenset[str]:
        self._next([])
        return await super().swap(swaps)

    def _next(self, writes: Sequence[Write]) -> Any:
        answer = self.script.pop(0) if self.script else self.always
        if callable(answer):
            answer = answer(writes)
        if isinstance(answer, Exception):
            raise answer
        return answer


def too_much_above(most: int, error: Exception | None = None) -> Answer:
    def answer(writes: Sequence[Write]) -> Stored | None:
        if len(writes) > most:
            raise error or TooMuchError("Too large.")
        return None

    return answer


def blames(key: str, error: Exception) -> Answer:
    def answer(writes: Sequence[Write]) -> Stored | None:
        if any(write.key == key for write in writes):
            raise error
        return None

    return answer


def steady(store: MemoryStore, tries: int = 3, retry_wait: float = 0.5, **pacing: Any) -> RetryStore:
    return RetryStore(store, Pace(Pacing(**{"give_up_after": 100, **pacing})), tries, retry_wait)


def writes(keys: str, value: str = "v") -> list[Write]:
    return [Write(key, f"{value}{key}".encode()) for key in keys]


def put(store: Scripted, keys: str, **steadiness: Any) -> Stored:
    stored = virtual_time.run(steady(store, **steadiness).put(writes(keys)))
    assert all(store.values[key] == f"v{key}".encode() for key in stored.confirmed), "it is there"
    return stored


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return virtual_time.run(coroutine)


BUSY = TransientError("Busy.")
SLOW = TooSlowError("Slow.")


# --- tries --------------------------------------------------------------------------------------------


def test_a_successful_request_is_sent_once() -> None:
    store = Scripted()
    assert put(store, "abc") == Stored(("a", "b", "c"))
    assert store.puts == ["abc"]


def test_what_fails_is_tried_again_with_all_its_writes() -> None:
    store = Scripted(BUSY, BUSY)
    assert put(store, "abc") == Stored(("a", "b", "c"))
    assert store.puts == ["abc"] * 3


@pytest.mark.parametrize(("tries", "times"), [(1, "once"), (2, "2 times"), (5, "5 times")])
def test_after_its_tries_a_write_has_failed_and_says_so(tries: int, times: str) -> None:
    store = Scripted(*[BUSY] * 9)
    stored = put(store, "ab", tries=tries)
    assert stored == Stored((), dict.fromkeys("ab", f"Busy. (tried {times})"))
    assert store.puts == ["ab"] * tries


def test_each_put_has_tries_of_its_own() -> None:
    store = Scripted(BUSY, BUSY, set(), BUSY, BUSY, set())
    kept = steady(store)

    async def both() -> list[Stored]:
        return [await kept.put(writes("a")), await kept.put(writes("b"))]

    assert run(both()) == [Stored(("a",)), Stored(("b",))]
    assert store.puts == ["a"] * 3 + ["b"] * 3


def test_only_what_is_to_be_sent_again_is_sent_again() -> None:
    store = Scripted({"b", "d"}, {"d"})
    assert put(store, "abcd") == Stored(("a", "c", "b", "d"))
    assert store.puts == ["abcd", "bd", "d"]


def test_what_was_confirmed_stays_so_when_the_rest_has_failed() -> None:
    store = Scripted({"b"}, BUSY, {"b"})
    stored = put(store, "abc")
    assert stored == Stored(("a", "c"), {"b": "not just now (tried 3 times)"})
    assert store.puts == ["abc", "b", "b"]


def test_what_a_store_refuses_for_good_is_not_sent_again() -> None:
    store = Scripted({"b"})
    store.refuse["a"] = "I do not like it"
    assert put(store, "abc") == Stored(("c", "b"), {"a": "I do not like it"})
    assert store.puts == ["abc", "b"]


def test_an_answer_that_got_lost_does_no_harm() -> None:
    store = Scripted()

    def stores_and_hangs_up(asked: Sequence[Write]) -> Stored:
        store.values |= {write.key: write.value for write in asked}
        raise BUSY

    store.script = [stores_and_hangs_up]
    assert put(store, "ab") == Stored(("a", "b"))


def test_a_write_that_the_answer_does_not_mention_is_sent_again() -> None:
    store = Scripted(lambda _: Stored(("a",)))
    store.values["a"] = b"va"
    assert put(store, "abc") == Stored(("a", "b", "c"))
    assert store.puts == ["abc", "bc"]


def test_a_write_that_no_answer_mentions_fails() -> None:
    store = Scripted()
    store.always = lambda _: Stored(())
    assert put(store, "ab") == Stored((), dict.fromkeys("ab", f"{UNANSWERED} (tried 3 times)"))


def test_a_confirmed_key_that_was_not_sent_is_ignored() -> None:
    store = Scripted(lambda _: Stored(("a", "x"), {"y": "no"}))
    store.values["a"] = b"va"
    assert put(store, "a") == Stored(("a",))


def test_what_is_both_confirmed_and_failed_has_failed() -> None:
    store = Scripted(lambda _: Stored(("a",), {"a": "no"}))
    assert put(store, "a") == Stored((), {"a": "no"})


def test_what_is_confirmed_and_yet_to_be_sent_again_is_sent_again() -> None:
    store = Scripted(lambda _: Stored(("a",), {"a": "not just now"}, frozenset("a")))
    assert put(store, "a") == Stored(("a",))
    assert store.puts == ["a", "a"]


# --- what is not sent at all --------------------------------------------------------------------------


def test_what_kv_would_refuse_is_not_sent() -> None:
    store = Scripted()
    bad = [Write("", b"x"), Write("large", b"x" * (VALUE_BYTES + 1)), Write("data", b"x", b"x" * 2000)]
    stored = run(steady(store).put([*bad, *writes("a"), Write("bytes", b"\xff")]))
    assert stored.confirmed == ("a",)
    assert set(stored.failed) == {"", "large", "data", "bytes"}
    assert "is not UTF-8 text" in stored.failed["bytes"]
    assert store.puts == ["a"]


@pytest.mark.parametrize("asked", [[], [Write("..", b"x")]], ids=["nothing", "nothing good"])
def test_without_a_valid_write_no_request_is_made(asked: list[Write]) -> None:
    store = Scripted(BUSY)
    assert run(steady(store).put(asked)).confirmed == ()
    assert run(steady(store).get([])) == {}
    assert (store.puts, store.script) == ([], [BUSY])


def test_of_two_values_of_a_key_the_later_one_is_stored_and_confirmed_once() -> None:
    store = Scripted()
    stored = run(steady(store).put([*writes("ab", "early"), *writes("a", "late")]))
    assert stored == Stored(("a", "b"))
    assert (store.puts, store.values["a"]) == (["ab"], b"latea")


# --- too much at once ---------------------------------------------------------------------------------


def test_what_is_too_large_is_cut_in_halves_until_it_fits() -> None:
    store = Scripted()
    store.always = too_much_above(2)
    assert put(store, "abcdefg") == Stored(tuple("abcdefg"))
    assert store.puts == ["abcdefg", "abc", "a", "bc", "defg", "de", "fg"]


@pytest.mark.parametrize("error", [TooMuchError("Too large."), RefusedError("Bad request.")])
def test_the_one_write_that_is_to_blame_fails_alone(error: StoreError) -> None:
    store = Scripted()
    store.always = blames("e", error)
    stored = put(store, "abcdefgh")
    assert stored == Stored(tuple("abcdfgh"), {"e": error.message})
    assert store.puts.count("e") == 1, "it was refused, so it is not tried again"


def test_that_a_request_was_too_large_is_no_try_of_what_was_in_it() -> None:
    store = Scripted()
    store.always = too_much_above(1)
    assert put(store, "abcd", tries=1) == Stored(tuple("abcd"))


def test_tries_that_were_used_up_before_a_request_was_too_large_are_not_given_back() -> None:
    store = Scripted(BUSY, TooMuchError("Too large."), BUSY, BUSY, BUSY, BUSY)
    stored = put(store, "ab", tries=3)
    assert not stored.confirmed
    assert store.puts == ["ab", "ab", "a", "a", "b", "b"], "one try of both, two of each"


def test_what_takes_too_long_is_cut_in_halves_and_alone_it_is_tried_again() -> None:
    store = Scripted()
    store.always = too_much_above(1, SLOW)
    assert put(store, "abcd", tries=1) == Stored(tuple("abcd"))
    store = Scripted(SLOW, SLOW)
    assert put(store, "a") == Stored(("a",))
    assert store.puts == ["a"] * 3
    store = Scripted(*[SLOW] * 3)
    assert put(store, "a") == Stored((), {"a": "Slow. (tried 3 times)"})


def test_what_is_left_of_a_request_is_cut_not_all_of_it() -> None:
    store = Scripted({"b", "c"}, TooMuchError("Too large."))
    assert put(store, "abcd") == Stored(tuple("adbc"))
    assert store.puts == ["abcd", "bc", "b", "c"]


# --- when the store as a whole cannot answer ----------------------------------------------------------


def test_what_was_confirmed_before_the_end_is_not_lost_over_it() -> None:
    store = Scripted(too_much_above(2), set(), StoreError("The key was revoked.", "Make another."))
    stored = put(store, "abcd")
    assert stored == Stored(("a", "b"), dict.fromkeys("cd", "The key was revoked. Make another."))


def test_what_was_confirmed_of_the_very_request_that_met_the_end_is_kept_too() -> None:
    store = Scripted({"b"}, StoreError("The key was revoked."))
    assert put(store, "ab") == Stored(("a",), {"b": "The key was revoked."})


def test_where_nothing_was_confirmed_the_error_is_raised() -> None:
    store = Scripted(StoreError("The key was revoked.", "Make another."))
    with pytest.raises(StoreError, match=r"^The key was revoked\. Make another\.$"):
        put(store, "ab")
    assert store.puts == ["ab"], "it is not tried again"


def test_after_many_requests_without_an_answer_it_ends_before_the_tries_do() -> None:
    store = Scripted(*[BUSY] * 9)
    with pytest.raises(StoreError, match="4 consecutive requests failed"):
        put(store, "ab", tries=9, give_up_after=4)
    assert len(store.puts) == 4


# --- waits --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_dice")
def test_each_wait_is_of_a_random_length_and_may_be_twice_as_long_as_the_one_before() -> None:
    longest = [0.0] * 9
    for seed in range(60):
        random.seed(seed)
        store = Scripted(*[BUSY] * 9)
        put(store, "a", tries=10, retry_wait=2.0)
        waits = [later - earlier for earlier, later in zip(store.moments, store.moments[1:], strict=False)]
        longest = [max(pair) for pair in zip(longest, waits, strict=True)]
    bounds = [2.0, 4.0, 8.0, 16.0, *[LONGEST_BACKOFF] * 5]
    assert all(bound * 0.8 < wait <= bound for wait, bound in zip(longest, bounds, strict=True))


@pytest.mark.usefixtures("_dice")
def test_where_the_store_says_how_long_that_is_waited_and_no_more() -> None:
    for seed in range(20):
        random.seed(seed)
        store = Scripted(TransientError.after(3, "Busy."))
        put(store, "a", retry_wait=20)
        assert store.moments == [0, 3]


@pytest.mark.usefixtures("_dice")
def test_what_is_sent_again_waits_too() -> None:
    random.seed(1)
    store = Scripted({"a"})
    put(store, "a", retry_wait=5)
    assert 0 < store.moments[1] <= 5


def test_each_retry_is_reported_and_neither_the_last_failure_nor_a_wait_that_the_store_asks_for() -> None:
    told: list[tuple[int, int, str]] = []

    def observed(*script: Any) -> RetryStore:
        return RetryStore(Scripted(*script), Pace(Pacing()), 3, 0.5, lambda *retry: told.append(retry))

    run(observed(BUSY, BUSY, BUSY).put(writes("a")))
    assert told == [(1, 3, "Busy."), (2, 3, "Busy.")]
    told.clear()
    run(observed(TransientError.after(3, "Busy.")).put(writes("a")))
    run(observed().put(writes("a")))
    assert told == []


# --- reading ------------------------------------------------------------------------------------------


def held(*script: Any) -> Scripted:
    store = Scripted(*script)
    store.values = {key: key.encode() for key in "abcdefg"}
    store.metadata = dict.fromkeys(store.values, b"")
    return store


def test_reads_are_tried_again() -> None:
    assert run(steady(held(BUSY, BUSY)).get(["a", "x"])) == {"a": b"a"}
    assert [each.key for each in run(steady(held(BUSY, BUSY)).names("c")).found] == ["c"]
    assert run(steady(held(BUSY, BUSY)).swap([Swap("a", b"a", b"new")]))
    assert run(steady(held(BUSY, BUSY)).open()) is None


def test_each_read_has_tries_of_its_own_and_says_when_they_are_spent() -> None:
    calls: list[Callable[[RetryStore], Coroutine[Any, Any, Any]]] = [
        lambda store: store.get(["a"]),
        lambda store: store.names(""),
        lambda store: store.swap([Swap("a", None, b"")]),
        lambda store: store.open(),
    ]
    for call in calls:
        store = held(*[BUSY] * 4)
        with pytest.raises(StoreError) as caught:
            run(call(steady(store)))
        assert str(caught.value) == "Busy. (tried 3 times) Check the network and the target's address."
        assert not isinstance(caught.value, TransientError), "nobody is to try that again"
        assert len(store.script) == 1


def test_a_read_whose_answer_is_too_large_is_split() -> None:
    store = held()
    store.always = too_much_above(2)
    assert run(steady(store).get(list("abcdefg"))) == {key: key.encode() for key in "abcdefg"}
    assert [len(keys) for call, keys in store.calls if call == "get"] == [1, 2, 2, 2]


def test_a_single_value_that_is_too_large_is_an_error() -> None:
    store = held()
    store.always = too_much_above(0)
    with pytest.raises(TooMuchError, match="Too large"):
        run(steady(store).get(["a", "b"]))


def test_a_refused_read_is_not_retried() -> None:
    store = held(RefusedError("Bad request."), BUSY)
    with pytest.raises(RefusedError, match=r"^Bad request\.$"):
        run(steady(store).get(["a", "b"]))
    assert store.script == [BUSY]


def test_what_is_behind_it_is_what_it_says_of_itself() -> None:
    store = Scripted()
    kept = steady(store)
    assert (kept.limits, kept.traits) == (store.limits, store.traits)
    assert (kept.identity, kept.owner) == ("memory:1", "user_memory")


def test_it_is_closed_with_what_is_behind_it_and_whatever_went_before() -> None:
    closed = []

    class Closing(Scripted):
        async def close(self) -> None:
            closed.append(True)

    run(steady(Closing()).close())
    assert closed == [True]


# --- any script of faults -----------------------------------------------------------------------------

KEYS = "abcdefgh"
SOME = st.sets(st.sampled_from(KEYS))
FAULTS = st.one_of(
    st.just(None),
    st.tuples(st.just("busy"), st.sampled_from([None, 0.0, 3.0])),
    st.tuples(st.just("lost"), SOME),  # these were stored, then the connection broke
    st.tuples(st.just("again"), SOME),
    st.tuples(st.just("left out"), SOME),
    st.tuples(st.just("too much"), st.integers(0, 4)),
    st.tuples(st.just("slow"), st.integers(0, 4)),
    st.tuples(st.just("refused"), st.sampled_from(KEYS)),
    st.tuples(st.just("end"), st.none()),
)


class Faulty(Scripted):
    """Answers by a script of faults, and counts how often each write was really sent."""

    def __init__(self, faults: Sequence[Any]) -> None:
        super().__init__()
        self.faults = list(faults)
        self.tried: Counter[str] = Counter()

    async def put(self, asked: Sequence[Write]) -> Stored:
        kind, fact = (self.faults.pop(0) if self.faults else None) or ("well", None)
        keys = [write.key for write in asked]
        if (kind in ("too much", "slow") and len(asked) > fact) or (kind == "refused" and fact in keys):
            if len(asked) == 1 and kind == "slow":
                self.tried.update(keys)
            raise SLOW if kind == "slow" else TooMuchError("Too large.") if kind == "too much" else RefusedError("No.")
        self.tried.update(keys)
        if kind == "busy":
            raise TransientError.after(fact, "Busy.")
        if kind == "end":
            raise StoreError("It is over.")
        skipped = fact if kind in ("again", "left out") else set()
        reached = [write for write in asked if (write.key in fact if kind == "lost" else write.key not in skipped)]
        self.values |= {write.key: write.value for write in reached}
        if kind == "lost":
            raise BUSY
        failed = dict.fromkeys(skipped.intersection(keys), "not now") if kind == "again" else {}
        return Stored(tuple(write.key for write in reached), failed, frozenset(failed))


@given(st.lists(FAULTS, max_size=25), st.text(KEYS, max_size=12), st.integers(1, 4))
def test_whatever_goes_wrong_each_write_is_confirmed_and_there_or_has_failed(
    faults: list[Any], keys: str, tries: int
) -> None:
    store = Faulty(faults)
    asked = [Write(key, f"{place}".encode()) for place, key in enumerate(keys)]
    latest = {write.key: write.value for write in asked}
    try:
        stored = run(steady(store, tries).put(asked))
    except StoreError as error:
        assert error.message == "It is over."
    else:
        assert Counter(stored.confirmed) + Counter(stored.failed.keys()) == Counter(latest.keys())
        assert {key: store.values.get(key) for key in stored.confirmed} == {
            key: latest[key] for key in stored.confirmed
        }
        assert all(stored.failed.values()), "and says why"
        assert not stored.again, "there is nothing that a caller had to try again"
    assert all(value == latest[key] for key, value in store.values.items()), "no earlier value is sent"
    assert max(store.tried.values(), default=0) <= tries


@given(st.lists(FAULTS, max_size=25), SOME.filter(bool))
def test_a_store_that_is_well_again_takes_all_that_failed(faults: list[Any], keys: set[str]) -> None:
    store = Faulty(faults)
    asked = writes("".join(sorted(keys)))

    async def until_all_is_there() -> None:
        kept = steady(store, 2, give_up_after=1000)
        left = asked
        for _ in range(len(faults) + 2):
            try:
                stored = await kept.put(left)
            except StoreError:
                continue
            left = [write for write in left if write.key in stored.failed]
        assert not left

    run(until_all_is_there())
    assert store.values == {write.key: write.value for write in asked}

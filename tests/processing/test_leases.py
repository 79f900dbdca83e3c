"""Leases: a page has one worker, whatever two connections do and however long one of them is silent."""

from __future__ import annotations

import itertools
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from rig import LATER, NEWER, PAGES, A, B, C, entry

from nimbus_tasks.processing.leases import REMEMBERED_SECONDS, Leases
from nimbus_tasks.project.heal import StateWarning

if TYPE_CHECKING:
    from collections.abc import Iterator

LEASE = 60.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def two(tmp_path: Path, clock: Clock) -> Iterator[tuple[Leases, Leases]]:
    pair = tuple(Leases(tmp_path / "claims.db", "here", LEASE, clock=clock) for _ in range(2))
    yield pair[0], pair[1]
    for each in pair:
        each.close()


def test_a_claimed_page_is_not_handed_out_again(two: tuple[Leases, Leases]) -> None:
    one, other = two
    assert one.take([entry(A), entry(B)], 1) == [entry(A)]
    assert other.take([entry(A), entry(B), entry(C)], 5) == [entry(B), entry(C)]
    assert (one.held(PAGES), other.held(PAGES)) == ({A}, {B, C})


def test_a_lease_that_expires_frees_the_page(two: tuple[Leases, Leases], clock: Clock) -> None:
    one, other = two
    one.take([entry(A)], 1)
    clock.now += LEASE - 0.1
    assert other.take([entry(A)], 1) == []
    clock.now += 0.1
    assert one.held([A]) == set()
    assert other.take([entry(A)], 1) == [entry(A)]
    one.renew()
    one.end([entry(A)])
    one.release([A])
    assert other.held([A]) == {A}


def test_an_expired_lease_is_renewed_if_nobody_took_the_page(two: tuple[Leases, Leases], clock: Clock) -> None:
    one, other = two
    one.take([entry(A), entry(B), entry(C)], 3)
    one.release([C], begun=True)
    clock.now += 10 * LEASE
    other.take([entry(B)], 1)
    one.renew()
    assert (one.held(PAGES), other.held(PAGES)) == ({A}, {B})


def test_a_thread_renews_leases_while_other_work_goes_on(tmp_path: Path) -> None:
    one, other = (Leases(tmp_path / "claims.db", "here", 3) for _ in range(2))
    with one.renewing(), sqlite3.connect(tmp_path / "claims.db") as looking:
        one.take([entry(A)], 1)
        ends: set[float] = set()
        while len(ends) < 3:  # takes the processor, and never gives way
            assert other.take([entry(A)], 1) == []
            ends |= {until for (until,) in looking.execute("SELECT until FROM claim")}
    looking.close()
    one.close()
    other.close()


def test_renewals_keep_a_lease(two: tuple[Leases, Leases], clock: Clock) -> None:
    one, other = two
    one.take([entry(A)], 1)
    for _ in range(10):
        clock.now += LEASE / 2
        one.renew()
        assert other.take([entry(A)], 1) == []
    assert one.held([A]) == {A}


def test_a_page_that_has_ended_is_not_taken_again_from_an_old_copy_of_the_queue(
    two: tuple[Leases, Leases], clock: Clock
) -> None:
    one, other = two
    one.take([entry(A)], 1)
    one.end([entry(A)])
    assert other.take([entry(A)], 1) == []
    # Requeued, retried by an operator or uploaded anew, it is another entry.
    for newer in (entry(A, attempts=1), entry(A, queued_at=LATER), entry(A, NEWER)):
        assert other.take([newer], 1) == [newer]
        other.release([A])
        one.take([entry(A)], 1)
        one.end([entry(A)])
    clock.now += REMEMBERED_SECONDS
    assert other.take([entry(A)], 1) == [entry(A)]


def test_a_released_page_is_free_at_once(two: tuple[Leases, Leases]) -> None:
    one, other = two
    one.take([entry(A), entry(B)], 2)
    one.release([A])
    assert other.take([entry(A), entry(B)], 2) == [entry(A)]
    one.release_all()
    assert other.take([entry(B)], 1) == [entry(B)]


def test_a_page_that_was_begun_on_this_machine_is_known_when_it_is_taken_again(
    two: tuple[Leases, Leases], clock: Clock
) -> None:
    one, other = two
    one.take([entry(A), entry(B), entry(C)], 3)
    assert one.resumed == set()
    one.release([A], begun=True)
    one.release([B])
    other.take([entry(A), entry(B)], 2)
    assert other.resumed == {A}
    clock.now += LEASE
    other.take([entry(C)], 1)
    assert other.resumed == {C}, "its worker died"
    other.release_all()
    one.take([entry(A, attempts=1), entry(B)], 2)
    assert one.resumed == {B}, "A was queued again since"


def test_places_are_independent(tmp_path: Path, clock: Clock) -> None:
    here, there = (Leases(tmp_path / "claims.db", place, LEASE, clock=clock) for place in ("here", "there"))
    assert here.take([entry(A)], 1) == there.take([entry(A)], 1) == [entry(A)]
    here.close()
    there.close()


def test_a_clock_that_is_set_back_blocks_no_page(two: tuple[Leases, Leases], clock: Clock) -> None:
    one, other = two
    one.take([entry(A)], 1)
    clock.now -= 1_000_000
    assert other.take([entry(A)], 1) == [entry(A)]


def test_turns_are_an_interval_apart(two: tuple[Leases, Leases], clock: Clock) -> None:
    one, other = two
    assert one.take_turn(1.0)
    assert not other.take_turn(1.0)
    clock.now += 1.0
    assert other.take_turn(1.0)
    clock.now -= 100  # set back: the old time is not waited for
    assert one.take_turn(1.0)


def test_claims_that_ended_long_ago_are_forgotten(two: tuple[Leases, Leases], clock: Clock, tmp_path: Path) -> None:
    one, _ = two
    one.take([entry(A)], 1)
    one.end([entry(A)])
    clock.now += 3 * REMEMBERED_SECONDS
    one.renew()
    with sqlite3.connect(tmp_path / "claims.db") as connection:
        assert connection.execute("SELECT count(*) FROM claim").fetchone() == (0,)
    connection.close()


def test_a_damaged_file_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "claims.db").write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.warns(StateWarning, match=r"claims\.db is damaged .* No page counts as claimed on this machine\."):
        leases = Leases(tmp_path / "claims.db", "here", LEASE)
    leases.release_all()
    leases.close()


class TwoWorkers(RuleBasedStateMachine):
    """Two connections to one file and a clock: a page never has two owners at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = Clock()
        path = Path(self.folder.name) / "claims.db"
        self.workers = [Leases(path, "here", LEASE, clock=self.clock) for _ in range(2)]
        #: page -> (worker, until) as it must be
        self.model: dict[str, tuple[int, float]] = {}
        self.finished: dict[str, tuple[str, float]] = {}

    def teardown(self) -> None:
        for each in self.workers:
            each.close()
        self.folder.cleanup()

    @rule(worker=st.integers(0, 1), some=st.lists(st.sampled_from(PAGES), unique=True), most=st.integers(0, 3))
    def take(self, worker: int, some: list[str], most: int) -> None:
        now = self.clock.now
        free = [page for page in some if self._is_free(page, now)]
        taken = self.workers[worker].take([entry(page) for page in some], most)
        assert [each.page_id for each in taken] == free[:most]
        for each in taken:
            self.model[each.page_id] = (worker, now + LEASE)
            self.finished.pop(each.page_id, None)

    @rule(worker=st.integers(0, 1))
    def renew(self, worker: int) -> None:
        self.workers[worker].renew()
        forgotten = []
        for page, (owner, until) in self.model.items():
            if owner == worker:  # even if it has expired, because nobody else took the page
                self.model[page] = (owner, self.clock.now + LEASE)
            elif until <= self.clock.now - REMEMBERED_SECONDS:
                forgotten.append(page)
        for page in forgotten:
            del self.model[page]

    @rule(worker=st.integers(0, 1), page=st.sampled_from(PAGES), how=st.sampled_from(["end", "release"]))
    def give_up(self, worker: int, page: str, how: str) -> None:
        held = self.workers[worker].held([page])
        if not held:
            return  # only held pages are ended: a worker that lost a page discards its result
        if how == "end":
            self.workers[worker].end([entry(page)])
            self.finished[page] = ("", self.clock.now + REMEMBERED_SECONDS)
        else:
            self.workers[worker].release([page])
        del self.model[page]

    @rule(seconds=st.sampled_from([1.0, 20.0, 59.0, 61.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def each_page_has_one_owner_at_most(self) -> None:
        owners = [each.held(PAGES) for each in self.workers]
        assert not owners[0] & owners[1]
        expected = [
            {page for page, (owner, until) in self.model.items() if owner == n and until > self.clock.now}
            for n in (0, 1)
        ]
        assert owners == expected

    def _is_free(self, page: str, now: float) -> bool:
        if page in self.model and self.model[page][1] > now:
            return False
        return page not in self.finished or self.finished[page][1] <= now


TwoWorkers.TestCase.settings = settings(stateful_step_count=30, deadline=None)
test_two_workers_and_a_clock = TwoWorkers.TestCase


def test_workers_have_different_names(tmp_path: Path) -> None:
    some = [Leases(tmp_path / "claims.db", "here", LEASE) for _ in range(5)]
    assert len({each.worker for each in some}) == 5
    for one, other in itertools.pairwise(some):
        assert one.worker != other.worker
    for each in some:
        each.close()

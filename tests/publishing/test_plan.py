"""What the plan promises: a reason for each page, and nothing left to do once it has been performed."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from nimbus_tasks.publishing.plan import (
    Candidate,
    Held,
    Plan,
    Planned,
    PlanOptions,
    split_into_batches,
)
from nimbus_tasks.publishing.plan import make_plan as plan_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def candidate(name: str, digest: str = "1") -> Candidate:
    return Candidate(f"page_{name}", f"dist/{name}.html", f"maps/{name}.json", digest, 100)


def held(name: str, digest: str = "1", batch: str = "b1", step: str = "enqueued") -> Held:
    return Held(f"page_{name}", f"dist/{name}.html", digest, batch, "2026-01-01T00:00:00.000Z", step)  # type: ignore[arg-type]


def make_plan(pages: Iterable[Candidate], rows: Mapping[str, Held], options: PlanOptions, **more: Any) -> Plan:
    return plan_of(sorted(pages, key=attrgetter("page_id")), (rows[each] for each in sorted(rows)), options, **more)


def by_id(*rows: Held) -> dict[str, Held]:
    return {row.page_id: row for row in rows}


def reasons(plan: Plan) -> dict[str, str]:
    return {planned.page.page_id.removeprefix("page_"): planned.reason for planned in plan.sends}


def removed(plan: Plan) -> list[str]:
    return [row.page_id.removeprefix("page_") for row in plan.removals]


ALL = PlanOptions()


# --- reasons ------------------------------------------------------------------------------------------


def test_each_page_is_sent_for_a_reason() -> None:
    plan = make_plan(
        [candidate("changed", "2"), *map(candidate, ("same", "new", "lost", "back", "left"))],
        by_id(
            held("changed"),
            held("same"),
            held("back", "", step="retired"),
            held("left", batch="ended", step="stored"),
        ),
        ALL,
        formerly={"page_lost"},
    )
    assert reasons(plan) == {
        "changed": "changed",
        "new": "new",
        "lost": "missing",
        "back": "new",
        "left": "unfinished",
    }
    assert plan.unchanged == 1
    assert plan.reasons() == {"changed": 1, "new": 2, "missing": 1, "unfinished": 1}


def test_a_page_returns_where_the_target_may_say_that_it_is_inactive() -> None:
    rows = by_id(held("same", "2"), held("back", "", step="retired"), held("half", "", step="marked"))
    plan = make_plan(map(candidate, ("same", "new", "back", "half")), rows, ALL)
    returns = {planned.page.page_id: planned.returns for planned in plan.sends}
    assert returns == {"page_same": False, "page_new": False, "page_back": True, "page_half": True}


def test_an_edit_changes_the_content_of_a_few_pages_and_nothing_else() -> None:
    def plan(edited: str, *more: Candidate, gone: str = "") -> Plan:
        rows = by_id(*map(held, "abcdefgh"), held("open", batch="b2", step="stored"))
        here = [candidate(name, "2" if name in edited else "1") for name in "abcdefgh" if name not in gone]
        return make_plan([*here, *more], rows, ALL, open_batches={"b2"} if more else ())

    assert plan("abc", gone="").is_edit is False, "a page is gone"
    rows = by_id(*map(held, "abcd"))
    assert not make_plan(map(candidate, "abcd"), rows, ALL).is_edit, "nothing is sent"
    assert make_plan([candidate(name, "2") for name in "abc"] + [candidate("d")], rows, ALL).is_edit
    assert not make_plan([candidate(name, "2") for name in "abcd"], rows, ALL).is_edit, "these are many"
    assert not make_plan([candidate("a", "2"), *map(candidate, "bcde")], rows, ALL).is_edit, "one is new"
    assert not plan("a", candidate("open")).is_edit, "one is unfinished"


def test_pages_are_sent_in_the_order_of_their_paths() -> None:
    plan = make_plan(map(candidate, "cab"), {}, ALL)
    assert [planned.page.source_path for planned in plan.sends] == ["dist/a.html", "dist/b.html", "dist/c.html"]


def test_force_sends_what_is_unchanged_and_leaves_the_other_reasons() -> None:
    plan = make_plan([candidate("a"), candidate("b", "2")], by_id(held("a"), held("b")), PlanOptions(force=True))
    assert reasons(plan) == {"a": "forced", "b": "changed"}


def test_a_limit_leaves_the_rest_for_later() -> None:
    plan = make_plan(map(candidate, "xabyc"), {}, PlanOptions(limit=2), chosen=lambda path: path[5] in "abc")
    assert sorted(planned.page.source_path[5] for planned in plan.waits) == ["c", "x", "y"]
    plan = make_plan(map(candidate, "abc"), {}, PlanOptions(limit=2))
    assert list(reasons(plan)) == ["a", "b"]
    assert [planned.page.page_id for planned in plan.waits] == ["page_c"]


def test_a_page_in_an_open_batch_is_finished_not_sent() -> None:
    rows = by_id(held("a", step="stored"), held("b", step="marked"), held("c"))
    plan = make_plan(map(candidate, "abc"), rows, ALL, open_batches={"b1"})
    assert reasons(plan) == {}
    assert [row.page_id for row in plan.finish] == ["page_a", "page_b"]
    assert plan.reasons() == {"unfinished": 2}


def test_a_page_in_an_open_batch_that_changed_since_is_sent_not_finished() -> None:
    plan = make_plan([candidate("a", "2")], by_id(held("a", step="stored")), ALL, open_batches={"b1"})
    assert (reasons(plan), list(plan.finish)) == ({"a": "changed"}, [])


def test_a_page_in_an_open_batch_whose_source_is_gone_is_removed_not_finished() -> None:
    rows = by_id(held("a", step="marked"), held("b"))
    plan = make_plan([candidate("b")], rows, ALL, open_batches={"b1"})
    assert (removed(plan), list(plan.finish)) == (["a"], [])


def test_what_an_interrupted_run_stored_is_finished_although_no_new_content_of_it_can_be_sent() -> None:
    """A page that is invalid by now, one that `--limit` leaves for later, one that is gone while others fail."""
    rows = by_id(held("bad", step="stored"), held("late", step="marked"), held("gone", step="stored"), held("a"))
    plan = make_plan(
        [candidate("a", "2"), candidate("late", "2")],
        rows,
        PlanOptions(limit=1),
        open_batches={"b1"},
        failed=1,
        invalid={"page_bad"},
    )
    assert (reasons(plan), removed(plan)) == ({"a": "changed"}, [])
    assert sorted(row.page_id for row in plan.finish) == ["page_bad", "page_gone", "page_late"]


# --- removals -----------------------------------------------------------------------------------------

SITE = by_id(*map(held, "abcd"))


def test_a_page_whose_source_is_gone_is_removed_once() -> None:
    plan = make_plan(map(candidate, "abc"), SITE, ALL)
    assert (removed(plan), plan.refusal) == (["d"], "")
    after = SITE | by_id(held("d", "", step="retired"))
    assert make_plan(map(candidate, "abc"), after, ALL).empty


def test_half_of_the_site_may_go_and_no_page_more() -> None:
    assert removed(make_plan(map(candidate, "ab"), SITE, ALL)) == ["c", "d"]
    plan = make_plan(map(candidate, "a"), SITE, ALL)
    assert (removed(plan), plan.refusal) == (
        [],
        "3 of 4 are more than half of the site or than max_removals (256); --force removes them",
    )


def test_no_more_than_max_removals_go() -> None:
    plan = make_plan(map(candidate, "ab"), SITE, PlanOptions(max_removals=1))
    assert "max_removals (1)" in plan.refusal
    assert removed(make_plan(map(candidate, "abc"), SITE, PlanOptions(max_removals=1))) == ["d"]


def test_force_removes_however_many_there_are() -> None:
    assert removed(make_plan(map(candidate, "a"), SITE, PlanOptions(force=True, max_removals=0))) == ["b", "c", "d"]


def test_not_even_force_takes_an_empty_source_for_an_empty_site() -> None:
    plan = make_plan([], SITE, PlanOptions(force=True))
    assert (removed(plan), plan.refusal) == ([], "there is no page here at all")


def test_while_a_page_fails_none_is_removed() -> None:
    one = make_plan(map(candidate, "abc"), SITE, PlanOptions(force=True), failed=1)
    two = make_plan(map(candidate, "abc"), SITE, ALL, failed=2)
    assert removed(one) == removed(two) == []
    assert one.refusal.startswith("1 page failed")
    assert two.refusal.startswith("2 pages failed")


def test_a_folder_of_some_maps_removes_nothing_and_says_nothing() -> None:
    plan = make_plan(map(candidate, "a"), SITE, PlanOptions(remove=False))
    assert (removed(plan), plan.refusal) == ([], "")


# --- batches ------------------------------------------------------------------------------------------


def planned(names: str) -> tuple[Planned, ...]:
    return tuple(Planned(candidate(name), "new") for name in names)


def work(plan: Plan, open_batches: dict[str, int], chosen: str = "", most: int = 3) -> list[tuple[str, int]]:
    return [(part.batch_id, part.sends) for part in split_into_batches(plan, open_batches, chosen, most)]


def test_a_plan_with_nothing_needs_no_batch() -> None:
    assert work(Plan((), (), (), 0), {}) == []


def test_a_large_plan_is_split_into_new_batches() -> None:
    assert work(Plan(planned("abcdefg"), (), (), 0), {}) == [("", 3), ("", 3), ("", 1)]


def test_the_newest_open_batch_gets_the_pages_up_to_its_limit() -> None:
    plan = Plan(planned("abc"), (held("x", batch="b1", step="stored"),), (), 0)
    assert work(plan, {"b1": 1, "b2": 2}) == [("b1", 0), ("b2", 1), ("", 2)]


def test_the_chosen_batch_gets_the_pages_and_open_ones_are_finished() -> None:
    plan = Plan(planned("ab"), (held("x", batch="b1", step="stored"),), (), 0)
    assert work(plan, {"b1": 1, "b0": 0}, chosen="b0") == [("b1", 0), ("b0", 2)]


def test_a_batch_that_is_fuller_than_allowed_gets_nothing_more() -> None:
    assert work(Plan(planned("ab"), (), (), 0), {"b1": 9}) == [("b1", 0), ("", 2)]


# --- properties ---------------------------------------------------------------------------------------

STEPS = st.sampled_from(["stored", "marked", "enqueued", "retired"])
NAMES = st.sampled_from("abcdefghij")
SITES = st.dictionaries(NAMES, st.sampled_from("123"))
ROWS = st.dictionaries(NAMES, st.tuples(st.sampled_from("123"), st.sampled_from(["b1", "b2", "b3"]), STEPS))
OPTIONS = st.builds(
    PlanOptions, force=st.booleans(), limit=st.integers(0, 5), remove=st.booleans(), max_removals=st.integers(0, 5)
)


def perform(plan: Plan, rows: dict[str, Held]) -> dict[str, Held]:
    """Return what a target holds once a plan has been performed against it: the model of `publish`."""
    after = dict(rows)
    for send in plan.sends:
        page = send.page
        after[page.page_id] = Held(page.page_id, page.source_path, page.digest, "new", "", "enqueued")
    for row in plan.finish:
        after[row.page_id] = Held(row.page_id, row.source_path, row.digest, row.batch_id, row.uploaded, "enqueued")
    for row in plan.removals:
        after[row.page_id] = Held(row.page_id, row.source_path, "", row.batch_id, row.uploaded, "retired")
    return after


@given(SITES, ROWS, OPTIONS, st.sets(st.sampled_from(["b1", "b2", "b3"])), st.integers(0, 1))
def test_after_a_plan_was_performed_the_next_is_empty(
    site: dict[str, str],
    rows: dict[str, tuple[str, str, str]],
    options: PlanOptions,
    open_batches: set[str],
    failed: int,
) -> None:
    before = by_id(*(held(name, *row) for name, row in rows.items()))
    pages = [candidate(name, digest) for name, digest in site.items()]
    plan = make_plan(pages, before, options, open_batches=open_batches, failed=failed)
    unforced = PlanOptions(remove=options.remove, max_removals=options.max_removals)
    after = perform(plan, before)
    again = make_plan(pages, after, unforced, failed=failed)
    assert [send.page for send in again.sends] == [waiting.page for waiting in plan.waits if waiting.reason != "forced"]
    assert not again.finish
    if not plan.refusal:
        assert not again.removals


@given(SITES, ROWS, OPTIONS, st.sets(st.sampled_from(["b1", "b2", "b3"])))
def test_every_page_is_in_exactly_one_place_of_a_plan(
    site: dict[str, str], rows: dict[str, tuple[str, str, str]], options: PlanOptions, open_batches: set[str]
) -> None:
    before = by_id(*(held(name, *row) for name, row in rows.items()))
    plan = make_plan([candidate(*page) for page in site.items()], before, options, open_batches=open_batches)
    assert len(plan.sends) + len(plan.waits) + plan.unchanged == len(site)
    touched = [send.page.page_id for send in plan.sends]
    touched += [row.page_id for row in [*plan.finish, *plan.removals]]
    assert len(touched) == len(set(touched))
    assert sum(plan.reasons().values()) == len(touched)
    assert plan.empty == (not touched)
    assert len(plan.sends) <= (options.limit or len(site))


@given(SITES, ROWS, OPTIONS)
def test_no_more_goes_than_the_guards_allow(
    site: dict[str, str], rows: dict[str, tuple[str, str, str]], options: PlanOptions
) -> None:
    before = by_id(*(held(name, *row) for name, row in rows.items()))
    plan = make_plan([candidate(*page) for page in site.items()], before, options)
    active = sum(row.step != "retired" for row in before.values())
    assert not plan.removals or site
    assert not (plan.removals and plan.refusal)
    assert options.force or len(plan.removals) <= min(options.max_removals, active / 2)


@given(
    st.integers(0, 30),
    st.lists(st.integers(0, 6), max_size=3),
    st.integers(1, 5),
    st.booleans(),
)
def test_every_page_is_in_one_batch_and_none_has_too_many(
    sends: int, open_sizes: list[int], most: int, choose: bool
) -> None:
    open_batches = {f"b{number}": size for number, size in enumerate(open_sizes)}
    names = list(open_batches)
    plan = Plan(tuple(Planned(candidate(f"s{n:02d}"), "new") for n in range(sends)), (), (), 0)
    chosen = names[0] if names and choose else ""
    parts = split_into_batches(plan, open_batches, chosen, most)
    assert sum(part.sends for part in parts) == sends
    for part in parts:
        size = open_batches.get(part.batch_id, 0)
        assert size + part.sends <= max(most, size)
    assert [part.batch_id for part in parts][: len(names)] == names

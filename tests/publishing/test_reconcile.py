"""What a target is believed to hold from its own listing alone."""

from __future__ import annotations

import asyncio
import json
from operator import attrgetter
from typing import get_args

import msgspec
import pytest
from backends.kv.memory import MemoryStore
from hypothesis import given
from hypothesis import strategies as st

from nimbus_tasks.backends.kv import Traits, Write
from nimbus_tasks.html.validate import extraction_of, validate_map
from nimbus_tasks.model import records
from nimbus_tasks.model.records import PageState
from nimbus_tasks.publishing.plan import Held, Step
from nimbus_tasks.publishing.reconcile import Difference, Found, lost_from_queue, reconcile, waiting_pages
from nimbus_tasks.publishing.reconcile import compare as differences_of

PROJECT = "proj_1"
EARLY, LATE = "2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z"


class Target:
    """A store that is filled by hand, as a killed run or another program would leave it."""

    def __init__(self, traits: Traits | None = None) -> None:
        self.store = MemoryStore(traits=traits)

    def write(self, key: str, record: object, metadata: object = None) -> None:
        data = msgspec.json.encode(metadata) if metadata is not None else b""
        asyncio.run(self.store.put([Write(key, msgspec.json.encode(record), data)]))

    def page(self, name: str, batch: str = "b1", digest: str = "1", uploaded: str = EARLY) -> None:
        metadata = records.PageMetadata(batch, uploaded, digest)
        self.write(f"page:{PROJECT}:page_{name}", {"source_path": f"dist/{name}.html"}, metadata)

    def batch(self, batch_id: str, **pages: records.BatchPage) -> None:
        named = {f"page_{name}": page for name, page in pages.items()}
        summary = records.BatchSummary(0, 0, len(pages), 0)
        record = records.BatchRecord(batch_id, PROJECT, EARLY, len(pages), "queued", named, summary)
        self.write(f"batch:{PROJECT}:{batch_id}", record)

    def status(self, name: str, state: str) -> None:
        self.write(f"status:{PROJECT}:page_{name}", {"status": state, "batch_id": "b1", "updated": EARLY})

    def queue(self, *names: str) -> None:
        items = [records.QueueEntry(f"page_{name}", "b1", 5, EARLY, 0) for name in names]
        self.write(f"queue:{PROJECT}", records.QueueRecord(items))

    def found(self, *here: str) -> Found:
        paths = {f"page_{name}": f"here/{name}.html" for name in here}
        return asyncio.run(reconcile(self.store, PROJECT, paths))

    def steps(self) -> dict[str, str]:
        return {row.page_id.removeprefix("page_"): row.step for row in self.found().pages}


@pytest.fixture
def target() -> Target:
    return Target()


CAME = records.BatchPage("uploaded", EARLY)


def test_an_empty_target_holds_nothing(target: Target) -> None:
    assert target.found("a") == Found([], [])


def test_a_page_that_its_batch_names_is_held(target: Target) -> None:
    target.page("a")
    target.batch("b1", a=CAME)
    assert target.steps() == {"a": "enqueued"}
    assert target.found().batches == [("b1", EARLY, False)]


def test_a_page_whose_batch_has_no_record_was_only_stored(target: Target) -> None:
    target.page("a", "b2", uploaded=LATE)
    target.page("b", "b2", uploaded=EARLY)
    assert target.steps() == {"a": "stored", "b": "stored"}
    assert target.found().batches == [("b2", EARLY, True)], "it is still open, since its first page"


def test_a_page_that_its_batch_does_not_name_was_only_stored(target: Target) -> None:
    target.page("a")
    target.batch("b1")
    assert target.steps() == {"a": "stored"}


def test_a_page_that_failed_in_its_batch_was_only_stored(target: Target) -> None:
    target.page("a")
    target.batch("b1", a=records.BatchPage("failed", error="no status"))
    assert target.steps() == {"a": "stored"}


def test_a_batch_that_names_the_page_as_it_was_before_says_nothing_of_now(target: Target) -> None:
    target.page("a", uploaded=LATE)
    target.batch("b1", a=CAME)
    assert target.steps() == {"a": "stored"}


def test_a_batch_of_another_program_need_not_say_when(target: Target) -> None:
    target.page("a", uploaded=LATE)
    target.batch("b1", a=records.BatchPage("done"))
    assert target.steps() == {"a": "enqueued"}


def test_a_page_that_is_inactive_and_out_of_the_queue_is_inactive(target: Target) -> None:
    target.page("a", digest="")
    target.status("a", "inactive")
    assert target.steps() == {"a": "retired"}
    target.queue("b")
    assert target.steps() == {"a": "retired"}


def test_a_page_that_an_interrupted_run_did_not_retire_completely_is_still_held(target: Target) -> None:
    for name in "abc":
        target.page(name, digest="")
    target.status("a", "uploaded")
    target.status("b", "inactive")
    target.queue("a", "b", "c")
    target.batch("b1", a=CAME, b=CAME, c=CAME)
    assert "retired" not in target.steps().values()


def test_a_page_of_another_tool_without_metadata_is_held_with_unknown_content(target: Target) -> None:
    target.write(f"page:{PROJECT}:page_a", {"source_path": "dist/a.html"})
    target.write(f"page:{PROJECT}:page_b", {"source_path": "dist/b.html"}, {"another": "shape"})
    rows = target.found().pages
    assert [(row.digest, row.step, row.batch_id) for row in rows] == [("unknown", "stored", "")] * 2


def test_pages_of_other_projects_are_not_ours(target: Target) -> None:
    target.write("page:proj_10:page_a", {"source_path": "a"})
    target.write("page:proj_0:page_a", {"source_path": "a"})
    target.write("batch:proj_10:b1", {})
    assert target.found() == Found([], [])


def test_paths_are_taken_from_here_and_only_for_others_read_from_the_records(target: Target) -> None:
    for name in "abcde":
        target.page(name)
    target.batch("b1")
    paths = {row.page_id: row.source_path for row in target.found("a", "b").pages}
    assert paths == {
        "page_a": "here/a.html",
        "page_b": "here/b.html",
        "page_c": "dist/c.html",
        "page_d": "dist/d.html",
        "page_e": "dist/e.html",
    }
    read = [key for call, keys in target.store.calls for key in keys if call == "get" and key.startswith("page:")]
    assert sorted(read) == [f"page:{PROJECT}:page_{name}" for name in "cde"]


def test_many_pages_are_read_as_many_at_a_time_as_the_store_takes(target: Target) -> None:
    for number in range(10):
        target.page(f"{number}", f"b{number}", digest="" if number % 2 else "1")
        target.batch(f"b{number}")
        target.status(f"{number}", "inactive")
    target.store.calls.clear()
    assert len(target.found().pages) == 10
    assert max(len(keys) for call, keys in target.store.calls if call == "get") == target.store.limits.keys


def test_a_batch_that_cannot_be_read_has_ended(target: Target) -> None:
    target.page("a")
    target.write(f"batch:{PROJECT}:b1", {"surprise": True})
    found = target.found()
    assert ([row.step for row in found.pages], found.batches) == (["enqueued"], [("b1", "", False)])
    (warning,) = target.store.warnings
    assert warning.startswith(f"batch:{PROJECT}:b1 at the target cannot be read: /status: missing")


def test_a_batch_that_only_inactive_pages_name_is_not_open(target: Target) -> None:
    target.page("a", "b2", digest="")
    target.status("a", "inactive")
    assert target.found().batches == []


# --- a store that cannot list -------------------------------------------------------------------------

MAP = {
    "path": "here/a.html",
    "engine": "html",
    "main_selector": "main",
    "head": {"title": "Größe"},
    "dimensions": {"b": 1, "a": [1.5, None, {"y": "x"}]},
    "above_fold_blocks": [{"id": "block-0", "type": "h1", "content": "Größe"}],
    "rest_of_page_blocks": [],
    "selector_map": {"block-0": "h1"},
    "extracted_at": "2026-01-01T00:00:00Z",
    "of_another_tool": {"z": 1},
}


class Classic(Target):
    """A target that answers for single keys only."""

    def __init__(self) -> None:
        super().__init__(Traits(atomic=False, lists=False))

    def page(self, name: str, batch: str = "b1", digest: str = "1", uploaded: str = EARLY) -> None:
        self.record(name, msgspec.Raw(json.dumps({"digest": digest}).encode()), batch, uploaded)

    def record(self, name: str, extraction: msgspec.Raw, batch: str = "b1", uploaded: str = EARLY) -> None:
        path = f"here/{name}.html"
        record = records.PageRecord(f"page_{name}", PROJECT, batch, path, uploaded, extraction)
        self.write(f"page:{PROJECT}:page_{name}", record)


@pytest.fixture
def classic() -> Classic:
    return Classic()


def test_without_a_listing_the_records_of_the_pages_here_are_read(classic: Classic) -> None:
    for name in "abc":
        classic.page(name)
        classic.status(name, "uploaded")
    classic.batch("b1", a=CAME, b=CAME, c=CAME)
    found = classic.found("a", "b", "x")
    assert [(row.page_id, row.source_path, row.step) for row in found.pages] == [
        ("page_a", "here/a.html", "enqueued"),
        ("page_b", "here/b.html", "enqueued"),
    ], "of what is not here it cannot know"
    assert found.batches == [("b1", EARLY, False)]
    assert "names" not in {call for call, _ in classic.store.calls}


def test_without_a_listing_a_page_has_the_digest_that_its_map_has(classic: Classic) -> None:
    data = json.dumps(MAP).encode()
    verdict = validate_map("maps/a.json", data, PROJECT)
    assert verdict.valid
    classic.record("a", extraction_of(data))
    (row,) = classic.found("a").pages
    assert row.digest == verdict.digest
    changed = json.dumps(MAP | {"of_another_tool": {"z": 2}}).encode()
    classic.record("a", extraction_of(changed))
    (row,) = classic.found("a").pages
    assert row.digest != verdict.digest


def test_without_a_listing_an_inactive_page_is_known_by_its_status(classic: Classic) -> None:
    for name, state in [("a", "inactive"), ("b", "uploaded"), ("c", "inactive")]:
        classic.page(name)
        classic.status(name, state)
    classic.batch("b1", a=CAME, b=CAME, c=CAME)
    classic.queue("c")
    rows = {row.page_id: row for row in classic.found("a", "b", "c").pages}
    assert {each: row.step for each, row in rows.items()} == {
        "page_a": "retired",
        "page_b": "enqueued",
        "page_c": "enqueued",
    }
    assert (rows["page_a"].digest, rows["page_c"].digest) == ("", ""), "should it come back, it counts as not held"


@pytest.mark.parametrize("value", [b"", b"[]", b"{", b'{"page_id": 1}', b'"\xff"', b"\x00", b'{"extraction": [3]}'])
def test_a_record_that_cannot_be_read_is_held_with_unknown_content(classic: Classic, value: bytes) -> None:
    classic.store.values[f"page:{PROJECT}:page_a"] = value
    (row,) = classic.found("a").pages
    assert (row.digest, row.step, row.batch_id) == ("unknown", "stored", "")


def test_without_a_listing_many_pages_are_read_as_many_at_a_time_as_the_store_takes(classic: Classic) -> None:
    names = [f"{number:02d}" for number in range(50)]
    for name in names:
        classic.page(name)
    classic.store.calls.clear()
    assert sorted(row.page_id for row in classic.found(*names).pages) == [f"page_{name}" for name in names]
    read = [keys for _, keys in classic.store.calls]
    assert max(map(len, read)) == classic.store.limits.keys
    asked = [key for keys in read for key in keys]
    assert len(asked) == len(set(asked)), "each once"


@pytest.mark.parametrize("value", [b"{}", b'{"status": "\xff"}'])
def test_a_status_that_cannot_be_read_is_named(classic: Classic, value: bytes) -> None:
    classic.page("a")
    classic.store.values[f"status:{PROJECT}:page_a"] = value
    assert len(classic.found("a").pages) == 1
    (warning,) = classic.store.warnings
    assert warning.startswith(f"status:{PROJECT}:page_a at the target cannot be read: ")


def test_metadata_that_is_no_text_is_of_unknown_content(target: Target) -> None:
    target.page("a")
    target.store.metadata[f"page:{PROJECT}:page_a"] = b'{"batch_id": "\xff"}'
    assert [row.digest for row in target.found("a").pages] == ["unknown"]


# --- what is missing in the queue ---------------------------------------------------------------------


def lost(target: Target, step: Step = "enqueued") -> set[str]:
    rows = [Held(f"page_{name}", name, "1", "b1", EARLY, step) for name in "abc"]

    async def find() -> set[str]:
        return await lost_from_queue(target.store, PROJECT, rows, await waiting_pages(target.store, PROJECT))

    return asyncio.run(find())


@pytest.mark.parametrize("state", get_args(PageState))
def test_a_page_is_lost_that_is_not_in_the_queue_and_not_being_processed(target: Target, state: str) -> None:
    for name in "abc":
        target.status(name, state if name == "b" else "uploaded")
    target.queue("a", "c")
    assert lost(target) == ({"page_b"} if state in ("uploaded", "queued") else set())


def test_a_page_without_a_status_waits_too(target: Target) -> None:
    target.queue("a", "c")
    assert lost(target) == {"page_b"}


def test_without_a_queue_all_are_lost_that_ought_to_wait(target: Target) -> None:
    assert lost(target) == {"page_a", "page_b", "page_c"}


@pytest.mark.parametrize("step", ["stored", "marked", "retired"])
def test_a_page_that_was_not_queued_is_not_lost(target: Target, step: Step) -> None:
    assert lost(target, step) == set()


def test_where_all_wait_no_status_is_read(target: Target) -> None:
    target.queue("a", "b", "c")
    target.store.calls.clear()
    assert lost(target) == set()
    assert target.store.calls == [("get", [f"queue:{PROJECT}", f"queue:{PROJECT}:1"])]


# --- the ledger beside the target ---------------------------------------------------------------------


def compare(ledger: dict[str, Held], target: list[Held], lost: set[str]) -> list[Difference]:
    by_id = attrgetter("page_id")
    return differences_of(sorted(ledger.values(), key=by_id), sorted(target, key=by_id), lost)


def held(name: str, **facts: str) -> Held:
    return msgspec.structs.replace(Held(f"page_{name}", f"{name}.html", "1", "b1", EARLY, "enqueued"), **facts)


@pytest.mark.parametrize(
    ("believed", "found", "what"),
    [
        (held("a"), held("a"), None),
        (held("a"), held("a", uploaded=LATE), None),
        (held("a"), None, "missing at the target"),
        (held("a", step="retired", digest=""), None, None),
        (held("a", step="stored"), None, "missing at the target"),
        (None, held("a"), "unknown to the ledger"),
        (None, held("a", step="retired"), "unknown to the ledger"),
        (held("a"), held("a", digest="2"), "other content"),
        (held("a"), held("a", digest="2", step="stored"), "other content"),
        (held("a"), held("a", step="stored"), "other state"),
        (held("a"), held("a", batch_id="b2"), "other state"),
        (held("a", step="retired"), held("a"), "other state"),
    ],
)
def test_each_kind_of_difference_is_named(believed: Held | None, found: Held | None, what: str | None) -> None:
    ledger = {} if believed is None else {believed.page_id: believed}
    differences = compare(ledger, [] if found is None else [found], set())
    assert differences == ([] if what is None else [Difference("page_a", "a.html", what)])  # type: ignore[arg-type]


def test_a_lost_page_is_reported_unless_its_content_differs_too() -> None:
    ledger = {row.page_id: row for row in (held("a"), held("b"))}
    found = [held("b", digest="2"), held("a"), held("c")]
    assert [(each.source_path, each.what) for each in compare(ledger, found, {"page_a", "page_b", "page_c"})] == [
        ("a.html", "not in the queue"),
        ("b.html", "other content"),
        ("c.html", "unknown to the ledger"),
    ]


ROWS = st.dictionaries(
    st.sampled_from("abcdef"), st.tuples(st.sampled_from("12"), st.sampled_from(get_args(Step))), max_size=6
)


@given(ROWS, ROWS, st.sets(st.sampled_from("abcdef")))
def test_each_page_differs_once_or_not_at_all(
    here: dict[str, tuple[str, Step]], there: dict[str, tuple[str, Step]], missing: set[str]
) -> None:
    ledger = {f"page_{name}": held(name, digest=digest, step=step) for name, (digest, step) in here.items()}
    found = [held(name, digest=digest, step=step) for name, (digest, step) in there.items()]
    differences = compare(ledger, found, {f"page_{name}" for name in missing})
    paths = [each.source_path for each in differences]
    assert paths == sorted(set(paths))
    assert compare(ledger, list(ledger.values()), set()) == []
    assert not set(paths) - {row.source_path for row in (*ledger.values(), *found)}
    same = {name for name in here.keys() & there.keys() if here[name] == there[name]} - missing
    assert not set(paths) & {f"{name}.html" for name in same}
    assert set(paths) >= {f"{name}.html" for name in there.keys() - here.keys()}

"""Records that cannot be read are made anew from the others, once a repair is asked for."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from backends.kv.memory import MemoryStore

from nimbus_tasks.backends.kv import Write
from nimbus_tasks.model import records
from nimbus_tasks.model.records import BatchPage, BatchRecord, BatchSummary, PageMetadata, PageStatus
from nimbus_tasks.publishing.repair import Remedy, repair

PROJECT, BATCH = "proj_1", "batch_20240902"
THEN, NOW = "2024-09-02T10:00:00.000Z", "2026-01-01T00:00:00.000Z"
STATES = {"page_a": "uploaded", "page_b": "done", "page_c": "queued"}


class Site:
    """A store with a batch of three pages, and what a repair found and kept."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.kept: dict[str, bytes] = {}
        pages = {each: BatchPage(state, THEN) for each, state in STATES.items()}
        batch = BatchRecord(BATCH, PROJECT, THEN, 3, "processing", pages, BatchSummary(1, 0, 2, 0))
        self.put(f"batch:{PROJECT}:{BATCH}", batch)
        for page_id, state in STATES.items():
            record = {"page_id": page_id, "project_id": PROJECT, "batch_id": BATCH, "source_path": page_id}
            content = record | {"uploaded": THEN, "extraction": {}}
            self.put(f"page:{PROJECT}:{page_id}", content, PageMetadata(BATCH, THEN, "1"))
            self.put(f"status:{PROJECT}:{page_id}", PageStatus(state, BATCH, THEN))
            self.put(f"logs:{PROJECT}:{page_id}", records.LogsRecord(page_id, []))
        self.put(f"queue:{PROJECT}", records.QueueRecord([]))
        self.put(f"project:{PROJECT}", self.project)

    project = records.ProjectRecord(PROJECT, "user_local", "n", THEN, records.ProjectSettings(), records.ProjectUsage())

    def put(self, key: str, record: object, metadata: object = None) -> None:
        data = b"" if metadata is None else msgspec.json.encode(metadata)
        asyncio.run(self.store.put([Write(key, msgspec.json.encode(record), data)]))

    def damage(self, kind: str, name: str = "") -> str:
        key = f"{kind}:{PROJECT}" + (f":{name}" if name else "")
        self.store.values[key] = b"{"
        return key

    def repair(self, *, dry_run: bool = False) -> dict[str, Remedy]:
        here = {"page_a", "page_b"}
        done = repair(self.store, self.project, here, NOW, self.kept.__setitem__, dry_run=dry_run)
        return {each.key: each.remedy for each in asyncio.run(done)}

    def read(self, key: str) -> Any:
        return json.loads(self.store.values[key])


@pytest.fixture
def site() -> Site:
    return Site()


def test_nothing_is_done_where_everything_can_be_read(site: Site) -> None:
    before = dict(site.store.values)
    assert site.repair() == {}
    assert site.store.values == before


@pytest.mark.parametrize(
    ("kind", "name", "remedy"),
    [
        ("page", "page_a", "resend"),
        ("page", "page_c", "left"),
        ("status", "page_a", "rebuilt"),
        ("status", "page_unknown", "left"),
        ("batch", BATCH, "rebuilt"),
        ("batch", "batch_of_nobody", "left"),
        ("logs", "page_a", "rebuilt"),
        ("queue", "", "rebuilt"),
        ("project", "", "rebuilt"),
    ],
)
def test_each_kind_has_its_remedy_and_what_it_held_is_kept(site: Site, kind: str, name: str, remedy: Remedy) -> None:
    key = site.damage(kind, name)
    site.store.metadata.setdefault(key, b"")
    assert site.repair(dry_run=True) == {key: remedy}
    assert (site.store.values[key], site.kept) == (b"{", {})
    assert site.repair() == {key: remedy}
    assert site.kept == ({} if remedy == "left" else {key: b"{"})
    assert site.repair() == ({} if remedy == "rebuilt" else {key: remedy})


def test_a_page_of_this_site_no_longer_counts_as_held(site: Site) -> None:
    key = site.damage("page", "page_a")
    site.repair()
    assert json.loads(site.store.metadata[key]) == {"batch_id": BATCH, "uploaded": THEN, "digest": ""}


def test_a_page_with_metadata_of_another_program_is_sent_again_too(site: Site) -> None:
    key = site.damage("page", "page_a")
    site.store.metadata[key] = b"[]"
    site.repair()
    assert json.loads(site.store.metadata[key])["digest"] == ""


def test_a_status_is_that_of_the_page_in_its_batch(site: Site) -> None:
    key = site.damage("status", "page_b")
    site.repair()
    assert site.read(key) == {"status": "done", "batch_id": BATCH, "updated": NOW}


@pytest.mark.parametrize(("digest", "state"), [("1", "uploaded"), ("", "inactive")])
def test_a_status_without_a_batch_follows_from_the_page(site: Site, digest: str, state: str) -> None:
    del site.store.values[f"batch:{PROJECT}:{BATCH}"]
    site.store.metadata[f"page:{PROJECT}:page_a"] = msgspec.json.encode(PageMetadata(BATCH, THEN, digest))
    key = site.damage("status", "page_a")
    site.repair()
    assert site.read(key)["status"] == state


def test_a_batch_is_made_of_the_pages_that_name_it(site: Site) -> None:
    error = records.StatusError("Too long.", "refused", THEN)
    site.put(f"status:{PROJECT}:page_a", PageStatus("failed", BATCH, THEN, error=error))
    site.put(f"status:{PROJECT}:page_c", PageStatus("done", "batch_later", THEN))
    key = site.damage("batch", BATCH)
    site.repair()
    made = site.read(key)
    states = {page_id: page["status"] for page_id, page in made["pages"].items()}
    assert states == {"page_a": "failed", "page_b": "done", "page_c": "uploaded"}
    assert made["pages"]["page_a"]["error"] == "Too long."
    assert (made["status"], made["page_count"], made["created"]) == ("processing", 3, THEN)
    assert made["summary"] == {"completed": 1, "failed": 1, "pending": 1, "average_time_ms": 0}


def test_the_queue_holds_the_pages_that_wait(site: Site) -> None:
    key = site.damage("queue")
    del site.store.values[f"status:{PROJECT}:page_c"]
    site.repair()
    assert [entry["page_id"] for entry in site.read(key)["items"]] == ["page_a", "page_c"]


@pytest.mark.parametrize(("kind", "name"), [("logs", "page_a"), ("page", "page_a")])
def test_what_the_store_refuses_is_not_called_repaired(site: Site, kind: str, name: str) -> None:
    key = site.damage(kind, name)
    site.store.refuse[key] = "no space"
    assert site.repair() == {key: "failed"}


def test_a_record_that_another_program_changes_meanwhile_stays_as_that_wrote_it(site: Site) -> None:
    key = site.damage("status", "page_a")

    def meddle(_: str) -> None:
        site.store.values[key] = b"[]"

    site.store.meddle = meddle
    assert site.repair() == {key: "failed"}
    assert site.store.values[key] == b"[]"

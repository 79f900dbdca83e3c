"""The records in the store, field by field, as other programs read them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from kit import PROJECT, Site, page_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kit import Store

A, B, C, D = (f"dist/{name}.html" for name in "abcd")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z")


@pytest.fixture(scope="module")
def eventful(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The store after a publication, an edit, an invalid page and a removal."""
    site = Site.with_pages(tmp_path_factory.mktemp("eventful"), "a", "b", "c", "d")
    site.publish()
    site.page("a", "Edited.")
    site.remove(D)
    site.publish()
    return site.store


def every_value(record: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    yield name, record
    if isinstance(record, dict):
        for key, value in record.items():
            yield from every_value(value, key)
    if isinstance(record, list):
        for value in record:
            yield from every_value(value, name)


def test_every_key_is_of_a_kind_of_the_contract(eventful: Store) -> None:
    kinds = {"project", "page", "status", "queue", "batch", "logs"}
    assert {key.split(":")[0] for key in eventful.values} == kinds


def test_no_record_holds_a_null(eventful: Store) -> None:
    for key, record in eventful.values.items():
        assert None not in [value for _, value in every_value(record)], key


def test_every_time_is_iso_8601_in_utc_with_a_z(eventful: Store) -> None:
    names = {"uploaded", "updated", "created", "queued_at", "timestamp", "last_activity"}
    seen = set()
    for key, record in [*eventful.values.items(), *eventful.metadata.items()]:
        for name, value in every_value(record):
            if name in names and isinstance(value, str):
                assert TIME.fullmatch(value) or value == "uploaded", (key, name, value)
                seen.add(name)
    assert seen == names


def test_page_ids_are_md5_of_project_and_path(eventful: Store) -> None:
    for path in eventful.pages:
        digest = hashlib.md5((PROJECT + path).encode(), usedforsecurity=False).hexdigest()
        assert eventful.page(path)["page_id"] == f"page_{digest[:12]}"


def test_batch_ids_are_seconds_in_utc(eventful: Store) -> None:
    for batch_id, batch in eventful.batches.items():
        assert re.fullmatch(r"batch_\d{8}_\d{6}", batch_id)
        assert batch_id[6:14] == batch["created"][:10].replace("-", "")


def test_the_page_record(eventful: Store) -> None:
    record = eventful.page(A)
    assert list(record) == ["page_id", "project_id", "batch_id", "source_path", "uploaded", "extraction"]
    extraction = record["extraction"]
    assert set(extraction) == {
        "engine",
        "main_selector",
        "head",
        "dimensions",
        "above_fold_blocks",
        "rest_of_page_blocks",
        "selector_map",
        "url",
        "assets",
        "extractor",
    }
    assert extraction["head"]["title"] == "Page a"
    blocks = extraction["above_fold_blocks"] + extraction["rest_of_page_blocks"]
    assert [block["id"] for block in blocks] == list(extraction["selector_map"])
    assert [(block["type"], block["content"]) for block in blocks] == [
        ("h1", "Page a"),
        ("p", "Edited."),
        ("img", "A watch"),
    ]


def test_the_metadata_of_a_page(eventful: Store) -> None:
    metadata = eventful.page_metadata(A)
    assert list(metadata) == ["batch_id", "uploaded", "digest", "url", "title", "description"]
    assert metadata["batch_id"] == eventful.page(A)["batch_id"]
    assert metadata["uploaded"] == eventful.page(A)["uploaded"]
    assert re.fullmatch(r"[0-9a-f]{32}", metadata["digest"])


def test_only_pages_have_metadata(eventful: Store) -> None:
    assert all((metadata is not None) == key.startswith("page:") for key, metadata in eventful.metadata.items())


def test_the_status_of_a_page(eventful: Store) -> None:
    statuses = {path: eventful.values[f"status:{PROJECT}:{page_id(path)}"] for path in eventful.pages}
    assert {path: status["status"] for path, status in statuses.items()} == {
        A: "uploaded",
        B: "uploaded",
        C: "uploaded",
        D: "inactive",
    }
    assert all(list(status) == ["status", "batch_id", "updated"] for status in statuses.values())


def test_the_queue(eventful: Store) -> None:
    queue = eventful.values[f"queue:{PROJECT}"]
    assert list(queue) == ["items", "last_processed"]
    for item in queue["items"]:
        assert list(item) == ["page_id", "batch_id", "priority", "queued_at", "attempts"]
        assert (item["priority"], item["attempts"]) == (5, 0)
    batch_of = {item["page_id"]: item["batch_id"] for item in queue["items"]}
    assert batch_of == {page_id(path): eventful.page(path)["batch_id"] for path in (A, B, C)}


def test_the_batch_record(eventful: Store) -> None:
    first, second = eventful.batches.values()
    names = ["batch_id", "project_id", "created", "page_count", "status", "pages", "summary"]
    assert list(first) == list(second) == names
    assert (first["page_count"], second["page_count"]) == (4, 1)
    assert second["status"] == "queued"
    assert second["pages"] == {page_id(A): {"status": "uploaded", "uploaded": eventful.page(A)["uploaded"]}}
    assert second["summary"] == {"completed": 0, "failed": 0, "pending": 1, "average_time_ms": 0}


def test_the_log_of_a_page_tells_its_steps(eventful: Store) -> None:
    entries = eventful.log(A)
    assert [(entry["step"], entry["level"]) for entry in entries] == [("upload", "info"), ("queue", "info")] * 2
    assert entries[2]["data"]["reason"] == "changed"
    assert all({"timestamp", "level", "step", "message"} <= entry.keys() for entry in entries)
    assert eventful.log(D)[-1]["step"] == "remove"


def test_the_project_record_counts_what_is_there(eventful: Store) -> None:
    project = eventful.project
    assert list(project) == ["project_id", "user_id", "name", "created", "settings", "usage"]
    assert set(project["settings"]) == {
        "tone",
        "max_pages_per_batch",
        "default_concurrency",
        "ai_model",
        "domain",
    }
    assert project["settings"]["max_pages_per_batch"] == 1000
    assert project["settings"]["default_concurrency"] == 5
    assert (project["usage"]["total_pages"], project["usage"]["total_batches"]) == (3, 2)


def test_the_table_is_the_one_of_the_contract(tmp_path: Path) -> None:
    Site.with_pages(tmp_path, "a").publish()
    with contextlib.closing(sqlite3.connect(tmp_path / ".nimbus/kv.db")) as connection:
        columns = connection.execute("SELECT name, type, pk FROM pragma_table_info('kv')").fetchall()
    assert columns == [("key", "TEXT", 1), ("value", "BLOB", 0), ("metadata", "TEXT", 0), ("expiration", "INTEGER", 0)]


def test_without_an_audit_log_no_log_records_are_written(tmp_path: Path) -> None:
    site = Site.with_pages(tmp_path, "a", settings="[upload]\naudit_log = false")
    site.publish()
    assert not [key for key in site.store.values if key.startswith("logs:")]


def test_what_another_program_keeps_in_the_project_record_stays(tmp_path: Path) -> None:
    site = Site.with_pages(tmp_path, "a")
    site.publish()
    record = site.store.project
    record["settings"] |= {"tone": "friendly", "ai_model": "gpt"}
    written = json.dumps(record).encode()
    site.change_store("UPDATE kv SET value = ? WHERE key = ?", written, f"project:{PROJECT}")
    site.page("b")
    site.publish()
    assert site.store.project["settings"]["tone"] == "friendly"
    assert site.store.project["settings"]["ai_model"] == "gpt"
    assert site.store.project["usage"]["total_pages"] == 2


MODEL = """
[process]
optimiser = "openai"
[openai]
model = "m-1"
tone = "friendly"
"""


def test_the_project_record_names_the_tone_and_the_model_that_are_used(tmp_path: Path) -> None:
    site = Site.with_pages(tmp_path, "a")
    site.publish()
    assert (site.store.project["settings"]["tone"], site.store.project["settings"]["ai_model"]) == ("neutral", "rules")
    settings = tmp_path / ".nimbus/project.toml"
    plain = settings.read_text()
    settings.write_text(plain + MODEL)
    site.page("b")
    site.publish()
    record = site.store.project
    assert (record["settings"]["tone"], record["settings"]["ai_model"]) == ("friendly", "m-1")
    record["settings"]["plan"] = {"b": 1.0}
    written = json.dumps(record).encode()
    site.change_store("UPDATE kv SET value = ? WHERE key = ?", written, f"project:{PROJECT}")
    settings.write_text(plain)
    site.page("c")
    site.publish()
    assert site.store.project["settings"] == record["settings"]  # the settings say nothing of them
    assert site.doit("nimbus:process", "--until-empty").status == 0
    assert site.store.project["settings"] == record["settings"] | {"ai_model": "rules"}

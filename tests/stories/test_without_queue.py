"""`[process] queue = "none"`: only page and batch records are written, and nothing waits."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING

import pytest
from kit import PROJECT, Site, page_id
from remote import QUICK, made
from test_kill import EVERY, LOSSES, NAMES, kill_at_every_step, sent_in

from nimbus_tasks.model.page_map import content_digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kit import Store

NONE = '[process]\nqueue = "none"\n'
COUNTED = """
CREATE TABLE written(key TEXT);
CREATE TRIGGER made AFTER INSERT ON kv BEGIN INSERT INTO written VALUES (new.key); END;
CREATE TRIGGER changed AFTER UPDATE ON kv BEGIN INSERT INTO written VALUES (new.key); END;
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site.with_pages(tmp_path, "a", "b", "c", settings=NONE)


def kinds(store: Store) -> set[str]:
    return {key.partition(":")[0] for key in store.values}


def switch(site: Site, queue: str) -> None:
    file = site / ".nimbus/project.toml"
    text = file.read_text()
    lines = [f'queue = "{queue}"' if line.startswith("queue =") else line for line in text.splitlines()]
    file.write_text("\n".join(lines) + "\n")


# --- what is written ----------------------------------------------------------------------------------


def test_only_page_batch_and_project_records_are_written(site: Site) -> None:
    site.publish()
    assert kinds(site.store) == {"page", "batch", "project"}
    (batch,) = site.store.batches.values()
    assert batch["status"] == "completed"
    assert {page["status"] for page in batch["pages"].values()} == {"uploaded"}
    assert batch["summary"] == {"completed": 3, "failed": 0, "pending": 0, "average_time_ms": 0}


def test_an_audit_log_is_written_where_it_is_asked_for(site: Site) -> None:
    site.settings("[upload]\naudit_log = true")
    site.publish()
    assert [entry["step"] for entry in site.store.log("dist/a.html")] == ["upload"]


def test_one_edit_is_two_writes_in_the_embedded_store(site: Site) -> None:
    site.publish()
    for statement in COUNTED.strip().split("\n"):
        site.change_store(statement)
    site.page("a", "Edited.")
    run = site.publish()
    assert "Uploaded" in run.out
    assert site.doit("upload").status == 0
    with contextlib.closing(sqlite3.connect(site / ".nimbus/kv.db")) as connection:
        written = [key.partition(":")[0] for (key,) in connection.execute("SELECT key FROM written")]
    assert written == ["page", "batch"]


@pytest.mark.parametrize("name", ["cloudflare", "gateway"])
def test_one_edit_is_two_writes_at_a_remote_target(tmp_path: Path, name: str) -> None:
    site = Site.with_pages(tmp_path / "site", "a", "b", settings=f'{NONE}{QUICK}[log]\nlevel = "debug"\n')
    for target in made(name, tmp_path / name):
        assert site.doit("upload", **target.environment).status == 0
        before = target.holds()
        (site / ".nimbus/log.jsonl").unlink()
        site.page("a", "Edited.")
        run = site.doit("upload", **target.environment)
        assert run.status == 0, run.said
        after = target.holds()
        log = [json.loads(line) for line in (site / ".nimbus/log.jsonl").read_text().splitlines()]
        written = [each for each in log if each["event"] == "request" and each["method"] == "PUT"]
        assert len(written) == 2
        assert not [each for each in log if each["event"] == "request" and "keys?" in each["path"]], "nothing is listed"
        changed = {key.partition(":")[0] for key, value in after.values.items() if before.values.get(key) != value}
        assert changed == {"page", "batch"}


# --- nothing waits ------------------------------------------------------------------------------------


def test_no_command_says_that_a_page_waits(site: Site) -> None:
    site.publish()
    (batch_id,) = site.store.batches
    for command, expected in [
        (("nimbus:batch:list",), "completed"),
        (("nimbus:batch:status", f"--batch={batch_id}"), "completed"),
        (("nimbus:batch:report", f"--batch={batch_id}"), "100.0%"),
        (("nimbus:batch:monitor", f"--batch={batch_id}"), "completed"),
        (("nimbus:page:status", "--path=dist/a.html"), "completed"),
        (("summarize",), "3 pages published"),
        (("nimbus:doctor",), "not queued for optimisation"),
        (("nimbus:reconcile",), "3 pages at"),
    ]:
        run = site.doit(*command)
        assert run.status == 0, run.said
        assert expected in run.out
        assert "waiting" not in run.said
        assert "in the queue" not in run.said
    assert site.publish().out.count("Uploaded") == 0


def test_the_documents_agree(site: Site) -> None:
    site.publish()
    (listed,) = site.doit("nimbus:batch:list", "--json").json["batches"]
    counts = {"completed": 3, "failed": 0, "pending": 0, "average_time_ms": 0}
    assert (listed["status"], listed["summary"]) == ("completed", counts)
    report = site.doit("nimbus:batch:report", "--json").json
    assert (report["status"], report["metrics"]["success_rate"]) == ("completed", 1.0)


def test_process_says_in_one_line_that_there_is_no_queue(site: Site) -> None:
    site.publish()
    run = site.doit("nimbus:process", "--once")
    assert run.status == 2
    assert len(run.said.splitlines()) == 1
    assert "the settings have no queue" in run.said


def test_retry_and_cancel_have_nothing_to_do(site: Site) -> None:
    site.publish()
    (batch_id,) = site.store.batches
    retried = site.doit("nimbus:batch:retry", f"--batch={batch_id}")
    assert (retried.status, "the settings have no queue" in retried.said) == (2, True)
    cancelled = site.doit("nimbus:batch:cancel", f"--batch={batch_id}")
    assert (cancelled.status, "is completed already" in cancelled.said) == (2, True)


def test_a_batch_ends_with_its_upload(site: Site) -> None:
    site.publish()
    (batch_id,) = site.store.batches
    site.page("d")
    run = site.doit("upload", f"--batch={batch_id}")
    assert (run.status, "takes no more pages" in run.said) == (2, True)


# --- pages that go and come back ----------------------------------------------------------------------


def test_only_a_page_that_is_gone_has_a_status(site: Site) -> None:
    site.publish()
    content = (site / "dist/c.html").read_text()
    site.remove("dist/c.html")
    site.publish()
    assert {key: value["status"] for key, value in site.store.values.items() if key.startswith("status:")} == {
        f"status:{PROJECT}:{page_id('dist/c.html')}": "inactive"
    }
    site.forget_ledger()
    assert site.publish().out.count("Uploaded") == 0, "the target says what is retired"
    site.write("dist/c.html", content)
    site.publish()
    assert site.store.status("dist/c.html") == "uploaded"


# --- switching ----------------------------------------------------------------------------------------


def test_switching_on_queues_pages_on_demand(site: Site) -> None:
    site.publish()
    switch(site, "record")
    assert site.publish().out.count("Uploaded") == 0, "the pages are at the target"
    site.page("a", "Edited.")
    site.publish()
    assert site.store.queue == ["dist/a.html"]
    run = site.doit("nimbus:reconcile")
    assert run.out.count("not in the queue") == 2
    site.publish()
    assert sorted(site.store.queue) == ["dist/a.html", "dist/b.html", "dist/c.html"]
    assert site.doit("nimbus:process", "--until-empty").status == 0
    assert {site.store.status(f"dist/{name}.html") for name in "abc"} == {"done"}


def test_force_queues_all_pages_after_switching_on(site: Site) -> None:
    site.publish()
    switch(site, "record")
    site.publish("--force")
    assert len(site.store.queue) == 3
    assert [batch["status"] for batch in site.store.batches.values()] == ["completed", "queued"]


def test_switching_off_leaves_the_old_queue_alone(site: Site) -> None:
    switch(site, "record")
    site.publish()
    before = site.store
    switch(site, "none")
    site.page("a", "Edited.")
    site.remove("dist/c.html")
    site.publish()
    after = site.store
    assert after.values[f"queue:{PROJECT}"] == before.values[f"queue:{PROJECT}"]
    assert after.status("dist/a.html") == "uploaded"
    assert site.doit("nimbus:reconcile").status == 0
    assert site.publish().out.count("Uploaded") == 0
    switch(site, "record")
    site.publish()
    assert site.doit("nimbus:process", "--until-empty").status == 0
    ended = site.store
    assert ended.values[f"queue:{PROJECT}"]["items"] == []
    assert (ended.status("dist/b.html"), ended.status("dist/c.html")) == ("done", "inactive")


# --- killed -------------------------------------------------------------------------------------------


def never_published(folder: Path) -> Site:
    return Site.with_pages(folder, *NAMES, settings=f"[upload]\nmax_pages_per_batch = 3\n{NONE}")


def edited(folder: Path) -> Site:
    """One page changed, one new, one renamed, one gone, and one back."""
    site = never_published(folder)
    site.publish()
    content = (site / "dist/b.html").read_text()
    site.remove("dist/b.html")
    site.publish()
    site.write("dist/b.html", content)
    site.edit_all_ways()
    return site


def check_whole(site: Site) -> None:
    """Assert that the store holds exactly the pages that are here, and that nothing waits."""
    store = site.store
    here = {file.relative_to(site.folder).as_posix() for file in (site / "dist").iterdir()}
    maps = [json.loads((site / file).read_bytes()) for file in site.maps()]
    assert {content["path"] for content in maps} == here
    assert f"queue:{PROJECT}" not in store.values
    for content in maps:
        path = content["path"]
        record, metadata = store.page(path), store.page_metadata(path)
        assert {"path": path} | record["extraction"] == content
        assert metadata["digest"] == content_digest(content)
        batch = store.batches[record["batch_id"]]
        assert batch["pages"][record["page_id"]] == {"status": "uploaded", "uploaded": record["uploaded"]}
        assert store.values.get(f"status:{PROJECT}:{page_id(path)}", {}).get("status", "uploaded") == "uploaded"
    for path in store.pages - here:
        assert store.status(path) == "inactive"
        assert store.page_metadata(path)["digest"] == ""
    for batch in store.batches.values():
        assert batch["status"] == "completed"
        assert batch["summary"]["completed"] == batch["page_count"] == len(batch["pages"])
    with site.ledger() as ledger:
        steps = dict(ledger.execute("SELECT page_id, step FROM page"))
        assert set(ledger.execute("SELECT open FROM batch")) <= {(0,)}
    assert steps == {page_id(path): "enqueued" if path in here else "retired" for path in store.pages}


@pytest.mark.parametrize("lose", LOSSES, ids=lambda lose: f"lost:{lose or 'nothing'}")
@pytest.mark.parametrize("project", [never_published, edited])
def test_without_a_queue_a_kill_before_any_call_loses_nothing(
    tmp_path: Path, project: Callable[[Path], Site], lose: str
) -> None:
    kills = 0
    for folder in kill_at_every_step(project(tmp_path / "template"), tmp_path, "store", lose, "upload"):
        kills += 1
        check_whole(Site(folder))
        assert not sent_in(folder)["third"]
    assert kills > 15 // EVERY

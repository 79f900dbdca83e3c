"""Batches and pages after their upload, as an operator works with them: on every store, on a terminal, in a log.

There is no worker in these stories: what one does, the tests write into the store by hand.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest
from edge.fake import Fake
from edge.faults import Faults
from edge.workerd import needs_workerd
from kit import DODO, PROJECT, Run, Site, Terminal, page_id
from remote import QUICK, Cloudflare, Target, made

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Brings the commands, beside those that there are.
A, B, C = (f"dist/{name}.html" for name in "abc")
STARTED, ENDED = "2030-01-02T03:05:00.000Z", "2030-01-02T03:05:01.500Z"
DONE = {"completed": ENDED, "success": True, "changes": 4, "confidence": 0.75}
ERROR = {"message": "<b>no answer</b>", "code": "timeout", "timestamp": ENDED}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site.with_pages(tmp_path / "site", "a", "b", "c", settings=QUICK)
    return site


@pytest.fixture(params=["gateway", "classic", "cloudflare"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    yield from made(request.param, tmp_path / "server")


def put_here(site: Site) -> Callable[[str, Any], None]:
    def put(key: str, value: Any) -> None:
        site.change_store("INSERT OR REPLACE INTO kv(key, value) VALUES (?, ?)", key, json.dumps(value).encode())

    return put


def put_at(target: Target) -> Callable[[str, Any], None]:
    """Return what writes to a target as another program does."""

    def put(key: str, value: Any) -> None:
        if isinstance(target, Cloudflare):
            with target.fake.client() as client:
                client.put(f"/values/{quote(key, safe='')}", content=json.dumps(value)).raise_for_status()
            return
        url = f"{target.environment['NIMBUS_WORKER_URL']}/kv/{quote(key, safe='')}"
        headers = {"authorization": f"Bearer {target.environment['NIMBUS_API_KEY']}"}
        httpx.put(url, headers=headers, json={"value": json.dumps(value)}, verify=False).raise_for_status()

    return put


def work(put: Callable[[str, Any], None], batch: dict[str, Any], queue: dict[str, Any], **states: str) -> str:
    """Be a worker that has brought pages so far: `a="done"`; the others wait. Return the batch's id."""
    for name, state in states.items():
        page = page_id(f"dist/{name}.html")
        status: dict[str, Any] = {"status": state, "batch_id": batch["batch_id"], "updated": ENDED}
        entry = batch["pages"][page] | {"status": state, "started": STARTED}
        if state == "processing":
            status["processing"] = {"started": STARTED, "current_step": "rewrite", "progress": 40}
        else:
            queue["items"] = [item for item in queue["items"] if item["page_id"] != page]
            entry["completed"] = ENDED
        if state == "done":
            status["result"] = DONE
        if state == "failed":
            status["error"], entry["error"] = ERROR, ERROR["message"]
        batch["pages"][page] = entry
        put(f"status:{PROJECT}:{page}", status)
    ended = [page["status"] for page in batch["pages"].values()]
    batch["status"] = "processing" if {"uploaded", "processing"} & set(ended) else "partially_completed"
    batch["status"] = "completed" if set(ended) == {"done"} else batch["status"]
    batch["summary"] |= {"completed": ended.count("done"), "failed": ended.count("failed")}
    put(f"queue:{PROJECT}", queue)
    put(f"batch:{PROJECT}:{batch['batch_id']}", batch)
    return str(batch["batch_id"])


def work_here(site: Site, **states: str) -> str:
    [batch] = site.store.batches.values()
    return work(put_here(site), batch, site.store.values[f"queue:{PROJECT}"], **states)


def good(run: Run) -> Run:
    assert run.status == 0, run.said
    return run


def refused(run: Run) -> str:
    """Return the one line that says why nothing could be done."""
    assert run.status == 2, run.said
    assert len(run.said.splitlines()) == 1, run.said
    return run.said


# --- on every store -----------------------------------------------------------------------------------


@needs_workerd
def test_an_operators_day_on_every_store(site: Site, target: Target) -> None:
    def doit(command: str, *options: str) -> Run:
        return good(site.doit(f"nimbus:batch:{command}", *options, **target.environment))

    good(site.doit("upload", **target.environment))
    held = target.holds()
    [batch] = held.batches.values()
    batch_id = work(put_at(target), batch, held.values[f"queue:{PROJECT}"], a="done", b="failed")
    batch_option = f"--batch={batch_id}"

    [listed] = doit("list", "--json").json["batches"]
    assert (listed["batch_id"], listed["status"], listed["summary"]["failed"]) == (batch_id, "processing", 1)
    retried = doit("retry", batch_option, "--json").json
    assert retried["pages"] == {page_id(B): B}
    held = target.holds()
    assert {path: held.status(path) for path in (A, B, C)} == {A: "done", B: "queued", C: "uploaded"}
    waiting = {
        item["page_id"]: (item["priority"], item["attempts"]) for item in held.values[f"queue:{PROJECT}"]["items"]
    }
    assert waiting == {page_id(C): (5, 0), page_id(B): (8, 1)}

    assert "2 pages cancelled, 1 unchanged" in doit("cancel", batch_option).out
    report = doit("report", "--json").json
    assert {page["source_path"]: page["status"] for page in report["pages"]} == {
        A: "done",
        B: "cancelled",
        C: "cancelled",
    }
    assert (report["status"], report["metrics"]["total_changes"]) == ("cancelled", 4)
    assert target.holds().queue == []
    assert "is cancelled already" in refused(site.doit("nimbus:batch:cancel", batch_option, **target.environment))


def test_a_report_of_a_thousand_pages_takes_tens_of_requests(site: Site) -> None:
    """On a fresh machine, whose ledger knows no path; then on one that has published them."""
    pages = [f"page_{number:012x}" for number in range(1000)]
    batch_id = "batch_20300102_030400"
    summary = {"completed": 1000, "failed": 0, "pending": 0, "average_time_ms": 1500}
    came = {"status": "done", "uploaded": STARTED, "started": STARTED, "completed": ENDED}
    batch = {"batch_id": batch_id, "project_id": PROJECT, "created": STARTED, "page_count": 1000}
    batch |= {"status": "completed", "pages": dict.fromkeys(pages, came), "summary": summary}
    records: dict[str, Any] = {f"batch:{PROJECT}:{batch_id}": batch}
    entry = {"timestamp": ENDED, "level": "info", "step": "optimise", "message": "done"}
    for number, page in enumerate(pages):
        records[f"status:{PROJECT}:{page}"] = {"status": "done", "batch_id": batch_id, "updated": ENDED, "result": DONE}
        records[f"logs:{PROJECT}:{page}"] = {"page_id": page, "entries": [entry] * 5}
        record = {"page_id": page, "batch_id": batch_id, "source_path": f"dist/{number}.html"}
        record |= {"extraction": {"text": "x" * 2000}}
        records[f"page:{PROJECT}:{page}"] = record
    with Fake() as fake:
        with fake.client() as client:
            pairs = [{"key": key, "value": json.dumps(value)} for key, value in records.items()]
            client.put("/bulk", json=pairs).raise_for_status()
        fake.reset()
        report = good(site.doit("nimbus:batch:report", "--json", **Cloudflare(fake).environment)).json
        counts = fake.counts()
    assert len(report["pages"]) == 1000
    assert all(page["source_path"] and len(page["log_entries"]) == 5 for page in report["pages"])
    assert report["metrics"]["average_time_ms"] == 1500
    assert sum(counts["requests"].values()) <= 32, counts["requests"]
    assert counts["writes"] == 0


# --- in the embedded store ----------------------------------------------------------------------------


def test_without_a_project_or_a_batch_it_is_one_line(tmp_path: Path, site: Site) -> None:
    nowhere = Site.without_project(tmp_path / "nowhere")
    nowhere.write("dodo.py", DODO)
    assert "nimbus:project:init" in refused(nowhere.doit("nimbus:batch:list"))
    assert "There is no batch yet. Run: doit upload" in refused(site.doit("nimbus:batch:report"))


@pytest.mark.parametrize("command", ["status", "report", "retry", "cancel", "monitor"])
def test_a_batch_that_does_not_exist_is_named_with_the_closest(site: Site, command: str) -> None:
    site.publish()
    [batch_id] = site.store.batches
    before = site.store
    said = refused(site.doit(f"nimbus:batch:{command}", "--batch=batch_20200101_000000"))
    assert f"There is no batch batch_20200101_000000. Closest: {batch_id}." in said
    assert site.store == before


def test_a_killed_upload_shows_as_uploading(site: Site) -> None:
    site.publish()
    [batch_id] = site.store.batches
    site.change_store("DELETE FROM kv WHERE key LIKE 'batch:%'")
    with site.ledger() as ledger:
        ledger.execute("UPDATE batch SET open = 1")
    [listed] = good(site.doit("nimbus:batch:list", "--json")).json["batches"]
    assert (listed["batch_id"], listed["status"], listed["page_count"]) == (batch_id, "uploading", 3)
    assert "still being uploaded" in refused(site.doit("nimbus:batch:cancel", f"--batch={batch_id}"))


def test_status_report_and_retry_say_what_people_were_promised(site: Site) -> None:
    site.publish()
    batch_option = f"--batch={work_here(site, a='done', b='failed', c='processing')}"
    batch_id = batch_option.partition("=")[2]
    status = good(site.doit("nimbus:batch:status", batch_option, TZ="CET-1")).out.splitlines()
    created = site.store.batches[batch_id]["created"]
    hour = (int(created[11:13]) + 1) % 24
    assert [line for line in status if "Created" not in line] == [
        f"📊 Batch Status: {batch_id}",
        "   Status: 🔄 processing",
        "   Pages: 3",
        "📈 Progress:",
        "   ✅ Completed: 1",
        "   ❌ Failed: 1",
        "   ⏳ Pending: 1",
        f"   {'█' * 26}{'░' * 14} 66 %  2/3",
        "   🔄 Currently processing 1 page",
        "❌ Failed pages:",
        f"   ❌ {B}  {page_id(B)} - {ERROR['message']}",
        f"   To retry them: doit nimbus:batch:retry {batch_option}",
    ]
    assert status[2].endswith(f" {hour:02d}:{created[14:19]}"), "local time"
    plain = good(site.doit("nimbus:batch:status", batch_option, PYTHONIOENCODING="ascii", PYTHONUTF8="0")).out
    assert plain.isascii()
    assert f"   {'#' * 26}{'-' * 14} 66 %  2/3\n" in plain

    reported = good(site.doit("nimbus:batch:report", batch_option))
    assert f"   📄 Report saved to .nimbus/reports/{batch_id}_report.json" in reported.out
    report = json.loads((site / f".nimbus/reports/{batch_id}_report.json").read_bytes())
    assert (report["summary"]["completed"], report["summary"]["failed"], report["summary"]["pending"]) == (1, 1, 1)
    assert {page["source_path"]: page.get("result") for page in report["pages"]} == {A: DONE, B: None, C: None}

    retried = good(site.doit("nimbus:batch:retry", batch_option)).out.splitlines()
    assert retried[:2] == ["🔄 Retrying 1 failed page...", f"   ↻ Re-queued: {page_id(B)}  {B}"]
    assert good(site.doit("nimbus:batch:retry", batch_option)).out.splitlines() == ["✅ No failed pages to retry"]


def test_a_retry_may_be_run_twice_and_an_upload_works_as_before(site: Site) -> None:
    site.publish()
    batch_option = f"--batch={work_here(site, a='done', b='failed', c='failed')}"
    said = good(site.doit("nimbus:batch:retry", batch_option, f"--page={page_id(B)}")).out
    assert B in said
    assert C not in said
    before = site.store
    good(site.doit("nimbus:batch:retry", batch_option, "--page=./b.html"))
    assert site.store == before
    assert "--page is empty" in refused(site.doit("nimbus:batch:retry", batch_option, "--page="))
    assert f"Nearest: {B}" in refused(site.doit("nimbus:batch:retry", batch_option, "--page=dist/bb.html"))
    done = site.doit("nimbus:batch:retry", batch_option, f"--page={page_id(A)}")
    assert f"{page_id(A)} is done: nothing to retry" in refused(done)
    site.publish()
    assert site.store == before, "what waits, waits once"
    good(site.doit("nimbus:batch:retry", batch_option))
    assert sorted(site.store.queue) == [B, C]


DIES_BEFORE_IT_TELLS_THE_BATCH = """
import os
from nimbus_tasks.backends.kv.sqlite import SqliteStore

async def swap(self, swaps, _swap=SqliteStore.swap):
    if any(swap.key.startswith("batch:") for swap in swaps):
        os._exit(137)
    return await _swap(self, swaps)

SqliteStore.swap = swap
"""


@pytest.mark.parametrize(("command", "state", "left"), [("retry", "queued", [C, B]), ("cancel", "cancelled", [])])
def test_the_next_run_resumes_a_killed_command(site: Site, command: str, state: str, left: list[str]) -> None:
    site.publish()
    batch_id = work_here(site, a="done", b="failed" if command == "retry" else "processing")
    site.write("dodo.py", DODO + DIES_BEFORE_IT_TELLS_THE_BATCH)
    assert site.doit(f"nimbus:batch:{command}", f"--batch={batch_id}").status == 137
    assert site.store.batches[batch_id]["status"] == "processing"
    site.write("dodo.py", DODO)
    good(site.doit(f"nimbus:batch:{command}", f"--batch={batch_id}"))
    assert (site.store.status(B), site.store.batches[batch_id]["pages"][page_id(B)]["status"]) == (state, state)
    assert sorted(site.store.queue) == sorted(left)


def test_a_report_says_hostile_things_as_words(site: Site) -> None:
    site.publish()
    batch_id = work_here(site, a="done", b="failed", c="done")
    run = good(site.doit("nimbus:batch:report"))
    page = (site / f".nimbus/reports/{batch_id}_report.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;no answer&lt;/b&gt; (timeout)" in page
    assert "<b>" not in page
    assert f"Report saved to .nimbus/reports/{batch_id}_report.html" in run.out
    report = json.loads((site / f".nimbus/reports/{batch_id}_report.json").read_bytes())
    assert report["metrics"]["failures"] == {"timeout": 1}
    assert report["metrics"]["p95_time_ms"] == 1500


def test_a_page_is_shown_from_its_upload_on(site: Site) -> None:
    site.publish()
    work_here(site, a="processing")
    site.page("a", "Edited since.")
    good(site.doit("validate"))
    story = good(site.doit("nimbus:page:status", f"--path={A}", "--json")).json
    assert story["digest"]["here"] != story["digest"]["there"] == site.store.page_metadata(A)["digest"]
    assert (story["status"]["status"], story["batch"]["page"]["status"]) == ("processing", "processing")
    assert story["queue"]["length"] == 3
    assert [entry["step"] for entry in story["log_entries"]] == ["upload", "queue"]
    assert "upload: Page record stored" in good(site.doit("nimbus:page:log", "--path=a.html")).out
    for command in ("status", "log"):
        assert f"Nearest: {A}" in refused(site.doit(f"nimbus:page:{command}", "--path=aa.html"))


# --- the monitor --------------------------------------------------------------------------------------

MONITOR = ("nimbus:batch:monitor", "--interval=100")


def test_on_a_terminal_it_is_redrawn_in_place_until_the_batch_ends(site: Site) -> None:
    site.publish()
    work_here(site, a="done", b="processing")
    with Terminal(site, *MONITOR) as terminal:
        terminal.until("40 %  rewrite")
        terminal.until("Press Ctrl+C to stop")
        assert "1/3" in terminal.said
        work_here(site, b="failed", c="processing")
        terminal.until("no answer")
        work_here(site, c="done")
        assert terminal.end() == 1
    assert "has ended, partially_completed: 2 of 3 pages done, 1 failed" in terminal.said
    assert "3/3" in terminal.said
    assert "\x1b[1A" in terminal.said, "the cursor goes up, what was there is overwritten"
    assert terminal.said.count("\x1b[?25h") >= 1, "and is shown again at the end"
    assert "Traceback" not in terminal.said


def test_a_batch_that_completes_ends_with_0(site: Site) -> None:
    site.publish()
    batch_id = work_here(site, a="done", b="done", c="done")
    with Terminal(site, *MONITOR, NO_COLOR="1") as terminal:
        assert terminal.end() == 0
    assert f"🎉 Batch {batch_id} is completed: 3 of 3 pages done" in terminal.said
    assert "\x1b[32m" not in terminal.said


def test_ctrl_c_ends_the_view_with_130(site: Site) -> None:
    site.publish()
    with Terminal(site, *MONITOR) as terminal:
        terminal.until("0/3")
        terminal.type("\x03")
        assert terminal.end() == 130
    assert "Traceback" not in terminal.said
    assert terminal.said.rindex("\x1b[?25h") > terminal.said.rindex("\x1b[?25l"), "the cursor is back"


def test_a_log_gets_a_line_a_change_and_no_more(site: Site) -> None:
    site.publish()
    with site.start(*MONITOR) as run:
        run.until("queued, 0 of 3 pages")
        work_here(site, a="done")
        run.until("processing, 1 of 3 pages (1 done, 0 failed, 2 pending)")
        work_here(site, b="done", c="done")
        assert run.end() == 0
    assert len(run.lines) == 4
    assert "is completed: 3 of 3 pages done" in run.lines[-1]
    assert "\x1b" not in "".join(run.lines)


def test_as_a_document_it_is_the_batch_as_it_ended(site: Site) -> None:
    site.publish()
    work_here(site, a="done", b="failed", c="done")
    run = site.doit(*MONITOR, "--json")
    assert run.status == 1
    assert run.json["summary"]["failed"] == 1
    assert "partially_completed" in run.err


def test_a_store_that_goes_away_for_a_moment_is_survived(site: Site, tmp_path: Path) -> None:
    with Fake() as fake, Faults(fake.url, journal=tmp_path / "journal") as proxy:
        target = Cloudflare(fake, proxy.url)
        good(site.doit("upload", **target.environment))
        with site.start(*MONITOR, **target.environment) as run:
            run.until("queued, 0 of 3 pages")
            proxy.set([{"fault": "refuse"}])
            run.until("Reconnecting until it answers")
            proxy.set([])
            held = target.holds()
            [batch] = held.batches.values()
            work(put_at(target), batch, held.values[f"queue:{PROJECT}"], a="done", b="done", c="done")
            run.until("completed, 3 of 3 pages")
            assert run.end() == 0
    assert sum("Reconnecting" in line for line in run.lines) == 1

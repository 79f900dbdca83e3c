"""nimbus:process end to end: real processes, Ctrl-C, kills, and stores over a network."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from deadlines import wait_until
from edge.workerd import needs_workerd
from journals import begun_again, begun_too_early, read_journal
from kit import DODO, PROJECT, Site, Store, Terminal, page_id
from remote import made
from soak import SEED

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOM = Path(__file__).parents[1] / "processing"
PROCESS_DODO = f"import sys\nsys.path.insert(0, {str(ROOM)!r})\n{DODO}from scripted_pages import task_nimbus\n"
PROCESSOR = ROOM / "processor.py"
QUICK = {"look": 0.05, "flush": 0.05}
LEASE = 0.4


def process_settings(**settings: Any) -> dict[str, str]:
    return {"PROCESS_SETTINGS": json.dumps(QUICK | settings)}


def site_of(folder: Path, *names: str, settings: str = "", **texts: str) -> Site:
    site = Site.with_pages(folder, *names, settings=settings)
    for name, text in texts.items():
        site.page(name, text)
    site.write("dodo.py", PROCESS_DODO)
    return site


def journal(site: Site) -> list[dict[str, Any]]:
    file = site / "journal"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def begun(site: Site) -> Counter[str]:
    return Counter(line["page"] for line in journal(site) if line["what"] == "begin")


def check_done(store: Store, *, failed: tuple[str, ...] = ()) -> None:
    """Assert that all pages have ended and that all records agree on them."""
    states = {page_id(path): store.status(path) for path in store.pages}
    wrong = {page_id(f"dist/{name}.html") for name in failed}
    assert states == {page: "failed" if page in wrong else "done" for page in states}
    assert store.values[f"queue:{PROJECT}"]["items"] == []
    seen: dict[str, str] = {}
    for batch in store.batches.values():
        times = []
        for page, result in batch["pages"].items():
            seen[page] = result["status"]
            if result["status"] == "done":
                assert result["started"] <= result["completed"]
                times.append(result)
        summary = batch["summary"]
        counts = Counter(result["status"] for result in batch["pages"].values())
        assert (summary["completed"], summary["failed"], summary["pending"]) == (counts["done"], counts["failed"], 0)
        assert batch["status"] == ("partially_completed" if counts["failed"] else "completed")
    assert seen == states
    for path in store.pages:
        record, metadata = store.page(path), store.page_metadata(path)
        assert ("optimization" in record) == (states[page_id(path)] == "done")
        assert metadata["batch_id"] == record["batch_id"]
        steps = [each["step"] for each in store.log(path)]
        assert steps[-1] == "process"


# --- one process --------------------------------------------------------------------------------------


def test_a_published_site_is_processed_page_by_page(tmp_path: Path) -> None:
    site = site_of(tmp_path, "a", "b", d="fatal=refused")
    site.publish()
    before = {path: site.store.page_metadata(path) for path in site.store.pages}
    run = site.doit("nimbus:process", "--once", **process_settings())
    assert run.status == 1, run.said
    assert run.out.count("✅ Optimised: page_") == 2
    assert "❌ Failed: " in run.out
    assert "   ✅ Done: 2 (2 changes)" in run.out
    check_done(site.store, failed=("d",))
    assert {path: site.store.page_metadata(path) for path in site.store.pages} == before
    # The uploader sees no change in that, and a second run finds nothing to do.
    assert site.doit("nimbus:reconcile", "--json").json["differences"] == []
    again = site.doit("nimbus:process", "--once", "--json", **process_settings())
    assert (again.status, again.json["done"]) == (0, 0)


def test_json_is_one_document(tmp_path: Path) -> None:
    site = site_of(tmp_path, "a", e="once=timeout")
    site.publish()
    run = site.doit("nimbus:process", "--until-empty", "--json", **process_settings(retry_delays=[0.2]))
    assert run.status == 0, run.said
    result = run.json
    assert (result["done"], result["failed"], result["put_back"], result["waiting"]) == (2, 0, 1, 0)
    assert result["seconds"] >= 0.2
    assert "Failed, retry in" in run.err
    assert "the next try is due in" in run.err
    check_done(site.store)


def test_an_upload_after_processing_sends_only_what_changed_and_queues_it_again(tmp_path: Path) -> None:
    site = site_of(tmp_path, "a", "b")
    site.publish()
    assert site.doit("nimbus:process", "--once", **process_settings()).status == 0
    site.page("a", "Edited.")
    site.publish()
    assert site.sent() == {"dist/a.html": "changed"}
    assert "optimization" not in site.store.page("dist/a.html")
    assert site.doit("nimbus:process", "--once", **process_settings()).status == 0
    check_done(site.store)
    assert begun(site) == {page_id("dist/a.html"): 2, page_id("dist/b.html"): 1}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--once", "--until-empty"], "are mutually exclusive"),
        (["--workers=101"], "--workers=101 must be 1 to 100"),
        (["--max-pages=-1"], "--max-pages=-1 must be 0 or more"),
    ],
)
def test_invalid_options_are_refused_in_one_line(tmp_path: Path, options: list[str], words: str) -> None:
    run = site_of(tmp_path, "a").doit("nimbus:process", *options)
    assert (run.status, words in run.out) == (2, True), run.said


def test_ctrl_c_finishes_the_pages_in_hand(tmp_path: Path) -> None:
    site = site_of(tmp_path, s="slow=1.0")
    site.publish()
    with site.start("nimbus:process", **process_settings()) as running:
        wait_until(lambda: begun(site))
        assert running.interrupt() == 130
    assert any("Finishing 1 page" in line for line in running.lines)
    # It runs until Ctrl-C: that it ended so is no mistake.
    assert not any("Interrupted" in line for line in running.lines)
    check_done(site.store)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_page_that_takes_too_long_is_given_back(tmp_path: Path, number: signal.Signals) -> None:
    site = site_of(tmp_path, "a", s="slow=60")
    site.publish()
    with site.start("nimbus:process", **process_settings(grace=0.3)) as running:
        running.until("Optimised")
        running.process.send_signal(number)
        assert running.end() == 128 + number
    again = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
    assert any(f"for up to 0.3 s ({again} again: end at once)" in line for line in running.lines)
    assert any("Given back, not finished: 1" in line for line in running.lines)
    assert any("1 page left in the queue" in line for line in running.lines)
    store = site.store
    assert (store.status("dist/s.html"), store.queue) == ("queued", ["dist/s.html"])
    (batch,) = store.batches.values()
    page = batch["pages"][page_id("dist/s.html")]
    assert (page["status"], "started" in page, batch["status"]) == ("queued", True, "processing")


def test_a_second_ctrl_c_ends_at_once(tmp_path: Path) -> None:
    site = site_of(tmp_path, s="slow=60")
    site.publish()
    with site.start("nimbus:process", **process_settings(grace=60)) as running:
        wait_until(lambda: begun(site))
        running.process.send_signal(signal.SIGINT)
        running.until("Finishing 1 page")
        pressed = time.monotonic()
        assert running.interrupt() == 130
        assert time.monotonic() - pressed < 5
    assert site.store.queue == ["dist/s.html"]
    # Its claim was released too: no lease has to expire.
    with site.start("nimbus:process", **process_settings()) as running:
        wait_until(lambda: begun(site)[page_id("dist/s.html")] == 2)


def test_it_waits_for_pages_that_are_uploaded_later(tmp_path: Path) -> None:
    site = site_of(tmp_path, "a")
    site.publish()
    with site.start("nimbus:process", **process_settings()) as running:
        running.until("Optimised")
        running.until("Nothing waits")
        site.page("new")
        site.publish()
        assert "dist/new.html" in running.until("Optimised")
        assert running.interrupt() == 130
    check_done(site.store)


def test_many_pages_on_a_terminal_get_a_progress_bar(tmp_path: Path) -> None:
    site = site_of(tmp_path, *(f"p{number}" for number in range(25)))
    site.publish()
    with Terminal(site, "nimbus:process", "--once", **process_settings()) as terminal:
        assert terminal.end() == 0
    assert "25 pages to optimise" in terminal.said
    assert "25/25" in terminal.said
    assert "Optimised: page_" not in terminal.said
    assert "Done: 25 (25 changes)" in terminal.said


# --- many processes -----------------------------------------------------------------------------------


def test_sixteen_workers_in_four_processes_process_each_page_once(tmp_path: Path) -> None:
    names = [f"p{number:03d}" for number in range(120)]
    site = site_of(tmp_path, *names)
    site.publish()
    with contextlib.ExitStack() as stack:
        command = ("nimbus:process", "--until-empty", "--workers=4")
        some = [stack.enter_context(site.start_fork(*command, **process_settings())) for _ in range(4)]
        assert [each.end() for each in some] == [0] * 4
    check_done(site.store)
    assert set(begun(site).values()) == {1}
    assert len(begun(site)) == 120
    assert all(len(site.store.log(f"dist/{name}.html")) == 4 for name in names)


# --- kills --------------------------------------------------------------------------------------------


def kill(site: Site, work: Path, *arguments: str) -> Iterator[dict[str, Any]]:
    paths = os.pathsep.join([str(ROOM), *sys.path])
    environment = site.environment(process_settings(lease=LEASE)) | {"PYTHONPATH": paths}
    done = subprocess.run(
        [sys.executable, str(PROCESSOR), str(site.folder), str(work), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=3000,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        yield json.loads(line)


def check_after_kill(result: dict[str, Any]) -> int:
    """Assert that nothing was lost, and return how many pages were processed twice: only after a lease expired."""
    site = Site(Path(result["folder"]))
    said = "".join(file.read_text() for file in site.folder.glob("*.txt"))
    assert result["statuses"] == [0], said
    check_done(site.store)
    lines = read_journal(site.folder)
    assert begun_too_early(lines, LEASE) == []
    return len(begun_again(lines))


def test_a_process_killed_before_any_of_its_steps_loses_nothing(tmp_path: Path) -> None:
    site = site_of(tmp_path / "template", "a", "b", "c")
    site.publish()
    (tmp_path / "work").mkdir()
    rounds = list(kill(site, tmp_path / "work", "steps"))
    assert sum(result["killed"] for result in rounds) == len(rounds) - 1 >= 20
    twice = [check_after_kill(result) for result in rounds]
    assert sum(twice) > 0  # or the kills came too early or too late to prove anything


def moments(number: int, folder: Path) -> int:
    names = [f"p{number:02d}" for number in range(12)]
    site = site_of(folder / "template", *names, s1="slow=0.05", s2="slow=0.02")
    site.publish()
    (folder / "work").mkdir()
    chosen = random.Random(SEED)
    after = [str(chosen.randrange(5, 160)) for _ in range(number)]
    killed = 0
    for result in kill(site, folder / "work", "moments", *after):
        check_after_kill(result)
        killed += result["killed"]
    return killed


def test_one_of_two_killed_at_any_moment_loses_nothing(tmp_path: Path) -> None:
    assert moments(8, tmp_path) > 0


@pytest.mark.soak
def test_one_of_two_killed_at_any_of_hundreds_of_moments_loses_nothing(tmp_path: Path) -> None:
    assert moments(300, tmp_path) > 100


# --- over a network -----------------------------------------------------------------------------------


@needs_workerd
def test_through_a_gateway_two_processes_process_each_page_once(tmp_path: Path) -> None:
    for target in made("gateway", tmp_path / "target"):
        site = site_of(tmp_path / "site", *(f"p{number:02d}" for number in range(24)), f="once=timeout")
        assert site.doit("upload", **target.environment).status == 0
        quick = process_settings(flush=0.2, retry_delays=[0.3])
        with contextlib.ExitStack() as stack:
            command = ("nimbus:process", "--until-empty", "--workers=4")
            some = [stack.enter_context(site.start_fork(*command, **target.environment, **quick)) for _ in range(2)]
            assert [each.end() for each in some] == [0, 0], [each.lines for each in some]
        store = target.holds()
        assert store.values[f"queue:{PROJECT}"]["items"] == []
        assert {store.status(path) for path in store.pages} == {"done"}
        (batch,) = store.batches.values()
        assert (batch["status"], batch["summary"]["completed"]) == ("completed", 25)
        assert begun(site) == Counter({page_id(path): 2 if path == "dist/f.html" else 1 for path in store.pages})


def test_against_the_rest_api_a_hundred_pages_take_few_requests(tmp_path: Path) -> None:
    for target in made("cloudflare", tmp_path / "target"):
        site = site_of(tmp_path / "site", *(f"p{number:03d}" for number in range(100)))
        assert site.doit("upload", **target.environment).status == 0
        target.fake.reset()  # type: ignore[attr-defined]
        run = site.doit("nimbus:process", "--once", "--workers=50", **target.environment, **process_settings(flush=1.0))
        assert run.status == 0, run.said
        counts = target.fake.counts()  # type: ignore[attr-defined]
        assert sum(counts["requests"].values()) < 80, counts
        store = target.holds()
        (batch,) = store.batches.values()
        assert (batch["status"], store.values[f"queue:{PROJECT}"]["items"]) == ("completed", [])
        assert set(begun(site).values()) == {1}

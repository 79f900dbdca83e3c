"""Several machines at one queue: uploads and retries send a message for each page, whatever happens to them."""

from __future__ import annotations

import contextlib
import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from kit import DODO, PROJECT, Site, page_id

sys.path.insert(0, str(Path(__file__).parents[1] / "processing"))

from deadlines import wait_until
from fake_queues import QUEUE, Queues

if TYPE_CHECKING:
    from collections.abc import Iterator

TASKS = "from scripted_pages import task_nimbus\n"
ROOM = Path(__file__).parents[1] / "processing"
CHOSEN: dict[str, Any] = {"queue": "cloudflare-queues", "queue_id": QUEUE, "look": 0.05, "flush": 0.05}
SETTINGS = f'[upload]\nretry_wait = 1\n[process]\nqueue = "cloudflare-queues"\nqueue_id = "{QUEUE}"\nlook = 0.05\n'
PAGES = ("dist/a.html", "dist/b.html", "dist/c.html")


@pytest.fixture
def queues() -> Iterator[Queues]:
    with Queues(max_retries=5, dead_letter_queue="dlq") as running:
        yield running


def site_of(folder: Path, *names: str, **texts: str) -> Site:
    site = Site.with_pages(folder, *names, settings=SETTINGS)
    for name, text in texts.items():
        site.page(name, text)
    return site


def obedient(site: Site) -> Site:
    """Use the optimiser that does as each page says (tests/processing/scripted_pages.py)."""
    site.write("dodo.py", f"import sys\nsys.path.insert(0, {str(ROOM)!r})\n{DODO}{TASKS}")
    return site


def named(queues: Queues) -> Counter[str]:
    """Return how many messages each page has in the queue."""
    return Counter(body["page_id"] for body in queues.state()["queues"][QUEUE])


def sends(queues: Queues) -> int:
    return sum(each["action"] == "batch" for each in queues.state()["requests"])


def ids(*paths: str) -> Counter[str]:
    return Counter(page_id(path) for path in paths)


def check_done(site: Site, queues: Queues) -> None:
    store = site.store
    assert {store.status(path) for path in store.pages} == {"done"}
    assert (store.queue, queues.state()["queues"]) == ([], {QUEUE: [], "dlq": []})
    assert {batch["status"] for batch in store.batches.values()} == {"completed"}


# --- from upload to worker -----------------------------------------------------------------------------


def test_an_upload_sends_messages_and_one_of_two_machines_may_be_killed(tmp_path: Path, queues: Queues) -> None:
    names = [f"p{number}" for number in range(8)]
    site = obedient(site_of(tmp_path, **dict.fromkeys(names, "slow=0.2")))
    assert site.doit("upload", **queues.environment).status == 0
    paths = [f"dist/{name}.html" for name in names]
    (batch_id,) = site.store.batches
    assert (named(queues), sends(queues)) == (ids(*paths), 1)
    assert {body["batch_id"] for body in queues.state()["queues"][QUEUE]} == {batch_id}

    environment = queues.environment | {"PROCESS_SETTINGS": json.dumps(CHOSEN | {"visibility": 2.0})}
    command = ("nimbus:process", "--until-empty", "--workers=3")
    journal = site / "journal"
    with contextlib.ExitStack() as stack:
        victim = stack.enter_context(site.start(*command, **environment))
        wait_until(lambda: journal.exists() and journal.read_text())
        victim.process.kill()
        other = stack.enter_context(site.start(*command, **environment))
        assert other.end() == 0, other.lines
    check_done(site, queues)
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    ended = Counter(line["page"] for line in lines if line["what"] == "end" and line["pid"] != victim.process.pid)
    assert set(ended.values()) == {1}, "no page is processed twice"


def test_later_changes_are_sent_later_and_nothing_twice(tmp_path: Path, queues: Queues) -> None:
    site = site_of(tmp_path, "a", "b", "c")
    assert site.doit("upload", **queues.environment).status == 0
    site.page("b", "Edited.")
    assert site.doit("upload", **queues.environment).status == 0
    assert site.doit("upload", "--verbose", **queues.environment).status == 0
    assert (named(queues), sends(queues)) == (ids(*PAGES, "dist/b.html"), 2)
    # Of the two messages for one page, one is of the older upload: the records say so.
    run = site.doit("nimbus:process", "--until-empty", "--json", **queues.environment)
    assert (run.status, run.json["done"], run.json["dropped"] + run.json["settled"]) == (0, 3, 1), run.said
    assert queues.state()["queues"][QUEUE] == []
    assert {site.store.status(path) for path in PAGES} == {"done"}


def test_a_dry_run_sends_no_message(tmp_path: Path, queues: Queues) -> None:
    site = site_of(tmp_path, "a")
    assert site.doit("upload", "--dry-run", **queues.environment).status == 0
    assert sends(queues) == 0


# --- failures --------------------------------------------------------------------------------


def test_messages_that_an_upload_cannot_send_are_sent_by_the_next_one(tmp_path: Path, queues: Queues) -> None:
    site = site_of(tmp_path, "a", "b", "c")
    queues.state(fail=1000)
    run = site.doit("upload", **queues.environment)
    assert run.status == 1, run.said
    (line,) = [line for line in run.out.splitlines() if "Stopped" in line]
    assert "3 pages wait without a message in the Cloudflare Queue" in line
    assert "run doit upload to continue" in line
    store = site.store
    assert (store.pages, len(store.queue), len(store.batches)) == (set(PAGES), 3, 1)

    queues.state(fail=0)
    again = site.doit("upload", **queues.environment)
    assert again.status == 0, again.said
    assert site.store.batches == store.batches, "no page is sent again to the store"
    assert named(queues) == ids(*PAGES)
    assert "-- upload" in site.doit("upload", **queues.environment).out, "now there is nothing to do"


@pytest.mark.parametrize(("held", "twice"), [("before", 0), ("after", 3)])
def test_an_upload_killed_while_it_sends_messages_leaves_no_page_out(
    tmp_path: Path, queues: Queues, held: str, twice: int
) -> None:
    site = site_of(tmp_path, "a", "b", "c")
    queues.state(hold=held)
    with site.start("upload", **queues.environment) as running:
        wait_until(lambda: sends(queues))
        running.process.kill()
    queues.state(hold="")
    assert sum(named(queues).values()) == twice
    # The next process on this machine finds what is still to be sent; duplicates do no harm.
    run = site.doit("nimbus:process", "--until-empty", "--json", **queues.environment)
    assert (run.status, run.json["done"]) == (0, 3), run.said
    check_done(site, queues)
    assert all([each["step"] for each in site.store.log(path)].count("optimise") == 1 for path in PAGES)


def test_messages_that_are_gone_are_sent_again(tmp_path: Path, queues: Queues) -> None:
    site = site_of(tmp_path, "a", "b", "c")
    queues.state(hold="before")
    with site.start("upload", **queues.environment) as running:
        wait_until(lambda: sends(queues))
        running.process.kill()
    queues.state(hold="")
    site.forget_ledger()  # as that of a machine that is gone
    assert site.doit("nimbus:process", "--until-empty", "--json", **queues.environment).json["done"] == 0
    assert not named(queues), "an upload may be about to send them"
    key = f"queue:{PROJECT}"
    queue = site.store.values[key]
    for item, attempts in zip(queue["items"], (0, 0, 3), strict=True):
        item |= {"queued_at": "2026-01-02T03:04:05.000Z", "attempts": attempts}
    site.change_store("UPDATE kv SET value = ? WHERE key = ?", json.dumps(queue).encode(), key)
    run = site.doit("nimbus:process", "--until-empty", "--json", **queues.environment)
    assert (run.status, run.json["done"]) == (0, 2), run.said
    (left,) = site.store.values[key]["items"]
    assert left["attempts"] == 3, "it has failed: its message is delayed, or in the dead-letter queue"


def test_a_retry_sends_messages(tmp_path: Path, queues: Queues) -> None:
    site = obedient(site_of(tmp_path, "a", d="fatal=refused"))
    assert site.doit("upload", **queues.environment).status == 0
    environment = queues.environment | {"PROCESS_SETTINGS": json.dumps(CHOSEN)}
    assert site.doit("nimbus:process", "--until-empty", **environment).status == 1
    assert not named(queues)
    (batch_id,) = site.store.batches

    queues.state(fail=1000)
    run = site.doit("nimbus:batch:retry", f"--batch={batch_id}", **environment)
    assert run.status == 1, run.said
    assert "1 page wait" in run.said
    assert "Run the same command again" in run.said
    assert site.store.queue == ["dist/d.html"]
    queues.state(fail=0)
    assert site.doit("nimbus:batch:retry", f"--batch={batch_id}", **environment).status == 0
    assert named(queues) == ids("dist/d.html")


@pytest.mark.parametrize(
    ("removed", "words"),
    [("queue_id", "[process] queue_id is not set"), ("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_TOKEN is not set")],
)
def test_missing_settings_end_the_upload_before_it_begins(
    tmp_path: Path, queues: Queues, removed: str, words: str
) -> None:
    site = site_of(tmp_path, "a")
    text = (site / ".nimbus/project.toml").read_text()
    site.write(".nimbus/project.toml", "".join(line for line in text.splitlines(True) if not line.startswith(removed)))
    environment = {name: value for name, value in queues.environment.items() if name != removed}
    run = site.doit("upload", **environment)
    assert (run.status, words in run.said) == (2, True), run.said
    assert f"page:{PROJECT}:{page_id('dist/a.html')}" not in site.store.values

"""The next run resumes an interrupted one: nothing is lost, nothing is in the queue twice.

A kill before every step of an upload is tried: in `make soak` all of them, in `make test` every third one. Moments that
nobody chose are in `test_lives.py`. After each kill the same command runs again, and the store must be as if nothing
had ever happened.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import killer
import pytest
from kit import DODO, PROJECT, Site, page_id
from warm import run_python

from nimbus_tasks.model.page_map import content_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: What is lost besides: without its ledger, only the store can say what it holds.
LOSSES = ["", "ledger"]
#: Kills are this many steps apart.
EVERY = int(os.environ.get("NIMBUS_KILL_EVERY", "6"))
NAMES = ("a", "b", "c", "d", "e")


# --- the projects that are killed ---------------------------------------------------------------------


def never_published(folder: Path) -> Site:
    return Site.with_pages(folder, *NAMES, settings="[upload]\nmax_pages_per_batch = 3")


def edited(folder: Path) -> Site:
    """One page changed, one new, one renamed, one gone."""
    site = never_published(folder)
    site.publish()
    site.edit_all_ways()
    return site


def come_back(folder: Path) -> Site:
    """A page that was gone is back as it was, and another one is gone."""
    site = never_published(folder)
    site.publish()
    content = (site / "dist/e.html").read_text()
    site.remove("dist/e.html")
    site.publish()
    site.write("dist/e.html", content)
    site.remove("dist/d.html")
    return site


# --- what must be true afterwards ---------------------------------------------------------------------


def check_whole(site: Site) -> None:
    """Assert that the store holds exactly the pages that are here, as they are here, each once in the queue."""
    store = site.store
    maps = {}
    for file in site.maps():
        content = json.loads((site / file).read_bytes())
        maps[content["path"]] = content
    here = {file.relative_to(site.folder).as_posix() for file in (site / "dist").iterdir()}
    assert maps.keys() == here
    assert store.active == here
    assert Counter(store.queue) == Counter(here)
    for path, content in maps.items():
        record, metadata = store.page(path), store.page_metadata(path)
        assert {"path": path} | record["extraction"] == content
        assert metadata["digest"] == content_digest(content)
        assert (metadata["batch_id"], metadata["uploaded"]) == (record["batch_id"], record["uploaded"])
        batch = store.batches[record["batch_id"]]
        assert batch["pages"][record["page_id"]] == {"status": "uploaded", "uploaded": record["uploaded"]}
    for path in store.pages - here:
        assert store.status(path) == "inactive"
        assert store.page_metadata(path)["digest"] == ""
    queued = {item["page_id"]: item["batch_id"] for item in store.queue_items}
    assert queued == {page_id(path): store.page(path)["batch_id"] for path in here}
    check_batches(site)


def check_batches(site: Site) -> None:
    store = site.store
    for batch_id, batch in store.batches.items():
        assert batch["page_count"] == len(batch["pages"]) > 0
        waiting = 0
        for path in store.pages & {path for path in store.pages if page_id(path) in batch["pages"]}:
            # A page that was sent again is in another batch, one that is gone is in none.
            waits = path in store.active and store.page(path)["batch_id"] == batch_id
            assert (batch["pages"][page_id(path)]["status"] == "uploaded") == waits
            waiting += waits
        assert batch["status"] == ("queued" if waiting else "cancelled")
        assert batch["summary"] == {"completed": 0, "failed": 0, "pending": waiting, "average_time_ms": 0}
    with site.ledger() as ledger:
        steps = dict(ledger.execute("SELECT page_id, step FROM page"))
        batches = dict(ledger.execute("SELECT batch_id, open FROM batch"))
    assert steps == {page_id(path): "enqueued" if path in store.active else "retired" for path in store.pages}
    # A batch whose pages have all been sent again is named by no page: a ledger made anew does not list it.
    named = {store.page(path)["batch_id"] for path in store.active}
    assert named <= batches.keys() <= store.batches.keys()
    assert set(batches.values()) <= {0}
    assert store.project["usage"]["total_batches"] == len(store.batches)
    assert store.project["usage"]["total_pages"] == len(store.active)


def sent_in(folder: Path) -> dict[str, Counter[str]]:
    """Return how often each page record was sent, run by run."""
    sent: dict[str, Counter[str]] = {"first": Counter(), "second": Counter(), "third": Counter()}
    for line in (folder / "journal").read_text().splitlines():
        run, pages = json.loads(line)
        sent[run].update(pages)
    return sent


# --- every step ---------------------------------------------------------------------------------------


def kill_at_every_step(
    template: Site, work: Path, kind: str, lose: str, *command: str, **environment: str
) -> Iterator[Path]:
    """Yield the folder of each killed and continued run, and of one that was not killed."""
    first = LOSSES.index(lose) % EVERY + 1
    arguments = [*map(str, (template.folder, work, kind, lose, first, EVERY)), *command]
    done = run_python([killer.__file__, *arguments], work, template.environment(environment))
    assert done.returncode == 0, done.stderr.decode()
    told: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["killed"] for each in told] == [True] * (len(told) - 1) + [False]
    for each in told:
        folder = Path(each["folder"])
        assert set(each["statuses"]) == {0}, (folder / "second.txt").read_text() + (folder / "third.txt").read_text()
        yield folder


@pytest.mark.parametrize("lose", LOSSES, ids=lambda lose: f"lost:{lose or 'nothing'}")
@pytest.mark.parametrize("project", [never_published, edited, come_back])
def test_killed_before_any_call_of_store_or_ledger(tmp_path: Path, project: Callable[[Path], Site], lose: str) -> None:
    template = project(tmp_path / "template")
    kills = 0
    for folder in kill_at_every_step(template, tmp_path, "store", lose, "upload"):
        kills += 1
        check_whole(Site(folder))
        sent = sent_in(folder)
        again = (sent["first"] + sent["second"]).values()
        assert sum(times - 1 for times in again) <= killer.LIMITS.pairs, "more than one request was sent twice"
        assert not sent["third"]
    assert kills > 20 // EVERY


@pytest.mark.parametrize("room", [1, 2])
def test_killed_while_the_queue_is_divided_into_shards(tmp_path: Path, room: int) -> None:
    """With room for one entry the record is overlong, and its entries move; with room for two they stay."""
    template = edited(tmp_path / "template")
    for folder in kill_at_every_step(template, tmp_path, "store", "", "upload", QUEUE_ROOM=str(room)):
        store = Site(folder).store
        check_whole(Site(folder))
        assert len(store.values[f"queue:{PROJECT}"]["items"]) <= (room if room == 1 else 2 * room)
        assert not sent_in(folder)["third"]


def test_killed_with_no_options_to_ask_the_target(tmp_path: Path) -> None:
    """`nimbus:upload` believes the ledger, whatever doit remembers."""
    template = never_published(tmp_path / "template")
    assert template.doit("validate").status == 0
    for folder in kill_at_every_step(template, tmp_path, "store", "", "nimbus:upload"):
        check_whole(Site(folder))
        assert not sent_in(folder)["third"]


@pytest.mark.parametrize("lose", LOSSES, ids=lambda lose: f"lost:{lose or 'nothing'}")
def test_killed_while_a_batch_is_gone_on_with(tmp_path: Path, lose: str) -> None:
    """The batch has a record already, and names the page that is back as it was before."""
    template = Site.with_pages(tmp_path / "template", *NAMES)
    template.publish()
    (batch_id,) = template.store.batches
    content = (template / "dist/e.html").read_text()
    template.remove("dist/e.html")
    template.publish()
    template.write("dist/e.html", content)
    template.page("a", "Edited.")
    for folder in kill_at_every_step(template, tmp_path, "store", lose, "upload", f"--batch={batch_id}"):
        check_whole(Site(folder))
        assert not sent_in(folder)["third"]


@pytest.mark.parametrize("project", [never_published, edited])
def test_killed_before_any_file_that_extraction_and_validation_touch(
    tmp_path: Path, project: Callable[[Path], Site]
) -> None:
    for folder in kill_at_every_step(project(tmp_path / "template"), tmp_path, "files", "", "upload"):
        check_whole(Site(folder))
        assert not sent_in(folder)["third"]


def test_a_page_that_goes_after_a_killed_extraction_leaves_no_map_behind(tmp_path: Path) -> None:
    site = Site.with_pages(tmp_path, *NAMES)
    site.write(
        "dodo.py",
        """\
import os, signal
from nimbus_tasks import *
from nimbus_tasks.pipeline import extract as extracting

def extract_file(path, *more, real=extracting.extract_file):
    if path.endswith("e.html"):
        os.kill(os.getpid(), signal.SIGKILL)
    return real(path, *more)

extracting.extract_file = extract_file
""",
    )
    assert site.doit("upload").status == -9
    site.write("dodo.py", DODO)
    gone = next(name for name in NAMES if (site / f".nimbus/maps/dist/{name}.html.json").exists())
    site.remove(f"dist/{gone}.html")
    site.publish()
    check_whole(site)


def test_a_batch_that_got_no_page_after_all_leaves_no_trace(tmp_path: Path) -> None:
    """Killed before the first page was sent, and then the edit is undone."""
    site = Site.with_pages(tmp_path, *NAMES)
    site.publish()
    before = site.store
    content = (site / "dist/a.html").read_text()
    site.page("a", "Edited.")
    site.write(
        "dodo.py",
        """\
import os, signal
from nimbus_tasks import *
from nimbus_tasks.backends.kv.sqlite import SqliteStore

async def put(self, writes):
    os.kill(os.getpid(), signal.SIGKILL)

SqliteStore.put = put
""",
    )
    assert site.doit("upload").status == -9
    site.write("dodo.py", DODO)
    site.write("dist/a.html", content)
    site.publish()
    check_whole(site)
    assert site.store.batches == before.batches

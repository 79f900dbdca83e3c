"""Pages from Cloudflare Queues: the API's behaviour, two machines at one queue, and one of them killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fake_queues import ACCOUNT, QUEUE, Queues

sys.path.insert(0, str(Path(__file__).parents[1] / "stories"))

from deadlines import wait_until
from kit import DODO, PROJECT, Site, page_id

from nimbus_tasks.backends.queues.cloudflare import Message, open_api
from nimbus_tasks.model.errors import SettingsError, StoreError
from nimbus_tasks.model.records import QueueEntry
from nimbus_tasks.processing.cloudflare_queue import CloudflareQueue
from nimbus_tasks.project import settings as nimbus_settings
from nimbus_tasks.publishing.outbox import Body

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from nimbus_tasks.processing.queue import Claim
    from nimbus_tasks.project.settings import Settings

BATCH = "batch_20260102_030405"
SETTINGS = nimbus_settings.parse(
    f'[project]\nid = "{PROJECT}"\n[target]\naccount_id = "{ACCOUNT}"\n[upload]\nretry_wait = 1\n', {}
)


@pytest.fixture
def queues(monkeypatch: pytest.MonkeyPatch) -> Iterator[Queues]:
    with Queues(max_retries=2, dead_letter_queue="dlq") as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


def entry(page: str) -> QueueEntry:
    return QueueEntry(page, BATCH, 5, "2026-01-02T03:04:05.000Z", 0)


def sent(*pages: str) -> None:
    send([entry(page) for page in pages])


def send(entries: list[QueueEntry], queue_id: str = QUEUE, settings: Settings = SETTINGS) -> None:
    """Send a message for each entry, as an upload does."""

    async def run() -> None:
        api = open_api(Path(), settings, queue_id, lambda _: None)
        try:
            await api.send([Body(settings.project.id, entry.page_id, entry.batch_id) for entry in entries])
        finally:
            await api.close()

    asyncio.run(run())


def using(act: Callable[[CloudflareQueue], Awaitable[Any]], clock: Callable[[], float] = time.monotonic) -> Any:
    async def run() -> Any:
        queue = CloudflareQueue(open_api(Path(), SETTINGS, QUEUE, lambda _: None), PROJECT, 30.0, clock)
        try:
            return await act(queue)
        finally:
            await queue.close()

    return asyncio.run(run())


def never(_: Claim) -> bool:
    return False


def names(claims: list[Claim]) -> list[str]:
    return [claim.page_id for claim in claims]


# --- the API ------------------------------------------------------------------------------------------


def test_pages_are_sent_a_hundred_a_request_and_pulled_again(queues: Queues) -> None:
    pages = [f"page_{number:012d}" for number in range(250)]
    sent(*pages)
    assert [each["action"] for each in queues.state()["requests"]] == ["batch"] * 3

    async def act(queue: CloudflareQueue) -> None:
        claims = await queue.take(100, never)
        assert names(claims) == pages[:100]
        assert (claims[0].entry.batch_id, claims[0].entry.attempts) == (BATCH, 0)
        assert queue.held(claims) == set(pages[:100])
        assert (queue.backlog().waiting, await queue.left()) == (150, 250)
        await queue.end(claims)
        assert await queue.left() == 150
        assert queue.held(claims) == set()

    using(act)
    assert len(queues.state()["queues"][QUEUE]) == 150


def test_a_leased_message_is_not_handed_out_until_its_lease_expires(queues: Queues) -> None:
    sent("page_a")

    async def act(queue: CloudflareQueue) -> None:
        first = await queue.take(5, never)
        assert names(first) == ["page_a"]
        assert await queue.take(5, never) == []
        queues.state(advance=31)
        second = await queue.take(5, never)
        assert names(second) == ["page_a"]
        assert second[0].entry.attempts == 1

    using(act)


def test_an_expired_lease_is_not_held(queues: Queues) -> None:
    sent("page_a")
    now = [1000.0]

    async def act(queue: CloudflareQueue) -> None:
        claims = await queue.take(1, never)
        assert queue.held(claims) == {"page_a"}
        now[0] += 30
        assert queue.held(claims) == set()
        await queue.renew()
        await queue.release(claims)  # no request: there is nothing to give back

    using(act, lambda: now[0])
    assert [each["action"] for each in queues.state()["requests"]] == ["batch", "pull"]


def test_a_failed_page_is_delivered_again_after_its_delay(queues: Queues) -> None:
    sent("page_a")

    async def act(queue: CloudflareQueue) -> None:
        (claim,) = await queue.take(1, never)
        await queue.retry_later([(claim, 60.0)])
        queues.state(advance=59)
        assert await queue.take(1, never) == []
        queues.state(advance=2)
        assert names(await queue.take(1, never)) == ["page_a"]

    using(act)


def test_a_released_page_is_delivered_again_at_once(queues: Queues) -> None:
    sent("page_a")

    async def act(queue: CloudflareQueue) -> None:
        await queue.release(await queue.take(1, never))
        assert names(await queue.take(1, never)) == ["page_a"]

    using(act)


def test_messages_of_other_projects_are_left_for_later(queues: Queues) -> None:
    sent("page_a")
    other = nimbus_settings.parse(f'[project]\nid = "proj_ffffffffffff"\n[target]\naccount_id = "{ACCOUNT}"\n', {})
    send([entry("page_b")], settings=other)
    assert names(using(lambda queue: queue.take(10, never))) == ["page_a"]
    state = queues.state()
    assert len(state["queues"][QUEUE]) == 2
    assert [each["action"] for each in state["requests"]][-2:] == ["pull", "ack"]


def test_duplicate_messages_are_acknowledged(queues: Queues) -> None:
    sent("page_a", "page_a")

    async def act(queue: CloudflareQueue) -> None:
        assert names(await queue.take(10, never)) == ["page_a"]
        assert len(queues.state()["queues"][QUEUE]) == 1
        await asyncio.to_thread(sent, "page_a")
        assert await queue.take(10, never) == []
        assert len(queues.state()["queues"][QUEUE]) == 1, "the leased one"

    using(act)


def test_a_message_of_another_upload_is_next_once_the_page_has_ended(queues: Queues) -> None:
    newer = QueueEntry("page_a", "batch_20260103_030405", 5, "2026-01-03T03:04:05.000Z", 0)

    async def act(queue: CloudflareQueue) -> None:
        (first,) = await queue.take(10, never)
        assert await queue.take(10, never) == []
        await queue.end([first])
        (second,) = await queue.take(10, never)
        assert (first.entry.batch_id, second.entry.batch_id) == (BATCH, newer.batch_id)
        assert second.entry.attempts == 0
        await queue.end([second])

    send([entry("page_a"), newer])
    using(act)
    assert queues.state()["queues"][QUEUE] == []


def test_a_message_of_another_upload_is_released_when_the_process_ends(queues: Queues) -> None:
    send([entry("page_a"), QueueEntry("page_a", "batch_20260103_030405", 5, "2026-01-03T03:04:05.000Z", 0)])
    (first,) = using(lambda queue: queue.take(10, never))
    (other,) = using(lambda queue: queue.take(10, never))
    assert first.entry.batch_id != other.entry.batch_id


def test_a_message_whose_lease_expires_while_it_waits_is_dropped(queues: Queues) -> None:
    now = [1000.0]

    async def act(queue: CloudflareQueue) -> None:
        (first,) = await queue.take(10, never)
        now[0] += 30
        await queue.renew()
        assert await queue.take(10, never) == []
        assert queue.held([first]) == set()

    send([entry("page_a"), QueueEntry("page_a", "batch_20260103_030405", 5, "2026-01-03T03:04:05.000Z", 0)])
    using(act, lambda: now[0])


def test_a_page_that_is_released_untried_keeps_its_count_of_attempts(queues: Queues) -> None:
    sent("page_a")

    async def act(queue: CloudflareQueue) -> None:
        (claim,) = await queue.take(1, never)
        await queue.retry_later([(claim, 0.0)])
        for _ in range(5):  # more deliveries than the engine would make
            (claim,) = await queue.take(1, never)
            assert claim.entry.attempts == 1
            await queue.release([claim])

    using(act)
    state = queues.state()
    assert (len(state["queues"][QUEUE]), state["queues"]["dlq"]) == (1, [])


def test_a_message_that_never_fits_its_page_ends_in_the_dead_letter_queue(queues: Queues) -> None:
    sent("page_a")

    async def act(queue: CloudflareQueue) -> None:
        while claims := await queue.take(1, never):
            await queue.release(claims, 1.0)
            queues.state(advance=2)

    using(act)
    assert [each["page_id"] for each in queues.state()["queues"]["dlq"]] == ["page_a"]


def test_a_message_sent_with_a_delay_is_not_delivered_before(queues: Queues) -> None:
    async def act(queue: CloudflareQueue) -> None:
        api = open_api(Path(), SETTINGS, QUEUE, lambda _: None)
        await api.send([Body(PROJECT, "page_a", BATCH)], 60)
        await api.close()
        assert await queue.take(1, never) == []
        queues.state(advance=61)
        assert names(await queue.take(1, never)) == ["page_a"]

    using(act)


def test_requests_that_fail_temporarily_are_repeated(queues: Queues) -> None:
    queues.state(fail=2)
    sent("page_a")
    assert names(using(lambda queue: queue.take(1, never))) == ["page_a"]


def test_a_queue_that_never_answers_is_an_error(queues: Queues) -> None:
    queues.state(fail=3)
    with pytest.raises(StoreError, match=r"503 .*Service temporarily unavailable"):
        sent("page_a")


def test_the_error_about_a_wrong_token_does_not_show_it(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "wrong_token_0123456789")
    with pytest.raises(StoreError, match="Queues: Edit") as caught:
        sent("page_a")
    assert "wrong_token" not in str(caught.value)


def test_a_queue_that_does_not_exist_is_an_error(queues: Queues) -> None:
    with pytest.raises(StoreError, match=r"no such queue.*queue_id"):
        send([entry("page_a")], "f" * 32)


@pytest.mark.parametrize(
    ("queue_id", "text", "words"),
    [("", "account_id = 'a'", r"\[process\] queue_id is not set"), (QUEUE, "", r"\[target\] account_id is not set")],
)
def test_missing_settings_are_named(queue_id: str, text: str, words: str) -> None:
    settings = nimbus_settings.parse(f'[project]\nid = "{PROJECT}"\n[target]\n{text}\n', {})
    with pytest.raises(SettingsError, match=words):
        open_api(Path(), settings, queue_id, lambda _: None)


@pytest.mark.parametrize("body", ['{"a": 1}', {"a": 1}, "eyJhIjogMX0="])
def test_a_body_is_read_in_every_encoding(body: object) -> None:
    assert Message("lease", body).content(dict[str, int]) == {"a": 1}


@pytest.mark.parametrize("body", ["", "text", "dGV4dA==", None, [1], 7])
def test_a_body_that_is_something_else_is_none(body: object) -> None:
    assert Message("lease", body).content(dict[str, int]) is None


# --- machines -----------------------------------------------------------------------------------------


def machine(site: Site, queues: Queues, **more: Any) -> dict[str, str]:
    """Return the environment of a machine, which shares the store and the queue."""
    chosen = {"queue": "cloudflare-queues", "queue_id": QUEUE, "look": 0.05, "flush": 0.05, **more}
    environment = dict(queues.environment)
    return environment | {"PROCESS_SETTINGS": json.dumps(chosen)}


def published(folder: Path, *names: str, **texts: str) -> Site:
    site = Site.with_pages(folder, *names)
    for name, text in texts.items():
        site.page(name, text)
    here = str(Path(__file__).parent)
    site.write("dodo.py", f"import sys\nsys.path.insert(0, {here!r})\n{DODO}from scripted_pages import task_nimbus\n")
    site.publish()
    items = site.store.values[f"queue:{PROJECT}"]["items"]
    send([QueueEntry(**item) for item in items])
    return site


def journal(site: Site) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (site / "journal").read_text().splitlines()]


def check_done(site: Site, queues: Queues, done: int) -> None:
    store = site.store
    assert {store.status(path) for path in store.pages} == {"done"}
    (batch,) = store.batches.values()
    assert (batch["status"], batch["summary"]["completed"]) == ("completed", done)
    assert store.values[f"queue:{PROJECT}"]["items"] == []
    assert queues.state()["queues"] == {QUEUE: [], "dlq": []}


def test_two_machines_share_the_work(tmp_path: Path, queues: Queues) -> None:
    site = published(tmp_path, *(f"p{number:02d}" for number in range(40)), o="once=timeout")
    environment = machine(site, queues, retry_delays=[1.0], visibility=60)
    with contextlib.ExitStack() as stack:
        command = ("nimbus:process", "--until-empty")
        some = [stack.enter_context(site.start_fork(*command, **environment)) for _ in range(2)]
        assert [each.end() for each in some] == [0, 0], [each.lines for each in some]
    check_done(site, queues, 41)
    begun = Counter(line["page"] for line in journal(site) if line["what"] == "begin")
    assert begun == Counter({page_id(path): 1 + (path == "dist/o.html") for path in site.store.pages})


def test_the_pages_of_a_killed_machine_go_to_the_other_one(tmp_path: Path, queues: Queues) -> None:
    names = [f"p{number}" for number in range(6)]
    site = published(tmp_path, **dict.fromkeys(names, "slow=0.3"))
    environment = machine(site, queues, visibility=2.0)
    with site.start("nimbus:process", "--workers=3", **environment) as victim:
        wait_until(lambda: (site / "journal").exists() and len(journal(site)) >= 3)
        victim.process.kill()
    begun = {line["page"]: line["at"] for line in journal(site) if line["what"] == "begin"}
    run = site.doit("nimbus:process", "--until-empty", **environment)
    assert run.status == 0, run.said
    check_done(site, queues, 6)
    lines = [line for line in journal(site) if line["what"] == "begin" and line["pid"] != victim.process.pid]
    assert {line["page"] for line in lines} == {page_id(f"dist/{name}.html") for name in names}
    for line in lines:
        assert line["page"] not in begun or line["at"] - begun[line["page"]] >= 1.9


def test_an_old_message_of_a_page_that_is_done_changes_nothing(tmp_path: Path, queues: Queues) -> None:
    site = published(tmp_path, "a")
    environment = machine(site, queues, visibility=60)
    assert site.doit("nimbus:process", "--once", **environment).status == 0
    before = site.store
    sent(page_id("dist/a.html"))
    send([entry("page_of_nobody")])
    (batch_id,) = before.batches
    again = QueueEntry(page_id("dist/a.html"), batch_id, 5, "2026-01-02T03:04:05.000Z", 0)
    send([again])
    assert site.doit("nimbus:process", "--once", **environment).status == 0
    assert site.store.values | {f"queue:{PROJECT}": 0} == before.values | {f"queue:{PROJECT}": 0}
    assert len(journal(site)) == 2

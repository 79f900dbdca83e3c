"""The same pipeline against servers: our Worker and a classic one on workerd, and Cloudflare's REST API.

A user edits `[target]` (here: sets the variables that win over it) and gives credentials; nothing else changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from edge.fake import Fake
from kit import PROJECT, Run, Site, page_id
from remote import QUICK, Classic, Cloudflare, Gateway, Target, made

from nimbus_tasks.backends.kv import Write
from nimbus_tasks.backends.kv.open import open_store
from nimbus_tasks.model import keys
from nimbus_tasks.project.settings import load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONG_AGO = "2026-01-01T00:00:00.000Z"
A, B, C = "dist/a.html", "dist/b.html", "dist/c.html"


@pytest.fixture(params=["gateway", "classic", "cloudflare"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    yield from made(request.param, tmp_path / "server")


@pytest.fixture
def cloudflare(tmp_path: Path) -> Iterator[Cloudflare]:
    for each in made("cloudflare", tmp_path / "server"):
        assert isinstance(each, Cloudflare)
        yield each


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    for each in made("gateway", tmp_path / "server"):
        assert isinstance(each, Gateway)
        yield each


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site.with_pages(tmp_path / "site", "a", "b", "c", settings=QUICK)


def publish(site: Site, target: Target, *arguments: str) -> Run:
    run = site.doit("upload", *arguments, **target.environment)
    assert run.status == 0, run.said
    return run


def check_whole(target: Target, *paths: str) -> None:
    """Assert that the target holds these pages as active ones, each once in the queue and in a batch."""
    store = target.holds()
    assert store.active == set(paths)
    assert Counter(store.queue) == Counter(paths)
    for path in paths:
        metadata, record = store.page_metadata(path), store.page(path)
        assert (metadata["batch_id"], metadata["uploaded"]) == (record["batch_id"], record["uploaded"])
        assert len(metadata["digest"]) == 32
        assert store.batches[record["batch_id"]]["pages"][page_id(path)]["uploaded"] == record["uploaded"]
    assert store.project["usage"]["total_pages"] == len(paths)
    # An edit of a few pages does not pay for a write of the counters.
    assert 0 < store.project["usage"]["total_batches"] <= len(store.batches)


def forget_everything(site: Site) -> None:
    """Be a fresh CI runner: only what is committed is there."""
    kept = (site / ".nimbus/project.toml").read_text()
    shutil.rmtree(site / ".nimbus")
    site.write(".nimbus/project.toml", kept)


# --- what is published --------------------------------------------------------------------------------


def test_pages_arrive_and_only_what_changed_is_sent_again(site: Site, target: Target) -> None:
    publish(site, target)
    check_whole(target, A, B, C)
    assert not [key for key in target.holds().values if key.startswith("logs:")], "a paid store gets no audit log"
    before = target.holds()
    assert "Found" not in publish(site, target).said
    assert target.holds() == before
    site.page("b", "Edited.")
    site.page("d")
    site.remove(C)
    publish(site, target)
    assert site.sent() == {B: "changed", "dist/d.html": "new", C: "removed"}
    check_whole(target, A, B, "dist/d.html")
    assert "Edited." in target.holds().text(B)
    assert target.holds().page(A) == before.page(A)


def test_without_any_local_state_the_target_decides(site: Site, target: Target) -> None:
    publish(site, target)
    before = target.holds()
    forget_everything(site)
    assert "Nothing to upload: 3 files (3 unchanged)" in publish(site, target).out
    assert target.holds() == before
    forget_everything(site)
    site.page("a", "Edited elsewhere.")
    publish(site, target)
    assert site.sent() == {A: "changed"}
    check_whole(target, A, B, C)


def test_a_page_that_is_gone_is_known_from_the_listing(site: Site, cloudflare: Cloudflare, gateway: Gateway) -> None:
    for target in (cloudflare, gateway):
        publish(site, target)
        site.page("kept")
        site.page("gone")
        publish(site, target)
        forget_everything(site)
        site.remove("dist/gone.html")
        publish(site, target)
        assert site.sent() == {"dist/gone.html": "removed"}
        check_whole(target, A, B, C, "dist/kept.html")
        site.remove("dist/kept.html")
        publish(site, target)


def test_a_value_that_changed_by_itself_is_found_and_sent_again(
    site: Site, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(site, target)
    for name, value in target.environment.items():
        monkeypatch.setenv(name, value)
    asyncio.run(_flip_a_bit_of_an_old_page(site, page_id(A)))
    with site.ledger() as ledger:
        ledger.execute("UPDATE page SET uploaded = ?", (LONG_AGO,))
    classic = isinstance(target, Classic)  # it cannot list, so that every reconciling reads the values
    assert site.doit("upload", **target.environment).status == 0
    for options, found in (("--deep", "--dry-run"), 1), (("--deep",), 1), (("--deep",), 0):
        run = site.doit("nimbus:reconcile", *options, "--json", **target.environment)
        assert run.status == 0, run.said
        assert run.json["values"] >= 6
        assert [each["page_id"] for each in run.json["differences"]] == [page_id(A)] * found
        assert [each["key"] for each in run.json["damaged"]] == [f"page:{PROJECT}:{page_id(A)}"] * (not classic)
    assert "1 changed, 2 unchanged" in publish(site, target).out
    run = site.doit("nimbus:reconcile", "--deep", "--json", **target.environment)
    assert (run.json["damaged"], run.json["differences"]) == ([], [])
    assert "Abous" not in str(target.holds().page(A))


async def _flip_a_bit_of_an_old_page(site: Site, page: str) -> None:
    settings = load(site.folder)
    store = open_store(site.folder, settings.target)
    await store.open()
    key = keys.page_key(PROJECT, page)
    metadata = {each.key: each.metadata for each in (await store.names(key)).found} if store.traits.lists else {}
    value = (await store.get([key]))[key]
    uploaded = json.loads(value)["uploaded"].encode()
    value = value.replace(b"About", b"Abous").replace(uploaded, LONG_AGO.encode())
    aged = metadata.get(key, b"").replace(uploaded, LONG_AGO.encode())
    assert (await store.put([Write(key, value, aged)])).confirmed == (key,)
    await store.close()


def test_reconcile_finds_what_somebody_else_published(site: Site, target: Target, tmp_path: Path) -> None:
    publish(site, target)
    elsewhere = Site.with_pages(tmp_path / "elsewhere", "a", "b", "c", settings=QUICK)
    elsewhere.page("a", "Edited elsewhere.")
    publish(elsewhere, target)
    # Stored less than a minute ago, as far as this ledger knows: a listing would not yet be better.
    with site.ledger() as ledger:
        ledger.execute("UPDATE page SET uploaded = '2026-01-01T00:00:00.000Z'")
    run = site.doit("nimbus:reconcile", "--json", **target.environment)
    assert run.status == 0, run.said
    assert {each["source_path"]: each["what"] for each in run.json["differences"]}[A] == "other content"
    publish(site, target)
    assert site.sent() == {A: "changed"}, "what is here wins"


def test_another_namespace_is_another_target(site: Site, tmp_path: Path) -> None:
    one, other = "1" * 32, "2" * 32
    with Fake(namespaces=(one, other)) as fake:
        target = Cloudflare(fake)
        publish(site, target)
        target.environment["KV_NAMESPACE_ID"] = other
        publish(site, target)
        assert set(site.sent()) == {A, B, C}, "what the ledger knows of the one is not true of the other"


def test_each_kind_may_have_its_own_namespace(site: Site) -> None:
    pages, queues, rest = "1" * 32, "2" * 32, "3" * 32
    site.settings(f'[target.namespaces]\nNIMBUS_PAGES = "{pages}"\nNIMBUS_QUEUE = "{queues}"\n')
    with Fake(namespaces=(rest, pages, queues)) as fake:
        target = Cloudflare(fake)
        publish(site, target)
        check_whole(target, A, B, C)
        where = {key.partition(":")[0]: pair["namespace"] for key, pair in fake.state().items()}
    assert where == {"page": pages, "queue": queues, "status": rest, "batch": rest, "project": rest}


# --- what it costs ------------------------------------------------------------------------------------


def test_a_fresh_runner_asks_for_a_listing_and_two_reads_and_writes_nothing(site: Site, cloudflare: Cloudflare) -> None:
    publish(site, cloudflare)
    forget_everything(site)
    cloudflare.fake.reset()
    publish(site, cloudflare)
    counts = cloudflare.fake.counts()
    assert (counts["lists"], counts["writes"], sum(counts["requests"].values())) == (1, 0, 3)


def test_with_a_ledger_an_unchanged_site_costs_nothing_at_all(site: Site, cloudflare: Cloudflare) -> None:
    publish(site, cloudflare)
    cloudflare.fake.reset()
    publish(site, cloudflare)
    assert cloudflare.fake.counts()["requests"] == {}


def test_a_dry_run_sends_nothing_and_its_figures_are_those_of_the_run(site: Site, cloudflare: Cloudflare) -> None:
    for edit in ("first", "second"):
        site.page("a", edit)
        cloudflare.fake.reset()
        rehearsed = publish(site, cloudflare, "--dry-run", "--json").json["cost"]
        assert cloudflare.fake.counts()["writes"] == 0
        cloudflare.fake.reset()
        publish(site, cloudflare)
        counts = cloudflare.fake.counts()
        assert rehearsed["writes"] == counts["writes"]
        assert rehearsed["lists"] == counts["lists"]
        assert rehearsed["requests"] == sum(counts["requests"].values())


def test_a_dry_run_warns_of_more_writes_than_the_free_plan_has(site: Site, cloudflare: Cloudflare) -> None:
    for number in range(497):
        site.page(f"page{number}")
    said = publish(site, cloudflare, "--dry-run").out
    assert "Found 500 files to upload (500 new)" in said
    assert "1004 writes" in said
    assert "More than the 1,000 writes a day of Cloudflare's free plan" in said
    assert "free plan" not in publish(site, cloudflare, "--dry-run", "--limit", "400").out


# --- what goes wrong ----------------------------------------------------------------------------------


def test_bad_credentials_are_one_line_and_nothing_is_done(site: Site, target: Target) -> None:
    name = "CLOUDFLARE_API_TOKEN" if isinstance(target, Cloudflare) else "NIMBUS_API_KEY"
    run = site.doit("upload", **target.environment | {name: "sk_live_wrong"})
    assert run.status == 2
    assert f"Check {name}" in run.said
    assert "sk_live_wrong" not in run.said
    missing = site.doit("upload", **target.environment | {name: ""})
    assert missing.status == 2
    assert f"{name} is not set. Set it in the environment, or as" in missing.said
    assert ("doit nimbus:key:create makes one." in missing.said) == (name == "NIMBUS_API_KEY")
    publish(site, target)
    check_whole(target, A, B, C)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"NIMBUS_TARGET": "gateway"}, "[target] worker_url is not set"),
        ({"NIMBUS_TARGET": "gateway", "NIMBUS_WORKER_URL": "http://example.com"}, "is not encrypted"),
        ({"NIMBUS_TARGET": "gateway", "NIMBUS_WORKER_URL": "https://u:p@example.com"}, "has a password in it"),
        ({"NIMBUS_TARGET": "gateway", "NIMBUS_WORKER_URL": "example.com"}, "is not an address"),
        ({"NIMBUS_TARGET": "gateway", "NIMBUS_WORKER_URL": "https://nowhere.invalid"}, "does not answer"),
        (
            {"NIMBUS_TARGET": "gateway", "NIMBUS_WORKER_URL": "http://127.0.0.1:1"},
            "does not answer: connection refused",
        ),
        ({"NIMBUS_TARGET": "cloudflare"}, "[target] account_id is not set"),
        ({"NIMBUS_TARGET": "cloudflare", "CLOUDFLARE_ACCOUNT_ID": "a"}, "[target] namespace_id is not set"),
    ],
    ids=["no url", "plain", "password", "no address", "no name", "refused", "no account", "no namespace"],
)
def test_a_target_that_cannot_be_used_is_one_line(site: Site, environment: dict[str, str], words: str) -> None:
    run = site.doit("upload", NIMBUS_API_KEY="sk_live_x", CLOUDFLARE_API_TOKEN="token", **environment)
    assert run.status == 2
    assert words in run.said
    assert len([line for line in run.said.splitlines() if "❌" in line]) == 1


def test_a_namespace_that_is_not_there_is_named(site: Site, cloudflare: Cloudflare) -> None:
    run = site.doit("upload", **cloudflare.environment | {"KV_NAMESPACE_ID": "f" * 32})
    assert run.status == 2
    assert "10013" in run.said


def test_credentials_may_lie_in_a_file_of_the_owner(site: Site, cloudflare: Cloudflare) -> None:
    token = cloudflare.environment.pop("CLOUDFLARE_API_TOKEN")
    site.write(".nimbus/credentials.toml", f'CLOUDFLARE_API_TOKEN = "{token}"\n')
    (site / ".nimbus/credentials.toml").chmod(0o644)
    run = site.doit("upload", **cloudflare.environment)
    assert run.status == 2
    assert "can be read by others (mode 0644). Run: chmod 600 .nimbus/credentials.toml" in run.said
    assert token not in run.said
    (site / ".nimbus/credentials.toml").chmod(0o600)
    publish(site, cloudflare)
    check_whole(cloudflare, A, B, C)


def test_the_credentials_are_in_no_file_and_no_line(site: Site, target: Target) -> None:
    site.settings('[log]\nlevel = "debug"\n')
    said = [publish(site, target).said, site.doit("nimbus:reconcile", **target.environment).said]
    secret = next(value for name, value in target.environment.items() if name.endswith(("TOKEN", "KEY")))
    assert not [text for text in said if secret in text]
    files = [file for file in site.folder.rglob("*") if file.is_file()]
    assert '"event":"request"' in (site / ".nimbus/log.jsonl").read_text()
    assert not [str(file) for file in files if secret.encode() in file.read_bytes()]


def test_the_free_plans_daily_writes_end_a_run_and_the_next_day_goes_on(site: Site, tmp_path: Path) -> None:
    with Fake(daily_writes=4) as fake:
        target = Cloudflare(fake)
        run = site.doit("upload", **target.environment)
        assert run.status == 2, "no page came as far as the queue"
        assert "The daily writes of Cloudflare's free plan are spent (error 10048)." in run.said
        assert "They are back at 00:00 UTC" in run.said
        fake.advance(24 * 3600)
        assert site.doit("upload", **target.environment).status == 1
        fake.advance(24 * 3600)
        publish(site, target)
        check_whole(target, A, B, C)


def test_a_rate_limit_is_told_and_waited_for(site: Site) -> None:
    with Fake(requests=6, window=600, blocked=1) as fake:
        target = Cloudflare(fake)
        said = publish(site, target).said
        assert "Rate limited, continuing in 1 s (127.0.0.1:" in said
        check_whole(target, A, B, C)


def test_what_cloudflare_could_not_store_is_sent_again(site: Site) -> None:
    with Fake(unsuccessful=0.3, seed=7) as fake:
        target = Cloudflare(fake)
        for _ in range(5):
            if site.doit("upload", **target.environment).status == 0:
                break
        check_whole(target, A, B, C)


def test_two_machines_at_once_lose_nothing_of_the_queue(tmp_path: Path, gateway: Gateway) -> None:
    sites = [Site.with_pages(tmp_path / name, f"{name}1", f"{name}2", settings=QUICK) for name in ("x", "y", "z")]
    with contextlib.ExitStack() as machines:
        running = [machines.enter_context(site.start_fork("upload", **gateway.environment)) for site in sites]
        # 1: a machine that sees the others' pages refuses to mark them inactive.
        assert {each.end() for each in running} <= {0, 1}
    paths = [f"dist/{name}{number}.html" for name in ("x", "y", "z") for number in (1, 2)]
    store = gateway.holds()
    assert Counter(store.queue) == Counter(paths)
    assert {path for path in paths if store.page(path)["batch_id"] in store.batches} == set(paths)


def test_a_switch_from_the_embedded_store_needs_two_settings(site: Site, gateway: Gateway) -> None:
    site.publish()
    site.settings(f'[target]\nstore = "gateway"\nworker_url = "{gateway.workerd.url}"\n')
    run = site.doit("upload", NIMBUS_API_KEY=gateway.environment["NIMBUS_API_KEY"])
    assert run.status == 0, run.said
    check_whole(gateway, A, B, C)
    assert site.store.active == {A, B, C}, "what the embedded store holds stays"


def test_another_users_project_is_out_of_reach(site: Site, gateway: Gateway) -> None:
    publish(site, gateway)
    before = gateway.holds()
    other = gateway.workerd.new_key("user_ffffffffffff")
    site.page("a", "Taken over.")
    run = site.doit("upload", **gateway.environment | {"NIMBUS_API_KEY": other})
    assert run.status == 2
    assert "answered 403" in run.said
    assert gateway.holds() == before
    assert PROJECT in str(before.values)

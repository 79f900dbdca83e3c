"""From the settings to a store: what is missing is named, and nothing is loaded or asked for nothing."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from deadlines import SECONDS
from edge.fake import Fake
from loopback import Asked, Loopback, answer
from stories.kit import Site

from nimbus_tasks.backends.kv import Traits, Write
from nimbus_tasks.backends.kv.cloudflare import CloudflareStore
from nimbus_tasks.backends.kv.gateway import GatewayStore
from nimbus_tasks.backends.kv.open import (
    API_VARIABLE,
    CLOUDFLARE_API,
    Connection,
    connect,
    known_identity,
    open_store,
)
from nimbus_tasks.backends.kv.sqlite import SqliteStore
from nimbus_tasks.model.errors import NimbusError, SettingsError, StoreError
from nimbus_tasks.project.secrets import CREDENTIALS_FILE
from nimbus_tasks.project.settings import PROJECT_FILE, Project, Settings, Target, Upload

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nimbus_tasks.backends.http import Recorded
    from nimbus_tasks.backends.kv import Store

TOKEN = "sk_live_5ecre7"
GATEWAY = Target("gateway", worker_url="https://kv.example.com")
CLOUDFLARE = Target("cloudflare", account_id="account", namespace_id="namespace")
VARIABLES = ("NIMBUS_API_KEY", "NIMBUS_ADMIN_SECRET", "CLOUDFLARE_API_TOKEN", API_VARIABLE)
CAPABILITIES = {"protocol": 1, "store": "s1", "user": "user_1", "limits": {"pairs": 9, "bytes": 99, "keys": 7}}


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES[:3]:
        monkeypatch.setenv(name, f"{TOKEN}_{name.lower()}")


def settings(target: Target, **upload: Any) -> Settings:
    return Settings(Project("proj_0123456789ab"), upload=Upload(**{"retry_wait": 1, **upload}), target=target)


def one_line(error: NimbusError) -> str:
    told = str(error)
    assert told.isprintable()
    assert "5ecre7" not in told
    return told


def mistake(root: Path, target: Target, **options: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        open_store(root, target, Connection(**options))
    return one_line(caught.value)


# --- what is missing ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "setting", "variable"),
    [
        (Target("gateway"), "worker_url", "NIMBUS_WORKER_URL"),
        (Target("cloudflare", namespace_id="n"), "account_id", "CLOUDFLARE_ACCOUNT_ID"),
        (Target("cloudflare", account_id="a"), "namespace_id", "KV_NAMESPACE_ID"),
    ],
)
@pytest.mark.usefixtures("credentials")
def test_a_setting_that_is_missing_is_named_with_its_variable(
    tmp_path: Path, target: Target, setting: str, variable: str
) -> None:
    told = mistake(tmp_path, target)
    assert told.startswith(f"{PROJECT_FILE}: [target] {setting} is not set: the ")
    assert told.endswith(f"Set it there, or {variable}.")


@pytest.mark.parametrize(
    ("target", "options", "variable"),
    [
        (GATEWAY, {}, "NIMBUS_API_KEY"),
        (GATEWAY, {"as_admin": True}, "NIMBUS_ADMIN_SECRET"),
        (CLOUDFLARE, {}, "CLOUDFLARE_API_TOKEN"),
        (CLOUDFLARE, {"as_admin": True}, "CLOUDFLARE_API_TOKEN"),
    ],
)
def test_credentials_that_are_missing_are_named_with_both_places(
    tmp_path: Path, target: Target, options: dict[str, bool], variable: str
) -> None:
    told = mistake(tmp_path, target, **options)
    assert told.startswith(f"{variable} is not set. Set it in the environment, or as {variable} =")
    assert CREDENTIALS_FILE in told


@pytest.mark.usefixtures("credentials")
def test_an_address_that_no_credentials_may_be_sent_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "is not encrypted" in mistake(tmp_path, Target("gateway", worker_url="http://example.com"))
    monkeypatch.setenv(API_VARIABLE, "http://example.com")
    assert "is not encrypted" in mistake(tmp_path, CLOUDFLARE)


# --- which store it is --------------------------------------------------------------------------------


@pytest.mark.usefixtures("credentials")
def test_each_target_is_its_own_kind_of_store(tmp_path: Path) -> None:
    (tmp_path / ".nimbus").mkdir()
    kinds = [type(open_store(tmp_path, target)) for target in (Target(), GATEWAY, CLOUDFLARE)]
    assert kinds == [SqliteStore, GatewayStore, CloudflareStore]


@pytest.mark.usefixtures("credentials")
def test_another_place_has_another_identity_and_the_same_place_has_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def targets(*namespaces: dict[str, str]) -> list[Target]:
        here = [Target("cloudflare", account_id=a, namespace_id=n) for a in ("a", "b") for n in ("n", "m")]
        return here + [Target("cloudflare", account_id="a", namespace_id="n", namespaces=each) for each in namespaces]  # type: ignore[arg-type]

    other = targets(
        {"NIMBUS_PAGES": "p"}, {"NIMBUS_PAGES": "q"}, {"NIMBUS_STATUS": "p"}, {"NIMBUS_PAGES": "p", "NIMBUS_LOGS": "l"}
    )
    seen: list[str] = []
    for api in (CLOUDFLARE_API, "http://127.0.0.1:1/client/v4", "http://127.0.0.1:2/client/v4"):
        monkeypatch.setenv(API_VARIABLE, api)
        for target in other:
            identity = known_identity(tmp_path, target)
            assert identity == open_store(tmp_path, target).identity
            seen.append(identity)
    assert len(set(seen)) == len(seen) == 24
    # The same place, said in another way.
    monkeypatch.setenv(API_VARIABLE, f"{CLOUDFLARE_API}/")
    assert known_identity(tmp_path, other[0]) == seen[0]
    monkeypatch.delenv(API_VARIABLE)
    assert known_identity(tmp_path, other[0]) == seen[0]
    plain, *_ = targets({})
    empty = targets({"NIMBUS_PAGES": ""})[-1]
    assert known_identity(tmp_path, plain) == known_identity(tmp_path, empty) == seen[0]
    both = targets({"NIMBUS_PAGES": "p", "NIMBUS_LOGS": "l"}, {"NIMBUS_LOGS": "l", "NIMBUS_PAGES": "p"})[-2:]
    assert len({known_identity(tmp_path, each) for each in both}) == 1


def test_an_embedded_store_is_known_once_it_is_there(tmp_path: Path) -> None:
    (tmp_path / ".nimbus").mkdir()
    assert known_identity(tmp_path, Target()) == ""
    assert not list((tmp_path / ".nimbus").iterdir()), "to ask makes none"

    async def opened() -> str:
        store = await connect(settings(Target()), Connection(), tmp_path)
        try:
            return store.identity
        finally:
            await store.close()

    identity = asyncio.run(opened())
    assert identity
    assert known_identity(tmp_path, Target()) == identity


@pytest.mark.parametrize(
    "target",
    [GATEWAY, Target("cloudflare"), Target("cloudflare", account_id="a"), Target("cloudflare", namespace_id="n")],
)
def test_where_only_the_other_side_could_tell_nothing_is_known(tmp_path: Path, target: Target) -> None:
    assert known_identity(tmp_path, target) == ""


# --- with contact -------------------------------------------------------------------------------------


def meet(
    root: Path, reply: Callable[[Asked], bytes] | bytes, tell: Callable[[Store], Any], **options: Any
) -> tuple[list[Asked], list[Recorded], Any]:
    """Open a gateway and do something with it; return what it was asked, the log, and what came of it."""
    recorded: list[Recorded] = []
    as_admin = options.pop("as_admin", False)
    timeouts = {name: options.pop(name) for name in ("read_timeout", "connect_timeout") if name in options}

    async def scenario() -> tuple[list[Asked], list[Recorded], Any]:
        async with Loopback(reply) as server:
            target = Target("gateway", worker_url=server.url, **timeouts)
            try:
                store = await connect(
                    settings(target, **options), Connection(record=recorded.append, as_admin=as_admin), root
                )
            except NimbusError as error:
                return server.asked, recorded, error
            try:
                return server.asked, recorded, await tell(store)
            finally:
                await store.close()

    return asyncio.run(scenario())


async def nothing(store: Store) -> Store:
    return store


@pytest.mark.usefixtures("credentials")
def test_a_gateway_is_asked_for_its_capabilities_once(tmp_path: Path) -> None:
    asked, recorded, store = meet(tmp_path, answer(200, json.dumps(CAPABILITIES).encode()), nothing)
    assert [(each.method, each.target) for each in asked] == [("GET", "/")]
    assert asked[0].headers["authorization"] == f"Bearer {TOKEN}_nimbus_api_key"
    assert (store.limits.pairs, store.limits.bytes, store.limits.keys) == (9, 99, 7)
    assert (store.owner, store.identity.endswith(":s1")) == ("user_1", True)
    assert store.traits == Traits(lag=60, billed=True)
    assert [(each.method, each.path, each.status) for each in recorded] == [("GET", "/", 200)]
    assert "5ecre7" not in repr(recorded)


@pytest.mark.usefixtures("credentials")
def test_for_its_admin_a_gateway_is_given_the_admins_secret(tmp_path: Path) -> None:
    asked, _, _ = meet(tmp_path, answer(404), nothing, as_admin=True)
    assert asked[0].headers["authorization"] == f"Bearer {TOKEN}_nimbus_admin_secret"


@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize("tries", [1, 4])
def test_what_does_not_answer_is_tried_as_often_as_the_settings_say(tmp_path: Path, tries: int) -> None:
    asked, recorded, error = meet(tmp_path, answer(503), nothing, tries=tries)
    assert type(error) is StoreError
    assert f"answered 503. (tried {'once' if tries == 1 else f'{tries} times'})" in one_line(error)
    assert len(asked) == len(recorded) == tries


@pytest.mark.usefixtures("credentials")
def test_many_requests_without_an_answer_end_it_before_the_tries_do(tmp_path: Path) -> None:
    async def scenario() -> StoreError:
        async with Loopback(answer(503)) as server:
            told = settings(Target("gateway", worker_url=server.url), tries=99, give_up_after=3)
            with pytest.raises(StoreError, match="3 consecutive requests failed") as caught:
                await connect(told, Connection(), tmp_path)
            assert len(server.asked) == 3
            return caught.value

    one_line(asyncio.run(scenario()))


@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize("status", [401, 403])
def test_rejected_credentials_are_reported_at_once(tmp_path: Path, status: int) -> None:
    said = json.dumps({"error": {"code": "unauthorized", "message": f"{TOKEN}_nimbus_api_key is unknown"}}).encode()
    asked, _, error = meet(tmp_path, answer(status, said), nothing)
    assert f"answered {status} (*** is unknown): it does not accept the credentials. Check NIMBUS_API_KEY" in one_line(
        error
    )
    assert len(asked) == 1


@pytest.mark.usefixtures("credentials")
def test_what_a_gateway_says_of_a_write_is_one_line_without_the_key(tmp_path: Path) -> None:
    def reply(asked: Asked) -> bytes:
        failed = {"b": {"code": "no", "message": f"no\n{TOKEN}_nimbus_api_key\x1b[31m"}}
        told = CAPABILITIES if asked.target == "/" else {"confirmed": ["a"], "failed": failed}
        return answer(200, json.dumps(told).encode())

    async def put(store: Store) -> Any:
        return await store.put([Write("a", b"1"), Write("b", b"2")])

    _, _, stored = meet(tmp_path, reply, put)
    assert (stored.confirmed, stored.failed) == (("a",), {"b": "no *** [31m"})


@pytest.mark.usefixtures("credentials")
def test_a_requested_wait_is_reported(tmp_path: Path) -> None:
    told: list[tuple[float, str]] = []

    async def scenario() -> None:
        replies = [answer(429, retry_after="0"), answer(404)]
        async with Loopback(lambda _: replies.pop(0)) as server:
            target = Target("gateway", worker_url=server.url)
            store = await connect(settings(target), Connection(waiting=lambda *said: told.append(said)), tmp_path)
            await store.close()
            assert told == [(0.0, f"127.0.0.1:{server.port} answered 429.")]

    asyncio.run(scenario())


@pytest.mark.usefixtures("credentials")
def test_an_answer_is_waited_for_as_long_as_the_settings_say(tmp_path: Path) -> None:
    async def never(_: Asked) -> bytes:
        await asyncio.Event().wait()
        return b""

    _, _, error = meet(tmp_path, never, nothing, tries=1, read_timeout=0.2)  # type: ignore[arg-type]
    assert "does not answer: no response in time. (tried once)" in one_line(error)


@pytest.mark.usefixtures("credentials")
def test_cloudflares_api_may_be_another_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with Loopback(answer(200, b"value")) as server:
            monkeypatch.setenv(API_VARIABLE, f"{server.url}/client/v4/")
            target = Target("cloudflare", account_id="a/b", namespace_id="n", namespaces={"NIMBUS_PAGES": "p"})
            store = await connect(settings(target), Connection(), tmp_path)
            try:
                assert server.asked == [], "the API keeps no sessions"
                for key in ("page:x", "queue:x"):
                    assert await store.get([key]) == {key: b"value"}
            finally:
                await store.close()
            paths = [each.target for each in server.asked]
            start = "/client/v4/accounts/a%2Fb/storage/kv/namespaces"
            assert paths == [f"{start}/p/values/page%3Ax", f"{start}/n/values/queue%3Ax"]
            assert server.asked[0].headers["authorization"] == f"Bearer {TOKEN}_cloudflare_api_token"

    asyncio.run(scenario())


# --- nothing is loaded for nothing --------------------------------------------------------------------

#: What only a run that speaks to a server needs.
HEAVY = ("httpx", "httpcore", "anyio", "tenacity", "aiolimiter")
#: What only a run with something to do needs: the parser takes 45 ms, the event loop 15.
BUSY = ("asyncio", "turbohtml")

KNOWING = """
import sys
import nimbus_tasks.tasks
from pathlib import Path
from nimbus_tasks.backends.kv.open import known_identity
from nimbus_tasks.project.settings import Target

def no_network(event, _):
    assert not event.startswith("socket."), event

sys.addaudithook(no_network)
print([known_identity(Path(), Target(store, "https://x", "a", "n")) for store in ("sqlite", "gateway", "cloudflare")])
print(sorted(set(sys.modules) & {*sys.argv[1:]}))
"""


def test_to_know_a_store_takes_no_network_and_no_client(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KNOWING, *HEAVY],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    assert done.stdout.splitlines() == ["['', '', 'cloudflare:a:n']", "[]"]


@pytest.mark.parametrize("target", ["sqlite", "cloudflare"])
def test_where_nothing_changed_no_client_parser_or_loop_is_loaded_and_nothing_is_sent(
    tmp_path: Path, target: str
) -> None:
    site = Site.with_pages(tmp_path, "a", "b")
    environment = {"NIMBUS_TARGET": target, "PYTHONPROFILEIMPORTTIME": "1"}
    with Fake() as fake:
        environment |= {"CLOUDFLARE_ACCOUNT_ID": fake.account, "KV_NAMESPACE_ID": fake.namespace}
        environment |= {"CLOUDFLARE_API_TOKEN": fake.token, API_VARIABLE: fake.url}
        first = site.doit(**environment)
        assert first.status == 0, first.out
        assert ("httpx" in loaded(first.err)) is (target == "cloudflare"), "else this test sees nothing"
    # The server is gone, and the credentials are too.
    del environment["CLOUDFLARE_API_TOKEN"]
    second = site.doit(**environment)
    assert second.status == 0, second.out
    assert "-- upload" in second.out
    assert loaded(first.err).issuperset(BUSY)
    assert not loaded(second.err).intersection(HEAVY + BUSY)


def loaded(profile: str) -> set[str]:
    """Return the modules that Python's own import profile names."""
    lines = [line for line in profile.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}

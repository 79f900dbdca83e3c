"""API keys from the command line: through the Worker on this machine, and at the API of Cloudflare as documented."""

from __future__ import annotations

import json
import re
import secrets
from typing import TYPE_CHECKING, Any

import pytest
from deadlines import wait_until
from edge.fake import Fake
from edge.workerd import needs_workerd
from kit import PROJECT, Site
from schema import conforms
from worker_kit import LocalWorker, files_with, give_miniflare, local_worker

from nimbus_tasks.model.keys import apikey_hash

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kit import Run

KEY = re.compile(r"sk_live_[0-9a-f]{32}")
COMMANDS = ["nimbus:key:create --name=ci", "nimbus:key:list", "nimbus:key:revoke --name=ci"]


class Target:
    """A project, and where its keys are."""

    def __init__(self, site: Site, environment: dict[str, str]) -> None:
        self.site = site
        self.environment = environment

    def doit(self, *arguments: str, **more: str) -> Run:
        return self.site.doit(*arguments, **(self.environment | more))

    def create(self, *options: str) -> dict[str, str]:
        run = self.doit("nimbus:key:create", "--json", *options)
        assert run.status == 0, run.said
        conforms(run.json, "key")
        return run.json

    def refused(self, *arguments: str, **more: str) -> str:
        """Run a command that cannot be done, and return the one line that says why."""
        run = self.doit(*arguments, **more)
        assert run.status == 2, run.said
        assert len(run.said.splitlines()) == 1, run.said
        return run.said

    def keys(self) -> dict[str, dict[str, Any]]:
        listed = self.doit("nimbus:key:list", "--json").json
        conforms(listed, "keys")
        return {key["name"]: key for key in listed["keys"]}


@pytest.fixture
def project(tmp_path: Path) -> Site:
    site = Site.with_pages(tmp_path, "a", "b")
    return site


@pytest.fixture
def worker(project: Site) -> Iterator[LocalWorker]:
    give_miniflare(project)
    with local_worker(project) as running:
        yield running


@pytest.fixture
def gateway(project: Site, worker: LocalWorker) -> Target:
    return Target(project, worker.settings())


@pytest.fixture(scope="module")
def fake() -> Iterator[Fake]:
    with Fake(namespaces=()) as running:
        yield running


@pytest.fixture
def cloudflare(project: Site, fake: Fake) -> Target:
    return Target(project, cloudflare_settings(fake, secrets.token_hex(16)))


def cloudflare_settings(fake: Fake, namespace: str) -> dict[str, str]:
    return {
        "NIMBUS_TARGET": "cloudflare",
        "CLOUDFLARE_API_BASE_URL": fake.url,
        "CLOUDFLARE_ACCOUNT_ID": fake.account,
        "KV_NAMESPACE_ID": namespace,
        "CLOUDFLARE_API_TOKEN": fake.token,
    }


# --- through the Worker -------------------------------------------------------------------------------


@needs_workerd
def test_a_key_works_from_its_making_to_its_revocation(project: Site, worker: LocalWorker, gateway: Target) -> None:
    assert project.doit("nimbus:worker:init").status == 0
    key = gateway.create("--name=ci", "--email=ann@example.com")["key"]
    assert KEY.fullmatch(key)

    record = f"/kv/logs%3A{PROJECT}%3Apage_0123456789ab"
    with worker.client(key) as client:
        assert client.get("/").json()["user"] == gateway.doit("nimbus:key:list", "--json").json["user_id"]
        client.put(record, json={"value": "{}"}).raise_for_status()
        assert client.get(record).text == "{}"
    published = gateway.doit("upload", NIMBUS_API_KEY=key)
    assert published.status == 0, published.said
    assert project.summary() == {"dist/a.html": "stored", "dist/b.html": "stored"}

    wait_until(lambda: "last_used" in gateway.keys()["ci"], pause=0.5)
    assert re.search(
        r"active +used [\d-]+ [\d:]+, [1-9]\d* today, [1-9]\d* in total", gateway.doit("nimbus:key:list").out
    )

    run = gateway.doit("nimbus:key:revoke", "--name=ci")
    assert run.status == 0
    assert "It can take a minute until every location refuses it." in run.out
    assert worker.status(key, record) == 401
    project.page("a", "Edited.")
    refused = gateway.doit("upload", NIMBUS_API_KEY=key)
    assert refused.status == 2
    assert key not in refused.said

    assert worker.doit.interrupt() == 0
    assert files_with(project, key) == []
    assert not any(key in line for line in worker.doit.lines)


@needs_workerd
def test_the_first_key_makes_its_user_and_the_next_ones_are_the_same_users(gateway: Target) -> None:
    first = gateway.create("--name=ci")
    assert re.fullmatch(r"user_[0-9a-f]{12}", first["user_id"])
    second = gateway.create("--name=laptop")
    assert second["user_id"] == first["user_id"]
    assert {name: (key["hash"], key["active"]) for name, key in gateway.keys().items()} == {
        "ci": (first["hash"], True),
        "laptop": (second["hash"], True),
    }


@needs_workerd
@pytest.mark.parametrize("command", COMMANDS)
def test_without_the_admins_secret_or_with_a_wrong_one_it_is_one_line(gateway: Target, command: str) -> None:
    gateway.site.remove(".nimbus/credentials.toml")
    assert "NIMBUS_ADMIN_SECRET is not set" in gateway.refused(*command.split())
    said = gateway.refused(*command.split(), NIMBUS_ADMIN_SECRET="a-secret-that-nobody-knows")
    assert "it does not accept the credentials" in said
    assert "a-secret-that-nobody-knows" not in said


# --- at Cloudflare ------------------------------------------------------------------------------------


def test_a_key_is_shown_once_and_the_target_has_its_hash(cloudflare: Target, fake: Fake) -> None:
    run = cloudflare.doit("nimbus:key:create", "--name=ci")
    assert run.status == 0
    assert run.err == ""
    [key] = KEY.findall(run.out)
    assert "NIMBUS_API_KEY" in run.out
    assert [key["hash"] for key in cloudflare.keys().values()] == [apikey_hash(key)]
    said = "".join(cloudflare.doit(*command.split()).said for command in COMMANDS)
    assert key not in said
    assert key not in json.dumps(fake.state())
    assert files_with(cloudflare.site, key) == []


def test_each_record_is_as_the_contract_has_it(project: Site) -> None:
    with Fake() as fake:
        target = Target(project, cloudflare_settings(fake, fake.namespace))
        made = target.create("--name=ci", "--user=user_ann", "--email=ann@example.com")
        values = {key: json.loads(pair["value"]) for key, pair in fake.state().items()}
    created = made["created"]
    assert values.pop(f"project:{PROJECT}")["user_id"] == "user_ann"
    assert values == {
        "user:user_ann": {"user_id": "user_ann", "email": "ann@example.com", "created": created},
        "email:ann@example.com": {"user_id": "user_ann", "created": created},
        "projects:user_ann": [PROJECT],
        "apikeys:user_ann": [made["hash"]],
        f"apikey:{made['hash']}": {
            "user_id": "user_ann",
            "created": created,
            "active": True,
            "name": "ci",
            "usage": {"requests_today": 0, "requests_total": 0},
        },
    }


def test_the_owner_of_what_is_published_owns_the_key(cloudflare: Target) -> None:
    assert cloudflare.doit("upload").status == 0
    owner = cloudflare.create("--name=ci")["user_id"]
    assert owner == cloudflare.doit("nimbus:key:list", "--json").json["user_id"]
    assert f"{PROJECT} belongs to {owner}" in cloudflare.refused("nimbus:key:create", "--name=x", "--user=user_other")


def test_a_name_that_is_taken_is_refused_until_its_key_is_revoked(cloudflare: Target) -> None:
    first = cloudflare.create("--name=ci")
    assert "has an active key named ci already" in cloudflare.refused("nimbus:key:create", "--name=ci")
    assert cloudflare.doit("nimbus:key:revoke", f"--key={first['hash'][:15]}").status == 0
    second = cloudflare.create("--name=ci")
    said = cloudflare.doit("nimbus:key:list").out
    assert re.search(rf"ci +{first['hash'][7:15]} +[\d-]+ [\d:]+ +revoked +no use recorded", said)
    assert re.search(rf"ci +{second['hash'][7:15]} +[\d-]+ [\d:]+ +active +no use recorded", said)


def test_to_revoke_twice_changes_nothing_and_says_so(cloudflare: Target, fake: Fake) -> None:
    cloudflare.create("--name=ci")
    revoked = cloudflare.doit("nimbus:key:revoke", "--name=ci", "--json").json
    conforms(revoked, "revoked_key")
    assert (revoked["already"], revoked["key"]["active"]) == (False, False)
    before = fake.state("apikey:")
    run = cloudflare.doit("nimbus:key:revoke", "--name=ci")
    assert run.status == 0
    assert "is revoked already" in run.out
    assert fake.state("apikey:") == before


def test_what_is_not_there_is_refused_with_the_nearest_names(cloudflare: Target) -> None:
    assert "There is no key yet" in cloudflare.refused("nimbus:key:revoke", "--name=laptop")
    cloudflare.create("--name=laptop")
    assert "no key named latop. Closest: laptop." in cloudflare.refused("nimbus:key:revoke", "--name=latop")
    assert "no key whose hash begins with 0123456789." in cloudflare.refused("nimbus:key:revoke", "--key=0123456789")


def test_without_keys_the_list_says_how_to_make_one(cloudflare: Target) -> None:
    run = cloudflare.doit("nimbus:key:list")
    assert run.status == 0
    assert "doit nimbus:key:create" in run.out
    assert cloudflare.doit("nimbus:key:list", "--json").json == {"user_id": "", "keys": []}


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_token_it_is_one_line(cloudflare: Target, command: str) -> None:
    assert "CLOUDFLARE_API_TOKEN is not set" in cloudflare.refused(*command.split(), CLOUDFLARE_API_TOKEN="")


# --- without asking any target ------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_an_embedded_store_has_no_keys(project: Site, command: str) -> None:
    said = Target(project, {}).refused(*command.split())
    assert "has no API keys" in said
    assert 'store = "gateway"' in said


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_project_it_is_one_line(tmp_path: Path, command: str) -> None:
    site = Site.without_project(tmp_path)
    assert "doit nimbus:project:init" in Target(site, {}).refused(*command.split())


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("create", "A key needs a name"),
        ("create --name=", "A key needs a name"),
        ("create --name=a\x1b[31m", "printable"),
        ("create --name=" + "x" * 65, "1 to 64"),
        ("create --name=ci --user=ann", "--user=ann must look like user_"),
        ("create --name=ci --user=user_a:b", "must look like user_"),
        ("create --name=ci --email=ann", "--email=ann must look like"),
        ("create --name=ci --email=a:b@c", "must look like"),
        ("revoke", "Say which key"),
        ("revoke --name=ci --key=0123abcd", "Say which key"),
        ("revoke --key=0123abc", "8 or more hex digits"),
        ("revoke --key=sha256:xyz", "8 or more hex digits"),
        ("revoke --key=" + "0" * 65, "8 or more hex digits"),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_asks_nobody(project: Site, command: str, why: str) -> None:
    target = Target(project, {"NIMBUS_TARGET": "gateway", "NIMBUS_WORKER_URL": "http://127.0.0.1:9"})
    first, *options = command.split()
    assert why in target.refused(f"nimbus:key:{first}", *options)


def test_what_is_said_of_the_services_keys_names_its_own_commands(project: Site) -> None:
    target = Target(project, {})
    assert "doit nimbus:key:create --service" in target.doit("nimbus:key:list", "--service").out
    made = target.doit("nimbus:key:create", "--service", "--name=ci")
    assert "Set it as NIMBUS_SERVICE_KEY" in made.out
    for refused in (
        "create --service --name=ci",
        "revoke --service",
        "revoke --service --key=sk_live_0a",
        "revoke --service --name=q",
    ):
        first, *options = refused.split()
        said = target.refused(f"nimbus:key:{first}", *options)
        assert said.count("nimbus:key:") == len(re.findall(r"key:\w+ --service", said)), said


def test_a_key_in_place_of_its_hash_is_not_repeated(project: Site) -> None:
    key = "sk_live_" + "0a" * 16
    said = Target(project, {"NIMBUS_TARGET": "cloudflare"}).refused("nimbus:key:revoke", f"--key={key}")
    assert "takes a key's hash" in said
    assert key not in said

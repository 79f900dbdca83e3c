"""Keys over HTTP: their user creates and revokes them in a session, sees no others, and the log names none."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from deadlines import SECONDS
from service_process import ServiceProcess
from warm import run_doit

from nimbus_tasks.server.auth import CSRF_HEADER

ANN, BOB = "user_ann", "user_bob"


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Iterator[ServiceProcess]:
    with ServiceProcess(tmp_path, "--role=web", DATABASE_URL=database_url) as running:
        yield running


class Session:
    """A browser that has logged in with a new key."""

    def __init__(self, service: ServiceProcess, user: str) -> None:
        self.key = service.new_key(user)
        self.http = httpx.Client(base_url=service.url, timeout=SECONDS)
        self.http.post("/api/session", json={"key": self.key}).raise_for_status()
        self.http.headers[CSRF_HEADER] = self.http.get("/api/session").json()["csrfToken"]

    def listed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.http.get("/api/keys").raise_for_status().json()["keys"]
        return found

    def create(self, name: object, **more: object) -> httpx.Response:
        return self.http.post("/api/keys", json={"name": name} | more)


@pytest.fixture
def ann(service: ServiceProcess) -> Iterator[Session]:
    session = Session(service, ANN)
    yield session
    session.http.close()


def bearer(service: ServiceProcess, key: str) -> httpx.Client:
    return httpx.Client(base_url=service.url, headers={"authorization": f"Bearer {key}"}, timeout=SECONDS)


def test_a_key_is_created_works_and_is_revoked_at_once(service: ServiceProcess, ann: Session) -> None:
    (own,) = ann.listed()
    assert (own["own"], own["active"], own["requests"], own["lastUsed"], own["scope"]) == (True, True, 0, None, "")

    answer = ann.create("laptop", login=True)
    made = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    assert sorted(made) == ["created", "hash", "key", "name"]
    assert {(each["name"], each["hash"], each["own"]) for each in ann.listed()} == {
        (own["name"], own["hash"], True),
        ("laptop", made["hash"], False),
    }
    assert made["key"] not in json.dumps(ann.listed())

    with bearer(service, made["key"]) as program, bearer(service, service.new_key(ANN)) as other:
        opened = httpx.post(f"{service.url}/api/session", json={"key": made["key"]})
        cookie = {"cookie": opened.headers["set-cookie"].partition(";")[0]}
        assert program.get("/api/assets").status_code == 200
        assert httpx.get(f"{service.url}/api/assets", headers=cookie).status_code == 200
        for _ in range(2):  # again is no error
            assert ann.http.delete(f"/api/keys/{made['hash']}").status_code == 204
        assert program.get("/api/assets").status_code == 401
        assert httpx.get(f"{service.url}/api/assets", headers=cookie).status_code == 401
        assert other.get("/api/assets").status_code == 200
    assert [each["active"] for each in ann.listed() if each["name"] == "laptop"] == [False]
    assert ann.create("laptop").status_code == 201  # a revoked key's name is free

    events = [json.loads(line) for line in (service.folder / ".nimbus/log.jsonl").read_text().splitlines()]
    told = [(each["event"], each["key_hash"], each["by_key"]) for each in events if each["event"].startswith("key ")]
    assert told[:2] == [("key created", made["hash"], own["hash"]), ("key revoked", made["hash"], own["hash"])]
    assert len(told) == 3
    assert "sk_live_" not in json.dumps(events)


def test_revoking_the_key_of_the_session_ends_it(ann: Session) -> None:
    (own,) = ann.listed()
    assert ann.http.delete(f"/api/keys/{own['hash']}").status_code == 204
    assert ann.http.get("/api/keys").status_code == 401


def test_a_key_for_a_program_opens_no_session(service: ServiceProcess, ann: Session) -> None:
    """Not as a login, nor as an API key: so it cannot lead to other keys."""
    key = ann.create("ci").json()["key"]
    assert [each["scope"] for each in ann.listed() if not each["own"]] == ["program"]
    answer = httpx.post(f"{service.url}/api/session", json={"key": key})
    assert (answer.status_code, answer.json()["code"], "set-cookie" in answer.headers) == (403, "auth", False)
    with bearer(service, key) as program:
        assert program.get("/api/assets").status_code == 200
        assert program.post("/api/upload-check", json={"checksums": []}).status_code == 200
        assert program.post("/api/keys", json={"name": "more", "login": True}).status_code == 403


def test_a_key_of_the_command_logs_in_unless_it_is_for_a_program(service: ServiceProcess) -> None:
    def create(*options: str) -> subprocess.CompletedProcess[bytes]:
        return run_doit(["nimbus:key:create", *options, "--json"], service.folder, service.environment)

    for name, option, expected in (("me", (), 204), ("ci", ("--program",), 403)):
        key = json.loads(create("--service", f"--name={name}", *option).stdout)["key"]
        assert httpx.post(f"{service.url}/api/session", json={"key": key}).status_code == expected
    refused = create("--name=more", "--program")
    assert (refused.returncode, b"Add --service" in refused.stderr) == (2, True)


def test_keys_of_others_are_neither_seen_nor_revoked(service: ServiceProcess, ann: Session) -> None:
    bob = Session(service, BOB)
    (his,) = bob.listed()
    for hashed in (his["hash"], his["hash"][:15], "sha256:" + "0" * 64, "x", bob.key):
        answer = ann.http.delete(f"/api/keys/{hashed}")
        assert (answer.status_code, answer.json()) == (404, {"error": "There is no such key", "code": "invalid"})
    assert his["hash"] not in {each["hash"] for each in ann.listed()}
    assert bob.listed() == [his]
    bob.http.close()


def test_what_may_not_be_is_refused_in_one_line(service: ServiceProcess, ann: Session) -> None:
    for name in ("", " ci", "ci\n", "x" * 65, "a\x00b", "a\u202eb", 5, None):
        answer = ann.create(name)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid"), name
        assert "--" not in answer.json()["error"]
    assert "1 to 64 printable characters" in ann.create(" ci").json()["error"]
    assert ann.create("ci").status_code == 201
    again = ann.create("ci")
    assert (again.status_code, again.json()["error"]) == (409, f"{ANN} has an active key named ci already.")
    del ann.http.headers[CSRF_HEADER]
    assert ann.create("more").status_code == 403
    assert {each["name"] for each in ann.listed() if not each["own"]} == {"ci"}
    for key, status in ((ann.key, 200), (service.new_key(ANN, content=True), 401), ("sk_live_" + "0" * 32, 401)):
        with bearer(service, key) as program:
            assert program.get("/api/keys").status_code == status
            for answer in (program.post("/api/keys", json={"name": "more"}), program.delete("/api/keys/sha256:0")):
                assert (answer.status_code, answer.json()["code"]) == (403 if status == 200 else 401, "auth")
    with bearer(service, ann.key) as program:
        assert "log in" in program.post("/api/keys", json={"name": "more"}).json()["error"]


def test_a_user_cannot_create_keys_without_end(ann: Session) -> None:
    answers = [ann.create(f"key {number}") for number in range(25)]
    assert 429 in {each.status_code for each in answers}

"""Who may ask: a bearer is an active API key or the admin's secret, and all else is refused in the same words."""

from __future__ import annotations

import hashlib
import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from edge.workerd import Workerd
from worker_requests import code_of, kv, new_project, put

if TYPE_CHECKING:
    from worker_requests import User

REFUSED = {"error": {"code": "unauthorized", "message": "This needs a valid API key."}}


def record_key(bearer: str) -> str:
    return f"apikey:sha256:{hashlib.sha256(bearer.encode()).hexdigest()}"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer  {}",
        "Bearer\t{}",
        "{}",
        "Basic {}",
        "Token {}",
        "Bearer{}",
        "Bearer {} ,",
        "Bearer {}, Bearer {}",
        "Bearer {}x",
        "Bearer x{}",
        'Bearer "{}"',
        "Bearer sk_live_00000000000000000000000000000000",
        "Bearer " + "x" * 257,
        "Bearer " + "x" * 7000,
        "Bearer ../../user",
        "Bearer %00",
    ],
)
@pytest.mark.parametrize("who", ["user", "admin"])
def test_a_header_that_is_not_exactly_a_valid_bearer_is_refused(
    worker: Workerd, nobody: httpx.Client, user: User, header: str | None, who: str
) -> None:
    valid = user.key if who == "user" else worker.secret
    headers = {} if header is None else {"Authorization": header.replace("{}", valid)}
    answer = nobody.get("/", headers=headers)
    assert (answer.status_code, answer.json()) == (401, REFUSED)
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert valid not in answer.text


@pytest.mark.parametrize(
    "change",
    [
        {"active": False},
        {"active": "true"},
        {"active": 1},
        {"active": None},
        {"user_id": ""},
        {"user_id": None},
        {"user_id": 7},
        {"user_id": ["user_1"]},
        {"user_id": "x" * 600},
    ],
    ids=str,
)
def test_a_key_whose_record_is_not_active_and_whole_is_refused(
    admin: httpx.Client, nobody: httpx.Client, change: dict[str, object]
) -> None:
    key = secrets.token_hex(16)
    put(admin, record_key(key), json.dumps({"user_id": "user_1", "active": True} | change)).raise_for_status()
    answer = nobody.get("/", headers={"Authorization": f"Bearer {key}"})
    assert (answer.status_code, answer.json()) == (401, REFUSED)


@pytest.mark.parametrize("record", ["", "null", "[]", "not JSON", '"text"', "7"])
def test_a_key_whose_record_is_no_record_is_refused(admin: httpx.Client, nobody: httpx.Client, record: str) -> None:
    key = secrets.token_hex(16)
    put(admin, record_key(key), record).raise_for_status()
    answer = nobody.get("/", headers={"Authorization": f"Bearer {key}"})
    assert (answer.status_code, answer.json()) == (401, REFUSED)


def test_the_greeting_says_who_asks_and_what_fits(admin: httpx.Client, user: User) -> None:
    said = admin.get("/").json()
    assert said == {
        "name": "nimbus-gateway",
        "protocol": 1,
        "store": said["store"],
        "user": "",
        "admin": True,
        "limits": {"pairs": 500, "bytes": 8_388_608, "keys": 100, "names": 1000, "swaps": 500},
        "pointers": True,
    }
    assert len(bytes.fromhex(said["store"])) == 16
    assert user.client.get("/").json() == {**said, "user": user.id, "admin": False}


def test_the_scheme_may_be_written_in_any_case(nobody: httpx.Client, user: User) -> None:
    assert nobody.get("/", headers={"Authorization": f"bEARER {user.key}"}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/nothing"),
        ("GET", "/kv/page"),
        ("PUT", "/kv/page"),
        ("PUT", "/bulk"),
        ("POST", "/bulk/get"),
        ("GET", "/keys"),
        ("DELETE", "/kv/page"),
        ("OPTIONS", "/"),
    ],
)
def test_without_a_bearer_no_path_says_more_than_another(nobody: httpx.Client, method: str, path: str) -> None:
    answer = nobody.request(method, path)
    assert (answer.status_code, answer.json()) == (401, REFUSED)


def test_a_revoked_key_is_refused_and_nothing_undoes_it(worker: Workerd, admin: httpx.Client, user: User) -> None:
    name = record_key(user.key)
    assert put(user.client, f"page:{new_project()}:page_1", "1").status_code == 200
    revoked = json.dumps(json.loads(admin.get(kv(name)).text) | {"active": False})
    put(admin, name, revoked).raise_for_status()
    assert user.client.get("/").status_code == 401
    assert admin.get(kv(name)).text == revoked


def test_for_the_seconds_it_may_remember_a_revoked_key_still_passes(tmp_path: Path) -> None:
    with Workerd(tmp_path, NIMBUS_CACHE_SECONDS=600) as worker, worker.client() as admin:
        key = worker.new_key("user_1")
        with worker.client(key) as client:
            assert client.get("/").status_code == 200
            put(admin, record_key(key), json.dumps({"user_id": "user_1", "active": False})).raise_for_status()
            assert client.get("/").status_code == 200


@pytest.mark.parametrize("secret", ["", "fifteen letters"])
def test_a_secret_that_can_be_guessed_makes_no_admin(tmp_path: Path, secret: str) -> None:
    worker = Workerd(tmp_path)
    worker.secret = secret
    with worker, worker.client(secret or "x") as client:
        answer = client.get("/")
        assert (answer.status_code, answer.json()) == (401, REFUSED)


def test_no_secret_stands_in_arguments_or_output(worker: Workerd, user: User) -> None:
    arguments = Path(f"/proc/{worker.process.pid}/cmdline")
    if not arguments.exists():
        pytest.skip("this system has no /proc")
    assert worker.secret not in arguments.read_text()
    assert worker.secret not in worker.said
    assert user.key not in worker.said


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/", "GET"),
        ("POST", "/", "GET"),
        ("HEAD", "/", "GET"),
        ("GET", "/bulk", "PUT"),
        ("PUT", "/bulk/get", "POST"),
        ("PUT", "/keys", "GET"),
        ("DELETE", "/kv/page", "GET, PUT"),
        ("PATCH", "/kv/page", "GET, PUT"),
    ],
)
def test_another_method_is_told_which_there_are(admin: httpx.Client, method: str, path: str, allow: str) -> None:
    answer = admin.request(method, path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, allow)
    if method != "HEAD":
        assert code_of(answer) == (405, "method_not_allowed")


@pytest.mark.parametrize("path", ["/nothing", "/kv", "/bulk/", "/bulk/put", "/keys/", "/constructor", "/__proto__"])
def test_another_path_is_not_found(admin: httpx.Client, path: str) -> None:
    assert code_of(admin.get(path)) == (404, "not_found")

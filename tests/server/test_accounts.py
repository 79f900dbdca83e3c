"""Who gets in: login links, API keys, sessions, and the limits of trying. One service for all of it."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import httpx
import pytest
from deadlines import SECONDS, wait_until
from service_process import PROJECT, ServiceProcess
from warm import run_doit

from nimbus_tasks.gateway.keys import keys_of_user, revoke_among
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.project.settings import load
from nimbus_tasks.server import accounts
from nimbus_tasks.server.auth import COOKIE, CSRF_HEADER
from nimbus_tasks.server.lookups import Lookups
from nimbus_tasks.server.options import ServeOptions
from nimbus_tasks.server.serve import serve
from nimbus_tasks.server.service import open_service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Browser = httpx.Client


@pytest.fixture
def browser(request: pytest.FixtureRequest, web: ServiceProcess) -> Iterator[Browser]:
    """A browser at an address of its own: attempts to log in are counted by address."""
    number = abs(hash(request.node.name))
    address = f"10.{number % 250}.{number // 250 % 250}.{number // 62_500 % 250}"
    with httpx.Client(base_url=web.url, headers={"x-forwarded-for": address}, timeout=SECONDS) as client:
        yield client


@pytest.fixture
def link(web: ServiceProcess) -> Callable[[], str]:
    """Make a login link, as a start does."""

    def make() -> str:
        service = open_service(load(web.folder), web.folder)
        try:
            return asyncio.run(accounts.make_login_link(service))
        finally:
            service.close()

    return make


def log_in(browser: Browser, key: str) -> httpx.Response:
    return browser.post("/api/session", json={"key": key})


def test_a_login_link_works_once(web: ServiceProcess, browser: Browser) -> None:
    link = web.told["login_url"]

    first = browser.get(link)
    assert (first.status_code, first.headers["location"]) == (303, "/")
    assert browser.get("/api/session").json()["userId"] == "user_local"

    browser.cookies.clear()
    again = browser.get(link)
    assert (again.status_code, again.json()["code"]) == (403, "auth")
    assert "set-cookie" not in again.headers
    page = browser.get(link, headers={"accept": "text/html,*/*;q=0.8"})
    assert (page.status_code, page.headers["location"]) == (303, "/login?link=used")
    assert browser.get(page.headers["location"]).headers["content-type"].startswith("text/html")
    assert browser.get("/api/session").status_code == 401


def test_of_many_who_use_a_link_at_once_one_gets_in(web: ServiceProcess, link: Callable[[], str]) -> None:
    path = link()

    async def run() -> list[int]:
        async with httpx.AsyncClient(base_url=web.url, timeout=SECONDS) as client:
            return [answer.status_code for answer in await asyncio.gather(*(client.get(path) for _ in range(5)))]

    assert sorted(asyncio.run(run())) == [303, 403, 403, 403, 403]


def test_a_login_link_expires(browser: Browser, link: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "LINK_SECONDS", -1)
    path = link()

    assert browser.get(path).status_code == 403
    assert COOKIE not in browser.cookies


def test_an_api_key_opens_a_session(web: ServiceProcess, browser: Browser) -> None:
    answer = log_in(browser, f" {web.new_key('user_session')} ")

    assert (answer.status_code, answer.content) == (204, b"")
    told = answer.headers["set-cookie"].lower()
    assert told.startswith(f"{COOKIE}=")
    assert {"httponly", "samesite=lax", "path=/"} <= {part.strip() for part in told.split(";")}
    assert "secure" not in told
    assert browser.get("/api/session").json()["userId"] == "user_session"


def test_behind_tls_the_cookie_is_for_tls_alone(web: ServiceProcess, browser: Browser) -> None:
    browser.headers["x-forwarded-proto"] = "https"
    answer = log_in(browser, web.new_key())

    assert "secure" in answer.headers["set-cookie"].lower()
    assert "strict-transport-security" in answer.headers


@pytest.mark.parametrize("key", ["sk_live_" + "0" * 32, "ü", "x" * 100])
def test_a_wrong_key_opens_nothing(browser: Browser, key: str) -> None:
    answer = log_in(browser, key)

    assert (answer.status_code, answer.json()["code"]) == (401, "auth")
    assert "set-cookie" not in answer.headers
    assert key not in answer.text
    bearer = browser.get("/api/assets", headers={"authorization": b"Bearer " + key.encode()})
    assert (bearer.status_code, bearer.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("body", [{}, {"key": ""}, {"key": 1}, {"key": "x" * 101}, []])
def test_a_login_that_is_none_is_told(browser: Browser, body: object) -> None:
    answer = browser.post("/api/session", json=body)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")


def test_the_form_of_another_site_logs_nobody_in(web: ServiceProcess, browser: Browser) -> None:
    body = '{"key": "%s", "more": "="}' % web.new_key("user_form")  # noqa: UP031 - braces

    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = browser.post("/api/session", content=body, headers={"content-type": kind})
        assert (answer.status_code, answer.json()["code"]) == (415, "invalid"), kind
        assert "set-cookie" not in answer.headers
    kind = "application/json; charset=utf-8"
    assert browser.post("/api/session", content=body, headers={"content-type": kind}).status_code == 204


def test_writes_with_a_session_need_its_token(web: ServiceProcess, browser: Browser) -> None:
    log_in(browser, web.new_key("user_writes")).raise_for_status()
    token = browser.get("/api/session").json()["csrfToken"]
    check = {"checksums": []}

    for wrong in ({}, {CSRF_HEADER: ""}, {CSRF_HEADER: token[:-1]}, {CSRF_HEADER: "ü".encode()}):
        answer = browser.post("/api/upload-check", json=check, headers=wrong)  # type: ignore[arg-type]
        assert (answer.status_code, answer.json()["code"]) == (403, "auth"), wrong
        assert browser.delete("/api/session", headers=wrong).status_code == 403  # type: ignore[arg-type]
    assert browser.post("/api/upload-check", json=check, headers={CSRF_HEADER: token}).status_code == 200
    assert browser.get("/api/assets").status_code == 200
    # Another session's token is no use.
    with httpx.Client(base_url=web.url, headers=browser.headers) as other:
        log_in(other, web.new_key("user_writes")).raise_for_status()
        assert other.post("/api/upload-check", json=check, headers={CSRF_HEADER: token}).status_code == 403


def test_an_api_key_needs_no_token(web: ServiceProcess) -> None:
    client = web.client("user_program")

    assert client.http.get("/api/session").json()["csrfToken"] == ""
    assert client.http.post("/api/upload-check", json={"checksums": []}).status_code == 200


def test_logging_out_ends_the_session(web: ServiceProcess, browser: Browser) -> None:
    log_in(browser, web.new_key()).raise_for_status()
    cookie = browser.cookies[COOKIE]
    token = browser.get("/api/session").json()["csrfToken"]

    assert browser.delete("/api/session", headers={CSRF_HEADER: token}).status_code == 204

    assert COOKIE not in browser.cookies
    kept = browser.get("/api/session", headers={"cookie": f"{COOKIE}={cookie}"})
    assert kept.status_code == 401


def test_attempts_to_log_in_are_limited(web: ServiceProcess, browser: Browser) -> None:
    answers = [log_in(browser, "sk_live_wrong") for _ in range(6)]
    answers += [browser.get("/login", params={"token": "wrong"}) for _ in range(5)]
    answers += [browser.get("/api/assets", headers={"authorization": "Bearer wrong"}) for _ in range(5)]

    statuses = [answer.status_code for answer in answers]
    assert statuses[:10] == [401] * 6 + [403] * 4
    assert 429 in statuses[10:]
    refused = answers[statuses.index(429)]
    seconds = refused.json()["retryAfter"]
    assert refused.headers["retry-after"] == str(seconds)
    assert 1 <= seconds <= 6
    assert refused.json() == {
        "error": f"Too many attempts to log in. Please wait {seconds}s and try again",
        "code": "rate_limit",
        "retryAfter": seconds,
    }
    # Who is in is not kept out by others at the same address.
    key = web.new_key()
    assert browser.get("/api/assets", headers={"authorization": f"Bearer {key}"}).status_code == 200


def test_a_revoked_key_works_no_longer_nor_its_sessions(
    web: ServiceProcess, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a process has looked up is known to it for lookups.REMEMBERED seconds, here a moment."""
    monkeypatch.setattr("nimbus_tasks.server.lookups.REMEMBERED", 0.05)
    service = open_service(load(web.folder), web.folder)
    key = web.new_key("user_revoked")
    log_in(browser, key).raise_for_status()
    cookie = browser.cookies[COOKIE]

    async def found(lookups: Lookups) -> tuple[bool, bool]:
        by_key, by_cookie = await lookups.key(key), await lookups.session(cookie)
        return by_key is not None, by_cookie is not None

    async def revoke() -> None:
        known = await keys_of_user(service.records, "user_revoked")
        await revoke_among(service.records, known, "", known.keys[0].hash)

    lookups = Lookups(service.records)
    assert asyncio.run(found(lookups)) == (True, True)
    asyncio.run(revoke())
    wait_until(lambda: asyncio.run(found(lookups)) == (False, False))
    service.close()


def test_a_key_that_only_reads_pages_opens_nothing(web: ServiceProcess, browser: Browser) -> None:
    key = web.new_key("user_reader", content=True)

    assert log_in(browser, key).status_code == 401
    assert browser.get("/api/assets", headers={"authorization": f"Bearer {key}"}).status_code == 401


def test_others_than_this_machine_are_not_let_in_before_there_is_a_key(tmp_path: Path) -> None:
    (tmp_path / ".nimbus").mkdir()
    (tmp_path / ".nimbus/project.toml").write_text(PROJECT)
    (tmp_path / "pyproject.toml").write_text('[tool.doit]\nloader = "nimbus"\n')

    ended = run_doit(["nimbus:serve", "--port=0", "--host=0.0.0.0"], tmp_path, os.environ)

    assert ended.returncode == 2
    (line,) = (ended.stdout + ended.stderr).decode().splitlines()
    assert "--host=0.0.0.0" in line
    assert "doit nimbus:key:create --service" in line
    for host in ("::", "0", "example.com"):
        with pytest.raises(SettingsError, match="there is no API key yet"):
            serve(ServeOptions(str(tmp_path), host=host, port=0), lambda _: pytest.fail("It listens"))

    with ServiceProcess(tmp_path) as first:
        port = int(first.url.rpartition(":")[2])
        first.new_key()
        for host, at, hint in (("127.0.0.1", port, "--port"), ("203.0.113.7", 0, "--host"), ("x.invalid", 0, "--host")):
            with pytest.raises(SettingsError, match=f"(Choose another|Check) {hint}"):
                serve(ServeOptions(str(tmp_path), host=host, port=at), lambda _: pytest.fail("It listens"))
    with ServiceProcess(tmp_path, "--host=0.0.0.0") as everywhere:
        assert everywhere.told["login_url"].startswith("http://127.0.0.1:")

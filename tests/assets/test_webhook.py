"""The webhook is told of uploads by signed requests, and whatever it does, no upload waits for it or fails."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
from loopback import Asked, Loopback, answer

from nimbus_tasks.assets import webhook as module
from nimbus_tasks.assets.upload import AssetResult
from nimbus_tasks.assets.webhook import SECRET, Webhook, open_webhook
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.project.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

KEY = b"key-of-a-webhook-in-tests"
ABOUT = {"project_id": "proj_0123456789ab", "store": "s3"}


def result(path: str = "dist/a.png") -> AssetResult:
    return AssetResult(path, "uploaded", "ab" * 32, 5, (path,), "https://img.example.com/a")


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_WAIT", 0.001)


def send(reply: Callable[[Asked], Awaitable[bytes] | bytes] | bytes, *results: AssetResult) -> tuple[Any, list[str]]:
    """Return the requests that a webhook got, as a list, and the warnings."""
    warned: list[str] = []

    async def run() -> tuple[list[Asked], Webhook]:
        async with (
            Loopback(reply) as server,
            Webhook(f"{server.url}/hooks/1", Secret(KEY.decode()), ABOUT, warned.append) as hook,
        ):
            for each in results:
                hook.send(each)
            await hook.finish(result("all of them"))
        return server.asked, hook

    asked, hook = asyncio.run(run())
    return (asked, hook.delivered, hook.failed), warned


def verified(asked: Asked) -> Any:
    """Check a request as the documents say, and return its event."""
    assert (asked.method, asked.target, asked.headers["content-type"]) == ("POST", "/hooks/1", "application/json")
    signed = f"{asked.headers['webhook-id']}.{asked.headers['webhook-timestamp']}.".encode() + asked.body
    mac = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert asked.headers["webhook-signature"] == f"v1,{mac}"
    assert abs(time.time() - int(asked.headers["webhook-timestamp"])) < 600
    return json.loads(asked.body)


def test_each_file_and_the_end_are_told_and_signed() -> None:
    (asked, delivered, failed), warned = send(answer(204), *(result(f"dist/{number}.png") for number in range(250)))
    events = list(map(verified, asked))
    assert [event["type"] for event in events] == ["assets.files"] * (len(events) - 1) + ["assets.finished"]
    files = [file["path"] for event in events[:-1] for file in event["data"]["files"]]
    assert files == [f"dist/{number}.png" for number in range(250)]
    assert [len(event["data"]["files"]) for event in events[:-1]] == [module.AT_ONCE, module.AT_ONCE, 50]
    assert all(event["data"]["project_id"] == ABOUT["project_id"] for event in events)
    assert (delivered, failed, warned) == (len(events), 0, [])


def test_a_failure_that_passes_is_retried_with_the_same_id() -> None:
    replies = [answer(503), answer(429), b"", answer(200), answer(200)]

    async def reply(_: Asked) -> bytes:
        return replies.pop(0)

    (asked, delivered, failed), warned = send(reply, result())
    assert [json.loads(each.body)["type"] for each in asked] == ["assets.files"] * 4 + ["assets.finished"]
    assert len({each.headers["webhook-id"] for each in asked}) == 2
    assert (delivered, failed, warned) == (2, 0, [])


@pytest.mark.parametrize(
    ("reply", "requests", "why"),
    [
        (answer(500), 2 * module.TRIES, "answered 500"),
        (answer(404), 2, "it answered 404"),
        (answer(302, location="https://evil.example"), 2, "it answered 302"),
    ],
    ids=["broken", "not there", "redirect"],
)
def test_what_is_not_delivered_is_one_warning(reply: bytes, requests: int, why: str) -> None:
    (asked, delivered, failed), (warned,) = send(reply, result())
    assert (len(asked), delivered, failed) == (requests, 0, 2)
    assert why in warned
    assert KEY.decode() not in warned


def test_a_server_that_is_slow_delays_no_upload_and_only_the_end_waits_a_little(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "FLUSH_SECONDS", 1.0)  # in which the request must get there
    never = asyncio.Event

    async def reply(_: Asked) -> bytes:
        await never().wait()
        return b""

    (asked, delivered, failed), (warned,) = send(reply, *[result()] * 5)
    assert (len(asked), delivered, failed) == (1, 0, 1)
    assert "no answer within 1 s" in warned


def test_an_address_where_nothing_listens_is_a_warning() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"

    async def run() -> list[str]:
        warned: list[str] = []
        async with Webhook(url, Secret(KEY.decode()), ABOUT, warned.append) as hook:
            hook.send(result())
            await hook.finish()
        return warned

    (warned,) = asyncio.run(run())
    assert "did not receive all uploads" in warned


def test_a_program_that_runs_for_ever_keeps_the_latest_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    warned: list[str] = []

    async def run() -> Asked:
        async with (
            Loopback(answer(200)) as server,
            Webhook(f"{server.url}/hooks/1", Secret(KEY.decode()), ABOUT, warned.append) as hook,
        ):
            for number in range(5):
                hook.send(result(str(number)))
            await hook.finish()
            return server.asked[0]

    event = verified(asyncio.run(run()))
    assert [file["path"] for file in event["data"]["files"]] == ["2", "3", "4"]
    assert "too many results" in warned[0]


@pytest.mark.parametrize(
    ("url", "secret", "why"),
    [
        ("https://hooks.example/x", "", f"{SECRET} is not set"),
        ("https://hooks.example/x", "short", "too short"),
        ("https://hooks.example/x", "whsec_***", "Base64"),
        ("http://hooks.example/x", KEY.decode(), "not encrypted"),
    ],
)
def test_a_webhook_that_cannot_be_used_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, secret: str, why: str
) -> None:
    monkeypatch.setenv(SECRET, secret)
    warned: list[str] = []
    assert open_webhook(url, tmp_path, ABOUT, warned.append) is None
    assert why in warned[0]
    if secret:
        with pytest.raises(SettingsError):
            Webhook(url, Secret(secret), ABOUT)


def test_secrets_with_the_prefix_of_the_standard_are_base64() -> None:
    # The example of standardwebhooks.com's specification.
    key = module.key_of(Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    body = b'{"test": 2432232314}'
    signature = module.sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

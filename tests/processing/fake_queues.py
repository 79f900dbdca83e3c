"""Cloudflare Queues' HTTP pull consumers, as their documents have them, as a process of its own on 127.0.0.1.

    python fake_queues.py '{"token": "...", "max_retries": 3, "dead_letter_queue": "dlq"}'

It prints where it listens as one line of JSON and ends with its standard input. What it keeps to, and where that is
said (developers.cloudflare.com):

- queues/configuration/pull-consumers: `visibility_timeout_ms` 30 s unless asked for, 12 hours at most; `batch_size` 5,
  100 at most; short polling; a lease that has run out puts its message back; `retries` with `delay_seconds`; an
  acknowledgement after the timeout is accepted; JSON bodies come base64-encoded.
- queues/platform/limits: 128 KB a message, 100 messages or 256 KB a batch, 12 hours of delay.
- queues/configuration/dead-letter-queues: what was tried again `max_retries` times goes to the dead-letter queue, or is
  deleted where there is none.
- api/resources/queues: paths, names of fields, Cloudflare's envelope.

The codes of its errors are chosen, but for 10000; a client should go by the status.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

sys.path.insert(0, str(Path(__file__).parents[1]))  # as a program it finds its own folder only

from deadlines import SECONDS
from warm import warm_python

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

MAX_DELAY = 43_200
MAX_MESSAGE, MAX_BATCH = 128_000, 256_000
MOST = 100
QUEUE = "b01b5594f784d0165c2985833f5660dd"
ACCOUNT = "023e105f4ecef8ad9ca31a8372d0c353"


@dataclass
class Message:
    body: Any
    content_type: str
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    sent: float = field(default_factory=time.time)
    attempts: int = 0
    visible: float = 0.0
    lease: str = ""


class Refusal(Exception):  # noqa: N818 - an answer
    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Engine:
    """The queues of an account; those that are not configured do not exist."""

    def __init__(self, token: str, max_retries: int = 3, dead_letter_queue: str = "", queue: str = QUEUE) -> None:
        self.token, self.max_retries, self.dead_letter_queue, self.main = token, max_retries, dead_letter_queue, queue
        self.queues: dict[str, dict[str, Message]] = {queue: {}}
        if dead_letter_queue:
            self.queues[dead_letter_queue] = {}
        self.leases: dict[str, str] = {}
        self.requests: list[dict[str, Any]] = []
        self.fail = 0
        #: Whether what is sent is held up before it is stored ("before"; then it never is) or after that ("after").
        self.hold = ""
        self.released = asyncio.Event()
        self.ahead = 0.0

    def now(self) -> float:
        return time.time() + self.ahead

    def send(self, queue: str, asked: dict[str, Any]) -> dict[str, Any]:
        messages = asked.get("messages")
        if not isinstance(messages, list) or not messages:
            raise Refusal(400, 10026, "messages must be a list")
        sizes = [len(json.dumps(each.get("body"))) for each in messages]
        if len(messages) > MOST or sum(sizes) > MAX_BATCH or max(sizes) > MAX_MESSAGE:
            raise Refusal(413, 10027, "the batch is too large")
        for each in messages:
            delay = each.get("delay_seconds", asked.get("delay_seconds", 0))
            self._check_delay(delay)
            made = Message(each.get("body"), each.get("content_type", "json"), visible=self.now() + delay)
            self.queues[queue][made.id] = made
        return {}

    def pull(self, queue: str, asked: dict[str, Any]) -> dict[str, Any]:
        size, timeout = asked.get("batch_size", 5), asked.get("visibility_timeout_ms", 30_000)
        if not 1 <= size <= MOST or not 0 < timeout <= MAX_DELAY * 1000:
            raise Refusal(400, 10028, "batch_size or visibility_timeout_ms is out of range")
        given = []
        for message in list(self.queues[queue].values()):
            if len(given) == size:
                break
            if message.visible > self.now() or self._bury(queue, message):
                continue
            message.attempts += 1
            message.lease = secrets.token_urlsafe(24)
            message.visible = self.now() + timeout / 1000
            self.leases[message.lease] = message.id
            given.append(message)
        result = {"message_backlog_count": len(self.queues[queue]), "messages": [_shown(each) for each in given]}
        return result

    def acknowledge(self, queue: str, asked: dict[str, Any]) -> dict[str, Any]:
        there = self.queues[queue]
        done = retried = 0
        warnings = []
        for each in asked.get("acks", []):
            # Late ones count too, even where somebody else has the message by now.
            done += there.pop(self.leases.get(each["lease_id"], ""), None) is not None
        for each in asked.get("retries", []):
            self._check_delay(each.get("delay_seconds", 0))
            message = there.get(self.leases.get(each["lease_id"], ""))
            if message is None or message.lease != each["lease_id"]:
                warnings.append(f"{each['lease_id']} is not leased")
                continue
            message.visible, message.lease = self.now() + each.get("delay_seconds", 0), ""
            retried += 1
        return {"ackCount": done, "retryCount": retried, "warnings": warnings}

    def _bury(self, queue: str, message: Message) -> bool:
        """Take a message away that has been delivered too often."""
        if queue != self.main or message.attempts <= self.max_retries:
            return False
        del self.queues[queue][message.id]
        if self.dead_letter_queue:
            buried = Message(message.body, message.content_type)
            self.queues[self.dead_letter_queue][buried.id] = buried
        return True

    def _check_delay(self, seconds: Any) -> None:
        if not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_DELAY:
            raise Refusal(400, 10029, "delay_seconds is out of range")


def _shown(message: Message) -> dict[str, Any]:
    plain = message.content_type == "text"
    body = message.body if plain else base64.b64encode(json.dumps(message.body).encode()).decode()
    return {
        "id": message.id,
        "body": body,
        "attempts": message.attempts,
        "lease_id": message.lease,
        "timestamp_ms": round(message.sent * 1000),
        "metadata": {"CF-sourceMessageSource": "http", "CF-Content-Type": message.content_type},
    }


def application(engine: Engine) -> Starlette:
    async def handle(request: Request) -> Response:
        queue, action = request.path_params["queue"], request.path_params["action"]
        engine.requests.append({"action": action, "at": time.time()})
        try:
            return _answer(await _act(request, queue, action))
        except Refusal as no:
            errors = [{"code": no.code, "message": str(no)}]
            body = {"success": False, "errors": errors, "messages": [], "result": None}
            return JSONResponse(body, no.status)

    async def _act(request: Request, queue: str, action: str) -> Any:
        if engine.token and request.headers.get("authorization") != f"Bearer {engine.token}":
            raise Refusal(401, 10000, "Authentication error")
        if engine.fail:
            engine.fail -= 1
            raise Refusal(503, 10001, "Service temporarily unavailable")
        if queue not in engine.queues or request.path_params["account"] != ACCOUNT:
            raise Refusal(404, 11000, "Queue does not exist.")
        acts = {"batch": engine.send, "pull": engine.pull, "ack": engine.acknowledge}
        if action not in acts:
            raise Refusal(404, 7003, "Could not route")
        if action == "batch" and engine.hold == "before":
            await engine.released.wait()
            raise Refusal(503, 10001, "Service temporarily unavailable")
        done = acts[action](queue, await request.json())
        if action == "batch" and engine.hold == "after":
            await engine.released.wait()
        return done

    async def control(request: Request) -> Response:
        asked = await request.json()
        engine.fail = asked.get("fail", engine.fail)
        engine.ahead += asked.get("advance", 0)
        if "hold" in asked:
            engine.released.set()
            engine.hold, engine.released = asked["hold"], asyncio.Event()
        shown = {name: [each.body for each in some.values()] for name, some in engine.queues.items()}
        attempts = {each.body["page_id"]: each.attempts for each in engine.queues[engine.main].values()}
        return _answer({"queues": shown, "attempts": attempts, "requests": engine.requests})

    path = "/client/v4/accounts/{account}/queues/{queue}/messages/{action}"
    return Starlette(routes=[Route(path, handle, methods=["POST"]), Route("/_fake", control, methods=["POST"])])


def _answer(result: Any) -> Response:
    return JSONResponse({"success": True, "errors": [], "messages": [], "result": result})


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def main(options: dict[str, Any]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        sys.stdout.write(json.dumps({"url": f"http://127.0.0.1:{listener.getsockname()[1]}"}) + "\n")
        sys.stdout.flush()
        config = uvicorn.Config(application(Engine(**options)), log_level="critical", lifespan="off")
        server = _Server(config)

        def watch() -> None:
            while os.read(0, 1024):
                pass
            server.should_exit = True

        threading.Thread(target=watch, daemon=True).start()
        asyncio.run(server.serve([listener]))


class Queues:
    """The process: `with Queues(max_retries=5) as queues:`."""

    def __init__(self, **options: Any) -> None:
        self.token = secrets.token_hex(20)
        self._options = {"token": self.token, **options}
        self.environment: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [warm_python(), __file__, json.dumps(self._options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        url = json.loads(self._process.stdout.readline())["url"]
        self.environment = {
            "CLOUDFLARE_API_BASE_URL": f"{url}/client/v4",
            "CLOUDFLARE_API_TOKEN": self.token,
            "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
        }
        self._client = httpx.Client(base_url=url, timeout=SECONDS, verify=False, trust_env=False)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(SECONDS)
        self._process.stdout.close()

    def state(self, **change: Any) -> dict[str, Any]:
        """Return all messages by queue, deliveries by page, and requests.

        fail: so many requests fail next. advance: seconds that the clock is put on. hold: `before` or `after`; those
        who send wait before (and then in vain) or after their messages are stored, until it is empty again.
        """
        result: dict[str, Any] = self._client.post("/_fake", json=change).raise_for_status().json()["result"]
        return result


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

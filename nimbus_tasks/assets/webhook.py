"""Tells a web address about uploads, in the background: no upload waits for it, and none fails because of it.

What ended while a request was under way goes into the next one. A request that gets no answer is sent again with the
same id. Requests are those of Standard Webhooks, whose libraries verify them (standardwebhooks.com).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hmac
import secrets
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from nimbus_tasks.backends.attempts import Attempts
from nimbus_tasks.backends.http import PASSING, Http, Timeouts
from nimbus_tasks.backends.http.addresses import check_address
from nimbus_tasks.backends.kv.pacing import Pace, Pacing
from nimbus_tasks.model.clock import now
from nimbus_tasks.model.errors import RefusedError, SettingsError, StoreError
from nimbus_tasks.project.secrets import Secret, find_secret, hide, hide_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECRET = "NIMBUS_WEBHOOK_SECRET"  # noqa: S105 - the name of a variable
#: Attempts for each request, and seconds before the second one at most.
TRIES, RETRY_WAIT = 5, 0.5
#: Seconds to wait for a connection, and for an answer.
TIMEOUTS = Timeouts(connect=5.0, read=10.0)
#: Seconds that the end of a run, or of a program, waits for what has not been delivered.
FLUSH_SECONDS = 10.0
#: Results in one request, and results that wait: a program that runs for ever may have an address that is down.
AT_ONCE, MOST_WAITING = 100, 10_000


class Webhook:
    """Sends signed requests to one address; `async with` ends it."""

    def __init__(
        self, url: str, secret: Secret, about: dict[str, str], warn: Callable[[str], None] = lambda _: None
    ) -> None:
        """Nothing is sent. about: is in each request. warn: is called once, with why something was not delivered.

        Raises:
            SettingsError: the address is invalid, or not encrypted.
        """
        check_address(url, "https://example.com/hooks/uploads")
        parts = urlsplit(url)
        self._http = Http(f"{parts.scheme}://{parts.netloc}", None, TIMEOUTS, hidden=(secret,))
        self._path = parts.path or "/"
        self._key = key_of(secret)
        self._about = about
        self._warn = warn
        self._waiting: deque[Struct] = deque()
        self._sending: asyncio.Task[None] | None = None
        self._warned = False
        #: Requests.
        self.delivered = self.failed = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def send(self, result: Struct) -> None:
        """Send the result of a file, soon. Never waits."""
        if len(self._waiting) == MOST_WAITING:
            self._waiting.popleft()
            self._lost("too many results wait for it")
        self._waiting.append(result)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.get_running_loop().create_task(self._send_waiting())

    async def finish(self, ended: Struct | None = None) -> None:
        """Wait for what has not been delivered, FLUSH_SECONDS at most. ended: what the whole run did, sent last."""
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                if self._sending is not None:
                    await self._sending
                if ended is not None:
                    await self._deliver("assets.finished", ended)
        except TimeoutError:
            self._lost(f"no answer within {FLUSH_SECONDS:g} s")

    async def close(self) -> None:
        if self._sending is not None and not self._sending.done():
            self._sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sending
        await self._http.close()

    async def _send_waiting(self) -> None:
        while self._waiting:
            some = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
            await self._deliver("assets.files", {"files": some})

    async def _deliver(self, kind: str, data: Any) -> None:
        """Send one event, with retries. A failure is a warning, not an error."""
        fields = msgspec.to_builtins(data, enc_hook=str)
        event = {"type": kind, "timestamp": now(), "data": {**self._about, **fields}}
        body, event_id = hide_json(msgspec.json.encode(event)), f"msg_{secrets.token_hex(12)}"
        pace = Pace(Pacing(1))  # of this event alone: after a failure, the next one is tried

        async def attempt() -> None:
            await pace.request(lambda: self._post(event_id, body))

        try:
            await Attempts(TRIES, RETRY_WAIT).retrying(TRIES)(attempt)
        except StoreError as error:
            self._lost(str(error))
        else:
            self.delivered += 1

    async def _post(self, event_id: str, body: bytes) -> None:
        at = str(int(time.time()))
        signature = sign(self._key, event_id, at, body)
        headers = {"webhook-id": event_id, "webhook-timestamp": at, "webhook-signature": signature}
        response = await self._http.send("POST", self._path, body, headers)
        if response.status in PASSING or response.status >= 500:
            raise self._http.failure(response)
        if not 200 <= response.status < 300:
            raise RefusedError(f"it answered {response.status}.")

    def _lost(self, why: str) -> None:
        self.failed += 1
        if not self._warned:
            self._warn(hide(f"The webhook at {self._http.host} did not receive all uploads: {why.rstrip('.')}."))
        self._warned = True


def open_webhook(url: str, root: Path, about: dict[str, str], warn: Callable[[str], None]) -> Webhook | None:
    """Return the webhook that the settings name; None, with a warning, where it cannot be used: uploads go on."""
    try:
        secret = find_secret(SECRET, root)
        if secret is None:
            warn(f"No webhook requests are sent: {SECRET} is not set.")
            return None
        return Webhook(url, secret, about, warn)
    except SettingsError as error:
        warn(f"No webhook requests are sent: {error}")
        return None


def sign(key: bytes, event_id: str, at: str, body: bytes) -> str:
    """Return the signature of a request (Standard Webhooks 1.0.0)."""
    return f"v1,{base64.b64encode(hmac.digest(key, f'{event_id}.{at}.'.encode() + body, 'sha256')).decode()}"


def key_of(secret: Secret) -> bytes:
    """Return the key of a secret: what `whsec_` and Base64 say, otherwise its characters.

    Raises:
        SettingsError: it is shorter than 16 bytes, or no Base64.
    """
    text = secret.reveal()
    try:
        key = base64.b64decode(text[6:], validate=True) if text.startswith("whsec_") else text.encode()
    except binascii.Error:
        raise SettingsError(f"{SECRET} is not whsec_ and Base64.") from None
    if len(key) < 16:
        raise SettingsError(f"{SECRET} is too short.", "Make one: openssl rand -hex 32")
    return key

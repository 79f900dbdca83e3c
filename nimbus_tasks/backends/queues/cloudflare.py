"""Cloudflare Queues over HTTP: send, pull, acknowledge (developers.cloudflare.com/api/resources/queues).

Sends count among the API's 1,200 requests in five minutes; pulls and acknowledgements are not limited. Failed requests
are retried, so a message may be sent or delivered twice, as Queues may do anyway.
"""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

import msgspec
from msgspec import Struct
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from nimbus_tasks.backends.http import Http, Timeouts
from nimbus_tasks.backends.kv.open import API_VARIABLE, CLOUDFLARE_API
from nimbus_tasks.backends.kv.pacing import Pace, Pacing
from nimbus_tasks.backends.kv.wire import encode, quote
from nimbus_tasks.model import lenient
from nimbus_tasks.model.errors import SettingsError, StoreError, TransientError
from nimbus_tasks.project.secrets import read_secret
from nimbus_tasks.project.settings import PROJECT_FILE
from nimbus_tasks.project.spool import runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from nimbus_tasks.backends.http import Recorded
    from nimbus_tasks.backends.http.response import Response
    from nimbus_tasks.project.settings import Settings

T = TypeVar("T")

#: Messages in one request to send (256 KB in all, of which ours take a fifth), pull or acknowledge.
MOST_MESSAGES = 100
#: Seconds: a message can be delayed by at most 12 hours.
LONGEST_DELAY = 43_200
_HINT = "Check CLOUDFLARE_API_TOKEN: it needs the permission Queues: Edit, for this account."


class Message(Struct, frozen=True):
    """A pulled message. attempts: deliveries, including this one."""

    lease_id: str
    body: object = None
    id: str = ""
    attempts: int = 1
    timestamp_ms: float = 0.0

    def content(self, shape: type[T]) -> T | None:
        """Return the JSON of its body; None where it has another shape.

        JSON is pulled as base64 or as it is, depending on how it was sent.
        """
        for text in _readings(self.body):
            try:
                return msgspec.json.decode(text, type=shape)
            except lenient.UNDECODABLE:
                continue
        return None


class Pulled(Struct, frozen=True):
    """The result of a pull. message_backlog_count: estimated messages that are not acknowledged."""

    messages: tuple[Message, ...] = ()
    message_backlog_count: float | None = None


class Retry(Struct, frozen=True):
    """A message to put back into the queue."""

    lease_id: str
    delay_seconds: int = 0


class QueueApi:
    """One queue."""

    def __init__(self, http: Http, account_id: str, queue_id: str, tries: int, retry_wait: float) -> None:
        """`retry_wait`: maximum seconds before the second attempt."""
        self._http = http
        self._path = f"/accounts/{quote(account_id)}/queues/{quote(queue_id)}/messages"
        self._pace = Pace(Pacing(slots=2))
        self._retrying = AsyncRetrying(
            stop=stop_after_attempt(tries),
            retry=retry_if_exception_type(TransientError),
            wait=wait_random_exponential(multiplier=retry_wait, max=30.0),
            reraise=True,
        )

    async def send(self, bodies: Sequence[object], delay: int = 0) -> None:
        """Send messages in as few requests as possible; they are delivered after `delay` seconds.

        Raises:
            StoreError: some could not be sent.
        """
        for some in runs(bodies, MOST_MESSAGES):
            messages = [{"body": body, "content_type": "json"} for body in some]
            await self._post("/batch", {"messages": messages, "delay_seconds": delay}, object)

    async def pull(self, most: int, visibility: float) -> Pulled:
        """Take messages, hidden from other machines for `visibility` seconds."""
        asked = {"batch_size": min(most, MOST_MESSAGES), "visibility_timeout_ms": round(visibility * 1000)}
        return await self._post("/pull", asked, Pulled) or Pulled()

    async def acknowledge(self, leases: Sequence[str], retries: Iterable[Retry] = ()) -> None:
        """Remove messages from the queue and put others back."""
        ways = [("ack", lease) for lease in leases] + [("retry", retry) for retry in retries]
        for some in runs(ways, MOST_MESSAGES):
            acks = [{"lease_id": lease} for way, lease in some if way == "ack"]
            again = [retry for way, retry in some if way == "retry"]
            await self._post("/ack", {"acks": acks, "retries": again}, object)

    async def close(self) -> None:
        await self._http.close()

    async def _post(self, path: str, body: object, shape: type[T]) -> T | None:
        content = encode(body)

        async def send() -> T | None:
            response = await self._http.send("POST", self._path + path, content, {"content-type": "application/json"})
            if response.status != 200:
                raise self._failure(response)
            return self._http.decode(response, _Envelope[shape]).result  # type: ignore[valid-type]

        async def paced() -> T | None:
            return await self._pace.request(send)

        try:
            return await self._retrying.copy()(paced)
        except TransientError as error:
            raise StoreError(error.message, "Check the network and [process] queue_id.") from None

    def _failure(self, response: Response) -> StoreError:
        if response.status == 404:
            summary = str(self._http.failure(response)).partition(":")[0]
            return StoreError(
                f"{summary}: there is no such queue.", "Check [process] queue_id and [target] account_id."
            )
        return self._http.failure(response, hint=_HINT)


class _Envelope(Struct, Generic[T]):
    success: Literal[True]
    result: T | None = None


def open_api(root: Path, settings: Settings, queue_id: str, record: Callable[[Recorded], None]) -> QueueApi:
    """Return the queue that the settings name. Nothing is sent.

    Raises:
        SettingsError: settings or credentials are missing.
    """
    if not queue_id:
        raise SettingsError(f"{PROJECT_FILE}: [process] queue_id is not set: the id of a queue.", "Set it there.")
    account_id = settings.target.account_id
    if not account_id:
        raise SettingsError(
            f"{PROJECT_FILE}: [target] account_id is not set: the id of your Cloudflare account.",
            "Set it there, or CLOUDFLARE_ACCOUNT_ID.",
        )
    base = os.environ.get(API_VARIABLE, "").rstrip("/") or CLOUDFLARE_API
    timeouts = Timeouts(settings.target.connect_timeout, settings.target.read_timeout)
    http = Http(base, read_secret("CLOUDFLARE_API_TOKEN", root), timeouts, record)
    return QueueApi(http, account_id, queue_id, settings.upload.tries, settings.upload.retry_wait / 1000)


def _readings(body: object) -> Iterable[bytes]:
    if not isinstance(body, str):
        yield encode(body)
        return
    yield body.encode()
    try:
        yield base64.b64decode(body, validate=True)
    except ValueError:
        return

"""What embedders over HTTP have in common: errors by class, waits that a server asks for, and vectors in answers."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, TypeVar

import msgspec

from nimbus_tasks.backends.http import PASSING
from nimbus_tasks.media.errors import MediaError, temporary
from nimbus_tasks.media.values import Vector
from nimbus_tasks.model import lenient
from nimbus_tasks.model.errors import StoreError, TransientError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nimbus_tasks.backends.http import Http
    from nimbus_tasks.backends.http.response import Response

T = TypeVar("T")

#: Bytes of a response; the longest vectors in use take 100 kB.
LONGEST_RESPONSE = 4 * 1024 * 1024
#: Longer than any vector in use.
MOST_DIMENSIONS = 16_384
#: Replicate: "Request was throttled. Your rate limit resets in ~30s."
_RESETS = re.compile(r"resets in ~?(\d{1,6}(?:\.\d{1,3})?)\s*(ms|s|m)\b")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}


class _Error(msgspec.Struct):
    detail: object = None
    error: object = None
    title: object = None


async def send(
    http: Http, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> Response:
    """Return the response to a request, if it is a success.

    Raises:
        MediaError: it is none, or there is none.
    """
    try:
        response = await http.send(method, path, body, headers)
    except TransientError as error:
        raise temporary("unavailable", error.message, error.next_step, kind="network") from None
    except StoreError as error:
        raise temporary("unreachable", error.message, error.next_step, kind="network") from None
    if not 200 <= response.status < 300:
        raise failure_of(http, response)
    return response


def failure_of(http: Http, response: Response) -> MediaError:
    """Return the error for a response that is no success."""
    message, code = _message(response)
    text = http.plain(message)
    received = f"{http.host} answered {response.status}{f' ({text})' if text else ''}"
    if response.status == 402 or code == "insufficient_quota":
        return temporary("quota", f"{received}: the account has no credit left.", kind="quota")
    match response.status:
        case 429:
            wait = response.retry_after
            return temporary(
                "rate_limited", f"{received}.", kind="rate_limit", wait=resets_in(message) if wait is None else wait
            )
        case status if status in PASSING or status >= 500:
            return temporary("unavailable", f"{received}.", wait=response.retry_after)
        case 401 | 403:
            return temporary("unauthorized", f"{received}: it does not accept the key.", kind="auth")
        case 404:
            return temporary("not_found", f"{received}.", "Check [embeddings] base_url and model.", kind="auth")
        case 400 | 413 | 422:
            return MediaError("refused", f"{received}: it refuses this picture.")
        case _:
            return temporary("unexpected", f"{received}.", kind="unknown")


def resets_in(message: str) -> float | None:
    """Return the seconds that a message asks to wait; None where it does not say."""
    found = _RESETS.search(message)
    return float(found[1]) * _UNITS[found[2]] if found else None


def decoded(http: Http, response: Response, shape: type[T]) -> T:
    """Return the JSON of a response.

    Raises:
        MediaError: it has another form.
    """
    try:
        return msgspec.json.decode(response.body, type=shape)
    except lenient.UNDECODABLE:
        raise bad_answer(http.host) from None


def vector_of(host: str, model: str, numbers: object) -> Vector:
    """Return the vector in a response.

    Raises:
        MediaError: it is none.
    """
    if not isinstance(numbers, list) or not 0 < len(numbers) <= MOST_DIMENSIONS:
        raise bad_answer(host)
    try:
        return Vector.of(model, (_finite(each) for each in numbers))
    except (TypeError, ValueError, OverflowError):
        raise bad_answer(host) from None


def bad_answer(host: str) -> MediaError:
    return temporary("bad_answer", f"{host} sent an unexpected response: there is no vector in it.")


def _finite(number: object) -> float:
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise ValueError("no number")
    return number


def _message(response: Response) -> tuple[str, str]:
    """Return the message and the code in an error's body."""
    try:
        document = msgspec.json.decode(response.body, type=_Error)
    except lenient.UNDECODABLE:
        return "", ""
    error = document.error
    if isinstance(error, dict):
        return str(error.get("message") or ""), str(error.get("code") or error.get("type") or "")
    text = document.detail or error or document.title
    return (text, "") if isinstance(text, str) else ("", "")

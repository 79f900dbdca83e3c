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

    from nimbus_tasks.backends.http import Answer, Http

T = TypeVar("T")

#: Bytes of an answer; the longest vectors in use take 100 kB.
LONGEST_ANSWER = 4 * 1024 * 1024
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
) -> Answer:
    """Return the answer to a request, if it is a success.

    Raises:
        MediaError: it is none, or there is none.
    """
    try:
        answer = await http.send(method, path, body, headers)
    except TransientError as error:
        raise temporary("unavailable", error.message, error.next_step, kind="network") from None
    except StoreError as error:
        raise temporary("unreachable", error.message, error.next_step, kind="network") from None
    if not 200 <= answer.status < 300:
        raise failure_of(http, answer)
    return answer


def failure_of(http: Http, answer: Answer) -> MediaError:  # noqa: PLR0911 - a table
    """Return the error for an answer that is no success."""
    message, code = _message(answer)
    text = http.plain(message)
    answered = f"{http.host} answered {answer.status}{f' ({text})' if text else ''}"
    if answer.status == 402 or code == "insufficient_quota":
        return temporary("quota", f"{answered}: the account has no credit left.", kind="quota")
    match answer.status:
        case 429:
            wait = answer.retry_after
            return temporary(
                "rate_limited", f"{answered}.", kind="rate_limit", wait=resets_in(message) if wait is None else wait
            )
        case status if status in PASSING or status >= 500:
            return temporary("unavailable", f"{answered}.", wait=answer.retry_after)
        case 401 | 403:
            return temporary("unauthorized", f"{answered}: it does not accept the key.", kind="auth")
        case 404:
            return temporary("not_found", f"{answered}.", "Check [embeddings] base_url and model.", kind="auth")
        case 400 | 413 | 422:
            return MediaError("refused", f"{answered}: it refuses this picture.")
        case _:
            return temporary("unexpected", f"{answered}.", kind="unknown")


def resets_in(message: str) -> float | None:
    """Return the seconds that a message asks to wait; None where it does not say."""
    found = _RESETS.search(message)
    return float(found[1]) * _UNITS[found[2]] if found else None


def decoded(http: Http, answer: Answer, shape: type[T]) -> T:
    """Return the JSON of an answer.

    Raises:
        MediaError: it has another form.
    """
    try:
        return msgspec.json.decode(answer.body, type=shape)
    except lenient.UNDECODABLE:
        raise bad_answer(http.host) from None


def vector_of(host: str, model: str, numbers: object) -> Vector:
    """Return the vector in an answer.

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


def _message(answer: Answer) -> tuple[str, str]:
    """Return the message and the code in an error's body."""
    try:
        document = msgspec.json.decode(answer.body, type=_Error)
    except lenient.UNDECODABLE:
        return "", ""
    error = document.error
    if isinstance(error, dict):
        return str(error.get("message") or ""), str(error.get("code") or error.get("type") or "")
    text = document.detail or error or document.title
    return (text, "") if isinstance(text, str) else ("", "")

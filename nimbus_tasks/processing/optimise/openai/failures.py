"""What an answer other than a success stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.backends.http import PASSING, wait_of
from nimbus_tasks.processing.optimise.errors import HaltError, LaterError, NeverError
from nimbus_tasks.project.secrets import CREDENTIALS_FILE

if TYPE_CHECKING:
    from nimbus_tasks.backends.http import Answer, Http
    from nimbus_tasks.model.errors import StoreError

KEY = "NIMBUS_AI_KEY"


class _Complaint(Struct):
    message: str = ""
    type: str | None = None
    code: str | int | None = None
    metadata: object = None

    @property
    def is_of_content(self) -> bool:
        """Whether a moderation objects to what was asked; routers say so in the metadata of a 403."""
        return isinstance(self.metadata, dict) and "flagged_input" in self.metadata


class _Told(Struct):
    """The forms that servers put errors in: an object, a sentence, or both at the top."""

    error: _Complaint | str | None = None
    message: str | None = None


def failure_of(http: Http, answer: Answer) -> LaterError | NeverError | HaltError:  # noqa: PLR0911 - a table
    """Return the error that an answer stands for."""
    complaint = _complaint(answer)
    said = http.plain(complaint.message)
    told = f"{http.host} answered {answer.status}{f' ({said})' if said else ''}"
    if "insufficient_quota" in (complaint.code, complaint.type) or answer.status == 402:
        return HaltError("quota", f"{told}: the account has no money left.", "Look at its billing page.")
    if answer.status == 403 and complaint.is_of_content:
        return NeverError("refused", f"{told}: it refuses this page.")
    match answer.status:
        case 429:
            return _after(answer, LaterError("rate_limited", f"{told}."))
        case status if status in PASSING or status >= 500:
            return _after(answer, LaterError("unavailable", f"{told}."))
        case 401 | 403:
            return _unauthorized(http, told)
        case 404:
            return HaltError("not_found", f"{told}.", "Check [openai] base_url and model.")
        case status if 300 <= status < 400:
            return HaltError(
                "not_found", f"{told}: a redirect.", "It is not followed: set [openai] base_url to the address itself."
            )
        case _:
            return NeverError("refused", f"{told}: it refuses this page.")


def unreachable(error: StoreError) -> HaltError:
    """Return the error of a server that nothing can be sent to as things are: the address may be wrong."""
    return HaltError("unreachable", error.message, f"Check [openai] base_url. {error.next_step}".rstrip())


def _unauthorized(http: Http, told: str) -> HaltError:
    if http.has_token:
        return HaltError("unauthorized", f"{told}: it does not accept the key.", f"Check {KEY}.")
    return HaltError("unauthorized", f"{told}: it wants a key, and {KEY} is not set.", key_hint())


def key_hint() -> str:
    return f'Set it in the environment, or as {KEY} = "..." in {CREDENTIALS_FILE} (mode 0600).'


def _after(answer: Answer, error: LaterError) -> LaterError:
    error.wait = wait_of(answer)
    return error


def _complaint(answer: Answer) -> _Complaint:
    try:
        told = msgspec.json.decode(answer.body, type=_Told)
    except (msgspec.MsgspecError, UnicodeError):
        return _Complaint()
    match told.error:
        case None:
            return _Complaint(told.message or "")
        case str(sentence):
            return _Complaint(sentence)
        case complaint:
            return complaint

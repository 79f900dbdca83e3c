"""One chat endpoint: sends questions within the limits, and gives every failure a code."""

from __future__ import annotations

import asyncio
import math
import sys
import time
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential

from nimbus_tasks.backends.http import PASSING
from nimbus_tasks.backends.kv.pacing import LONGEST_WAIT, Pace, Pacing
from nimbus_tasks.model import lenient
from nimbus_tasks.model.errors import StoreError, TransientError, UnreachableError
from nimbus_tasks.processing.optimise.errors import HaltError, PermanentError, TemporaryError
from nimbus_tasks.processing.optimise.openai.limits import RateLimits, Usage
from nimbus_tasks.processing.optimise.openai.prompt import RESPONSE_OBJECT, RESPONSE_SCHEMA, estimate_tokens
from nimbus_tasks.project.secrets import CREDENTIALS_FILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from nimbus_tasks.backends.http import Http
    from nimbus_tasks.backends.http.response import Response
    from nimbus_tasks.processing.optimise.openai.limits import Budget, Reservation
    from nimbus_tasks.processing.optimise.openai.prompt import Messages
    from nimbus_tasks.project.settings import OpenAISettings

KEY = "NIMBUS_AI_KEY"
PATH = "/chat/completions"
LONGEST_BACKOFF = 30.0
#: Bytes of an answer. The longest that models write take a tenth of it.
LONGEST_RESPONSE = 16 * 1024 * 1024
#: Tokens of one request. A number above it is an error of the server's.
MOST_TOKENS = 1_000_000_000
#: Characters that a token stands for in most scripts: a server that counts fewer tokens than that is not believed.
_CHARACTERS_A_TOKEN = 4
#: Gateways that gave up waiting: the model behind them may have answered, and be paid.
_MAYBE_BILLED = frozenset({504, 524})
#: Answers to an unknown response format.
_FORMAT_REFUSED = frozenset({400, 422})
#: Codes that a retry may cure. Not `timeout`: the slow answer was probably billed, and a retry pays again.
_RETRIED = frozenset({"rate_limited", "unavailable"})

_schema_tokens = estimate_tokens(msgspec.json.encode(RESPONSE_SCHEMA).decode())


class Message(Struct):
    content: str | None = None
    refusal: str | None = None


class Choice(Struct):
    message: Message
    finish_reason: str | None = None


class Completion(Struct):
    choices: tuple[Choice, ...] = ()
    usage: object = None

    def reported(self) -> Usage | None:
        """Return the tokens that the server counts; None where it does not.

        Raises:
            ValueError: they are no numbers of tokens.
        """
        if not isinstance(self.usage, dict) or not {"prompt_tokens", "completion_tokens"} & self.usage.keys():
            return None
        return Usage(*(_tokens(self.usage.get(name)) for name in ("prompt_tokens", "completion_tokens")))


def _tokens(count: object) -> int:
    if count is None:
        return 0
    if not isinstance(count, int | float) or abs(count) > MOST_TOKENS:
        raise ValueError("no number of tokens")
    return math.ceil(count)


class _LongWaitError(TemporaryError):
    """The server asks for a longer wait than a request gets: the page is retried later."""


class _NoConnectionError(TemporaryError):
    def __init__(self, why: UnreachableError) -> None:
        super().__init__("unavailable", why.message, why.next_step)
        self.why = why


class Endpoint:
    """Asks one model."""

    def __init__(
        self,
        settings: OpenAISettings,
        http: Http,
        budget: Budget,
        say: Callable[[float, str], None] = lambda _seconds, _why: None,
    ) -> None:
        """`say` receives how many seconds all requests wait, and why."""
        self._settings, self._http, self._budget = settings, http, budget
        # Never give up: a page that fails is retried later, even after an outage of an hour.
        self._pace = Pace(Pacing(settings.slots, settings.delay, give_up_after=sys.maxsize), say)
        self._limits = RateLimits()
        self._supports_schemas = True
        self._has_answered = False
        self._retrying = AsyncRetrying(
            stop=stop_after_attempt(settings.tries),
            wait=wait_random_exponential(multiplier=settings.retry_wait, max=LONGEST_BACKOFF),
            retry=retry_if_exception(_may_retry),
            reraise=True,
        )

    async def ask(self, messages: Messages) -> tuple[Choice, Usage]:
        """Return the model's answer and the tokens paid for.

        Raises:
            TemporaryError: no answer now.
            PermanentError: the server refuses this question.
            HaltError: the server will refuse every question.
        """
        asked = sum(estimate_tokens(message["content"]) for message in messages) + _schema_tokens
        most = Usage(asked, self._settings.max_tokens)
        try:
            return await self._retrying.copy()(self._paid, messages, most)
        except _NoConnectionError as error:
            if self._has_answered:
                raise
            raise unreachable(error.why) from None

    async def _paid(self, messages: Messages, most: Usage) -> tuple[Choice, Usage]:
        async with self._budget.reserve(most) as reservation:
            try:
                completion = await self._pace.request(lambda: self._send(messages, most, reservation))
            except TemporaryError:
                raise
            except StoreError as error:
                raise _LongWaitError("rate_limited", error.message, error.next_step) from None
            choice = completion.choices[0]
            try:
                reported = completion.reported()
            except ValueError:
                raise TemporaryError(
                    "bad_answer", f"{self._http.host} sent an unexpected response: its usage is no number of tokens."
                ) from None
            least = Usage(_least(*(message["content"] for message in messages)), _least(choice.message.content or ""))
            return choice, reservation.settle(reported, least)

    async def _send(self, messages: Messages, most: Usage, reservation: Reservation) -> Completion:
        with_schema = self._supports_schemas
        response = await self._post(messages, RESPONSE_SCHEMA if with_schema else RESPONSE_OBJECT, most, reservation)
        if with_schema and response.status in _FORMAT_REFUSED:
            response = await self._post(messages, RESPONSE_OBJECT, most, reservation)
            # If this is refused too, the schema was not the reason.
            self._supports_schemas = response.status != 200
        if response.status != 200:
            raise failure_of(self._http, response)
        try:
            completion = msgspec.json.decode(response.body, type=Completion)
        except lenient.UNDECODABLE:
            completion = Completion()
        if not completion.choices:
            detail = self._http.plain(_error_detail(response).message)
            why = f"an error ({detail})" if detail else "no completion"
            raise TemporaryError("unavailable", f"{self._http.host} sent an unexpected response: {why}.")
        self._has_answered = True
        return completion

    async def _post(self, messages: Messages, form: dict[str, Any], most: Usage, reservation: Reservation) -> Response:
        body = msgspec.json.encode(
            {
                "model": self._settings.model,
                "messages": messages,
                "response_format": form,
                "max_tokens": self._settings.max_tokens,
            }
        )
        await self._wait_for_limits(most.prompt_tokens + most.completion_tokens)
        seconds = self._settings.timeout
        # From here on it may be billed, whatever becomes of the answer.
        reservation.charge_most()
        try:
            async with asyncio.timeout(seconds):
                response = await self._http.send("POST", PATH, body)
        except TimeoutError:
            raise TemporaryError("timeout", f"{self._http.host} took longer than {seconds:g} seconds.") from None
        except UnreachableError as error:
            reservation.release()
            raise _NoConnectionError(error) from None
        except TransientError as error:
            raise TemporaryError("unavailable", error.message, error.next_step) from None
        except StoreError as error:
            reservation.release()
            raise unreachable(error) from None
        if response.status != 200 and response.status not in _MAYBE_BILLED:
            reservation.release()
        self._limits.note(response.headers, time.monotonic())
        return response

    async def _wait_for_limits(self, tokens: int) -> None:
        while (wait := self._limits.wait(tokens, time.monotonic())) > 0:
            if wait > LONGEST_WAIT:
                raise _LongWaitError(
                    "rate_limited", f"{self._http.host} takes no more requests for {wait:,.0f} seconds."
                )
            await asyncio.sleep(wait)
        self._limits.take(tokens, time.monotonic())


def _least(*texts: str) -> int:
    """Return the tokens that texts take at the least."""
    return math.ceil(sum(map(len, texts)) / _CHARACTERS_A_TOKEN)


def _may_retry(error: BaseException) -> bool:
    return isinstance(error, TemporaryError) and error.code in _RETRIED and not isinstance(error, _LongWaitError)


# --- error answers ------------------------------------------------------------------------------------


class _ErrorDetail(Struct):
    message: str = ""
    type: str | None = None
    code: str | int | None = None
    metadata: object = None

    @property
    def is_moderation(self) -> bool:
        """Whether moderation refused the content; routers say so in the metadata of a 403."""
        return isinstance(self.metadata, dict) and "flagged_input" in self.metadata


class _ErrorBody(Struct):
    """The forms in which servers send errors."""

    error: _ErrorDetail | str | None = None
    message: str | None = None


def failure_of(http: Http, response: Response) -> TemporaryError | PermanentError | HaltError:
    """Return the error for an answer that is not a success."""
    detail = _error_detail(response)
    text = http.plain(detail.message)
    received = f"{http.host} answered {response.status}{f' ({text})' if text else ''}"
    if "insufficient_quota" in (detail.code, detail.type) or response.status == 402:
        return HaltError("quota", f"{received}: the account has no credit left.", "Check its billing page.")
    if response.status == 403 and detail.is_moderation:
        return PermanentError("refused", f"{received}: it refuses this page.")
    match response.status:
        case 429:
            return _after(response, TemporaryError("rate_limited", f"{received}."))
        case status if status in PASSING or status >= 500:
            return _after(response, TemporaryError("unavailable", f"{received}."))
        case 401 | 403 if http.has_token:
            return HaltError("unauthorized", f"{received}: it does not accept the key.", f"Check {KEY}.")
        case 401 | 403:
            return HaltError("unauthorized", f"{received}: it needs a key, and {KEY} is not set.", key_hint())
        case 404:
            return HaltError("not_found", f"{received}.", "Check [openai] base_url and model.")
        case status if 300 <= status < 400:
            return HaltError(
                "not_found",
                f"{received}: a redirect.",
                "Redirects are not followed: set [openai] base_url to its target.",
            )
        case _:
            return PermanentError("refused", f"{received}: it refuses this page.")


def unreachable(error: StoreError) -> HaltError:
    """Return the error for a server that cannot be reached: the address may be wrong."""
    return HaltError("unreachable", error.message, f"Check [openai] base_url. {error.next_step}".rstrip())


def key_hint() -> str:
    return f'Set it in the environment, or as {KEY} = "..." in {CREDENTIALS_FILE} (mode 0600).'


def _after(response: Response, error: TemporaryError) -> TemporaryError:
    error.wait = response.retry_after
    return error


def _error_detail(response: Response) -> _ErrorDetail:
    try:
        body = msgspec.json.decode(response.body, type=_ErrorBody)
    except lenient.UNDECODABLE:
        return _ErrorDetail()
    match body.error:
        case None:
            return _ErrorDetail(body.message or "")
        case str(message):
            return _ErrorDetail(message)
        case detail:
            return detail

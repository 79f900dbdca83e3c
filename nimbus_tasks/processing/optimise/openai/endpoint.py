"""One chat endpoint: questions go out at its pace and for our money, and what goes wrong has a name."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential

from nimbus_tasks.backends.kv.pacing import LONGEST_WAIT, Pace, Pacing
from nimbus_tasks.model.errors import StoreError, TransientError, UnreachableError
from nimbus_tasks.processing.optimise.errors import LaterError
from nimbus_tasks.processing.optimise.openai.budget import Usage
from nimbus_tasks.processing.optimise.openai.chunks import estimate
from nimbus_tasks.processing.optimise.openai.failures import failure_of, unreachable
from nimbus_tasks.processing.optimise.openai.prompt import RESPONSE_OBJECT, RESPONSE_SCHEMA
from nimbus_tasks.processing.optimise.openai.rate_limits import RateLimits

if TYPE_CHECKING:
    from collections.abc import Callable

    from nimbus_tasks.backends.http import Answer, Http
    from nimbus_tasks.processing.optimise.openai.budget import Hold, Purse
    from nimbus_tasks.processing.optimise.openai.prompt import Messages
    from nimbus_tasks.project.settings import OpenAISettings

PATH = "/chat/completions"
LONGEST_BACKOFF = 30.0
#: Servers say 400 to a response format that they do not know; some check requests first, and say 422.
_NOT_UNDERSTOOD = frozenset({400, 422})
#: What may be different a moment later. An answer that took too long may well have been billed: no second one.
_TRY_AGAIN = frozenset({"rate_limited", "unavailable"})

_schema_tokens = estimate(msgspec.json.encode(RESPONSE_SCHEMA).decode())


class Message(Struct):
    content: str | None = None
    refusal: str | None = None


class Choice(Struct):
    message: Message
    finish_reason: str | None = None


class Completion(Struct):
    """What the server made of a question."""

    choices: tuple[Choice, ...]
    usage: Usage | None = None


class _TooLongError(LaterError):
    """The server asks for more patience than a request has; the page comes again later."""


class _NobodyThereError(LaterError):
    """There was no connection."""

    def __init__(self, why: UnreachableError) -> None:
        super().__init__("unavailable", why.message, why.next_step)
        self.why = why


class Endpoint:
    """Asks one model."""

    def __init__(
        self,
        settings: OpenAISettings,
        http: Http,
        purse: Purse,
        say: Callable[[float, str], None] = lambda _seconds, _why: None,
    ) -> None:
        """`say` is told how many seconds everybody waits, and why."""
        self._settings, self._http, self._purse = settings, http, purse
        # A page that fails is tried again later, so a server that is away for an hour is no reason to give up.
        self._pace = Pace(Pacing(settings.slots, settings.delay, give_up_after=sys.maxsize), say)
        self._limits = RateLimits()
        self._knows_schemas = True
        self._has_answered = False
        self._retrying = AsyncRetrying(
            stop=stop_after_attempt(settings.tries),
            wait=wait_random_exponential(multiplier=settings.retry_wait, max=LONGEST_BACKOFF),
            retry=retry_if_exception(_may_be_tried_again),
            reraise=True,
        )

    async def ask(self, messages: Messages) -> tuple[Choice, Usage]:
        """Return the model's answer, and the tokens paid for.

        Raises:
            LaterError: there is none just now.
            NeverError: the server refuses the question.
            HaltError: there will be none for any question.
        """
        asked = sum(estimate(message["content"]) for message in messages) + _schema_tokens
        most = Usage(asked, self._settings.max_tokens)
        try:
            return await self._retrying.copy()(self._paid, messages, most)
        except _NobodyThereError as error:
            if self._has_answered:
                raise
            raise unreachable(error.why) from None

    async def _paid(self, messages: Messages, most: Usage) -> tuple[Choice, Usage]:
        async with self._purse.hold(most) as hold:
            try:
                completion = await self._pace.request(lambda: self._send(messages, most, hold))
            except LaterError:
                raise
            except StoreError as error:
                raise _TooLongError("rate_limited", error.message, error.next_step) from None
            return completion.choices[0], hold.settle(completion.usage)

    async def _send(self, messages: Messages, most: Usage, hold: Hold) -> Completion:
        with_schema = self._knows_schemas
        answer = await self._post(messages, RESPONSE_SCHEMA if with_schema else RESPONSE_OBJECT, most, hold)
        if with_schema and answer.status in _NOT_UNDERSTOOD:
            answer = await self._post(messages, RESPONSE_OBJECT, most, hold)
            # If that is refused too, it was not for the schema.
            self._knows_schemas = answer.status != 200
        if answer.status != 200:
            raise failure_of(self._http, answer)
        try:
            completion = msgspec.json.decode(answer.body, type=Completion)
        except (msgspec.MsgspecError, UnicodeError):
            completion = Completion(())
        if not completion.choices:
            hold.settle(None)
            raise LaterError("unavailable", f"{self._http.host} answered with something else than a completion.")
        self._has_answered = True
        return completion

    async def _post(self, messages: Messages, form: dict[str, Any], most: Usage, hold: Hold) -> Answer:
        body = msgspec.json.encode(
            {
                "model": self._settings.model,
                "messages": messages,
                "response_format": form,
                "max_tokens": self._settings.max_tokens,
            }
        )
        await self._wait_for_turn(most.prompt_tokens + most.completion_tokens)
        seconds = self._settings.timeout
        try:
            async with asyncio.timeout(seconds):
                answer = await self._http.send("POST", PATH, body)
        except TimeoutError:
            # Nobody knows whether it is billed; money is counted rather twice than not.
            hold.settle(None)
            raise LaterError("timeout", f"{self._http.host} took longer than {seconds:g} seconds.") from None
        except UnreachableError as error:
            raise _NobodyThereError(error) from None
        except TransientError as error:
            raise LaterError("unavailable", error.message, error.next_step) from None
        except StoreError as error:
            raise unreachable(error) from None
        self._limits.note(answer.headers, time.monotonic())
        return answer

    async def _wait_for_turn(self, tokens: int) -> None:
        while (wait := self._limits.wait(tokens, time.monotonic())) > 0:
            if wait > LONGEST_WAIT:
                raise _TooLongError(
                    "rate_limited", f"{self._http.host} takes no more requests for {wait:,.0f} seconds."
                )
            await asyncio.sleep(wait)
        self._limits.take(tokens, time.monotonic())


def _may_be_tried_again(error: BaseException) -> bool:
    return isinstance(error, LaterError) and error.code in _TRY_AGAIN and not isinstance(error, _TooLongError)
